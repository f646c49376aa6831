//! What becomes of a run after the process before this one ended in its middle. Pure.

use super::{Output, Run, State};
use crate::config::show::{Action, Timing};
use crate::session::moment::{ClockBehind, Moment, Stamp};
use std::time::Duration;

/// What is done about a step of which only the intent is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterCrash {
    /// Asked for again: whoever carries it out looks first whether it is so already, and then does nothing.
    Look,
    /// What it makes of the programme is there again with the rest of it, since the engine is a new one: no second take, no second
    /// fade.
    Restored,
    /// Left out: twice is worse than never.
    Never,
}

pub fn after_crash(action: &Action) -> AfterCrash {
    match action {
        // A session that this occurrence has started, or that has ended, says so.
        Action::Live | Action::End { .. } | Action::Record { .. } => AfterCrash::Look,
        // It changes nothing.
        Action::Preflight => AfterCrash::Look,
        Action::Scene { .. }
        | Action::Preview { .. }
        | Action::Overlay { .. }
        | Action::Title { .. }
        | Action::Audio { .. }
        | Action::Black { .. } => AfterCrash::Restored,
        Action::Mark { .. } | Action::Notify { .. } => AfterCrash::Never,
    }
}

impl Run {
    /// Brings a run that was written down at `written` on to this process's clock.
    pub fn rebase(&mut self, written: &Stamp, now: &Stamp) -> Result<(), ClockBehind> {
        let by = written.on_clock_of(now)?.0 - written.moment.0;
        let shift = |moment: &mut Moment| moment.0 += by;
        shift(&mut self.start);
        shift(&mut self.end);
        shift(&mut self.last);
        self.give_way = None;
        self.held.iter_mut().for_each(shift);
        for slot in &mut self.slots {
            match &mut slot.state {
                State::Waiting { since, heard } => {
                    shift(since);
                    *heard = None;
                }
                State::Begun { at } | State::Done { at, .. } => shift(at),
                State::Pending | State::Failed { .. } | State::Skipped { .. } => {}
            }
        }
        Ok(())
    }

    /// Whether it has gone live, as far as that is known.
    pub fn has_begun(&self) -> bool {
        let live = self
            .slots
            .iter()
            .find(|slot| slot.step.action == Action::Live);
        live.is_some_and(|slot| !matches!(slot.state, State::Pending | State::Waiting { .. }))
    }

    /// Puts the whole run off: it starts now.
    pub fn start_late(&mut self, now: Moment) {
        let by = now.0.saturating_sub(self.start.0);
        self.start = now;
        self.end.0 += by;
        self.last.0 += by;
    }

    /// Goes on after a restart. What was begun is settled by its rule; what came due meanwhile is not done late but for going live
    /// and ending: what it would have made of the programme is there.
    pub fn resume(&mut self, now: Moment) -> Vec<Output> {
        let mut out = Vec::new();
        // Nothing plays any more, and nobody has seen the clip of before.
        self.clip_plays = false;
        self.cursor = 0;
        let mut passed = true;
        for index in 0..self.slots.len() {
            let due = self.due(index);
            let slot = &mut self.slots[index];
            let came_due = passed
                && slot.state == State::Pending
                && slot.step.wait.is_none()
                && self.held.is_none()
                && due <= now;
            match slot.state {
                State::Begun { at } => {
                    self.last = at;
                    settle(slot, at);
                }
                // Its time had not come when the process ended if it has not come now.
                State::Pending if came_due => {
                    self.last = due;
                    settle(slot, due);
                }
                State::Pending | State::Waiting { .. } => passed = false,
                State::Done { .. } | State::Failed { .. } | State::Skipped { .. } => {}
            }
        }
        out.push(Output::Save);
        out.push(Output::Restore(self.standing()));
        // Nothing goes live that would have to be ended at once.
        let is_late = if self.has_begun() {
            self.end_comes().map(|(end, _)| end)
        } else {
            Some(self.end)
        };
        if self.cursor_of_open() < self.closing && is_late.is_some_and(|end| now >= end) {
            self.cursor = self.cursor_of_open();
            self.close(now, "its time was over when Regia was back", &mut out);
        }
        out.extend(self.poll(now));
        out
    }

    fn cursor_of_open(&self) -> usize {
        let open =
            |slot: &super::Slot| matches!(slot.state, State::Pending | State::Waiting { .. });
        self.slots.iter().position(open).unwrap_or(self.slots.len())
    }

    /// What the steps so far have made of the programme, as the fewest actions that make it so.
    pub(super) fn standing(&self) -> Vec<Action> {
        let made =
            |slot: &&super::Slot| matches!(slot.state, State::Done { .. } | State::Begun { .. });
        let mut actions: Vec<Action> = Vec::new();
        for slot in self.slots.iter().filter(made) {
            let mut action = slot.step.action.clone();
            if !action.is_programme() {
                continue;
            }
            match &mut action {
                // Without a fade: it was seen already.
                Action::Scene { transition, .. } => {
                    *transition = Some(crate::config::Transition::CUT);
                    // A take undoes black, and makes another preview.
                    actions.retain(|other| {
                        !matches!(other, Action::Black { .. } | Action::Preview { .. })
                    });
                }
                Action::Black { ms, .. } => *ms = 0,
                _ => {}
            }
            actions.retain(|other| !replaces(&action, other));
            actions.push(action);
        }
        actions
    }
}

fn settle(slot: &mut super::Slot, at: Moment) {
    let note = "Regia was started again meanwhile".to_owned();
    slot.state = match after_crash(&slot.step.action) {
        AfterCrash::Look => State::Pending,
        AfterCrash::Restored => State::Done { at, note },
        AfterCrash::Never => State::Skipped { reason: note },
    };
    if slot.state == State::Pending {
        // Behind the step before, whenever that was.
        slot.step.timing = match slot.step.timing {
            Timing::After(_) => Timing::After(Duration::ZERO),
            at => at,
        };
        slot.step.wait = None;
    }
}

/// The one makes the other as if it had not been.
fn replaces(newer: &Action, older: &Action) -> bool {
    match (newer, older) {
        (Action::Scene { .. }, Action::Scene { .. })
        | (Action::Preview { .. }, Action::Preview { .. })
        | (Action::Black { .. }, Action::Black { .. }) => true,
        (Action::Overlay { overlay: a, .. }, Action::Overlay { overlay: b, .. }) => a == b,
        (Action::Title { title: a, .. }, Action::Title { title: b, .. }) => a == b,
        // Each changes a part: all of them count.
        _ => false,
    }
}
