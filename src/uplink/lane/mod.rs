//! A lane delivers the programme over one connection at a time, to one of its ingests by one of its uplinks. Shell around
//! `failover` (which connections), `position` (from where) and `steer` (which bitrate).
//!
//! A destination has one lane, or two with `mode = "both"`.

mod routes;
mod status;
mod words;

pub use routes::Route;
pub use status::{LaneState, LaneStatus};

use super::carrier::Carriers;
use super::connection::{self, Event, Progress, Setup, Start};
use super::failover::{Action, ConnectionId, Failover, Failure, Input, PathIndex};
use super::flow::Shed;
use super::position::Position;
use super::steer::Steer;
use crate::config::{Resume, Timeline};
use crate::media::MediaTime;
use crate::rtmp::PublisherSettings;
use crate::window::{Cursor, Feed};
use routes::{Routes, Target};
use rustls::ClientConfig;
use status::Rate;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep_until;
use tracing::{debug, info, warn};

/// How often the status is renewed and the backlog judged.
const TICK: Duration = Duration::from_millis(250);

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
    routes: Routes,
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
    /// Decode time of the first unit of the first publish.
    began: Option<MediaTime>,
    status: LaneStatus,
    sender: Arc<watch::Sender<LaneStatus>>,
    /// What the publish that is under way would repeat.
    attempt: Duration,
    /// Shed by connections that are gone.
    shed_before: Shed,
    rate: Rate,
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
            routes: Routes::new(std::mem::take(&mut setup.routes)),
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
            began: None,
            status: LaneStatus {
                video_kbps: setup.steer.as_ref().map(Steer::current),
                ..LaneStatus::default()
            },
            sender,
            attempt: Duration::ZERO,
            shed_before: Shed::default(),
            rate: Rate::default(),
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
        let route = &self.routes[path];
        let publisher = self
            .authenticated
            .get(&route.path.ingest)
            .cloned()
            .unwrap_or_else(|| PublisherSettings {
                app: route.server.app.clone(),
                tc_url: route.server.tc_url.clone(),
                ..self.setup.publisher.clone()
            });
        debug!(connection = id, path = %route, "dialling");
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
        if self.published == 0 {
            self.began = begin.from.peek().map(|entry| entry.unit.dts);
        }
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
                match self.move_target(now, id, tc_url.as_deref()) {
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
                    let ingest = self.routes[handle.path].path.ingest;
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
        self.rate.clear();
        if let Some(steer) = &mut self.setup.steer {
            steer.reset();
        }
    }

    /// The path for a server's ReconnectRequest, if it is followed.
    fn move_target(
        &mut self,
        now: Instant,
        id: ConnectionId,
        tc_url: Option<&str>,
    ) -> Option<PathIndex> {
        let path = self.connections.get(&id)?.path;
        match self.routes.target(path, tc_url) {
            Target::Known(path) => Some(path),
            Target::New(path) => Some(self.failover.add_path(now, path)),
            Target::None => None,
        }
    }

    fn note_carriers(&mut self, now: Instant, carriers: &Carriers) {
        let changed: BTreeMap<usize, bool> = self
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

    fn path_of(&self, id: ConnectionId) -> String {
        self.connections
            .get(&id)
            .map(|handle| self.routes[handle.path].to_string())
            .unwrap_or_default()
    }
}
