//! Where a bid in the open first-price auction goes below the value: the market of an imp, and the bid that is worth most there.
//! What is bid in other ways never comes here: see [`bid_price`](super::bid_price).

use super::scratch::Shade;
use super::{ExchangeTerms, Live};
use crate::creative::Fit;
use crate::openrtb::request::Request;
use crate::shading::{MarketPath, Markets};
use crate::store::campaigns::place_of;
use crate::store::exchange::Shading;
use crate::units::{Cpm, MixHasher, ObjectId};

/// The markets of one imp.
pub struct Shader<'a> {
    pub markets: &'a Markets,
    pub exchange: ObjectId,
    /// `at` of the request.
    pub auction: u16,
    /// Any hash of what names the site, the app or the screen.
    pub place: u64,
    /// One for all candidates of the imp, so that what is worth more does not bid less.
    pub seed: u64,
}

/// What an ad fills.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// `mtype` of the bid.
    pub format: u8,
    /// Of a banner: players come in any size.
    pub size: Option<(u32, u32)>,
}

impl Slot {
    pub(super) fn of(fit: &Fit) -> Slot {
        const BANNER: u8 = 1;
        let format = fit.mtype();
        Slot {
            format,
            size: fit.size().filter(|_| format == BANNER),
        }
    }
}

impl<'a> Shader<'a> {
    /// `None` where the exchange's bids are not shaded.
    pub(super) fn of(
        request: &Request,
        exchange: &ExchangeTerms,
        live: &'a Live,
        seed: u64,
    ) -> Option<Shader<'a>> {
        (exchange.settings.shading == Shading::Learn).then(|| Shader {
            markets: &live.markets,
            exchange: exchange.settings.id,
            auction: request.at.min(u16::MAX.into()) as u16,
            place: place_of(request).map_or(0, |place| ObjectId::of(place).0),
            seed,
        })
    }

    /// The bid for an ad of which an impression is worth `value` once its budget's pace is in, `floor` ≤ it ≤ `value`.
    pub fn shade(&self, slot: Slot, value: Cpm, floor: Cpm) -> Option<(Cpm, Shade)> {
        if value < floor {
            return None;
        }
        let market = self.markets.find(MarketPath {
            exchange: self.exchange,
            auction: self.auction,
            format: slot.format,
            placement: MarketPath::placement_of(self.placement(slot)),
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

    /// The place, and the size of a banner there.
    fn placement(&self, slot: Slot) -> u64 {
        slot.size.map_or(self.place, |(w, h)| {
            MixHasher::mix(self.place, u64::from(w) << 32 | u64::from(h))
        })
    }
}
