//! Which whole numbers were seen: a set kept as intervals, so that an unbroken run of any length costs one
//! entry and each hole one more. Pure.

use std::collections::BTreeMap;

/// A stream that loses every second frame for half an hour still fits; what comes after that is counted but
/// no longer remembered one by one.
const MAX_SPANS: usize = 65_536;

#[derive(Clone, Debug, Default)]
pub struct Intervals {
    /// First → last number of each unbroken run, both inclusive; runs never touch.
    spans: BTreeMap<u64, u64>,
    /// Numbers that lay in holes which had to be forgotten to stay within `MAX_SPANS`.
    forgotten: u64,
}

impl Intervals {
    /// Adds `n`; false when it was there before.
    pub fn insert(&mut self, n: u64) -> bool {
        let before = self.spans.range(..=n).next_back().map(|(&a, &b)| (a, b));
        if before.is_some_and(|(_, last)| n <= last) {
            return false;
        }
        let joins_before = before.filter(|&(_, last)| last.checked_add(1) == Some(n));
        let after = n.checked_add(1).and_then(|next| self.spans.remove(&next));
        let first = joins_before.map_or(n, |(first, _)| first);
        self.spans.insert(first, after.unwrap_or(n));
        if self.spans.len() > MAX_SPANS {
            self.forget_lowest_hole();
        }
        true
    }

    /// The holes between the first and the last number seen, lowest first, both ends inclusive.
    pub fn holes(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.spans
            .iter()
            .zip(self.spans.iter().skip(1))
            // Runs never touch, so both additions stay in range and the hole holds at least one number.
            .map(|((_, &last), (&next, _))| (last + 1, next - 1))
    }

    /// How many numbers are missing between the first one seen and `limit` (exclusive).
    pub fn missing_below(&self, limit: u64) -> u64 {
        self.holes()
            .take_while(|&(from, _)| from < limit)
            .map(|(from, to)| to.min(limit - 1) - from + 1)
            .fold(self.forgotten, u64::saturating_add)
    }

    /// How many numbers are missing between the first and the last one seen.
    pub fn missing(&self) -> u64 {
        self.missing_below(u64::MAX)
    }

    fn forget_lowest_hole(&mut self) {
        let Some((from, to)) = self.holes().next() else {
            return;
        };
        self.forgotten = self.forgotten.saturating_add(to - from + 1);
        if let (Some((first, _)), Some((_, last))) =
            (self.spans.pop_first(), self.spans.pop_first())
        {
            self.spans.insert(first, last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn extremes_are_numbers_too() {
        let mut set = Intervals::default();
        assert!(set.insert(u64::MAX));
        assert!(set.insert(0));
        assert!(!set.insert(u64::MAX));
        assert_eq!(set.missing(), u64::MAX - 1);
        assert_eq!(set.holes().collect::<Vec<_>>(), [(1, u64::MAX - 1)]);
    }

    #[test]
    fn stays_bounded_and_keeps_the_count() {
        let mut set = Intervals::default();
        let seen = 3 * MAX_SPANS as u64;
        for n in 0..seen {
            set.insert(2 * n);
        }
        assert!(set.spans.len() <= MAX_SPANS);
        assert_eq!(set.missing(), seen - 1);
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_set(numbers in proptest::collection::vec(0u64..200, 1..150), limit in 1u64..220) {
            let mut plain = BTreeSet::new();
            let mut set = Intervals::default();
            for n in numbers {
                prop_assert_eq!(set.insert(n), plain.insert(n));
            }
            let (first, last) = (*plain.first().unwrap(), *plain.last().unwrap());
            let missing: Vec<u64> = (first..=last).filter(|n| !plain.contains(n)).collect();
            prop_assert_eq!(set.missing(), missing.len() as u64);
            prop_assert_eq!(set.missing_below(limit), missing.iter().filter(|&&n| n < limit).count() as u64);
            prop_assert_eq!(set.holes().flat_map(|(a, b)| a..=b).collect::<Vec<_>>(), missing);
        }
    }
}
