//! The run under way: what comes to it, and what it wants done. Shell.

use super::{Service, moment_of};
use crate::schedule::carry::{Context, Job};
use crate::schedule::run::{Command, Input, Output, Run, View};
use crate::schedule::shelf::ShowError;
use crate::session::Status;
use crate::session::clock::{moment, wall_ms};
use crate::session::event::Who;
use crate::session::moment::Stamp;
use crate::store::RunRow;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch as watch_channel;
use tracing::{info, warn};

/// A disk that takes longer than this to write an intent down makes no step late.
const SAVE_WAIT: Duration = Duration::from_millis(250);

/// A run and what its steps act with.
pub(super) struct Running {
    pub run: Run,
    pub context: Arc<Context>,
    /// When it goes live by the wall clock, which the run's own clock follows until then.
    pub start: Timestamp,
}

impl Running {
    /// The run's own clock goes by the wall clock until the start comes.
    pub fn follow(&mut self) {
        self.run.set_start(moment_of(self.start), moment());
    }
}

/// What is written down of a run.
#[derive(Serialize, Deserialize)]
pub(super) struct Saved {
    pub stamp: Stamp,
    pub context: Context,
    pub run: Run,
}

impl Service {
    pub(super) fn view(&self) -> Option<View> {
        self.running
            .as_ref()
            .map(|running| running.run.view(moment()))
    }

    pub(super) async fn poll(&mut self) {
        let Some(running) = &mut self.running else {
            return;
        };
        running.follow();
        let outputs = running.run.poll(moment());
        self.carry_out(outputs, None).await;
    }

    pub(super) async fn outcome(&mut self, occurrence: &str, input: Input) {
        if self
            .running
            .as_ref()
            .is_some_and(|running| running.context.occurrence == occurrence)
        {
            self.input(input).await;
        }
    }

    pub(super) async fn input(&mut self, input: Input) {
        if let Some(running) = &mut self.running {
            let outputs = running.run.take(moment(), input);
            self.carry_out(outputs, None).await;
        }
    }

    /// What steps may wait for.
    pub(super) async fn observe(&mut self, statuses: &mut watch_channel::Receiver<Status>) {
        let mut heard: Vec<Input> = Vec::new();
        {
            let status = statuses.borrow_and_update();
            for input in status.levels.iter().flat_map(|levels| &levels.inputs) {
                let peaks = input.peak_db.iter().flatten().copied();
                heard.push(Input::Heard {
                    source: input.id.clone(),
                    db: peaks.reduce(f32::max),
                });
            }
            if let Some(mix) = &status.mix {
                // While one scene goes into another, what plays may still be that of before.
                let clip = mix.clip.as_ref().filter(|_| mix.transition.is_none());
                let plays =
                    clip.filter(|clip| clip.length_s.is_none_or(|length| clip.position_s < length));
                let scene = plays.map(|clip| clip.scene.clone());
                heard.push(Input::Clip { scene });
            }
        }
        for input in heard {
            self.input(input).await;
        }
    }

    pub(super) async fn command(
        &mut self,
        id: Option<String>,
        command: Command,
        who: Who,
    ) -> Result<View, ShowError> {
        let running = self.running.as_mut().ok_or(ShowError::NotRunning)?;
        if let Some(id) = id.filter(|id| *id != running.context.show) {
            return Err(ShowError::OtherRuns(running.context.show.clone(), id));
        }
        info!(%who, ?command, "the run is told");
        let outputs = running.run.command(moment(), command)?;
        let view = running.run.view(moment());
        self.carry_out(outputs, Some(who)).await;
        Ok(view)
    }

    /// `asks`: the person who wants it, if it is not the run by itself.
    pub(super) async fn carry_out(&mut self, outputs: Vec<Output>, asks: Option<Who>) {
        let Some(running) = &self.running else { return };
        let context = Arc::clone(&running.context);
        let acts = |output: &Output| matches!(output, Output::Do { .. });
        let last_act = outputs.iter().rposition(acts);
        for (index, output) in outputs.into_iter().enumerate() {
            match output {
                // Only what is about to be done waits for the disk.
                Output::Save => self.save(last_act.is_some_and(|act| index < act)).await,
                Output::Do { step, action, at } => {
                    let who = context.who(&action, asks.as_ref());
                    self.lanes.give(Job {
                        context: Arc::clone(&context),
                        step: Some(step),
                        action,
                        at,
                        who,
                    });
                }
                Output::Restore(actions) => {
                    for action in actions {
                        self.lanes.give(Job {
                            context: Arc::clone(&context),
                            step: None,
                            action,
                            at: moment(),
                            who: context.schedule(),
                        });
                    }
                }
                Output::Log(event) => {
                    let who = asks.clone().unwrap_or_else(|| context.schedule());
                    self.hands.session.note(who, event).await;
                }
                Output::Alert(level, text) => {
                    context.tell(&self.hands.alerts, level, text.clone(), text)
                }
                Output::Over => {
                    info!(occurrence = %context.occurrence, "the run is over");
                    self.save(false).await;
                    self.running = None;
                    return;
                }
            }
        }
    }

    /// `waits`: until it is on the disk, or that takes too long.
    async fn save(&self, waits: bool) {
        let (Some(store), Some(running)) = (&self.store, &self.running) else {
            return;
        };
        let saved = Saved {
            stamp: self.clock.stamp(),
            context: Context::clone(&running.context),
            run: running.run.clone(),
        };
        let snapshot = match serde_json::to_string(&saved) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                warn!(%error, "the run can't be written down");
                return;
            }
        };
        let row = RunRow {
            occurrence: running.context.occurrence.clone(),
            show: running.context.show.clone(),
            start_ms: running.start.as_millisecond(),
            ended_ms: running.run.is_over().then(wall_ms),
            snapshot,
        };
        if !waits {
            store.save_run_soon(row);
            return;
        }
        match tokio::time::timeout(SAVE_WAIT, store.save_run(row)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                warn!(%error, "the run can't be written down; it goes on, but a restart may not")
            }
            Err(_) => warn!("the disk is slow; the run goes on"),
        }
    }
}
