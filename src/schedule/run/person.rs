//! What a person tells a run. Pure.

use super::{Output, Run, Slot, State, number};
use crate::session::event::Event;
use crate::session::moment::Moment;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a person says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Command {
    /// Do the next step now.
    Next,
    /// Leave the next step out.
    Skip,
    /// Begin no further step.
    Hold,
    /// Go on.
    Release,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("no step is left")]
    NoStep,
    #[error("the run is held already; `next` does one step, `release` lets it go on")]
    Held,
    #[error("the run is not held")]
    NotHeld,
    #[error("step {0} is being done just now: it is too late to leave it out")]
    TooLate(u32),
}

impl Run {
    pub fn command(&mut self, now: Moment, command: Command) -> Result<Vec<Output>, CommandError> {
        let mut out = Vec::new();
        match (command, self.handed_over(now)) {
            // The step that is meant has been handed over already.
            (Command::Next, Some(_)) => {}
            (Command::Skip, Some(index)) => return Err(CommandError::TooLate(number(index))),
            _ => self.obey(now, command, &mut out)?,
        }
        out.extend(self.poll(now));
        Ok(out)
    }

    fn obey(
        &mut self,
        now: Moment,
        command: Command,
        out: &mut Vec<Output>,
    ) -> Result<(), CommandError> {
        let there = self.cursor < self.slots.len();
        match command {
            Command::Next if there => self.begin(now, self.cursor, out),
            Command::Skip if there => self.leave_out(now, self.cursor, "somebody left it out", out),
            Command::Next | Command::Skip => return Err(CommandError::NoStep),
            Command::Hold if self.held.is_some() => return Err(CommandError::Held),
            Command::Hold if !there => return Err(CommandError::NoStep),
            Command::Hold => {
                self.held = Some(now);
                let (show, occurrence) = (self.show.clone(), self.occurrence.clone());
                out.extend([
                    Output::Save,
                    Output::Log(Event::ShowHeld { show, occurrence }),
                ]);
            }
            Command::Release => {
                let held_s = self
                    .release(now)
                    .ok_or(CommandError::NotHeld)?
                    .as_secs_f64();
                let (show, occurrence) = (self.show.clone(), self.occurrence.clone());
                out.extend([
                    Output::Save,
                    Output::Log(Event::ShowReleased {
                        show,
                        occurrence,
                        held_s,
                    }),
                ]);
            }
        }
        Ok(())
    }

    /// The step that was handed over ahead of its time, if that has not come yet.
    pub(super) fn handed_over(&self, now: Moment) -> Option<usize> {
        let ahead = |slot: &Slot| match slot.state {
            State::Begun { at } | State::Done { at, .. } => at > now,
            _ => false,
        };
        self.slots[..self.cursor].iter().position(ahead)
    }

    /// What is to come is later by as long as it was held.
    fn release(&mut self, now: Moment) -> Option<Duration> {
        let held = now.since(self.held.take()?);
        self.start = self.start + held;
        self.put_off += held;
        self.last = self.last + held;
        if let Some(Slot {
            state: State::Waiting { since, .. },
            ..
        }) = self.slots.get_mut(self.cursor)
        {
            *since = *since + held;
        }
        Some(held)
    }
}
