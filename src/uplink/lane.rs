//! A lane delivers the programme over one connection at a time, to one of its ingests by one of its uplinks. Shell around
//! `failover` (which connections), `position` (from where) and `steer` (which bitrate).
//!
//! A destination has one lane, or two with `mode = "both"`.

use super::carrier::Carriers;
use super::connection::{self, Event, Progress, Setup, Start};
use super::dial::Way;
use super::error::ConnectionError;
use super::failover::{
    Action, ConnectionId, Failover, Failure, Input, PUBLISH_ANSWER, Path, PathIndex,
};
use super::flow::Shed;
use super::position::Position;
use super::steer::{Sample, Steer};
use crate::config::{IngestUrl, Resume, Timeline};
use crate::media::MediaTime;
use crate::rtmp::PublisherSettings;
use crate::window::{Cursor, Feed};
use rustls::ClientConfig;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep_until;
use tracing::{debug, info, warn};

/// How often the status is renewed and the backlog judged.
const TICK: Duration = Duration::from_millis(250);
/// The bitrate shown is a mean over this long.
const RATE_SPAN: Duration = Duration::from_secs(3);
/// Paths of one lane, with those that servers named: a hostile one could name a new one each second.
const ROUTES_MAX: usize = 12;
/// The same trouble is logged again after this long.
const REPEAT_LOG: Duration = Duration::from_secs(30);

/// A way from the box to an ingest, with all that dialling it needs.
#[derive(Clone)]
pub struct Route {
    pub path: Path,
    pub server: IngestUrl,
    pub way: Way,
    /// The uplink's id.
    pub uplink: Option<String>,
}

#[derive(Clone)]
pub struct LaneSetup {
    /// In order of preference, at least one.
    pub routes: Vec<Route>,
    pub tls: Option<Arc<ClientConfig>>,
    pub publisher: PublisherSettings,
    pub feed: Feed,
    /// Before the keyframe to start with; None: the newest one. Taken by the first run: a cursor that is kept keeps all that
    /// lies ahead of it in memory.
    pub start: Option<Cursor>,
    /// The programme time of the session's start, for `Timeline::Continue`.
    pub base: MediaTime,
    pub hold: Duration,
    pub delay: Duration,
    pub catch_up: f64,
    pub resume: Resume,
    pub timeline: Timeline,
    /// The timestamp of the session's start, with `Timeline::Continue`.
    pub timeline_start: Duration,
    pub steer: Option<Steer>,
    pub carriers: watch::Receiver<Carriers>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LaneState {
    #[default]
    Connecting,
    OnAir,
    /// The connection is there and takes nothing.
    Stalled,
    Reconnecting,
    Ended,
}

#[derive(Clone, Debug, Default)]
pub struct LaneStatus {
    pub state: LaneState,
    pub uplink: Option<String>,
    /// Host and port.
    pub ingest: Option<String>,
    pub standby: Option<String>,
    pub bitrate_kbps: u32,
    pub round_trip: Option<Duration>,
    /// Age of the oldest unit that is not acknowledged, beyond the delay.
    pub hold_used: Duration,
    pub shed: Shed,
    pub replayed: Duration,
    /// Publishes after the first.
    pub reconnects: u32,
    /// Programme time not delivered when the lane ended.
    pub undelivered: Duration,
    pub error: Option<String>,
    pub video_kbps: Option<u32>,
}

/// Runs a lane until everything up to the unit that `stop` names is delivered, or can't be within the hold.
pub async fn run(
    setup: LaneSetup,
    mut stop: watch::Receiver<Option<u64>>,
    status: Arc<watch::Sender<LaneStatus>>,
) {
    let (events, mut inbox) = mpsc::channel(64);
    let mut lane = Lane::new(setup, stop.clone(), events, status);
    lane.carry_out(Instant::now());
    let mut carriers = lane.setup.carriers.clone();
    carriers.mark_changed();
    let mut tick = tokio::time::interval(TICK);
    while !lane.ended {
        let timeout = lane.failover.poll_timeout();
        tokio::select! {
            Some((id, event)) = inbox.recv() => lane.hear(Instant::now(), id, event),
            Ok(()) = carriers.changed() => lane.note_carriers(Instant::now(), &carriers.borrow_and_update().clone()),
            Ok(()) = stop.changed() => {
                if stop.borrow_and_update().is_some() {
                    lane.stop(Instant::now());
                }
            }
            _ = tick.tick() => lane.tick(Instant::now()),
            () = sleep_until(timeout.unwrap_or_else(Instant::now).into()), if timeout.is_some() => {
                lane.failover.handle(Instant::now(), Input::Timeout);
            }
        }
        if !lane.ended {
            lane.carry_out(Instant::now());
        }
    }
    lane.publish_status(Instant::now());
}

/// A connection's task; dropping it resets the connection.
struct Handle {
    path: PathIndex,
    starts: mpsc::Sender<Start>,
    progress: watch::Receiver<Progress>,
    /// When it was asked to publish, until it did.
    asked: Option<Instant>,
    task: JoinHandle<()>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Lane {
    setup: LaneSetup,
    failover: Failover,
    connections: HashMap<ConnectionId, Handle>,
    events: connection::Events,
    /// Connect settings that a server asked for by Adobe authentication, by ingest.
    authenticated: BTreeMap<usize, PublisherSettings>,
    position: Position,
    /// Up to which unit, and until when it is tried.
    stop: watch::Receiver<Option<u64>>,
    drain_until: Option<Instant>,
    /// The programme time at the stop.
    ends_at: MediaTime,
    ended: bool,
    published: u32,
    status: LaneStatus,
    sender: Arc<watch::Sender<LaneStatus>>,
    /// What the publish that is under way would repeat.
    attempt: Duration,
    /// Shed by connections that are gone.
    shed_before: Shed,
    rates: VecDeque<(Instant, u64)>,
    /// The last text logged of each path, and when.
    logged: BTreeMap<PathIndex, (String, Instant)>,
    /// Units shed, as told in the log.
    shed_logged: u64,
    /// Acknowledged at the last tick of a stall.
    stalled_bytes: Option<u64>,
    /// Acknowledged at the last tick.
    steered_bytes: Option<u64>,
    lost_at: Option<Instant>,
}

impl Lane {
    fn new(
        mut setup: LaneSetup,
        stop: watch::Receiver<Option<u64>>,
        events: connection::Events,
        sender: Arc<watch::Sender<LaneStatus>>,
    ) -> Self {
        let paths = setup
            .routes
            .iter()
            .map(|route| route.path.clone())
            .collect();
        let start = setup.start.take().unwrap_or_else(|| {
            let view = setup.feed.view();
            view.keyframe.unwrap_or(view.newest)
        });
        Lane {
            failover: Failover::new(Instant::now(), paths, setup.hold),
            connections: HashMap::new(),
            events,
            authenticated: BTreeMap::new(),
            position: Position::new(start),
            stop,
            drain_until: None,
            ends_at: MediaTime::ZERO,
            ended: false,
            published: 0,
            status: LaneStatus {
                video_kbps: setup.steer.as_ref().map(Steer::current),
                ..LaneStatus::default()
            },
            sender,
            attempt: Duration::ZERO,
            shed_before: Shed::default(),
            rates: VecDeque::new(),
            logged: BTreeMap::new(),
            shed_logged: 0,
            stalled_bytes: None,
            steered_bytes: None,
            lost_at: None,
            setup,
        }
    }

    fn carry_out(&mut self, now: Instant) {
        while let Some(action) = self.failover.poll_action() {
            match action {
                Action::Dial { connection, path } => self.dial(connection, path),
                Action::Publish(id) => self.publish(now, id),
                Action::Drop(id) => {
                    self.note_unanswered(now, id);
                    self.forget(id);
                }
            }
        }
    }

    fn dial(&mut self, id: ConnectionId, path: PathIndex) {
        let route = &self.setup.routes[path];
        let publisher = self
            .authenticated
            .get(&route.path.ingest)
            .cloned()
            .unwrap_or_else(|| PublisherSettings {
                app: route.server.app.clone(),
                tc_url: route.server.tc_url.clone(),
                ..self.setup.publisher.clone()
            });
        debug!(connection = id, path = %describe(route), "dialling");
        let setup = Setup {
            server: route.server.clone(),
            way: route.way.clone(),
            tls: self.setup.tls.clone().filter(|_| route.server.tls),
            publisher,
            feed: self.setup.feed.clone(),
            stop: self.stop.clone(),
            hold: self.setup.hold,
            delay: self.setup.delay,
            catch_up: self.setup.catch_up,
        };
        let (starts, inbox) = mpsc::channel(1);
        let (sender, progress) = watch::channel(Progress::default());
        let task = tokio::spawn(connection::run(
            id,
            setup,
            inbox,
            sender,
            self.events.clone(),
        ));
        self.connections.insert(
            id,
            Handle {
                path,
                starts,
                progress,
                asked: None,
                task,
            },
        );
    }

    fn publish(&mut self, now: Instant, id: ConnectionId) {
        self.note_progress();
        let horizon = self.horizon(now);
        let live = match self.setup.resume {
            Resume::Live if self.published > 0 => self.setup.feed.view().keyframe,
            _ => None,
        };
        let begin = self.position.begin(horizon, live);
        let begins = begin.from.timeline_base().unwrap_or(self.setup.base);
        let (base, timestamp_ms) = match self.setup.timeline {
            Timeline::Continue => (
                self.setup.base,
                self.setup.timeline_start.as_millis() as u64,
            ),
            Timeline::Restart => (begins, 0),
        };
        self.attempt = begin.repeated;
        let Some(handle) = self.connections.get_mut(&id) else {
            return;
        };
        handle.asked = Some(now);
        let start = Start {
            from: begin.from,
            base,
            timestamp_ms,
            begin: begins,
        };
        // A connection is asked to publish once: the channel has room.
        let _ = handle.starts.try_send(start);
    }

    /// What connections that exist have done since; a connection that goes has been noted before.
    fn note_progress(&mut self) {
        for handle in self.connections.values() {
            self.position.note(&handle.progress.borrow());
        }
    }

    fn forget(&mut self, id: ConnectionId) {
        if let Some(handle) = self.connections.remove(&id) {
            let progress = handle.progress.borrow();
            self.position.note(&progress);
            self.shed_before.add(progress.shed);
        }
    }

    /// What is older is shed.
    fn horizon(&self, now: Instant) -> MediaTime {
        self.setup.feed.time(now) - self.setup.hold - self.setup.delay
    }

    fn hear(&mut self, now: Instant, id: ConnectionId, event: Event) {
        if !self.connections.contains_key(&id) {
            return;
        }
        let input = match event {
            Event::Connected => Input::Connected(id),
            Event::Published => {
                self.on_published(now, id);
                Input::Published(id)
            }
            Event::Stalled { since } => {
                self.lost_at.get_or_insert(since);
                let path = self.path_of(id);
                self.status.error = Some(format!(
                    "{path} takes nothing of what is sent: the way to it may be down, or the server has stopped reading"
                ));
                warn!(%path, "stalled: what is sent is not acknowledged");
                Input::Stalled {
                    connection: id,
                    since,
                }
            }
            Event::Progressed => {
                let outage = self
                    .lost_at
                    .take()
                    .map(|at| now.duration_since(at).as_secs_f64());
                self.status.error = None;
                info!(path = %self.path_of(id), outage_s = outage, "moves again");
                self.status.error = None;
                Input::Progressed(id)
            }
            Event::MoveRequested { tc_url } => {
                let on_air = self
                    .failover
                    .on_air()
                    .is_some_and(|(on_air, _)| on_air == id);
                match self.move_target(now, id, tc_url) {
                    Some(path) if on_air => Input::MoveRequested(path),
                    // A standby that its server sends away has served.
                    _ if !on_air => {
                        self.forget(id);
                        Input::Closed {
                            connection: id,
                            failure: Failure::Closed,
                        }
                    }
                    _ => return,
                }
            }
            Event::Authenticate(settings) => {
                if let Some(handle) = self.connections.get(&id) {
                    let ingest = self.setup.routes[handle.path].path.ingest;
                    self.authenticated.insert(ingest, *settings);
                }
                self.forget(id);
                Input::Closed {
                    connection: id,
                    failure: Failure::Closed,
                }
            }
            Event::Finished => {
                info!(path = %self.path_of(id), "ended: everything was delivered and the server was told");
                self.forget(id);
                self.ended = true;
                Input::Closed {
                    connection: id,
                    failure: Failure::Closed,
                }
            }
            Event::Closed(error) => {
                let carried = self
                    .failover
                    .on_air()
                    .is_some_and(|(on_air, _)| on_air == id);
                if carried {
                    self.lost_at.get_or_insert(now);
                }
                self.note_error(now, id, &error, carried);
                self.forget(id);
                Input::Closed {
                    connection: id,
                    failure: error.failure(),
                }
            }
        };
        self.failover.handle(now, input);
    }

    fn on_published(&mut self, now: Instant, id: ConnectionId) {
        if let Some(handle) = self.connections.get_mut(&id) {
            handle.asked = None;
        }
        if self.published > 0 {
            self.status.reconnects += 1;
        }
        self.published += 1;
        self.status.replayed += std::mem::take(&mut self.attempt);
        self.status.error = None;
        self.logged.clear();
        let outage = self
            .lost_at
            .take()
            .map(|at| now.duration_since(at).as_secs_f64());
        info!(path = %self.path_of(id), outage_s = outage, replayed_s = self.status.replayed.as_secs_f64(), "publishing");
        self.rates.clear();
        if let Some(steer) = &mut self.setup.steer {
            steer.reset();
        }
    }

    /// The path for a server's ReconnectRequest: a new one when it names another URL, else the one it came over.
    fn move_target(
        &mut self,
        now: Instant,
        id: ConnectionId,
        tc_url: Option<String>,
    ) -> Option<PathIndex> {
        let path = self.connections.get(&id)?.path;
        let here = &self.setup.routes[path];
        let Some(tc_url) = tc_url else {
            return Some(path);
        };
        let server = match crate::config::ingest_url::resolve(&here.server, &tc_url) {
            Ok(server) => server,
            Err(reason) => {
                warn!(%reason, "the server asks us to reconnect, and we stay");
                return None;
            }
        };
        if here.server.tls && !server.tls {
            warn!(url = %server.public(), "the server asks us to reconnect without TLS, which would show the key: we stay");
            return None;
        }
        let same_uplink = |route: &&Route| route.path.uplink == here.path.uplink;
        let known = |route: &Route| route.server == server && same_uplink(&route);
        if let Some(known) = self.setup.routes.iter().position(known) {
            return Some(known);
        }
        if self.setup.routes.len() >= ROUTES_MAX {
            warn!(url = %server.public(), "the server asks us to reconnect to ever more places: we stay");
            return None;
        }
        let mut route = here.clone();
        route.path.ingest = 1 + self
            .setup
            .routes
            .iter()
            .map(|route| route.path.ingest)
            .max()
            .unwrap_or(0)
            .max(1);
        route.server = server;
        let index = self.failover.add_path(now, route.path.clone());
        self.setup.routes.push(route);
        Some(index)
    }

    fn note_carriers(&mut self, now: Instant, carriers: &Carriers) {
        let changed: BTreeMap<usize, bool> = self
            .setup
            .routes
            .iter()
            .filter_map(|route| {
                Some((
                    route.path.uplink?,
                    *carriers.get(route.way.interface.as_ref()?)?,
                ))
            })
            .collect();
        for (uplink, up) in changed {
            self.failover.handle(now, Input::Carrier { uplink, up });
        }
        if self.failover.is_stalled() {
            self.lost_at.get_or_insert(now);
        }
    }

    /// The connections have heard of the stop themselves; what is left is to look for a way out no longer than it is worth.
    fn stop(&mut self, now: Instant) {
        // Undelivered media older than the hold would be shed anyway: nothing is gained by trying longer.
        self.drain_until = Some(now + self.setup.hold + self.setup.delay);
        self.ends_at = self.setup.feed.view().time;
        self.failover.handle(now, Input::Draining);
        self.ended = self.published == 0;
    }

    fn tick(&mut self, now: Instant) {
        self.note_progress();
        self.revive(now);
        if self.failover.on_air().is_none() {
            let horizon = self.horizon(now);
            self.position.forget(horizon);
        }
        if let Some(deadline) = self.drain_until
            && now >= deadline
        {
            let reached = self.position.acknowledged().or(self.position.resume_time());
            self.status.undelivered =
                reached.map_or(Duration::ZERO, |reached| self.ends_at.since(reached));
            warn!(
                seconds = self.status.undelivered.as_secs_f64(),
                "ended with media undelivered: no way out was found in time"
            );
            self.ended = true;
        }
        self.publish_status(now);
    }

    /// A connection whose uplink lost its carrier for a moment never noticed a stall itself, so nobody but this tells that it
    /// moves again.
    fn revive(&mut self, now: Instant) {
        let carrying = self
            .failover
            .on_air()
            .and_then(|(id, _)| Some((id, self.connections.get(&id)?)));
        let Some((id, bytes, stalled)) = carrying.map(|(id, handle)| {
            let progress = handle.progress.borrow();
            (id, progress.acknowledged_bytes, progress.stalled)
        }) else {
            return;
        };
        // One that did notice tells it itself: what a kernel acknowledges for a program that has hung is no sign of life.
        if stalled || !self.failover.is_stalled() {
            self.stalled_bytes = None;
            return;
        }
        // Since the last tick, not since the stall: the last acknowledgements before it may be seen after it.
        let before = self.stalled_bytes.replace(bytes);
        if before.is_some_and(|before| bytes > before) {
            self.failover.handle(now, Input::Progressed(id));
        }
    }

    fn publish_status(&mut self, now: Instant) {
        let on_air = self.failover.on_air();
        let stalled = self.failover.is_stalled();
        self.status.state = match on_air {
            _ if self.ended => LaneState::Ended,
            Some(_) if stalled => LaneState::Stalled,
            Some(_) => LaneState::OnAir,
            None if self.published > 0 => LaneState::Reconnecting,
            None => LaneState::Connecting,
        };
        let time = self.setup.feed.time(now);
        let reached = self.position.acknowledged().or(self.position.resume_time());
        let backlog = match reached {
            // What the engine has not made does not wait.
            _ if self.position.has_all(self.setup.feed.view().newest.seq()) => Duration::ZERO,
            Some(reached) => time.since(reached).saturating_sub(self.setup.delay),
            None => Duration::ZERO,
        };
        self.status.hold_used = backlog.min(self.setup.hold);
        self.status.shed = self.shed_before;
        self.status.shed.add(self.position.shed());
        self.status.standby = self
            .failover
            .standby()
            .map(|path| describe(&self.setup.routes[path]));
        let carrying = on_air.and_then(|(id, path)| {
            Some((self.connections.get(&id)?.progress.borrow().clone(), path))
        });
        if let Some((progress, path)) = carrying {
            let route = &self.setup.routes[path];
            self.status.uplink = route.uplink.clone();
            self.status.ingest = Some(format!("{}:{}", route.server.host, route.server.port));
            self.status.round_trip = Some(progress.round_trip);
            self.status.shed.add(progress.shed);
            self.status.bitrate_kbps = self.rate(now, progress.acknowledged_bytes);
            if !stalled {
                self.steer(
                    now,
                    Sample {
                        backlog,
                        acknowledged_bytes: progress.acknowledged_bytes,
                        full: progress.full,
                    },
                );
            }
        } else {
            self.status.round_trip = None;
            self.status.bitrate_kbps = 0;
        }
        self.log_shed();
        self.sender.send_replace(self.status.clone());
    }

    /// Once for each GOP or so: the operator's last chance to do something.
    fn log_shed(&mut self) {
        let shed = self.status.shed;
        if shed.units > self.shed_logged {
            warn!(
                seconds_in_all = shed.time.as_secs_f64(),
                units_in_all = shed.units,
                "shed: older than the hold"
            );
            self.shed_logged = shed.units;
        }
    }

    fn rate(&mut self, now: Instant, bytes: u64) -> u32 {
        self.rates.push_back((now, bytes));
        while self
            .rates
            .front()
            .is_some_and(|(at, _)| now.duration_since(*at) > RATE_SPAN)
        {
            self.rates.pop_front();
        }
        let Some((from, first)) = self.rates.front() else {
            return 0;
        };
        let span = now.duration_since(*from).as_secs_f64();
        if span < 0.5 {
            0
        } else {
            (bytes.saturating_sub(*first) as f64 * 8.0 / 1000.0 / span) as u32
        }
    }

    fn steer(&mut self, now: Instant, sample: Sample) {
        let Some(steer) = &mut self.setup.steer else {
            return;
        };
        // A way that carries nothing at all is an outage, for the failover; a narrow one carries something at every tick.
        let progress = self.steered_bytes != Some(sample.acknowledged_bytes);
        self.steered_bytes = Some(sample.acknowledged_bytes);
        if !progress {
            steer.reset();
        } else if let Some(advice) = steer.sample(now, sample) {
            info!(video_kbps = advice.video_kbps, reason = %advice.reason, "bitrate advised");
            self.status.video_kbps = Some(advice.video_kbps);
        }
    }

    /// Keeps the error for the operator, and logs it once until it changes or has been silent for a while.
    fn note_error(
        &mut self,
        now: Instant,
        id: ConnectionId,
        error: &ConnectionError,
        carried: bool,
    ) {
        let Some(path) = self.connections.get(&id).map(|handle| handle.path) else {
            return;
        };
        let text = error.to_string();
        let repeated = |(logged, at): &(String, Instant)| {
            *logged == text && now.duration_since(*at) < REPEAT_LOG
        };
        if carried || !self.logged.get(&path).is_some_and(repeated) {
            if self.failover.on_air().is_some() && !carried {
                info!(path = %self.path_of(id), "standby: {text}");
            } else {
                warn!(path = %self.path_of(id), "{text}");
            }
            self.logged.insert(path, (text.clone(), now));
        }
        if carried || self.failover.on_air().is_none() {
            self.status.error = Some(text);
        }
    }

    /// A publish that is given up because nobody answered it ends in no error of its connection's.
    fn note_unanswered(&mut self, now: Instant, id: ConnectionId) {
        let Some(handle) = self.connections.get(&id) else {
            return;
        };
        let expired = |asked| now.duration_since(asked) >= PUBLISH_ANSWER;
        if handle.asked.is_some_and(expired) {
            let server = &self.setup.routes[handle.path].server;
            let address = format!("{}:{}", server.host, server.port);
            let error = ConnectionError::PublishUnanswered { address };
            self.note_error(now, id, &error, false);
        }
    }

    fn path_of(&self, id: ConnectionId) -> String {
        self.connections
            .get(&id)
            .map(|handle| describe(&self.setup.routes[handle.path]))
            .unwrap_or_default()
    }
}

fn describe(route: &Route) -> String {
    let uplink = route
        .uplink
        .as_deref()
        .map(|id| format!(" over {id}"))
        .unwrap_or_default();
    format!("{}:{}{uplink}", route.server.host, route.server.port)
}
