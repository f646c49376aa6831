//! The `rtmp` source as the engine has it: units that the director received, decoded. What RTMP is it does not know.

use super::graph::{Anchored, Graph, Patience, Tails};
use super::{Capture, End};
use crate::bridge::protocol::Pushed;
use crate::engine::elements::make;
use crate::engine::error::EngineError;
use crate::media::{MediaTime, MediaUnit, Track};
use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::time::Duration;

/// Phones send over TCP and wireless networks: what is held up there comes late and then all at once.
const DELAY: Duration = Duration::from_millis(300);
/// Units between the command reader and the decoder: some seconds.
const QUEUE: usize = 512;
/// Beyond this much a decoder is too slow.
const MAX_WAITING_BYTES: u64 = 8 << 20;
const LONG: Duration = Duration::from_secs(24 * 3_600);
/// The director says when the encoder has gone; until then it may go on.
const PATIENCE: Patience = Patience {
    at_start: Duration::from_secs(10),
    quiet: Duration::from_millis(1_200),
    later: LONG,
};
/// How soon this thread sees that the engine ends.
const LOOK: Duration = Duration::from_millis(200);
/// A timeline that steps by more than this is another one.
const STEP: Duration = Duration::from_secs(10);
/// Keeps times above zero: sound may begin before the first picture, and decode times lie before it.
const BEGIN: Duration = Duration::from_secs(2);

/// The engine's end of what is pushed to its sources, by their indices.
#[derive(Default)]
pub struct Inlets(Vec<Option<Inlet>>);

struct Inlet {
    sender: SyncSender<Pushed>,
    /// Something was left out: what relies on it is, too.
    broken: bool,
}

/// A source's end.
#[derive(Default)]
pub struct Outlet(RefCell<Option<Receiver<Pushed>>>);

impl Inlets {
    pub fn outlet(&mut self, source: usize) -> Outlet {
        let (sender, receiver) = mpsc::sync_channel(QUEUE);
        if self.0.len() <= source {
            self.0.resize_with(source + 1, || None);
        }
        self.0[source] = Some(Inlet {
            sender,
            broken: false,
        });
        Outlet(RefCell::new(Some(receiver)))
    }

    /// Never waits: a source that does not keep up loses pictures up to a keyframe, and the engine goes on.
    pub fn put(&mut self, source: usize, pushed: Pushed) {
        let Some(Some(inlet)) = self.0.get_mut(source) else {
            return;
        };
        if let Pushed::Unit(unit) = &pushed
            && unit.track == Track::Video
        {
            if inlet.broken && !unit.keyframe {
                return;
            }
            inlet.broken = false;
        }
        match inlet.sender.try_send(pushed) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => inlet.broken = true,
        }
    }
}

pub fn run(capture: &Capture) -> End {
    let Some(mut pushed) = capture.pushed.0.take() else {
        return End::Finished("nothing can be pushed to it".into());
    };
    let end = wait_and_play(capture, &mut pushed);
    capture.pushed.0.replace(Some(pushed));
    end
}

fn wait_and_play(capture: &Capture, pushed: &mut Receiver<Pushed>) -> End {
    // Afterwards the reason why the last one went says more.
    if capture.telling.failure.borrow().is_empty() {
        let what = "no encoder pushes to it yet: give one the address of [rtmp] listen, and this source's key";
        capture.report_lost(what.into());
    }
    let mut stream = Stream::default();
    let mut first = None;
    loop {
        let Some(unit) = first.take() else {
            match pushed.recv_timeout(LOOK) {
                Ok(part) => match stream.take(part) {
                    Ok(unit) => first = unit,
                    // It has gone before anything could be shown.
                    Err(text) => capture.report_lost(text),
                },
                Err(RecvTimeoutError::Timeout) if !capture.stop.wait(Duration::ZERO) => {}
                Err(_) => return End::Stopped,
            }
            continue;
        };
        match play(capture, pushed, &mut stream, unit) {
            Next::End(end) => return end,
            Next::Anew(unit) => first = unit,
        }
    }
}

/// What becomes of a source whose pipeline ended.
enum Next {
    End(End),
    /// Another stream begins, with this unit.
    Anew(Option<MediaUnit>),
}

/// What is known of what is pushed.
#[derive(Default)]
struct Stream {
    video: Option<Bytes>,
    audio: Option<Bytes>,
    /// Another configuration than the one before came.
    changed: bool,
    /// A picture that needs none before it has been taken.
    begun: bool,
}

impl Stream {
    /// The next unit that a decoder can take. The error is why the encoder has gone.
    fn take(&mut self, part: Pushed) -> Result<Option<MediaUnit>, String> {
        match part {
            Pushed::Config { track, data } => {
                let config = match track {
                    Track::Video => &mut self.video,
                    Track::Audio => &mut self.audio,
                };
                if config.as_ref() != Some(&data) {
                    self.changed |= config.is_some();
                    *config = Some(data);
                }
                Ok(None)
            }
            Pushed::Unit(unit) => {
                let known = match unit.track {
                    Track::Video => {
                        self.begun |= unit.keyframe;
                        self.begun && self.video.is_some()
                    }
                    Track::Audio => self.audio.is_some(),
                };
                Ok(known.then_some(unit))
            }
            Pushed::End { text } => {
                *self = Stream::default();
                Err(text)
            }
        }
    }
}

/// Decodes one stream until it ends.
fn play(
    capture: &Capture,
    pushed: &mut Receiver<Pushed>,
    stream: &mut Stream,
    first: MediaUnit,
) -> Next {
    stream.changed = false;
    stream.begun = first.track == Track::Video;
    let placement = Anchored::new(&capture.clock, DELAY);
    let graph = Graph::new(capture, capture.clock.now(), Arc::new(placement));
    let feeder = Feeder {
        pipeline: graph.pipeline.downgrade(),
        tails: graph.tails().clone(),
        first: first.dts,
        last: first.dts,
        video: None,
        audio: None,
    };
    if let Err(end) = graph.play() {
        return Next::End(end);
    }
    std::thread::scope(|scope| {
        let (stop, stopped) = mpsc::channel::<()>();
        let feeding = scope.spawn(move || feeder.run(pushed, stream, first, &stopped));
        let end = graph.watch(capture, PATIENCE, |_| Some(End::Failed("it ended".into())));
        drop(stop);
        // A feeder that waits for the decoder is let go.
        graph.stop();
        match (feeding.join(), end) {
            (Ok(Fed::Changed(unit)), End::Failed(_)) => Next::Anew(unit),
            (Ok(Fed::Ended(text)), End::Failed(_)) => Next::End(End::Failed(text)),
            (_, end) => Next::End(end),
        }
    })
}

/// Why a feeder fed no more.
enum Fed {
    /// The rest can't be decoded by the same pipeline; it begins with this unit.
    Changed(Option<MediaUnit>),
    /// The encoder has gone.
    Ended(String),
    Stopped,
}

struct Feeder {
    pipeline: gst::glib::WeakRef<gst::Pipeline>,
    tails: Tails,
    first: MediaTime,
    last: MediaTime,
    video: Option<gst_app::AppSrc>,
    audio: Option<gst_app::AppSrc>,
}

impl Feeder {
    fn run(
        mut self,
        pushed: &mut Receiver<Pushed>,
        stream: &mut Stream,
        first: MediaUnit,
        stopped: &Receiver<()>,
    ) -> Fed {
        let mut next = Some(first);
        loop {
            if let Some(unit) = next.take() {
                let apart = unit.dts.since(self.last).max(self.last.since(unit.dts));
                if stream.changed || apart > STEP {
                    self.tails.fail("its format changed".into());
                    // A picture that relies on others that are gone is of no use.
                    let whole = unit.track == Track::Audio || unit.keyframe;
                    return Fed::Changed(whole.then_some(unit));
                }
                self.last = unit.dts;
                if let Err(text) = self.feed(stream, unit) {
                    self.tails.fail(text);
                    return Fed::Stopped;
                }
            }
            match pushed.recv_timeout(LOOK) {
                Ok(part) => match stream.take(part) {
                    Ok(unit) => next = unit,
                    Err(text) => {
                        self.tails.fail(text.clone());
                        return Fed::Ended(text);
                    }
                },
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Fed::Stopped,
            }
            if let Err(mpsc::TryRecvError::Disconnected) = stopped.try_recv() {
                return Fed::Stopped;
            }
        }
    }

    fn feed(&mut self, stream: &Stream, unit: MediaUnit) -> Result<(), String> {
        let source = match unit.track {
            Track::Video => self.video.clone(),
            Track::Audio => self.audio.clone(),
        };
        let source = match source {
            Some(source) => source,
            None => {
                let source = self.join(stream, unit.track).map_err(|e| e.to_string())?;
                match unit.track {
                    Track::Video => self.video = Some(source.clone()),
                    Track::Audio => self.audio = Some(source.clone()),
                }
                source
            }
        };
        let place = |at: MediaTime| {
            let since = at.0.saturating_sub(self.first.0);
            let since = since.saturating_add(BEGIN.as_micros() as i64);
            u64::try_from(since).ok().map(gst::ClockTime::from_useconds)
        };
        let (pts, dts) = (place(unit.pts), place(unit.dts));
        let mut buffer = gst::Buffer::from_slice(unit.data);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(pts);
            buffer.set_dts(dts);
            if unit.track == Track::Video && !unit.keyframe {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        // Flushing: the pipeline is being taken down, and whoever does that knows why.
        let _ = source.push_buffer(buffer);
        Ok(())
    }

    /// A decoder for a track whose first unit is here.
    fn join(&self, stream: &Stream, track: Track) -> Result<gst_app::AppSrc, EngineError> {
        let (config, caps) = match track {
            Track::Video => (
                &stream.video,
                gst::Caps::builder("video/x-h264")
                    .field("stream-format", "avc")
                    .field("alignment", "au"),
            ),
            Track::Audio => (
                &stream.audio,
                gst::Caps::builder("audio/mpeg")
                    .field("mpegversion", 4)
                    .field("stream-format", "raw"),
            ),
        };
        let config = gst::Buffer::from_slice(config.clone().unwrap_or_default());
        let source = gst_app::AppSrc::builder()
            .caps(&caps.field("codec_data", config).build())
            .format(gst::Format::Time)
            // A live one would wait for the pipeline to play, and that waits for the decoder's first picture.
            .is_live(false)
            .block(true)
            .max_bytes(MAX_WAITING_BYTES)
            .build();
        let decoder = make("decodebin")?;
        let tails = self.tails.clone();
        decoder.connect_pad_added(move |_, pad| {
            if let Err(error) = tails.join(pad) {
                tails.fail(error.to_string());
            }
        });
        let failed = |what: &str| EngineError::Encoder(format!("what is pushed {what}"));
        let pipeline = self
            .pipeline
            .upgrade()
            .ok_or_else(|| failed("has no pipeline"))?;
        let chain = [source.clone().upcast(), decoder];
        pipeline
            .add_many(&chain)
            .and_then(|()| gst::Element::link_many(&chain))
            .map_err(|_| failed("can't be joined to a decoder"))?;
        for element in chain.iter().rev() {
            element
                .sync_state_with_parent()
                .map_err(|_| failed("starts no decoder"))?;
        }
        Ok(source)
    }
}
