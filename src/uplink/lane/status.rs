//! What a lane shows of itself, and the bitrate that its way carries.

use super::Lane;
use crate::uplink::flow::Shed;
use crate::uplink::steer::Sample;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// The bitrate shown is a mean over this long.
const RATE_SPAN: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LaneState {
    #[default]
    Connecting,
    OnAir,
    /// The connection is there and takes nothing.
    Stalled,
    Reconnecting,
    Ended,
}

#[derive(Clone, Debug, Default)]
pub struct LaneStatus {
    pub state: LaneState,
    pub uplink: Option<String>,
    /// Host and port.
    pub ingest: Option<String>,
    pub standby: Option<String>,
    pub bitrate_kbps: u32,
    pub round_trip: Option<Duration>,
    /// Age of the oldest unit that is not acknowledged, beyond the delay.
    pub hold_used: Duration,
    /// Programme time acknowledged since the first publish, less what was shed.
    pub delivered: Duration,
    pub shed: Shed,
    pub replayed: Duration,
    /// Publishes after the first.
    pub reconnects: u32,
    /// Programme time not delivered when the lane ended.
    pub undelivered: Duration,
    pub error: Option<String>,
    pub video_kbps: Option<u32>,
}

/// A mean over the last seconds of a running total.
#[derive(Debug, Default)]
pub(super) struct Rate {
    totals: VecDeque<(Instant, u64)>,
}

impl Rate {
    pub fn clear(&mut self) {
        self.totals.clear();
    }

    /// In kb/s, with this newest total of bytes; 0 as long as there is too little to tell.
    fn with(&mut self, now: Instant, bytes: u64) -> u32 {
        self.totals.push_back((now, bytes));
        while self
            .totals
            .front()
            .is_some_and(|(at, _)| now.duration_since(*at) > RATE_SPAN)
        {
            self.totals.pop_front();
        }
        let Some((from, first)) = self.totals.front() else {
            return 0;
        };
        let span = now.duration_since(*from).as_secs_f64();
        if span < 0.5 {
            0
        } else {
            (bytes.saturating_sub(*first) as f64 * 8.0 / 1000.0 / span) as u32
        }
    }
}

impl Lane {
    pub(super) fn publish_status(&mut self, now: Instant) {
        let on_air = self.failover.on_air();
        let stalled = self.failover.is_stalled();
        self.status.state = match on_air {
            _ if self.ended => LaneState::Ended,
            Some(_) if stalled => LaneState::Stalled,
            Some(_) => LaneState::OnAir,
            None if self.published > 0 => LaneState::Reconnecting,
            None => LaneState::Connecting,
        };
        let time = self.setup.feed.time(now);
        let reached = self.position.acknowledged().or(self.position.resume_time());
        let backlog = match reached {
            // What the engine has not made does not wait.
            _ if self.position.has_all(self.setup.feed.view().newest.seq()) => Duration::ZERO,
            Some(reached) => time.since(reached).saturating_sub(self.setup.delay),
            None => Duration::ZERO,
        };
        self.status.hold_used = backlog.min(self.setup.hold);
        self.status.shed = self.shed_before;
        self.status.shed.add(self.position.shed());
        self.status.standby = self
            .failover
            .standby()
            .map(|path| self.routes[path].to_string());
        let carrying = on_air.and_then(|(id, path)| {
            Some((self.connections.get(&id)?.progress.borrow().clone(), path))
        });
        if let Some((progress, path)) = carrying {
            let route = &self.routes[path];
            self.status.uplink = route.uplink.clone();
            self.status.ingest = Some(format!("{}:{}", route.server.host, route.server.port));
            self.status.round_trip = Some(progress.round_trip);
            self.status.shed.add(progress.shed);
            self.status.bitrate_kbps = self.rate.with(now, progress.acknowledged_bytes);
            if !stalled {
                self.steer(
                    now,
                    Sample {
                        backlog,
                        acknowledged_bytes: progress.acknowledged_bytes,
                        full: progress.full,
                    },
                );
            }
        } else {
            self.status.round_trip = None;
            self.status.bitrate_kbps = 0;
        }
        if let (Some(began), Some(reached)) = (self.began, self.position.acknowledged()) {
            self.status.delivered = reached.since(began).saturating_sub(self.status.shed.time);
        }
        self.log_shed();
        self.sender.send_replace(self.status.clone());
    }

    /// Once for each GOP or so: the operator's last chance to do something.
    fn log_shed(&mut self) {
        let shed = self.status.shed;
        if shed.units > self.shed_logged {
            warn!(
                seconds_in_all = shed.time.as_secs_f64(),
                units_in_all = shed.units,
                "shed: older than the hold"
            );
            self.shed_logged = shed.units;
        }
    }

    fn steer(&mut self, now: Instant, sample: Sample) {
        let Some(steer) = &mut self.setup.steer else {
            return;
        };
        // A way that carries nothing at all is an outage, for the failover; a narrow one carries something at every tick.
        let progress = self.steered_bytes != Some(sample.acknowledged_bytes);
        self.steered_bytes = Some(sample.acknowledged_bytes);
        if !progress {
            steer.reset();
        } else if let Some(advice) = steer.sample(now, sample) {
            info!(video_kbps = advice.video_kbps, reason = %advice.reason, "bitrate advised");
            self.status.video_kbps = Some(advice.video_kbps);
        }
    }
}
