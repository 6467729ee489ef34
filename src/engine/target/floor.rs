//! The floor of a bid, in the order of section 7.11.

use crate::creative::Fit;
use crate::engine::scratch::{Auction, Floor};
use crate::openrtb::request::{Deal, DurFloor, FloorCurrency, Imp, Request, Span, Spot};
use crate::store::rates::Rates;
use crate::telemetry::Reason;
use crate::units::{Cpm, Timestamp};

/// The floors of one request.
#[derive(Clone, Copy)]
pub(super) struct Floors<'f, 'r> {
    pub request: &'f Request<'r>,
    pub rates: &'f Rates,
    pub now: Timestamp,
}

impl<'r> Floors<'_, 'r> {
    /// The floor in the order of section 7.11, with rates: the deal's by duration, by second or plain
    /// (the highest that applies); where it has none, or without a deal, the spot's by duration or by second; else the imp's.
    /// Where the deal has a fixed price, that is it and nothing else (section 3.2.12).
    pub fn of(&self, imp: &Imp<'r>, deal: Option<&Deal>, fit: &Fit) -> Result<Floor, Reason> {
        let of_deal = deal.and_then(|deal| {
            let by_time = match deal.at {
                Some(Auction::FIXED) => None,
                _ => self.by_time(deal.min_cpm_per_sec, deal.dur_floors, fit),
            };
            Some((by_time.unwrap_or_default().max(deal.floor), deal.floor_cur))
                .filter(|(floor, _)| *floor > Cpm::ZERO)
        });
        let of_spot = || {
            let spot = fit.spot(imp)?;
            Some((
                self.by_time(spot.min_cpm_per_sec, spot.dur_floors, fit)?,
                imp.floor_cur,
            ))
        };
        let (floor, currency) = of_deal.or_else(of_spot).unwrap_or((imp.floor, imp.floor_cur));
        if floor == Cpm::ZERO {
            return Ok(Floor::NONE);
        }
        let FloorCurrency::Known(currency) = currency else {
            return Err(Reason::Currency);
        };
        let rate = self.rates.get(currency, self.now).ok_or(Reason::Currency)?;
        Ok(Floor {
            accounting: rate.to_accounting_up(floor),
            asked: floor,
            currency,
        })
    }

    /// `durfloors` (section 3.2.35) and `mincpmpersec`, for the duration of the ad; `None` where neither speaks of it.
    fn by_time(&self, per_second: Option<Cpm>, ranges: Span, fit: &Fit) -> Option<Cpm> {
        let duration_s = fit.duration_s()?;
        let covers =
            |range: &&DurFloor| range.min_s <= duration_s && range.max_s.is_none_or(|max| duration_s <= max);
        let by_range = self
            .request
            .dur_floors(ranges)
            .iter()
            .find(covers)
            .map(|range| range.floor);
        let by_second =
            per_second.map(|price| Cpm(price.0.saturating_mul(duration_s.into()).min(Cpm::MAX.0)));
        by_range.max(by_second)
    }

    /// Whether the floor of an imp can differ from one ad to another.
    pub fn depend_on_the_ad(&self, imp: &Imp<'r>) -> bool {
        let of_spot = |spot: &Spot| spot.min_cpm_per_sec.is_some() || !spot.dur_floors.is_empty();
        let of_deal = |deal: &Deal| deal.min_cpm_per_sec.is_some() || !deal.dur_floors.is_empty();
        imp.video.as_ref().is_some_and(|video| of_spot(&video.spot))
            || imp.audio.as_ref().is_some_and(|audio| of_spot(&audio.spot))
            || self.request.deals(imp).iter().any(of_deal)
    }
}
