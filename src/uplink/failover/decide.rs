//! Compares the connections that are with those that should be, and asks for the difference. Pure.

use super::backoff::GHOST_RETRY;
use super::{Action, Connection, ConnectionId, Failover, Failure, PathIndex, REDIAL, Stage};
use std::time::{Duration, Instant};

/// Dials that may be under way on one path; the oldest gives way. With `REDIAL` it gets 8 s, in which a path with a second and
/// a half of round trip comes through TCP, TLS and RTMP.
const DIALS_MAX: usize = 16;
/// How long an ingest is likely to keep a silent publisher (nginx in our lab: 8 s); a stall younger than this may revive.
const PATIENCE: Duration = Duration::from_secs(8);
/// What a stalled connection needs at most to be used by the kernel once its path is back: the capped retransmission
/// interval (1 s, `TCP_RTO_MAX_MS`) and a margin.
const REVIVAL: Duration = Duration::from_millis(1200);
/// How long a publish may stay unanswered.
pub(in crate::uplink) const PUBLISH_ANSWER: Duration = Duration::from_secs(5);
/// At the start the backup waits this long for the primary.
const PRIMARY_FIRST: Duration = Duration::from_secs(2);
/// Away from a metered uplink once a better path has been well for this long.
const RETURN_AFTER: Duration = Duration::from_secs(60);

impl Failover {
    pub(super) fn decide(&mut self, now: Instant) {
        self.timeout = None;
        self.expire_publishes(now);
        self.expire_stalls(now);
        let on_air = self.connections.iter().find(|c| c.stage == Stage::OnAir);
        match on_air.map(|c| c.path) {
            Some(current) => self.keep_standby(now, current),
            None => self.recover(now),
        }
    }

    fn expire_publishes(&mut self, now: Instant) {
        let unanswered: Vec<(ConnectionId, PathIndex)> = self
            .publishing()
            .filter(|c| c.since + PUBLISH_ANSWER <= now)
            .map(|c| (c.id, c.path))
            .collect();
        for (id, path) in unanswered {
            self.drop_where(|c| c.id == id);
            self.refuse_publish(now, path, Failure::NoAnswer);
            self.move_failed(path);
        }
        let ends = self.publishing().map(|c| c.since + PUBLISH_ANSWER).min();
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
    fn keep_standby(&mut self, now: Instant, current: PathIndex) {
        self.moving = self
            .moving
            .filter(|moving| !self.draining && self.paths[moving.to].carrier);
        let wanted = match self.moving {
            Some(moving) => Some(moving.to),
            None if self.draining => None,
            None => self.best_standby(current),
        };
        self.drop_where(|c| {
            matches!(c.stage, Stage::Dialling | Stage::Ready) && Some(c.path) != wanted
        });
        let Some(wanted) = wanted else { return };
        let standby = self
            .connections
            .iter()
            .find(|c| c.path == wanted && c.stage != Stage::OnAir);
        let Some((id, stage)) = standby.map(|c| (c.id, c.stage)) else {
            self.dial_or_wait(now, wanted);
            return;
        };
        // One publish at a time: a server may ask to be left twice.
        let asked = self.publishing().next().is_some();
        let wanted_at = match (stage, self.moving) {
            (Stage::Ready, Some(_)) if !asked => Some(now),
            (Stage::Ready, None) if !asked => self.return_at(current, wanted),
            _ => None,
        };
        if let Some(at) = wanted_at {
            self.publish_at(now, id, at.max(self.ingest_allows(now, wanted)));
        }
    }

    /// Away from a metered uplink, to an ingest that does not hold our own live session.
    fn return_at(&self, current: PathIndex, to: PathIndex) -> Option<Instant> {
        let (here, there) = (&self.paths[current].path, &self.paths[to].path);
        let better = to < current && here.metered && !there.metered && here.ingest != there.ingest;
        let since = self.paths[to].well_since.filter(|_| better)?;
        Some(since + RETURN_AFTER)
    }

    /// Not on air: dial every path, publish on the best connection that is ready and may.
    fn recover(&mut self, now: Instant) {
        for path in 0..self.paths.len() {
            if self.usable(path) && !self.is_connected(path) {
                self.dial_more(now, path);
            }
        }
        let mut ready: Vec<(ConnectionId, PathIndex)> = self
            .connections
            .iter()
            .filter(|c| c.stage == Stage::Ready)
            .map(|c| (c.id, c.path))
            .collect();
        ready.sort_by_key(|(_, path)| self.rank(*path));
        for (id, path) in ready {
            let ingest = self.paths[path].path.ingest;
            if self
                .publishing()
                .any(|c| self.paths[c.path].path.ingest == ingest)
            {
                continue;
            }
            // An ingest that does not answer the publish at once may be holding a ghost: the other gets its chance.
            let another_asked = self.publishing().map(|c| c.since + GHOST_RETRY).max();
            let at = self.may_publish_at(now, id, path);
            self.publish_at(now, id, another_asked.map_or(at, |asked| asked.max(at)));
        }
    }

    /// Can be dialled, and a standby or a recovery may use it: not one that only a move leads to, unless the programme was
    /// there last.
    fn usable(&self, path: PathIndex) -> bool {
        let state = &self.paths[path];
        let last = self.last_on_air.map(|last| last.path);
        let moving = self.moving.map(|moving| moving.to);
        state.carrier && (!state.by_move || last == Some(path) || moving == Some(path))
    }

    fn is_connected(&self, path: PathIndex) -> bool {
        self.connections
            .iter()
            .any(|c| c.path == path && matches!(c.stage, Stage::Ready | Stage::Publishing))
    }

    fn publishing(&self) -> impl Iterator<Item = &Connection> {
        self.connections
            .iter()
            .filter(|c| c.stage == Stage::Publishing)
    }

    /// Lower is better: not the uplink that failed, not the ingest that may hold our ghost, then the order given.
    pub(super) fn rank(&self, path: PathIndex) -> (bool, bool, PathIndex) {
        let Some(last) = self.last_on_air else {
            return (false, false, path);
        };
        let (failed, here) = (&self.paths[last.path].path, &self.paths[path].path);
        let same_uplink = last.path_failed && here.uplink == failed.uplink;
        (same_uplink, here.ingest == failed.ingest, path)
    }

    fn best_standby(&self, current: PathIndex) -> Option<PathIndex> {
        let here = &self.paths[current].path;
        (0..self.paths.len())
            .filter(|path| *path != current && self.usable(*path))
            .min_by_key(|path| {
                let there = &self.paths[*path].path;
                (
                    there.uplink == here.uplink,
                    there.ingest == here.ingest,
                    *path,
                )
            })
    }

    fn may_publish_at(&self, now: Instant, id: ConnectionId, path: PathIndex) -> Instant {
        let mut at = self.ingest_allows(now, path);
        if self.last_on_air.is_none() && path != 0 && self.paths[0].carrier {
            at = at.max(self.started + PRIMARY_FIRST);
        }
        let ready_at = self.connections.iter().find(|c| c.id == id);
        let stalled = self.connections.iter().find_map(|c| match c.stage {
            Stage::Stalled { since } => Some((c.path, since)),
            _ => None,
        });
        if let (Some(ready_at), Some((stalled, since))) = (ready_at.map(|c| c.since), stalled)
            && self.paths[stalled].path.uplink == self.paths[path].path.uplink
            && ready_at > since
            && ready_at.duration_since(since) < PATIENCE
        {
            at = at.max(ready_at + REVIVAL);
        }
        at
    }

    fn ingest_allows(&self, now: Instant, path: PathIndex) -> Instant {
        let ingest = &self.ingests[self.paths[path].path.ingest];
        ingest.not_before.max(ingest.budget.available_at(now))
    }

    fn publish_at(&mut self, now: Instant, id: ConnectionId, at: Instant) {
        if at > now {
            self.wake(Some(at));
            return;
        }
        self.enter(now, id, Stage::Publishing);
        self.wake(Some(now + PUBLISH_ANSWER));
        self.actions.push_back(Action::Publish(id));
    }

    /// A fresh dial when the newest on this path is `REDIAL` old.
    fn dial_more(&mut self, now: Instant, path: PathIndex) {
        let dialling = |c: &&Connection| c.path == path && c.stage == Stage::Dialling;
        // In the order of dialling.
        let under_way: Vec<(ConnectionId, Instant)> = self
            .connections
            .iter()
            .filter(dialling)
            .map(|c| (c.id, c.since))
            .collect();
        let Some((_, newest)) = under_way.last() else {
            self.dial_or_wait(now, path);
            return;
        };
        if *newest + REDIAL > now {
            self.wake(Some(*newest + REDIAL));
            return;
        }
        if under_way.len() >= DIALS_MAX {
            let oldest = under_way[0].0;
            self.drop_where(|c| c.id == oldest);
        }
        self.dial(now, path);
    }

    fn dial_or_wait(&mut self, now: Instant, path: PathIndex) {
        let at = self.paths[path].next_dial;
        if at <= now {
            self.dial(now, path);
        } else {
            self.wake(Some(at));
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

    fn wake(&mut self, at: Option<Instant>) {
        self.timeout = match (self.timeout, at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}
