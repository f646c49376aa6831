//! The truth of a transport test: the units that were produced (a copy recording) against the units that servers recorded,
//! all their files together. Pure.
//!
//! Payloads are compared by hash, but a hash alone does not name a unit: frames of silence are all alike. So each
//! file is laid along the produced sequence as runs of consecutive units.

use crate::media::{Packet, Recording, Track};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

/// How many units ahead decide between places where a run may begin.
const LOOK_AHEAD: usize = 64;

/// What became of one track's produced units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackTruth {
    /// In how many files, or how often, each produced unit was found; by position.
    pub found: Vec<u32>,
    /// Recorded units that nobody produced: changed or made up on the way.
    pub foreign: usize,
}

impl TrackTruth {
    fn new(produced: &[&Packet], files: &[Vec<&Packet>]) -> Self {
        let mut truth = TrackTruth {
            found: vec![0; produced.len()],
            foreign: 0,
        };
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, unit) in produced.iter().enumerate() {
            places.entry(&unit.hash).or_default().push(at);
        }
        for file in files {
            truth.lay(file, produced, &places);
        }
        truth
    }

    fn lay(&mut self, file: &[&Packet], produced: &[&Packet], places: &HashMap<&str, Vec<usize>>) {
        let mut expected = None;
        for (at, unit) in file.iter().enumerate() {
            let follows = expected
                .filter(|&p: &usize| produced.get(p).is_some_and(|next| next.hash == unit.hash));
            let place = follows.or_else(|| {
                let candidates = places.get(unit.hash.as_str())?;
                let agreement = |&place: &usize| {
                    file[at..]
                        .iter()
                        .zip(&produced[place..])
                        .take(LOOK_AHEAD)
                        .take_while(|(a, b)| a.hash == b.hash)
                        .count()
                };
                // Among equals the nearest at or after where the last run ended, else the first.
                let after = expected.unwrap_or(0);
                candidates.iter().copied().max_by_key(|place| {
                    let distance = place.checked_sub(after);
                    (
                        agreement(place),
                        distance.is_some(),
                        std::cmp::Reverse(distance.unwrap_or(*place)),
                    )
                })
            });
            match place {
                Some(place) => {
                    self.found[place] += 1;
                    expected = Some(place + 1);
                }
                None => self.foreign += 1,
            }
        }
    }

    /// From the first unit that arrived to the last: empty when none did.
    pub fn span(&self) -> Range<usize> {
        let first = self.found.iter().position(|&n| n > 0);
        let last = self.found.iter().rposition(|&n| n > 0);
        match (first, last) {
            (Some(first), Some(last)) => first..last + 1,
            _ => 0..0,
        }
    }

    /// Positions of units that no file has, between the first and the last that arrived.
    pub fn lost(&self) -> Vec<usize> {
        self.span().filter(|&at| self.found[at] == 0).collect()
    }

    /// How many units arrived more than once, each extra arrival counted.
    pub fn repeated(&self) -> usize {
        self.found
            .iter()
            .map(|&n| n.saturating_sub(1) as usize)
            .sum()
    }

    /// Units produced before the first that arrived.
    pub fn before(&self) -> usize {
        self.span().start
    }

    /// Units produced after the last that arrived.
    pub fn after(&self) -> usize {
        self.found.len() - self.span().end
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    pub video: TrackTruth,
    pub audio: TrackTruth,
}

/// Lays all files of all servers along what was produced.
pub fn compare(produced: &Recording, recorded: &[Recording]) -> Truth {
    let track = |track| {
        let produced: Vec<&Packet> = produced.track(track).collect();
        let files: Vec<Vec<&Packet>> = recorded.iter().map(|r| r.track(track).collect()).collect();
        TrackTruth::new(&produced, &files)
    };
    Truth {
        video: track(Track::Video),
        audio: track(Track::Audio),
    }
}

impl Truth {
    /// Units of both tracks that no file has, between the first and the last that arrived.
    pub fn lost(&self) -> usize {
        self.video.lost().len() + self.audio.lost().len()
    }

    /// Nothing lost in between, nothing foreign, and something arrived at all.
    #[track_caller]
    pub fn assert_nothing_lost(&self) {
        assert!(!self.video.span().is_empty(), "no video arrived: {self}");
        assert!(!self.audio.span().is_empty(), "no audio arrived: {self}");
        assert_eq!(self.lost(), 0, "{self}");
        assert_eq!(self.video.foreign + self.audio.foreign, 0, "{self}");
    }
}

impl fmt::Display for TrackTruth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost = self.lost();
        write!(
            f,
            "{} produced, {} before the first arrival, {} after the last, {} lost, {} repeated, {} foreign",
            self.found.len(),
            self.before(),
            self.after(),
            lost.len(),
            self.repeated(),
            self.foreign
        )?;
        if let (Some(first), Some(last)) = (lost.first(), lost.last()) {
            write!(f, " (lost from number {first} to {last})")?;
        }
        Ok(())
    }
}

impl fmt::Display for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "video: {}; audio: {}", self.video, self.audio)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(hashes: &str) -> Recording {
        let packets = hashes
            .chars()
            .map(|hash| Packet {
                track: Track::Video,
                pts_us: 0,
                dts_us: 0,
                keyframe: false,
                size: 1,
                hash: hash.to_string(),
            })
            .collect();
        Recording { packets }
    }

    fn truth(produced: &str, files: &[&str]) -> TrackTruth {
        let files: Vec<Recording> = files.iter().map(|f| recording(f)).collect();
        compare(&recording(produced), &files).video
    }

    #[test]
    fn whole() {
        let t = truth("abcdef", &["abcdef"]);
        assert_eq!((t.lost(), t.repeated(), t.foreign), (vec![], 0, 0));
    }

    #[test]
    fn replay_repeats_and_loses_nothing() {
        let t = truth("abcdefgh", &["abcde", "defgh"]);
        assert_eq!((t.lost(), t.repeated(), t.foreign), (vec![], 2, 0));
    }

    #[test]
    fn a_replay_within_one_file_is_the_same() {
        let t = truth("abcdefgh", &["abcdedefgh"]);
        assert_eq!((t.lost(), t.repeated(), t.foreign), (vec![], 2, 0));
    }

    #[test]
    fn a_gap_is_lost_but_the_ends_are_not() {
        let t = truth("abcdefghij", &["bc", "fgh"]);
        assert_eq!(t.lost(), [3, 4]);
        assert_eq!((t.before(), t.after()), (1, 2));
    }

    #[test]
    fn silence_does_not_hide_a_loss() {
        // Twelve alike frames, of which two are missing before a known one.
        let t = truth("a____________z", &["a____", "_____z"]);
        assert_eq!(t.lost().len(), 3);
        assert_eq!((t.repeated(), t.foreign), (0, 0));
    }

    #[test]
    fn a_changed_unit_is_foreign_and_lost() {
        let t = truth("abcdef", &["abXdef"]);
        assert_eq!((t.lost(), t.foreign), (vec![2], 1));
    }

    #[test]
    #[should_panic(expected = "no video arrived")]
    fn an_empty_server_lost_nothing_and_still_fails() {
        compare(&recording("abc"), &[]).assert_nothing_lost();
    }

    #[test]
    fn the_text_names_the_place() {
        assert_eq!(
            truth("abcdefghij", &["bc", "fgh"]).to_string(),
            "10 produced, 1 before the first arrival, 2 after the last, 2 lost, 0 repeated, 0 foreign \
             (lost from number 3 to 4)"
        );
    }
}
