//! The world around a `Failover`: uplinks that go dark, ingests that refuse, hold on or fall silent, TCP's retransmissions, and
//! the judge who watches every action. Time is counted in steps; nothing sleeps and no clock is read but for one first moment.

use super::super::{Action, ConnectionId, Failover, Failure, Input, Path, PathIndex};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub const STEP: Duration = Duration::from_millis(10);
/// TCP, TLS 1.3, RTMP's handshake and connect.
const DIAL_ROUND_TRIPS: u32 = 5;
/// As in the shell around `Failover`.
const DIAL_TIMEOUT: Duration = Duration::from_secs(8);
/// Without an answer an idle connection ends.
const KEEP_ALIVE: Duration = Duration::from_secs(11);
const STALL_AFTER: Duration = Duration::from_millis(1500);
const RETRANSMISSION: Duration = Duration::from_millis(200);
/// With `TCP_RTO_MAX_MS`.
const RETRANSMISSION_MAX: Duration = Duration::from_secs(1);
/// Sixteen dials, one ready or publishing, one stalled.
const CONNECTIONS_PER_PATH: usize = 18;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Well,
    /// Nobody listens: connections are reset, dials refused.
    Down,
    /// Its packets are lost.
    Dark,
    /// Accepts, and then reads nothing.
    Deaf,
    /// Takes a connect and never answers a publish.
    Mute,
    /// Answers every publish with BadName.
    Busy,
    /// Closes instead of answering a publish.
    Rude,
    /// The key is wrong.
    Final,
    /// Ends a connection that waits for a publish after 200 ms.
    Impatient,
    /// The same after 20 s.
    Tidy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// What the uplink carries is lost behind the box.
    Dark(usize),
    Lit(usize),
    Carrier(usize, bool),
    Ingest(usize, Mode),
    /// The ingest resets the connection that carries the programme.
    Reset(usize),
    /// The server on air asks to be left for a path of the table.
    Move(PathIndex),
    /// The same, for this ingest, over the uplink in use.
    MoveToNew(usize),
    Stop,
}

/// What an ingest does about a second publisher on a key.
#[derive(Clone, Copy, Debug)]
pub enum Ghosts {
    /// Refuses until the first is gone: at once when told by a reset, else after so long without a byte.
    Hold(Duration),
    /// Refuses for so long after the first is gone, told or not.
    HoldAlways(Duration),
    /// The newcomer takes over.
    TakeOver,
}

#[derive(Clone, Debug)]
struct Ingest {
    mode: Mode,
    ghosts: Ghosts,
    /// Who publishes, and when it was last heard; `gone`: since when it is known to be gone.
    holder: Option<(ConnectionId, Instant)>,
    gone: Option<Instant>,
}

#[derive(Clone, Debug)]
enum Net {
    Syn {
        next: Instant,
        interval: Duration,
    },
    Handshake {
        left: Duration,
    },
    /// `heard`: when a keep-alive was last answered.
    Ready {
        since: Instant,
        heard: Instant,
    },
    /// The publish is under way; `answer`: when the ingest's word is back, once it has arrived there.
    Publish {
        sent: Instant,
        answer: Option<Instant>,
        told: bool,
    },
    OnAir {
        progress: Instant,
        told: bool,
    },
}

#[derive(Clone, Debug)]
struct Peer {
    path: PathIndex,
    dialled: Instant,
    net: Net,
    /// When TCP tries again, and after which interval, while its path is dark.
    retry: Option<(Instant, Duration)>,
}

impl Peer {
    /// Whether bytes move, given what the path does now: after a dark time only with TCP's next retransmission.
    fn moves(&mut self, now: Instant, up: bool) -> bool {
        match self.retry {
            None if up => true,
            None => {
                self.retry = Some((now + RETRANSMISSION, RETRANSMISSION));
                false
            }
            Some((at, _)) if now < at => false,
            Some(_) if up => {
                self.retry = None;
                true
            }
            Some((_, interval)) => {
                let interval = (interval * 2).min(RETRANSMISSION_MAX);
                self.retry = Some((now + interval, interval));
                false
            }
        }
    }
}

/// A publish that an ingest accepted.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    pub at: Duration,
    pub ingest: usize,
}

pub struct World {
    start: Instant,
    pub now: Instant,
    round_trip: Duration,
    hold: Duration,
    paths: Vec<Path>,
    /// Paths that were there from the start.
    configured: usize,
    lit: Vec<bool>,
    carrier: Vec<bool>,
    ingests: Vec<Ingest>,
    peers: BTreeMap<ConnectionId, Peer>,
    pub failover: Failover,
    moving: bool,
    pub accepted: Vec<Published>,
    /// Publishes asked for, accepted or not.
    pub asked: Vec<(Duration, usize)>,
    pub dials: Vec<(Duration, PathIndex)>,
    /// Moments at which media moved.
    pub moved: Vec<Duration>,
    /// Since when no path that is up has been tended, while off the air.
    idle: Option<Instant>,
    pub longest_idle: Duration,
}

impl World {
    pub fn new(paths: &[Path], round_trip: Duration, ghosts: Ghosts) -> Self {
        let start = Instant::now();
        let hold = Duration::from_secs(30);
        let ingest = Ingest {
            mode: Mode::Well,
            ghosts,
            holder: None,
            gone: None,
        };
        let mut world = World {
            start,
            now: start,
            round_trip,
            hold,
            lit: vec![true; 4],
            carrier: vec![true; 4],
            ingests: vec![ingest; 4],
            peers: BTreeMap::new(),
            failover: Failover::new(start, paths.to_vec(), hold),
            configured: paths.len(),
            paths: paths.to_vec(),
            moving: false,
            accepted: Vec::new(),
            asked: Vec::new(),
            dials: Vec::new(),
            moved: Vec::new(),
            idle: None,
            longest_idle: Duration::ZERO,
        };
        world.carry_out();
        world
    }

    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    pub fn happen(&mut self, event: Event) {
        match event {
            Event::Dark(uplink) => self.lit[uplink] = false,
            Event::Lit(uplink) => self.lit[uplink] = true,
            Event::Carrier(uplink, up) => {
                self.carrier[uplink] = up;
                self.tell(Input::Carrier { uplink, up });
                // What was acknowledged just before may be read just after, and is no sign of life.
                if let Some((id, _)) = self.failover.on_air().filter(|_| !up) {
                    self.tell(Input::Progressed(id));
                }
            }
            Event::Ingest(ingest, mode) => {
                self.ingests[ingest].mode = mode;
                if mode == Mode::Down {
                    (self.ingests[ingest].holder, self.ingests[ingest].gone) = (None, None);
                    let lost = self.peers_at(ingest, |net| !matches!(net, Net::Syn { .. }));
                    self.end(lost, Failure::Closed);
                }
            }
            Event::Reset(ingest) => {
                let lost = self.peers_at(ingest, |net| matches!(net, Net::OnAir { .. }));
                self.ingests[ingest].gone = Some(self.now);
                self.end(lost, Failure::Closed);
            }
            Event::Move(path) => {
                self.moving = true;
                self.tell(Input::MoveRequested(path));
            }
            Event::MoveToNew(ingest) => {
                self.moving = true;
                let current = self.failover.on_air().map_or(0, |(_, path)| path);
                let path = Path {
                    ingest,
                    ..self.paths[current].clone()
                };
                let to = self.failover.add_path(self.now, path.clone());
                self.paths.push(path);
                self.tell(Input::MoveRequested(to));
            }
            Event::Stop => self.tell(Input::Draining),
        }
    }

    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }

    /// One step of time: the network first, then the failover's own timer.
    pub fn step(&mut self) {
        self.now += STEP;
        for id in self.peers.keys().copied().collect::<Vec<_>>() {
            self.advance(id);
        }
        if self
            .failover
            .poll_timeout()
            .is_some_and(|at| at <= self.now)
        {
            self.tell(Input::Timeout);
            // Asked again at the same moment, it has nothing left to do, and it wants to be woken later than now.
            self.failover.handle(self.now, Input::Timeout);
            assert_eq!(
                self.failover.poll_action(),
                None,
                "busy at {:?}",
                self.elapsed()
            );
        }
        let timeout = self.failover.poll_timeout();
        assert!(timeout.is_none_or(|at| at > self.now), "{timeout:?}");
        self.judge();
    }

    fn up(&self, path: PathIndex) -> bool {
        let Path { uplink, ingest, .. } = &self.paths[path];
        let uplink = uplink.unwrap_or(0);
        self.lit[uplink] && self.carrier[uplink] && self.ingests[*ingest].mode != Mode::Dark
    }

    fn advance(&mut self, id: ConnectionId) {
        let Some(mut peer) = self.peers.get(&id).cloned() else {
            return;
        };
        let (now, round_trip) = (self.now, self.round_trip);
        let up = self.up(peer.path);
        let number = self.paths[peer.path].ingest;
        let mode = self.ingests[number].mode;
        let mut input = None;
        let mut ended = None;
        match &mut peer.net {
            Net::Syn { next, interval } => {
                if now >= *next && up && mode == Mode::Down {
                    ended = Some(Failure::Refused);
                } else if now >= *next && up {
                    let left = round_trip * DIAL_ROUND_TRIPS;
                    peer.net = Net::Handshake { left };
                } else if now >= *next {
                    *next = now + *interval;
                    *interval *= 2;
                }
            }
            Net::Handshake { left } => {
                *left = left.saturating_sub(STEP);
                let done = left.is_zero();
                if peer.moves(now, up) && done {
                    peer.net = Net::Ready {
                        since: now,
                        heard: now,
                    };
                    input = Some(Input::Connected(id));
                }
            }
            Net::Ready { since, heard } => {
                let tired = match mode {
                    Mode::Impatient => now - *since > Duration::from_millis(200),
                    Mode::Tidy => now - *since > Duration::from_secs(20),
                    _ => false,
                };
                if up {
                    *heard = now;
                }
                if up && tired || now - *heard > KEEP_ALIVE {
                    ended = Some(Failure::Closed);
                }
            }
            Net::Publish { .. } => (input, ended) = self.await_answer(id, &mut peer, up, number),
            Net::OnAir { .. } => (input, ended) = self.send_media(id, &mut peer, up, number),
        }
        let dialling = matches!(peer.net, Net::Syn { .. } | Net::Handshake { .. });
        if dialling && now - peer.dialled >= DIAL_TIMEOUT {
            ended = Some(Failure::NoAnswer);
        }
        self.peers.insert(id, peer);
        if let Some(failure) = ended {
            self.end(vec![id], failure);
        } else if let Some(input) = input {
            self.tell(input);
        }
    }

    fn await_answer(
        &mut self,
        id: ConnectionId,
        peer: &mut Peer,
        up: bool,
        number: usize,
    ) -> (Option<Input>, Option<Failure>) {
        let (now, round_trip) = (self.now, self.round_trip);
        let moves = peer.moves(now, up);
        let Net::Publish { sent, answer, told } = &mut peer.net else {
            return (None, None);
        };
        match answer {
            None if moves => *answer = Some(now + round_trip),
            None if now - *sent >= STALL_AFTER && !*told => {
                *told = true;
                return (
                    Some(Input::Stalled {
                        connection: id,
                        since: *sent,
                    }),
                    None,
                );
            }
            Some(at) if now >= *at && moves => match self.ingests[number].mode {
                Mode::Mute => {}
                Mode::Busy => return (None, Some(Failure::Busy)),
                Mode::Final => return (None, Some(Failure::Final)),
                Mode::Rude => return (None, Some(Failure::Closed)),
                _ if !self.admits(number) => return (None, Some(Failure::Busy)),
                _ => {
                    let before = self.ingests[number].holder.replace((id, now));
                    self.ingests[number].gone = None;
                    peer.net = Net::OnAir {
                        progress: now,
                        told: false,
                    };
                    self.accepted.push(Published {
                        at: now - self.start,
                        ingest: number,
                    });
                    self.tell(Input::Published(id));
                    // Taken over: the ingest ends the first.
                    self.end(
                        before.map(|(first, _)| first).into_iter().collect(),
                        Failure::Closed,
                    );
                }
            },
            _ => {}
        }
        (None, None)
    }

    fn admits(&self, number: usize) -> bool {
        let Ingest {
            ghosts,
            holder,
            gone,
            ..
        } = &self.ingests[number];
        match (*ghosts, *holder) {
            (_, None) | (Ghosts::TakeOver, _) => true,
            (Ghosts::Hold(patience), Some((_, heard))) => {
                gone.is_some() || self.now - heard >= patience
            }
            (Ghosts::HoldAlways(patience), Some(_)) => {
                gone.is_some_and(|gone| self.now - gone >= patience)
            }
        }
    }

    fn send_media(
        &mut self,
        id: ConnectionId,
        peer: &mut Peer,
        up: bool,
        number: usize,
    ) -> (Option<Input>, Option<Failure>) {
        let now = self.now;
        let moves = peer.moves(now, up);
        let ingest = &mut self.ingests[number];
        let Net::OnAir { progress, told } = &mut peer.net else {
            return (None, None);
        };
        let patient = match ingest.ghosts {
            Ghosts::Hold(patience) => now - *progress < patience,
            _ => true,
        };
        if moves && (ingest.holder.is_none_or(|(holder, _)| holder != id) || !patient) {
            return (None, Some(Failure::Closed));
        }
        if moves && ingest.mode != Mode::Deaf {
            *progress = now;
            ingest.holder = Some((id, now));
            self.moved.push(now - self.start);
            // As the lane does: whatever moves on a connection that is thought stalled is told.
            if std::mem::take(told) || self.failover.is_stalled() {
                return (Some(Input::Progressed(id)), None);
            }
        } else if now - *progress >= STALL_AFTER && !*told {
            *told = true;
            return (
                Some(Input::Stalled {
                    connection: id,
                    since: *progress,
                }),
                None,
            );
        }
        (None, None)
    }

    fn peers_at(&self, ingest: usize, which: impl Fn(&Net) -> bool) -> Vec<ConnectionId> {
        self.peers
            .iter()
            .filter(|(_, peer)| {
                self.paths[peer.path].ingest == ingest && self.up(peer.path) && which(&peer.net)
            })
            .map(|(id, _)| *id)
            .collect()
    }

    /// The connections are over, by no doing of the failover's.
    fn end(&mut self, ids: Vec<ConnectionId>, failure: Failure) {
        for connection in ids {
            if self.peers.contains_key(&connection) {
                self.leave(connection);
                self.tell(Input::Closed {
                    connection,
                    failure,
                });
            }
        }
    }

    fn leave(&mut self, id: ConnectionId) {
        let Some(peer) = self.peers.remove(&id) else {
            return;
        };
        let told = self.up(peer.path);
        let ingest = &mut self.ingests[self.paths[peer.path].ingest];
        if ingest.holder.is_some_and(|(holder, _)| holder == id)
            && (told || matches!(ingest.ghosts, Ghosts::HoldAlways(_)))
        {
            ingest.gone = Some(self.now);
        }
    }

    fn tell(&mut self, input: Input) {
        self.failover.handle(self.now, input);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        while let Some(action) = self.failover.poll_action() {
            let at = self.elapsed();
            match action {
                Action::Dial { connection, path } => {
                    let uplink = self.paths[path].uplink;
                    // Before the first word about carriers all are taken to be there.
                    assert!(
                        at.is_zero() || uplink.is_none_or(|uplink| self.carrier[uplink]),
                        "a dial without a carrier at {at:?}"
                    );
                    let peer = Peer {
                        path,
                        dialled: self.now,
                        net: Net::Syn {
                            next: self.now,
                            interval: Duration::from_secs(1),
                        },
                        retry: None,
                    };
                    self.dials.push((at, path));
                    assert!(
                        self.peers.insert(connection, peer).is_none(),
                        "an id used twice"
                    );
                }
                Action::Publish(id) => self.ask_publish(id),
                Action::Drop(id) => {
                    self.judge_drop(id);
                    self.leave(id);
                }
            }
        }
        let most = self.paths.len() * CONNECTIONS_PER_PATH;
        assert!(self.peers.len() <= most, "{} connections", self.peers.len());
    }

    fn ask_publish(&mut self, id: ConnectionId) {
        let at = self.elapsed();
        let path = self.peers[&id].path;
        let ingest = self.paths[path].ingest;
        for (_, other) in self
            .peers
            .iter()
            .filter(|(other, peer)| **other != id && self.paths[peer.path].ingest == ingest)
        {
            match other.net {
                Net::Publish { .. } => panic!("two publishes wait at ingest {ingest} at {at:?}"),
                Net::OnAir { .. } if !self.failover.is_stalled() => {
                    assert!(
                        self.moving,
                        "a publish beside a live one at ingest {ingest} at {at:?}"
                    );
                }
                _ => {}
            }
        }
        let now = self.now;
        let peer = self
            .peers
            .get_mut(&id)
            .expect("a publish on a connection that exists");
        assert!(
            matches!(peer.net, Net::Ready { .. }),
            "a publish on a connection that is not ready at {at:?}"
        );
        peer.net = Net::Publish {
            sent: now,
            answer: None,
            told: false,
        };
        self.asked.push((at, ingest));
    }

    /// What carries the programme goes only when another was accepted, or has been stalled for the hold.
    fn judge_drop(&self, id: ConnectionId) {
        let Some(Peer {
            net: Net::OnAir { progress, .. },
            ..
        }) = self.peers.get(&id)
        else {
            return;
        };
        let another = self
            .failover
            .on_air()
            .is_some_and(|(on_air, _)| on_air != id);
        let expired = self.now - *progress + STEP >= self.hold;
        assert!(
            another || expired,
            "dropped while it carried, at {:?}",
            self.elapsed()
        );
    }

    fn judge(&mut self) {
        let off_air = self.failover.on_air().is_none() || self.failover.is_stalled();
        let up = (0..self.configured).any(|path| self.up(path));
        let tended = self
            .peers
            .values()
            .any(|peer| !matches!(peer.net, Net::OnAir { .. }) && self.up(peer.path));
        if off_air && up && !tended {
            let since = *self.idle.get_or_insert(self.now);
            self.longest_idle = self.longest_idle.max(self.now - since);
        } else {
            self.idle = None;
        }
    }

    pub fn current_path(&self) -> Option<PathIndex> {
        self.failover.on_air().map(|(_, path)| path)
    }

    /// Media moved in the last 50 ms.
    pub fn is_moving(&self) -> bool {
        self.moved
            .last()
            .is_some_and(|at| self.elapsed() - *at <= Duration::from_millis(50))
    }

    /// The most publishes that one ingest accepted in any 60 s, from `from` on.
    pub fn most_in_a_minute(&self, from: Duration) -> usize {
        let within = |first: &Published| {
            let same = |p: &&Published| {
                p.ingest == first.ingest
                    && p.at >= first.at
                    && p.at - first.at < Duration::from_secs(60)
            };
            self.accepted.iter().filter(same).count()
        };
        self.accepted
            .iter()
            .filter(|p| p.at >= from)
            .map(within)
            .max()
            .unwrap_or(0)
    }
}
