//! Which picture each source shows at each point of the programme's frame grid. Pure: time comes in, frames go out.
//!
//! The grid is absolute: frame `n` is shown at `fps.frame_time(n)` of the monotonic clock. A source's frames lie
//! anywhere between; each belongs to the grid point nearest to it, or to the one after its predecessor's if that is
//! nearly as near, lest a camera whose frames lie halfway between doubles one and loses the next. A grid point is given out as soon as its
//! frames of all visible sources that flow are there, or when later frames prove that none comes, or when patience is over; never
//! earlier than its own time. So no point is ever left out or given out twice, whatever the sources do, and no point waits for
//! what nobody sees.
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
/// That nothing comes is taken for a short fault so long; then the slate comes, so that an audience sees it within 1 s of the loss.
const SLATE_AFTER: Duration = Duration::from_millis(500);
/// But not before the picture has stood still for so long: what came ahead of its time (files, SRT, RTMP: up to a second) is shown.
/// (Counted from the last picture shown alone, as it was, the slate came after 0.95 to 1.5 s.)
const FROZEN: Duration = Duration::from_millis(200);
/// Farther behind than this (the machine slept) the grid is skipped, not made up for.
const FORGIVEN: Duration = Duration::from_secs(2);
/// A frame takes the grid point after its predecessor's if it lies within this many hundredths of a frame of it.
/// Above 50, so that jitter about the middle between two points changes nothing; USB cameras have 1 to 4 ms.
const STAYS_IN_STEP: i64 = 65;
/// Frames waiting beyond this many are a source with a broken clock.
const MOST_WAITING: usize = 64;

/// The frame grid, and what every source has for it.
#[derive(Debug)]
pub struct Grid<F> {
    fps: FrameRate,
    /// The next grid point to give out.
    next: i64,
    tracks: Vec<Track<F>>,
}

/// One source's frames.
#[derive(Debug)]
struct Track<F> {
    waiting: VecDeque<Waiting<F>>,
    /// The grid point of the newest frame.
    newest: Option<i64>,
    /// Something came since `poll` was asked last, and when something did.
    coming: bool,
    came: MediaTime,
    shown: Option<Waiting<F>>,
    /// It is at the grid point that was given out last.
    fresh: bool,
    clip: Clip<F>,
}

/// Of a source that is played from a take on: its frames come with their times since its start.
#[derive(Debug)]
struct Clip<F> {
    /// How often it was made ready; frames of an earlier time are too late.
    round: u32,
    start: Option<MediaTime>,
    /// What came before it was started.
    ready: VecDeque<(MediaTime, F)>,
}

#[derive(Debug)]
struct Waiting<F> {
    at: MediaTime,
    /// The grid point it belongs to.
    slot: i64,
    frame: F,
}

/// A point of the grid that is due and settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    pub number: i64,
    pub at: MediaTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    New,
    Repeat,
}

impl<F: Clone> Grid<F> {
    /// For so many sources; `first` is the first point to be given out.
    pub fn new(fps: FrameRate, first: i64, sources: usize) -> Self {
        let track = || Track {
            waiting: VecDeque::new(),
            newest: None,
            coming: false,
            came: MediaTime::ZERO,
            shown: None,
            fresh: false,
            clip: Clip {
                round: 0,
                start: None,
                ready: VecDeque::new(),
            },
        };
        Grid {
            fps,
            next: first,
            tracks: std::iter::repeat_with(track).take(sources).collect(),
        }
    }

    /// The point that is given out next.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// A source's frame that is to be shown at `at`. Frames come in order; one that goes back in time starts the
    /// source anew.
    pub fn handle_frame(&mut self, source: usize, at: MediaTime, frame: F) {
        let fps = self.fps;
        if let Some(track) = self.tracks.get_mut(source) {
            track.handle_frame(fps, at, frame);
        }
    }

    /// A frame of a clip, `since` its start.
    pub fn handle_clip(&mut self, source: usize, round: u32, since: MediaTime, frame: F) {
        let fps = self.fps;
        let Some(track) = self.tracks.get_mut(source) else {
            return;
        };
        match track.clip.start {
            _ if round != track.clip.round => {}
            Some(start) => track.handle_frame(fps, MediaTime(start.0 + since.0), frame),
            None => {
                // A pipeline that failed and was made anew gives the same again.
                let ready = &mut track.clip.ready;
                while ready.back().is_some_and(|(at, _)| *at >= since) {
                    ready.pop_back();
                }
                ready.push_back((since, frame));
            }
        }
    }

    /// The clip's first frame is shown at `start`.
    pub fn start_clip(&mut self, source: usize, start: MediaTime) {
        let fps = self.fps;
        let Some(track) = self.tracks.get_mut(source) else {
            return;
        };
        track.clip.start = Some(start);
        for (since, frame) in std::mem::take(&mut track.clip.ready) {
            track.handle_frame(fps, MediaTime(start.0 + since.0), frame);
        }
    }

    /// What comes of the clip from now on, as `round`, waits for its start.
    pub fn ready_clip(&mut self, source: usize, round: u32) {
        if let Some(track) = self.tracks.get_mut(source) {
            track.waiting.clear();
            track.clip = Clip {
                round,
                start: None,
                ready: VecDeque::new(),
            };
        }
    }

    /// Whether the clip has its first frame ready to be shown.
    pub fn is_clip_ready(&self, source: usize) -> bool {
        let track = self.tracks.get(source);
        track.is_some_and(|track| !track.clip.ready.is_empty())
    }

    /// The next grid point, if it is time for it: `visible` sources have their frames, or it can be waited for them no longer. To be
    /// asked soon after frames came.
    pub fn poll(&mut self, now: MediaTime, visible: &[usize]) -> Option<Point> {
        for track in &mut self.tracks {
            if std::mem::take(&mut track.coming) {
                track.came = now;
            }
        }
        if now.since(self.fps.frame_time(self.next)) > FORGIVEN {
            self.next = self.fps.frame_at(now);
        }
        let at = self.fps.frame_time(self.next);
        let waits = |source: &usize| {
            let track = self.tracks.get(*source);
            track.is_some_and(|track| track.flows(at) && !track.has(self.next))
        };
        if now < at || (now < at + PATIENCE && visible.iter().any(waits)) {
            return None;
        }
        let point = Point {
            number: self.next,
            at,
        };
        self.next += 1;
        for track in &mut self.tracks {
            track.advance(point);
        }
        Some(point)
    }

    /// When to poll again if nothing comes before.
    pub fn poll_timeout(&self, now: MediaTime) -> MediaTime {
        let at = self.fps.frame_time(self.next);
        if now < at { at } else { at + PATIENCE }
    }

    /// What a source shows at the point that was given out last; None: it is lost.
    pub fn shown(&self, source: usize) -> Option<(&F, Shows)> {
        let track = self.tracks.get(source)?;
        match (&track.shown, track.clip.ready.front()) {
            (Some(shown), _) if track.fresh => Some((&shown.frame, Shows::New)),
            (Some(shown), None) => Some((&shown.frame, Shows::Repeat)),
            // A clip that waits stands on its first frame.
            (_, Some((_, first))) => Some((first, Shows::Repeat)),
            (None, None) => None,
        }
    }
}

impl<F> Track<F> {
    fn handle_frame(&mut self, fps: FrameRate, at: MediaTime, frame: F) {
        while self.waiting.back().is_some_and(|last| last.at >= at) {
            self.waiting.pop_back();
        }
        if self.waiting.len() == MOST_WAITING {
            self.waiting.pop_front();
        }
        let slot = self.slot_of(fps, at);
        self.newest = Some(slot);
        self.coming = true;
        self.waiting.push_back(Waiting { at, slot, frame });
    }

    fn slot_of(&self, fps: FrameRate, at: MediaTime) -> i64 {
        let near = fps.frame_time(1).0 * STAYS_IN_STEP / 100;
        self.newest
            .map(|slot| slot + 1)
            .filter(|slot| (at.0 - fps.frame_time(*slot).0).abs() < near)
            .unwrap_or_else(|| fps.frame_at(at))
    }

    /// Whether its frames come, so that the next is worth waiting for.
    fn flows(&self, at: MediaTime) -> bool {
        !self.waiting.is_empty()
            || self
                .shown
                .as_ref()
                .is_some_and(|shown| !self.is_lost(shown, at))
    }

    /// Whether nothing follows what it shows.
    fn is_lost(&self, shown: &Waiting<F>, at: MediaTime) -> bool {
        at.since(shown.at) >= FROZEN && at.since(self.came) >= SLATE_AFTER
    }

    /// Whether it has the frame of a point, or a later one that proves that none comes.
    fn has(&self, number: i64) -> bool {
        self.waiting
            .back()
            .is_some_and(|newest| newest.slot >= number)
    }

    fn advance(&mut self, point: Point) {
        self.fresh = false;
        while self
            .waiting
            .front()
            .is_some_and(|waiting| waiting.slot <= point.number)
        {
            self.shown = self.waiting.pop_front();
            self.fresh |= self
                .shown
                .as_ref()
                .is_some_and(|shown| shown.slot == point.number);
        }
        let lost = |shown: &Waiting<F>| self.is_lost(shown, point.at);
        if !self.fresh && self.waiting.is_empty() && self.shown.as_ref().is_some_and(lost) {
            self.shown = None;
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

    /// The point that is due, and what the one source shows there.
    fn point<F: Clone>(grid: &mut Grid<F>, now: MediaTime) -> Option<(i64, Option<(F, Shows)>)> {
        let point = grid.poll(now, &[0])?;
        let shown = grid.shown(0).map(|(frame, shows)| (frame.clone(), shows));
        Some((point.number, shown))
    }

    fn slot(grid: &mut Grid<&'static str>, now: i64) -> Option<(i64, &'static str)> {
        let (number, shown) = point(grid, ms(now))?;
        Some((number, shown.map_or(SLATE, |(frame, _)| frame)))
    }

    #[test]
    fn a_frame_is_shown_as_soon_as_it_and_its_time_are_there() {
        let mut track = Grid::new(FPS, 30, 1);
        track.handle_frame(0, ms(1_000), "a");
        assert_eq!(slot(&mut track, 999), None);
        assert_eq!(track.poll_timeout(ms(999)), ms(1_000));
        assert_eq!(slot(&mut track, 1_000), Some((30, "a")));
        assert_eq!(slot(&mut track, 1_035), None);
        track.handle_frame(0, ms(1_034), "b");
        assert_eq!(slot(&mut track, 1_036), Some((31, "b")));
    }

    #[test]
    fn a_clip_that_is_made_anew_before_its_start_is_held_once() {
        let mut track = Grid::new(FPS, 30, 1);
        track.ready_clip(0, 1);
        for _ in 0..3 {
            for n in 0..8 {
                track.handle_clip(0, 1, ms(n * 33), "frame");
            }
        }
        assert_eq!(track.tracks[0].clip.ready.len(), 8);
    }

    #[test]
    fn a_missing_frame_costs_patience_unless_the_next_proves_it() {
        let mut track = Grid::new(FPS, 30, 1);
        track.handle_frame(0, ms(1_000), "a");
        assert_eq!(slot(&mut track, 1_000), Some((30, "a")));
        assert_eq!(slot(&mut track, 1_070), None);
        assert_eq!(track.poll_timeout(ms(1_070)), MediaTime(1_073_333));
        assert_eq!(slot(&mut track, 1_074), Some((31, "a")));
        track.handle_frame(0, ms(1_100), "c");
        assert_eq!(slot(&mut track, 1_080), Some((32, "a")));
        assert_eq!(slot(&mut track, 1_100), Some((33, "c")));
    }

    #[test]
    fn a_camera_between_two_points_keeps_step() {
        let mut track = Grid::<String>::new(FPS, 0, 1);
        let mut shown = Vec::new();
        for n in 0..60 {
            let jitter = [0, 3_000, -3_000, 1_500][n as usize % 4];
            let at = MediaTime(FPS.frame_time(n).0 + 16_667 + jitter);
            track.handle_frame(0, at, n.to_string());
            shown.extend(std::iter::from_fn(|| point(&mut track, at + PATIENCE / 4)));
        }
        let repeat = |shown: &Option<(String, Shows)>| {
            shown
                .as_ref()
                .is_some_and(|(_, shows)| *shows == Shows::Repeat)
        };
        let repeats = shown.iter().filter(|(_, shown)| repeat(shown)).count();
        assert_eq!(repeats, 0);
        assert!(shown.len() >= 58);
    }

    #[test]
    fn twenty_five_frames_become_thirty() {
        let mut track = Grid::new(FPS, 0, 1);
        (0..25).for_each(|n| track.handle_frame(0, ms(n * 40), n));
        let shown: Vec<(i64, Shows)> = std::iter::from_fn(|| point(&mut track, ms(1_000)))
            .take(30)
            .filter_map(|(_, shown)| shown)
            .collect();
        let new = shown.iter().filter(|(_, shows)| *shows == Shows::New);
        assert!(new.map(|(frame, _)| *frame).eq(0..25));
    }

    #[test]
    fn a_lost_source_turns_into_its_slate_and_comes_back() {
        let mut track = Grid::new(FPS, 30, 1);
        track.handle_frame(0, ms(1_000), "a");
        let shown: Vec<Option<Shows>> = (1_000..2_000)
            .filter_map(|now| point(&mut track, ms(now)))
            .map(|(_, shown)| shown.map(|(_, shows)| shows))
            .collect();
        assert_eq!(shown.first(), Some(&Some(Shows::New)));
        let repeats = shown.iter().filter(|s| **s == Some(Shows::Repeat));
        assert_eq!(repeats.count(), 14);
        assert_eq!(shown.last(), Some(&None));
        track.handle_frame(0, ms(2_000), "b");
        let last = std::iter::from_fn(|| point(&mut track, ms(2_001))).last();
        assert_eq!(last.unwrap().1, Some(("b", Shows::New)));
    }

    #[test]
    fn what_came_ahead_of_its_time_is_shown_before_the_slate() {
        let mut track = Grid::new(FPS, 30, 1);
        // Half a second at once, and then nothing more.
        (0..15).for_each(|n| track.handle_frame(0, FPS.frame_time(30 + n), n));
        let shown: Vec<Option<Shows>> = (1_000..2_000)
            .filter_map(|now| point(&mut track, ms(now)))
            .map(|(_, shown)| shown.map(|(_, shows)| shows))
            .collect();
        let count = |wanted| shown.iter().filter(|shows| **shows == wanted).count();
        // It stands still for 200 ms.
        assert_eq!(count(Some(Shows::New)), 15);
        assert_eq!(count(Some(Shows::Repeat)), 5);
        assert_eq!(shown.last(), Some(&None));
    }

    #[test]
    fn what_is_always_late_is_shown_late() {
        let mut track = Grid::new(FPS, 30, 1);
        let mut slates = 0;
        for n in 0..90 {
            let now = FPS.frame_time(30 + n);
            track.handle_frame(0, MediaTime(now.0 - 800_000), n);
            while let Some((_, shown)) = point(&mut track, now) {
                slates += usize::from(shown.is_none());
            }
        }
        assert_eq!(slates, 0);
    }

    #[test]
    fn after_a_sleep_the_grid_goes_on_at_the_present() {
        let mut track = Grid::new(FPS, 30, 1);
        assert_eq!(slot(&mut track, 1_040), Some((30, SLATE)));
        assert_eq!(slot(&mut track, 9_000), Some((270, SLATE)));
        assert_eq!(slot(&mut track, 9_001), None);
    }

    #[test]
    fn nobody_waits_for_what_is_lost_or_not_seen() {
        let mut grid = Grid::new(FPS, 30, 3);
        grid.handle_frame(0, ms(1_000), "a");
        grid.handle_frame(1, ms(1_000), "b");
        let poll = |grid: &mut Grid<&str>, now, visible: &[usize]| {
            grid.poll(ms(now), visible).map(|point| point.number)
        };
        assert_eq!(poll(&mut grid, 1_000, &[0, 1, 2]), Some(30));
        grid.handle_frame(0, ms(1_033), "a");
        assert_eq!(poll(&mut grid, 1_034, &[0, 1]), None);
        assert_eq!(poll(&mut grid, 1_034, &[0, 2]), Some(31));
        assert_eq!(grid.shown(0), Some((&"a", Shows::New)));
        assert_eq!(grid.shown(1), Some((&"b", Shows::Repeat)));
        assert_eq!(grid.shown(2), None);
    }

    #[test]
    fn a_clip_stands_on_its_first_frame_until_it_is_started() {
        let mut grid = Grid::new(FPS, 30, 1);
        grid.ready_clip(0, 1);
        grid.handle_clip(0, 0, ms(0), "of the round before");
        assert!(!grid.is_clip_ready(0));
        grid.handle_clip(0, 1, ms(0), "first");
        grid.handle_clip(0, 1, MediaTime(33_333), "second");
        assert!(grid.is_clip_ready(0));
        assert_eq!(slot(&mut grid, 1_000), Some((30, "first")));
        assert_eq!(slot(&mut grid, 1_034), Some((31, "first")));
        grid.start_clip(0, FPS.frame_time(32));
        assert_eq!(slot(&mut grid, 1_067), Some((32, "first")));
        assert_eq!(slot(&mut grid, 1_100), Some((33, "second")));
        grid.handle_clip(0, 1, MediaTime(66_667), "third");
        assert_eq!(slot(&mut grid, 1_134), Some((34, "third")));
    }

    proptest! {
        /// Whatever comes whenever: while the machine keeps up, every grid point is given out once, on time.
        #[test]
        fn the_grid_is_whole(
            frames in prop::collection::vec((0i64..3_000, 0i64..400), 0..120),
            den in prop_oneof![Just((30u32, 1u32)), Just((30_000, 1_001)), Just((25, 1))],
        ) {
            let fps = FrameRate { num: den.0, den: den.1 };
            let mut track = Grid::new(fps, 0, 1);
            let mut arrivals: Vec<(i64, i64)> = frames.iter().map(|(at, delay)| (at + delay, *at)).collect();
            arrivals.sort_unstable();
            let mut arrivals = arrivals.into_iter().peekable();
            let mut given = Vec::new();
            for now in 0..3_500 {
                while let Some((_, at)) = arrivals.next_if(|(arrival, _)| *arrival <= now) {
                    track.handle_frame(0, ms(at), at);
                }
                while let Some(slot) = track.poll(ms(now), &[0]) {
                    prop_assert!(slot.at <= ms(now) && ms(now).since(slot.at) <= PATIENCE + Duration::from_millis(1));
                    given.push(slot.number);
                }
            }
            prop_assert!(given.iter().copied().eq(0..given.len() as i64));
            prop_assert!(given.len() as i64 >= fps.frame_at(ms(3_400)));
        }
    }
}
