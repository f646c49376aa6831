//! Sources: each runs in a thread and, but for the synthetic ones, a pipeline of its own, so that nothing that
//! happens to it reaches the programme. It delivers normalised media with their times to the mix, and is tried
//! again for as long as it fails.

mod address;
mod anchor;
mod apart;
mod cue;
mod decklink;
mod decode;
mod dimensions;
mod file;
mod glyphs;
mod graph;
mod image;
pub mod picture;
mod pushed;
mod rtsp;
mod sound;
mod srt;
mod test;
mod tone;
mod v4l2;

pub use cue::Cue;

use super::clock::Clock;
use super::desk::Sound;
use super::error::EngineError;
use super::format::{Format, Frame};
use super::health::Gauge;
use super::mix::{Input, Picture};
use super::out::Out;
use super::stop::Stop;
use crate::bridge::protocol::{EngineEvent, SourceState};
use crate::config::{Source, SourceKind};
use crate::media::MediaTime;
use gstreamer as gst;
pub use pushed::{Inlets, Outlet};
use sound::SoundDevice;
use std::cell::{Cell, RefCell};
use std::path::Path;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Between two tries. A source that returns is back on air within 2 s: this, its own start, and no more.
const RETRY: Duration = Duration::from_millis(700);
/// Where a try is only a small packet, and the stream that follows takes its time.
const CALL_AGAIN: Duration = Duration::from_millis(200);

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
    /// Of a clip: which time it is that it plays. Its pictures come with their times since its start.
    pub round: Option<u32>,
}

/// The mix takes no more: the engine is ending.
#[derive(Debug)]
pub struct Closed;

impl Feed {
    fn video(&self, at: MediaTime, frame: Frame) -> Result<(), Closed> {
        self.gauge.picture(at, &frame.buffer);
        let picture = Picture {
            source: self.source,
            at,
            frame,
            round: self.round,
        };
        self.pictures
            .send(Input::Picture(picture))
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
    pub telling: Telling,
    /// What is pushed to it.
    pub pushed: Outlet,
    /// Of a file that is played from a take on.
    pub cue: Option<Cue>,
}

/// What was told of a source last.
#[derive(Default)]
pub struct Telling {
    /// This try at the source has given something.
    live: Cell<bool>,
    failure: RefCell<String>,
    /// With the thread of the sound that is bound to it, if there is one.
    shared: Arc<Mutex<Told>>,
    /// This is that thread.
    of_sound: Option<SoundDevice>,
}

struct Told {
    state: SourceState,
    detail: String,
    /// What is wrong with the sound that is bound to it.
    sound: String,
}

impl Default for Told {
    fn default() -> Self {
        Told {
            state: SourceState::Starting,
            detail: String::new(),
            sound: String::new(),
        }
    }
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
    pub fn run(mut self) {
        self.report(SourceState::Starting, String::new());
        if let Some(sound) = self.take_bound_sound() {
            let name = format!("sound of {}", self.source.id);
            let spawned = std::thread::Builder::new()
                .name(name)
                .spawn(move || sound.capture());
            if let Err(error) = spawned {
                tracing::error!(source = self.source.id, "no thread for its sound: {error}");
            }
        }
        self.capture();
    }

    /// The sound that `audio.device` binds to this picture, as a source of its own; the picture's own sound is not taken then.
    fn take_bound_sound(&mut self) -> Option<Capture> {
        if self.source.kind.is_only_sound() || !self.feed.sound {
            return None;
        }
        let device = SoundDevice::parse(self.source.audio.device.as_ref()?);
        let mut feed = self.feed.clone();
        feed.picture = false;
        self.feed.sound = false;
        Some(Capture {
            source: self.source.clone(),
            format: self.format.clone(),
            clock: self.clock.clone(),
            feed,
            stop: self.stop.clone(),
            out: self.out.clone(),
            telling: Telling {
                of_sound: Some(device),
                shared: self.telling.shared.clone(),
                ..Telling::default()
            },
            pushed: Outlet::default(),
            cue: None,
        })
    }

    fn capture(self) {
        loop {
            self.telling.live.set(false);
            match self.run_once() {
                End::Stopped => return,
                End::Finished(text) => {
                    self.report(SourceState::Lost, text);
                    return;
                }
                // The same failure again and again is told once.
                End::Failed(text) => self.report_lost(text),
            }
            let pause = match self.source.kind {
                SourceKind::Srt { .. } | SourceKind::Rtmp => CALL_AGAIN,
                _ => RETRY,
            };
            if self.stop.wait(pause) {
                return;
            }
        }
    }

    fn run_once(&self) -> End {
        if let Some(device) = &self.telling.of_sound {
            return sound::run(self, device);
        }
        match &self.source.kind {
            SourceKind::Test => test::run(self),
            SourceKind::File { path, repeat } => file::run(self, path, *repeat),
            SourceKind::Image { path } => image::run(self, path),
            SourceKind::V4l2 { device } => v4l2::run(self, device),
            SourceKind::Alsa { device } => sound::run(self, &SoundDevice::Alsa(device.clone())),
            SourceKind::Pulse { device } => sound::run(self, &SoundDevice::Pulse(device.clone())),
            SourceKind::Pipewire { target } => {
                sound::run(self, &SoundDevice::Pipewire(target.clone()))
            }
            SourceKind::Rtsp { url } => rtsp::run(self, url),
            SourceKind::Srt { .. } => srt::run(self, &self.source.kind),
            SourceKind::Rtmp => pushed::run(self),
            SourceKind::Screen { display, pointer } => apart::screen(self, display, *pointer),
            SourceKind::Decklink { device, mode } => decklink::run(self, *device, mode),
            SourceKind::Html { url, size } => apart::page(self, url, *size),
        }
    }

    /// It fails, or waits for somebody else to begin.
    fn report_lost(&self, text: String) {
        let again = self.telling.failure.replace(text.clone()) == text;
        if self.telling.live.take() || !again {
            self.report(SourceState::Lost, text);
        }
    }

    fn report_live(&self) {
        self.telling.live.set(true);
        if self.telling.of_sound.is_none() {
            self.feed.gauge.live();
        }
        self.report(SourceState::Live, String::new());
    }

    fn report(&self, state: SourceState, detail: String) {
        let shared = &self.telling.shared;
        let mut told = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if self.telling.of_sound.is_some() {
            // The picture is there or not whatever its sound does.
            told.sound = match state {
                SourceState::Lost => format!("no sound: {detail}"),
                SourceState::Starting | SourceState::Live => detail,
            };
        } else {
            (told.state, told.detail) = (state, detail);
        }
        let texts = [&told.detail, &told.sound];
        let texts: Vec<&str> = texts
            .into_iter()
            .map(String::as_str)
            .filter(|text| !text.is_empty())
            .collect();
        let event = EngineEvent::Source {
            id: self.source.id.clone(),
            state: told.state,
            detail: texts.join("; "),
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
