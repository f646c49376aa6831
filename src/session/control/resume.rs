//! Going on after the process, or the machine, was gone. Pure.

use super::{Act, Armed, Control, Keys, Live, Phase, Run, RunId, Terms};
use crate::session::event::{Event, SessionId, span};
use crate::session::guard::Guard;
use crate::session::moment::{Moment, Stamp};
use crate::store::KeyMark;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a restart needs of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub session: SessionId,
    pub started: Stamp,
    pub runs: Vec<RunState>,
    next_run: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    run: RunId,
    pub destination: String,
    number: u32,
    pub mark: KeyMark,
    single_use: bool,
    begun: Stamp,
    pub first_publish: Option<Stamp>,
    /// When it was last seen on air.
    alive: Option<Stamp>,
    extended_ms: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Live,
    /// It was told to end, and was delivering what was left.
    Ending,
    Ended,
}

/// What came of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Resumption {
    /// Whether anything goes on.
    pub resumed: bool,
    /// Why something does not, for the operator.
    pub notices: Vec<String>,
}

impl Control {
    /// What must survive; None without a session. `now` is a reading of the clocks.
    pub fn snapshot(&self, now: &Stamp) -> Option<Snapshot> {
        let live = self.live.as_ref()?;
        let stamp = |moment: Moment| now.at(moment);
        let runs = live.runs.iter().map(|run| RunState {
            run: run.id,
            destination: self.terms[run.destination].id.clone(),
            number: run.number,
            mark: run.key.mark,
            single_use: run.key.single_use,
            begun: stamp(run.begun),
            first_publish: run.first_publish.map(stamp),
            alive: run.alive.map(stamp),
            extended_ms: run.guard.extended().as_millis() as u64,
            stage: match run.phase {
                Phase::Live => Stage::Live,
                Phase::Finishing(_) => Stage::Ending,
                Phase::Ended => Stage::Ended,
            },
        });
        Some(Snapshot {
            session: live.id.clone(),
            started: stamp(live.started),
            runs: runs.collect(),
            next_run: live.next_run,
        })
    }

    /// Takes up what was under way. `keys` are those that the destinations have now, by index in the terms; a run whose key is
    /// not among them stays off.
    pub fn resume(
        &mut self,
        snapshot: Snapshot,
        keys: &[(usize, Keys)],
        now: &Stamp,
    ) -> Resumption {
        let mut notices = Vec::new();
        let mut kept: Vec<(RunState, Run)> = Vec::new();
        let mut ended: Vec<Run> = Vec::new();
        let mut longest = Duration::ZERO;
        let session = &snapshot.session;
        let in_order = newest_last(snapshot.runs.clone());
        for state in in_order {
            if state.stage == Stage::Ended {
                ended.extend(self.rebuilt(&state, session, keys, now));
                continue;
            }
            let outage = state.outage(now);
            match self.may_go_on(&state, &kept, keys, now) {
                Ok(()) => {
                    if let Some(run) = self.rebuilt(&state, session, keys, now) {
                        longest = longest.max(outage.unwrap_or_default());
                        kept.push((state, run));
                    }
                }
                Err(reason) => {
                    if let Some(mut run) = self.rebuilt(&state, session, keys, now) {
                        run.phase = Phase::Ended;
                        ended.push(run);
                    }
                    notices.push(format!("{} stays off the air: {reason}", state.destination));
                    self.log(Event::NotResumed {
                        destination: Some(state.destination.clone()),
                        outage_s: outage.unwrap_or_default().as_secs_f64(),
                        reason,
                    });
                }
            }
        }
        // What was published with a key that serves once is used, whether it goes on or not.
        for state in snapshot.runs.iter().filter(|s| s.first_publish.is_some()) {
            let terms = self.terms.iter().find(|t| t.id == state.destination);
            if state.single_use || terms.is_some_and(|terms| terms.single_use) {
                self.used.insert(state.mark, session.clone());
                self.act(Act::Used(state.mark));
            }
        }
        if kept.is_empty() {
            self.act(Act::Close(snapshot.session));
            return Resumption {
                resumed: false,
                notices,
            };
        }
        self.act(Act::Open(snapshot.session.clone()));
        let destinations = kept.iter().map(|(state, _)| state.destination.clone());
        self.log(Event::Resumed {
            destinations: destinations.collect(),
            outage_s: longest.as_secs_f64(),
        });
        for (_, run) in &kept {
            let begin = Act::Begin {
                run: run.id,
                destination: run.destination,
                mark: run.key.mark,
                elapsed: Some(now.moment.since(run.first_publish.unwrap_or(run.begun))),
            };
            self.act(begin);
        }
        let mut runs = ended;
        runs.extend(kept.into_iter().map(|(_, run)| run));
        runs.sort_by_key(|run| run.id);
        self.live = Some(Live {
            started: snapshot.started.on_clock_of(now).unwrap_or(now.moment),
            id: snapshot.session,
            runs,
            next_run: snapshot.next_run,
            slate: false,
        });
        self.act(Act::Save);
        self.slate_if_needed();
        Resumption {
            resumed: true,
            notices,
        }
    }

    /// `Err` says why a run stays off, in words.
    fn may_go_on(
        &self,
        state: &RunState,
        kept: &[(RunState, Run)],
        keys: &[(usize, Keys)],
        now: &Stamp,
    ) -> Result<(), String> {
        let (_, terms) = self
            .terms_of(&state.destination)
            .ok_or("the configuration has it no more")?;
        if state.stage == Stage::Ending {
            return Err("it was being ended".into());
        }
        if kept
            .iter()
            .any(|(other, _)| other.destination == state.destination)
        {
            return Err("its next session had taken over".into());
        }
        let outage = state.outage(now).map_err(|error| error.to_string())?;
        if outage > terms.grace {
            return Err(format!(
                "{} waits {} for a stream that broke, and Regia was away for {}; start it anew if that is wanted",
                terms.name,
                span(terms.grace.as_secs_f64()),
                span(outage.as_secs_f64())
            ));
        }
        let elapsed = state.elapsed(now).map_err(|error| error.to_string())?;
        let over = terms
            .limits
            .limit
            .is_some_and(|limit| elapsed >= limit + Duration::from_millis(state.extended_ms));
        if over {
            return Err("its limit was reached meanwhile".into());
        }
        if armed(state, keys, &self.terms).is_none() {
            return Err("its key was changed meanwhile".into());
        }
        let taken = kept.iter().any(|(other, run)| {
            other.mark == state.mark && self.terms[run.destination].server == terms.server
        });
        if taken {
            return Err("another destination publishes on its key".into());
        }
        Ok(())
    }

    fn terms_of(&self, id: &str) -> Option<(usize, &Terms)> {
        self.terms
            .iter()
            .enumerate()
            .find(|(_, terms)| terms.id == id)
    }

    /// The run as it was; None: its destination is gone.
    fn rebuilt(
        &self,
        state: &RunState,
        session: &SessionId,
        keys: &[(usize, Keys)],
        now: &Stamp,
    ) -> Option<Run> {
        let (destination, terms) = self.terms_of(&state.destination)?;
        let moment = |stamp: &Stamp| stamp.on_clock_of(now).unwrap_or(now.moment);
        let (key, next) = armed(state, keys, &self.terms).unwrap_or_else(|| {
            let key = Armed {
                mark: state.mark,
                single_use: state.single_use,
                used_in: Some(session.clone()),
            };
            (key, None)
        });
        Some(Run {
            id: state.run,
            destination,
            number: state.number,
            key,
            next,
            guard: Guard::new(terms.limits, Duration::from_millis(state.extended_ms)),
            begun: moment(&state.begun),
            first_publish: state.first_publish.as_ref().map(moment),
            alive: state.alive.as_ref().map(moment),
            on_air_since: None,
            phase: match state.stage {
                Stage::Live => Phase::Live,
                Stage::Ending | Stage::Ended => Phase::Ended,
            },
            successor: None,
        })
    }
}

/// The newest run of a destination that was published comes first, so that it is the one that goes on; one that never was
/// published comes after those that were.
fn newest_last(mut runs: Vec<RunState>) -> Vec<RunState> {
    runs.sort_by_key(|state| {
        (
            state.first_publish.is_none(),
            std::cmp::Reverse(state.number),
        )
    });
    runs
}

/// The run's own key among those that its destination has now, and the one that would follow it.
fn armed(
    state: &RunState,
    keys: &[(usize, Keys)],
    terms: &[Terms],
) -> Option<(Armed, Option<Armed>)> {
    let (_, keys) = keys
        .iter()
        .find(|(destination, _)| terms[*destination].id == state.destination)?;
    if keys.first.mark == state.mark {
        return Some((keys.first.clone(), keys.next.clone()));
    }
    let next = keys.next.clone().filter(|next| next.mark == state.mark)?;
    Some((next, None))
}

impl RunState {
    /// Since it was last on air; or, where it never was, since it was begun.
    fn outage(&self, now: &Stamp) -> Result<Duration, crate::session::moment::ClockBehind> {
        let last = self.alive.as_ref().or(self.first_publish.as_ref());
        let last = last.unwrap_or(&self.begun).on_clock_of(now)?;
        Ok(now.moment.since(last))
    }

    fn elapsed(&self, now: &Stamp) -> Result<Duration, crate::session::moment::ClockBehind> {
        match &self.first_publish {
            Some(first) => Ok(now.moment.since(first.on_clock_of(now)?)),
            None => Ok(Duration::ZERO),
        }
    }
}
