//! The share of the training log's mean cost that an episode may spend.

use std::fmt;
use std::str::FromStr;

/// A share above 0 and at most 1, written as `1/16` or `0.0625`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Fraction(f64);

impl Fraction {
    /// The five of the published tables.
    pub const ALL: [Fraction; 5] = [
        Fraction(1.0 / 32.0),
        Fraction(1.0 / 16.0),
        Fraction(1.0 / 8.0),
        Fraction(1.0 / 4.0),
        Fraction(1.0 / 2.0),
    ];

    pub fn get(self) -> f64 {
        self.0
    }

    /// The b0 with which the authors of RLB ship the linear bidder for campaign 2997, for the five published budgets.
    pub fn shipped_b0(self) -> Option<f64> {
        const B0: [f64; 5] = [10.0, 15.0, 20.0, 85.0, 130.0];
        let position = Fraction::ALL.iter().position(|fraction| *fraction == self)?;
        Some(B0[position])
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a share above 0 and at most 1, like 1/16 or 0.0625")]
pub struct NoFraction;

impl FromStr for Fraction {
    type Err = NoFraction;

    fn from_str(text: &str) -> Result<Fraction, NoFraction> {
        let number = |part: &str| part.trim().parse::<f64>().map_err(|_| NoFraction);
        let value = match text.split_once('/') {
            Some((above, below)) => number(above)? / number(below)?,
            None => number(text)?,
        };
        if value > 0.0 && value <= 1.0 {
            Ok(Fraction(value))
        } else {
            Err(NoFraction)
        }
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = (1.0 / self.0).round();
        if 1.0 / below == self.0 {
            write!(f, "1/{below}")
        } else {
            write!(f, "{}", self.0)
        }
    }
}
