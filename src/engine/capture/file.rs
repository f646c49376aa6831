//! The `file` source: anything GStreamer decodes, once or for ever.
//!
//! The pipeline runs without a clock; what it decodes is held back until it is nearly due. At the end of a loop it is
//! rewound while what was decoded ahead plays on, and the next loop begins where the picture of the last one ended,
//! for picture and sound alike: so neither a gap nor a drift can build up.

use super::graph::{Graph, Happened, Patience, Placement};
use super::{Capture, Closed, Cue, End, decode, readable};
use crate::engine::clock::Clock;
use crate::engine::mix::Input;
use crate::engine::stop::Stop;
use crate::media::{FrameRate, MediaTime, Track};
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How far ahead of its time a file is decoded: covers a rewind, and costs memory for so many raw frames.
const AHEAD: Duration = Duration::from_millis(250);
/// The first frame's way to the mix.
const FIRST: Duration = Duration::from_millis(50);
/// A file that falls this far behind (slow storage, the machine slept) goes on from the present.
const FORGIVEN: Duration = Duration::from_millis(500);
/// A disk that wakes up takes some seconds.
const PATIENCE: Patience = Patience::new(Duration::from_secs(10), Duration::from_secs(10));

pub fn run(capture: &Capture, path: &Path, repeat: bool) -> End {
    let end = match &capture.cue {
        Some(cue) => play_clips(capture, path, cue),
        None => play(capture, path, repeat),
    };
    match end {
        Ok(End::Failed(text)) => End::Failed(format!("{}: {text}", path.display())),
        Ok(end) | Err(end) => end,
    }
}

fn uri(path: &Path) -> Result<glib::GString, End> {
    readable(path).map_err(End::Failed)?;
    let absolute = std::path::absolute(path).map_err(|e| End::Failed(e.to_string()))?;
    glib::filename_to_uri(&absolute, None)
        .map_err(|e| End::Failed(format!("{} has no URI: {e}", path.display())))
}

fn play(capture: &Capture, path: &Path, repeat: bool) -> Result<End, End> {
    let uri = uri(path)?;
    let playback = Arc::new(Playback {
        clock: capture.clock.clone(),
        stop: Stop::default(),
        lap: Mutex::new(Lap::new(capture.format.fps, None)),
    });
    let graph = Graph::new(capture, capture.clock.now(), playback.clone());
    decode::add(&graph, &uri, |_| {})?;
    let end = watch(&graph, capture, &playback, path, repeat);
    // What is held back must let go before the pipeline can be taken down.
    playback.stop.set();
    Ok(end)
}

/// Plays it once from each start on, and makes it ready anew afterwards, for as long as the engine runs.
fn play_clips(capture: &Capture, path: &Path, cue: &Cue) -> Result<End, End> {
    let uri = uri(path)?;
    loop {
        let round = cue.round();
        let showing = Arc::new(Showing {
            clock: capture.clock.clone(),
            stop: Stop::default(),
            cue: cue.clone(),
            round,
            lap: Mutex::new(Lap::new(capture.format.fps, None)),
            behind_us: AtomicI64::new(0),
        });
        let graph = Graph::of_clip(capture, showing.clone(), cue, round);
        decode::add(&graph, &uri, |_| {})?;
        let end = watch_clip(&graph, capture, &showing);
        showing.stop.set();
        if let Some(end) = end {
            return Ok(end);
        }
    }
}

/// None: it is to be made ready anew.
fn watch_clip(graph: &Graph, capture: &Capture, showing: &Showing) -> Option<End> {
    if let Err(end) = graph.play() {
        return Some(end);
    }
    let told = |length| {
        let source = capture.feed.source;
        // A mix that is gone is the engine's end.
        let _ = capture.feed.pictures.send(Input::Length { source, length });
    };
    let mut limit = Some(PATIENCE.at_start);
    loop {
        match graph.next(limit) {
            Some(Happened::Flowing) => {
                // It may wait for its take for hours.
                limit = None;
                capture.report_live();
                let length: Option<gst::ClockTime> = graph.pipeline.query_duration();
                told(length.map(Duration::from));
            }
            // Decoded to its end, it still has to be shown.
            Some(Happened::Ended) => told(Some(showing.lap().length())),
            Some(Happened::Failed(text)) => return Some(End::Failed(text)),
            Some(Happened::Recalled) => return None,
            None => {
                let limit = PATIENCE.at_start;
                return Some(End::Failed(format!("it gave nothing for {limit:?}")));
            }
        }
    }
}

/// A clip that stands on its first frames until it is started.
struct Showing {
    clock: Clock,
    stop: Stop,
    cue: Cue,
    round: u32,
    /// Only for where it ends.
    lap: Mutex<Lap>,
    /// What it has been put off by since its start: a machine that can't keep up plays on from the present.
    behind_us: AtomicI64,
}

impl Showing {
    fn lap(&self) -> MutexGuard<'_, Lap> {
        self.lap.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Placement for Showing {
    /// A picture's time counts from the clip's start: the mix knows that first, and so no frame is late.
    fn place(
        &self,
        track: Track,
        running: MediaTime,
        duration: Duration,
    ) -> Result<MediaTime, Closed> {
        self.lap().note(track, running, duration);
        let is_first = running.since(MediaTime::ZERO) < AHEAD;
        if track == Track::Video && is_first && self.cue.round() == self.round {
            return Ok(running);
        }
        let start = self.cue.wait(self.round).ok_or(Closed)?;
        let due = |behind: i64| MediaTime(start.0 + running.0 + behind);
        let behind = self.behind_us.load(Ordering::Relaxed);
        let late = self.clock.now().since(due(behind));
        if late > FORGIVEN && track == Track::Video {
            let late = i64::try_from(late.as_micros()).unwrap_or(0);
            self.behind_us.fetch_add(late, Ordering::Relaxed);
        }
        let behind = self.behind_us.load(Ordering::Relaxed);
        let at = due(behind);
        if self.stop.wait((at - AHEAD).since(self.clock.now())) || self.cue.round() != self.round {
            return Err(Closed);
        }
        Ok(match track {
            Track::Video => MediaTime(running.0 + behind),
            Track::Audio => at,
        })
    }
}

fn watch(graph: &Graph, capture: &Capture, playback: &Playback, path: &Path, repeat: bool) -> End {
    if let Err(end) = graph.play() {
        return end;
    }
    graph.watch(capture, PATIENCE, |pipeline| {
        if !repeat {
            return Some(End::Finished(format!("{} has ended", path.display())));
        }
        if playback.next_lap().is_zero() {
            return Some(End::Failed("it is empty".into()));
        }
        match pipeline.seek_simple(gst::SeekFlags::FLUSH, gst::ClockTime::ZERO) {
            Ok(()) => None,
            Err(_) => Some(End::Failed("it can't be rewound".into())),
        }
    })
}

/// Places the file's running time onto the clock and holds it back to its pace.
struct Playback {
    clock: Clock,
    /// Set when this try at the file is over.
    stop: Stop,
    lap: Mutex<Lap>,
}

/// One time through the file. Pure.
#[derive(Debug)]
struct Lap {
    fps: FrameRate,
    /// When running time zero is due; None: nothing was decoded yet.
    start: Option<MediaTime>,
    video_end: Duration,
    audio_end: Duration,
}

impl Lap {
    fn new(fps: FrameRate, start: Option<MediaTime>) -> Self {
        Lap {
            fps,
            start,
            video_end: Duration::ZERO,
            audio_end: Duration::ZERO,
        }
    }

    /// When what lies at `running` is due.
    fn place(
        &mut self,
        now: MediaTime,
        track: Track,
        running: MediaTime,
        duration: Duration,
    ) -> MediaTime {
        self.note(track, running, duration);
        let due = |start: &MediaTime| MediaTime(start.0 + running.0);
        match self.start.as_ref().map(due) {
            Some(at) if now.since(at) <= FORGIVEN => at,
            _ => {
                // On the programme's frame grid, so that a file of its rate is shown without shifting a frame.
                let soon = MediaTime(now.0 - running.0) + FIRST;
                let start = self.fps.frame_time(self.fps.frame_at(soon));
                self.start = Some(start);
                due(&start)
            }
        }
    }

    fn note(&mut self, track: Track, running: MediaTime, duration: Duration) {
        let end = running.since(MediaTime::ZERO) + duration;
        match track {
            Track::Video => self.video_end = self.video_end.max(end),
            Track::Audio => self.audio_end = self.audio_end.max(end),
        }
    }

    /// Of its picture; of its sound, if there is no picture.
    fn length(&self) -> Duration {
        if self.video_end.is_zero() {
            self.audio_end
        } else {
            self.video_end
        }
    }

    /// Ends the lap where its picture ends (its sound, if there is no picture); gives its length.
    fn turn(&mut self) -> Duration {
        let length = self.length();
        *self = Lap::new(self.fps, self.start.map(|start| start + length));
        length
    }
}

impl Playback {
    fn next_lap(&self) -> Duration {
        self.lap
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .turn()
    }
}

impl Placement for Playback {
    fn place(
        &self,
        track: Track,
        running: MediaTime,
        duration: Duration,
    ) -> Result<MediaTime, Closed> {
        let now = self.clock.now();
        let at = self
            .lap
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .place(now, track, running, duration);
        if self.stop.wait((at - AHEAD).since(now)) {
            return Err(Closed);
        }
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn at(ms: i64) -> MediaTime {
        MediaTime::from_millis(ms)
    }

    const FPS: FrameRate = FrameRate { num: 25, den: 1 };

    #[test]
    fn a_hundred_laps_end_where_the_picture_ends() {
        let mut lap = Lap::new(FPS, None);
        let start = lap.place(at(1_001), Track::Audio, at(0), ms(21));
        assert_eq!(start, at(1_040));
        for n in 0..100 {
            let now = at(1_000 + n * 5_280);
            lap.place(now, Track::Video, at(0), ms(40));
            lap.place(now, Track::Video, at(5_240), ms(40));
            lap.place(now, Track::Audio, at(5_290), ms(21));
            assert_eq!(lap.turn(), ms(5_280));
        }
        let now = at(1_000 + 528_000);
        let video = lap.place(now, Track::Video, at(0), ms(40));
        assert_eq!(video, at(1_040 + 528_000));
        assert_eq!(lap.place(now, Track::Audio, at(0), ms(21)), video);
    }

    #[test]
    fn sound_alone_turns_at_its_end() {
        let mut lap = Lap::new(FPS, None);
        lap.place(at(0), Track::Audio, at(100), ms(21));
        assert_eq!(lap.turn(), ms(121));
        assert_eq!(Lap::new(FPS, None).turn(), Duration::ZERO);
    }

    #[test]
    fn what_falls_far_behind_goes_on_from_the_present_with_both_tracks() {
        let mut lap = Lap::new(FPS, None);
        assert_eq!(lap.place(at(0), Track::Video, at(0), ms(40)), at(40));
        assert_eq!(lap.place(at(500), Track::Video, at(40), ms(40)), at(80));
        let late = lap.place(at(9_010), Track::Video, at(80), ms(40));
        assert_eq!(late, at(9_080));
        let sound = lap.place(at(9_010), Track::Audio, at(85), ms(21));
        assert_eq!(sound, at(9_085));
    }
}
