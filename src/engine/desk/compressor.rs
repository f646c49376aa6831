//! The compressor of an input, which with a high ratio is its limiter. Pure.
//!
//! Feed-forward, both channels with one gain, with the smooth decoupled peak detector in the log domain that D. Giannoulis,
//! M. Massberg and J. Reiss recommend ("Digital Dynamic Range Compressor Design", JAES 60(6), 2012): attack and release are
//! what they say at any depth, and switching it needs no fade, since its gain never jumps.

use super::ramp::from_db;
use crate::config::Compressor as Settings;

/// The threshold's corner is rounded over so many dB.
const KNEE_DB: f32 = 6.0;
/// Time constant of changes to the make-up gain.
const MAKEUP_MS: f32 = 20.0;
/// What is less than this changes nothing that could be heard.
const NOTHING_DB: f32 = 0.001;
/// Silence, where its logarithm would have none.
const FLOOR: f32 = 1e-6;

#[derive(Debug)]
pub struct Compressor {
    rate: u32,
    settings: Option<Settings>,
    attack: f32,
    release: f32,
    /// The detector's two stages: reduction in dB, not negative.
    held_db: f32,
    reduction_db: f32,
    makeup_db: f32,
    /// The most since it was asked.
    deepest_db: f32,
}

impl Compressor {
    pub fn new(settings: Option<Settings>, rate: u32) -> Self {
        let mut compressor = Compressor {
            rate,
            settings: None,
            attack: 0.0,
            release: 0.0,
            held_db: 0.0,
            reduction_db: 0.0,
            makeup_db: settings.map_or(0.0, |s| s.makeup_db),
            deepest_db: 0.0,
        };
        compressor.set(settings);
        compressor
    }

    pub fn set(&mut self, settings: Option<Settings>) {
        // Without settings the gain goes back as the last ones say.
        let times = settings.or(self.settings).unwrap_or_default();
        self.attack = pole(times.attack_ms, self.rate);
        self.release = pole(times.release_ms, self.rate);
        self.settings = settings;
    }

    pub fn process(&mut self, samples: &mut [f32]) {
        let makeup_to = self.settings.map_or(0.0, |s| s.makeup_db);
        let resting = self.reduction_db < NOTHING_DB && self.makeup_db.abs() < NOTHING_DB;
        if self.settings.is_none() && resting {
            (self.held_db, self.reduction_db, self.makeup_db) = (0.0, 0.0, 0.0);
            return;
        }
        let makeup_pole = pole(MAKEUP_MS, self.rate);
        for frame in samples.as_chunks_mut::<2>().0 {
            let peak = frame[0].abs().max(frame[1].abs()).max(FLOOR);
            let wanted = self
                .settings
                .map_or(0.0, |s| reduction_db(&s, super::ramp::to_db(peak)));
            let released = self.release * self.held_db + (1.0 - self.release) * wanted;
            self.held_db = wanted.max(released);
            self.reduction_db =
                self.attack * self.reduction_db + (1.0 - self.attack) * self.held_db;
            self.makeup_db = makeup_pole * self.makeup_db + (1.0 - makeup_pole) * makeup_to;
            let gain = from_db(self.makeup_db - self.reduction_db);
            *frame = frame.map(|sample| sample * gain);
            self.deepest_db = self.deepest_db.max(self.reduction_db);
        }
    }

    /// The most it took away since this was asked last, in dB.
    pub fn take_reduction_db(&mut self) -> f32 {
        std::mem::take(&mut self.deepest_db)
    }
}

/// The pole of a one-pole smoother with that time constant.
pub fn pole(ms: f32, rate: u32) -> f32 {
    (-1_000.0 / (ms * rate as f32)).exp()
}

/// What the static curve takes away from a level.
fn reduction_db(settings: &Settings, level_db: f32) -> f32 {
    let over = level_db - settings.threshold_db;
    let slope = 1.0 - 1.0 / settings.ratio;
    if 2.0 * over <= -KNEE_DB {
        0.0
    } else if 2.0 * over < KNEE_DB {
        slope * (over + KNEE_DB / 2.0).powi(2) / (2.0 * KNEE_DB)
    } else {
        slope * over
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    const FOUR: Settings = Settings {
        threshold_db: -20.0,
        ratio: 4.0,
        attack_ms: 5.0,
        release_ms: 150.0,
        makeup_db: 0.0,
    };

    /// The level of a tone's last half second, and what it was.
    fn through(settings: Settings, peak_db: f32) -> (f32, f32) {
        let mut sound = tone(1_000.0, from_db(peak_db), 1.5);
        let before = level_db(&sound);
        Compressor::new(Some(settings), RATE).process(&mut sound);
        (level_db(&sound[2 * RATE as usize..]), before)
    }

    #[test]
    fn what_is_over_the_threshold_becomes_a_quarter() {
        let (after, before) = through(FOUR, -8.0);
        // 12 dB over become 3.
        assert!(
            (after - before + 9.0).abs() < 0.2,
            "{before} became {after}"
        );
        let (after, before) = through(FOUR, -30.0);
        assert!((after - before).abs() < 0.01, "{before} became {after}");
    }

    #[test]
    fn a_high_ratio_limits_and_makeup_lifts() {
        let limiter = Settings {
            ratio: 100.0,
            ..FOUR
        };
        let (after, before) = through(limiter, -2.0);
        assert!(
            (after - before + 17.8).abs() < 0.25,
            "{before} became {after}"
        );
        let lifted = Settings {
            makeup_db: 6.0,
            ..FOUR
        };
        let (after, before) = through(lifted, -30.0);
        assert!(
            (after - before - 6.0).abs() < 0.05,
            "{before} became {after}"
        );
    }

    #[test]
    fn attack_and_release_take_their_time() {
        let mut compressor = Compressor::new(Some(FOUR), RATE);
        let mut loud = tone(1_000.0, 0.5, 0.2);
        compressor.process(&mut loud);
        let reached = compressor.reduction_db;
        let mut quiet = tone(1_000.0, 0.001, 0.150);
        compressor.process(&mut quiet);
        // After one time constant it is down to 1/e, a little more for the attack stage behind.
        let left = compressor.reduction_db / reached;
        assert!((0.33..0.42).contains(&left), "{left}");
    }

    #[test]
    fn switching_it_is_not_heard() {
        let mut compressor = Compressor::new(None, RATE);
        let mut sound = tone(300.0, 0.7, 2.0);
        for (n, block) in sound.chunks_mut(2_048).enumerate() {
            match n {
                20 => compressor.set(Some(Settings {
                    makeup_db: 6.0,
                    attack_ms: 20.0,
                    ..FOUR
                })),
                50 => compressor.set(None),
                _ => {}
            }
            compressor.process(block);
        }
        assert!(click_db(&sound) < -60.0, "{}", click_db(&sound));
        assert!(compressor.take_reduction_db() > 10.0);
        let mut after = tone(300.0, 0.7, 1.0);
        compressor.process(&mut after);
        compressor.process(&mut after);
        assert!((level_db(&after) - level_db(&tone(300.0, 0.7, 1.0))).abs() < 0.1);
    }
}
