//! What people and the schedule may ask: start, stop, extend, another key; and what is refused. Pure.

use super::{Act, Armed, Control, Keys, Run, RunId, Waiting};
use crate::session::event::{EndReason, Event, SessionId, Who};
use crate::session::guard::ExtendError;
use crate::session::moment::Moment;
use crate::store::KeyMark;
use std::time::Duration;

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
}
