//! One destination, whole: its lanes, started together, stopped together, shown as one. Shell.

use super::carrier::Carriers;
use super::dial::Way;
use super::dns::{DnsError, Names};
use super::failover::Path;
use super::lane::{self, LaneSetup, LaneState, LaneStatus, Route};
use super::steer::Steer;
use super::tls::{TrustError, client_config};
use crate::config::{Destination, IngestUrl, Mode, Programme, Timeline, Uplink, Window};
use crate::media::MediaTime;
use crate::rtmp::PublisherSettings;
use crate::secret::Secret;
use crate::window::{Cursor, Feed};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument;

/// Above the size of most messages of a programme but keyframes, so that a message is rarely split; platforms take it.
pub const CHUNK_SIZE: u32 = 65_536;

#[derive(Debug, thiserror::Error)]
pub enum DestinationError {
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Dns(#[from] DnsError),
}

/// The session's start, the same for every destination and recording.
#[derive(Clone, Debug)]
pub struct SessionStart {
    /// Before the session's first keyframe.
    pub from: Cursor,
    /// The programme time that is the session's zero.
    pub base: MediaTime,
}

/// As `regia live status --json` and `GET /status` give it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct DestinationStatus {
    pub id: String,
    pub platform: String,
    /// connecting, on_air, stalled, reconnecting, ended
    pub state: &'static str,
    pub uplink: Option<String>,
    pub ingest: Option<String>,
    /// What the next failover would use, when a connection to it is ready.
    pub standby: Option<String>,
    pub bitrate_kbps: u32,
    pub rtt_ms: Option<f64>,
    pub hold_used_s: f64,
    pub hold_s: f64,
    /// Seconds of outage that the hold still covers.
    pub outage_left_s: f64,
    /// Programme time that the ingest acknowledged, what was repeated counted once.
    pub delivered_s: f64,
    /// Given up because it became older than the hold, in all: programme time, and media units (pictures and AAC frames).
    pub shed_s: f64,
    pub shed_units: u64,
    pub replayed_s: f64,
    pub undelivered_s: f64,
    pub reconnects: u32,
    pub ends_in_s: Option<f64>,
    pub error: Option<String>,
}

impl DestinationStatus {
    /// Of one that was asked for and waits for the first picture.
    pub fn waiting(destination: &Destination, window: &Window) -> Self {
        DestinationStatus {
            id: destination.id.clone(),
            platform: destination.platform.clone(),
            state: word(LaneState::Connecting),
            uplink: None,
            ingest: None,
            standby: None,
            bitrate_kbps: 0,
            rtt_ms: None,
            hold_used_s: 0.0,
            hold_s: window.hold.as_secs_f64(),
            outage_left_s: window.hold.as_secs_f64(),
            delivered_s: 0.0,
            shed_s: 0.0,
            shed_units: 0,
            replayed_s: 0.0,
            undelivered_s: 0.0,
            reconnects: 0,
            ends_in_s: None,
            error: None,
        }
    }
}

/// A destination under way. Dropping it ends its connections at once.
pub struct RunningDestination {
    id: String,
    platform: String,
    hold: Duration,
    stop: watch::Sender<Option<u64>>,
    lanes: Vec<watch::Receiver<LaneStatus>>,
    tasks: JoinSet<()>,
}

impl RunningDestination {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is another part of what a destination needs"
    )]
    pub fn start(
        destination: &Destination,
        key: &Secret,
        uplinks: &[Uplink],
        window: &Window,
        programme: &Programme,
        feed: &Feed,
        start: &SessionStart,
        carriers: &watch::Receiver<Carriers>,
    ) -> Result<Self, DestinationError> {
        let tls = client_config(destination.tls_ca_file.as_deref())?;
        let (stop, stopped) = watch::channel(None);
        let mut tasks = JoinSet::new();
        let mut lanes = Vec::new();
        for (number, routes) in lane_routes(destination, uplinks)?.into_iter().enumerate() {
            let both = destination.mode == Mode::Both;
            let steer = destination.steer.then(|| {
                let video = &programme.video;
                Steer::new(
                    video.min_bitrate_kbps,
                    video.bitrate_kbps,
                    programme.audio.bitrate_kbps,
                )
            });
            let setup = LaneSetup {
                routes,
                tls: Some(Arc::clone(&tls)),
                publisher: PublisherSettings {
                    app: String::new(),
                    tc_url: String::new(),
                    key: key.clone(),
                    credentials: destination.credentials.clone(),
                    chunk_size: CHUNK_SIZE,
                },
                feed: feed.clone(),
                start: Some(start.from.clone()),
                base: start.base,
                hold: window.hold,
                // The session lets nothing out before its time.
                delay: Duration::ZERO,
                catch_up: destination.catch_up.unwrap_or(window.catch_up),
                resume: destination.resume,
                // Two lanes carry the same timestamps only on one timeline.
                timeline: if both {
                    Timeline::Continue
                } else {
                    destination.timeline
                },
                timeline_start: destination.timeline_start,
                steer,
                carriers: carriers.clone(),
            };
            let (sender, status) = watch::channel(LaneStatus::default());
            let span = if both {
                tracing::info_span!("destination", id = %destination.id, lane = number)
            } else {
                tracing::info_span!("destination", id = %destination.id)
            };
            tasks.spawn(keep_running(setup, stopped.clone(), sender).instrument(span));
            lanes.push(status);
        }
        Ok(RunningDestination {
            id: destination.id.clone(),
            platform: destination.platform.clone(),
            hold: window.hold,
            stop,
            lanes,
            tasks,
        })
    }

    /// Delivers everything up to and with unit `until`, then ends the broadcast in the platform's own words.
    pub fn stop(&self, until: u64) {
        self.stop.send_replace(Some(until));
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether every lane has ended.
    pub fn has_ended(&mut self) -> bool {
        while self.tasks.try_join_next().is_some() {}
        self.tasks.is_empty()
    }

    /// The bitrate that this destination's ways can carry; None when it does not steer.
    pub fn video_kbps(&self) -> Option<u32> {
        self.lanes
            .iter()
            .filter_map(|lane| lane.borrow().video_kbps)
            .min()
    }

    pub fn status(&self) -> DestinationStatus {
        let lanes: Vec<LaneStatus> = self
            .lanes
            .iter()
            .map(|lane| lane.borrow().clone())
            .collect();
        let best = lanes
            .iter()
            .min_by_key(|lane| rank(lane.state))
            .cloned()
            .unwrap_or_default();
        let hold_used = lanes
            .iter()
            .map(|lane| lane.hold_used)
            .min()
            .unwrap_or_default();
        let sum =
            |of: fn(&LaneStatus) -> Duration| lanes.iter().map(of).sum::<Duration>().as_secs_f64();
        DestinationStatus {
            id: self.id.clone(),
            platform: self.platform.clone(),
            state: word(best.state),
            uplink: best.uplink,
            ingest: best.ingest,
            standby: best.standby,
            bitrate_kbps: lanes
                .iter()
                .map(|lane| lane.bitrate_kbps)
                .max()
                .unwrap_or(0),
            rtt_ms: best.round_trip.map(|rtt| rtt.as_secs_f64() * 1000.0),
            hold_used_s: hold_used.as_secs_f64(),
            hold_s: self.hold.as_secs_f64(),
            outage_left_s: self.hold.saturating_sub(hold_used).as_secs_f64(),
            delivered_s: lanes
                .iter()
                .map(|lane| lane.delivered)
                .max()
                .unwrap_or_default()
                .as_secs_f64(),
            shed_s: sum(|lane| lane.shed.time),
            shed_units: lanes.iter().map(|lane| lane.shed.units).sum(),
            replayed_s: sum(|lane| lane.replayed),
            undelivered_s: lanes
                .iter()
                .map(|lane| lane.undelivered)
                .min()
                .unwrap_or_default()
                .as_secs_f64(),
            reconnects: lanes.iter().map(|lane| lane.reconnects).sum(),
            ends_in_s: None,
            error: lanes.iter().find_map(|lane| lane.error.clone()),
        }
    }
}

/// Runs a lane to its end; one that ends by a fault of ours is started again, with the newest keyframe.
async fn keep_running(
    mut setup: LaneSetup,
    stop: watch::Receiver<Option<u64>>,
    status: watch::Sender<LaneStatus>,
) {
    let status = Arc::new(status);
    loop {
        let start = setup.start.take();
        let lane = lane::run(
            LaneSetup {
                start,
                ..setup.clone()
            },
            stop.clone(),
            Arc::clone(&status),
        )
        .in_current_span();
        // The set ends the lane when the destination is dropped and this task with it.
        let mut task = JoinSet::new();
        task.spawn(lane);
        match task.join_next().await {
            Some(Err(error)) if error.is_panic() => {
                tracing::error!(
                    "a fault of ours ended this lane, and it is started again; please report it"
                );
            }
            _ => return,
        }
    }
}

fn rank(state: LaneState) -> u8 {
    match state {
        LaneState::OnAir => 0,
        LaneState::Stalled => 1,
        LaneState::Reconnecting => 2,
        LaneState::Connecting => 3,
        LaneState::Ended => 4,
    }
}

fn word(state: LaneState) -> &'static str {
    match state {
        LaneState::Connecting => "connecting",
        LaneState::OnAir => "on_air",
        LaneState::Stalled => "stalled",
        LaneState::Reconnecting => "reconnecting",
        LaneState::Ended => "ended",
    }
}

/// The ways of each lane. One lane has every uplink with every ingest, the preferred ingest first; two lanes have an ingest
/// each and prefer different uplinks.
pub fn lane_routes(
    destination: &Destination,
    uplinks: &[Uplink],
) -> Result<Vec<Vec<Route>>, DnsError> {
    let chosen: Vec<Option<(usize, &Uplink)>> = if destination.uplinks.is_empty() {
        vec![None]
    } else {
        let find = |id: &String| {
            uplinks
                .iter()
                .enumerate()
                .find(|(_, uplink)| uplink.id == *id)
        };
        destination
            .uplinks
            .iter()
            .filter_map(find)
            .map(Some)
            .collect()
    };
    let mut ways = Vec::new();
    for uplink in chosen {
        let names = Arc::new(Names::new(uplink.map(|(_, uplink)| uplink))?);
        let way = Way {
            interface: uplink.map(|(_, u)| u.interface.clone()),
            names,
            mptcp: destination.mptcp,
        };
        ways.push((uplink, way));
    }
    let ingests: Vec<&IngestUrl> = std::iter::once(&destination.server)
        .chain(&destination.backup_server)
        .collect();
    let route = |ingest: usize, way: usize| {
        let (uplink, way) = &ways[way];
        Route {
            path: Path {
                uplink: uplink.map(|(index, _)| index),
                ingest,
                metered: uplink.is_some_and(|(_, uplink)| uplink.metered),
            },
            server: ingests[ingest].clone(),
            way: way.clone(),
            uplink: uplink.map(|(_, uplink)| uplink.id.clone()),
        }
    };
    Ok(match destination.mode {
        Mode::Failover => {
            let all =
                (0..ways.len()).flat_map(|way| (0..ingests.len()).map(move |ingest| (ingest, way)));
            vec![all.map(|(ingest, way)| route(ingest, way)).collect()]
        }
        Mode::Both => {
            let count = ways.len();
            let lane = |ingest: usize| {
                (0..count)
                    .map(|n| route(ingest, (ingest + n) % count))
                    .collect()
            };
            (0..ingests.len()).map(lane).collect()
        }
    })
}
