//! How sure a difference between two strategies is: a paired bootstrap over episodes.
//!
//! Efron & Tibshirani, *An Introduction to the Bootstrap* (1993), chapters 8 and 13: whole episodes are drawn with
//! replacement, so that what hangs together within one stays together, and both strategies are counted on the same
//! draw. Campaigns are strata: each is drawn as often as it has episodes.

use crate::units::MixHasher;

/// The middle 95 % of the drawn differences.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Clicks of the first over clicks of the second, less 1, on the log itself.
    pub gain: f64,
    pub low: f64,
    pub high: f64,
}

/// `campaigns`: for each episode of each campaign the clicks of the first strategy and of the second. `None` where the
/// second has no click, where fewer than two rounds are asked for, or where there is no episode.
pub fn bootstrap(campaigns: &[Vec<(u64, u64)>], rounds: usize, seed: u64) -> Option<Interval> {
    let gain = |(ours, theirs): (u64, u64)| (theirs > 0).then(|| ours as f64 / theirs as f64 - 1.0);
    let add = |sum: (u64, u64), one: &(u64, u64)| (sum.0 + one.0, sum.1 + one.1);
    let whole = gain(campaigns.iter().flatten().fold((0, 0), add))?;
    let mut count = 0;
    let mut draw = |below: usize| {
        count += 1;
        (MixHasher::mix(seed, count) % below as u64) as usize
    };
    let mut gains: Vec<f64> = (0..rounds)
        .filter_map(|_| {
            let drawn = campaigns.iter().fold((0, 0), |sum, episodes| {
                (0..episodes.len()).fold(sum, |sum, _| add(sum, &episodes[draw(episodes.len())]))
            });
            gain(drawn)
        })
        .collect();
    gains.sort_by(f64::total_cmp);
    let at = |share: f64| {
        gains
            .get((share * (gains.len().max(1) - 1) as f64).round() as usize)
            .copied()
    };
    Some(Interval {
        gain: whole,
        low: at(0.025)?,
        high: at(0.975)?,
    })
}
