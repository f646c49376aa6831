//! The test source's sound and the moments at which it flashes and beeps. Pure.
//!
//! Flash and beep come at each whole second of the monotonic clock: the first frame at or after it is the first
//! white one, and the beep's first sample is the one at that frame's time.

use crate::media::{FrameRate, MediaTime};
use std::f32::consts::TAU;

const SECOND_US: i64 = 1_000_000;
/// Frames that stay white: two, so that a receiver at half the frame rate still sees one.
const FLASH_FRAMES: i64 = 2;
const BEEP_US: i64 = 80_000;
const BEEP_HZ: f32 = 1_000.0;
const BEEP_LEVEL: f32 = 0.5;
const TONE_HZ: i64 = 220;
const TONE_LEVEL: f32 = 0.02;

/// The first white frame of the second in which frame `n` lies, or of the one before.
fn flash_start(fps: FrameRate, n: i64) -> i64 {
    let second = |n: i64| fps.frame_time(n).0.div_euclid(SECOND_US);
    let start = fps.frame_at(MediaTime(second(n) * SECOND_US));
    // `frame_at` rounds to the nearest, which may lie just before the second.
    if second(start) < second(n) {
        start + 1
    } else {
        start
    }
}

pub fn is_flash(fps: FrameRate, n: i64) -> bool {
    n - flash_start(fps, n) < FLASH_FRAMES
}

/// Interleaved stereo for frame `n`: from its time to the next frame's. Sample 0 of the result lies at
/// `sample_position(rate, time of n)`.
pub fn sound(fps: FrameRate, rate: u32, n: i64) -> Vec<f32> {
    let position = |n| sample_position(rate, fps.frame_time(n));
    let beep = position(flash_start(fps, n));
    let beep_end = beep + BEEP_US * i64::from(rate) / SECOND_US;
    (position(n)..position(n + 1))
        .flat_map(|sample| {
            // Whole periods a second, so that the phase may be taken within the second.
            let within = sample.rem_euclid(i64::from(rate)) * TONE_HZ % i64::from(rate);
            let tone = (TAU * within as f32 / rate as f32).sin() * TONE_LEVEL;
            let value = if (beep..beep_end).contains(&sample) {
                let phase = BEEP_HZ * (sample - beep) as f32 / rate as f32;
                // A sine that starts at its peak is heard, and measured, from its first sample.
                (TAU * phase.fract()).cos() * BEEP_LEVEL
            } else {
                tone
            };
            [value, value]
        })
        .collect()
}

/// The sample nearest to `at`.
pub fn sample_position(rate: u32, at: MediaTime) -> i64 {
    let samples = i128::from(at.0) * i128::from(rate);
    (samples + i128::from(SECOND_US) / 2).div_euclid(i128::from(SECOND_US)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: [FrameRate; 4] = [
        FrameRate { num: 30, den: 1 },
        FrameRate { num: 25, den: 1 },
        FrameRate {
            num: 30_000,
            den: 1_001,
        },
        FrameRate {
            num: 60_000,
            den: 1_001,
        },
    ];

    #[test]
    fn each_second_flashes_once_at_its_first_frame() {
        for fps in RATES {
            let first = 1_000_000i64;
            let starts: Vec<i64> = (first..first + 3_000)
                .filter(|n| is_flash(fps, *n) && !is_flash(fps, n - 1))
                .collect();
            let seconds = (3_000.0 / fps.as_f64()) as usize;
            assert!(starts.len().abs_diff(seconds) <= 1, "{fps:?}");
            for n in starts {
                let into = fps.frame_time(n).0.rem_euclid(SECOND_US);
                assert!(into < fps.frame_time(1).0, "{fps:?} {n} {into}");
            }
        }
    }

    #[test]
    fn the_beep_begins_with_the_first_white_frame() {
        for fps in RATES {
            let (start, _) = (500_000..500_200)
                .map(|n| (n, is_flash(fps, n) && !is_flash(fps, n - 1)))
                .find(|(_, is_start)| *is_start)
                .unwrap();
            let before = sound(fps, 48_000, start - 1);
            let at = sound(fps, 48_000, start);
            assert!(before.iter().all(|s| s.abs() <= TONE_LEVEL));
            assert_eq!(at[0], BEEP_LEVEL);
        }
    }

    #[test]
    fn the_sound_of_all_frames_is_one_row() {
        for fps in RATES {
            let samples: usize = (0..600).map(|n| sound(fps, 48_000, n).len() / 2).sum();
            assert_eq!(samples as i64, sample_position(48_000, fps.frame_time(600)));
        }
    }
}
