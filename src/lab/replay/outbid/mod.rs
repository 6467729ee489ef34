//! Our own bidder: bids what an auction is worth above the money that buying it takes from later auctions.
//!
//! The optimal bid within an episode is the highest price at which `value ≥ V(t, b) − V(t, b − price)`, V being the
//! value of money b with t auctions to come. RLB computes V as if every auction were worth the same; here V follows from
//! the joint distribution of value and price, which is learnt as the log goes by:
//!
//! - *Value* is the prediction over the training log's mean click rate, to the power of [`POWER`] (`score`).
//! - *Predictions* are seen in every auction, won or lost ([`scores`]).
//! - *Prices* are seen where an auction is won; a loss says that the price was above the bid. An auction is won exactly
//!   when we pay at least its `rate` = price / score for a unit of score, so one product-limit estimate over rates takes
//!   in wins and losses and keeps what price and prediction have to do with each other ([`market`]). It starts from the
//!   training histogram and forgets, for markets drift.
//! - *V* is the dynamic programme over that estimate, on coarse grids of money and time ([`plan`]).
//!
//! Nothing of a later auction is used, and every campaign and budget has the same constants.

mod market;
mod plan;
mod scores;

use super::{BID_MAX, Campaign, Moment, Outcome};
use market::Market;
use plan::MoneyValue;
use scores::Scores;

/// Where rivals pay more for an impression than its prediction tells, they know something: at equal prediction the dear
/// ones are clicked more. With clicks ∝ pCTR·price^η a bid ∝ pCTR^(1/(1−η)) buys the most. In the five logs at hand
/// regression gives η of 0.30 to 0.46 beside a flatter pCTR; only a small part of it is trusted: η = 0.09.
const POWER: f64 = 1.1;
/// Auctions between two plans, at most: half an episode of 1,000. The first ones come at double distances.
const REPLAN: usize = 500;
const REPLAN_FIRST: usize = 10;
/// Predictions of 0 are as good as one in a trillion.
const SCORE_MIN: f64 = 1e-12;

/// The strategy and what it has learnt; it is meant to live as long as the log.
pub struct Outbid {
    mean_ctr: f64,
    scores: Scores,
    market: Market,
    value: MoneyValue,
    /// The score of the auction that was bid on last.
    score: f64,
    /// Auctions since the last plan, and how many until the next one.
    since: usize,
    until: usize,
    /// The auctions that were left at the last bid: more are left where an episode begins.
    left: usize,
}

impl Outbid {
    pub fn new(campaign: &Campaign) -> Outbid {
        Outbid {
            mean_ctr: campaign.mean_ctr(),
            scores: Scores::new(),
            market: Market::new(campaign),
            value: MoneyValue::default(),
            score: SCORE_MIN,
            since: 0,
            until: 0,
            left: 0,
        }
    }

    /// The bid, at most the moment's budget and [`BID_MAX`].
    pub(super) fn bid(&mut self, moment: Moment, pctr: f64) -> u32 {
        self.score = (pctr / self.mean_ctr).max(SCORE_MIN).powf(POWER);
        self.scores.add(self.score);
        if self.since >= self.until || moment.auctions > self.left {
            self.plan(moment);
        }
        self.left = moment.auctions;
        self.since += 1;
        let later = moment.auctions - 1;
        let score = self.score;
        self.value
            .bid(later, moment.budget, score, BID_MAX.min(moment.budget))
    }

    pub(super) fn learn(&mut self, bid: u32, outcome: Outcome) {
        match outcome {
            Outcome::Won { price, .. } => self.market.won(price, self.score),
            Outcome::Lost => self.market.lost(bid, self.score),
        }
    }

    fn plan(&mut self, moment: Moment) {
        self.scores.forget(self.since);
        self.market.forget(self.since);
        let density = self.market.density(&self.scores);
        self.value = MoneyValue::solve(&density, moment);
        self.until = (self.until * 2).clamp(REPLAN_FIRST, REPLAN);
        self.since = 0;
    }
}
