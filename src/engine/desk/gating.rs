//! The integrated loudness of a programme, however long it is, in memory that stays the same: its blocks in a histogram that knows
//! how much energy each of its bins has got, so that the mean over them is exact. (The `ebur128` crate's own histogram takes each
//! block for the middle of its bin, and was off by a tenth of an LU beside ffmpeg.) Pure.
//!
//! ITU-R BS.1770-4, annex 1: blocks below −70 LUFS don't count, and of the others those don't that are more than 10 LU below
//! the mean of them.

const LEAST_LUFS: f64 = -70.0;
const BELOW_MEAN_LU: f64 = 10.0;
/// As wide as this are the bins; only where the relative gate cuts one in two does that matter.
const BIN_LU: f64 = 0.1;
/// Up to +10 LUFS, which full scale doesn't reach; what is louder is in the last.
const BINS: usize = 800;

#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    blocks: u64,
    energy: f64,
}

#[derive(Debug)]
pub struct Gating {
    bins: Vec<Bin>,
}

impl Gating {
    pub fn new() -> Self {
        Gating {
            bins: vec![Bin::default(); BINS],
        }
    }

    /// The loudness of a block of 400 ms; each begins 100 ms after the one before.
    pub fn handle_block(&mut self, lufs: f64) {
        // What is no number, as silence has none, is below.
        if lufs > LEAST_LUFS {
            let bin = ((lufs - LEAST_LUFS) / BIN_LU) as usize;
            let bin = &mut self.bins[bin.min(BINS - 1)];
            bin.blocks += 1;
            bin.energy += energy(lufs);
        }
    }

    /// None: nothing that counts was heard.
    pub fn loudness_lufs(&self) -> Option<f64> {
        let gate = mean(&self.bins)? * energy(-BELOW_MEAN_LU);
        // The bin that is cut in two counts if its own mean does.
        let first = self
            .bins
            .iter()
            .position(|bin| bin.blocks > 0 && bin.energy / bin.blocks as f64 > gate)?;
        Some(10.0 * mean(&self.bins[first..])?.log10())
    }
}

/// Up to a factor that all blocks have in common.
fn energy(lufs: f64) -> f64 {
    10f64.powf(lufs / 10.0)
}

fn mean(bins: &[Bin]) -> Option<f64> {
    let blocks: u64 = bins.iter().map(|bin| bin.blocks).sum();
    let energy: f64 = bins.iter().map(|bin| bin.energy).sum();
    (blocks > 0).then(|| energy / blocks as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(blocks: impl IntoIterator<Item = f64>) -> Option<f64> {
        let mut gating = Gating::new();
        blocks
            .into_iter()
            .for_each(|lufs| gating.handle_block(lufs));
        gating.loudness_lufs()
    }

    /// As the recommendation has it, with every block at hand, and its relative gate moved by so much.
    fn exact(blocks: &[f64], moved: f64) -> Option<f64> {
        let over = |gate: f64| {
            let counted: Vec<f64> = blocks.iter().copied().filter(|l| *l > gate).collect();
            let energy: f64 = counted.iter().map(|lufs| energy(*lufs)).sum();
            (!counted.is_empty()).then(|| 10.0 * (energy / counted.len() as f64).log10())
        };
        over((over(LEAST_LUFS)? - BELOW_MEAN_LU + moved).max(LEAST_LUFS))
    }

    #[test]
    fn silence_and_what_is_far_below_do_not_count() {
        assert_eq!(of([f64::NEG_INFINITY, f64::NAN, -70.0, -200.0]), None);
        let near = |value: Option<f64>, wanted: f64| (value.unwrap() - wanted).abs() < 1e-9;
        assert!(near(of([-23.456; 50]), -23.456));
        // Music with pauses, as EBU Tech 3341 has it in its case 3: −36, −23 and −36 LUFS.
        let blocks = [vec![-36.0; 100], vec![-23.0; 600], vec![-36.0; 100]].concat();
        assert!(near(of(blocks), -23.0));
        assert!(near(of([99.0]), 99.0));
    }

    proptest! {
        #[test]
        fn it_is_what_all_blocks_at_hand_give(blocks in prop::collection::vec(-75.0..0.0f64, 1..400)) {
            // But for the bin that the gate cuts in two; a higher gate makes a louder mean.
            let bounds = [-BIN_LU, BIN_LU].map(|moved| exact(&blocks, moved));
            match (of(blocks), bounds) {
                (Some(ours), [Some(least), Some(most)]) => {
                    prop_assert!((least - 1e-6..=most + 1e-6).contains(&ours), "{} {} {}", least, ours, most);
                }
                (ours, [least, most]) => prop_assert_eq!([ours, ours], [least, most]),
            }
        }
    }
}
