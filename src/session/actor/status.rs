//! What the session shows of itself.

use super::Actor;
use super::broadcast::Session;
use crate::bridge::protocol::SourceState;
use crate::bridge::report::{Alarm, Levels, SourceHealth};
use crate::session::machine::{self, Delivery, State};
use crate::uplink::destination::DestinationStatus;
use serde::Serialize;
use std::time::Instant;

#[derive(Clone, Debug, Serialize)]
pub struct SourceStatus {
    pub id: String,
    pub state: SourceState,
    pub detail: String,
    /// As of the last second; None: the engine has not told yet.
    pub health: Option<SourceHealth>,
}

/// `regia live status --json`.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub state: State,
    pub elapsed_s: f64,
    pub scene: Option<String>,
    pub preview: Option<String>,
    pub encoder: Option<String>,
    pub video_kbps: u32,
    /// Why the bitrate is what it is; None: as configured.
    pub engine_runs: u64,
    pub engine_pid: Option<u32>,
    /// Frames that were not encoded because the machine was too slow.
    pub dropped_frames: u64,
    /// How loud it is; None: no engine runs.
    pub levels: Option<Levels>,
    /// What is wrong with the programme now.
    pub alarms: Vec<Alarm>,
    /// Pictures and AAC frames that the engine has given since the daemon started.
    pub units: u64,
    /// How old the sources' health is; None: no engine tells it now.
    pub health_age_s: Option<f64>,
    pub sources: Vec<SourceStatus>,
    pub destinations: Vec<DestinationStatus>,
}

impl Actor {
    pub(super) fn status(&self, now: Instant) -> Status {
        let destinations: Vec<DestinationStatus> = self
            .session
            .iter()
            .flat_map(|s| &s.running)
            .map(|running| running.destination.status())
            .collect();
        let session = self.session.as_ref();
        let preferred = session
            .iter()
            .flat_map(|s| &s.running)
            .map(|running| running.preferred.as_ref());
        let deliveries: Vec<Delivery> = destinations
            .iter()
            .zip(preferred)
            .map(|(status, preferred)| Delivery {
                on_air: status.state == "on_air",
                preferred_uplink: preferred.is_none() || status.uplink.as_ref() == preferred,
                rehearsal: status.platform == "rehearsal",
            })
            .collect();
        let started = session.is_some() || !self.pending.is_empty();
        let ending = session.is_some_and(Session::is_ending);
        Status {
            state: machine::state(&machine::Facts {
                engine: self.encoder.is_some(),
                started,
                ending,
                was_on_air: session.is_some_and(|s| s.was_on_air),
                slate: false,
                just_ended: false,
                deliveries: &deliveries,
            }),
            elapsed_s: session.map_or(0.0, |s| now.duration_since(s.started).as_secs_f64()),
            scene: self.settings.scenes.first().map(|scene| scene.id.clone()),
            preview: None,
            encoder: self.encoder.clone(),
            video_kbps: self.video_kbps,
            engine_runs: self.engine_runs,
            engine_pid: self.engine_pid,
            dropped_frames: self.overload.total,
            levels: self.levels.clone(),
            alarms: self.alarms.iter().copied().collect(),
            units: self.writer.view().newest.seq(),
            health_age_s: self
                .health_at
                .map(|at| now.duration_since(at).as_secs_f64()),
            sources: self.sources.values().cloned().collect(),
            destinations,
        }
    }
}
