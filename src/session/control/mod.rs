//! Which destinations run, on which keys, until when: from commands, from what becomes of the runs, and from time, to acts
//! and log entries. Pure.
//!
//! A *run* is one session in a platform's sense: one key, one limit. A destination has one, or two while it rolls over. What
//! must survive the process is a [`Snapshot`], renewed with each `Act::Save`; `resume` goes on from one.

mod ask;
mod limit;
mod resume;
#[cfg(test)]
mod tests;

pub use ask::{Refusal, StopAsk};
pub use resume::{Resumption, RunState, Snapshot};

use super::event::{EndReason, Event, SessionId, Who};
use super::guard::{Guard, Limits};
use super::moment::Moment;
use crate::store::KeyMark;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// What configuration and platform say of a destination.
#[derive(Clone, Debug)]
pub struct Terms {
    pub id: String,
    /// Its platform's word, which a stop repeats where `event_closes`.
    pub platform: String,
    /// The platform's name in texts.
    pub name: String,
    /// Two streams on one key throw each other out where the server is the same.
    pub server: String,
    pub limits: Limits,
    /// How long the platform waits for a stream that broke.
    pub grace: Duration,
    /// Every key of it serves for one broadcast.
    pub single_use: bool,
    /// An end can't be taken back: the audience is lost.
    pub event_closes: bool,
}

/// A key, by its mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Armed {
    pub mark: KeyMark,
    /// It was saved as one that serves once.
    pub single_use: bool,
    /// The session that a key which serves once was used in.
    pub used_in: Option<SessionId>,
}

/// A destination's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    pub first: Armed,
    /// Of the session after.
    pub next: Option<Armed>,
}

/// Names a run within its session.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct RunId(pub u32);

/// What the shell does, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// A session begins, or goes on after a restart.
    Open(SessionId),
    Begin {
        run: RunId,
        /// Index in the terms.
        destination: usize,
        mark: KeyMark,
        /// Since the destination's first publish, when a run is taken up again after a restart.
        elapsed: Option<Duration>,
    },
    /// Deliver what there is up to now, then end in the platform's own words.
    Finish(RunId),
    /// End in the platform's own words, whatever was not delivered.
    FinishNow(RunId),
    Drop(RunId),
    /// The audience sees the slate, or the programme again.
    Slate(bool),
    Log(Who, Event),
    /// A key that serves for one broadcast is used up.
    Used(KeyMark),
    /// The snapshot has changed.
    Save,
    /// The session is over: nothing of it runs any more.
    Close(SessionId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Live,
    /// Told to end.
    Finishing(EndReason),
    Ended,
}

#[derive(Clone, Debug)]
struct Run {
    id: RunId,
    destination: usize,
    /// Sessions of this destination, counted from 1.
    number: u32,
    key: Armed,
    next: Option<Armed>,
    guard: Guard,
    begun: Moment,
    first_publish: Option<Moment>,
    /// When it was last seen on air, and since when without a break.
    alive: Option<Moment>,
    on_air_since: Option<Moment>,
    phase: Phase,
    /// The run that takes over.
    successor: Option<RunId>,
}

impl Run {
    fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }

    fn is_ended(&self) -> bool {
        self.phase == Phase::Ended
    }
}

#[derive(Clone, Debug)]
struct Live {
    id: SessionId,
    started: Moment,
    runs: Vec<Run>,
    next_run: u32,
    slate: bool,
}

/// Asked for while the one before is still ending.
#[derive(Clone, Debug)]
struct Waiting {
    destination: usize,
    keys: Keys,
}

pub struct Control {
    /// Shown before the guard ends a broadcast; None: the slate.
    closing_scene: Option<String>,
    terms: Vec<Terms>,
    live: Option<Live>,
    waiting: Vec<Waiting>,
    /// Keys that serve once, by the session that used them.
    used: BTreeMap<KeyMark, SessionId>,
    acts: VecDeque<Act>,
    /// The id of a session that `waiting` will open.
    reserved: Option<SessionId>,
}

impl Control {
    pub fn new(terms: Vec<Terms>) -> Self {
        Control {
            terms,
            closing_scene: None,
            live: None,
            waiting: Vec::new(),
            used: BTreeMap::new(),
            acts: VecDeque::new(),
            reserved: None,
        }
    }

    /// The close shows this scene rather than the slate.
    pub fn closing_with(mut self, scene: Option<String>) -> Self {
        self.closing_scene = scene;
        self
    }

    pub fn poll_act(&mut self) -> Option<Act> {
        self.acts.pop_front()
    }

    pub fn session(&self) -> Option<&SessionId> {
        self.live.as_ref().map(|live| &live.id)
    }

    /// Since the session was asked for.
    pub fn elapsed(&self, now: Moment) -> Duration {
        self.live
            .as_ref()
            .map_or(Duration::ZERO, |live| now.since(live.started))
    }

    /// Since the first publish of any destination; zero until then.
    pub fn published_for(&self, now: Moment) -> Duration {
        let runs = self.live.iter().flat_map(|live| &live.runs);
        let first = runs.filter_map(|run| run.first_publish).min();
        first.map_or(Duration::ZERO, |first| now.since(first))
    }

    /// Whether all that runs was told to end.
    pub fn is_ending(&self) -> bool {
        self.live
            .as_ref()
            .is_some_and(|live| !live.runs.iter().any(Run::is_live))
            && self.waiting.is_empty()
    }

    pub fn is_started(&self) -> bool {
        self.live.is_some() || !self.waiting.is_empty()
    }

    /// Which destination a run belongs to, and how many sessions of it there have been.
    pub fn run(&self, run: RunId) -> Option<(usize, u32)> {
        self.find(run).map(|run| (run.destination, run.number))
    }

    /// Seconds of show that are left to a run.
    pub fn ends_in(&self, run: RunId, now: Moment) -> Option<Duration> {
        let run = self.find(run)?;
        run.guard.ends_in(now.since(run.first_publish?))
    }

    fn find(&self, id: RunId) -> Option<&Run> {
        self.live.as_ref()?.runs.iter().find(|run| run.id == id)
    }

    fn find_mut(&mut self, id: RunId) -> Option<&mut Run> {
        self.live.as_mut()?.runs.iter_mut().find(|run| run.id == id)
    }

    fn act(&mut self, act: Act) {
        self.acts.push_back(act);
    }

    fn log(&mut self, event: Event) {
        self.act(Act::Log(Who::Regia, event));
    }

    /// Every key that is published with, or about to be.
    fn publishers(&self) -> impl Iterator<Item = (usize, KeyMark)> + '_ {
        let runs = self.live.iter().flat_map(|live| &live.runs);
        runs.filter(|run| !run.is_ended())
            .map(|run| (run.destination, run.key.mark))
            .chain(
                self.waiting
                    .iter()
                    .map(|waiting| (waiting.destination, waiting.keys.first.mark)),
            )
    }

    fn check_unused(&self, destination: usize, key: &Armed) -> Result<(), Refusal> {
        let once = key.single_use || self.terms[destination].single_use;
        let used_in = key.used_in.as_ref().or(self.used.get(&key.mark));
        match used_in {
            Some(session) if once => Err(Refusal::KeyUsed {
                destination: self.terms[destination].id.clone(),
                session: session.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Begins what waited for something else to end. A session that is ending ends first: the next has recordings of its own.
    fn begin_waiting(&mut self, now: Moment, mut started: Option<(Who, Event)>) {
        let ending = |live: &Live| !live.runs.iter().any(Run::is_live);
        if self.waiting.is_empty() || self.live.as_ref().is_some_and(ending) {
            if let Some((who, event)) = started {
                self.act(Act::Log(who, event));
            }
            return;
        }
        if self.live.is_none() {
            let Some(id) = self.reserved.take() else {
                return;
            };
            self.act(Act::Open(id.clone()));
            self.live = Some(Live {
                id,
                started: now,
                runs: Vec::new(),
                next_run: 1,
                slate: false,
            });
        }
        if let Some((who, event)) = started.take() {
            self.act(Act::Log(who, event));
        }
        for waiting in std::mem::take(&mut self.waiting) {
            let taken = |run: &Run| run.destination == waiting.destination && !run.is_ended();
            let runs = self.live.iter().flat_map(|live| &live.runs);
            if runs.clone().any(taken) {
                self.waiting.push(waiting);
                continue;
            }
            // It may have been used up while it waited.
            if let Err(refusal) = self.check_unused(waiting.destination, &waiting.keys.first) {
                self.log(Event::StartFailed {
                    destination: self.terms[waiting.destination].id.clone(),
                    reason: refusal.to_string(),
                });
                continue;
            }
            let last = runs
                .filter(|run| run.destination == waiting.destination)
                .map(|run| run.number)
                .max();
            let Keys { first, next } = waiting.keys;
            let number = last.unwrap_or(0) + 1;
            self.begin(now, waiting.destination, number, first, next);
        }
        self.close_if_over();
    }

    fn begin(
        &mut self,
        now: Moment,
        destination: usize,
        number: u32,
        key: Armed,
        next: Option<Armed>,
    ) -> Option<RunId> {
        let limits = self.terms[destination].limits;
        let live = self.live.as_mut()?;
        let run = RunId(live.next_run);
        live.next_run += 1;
        let mark = key.mark;
        live.runs.push(Run {
            id: run,
            destination,
            number,
            key,
            next,
            guard: Guard::new(limits, Duration::ZERO),
            begun: now,
            first_publish: None,
            alive: None,
            on_air_since: None,
            phase: Phase::Live,
            successor: None,
        });
        self.act(Act::Save);
        self.act(Act::Begin {
            run,
            destination,
            mark,
            elapsed: None,
        });
        self.slate_if_needed();
        Some(run)
    }

    fn finish(&mut self, id: RunId, reason: EndReason) {
        if let Some(run) = self.find_mut(id).filter(|run| run.is_live()) {
            run.phase = Phase::Finishing(reason);
            self.act(Act::Save);
            self.act(Act::Finish(id));
        }
    }

    /// The ingest accepted the run's publish.
    pub fn published(&mut self, now: Moment, id: RunId) {
        let Some(session) = self.session().cloned() else {
            return;
        };
        let Some(run) = self.find_mut(id) else { return };
        run.alive = Some(now);
        if run.first_publish.is_some() {
            return;
        }
        run.first_publish = Some(now);
        let (mark, destination, once) = (run.key.mark, run.destination, run.key.single_use);
        if once || self.terms[destination].single_use {
            self.used.insert(mark, session);
            self.act(Act::Used(mark));
        }
        self.act(Act::Save);
    }

    /// Whether the run is on air just now.
    pub fn on_air(&mut self, now: Moment, id: RunId, is: bool) {
        let Some(run) = self.find_mut(id) else { return };
        if is {
            run.alive = Some(now);
            run.on_air_since.get_or_insert(now);
        } else {
            run.on_air_since = None;
        }
    }

    /// Nothing of the run is left. `reason` of the end that was told, or else a failure.
    pub fn ended(&mut self, now: Moment, id: RunId) -> EndReason {
        let Some(run) = self.find_mut(id) else {
            return EndReason::Failed;
        };
        let reason = match run.phase {
            Phase::Finishing(reason) => reason,
            Phase::Live | Phase::Ended => EndReason::Failed,
        };
        run.phase = Phase::Ended;
        self.act(Act::Save);
        self.close_if_over();
        self.begin_waiting(now, None);
        reason
    }

    fn close_if_over(&mut self) {
        let over = |live: &Live| live.runs.iter().all(Run::is_ended);
        if !self.live.as_ref().is_some_and(over) {
            return;
        }
        if let Some(live) = self.live.take() {
            if live.slate {
                self.act(Act::Slate(false));
            }
            self.act(Act::Close(live.id));
        }
    }
}
