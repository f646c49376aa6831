//! The programme as it comes in from the engine: onto the session's timeline, into the window. Shell.

use super::Actor;
use super::status::SourceStatus;
use crate::bridge::protocol::{EngineEvent, SourceState, Up};
use crate::bridge::report::Alarm;
use crate::bridge::supervisor::EngineOutput;
use std::sync::Arc;
use std::time::Instant;
use tracing::{error, info, warn};

impl Actor {
    pub(super) fn take(&mut self, now: Instant, output: EngineOutput) {
        match output {
            EngineOutput::Started { run, pid } => {
                self.timeline.new_run();
                self.engine_runs = run;
                self.engine_pid = pid;
            }
            EngineOutput::Ended { .. } => {
                self.engine_pid = None;
                self.alarms.clear();
                self.health_at = None;
                self.levels = None;
            }
            EngineOutput::Message { up, .. } => match up {
                Up::Hello { .. } => {}
                Up::Config(config) => self.config = Some(Arc::new(config)),
                Up::Unit(unit) => {
                    if let (Some(config), Some(unit)) = (&self.config, self.timeline.map(unit)) {
                        self.writer.push(now, unit, Arc::clone(config));
                    }
                }
                Up::Event(event) => {
                    if matches!(event, EngineEvent::Health { .. }) {
                        self.health_at = Some(now);
                    }
                    self.note(event);
                }
            },
        }
    }

    fn note(&mut self, event: EngineEvent) {
        match event {
            EngineEvent::Encoder { name, tried } => {
                let passed_over: Vec<String> = tried
                    .iter()
                    .filter_map(|trial| {
                        Some(format!("{}: {}", trial.element, trial.error.as_ref()?))
                    })
                    .collect();
                if passed_over.is_empty() {
                    info!(encoder = %name, "encoder chosen");
                } else {
                    info!(encoder = %name, passed_over = passed_over.join("; "), "encoder chosen");
                }
                self.encoder = Some(name);
            }
            EngineEvent::Bitrate { kbps } => info!(kbps, "the encoder's bitrate is now"),
            EngineEvent::Source { id, state, detail } => {
                match state {
                    SourceState::Lost => {
                        warn!(source = %id, %detail, "source lost: its slate is shown")
                    }
                    SourceState::Live if detail.is_empty() => info!(source = %id, "source live"),
                    SourceState::Live => info!(source = %id, %detail, "source live"),
                    SourceState::Starting => {}
                }
                let health = self.sources.remove(&id).and_then(|old| old.health);
                let status = SourceStatus {
                    id: id.clone(),
                    state,
                    detail,
                    health,
                };
                self.sources.insert(id, status);
            }
            EngineEvent::Health { sources } => {
                for health in sources {
                    if let Some(source) = self.sources.get_mut(&health.id) {
                        source.health = Some(health);
                    }
                }
            }
            EngineEvent::Levels(levels) => self.levels = Some(levels),
            EngineEvent::Alarm { alarm, on } => {
                if on {
                    warn!("{}", alarm_text(alarm));
                    self.alarms.insert(alarm);
                } else {
                    info!(?alarm, "the alarm is over");
                    self.alarms.remove(&alarm);
                }
            }
            EngineEvent::Overload { dropped } => self.overload.dropped(dropped),
            EngineEvent::Fatal { text } => error!(%text, "the engine can't go on"),
        }
    }

    /// Says now and then that frames were left out, and has the encoder follow the narrowest uplink that steers.
    pub(super) fn tend_programme(&mut self, now: Instant) {
        if let Some(frames) = self.overload.due(now) {
            warn!(
                frames,
                "this machine is too slow for the programme: frames were left out; lower fps, the size or preset"
            );
        }
        let wanted = self
            .session
            .iter()
            .flat_map(|session| &session.running)
            .filter_map(|running| running.destination.video_kbps())
            .min()
            .unwrap_or(self.settings.programme.video.bitrate_kbps);
        if wanted != self.video_kbps {
            info!(
                from_kbps = self.video_kbps,
                to_kbps = wanted,
                "bitrate follows the narrowest uplink that steers"
            );
            self.video_kbps = wanted;
            self.engine.set_bitrate(wanted);
        }
    }
}

fn alarm_text(alarm: Alarm) -> &'static str {
    match alarm {
        Alarm::Black => "the programme is black: is the camera's lid on?",
        Alarm::Frozen => "the programme's picture does not move: has its source frozen?",
        Alarm::Silent => "the programme is silent: is the microphone on, and its source not muted?",
    }
}
