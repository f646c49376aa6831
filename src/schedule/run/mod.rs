//! A run-of-show while it runs: which step is done when. Pure.
//!
//! Steps are done in their order. One with a time is due at the show's start plus that; a triggered one after the step before
//! was begun. A step that waits for a condition keeps those behind it waiting, whose times may pass: they are then done at once, one
//! after the other. A hold stops the run's clock: what is still to come is later by as long. The planned end stays where it is.
//!
//! Until the start comes, its moment follows the wall clock (`set_start`); from then on no step of the wall clock moves anything.
//!
//! What is about to be done is written down first: up to a second ahead where its time is known, so that no disk makes it late. And it is
//! handed over ahead, with its time, so that no way makes it late either: the engine shows it from the first frame on that is not
//! before that.
//! `resume` says what becomes of a step of which nobody knows whether it was done.

mod ending;
mod outcome;
mod person;
mod resume;
mod view;

pub use person::{Command, CommandError};
pub use resume::{AfterCrash, after_crash};
pub use view::{StepView, View, time};

use crate::config::AlertLevel;
use crate::config::show::{Action, Condition, OnTimeOut, Overrun, Show, Step, Timing, millis};
use crate::session::event::Event;
use crate::session::moment::Moment;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// So long ahead an intent is written down: any disk that works is done by then.
const ARM_AHEAD: Duration = Duration::from_secs(1);
/// So long ahead a step is handed over whose time is known: what a clip needs, and a machine that is busy.
const HAND_OVER_AHEAD: Duration = Duration::from_millis(250);
/// A step that is begun later than this is late, and so are those that are triggered by it.
const ON_TIME: Duration = Duration::from_millis(250);
/// A clip that nobody has seen so long after its scene was taken does not play.
const CLIP_COMES_WITHIN: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum State {
    Pending,
    /// Its time has come, its condition has not.
    Waiting {
        since: Moment,
        heard: Option<Moment>,
    },
    /// It was handed over, to be done at this moment; what became of it is not known yet.
    Begun {
        at: Moment,
    },
    Done {
        at: Moment,
        note: String,
    },
    Failed {
        reason: String,
    },
    Skipped {
        reason: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Slot {
    pub step: Step,
    pub state: State,
    /// That it will be done is written down.
    pub armed: bool,
}

/// A run, whole: what is written down is this.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub show: String,
    pub title: String,
    pub occurrence: String,
    start: Moment,
    /// Start and length as planned, before any extension.
    end: Moment,
    overrun: Overrun,
    /// Another show has the box from then on.
    give_way: Option<Moment>,
    slots: Vec<Slot>,
    /// Where the closing steps begin.
    closing: usize,
    /// They are done whatever their time.
    forced: bool,
    extended: bool,
    cursor: usize,
    /// When the step before was begun or left out.
    last: Moment,
    held: Option<Moment>,
    /// By how much it was held before; the wall clock knows nothing of that.
    #[serde(default)]
    put_off: Duration,
    /// The last that the run took.
    scene: Option<String>,
    /// Since then.
    clip_seen: bool,
    clip_plays: bool,
    /// Nothing is left to be done, and that has been told.
    over: bool,
}

/// What is to be carried out, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Write the run down before what follows.
    Save,
    Do {
        step: usize,
        action: Action,
        /// When; what is past means at once.
        at: Moment,
    },
    /// After a restart: what the steps so far have made of the programme.
    Restore(Vec<Action>),
    Log(Event),
    Alert(AlertLevel, String),
    /// The run has ended.
    Over,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// How loud a source is, in dBFS; None: silence.
    Heard { source: String, db: Option<f32> },
    /// The scene on air in which a clip plays, if one does.
    Clip { scene: Option<String> },
    /// What became of a step, with a note for people or the reason why not.
    Result {
        step: usize,
        began: Moment,
        result: Result<String, String>,
    },
    /// When another show needs the box.
    GiveWay(Option<Moment>),
}

impl Run {
    pub fn new(show: &Show, occurrence: String, start: Moment) -> Self {
        let (steps, closing) = show.run_of_show();
        let slot = |step| Slot {
            step,
            state: State::Pending,
            armed: false,
        };
        Run {
            show: show.id.clone(),
            title: show.title().to_owned(),
            occurrence,
            start,
            end: start + show.length,
            overrun: show.overrun,
            give_way: None,
            slots: steps.into_iter().map(slot).collect(),
            closing,
            forced: false,
            extended: false,
            cursor: 0,
            last: start,
            held: None,
            put_off: Duration::ZERO,
            scene: None,
            clip_seen: false,
            clip_plays: false,
            over: false,
        }
    }

    pub fn start(&self) -> Moment {
        self.start
    }

    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Leaves out all that is before the start, but for what it makes of the programme: for a start by hand, at once.
    pub fn begin_at_start(&mut self) -> Vec<Output> {
        let live = self
            .slots
            .iter()
            .position(|slot| slot.step.action == Action::Live);
        for slot in &mut self.slots[..live.unwrap_or(0)] {
            slot.state = match slot.step.action.is_programme() {
                true => State::Done {
                    at: self.start,
                    note: "before the start".to_owned(),
                },
                false => State::Skipped {
                    reason: "it began with the start".to_owned(),
                },
            };
        }
        self.cursor = live.unwrap_or(0);
        vec![Output::Save, Output::Restore(self.standing())]
    }

    /// Where the wall clock has the start now. Nothing changes once the start has come, or while the run is held.
    pub fn set_start(&mut self, start: Moment, now: Moment) {
        if now < self.start && self.held.is_none() && !self.forced {
            let start = start + self.put_off;
            let by = start.0 - self.start.0;
            self.start = start;
            self.end.0 += by;
            if self.cursor == 0 {
                self.last = start;
            }
        }
    }

    /// Everything that is due now.
    pub fn poll(&mut self, now: Moment) -> Vec<Output> {
        let mut out = Vec::new();
        while self.step_on(now, &mut out) {}
        if self.mind_the_end(now, &mut out) {
            while self.step_on(now, &mut out) {}
        }
        if self.held.is_none() && self.arm(now) {
            out.push(Output::Save);
        }
        let settled = |slot: &Slot| {
            !matches!(
                slot.state,
                State::Pending | State::Waiting { .. } | State::Begun { .. }
            )
        };
        if !self.over && self.slots.iter().all(settled) {
            self.over = true;
            out.push(Output::Save);
            out.push(Output::Log(Event::ShowOver {
                show: self.show.clone(),
                occurrence: self.occurrence.clone(),
            }));
            out.push(Output::Over);
        }
        out
    }

    /// When `poll` has something to do next, if nothing comes in before.
    pub fn poll_timeout(&self) -> Option<Moment> {
        let mut times = Vec::new();
        if let Some(slot) = self.slots.get(self.cursor) {
            if self.cursor <= self.closing {
                times.extend(self.end_comes().map(|(end, _)| end));
            }
            match (&slot.state, self.held) {
                (State::Pending, None) => {
                    times.push(self.turn(self.cursor));
                    // One that waits for something is never armed: what is past and changes nothing would be polled for without a pause.
                    if !slot.armed && slot.step.wait.is_none() {
                        times.push(before(self.due(self.cursor), ARM_AHEAD));
                    }
                }
                (State::Waiting { since, heard }, None) => {
                    if let Some(wait) = &slot.step.wait {
                        times.extend(wait.time_out.map(|time_out| *since + time_out));
                        match &wait.condition {
                            Condition::Sound { lasting, .. } => {
                                times.extend(heard.map(|heard| heard + *lasting))
                            }
                            Condition::Clip if !self.clip_seen => {
                                times.push(*since + CLIP_COMES_WITHIN)
                            }
                            Condition::Clip | Condition::Next => {}
                        }
                    }
                }
                _ => {}
            }
        }
        times.into_iter().min()
    }

    pub fn take(&mut self, now: Moment, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        match input {
            Input::Heard { source, db } => self.heard(now, &source, db),
            Input::Clip { scene } => {
                // What is told may be older than the take.
                let plays = scene.is_some() && (self.scene.is_none() || scene == self.scene);
                self.clip_plays = plays;
                self.clip_seen |= plays;
            }
            Input::GiveWay(at) => self.give_way = at,
            Input::Result {
                step,
                began,
                result,
            } => self.settle(step, began, result, &mut out),
        }
        out.extend(self.poll(now));
        out
    }

    /// When a step's time comes, as far as that is known: of a triggered one once the step before was begun.
    fn due(&self, index: usize) -> Moment {
        if self.is_forced(index) && matches!(self.slots[index].step.timing, Timing::At(_)) {
            return self.last;
        }
        match self.slots[index].step.timing {
            Timing::At(ms) => Moment(self.start.0.saturating_add(ms.saturating_mul(1_000))),
            Timing::After(after) => self.last + after,
        }
    }

    /// When a step that is pending is looked at: ahead of its time, unless it waits for something then.
    fn turn(&self, index: usize) -> Moment {
        match self.slots[index].step.wait {
            Some(_) if !self.is_forced(index) => self.due(index),
            _ => before(self.due(index), HAND_OVER_AHEAD),
        }
    }

    fn is_forced(&self, index: usize) -> bool {
        self.forced && index >= self.closing
    }

    /// The step at the cursor, if anything is to become of it. True: look at the next.
    fn step_on(&mut self, now: Moment, out: &mut Vec<Output>) -> bool {
        let index = self.cursor;
        let Some(slot) = self.slots.get(index) else {
            return false;
        };
        if !matches!(slot.state, State::Pending | State::Waiting { .. }) {
            self.cursor += 1;
            return true;
        }
        if self.held.is_some() {
            return false;
        }
        let wait = slot.step.wait.clone().filter(|_| !self.is_forced(index));
        match (&slot.state, wait) {
            (State::Pending, _) if now < self.turn(index) => false,
            (State::Pending, Some(_)) => {
                self.slots[index].state = State::Waiting {
                    since: now.max(self.due(index)),
                    heard: None,
                };
                out.push(Output::Save);
                true
            }
            (State::Waiting { since, heard }, Some(wait)) => {
                let met = match &wait.condition {
                    Condition::Sound { lasting, .. } => {
                        heard.is_some_and(|heard| now >= heard + *lasting)
                    }
                    Condition::Clip if self.clip_seen => !self.clip_plays,
                    Condition::Clip => now >= *since + CLIP_COMES_WITHIN,
                    Condition::Next => false,
                };
                let timed_out = wait
                    .time_out
                    .is_some_and(|time_out| now >= *since + time_out);
                match (met, timed_out, wait.on_time_out) {
                    (true, ..) | (false, true, OnTimeOut::Go) => self.begin(now, index, out),
                    (false, true, OnTimeOut::Skip) => {
                        self.leave_out(now, index, "what it waited for did not come in time", out);
                    }
                    (false, false, _) => return false,
                }
                true
            }
            _ => {
                self.begin(now, index, out);
                true
            }
        }
    }

    fn begin(&mut self, now: Moment, index: usize, out: &mut Vec<Output>) {
        let waits = self.slots[index].step.wait.is_some() && !self.is_forced(index);
        // One that is a little late makes those triggered by it no later; one that a person wants now does not wait for its time.
        let due = Some(self.due(index)).filter(|due| {
            let near = before(*due, HAND_OVER_AHEAD) <= now && now.since(*due) < ON_TIME;
            near && !waits && self.held.is_none()
        });
        let at = due.unwrap_or(now);
        let slot = &mut self.slots[index];
        let action = slot.step.action.clone();
        slot.state = State::Begun { at };
        if !std::mem::replace(&mut slot.armed, true) {
            out.push(Output::Save);
        }
        if let Action::Scene { scene, .. } = &action {
            self.scene = Some(scene.clone());
            self.clip_seen = false;
            self.clip_plays = false;
        }
        self.last = at;
        self.cursor = index + 1;
        out.push(Output::Do {
            step: index,
            action,
            at,
        });
    }

    fn leave_out(&mut self, now: Moment, index: usize, reason: &str, out: &mut Vec<Output>) {
        let reason = reason.to_owned();
        let slot = &mut self.slots[index];
        slot.state = State::Skipped {
            reason: reason.clone(),
        };
        let what = slot.step.action.to_string();
        self.last = now;
        self.cursor = self.cursor.max(index + 1);
        let (show, occurrence) = (self.show.clone(), self.occurrence.clone());
        let step = number(index);
        out.push(Output::Save);
        out.push(Output::Log(Event::ShowStepSkipped {
            show,
            occurrence,
            step,
            what,
            reason,
        }));
    }

    /// Writes ahead what will be done within a second.
    fn arm(&mut self, now: Moment) -> bool {
        let mut changed = false;
        let mut last = self.last;
        for index in self.cursor..self.slots.len() {
            let due = match self.slots[index].step.timing {
                Timing::At(_) => self.due(index),
                Timing::After(after) => last + after,
            };
            let slot = &mut self.slots[index];
            if slot.state != State::Pending
                || slot.step.wait.is_some()
                || now < before(due, ARM_AHEAD)
            {
                break;
            }
            changed |= !slot.armed;
            slot.armed = true;
            last = due;
        }
        changed
    }
}

fn before(moment: Moment, by: Duration) -> Moment {
    Moment(moment.0.saturating_sub(millis(by).saturating_mul(1_000)))
}

/// As people count.
fn number(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
