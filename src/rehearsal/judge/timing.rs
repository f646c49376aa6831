//! Timestamps: do they go back, do they leave holes, do pictures keep to the frame grid? Pure.

use crate::media::{FrameRate, MediaTime};

/// One track's timestamps within one publish, and what is remembered of all of them. In ms, as RTMP has them.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    last_ms: Option<u64>,
    pub went_back: u64,
    pub most_back_ms: u64,
    pub largest_step_ms: u64,
    /// Steps longer than one and a half units, when the unit's length is known.
    pub holes: u64,
    /// What these steps have over one unit's length.
    pub hole_ms: f64,
}

impl Clock {
    /// A publish begins its own timeline.
    pub fn restart(&mut self) {
        self.last_ms = None;
    }

    pub fn last_ms(&self) -> Option<u64> {
        self.last_ms
    }

    /// `unit_ms`: how long one unit lasts, where that is known and constant.
    pub fn tick(&mut self, at_ms: u64, unit_ms: Option<f64>) {
        let Some(last) = self.last_ms.replace(at_ms) else {
            return;
        };
        if at_ms < last {
            self.went_back += 1;
            self.most_back_ms = self.most_back_ms.max(last - at_ms);
            return;
        }
        let step = at_ms - last;
        self.largest_step_ms = self.largest_step_ms.max(step);
        if let Some(unit) = unit_ms
            && step as f64 > 1.5 * unit
        {
            self.holes += 1;
            self.hole_ms += step as f64 - unit;
        }
    }
}

/// A presentation time is whole milliseconds, and so is the one it is measured from: together they may be off
/// the grid by one millisecond, and by the microsecond to which the grid itself is rounded.
const TOLERANCE_US: i64 = 1_001;

/// Whether each picture is shown at a whole multiple of the frame's length. A muxer that bends presentation
/// times (HAZARDS.md, flvmux) leaves the grid.
#[derive(Clone, Debug, Default)]
pub struct Grid {
    fps: Option<FrameRate>,
    anchor_ms: Option<i64>,
    pub judged: u64,
    pub bent: u64,
    pub worst_us: i64,
}

impl Grid {
    /// The frame rate as the publisher's metadata tells it.
    pub fn set_rate(&mut self, fps: f64) {
        let fps = exact_rate(fps);
        if fps != self.fps {
            self.fps = fps;
            self.anchor_ms = None;
        }
    }

    pub fn fps(&self) -> Option<FrameRate> {
        self.fps
    }

    /// A publish begins its own timeline.
    pub fn restart(&mut self) {
        self.anchor_ms = None;
    }

    /// Each keyframe becomes the grid's origin, once it was itself measured from the one before: so no error adds
    /// up over hours, and a timeline that was shifted once counts once.
    pub fn check(&mut self, pts_ms: i64, keyframe: bool) {
        let Some(fps) = self.fps else { return };
        let anchor = *self.anchor_ms.get_or_insert(pts_ms);
        let at = MediaTime::from_millis(pts_ms.saturating_sub(anchor).clamp(-MOST_MS, MOST_MS));
        let off_us = at.0 - fps.frame_time(fps.frame_at(at)).0;
        self.judged += 1;
        if off_us.abs() > self.worst_us.abs() {
            self.worst_us = off_us;
        }
        if off_us.abs() > TOLERANCE_US {
            self.bent += 1;
        }
        if keyframe {
            self.anchor_ms = Some(pts_ms);
        }
    }
}

/// Ten years: far outside any stream, far inside the arithmetic.
const MOST_MS: i64 = 10 * 366 * 86_400_000;

/// The fraction a decimal rate stands for: n or n·1000/1001 when it is as near as metadata round it ("29.97").
fn exact_rate(fps: f64) -> Option<FrameRate> {
    if !(1.0..=1_000.0).contains(&fps) {
        return None;
    }
    let whole = fps.round();
    let candidates = [(whole as u32, 1), (whole as u32 * 1_000, 1_001)];
    for (num, den) in candidates {
        let rate = FrameRate { num, den };
        if (rate.as_f64() - fps).abs() < 2e-4 * fps {
            return Some(rate);
        }
    }
    Some(FrameRate {
        num: (fps * 1_000.0).round() as u32,
        den: 1_000,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NTSC: FrameRate = FrameRate {
        num: 30_000,
        den: 1_001,
    };

    #[test]
    fn a_decimal_rate_is_understood() {
        assert_eq!(exact_rate(30.0), Some(FrameRate { num: 30, den: 1 }));
        assert_eq!(exact_rate(29.97), Some(NTSC));
        assert_eq!(exact_rate(30_000.0 / 1_001.0), Some(NTSC));
        assert_eq!(
            exact_rate(23.976),
            Some(FrameRate {
                num: 24_000,
                den: 1_001
            })
        );
        assert_eq!(
            exact_rate(12.5),
            Some(FrameRate {
                num: 12_500,
                den: 1_000
            })
        );
        assert_eq!(exact_rate(0.0), None);
        assert_eq!(exact_rate(f64::NAN), None);
    }

    #[test]
    fn eight_hours_on_the_grid_are_on_the_grid() {
        let mut grid = Grid::default();
        grid.set_rate(29.97);
        for n in 0..863_136 {
            grid.check(67 + NTSC.frame_time(n).round_millis(), n % 60 == 0);
        }
        assert_eq!((grid.judged, grid.bent), (863_136, 0));
        assert!(grid.worst_us.abs() <= 1_001, "{}", grid.worst_us);
    }

    #[test]
    fn a_bent_frame_is_seen() {
        let mut grid = Grid::default();
        grid.set_rate(30.0);
        for (pts, keyframe) in [
            (0, true),
            (33, false),
            (60, false),
            (110, true),
            (143, false),
        ] {
            grid.check(pts, keyframe);
        }
        assert_eq!((grid.bent, grid.worst_us), (2, 10_000));
    }

    #[test]
    fn no_rate_no_judgement() {
        let mut grid = Grid::default();
        grid.check(5, true);
        assert_eq!(grid.judged, 0);
    }

    #[test]
    fn steps_back_and_holes_are_counted() {
        let mut clock = Clock::default();
        for at in [0, 21, 43, 40, 64, 128] {
            clock.tick(at, Some(1_024.0 / 48.0));
        }
        assert_eq!((clock.went_back, clock.most_back_ms), (1, 3));
        assert_eq!((clock.holes, clock.largest_step_ms), (1, 64));
        assert!((clock.hole_ms - 42.67).abs() < 0.01);
    }

    #[test]
    fn a_new_publish_may_begin_at_zero() {
        let mut clock = Clock::default();
        clock.tick(5_000, None);
        clock.restart();
        clock.tick(0, None);
        assert_eq!(clock.went_back, 0);
    }
}
