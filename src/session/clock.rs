//! Readings of the machine's clocks. Shell.

use super::moment::{Moment, Stamp};
use nix::time::{ClockId, clock_gettime};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

#[derive(Clone, Debug)]
pub struct Clock {
    boot: String,
}

impl Clock {
    pub fn of_this_boot() -> Self {
        // Without /proc no boot is known to be the same as another, and the wall clock counts.
        let boot = std::fs::read_to_string(BOOT_ID)
            .map(|id| id.trim().to_owned())
            .unwrap_or_else(|_| format!("process {}", std::process::id()));
        Clock { boot }
    }

    pub fn stamp(&self) -> Stamp {
        Stamp {
            wall_ms: wall_ms(),
            boot: self.boot.clone(),
            moment: moment(),
        }
    }
}

/// CLOCK_BOOTTIME now. Linux has had it since 2.6.39.
pub fn moment() -> Moment {
    let time =
        clock_gettime(ClockId::CLOCK_BOOTTIME).or_else(|_| clock_gettime(ClockId::CLOCK_MONOTONIC));
    Moment(time.map_or(0, |time| time.tv_sec() * 1_000_000 + time.tv_nsec() / 1_000))
}

/// CLOCK_MONOTONIC now, which the engine's times are of.
pub fn monotonic() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC);
    time.map_or(Duration::ZERO, Duration::from)
}

/// Milliseconds since 1970-01-01 UTC.
pub fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0))
}
