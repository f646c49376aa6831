//! The session's owner: one task that holds the engine, the window and the destinations, and takes requests through a
//! channel. Shell.

use super::machine::{self, Delivery, State};
use super::overload::Overload;
use super::timeline::Timeline;
use crate::bridge::protocol::{EngineEvent, SourceState, Up};
use crate::bridge::supervisor::{self, EngineHandle, EngineOutput, SupervisorSettings};
use crate::config::{Destination, EngineSpec, Recording, Settings, Tune};
use crate::media::{StreamConfig, Track};
use crate::recording;
use crate::uplink::carrier::{Carriers, watch_carriers};
use crate::uplink::destination::{DestinationStatus, RunningDestination, SessionStart};
use crate::window::{Cursor, FeedWriter};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tracing::{Instrument, error, info, warn};

const TICK: Duration = Duration::from_millis(250);
/// A stop that finds no whole unit within this (the engine may be gone) ends with the newest.
const WHOLE_WAIT: Duration = Duration::from_millis(700);
/// A session starts at a keyframe behind which there is sound; an engine without any is waited for no longer than this.
const SOUND_WAIT: Duration = Duration::from_millis(700);

#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("there is no destination {0:?}")]
    UnknownDestination(String),
    #[error("the configuration has no destination: add one to go live")]
    NoDestination,
    #[error("the session has ended")]
    Gone,
}

#[derive(Clone, Debug, Serialize)]
pub struct SourceStatus {
    pub id: String,
    pub state: SourceState,
    pub detail: String,
}

/// `regia live status --json`.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub state: State,
    pub elapsed_s: f64,
    pub scene: Option<String>,
    pub preview: Option<String>,
    pub encoder: Option<String>,
    pub video_kbps: u32,
    /// Why the bitrate is what it is; None: as configured.
    pub engine_runs: u64,
    pub engine_pid: Option<u32>,
    /// Frames that were not encoded because the machine was too slow.
    pub dropped_frames: u64,
    pub sources: Vec<SourceStatus>,
    pub destinations: Vec<DestinationStatus>,
}

enum Request {
    Start {
        destinations: Vec<String>,
        reply: oneshot::Sender<Result<(), SessionError>>,
    },
    Stop {
        destinations: Vec<String>,
        reply: oneshot::Sender<Result<(), SessionError>>,
    },
}

/// How panel, CLI and schedule act. Cloning makes another handle.
#[derive(Clone)]
pub struct SessionHandle {
    requests: mpsc::Sender<Request>,
    status: watch::Receiver<Status>,
}

impl SessionHandle {
    /// Goes live to these destinations, or to all. Those that are live already stay as they are.
    pub async fn start(&self, destinations: Vec<String>) -> Result<(), SessionError> {
        self.ask(|reply| Request::Start {
            destinations,
            reply,
        })
        .await
    }

    /// Delivers what is left and ends the broadcast on these destinations, or on all.
    pub async fn stop(&self, destinations: Vec<String>) -> Result<(), SessionError> {
        self.ask(|reply| Request::Stop {
            destinations,
            reply,
        })
        .await
    }

    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Returns when the programme is on air on any destination. Never, when it does not come so far.
    pub async fn on_air(&mut self) {
        let on_air = |status: &Status| {
            matches!(
                status.state,
                State::OnAir | State::Degraded | State::BackupUplink
            )
        };
        if self.status.wait_for(on_air).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Returns when nothing is being published any more.
    pub async fn standby(&mut self) {
        // An actor that is gone publishes nothing.
        let _ = self
            .status
            .wait_for(|status| status.state == State::Standby)
            .await;
    }

    async fn ask(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<(), SessionError>>) -> Request,
    ) -> Result<(), SessionError> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(request(reply))
            .await
            .map_err(|_| SessionError::Gone)?;
        answer.await.map_err(|_| SessionError::Gone)?
    }
}

/// Starts the engine and the session's actor. Both end when every handle is dropped.
pub async fn start(settings: Settings) -> std::io::Result<SessionHandle> {
    let spec = EngineSpec {
        programme: settings.programme.clone(),
        sources: settings.sources.clone(),
        scenes: settings.scenes.clone(),
    };
    let interfaces = settings
        .uplinks
        .iter()
        .map(|uplink| uplink.interface.clone())
        .collect();
    let carriers = watch_carriers(interfaces).await?;
    let (output, engine_output) = mpsc::channel(256);
    let engine = supervisor::start(SupervisorSettings::new(spec)?, output);
    let (requests, inbox) = mpsc::channel(16);
    let actor = Actor::new(settings, engine, carriers);
    let (sender, status) = watch::channel(actor.status(Instant::now()));
    tokio::spawn(actor.run(inbox, engine_output, sender));
    Ok(SessionHandle { requests, status })
}

struct Actor {
    settings: Settings,
    engine: EngineHandle,
    writer: FeedWriter,
    timeline: Timeline,
    config: Option<Arc<StreamConfig>>,
    carriers: watch::Receiver<Carriers>,
    encoder: Option<String>,
    engine_runs: u64,
    engine_pid: Option<u32>,
    sources: BTreeMap<String, SourceStatus>,
    /// Asked for and waiting for the first keyframe.
    pending: Vec<Destination>,
    session: Option<Session>,
    video_kbps: u32,
    overload: Overload,
}

/// From the first start to the last destination's end.
struct Session {
    started: Instant,
    running: Vec<Running>,
    was_on_air: bool,
    /// The newest unit that any destination that was stopped delivers.
    last_unit: u64,
    stop_recordings: watch::Sender<Option<u64>>,
    recordings: JoinSet<()>,
}

impl Session {
    fn is_ending(&self) -> bool {
        self.running.iter().all(|running| running.stop != Stop::No)
    }
}

struct Running {
    destination: RunningDestination,
    preferred: Option<String>,
    stop: Stop,
}

/// A stop waits for a unit at which the pictures are whole, since those before it may have left already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    No,
    Asked { at: Instant, newest: u64 },
    Under,
}

impl Actor {
    fn new(settings: Settings, engine: EngineHandle, carriers: watch::Receiver<Carriers>) -> Self {
        Actor {
            writer: FeedWriter::gathering(gather(settings.programme.video.tune)),
            timeline: Timeline::new(settings.programme.fps, settings.programme.audio.sample_rate),
            config: None,
            carriers,
            encoder: None,
            engine_runs: 0,
            engine_pid: None,
            sources: BTreeMap::new(),
            pending: Vec::new(),
            session: None,
            overload: Overload::default(),
            video_kbps: settings.programme.video.bitrate_kbps,
            engine,
            settings,
        }
    }

    async fn run(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        mut engine: mpsc::Receiver<EngineOutput>,
        status: watch::Sender<Status>,
    ) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                Some(output) = engine.recv() => self.take(Instant::now(), output),
                request = requests.recv() => match request {
                    Some(request) => self.answer(request, &status),
                    None => break,
                },
                _ = tick.tick() => {
                    self.tick(Instant::now());
                    self.publish(&status);
                }
            }
            self.begin_pending(Instant::now());
            self.carry_out_stops(Instant::now());
        }
        self.engine.stop();
    }

    fn publish(&self, status: &watch::Sender<Status>) {
        let new = self.status(Instant::now());
        let state = new.state;
        let old = status.send_replace(new);
        if old.state != state {
            info!("{} → {state}", old.state);
        }
    }

    fn take(&mut self, now: Instant, output: EngineOutput) {
        match output {
            EngineOutput::Started { run, pid } => {
                self.timeline.new_run();
                self.engine_runs = run;
                self.engine_pid = pid;
            }
            EngineOutput::Ended { .. } => self.engine_pid = None,
            EngineOutput::Message { up, .. } => match up {
                Up::Hello { .. } => {}
                Up::Config(config) => self.config = Some(Arc::new(config)),
                Up::Unit(unit) => {
                    if let (Some(config), Some(unit)) = (&self.config, self.timeline.map(unit)) {
                        self.writer.push(now, unit, Arc::clone(config));
                    }
                }
                Up::Event(event) => self.note(event),
            },
        }
    }

    fn note(&mut self, event: EngineEvent) {
        match event {
            EngineEvent::Encoder { name, tried } => {
                let passed_over: Vec<String> = tried
                    .iter()
                    .filter_map(|trial| {
                        Some(format!("{}: {}", trial.element, trial.error.as_ref()?))
                    })
                    .collect();
                if passed_over.is_empty() {
                    info!(encoder = %name, "encoder chosen");
                } else {
                    info!(encoder = %name, passed_over = passed_over.join("; "), "encoder chosen");
                }
                self.encoder = Some(name);
            }
            EngineEvent::Bitrate { kbps } => info!(kbps, "the encoder's bitrate is now"),
            EngineEvent::Source { id, state, detail } => {
                match state {
                    SourceState::Lost => {
                        warn!(source = %id, %detail, "source lost: its slate is shown")
                    }
                    SourceState::Live if detail.is_empty() => info!(source = %id, "source live"),
                    SourceState::Live => info!(source = %id, %detail, "source live"),
                    SourceState::Starting => {}
                }
                self.sources
                    .insert(id.clone(), SourceStatus { id, state, detail });
            }
            EngineEvent::Overload { dropped } => self.overload.dropped(dropped),
            EngineEvent::Fatal { text } => error!(%text, "the engine can't go on"),
        }
    }

    /// The status is renewed before the answer: whoever asked looks at it next.
    fn answer(&mut self, request: Request, status: &watch::Sender<Status>) {
        let (result, reply) = match request {
            Request::Start {
                destinations,
                reply,
            } => (self.ask_start(&destinations), reply),
            Request::Stop {
                destinations,
                reply,
            } => (self.stop(&destinations), reply),
        };
        self.begin_pending(Instant::now());
        self.carry_out_stops(Instant::now());
        self.publish(status);
        // Whoever asked may have gone.
        let _ = reply.send(result);
    }

    fn chosen(&self, ids: &[String]) -> Result<Vec<Destination>, SessionError> {
        let all = &self.settings.destinations;
        if ids.is_empty() {
            return if all.is_empty() {
                Err(SessionError::NoDestination)
            } else {
                Ok(all.clone())
            };
        }
        let find = |id: &String| {
            all.iter()
                .find(|d| d.id == *id)
                .cloned()
                .ok_or_else(|| SessionError::UnknownDestination(id.clone()))
        };
        ids.iter().map(find).collect()
    }

    /// Starting what is started already changes nothing: a double click is one start. One that is still ending starts
    /// again when it has.
    fn ask_start(&mut self, ids: &[String]) -> Result<(), SessionError> {
        for destination in self.chosen(ids)? {
            let on = |running: &Running| {
                running.destination.id() == destination.id && running.stop == Stop::No
            };
            let running = self.session.iter().flat_map(|s| &s.running).any(on);
            let pending = self
                .pending
                .iter()
                .any(|pending| pending.id == destination.id);
            if !running && !pending {
                self.pending.push(destination);
            }
        }
        Ok(())
    }

    /// Starts what was asked for, as soon as there is a keyframe to start with.
    fn begin_pending(&mut self, now: Instant) {
        // A session that is ending ends first: the next one has recordings of its own.
        if self.pending.is_empty() || self.session.as_ref().is_some_and(Session::is_ending) {
            return;
        }
        let Some(start) = self.session_start() else {
            return;
        };
        let feed = self.writer.feed();
        if self.session.is_none() {
            let (stop_recordings, stopped) = watch::channel(None);
            let mut recordings = JoinSet::new();
            for recording in &self.settings.recordings {
                record(recording, &mut recordings, &feed, &start, &stopped);
            }
            self.session = Some(Session {
                started: now,
                running: Vec::new(),
                was_on_air: false,
                last_unit: 0,
                stop_recordings,
                recordings,
            });
        }
        let Some(session) = &mut self.session else {
            return;
        };
        for destination in std::mem::take(&mut self.pending) {
            if session
                .running
                .iter()
                .any(|r| r.destination.id() == destination.id)
            {
                // It is still ending.
                self.pending.push(destination);
                continue;
            }
            let running = RunningDestination::start(
                &destination,
                &self.settings.uplinks,
                &self.settings.window,
                &self.settings.programme,
                &feed,
                &start,
                &self.carriers,
            );
            match running {
                Ok(running) => session.running.push(Running {
                    destination: running,
                    preferred: destination.uplinks.first().cloned(),
                    stop: Stop::No,
                }),
                Err(error) => {
                    error!(destination = %destination.id, %error, "this destination can't start")
                }
            }
        }
    }

    fn session_start(&self) -> Option<SessionStart> {
        let view = self.writer.view();
        let from = view.keyframe.clone()?;
        let keyframe_at = from.peek()?.unit.dts;
        if !has_sound(&from) && view.time.since(keyframe_at) < SOUND_WAIT {
            return None;
        }
        Some(SessionStart {
            base: from.timeline_base()?,
            from,
        })
    }

    fn stop(&mut self, ids: &[String]) -> Result<(), SessionError> {
        let chosen = self.chosen(ids)?;
        self.pending
            .retain(|pending| !chosen.iter().any(|d| d.id == pending.id));
        let asked = Stop::Asked {
            at: Instant::now(),
            newest: self.writer.view().newest.seq(),
        };
        for running in self.session.iter_mut().flat_map(|s| &mut s.running) {
            if running.stop == Stop::No && chosen.iter().any(|d| d.id == running.destination.id()) {
                running.stop = asked;
            }
        }
        Ok(())
    }

    fn carry_out_stops(&mut self, now: Instant) {
        let Some(session) = &mut self.session else {
            return;
        };
        for running in &mut session.running {
            let Stop::Asked { at, newest } = running.stop else {
                continue;
            };
            let view = self.writer.view();
            let whole = view.whole_end();
            let until = if whole >= newest {
                whole
            } else if now.duration_since(at) >= WHOLE_WAIT {
                view.newest.seq()
            } else {
                continue;
            };
            running.stop = Stop::Under;
            running.destination.stop(until);
            session.last_unit = until;
        }
        if session
            .running
            .iter()
            .all(|running| running.stop == Stop::Under)
        {
            let until = session.last_unit;
            session.stop_recordings.send_if_modified(|stop| {
                let first = stop.is_none();
                stop.get_or_insert(until);
                first
            });
        }
    }

    fn tick(&mut self, now: Instant) {
        if let Some(frames) = self.overload.due(now) {
            warn!(
                frames,
                "this machine is too slow for the programme: frames were left out; lower fps, the size or preset"
            );
        }
        let Some(session) = &mut self.session else {
            return;
        };
        session.was_on_air |= session
            .running
            .iter()
            .any(|r| r.destination.status().state == "on_air");
        session
            .running
            .retain_mut(|running| !running.destination.has_ended());
        while session.recordings.try_join_next().is_some() {}
        let wanted = session
            .running
            .iter()
            .filter_map(|r| r.destination.video_kbps())
            .min();
        if session.running.is_empty() && session.recordings.is_empty() {
            info!(
                elapsed_s = session.started.elapsed().as_secs(),
                "the session has ended"
            );
            self.session = None;
        }
        let wanted = wanted.unwrap_or(self.settings.programme.video.bitrate_kbps);
        if wanted != self.video_kbps {
            info!(
                from_kbps = self.video_kbps,
                to_kbps = wanted,
                "bitrate follows the narrowest uplink that steers"
            );
            self.video_kbps = wanted;
            self.engine.set_bitrate(wanted);
        }
    }

    fn status(&self, now: Instant) -> Status {
        let destinations: Vec<DestinationStatus> = self
            .session
            .iter()
            .flat_map(|s| &s.running)
            .map(|running| running.destination.status())
            .collect();
        let session = self.session.as_ref();
        let preferred = session
            .iter()
            .flat_map(|s| &s.running)
            .map(|running| running.preferred.as_ref());
        let deliveries: Vec<Delivery> = destinations
            .iter()
            .zip(preferred)
            .map(|(status, preferred)| Delivery {
                on_air: status.state == "on_air",
                preferred_uplink: preferred.is_none() || status.uplink.as_ref() == preferred,
            })
            .collect();
        let started = session.is_some() || !self.pending.is_empty();
        let ending = session.is_some_and(Session::is_ending);
        Status {
            state: machine::state(
                started,
                ending,
                session.is_some_and(|s| s.was_on_air),
                &deliveries,
            ),
            elapsed_s: session.map_or(0.0, |s| now.duration_since(s.started).as_secs_f64()),
            scene: self.settings.scenes.first().map(|scene| scene.id.clone()),
            preview: None,
            encoder: self.encoder.clone(),
            video_kbps: self.video_kbps,
            engine_runs: self.engine_runs,
            engine_pid: self.engine_pid,
            dropped_frames: self.overload.total,
            sources: self.sources.values().cloned().collect(),
            destinations,
        }
    }
}

/// How long units are gathered before the destinations are woken for them: about two frames, beside half a second that the encoder
/// takes with lookahead; not at all where latency was asked for.
fn gather(tune: Tune) -> Duration {
    match tune {
        Tune::Quality => Duration::from_millis(45),
        Tune::Latency => Duration::ZERO,
    }
}

fn has_sound(from: &Cursor) -> bool {
    let mut ahead = from.clone();
    while let Some(entry) = ahead.advance() {
        if entry.unit.track == Track::Audio {
            return true;
        }
    }
    false
}

fn record(
    settings: &Recording,
    tasks: &mut JoinSet<()>,
    feed: &crate::window::Feed,
    start: &SessionStart,
    stop: &watch::Receiver<Option<u64>>,
) {
    let path = settings
        .path
        .join(recording::file_name(&settings.id, jiff::Timestamp::now()));
    let (feed, start, stop) = (feed.clone(), start.clone(), stop.clone());
    let span = tracing::info_span!("recording", id = %settings.id);
    tasks.spawn(
        async move {
            info!(path = %path.display(), "recording");
            if let Err(error) = recording::record(&path, feed, start.from, start.base, stop).await {
                error!(%error, "the recording ended; the broadcast goes on");
            }
        }
        .instrument(span),
    );
}
