//! What was learnt, so that it survives a restart: a part of a file that has a checksum of its own.
//!
//! ```text
//! magic u64 | version u32 | markets u32 × (exchange u64, rest of the name u64, count f64, observed u64, won u64,
//!           | 2 × (intercept, slope, surprise: f64, steps u32 × (step u32, lost f32, won f32, into f32))
//!           | told exact f64, steps u32 × (step u32, weight f64))
//! ```
//!
//! Version 1 kept curves without their outcomes, so what it learnt from wins and losses alone is learnt anew: of each filter it had
//! intercept, slope, information × 3 and surprise, all f64.
//!
//! Markets come from coarse to fine; the first one, of the name 0 0, is that of all markets. Told weights are in units of the
//! next observation.

use super::binary::{Binary, Filter, LogNormal, Outcomes};
use super::grid::STEPS;
use super::markets::{Learnt, Markets};
use super::path::MarketName;
use super::told::Told;
use crate::journal::{BadFields, FieldReader, FieldWriter};
use crate::units::ObjectId;

const MAGIC: u64 = u64::from_le_bytes(*b"OUTBIDSH");
const VERSION: u32 = 2;
const WITHOUT_OUTCOMES: u32 = 1;
/// Of both versions: 16 of the name, 24 of counts, two filters without outcomes, 12 of told prices.
const MARKET_BYTES_MIN: usize = 40 + 2 * 28 + 12;
const STEP_BYTES: usize = 12;
const OUTCOMES_BYTES: usize = 16;

/// The bytes are not a checkpoint of shading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what was learnt of markets is unreadable ({0}): without the file it is learnt anew")]
pub struct RestoreError(#[from] BadFields);

impl Markets {
    pub fn checkpoint(&self, out: &mut FieldWriter) {
        let mut markets = Vec::new();
        self.for_each(|name, learnt| markets.push((name, learnt.clone())));
        markets.sort_by_key(|(name, _)| name.map(|name| name.placement().is_some()));
        out.u64(MAGIC);
        out.u32(VERSION);
        out.count(markets.len());
        for (name, learnt) in &markets {
            out.u64(name.map_or(0, |name| name.exchange.0));
            out.u64(name.map_or(0, MarketName::to_bits));
            write_learnt(out, learnt);
        }
    }

    /// Takes over what a checkpoint knows; returns how many markets. Damaged bytes change nothing.
    pub fn restore(&self, fields: &mut FieldReader<'_>) -> Result<usize, RestoreError> {
        let (magic, version) = (fields.u64()?, fields.u32()?);
        if magic != MAGIC || !(WITHOUT_OUTCOMES..=VERSION).contains(&version) {
            return Err(RestoreError(BadFields {
                offset: 0,
                what: "not this version of this file",
            }));
        }
        let mut markets = Vec::new();
        for _ in 0..fields.count(MARKET_BYTES_MIN)? {
            let (exchange, rest) = (ObjectId(fields.u64()?), fields.u64()?);
            let name = match rest {
                0 => None,
                _ => Some(
                    MarketName::from_bits(exchange, rest).ok_or_else(|| fields.bad("is no market's name"))?,
                ),
            };
            markets.push((name, read_learnt(fields, version)?));
        }
        let count = markets.len();
        for (name, learnt) in markets {
            self.put_back(name, learnt);
        }
        Ok(count)
    }
}

fn write_learnt(out: &mut FieldWriter, learnt: &Learnt) {
    out.f64(learnt.count);
    out.u64(learnt.observed);
    out.u64(learnt.won);
    learnt
        .binary
        .filters
        .iter()
        .for_each(|filter| write_filter(out, filter));
    let told = &learnt.told;
    out.f64(told.count());
    let steps: Vec<_> = told
        .weights
        .iter()
        .enumerate()
        .filter(|(_, weight)| **weight > 0.0)
        .collect();
    out.count(steps.len());
    for (step, weight) in steps {
        out.u32(step as u32);
        out.f64(weight / told.unit);
    }
}

fn read_learnt(fields: &mut FieldReader<'_>, version: u32) -> Result<Learnt, BadFields> {
    let mut learnt = Learnt::new(LogNormal::UNKNOWN);
    learnt.count = fields.f64()?;
    learnt.observed = fields.u64()?;
    learnt.won = fields.u64()?;
    learnt.binary = Binary {
        filters: [read_filter(fields, version)?, read_filter(fields, version)?],
    };
    learnt.told = Told {
        exact: fields.f64()?,
        ..Told::default()
    };
    for _ in 0..fields.count(STEP_BYTES)? {
        let step = fields.u32()? as usize;
        let weight = fields.f64()?;
        if step < STEPS {
            learnt.told.weights[step] = weight;
        }
    }
    Ok(learnt)
}

fn write_filter(out: &mut FieldWriter, filter: &Filter) {
    for number in [filter.curve.intercept, filter.curve.slope, filter.surprise] {
        out.f64(number);
    }
    let steps: Vec<_> = filter
        .outcomes
        .iter()
        .enumerate()
        .filter(|(_, here)| here.lost + here.won > 0.0)
        .collect();
    out.count(steps.len());
    for (step, here) in steps {
        out.u32(step as u32);
        for number in [here.lost, here.won, here.into] {
            out.u32(number.to_bits());
        }
    }
}

fn read_filter(fields: &mut FieldReader<'_>, version: u32) -> Result<Filter, BadFields> {
    let mut filter = Filter::new(LogNormal {
        intercept: fields.f64()?,
        slope: fields.f64()?,
    });
    if version == WITHOUT_OUTCOMES {
        for _ in 0..3 {
            fields.f64()?;
        }
    }
    filter.surprise = fields.f64()?;
    if version == WITHOUT_OUTCOMES {
        return Ok(Filter::new(filter.curve));
    }
    for _ in 0..fields.count(OUTCOMES_BYTES)? {
        let step = fields.u32()? as usize;
        let [lost, won, into] = [fields.u32()?, fields.u32()?, fields.u32()?].map(f32::from_bits);
        let here = Outcomes::read(lost, won, into).ok_or_else(|| fields.bad("is no count of bids"))?;
        if step < STEPS {
            filter.outcomes[step] = here;
        }
    }
    Ok(filter)
}
