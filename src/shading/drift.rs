//! Notices that a market has moved: wins come more or less often than what has held for long says.
//!
//! A fading sum of won − F(bid), F of the filter that forgets slowly, is held against its own standard deviation, which needs no model of how markets move. A shift
//! that leaves the win rate of the bids alone is not noticed here; what is learnt fades by itself.

/// An outcome counts half after 600 others: 870 count at a time.
const KEPT: f64 = super::kept_after_one(600.0);
/// So far from the expected wins that chance alone gets there once in some hundred thousand outcomes.
const DEVIATIONS: f64 = 4.0;
/// Wins more or less that are nothing yet: where hardly any bid wins, wins are not normally distributed.
const WINS: f64 = 5.0;

/// See the [module](self).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Drift {
    /// Wins above what was expected.
    excess: f64,
    variance: f64,
}

impl Drift {
    /// Takes in an outcome whose chance to be a win was held to be `expected`. True where the market has moved; what comes is
    /// then counted anew.
    pub fn observe(&mut self, expected: f64, won: bool) -> bool {
        let happened = if won { 1.0 } else { 0.0 };
        self.excess = self.excess * KEPT + happened - expected;
        self.variance = self.variance * KEPT + expected * (1.0 - expected);
        let moved = self.excess.abs() > DEVIATIONS * self.variance.sqrt() + WINS;
        if moved {
            *self = Drift::default();
        }
        moved
    }
}
