//! Bidding under a budget, replayed on logs of second-price auctions.
//!
//! The protocol is that of Cai et al., *Real-Time Bidding by Reinforcement Learning in Display Advertising* (WSDM 2017,
//! section 5): auctions come in the order of the log, cut into episodes of equal length; each episode starts with the
//! same budget; a bid is a whole number, at most 300 and at most what is left; it wins where it reaches the market
//! price, and pays that price.
//!
//! Invariant: a strategy sees what a bidder would see. Before the bid: the prediction, the auctions and the money that
//! are left. After it: price and click of what it won, and of what it lost only that its bid was too low.

mod bootstrap;
mod campaign;
mod episodes;
mod fraction;
mod log;
mod outbid;
mod rlb;
mod strategy;
mod text;

pub use bootstrap::{Interval, bootstrap};
pub use campaign::{Campaign, CampaignError};
pub use episodes::{Episode, Plan, Sum, replay};
pub use fraction::{Fraction, NoFraction};
pub use log::{Auction, LogError, read_log};
pub use outbid::Outbid;
pub use rlb::{Rlb, TooLarge};
pub use strategy::{BestLin, Bidder, Lin, Mcpc, Moment, Outcome, best_lin};

/// The highest bid and the highest price that a histogram counts: iPinYou's prices end there.
pub const BID_MAX: u32 = 300;
