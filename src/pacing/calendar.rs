//! Hours and days of a time zone as spans of absolute time.
//! Spans of one unit lie side by side without a gap: a day with a clock change has 23 or 25 hours, a repeated hour is two.

use crate::units::Timestamp;
use jiff::tz::TimeZone;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Hour,
    Day,
}

/// From (inclusive) until (exclusive).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    pub from: Timestamp,
    pub until: Timestamp,
}

impl Span {
    pub const ALL_TIME: Span = Span {
        from: Timestamp(i64::MIN),
        until: Timestamp(i64::MAX),
    };

    pub fn contains(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }

    /// The hour or day around `at`, by the wall clock of `zone`.
    pub fn around(unit: Unit, zone: &TimeZone, at: Timestamp) -> Span {
        match unit {
            Unit::Hour => hour(zone, at),
            Unit::Day => day(zone, at).unwrap_or_else(|| utc(at, Timestamp::MS_PER_DAY)),
        }
    }

    pub fn before(&self, unit: Unit, zone: &TimeZone) -> Span {
        let from = Span::around(unit, zone, Timestamp(self.from.0 - 1)).from;
        Span {
            from,
            until: self.from,
        }
    }

    pub fn after(&self, unit: Unit, zone: &TimeZone) -> Span {
        Span {
            from: self.until,
            until: Span::around(unit, zone, self.until).until,
        }
    }
}

/// Offsets are multiples of a minute or so, mostly of an hour: an hour begins where local time is a multiple of an hour.
fn hour(zone: &TimeZone, at: Timestamp) -> Span {
    let offset_ms = jiff::Timestamp::from_millisecond(at.0)
        .map(|at| i64::from(zone.to_offset(at).seconds()) * 1000)
        .unwrap_or(0);
    let local = utc(Timestamp(at.0 + offset_ms), Timestamp::MS_PER_HOUR);
    Span {
        from: Timestamp(local.from.0 - offset_ms),
        until: Timestamp(local.until.0 - offset_ms),
    }
}

/// `None` outside the years that the calendar library knows.
fn day(zone: &TimeZone, at: Timestamp) -> Option<Span> {
    let at = jiff::Timestamp::from_millisecond(at.0)
        .ok()?
        .to_zoned(zone.clone());
    let from = at.start_of_day().ok()?;
    let until = at.tomorrow().ok()?.start_of_day().ok()?;
    Some(Span {
        from: Timestamp(from.timestamp().as_millisecond()),
        until: Timestamp(until.timestamp().as_millisecond()),
    })
}

fn utc(at: Timestamp, length_ms: i64) -> Span {
    let from = at.0.div_euclid(length_ms) * length_ms;
    Span {
        from: Timestamp(from),
        until: Timestamp(from + length_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn check(unit: Unit, zone: &str, moment: &str, from: &str, until: &str) {
        let zone = TimeZone::get(zone).unwrap();
        let span = Span::around(unit, &zone, at(moment));
        assert_eq!(
            span,
            Span {
                from: at(from),
                until: at(until)
            },
            "{zone:?} {moment}"
        );
        assert_eq!(span.before(unit, &zone).until, span.from);
        assert_eq!(span.after(unit, &zone).from, span.until);
        assert_eq!(
            span.before(unit, &zone).after(unit, &zone),
            span,
            "{zone:?} {moment}"
        );
    }

    #[test]
    fn days_and_hours_follow_the_wall_clock_of_the_zone() {
        let cases = [
            (
                Unit::Day,
                "UTC",
                "2026-03-01T12:00:00Z",
                "2026-03-01T00:00:00Z",
                "2026-03-02T00:00:00Z",
            ),
            // 23 hours, 25 hours.
            (
                Unit::Day,
                "Europe/Berlin",
                "2026-03-29T12:00:00Z",
                "2026-03-28T23:00:00Z",
                "2026-03-29T22:00:00Z",
            ),
            (
                Unit::Day,
                "Europe/Berlin",
                "2026-10-25T12:00:00Z",
                "2026-10-24T22:00:00Z",
                "2026-10-25T23:00:00Z",
            ),
            // The clock goes from midnight to one: the day begins at one.
            (
                Unit::Day,
                "Africa/Cairo",
                "2026-04-24T12:00:00Z",
                "2026-04-23T22:00:00Z",
                "2026-04-24T21:00:00Z",
            ),
            (
                Unit::Day,
                "America/New_York",
                "2026-07-01T03:59:59.999Z",
                "2026-06-30T04:00:00Z",
                "2026-07-01T04:00:00Z",
            ),
            (
                Unit::Hour,
                "Asia/Kolkata",
                "2026-01-01T00:10:00Z",
                "2025-12-31T23:30:00Z",
                "2026-01-01T00:30:00Z",
            ),
            // The repeated hour is two hours.
            (
                Unit::Hour,
                "Europe/Berlin",
                "2026-10-25T00:30:00Z",
                "2026-10-25T00:00:00Z",
                "2026-10-25T01:00:00Z",
            ),
            (
                Unit::Hour,
                "Europe/Berlin",
                "2026-10-25T01:30:00Z",
                "2026-10-25T01:00:00Z",
                "2026-10-25T02:00:00Z",
            ),
        ];
        for (unit, zone, moment, from, until) in cases {
            check(unit, zone, moment, from, until);
        }
    }
}
