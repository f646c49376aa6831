//! How a title comes and goes: how much of it is there at a time. Pure.

use crate::config::{Appear, AppearKind};
use crate::media::MediaTime;
use std::time::Duration;

/// How much of a title is there, and by which way it came or goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// 0: gone, 1: all there; moves evenly with time.
    pub share: f32,
    pub how: AppearKind,
}

/// There, gone, or on the way.
#[derive(Clone, Copy, Debug)]
pub struct Presence {
    /// What it moves to.
    on: bool,
    how: Appear,
    /// Where it stood at `since`.
    from: f32,
    since: MediaTime,
}

const AT_ONCE: Appear = Appear {
    how: AppearKind::Cut,
    ms: 0,
};

impl Presence {
    pub const GONE: Presence = Presence {
        on: false,
        how: AT_ONCE,
        from: 0.0,
        since: MediaTime::ZERO,
    };

    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Comes or goes, `how` if it is wholly gone or there. One that is half on its way turns back by the way it was on, for
    /// a slide that turns into a fade would jump.
    pub fn turn(&mut self, at: MediaTime, on: bool, how: Appear) {
        if self.on == on {
            return;
        }
        let from = self.share(at);
        let between = from > 0.0 && from < 1.0;
        *self = Presence {
            on,
            how: if between { self.how } else { how },
            from,
            since: at,
        };
    }

    pub fn seen(&self, at: MediaTime) -> Seen {
        Seen {
            share: self.share(at),
            how: self.how.how,
        }
    }

    /// It has reached what it moves to.
    pub fn is_settled(&self, at: MediaTime) -> bool {
        self.share(at) == f32::from(u8::from(self.on))
    }

    fn share(&self, at: MediaTime) -> f32 {
        let target = f32::from(u8::from(self.on));
        let whole = match self.how.how {
            AppearKind::Cut => Duration::ZERO,
            AppearKind::Fade | AppearKind::Slide => Duration::from_millis(self.how.ms.into()),
        };
        let gone = at.since(self.since);
        // What is left of the way takes as much of the time.
        let needed = whole.mul_f32((target - self.from).abs());
        if gone >= needed {
            return target;
        }
        let moved = gone.as_secs_f32() / whole.as_secs_f32();
        let share = if self.on {
            self.from + moved
        } else {
            self.from - moved
        };
        share.clamp(0.0, 1.0)
    }
}

/// The place of what slides, for an even share of its time: quick at first and gently into its place; backwards when it
/// goes. Exact at both ends.
pub fn eased(share: f32) -> f32 {
    1.0 - (1.0 - share.clamp(0.0, 1.0)).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SLIDE: Appear = Appear {
        how: AppearKind::Slide,
        ms: 400,
    };
    const FADE: Appear = Appear {
        how: AppearKind::Fade,
        ms: 200,
    };

    fn ms(ms: i64) -> MediaTime {
        MediaTime::from_millis(ms)
    }

    #[test]
    fn it_comes_and_goes_exactly() {
        let mut presence = Presence::GONE;
        assert_eq!(presence.seen(ms(5)).share, 0.0);
        presence.turn(ms(1_000), true, SLIDE);
        let shares: Vec<f32> = (0..=5)
            .map(|n| presence.seen(ms(1_000 + n * 100)).share)
            .collect();
        assert_eq!(shares, [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]);
        assert_eq!(presence.seen(ms(1_100)).how, AppearKind::Slide);
        presence.turn(ms(2_000), false, FADE);
        let shares: Vec<f32> = (0..=3)
            .map(|n| presence.seen(ms(2_000 + n * 100)).share)
            .collect();
        assert_eq!(shares, [1.0, 0.5, 0.0, 0.0]);
        assert!(presence.is_settled(ms(2_200)));
        assert_eq!(presence.seen(ms(2_100)).how, AppearKind::Fade);
    }

    #[test]
    fn a_cut_is_there_in_its_first_frame() {
        let mut presence = Presence::GONE;
        presence.turn(ms(1_000), true, AT_ONCE);
        assert_eq!(presence.seen(ms(1_000)).share, 1.0);
        presence.turn(ms(2_000), false, AT_ONCE);
        assert_eq!(presence.seen(ms(2_000)).share, 0.0);
    }

    #[test]
    fn half_way_it_turns_back_by_its_own_way() {
        let mut presence = Presence::GONE;
        presence.turn(ms(0), true, SLIDE);
        presence.turn(ms(100), false, FADE);
        let seen = presence.seen(ms(100));
        assert_eq!((seen.share, seen.how), (0.25, AppearKind::Slide));
        assert_eq!(presence.seen(ms(200)).share, 0.0);
        // Turned on while it is on: nothing starts anew.
        presence.turn(ms(300), true, SLIDE);
        presence.turn(ms(500), true, SLIDE);
        assert_eq!(presence.seen(ms(500)).share, 0.5);
    }

    #[test]
    fn a_slide_slows_down_into_its_place() {
        assert_eq!(eased(0.0), 0.0);
        assert_eq!(eased(1.0), 1.0);
        assert!(eased(0.25) > 0.5);
        assert!(eased(7.0) == 1.0 && eased(-1.0) == 0.0);
    }

    proptest! {
        /// However often it is turned: never a jump but by a cut, and never backwards.
        #[test]
        fn it_moves_evenly(turns in prop::collection::vec((0i64..600, any::<bool>()), 0..20)) {
            let mut presence = Presence::GONE;
            let mut turns = turns.into_iter().scan(0, |at, (wait, on)| { *at += wait; Some((*at, on)) }).peekable();
            let mut before = 0.0f32;
            for now in 0..6_000 {
                while let Some((_, on)) = turns.next_if(|(at, _)| *at <= now) {
                    presence.turn(ms(now), on, if on { SLIDE } else { FADE });
                }
                let share = presence.seen(ms(now)).share;
                prop_assert!((share - before).abs() <= 1.0 / 199.0, "{before} to {share} at {now}");
                before = share;
            }
        }
    }
}
