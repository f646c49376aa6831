//! Is this connection making progress? Pure.
//!
//! Progress is acknowledged bytes, nothing else: a peer that answers pings, or keeps the connection open, or
//! whose kernel acknowledges probes of a closed window is not taking our media. A stall is bytes waiting for
//! longer than `stall_after` with not one of them acknowledged. 1.5 s is above what TCP needs to repair 5 % loss at
//! 300 ms RTT (a lost retransmission costs 3 × RTO ≈ 1.5 s only when the same segment is lost twice in a row *and*
//! nothing else in flight is acknowledged), and an order of magnitude under OBS's 15 s.

use std::time::{Duration, Instant};

pub const STALL_AFTER: Duration = Duration::from_millis(1500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Progressing,
    /// Nothing has been acknowledged since this moment although bytes wait.
    Stalled {
        since: Instant,
    },
}

impl Verdict {
    /// When the stall began, if it is one.
    pub fn since(self) -> Option<Instant> {
        match self {
            Verdict::Progressing => None,
            Verdict::Stalled { since } => Some(since),
        }
    }
}

#[derive(Debug)]
pub struct Liveness {
    stall_after: Duration,
    acknowledged: u64,
    /// The later of the last progress and the moment from which bytes have been waiting; None while nothing waits.
    waiting_since: Option<Instant>,
    stalled: bool,
}

impl Liveness {
    pub fn new(stall_after: Duration) -> Self {
        Liveness {
            stall_after,
            acknowledged: 0,
            waiting_since: None,
            stalled: false,
        }
    }

    /// `acknowledged`: running total of bytes; `waiting`: whether any byte is written or ready and not acknowledged.
    pub fn sample(&mut self, now: Instant, acknowledged: u64, waiting: bool) -> Verdict {
        let progress = acknowledged > self.acknowledged;
        self.acknowledged = self.acknowledged.max(acknowledged);
        if !waiting {
            self.waiting_since = None;
        } else if progress || self.waiting_since.is_none() {
            self.waiting_since = Some(now);
        }
        let since = self
            .waiting_since
            .filter(|since| now.duration_since(*since) >= self.stall_after);
        self.stalled = since.is_some();
        since.map_or(Verdict::Progressing, |since| Verdict::Stalled { since })
    }

    /// When the verdict may turn without any event. None while nothing waits or the stall has been told.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.waiting_since
            .filter(|_| !self.stalled)
            .map(|since| since + self.stall_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn verdicts() {
        let t = Instant::now();
        let stalled = |ms| Verdict::Stalled { since: at(t, ms) };
        let ok = Verdict::Progressing;
        // (ms, acknowledged, waiting, verdict)
        type Step = (u64, u64, bool, Verdict);
        let cases: &[(&str, &[Step])] = &[
            (
                "an idle connection is not stalled",
                &[(0, 0, false, ok), (60_000, 0, false, ok)],
            ),
            (
                "no progress for the limit",
                &[
                    (0, 10, true, ok),
                    (1499, 10, true, ok),
                    (1500, 10, true, stalled(0)),
                ],
            ),
            (
                "one byte is progress",
                &[
                    (0, 10, true, ok),
                    (1400, 11, true, ok),
                    (2800, 11, true, ok),
                ],
            ),
            (
                "the clock starts when bytes begin to wait",
                &[
                    (0, 10, false, ok),
                    (5000, 10, true, ok),
                    (6400, 10, true, ok),
                    (6500, 10, true, stalled(5000)),
                ],
            ),
            (
                "a stall ends with progress",
                &[
                    (0, 0, true, ok),
                    (2000, 0, true, stalled(0)),
                    (2100, 9, true, ok),
                    (3500, 9, true, ok),
                ],
            ),
            (
                "300 ms RTT with retransmissions at 0.6 and 1.2 s",
                &[
                    (0, 0, true, ok),
                    (300, 5, true, ok),
                    (1500, 6, true, ok),
                    (2700, 7, true, ok),
                ],
            ),
        ];
        for (name, steps) in cases {
            let mut liveness = Liveness::new(STALL_AFTER);
            for (ms, acknowledged, waiting, expected) in *steps {
                assert_eq!(
                    liveness.sample(at(t, *ms), *acknowledged, *waiting),
                    *expected,
                    "{name} at {ms} ms"
                );
            }
        }
    }

    #[test]
    fn the_timeout_is_the_moment_of_the_verdict() {
        let t = Instant::now();
        let mut liveness = Liveness::new(STALL_AFTER);
        assert_eq!(liveness.poll_timeout(), None);
        liveness.sample(t, 0, true);
        assert_eq!(liveness.poll_timeout(), Some(at(t, 1500)));
        liveness.sample(at(t, 1500), 0, true);
        assert_eq!(liveness.poll_timeout(), None);
    }
}
