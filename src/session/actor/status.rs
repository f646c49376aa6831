//! What the session shows of itself.

use super::Actor;
use super::broadcast::{Running, Stop};
use crate::bridge::mix::MixState;
use crate::bridge::protocol::SourceState;
use crate::bridge::report::{Alarm, Levels, SourceHealth};
use crate::session::event::SessionId;
use crate::session::machine::{self, Delivery, ENDED_SHOWN, Facts, Reach, State};
use crate::session::moment::Moment;
use crate::uplink::destination::DestinationStatus;
use serde::Serialize;
use std::time::{Duration, Instant};

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct SourceStatus {
    pub id: String,
    pub state: SourceState,
    pub detail: String,
    /// As of the last second; None: the engine has not told yet.
    pub health: Option<SourceHealth>,
}

/// A destination as its uplink has it, with what the session knows beyond that.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct DestinationView {
    #[serde(flatten)]
    pub delivery: DestinationStatus,
    pub reach: Reach,
    /// Which session of this destination it is, counted from 1: another one follows when it rolls over.
    pub session: u32,
    /// It was told to end.
    pub ending: bool,
}

/// A recording under way.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct RecordingView {
    pub id: String,
    /// Its name, without the directory.
    pub file: String,
    pub for_s: f64,
    /// Somebody began it apart from the broadcast's own, and may end it.
    pub by_hand: bool,
    /// It has its last unit, and what is left is being written.
    pub ending: bool,
}

/// `regia live status --json`.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Status {
    pub state: State,
    /// What a stop names.
    pub session: Option<SessionId>,
    /// Since the first publish.
    pub elapsed_s: f64,
    /// In ENDING: how long what is left takes, as far as that is known.
    pub ending_s: Option<f64>,
    pub scene: Option<String>,
    pub preview: Option<String>,
    /// How the programme is arranged; None: no engine has told yet.
    pub mix: Option<MixState>,
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
    /// How long everything waits before it may be sent.
    pub delay_s: f64,
    /// What an operator should know, until the next start.
    pub notices: Vec<String>,
    pub sources: Vec<SourceStatus>,
    pub destinations: Vec<DestinationView>,
    pub recordings: Vec<RecordingView>,
}

impl Actor {
    pub(super) fn status(&self, now: Instant, moment: Moment) -> Status {
        let running = || self.session.iter().flat_map(|session| &session.running);
        let mut destinations: Vec<DestinationView> = running()
            .map(|running| self.destination_view(running, moment))
            .collect();
        let deliveries: Vec<Delivery> = running()
            .zip(&destinations)
            // The session before, while another has taken over, tells nothing of the audience.
            .filter(|(running, _)| running.stop == Stop::No || self.control.is_ending())
            .map(|(running, view)| Delivery {
                on_air: view.delivery.state == "on_air",
                preferred_uplink: running.preferred.is_none()
                    || view.delivery.uplink == running.preferred,
                rehearsal: view.delivery.platform == "rehearsal",
            })
            .collect();
        // The newest session of a destination comes first.
        destinations.sort_by_key(|view| std::cmp::Reverse(view.session));
        destinations.sort_by_key(|view| self.index_of(&view.delivery.id));
        let recordings_close = !self.closing.is_empty();
        let started = self.control.is_started();
        let ending = if started {
            self.control.is_ending()
        } else {
            recordings_close
        };
        let state = machine::state(&Facts {
            engine: self.engine_gives,
            started: started || recordings_close,
            ending,
            was_on_air: self.session.as_ref().is_some_and(|s| s.was_on_air) || recordings_close,
            slate: self.air.is_covered(),
            just_ended: self
                .ended_at
                .is_some_and(|at| now.duration_since(at) < ENDED_SHOWN),
            deliveries: &deliveries,
        });
        Status {
            state,
            session: self.control.session().cloned(),
            elapsed_s: self.control.published_for(moment).as_secs_f64(),
            ending_s: (state == State::Ending).then(|| self.ending_in(now, &destinations)),
            scene: self.scene(),
            preview: self.desk.state.as_ref().and_then(|mix| mix.preview.clone()),
            mix: self.desk.state.clone(),
            encoder: self.encoder.clone(),
            video_kbps: self.video_kbps,
            engine_runs: self.engine_runs,
            engine_pid: self.engine_pid,
            dropped_frames: self.overload.total,
            levels: self.levels.clone(),
            alarms: self.alarms.iter().copied().collect(),
            units: self.programme.view().newest.seq(),
            health_age_s: self
                .health_at
                .map(|at| now.duration_since(at).as_secs_f64()),
            delay_s: self.settings.window.delay.as_secs_f64(),
            notices: self.notices.clone(),
            sources: self.sources.values().cloned().collect(),
            destinations,
            recordings: self.recordings_now(now).collect(),
        }
    }

    fn recordings_now(&self, now: Instant) -> impl Iterator<Item = RecordingView> {
        let own = self.session.iter().map(|session| &session.recordings);
        let own = own.chain(&self.closing);
        let by_hand = self.by_hand.values().chain(&self.closing_by_hand);
        own.flat_map(move |recordings| recordings.views(now, false))
            .chain(by_hand.flat_map(move |recordings| recordings.views(now, true)))
    }

    fn scene(&self) -> Option<String> {
        let first = || self.settings.scenes.first().map(|scene| scene.id.clone());
        let mix = self.desk.state.as_ref();
        mix.map(|mix| mix.scene.clone()).or_else(first)
    }

    fn index_of(&self, id: &str) -> usize {
        let all = &self.settings.destinations;
        all.iter().position(|d| d.id == id).unwrap_or(all.len())
    }

    fn destination_view(&self, running: &Running, moment: Moment) -> DestinationView {
        let settings = &self.settings.destinations[running.destination];
        let mut delivery = match &running.task {
            Some(task) => task.status(),
            None => DestinationStatus::waiting(settings, &self.settings.window),
        };
        let ends_in = self.control.ends_in(running.run, moment);
        delivery.ends_in_s = ends_in.map(|left| left.as_secs_f64());
        DestinationView {
            reach: Reach::of(delivery.state),
            session: self
                .control
                .run(running.run)
                .map_or(1, |(_, number)| number),
            ending: running.stop != Stop::No,
            delivery,
        }
    }

    /// The longest backlog, and the delay behind the stop.
    fn ending_in(&self, now: Instant, destinations: &[DestinationView]) -> f64 {
        let backlog = destinations
            .iter()
            .map(|view| view.delivery.hold_used_s)
            .fold(0.0, f64::max);
        let stopped = self
            .session
            .iter()
            .flat_map(|session| &session.running)
            .filter_map(|running| match running.stop {
                Stop::Asked { at, .. } | Stop::Named { at, .. } => Some(at),
                Stop::No | Stop::Under => None,
            });
        let delay = stopped
            .map(|at| {
                self.settings
                    .window
                    .delay
                    .saturating_sub(now.duration_since(at))
            })
            .max()
            .unwrap_or(Duration::ZERO);
        backlog + delay.as_secs_f64()
    }
}
