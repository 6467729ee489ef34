//! Where a bid in the open first-price auction goes below the value: the market of an imp, and the bid that is worth most there.
//! What is bid in other ways never comes here: see [`bid_price`](super::bid_price).

use super::price::Range;
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

    /// The bid for an ad, in its range; `None` where that is empty.
    pub fn shade(&self, slot: Slot, range: Range) -> Option<(Cpm, Shade)> {
        let Range { floor, most, value } = range;
        if most < floor {
            return None;
        }
        let market = self.markets.find(MarketPath {
            exchange: self.exchange,
            auction: self.auction,
            format: slot.format,
            placement: MarketPath::placement_of(self.placement(slot)),
        });
        let mut shaded = self.markets.shade(market, value, floor, self.seed);
        if shaded.bid > most {
            shaded.bid = most;
            shaded.win_rate = self.markets.win_rate(market, most) as f32;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shading::Outcome;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_stretched_value_bids_no_less_and_never_more_than_the_value_itself(
            floor in 1..3_000_000_i64,
            most in 1..6_000_000_i64,
            stretch in 1.0..2.0_f64,
            seed: u64,
        ) {
            let markets = Markets::new(16);
            let shader = Shader { markets: &markets, exchange: ObjectId(1), auction: 1, place: 2, seed };
            let slot = Slot { format: 1, size: None };
            let range = Range { floor: Cpm(floor), most: Cpm(most), value: Cpm(most) };
            if let Some((_, shade)) = shader.shade(slot, range) {
                for n in 0..600_i64 {
                    let (price, bid) = (Cpm(500_000 + n * 7_919 % 1_000_000), Cpm(400_000 + n * 104_729 % 1_500_000));
                    let won = bid >= price;
                    markets.observe(shade.market, bid, if won { Outcome::WonAt(price) } else { Outcome::LostTo(price) });
                }
            }
            let bid = |value: f64| shader.shade(slot, Range { value: Cpm(value as i64), ..range });
            match (bid(most as f64), bid(most as f64 * stretch)) {
                (Some((plain, _)), Some((stretched, shade))) => {
                    prop_assert!(range.floor <= plain && plain <= stretched && stretched <= range.most);
                    prop_assert!((0.0..=1.0).contains(&shade.win_rate));
                }
                (None, None) => prop_assert!(most < floor),
                _ => prop_assert!(false),
            }
        }
    }
}
