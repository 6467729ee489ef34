//! `imp.pmp`: deals and their floors.

use super::imp::floor_currency;
use super::lists::span;
use super::tape::Value;
use super::{Malformed, Parser};
use crate::openrtb::request::{Deal, DurFloor, Imp, Span};

impl<'a> Parser<'_, 'a> {
    /// `Pmp`, section 3.2.11.
    pub fn pmp(&mut self, value: Value<'_, 'a>, imp: &mut Imp<'a>) -> Result<(), Malformed> {
        (imp.private_auction, imp.deals) = (false, Span::default());
        for (key, value) in value.fields() {
            match key {
                "private_auction" => imp.private_auction = value.restriction().unwrap_or(false),
                "deals" => imp.deals = self.deals(value)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn deals(&mut self, list: Value<'_, 'a>) -> Result<Span, Malformed> {
        let start = self.request.deals.len();
        for item in list.items() {
            let deal = self.deal(item)?;
            self.request.deals.extend(deal);
        }
        Ok(span(start, self.request.deals.len()))
    }

    /// `Deal`, section 3.2.12. Without an id it cannot be answered and is left out.
    fn deal(&mut self, value: Value<'_, 'a>) -> Result<Option<Deal<'a>>, Malformed> {
        let mut deal = Deal::default();
        for (key, value) in value.fields() {
            match key {
                "id" => deal.id = self.text(value).unwrap_or(""),
                "bidfloor" => deal.floor = value.cpm("imp.pmp.deals.bidfloor")?.unwrap_or_default(),
                "bidfloorcur" => deal.floor_cur = floor_currency(value),
                "at" => deal.at = value.uint().filter(|at| *at > 0),
                "wseat" => deal.wseat = self.strs(value, "imp.pmp.deals.wseat")?,
                "wadomain" => deal.wadomain = self.strs(value, "imp.pmp.deals.wadomain")?,
                "guar" => deal.guaranteed = value.is_one(),
                "mincpmpersec" => deal.min_cpm_per_sec = value.cpm("imp.pmp.deals.mincpmpersec")?,
                "durfloors" => {
                    deal.dur_floors = self.dur_floors(value, "imp.pmp.deals.durfloors.bidfloor")?
                }
                _ => {}
            }
        }
        Ok(Some(deal).filter(|deal| !deal.id.is_empty()))
    }

    /// `DurFloors`, section 3.2.35; either bound, both or none.
    pub fn dur_floors(&mut self, list: Value<'_, 'a>, field: &'static str) -> Result<Span, Malformed> {
        let start = self.request.dur_floors.len();
        for item in list.items() {
            let mut floor = DurFloor::default();
            for (key, value) in item.fields() {
                match key {
                    "mindur" => floor.min_s = value.uint().unwrap_or(0),
                    "maxdur" => floor.max_s = value.uint(),
                    "bidfloor" => floor.floor = value.cpm(field)?.unwrap_or_default(),
                    _ => {}
                }
            }
            self.request.dur_floors.push(floor);
        }
        Ok(span(start, self.request.dur_floors.len()))
    }
}
