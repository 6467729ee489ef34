//! How money is meant to be spread: over a day in the advertiser's zone, and over the days of a flight.

use super::super::calendar::Span;
use crate::units::{HourOfWeek, ObjectId, Spread, Timestamp};
use jiff::tz::TimeZone;

/// Slots of a plan, which are also those of the slot error. Days of 23 and 25 hours have 92 and 100 of them.
pub const SLOT_MS: i64 = 15 * 60 * 1000;

/// What is asked for one account.
#[derive(Clone, Debug, PartialEq)]
pub struct PacePlan {
    pub spread: Spread,
    /// From (inclusive) until (exclusive); `None` = open.
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Hours of the week in the account's zone in which anything may be bought, as bits, Monday 00 first; `None` = all.
    pub hours: Option<[u64; 3]>,
    /// Where it may be bought; empty = everywhere. Whose requests a plan by traffic follows.
    pub exchanges: Vec<ObjectId>,
}

/// The plan of one day: which share of its money is meant to be gone by when.
#[derive(Clone, Debug, PartialEq)]
pub struct DayPlan {
    pub span: Span,
    /// At the end of each slot.
    cumulative: Box<[f64]>,
}

impl DayPlan {
    /// `traffic` says how many requests to expect around a time, in any unit. A day in which nothing may be bought or is
    /// expected is planned evenly.
    pub fn new(plan: &PacePlan, zone: &TimeZone, span: Span, traffic: impl Fn(Timestamp) -> f64) -> DayPlan {
        let count = slot_count(span);
        let weight = |slot: i64| {
            let from = Timestamp(span.from.0 + slot * SLOT_MS);
            let gone = (slot as f64 + 0.5) / count as f64;
            let shape = match plan.spread {
                Spread::FrontLoaded => 2.0 * (1.0 - gone),
                Spread::Traffic => traffic(from),
                Spread::Even | Spread::AsFastAsPossible => 1.0,
            };
            shape * plan.open_share(zone, from)
        };
        let weights: Vec<f64> = (0..count).map(weight).collect();
        let total: f64 = weights.iter().sum();
        let even = !(total > 0.0 && total.is_finite());
        let mut sum = 0.0;
        let cumulative = weights.iter().map(|weight| {
            sum += if even { 1.0 / count as f64 } else { weight / total };
            sum
        });
        DayPlan {
            span,
            cumulative: cumulative.collect(),
        }
    }

    /// The share that is meant to be gone at `at`, 0..=1.
    pub fn share(&self, at: Timestamp) -> f64 {
        let place = at.since(self.span.from).max(0) as f64 / SLOT_MS as f64;
        let slot = place as usize;
        let Some(&end) = self.cumulative.get(slot) else {
            return 1.0;
        };
        let start = slot.checked_sub(1).map_or(0.0, |before| self.cumulative[before]);
        start + (end - start) * (place - slot as f64)
    }
}

impl Default for PacePlan {
    /// No pacing, any time, anywhere.
    fn default() -> PacePlan {
        PacePlan {
            spread: Spread::AsFastAsPossible,
            from: None,
            until: None,
            hours: None,
            exchanges: Vec::new(),
        }
    }
}

impl PacePlan {
    /// The share of the slot from `from` on in which it may be bought.
    fn open_share(&self, zone: &TimeZone, from: Timestamp) -> f64 {
        let until = Timestamp(from.0 + SLOT_MS);
        let start = self.from.map_or(from, |flight| flight.max(from));
        let end = self.until.map_or(until, |flight| flight.min(until));
        let in_flight = end.since(start).max(0) as f64 / SLOT_MS as f64;
        let is_open = self.hours.is_none_or(|bits| {
            let hour = hour_of_week(zone, from).index();
            bits[hour / 64] >> (hour % 64) & 1 == 1
        });
        if is_open { in_flight } else { 0.0 }
    }

    /// The share of what a lifetime budget has left at the start of `day` that is meant for that day; `None` where the flight has
    /// no end.
    pub fn share_of_day(&self, day: Span) -> Option<f64> {
        let until = self.until?;
        let from = self.from.unwrap_or(day.from);
        let length = until.since(from);
        if length <= 0 || day.until >= until {
            return Some(1.0);
        }
        let gone = |at: Timestamp| (at.since(from) as f64 / length as f64).clamp(0.0, 1.0);
        let planned = |gone: f64| match self.spread {
            Spread::FrontLoaded => gone * (2.0 - gone),
            _ => gone,
        };
        let (start, end) = (planned(gone(day.from)), planned(gone(day.until)));
        Some(((end - start) / (1.0 - start)).clamp(0.0, 1.0))
    }
}

fn slot_count(span: Span) -> i64 {
    // At least one, at most those of the longest day: 25 hours.
    ((span.until.since(span.from) + SLOT_MS - 1) / SLOT_MS).clamp(1, 100)
}

fn hour_of_week(zone: &TimeZone, at: Timestamp) -> HourOfWeek {
    let instant = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    at.hour_of_week(zone.to_offset(instant).seconds() / 60)
}

#[cfg(test)]
mod tests {
    use super::super::super::calendar::Unit;
    use super::*;

    fn day(zone: &TimeZone, at: &str) -> Span {
        let at = Timestamp(at.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        Span::around(Unit::Day, zone, at)
    }

    fn plan_of(spread: Spread) -> PacePlan {
        PacePlan {
            spread,
            ..PacePlan::default()
        }
    }

    fn at(day: Span, share: f64) -> Timestamp {
        Timestamp(day.from.0 + (day.until.since(day.from) as f64 * share) as i64)
    }

    #[test]
    fn every_plan_begins_with_nothing_rises_and_ends_with_everything_also_when_clocks_change() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        for date in [
            "2026-03-29T12:00:00Z",
            "2026-06-01T12:00:00Z",
            "2026-10-25T12:00:00Z",
        ] {
            let day = day(&zone, date);
            for spread in [
                Spread::Even,
                Spread::FrontLoaded,
                Spread::Traffic,
                Spread::AsFastAsPossible,
            ] {
                let plan = DayPlan::new(&plan_of(spread), &zone, day, |at| (at.0 / SLOT_MS % 7) as f64);
                let shares: Vec<f64> = (0..=1000)
                    .map(|n| plan.share(at(day, f64::from(n) / 1000.0)))
                    .collect();
                assert_eq!(shares[0], 0.0);
                assert!((shares[1000] - 1.0).abs() < 1e-9);
                assert!(shares.is_sorted(), "{spread:?} {date}");
            }
        }
    }

    #[test]
    fn half_of_an_even_day_is_half_of_its_money_and_three_quarters_of_a_front_loaded_one() {
        let day = day(&TimeZone::UTC, "2026-06-01T12:00:00Z");
        let noon = |spread| DayPlan::new(&plan_of(spread), &TimeZone::UTC, day, |_| 1.0).share(at(day, 0.5));
        assert!((noon(Spread::Even) - 0.5).abs() < 1e-9);
        assert!((noon(Spread::FrontLoaded) - 0.75).abs() < 1e-9);
    }

    #[test]
    fn money_follows_the_traffic_that_is_expected() {
        let day = day(&TimeZone::UTC, "2026-06-01T12:00:00Z");
        let evening = |at: Timestamp| {
            if at >= Timestamp(day.from.0 + 18 * 3_600_000) {
                9.0
            } else {
                1.0
            }
        };
        let plan = DayPlan::new(&plan_of(Spread::Traffic), &TimeZone::UTC, day, evening);
        assert!((plan.share(at(day, 0.75)) - 0.25).abs() < 1e-9);
        let nothing = DayPlan::new(&plan_of(Spread::Traffic), &TimeZone::UTC, day, |_| 0.0);
        assert!((nothing.share(at(day, 0.5)) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn nothing_is_planned_for_hours_in_which_nothing_may_be_bought() {
        // Monday 08 to 12 only; 2026-06-01 is a Monday.
        let plan = PacePlan {
            hours: Some([0b1111 << 8, 0, 0]),
            ..plan_of(Spread::Even)
        };
        let zone = TimeZone::get("America/New_York").unwrap();
        let day = day(&zone, "2026-06-01T12:00:00Z");
        let plan = DayPlan::new(&plan, &zone, day, |_| 1.0);
        let shares = [7.9, 10.0, 12.0, 23.0].map(|hour| plan.share(at(day, hour / 24.0)));
        assert_eq!(shares[0], 0.0);
        assert!((shares[1] - 0.5).abs() < 1e-9);
        assert!((shares[2] - 1.0).abs() < 1e-9);
        assert!((shares[3] - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_lifetime_budget_is_shared_among_the_days_that_are_left() {
        let first = day(&TimeZone::UTC, "2026-06-01T12:00:00Z");
        let days = |n: i64| Span {
            from: Timestamp(first.from.0 + n * Timestamp::MS_PER_DAY),
            until: Timestamp(first.until.0 + n * Timestamp::MS_PER_DAY),
        };
        let flight = |spread| PacePlan {
            from: Some(first.from),
            until: Some(days(9).until),
            ..plan_of(spread)
        };
        let share = |spread, n| flight(spread).share_of_day(days(n)).unwrap();
        assert!((share(Spread::Even, 0) - 0.1).abs() < 1e-9);
        assert!((share(Spread::Even, 5) - 0.2).abs() < 1e-9);
        assert_eq!(share(Spread::Even, 9), 1.0);
        // 1 − 0.9² of all on the first day.
        assert!((share(Spread::FrontLoaded, 0) - 0.19).abs() < 1e-9);
        assert_eq!(plan_of(Spread::Even).share_of_day(first), None);
    }
}
