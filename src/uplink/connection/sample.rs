//! What the peer has acknowledged, looked at again and again: the kernel gives no event for it.

use super::{Connection, Event};
use crate::uplink::sockopt;
use std::time::{Duration, Instant};

/// How often, while bytes wait: mostly when there is something to do anyway; a timer of its own comes when there hasn't been
/// for longer.
const SAMPLE: Duration = Duration::from_millis(50);
const SAMPLE_IDLE: Duration = Duration::from_millis(100);

impl Connection {
    /// Looks at what the peer has acknowledged. Gives when to look again.
    pub(super) async fn sample(&mut self, now: Instant) -> Option<Instant> {
        self.live.as_ref()?;
        if let Some(sampled) = self.sampled
            && now < sampled + SAMPLE
        {
            return Some(sampled + SAMPLE_IDLE);
        }
        self.sampled = Some(now);
        let unacknowledged = sockopt::unacknowledged(&self.socket).unwrap_or(0) as u64;
        let acknowledged = self.written.saturating_sub(unacknowledged);
        let mut waiting = unacknowledged > 0 || self.sent < self.out.len();
        let mut stalled_since = self.liveness.sample(now, acknowledged, waiting).since();
        if let Some(live) = &mut self.live {
            let newest = live.in_flight.acknowledged(acknowledged);
            let confirmed = newest.as_ref().and_then(|newest| live.confirmed(newest));
            let overdue = live.reader.is_overdue();
            let reading = live.reading.sample(now, live.reader.read(), overdue);
            stalled_since = stalled_since.or(reading.since());
            waiting |= overdue;
            let round_trip = sockopt::round_trip(&self.socket).ok();
            self.progress.send_modify(|progress| {
                if newest.is_some() {
                    progress.acknowledged = newest;
                }
                progress.confirms = live.reader.is_believed();
                // The lane looks less often than this. But a place that nothing follows would keep all behind it in memory.
                if confirmed.is_some() || !progress.confirms {
                    progress.confirmed = confirmed;
                }
                progress.written = Some(live.cursor.clone());
                progress.acknowledged_bytes = acknowledged;
                progress.round_trip = round_trip.unwrap_or(progress.round_trip);
                progress.shed = live.shed;
                progress.stalled = stalled_since.is_some();
                progress.full = self.sent < self.out.len();
            });
        }
        match stalled_since {
            Some(since) if !self.stalled => {
                self.stalled = true;
                self.tell(Event::Stalled { since }).await;
            }
            None if self.stalled => {
                self.stalled = false;
                self.tell(Event::Progressed).await;
            }
            _ => {}
        }
        waiting.then_some(now + SAMPLE_IDLE)
    }
}
