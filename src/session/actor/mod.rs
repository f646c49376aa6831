//! The session's owner: one task that holds the engine, the window and the destinations, and takes requests through a
//! channel. Shell.
//!
//! `handle` is how others act on it and `requests` what becomes of that; `programme` is what comes in from the engine, `broadcast`
//! and `recordings` what goes out, as the pure `control` decides; `memory` is what is written down, `status` what is shown.

mod broadcast;
mod handle;
mod memory;
mod mix;
mod programme;
mod record;
mod recordings;
mod reload;
mod requests;
mod status;
mod terms;

pub use handle::{Anyway, SessionError, SessionHandle, StartAsk, StopAsk};
pub use mix::{Look, Looking, Thumbnails};
pub use reload::Applies;
pub use status::{DestinationView, RecordingView, SourceStatus, Status};

use super::air::Air;
use super::clock::{self, Clock};
use super::control::{Control, RunId, Terms};
use super::event::Totals;
use super::intake;
use super::journal::Journal;
use super::keys::{Keyring, Memory, Secrets};
use super::overload::Overload;
use super::timeline::Timeline;
use crate::bridge::report::{Alarm, Levels};
use crate::bridge::supervisor::{self, EngineHandle, EngineOutput, SupervisorSettings};
use crate::config::{EngineSpec, Settings, Tune};
use crate::media::StreamConfig;
use crate::store::{SessionRow, Store, Vault};
use crate::uplink::carrier::{Carriers, watch_carriers};
use crate::window::{Feed, FeedWriter};
use broadcast::Session;
use handle::Request;
use memory::Found;
use recordings::Recordings;
use requests::Answers;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;
use tracing::{error, info};

/// An operator is to see within 150 ms what changed.
const TICK: Duration = Duration::from_millis(100);

/// Starts the engine and the session's actor, and goes on with what was on air when the process before this one ended. Both end
/// when every handle is dropped. Without a memory nothing outlives the process.
pub async fn start(settings: Settings, memory: Option<Memory>) -> io::Result<SessionHandle> {
    let settings = Arc::new(settings);
    // First of all: it takes the longest.
    let (engine, engine_output) = start_engine(&settings)?;
    let carriers = carriers(&settings).await?;
    let (store, vault, mut notices) = match memory {
        Some(memory) => (Some(memory.store), memory.vault, memory.notices),
        None => {
            let vault = Vault::passing().map_err(io::Error::other)?;
            (None, vault, Vec::new())
        }
    };
    let keyring = Keyring::new(store.clone(), vault);
    let found = match &store {
        Some(store) => Found::look(&keyring, store, &settings).await,
        None => Ok(None),
    };
    let found = found.unwrap_or_else(|notice| {
        notices.push(notice);
        None
    });
    let (requests, inbox) = mpsc::channel(16);
    let journal = Journal::new(store.clone());
    let mut actor = Actor::new(
        Arc::clone(&settings),
        engine,
        carriers,
        store.clone(),
        journal,
        keyring.clone(),
    );
    actor.notices = notices;
    if let Some(found) = found {
        actor.resume(found);
        actor.carry_out(Instant::now());
    }
    memory::tell_notices(&actor.notices);
    let entries = actor.journal.listen();
    let thumbnails = actor.desk.thumbnails();
    let (sender, status) = watch::channel(actor.status(Instant::now(), clock::moment()));
    let shown = Shown {
        status: sender,
        settings: watch::channel(settings).0,
        programme: watch::channel(actor.programme.feed()).0,
        levels: watch::channel(None).0,
    };
    let handle = SessionHandle {
        requests,
        status,
        settings: shown.settings.subscribe(),
        programme: shown.programme.subscribe(),
        levels: shown.levels.subscribe(),
        keyring,
        store,
        entries,
        thumbnails,
        lookers: Arc::default(),
    };
    tokio::spawn(actor.run(inbox, engine_output, shown));
    Ok(handle)
}

fn start_engine(settings: &Settings) -> io::Result<(EngineHandle, mpsc::Receiver<EngineOutput>)> {
    let (output, engine_output) = mpsc::channel(256);
    let engine = supervisor::start(SupervisorSettings::new(spec(settings))?, output);
    Ok((engine, engine_output))
}

fn spec(settings: &Settings) -> EngineSpec {
    EngineSpec {
        programme: settings.programme.clone(),
        sources: settings.sources.clone(),
        scenes: settings.scenes.clone(),
        titles: settings.titles.clone(),
        overlays: settings.overlays.clone(),
    }
}

/// Whether the engine's slate may be wanted: for a guard's close, or for a dump.
fn wants_slate(settings: &Settings) -> bool {
    let limited = |terms: &Terms| terms.limits.limit.is_some();
    !settings.window.delay.is_zero() || terms::of(settings).iter().any(limited)
}

async fn carriers(settings: &Settings) -> io::Result<watch::Receiver<Carriers>> {
    let interfaces = settings.uplinks.iter();
    watch_carriers(interfaces.map(|uplink| uplink.interface.clone()).collect()).await
}

/// What others see of the actor.
struct Shown {
    status: watch::Sender<Status>,
    settings: watch::Sender<Arc<Settings>>,
    /// The programme as it is made.
    programme: watch::Sender<Feed>,
    /// As often as they come; None: no engine runs.
    levels: watch::Sender<Option<Levels>>,
}

struct Actor {
    settings: Arc<Settings>,
    control: Control,
    /// The keys that runs publish with, and those of the sessions after.
    secrets: Secrets,
    clock: Clock,
    store: Option<Store>,
    journal: Journal,
    keyring: Keyring,

    engine: EngineHandle,
    /// For what is pushed to this engine; None: no source of it is pushed to.
    intake: Option<intake::Listening>,
    /// The engine has given units, and none has been missed since.
    engine_gives: bool,
    engine_lost: Option<Instant>,
    engine_runs: u64,
    engine_pid: Option<u32>,
    encoder: Option<String>,
    alarms: BTreeSet<Alarm>,
    /// When the running engine last told how its sources do.
    health_at: Option<Instant>,
    levels: Option<Levels>,
    desk: mix::Desk,
    video_kbps: u32,
    overload: Overload,
    sources: BTreeMap<String, SourceStatus>,

    timeline: Timeline,
    config: Option<Arc<StreamConfig>>,
    /// As it is made: recordings read this.
    programme: FeedWriter,
    air: Air,
    /// As it goes out: destinations read this.
    on_air: FeedWriter,
    /// A dump was asked for, and its slate is out.
    dumping: bool,
    covered: bool,

    carriers: watch::Receiver<Carriers>,
    session: Option<Session>,
    /// Recordings of sessions that are over, until the last of them is on the disk.
    closing: Vec<Recordings>,
    /// Recordings that somebody asked for, by their ids.
    by_hand: BTreeMap<String, Recordings>,
    /// Those of them that are over, until they are on the disk.
    closing_by_hand: Vec<Recordings>,
    ended_at: Option<Instant>,
    /// What the operator should know, until the next start.
    notices: Vec<String>,
    answers: Answers,
    last_id: i64,
    last_elapsed: Duration,
    sampled: Option<Instant>,
    saved: Option<Instant>,
    /// The session's row as it was last written.
    row: Option<SessionRow>,
    /// Of runs that go on, from the processes before.
    totals_before: BTreeMap<RunId, Totals>,
    /// Settings that are taken as soon as nothing is on air.
    waiting: Option<Arc<Settings>>,
}

/// The scene that closes. Where everything is delayed that long that the audience would see it after the end, or hardly, it is the
/// slate, which is put in the place of what waits.
fn closing_scene(settings: &Settings) -> Option<String> {
    let session = &settings.session;
    let seen = session.closing.saturating_sub(settings.window.delay);
    session
        .closing_scene
        .clone()
        .filter(|_| seen * 2 >= session.closing)
}

/// How long units are gathered before the destinations are woken for them: about a frame, beside half a second that the encoder
/// takes with lookahead; not at all where latency was asked for.
fn gather(tune: Tune) -> Duration {
    match tune {
        Tune::Quality => Duration::from_millis(30),
        Tune::Latency => Duration::ZERO,
    }
}

impl Actor {
    fn new(
        settings: Arc<Settings>,
        engine: EngineHandle,
        carriers: watch::Receiver<Carriers>,
        store: Option<Store>,
        journal: Journal,
        keyring: Keyring,
    ) -> Self {
        let terms = terms::of(&settings);
        let gather = gather(settings.programme.video.tune);
        if wants_slate(&settings) {
            engine.want_slate();
        }
        Actor {
            control: Control::new(terms).closing_with(closing_scene(&settings)),
            secrets: Secrets::new(),
            clock: Clock::of_this_boot(),
            journal,
            store,
            intake: intake::start(&settings, keyring.clone(), engine.inlet()),
            keyring,
            engine,
            engine_gives: false,
            engine_lost: None,
            engine_runs: 0,
            engine_pid: None,
            encoder: None,
            alarms: BTreeSet::new(),
            health_at: None,
            levels: None,
            desk: mix::Desk::default(),
            video_kbps: settings.programme.video.bitrate_kbps,
            overload: Overload::default(),
            sources: BTreeMap::new(),
            timeline: Timeline::new(settings.programme.fps, settings.programme.audio.sample_rate),
            config: None,
            programme: FeedWriter::gathering(gather),
            air: Air::new(settings.window.delay),
            on_air: FeedWriter::gathering(gather),
            dumping: false,
            covered: false,
            carriers,
            session: None,
            closing: Vec::new(),
            by_hand: BTreeMap::new(),
            closing_by_hand: Vec::new(),
            ended_at: None,
            notices: Vec::new(),
            answers: Answers::default(),
            last_id: 0,
            last_elapsed: Duration::ZERO,
            sampled: None,
            saved: None,
            row: None,
            totals_before: BTreeMap::new(),
            waiting: None,
            settings,
        }
    }

    async fn run(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        mut engine: mpsc::Receiver<EngineOutput>,
        shown: Shown,
    ) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            let due = self.air.poll_timeout();
            tokio::select! {
                Some(output) = engine.recv() => {
                    self.take(Instant::now(), output);
                    shown.levels.send_if_modified(|levels| self.renew_levels(levels));
                    // Whoever gave a mix command looks at the status next.
                    if std::mem::take(&mut self.desk.changed) {
                        self.publish(&shown.status);
                    }
                }
                request = requests.recv() => match request {
                    Some(request) => self.answer(request, &shown.status),
                    None => break,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {
                    self.air_what_is_due(Instant::now());
                }
                _ = tick.tick() => {
                    self.tick(Instant::now());
                    self.publish(&shown.status);
                }
            }
            self.carry_out(Instant::now());
            if let Some(settings) = self.may_reload() {
                self = self.reload(settings, &mut engine, &shown).await;
            }
        }
        self.engine.stop();
    }

    /// True: they are others than those shown.
    fn renew_levels(&self, shown: &mut Option<Levels>) -> bool {
        let renewed = *shown != self.levels;
        if renewed {
            shown.clone_from(&self.levels);
        }
        renewed
    }

    fn tick(&mut self, now: Instant) {
        let moment = clock::moment();
        if self.control.session().is_some() {
            self.last_elapsed = self.control.elapsed(moment);
        }
        self.tend_session(now);
        self.control.tick(moment);
        self.carry_out(now);
        self.tend_programme(now);
        self.tend_recordings();
        self.tend_mix(now);
        self.keep_account(now);
    }

    fn publish(&self, status: &watch::Sender<Status>) {
        let new = self.status(Instant::now(), clock::moment());
        let state = new.state;
        let old = status.send_replace(new);
        if old.state != state {
            info!("{} → {state}", old.state);
            if !old.state.may_become(state) {
                error!(
                    "a fault of ours: {} may not become {state}; please report it",
                    old.state
                );
            }
        }
    }
}
