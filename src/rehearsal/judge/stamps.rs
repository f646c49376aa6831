//! Frames by their stamps: which are missing, which came twice. Pure.

use super::intervals::Intervals;
use crate::stamp::Stamp;
use std::collections::VecDeque;

/// No H.264 stream holds back more frames than this for reordering (A.3.1), so a hole further behind the newest
/// frame than this isn't only a B-frame still to come.
const MAX_REORDER: u64 = 16;
/// Engine runs remembered one by one. A replay reaches back seconds, so more than the newest few never matter.
const MAX_RUNS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    New,
    /// It had arrived in this publish already.
    Doubled,
    /// It had arrived in an earlier publish: the price of a replay.
    Repeated,
}

#[derive(Debug, Default)]
pub struct Stamps {
    runs: VecDeque<Run>,
    /// Missing frames of the runs that were let go.
    past_missing: u64,
    past_runs: u64,
}

/// An engine that starts anew counts anew: numbers are compared only within one run.
#[derive(Debug)]
struct Run {
    first_captured_us: u64,
    highest: Stamp,
    all: Intervals,
    /// What arrived in the publish that is on now.
    publish: Intervals,
}

impl Stamps {
    pub fn begin_publish(&mut self) {
        for run in &mut self.runs {
            run.publish = Intervals::default();
        }
    }

    pub fn see(&mut self, stamp: Stamp) -> Sighting {
        if self.starts_run(stamp) {
            self.runs.push_back(Run {
                first_captured_us: stamp.captured_us,
                highest: stamp,
                all: Intervals::default(),
                publish: Intervals::default(),
            });
            if self.runs.len() > MAX_RUNS
                && let Some(oldest) = self.runs.pop_front()
            {
                self.past_missing = self.past_missing.saturating_add(oldest.all.missing());
                self.past_runs += 1;
            }
        }
        // A replay may reach back into the run before: the newest one that had begun by then.
        let at = self
            .runs
            .iter()
            .rposition(|run| run.first_captured_us <= stamp.captured_us)
            .unwrap_or(0);
        let Some(run) = self.runs.get_mut(at) else {
            return Sighting::New;
        };
        run.first_captured_us = run.first_captured_us.min(stamp.captured_us);
        if stamp.frame > run.highest.frame {
            run.highest = stamp;
        }
        let new = run.all.insert(stamp.frame);
        let new_here = run.publish.insert(stamp.frame);
        match (new, new_here) {
            (true, _) => Sighting::New,
            (false, true) => Sighting::Repeated,
            (false, false) => Sighting::Doubled,
        }
    }

    /// Within a run a lower number was captured earlier. A number that goes back while its capture time goes on
    /// comes from an engine that started anew. (One that starts after its box's clock was set back can't be told
    /// from a replay.)
    fn starts_run(&self, stamp: Stamp) -> bool {
        self.runs.back().is_none_or(|run| {
            stamp.frame <= run.highest.frame && stamp.captured_us > run.highest.captured_us
        })
    }

    /// Frames missing between the first and the last one seen.
    pub fn lost(&self) -> u64 {
        self.runs
            .iter()
            .map(|run| run.all.missing())
            .fold(self.past_missing, u64::saturating_add)
    }

    /// The same while the stream goes on: without the newest few, which may only be reordered.
    pub fn lost_so_far(&self) -> u64 {
        let newest = self.runs.len().saturating_sub(1);
        self.runs
            .iter()
            .enumerate()
            .map(|(at, run)| {
                if at == newest {
                    run.all
                        .missing_below(run.highest.frame.saturating_sub(MAX_REORDER))
                } else {
                    run.all.missing()
                }
            })
            .fold(self.past_missing, u64::saturating_add)
    }

    /// The first `most` holes: first and last missing number, both inclusive.
    pub fn holes(&self, most: usize) -> Vec<(u64, u64)> {
        self.runs
            .iter()
            .flat_map(|run| run.all.holes())
            .take(most)
            .collect()
    }

    /// How many engine runs the numbers came from.
    pub fn runs(&self) -> u64 {
        self.past_runs + self.runs.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of 30 fps captured from `epoch_s` on.
    fn frame(epoch_s: u64, n: u64) -> Stamp {
        Stamp {
            frame: n,
            captured_us: epoch_s * 1_000_000 + n * 33_333,
        }
    }

    #[test]
    fn reordered_frames_are_no_loss() {
        let mut stamps = Stamps::default();
        for n in [0, 4, 2, 1, 3, 8, 6, 5] {
            assert_eq!(stamps.see(frame(100, n)), Sighting::New);
        }
        assert_eq!((stamps.lost_so_far(), stamps.lost()), (0, 1));
        stamps.see(frame(100, 7));
        assert_eq!(stamps.lost(), 0);
    }

    #[test]
    fn a_frame_lost_across_a_reconnect_is_lost_and_a_replayed_one_repeated() {
        let mut stamps = Stamps::default();
        stamps.begin_publish();
        for n in 0..60 {
            stamps.see(frame(100, n));
        }
        stamps.begin_publish();
        for n in 50..60 {
            assert_eq!(stamps.see(frame(100, n)), Sighting::Repeated);
        }
        assert_eq!(stamps.see(frame(100, 55)), Sighting::Doubled);
        for n in 63..120 {
            assert_eq!(stamps.see(frame(100, n)), Sighting::New);
        }
        assert_eq!(stamps.lost(), 3);
        assert_eq!(stamps.holes(8), [(60, 62)]);
    }

    #[test]
    fn an_engine_that_starts_anew_counts_anew() {
        let mut stamps = Stamps::default();
        for n in 0..60 {
            stamps.see(frame(100, n));
        }
        for n in 0..30 {
            assert_eq!(stamps.see(frame(110, n)), Sighting::New);
        }
        assert_eq!((stamps.runs(), stamps.lost()), (2, 0));
        stamps.begin_publish();
        for n in 40..60 {
            assert_eq!(stamps.see(frame(100, n)), Sighting::Repeated);
        }
        for n in 0..40 {
            let expected = if n < 30 {
                Sighting::Repeated
            } else {
                Sighting::New
            };
            assert_eq!(stamps.see(frame(110, n)), expected);
        }
        assert_eq!((stamps.runs(), stamps.lost()), (2, 0));
    }

    #[test]
    fn runs_are_bounded_and_their_losses_kept() {
        let mut stamps = Stamps::default();
        for run in 0..200 {
            stamps.see(frame(100 + run * 10, 0));
            stamps.see(frame(100 + run * 10, 2));
        }
        assert_eq!((stamps.runs(), stamps.lost()), (200, 200));
        assert!(stamps.runs.len() <= MAX_RUNS);
    }
}
