//! The engine: everything that names GStreamer, and nothing that names RTMP. `run` is `regia engine`: it is told
//! what to do over its standard input, a socket, and answers with media units on the same.

mod apart;
mod capture;
mod clock;
mod desk;
mod elements;
mod encode;
mod error;
mod format;
mod health;
mod mix;
mod out;
mod probe;
mod stop;
mod titles;

pub use apart::run as apart;
pub use error::EngineError;

pub use probe::{Device, EngineProbe, MissingElement, probe};

use crate::bridge::codec::{Decoder, ProtocolError};
use crate::bridge::mix::MixState;
use crate::bridge::protocol::{Down, EngineEvent};
use crate::config::{EngineSpec, Source};
use crate::media::{AudioConfig, VideoConfig};
use bytes::Bytes;
use capture::{Capture, Cue, Feed, Inlets, Telling};
use clock::Clock;
use desk::console::Channel;
use desk::{Desk, LatestLevels, Sound};
use encode::Encoder;
use format::{Format, Frame};
use gstreamer as gst;
use health::{Gauge, ProgrammeGauge, Reporter};
use mix::look::Looks;
use mix::switcher::{Switcher, clip_source};
use mix::{Input, Mix};
use out::{Out, WriteError, Writer};
use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread::JoinHandle;
use std::time::Duration;
use stop::Stop;

/// Units and events between the encoder and the socket; beyond, the encoder is held back.
const OUT_QUEUE: usize = 512;
/// Frames and pieces of sound between the sources and the mix.
const INPUT_QUEUE: usize = 64;
/// How long the encoders may take to give out what they hold at the end.
const DRAIN_LIMIT: Duration = Duration::from_millis(1_200);
/// How long the end may take when nobody listens any more: drivers can hang.
const END_LIMIT: Duration = Duration::from_millis(700);

/// What can happen to the running engine.
enum Control {
    Down(Down),
    /// The director closed the socket, or died.
    DirectorGone,
    /// What the director says can't be understood.
    Garbled(ProtocolError),
    EncoderFailed(String),
    Terminate,
}

/// Runs the engine until it is told to stop, the director is gone, or it fails. Afterwards the process should
/// end at once: threads that hang in drivers are left to that.
pub fn run() -> Result<(), EngineError> {
    let socket = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map(UnixStream::from)
        .map_err(EngineError::NoSocket)?;
    // Writing to what is not a socket would say so only at the first unit.
    socket.peer_addr().map_err(EngineError::NoSocket)?;
    let mut commands = Commands {
        socket: socket.try_clone().map_err(EngineError::NoSocket)?,
        decoder: Decoder::new(),
    };
    let (spec, left) = match commands.next()? {
        Some(Down::Start { spec, mix, .. }) => (*spec, mix),
        Some(_) => return Err(EngineError::NotStarted),
        None => return Err(EngineError::NoStart),
    };
    let (control, controls) = mpsc::channel();
    read_commands(commands, control.clone())?;
    watch_signals(control.clone())?;
    let (out, writer) = start_writer(socket, &spec)?;
    let result = gst::init()
        .map_err(|e| EngineError::Gstreamer(e.to_string()))
        .and_then(|()| Engine::start(&spec, left.as_deref(), &out, control))
        .and_then(|engine| engine.serve(&controls));
    if let Err(error) = &result {
        // The writer may be gone too; then standard error has the text.
        let text = error.to_string();
        let _ = out.send(Out::Event(EngineEvent::Fatal { text }));
    }
    let _ = out.send(Out::End);
    drop(writer.join());
    result
}

/// A programme on air, from sources to encoder.
struct Engine {
    encoder: Encoder,
    stop: Stop,
    out: SyncSender<Out>,
    slate: encode::clip::Slate,
    /// Of sources that are pushed to.
    inlets: Inlets,
    /// Keep the mix going when its sources have ended: the slate is a programme too.
    inputs: SyncSender<Input>,
    _sounds: SyncSender<Sound>,
}

impl Engine {
    fn start(
        spec: &EngineSpec,
        left: Option<&MixState>,
        out: &SyncSender<Out>,
        control: Sender<Control>,
    ) -> Result<Self, EngineError> {
        let no_source = || EngineError::NoSource;
        let switcher = Switcher::new(spec, left).ok_or_else(no_source)?;
        let clock = Clock::start();
        let format = Format::of(&spec.programme);
        let stop = Stop::default();
        let (candidate, tried) = encode::trial::choose(&spec.programme)?;
        send(
            out,
            EngineEvent::Encoder {
                name: candidate.factory.into(),
                tried,
            },
        );
        let failed = move |text| {
            // Nobody waits any more: the engine is ending.
            let _ = control.send(Control::EncoderFailed(text));
        };
        let (encoder, pictures_out, sound_out) =
            Encoder::start(&spec.programme, candidate, &clock, out, failed)?;
        let slates = slates(&spec.sources, &format);
        let face = slates.get(switcher.face()).ok_or_else(no_source)?;
        let gauge = ProgrammeGauge::new(&format, spec.programme.alarms);
        let clip = encode::clip::Slate {
            programme: spec.programme.clone(),
            candidate,
            picture: face.buffer.clone(),
        };
        // The mix before the sources, so that nothing of theirs waits and grows old.
        let (sounds, desk_inputs) = mpsc::sync_channel(INPUT_QUEUE);
        let heard = switcher.heard();
        let channel = |(index, source): (usize, &Source)| Channel {
            id: source.id.clone(),
            audio: source.audio.clone(),
            visible: heard.contains(&index),
        };
        let channels = switcher.sources().iter().enumerate().map(channel);
        let latest = LatestLevels::default();
        let desk = Desk {
            clock: clock.clone(),
            programme: spec.programme.audio.clone(),
            channels: channels.collect(),
            out: out.clone(),
            inputs: desk_inputs,
            encoder: sound_out,
            gauge: gauge.clone(),
            latest: latest.clone(),
        };
        spawn("desk", move || desk.run())?;
        let clips = spec.scenes.iter();
        let clips = clips.filter_map(|scene| clip_source(scene, &spec.sources));
        let cues: BTreeMap<usize, Cue> = clips.map(|clip| (clip, Cue::default())).collect();
        let (inputs, mix_inputs) = mpsc::sync_channel(INPUT_QUEUE);
        // One at a time: what nobody has time for is left out.
        let (looks, snapshots) = mpsc::sync_channel(1);
        let looker = Looks {
            format: format.clone(),
            snapshots,
            levels: latest,
            screen: spec.programme.multiview.clone(),
            out: out.clone(),
        };
        spawn("look", move || looker.run())?;
        let mix = Mix {
            looks,
            clock: clock.clone(),
            format: format.clone(),
            slates,
            spec: spec.clone(),
            switcher,
            cues: cues.clone(),
            inputs: mix_inputs,
            encoder: pictures_out,
            sound: sounds.clone(),
            gauge: gauge.clone(),
            out: out.clone(),
        };
        spawn("mix", move || mix.run())?;
        let mut gauges = Vec::new();
        let mut inlets = Inlets::default();
        for (index, settings) in spec.sources.iter().enumerate() {
            let source = Gauge::new(settings, &format, &clock);
            gauges.push(source.clone());
            let capture = Capture {
                feed: Feed {
                    gauge: source,
                    source: index,
                    pictures: inputs.clone(),
                    sounds: sounds.clone(),
                    picture: !settings.kind.is_only_sound(),
                    sound: true,
                    round: None,
                },
                cue: cues.get(&index).cloned(),
                source: settings.clone(),
                format: format.clone(),
                clock: clock.clone(),
                stop: stop.clone(),
                out: out.clone(),
                telling: Telling::default(),
                pushed: inlets.outlet(index),
            };
            let name = format!("source {}", capture.source.id);
            spawn(&name, move || capture.run())?;
        }
        let reporter = Reporter {
            clock,
            stop: stop.clone(),
            out: out.clone(),
            sources: gauges,
            programme: gauge,
        };
        spawn("health", move || reporter.run())?;
        Ok(Engine {
            encoder,
            stop,
            out: out.clone(),
            inputs,
            _sounds: sounds,
            slate: clip,
            inlets,
        })
    }

    /// Obeys until the end.
    fn serve(mut self, controls: &Receiver<Control>) -> Result<(), EngineError> {
        loop {
            match controls.recv() {
                Ok(Control::Down(Down::SetBitrate { kbps })) => {
                    if self.encoder.set_bitrate(kbps) {
                        send(&self.out, EngineEvent::Bitrate { kbps });
                    } else {
                        tracing::warn!(kbps, "this encoder can't change its bitrate in flight");
                    }
                }
                Ok(Control::Down(Down::EncodeSlate)) => {
                    let (slate, out) = (self.slate.clone(), self.out.clone());
                    spawn("slate", move || match slate.encode() {
                        // A writer that is gone means that the director is.
                        Ok(clip) => drop(out.send(Out::Slate(clip))),
                        Err(text) => tracing::warn!("the slate can't be encoded: {text}"),
                    })?;
                }
                Ok(Control::Down(Down::Mix {
                    request,
                    at,
                    command,
                })) => {
                    // A mix that is gone has ended the engine.
                    let _ = self.inputs.send(Input::Command {
                        request,
                        at,
                        command,
                    });
                }
                Ok(Control::Down(Down::Pushed { source, pushed })) => {
                    self.inlets.put(usize::from(source), pushed);
                }
                Ok(Control::Down(Down::Start { .. })) => return Err(EngineError::NotStarted),
                Ok(Control::Down(Down::Stop) | Control::Terminate) => {
                    self.stop.set();
                    self.encoder.drain(DRAIN_LIMIT);
                    return Ok(());
                }
                Ok(Control::DirectorGone) | Err(_) => {
                    self.stop.set();
                    return Ok(());
                }
                Ok(Control::Garbled(error)) => return Err(error.into()),
                Ok(Control::EncoderFailed(text)) => return Err(EngineError::Encoder(text)),
            }
        }
    }
}

/// What is shown of each source while it is lost. Sources that name the same picture share it.
fn slates(sources: &[Source], format: &Format) -> Vec<Frame> {
    let mut known: BTreeMap<&Path, Frame> = BTreeMap::new();
    let slate = |source: &'_ Source| {
        let (slate, trouble) = capture::slate(source, format);
        if let Some(text) = trouble {
            tracing::warn!(source = source.id, "its slate: {text}");
        }
        Frame::opaque(slate)
    };
    let mut slates = Vec::new();
    for source in sources {
        slates.push(match &source.slate {
            None => slate(source),
            Some(path) => known.entry(path).or_insert_with(|| slate(source)).clone(),
        });
    }
    slates
}

fn send(out: &SyncSender<Out>, event: EngineEvent) {
    // A writer that is gone means that the director is; the command reader says so.
    let _ = out.send(Out::Event(event));
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, EngineError> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(body)
        .map_err(EngineError::Thread)
}

/// The reading side of the socket.
struct Commands {
    socket: UnixStream,
    decoder: Decoder<Down>,
}

impl Commands {
    /// None: the director is gone.
    fn next(&mut self) -> Result<Option<Down>, ProtocolError> {
        let mut buffer = [0; 64 << 10];
        loop {
            if let Some(down) = self.decoder.next_message()? {
                return Ok(Some(down));
            }
            match self.socket.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(read) => self.decoder.push(&buffer[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return Ok(None),
            }
        }
    }
}

/// Passes on commands until the director is gone; then gives the engine a moment to end, and ends it.
#[expect(
    clippy::disallowed_methods,
    reason = "this thread is the engine's last resort: it has no runtime to block, and an engine that hangs in a driver \
              reaches no return from main"
)]
fn read_commands(mut commands: Commands, control: Sender<Control>) -> Result<(), EngineError> {
    spawn("commands", move || {
        loop {
            let what = match commands.next() {
                Ok(Some(down)) => Control::Down(down),
                Ok(None) => Control::DirectorGone,
                Err(error) => Control::Garbled(error),
            };
            let last = !matches!(what, Control::Down(_));
            if control.send(what).is_err() {
                return;
            }
            if last {
                std::thread::sleep(END_LIMIT);
                std::process::exit(1);
            }
        }
    })
    .map(|_| ())
}

/// SIGTERM ends the engine as a stop does.
fn watch_signals(control: Sender<Control>) -> Result<(), EngineError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(EngineError::Thread)?;
    let mut terminate = {
        let _inside = runtime.enter();
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
            .map_err(EngineError::Thread)?
    };
    spawn("signals", move || {
        if runtime.block_on(terminate.recv()).is_some() {
            // Nobody waits any more: the engine is ending already.
            let _ = control.send(Control::Terminate);
        }
    })
    .map(|_| ())
}

fn start_writer(
    socket: UnixStream,
    spec: &EngineSpec,
) -> Result<(SyncSender<Out>, JoinHandle<()>), EngineError> {
    let programme = &spec.programme;
    let video = VideoConfig {
        avcc: Bytes::new(),
        width: programme.width,
        height: programme.height,
        fps: programme.fps,
        bitrate_kbps: programme.video.bitrate_kbps,
    };
    let audio = AudioConfig {
        asc: Bytes::new(),
        sample_rate: programme.audio.sample_rate,
        channels: format::CHANNELS as u8,
        bitrate_kbps: programme.audio.bitrate_kbps,
    };
    let (out, outs) = mpsc::sync_channel(OUT_QUEUE);
    let handle = spawn("out", move || {
        let written = Writer::new(socket, video, audio).and_then(|writer| writer.run(&outs));
        match written {
            Ok(()) => {}
            // The director is gone: the command reader notices the same and ends the engine.
            Err(WriteError::Socket(_)) => {}
            Err(error) => tracing::error!("{error}"),
        }
    })?;
    Ok((out, handle))
}
