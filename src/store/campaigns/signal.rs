//! Named context signals of places, such as `weather:rain` in Ontario until six o'clock.

use super::definition::Signal;
use super::opportunity::{Place, region_is};
use crate::units::Timestamp;
use std::cmp::Ordering;

/// All configured signals, sorted by country so that a request looks at its own country's only.
#[derive(Debug, Default)]
pub struct Signals {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// Lower case.
    country: String,
    region: Option<String>,
    /// `name:value`
    text: String,
    until: Option<Timestamp>,
}

impl Signals {
    pub fn compile(signals: &[Signal]) -> Signals {
        let mut entries: Vec<Entry> = signals.iter().map(Entry::compile).collect();
        entries.sort_by(|a, b| a.country.cmp(&b.country));
        Signals { entries }
    }

    /// How many are believed at `now`, and how many are over and ignored.
    pub fn count(&self, now: Timestamp) -> (usize, usize) {
        let holding = self.entries.iter().filter(|entry| entry.holds(now)).count();
        (holding, self.entries.len() - holding)
    }

    /// The signals that hold at `place` now, as `name:value`. A place without a country has none.
    pub fn active<'s>(&'s self, place: &Place<'s>, now: Timestamp) -> impl Iterator<Item = &'s str> {
        let place = *place;
        let country = place.country.unwrap_or_default();
        let from = self
            .entries
            .partition_point(|entry| entry.compare(country) == Ordering::Less);
        self.entries[from..]
            .iter()
            .take_while(move |entry| place.country.is_some() && entry.compare(country) == Ordering::Equal)
            .filter(move |entry| entry.holds(now))
            .filter(move |entry| {
                entry
                    .region
                    .as_ref()
                    .is_none_or(|region| region_is(region, &place))
            })
            .map(|entry| entry.text.as_str())
    }
}

impl Entry {
    fn compile(signal: &Signal) -> Entry {
        Entry {
            country: signal.country.to_ascii_lowercase(),
            region: signal.region.clone(),
            text: format!("{}:{}", signal.name, signal.value),
            until: signal.until,
        }
    }

    fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    fn compare(&self, country: &str) -> Ordering {
        self.country
            .bytes()
            .cmp(country.bytes().map(|b| b.to_ascii_lowercase()))
    }
}
