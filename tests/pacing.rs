//! Pacing through the face of the budgets: a market on a fake clock, days played in seconds.

#[path = "pacing/kpi.rs"]
mod kpi;

use jiff::tz::TimeZone;
use outbid::pacing::{Account, AccountKind, Booking, Budgets, PacePlan};
use outbid::units::{AccountId, BidId, Limits, Nanos, Spread, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

const HOUR_MS: i64 = Timestamp::MS_PER_HOUR;
const SLOT_MS: i64 = 15 * 60_000;
const LINE: AccountId = AccountId(7);

/// Monday 2026-06-01 00:00 in Berlin.
const MONDAY: Timestamp = Timestamp(1_780_264_800_000);
/// The first instants of the days in 2026 on which Berlin's clocks change.
const SPRING: Timestamp = Timestamp(1_774_738_800_000);
const AUTUMN: Timestamp = Timestamp(1_792_879_200_000);

/// A seeded stream of numbers (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normal: twelve draws.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// A second-price market with log-normal rivals in which an impression is worth 2 µ to us.
struct Market {
    budgets: Budgets,
    account: Arc<Account>,
    dice: Dice,
    ids: u64,
    /// Wins that are not billed yet, by when they will be.
    bills: BTreeMap<(i64, u64), (BidId, Timestamp, Nanos, Nanos)>,
    /// Spent by slot of the bid.
    slots: BTreeMap<i64, f64>,
    spent: Nanos,
    value: f64,
    bill_delay_ms: i64,
    hold_ms: i64,
    losses_told: bool,
    /// Not 0 = its bids are shaded.
    ticket: u64,
}

const VALUE: f64 = 2_000_000.0;

impl Market {
    fn open(limits: Limits, plan: PacePlan, now: Timestamp) -> Market {
        let budgets = Budgets::new(1_000_000);
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let account = budgets.account(LINE, "line", AccountKind::LineItem, &zone, now);
        account.set_limits(limits, now);
        account.set_plan(plan);
        Market {
            budgets,
            account,
            dice: Dice(1),
            ids: 0,
            bills: BTreeMap::new(),
            slots: BTreeMap::new(),
            spent: Nanos::ZERO,
            value: VALUE,
            bill_delay_ms: 8_000,
            hold_ms: 60_000,
            losses_told: true,
            ticket: 0,
        }
    }

    /// Plays from `from` until `until`, with `per_second` auctions.
    fn play(&mut self, from: Timestamp, until: Timestamp, per_second: impl Fn(Timestamp) -> f64) {
        let mut due = 0.0;
        for second in 0..until.since(from) / 1000 {
            let now = Timestamp(from.0 + second * 1000);
            self.budgets.tick(now);
            self.bill(now);
            due += per_second(now);
            while due >= 1.0 {
                due -= 1.0;
                self.auction(now);
            }
        }
        self.bill(Timestamp(i64::MAX));
    }

    fn bill(&mut self, now: Timestamp) {
        while let Some(entry) = self.bills.first_entry().filter(|entry| entry.key().0 <= now.0) {
            let (bid, bid_at, reserved, price) = entry.remove();
            let booking = Booking {
                accounts: &[LINE],
                bid_at,
                reserved,
                price,
            };
            let settled = self.budgets.settle(bid, &booking);
            assert_eq!(settled.late, Nanos::ZERO);
        }
    }

    fn auction(&mut self, now: Timestamp) {
        let bid = Nanos((self.value * self.account.multiplier()) as i64);
        let rival = Nanos((1_000_000.0 * (0.5 * self.dice.normal()).exp()) as i64);
        if bid <= Nanos::ZERO {
            return;
        }
        let Ok(reservation) = self.budgets.reserve(&[&self.account], bid, now) else {
            return;
        };
        self.ids += 1;
        let id = BidId::new(1, 1, self.ids);
        reservation
            .commit_noting(id, Timestamp(now.0 + self.hold_ms), self.ticket)
            .expect("there is room");
        if bid <= rival {
            if self.losses_told {
                self.budgets.release(id);
            }
            return;
        }
        self.budgets
            .win(id, Timestamp(now.0 + self.bill_delay_ms + 60_000));
        *self.slots.entry(now.0.div_euclid(SLOT_MS)).or_default() += rival.0 as f64;
        self.spent += rival;
        self.bills
            .insert((now.0 + self.bill_delay_ms, self.ids), (id, now, bid, rival));
    }

    /// √ of the mean squared difference between what slots spent and what was planned, over the mean slot.
    fn slot_error(&self, from: Timestamp, planned: &[f64]) -> f64 {
        let first = from.0.div_euclid(SLOT_MS);
        let of = |slot: usize| self.slots.get(&(first + slot as i64)).copied().unwrap_or(0.0);
        let sum: f64 = (0..planned.len())
            .map(|slot| (of(slot) - planned[slot]).powi(2))
            .sum();
        let mean = planned.iter().sum::<f64>() / planned.len() as f64;
        (sum / planned.len() as f64).sqrt() / mean
    }
}

fn daily(units: f64) -> Limits {
    Limits {
        daily: Nanos::from_units(units),
        ..Limits::default()
    }
}

fn spread(spread: Spread) -> PacePlan {
    PacePlan {
        spread,
        ..PacePlan::default()
    }
}

fn hours_after(start: Timestamp, hours: i64) -> Timestamp {
    Timestamp(start.0 + hours * HOUR_MS)
}

/// More in the evening than at night: 1 to 5 a second.
fn day_curve(now: Timestamp) -> f64 {
    let hour = (now.since(MONDAY) as f64 / HOUR_MS as f64) % 24.0;
    3.0 - 2.0 * (hour / 24.0 * std::f64::consts::TAU).cos()
}

#[test]
fn an_even_plan_spends_the_same_every_quarter_of_an_hour_whatever_the_traffic_and_all_of_it() {
    let mut market = Market::open(daily(50.0), spread(Spread::Even), MONDAY);
    market.play(MONDAY, hours_after(MONDAY, 24), day_curve);
    let spent = market.spent.as_units() / 50.0;
    assert!(spent > 0.99 && spent <= 1.0, "{spent}");
    let planned = vec![50e9 / 96.0; 96];
    // 65,000 impressions: chance alone gives 4.5 % with such prices.
    let error = market.slot_error(MONDAY, &planned);
    assert!(error < 0.10, "{error}");
}

#[test]
fn a_front_loaded_plan_falls_over_the_day() {
    let mut market = Market::open(daily(50.0), spread(Spread::FrontLoaded), MONDAY);
    market.play(MONDAY, hours_after(MONDAY, 24), |_| 4.0);
    let planned: Vec<f64> = (0..96)
        .map(|slot| 50e9 / 96.0 * 2.0 * (1.0 - (f64::from(slot) + 0.5) / 96.0))
        .collect();
    let error = market.slot_error(MONDAY, &planned);
    assert!(error < 0.12, "{error}");
    assert!(market.spent.as_units() > 49.5, "{}", market.spent);
}

#[test]
fn a_plan_by_traffic_follows_the_requests_of_the_day_before() {
    let mut market = Market::open(daily(50.0), spread(Spread::Traffic), MONDAY);
    let requests = market.budgets.traffic().of(outbid::units::ObjectId(1));
    for day in 0..2 {
        market.slots.clear();
        let start = hours_after(MONDAY, 24 * day);
        market.play(start, hours_after(start, 24), |now| {
            (0..day_curve(now) as u32 * 100).for_each(|_| requests.count());
            day_curve(now)
        });
    }
    let start = hours_after(MONDAY, 24);
    let quarter = |slot: i64| (day_curve(hours_after(MONDAY, slot / 4)) as u32) as f64;
    let total: f64 = (0..96).map(quarter).sum();
    let planned: Vec<f64> = (0..96).map(|slot| 50e9 * quarter(slot) / total).collect();
    let error = market.slot_error(start, &planned);
    assert!(error < 0.25, "{error}");
    assert!(market.spent.as_units() > 99.0, "two days: {}", market.spent);
}

#[test]
fn days_of_twenty_three_and_twenty_five_hours_are_spent_evenly_and_whole() {
    for (start, hours) in [(SPRING, 23), (AUTUMN, 25)] {
        let mut market = Market::open(daily(30.0), spread(Spread::Even), start);
        market.play(start, hours_after(start, hours), |_| 3.0);
        let spent = market.spent.as_units() / 30.0;
        assert!(spent > 0.985 && spent <= 1.0, "{hours} hours: {spent}");
        let slots = hours as usize * 4;
        let error = market.slot_error(start, &vec![30e9 / slots as f64; slots]);
        assert!(error < 0.12, "{hours} hours: {error}");
    }
}

#[test]
fn a_lifetime_budget_lasts_for_its_flight() {
    let plan = PacePlan {
        from: Some(MONDAY),
        until: Some(hours_after(MONDAY, 72)),
        ..spread(Spread::Even)
    };
    let lifetime = Limits {
        lifetime: Nanos::from_units(60.0),
        ..Limits::default()
    };
    let mut market = Market::open(lifetime, plan, MONDAY);
    let mut spent = Vec::new();
    for day in 0..3 {
        let before = market.spent;
        let start = hours_after(MONDAY, 24 * day);
        market.play(start, hours_after(start, 24), |_| 2.0);
        spent.push((market.spent - before).as_units());
    }
    assert!(
        spent.iter().all(|spent| (spent / 20.0 - 1.0).abs() < 0.02),
        "{spent:?}"
    );
}

#[test]
fn money_that_is_held_for_half_an_hour_does_not_stop_the_pace() {
    let mut market = Market::open(daily(20.0), spread(Spread::Even), MONDAY);
    (market.losses_told, market.hold_ms, market.bill_delay_ms) = (false, 300_000, 120_000);
    market.play(MONDAY, hours_after(MONDAY, 24), |_| 2.0);
    let spent = market.spent.as_units() / 20.0;
    assert!(spent > 0.985 && spent <= 1.0, "{spent}");
    let error = market.slot_error(MONDAY, &[20e9 / 96.0; 96]);
    assert!(error < 0.20, "{error}");
}

#[test]
fn the_pace_goes_on_after_a_restart_where_it_was() {
    let mut market = Market::open(daily(50.0), spread(Spread::Even), MONDAY);
    let six = hours_after(MONDAY, 6);
    market.play(MONDAY, six, |_| 4.0);
    let multiplier = market.account.multiplier();
    assert!(multiplier > 0.2 && multiplier < 0.9, "{multiplier}");
    let saved = market.budgets.checkpoint(true);
    let again = Budgets::new(1_000_000);
    again.restore(&saved, six).unwrap();
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let account = again.account(LINE, "line", AccountKind::LineItem, &zone, six);
    account.set_plan(spread(Spread::Even));
    assert_eq!(account.multiplier(), multiplier);
    // The plan may be there before the checkpoint is read, too.
    let again = Budgets::new(1_000_000);
    let account = again.account(LINE, "line", AccountKind::LineItem, &zone, six);
    account.set_plan(spread(Spread::Even));
    assert!((account.multiplier() - 0.1).abs() < 1e-9, "slow start");
    again.restore(&saved, six).unwrap();
    assert_eq!(account.multiplier(), multiplier);
}

#[test]
fn a_plan_that_is_behind_and_within_reach_stretches_the_values_that_are_shaded_and_no_others() {
    let hour = hours_after(MONDAY, 1);
    // At the value itself some 285 a day are spent.
    for (limit, ticket, stretch) in [(500.0, 0, 1.0), (500.0, 7, 10.0), (5_000.0, 7, 1.0)] {
        let mut market = Market::open(daily(limit), spread(Spread::Even), MONDAY);
        market.ticket = ticket;
        market.play(MONDAY, hour, |_| 4.0);
        let drive = market.account.drive();
        assert_eq!(drive.multiplier(), 1.0);
        assert!((drive.stretch() - stretch).abs() < 1e-9, "{drive:?}");
        assert_eq!(market.account.pace_view(hour).stretch, drive.stretch());
        let again = Budgets::new(1_000_000);
        again.restore(&market.budgets.checkpoint(true), hour).unwrap();
    }
}

#[test]
fn what_is_spent_as_fast_as_possible_is_never_held_back() {
    let mut market = Market::open(daily(5.0), spread(Spread::AsFastAsPossible), MONDAY);
    market.play(MONDAY, hours_after(MONDAY, 2), |_| 5.0);
    assert_eq!(market.account.multiplier(), 1.0);
    assert!(market.spent.as_units() > 4.9);
    let view = market.account.pace_view(hours_after(MONDAY, 2));
    assert_eq!((view.spread, view.multiplier), (Spread::AsFastAsPossible, 1.0));
}

#[test]
fn a_limit_that_is_raised_at_noon_is_spent_by_midnight() {
    let mut market = Market::open(daily(20.0), spread(Spread::Even), MONDAY);
    let noon = hours_after(MONDAY, 12);
    market.play(MONDAY, noon, |_| 4.0);
    assert!((market.spent.as_units() - 10.0).abs() < 0.3, "{}", market.spent);
    market.account.set_limits(daily(40.0), noon);
    market.play(noon, hours_after(MONDAY, 24), |_| 4.0);
    assert!(market.spent.as_units() > 39.5, "{}", market.spent);
}
