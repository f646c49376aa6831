//! Readings of the machine's clocks. Shell.

use super::moment::{Moment, Stamp};
use crate::media::MediaTime;
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

/// Where a moment lies on CLOCK_MONOTONIC, which stands still while the machine sleeps.
pub fn to_monotonic(at: Moment) -> MediaTime {
    MediaTime(at.0.saturating_sub(ahead_us()))
}

/// The moment of a time of CLOCK_MONOTONIC since the machine last slept.
pub fn of_monotonic(at: MediaTime) -> Moment {
    Moment(at.0.saturating_add(ahead_us()))
}

/// How far the one clock is ahead of the other.
fn ahead_us() -> i64 {
    let monotonic = i64::try_from(monotonic().as_micros()).unwrap_or(i64::MAX);
    moment().0.saturating_sub(monotonic)
}

/// Milliseconds since 1970-01-01 UTC.
pub fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0))
}
