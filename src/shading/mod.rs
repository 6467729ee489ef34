//! Bid shading in first-price auctions: what a market charges is learnt from wins and losses, and the bid is the one
//! with the highest expected surplus.
//!
//! A *market* is an exchange × auction type × placement bucket. Its win curve F(b) is the chance that a bid of b wins.
//! For an impression worth v the bid is argmax (v − b) · F(b) over floor ≤ b ≤ v (Gligorijevic et al., *Bid Shading in
//! the Brave New World of First-Price Auctions*, CIKM 2020; Zhou et al., *An Efficient Deep Distribution Network for Bid
//! Shading*, KDD 2021). With a pacing multiplier in front, v is the paced value, which is the first-price form of dual
//! mirror descent (Balseiro, Lu, Mirrokni 2020).
//!
//! F is the blend of three estimates, each trusted by how much was observed:
//!
//! ```text
//! told      a histogram of prices to win, where the exchange tells them (`MIN_TO_WIN`)      weight: prices told
//! binary    a log-normal price to win, fitted to wins and losses alone                       weight: 200
//! coarser   the curve of the next coarser market: exchange × auction type × format, then all  weight: 300 / own count
//! ```
//!
//! Old observations fade, and nearly all of them are let go of at once where wins stop to come as expected: so a market that
//! moves is followed. Some bids are made beside the optimum, as F is only learnt where bids differ: one in eight while
//! little is known or after a move, one in a hundred in the end. Where no prices are told it is one in fifty in the end, and little is
//! known as long as few bids win (or few lose): the slope of F is then in those few.
//!
//! Invariants: a bid is never above the value and never below the floor; it never gives up more than
//! [`WIN_RATE_KEPT`] allows of the win rate that the value itself would have; readers never wait.

mod binary;
mod checkpoint;
mod curve;
mod drift;
mod grid;
mod markets;
mod normal;
mod path;
mod told;

pub use checkpoint::RestoreError;
pub use curve::WIN_RATE_KEPT;
pub use markets::{MARKETS_MAX, MarketId, MarketView, Markets, Shaded};
pub use path::{MarketName, MarketPath, PLACEMENTS, Ticket};

use crate::units::Cpm;

/// What became of a bid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Won,
    /// Won, and this price would have been enough.
    WonAt(Cpm),
    Lost,
    /// Lost, and this price would have tied.
    LostTo(Cpm),
}

impl Outcome {
    pub fn won(self) -> bool {
        matches!(self, Outcome::Won | Outcome::WonAt(_))
    }

    /// The price to win, where it is told and can be one for a bid that ended like this.
    fn told(self, bid: Cpm) -> Option<Cpm> {
        match self {
            Outcome::WonAt(price) => Some(price).filter(|price| (Cpm(1)..=bid).contains(price)),
            Outcome::LostTo(price) => Some(price).filter(|price| *price >= bid),
            Outcome::Won | Outcome::Lost => None,
        }
    }
}

/// What an observation keeps of its weight with each one that follows, where it counts half after `half_life` (≫ 1) of them:
/// 2^(−1/h) to the first order.
const fn kept_after_one(half_life: f64) -> f64 {
    1.0 - std::f64::consts::LN_2 / half_life
}
