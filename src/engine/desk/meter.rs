//! How loud the programme is: peaks, and loudness after EBU R128 (ITU-R BS.1770-4; filters and windows are the `ebur128` crate's).
//! Pure.

use super::gating::Gating;
use super::ramp::to_db;
use crate::bridge::report::ProgrammeLevels;
use crate::engine::format::CHANNELS;
use ebur128::{EbuR128, Mode};

/// Blocks of loudness begin so often a second, and last four times that.
const BLOCKS_PER_SECOND: u32 = 10;
const PARTS_OF_A_BLOCK: u32 = 4;
/// Below this nothing is shown: the noise of 20 bits.
const FLOOR_DB: f32 = -120.0;

pub struct Meter {
    rate: u32,
    /// None: a sample rate that it can't measure.
    ebu: Option<EbuR128>,
    gating: Gating,
    /// Frames to the end of the block that is under way, and how many of its parts are still to come.
    left: usize,
    parts_left: u32,
    peak: [f32; 2],
}

impl Meter {
    pub fn new(rate: u32) -> Self {
        Meter {
            rate,
            ebu: ebu(rate),
            gating: Gating::new(),
            left: part(rate),
            parts_left: PARTS_OF_A_BLOCK,
            peak: [0.0; 2],
        }
    }

    pub fn handle_samples(&mut self, samples: &[f32]) {
        for frame in samples.as_chunks::<2>().0 {
            self.peak[0] = self.peak[0].max(frame[0].abs());
            self.peak[1] = self.peak[1].max(frame[1].abs());
        }
        let mut rest = samples;
        while rest.len() / CHANNELS >= self.left {
            let (first, after) = rest.split_at(self.left * CHANNELS);
            self.measure(first);
            self.end_part();
            rest = after;
        }
        self.measure(rest);
        self.left -= rest.len() / CHANNELS;
    }

    fn measure(&mut self, samples: &[f32]) {
        if let Some(ebu) = &mut self.ebu {
            // Fails for a wrong number of channels only.
            let _ = ebu.add_frames_f32(samples);
        }
    }

    fn end_part(&mut self) {
        self.left = part(self.rate);
        self.parts_left = self.parts_left.saturating_sub(1);
        let Some(ebu) = self.ebu.as_ref().filter(|_| self.parts_left == 0) else {
            return;
        };
        if let Ok(lufs) = ebu.loudness_momentary() {
            self.gating.handle_block(lufs);
        }
    }

    /// The integrated loudness and the true peak count from here.
    pub fn reset(&mut self) {
        *self = Meter {
            peak: self.peak,
            ..Meter::new(self.rate)
        };
    }

    /// The levels now; peaks since the last call.
    pub fn take(&mut self, limited_db: f32) -> ProgrammeLevels {
        let lufs = |measure: fn(&EbuR128) -> Result<f64, ebur128::Error>| {
            let lufs = measure(self.ebu.as_ref()?).ok()?;
            shown_lufs(lufs)
        };
        let true_peak = self.ebu.as_ref().and_then(|ebu| {
            let [l, r] = [0, 1].map(|channel| ebu.true_peak(channel).unwrap_or(0.0));
            shown_lufs(20.0 * l.max(r).log10())
        });
        ProgrammeLevels {
            momentary_lufs: lufs(EbuR128::loudness_momentary),
            short_term_lufs: lufs(EbuR128::loudness_shortterm),
            integrated_lufs: self.gating.loudness_lufs().and_then(shown_lufs),
            true_peak_db: true_peak,
            peak_db: std::mem::take(&mut self.peak).map(|peak| shown(to_db(peak))),
            limited_db: tenths(limited_db),
        }
    }
}

fn ebu(rate: u32) -> Option<EbuR128> {
    EbuR128::new(CHANNELS as u32, rate, Mode::M | Mode::S | Mode::TRUE_PEAK).ok()
}

/// Frames of a part of a block; at least one, lest a strange rate stands still.
fn part(rate: u32) -> usize {
    (rate / BLOCKS_PER_SECOND).max(1) as usize
}

/// To a hundredth: what is measured is compared with other meters.
fn shown_lufs(lufs: f64) -> Option<f32> {
    (lufs > f64::from(FLOOR_DB)).then(|| ((lufs * 100.0).round() / 100.0) as f32 + 0.0)
}

/// To a tenth; None for silence, also where a gate let nothing through.
pub fn shown(db: f32) -> Option<f32> {
    (db > FLOOR_DB).then(|| tenths(db))
}

pub fn tenths(db: f32) -> f32 {
    // Plus nothing, lest a zero has a sign.
    (db * 10.0).round() / 10.0 + 0.0
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn a_tone_of_ebu_tech_3341_reads_as_it_must() {
        // Case 1: a stereo sine of 1 kHz at −23 dBFS is −23 LUFS.
        let mut meter = Meter::new(RATE);
        meter.handle_samples(&tone(1_000.0, 0.070_795, 20.0));
        let levels = meter.take(0.0);
        let near = |value: Option<f32>, wanted: f32| (value.unwrap() - wanted).abs() <= 0.1;
        assert!(near(levels.integrated_lufs, -23.0), "{levels:?}");
        assert!(near(levels.momentary_lufs, -23.0), "{levels:?}");
        assert!(near(levels.short_term_lufs, -23.0), "{levels:?}");
        assert!(near(levels.true_peak_db, -23.0), "{levels:?}");
        assert!(near(levels.peak_db[1], -23.0), "{levels:?}");
        assert_eq!(meter.take(0.0).peak_db, [None, None]);
        meter.reset();
        assert_eq!(meter.take(0.0).integrated_lufs, None);
    }

    #[test]
    fn silence_has_no_level() {
        let mut meter = Meter::new(RATE);
        meter.handle_samples(&vec![0.0; 96_000]);
        let levels = meter.take(0.0);
        assert_eq!(levels, ProgrammeLevels::default());
    }
}
