//! Where a bid in the open first-price auction goes below the value: the market of an imp, and the bid that is worth most there.
//!
//! Invariant: what is bid through a deal, at a fixed price or in a second-price auction is never shaded (section 7.3).

use super::scratch::{Auction, Candidate, Shade};
use super::{ExchangeTerms, Live};
use crate::openrtb::request::Request;
use crate::shading::{MarketPath, Markets};
use crate::store::campaigns::place_of;
use crate::store::exchange::Shading;
use crate::units::{Cpm, MixHasher, ObjectId};

/// The markets of one imp.
pub(super) struct Shader<'a> {
    markets: &'a Markets,
    exchange: ObjectId,
    auction: u16,
    place: u64,
    /// One for all candidates of the imp, so that what is worth more does not bid less.
    seed: u64,
}

impl<'a> Shader<'a> {
    /// `None` where the exchange's bids are not shaded.
    pub fn of(request: &Request, exchange: &ExchangeTerms, live: &'a Live, seed: u64) -> Option<Shader<'a>> {
        (exchange.settings.shading == Shading::Learn).then(|| Shader {
            markets: &live.markets,
            exchange: exchange.settings.id,
            auction: request.at.min(u16::MAX.into()) as u16,
            place: place_of(request).map_or(0, |place| ObjectId::of(place).0),
            seed,
        })
    }

    /// The bid of a candidate for which an impression is worth `value` once its budget's pace is in, ≥ `floor`.
    pub fn shade(&self, candidate: &Candidate, value: Cpm, floor: Cpm) -> Option<(Cpm, Shade)> {
        // Nothing is bid for nothing.
        let floor = floor.max(Cpm(1));
        if candidate.auction != Auction::FirstPrice || candidate.deal.is_some() || value < floor {
            return None;
        }
        let market = self.markets.find(MarketPath {
            exchange: self.exchange,
            auction: self.auction,
            format: candidate.fit.mtype(),
            placement: MarketPath::placement_of(self.place_of(candidate)),
        });
        let shaded = self.markets.shade(market, value, floor, self.seed);
        let shade = Shade {
            market,
            value,
            win_rate: shaded.win_rate,
            explored: shaded.explored,
        };
        Some((shaded.bid, shade))
    }

    /// Site, app or screen, and the size of a banner: players come in any size.
    fn place_of(&self, candidate: &Candidate) -> u64 {
        const BANNER: u8 = 1;
        let size = candidate.fit.size().filter(|_| candidate.fit.mtype() == BANNER);
        size.map_or(self.place, |(w, h)| {
            MixHasher::mix(self.place, u64::from(w) << 32 | u64::from(h))
        })
    }
}
