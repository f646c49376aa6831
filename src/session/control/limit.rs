//! What time does: the guard's warnings, the closing scene, the end before the platform's own, and the rollover. Pure.

use super::{Act, Control, Run, RunId};
use crate::session::event::{EndReason, Event};
use crate::session::guard::Due;
use crate::session::moment::Moment;
use std::time::Duration;

/// The next session has to be on air for so long before the one before it is ended.
const SETTLED: Duration = Duration::from_secs(2);

impl Control {
    /// Does what is due. To be called at least each second.
    pub fn tick(&mut self, now: Moment) {
        let ids: Vec<RunId> = self
            .live
            .iter()
            .flat_map(|live| &live.runs)
            .filter(|run| !run.is_ended())
            .map(|run| run.id)
            .collect();
        for id in ids {
            while let Some(due) = self.due(now, id) {
                self.carry_out(now, id, due);
            }
            self.hand_over(now, id);
        }
        self.begin_waiting(now, None);
    }

    fn due(&mut self, now: Moment, id: RunId) -> Option<Due> {
        let run = self.find_mut(id)?;
        run.guard.poll(now.since(run.first_publish?))
    }

    fn carry_out(&mut self, now: Moment, id: RunId, due: Due) {
        let Some(run) = self.find(id) else { return };
        let terms = &self.terms[run.destination];
        let (destination, is_live) = (terms.id.clone(), run.is_live());
        match due {
            Due::Warn { ends_in } if is_live => self.log(Event::GuardWarning {
                destination,
                ends_in_s: ends_in.as_secs_f64(),
                rolls_over: terms.limits.rolls_over && run.next.is_some(),
            }),
            Due::Archive { ends_in } if is_live => self.log(Event::ArchiveWarning {
                destination,
                ends_in_s: ends_in.as_secs_f64(),
            }),
            Due::Warn { .. } | Due::Archive { .. } => {}
            Due::Close if is_live => {
                if terms.limits.rolls_over {
                    self.roll_over(now, id);
                }
                self.slate_if_needed();
            }
            Due::Close => {}
            Due::End => {
                let limit_s = terms.limits.limit.unwrap_or_default().as_secs_f64();
                let reason = match run.successor {
                    Some(_) => EndReason::RolledOver,
                    None => EndReason::Limit,
                };
                if is_live {
                    self.log(Event::LimitReached {
                        destination,
                        limit_s,
                    });
                    self.finish(id, reason);
                    self.slate_if_needed();
                }
            }
            Due::LastWords => {
                self.finish(id, EndReason::Limit);
                self.act(Act::FinishNow(id));
            }
            Due::HangUp => {
                self.finish(id, EndReason::Limit);
                self.act(Act::Drop(id));
            }
        }
    }

    /// Begins the next session of a destination, beside the one that ends.
    fn roll_over(&mut self, now: Moment, id: RunId) {
        let Some(run) = self.find(id) else { return };
        let (destination, number) = (run.destination, run.number + 1);
        let next = run.next.clone();
        let failure = match &next {
            None => Some("no further key is there".to_owned()),
            Some(next) => {
                let server = &self.terms[destination].server;
                let taken = self
                    .publishers()
                    .any(|(other, mark)| mark == next.mark && self.terms[other].server == *server);
                match self.check_unused(destination, next) {
                    Err(refusal) => Some(refusal.to_string()),
                    Ok(()) if taken => Some("its further key is being published with".to_owned()),
                    Ok(()) => None,
                }
            }
        };
        if let Some(reason) = failure {
            self.log(Event::RolloverFailed {
                destination: self.terms[destination].id.clone(),
                reason,
            });
            return;
        }
        if let Some(next) = next {
            let successor = self.begin(now, destination, number, next, None);
            if let Some(run) = self.find_mut(id) {
                run.successor = successor;
            }
        }
    }

    /// Ends the session before, once the one that follows it is on air.
    fn hand_over(&mut self, now: Moment, id: RunId) {
        let Some(run) = self.find(id).filter(|run| run.is_live()) else {
            return;
        };
        let successor = run.successor.and_then(|successor| self.find(successor));
        let settled = |next: &Run| {
            next.on_air_since
                .is_some_and(|since| now.since(since) >= SETTLED)
        };
        if let Some(next) = successor.filter(|next| settled(next)) {
            let event = Event::Rollover {
                destination: self.terms[next.destination].id.clone(),
                session: next.number,
            };
            self.log(event);
            self.finish(id, EndReason::RolledOver);
        }
    }

    /// The closing slate is for an audience that sees nothing afterwards: while any destination goes on, it sees the programme.
    pub(super) fn slate_if_needed(&mut self) {
        let Some(live) = &mut self.live else { return };
        let goes_on = |run: &Run| run.is_live() && !run.guard.is_closing();
        let closing =
            |run: &Run| run.guard.is_closing() && run.first_publish.is_some() && !run.is_ended();
        let wanted = live.runs.iter().any(closing) && !live.runs.iter().any(goes_on);
        if std::mem::replace(&mut live.slate, wanted) != wanted {
            self.act(Act::Slate(wanted));
            if wanted {
                let scene = self.closing_scene.clone();
                self.log(Event::ClosingScene { scene });
            }
        }
    }
}
