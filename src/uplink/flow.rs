//! When may the next unit go, and what is too old to go at all? Pure.

use crate::media::MediaTime;
use crate::window::Cursor;
use std::time::{Duration, Instant};

/// How far media may run ahead of its pace in one burst, so that a timer that wakes late costs nothing.
const BURST: Duration = Duration::from_millis(50);
/// A longer step from one unit to the next is no media but a gap (shed, or never encoded), and waits for nothing.
const STEP_MAX: Duration = Duration::from_millis(200);

/// Paces sending to at most `catch_up` × real time. Live media arrives at 1 ×, so it never waits; only a backlog does.
#[derive(Debug)]
pub struct Pace {
    catch_up: f64,
    /// The newest decode time sent and the earliest moment for media beyond it.
    sent: Option<(MediaTime, Instant)>,
}

impl Pace {
    pub fn new(catch_up: f64) -> Self {
        Pace {
            catch_up,
            sent: None,
        }
    }

    /// None: `unit` may be sent now. Otherwise when.
    pub fn wait_until(&self, now: Instant, dts: MediaTime) -> Option<Instant> {
        let (newest, earliest) = self.sent?;
        (dts > newest && earliest > now).then_some(earliest)
    }

    pub fn sent(&mut self, now: Instant, dts: MediaTime) {
        let Some((newest, earliest)) = self.sent else {
            self.sent = Some((dts, now));
            return;
        };
        let floor = now.checked_sub(BURST).unwrap_or(now);
        let step = dts.since(newest).min(STEP_MAX);
        let earliest = earliest.max(floor) + step.div_f64(self.catch_up);
        self.sent = Some((newest.max(dts), earliest));
    }
}

/// What was shed, for the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shed {
    pub units: u64,
    /// Programme time between the keyframe shed first and the one that goes on.
    pub time: Duration,
    /// Number and decode time of the last unit shed.
    pub until: Option<(u64, MediaTime)>,
}

impl Shed {
    pub fn add(&mut self, more: Shed) {
        self.units += more.units;
        self.time += more.time;
        self.until = self.until.max(more.until);
    }
}

/// Moves a cursor that stands before a keyframe past every whole GOP that is older than `horizon`, as long as the
/// keyframe after it has been written. A cursor inside a GOP, or one young enough, stays: a GOP that was begun is ended.
pub fn shed(cursor: &mut Cursor, horizon: MediaTime) -> Shed {
    let mut shed = Shed::default();
    let Some(first) = cursor
        .peek()
        .filter(|e| e.unit.keyframe && e.unit.dts < horizon)
        .map(|e| e.unit.dts)
    else {
        return shed;
    };
    let target = cursor
        .first_keyframe_from(horizon)
        .or_else(|| cursor.last_keyframe_until(horizon))
        .unwrap_or_else(|| cursor.clone());
    if let Some(entry) = target.peek() {
        shed.time = entry.unit.dts.since(first);
        shed.units = target.seq().saturating_sub(cursor.seq());
        shed.until = target.last().map(|last| (last.seq, last.unit.dts));
        *cursor = target;
    }
    shed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::tests::filled;

    fn ms(ms: i64) -> MediaTime {
        MediaTime::from_millis(ms)
    }

    #[test]
    fn live_media_never_waits() {
        let mut pace = Pace::new(2.0);
        let start = Instant::now();
        for n in 0..300 {
            let now = start + Duration::from_millis(33 * n);
            assert_eq!(pace.wait_until(now, ms(33 * n as i64)), None, "unit {n}");
            pace.sent(now, ms(33 * n as i64));
        }
    }

    #[test]
    fn a_backlog_goes_at_the_catch_up_rate() {
        let mut pace = Pace::new(2.0);
        let start = Instant::now();
        let mut now = start;
        for n in 0..=300 {
            let dts = ms(n * 33);
            while let Some(until) = pace.wait_until(now, dts) {
                now = until;
            }
            pace.sent(now, dts);
        }
        let took = now.duration_since(start).as_secs_f64();
        assert!((took - 9.9 / 2.0).abs() < 0.1, "{took}");
    }

    #[test]
    fn a_blocked_socket_earns_no_credit() {
        let mut pace = Pace::new(2.0);
        let start = Instant::now();
        pace.sent(start, ms(0));
        let later = start + Duration::from_secs(20);
        pace.sent(later, ms(100));
        pace.sent(later, ms(200));
        assert!(pace.wait_until(later, ms(300)).is_some());
    }

    #[test]
    fn a_gap_is_not_waited_for() {
        let mut pace = Pace::new(2.0);
        let start = Instant::now();
        pace.sent(start, ms(0));
        // The engine was gone for ten seconds, or twenty were shed.
        let later = start + Duration::from_secs(10);
        pace.sent(later, ms(30_000));
        let wait = pace.wait_until(later, ms(30_033));
        assert!(
            wait.is_none_or(|until| until.duration_since(later) <= Duration::from_millis(100)),
            "{wait:?}"
        );
    }

    #[test]
    fn sheds_whole_gops_only() {
        let (_window, mut cursor) = filled(10);
        let got = shed(&mut cursor, ms(4500));
        assert_eq!(
            got,
            Shed {
                units: 60,
                time: Duration::from_secs(6),
                until: Some((60, ms(5900))),
            }
        );
        assert_eq!(cursor.peek().map(|e| e.unit.dts), Some(ms(6000)));
        assert_eq!(
            shed(&mut cursor, ms(4500)),
            Shed::default(),
            "young enough now"
        );
    }

    #[test]
    fn a_begun_gop_is_ended() {
        let (_window, mut cursor) = filled(10);
        cursor.advance();
        assert_eq!(shed(&mut cursor, ms(9000)), Shed::default());
    }

    #[test]
    fn the_newest_gop_stays_when_all_is_too_old() {
        let (_window, mut cursor) = filled(10);
        assert_eq!(shed(&mut cursor, ms(60_000)).time, Duration::from_secs(8));
        assert_eq!(cursor.peek().map(|e| e.unit.dts), Some(ms(8000)));
    }
}
