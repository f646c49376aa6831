//! How often may one ingest be asked to take a publish? Pure.

use std::time::{Duration, Instant};

/// Publishes that may follow each other freely.
const CAPACITY: u32 = 6;
/// Beyond those, one each this long: fewer than three a minute, whatever the window.
const REFILL: Duration = Duration::from_secs(21);

/// A token bucket, so that a link that flaps never makes a platform see dozens of publishes a minute.
#[derive(Debug)]
pub struct Budget {
    tokens: u32,
    refilled: Instant,
}

impl Budget {
    pub fn new(now: Instant) -> Self {
        Budget {
            tokens: CAPACITY,
            refilled: now,
        }
    }

    pub fn take(&mut self, now: Instant) {
        self.refill(now);
        if self.tokens == CAPACITY {
            self.refilled = now;
        }
        self.tokens = self.tokens.saturating_sub(1);
    }

    /// When the next publish is allowed; `now` or earlier if it is.
    pub fn available_at(&self, now: Instant) -> Instant {
        if self.tokens > 0 {
            now
        } else {
            self.refilled + REFILL
        }
    }

    fn refill(&mut self, now: Instant) {
        while self.tokens < CAPACITY && self.refilled + REFILL <= now {
            self.refilled += REFILL;
            self.tokens += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_three_a_minute_once_used_up() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let mut publishes = Vec::new();
        for tenth in 0..12_000u64 {
            let now = start + Duration::from_millis(tenth * 100);
            if budget.available_at(now) <= now {
                budget.take(now);
                publishes.push(now);
            }
        }
        assert!(publishes.len() > CAPACITY as usize + 10);
        let used_up = &publishes[CAPACITY as usize..];
        for (n, from) in used_up.iter().enumerate() {
            let within = used_up[n..]
                .iter()
                .filter(|p| p.duration_since(*from) <= Duration::from_secs(60))
                .count();
            assert!(within <= 3, "{within}");
        }
    }
}
