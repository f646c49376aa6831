//! Tones and how they are measured, for the desk's own tests.

use super::ramp::to_db;
use std::f32::consts::TAU;

pub const RATE: u32 = 48_000;

/// Interleaved stereo, the same on both sides.
pub fn tone(hz: f32, peak: f32, seconds: f32) -> Vec<f32> {
    let frames = (seconds * RATE as f32) as usize;
    (0..frames)
        .flat_map(|n| {
            let value = (TAU * (hz * n as f32 / RATE as f32).fract()).sin() * peak;
            [value, value]
        })
        .collect()
}

/// RMS of the left side, in dB of full scale.
pub fn level_db(samples: &[f32]) -> f32 {
    let frames = samples.len() / 2;
    let sum: f64 = samples
        .iter()
        .step_by(2)
        .map(|s| f64::from(*s).powi(2))
        .sum();
    to_db((sum / frames as f64).sqrt() as f32)
}

/// The greatest sample above 6 kHz, where a low tone has none and a click has most: in dB of full scale.
pub fn click_db(samples: &[f32]) -> f32 {
    // Four passes of a first-order difference filter with its corner at 6 kHz, the beginning left out.
    let pole = (-f64::from(TAU) * 6_000.0 / f64::from(RATE)).exp();
    let mut left: Vec<f64> = samples.iter().step_by(2).map(|s| f64::from(*s)).collect();
    for _ in 0..6 {
        let (mut x1, mut y1) = (left[0], 0.0);
        for sample in &mut left {
            let y = (1.0 + pole) / 2.0 * (*sample - x1) + pole * y1;
            (x1, y1) = (*sample, y);
            *sample = y;
        }
    }
    let peak = left[480..].iter().fold(0.0f64, |peak, s| s.abs().max(peak));
    to_db(peak as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_is_seen_and_a_tone_is_not() {
        let mut sound = tone(440.0, 0.5, 1.0);
        assert!(click_db(&sound) < -75.0, "{}", click_db(&sound));
        // A mute in the middle of a wave.
        sound[48_054..].fill(0.0);
        assert!(click_db(&sound) > -30.0, "{}", click_db(&sound));
    }
}
