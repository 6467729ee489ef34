//! Plays the exchange beside the sending of requests: judges bids, lets rivals bid, sends notices, and lets people see,
//! click and buy.
//!
//! Invariant: it runs on a thread of its own and never holds up the sending; what it cannot take is counted.

mod courier;
mod exchange;
mod judge;
mod macros;
mod markup;
mod offer;
mod tally;

pub use courier::{Courier, Journey, Kind, Purchase, Stop};
pub use exchange::{Exchange, Terms};
pub use judge::{Bid, Flaw, Response, Seat, judge};
pub use macros::{Values, expand};
pub use markup::{Markup, MarkupKind, VideoEvent};
pub use offer::{Deal, Imp, Offer};
pub use tally::{AuctionTally, NoticeCounts};

/// An answer with a bid, on its way to the auction.
#[derive(Debug)]
pub struct Played {
    /// Of the request.
    pub number: u64,
    pub body: Vec<u8>,
}
