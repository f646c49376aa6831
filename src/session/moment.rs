//! Time that a session counts in: a clock that no step of the wall clock moves, and that goes on across restarts. Pure.
//!
//! Within one boot of the machine that is CLOCK_BOOTTIME (it counts suspension as well). Of an earlier boot only the wall
//! clock knows how long ago it was.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Microseconds of this boot's CLOCK_BOOTTIME; what was before the boot is negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(pub i64);

impl Moment {
    /// Zero when `earlier` is later.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, later: Duration) -> Moment {
        let us = i64::try_from(later.as_micros()).unwrap_or(i64::MAX);
        Moment(self.0.saturating_add(us))
    }
}

/// A reading of both clocks, which means the same to a later process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Milliseconds since 1970-01-01 UTC.
    pub wall_ms: i64,
    /// /proc/sys/kernel/random/boot_id
    pub boot: String,
    pub moment: Moment,
}

/// The machine was started anew since, and its clock now shows an earlier time than then: nobody knows how long ago it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the machine was restarted, and its clock is behind: how long that took is not known")]
pub struct ClockBehind;

impl Stamp {
    /// Where this stamp lies on `now`'s clock.
    pub fn on_clock_of(&self, now: &Stamp) -> Result<Moment, ClockBehind> {
        if self.boot == now.boot {
            return Ok(self.moment);
        }
        let ago_ms = now.wall_ms.saturating_sub(self.wall_ms);
        if ago_ms < 0 {
            return Err(ClockBehind);
        }
        Ok(Moment(
            now.moment.0.saturating_sub(ago_ms.saturating_mul(1_000)),
        ))
    }

    /// The stamp of another moment of this clock.
    pub fn at(&self, moment: Moment) -> Stamp {
        let difference_ms = (moment.0 - self.moment.0).div_euclid(1_000);
        Stamp {
            wall_ms: self.wall_ms.saturating_add(difference_ms),
            boot: self.boot.clone(),
            moment,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(wall_s: i64, boot: &str, moment_s: i64) -> Stamp {
        Stamp {
            wall_ms: wall_s * 1_000,
            boot: boot.into(),
            moment: Moment(moment_s * 1_000_000),
        }
    }

    #[test]
    fn a_step_of_the_wall_clock_changes_nothing_within_a_boot() {
        let began = stamp(1_000, "a", 50);
        let now = stamp(5, "a", 70);
        let since = now.moment.since(began.on_clock_of(&now).unwrap());
        assert_eq!(since, Duration::from_secs(20));
    }

    #[test]
    fn across_a_boot_the_wall_clock_counts() {
        let began = stamp(1_000, "a", 5_000);
        let now = stamp(1_090, "b", 30);
        let since = now.moment.since(began.on_clock_of(&now).unwrap());
        assert_eq!(since, Duration::from_secs(90));
        assert_eq!(began.on_clock_of(&stamp(999, "b", 30)), Err(ClockBehind));
    }

    #[test]
    fn stamps_of_other_moments() {
        let now = stamp(1_000, "a", 50);
        assert_eq!(now.at(Moment(45_500_000)).wall_ms, 995_500);
        assert_eq!(now.at(Moment(-1_000_000)).moment, Moment(-1_000_000));
    }
}
