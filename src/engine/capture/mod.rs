//! Sources: each runs in a thread and, but for the synthetic ones, a pipeline of its own, so that nothing that
//! happens to it reaches the programme. It delivers normalised media with their times to the mix, and is tried
//! again for as long as it fails.

mod alsa;
mod decode;
mod file;
mod glyphs;
mod graph;
mod image;
mod picture;
mod rtsp;
mod test;
mod tone;
mod v4l2;

use super::clock::Clock;
use super::desk::Sound;
use super::error::EngineError;
use super::format::Format;
use super::health::Gauge;
use super::mix::{Input, Picture};
use super::out::Out;
use super::stop::Stop;
use crate::bridge::protocol::{EngineEvent, SourceState};
use crate::config::{Source, SourceKind};
use crate::media::MediaTime;
use gstreamer as gst;
use std::cell::Cell;
use std::path::Path;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

/// Between two tries. A source that returns is back on air within 2 s: this, its own start, and no more.
const RETRY: Duration = Duration::from_millis(700);

/// Where a source puts what it captures, and which of it is wanted.
#[derive(Clone)]
pub struct Feed {
    /// Index into `EngineSpec::sources`.
    pub source: usize,
    pub pictures: SyncSender<Input>,
    pub sounds: SyncSender<Sound>,
    pub picture: bool,
    pub sound: bool,
    pub gauge: Gauge,
}

/// The mix takes no more: the engine is ending.
#[derive(Debug)]
pub struct Closed;

impl Feed {
    fn video(&self, at: MediaTime, frame: gst::Buffer) -> Result<(), Closed> {
        self.gauge.picture(at, &frame);
        let source = self.source;
        self.pictures
            .send(Input::Picture(Picture { source, at, frame }))
            .map_err(|_| Closed)
    }

    fn audio(&self, at: MediaTime, samples: Vec<f32>) -> Result<(), Closed> {
        let source = self.source;
        self.gauge.sound(&samples);
        self.sounds
            .send(Sound::Samples {
                source,
                at,
                samples,
            })
            .map_err(|_| Closed)
    }
}

/// One source, to be run in a thread of its own.
pub struct Capture {
    pub source: Source,
    pub format: Format,
    pub clock: Clock,
    pub feed: Feed,
    pub stop: Stop,
    pub out: SyncSender<Out>,
    /// This try at the source has given something.
    pub live: Cell<bool>,
}

/// How one try at a source ended.
#[derive(Debug)]
enum End {
    /// The engine is ending.
    Stopped,
    /// There is nothing more to come: the slate stays.
    Finished(String),
    /// It is to be tried again.
    Failed(String),
}

impl From<Closed> for End {
    fn from(_: Closed) -> Self {
        End::Stopped
    }
}

impl From<EngineError> for End {
    fn from(error: EngineError) -> Self {
        End::Failed(error.to_string())
    }
}

impl Capture {
    /// Until the engine stops: captures, and captures again.
    pub fn run(self) {
        self.report(SourceState::Starting, String::new());
        let mut told = String::new();
        loop {
            self.live.set(false);
            match self.run_once() {
                End::Stopped => return,
                End::Finished(text) => {
                    self.report(SourceState::Lost, text);
                    return;
                }
                // The same failure again and again is told once.
                End::Failed(text) => {
                    if self.live.get() || text != told {
                        self.report(SourceState::Lost, text.clone());
                    }
                    told = text;
                }
            }
            if self.stop.wait(RETRY) {
                return;
            }
        }
    }

    fn run_once(&self) -> End {
        match &self.source.kind {
            SourceKind::Test => test::run(self),
            SourceKind::File { path, repeat } => file::run(self, path, *repeat),
            SourceKind::Image { path } => image::run(self, path),
            SourceKind::V4l2 { device } => v4l2::run(self, device),
            SourceKind::Alsa { device } => alsa::run(self, device),
            SourceKind::Rtsp { url } => rtsp::run(self, url),
        }
    }

    fn report_live(&self) {
        self.live.set(true);
        self.feed.gauge.live();
        self.report(SourceState::Live, String::new());
    }

    fn report(&self, state: SourceState, detail: String) {
        let event = EngineEvent::Source {
            id: self.source.id.clone(),
            state,
            detail,
        };
        // A writer that is gone means that the engine is ending.
        let _ = self.out.send(Out::Event(event));
    }
}

/// The slate of a source: its picture, else a plain frame with its id. The text tells why the picture is not used.
pub fn slate(source: &Source, format: &Format) -> (gst::Buffer, Option<String>) {
    let plain = || gst::Buffer::from_mut_slice(picture::plain_slate(&format.layout(), &source.id));
    match &source.slate {
        None => (plain(), None),
        Some(path) => match image::decode(path, format) {
            Ok(frame) => (frame, None),
            Err(text) => (plain(), Some(text)),
        },
    }
}

/// Says plainly that a path leads nowhere, where GStreamer would say something else.
fn readable(path: &Path) -> Result<(), String> {
    match std::fs::File::open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(format!("there is no file {}", path.display()))
        }
        Err(error) => Err(format!("{} can't be read: {error}", path.display())),
    }
}
