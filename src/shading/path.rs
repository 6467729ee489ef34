//! What names a market, and what to keep of a bid that was made there.

use super::markets::MarketId;
use crate::units::{Cpm, MixHasher, ObjectId};

/// Placements are told apart in so many buckets for each exchange, auction type and format, as a table that grew with the
/// places that requests name would fill up with those that are gone: the same bucket, the same curve.
pub const PLACEMENTS: u16 = 128;

/// Where a bid is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketPath {
    pub exchange: ObjectId,
    /// `at` of the request, as sent.
    pub auction: u16,
    /// `mtype` of the bid.
    pub format: u8,
    /// See [`placement_of`](MarketPath::placement_of).
    pub placement: u16,
}

impl MarketPath {
    /// The bucket of a placement, by any hash of what names it.
    pub fn placement_of(hash: u64) -> u16 {
        (MixHasher::mix(hash, 0) % u64::from(PLACEMENTS)) as u16
    }
}

/// Names a market: a [`MarketPath`], or all placements of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketName {
    pub exchange: ObjectId,
    /// Bits 0-15 the auction, 16-23 the format, 24-39 the placement, 40 whether there is one, 41 always set.
    rest: u64,
}

const HAS_PLACEMENT: u64 = 1 << 40;
const IS_NAME: u64 = 1 << 41;

impl MarketName {
    /// Exchange × auction type × format × placement.
    pub fn of(path: MarketPath) -> MarketName {
        let coarse = MarketName::of_exchange(path);
        MarketName {
            rest: coarse.rest | u64::from(path.placement) << 24 | HAS_PLACEMENT,
            ..coarse
        }
    }

    /// Exchange × auction type × format.
    pub fn of_exchange(path: MarketPath) -> MarketName {
        MarketName {
            exchange: path.exchange,
            rest: u64::from(path.auction) | u64::from(path.format) << 16 | IS_NAME,
        }
    }

    /// `None` = all markets.
    pub(super) fn coarser(self) -> Option<MarketName> {
        let rest = self.rest & (0xff_ffff | IS_NAME);
        (rest != self.rest).then_some(MarketName { rest, ..self })
    }

    /// Never 0.
    pub(super) fn key(self) -> u64 {
        MixHasher::mix(self.exchange.0, self.rest).max(1)
    }

    pub fn auction(self) -> u16 {
        self.rest as u16
    }

    pub fn format(self) -> u8 {
        (self.rest >> 16) as u8
    }

    pub fn placement(self) -> Option<u16> {
        (self.rest & HAS_PLACEMENT != 0).then_some((self.rest >> 24) as u16)
    }

    /// All but the exchange, for a record or a file. Never 0.
    pub fn to_bits(self) -> u64 {
        self.rest
    }

    /// `None` where the bits name no market.
    pub fn from_bits(exchange: ObjectId, rest: u64) -> Option<MarketName> {
        (rest & IS_NAME != 0 && rest < 2 * IS_NAME).then_some(MarketName { exchange, rest })
    }
}

/// Market and price of one bid in 64 bits, for whoever keeps open bids until their outcome is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub market: MarketId,
    /// In the accounting currency; a ticket has room for prices up to [`Cpm::MAX`].
    pub bid: Cpm,
}

/// [`Cpm::MAX`] is 10¹² micros.
const PRICE_BITS: u32 = 40;
const _: () = assert!(Cpm::MAX.0 < 1 << PRICE_BITS);
const _: () = assert!(super::markets::MARKETS_MAX * 5 / 4 + 32 < 1 << (64 - PRICE_BITS));

impl Ticket {
    /// 0 only for a price of 0.
    pub fn to_bits(self) -> u64 {
        u64::from(self.market.0) << PRICE_BITS | self.bid.0.clamp(0, Cpm::MAX.0) as u64
    }

    /// `None` for 0.
    pub fn from_bits(bits: u64) -> Option<Ticket> {
        (bits != 0).then_some(Ticket {
            market: MarketId((bits >> PRICE_BITS) as u32),
            bid: Cpm((bits & ((1 << PRICE_BITS) - 1)) as i64),
        })
    }
}
