//! The session's owner: one task that holds the engine, the window and the destinations, and takes requests through a
//! channel. Shell.
//!
//! `handle` is how others act on it, `programme` what comes in from the engine, `broadcast` what goes out, `status` what is shown.

mod broadcast;
mod handle;
mod programme;
mod status;

pub use handle::{SessionError, SessionHandle};
pub use status::{SourceStatus, Status};

use super::overload::Overload;
use super::timeline::Timeline;
use crate::bridge::report::{Alarm, Levels};
use crate::bridge::supervisor::{self, EngineHandle, EngineOutput, SupervisorSettings};
use crate::config::{Destination, EngineSpec, Settings};
use crate::media::StreamConfig;
use crate::uplink::carrier::{Carriers, watch_carriers};
use crate::window::FeedWriter;
use broadcast::Session;
use handle::Request;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tracing::info;

const TICK: Duration = Duration::from_millis(250);

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
    alarms: BTreeSet<Alarm>,
    /// When the running engine last told how its sources do.
    health_at: Option<Instant>,
    levels: Option<Levels>,
    /// Asked for and waiting for the first keyframe.
    pending: Vec<Destination>,
    session: Option<Session>,
    video_kbps: u32,
    overload: Overload,
}

impl Actor {
    fn new(settings: Settings, engine: EngineHandle, carriers: watch::Receiver<Carriers>) -> Self {
        Actor {
            writer: FeedWriter::default(),
            timeline: Timeline::new(settings.programme.fps, settings.programme.audio.sample_rate),
            config: None,
            carriers,
            encoder: None,
            engine_runs: 0,
            engine_pid: None,
            sources: BTreeMap::new(),
            alarms: BTreeSet::new(),
            health_at: None,
            levels: None,
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

    fn tick(&mut self, now: Instant) {
        self.tend_session();
        self.tend_programme(now);
    }
}
