//! One calendar day of a time zone, as invoices count them.

use crate::units::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// From the first moment of the date (inclusive) until that of the next one; 23 to 25 hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    pub date: Date,
    zone: TimeZone,
    from: Timestamp,
    until: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDay {
    #[error("`{0}` is no day: write YYYY-MM-DD, such as 2026-03-02")]
    Date(String),
    #[error("`{0}` is no time zone: write an IANA name, such as UTC or America/New_York")]
    Zone(String),
}

impl Day {
    /// `date` is `YYYY-MM-DD`, `zone` an IANA name.
    pub fn parse(date: &str, zone: &str) -> Result<Day, BadDay> {
        let zone = TimeZone::get(zone).map_err(|_| BadDay::Zone(zone.to_owned()))?;
        let bad = || BadDay::Date(date.to_owned());
        let date = parse_date(date).ok_or_else(bad)?;
        let start = |date: Date| {
            let start = date.to_zoned(zone.clone()).ok()?.start_of_day().ok()?;
            Some(Timestamp(start.timestamp().as_millisecond()))
        };
        let until = date.tomorrow().ok().and_then(start).ok_or_else(bad)?;
        Ok(Day {
            date,
            from: start(date).ok_or_else(bad)?,
            until,
            zone,
        })
    }

    pub fn contains(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }

    /// Within the day, or within 24 hours of it.
    pub fn is_near(&self, at: Timestamp) -> bool {
        self.from.0 - Timestamp::MS_PER_DAY <= at.0 && at.0 < self.until.0 + Timestamp::MS_PER_DAY
    }

    pub fn from(&self) -> Timestamp {
        self.from
    }

    /// The hour of the wall clock, 0 to 23.
    pub fn hour(&self, at: Timestamp) -> u8 {
        let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
        self.zone.to_datetime(at).hour().unsigned_abs()
    }

    pub fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }
}

/// `YYYY-MM-DD` or `YYYYMMDD`.
pub fn parse_date(text: &str) -> Option<Date> {
    let is_plain = text.len() == 10 || (text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()));
    is_plain.then(|| text.parse().ok())?
}
