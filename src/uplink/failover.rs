//! Which connections should exist, and which of them publishes? Pure: inputs and the time go in, actions come out.
//!
//! A lane delivers the programme over one connection at a time and has one or more paths for it, in order of preference. The
//! rules, each with its reason in DESIGN section 4:
//! - while media flows, one standby waits on the best other path;
//! - when it stops flowing, the first connection that is ready publishes, on another uplink and another ingest if there is a
//!   choice; a stalled connection stays until another has been accepted, and wins if it moves first;
//! - where the only way out is the uplink that stalled, a connection that got through proves it back, and the stalled one
//!   gets `REVIVAL` to go on by itself, for the ingest may still hold it, and that costs no publish;
//! - dials are cheap and go on all the time; publishes draw on a budget.
//!
//! This file keeps the state that inputs change; `decide` compares it with what should be.

mod api;
mod backoff;
mod decide;
#[cfg(test)]
mod tests;

pub use api::{Action, ConnectionId, Failure, Input, Path, PathIndex};
pub(super) use decide::PUBLISH_ANSWER;

use super::budget::Budget;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A fresh dial beside older ones while nothing answers: a SYN is 60 bytes, and the kernel's own would wait 1, 3, 7 s.
const REDIAL: Duration = Duration::from_millis(500);
/// A connection that lived this long was no failure of its path.
const STEADY: Duration = Duration::from_secs(2);
/// A standby that lived this long was ended by a server that does not like idle ones, and is replaced soon.
const STANDBY_STEADY: Duration = Duration::from_secs(10);
/// Attempts at a move that a server asked for before it is given up.
const MOVE_TRIES: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Dialling,
    Ready,
    Publishing,
    OnAir,
    Stalled { since: Instant },
}

impl Stage {
    /// It has the programme, moving or not.
    fn carries(self) -> bool {
        matches!(self, Stage::OnAir | Stage::Stalled { .. })
    }
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
    /// Only a move leads here.
    by_move: bool,
    next_dial: Instant,
    /// Dials refused or standbys lost in a row.
    failures: u32,
    /// Since when this path has had a standby, however often the server ended an idle one, and no trouble.
    well_since: Option<Instant>,
}

#[derive(Debug)]
struct IngestState {
    /// No publish before this.
    not_before: Instant,
    /// Publishes in a row that were not accepted.
    refusals: u32,
    budget: Budget,
}

/// Where the programme went last, and why it stopped there.
#[derive(Clone, Copy, Debug)]
struct LastOnAir {
    path: PathIndex,
    /// The path, not the ingest, was at fault.
    path_failed: bool,
}

/// A server's request to be left.
#[derive(Clone, Copy, Debug)]
struct Move {
    to: PathIndex,
    tries: u32,
}

#[derive(Debug)]
pub struct Failover {
    paths: Vec<PathState>,
    ingests: Vec<IngestState>,
    connections: Vec<Connection>,
    next_id: ConnectionId,
    last_on_air: Option<LastOnAir>,
    started: Instant,
    moving: Option<Move>,
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
            failover.push_path(now, path, false);
        }
        failover.decide(now);
        failover
    }

    /// Adds a path that only a move leads to, such as a server that a ReconnectRequest names.
    pub fn add_path(&mut self, now: Instant, path: Path) -> PathIndex {
        self.push_path(now, path, true)
    }

    fn push_path(&mut self, now: Instant, path: Path, by_move: bool) -> PathIndex {
        while self.ingests.len() <= path.ingest {
            self.ingests.push(IngestState {
                not_before: now,
                refusals: 0,
                budget: Budget::new(now),
            });
        }
        // An uplink has one carrier, whichever path tells of it.
        let lost = |p: &PathState| p.path.uplink == path.uplink && !p.carrier;
        let carrier = path.uplink.is_none() || !self.paths.iter().any(lost);
        self.paths.push(PathState {
            path,
            carrier,
            by_move,
            next_dial: now,
            failures: 0,
            well_since: None,
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
        let carries = self.connections.iter().find(|c| c.stage.carries());
        carries.map(|c| (c.id, c.path))
    }

    pub fn is_stalled(&self) -> bool {
        let stalled = |c: &Connection| matches!(c.stage, Stage::Stalled { .. });
        self.connections.iter().any(stalled)
    }

    /// The path of the standby that is ready, if there is one.
    pub fn standby(&self) -> Option<PathIndex> {
        let ready = self.connections.iter().find(|c| c.stage == Stage::Ready);
        ready.map(|c| c.path)
    }

    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Carrier { uplink, up } => self.carrier(now, uplink, up),
            Input::Connected(id) => self.connected(now, id),
            Input::Published(id) => self.published(now, id),
            Input::Stalled { connection, since } => self.stalled(now, connection, since),
            Input::Progressed(id) => self.progressed(now, id),
            Input::Closed {
                connection,
                failure,
            } => self.closed(now, connection, failure),
            Input::MoveRequested(to) => {
                if self.moving.is_none_or(|moving| moving.to != to) && to < self.paths.len() {
                    self.moving = Some(Move { to, tries: 0 });
                }
            }
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
            state.failures = 0;
            state.next_dial = now;
            state.well_since = None;
            // What was only dialled over a lost link is worth nothing, and after its return a fresh SYN is faster.
            self.drop_where(|c| c.path == index && !c.stage.carries());
            let on_air = |c: &&Connection| c.path == index && c.stage == Stage::OnAir;
            if !up && let Some(id) = self.connections.iter().find(on_air).map(|c| c.id) {
                self.enter(now, id, Stage::Stalled { since: now });
                self.lost(now, index, true);
            }
        }
    }

    fn connected(&mut self, now: Instant, id: ConnectionId) {
        let Some(path) = self.stage_of(id, Stage::Dialling) else {
            return;
        };
        self.enter(now, id, Stage::Ready);
        self.paths[path].well_since.get_or_insert(now);
        // One that is ready is enough for a path.
        self.drop_where(|c| c.path == path && c.stage == Stage::Dialling);
    }

    fn published(&mut self, now: Instant, id: ConnectionId) {
        let Some(path) = self.stage_of(id, Stage::Publishing) else {
            return;
        };
        let ingest = &mut self.ingests[self.paths[path].path.ingest];
        ingest.budget.take(now);
        ingest.refusals = 0;
        self.paths[path].failures = 0;
        // Whoever asked for a move has been left by now, or is gone.
        self.moving = None;
        self.on_air_again(now, id, path);
    }

    fn stalled(&mut self, now: Instant, id: ConnectionId, since: Instant) {
        if let Some(path) = self.stage_of(id, Stage::OnAir) {
            self.enter(now, id, Stage::Stalled { since });
            self.lost(now, path, true);
        } else if let Some(path) = self.stage_of(id, Stage::Publishing) {
            // Not even the publish arrived: a standby whose path had died. Fresh dials find out when it is back.
            self.drop_where(|c| c.id == id);
            self.paths[path].well_since = None;
            self.paths[path].next_dial = now;
            self.move_failed(path);
        }
    }

    fn progressed(&mut self, now: Instant, id: ConnectionId) {
        let stalled = |c: &&Connection| c.id == id && matches!(c.stage, Stage::Stalled { .. });
        let Some(path) = self.connections.iter().find(stalled).map(|c| c.path) else {
            return;
        };
        // What was acknowledged just before the carrier went may be read only after.
        if self.paths[path].carrier {
            self.on_air_again(now, id, path);
        }
    }

    /// The programme moves over `id`: what else carries or tries to carry it gives way, a standby elsewhere stays.
    fn on_air_again(&mut self, now: Instant, id: ConnectionId, path: PathIndex) {
        self.enter(now, id, Stage::OnAir);
        self.last_on_air = Some(LastOnAir {
            path,
            path_failed: false,
        });
        self.drop_where(|c| c.id != id && (c.stage != Stage::Ready || c.path == path));
    }

    /// The programme does not move any more: every path is wanted now, whatever was waited for.
    fn lost(&mut self, now: Instant, path: PathIndex, path_failed: bool) {
        self.last_on_air = Some(LastOnAir { path, path_failed });
        self.paths[path].well_since = None;
        for path in &mut self.paths {
            path.next_dial = path.next_dial.min(now);
            path.failures = 0;
        }
    }

    fn closed(&mut self, now: Instant, id: ConnectionId, failure: Failure) {
        let Some(at) = self.connections.iter().position(|c| c.id == id) else {
            return;
        };
        let Connection {
            path, stage, since, ..
        } = self.connections.remove(at);
        match stage {
            Stage::OnAir | Stage::Stalled { .. } => {
                self.lost(now, path, failure == Failure::NoAnswer);
                if matches!(failure, Failure::Busy | Failure::Final) {
                    self.refuse_publish(now, path, failure);
                }
            }
            Stage::Publishing => {
                self.paths[path].next_dial = now;
                self.refuse_publish(now, path, failure);
                self.move_failed(path);
            }
            Stage::Ready | Stage::Dialling => {
                let lived = now.duration_since(since);
                self.wait_to_dial(now, path, failure, stage, lived);
                self.move_failed(path);
            }
        }
        if failure == Failure::Final {
            let ingest = self.paths[path].path.ingest;
            for path in self.paths.iter_mut().filter(|p| p.path.ingest == ingest) {
                path.next_dial = now + backoff::FINAL_RETRY;
            }
        }
    }

    /// A publish was not accepted.
    fn refuse_publish(&mut self, now: Instant, path: PathIndex, failure: Failure) {
        let state = &mut self.paths[path];
        state.well_since = None;
        let ingest = &mut self.ingests[state.path.ingest];
        ingest.refusals = ingest.refusals.saturating_add(1);
        ingest.not_before = now + backoff::after_publish(failure, ingest.refusals);
    }

    /// A connection that had not been asked to publish ended after it was `lived` old in its stage.
    fn wait_to_dial(
        &mut self,
        now: Instant,
        path: PathIndex,
        failure: Failure,
        stage: Stage,
        lived: Duration,
    ) {
        let on_air = self.connections.iter().any(|c| c.stage == Stage::OnAir);
        let is_standby = on_air && self.moving.is_none();
        let steady = if is_standby { STANDBY_STEADY } else { STEADY };
        let was_steady = stage == Stage::Ready && lived >= steady;
        let state = &mut self.paths[path];
        if stage == Stage::Dialling || lived < STEADY {
            state.well_since = None;
        }
        if failure == Failure::NoAnswer && !is_standby {
            // Nothing was refused, and it may be back at any moment.
            state.next_dial = now + REDIAL.saturating_sub(lived);
            return;
        }
        state.failures = if was_steady {
            1
        } else {
            state.failures.saturating_add(1)
        };
        let wait = if is_standby {
            backoff::after_lost_standby
        } else {
            backoff::after_refusal
        };
        state.next_dial = now + wait(state.failures);
    }

    fn move_failed(&mut self, path: PathIndex) {
        if let Some(moving) = self.moving.as_mut().filter(|moving| moving.to == path) {
            moving.tries += 1;
            if moving.tries >= MOVE_TRIES {
                self.moving = None;
            }
        }
    }

    fn enter(&mut self, now: Instant, id: ConnectionId, stage: Stage) {
        if let Some(connection) = self.connections.iter_mut().find(|c| c.id == id) {
            connection.stage = stage;
            connection.since = now;
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
}
