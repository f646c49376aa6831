//! The programme as it comes in from the engine: onto the session's timeline, into the window. Shell.

use super::Actor;
use super::status::SourceStatus;
use crate::bridge::protocol::{EngineEvent, SourceState, Up};
use crate::bridge::report::Alarm;
use crate::bridge::supervisor::EngineOutput;
use crate::session::event::{Event, Who};
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
            EngineOutput::Ended { run, text } => {
                self.engine_pid = None;
                self.alarms.clear();
                self.health_at = None;
                self.levels = None;
                self.mix_is_gone();
                if std::mem::take(&mut self.engine_gives) {
                    self.engine_lost = Some(now);
                    self.log(Who::Regia, Event::EngineDied { run, reason: text });
                }
            }
            EngineOutput::Message { run, up } => match up {
                Up::Hello { .. } => {}
                Up::Config(config) => self.config = Some(Arc::new(config)),
                Up::Unit(unit) => {
                    if let (Some(config), Some(unit)) = (&self.config, self.timeline.map(unit)) {
                        let config = Arc::clone(config);
                        self.programme.push(now, unit.clone(), Arc::clone(&config));
                        self.air.push(now, unit, config);
                        self.air_what_is_due(now);
                        self.engine_is_back(now, run);
                    }
                }
                Up::Slate(clip) => self.air.set_clip(clip),
                Up::Thumbnail(thumbnail) => self.desk.take(thumbnail),
                Up::Event(event) => {
                    if matches!(event, EngineEvent::Health { .. }) {
                        self.health_at = Some(now);
                    }
                    self.note(event);
                }
            },
        }
    }

    fn engine_is_back(&mut self, now: Instant, run: u64) {
        self.engine_gives = true;
        if let Some(lost) = self.engine_lost.take() {
            let gap_s = now.duration_since(lost).as_secs_f64();
            self.log(Who::Regia, Event::EngineBack { run, gap_s });
        }
    }

    /// Lets out what the delay has held long enough. A stop takes effect between two units, at the one it named.
    pub(super) fn air_what_is_due(&mut self, now: Instant) {
        while let Some(aired) = self.air.poll(now) {
            self.on_air.push(now, aired.unit, aired.config);
            self.carry_out_stops(now);
        }
        if self.dumping && self.air.is_covered() {
            self.covered = true;
        } else if self.covered && !self.air.is_covered() {
            (self.dumping, self.covered) = (false, false);
            self.log(Who::Regia, Event::DumpOver);
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
                let (source, detail_of) = (id.clone(), detail.clone());
                match state {
                    SourceState::Lost => self.log(
                        Who::Regia,
                        Event::SourceLost {
                            source,
                            detail: detail_of,
                        },
                    ),
                    SourceState::Live => self.log(
                        Who::Regia,
                        Event::SourceLive {
                            source,
                            detail: detail_of,
                        },
                    ),
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
            EngineEvent::Mix(state) => {
                self.desk.state = Some(*state);
                self.desk.changed = true;
            }
            EngineEvent::MixDone { request, result } => self.mixed(request, result),
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
            self.log(Who::Regia, Event::FramesLeftOut { frames });
        }
        let wanted = self
            .session
            .iter()
            .flat_map(|session| &session.running)
            .filter_map(|running| running.task.as_ref()?.video_kbps())
            .min()
            .unwrap_or(self.settings.programme.video.bitrate_kbps);
        if wanted != self.video_kbps {
            info!(
                from_kbps = self.video_kbps,
                to_kbps = wanted,
                "bitrate follows the narrowest uplink that steers"
            );
            self.log(
                Who::Regia,
                Event::Bitrate {
                    kbps: wanted,
                    from_kbps: self.video_kbps,
                    reason: "the narrowest uplink that steers".to_owned(),
                },
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
