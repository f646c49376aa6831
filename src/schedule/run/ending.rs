//! When a run ends though it is not at its end: its planned length is over, or another show needs the box. Pure.

use super::{Output, Run, State, before};
use crate::config::AlertLevel;
use crate::config::show::{Overrun, Timing};
use crate::session::moment::Moment;
use std::time::Duration;

impl Run {
    /// When the closing steps must begin, and whether that is for another show.
    pub(super) fn end_comes(&self) -> Option<(Moment, bool)> {
        if self.forced {
            return None;
        }
        let by_policy = match self.overrun {
            Overrun::Extend { by } if self.extended => Some(self.end + by),
            Overrun::End | Overrun::Extend { .. } => Some(self.end),
            Overrun::Yield => None,
        };
        let behind = self.slots[self.closing + 1..]
            .iter()
            .map(|slot| match slot.step.timing {
                Timing::After(after) => after,
                Timing::At(_) => Duration::ZERO,
            });
        let give_way = self.give_way.map(|at| before(at, behind.sum()));
        let by_policy = by_policy.map(|end| (end, false));
        by_policy
            .into_iter()
            .chain(give_way.map(|end| (end, true)))
            .min()
    }

    /// True: the closing steps are due now.
    pub(super) fn mind_the_end(&mut self, now: Moment, out: &mut Vec<Output>) -> bool {
        // Whoever is at the closing steps needs no reminder.
        let Some((_, gives_way)) = self
            .end_comes()
            .filter(|(end, _)| now >= *end && self.cursor <= self.closing)
        else {
            return false;
        };
        if let (Overrun::Extend { by }, false, false) = (self.overrun, self.extended, gives_way) {
            self.extended = true;
            let minutes = by.as_secs_f64() / 60.0;
            let text = format!(
                "{}: the planned length is over, and it goes on for up to {minutes:.0} min more",
                self.title
            );
            out.extend([Output::Save, Output::Alert(AlertLevel::Warning, text)]);
            return self.mind_the_end(now, out);
        }
        let reason = if gives_way {
            "the next show needs the box"
        } else {
            "the planned length is over"
        };
        self.close(now, reason, out);
        true
    }

    /// Goes to the closing steps at once.
    pub(super) fn close(&mut self, now: Moment, reason: &str, out: &mut Vec<Output>) {
        self.held = None;
        for index in self.cursor..self.closing {
            if !matches!(
                self.slots[index].state,
                State::Pending | State::Waiting { .. }
            ) {
                continue;
            }
            self.leave_out(now, index, reason, out);
        }
        self.forced = true;
        self.cursor = self.cursor.max(self.closing);
        self.last = now;
        out.push(Output::Alert(
            AlertLevel::Warning,
            format!("{} is being ended: {reason}", self.title),
        ));
    }
}
