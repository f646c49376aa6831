//! A run as people see it. Pure.

use super::{Run, State};
use crate::config::show::{Condition, Timing, clock};
use crate::session::moment::Moment;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    pub show: String,
    pub title: String,
    pub occurrence: String,
    /// Negative before the start.
    pub elapsed_s: f64,
    pub ends_in_s: f64,
    pub held: bool,
    pub over: bool,
    /// The number of the step that comes next.
    pub next: Option<u32>,
    pub steps: Vec<StepView>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepView {
    pub step: u32,
    /// `+02:00`, or `after 5 s`.
    pub time: String,
    pub what: String,
    /// pending, waiting, begun, done, failed, skipped
    pub state: String,
    /// What it waits for, a note, or a reason.
    pub detail: String,
    /// Where that is known.
    pub in_s: Option<f64>,
}

impl Run {
    pub fn view(&self, now: Moment) -> View {
        let seconds = |from: Moment, to: Moment| (to.0 - from.0) as f64 / 1e6;
        // A held clock stands still.
        let clock_now = self.held.unwrap_or(now);
        let steps = self.slots.iter().enumerate().map(|(index, slot)| {
            let (state, mut detail) = match &slot.state {
                State::Pending => ("pending", String::new()),
                State::Waiting { .. } => ("waiting", String::new()),
                // It was handed over ahead: nothing of it is to be seen before its time.
                State::Begun { at } if *at > now => ("pending", String::new()),
                State::Begun { .. } => ("begun", String::new()),
                State::Done { note, .. } => ("done", note.clone()),
                State::Failed { reason } => ("failed", reason.clone()),
                State::Skipped { reason } => ("skipped", reason.clone()),
            };
            let open = matches!(slot.state, State::Pending | State::Waiting { .. });
            if let Some(wait) = slot.step.wait.as_ref().filter(|_| open) {
                detail = match &wait.condition {
                    Condition::Clip => "when the clip has ended".to_owned(),
                    Condition::Sound { source, .. } => format!("when {source} is heard"),
                    Condition::Next => "when somebody says next".to_owned(),
                };
            }
            let timed = matches!(slot.step.timing, Timing::At(_));
            let known = state == "pending" && (timed || index == self.cursor);
            StepView {
                step: super::number(index),
                time: time(&slot.step.timing),
                what: slot.step.action.to_string(),
                state: state.to_owned(),
                detail,
                in_s: known.then(|| seconds(clock_now, self.due(index))),
            }
        });
        let next = self.handed_over(now).unwrap_or(self.cursor);
        View {
            show: self.show.clone(),
            title: self.title.clone(),
            occurrence: self.occurrence.clone(),
            elapsed_s: seconds(self.start, clock_now),
            ends_in_s: seconds(now, self.end),
            held: self.held.is_some(),
            over: self.over,
            next: (next < self.slots.len()).then(|| super::number(next)),
            steps: steps.collect(),
        }
    }
}

/// As a step's time is written, or said.
pub fn time(timing: &Timing) -> String {
    match timing {
        Timing::At(ms) => clock(*ms),
        Timing::After(after) if after.is_zero() => "then".to_owned(),
        Timing::After(after) => format!("after {} s", after.as_secs_f64()),
    }
}
