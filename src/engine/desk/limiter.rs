//! The programme's limiter: no true peak over the ceiling, and nothing changed under it. Pure.
//!
//! It looks ahead: what a coming peak needs is taken off over the time before it, evenly, so that the gain has no corner
//! that is heard. Per frame, with d the gain that the frame's true peak needs (ITU-R BS.1770-4, annex 2: four times
//! oversampled), m the least d of the last N + 1 frames, r following m down at once and up slowly, and a the mean of the last N
//! of r: a frame that leaves N + 5 frames after it came is multiplied by a. Every r in that mean is at most what the
//! frame needs, hence a is.
//!
//! Its delay is taken out by the console, which feeds it that much ahead.

use super::compressor::pole;
use super::ramp::{from_db, to_db};
use std::collections::VecDeque;
use std::f64::consts::PI;

/// The look-ahead: 5 ms, of which the oversampling filter takes five frames.
const PER_SECOND: u32 = 200;
const FILTER_DELAY: usize = 5;
const RELEASE_MS: f32 = 150.0;
/// Taps of the interpolation at each of three places between two frames.
const TAPS: usize = 12;
const PLACES: usize = 3;
/// A gain this near to one is one.
const NEAR: f32 = 1e-5;

#[derive(Debug)]
pub struct Limiter {
    ceiling: f32,
    /// N.
    window: usize,
    release: f32,
    interpolation: [[f32; TAPS]; PLACES],
    /// How far an interpolated value can exceed the greatest sample.
    most: f32,
    /// The last TAPS − 1 frames.
    history: Vec<[f32; 2]>,
    history_peak: f32,
    /// Frames that have not left yet.
    tail: Vec<f32>,
    /// Candidates for m: frame numbers and their d, both increasing.
    demands: VecDeque<(u64, f32)>,
    frame: u64,
    recovered: f32,
    /// The last N of r, and their sum.
    averaged: VecDeque<f32>,
    sum: f64,
    /// Frames since anything was taken off or recovering.
    calm: usize,
    deepest: f32,
}

impl Limiter {
    /// `ceiling_db` is in dBTP.
    pub fn new(ceiling_db: f32, rate: u32) -> Self {
        let window = (rate / PER_SECOND) as usize - FILTER_DELAY;
        let interpolation = interpolation();
        let norm = |taps: &[f32; TAPS]| taps.iter().map(|t| t.abs()).sum::<f32>();
        Limiter {
            ceiling: from_db(ceiling_db),
            window,
            release: 1.0 - pole(RELEASE_MS, rate),
            most: interpolation.iter().map(norm).fold(1.0, f32::max),
            interpolation,
            history: vec![[0.0; 2]; TAPS - 1],
            history_peak: 0.0,
            tail: vec![0.0; 2 * (window + FILTER_DELAY)],
            demands: VecDeque::new(),
            frame: 0,
            recovered: 1.0,
            averaged: std::iter::repeat_n(1.0, window).collect(),
            sum: window as f64,
            calm: usize::MAX,
            deepest: 1.0,
        }
    }

    /// In frames.
    pub fn latency(&self) -> usize {
        self.window + FILTER_DELAY
    }

    /// Interleaved stereo in; as much out, from `latency` frames before.
    pub fn process(&mut self, block: Vec<f32>) -> Vec<f32> {
        let frames = block.len() / 2;
        let peak = block.iter().fold(0.0f32, |peak, s| s.abs().max(peak));
        let harmless = peak.max(self.history_peak) * self.most <= self.ceiling;
        let gains = if harmless && self.calm >= 2 * self.window + 2 {
            None
        } else {
            Some(self.gains(&block))
        };
        self.remember(&block, peak);
        self.tail.extend(block);
        let rest = self.tail.split_off(2 * frames);
        let mut out = std::mem::replace(&mut self.tail, rest);
        if let Some(gains) = gains {
            for (frame, gain) in out.as_chunks_mut::<2>().0.iter_mut().zip(gains) {
                *frame = frame.map(|sample| sample * gain);
                self.deepest = self.deepest.min(gain);
            }
        }
        out
    }

    /// The most it took off since this was asked last, in dB; 0 for nothing.
    pub fn take_reduction_db(&mut self) -> f32 {
        -to_db(std::mem::replace(&mut self.deepest, 1.0))
    }

    fn gains(&mut self, block: &[f32]) -> Vec<f32> {
        let mut frames = self.history.clone();
        frames.extend_from_slice(block.as_chunks::<2>().0);
        let gains = frames.windows(TAPS).map(|window| {
            let demand = self.demand(window);
            self.step(demand)
        });
        // Collected here, since both borrow `self`.
        gains.collect()
    }

    /// What the frame in the middle and the one behind it need.
    fn demand(&self, window: &[[f32; 2]]) -> f32 {
        let middle = [window[TAPS / 2 - 1], window[TAPS / 2]];
        let mut peak = middle
            .as_flattened()
            .iter()
            .fold(0.0f32, |peak, s| s.abs().max(peak));
        for taps in &self.interpolation {
            let mut value = [0.0f32; 2];
            for (tap, frame) in taps.iter().zip(window) {
                value[0] += tap * frame[0];
                value[1] += tap * frame[1];
            }
            peak = peak.max(value[0].abs()).max(value[1].abs());
        }
        if peak > self.ceiling {
            self.ceiling / peak
        } else {
            1.0
        }
    }

    /// One frame on: the gain for the frame that leaves.
    fn step(&mut self, demand: f32) -> f32 {
        while self
            .demands
            .back()
            .is_some_and(|(_, later)| *later >= demand)
        {
            self.demands.pop_back();
        }
        self.demands.push_back((self.frame, demand));
        let oldest = self.frame.saturating_sub(self.window as u64);
        while self
            .demands
            .front()
            .is_some_and(|(frame, _)| *frame < oldest)
        {
            self.demands.pop_front();
        }
        self.frame += 1;
        let least = self.demands.front().map_or(1.0, |(_, demand)| *demand);
        let risen = self.recovered + (1.0 - self.recovered) * self.release;
        self.recovered = least.min(if risen > 1.0 - NEAR { 1.0 } else { risen });
        self.averaged.push_back(self.recovered);
        let left = self.averaged.pop_front().unwrap_or(1.0);
        self.sum += f64::from(self.recovered) - f64::from(left);
        if self.recovered < 1.0 {
            self.calm = 0;
        } else {
            self.calm = self.calm.saturating_add(1);
            if self.calm >= self.window {
                // All of them are one; rounding does not add up over days.
                self.sum = self.window as f64;
            }
        }
        (self.sum / self.window as f64) as f32
    }

    fn remember(&mut self, block: &[f32], peak: f32) {
        self.history.extend_from_slice(block.as_chunks::<2>().0);
        let extra = self.history.len() - (TAPS - 1);
        self.history.drain(..extra);
        self.history_peak = peak;
    }
}

/// Windowed sinc: values at a quarter, a half and three quarters between the two frames in the middle.
fn interpolation() -> [[f32; TAPS]; PLACES] {
    std::array::from_fn(|place| {
        let fraction = (place + 1) as f64 / (PLACES + 1) as f64;
        std::array::from_fn(|tap| {
            let x = tap as f64 - (TAPS / 2 - 1) as f64 - fraction;
            let sinc = (PI * x).sin() / (PI * x);
            let hann = 0.5 + 0.5 * (2.0 * PI * x / TAPS as f64).cos();
            (sinc * hann) as f32
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use ebur128::{EbuR128, Mode};
    use proptest::prelude::*;

    const CEILING_DB: f32 = -1.0;

    fn limited(sound: &[f32], block: usize) -> Vec<f32> {
        let mut limiter = Limiter::new(CEILING_DB, RATE);
        sound
            .chunks(2 * block)
            .flat_map(|block| limiter.process(block.to_vec()))
            .collect()
    }

    fn true_peak_db(sound: &[f32]) -> f32 {
        let mut meter = EbuR128::new(2, RATE, Mode::TRUE_PEAK).unwrap();
        meter.add_frames_f32(sound).unwrap();
        to_db(meter.true_peak(0).unwrap().max(meter.true_peak(1).unwrap()) as f32)
    }

    #[test]
    fn under_the_ceiling_nothing_changes_but_the_time() {
        let sound = tone(1_000.0, 0.85, 0.5);
        let out = limited(&sound, 1_024);
        let latency = 2 * Limiter::new(CEILING_DB, RATE).latency();
        assert_eq!(latency, 480);
        assert!(out[latency..] == sound[..sound.len() - latency]);
    }

    #[test]
    fn a_loud_tone_stays_at_the_ceiling() {
        let out = limited(&tone(1_000.0, 1.9, 1.0), 1_024);
        let peak = true_peak_db(&out);
        assert!((-1.05..=-0.98).contains(&peak), "{peak}");
    }

    #[test]
    fn peaks_between_the_samples_count() {
        // A quarter of the sample rate, at 45°: samples at 0.707 of the peak.
        let sound: Vec<f32> = (0..48_000)
            .flat_map(|n| [1, 1, -1, -1][n % 4].map_value())
            .collect();
        assert!(true_peak_db(&sound) > 0.5 + to_db(0.95));
        let peak = true_peak_db(&limited(&sound, 1_024));
        assert!(peak <= CEILING_DB + 0.1, "{peak}");
    }

    trait MapValue {
        fn map_value(self) -> [f32; 2];
    }

    impl MapValue for i32 {
        fn map_value(self) -> [f32; 2] {
            [0.85 * self as f32; 2]
        }
    }

    #[test]
    fn a_step_is_taken_without_a_click_and_let_go_again() {
        let mut sound = tone(300.0, 0.5, 0.5);
        sound.extend(tone(300.0, 1.5, 0.5));
        sound.extend(tone(300.0, 0.5, 2.0));
        let out = limited(&sound, 1_024);
        assert!(click_db(&out) < -45.0, "{}", click_db(&out));
        let end = &out[out.len() - 48_000..];
        assert!((level_db(end) - level_db(&tone(300.0, 0.5, 0.5))).abs() < 0.01);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn no_true_peak_passes(
            pieces in prop::collection::vec((20f32..20_000.0, 0f32..4.0, 1usize..3_000), 1..30),
            block in 300usize..2_000,
        ) {
            let mut sound = Vec::new();
            for (hz, peak, frames) in pieces {
                sound.extend(&tone(hz, peak, frames as f32 / RATE as f32 + 0.001));
            }
            let out = limited(&sound, block);
            prop_assert_eq!(out.len(), sound.len());
            // Two meters differ by this much on tones near half the sample rate.
            prop_assert!(true_peak_db(&out) <= CEILING_DB + 0.35, "{}", true_peak_db(&out));
            let sample_peak = out.iter().fold(0f32, |peak, s| s.abs().max(peak));
            prop_assert!(sample_peak <= from_db(CEILING_DB) * 1.000_1, "{sample_peak}");
        }
    }
}
