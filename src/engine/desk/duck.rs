//! Turns a source down while others are heard: music under speech. Pure.

use super::compressor::pole;
use super::ramp::from_db;
use crate::config::Duck as Settings;

/// Down before a syllable is over, up after a sentence is.
const DOWN_MS: f32 = 40.0;
const UP_MS: f32 = 400.0;
/// Pauses of speech that are shorter leave it down.
const HOLD_MS: u32 = 700;
const NEAR: f32 = 1e-4;

#[derive(Debug)]
pub struct Ducker {
    down_to: f32,
    threshold: f32,
    rate: u32,
    gain: f32,
    /// Frames for which it stays down still.
    held: usize,
}

impl Ducker {
    pub fn new(settings: &Settings, rate: u32) -> Self {
        Ducker {
            down_to: from_db(settings.by_db),
            threshold: from_db(settings.threshold_db),
            rate,
            gain: 1.0,
            held: 0,
        }
    }

    pub fn set(&mut self, settings: &Settings) {
        self.down_to = from_db(settings.by_db);
        self.threshold = from_db(settings.threshold_db);
    }

    /// `key` is the greatest sample of what it gives way to, in the same block.
    pub fn process(&mut self, samples: &mut [f32], key: f32) {
        let frames = samples.len() / 2;
        if key > self.threshold {
            self.held = (HOLD_MS * self.rate / 1_000) as usize + frames;
        }
        let target = if self.held > 0 { self.down_to } else { 1.0 };
        self.held = self.held.saturating_sub(frames);
        if (self.gain - target).abs() < NEAR {
            self.gain = target;
            if target != 1.0 {
                samples.iter_mut().for_each(|sample| *sample *= target);
            }
            return;
        }
        let ms = if target < self.gain { DOWN_MS } else { UP_MS };
        let pole = pole(ms, self.rate);
        for frame in samples.as_chunks_mut::<2>().0 {
            self.gain = target + (self.gain - target) * pole;
            *frame = frame.map(|sample| sample * self.gain);
        }
    }

    pub fn gain_db(&self) -> f32 {
        super::ramp::to_db(self.gain)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn music_goes_down_under_speech_and_comes_back() {
        let settings = Settings {
            under: vec!["lectern".into()],
            by_db: -15.0,
            threshold_db: -40.0,
        };
        let mut ducker = Ducker::new(&settings, RATE);
        let mut music = tone(440.0, 0.4, 6.0);
        let unducked = level_db(&tone(440.0, 0.4, 1.0));
        for (n, block) in music.chunks_mut(2_048).enumerate() {
            // Speech from the first second to the third, with a pause of 0.3 s in it.
            let ms = n * 1_024 / 48;
            let speaks = (1_000..3_000).contains(&ms) && !(1_800..2_100).contains(&ms);
            ducker.process(block, if speaks { 0.1 } else { 0.005 });
        }
        let level = |ms: usize| level_db(&music[ms * 96..(ms + 100) * 96]) - unducked;
        assert!(level(800).abs() < 0.01);
        assert!((level(1_300) + 15.0).abs() < 0.1, "{}", level(1_300));
        assert!(
            (level(2_050) + 15.0).abs() < 0.1,
            "the pause: {}",
            level(2_050)
        );
        assert!((level(3_500) + 15.0).abs() < 0.1, "held: {}", level(3_500));
        assert!(level(5_800).abs() < 0.1, "{}", level(5_800));
        assert!(click_db(&music) < -60.0, "{}", click_db(&music));
    }
}
