//! A line cut at every end of the configured ranges, so that a value finds its ranges by one binary search.
//!
//! Bucket 2i lies below the i-th cut, bucket 2i + 1 is the cut itself.

use std::ops::RangeInclusive;

/// More cuts than that are thinned out: with n ranges over each other an exact index would grow with n².
const CUTS_MAX: usize = 1024;

#[derive(Debug)]
pub(super) struct Intervals<K> {
    cuts: Vec<K>,
    exact: bool,
}

impl<K: Ord> Intervals<K> {
    /// `cuts` are the ends of all ranges.
    pub fn new(mut cuts: Vec<K>) -> Intervals<K> {
        cuts.sort_unstable();
        cuts.dedup();
        let keep_every = cuts.len().div_ceil(CUTS_MAX).max(1);
        let cuts = cuts.into_iter().step_by(keep_every).collect();
        Intervals {
            cuts,
            exact: keep_every == 1,
        }
    }

    /// Whether buckets alone decide. If not, [`Intervals::touched`] is a superset and each match is checked again.
    pub fn exact(&self) -> bool {
        self.exact
    }

    pub fn bucket(&self, value: &K) -> u64 {
        let below = self.cuts.partition_point(|cut| cut < value);
        2 * below as u64 + u64::from(self.cuts.get(below) == Some(value))
    }

    /// The buckets that a range has values in; an open end reaches the end of the line.
    pub fn touched(&self, low: Option<&K>, high: Option<&K>) -> RangeInclusive<u64> {
        let last = 2 * self.cuts.len() as u64;
        low.map_or(0, |low| self.bucket(low))..=high.map_or(last, |high| self.bucket(high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_value_in_a_range_lies_in_a_touched_bucket(
            ranges in proptest::collection::vec((0_u32..5000, 0_u32..5000), 1..1500), value in 0_u32..5000,
        ) {
            let ranges: Vec<_> = ranges.into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
            let intervals = Intervals::new(ranges.iter().flat_map(|r| [r.0, r.1]).collect());
            let bucket = intervals.bucket(&value);
            for (low, high) in &ranges {
                let touched = intervals.touched(Some(low), Some(high)).contains(&bucket);
                let inside = (*low..=*high).contains(&value);
                prop_assert!(touched || !inside);
                prop_assert!(!intervals.exact() || touched == inside);
            }
        }
    }
}
