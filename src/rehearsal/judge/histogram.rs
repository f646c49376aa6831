//! Quantiles of a stream of any length in fixed memory: counts in buckets whose width grows with the value, as
//! in HdrHistogram. Pure.

/// Each octave is cut into this many buckets, so that a quantile is off by at most half a bucket: 1/128, 0.8 %.
const PER_OCTAVE: usize = 64;
const OCTAVE_BITS: u32 = PER_OCTAVE.trailing_zeros();
/// Values from 2^36 µs (19 hours) on share the last bucket.
const MAX_BITS: u32 = 36;
const BUCKETS: usize = (MAX_BITS - OCTAVE_BITS + 1) as usize * PER_OCTAVE;

/// Durations in µs. Negative ones (a sender whose clock is ahead of ours) count as zero in the quantiles;
/// `min` and `max` are exact.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Box<[u64]>,
    total: u64,
    min: i64,
    max: i64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            counts: vec![0; BUCKETS].into_boxed_slice(),
            total: 0,
            min: i64::MAX,
            max: i64::MIN,
        }
    }
}

impl Histogram {
    pub fn add(&mut self, us: i64) {
        let value = u64::try_from(us).unwrap_or(0);
        if let Some(count) = self.counts.get_mut(bucket(value)) {
            *count += 1;
        }
        self.total += 1;
        self.min = self.min.min(us);
        self.max = self.max.max(us);
    }

    pub fn min(&self) -> Option<i64> {
        (self.total > 0).then_some(self.min)
    }

    pub fn max(&self) -> Option<i64> {
        (self.total > 0).then_some(self.max)
    }

    /// The value that the fraction `q` (0 to 1) of all values does not exceed, within 0.8 %.
    pub fn quantile(&self, q: f64) -> Option<i64> {
        let rank = ((q * self.total as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, &count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Some(middle(index).clamp(self.min, self.max));
            }
        }
        None
    }
}

/// Below 64 µs each value has a bucket; above, the top seven bits of the value choose it.
fn bucket(value: u64) -> usize {
    let value = value.min((1 << MAX_BITS) - 1);
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(OCTAVE_BITS + 1);
    // The shifted value is below 128 and the shift below 30: no cast loses anything.
    shift as usize * PER_OCTAVE + (value >> shift) as usize
}

fn middle(index: usize) -> i64 {
    let shift = (index / PER_OCTAVE).saturating_sub(1);
    let low = ((index - shift * PER_OCTAVE) as i64) << shift;
    low + ((1i64 << shift) - 1) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn empty_has_no_quantile() {
        let empty = Histogram::default();
        assert_eq!(
            (empty.min(), empty.quantile(0.5), empty.max()),
            (None, None, None)
        );
    }

    #[test]
    fn negative_values_keep_their_exact_minimum() {
        let mut h = Histogram::default();
        h.add(-250_000);
        assert_eq!(h.min(), Some(-250_000));
        assert_eq!(h.quantile(0.5), Some(-250_000));
    }

    proptest! {
        #[test]
        fn quantiles_are_within_the_stated_error(
            mut values in proptest::collection::vec(0i64..20_000_000_000, 1..400), q in 0.0f64..=1.0,
        ) {
            let mut h = Histogram::default();
            for &v in &values {
                h.add(v);
            }
            values.sort_unstable();
            let rank = ((q * values.len() as f64).ceil() as usize).max(1);
            let (truth, told) = (values[rank - 1], h.quantile(q).unwrap());
            prop_assert!((told - truth).abs() as f64 <= truth as f64 / 128.0 + 1.0, "{told} for {truth}");
        }

        #[test]
        fn any_value_is_safe(value: i64) {
            let mut h = Histogram::default();
            h.add(value);
            prop_assert!(h.quantile(0.5).is_some());
        }
    }
}
