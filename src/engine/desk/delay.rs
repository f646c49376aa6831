//! The delay of an input, for lips that come later than their sound. Pure.

use super::ramp::{QUICK_MS, Ramp};
use crate::config::DELAY_MS;

/// What went in is always kept, so that a delay can be put in while sound goes through; without one that costs a copy.
#[derive(Debug)]
pub struct Delay {
    rate: u32,
    line: Vec<[f32; 2]>,
    /// Where the next frame is written.
    at: usize,
    frames: usize,
    /// What it was before, fading into what it is.
    before: usize,
    blend: Ramp,
}

impl Delay {
    pub fn new(ms: u32, rate: u32) -> Self {
        let longest = frames_in(*DELAY_MS.end(), rate);
        let frames = frames_in(ms, rate).min(longest);
        Delay {
            rate,
            line: vec![[0.0; 2]; longest + 1],
            at: 0,
            frames,
            before: frames,
            blend: Ramp::new(1.0),
        }
    }

    pub fn set(&mut self, ms: u32) {
        let frames = frames_in(ms, self.rate).min(self.line.len() - 1);
        if frames != self.frames {
            self.before = self.frames;
            self.frames = frames;
            self.blend = Ramp::new(0.0);
            self.blend.go(1.0, frames_in(QUICK_MS as u32, self.rate), 0);
        }
    }

    pub fn process(&mut self, samples: &mut [f32]) {
        let moving = self.blend.still().is_none();
        for frame in samples.as_chunks_mut::<2>().0 {
            self.line[self.at] = *frame;
            if moving {
                let (old, new) = (self.ago(self.before), self.ago(self.frames));
                let blend = self.blend.step();
                *frame = [0, 1].map(|n| old[n] + (new[n] - old[n]) * blend);
            } else if self.frames > 0 {
                *frame = self.ago(self.frames);
            }
            self.at = (self.at + 1) % self.line.len();
        }
    }

    fn ago(&self, frames: usize) -> [f32; 2] {
        let length = self.line.len();
        self.line[(self.at + length - frames) % length]
    }
}

fn frames_in(ms: u32, rate: u32) -> usize {
    ms as usize * rate as usize / 1_000
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn changing_it_is_not_heard() {
        let mut delay = Delay::new(0, RATE);
        let mut sound = tone(440.0, 0.5, 3.0);
        for (n, block) in sound.chunks_mut(2_048).enumerate() {
            match n {
                60 => delay.set(120),
                90 => delay.set(1_000),
                120 => delay.set(0),
                _ => {}
            }
            delay.process(block);
        }
        assert!(click_db(&sound) < -60.0, "{}", click_db(&sound));
    }

    proptest! {
        #[test]
        fn every_sample_comes_so_much_later(ms in 0u32..=1_000, block in 1usize..3_000) {
            let mut delay = Delay::new(ms, RATE);
            let mut sound: Vec<f32> = (0..130_000).map(|n| n as f32).collect();
            let before = sound.clone();
            sound.chunks_mut(block * 2).for_each(|block| delay.process(block));
            let samples = ms as usize * 48 * 2;
            prop_assert!(sound[..samples].iter().all(|s| *s == 0.0));
            prop_assert!(sound[samples..] == before[..before.len() - samples]);
        }
    }
}
