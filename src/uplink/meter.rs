//! What does a way carry? Bytes that the peer has, over time, become a rate. Pure.

use std::time::{Duration, Instant};

/// Not counted: TCP's slow start. From its first ten segments to 9 Mb/s on a path with 300 ms of round trip it needs
/// five round trips, most of which the handshakes before have already had.
const RAMP: Duration = Duration::from_secs(1);
/// What was counted over less says nothing.
const LEAST: Duration = Duration::from_millis(500);

/// What is offered to a way, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    pub kbps: u32,
    pub lasting: Duration,
}

#[derive(Debug)]
pub struct Meter {
    load: Load,
    start: Instant,
    /// The first sample after the ramp, and the newest: when, and bytes acknowledged in all.
    from: Option<(Instant, u64)>,
    newest: Option<(Instant, u64)>,
}

impl Meter {
    pub fn new(load: Load, now: Instant) -> Self {
        Meter {
            load,
            start: now,
            from: None,
            newest: None,
        }
    }

    /// Bytes to have offered by now.
    pub fn due(&self, now: Instant) -> u64 {
        let elapsed = now.duration_since(self.start).min(self.load.lasting);
        (elapsed.as_secs_f64() * f64::from(self.load.kbps) * 125.0) as u64
    }

    pub fn ends_at(&self) -> Instant {
        self.start + self.load.lasting
    }

    /// The peer has `bytes` in all, in whatever order.
    pub fn sample(&mut self, now: Instant, bytes: u64) {
        if now >= self.start + RAMP && self.from.is_none() {
            self.from = Some((now, bytes));
        }
        self.newest = Some((now, bytes));
    }

    /// The rate in kb/s; None when it was measured for too short a time.
    pub fn kbps(&self) -> Option<u32> {
        let ((from, before), (until, after)) = (self.from?, self.newest?);
        let lasted = until.duration_since(from);
        if lasted < LEAST {
            return None;
        }
        Some((after.saturating_sub(before) as f64 / 125.0 / lasted.as_secs_f64()).round() as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load = Load {
        kbps: 8_000,
        lasting: Duration::from_secs(3),
    };

    fn metered(until_ms: u64, acknowledged: impl Fn(u64) -> u64) -> Option<u32> {
        let start = Instant::now();
        let mut meter = Meter::new(LOAD, start);
        for ms in (0..=until_ms).step_by(20) {
            meter.sample(start + Duration::from_millis(ms), acknowledged(ms));
        }
        meter.kbps()
    }

    #[test]
    fn offers_at_its_pace_and_no_more() {
        let start = Instant::now();
        let meter = Meter::new(LOAD, start);
        assert_eq!(meter.due(start), 0);
        assert_eq!(meter.due(start + Duration::from_millis(500)), 500_000);
        assert_eq!(meter.due(start + Duration::from_secs(9)), 3_000_000);
        assert_eq!(meter.ends_at(), start + Duration::from_secs(3));
    }

    #[test]
    fn the_ramp_does_not_count() {
        // Nothing for a second, then 500 bytes a millisecond.
        let slow_start = |ms: u64| ms.saturating_sub(1_000) * 500;
        assert_eq!(metered(3_000, slow_start), Some(4_000));
        assert_eq!(metered(3_000, |_| 70_000), Some(0));
    }

    #[test]
    fn a_moment_is_no_measurement() {
        assert_eq!(metered(1_400, |ms| ms * 500), None);
        assert_eq!(metered(1_500, |ms| ms * 500), Some(4_000));
    }
}
