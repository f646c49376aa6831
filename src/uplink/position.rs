//! How far a lane has delivered, and where the next connection starts. Pure.

use super::connection::Progress;
use super::flow::{Shed, shed};
use crate::media::MediaTime;
use crate::window::Cursor;
use std::time::Duration;

/// What the peer's kernel acknowledged and its program (or a TLS proxy before it) may not have read when it died.
pub const MARGIN: Duration = Duration::from_millis(500);

/// Where a broadcast starts on a new connection, and what that means.
#[derive(Debug)]
pub struct Begin {
    /// Before a keyframe.
    pub from: Cursor,
    /// Programme time that was acknowledged (or written) before and goes out once more.
    pub repeated: Duration,
}

#[derive(Debug)]
pub struct Position {
    /// Before the keyframe at which a new connection resumes.
    resume: Cursor,
    /// Number and time of the newest unit acknowledged, and the time of the newest one written.
    acknowledged: Option<(u64, MediaTime)>,
    written: Option<MediaTime>,
    /// Number and time of the newest unit that a connection has shed, which it counts itself.
    shed_by_connection: Option<(u64, MediaTime)>,
    /// Given up here, between connections.
    shed: Shed,
}

impl Position {
    /// `start` stands before the session's first keyframe.
    pub fn new(start: Cursor) -> Self {
        Position {
            resume: start,
            acknowledged: None,
            written: None,
            shed_by_connection: None,
            shed: Shed::default(),
        }
    }

    /// Takes over how far a connection has come.
    pub fn note(&mut self, progress: &Progress) {
        if let Some((cursor, entry)) = progress
            .acknowledged
            .as_ref()
            .and_then(|c| Some((c, c.last()?)))
        {
            if self.acknowledged.is_none_or(|(seq, _)| seq < entry.seq) {
                self.acknowledged = Some((entry.seq, entry.unit.dts));
            }
            if !progress.confirms {
                self.move_resume(cursor, entry.unit.dts - MARGIN);
            }
        }
        if let Some(cursor) = &progress.confirmed {
            self.move_resume(cursor, MediaTime(i64::MAX));
        }
        let written = progress
            .written
            .as_ref()
            .and_then(Cursor::last)
            .map(|entry| entry.unit.dts);
        self.written = self.written.max(written);
        self.shed_by_connection = self.shed_by_connection.max(progress.shed.until);
    }

    fn move_resume(&mut self, limit: &Cursor, at: MediaTime) {
        if let Some(keyframe) = self.resume.last_keyframe_within(limit, at) {
            self.resume = keyframe;
        }
    }

    /// Gives up what is older than `horizon`, so that memory stays bounded while nothing can be sent.
    pub fn forget(&mut self, horizon: MediaTime) {
        let before = self.resume.clone();
        shed(&mut self.resume, horizon);
        self.count_shed(&before);
    }

    /// Counts what lies between `before` and the place to resume, but not what was acknowledged or counted already.
    fn count_shed(&mut self, before: &Cursor) {
        let Some(first) = before.peek() else { return };
        let from = self
            .acknowledged
            .max(self.shed_by_connection)
            .filter(|(seq, _)| *seq > before.seq())
            .unwrap_or((before.seq(), first.unit.dts));
        let Some(next) = self.resume.peek().filter(|next| next.seq > from.0 + 1) else {
            return;
        };
        self.shed.add(Shed {
            units: next.seq - 1 - from.0,
            time: next.unit.dts.since(from.1),
            until: None,
        });
    }

    /// What was given up between connections, in all.
    pub fn shed(&self) -> Shed {
        self.shed
    }

    /// Whole GOPs older than `horizon` are shed; with `live` everything before the newest keyframe is. What is given up is
    /// counted once, however often a publish is tried.
    pub fn begin(&mut self, horizon: MediaTime, live: Option<Cursor>) -> Begin {
        self.forget(horizon);
        if let Some(live) = live.filter(|live| live.seq() > self.resume.seq()) {
            let before = std::mem::replace(&mut self.resume, live);
            self.count_shed(&before);
        }
        let from = self.resume.clone();
        let starts = from.peek().map(|entry| entry.unit.dts);
        Begin {
            repeated: match (self.written, starts) {
                (Some(written), Some(starts)) => written.since(starts),
                _ => Duration::ZERO,
            },
            from,
        }
    }

    /// Whether everything up to the unit numbered `seq` was acknowledged.
    pub fn has_all(&self, seq: u64) -> bool {
        self.acknowledged
            .is_some_and(|(acknowledged, _)| acknowledged >= seq)
    }

    pub fn acknowledged(&self) -> Option<MediaTime> {
        self.acknowledged.map(|(_, dts)| dts)
    }

    /// Programme time of the first unit that a new connection would send.
    pub fn resume_time(&self) -> Option<MediaTime> {
        self.resume.peek().map(|entry| entry.unit.dts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::tests::filled;
    use proptest::prelude::*;

    fn ms(ms: i64) -> MediaTime {
        MediaTime::from_millis(ms)
    }

    fn behind(start: &Cursor, at: i64) -> Cursor {
        let mut cursor = start.clone();
        while cursor.last().is_none_or(|entry| entry.unit.dts < ms(at)) {
            cursor.advance().unwrap();
        }
        cursor
    }

    fn progress(acknowledged: Cursor, written: Cursor) -> Progress {
        Progress {
            acknowledged: Some(acknowledged),
            written: Some(written),
            ..Progress::default()
        }
    }

    #[test]
    fn resumes_at_the_keyframe_before_what_was_acknowledged_less_the_margin() {
        let (_window, start) = filled(10);
        for (acknowledged, resumes) in [
            (1900, 0),
            (2400, 0),
            (2500, 2000),
            (4400, 2000),
            (4500, 4000),
        ] {
            let mut position = Position::new(start.clone());
            position.note(&progress(
                behind(&start, acknowledged),
                behind(&start, 9000),
            ));
            let begin = position.begin(ms(0), None);
            assert_eq!(
                begin.from.peek().unwrap().unit.dts,
                ms(resumes),
                "acknowledged to {acknowledged}"
            );
            assert_eq!(begin.repeated, Duration::from_millis(9000 - resumes as u64));
            assert_eq!(position.shed(), Shed::default());
        }
    }

    #[test]
    fn the_peers_own_acknowledgement_needs_no_margin() {
        let (_window, start) = filled(10);
        let mut position = Position::new(start.clone());
        let confirmed = Some(behind(&start, 4000));
        position.note(&Progress {
            confirmed,
            ..progress(behind(&start, 4100), behind(&start, 4500))
        });
        assert_eq!(position.resume_time(), Some(ms(4000)));
    }

    #[test]
    fn where_the_peer_confirms_nothing_else_counts() {
        let (_window, start) = filled(10);
        let mut position = Position::new(start.clone());
        position.note(&Progress {
            confirmed: Some(behind(&start, 2100)),
            confirms: true,
            ..progress(behind(&start, 9000), behind(&start, 9000))
        });
        assert_eq!(position.resume_time(), Some(ms(2000)));
    }

    #[test]
    fn a_keyframe_not_yet_behind_the_limit_is_not_skipped() {
        let (_window, start) = filled(10);
        let mut position = Position::new(start.clone());
        // Acknowledged to just before the keyframe at 2000, whatever the clock says of it.
        position.note(&Progress {
            confirmed: Some(behind(&start, 1900)),
            ..Progress::default()
        });
        assert_eq!(position.resume_time(), Some(ms(2000)));
        let mut position = Position::new(start.clone());
        position.note(&Progress {
            confirmed: Some(behind(&start, 1800)),
            ..Progress::default()
        });
        assert_eq!(position.resume_time(), Some(ms(0)));
    }

    #[test]
    fn counts_what_it_gives_up_from_what_was_acknowledged() {
        let (_window, start) = filled(10);
        let mut position = Position::new(start.clone());
        position.note(&progress(behind(&start, 2900), behind(&start, 3000)));
        let begin = position.begin(ms(7000), None);
        assert_eq!(begin.from.peek().unwrap().unit.dts, ms(8000));
        let shed = Shed {
            units: 50,
            time: Duration::from_millis(5100),
            until: None,
        };
        assert_eq!(position.shed(), shed);
        assert_eq!(begin.repeated, Duration::ZERO);
        // An ingest that refuses for now costs nothing more.
        position.begin(ms(7000), None);
        assert_eq!(position.shed(), shed);
    }

    #[test]
    fn counts_while_nothing_can_be_sent() {
        let (_window, start) = filled(10);
        let mut position = Position::new(start.clone());
        position.note(&progress(behind(&start, 2900), behind(&start, 3000)));
        let mut shed = Vec::new();
        for horizon in [1000, 3000, 5000, 7000] {
            position.forget(ms(horizon));
            shed.push((position.shed().units, position.shed().time.as_millis()));
        }
        assert_eq!(shed, [(0, 0), (10, 1100), (30, 3100), (50, 5100)]);
    }

    #[test]
    fn what_a_connection_has_shed_is_counted_by_it_alone() {
        let (_window, start) = filled(10);
        let mut position = Position::new(start.clone());
        let mut cursor = behind(&start, 1900);
        let by_connection = shed(&mut cursor, ms(5000));
        position.note(&Progress {
            shed: by_connection,
            ..progress(behind(&start, 1500), cursor)
        });
        position.forget(ms(7000));
        assert_eq!(by_connection.time, Duration::from_secs(4));
        assert_eq!(position.shed().time, Duration::from_millis(2100));
        assert_eq!(position.shed().units, 20);
    }

    #[test]
    fn what_is_given_up_is_counted_once() {
        let (_window, start) = filled(20);
        let mut position = Position::new(start.clone());
        let shed_by = |position: &mut Position, horizon| {
            position.begin(ms(horizon), None);
            position.shed().time.as_millis()
        };
        assert_eq!(shed_by(&mut position, 0), 0);
        // Nothing was ever published, and the publish is refused twice.
        assert_eq!(shed_by(&mut position, 3000), 4000);
        assert_eq!(shed_by(&mut position, 3500), 4000);
        assert_eq!(shed_by(&mut position, 5000), 6000);
        position.note(&progress(behind(&start, 9000), behind(&start, 9000)));
        assert_eq!(shed_by(&mut position, 8000), 6000);
        assert_eq!(shed_by(&mut position, 11_000), 9000);
    }

    /// One thing that happens to a lane.
    #[derive(Clone, Debug)]
    enum Step {
        /// So many further units are written, and so many of those written are acknowledged.
        Deliver {
            write: usize,
            acknowledge: usize,
            confirm: usize,
        },
        Reconnect,
        /// Time goes on by so many tenths of a second.
        Wait(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0usize..60, 0usize..60, 0usize..60).prop_map(|(write, acknowledge, confirm)| {
                Step::Deliver { write, acknowledge, confirm }
            }),
            2 => Just(Step::Reconnect),
            2 => (0i64..80).prop_map(Step::Wait),
        ]
    }

    proptest! {
        /// Whatever a connection had acknowledged when it died, less the margin, or was confirmed, is not needed again.
        /// Everything else goes out again, or is old enough to be shed, and is counted then.
        #[test]
        fn nothing_is_skipped_that_was_not_delivered_or_shed(steps in proptest::collection::vec(step(), 1..60)) {
            let (_window, start) = filled(100);
            let hold = Duration::from_secs(10);
            let mut position = Position::new(start.clone());
            let (mut now, mut shed) = (ms(0), Duration::ZERO);
            // Sequence numbers count units from 1, one each 100 ms.
            let dts = |seq: u64| ms(seq as i64 * 100 - 100);
            let (mut written, mut acknowledged, mut confirmed) = (start.clone(), start.clone(), start.clone());
            let (mut safe_until, mut newest_acknowledged, mut skipped) = (0u64, 0u64, 0u64);
            for step in steps {
                match step {
                    Step::Deliver { write, acknowledge, confirm } => {
                        for _ in 0..write {
                            if written.peek().is_some_and(|entry| entry.unit.dts <= now) {
                                written.advance();
                            }
                        }
                        for _ in 0..acknowledge {
                            if acknowledged.seq() < written.seq() {
                                acknowledged.advance();
                            }
                        }
                        for _ in 0..confirm {
                            if confirmed.seq() < acknowledged.seq() {
                                confirmed.advance();
                            }
                        }
                        position.note(&Progress {
                            acknowledged: Some(acknowledged.clone()),
                            written: Some(written.clone()),
                            confirmed: Some(confirmed.clone()),
                            ..Progress::default()
                        });
                        newest_acknowledged = newest_acknowledged.max(acknowledged.seq());
                        let margin = MARGIN.as_millis() as u64 / 100;
                        safe_until = safe_until.max(acknowledged.seq().saturating_sub(margin)).max(confirmed.seq());
                    }
                    Step::Wait(tenths) => now = ms((now.as_millis() + tenths * 100).min(99_000)),
                    Step::Reconnect => {
                        let horizon = now - hold;
                        let before = position.shed().time;
                        let begin = position.begin(horizon, None);
                        let begin_shed = position.shed().time - before;
                        let from = begin.from.clone();
                        prop_assert!(from.peek().is_some_and(|entry| entry.unit.keyframe));
                        for seq in safe_until + 1..=from.seq() {
                            prop_assert!(dts(seq) < horizon + Duration::from_secs(2), "unit {seq} skipped at {now:?}");
                        }
                        // What lies before the place is delivered, or shed now.
                        let missing_from = skipped.max(newest_acknowledged);
                        if from.seq() > missing_from {
                            let units = from.seq() - missing_from;
                            let counted = begin_shed.as_millis() as u64 / 100;
                            prop_assert!(counted.abs_diff(units) <= 1, "{counted} of {units} counted");
                            skipped = from.seq();
                        } else {
                            prop_assert_eq!(begin_shed, Duration::ZERO);
                        }
                        shed += begin_shed;
                        (written, acknowledged, confirmed) = (from.clone(), from.clone(), from);
                    }
                }
            }
            prop_assert!(shed <= now.since(ms(0)) + Duration::from_secs(2));
        }
    }

    #[test]
    fn live_starts_at_the_newest_keyframe() {
        let (window, start) = filled(10);
        let mut position = Position::new(start.clone());
        let begin = position.begin(ms(0), window.view().keyframe.clone());
        assert_eq!(begin.from.peek().unwrap().unit.dts, ms(8000));
    }
}
