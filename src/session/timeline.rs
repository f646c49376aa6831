//! Maps each engine run's absolute times onto the one programme timeline. Pure.
//!
//! Engine and director read the same monotonic clock, so the map is a subtraction, and a run that
//! follows another keeps the true length of the gap between them. Two corrections are made once per run:
//! its offset is rounded to the frame grid, so that frames stay whole multiples of a frame's length for
//! the whole session, and a run that would step back (the old one ran ahead) is moved forward.

use crate::media::{FrameRate, MediaTime, MediaUnit, Track};
use std::time::Duration;

/// ISO 14496-3: an AAC-LC frame.
const AAC_FRAME_SAMPLES: i64 = 1_024;
/// Timestamps leave in milliseconds: less than this is no overlap.
const ROUNDING_US: i64 = 1_000;

#[derive(Debug)]
pub struct Timeline {
    fps: FrameRate,
    /// The least step from one sound frame to the next, µs: a decoder takes it ill when frames overlap.
    sound_step_us: i64,
    offset: Option<i64>,
    /// Newest decode time given out, per track.
    newest: [Option<MediaTime>; 2],
    epoch: Option<i64>,
}

fn index(track: Track) -> usize {
    match track {
        Track::Video => 0,
        Track::Audio => 1,
    }
}

impl Timeline {
    /// `sample_rate` in Hz.
    pub fn new(fps: FrameRate, sample_rate: u32) -> Self {
        let frame_us = AAC_FRAME_SAMPLES * 1_000_000 / i64::from(sample_rate.max(1));
        Timeline {
            fps,
            sound_step_us: frame_us - ROUNDING_US,
            offset: None,
            newest: [None; 2],
            epoch: None,
        }
    }

    /// A new engine run begins: its first keyframe will fix the run's offset.
    pub fn new_run(&mut self) {
        self.offset = None;
    }

    /// The unit on the programme timeline; None for what comes before a run's first keyframe (nothing can be
    /// decoded before it), for a unit that would step back, and for sound that the run before has given already.
    pub fn map(&mut self, mut unit: MediaUnit) -> Option<MediaUnit> {
        let offset = match self.offset {
            Some(offset) => offset,
            None if unit.keyframe => self.begin_run(&unit),
            None => return None,
        };
        unit.dts = MediaTime(unit.dts.0 + offset);
        unit.pts = MediaTime(unit.pts.0 + offset);
        let least_step_us = match unit.track {
            Track::Video => 1,
            Track::Audio => self.sound_step_us,
        };
        let newest = &mut self.newest[index(unit.track)];
        if newest.is_some_and(|newest| unit.dts.0 < newest.0 + least_step_us) {
            return None;
        }
        *newest = Some(unit.dts);
        Some(unit)
    }

    /// Programme time zero is the first frame ever shown.
    fn begin_run(&mut self, first: &MediaUnit) -> i64 {
        let epoch = *self.epoch.get_or_insert(first.pts.0);
        let shown = MediaTime(first.pts.0 - epoch);
        let mut frame = self.fps.frame_at(shown);
        let frame_length = self.fps.frame_time(1).0;
        if let Some(newest) = self.newest[index(Track::Video)] {
            let decode_lead = first.pts.0 - first.dts.0;
            while self.fps.frame_time(frame).0 - decode_lead <= newest.0 {
                frame += 1 + (newest.0 + decode_lead - self.fps.frame_time(frame).0) / frame_length;
            }
        }
        let offset = self.fps.frame_time(frame).0 - first.pts.0;
        self.offset = Some(offset);
        offset
    }

    /// The programme time of an absolute monotonic time, for ages; None before the first unit.
    pub fn programme_time(&self, monotonic: Duration) -> Option<MediaTime> {
        let epoch = self.epoch?;
        Some(MediaTime(
            i64::try_from(monotonic.as_micros()).ok()? - epoch,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const FPS: FrameRate = FrameRate { num: 30, den: 1 };

    fn unit(track: Track, dts: i64, pts: i64, keyframe: bool) -> MediaUnit {
        MediaUnit {
            track,
            dts: MediaTime(dts),
            pts: MediaTime(pts),
            keyframe,
            data: Bytes::new(),
        }
    }

    #[test]
    fn starts_at_zero_with_the_first_keyframe() {
        let mut timeline = Timeline::new(FPS, 48_000);
        assert_eq!(
            timeline.map(unit(Track::Audio, 5_000_000, 5_000_000, false)),
            None
        );
        let first = timeline
            .map(unit(Track::Video, 5_033_333, 5_100_000, true))
            .unwrap();
        assert_eq!((first.dts.0, first.pts.0), (-66_667, 0));
        let audio = timeline
            .map(unit(Track::Audio, 5_110_000, 5_110_000, false))
            .unwrap();
        assert_eq!(audio.pts.0, 10_000);
    }

    #[test]
    fn a_second_run_keeps_the_gap_and_the_grid() {
        let mut timeline = Timeline::new(FPS, 48_000);
        timeline
            .map(unit(Track::Video, 1_000_000, 1_000_000, true))
            .unwrap();
        timeline.new_run();
        assert_eq!(
            timeline.map(unit(Track::Video, 2_000_000, 2_000_000, false)),
            None
        );
        let first = timeline
            .map(unit(Track::Video, 2_510_000, 2_510_000, true))
            .unwrap();
        assert_eq!(first.pts, FPS.frame_time(45));
    }

    #[test]
    fn a_run_never_steps_back() {
        let mut timeline = Timeline::new(FPS, 48_000);
        timeline
            .map(unit(Track::Video, 1_000_000, 1_000_000, true))
            .unwrap();
        let late = timeline
            .map(unit(Track::Video, 9_000_000, 9_000_000, false))
            .unwrap();
        timeline.new_run();
        let first = timeline
            .map(unit(Track::Video, 2_000_000, 2_066_667, true))
            .unwrap();
        assert!(first.dts > late.dts);
        assert_eq!(first.pts, FPS.frame_time(FPS.frame_at(first.pts)));
    }

    /// The new run's first sound frame would begin within the old one's last.
    #[test]
    fn sound_of_two_runs_does_not_overlap() {
        let mut timeline = Timeline::new(FPS, 48_000);
        let sound = |at| unit(Track::Audio, at, at, false);
        timeline
            .map(unit(Track::Video, 1_000_000, 1_000_000, true))
            .unwrap();
        timeline.map(sound(1_010_000)).unwrap();
        // Steps of a run differ by a microsecond, for 1024 samples are no whole number of them.
        timeline.map(sound(1_031_333)).unwrap();
        timeline.map(sound(1_052_667)).unwrap();
        timeline.new_run();
        timeline
            .map(unit(Track::Video, 1_033_333, 1_033_333, true))
            .unwrap();
        assert_eq!(timeline.map(sound(1_053_100)), None);
        assert!(timeline.map(sound(1_074_433)).is_some());
    }
}
