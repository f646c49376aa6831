//! Which picture the programme shows at each point of its frame grid. Pure: time comes in, frames go out.
//!
//! The grid is absolute: frame `n` is shown at `fps.frame_time(n)` of the monotonic clock. A source's frames lie
//! anywhere between; each belongs to the grid point nearest to it, or to the one after its predecessor's if that is
//! nearly as near, lest a camera whose frames lie halfway between doubles one and loses the next. A grid point is given out as soon as its
//! frame is there, or when a later frame proves that none comes, or when patience is over; never earlier than
//! its own time. So no point is ever left out or given out twice, whatever the source does.
//!
//! (Tried instead: gst-plugins-rs's livesync and fallbackswitch. Jitter of 8 ms in the source came out as frame
//! distances of 4 to 42 ms, a loss of 2 s as some of 62 ms and as the frozen picture rather than the slate, because
//! livesync repeats for ever; and each frame waited the full configured latency.)

use crate::media::{FrameRate, MediaTime};
use std::collections::VecDeque;
use std::time::Duration;

/// How long a grid point waits for its frame. Cameras deliver within a frame of the capture; this much also
/// covers the longest wait for a 25 fps camera's next frame in a 30 fps programme.
const PATIENCE: Duration = Duration::from_millis(40);
/// A frozen picture is taken for a short fault so long; then the slate comes (an operator sees it within 1 s).
const SLATE_AFTER: Duration = Duration::from_millis(700);
/// Farther behind than this (the machine slept) the grid is skipped, not made up for.
const FORGIVEN: Duration = Duration::from_secs(2);
/// A frame takes the grid point after its predecessor's if it lies within this many hundredths of a frame of it.
/// Above 50, so that jitter about the middle between two points changes nothing; USB cameras have 1 to 4 ms.
const STAYS_IN_STEP: i64 = 65;
/// Frames waiting beyond this many are a source with a broken clock.
const MOST_WAITING: usize = 64;

#[derive(Debug)]
pub struct VideoTrack<F> {
    fps: FrameRate,
    /// The next grid point to give out.
    next: i64,
    waiting: VecDeque<Waiting<F>>,
    /// The grid point of the newest frame.
    newest: Option<i64>,
    shown: Option<Waiting<F>>,
    slate: F,
}

#[derive(Debug)]
struct Waiting<F> {
    at: MediaTime,
    /// The grid point it belongs to.
    slot: i64,
    frame: F,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot<F> {
    /// The grid point.
    pub number: i64,
    pub at: MediaTime,
    pub frame: F,
    pub shows: Shows,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    New,
    Repeat,
    Slate,
}

impl<F: Clone> VideoTrack<F> {
    pub fn new(fps: FrameRate, first: i64, slate: F) -> Self {
        VideoTrack {
            fps,
            next: first,
            waiting: VecDeque::new(),
            newest: None,
            shown: None,
            slate,
        }
    }

    /// A source's frame that is to be shown at `at`. Frames come in order; one that goes back in time starts the
    /// source anew.
    pub fn handle_frame(&mut self, at: MediaTime, frame: F) {
        while self.waiting.back().is_some_and(|last| last.at >= at) {
            self.waiting.pop_back();
        }
        if self.waiting.len() == MOST_WAITING {
            self.waiting.pop_front();
        }
        let slot = self.slot_of(at);
        self.newest = Some(slot);
        self.waiting.push_back(Waiting { at, slot, frame });
    }

    fn slot_of(&self, at: MediaTime) -> i64 {
        let near = self.fps.frame_time(1).0 * STAYS_IN_STEP / 100;
        self.newest
            .map(|slot| slot + 1)
            .filter(|slot| (at.0 - self.fps.frame_time(*slot).0).abs() < near)
            .unwrap_or_else(|| self.fps.frame_at(at))
    }

    /// The next grid point, if it is time for it.
    pub fn poll(&mut self, now: MediaTime) -> Option<Slot<F>> {
        if now.since(self.fps.frame_time(self.next)) > FORGIVEN {
            self.next = self.fps.frame_at(now);
        }
        let at = self.fps.frame_time(self.next);
        if now < at {
            return None;
        }
        let mut fresh = false;
        while self.waiting.front().is_some_and(|w| w.slot <= self.next) {
            self.shown = self.waiting.pop_front();
            fresh |= self.shown.as_ref().is_some_and(|w| w.slot == self.next);
        }
        let settled = fresh || !self.waiting.is_empty() || now >= at + PATIENCE;
        settled.then(|| self.give(at, fresh))
    }

    /// When to poll again if nothing comes before.
    pub fn poll_timeout(&self, now: MediaTime) -> MediaTime {
        let at = self.fps.frame_time(self.next);
        if now < at { at } else { at + PATIENCE }
    }

    fn give(&mut self, at: MediaTime, fresh: bool) -> Slot<F> {
        let number = self.next;
        self.next += 1;
        let (frame, shows) = match &self.shown {
            Some(shown) if fresh => (shown.frame.clone(), Shows::New),
            Some(shown) if at.since(shown.at) < SLATE_AFTER => (shown.frame.clone(), Shows::Repeat),
            _ => {
                self.shown = None;
                (self.slate.clone(), Shows::Slate)
            }
        };
        Slot {
            number,
            at,
            frame,
            shows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FPS: FrameRate = FrameRate { num: 30, den: 1 };
    const SLATE: &str = "slate";

    fn ms(ms: i64) -> MediaTime {
        MediaTime::from_millis(ms)
    }

    fn slot(track: &mut VideoTrack<&'static str>, now: i64) -> Option<(i64, &'static str)> {
        track.poll(ms(now)).map(|slot| (slot.number, slot.frame))
    }

    #[test]
    fn a_frame_is_shown_as_soon_as_it_and_its_time_are_there() {
        let mut track = VideoTrack::new(FPS, 30, SLATE);
        track.handle_frame(ms(1_000), "a");
        assert_eq!(slot(&mut track, 999), None);
        assert_eq!(track.poll_timeout(ms(999)), ms(1_000));
        assert_eq!(slot(&mut track, 1_000), Some((30, "a")));
        assert_eq!(slot(&mut track, 1_035), None);
        track.handle_frame(ms(1_034), "b");
        assert_eq!(slot(&mut track, 1_036), Some((31, "b")));
    }

    #[test]
    fn a_missing_frame_costs_patience_unless_the_next_proves_it() {
        let mut track = VideoTrack::new(FPS, 30, SLATE);
        track.handle_frame(ms(1_000), "a");
        assert_eq!(slot(&mut track, 1_000), Some((30, "a")));
        assert_eq!(slot(&mut track, 1_070), None);
        assert_eq!(track.poll_timeout(ms(1_070)), MediaTime(1_073_333));
        assert_eq!(slot(&mut track, 1_074), Some((31, "a")));
        track.handle_frame(ms(1_100), "c");
        assert_eq!(slot(&mut track, 1_080), Some((32, "a")));
        assert_eq!(slot(&mut track, 1_100), Some((33, "c")));
    }

    #[test]
    fn a_camera_between_two_points_keeps_step() {
        let mut track = VideoTrack::new(FPS, 0, "none".to_owned());
        let mut shown = Vec::new();
        for n in 0..60 {
            let jitter = [0, 3_000, -3_000, 1_500][n as usize % 4];
            let at = MediaTime(FPS.frame_time(n).0 + 16_667 + jitter);
            track.handle_frame(at, n.to_string());
            shown.extend(std::iter::from_fn(|| track.poll(at + PATIENCE / 4)));
        }
        let repeats = shown.iter().filter(|s| s.shows == Shows::Repeat).count();
        assert_eq!(repeats, 0);
        assert!(shown.len() >= 58);
    }

    #[test]
    fn twenty_five_frames_become_thirty() {
        let mut track = VideoTrack::new(FPS, 0, -1);
        (0..25).for_each(|n| track.handle_frame(ms(n * 40), n));
        let shown: Vec<(i64, Shows)> = std::iter::from_fn(|| track.poll(ms(1_000)))
            .take(30)
            .map(|slot| (slot.frame, slot.shows))
            .collect();
        let new = shown.iter().filter(|(_, shows)| *shows == Shows::New);
        assert!(new.map(|(frame, _)| *frame).eq(0..25));
    }

    #[test]
    fn a_lost_source_turns_into_its_slate_and_comes_back() {
        let mut track = VideoTrack::new(FPS, 30, SLATE);
        track.handle_frame(ms(1_000), "a");
        let shown: Vec<Shows> = (1_000..2_000)
            .filter_map(|now| track.poll(ms(now)))
            .map(|slot| slot.shows)
            .collect();
        assert_eq!(shown.first(), Some(&Shows::New));
        assert_eq!(shown.iter().filter(|s| **s == Shows::Repeat).count(), 20);
        assert_eq!(shown.last(), Some(&Shows::Slate));
        track.handle_frame(ms(2_000), "b");
        let slot = std::iter::from_fn(|| track.poll(ms(2_001))).last().unwrap();
        assert_eq!((slot.frame, slot.shows), ("b", Shows::New));
    }

    #[test]
    fn after_a_sleep_the_grid_goes_on_at_the_present() {
        let mut track = VideoTrack::new(FPS, 30, SLATE);
        assert_eq!(slot(&mut track, 1_040), Some((30, SLATE)));
        assert_eq!(slot(&mut track, 9_000), None);
        assert_eq!(slot(&mut track, 9_040), Some((270, SLATE)));
    }

    proptest! {
        /// Whatever comes whenever: while the machine keeps up, every grid point is given out once, on time.
        #[test]
        fn the_grid_is_whole(
            frames in prop::collection::vec((0i64..3_000, 0i64..400), 0..120),
            den in prop_oneof![Just((30u32, 1u32)), Just((30_000, 1_001)), Just((25, 1))],
        ) {
            let fps = FrameRate { num: den.0, den: den.1 };
            let mut track = VideoTrack::new(fps, 0, -1i64);
            let mut arrivals: Vec<(i64, i64)> = frames.iter().map(|(at, delay)| (at + delay, *at)).collect();
            arrivals.sort_unstable();
            let mut arrivals = arrivals.into_iter().peekable();
            let mut given = Vec::new();
            for now in 0..3_500 {
                while let Some((_, at)) = arrivals.next_if(|(arrival, _)| *arrival <= now) {
                    track.handle_frame(ms(at), at);
                }
                while let Some(slot) = track.poll(ms(now)) {
                    prop_assert!(slot.at <= ms(now) && ms(now).since(slot.at) <= PATIENCE + Duration::from_millis(1));
                    given.push(slot.number);
                }
            }
            prop_assert!(given.iter().copied().eq(0..given.len() as i64));
            prop_assert!(given.len() as i64 >= fps.frame_at(ms(3_400)));
        }
    }
}
