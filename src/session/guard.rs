//! The guard: ends a destination, or hands it over to its next session, before the platform cuts it. Pure.
//!
//! It counts from the destination's first publish; where the daemon was away meanwhile, that counts too. `limit − margin`
//! is when the show ends for the audience: then the closing scene comes on (or the next session begins), and a little later
//! the destination ends. Should what is left not get through, it is given up before the limit.

use std::time::Duration;

/// Before the end, in this order.
const WARNINGS: [Duration; 4] = [minutes(30), minutes(10), minutes(5), minutes(1)];
/// Before a platform stops archiving, in this order.
const NOTICES: [Duration; 2] = [minutes(30), minutes(5)];
/// The last words are said at the latest this long before the limit, whatever was not delivered…
const LAST_WORDS: Duration = Duration::from_secs(8);
/// …and this long before it the connection goes.
const HANG_UP: Duration = Duration::from_secs(3);
/// An extension leaves at least this much before the limit.
const LEAST_MARGIN: Duration = Duration::from_secs(30);

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// What holds for one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest session: the destination's own setting, or else the platform's.
    pub limit: Option<Duration>,
    /// What no extension goes beyond: the platform's limit, where the destination's own is shorter. None: no limit is known.
    pub ceiling: Option<Duration>,
    pub margin: Duration,
    /// From the closing scene to the end.
    pub closing: Duration,
    /// How long the programme takes from the mix to the ingest on purpose.
    pub delay: Duration,
    /// A longer session is not archived.
    pub archive: Option<Duration>,
    pub rolls_over: bool,
}

impl Limits {
    /// None of any kind.
    pub const NONE: Limits = Limits {
        limit: None,
        ceiling: None,
        margin: Duration::ZERO,
        closing: Duration::ZERO,
        delay: Duration::ZERO,
        archive: None,
        rolls_over: false,
    };
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Warn {
        ends_in: Duration,
    },
    /// The platform archives no more than this.
    Archive {
        ends_in: Duration,
    },
    /// The show is over: the closing scene, or the next session.
    Close,
    /// What is left is delivered, and the destination ends.
    End,
    /// The last words now, whatever is left.
    LastWords,
    /// The connection goes.
    HangUp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Running,
    Closing,
    Ending,
    LastWords,
    Gone,
}

#[derive(Clone, Debug)]
pub struct Guard {
    limits: Limits,
    extended: Duration,
    stage: Stage,
    /// Warnings and notices that have been given or passed over.
    warned: usize,
    noticed: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtendError {
    #[error("it has no limit")]
    NoLimit,
    #[error("its end has begun")]
    TooLate,
    #[error("{} s more are possible at most: after {} s the platform ends it", most.as_secs(), ceiling.as_secs())]
    TooLong { most: Duration, ceiling: Duration },
}

impl Guard {
    pub fn new(limits: Limits, extended: Duration) -> Self {
        Guard {
            limits,
            extended,
            stage: Stage::Running,
            warned: 0,
            noticed: 0,
        }
    }

    fn limit(&self) -> Option<Duration> {
        let limit = self.limits.limit?;
        Some(match self.limits.ceiling {
            Some(ceiling) => (limit + self.extended).min(ceiling.max(limit)),
            None => limit + self.extended,
        })
    }

    /// The margin that is left after an extension into it.
    fn margin(&self) -> Option<Duration> {
        let (limit, own) = (self.limit()?, self.limits.limit?);
        let into = (own + self.extended).saturating_sub(limit);
        Some(self.limits.margin.min(limit).saturating_sub(into))
    }

    /// When the show ends, counted from the first publish. What was mixed before takes the delay until it is out.
    pub fn closes_at(&self) -> Option<Duration> {
        let at = self.limit()?.saturating_sub(self.margin()?);
        Some(at.saturating_sub(self.limits.delay))
    }

    /// When the destination is told to end: late enough for the closing scene, and early enough for what is left.
    fn ends_at(&self) -> Option<Duration> {
        let closing = self.limits.closing.min(self.margin()? / 2);
        Some(self.closes_at()? + closing)
    }

    /// The hard times, which lie at least so far apart that each has its turn with the shortest limits.
    fn before_limit(&self, by: Duration) -> Option<Duration> {
        let limit = self.limit()?;
        let by = by.min(self.margin()? / 4);
        Some(limit.saturating_sub(by).max(self.ends_at()?))
    }

    /// How long the show still goes on; None: without a limit.
    pub fn ends_in(&self, elapsed: Duration) -> Option<Duration> {
        Some(self.closes_at()?.saturating_sub(elapsed))
    }

    /// The next thing to do at `elapsed` since the first publish. To be asked until it gives nothing.
    pub fn poll(&mut self, elapsed: Duration) -> Option<Due> {
        let reached = |at: Option<Duration>| at.is_some_and(|at| elapsed >= at);
        let next = [
            (Stage::Gone, self.before_limit(HANG_UP), Due::HangUp),
            (
                Stage::LastWords,
                self.before_limit(LAST_WORDS),
                Due::LastWords,
            ),
            (Stage::Ending, self.ends_at(), Due::End),
            (Stage::Closing, self.closes_at(), Due::Close),
        ];
        for (stage, at, due) in next {
            if self.stage < stage && reached(at) {
                self.stage = stage;
                return Some(due);
            }
        }
        if self.stage == Stage::Running {
            if let Some(ends_in) = self.ends_in(elapsed)
                && let Some(ends_in) = fresh(&WARNINGS, &mut self.warned, ends_in)
            {
                return Some(Due::Warn { ends_in });
            }
            if let Some(left) = self.limits.archive.map(|a| a.saturating_sub(elapsed))
                && let Some(ends_in) = fresh(&NOTICES, &mut self.noticed, left)
            {
                return Some(Due::Archive { ends_in });
            }
        }
        None
    }

    /// Puts the end off.
    pub fn extend(&mut self, by: Duration) -> Result<(), ExtendError> {
        let limit = self.limits.limit.ok_or(ExtendError::NoLimit)?;
        if self.stage > Stage::Running {
            return Err(ExtendError::TooLate);
        }
        if let Some(ceiling) = self.limits.ceiling {
            let ceiling = ceiling.max(limit);
            let latest = ceiling
                .saturating_sub(LEAST_MARGIN + self.limits.delay)
                .max(self.closes_at().unwrap_or_default());
            let most = latest.saturating_sub(self.closes_at().unwrap_or_default());
            if by > most {
                return Err(ExtendError::TooLong { most, ceiling });
            }
        }
        self.extended += by;
        // What was announced for the old end is announced again for the new one.
        self.warned = 0;
        Ok(())
    }

    pub fn extended(&self) -> Duration {
        self.extended
    }

    /// Whether the show is over and the destination has not ended yet.
    pub fn is_closing(&self) -> bool {
        self.stage > Stage::Running
    }
}

/// The time left, if one of `marks` has been reached that was not before. Several at once, as after a restart, are one.
fn fresh(marks: &[Duration], passed: &mut usize, left: Duration) -> Option<Duration> {
    let reached = marks.iter().take_while(|mark| left <= **mark).count();
    let is_new = reached > std::mem::replace(passed, reached.max(*passed));
    is_new.then_some(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn limits(limit: u64, margin: u64) -> Limits {
        Limits {
            limit: Some(s(limit)),
            ceiling: Some(s(limit)),
            margin: s(margin),
            closing: s(10),
            ..Limits::NONE
        }
    }

    /// What is due at each whole second, by a guard asked each second.
    fn course(guard: &mut Guard, from: u64, to: u64) -> Vec<(u64, Due)> {
        let mut course = Vec::new();
        for second in from..=to {
            while let Some(due) = guard.poll(s(second)) {
                course.push((second, due));
            }
        }
        course
    }

    #[test]
    fn four_hours_of_linkedin() {
        let mut guard = Guard::new(limits(14_400, 120), Duration::ZERO);
        let warn = |left| Due::Warn { ends_in: s(left) };
        assert_eq!(
            course(&mut guard, 0, 14_400),
            [
                (14_280 - 1_800, warn(1_800)),
                (14_280 - 600, warn(600)),
                (14_280 - 300, warn(300)),
                (14_280 - 60, warn(60)),
                (14_280, Due::Close),
                (14_290, Due::End),
                (14_392, Due::LastWords),
                (14_397, Due::HangUp),
            ]
        );
    }

    #[test]
    fn a_short_limit_keeps_the_order() {
        let mut guard = Guard::new(limits(60, 40), Duration::ZERO);
        let dues: Vec<Due> = course(&mut guard, 0, 60).into_iter().map(|d| d.1).collect();
        assert_eq!(
            dues,
            [
                Due::Warn { ends_in: s(20) },
                Due::Close,
                Due::End,
                Due::LastWords,
                Due::HangUp
            ]
        );
    }

    #[test]
    fn a_restart_gives_one_warning_with_the_true_time_left() {
        let mut guard = Guard::new(limits(14_400, 120), Duration::ZERO);
        let course = course(&mut guard, 14_080, 14_219);
        assert_eq!(course, [(14_080, Due::Warn { ends_in: s(200) })]);
    }

    #[test]
    fn the_delay_is_out_before_the_end() {
        let limits = Limits {
            delay: s(20),
            ..limits(14_400, 120)
        };
        let guard = Guard::new(limits, Duration::ZERO);
        assert_eq!(guard.closes_at(), Some(s(14_260)));
    }

    #[test]
    fn no_limit_no_end_but_a_notice_of_the_archive() {
        let mut guard = Guard::new(
            Limits {
                archive: Some(s(43_200)),
                ..Limits::NONE
            },
            Duration::ZERO,
        );
        let course = course(&mut guard, 0, 90_000);
        let notice = |left| Due::Archive { ends_in: s(left) };
        assert_eq!(course, [(41_400, notice(1_800)), (42_900, notice(300))]);
        assert_eq!(guard.ends_in(s(9)), None);
        assert_eq!(guard.extend(s(60)), Err(ExtendError::NoLimit));
    }

    #[test]
    fn an_extension_goes_as_far_as_the_platform() {
        let mut own = Guard::new(
            Limits {
                ceiling: Some(s(14_400)),
                ..limits(3_600, 120)
            },
            Duration::ZERO,
        );
        own.extend(s(1_800)).unwrap();
        assert_eq!(own.ends_in(s(3_000)), Some(s(480 + 1_800)));
        assert_eq!(
            own.extend(s(10_000)).unwrap_err().to_string(),
            "9090 s more are possible at most: after 14400 s the platform ends it"
        );
        let mut platforms = Guard::new(limits(14_400, 120), Duration::ZERO);
        platforms.extend(s(90)).unwrap();
        assert_eq!(platforms.closes_at(), Some(s(14_370)));
        assert_eq!(
            platforms.extend(s(1)).unwrap_err().to_string(),
            "0 s more are possible at most: after 14400 s the platform ends it"
        );
        while platforms.poll(s(14_370)).is_some() {}
        assert_eq!(platforms.extend(s(0)), Err(ExtendError::TooLate));
    }

    proptest! {
        /// However the numbers fall, everything is due before the limit and in its order.
        #[test]
        fn nothing_is_due_past_the_limit(
            limit in 1u64..10_000,
            margin in 0u64..10_000,
            closing in 0u64..300,
            delay in 0u64..60,
            extend in 0u64..10_000,
            step in 1u64..50,
        ) {
            let mut guard = Guard::new(Limits { closing: s(closing), delay: s(delay), ..limits(limit, margin) }, Duration::ZERO);
            let _ = guard.extend(s(extend));
            let mut dues = Vec::new();
            for at in (0..limit * 4).step_by(step as usize) {
                while let Some(due) = guard.poll(Duration::from_millis(at * 250)) {
                    dues.push(due);
                }
            }
            while let Some(due) = guard.poll(s(limit)) {
                dues.push(due);
            }
            prop_assert_eq!(dues.last(), Some(&Due::HangUp));
            prop_assert!(guard.closes_at().unwrap() <= s(limit));
        }
    }
}
