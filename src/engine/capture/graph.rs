//! What pipelines of sources have in common: the tails that normalise, and the watch over them.

use super::anchor::Anchor;
use super::{Capture, Closed, End};
use crate::engine::clock::{Clock, to_clock_time, to_media_time};
use crate::engine::elements::make;
use crate::engine::encode::caps_filter;
use crate::engine::error::EngineError;
use crate::engine::format::Frame;
use crate::media::{MediaTime, Track};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Where running times of a source's pipeline lie on the monotonic clock. `place` may wait, in the pipeline's
/// thread, to hold back a source that could run ahead.
pub trait Placement: Send + Sync + 'static {
    fn place(
        &self,
        track: Track,
        running: MediaTime,
        duration: Duration,
    ) -> Result<MediaTime, Closed>;
}

/// Of a source that captures: base time and running time, and what its pipeline delays by design.
pub struct Captured {
    pub base: MediaTime,
    pub delay: Duration,
}

impl Placement for Captured {
    fn place(&self, _: Track, running: MediaTime, _: Duration) -> Result<MediaTime, Closed> {
        Ok(MediaTime(self.base.0 + running.0) + self.delay)
    }
}

/// A source's pipeline whose running time is the sender's.
pub struct Anchored {
    clock: Clock,
    anchor: Mutex<Anchor>,
}

impl Anchored {
    pub fn new(clock: &Clock, delay: Duration) -> Self {
        Anchored {
            clock: clock.clone(),
            anchor: Mutex::new(Anchor::new(delay)),
        }
    }
}

impl Placement for Anchored {
    fn place(&self, _: Track, running: MediaTime, _: Duration) -> Result<MediaTime, Closed> {
        let now = self.clock.now();
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(anchor.place(now, running))
    }
}

/// What a source's pipeline tells its thread.
#[derive(Debug)]
pub enum Happened {
    /// The first sample came.
    Flowing,
    /// All of it was delivered.
    Ended,
    Failed(String),
    /// Of a clip: it is to be made ready anew.
    Recalled,
}

/// How long a source may give nothing.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// To its first sample.
    pub at_start: Duration,
    /// Until it counts as lost, though its pipeline may go on.
    pub quiet: Duration,
    /// Until its pipeline is made anew.
    pub later: Duration,
}

impl Patience {
    /// Of a source that is better made anew at once.
    pub const fn new(at_start: Duration, later: Duration) -> Self {
        Patience {
            at_start,
            quiet: later,
            later,
        }
    }
}

/// A source's pipeline. It is taken down when dropped.
pub struct Graph {
    pub pipeline: gst::Pipeline,
    happenings: Receiver<Happened>,
    tails: Tails,
}

/// Makes the ends of a pipeline; cheap to clone into callbacks.
#[derive(Clone)]
pub struct Tails {
    pipeline: gst::glib::WeakRef<gst::Pipeline>,
    format: crate::engine::format::Format,
    feed: super::Feed,
    clock: Clock,
    placement: Arc<dyn Placement>,
    happened: Sender<Happened>,
    /// When the last sample came, on the monotonic clock in µs; or `NONE_YET`, or `OVER`.
    last: Arc<AtomicI64>,
}

/// Nothing came since the pipeline began, or since it was called lost.
const NONE_YET: i64 = 0;
/// It failed while nothing came. At that its decoders give what they still held, which is from before the loss.
const OVER: i64 = -1;

impl Graph {
    /// An empty pipeline on the engine's clock, whose running time is zero at `base`.
    pub fn new(capture: &Capture, base: MediaTime, placement: Arc<dyn Placement>) -> Self {
        let pipeline = gst::Pipeline::new();
        pipeline.use_clock(Some(capture.clock.system()));
        pipeline.set_start_time(gst::ClockTime::NONE);
        pipeline.set_base_time(to_clock_time(base));
        let (happened, happenings) = mpsc::channel();
        let last = Arc::new(AtomicI64::new(NONE_YET));
        if let Some(bus) = pipeline.bus() {
            let (happened, last) = (happened.clone(), Arc::clone(&last));
            bus.set_sync_handler(move |_, message| {
                let what = match message.view() {
                    gst::MessageView::Error(error) => {
                        // Unless something came just now.
                        let _ = last.compare_exchange(
                            NONE_YET,
                            OVER,
                            Ordering::Relaxed,
                            Ordering::Relaxed,
                        );
                        Some(Happened::Failed(error_text(error)))
                    }
                    gst::MessageView::Eos(_) => Some(Happened::Ended),
                    _ => None,
                };
                if let Some(what) = what {
                    // Nobody listens any more: the source is being taken down.
                    let _ = happened.send(what);
                }
                gst::BusSyncReply::Drop
            });
        }
        let tails = Tails {
            pipeline: pipeline.downgrade(),
            format: capture.format.clone(),
            feed: capture.feed.clone(),
            clock: capture.clock.clone(),
            placement,
            happened,
            last,
        };
        Graph {
            pipeline,
            happenings,
            tails,
        }
    }

    /// For a clip in its `round`, which is told of when that is over.
    pub fn of_clip(
        capture: &Capture,
        placement: Arc<dyn Placement>,
        cue: &super::Cue,
        round: u32,
    ) -> Self {
        let mut graph = Graph::new(capture, capture.clock.now(), placement);
        graph.tails.feed.round = Some(round);
        cue.watch(round, graph.tails.happened.clone());
        graph
    }

    /// What happens next; None: nothing within `limit`.
    pub fn next(&self, limit: Option<Duration>) -> Option<Happened> {
        match limit {
            Some(limit) => self.happenings.recv_timeout(limit).ok(),
            None => self.happenings.recv().ok(),
        }
    }

    pub fn tails(&self) -> &Tails {
        &self.tails
    }

    pub fn play(&self) -> Result<(), End> {
        match self.pipeline.set_state(gst::State::Playing) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.failure()),
        }
    }

    /// The reason of a state change that failed.
    fn failure(&self) -> End {
        let text = self.happenings.try_iter().find_map(|what| match what {
            Happened::Failed(text) => Some(text),
            _ => None,
        });
        End::Failed(text.unwrap_or_else(|| "it does not start and gives no reason".into()))
    }

    /// Watches over the playing pipeline until it ends, fails, or gives nothing for too long. `ended` says what to
    /// do at its end: go on (None), or be done.
    pub fn watch(
        &self,
        capture: &Capture,
        patience: Patience,
        mut ended: impl FnMut(&gst::Pipeline) -> Option<End>,
    ) -> End {
        let mut began = capture.clock.now();
        let mut flowed = false;
        loop {
            let last = MediaTime(self.tails.last.load(Ordering::Relaxed));
            let quiet = capture.clock.now().since(began.max(last));
            let (limit, give_up) = match (flowed, last == MediaTime(NONE_YET)) {
                (false, true) => (patience.at_start, true),
                (true, true) => (patience.later, true),
                (_, false) => (patience.quiet, patience.quiet == patience.later),
            };
            let Some(left) = limit.checked_sub(quiet).filter(|d| !d.is_zero()) else {
                let text = format!("it gave nothing for {limit:?}");
                if give_up {
                    return End::Failed(text);
                }
                capture.report_lost(text);
                began = last;
                // The next sample says that it flows again.
                self.tails.last.store(NONE_YET, Ordering::Relaxed);
                continue;
            };
            match self.happenings.recv_timeout(left) {
                Ok(Happened::Flowing) => {
                    flowed = true;
                    capture.report_live();
                }
                Ok(Happened::Failed(text)) => return End::Failed(text),
                Ok(Happened::Ended) => {
                    if let Some(end) = ended(&self.pipeline) {
                        return end;
                    }
                }
                Ok(Happened::Recalled) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return End::Stopped,
            }
        }
    }
}

impl Graph {
    /// Takes the pipeline down; what feeds it is let go.
    pub fn stop(&self) {
        // Nothing can be done about a driver that won't let go; the process's end frees it.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Tails {
    /// Joins a pad of raw media to the mix, if its kind is wanted. Others stay unlinked, which decoders notice.
    pub fn join(&self, pad: &gst::Pad) -> Result<(), EngineError> {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let kind = caps.structure(0).map(|s| s.name().as_str());
        let chain = match kind {
            Some("video/x-raw") if self.feed.picture => self.video_tail()?,
            Some("audio/x-raw") if self.feed.sound => self.audio_tail()?,
            _ => return Ok(()),
        };
        let failed = |what: &str| EngineError::Encoder(format!("a source's {what}"));
        let pipeline = self
            .pipeline
            .upgrade()
            .ok_or_else(|| failed("pipeline is gone"))?;
        pipeline
            .add_many(&chain)
            .and_then(|()| gst::Element::link_many(&chain))
            .map_err(|_| failed("parts can't be joined"))?;
        for element in &chain {
            element
                .sync_state_with_parent()
                .map_err(|_| failed("parts don't start"))?;
        }
        let sink = chain[0]
            .static_pad("sink")
            .ok_or_else(|| failed("parts have no pad"))?;
        pad.link(&sink)
            .map(|_| ())
            .map_err(|_| failed("format can't be used"))
    }

    /// Any raw picture to the programme's format: scaled with its aspect kept, between borders.
    pub fn video_tail(&self) -> Result<Vec<gst::Element>, EngineError> {
        let convert = make("videoconvertscale")?;
        convert.set_property("add-borders", true);
        let tails = self.clone();
        let sink = sink(move |sample| tails.deliver_video(sample));
        Ok(vec![
            self.noted(make("deinterlace")?),
            convert,
            caps_filter(&self.format.source_video_caps())?,
            sink.upcast(),
        ])
    }

    /// Any raw sound to the programme's format.
    pub fn audio_tail(&self) -> Result<Vec<gst::Element>, EngineError> {
        let tails = self.clone();
        let sink = sink(move |sample| tails.deliver_audio(sample));
        Ok(vec![
            self.noted(make("audioconvert")?),
            make("audioresample")?,
            caps_filter(&self.format.audio_caps())?,
            sink.upcast(),
        ])
    }

    /// A tail's first element: what comes to it is the source's own format, which may change in flight.
    fn noted(&self, element: gst::Element) -> gst::Element {
        if let Some(pad) = element.static_pad("sink") {
            let gauge = self.feed.gauge.clone();
            pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
                if let Some(event) = info.event()
                    && let gst::EventView::Caps(caps) = event.view()
                {
                    gauge.format(caps.caps());
                }
                gst::PadProbeReturn::Ok
            });
        }
        element
    }

    fn deliver_video(&self, sample: &gst::Sample) -> Result<(), Closed> {
        let Some((buffer, running)) = timed_buffer(sample).filter(|_| !self.is_over()) else {
            return Ok(());
        };
        let duration = buffer.duration().or_else(|| frame_length(sample));
        let at = self.placement.place(
            Track::Video,
            running,
            duration.map_or(Duration::ZERO, Into::into),
        )?;
        self.seen();
        // As the tail's caps say.
        self.feed.video(at, Frame::opaque(buffer))
    }

    fn deliver_audio(&self, sample: &gst::Sample) -> Result<(), Closed> {
        let Some((buffer, running)) = timed_buffer(sample).filter(|_| !self.is_over()) else {
            return Ok(());
        };
        let Ok(bytes) = buffer.map_readable() else {
            return Ok(());
        };
        let samples: Vec<f32> = bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect();
        let frames = samples.len() / crate::engine::format::CHANNELS;
        let length = Duration::from_secs(frames as u64) / self.format.sample_rate;
        let at = self.placement.place(Track::Audio, running, length)?;
        self.seen();
        self.feed.audio(at, samples)
    }

    fn is_over(&self) -> bool {
        self.last.load(Ordering::Relaxed) == OVER
    }

    fn seen(&self) {
        if self.last.swap(self.clock.now().0, Ordering::Relaxed) == NONE_YET {
            // Nobody listens any more: the source is being taken down.
            let _ = self.happened.send(Happened::Flowing);
        }
    }

    pub fn fail(&self, text: String) {
        let _ = self.happened.send(Happened::Failed(text));
    }
}

fn sink(deliver: impl Fn(&gst::Sample) -> Result<(), Closed> + Send + 'static) -> gst_app::AppSink {
    gst_app::AppSink::builder()
        .sync(false)
        .max_buffers(2)
        .callbacks(
            gst_app::AppSinkCallbacks::builder()
                .new_sample(move |sink| {
                    let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                    deliver(&sample).map_err(|Closed| gst::FlowError::Eos)?;
                    Ok(gst::FlowSuccess::Ok)
                })
                .build(),
        )
        .build()
}

/// The sample's buffer and running time; None for what has no place in time.
fn timed_buffer(sample: &gst::Sample) -> Option<(gst::Buffer, MediaTime)> {
    let buffer = sample.buffer_owned()?;
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    let running = to_media_time(segment.to_running_time(buffer.pts()?)?);
    Some((buffer, running))
}

fn frame_length(sample: &gst::Sample) -> Option<gst::ClockTime> {
    let rate: gst::Fraction = sample.caps()?.structure(0)?.get("framerate").ok()?;
    (rate.numer() > 0).then(|| {
        let second = gst::ClockTime::SECOND.nseconds();
        gst::ClockTime::from_nseconds(second * rate.denom() as u64 / rate.numer() as u64)
    })
}

/// Only the message: the debug text may hold a URL with its password.
fn error_text(error: &gst::message::Error) -> String {
    error.error().to_string()
}
