//! When requests come: the curve of a day in its time zone, with the weather of the seed.

use super::scenario::{Fault, Faults};
use crate::units::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use world::{Random, Stream, daily_curve};

const MINUTE_MS: i64 = 60_000;
/// Two zones whose clocks change, two whose do not.
const ZONES: [(&str, [(i8, i8); 2]); 4] = [
    ("Europe/Berlin", [(3, 29), (10, 25)]),
    ("America/New_York", [(3, 8), (11, 1)]),
    ("Asia/Kolkata", [(6, 10), (6, 10)]),
    ("UTC", [(6, 10), (6, 10)]),
];
const YEAR: i16 = 2026;
/// Standard deviation of an hour's traffic around the curve, in logarithms.
const HOUR_NOISE: f64 = 0.12;
const SURGE: f64 = 5.0;
const SURGE_MINUTES: usize = 15;

/// One day.
pub struct Timeline {
    pub from: Timestamp,
    pub until: Timestamp,
    /// Running sums of the weight of each minute.
    sums: Vec<f64>,
}

/// The zone of a seed's advertisers.
pub fn zone(faults: Faults, seed: u64) -> &'static str {
    let zones = if faults.has(Fault::ClockChange) {
        2
    } else {
        ZONES.len() as u64
    };
    ZONES[(seed % zones) as usize].0
}

/// The days of a seed, from midnight to midnight where the advertisers are.
pub fn days(faults: Faults, seed: u64, days: u32) -> Vec<Timeline> {
    let name = zone(faults, seed);
    let zone = TimeZone::get(name).expect("the zones are bundled");
    let (month, day) = match faults.has(Fault::ClockChange) {
        true => {
            ZONES
                .iter()
                .find(|(known, _)| *known == name)
                .expect("one of them")
                .1[(seed / 2 % 2) as usize]
        }
        false => (6, 10),
    };
    let first = Date::constant(YEAR, month, day);
    let midnight = |n: i64| {
        let date = first
            .checked_add(jiff::Span::new().days(n))
            .expect("within the calendar");
        let start = date.to_zoned(zone.clone()).expect("within the calendar");
        Timestamp(start.timestamp().as_millisecond())
    };
    (0..i64::from(days))
        .map(|n| {
            Timeline::new(
                midnight(n),
                midnight(n + 1),
                faults,
                &mut Random::new(seed, Stream::Mishap, n as u64),
            )
        })
        .collect()
}

impl Timeline {
    fn new(from: Timestamp, until: Timestamp, faults: Faults, random: &mut Random) -> Timeline {
        let minutes = (until.since(from) / MINUTE_MS) as usize;
        let hours: Vec<f64> = (0..minutes / 60 + 1)
            .map(|_| (HOUR_NOISE * random.normal()).exp())
            .collect();
        let surge = random.below(minutes as u64) as usize;
        let gap = random.below(minutes as u64) as usize;
        let within = |start: usize, minute: usize| (start..start + SURGE_MINUTES).contains(&minute);
        let weight = |minute: usize| {
            let curve = daily_curve(from.0 + minute as i64 * MINUTE_MS) * hours[minute / 60];
            match faults.has(Fault::Surge) {
                true if within(gap, minute) => 0.0,
                true if within(surge, minute) => SURGE * curve,
                _ => curve,
            }
        };
        let mut sum = 0.0;
        let sums = (0..minutes).map(|minute| {
            sum += weight(minute);
            sum
        });
        Timeline {
            from,
            until,
            sums: sums.collect(),
        }
    }

    /// When the part `share` of the day's requests, 0..1, has come.
    pub fn at(&self, share: f64) -> Timestamp {
        let wanted = share * self.sums.last().copied().unwrap_or(0.0);
        let minute = self
            .sums
            .partition_point(|sum| *sum <= wanted)
            .min(self.sums.len() - 1);
        let before = if minute == 0 { 0.0 } else { self.sums[minute - 1] };
        let within = (wanted - before) / (self.sums[minute] - before).max(f64::MIN_POSITIVE);
        Timestamp(
            self.from.0
                + minute as i64 * MINUTE_MS
                + (within.clamp(0.0, 0.999_999) * MINUTE_MS as f64) as i64,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_with_a_clock_change_has_an_hour_more_or_less() {
        let hours = |seed| {
            let day = &days(Faults::NONE.with(Fault::ClockChange), seed, 1)[0];
            day.until.since(day.from) / Timestamp::MS_PER_HOUR
        };
        assert_eq!([0, 1, 2, 3].map(hours), [23, 23, 25, 25]);
        assert_eq!(days(Faults::NONE, 0, 3).len(), 3);
    }

    #[test]
    fn times_come_in_order_and_within_the_day() {
        let day = &days(Faults::ALL, 5, 1)[0];
        let times: Vec<_> = (0..10_000)
            .map(|n| day.at((f64::from(n) + 0.5) / 10_000.0))
            .collect();
        assert!(times.is_sorted());
        assert!(times.iter().all(|at| (day.from..day.until).contains(at)));
    }
}
