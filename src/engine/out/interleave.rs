//! The order in which both tracks leave the engine. Pure.
//!
//! Video passes at once: it is what everybody waits for. Sound is encoded much faster than pictures with
//! lookahead, so it waits until the video has reached its time; a window and an RTMP session then see both
//! tracks side by side.

use crate::media::{MediaTime, MediaUnit, Track};
use std::collections::VecDeque;
use std::time::Duration;

/// Sound may lead the video's decode time by this much.
const LEAD: Duration = Duration::from_millis(50);
/// With this much sound waiting the video has stopped; then sound alone goes on.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub struct Interleave {
    video_at: Option<MediaTime>,
    waiting: VecDeque<MediaUnit>,
}

impl Interleave {
    /// Takes a unit and gives those that may leave now to `out`, in order.
    pub fn handle(&mut self, unit: MediaUnit, mut out: impl FnMut(MediaUnit)) {
        match unit.track {
            Track::Video => {
                self.video_at = Some(unit.dts);
                out(unit);
            }
            Track::Audio => self.waiting.push_back(unit),
        }
        while self.waiting.front().is_some_and(|u| self.may_leave(u)) {
            if let Some(unit) = self.waiting.pop_front() {
                out(unit);
            }
        }
    }

    /// At the end: what waits leaves.
    pub fn finish(&mut self, out: impl FnMut(MediaUnit)) {
        self.waiting.drain(..).for_each(out);
    }

    fn may_leave(&self, unit: &MediaUnit) -> bool {
        let reached = self.video_at.is_some_and(|at| unit.dts <= at + LEAD);
        let newest = self.waiting.back().map_or(unit.dts, |last| last.dts);
        reached || newest.since(unit.dts) > LONGEST_WAIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn unit(track: Track, ms: i64) -> MediaUnit {
        MediaUnit {
            track,
            dts: MediaTime::from_millis(ms),
            pts: MediaTime::from_millis(ms),
            keyframe: false,
            data: Bytes::new(),
        }
    }

    fn order(units: &[(Track, i64)]) -> Vec<(Track, i64)> {
        let mut interleave = Interleave::default();
        let mut left = Vec::new();
        for (track, ms) in units {
            interleave.handle(unit(*track, *ms), |u| {
                left.push((u.track, u.dts.as_millis()));
            });
        }
        left
    }

    use Track::{Audio as A, Video as V};

    #[test]
    fn sound_waits_for_the_video() {
        assert_eq!(
            order(&[(A, 0), (A, 21), (A, 64), (V, 0), (V, 33)]),
            [(V, 0), (A, 0), (A, 21), (V, 33), (A, 64)]
        );
    }

    #[test]
    fn video_never_waits() {
        assert_eq!(order(&[(V, 0), (V, 33), (A, 0)]), [(V, 0), (V, 33), (A, 0)]);
    }

    #[test]
    fn sound_goes_on_without_video() {
        let sound: Vec<_> = (0..300).map(|n| (A, n * 21)).collect();
        let left = order(&sound);
        assert_eq!(left.first(), Some(&(A, 0)));
        assert!(left.len() > 60 && left.len() < 70);
        let mut interleave = Interleave::default();
        interleave.handle(unit(A, 0), |_| panic!("too early"));
        let mut rest = 0;
        interleave.finish(|_| rest += 1);
        assert_eq!(rest, 1);
    }
}
