//! What comes back: what is heard, and what became of a step. Pure.

use super::{Output, Run, State, number};
use crate::config::AlertLevel;
use crate::config::show::{Condition, Step, Timing};
use crate::session::event::Event;
use crate::session::moment::Moment;

impl Run {
    pub(super) fn heard(&mut self, now: Moment, source: &str, db: Option<f32>) {
        let Some(slot) = self.slots.get_mut(self.cursor) else {
            return;
        };
        let wait = slot.step.wait.as_ref().map(|wait| &wait.condition);
        if let (
            State::Waiting { heard, .. },
            Some(Condition::Sound {
                source: wanted,
                over_db,
                ..
            }),
        ) = (&mut slot.state, wait)
            && wanted == source
        {
            *heard = match db {
                Some(db) if db >= *over_db => Some(heard.unwrap_or(now)),
                _ => None,
            };
        }
    }

    pub(super) fn settle(
        &mut self,
        index: usize,
        began: Moment,
        result: Result<String, String>,
        out: &mut Vec<Output>,
    ) {
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        let (show, occurrence) = (self.show.clone(), self.occurrence.clone());
        let (step, what) = (number(index), slot.step.action.to_string());
        let state = match result {
            Ok(note) => {
                let planned = match slot.step {
                    Step {
                        timing: Timing::At(_),
                        wait: None,
                        ..
                    } if !self.is_forced(index) => Some(self.due(index)),
                    _ => None,
                };
                let late_ms = planned.map(|due| (began.0 - due.0) as f64 / 1_000.0);
                let note = note.clone();
                out.push(Output::Log(Event::ShowStep {
                    show,
                    occurrence,
                    step,
                    what,
                    late_ms,
                    note: note.clone(),
                }));
                State::Done { at: began, note }
            }
            Err(reason) => {
                let text = format!("{}: step {step} ({what}) failed: {reason}", self.title);
                out.push(Output::Log(Event::ShowStepFailed {
                    show,
                    occurrence,
                    step,
                    what,
                    reason: reason.clone(),
                }));
                out.push(Output::Alert(AlertLevel::Problem, text));
                State::Failed { reason }
            }
        };
        self.slots[index].state = state;
        out.push(Output::Save);
    }
}
