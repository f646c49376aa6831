//! The high-pass filter: rumble, plosives, handling noise. Pure.
//!
//! A second-order Butterworth section after the "Audio EQ Cookbook" (R. Bristow-Johnson), in transposed direct form II and
//! 64-bit floats: at 20 Hz and 48 kHz its poles lie so near the unit circle that 32 bits make noise.

use super::ramp::{QUICK_MS, Ramp};
use std::f64::consts::{FRAC_1_SQRT_2, TAU};

/// Below this a filter that rings out computes with denormal numbers, which cost a hundredfold.
const NOTHING: f64 = 1e-20;

#[derive(Clone, Copy, Debug)]
struct Section {
    b: [f64; 3],
    a: [f64; 2],
    /// For each channel.
    state: [[f64; 2]; 2],
}

impl Section {
    fn high_pass(hz: f64, rate: f64) -> Self {
        let omega = TAU * hz / rate;
        let alpha = omega.sin() / (2.0 * FRAC_1_SQRT_2);
        let (cos, a0) = (omega.cos(), 1.0 + alpha);
        let edge = (1.0 + cos) / 2.0 / a0;
        Section {
            b: [edge, -2.0 * edge, edge],
            a: [-2.0 * cos / a0, (1.0 - alpha) / a0],
            state: [[0.0; 2]; 2],
        }
    }

    fn step(&mut self, channel: usize, x: f64) -> f64 {
        let [s1, s2] = &mut self.state[channel];
        let y = self.b[0] * x + *s1;
        *s1 = self.b[1] * x - self.a[0] * y + *s2;
        *s2 = self.b[2] * x - self.a[1] * y;
        if s1.abs() < NOTHING {
            *s1 = 0.0;
        }
        if s2.abs() < NOTHING {
            *s2 = 0.0;
        }
        y
    }
}

/// A filter that may be put in, changed and taken out while sound goes through.
#[derive(Debug)]
pub struct HighPass {
    rate: u32,
    hz: Option<u32>,
    now: Option<Section>,
    /// What it was before, fading into what it is.
    before: Option<Section>,
    blend: Ramp,
}

impl HighPass {
    pub fn new(hz: Option<u32>, rate: u32) -> Self {
        HighPass {
            rate,
            hz,
            now: hz.map(|hz| section(hz, rate)),
            before: None,
            blend: Ramp::new(1.0),
        }
    }

    pub fn set(&mut self, hz: Option<u32>) {
        if hz == self.hz {
            return;
        }
        self.hz = hz;
        self.before = self.now;
        self.now = hz.map(|hz| section(hz, self.rate));
        self.blend = Ramp::new(0.0);
        self.blend.go(1.0, QUICK_MS * self.rate as usize / 1_000, 0);
    }

    pub fn process(&mut self, samples: &mut [f32]) {
        if self.blend.still().is_some() {
            self.before = None;
            if let Some(section) = &mut self.now {
                for frame in samples.as_chunks_mut::<2>().0 {
                    *frame = filtered(section, *frame);
                }
            }
            return;
        }
        for frame in samples.as_chunks_mut::<2>().0 {
            let new = self.now.as_mut().map_or(*frame, |s| filtered(s, *frame));
            let old = self.before.as_mut().map_or(*frame, |s| filtered(s, *frame));
            let blend = self.blend.step();
            *frame = [0, 1].map(|n| old[n] + (new[n] - old[n]) * blend);
        }
    }
}

fn section(hz: u32, rate: u32) -> Section {
    Section::high_pass(f64::from(hz), f64::from(rate))
}

fn filtered(section: &mut Section, frame: [f32; 2]) -> [f32; 2] {
    [0, 1].map(|n| section.step(n, f64::from(frame[n])) as f32)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    /// What a tone of that frequency loses.
    fn loss_db(hz: f32, corner: u32) -> f32 {
        let mut filter = HighPass::new(Some(corner), RATE);
        let mut sound = tone(hz, 0.5, 2.0);
        filter.process(&mut sound);
        level_db(&sound[RATE as usize * 2..]) - level_db(&tone(hz, 0.5, 1.0))
    }

    #[test]
    fn it_is_a_butterworth_of_the_second_order() {
        assert!(
            (loss_db(80.0, 80) + 3.01).abs() < 0.05,
            "{}",
            loss_db(80.0, 80)
        );
        assert!(
            (loss_db(40.0, 80) + 12.3).abs() < 0.1,
            "{}",
            loss_db(40.0, 80)
        );
        assert!(loss_db(1_000.0, 80).abs() < 0.01);
    }

    #[test]
    fn out_of_the_way_it_changes_nothing() {
        let mut sound = tone(1_000.0, 0.5, 0.1);
        HighPass::new(None, RATE).process(&mut sound);
        assert!(sound == tone(1_000.0, 0.5, 0.1));
    }

    #[test]
    fn putting_it_in_and_out_is_not_heard() {
        let mut filter = HighPass::new(None, RATE);
        let mut sound = tone(100.0, 0.5, 2.0);
        for (n, block) in sound.chunks_mut(2_048).enumerate() {
            match n {
                10 => filter.set(Some(300)),
                20 => filter.set(Some(80)),
                30 => filter.set(None),
                _ => {}
            }
            filter.process(block);
        }
        assert!(click_db(&sound) < -60.0, "{}", click_db(&sound));
    }
}
