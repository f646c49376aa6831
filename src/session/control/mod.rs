//! Which destinations run, on which keys, until when: from commands, from what becomes of the runs, and from time, to acts
//! and log entries. Pure.
//!
//! A *run* is one session in a platform's sense: one key, one limit. A destination has one, or two while it rolls over. What
//! must survive the process is a [`Snapshot`], renewed with each `Act::Save`; `resume` goes on from one.

mod resume;
#[cfg(test)]
mod tests;

pub use resume::{Resumption, RunState, Snapshot};

use super::event::{EndReason, Event, SessionId, Who};
use super::guard::{Due, ExtendError, Guard, Limits};
use super::moment::Moment;
use crate::store::KeyMark;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The next session has to be on air for so long before the one before it is ended.
const SETTLED: Duration = Duration::from_secs(2);

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

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "{destination}: its key was used for the broadcast {session}, and serves for one only: save the key of the new event"
    )]
    KeyUsed {
        destination: String,
        session: SessionId,
    },
    #[error(
        "{destination}: its key is the one that {other} publishes with, on the same server: two streams on one key throw each other out"
    )]
    KeyInUse { destination: String, other: String },
    #[error("the broadcast that runs is {running}, not {asked}: look again before you stop it")]
    OtherSession { asked: String, running: SessionId },
    #[error("name the broadcast to stop: {0} is running")]
    NotNamed(SessionId),
    #[error(
        "{name} can't reopen an event that has ended: to end it for good, repeat its name (confirm: {platform:?})"
    )]
    Confirm { name: String, platform: String },
    #[error("{destination} is not on air")]
    NotOnAir { destination: String },
    #[error("{destination}: {error}")]
    Extend {
        destination: String,
        error: ExtendError,
    },
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

/// What a stop says.
#[derive(Clone, Debug)]
pub struct StopAsk<'a> {
    /// None: whatever runs, which only the daemon's own end may say.
    pub session: Option<&'a str>,
    /// Indices in the terms.
    pub destinations: Vec<usize>,
    pub confirm: Option<&'a str>,
    /// The daemon ends: there is nobody to ask.
    pub unconditional: bool,
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

    /// Begins what is not running. Asking for what runs already changes nothing. `id` names the session, should one begin.
    pub fn start(
        &mut self,
        now: Moment,
        id: SessionId,
        asked: Vec<(usize, Keys)>,
        who: Who,
    ) -> Result<(), Refusal> {
        let mut fresh: Vec<(usize, Keys)> = Vec::new();
        for (destination, keys) in asked {
            let runs = |run: &Run| run.destination == destination && run.is_live();
            let is_live = self.live.iter().flat_map(|live| &live.runs).any(runs);
            let waits = self.waiting.iter().any(|w| w.destination == destination);
            let twice = fresh.iter().any(|(other, _)| *other == destination);
            if is_live || waits || twice {
                continue;
            }
            self.check_unused(destination, &keys.first)?;
            let same = |other: usize, mark: KeyMark| {
                mark == keys.first.mark
                    && other != destination
                    && self.terms[other].server == self.terms[destination].server
            };
            let conflict = self
                .publishers()
                .chain(fresh.iter().map(|(other, keys)| (*other, keys.first.mark)))
                .find(|(other, mark)| same(*other, *mark));
            if let Some((other, _)) = conflict {
                return Err(Refusal::KeyInUse {
                    destination: self.terms[destination].id.clone(),
                    other: self.terms[other].id.clone(),
                });
            }
            fresh.push((destination, keys));
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let ids = fresh.iter().map(|(d, _)| self.terms[*d].id.clone());
        let started = Event::Started {
            destinations: ids.collect(),
            recordings: Vec::new(),
        };
        self.reserved = Some(id);
        self.waiting.extend(
            fresh
                .into_iter()
                .map(|(destination, keys)| Waiting { destination, keys }),
        );
        self.begin_waiting(now, Some((who, started)));
        Ok(())
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

    pub fn stop(&mut self, ask: &StopAsk<'_>, who: Who) -> Result<(), Refusal> {
        let Some(live) = &self.live else {
            // What has ended needs no stop; what waits for its begin is taken back.
            let chosen = &ask.destinations;
            self.waiting.retain(|w| !chosen.contains(&w.destination));
            return Ok(());
        };
        if !ask.unconditional {
            match ask.session {
                None => return Err(Refusal::NotNamed(live.id.clone())),
                Some(asked) if asked != live.id.as_str() => {
                    return Err(Refusal::OtherSession {
                        asked: asked.to_owned(),
                        running: live.id.clone(),
                    });
                }
                Some(_) => {}
            }
        }
        let chosen: Vec<&Run> = live
            .runs
            .iter()
            .filter(|run| run.is_live() && ask.destinations.contains(&run.destination))
            .collect();
        let closes = chosen
            .iter()
            .map(|run| (&self.terms[run.destination], run.first_publish))
            .find(|(terms, published)| {
                terms.event_closes
                    && published.is_some()
                    && ask.confirm != Some(terms.platform.as_str())
            });
        if let Some((terms, _)) = closes
            && !ask.unconditional
        {
            return Err(Refusal::Confirm {
                name: terms.name.clone(),
                platform: terms.platform.clone(),
            });
        }
        let stopped: Vec<RunId> = chosen.iter().map(|run| run.id).collect();
        let mut ids: Vec<String> = chosen
            .iter()
            .map(|run| self.terms[run.destination].id.clone())
            .collect();
        ids.dedup();
        self.waiting
            .retain(|w| !ask.destinations.contains(&w.destination));
        if stopped.is_empty() {
            return Ok(());
        }
        self.act(Act::Log(who, Event::StopAsked { destinations: ids }));
        for run in stopped {
            self.finish(run, EndReason::Asked);
        }
        Ok(())
    }

    fn finish(&mut self, id: RunId, reason: EndReason) {
        if let Some(run) = self.find_mut(id).filter(|run| run.is_live()) {
            run.phase = Phase::Finishing(reason);
            self.act(Act::Save);
            self.act(Act::Finish(id));
        }
    }

    /// Puts off the end that the guard sets to a destination.
    pub fn extend(
        &mut self,
        now: Moment,
        destination: usize,
        by: Duration,
        who: Who,
    ) -> Result<(), Refusal> {
        let id = self.terms[destination].id.clone();
        let newest = self
            .live
            .iter_mut()
            .flat_map(|live| &mut live.runs)
            .rfind(|run| run.destination == destination && run.is_live());
        let Some((run, first)) = newest.and_then(|run| {
            let first = run.first_publish?;
            Some((run, first))
        }) else {
            return Err(Refusal::NotOnAir { destination: id });
        };
        let extended = run.guard.extend(by);
        let ends_in = run.guard.ends_in(now.since(first));
        match extended {
            Ok(()) => {
                self.act(Act::Log(
                    who,
                    Event::Extended {
                        destination: id,
                        by_s: by.as_secs_f64(),
                        ends_in_s: ends_in.unwrap_or_default().as_secs_f64(),
                    },
                ));
                self.act(Act::Save);
                Ok(())
            }
            Err(error) => {
                self.act(Act::Log(
                    who,
                    Event::NotExtended {
                        destination: id.clone(),
                        reason: error.to_string(),
                    },
                ));
                Err(Refusal::Extend {
                    destination: id,
                    error,
                })
            }
        }
    }

    /// A slot's key was changed: what rolls over later uses the new one.
    pub fn arm(&mut self, destination: usize, next: Option<Armed>) {
        for run in self.live.iter_mut().flat_map(|live| &mut live.runs) {
            if run.destination == destination && run.is_live() && run.successor.is_none() {
                run.next.clone_from(&next);
            }
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

    /// Does what is due. To be called at least each second.
    pub fn tick(&mut self, now: Moment) {
        let ids: Vec<RunId> = self
            .live
            .iter()
            .flat_map(|live| &live.runs)
            .filter(|run| !run.is_ended())
            .map(|run| run.id)
            .collect();
        for id in ids {
            while let Some(due) = self.due(now, id) {
                self.carry_out(now, id, due);
            }
            self.hand_over(now, id);
        }
        self.begin_waiting(now, None);
    }

    fn due(&mut self, now: Moment, id: RunId) -> Option<Due> {
        let run = self.find_mut(id)?;
        run.guard.poll(now.since(run.first_publish?))
    }

    fn carry_out(&mut self, now: Moment, id: RunId, due: Due) {
        let Some(run) = self.find(id) else { return };
        let terms = &self.terms[run.destination];
        let (destination, is_live) = (terms.id.clone(), run.is_live());
        match due {
            Due::Warn { ends_in } if is_live => self.log(Event::GuardWarning {
                destination,
                ends_in_s: ends_in.as_secs_f64(),
                rolls_over: terms.limits.rolls_over && run.next.is_some(),
            }),
            Due::Archive { ends_in } if is_live => self.log(Event::ArchiveWarning {
                destination,
                ends_in_s: ends_in.as_secs_f64(),
            }),
            Due::Warn { .. } | Due::Archive { .. } => {}
            Due::Close if is_live => {
                if terms.limits.rolls_over {
                    self.roll_over(now, id);
                }
                self.slate_if_needed();
            }
            Due::Close => {}
            Due::End => {
                let limit_s = terms.limits.limit.unwrap_or_default().as_secs_f64();
                let reason = match run.successor {
                    Some(_) => EndReason::RolledOver,
                    None => EndReason::Limit,
                };
                if is_live {
                    self.log(Event::LimitReached {
                        destination,
                        limit_s,
                    });
                    self.finish(id, reason);
                    self.slate_if_needed();
                }
            }
            Due::LastWords => {
                self.finish(id, EndReason::Limit);
                self.act(Act::FinishNow(id));
            }
            Due::HangUp => {
                self.finish(id, EndReason::Limit);
                self.act(Act::Drop(id));
            }
        }
    }

    /// Begins the next session of a destination, beside the one that ends.
    fn roll_over(&mut self, now: Moment, id: RunId) {
        let Some(run) = self.find(id) else { return };
        let (destination, number) = (run.destination, run.number + 1);
        let next = run.next.clone();
        let failure = match &next {
            None => Some("no further key is there".to_owned()),
            Some(next) => {
                let server = &self.terms[destination].server;
                let taken = self
                    .publishers()
                    .any(|(other, mark)| mark == next.mark && self.terms[other].server == *server);
                match self.check_unused(destination, next) {
                    Err(refusal) => Some(refusal.to_string()),
                    Ok(()) if taken => Some("its further key is being published with".to_owned()),
                    Ok(()) => None,
                }
            }
        };
        if let Some(reason) = failure {
            self.log(Event::RolloverFailed {
                destination: self.terms[destination].id.clone(),
                reason,
            });
            return;
        }
        if let Some(next) = next {
            let successor = self.begin(now, destination, number, next, None);
            if let Some(run) = self.find_mut(id) {
                run.successor = successor;
            }
        }
    }

    /// Ends the session before, once the one that follows it is on air.
    fn hand_over(&mut self, now: Moment, id: RunId) {
        let Some(run) = self.find(id).filter(|run| run.is_live()) else {
            return;
        };
        let successor = run.successor.and_then(|successor| self.find(successor));
        let settled = |next: &Run| {
            next.on_air_since
                .is_some_and(|since| now.since(since) >= SETTLED)
        };
        if let Some(next) = successor.filter(|next| settled(next)) {
            let event = Event::Rollover {
                destination: self.terms[next.destination].id.clone(),
                session: next.number,
            };
            self.log(event);
            self.finish(id, EndReason::RolledOver);
        }
    }

    /// The closing slate is for an audience that sees nothing afterwards: while any destination goes on, it sees the programme.
    fn slate_if_needed(&mut self) {
        let Some(live) = &mut self.live else { return };
        let goes_on = |run: &Run| run.is_live() && !run.guard.is_closing();
        let closing =
            |run: &Run| run.guard.is_closing() && run.first_publish.is_some() && !run.is_ended();
        let wanted = live.runs.iter().any(closing) && !live.runs.iter().any(goes_on);
        if std::mem::replace(&mut live.slate, wanted) != wanted {
            self.act(Act::Slate(wanted));
            if wanted {
                let scene = self.closing_scene.clone();
                self.log(Event::ClosingScene { scene });
            }
        }
    }
}
