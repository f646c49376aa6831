//! Which connections should exist, and which of them publishes? Pure: inputs and the time go in, actions come out.
//!
//! A lane delivers the programme over one connection at a time and has one or more paths for it, in order of preference. The
//! rules, each with its reason in DESIGN section 4:
//! - while media flows, one standby waits on the best other path;
//! - when it stops flowing, the first connection that is ready publishes, on another uplink and another ingest if there is a
//!   choice; a stalled connection stays until another has been accepted, and wins if it moves first;
//! - where the only way is the path that stalled, a connection that got through proves the path back, and the stalled one
//!   gets `REVIVAL` to go on by itself, for the ingest may still hold it, and that costs no publish;
//! - dials are cheap and go on all the time; publishes draw on a budget.

use super::budget::Budget;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A fresh dial beside older ones while nothing answers: a SYN is 60 bytes, and the kernel's own would wait 1, 3, 7 s.
const REDIAL: Duration = Duration::from_millis(500);
/// Dials that may be under way on one path; the oldest gives way.
const DIALS_MAX: usize = 8;
/// How long an ingest is likely to keep a silent publisher (nginx in our lab: 8 s); a stall younger than this may revive.
const PATIENCE: Duration = Duration::from_secs(8);
/// What a stalled connection needs at most to be used by the kernel once its path is back: the capped retransmission
/// interval (1 s, `TCP_RTO_MAX_MS`) and a margin.
const REVIVAL: Duration = Duration::from_millis(1200);
/// After BadName, or no answer, the same ingest is asked again this much later.
const GHOST_RETRY: Duration = Duration::from_secs(1);
/// How long a publish may stay unanswered.
const PUBLISH_ANSWER: Duration = Duration::from_secs(5);
/// At the start the backup waits this long for the primary.
const PRIMARY_FIRST: Duration = Duration::from_secs(2);
/// After a refusal that will not change by itself (wrong key).
const FINAL_RETRY: Duration = Duration::from_secs(15);
/// A connection that lived this long was no failure of its path.
const STEADY: Duration = Duration::from_secs(2);
/// Away from a metered uplink once a better path has been ready this long.
const RETURN_AFTER: Duration = Duration::from_secs(60);
/// Attempts at a move (a return, a server's request) before it is given up.
const MOVE_TRIES: u32 = 3;

pub type ConnectionId = u64;
pub type PathIndex = usize;

/// A way from the box to an ingest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Index of the uplink; None: the system's routing.
    pub uplink: Option<usize>,
    /// Index of the ingest: paths with the same number lead to the same server.
    pub ingest: usize,
    pub metered: bool,
}

/// Why a connection ended, as far as the decision needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Somebody answered and said no, or the name or the certificate is wrong: again after a short, growing wait.
    Refused,
    /// Nobody answered in time.
    NoAnswer,
    /// It was established and ended.
    Closed,
    /// The ingest still holds an earlier session on this key.
    Busy,
    /// The ingest refused and will refuse again.
    Final,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Carrier {
        uplink: usize,
        up: bool,
    },
    /// RTMP's connect was answered: ready to publish.
    Connected(ConnectionId),
    /// The ingest accepted the publish.
    Published(ConnectionId),
    Stalled {
        connection: ConnectionId,
        since: Instant,
    },
    /// Acknowledgements moved again after a stall.
    Progressed(ConnectionId),
    Closed {
        connection: ConnectionId,
        failure: Failure,
    },
    /// The server asks to be left for this path, which was added before.
    MoveRequested(PathIndex),
    /// No more standbys: what is left is being drained.
    Draining,
    Timeout,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Dial {
        connection: ConnectionId,
        path: PathIndex,
    },
    Publish(ConnectionId),
    /// Close without a word of RTMP: an aborted session must not look like a stopped one.
    Drop(ConnectionId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Dialling,
    Ready,
    Publishing,
    OnAir,
    Stalled { since: Instant },
}

#[derive(Clone, Debug)]
struct Connection {
    id: ConnectionId,
    path: PathIndex,
    stage: Stage,
    /// When it came into this stage.
    since: Instant,
}

#[derive(Debug)]
struct PathState {
    path: Path,
    carrier: bool,
    next_dial: Instant,
    refusals: u32,
}

#[derive(Debug)]
struct IngestState {
    not_before: Instant,
    budget: Budget,
}

/// Where the programme went last, and why it stopped there.
#[derive(Clone, Copy, Debug)]
struct LastOnAir {
    path: PathIndex,
    /// The path, not the ingest, was at fault.
    path_failed: bool,
}

#[derive(Debug)]
pub struct Failover {
    paths: Vec<PathState>,
    ingests: Vec<IngestState>,
    connections: Vec<Connection>,
    next_id: ConnectionId,
    last_on_air: Option<LastOnAir>,
    started: Instant,
    moving: Option<(PathIndex, u32)>,
    draining: bool,
    hold: Duration,
    actions: VecDeque<Action>,
    timeout: Option<Instant>,
}

impl Failover {
    /// `paths` in order of preference, at least one.
    /// A connection stalled for `hold` has nothing left to deliver and is dropped.
    pub fn new(now: Instant, paths: Vec<Path>, hold: Duration) -> Self {
        let mut failover = Failover {
            paths: Vec::new(),
            ingests: Vec::new(),
            connections: Vec::new(),
            next_id: 1,
            last_on_air: None,
            started: now,
            moving: None,
            draining: false,
            hold,
            actions: VecDeque::new(),
            timeout: None,
        };
        for path in paths {
            failover.add_path(now, path);
        }
        failover.decide(now);
        failover
    }

    /// Adds a path that only a move leads to, such as a server that a ReconnectRequest names.
    pub fn add_path(&mut self, now: Instant, path: Path) -> PathIndex {
        while self.ingests.len() <= path.ingest {
            self.ingests.push(IngestState {
                not_before: now,
                budget: Budget::new(now),
            });
        }
        self.paths.push(PathState {
            path,
            carrier: true,
            next_dial: now,
            refusals: 0,
        });
        self.paths.len() - 1
    }

    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When `Input::Timeout` is wanted at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timeout
    }

    /// The connection that carries the programme now, stalled or not.
    pub fn on_air(&self) -> Option<(ConnectionId, PathIndex)> {
        let on_air = self.connections.iter().find(|c| c.stage == Stage::OnAir);
        let stalled = || {
            self.connections
                .iter()
                .find(|c| matches!(c.stage, Stage::Stalled { .. }))
        };
        on_air.or_else(stalled).map(|c| (c.id, c.path))
    }

    pub fn is_stalled(&self) -> bool {
        let on_air = self.connections.iter().any(|c| c.stage == Stage::OnAir);
        !on_air
            && self
                .connections
                .iter()
                .any(|c| matches!(c.stage, Stage::Stalled { .. }))
    }

    /// The path of the standby that is ready, if there is one.
    pub fn standby(&self) -> Option<PathIndex> {
        self.connections
            .iter()
            .find(|c| c.stage == Stage::Ready)
            .map(|c| c.path)
    }

    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Carrier { uplink, up } => self.carrier(now, uplink, up),
            Input::Connected(id) => self.enter(now, id, Stage::Ready),
            Input::Published(id) => self.published(now, id),
            Input::Stalled { connection, since } => {
                if let Some(path) = self.stage_of(connection, Stage::OnAir) {
                    self.last_on_air = Some(LastOnAir {
                        path,
                        path_failed: true,
                    });
                    self.enter(now, connection, Stage::Stalled { since });
                }
            }
            Input::Progressed(id) => self.progressed(now, id),
            Input::Closed {
                connection,
                failure,
            } => self.closed(now, connection, failure),
            Input::MoveRequested(path) => self.moving = Some((path, 0)),
            Input::Draining => self.draining = true,
            Input::Timeout => {}
        }
        self.decide(now);
    }

    fn carrier(&mut self, now: Instant, uplink: usize, up: bool) {
        for index in 0..self.paths.len() {
            let state = &mut self.paths[index];
            if state.path.uplink != Some(uplink) || state.carrier == up {
                continue;
            }
            state.carrier = up;
            state.refusals = 0;
            state.next_dial = now;
            // What was only dialled over a lost link is worth nothing, and after its return a fresh SYN is faster.
            self.drop_where(|c| {
                c.path == index
                    && matches!(c.stage, Stage::Dialling | Stage::Ready | Stage::Publishing)
            });
            for connection in &mut self.connections {
                if !up && connection.path == index && connection.stage == Stage::OnAir {
                    connection.stage = Stage::Stalled { since: now };
                    connection.since = now;
                    self.last_on_air = Some(LastOnAir {
                        path: index,
                        path_failed: true,
                    });
                }
            }
        }
    }

    fn published(&mut self, now: Instant, id: ConnectionId) {
        let Some(path) = self.stage_of(id, Stage::Publishing) else {
            return;
        };
        let ingest = self.paths[path].path.ingest;
        self.ingests[ingest].budget.take(now);
        self.paths[path].refusals = 0;
        self.enter(now, id, Stage::OnAir);
        if self.moving.is_some_and(|(to, _)| to == path) {
            self.moving = None;
        }
        self.last_on_air = Some(LastOnAir {
            path,
            path_failed: false,
        });
        self.drop_where(|c| c.id != id && (c.stage != Stage::Ready || c.path == path));
    }

    fn progressed(&mut self, now: Instant, id: ConnectionId) {
        let stalled = self
            .connections
            .iter()
            .find(|c| c.id == id)
            .filter(|c| matches!(c.stage, Stage::Stalled { .. }));
        let Some(path) = stalled.map(|c| c.path) else {
            return;
        };
        self.enter(now, id, Stage::OnAir);
        self.drop_where(|c| c.id != id && (c.stage != Stage::Ready || c.path == path));
    }

    fn closed(&mut self, now: Instant, id: ConnectionId, failure: Failure) {
        let Some(at) = self.connections.iter().position(|c| c.id == id) else {
            return;
        };
        let connection = self.connections.remove(at);
        let index = connection.path;
        if let Some((to, tries)) = &mut self.moving
            && *to == index
        {
            *tries += 1;
            if *tries >= MOVE_TRIES {
                self.moving = None;
            }
        }
        let lived = now.duration_since(connection.since);
        let state = &mut self.paths[index];
        let ingest = &mut self.ingests[state.path.ingest];
        match (failure, connection.stage) {
            (Failure::Busy, _) => {
                ingest.not_before = now + GHOST_RETRY;
                state.next_dial = now;
            }
            (Failure::Final, _) => state.next_dial = now + FINAL_RETRY,
            (Failure::NoAnswer, Stage::Dialling) => {
                state.next_dial = (connection.since + REDIAL).max(now)
            }
            (Failure::NoAnswer, Stage::Publishing) => ingest.not_before = now + GHOST_RETRY,
            (_, Stage::OnAir | Stage::Stalled { .. }) => {
                self.last_on_air = Some(LastOnAir {
                    path: index,
                    path_failed: failure == Failure::NoAnswer,
                });
                state.next_dial = now;
                state.refusals = 0;
            }
            (_, Stage::Ready) if lived >= STEADY => {
                state.next_dial = now + Duration::from_millis(50)
            }
            _ => {
                state.refusals += 1;
                state.next_dial = now + refusal_backoff(state.refusals);
            }
        }
    }

    /// Compares what is with what should be, and asks for the difference.
    fn decide(&mut self, now: Instant) {
        self.timeout = None;
        self.expire_publishes(now);
        self.expire_stalls(now);
        if self.connections.iter().any(|c| c.stage == Stage::OnAir) {
            self.keep_standby(now);
        } else {
            self.recover(now);
        }
    }

    fn expire_publishes(&mut self, now: Instant) {
        let expired = |c: &Connection| {
            c.stage == Stage::Publishing && now.duration_since(c.since) >= PUBLISH_ANSWER
        };
        for connection in self.connections.clone().iter().filter(|c| expired(c)) {
            let ingest = self.paths[connection.path].path.ingest;
            self.ingests[ingest].not_before = now + GHOST_RETRY;
        }
        self.drop_where(expired);
        let ends = self
            .connections
            .iter()
            .filter(|c| c.stage == Stage::Publishing)
            .map(|c| c.since + PUBLISH_ANSWER)
            .min();
        self.wake(ends);
    }

    fn expire_stalls(&mut self, now: Instant) {
        let hold = self.hold;
        self.drop_where(
            |c| matches!(c.stage, Stage::Stalled { since } if now.duration_since(since) >= hold),
        );
        let ends = self.connections.iter().filter_map(|c| match c.stage {
            Stage::Stalled { since } => Some(since + hold),
            _ => None,
        });
        self.wake(ends.min());
    }

    /// On air and well: one standby, on the path of a move if there is one, else on the best other path.
    fn keep_standby(&mut self, now: Instant) {
        let Some((_, current)) = self.on_air() else {
            return;
        };
        let wanted = match self.moving {
            Some((path, _)) => Some(path),
            None if self.draining => None,
            None => self.best_standby(current),
        };
        self.drop_where(|c| {
            matches!(c.stage, Stage::Dialling | Stage::Ready) && Some(c.path) != wanted
        });
        let Some(wanted) = wanted else { return };
        let Some(standby) = self
            .connections
            .iter()
            .find(|c| c.path == wanted && c.stage != Stage::OnAir)
            .cloned()
        else {
            self.dial_or_wait(now, wanted);
            return;
        };
        if standby.stage != Stage::Ready {
            return;
        }
        let publish_at = if self.moving.is_some() {
            now
        } else if self.worth_returning(current, wanted) {
            standby.since + RETURN_AFTER
        } else {
            return;
        };
        let publish_at = publish_at.max(self.ingest_allows(now, wanted));
        if publish_at <= now {
            self.publish(now, standby.id);
        } else {
            self.wake(Some(publish_at));
        }
    }

    /// Away from a metered uplink, to an ingest that does not hold our own live session.
    fn worth_returning(&self, current: PathIndex, to: PathIndex) -> bool {
        let (here, there) = (&self.paths[current].path, &self.paths[to].path);
        to < current && here.metered && !there.metered && here.ingest != there.ingest
    }

    /// Not on air: dial every path, publish on the best connection that is ready and may.
    fn recover(&mut self, now: Instant) {
        for path in 0..self.paths.len() {
            if self.redirect_only(path) || !self.paths[path].carrier {
                continue;
            }
            let on_path =
                |c: &&Connection| c.path == path && !matches!(c.stage, Stage::Stalled { .. });
            if self
                .connections
                .iter()
                .filter(on_path)
                .any(|c| c.stage != Stage::Dialling)
            {
                continue;
            }
            self.dial_more(now, path);
        }
        let waits_for = |failover: &Self, ingest| {
            failover.connections.iter().any(|c| {
                c.stage == Stage::Publishing && failover.paths[c.path].path.ingest == ingest
            })
        };
        let mut ready: Vec<Connection> = self
            .connections
            .iter()
            .filter(|c| c.stage == Stage::Ready)
            .cloned()
            .collect();
        ready.sort_by_key(|c| self.rank(c.path));
        for connection in ready {
            let ingest = self.paths[connection.path].path.ingest;
            let another_asked = self
                .connections
                .iter()
                .filter(|c| c.stage == Stage::Publishing)
                .map(|c| c.since)
                .max();
            if waits_for(self, ingest) {
                continue;
            }
            // An ingest that does not answer the publish at once may be holding a ghost: the other gets its chance.
            let after_other = another_asked.map_or(now, |since| since + GHOST_RETRY);
            let at = self.may_publish_at(now, &connection).max(after_other);
            if at <= now {
                self.publish(now, connection.id);
            } else {
                self.wake(Some(at));
            }
        }
    }

    /// Paths that a move added are dialled only by that move, except when the programme was there last.
    fn redirect_only(&self, path: PathIndex) -> bool {
        let last = self.last_on_air.map(|last| last.path);
        self.paths[path].path.ingest > 1 && last != Some(path)
    }

    /// Lower is better: not the uplink that failed, not the ingest that may hold our ghost, then the order given.
    fn rank(&self, path: PathIndex) -> (bool, bool, PathIndex) {
        let Some(last) = self.last_on_air else {
            return (false, false, path);
        };
        let (failed, here) = (&self.paths[last.path].path, &self.paths[path].path);
        let same_uplink = last.path_failed && here.uplink == failed.uplink;
        (same_uplink, here.ingest == failed.ingest, path)
    }

    fn best_standby(&self, current: PathIndex) -> Option<PathIndex> {
        let here = &self.paths[current].path;
        let usable =
            |p: &PathIndex| *p != current && self.paths[*p].carrier && !self.redirect_only(*p);
        (0..self.paths.len()).filter(usable).min_by_key(|p| {
            let there = &self.paths[*p].path;
            (there.uplink == here.uplink, there.ingest == here.ingest, *p)
        })
    }

    fn may_publish_at(&self, now: Instant, connection: &Connection) -> Instant {
        let path = connection.path;
        let mut at = self.ingest_allows(now, path);
        if self.last_on_air.is_none() && path != 0 && self.paths[0].carrier {
            at = at.max(self.started + PRIMARY_FIRST);
        }
        for stalled in &self.connections {
            if let Stage::Stalled { since } = stalled.stage
                && stalled.path == path
                && connection.since.duration_since(since) < PATIENCE
            {
                at = at.max(connection.since + REVIVAL);
            }
        }
        at
    }

    fn ingest_allows(&self, now: Instant, path: PathIndex) -> Instant {
        let ingest = &self.ingests[self.paths[path].path.ingest];
        ingest.not_before.max(ingest.budget.available_at(now))
    }

    fn publish(&mut self, now: Instant, id: ConnectionId) {
        self.enter(now, id, Stage::Publishing);
        self.wake(Some(now + PUBLISH_ANSWER));
        self.actions.push_back(Action::Publish(id));
    }

    /// A fresh dial when the newest on this path is `REDIAL` old.
    fn dial_more(&mut self, now: Instant, path: PathIndex) {
        let dialling = |c: &&Connection| c.path == path && c.stage == Stage::Dialling;
        let newest = self
            .connections
            .iter()
            .filter(dialling)
            .map(|c| c.since)
            .max();
        let Some(newest) = newest else {
            self.dial_or_wait(now, path);
            return;
        };
        if newest + REDIAL > now {
            self.wake(Some(newest + REDIAL));
            return;
        }
        if self.connections.iter().filter(dialling).count() >= DIALS_MAX
            && let Some(oldest) = self.connections.iter().find(dialling).map(|c| c.id)
        {
            self.drop_where(|c| c.id == oldest);
        }
        self.dial(now, path);
    }

    fn dial_or_wait(&mut self, now: Instant, path: PathIndex) {
        if self.paths[path].next_dial <= now {
            self.dial(now, path);
        } else {
            self.wake(Some(self.paths[path].next_dial));
        }
    }

    fn dial(&mut self, now: Instant, path: PathIndex) {
        let id = self.next_id;
        self.next_id += 1;
        self.connections.push(Connection {
            id,
            path,
            stage: Stage::Dialling,
            since: now,
        });
        self.actions.push_back(Action::Dial {
            connection: id,
            path,
        });
        self.wake(Some(now + REDIAL));
    }

    fn enter(&mut self, now: Instant, id: ConnectionId, stage: Stage) {
        if let Some(connection) = self.connections.iter_mut().find(|c| c.id == id) {
            connection.stage = stage;
            connection.since = now;
            if stage == Stage::Ready {
                // One that is ready is enough for a path.
                let path = connection.path;
                self.drop_where(|c| c.id != id && c.path == path && c.stage == Stage::Dialling);
            }
        }
    }

    fn stage_of(&self, id: ConnectionId, stage: Stage) -> Option<PathIndex> {
        self.connections
            .iter()
            .find(|c| c.id == id && c.stage == stage)
            .map(|c| c.path)
    }

    fn drop_where(&mut self, unwanted: impl Fn(&Connection) -> bool) {
        self.connections.retain(|connection| {
            let drop = unwanted(connection);
            if drop {
                self.actions.push_back(Action::Drop(connection.id));
            }
            !drop
        });
    }

    fn wake(&mut self, at: Option<Instant>) {
        self.timeout = match (self.timeout, at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

/// 50, 100, 200 ms and then every 200 ms for some seconds, since a server that restarts is back within them; then doubling to 3 s.
fn refusal_backoff(refusals: u32) -> Duration {
    let ms = match refusals {
        0 | 1 => 50,
        2 => 100,
        3..=25 => 200,
        more => 200u64.saturating_mul(1 << (more - 25).min(4)),
    };
    Duration::from_millis(ms.min(3000))
}
