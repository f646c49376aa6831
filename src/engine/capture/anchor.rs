//! Lays a sender's timeline onto our clock. Pure.
//!
//! A sender's clock runs at its own pace, its network stalls and then delivers all at once, and nobody says how long
//! what it sends has been under way. So its times are laid a fixed delay behind the moment at which they came. What comes
//! ever earlier or later is followed in steps that are not heard; what is far off is laid anew. Picture and sound
//! share one anchor, so that lips stay with their sound.

use crate::media::MediaTime;
use std::time::Duration;

/// How long arrivals are watched before anything is concluded from them: longer than a burst, or than this machine is busy.
const WATCHED: Duration = Duration::from_secs(5);
/// After the beginning: a decoder that starts holds back its first frame, and gives what waited behind it at once. So nothing is
/// concluded from what comes in the first half of this.
const SETTLING: Duration = Duration::from_secs(1);
/// Late by more than this, the network has stalled: what follows begins anew.
const STALLED_US: i64 = 1_000_000;
/// Farther ahead than this the mix keeps nothing.
const FAR_AHEAD_US: i64 = 2_000_000;
/// Ahead of its delay by this much for the whole of `WATCHED`, it is late for nothing.
const NEEDLESS_US: i64 = 400_000;
/// The sound's track takes so much for the same sound going on. At most 1 ms a second: thrice what a bad clock drifts.
const STEP_US: i64 = 5_000;

#[derive(Debug)]
pub struct Anchor {
    delay: i64,
    /// Ours less theirs, in µs; None: nothing came yet.
    offset: Option<i64>,
    since: MediaTime,
    settled: bool,
    /// By how much the latest and the earliest arrival were ahead of their time.
    least: i64,
    most: i64,
}

impl Anchor {
    pub fn new(delay: Duration) -> Self {
        Anchor {
            delay: i64::try_from(delay.as_micros()).unwrap_or(i64::MAX),
            offset: None,
            since: MediaTime::ZERO,
            settled: false,
            least: i64::MAX,
            most: i64::MIN,
        }
    }

    /// When what the sender stamped `theirs` and came at `now` is due.
    pub fn place(&mut self, now: MediaTime, theirs: MediaTime) -> MediaTime {
        let ahead = |offset: i64| theirs.0.saturating_add(offset).saturating_sub(now.0);
        let fits =
            |offset: &i64| (-STALLED_US..=self.delay + FAR_AHEAD_US).contains(&ahead(*offset));
        let offset = match self.offset.filter(fits) {
            Some(offset) => self.watch(now, offset, ahead(offset)),
            None => {
                // After a stall it settles as at the beginning: what was held up comes at once.
                self.settled = false;
                self.lay(
                    now,
                    now.0.saturating_sub(theirs.0).saturating_add(self.delay),
                )
            }
        };
        MediaTime(theirs.0.saturating_add(offset))
    }

    fn lay(&mut self, now: MediaTime, offset: i64) -> i64 {
        self.offset = Some(offset);
        self.since = now;
        (self.least, self.most) = (i64::MAX, i64::MIN);
        offset
    }

    fn watch(&mut self, now: MediaTime, offset: i64, ahead: i64) -> i64 {
        if !self.settled && now.since(self.since) < SETTLING / 2 {
            return offset;
        }
        self.least = self.least.min(ahead);
        self.most = self.most.max(ahead);
        let watched = if self.settled { WATCHED } else { SETTLING };
        if now.since(self.since) < watched {
            return offset;
        }
        let settling = !std::mem::replace(&mut self.settled, true);
        let needless = if settling { 0 } else { NEEDLESS_US };
        let shift = if self.most < 0 || self.least > self.delay + needless {
            self.delay - self.least
        } else if self.least < self.delay / 4 {
            STEP_US
        } else if self.least > self.delay * 5 / 4 {
            -STEP_US
        } else {
            0
        };
        self.lay(now, offset + shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DELAY: Duration = Duration::from_millis(200);

    fn ms(ms: i64) -> MediaTime {
        MediaTime::from_millis(ms)
    }

    #[test]
    fn what_comes_steadily_is_due_a_delay_later_and_jitter_changes_nothing() {
        let mut anchor = Anchor::new(DELAY);
        for n in 0..1_000i64 {
            let jitter = n * 37 % 60;
            let due = anchor.place(
                ms(50_000 + n * 40 + if n > 0 { jitter } else { 0 }),
                ms(n * 40),
            );
            assert_eq!(due, ms(50_200 + n * 40));
        }
    }

    #[test]
    fn a_stall_and_its_burst_end_at_the_same_delay() {
        let mut anchor = Anchor::new(DELAY);
        let arrival = |n: i64| {
            if (100..200).contains(&n) {
                8_000
            } else {
                n * 40
            }
        };
        let mut last = MediaTime::ZERO;
        for n in 0..700 {
            last = anchor.place(ms(arrival(n)), ms(n * 40));
        }
        let late = last.0 - 699 * 40_000;
        assert!((100_000..=300_000).contains(&late), "{late}");
    }

    #[test]
    fn a_clock_that_drifts_is_followed_in_steps_nobody_hears() {
        for ppm in [-200i64, 200] {
            let mut anchor = Anchor::new(DELAY);
            let mut before = None;
            // An hour.
            for n in 0..90_000i64 {
                let theirs = MediaTime(n * 40_000);
                let now = MediaTime(n * 40_000 + n * 40_000 * ppm / 1_000_000);
                let due = anchor.place(now, theirs);
                let ahead = due.0 - now.0;
                assert!((0..=350_000).contains(&ahead), "{ppm} {n} {ahead}");
                let step = before.map_or(40_000, |before: MediaTime| due.0 - before.0);
                assert!((step - 40_000).abs() <= STEP_US, "{step}");
                before = Some(due);
            }
        }
    }

    #[test]
    fn what_is_early_for_long_is_not_kept_late() {
        let mut anchor = Anchor::new(DELAY);
        // A second that the sender had kept comes at once.
        let arrival = |n: i64| (n - 25).max(0) * 40;
        let dues: Vec<i64> = (0..500)
            .map(|n| anchor.place(ms(arrival(n)), ms(n * 40)).0 - ms(arrival(n)).0)
            .collect();
        assert!(
            dues[24] > 1_000_000 && dues[60] <= 300_000 && dues[499] <= 300_000,
            "{} {} {}",
            dues[24],
            dues[60],
            dues[499]
        );
    }

    proptest! {
        #[test]
        fn nothing_is_due_far_from_now(times in prop::collection::vec((any::<i64>(), 0i64..1_000_000_000_000), 1..100)) {
            let mut anchor = Anchor::new(DELAY);
            for (theirs, now) in times {
                let due = anchor.place(MediaTime(now), MediaTime(theirs));
                let ahead = due.0 - now;
                // What saturates is no time at all, and is not shown.
                if theirs.abs() < i64::MAX / 4 {
                    prop_assert!((-STALLED_US - 1..=FAR_AHEAD_US + 400_001).contains(&ahead), "{}", ahead);
                }
            }
        }
    }
}
