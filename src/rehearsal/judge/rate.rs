//! Bitrate: the mean, and the least and the most in any ten seconds. Pure.

use serde::Serialize;
use std::collections::VecDeque;

/// Windows begin at multiples of this after the first unit.
const BUCKET_MS: u64 = 100;
const WINDOW_MS: u64 = 10_000;
const BUCKETS: usize = (WINDOW_MS / BUCKET_MS) as usize;

#[derive(Clone, Debug, Default)]
pub struct Rate {
    run: Option<Run>,
    min_bytes: Option<u64>,
    max_bytes: Option<u64>,
    /// Bytes and length of the runs before `run`.
    past_bytes: u64,
    past_ms: u64,
}

/// One unbroken timeline.
#[derive(Clone, Debug)]
struct Run {
    origin_ms: u64,
    last_ms: u64,
    bytes: u64,
    /// Complete buckets, newest last; at most `BUCKETS`.
    window: VecDeque<u64>,
    window_bytes: u64,
    current: u64,
    current_bytes: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct RateReport {
    pub mean_kbps: f64,
    /// Over any 10 s; absent when no timeline was that long.
    pub min_10s_kbps: Option<f64>,
    pub max_10s_kbps: Option<f64>,
}

impl Rate {
    /// `bytes` at `at_ms` of the timeline. A time before the newest one counts with the newest.
    pub fn add(&mut self, at_ms: u64, bytes: u64) {
        let run = self.run.get_or_insert_with(|| Run {
            origin_ms: at_ms,
            last_ms: at_ms,
            bytes: 0,
            window: VecDeque::with_capacity(BUCKETS),
            window_bytes: 0,
            current: 0,
            current_bytes: 0,
        });
        run.last_ms = run.last_ms.max(at_ms);
        let bucket = (run.last_ms - run.origin_ms) / BUCKET_MS;
        // A jump of any length is complete once the window holds nothing but silence.
        let steps = (bucket - run.current).min(BUCKETS as u64 + 1);
        for _ in 0..steps {
            if let Some(sum) = run.complete_bucket() {
                self.min_bytes = Some(self.min_bytes.map_or(sum, |m| m.min(sum)));
                self.max_bytes = Some(self.max_bytes.map_or(sum, |m| m.max(sum)));
            }
        }
        run.current = bucket;
        run.current_bytes += bytes;
        run.bytes += bytes;
    }

    /// A new timeline begins with the next unit.
    pub fn restart(&mut self) {
        if let Some(run) = self.run.take() {
            self.past_bytes += run.bytes;
            self.past_ms += run.last_ms - run.origin_ms;
        }
    }

    /// `unit_ms`: how long one unit lasts, since the last one's time is when it begins.
    pub fn report(&self, unit_ms: f64) -> RateReport {
        let mut ended = self.clone();
        ended.restart();
        let ms = ended.past_ms as f64 + unit_ms;
        let kbps = |bytes: u64| bytes as f64 * 8.0 / WINDOW_MS as f64;
        RateReport {
            mean_kbps: if ms > 0.0 {
                ended.past_bytes as f64 * 8.0 / ms
            } else {
                0.0
            },
            min_10s_kbps: self.min_bytes.map(kbps),
            max_10s_kbps: self.max_bytes.map(kbps),
        }
    }
}

impl RateReport {
    /// To the bit per second.
    pub fn rounded(self) -> Self {
        let round = |kbps: f64| (kbps * 1e3).round() / 1e3;
        RateReport {
            mean_kbps: round(self.mean_kbps),
            min_10s_kbps: self.min_10s_kbps.map(round),
            max_10s_kbps: self.max_10s_kbps.map(round),
        }
    }
}

impl Run {
    /// Moves on by one bucket; the window's bytes once it is ten seconds long.
    fn complete_bucket(&mut self) -> Option<u64> {
        let done = std::mem::take(&mut self.current_bytes);
        self.window.push_back(done);
        self.window_bytes += done;
        if self.window.len() > BUCKETS {
            self.window_bytes -= self.window.pop_front().unwrap_or(0);
        }
        (self.window.len() == BUCKETS).then_some(self.window_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_rate_has_one_value() {
        let mut rate = Rate::default();
        for n in 0..900u64 {
            rate.add((n * 100 + 1) / 3, 25_000);
        }
        let report = rate.report(100.0 / 3.0);
        assert!((report.mean_kbps - 6_000.0).abs() < 1.0, "{report:?}");
        assert_eq!(report.min_10s_kbps, Some(6_000.0));
        assert_eq!(report.max_10s_kbps, Some(6_000.0));
    }

    #[test]
    fn the_worst_ten_seconds_are_found_wherever_they_begin() {
        let mut rate = Rate::default();
        for n in 0..400u64 {
            let quiet = (153..253).contains(&n);
            rate.add(n * 100, if quiet { 100 } else { 1_000 });
        }
        let report = rate.report(100.0);
        assert_eq!(report.min_10s_kbps, Some(8.0));
        assert_eq!(report.max_10s_kbps, Some(80.0));
    }

    #[test]
    fn a_jump_of_weeks_ends_at_once_and_shows_silence() {
        let mut rate = Rate::default();
        rate.add(0, 10);
        rate.add(u64::MAX, 10);
        assert_eq!(rate.report(1.0).min_10s_kbps, Some(0.0));
    }

    #[test]
    fn a_restart_keeps_the_mean_and_joins_no_window() {
        let mut rate = Rate::default();
        for _ in 0..2 {
            for n in 0..60u64 {
                rate.add(n * 100, 1_000);
            }
            rate.restart();
        }
        let report = rate.report(200.0);
        assert!((report.mean_kbps - 80.0).abs() < 0.1, "{report:?}");
        assert_eq!(report.min_10s_kbps, None);
    }
}
