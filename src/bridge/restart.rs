//! When an engine that ended may be started again. Pure.

use std::time::Duration;

/// A run this long was sound: what ended it is a new trouble.
const SOUND_RUN: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The first death is answered at once; what dies again and again (a driver that crashes at start) is given
/// pauses that double, so that it can't eat the machine.
#[derive(Debug, Default)]
pub struct RestartPolicy {
    quick_deaths: u32,
}

impl RestartPolicy {
    /// The pause before the next run, given how long the last one lived.
    pub fn pause_after(&mut self, lived: Duration) -> Duration {
        if lived >= SOUND_RUN {
            self.quick_deaths = 0;
            return Duration::ZERO;
        }
        self.quick_deaths = self.quick_deaths.saturating_add(1);
        match self.quick_deaths {
            1 => Duration::ZERO,
            n => FIRST_PAUSE
                .saturating_mul(1 << (n - 2).min(8))
                .min(LONGEST_PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_repeated_quick_deaths_wait() {
        let mut policy = RestartPolicy::default();
        let quick = Duration::from_secs(1);
        let pauses: Vec<u128> = (0..7)
            .map(|_| policy.pause_after(quick).as_millis())
            .collect();
        assert_eq!(pauses, [0, 250, 500, 1_000, 2_000, 4_000, 5_000]);
        assert_eq!(policy.pause_after(SOUND_RUN), Duration::ZERO);
        assert_eq!(policy.pause_after(quick), Duration::ZERO);
        assert_eq!(policy.pause_after(quick).as_millis(), 250);
    }

    #[test]
    fn the_pause_stays_bounded() {
        let mut policy = RestartPolicy {
            quick_deaths: u32::MAX,
        };
        assert_eq!(policy.pause_after(Duration::ZERO), LONGEST_PAUSE);
    }
}
