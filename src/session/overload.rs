//! When to say that the engine can't keep up: at once, and while it lasts only now and then. Pure.

use std::time::{Duration, Instant};

/// An operator who has read it once needs the number, not the line.
const EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub struct Overload {
    /// Frames left out since the last word.
    untold: u64,
    told: Option<Instant>,
    /// Frames left out in all.
    pub total: u64,
}

impl Overload {
    /// The engine has left out `frames` more.
    pub fn dropped(&mut self, frames: u64) {
        self.untold += frames;
        self.total += frames;
    }

    /// The frames to speak of now, if it is time to.
    pub fn due(&mut self, now: Instant) -> Option<u64> {
        let just_told = self
            .told
            .is_some_and(|told| now.duration_since(told) < EVERY);
        if self.untold == 0 || just_told {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_once_then_now_and_then_and_nothing_is_left_untold() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut overload = Overload::default();
        assert_eq!(overload.due(start), None);
        overload.dropped(3);
        assert_eq!(overload.due(start), Some(3));
        overload.dropped(20);
        overload.dropped(10);
        assert_eq!(overload.due(after(9)), None);
        assert_eq!(overload.due(after(10)), Some(30));
        assert_eq!(overload.due(after(60)), None);
        overload.dropped(1);
        assert_eq!(overload.due(after(61)), Some(1));
        assert_eq!(overload.total, 34);
    }
}
