//! Markets in which clicks and orders come of what is bought, and what they may cost is given: days of a market on a fake clock, where
//! the prediction is off: of second price, or of first price with bids as the engine shades them.

use crate::{Dice, HOUR_MS, MONDAY, hours_after, spread};
use jiff::tz::TimeZone;
use outbid::engine::{Auction, Pace, Sale, Shader, Slot, bid_price, impression_worth};
use outbid::pacing::{Account, AccountKind, Booking, Budgets, Happened, Kpi, Target};
use outbid::shading::{Markets, Outcome, Ticket};
use outbid::units::{AccountId, BidId, Cpm, Limits, Nanos, ObjectId, Spread, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

const LINE: AccountId = AccountId(7);
const CAMPAIGN: AccountId = AccountId(8);
/// Between two auctions.
const PAUSE_S: i64 = 20;
/// Of clicks.
const ORDER_RATE: f64 = 0.3;
const ORDER_UNITS: f64 = 60.0;

struct Shop {
    budgets: Budgets,
    line: Arc<Account>,
    campaign: Arc<Account>,
    dice: Dice,
    ids: u64,
    /// What a click is worth, in nanos, by a prediction that is off by `bias`.
    click_worth: f64,
    bias: f64,
    /// Mean milliseconds from a click to its order.
    order_delay_ms: f64,
    /// Of first price, with shaded bids; else of second price.
    shaded: Option<Markets>,
    due: BTreeMap<(i64, u64), Due>,
    days: Vec<Day>,
}

/// A bid for one impression.
struct Bid {
    price: Cpm,
    ticket: Option<Ticket>,
}

enum Due {
    Bill(BidId, Timestamp, Nanos, Nanos),
    Happened(Happened, Timestamp),
}

/// What the impressions of a day cost, and what came of them, whenever it came.
#[derive(Clone, Copy, Default)]
struct Day {
    cost: f64,
    clicks: f64,
    orders: f64,
    value: f64,
    /// Clicks that could be expected.
    likely: f64,
}

impl Shop {
    fn open(kpi: Option<Kpi>, daily: Option<f64>) -> Shop {
        let budgets = Budgets::new(100_000);
        let open = |id, kind| budgets.account(id, "shop", kind, &TimeZone::UTC, MONDAY);
        let (line, campaign) = (
            open(LINE, AccountKind::LineItem),
            open(CAMPAIGN, AccountKind::Campaign),
        );
        campaign.set_limits(
            Limits {
                daily: daily.and_then(Nanos::from_units),
                ..Limits::default()
            },
            MONDAY,
        );
        campaign.set_plan(spread(Spread::Even));
        line.set_kpi(kpi, &campaign);
        Shop {
            line,
            campaign,
            budgets,
            dice: Dice(3),
            ids: 0,
            click_worth: 0.5e9,
            bias: 1.0,
            order_delay_ms: 60_000.0,
            shaded: None,
            due: BTreeMap::new(),
            days: Vec::new(),
        }
    }

    /// One auction every [`PAUSE_S`].
    fn play(&mut self, days: i64) {
        for day in 0..days {
            self.days.push(Day::default());
            for auction in 0..86_400 / PAUSE_S {
                let now = Timestamp(hours_after(MONDAY, 24 * day).0 + auction * PAUSE_S * 1000);
                self.budgets.tick(now);
                self.come(now);
                self.auction(now);
            }
        }
    }

    fn come(&mut self, now: Timestamp) {
        while let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= now.0) {
            match entry.remove() {
                Due::Bill(bid, bid_at, reserved, price) => {
                    let booking = Booking {
                        accounts: &[LINE, CAMPAIGN],
                        bid_at,
                        reserved,
                        price,
                    };
                    self.budgets.settle(bid, &booking);
                }
                Due::Happened(what, bid_at) => self.budgets.happened(LINE, what, now.since(bid_at)),
            }
        }
    }

    fn later(&mut self, at: i64, due: Due) {
        let number = self.due.len() as u64 + self.ids * 4;
        self.due.insert((at, number), due);
    }

    fn auction(&mut self, now: Timestamp) {
        let likely = 0.1 + 0.4 * self.dice.unit();
        let bid = self.bid(likely);
        let rival = Cpm((100e6 * (0.8 * self.dice.normal()).exp()) as i64);
        let reserved = bid.price.per_impression();
        let accounts = [&*self.line, &*self.campaign];
        let Ok(reservation) = self.budgets.reserve(&accounts, reserved, now) else {
            return;
        };
        self.ids += 1;
        let id = BidId::new(1, 1, self.ids);
        reservation
            .commit_noting(
                id,
                Timestamp(now.0 + 60_000),
                bid.ticket.map_or(0, Ticket::to_bits),
            )
            .expect("room");
        let won = bid.price > rival;
        if let Some((markets, ticket)) = self.shaded.as_ref().zip(bid.ticket) {
            let told = if won {
                Outcome::WonAt(rival)
            } else {
                Outcome::LostTo(rival)
            };
            markets.observe(ticket.market, ticket.bid, told);
        }
        if !won {
            self.budgets.release(id);
            return;
        }
        let price = match bid.ticket {
            Some(_) => reserved,
            None => rival.per_impression(),
        };
        self.later(now.0 + 5_000, Due::Bill(id, now, reserved, price));
        let mut day = *self.days.last().expect("a day has begun");
        day.cost += price.0 as f64;
        day.likely += likely;
        if self.dice.unit() < likely {
            day.clicks += 1.0;
            self.later(now.0 + 20_000, Due::Happened(Happened::Click, now));
            if self.dice.unit() < ORDER_RATE {
                let units = ORDER_UNITS * (0.5 + self.dice.unit());
                day.orders += 1.0;
                day.value += units * 1e9;
                let what = Happened::Conversion {
                    event: ObjectId::of("purchase"),
                    value: Nanos::from_units(units).expect("in range"),
                };
                let delay_ms = -self.dice.unit().max(1e-9).ln() * self.order_delay_ms;
                self.later(now.0 + 20_000 + delay_ms as i64, Due::Happened(what, now));
            }
        }
        *self.days.last_mut().expect("a day has begun") = day;
    }

    /// As the engine prices it, at what is predicted.
    fn bid(&mut self, likely: f64) -> Bid {
        let one = Nanos((likely * self.bias * self.click_worth) as i64);
        let value = impression_worth(one, self.line.kpi_factor_micros(), None);
        let (auction, seed) = match self.shaded {
            Some(_) => (Auction::FirstPrice, self.dice.next()),
            None => (Auction::SecondPrice, 0),
        };
        let sale = Sale {
            auction,
            floor: Cpm::ZERO,
            in_deal: false,
            guaranteed: false,
            delivered: false,
        };
        let pace = Pace::new(self.line.drive_under(&self.campaign), seed, 0);
        let shader = self.shaded.as_ref().map(|markets| Shader {
            markets,
            exchange: ObjectId(1),
            auction: 1,
            place: 1,
            seed,
        });
        let slot = Slot {
            format: 1,
            size: None,
        };
        let shade = |range| shader.as_ref()?.shade(slot, range);
        let (price, shade) = bid_price(value, &sale, &pace, shade).expect("a price");
        Bid {
            price,
            ticket: shade.map(|shade| Ticket {
                market: shade.market,
                bid: price,
            }),
        }
    }

    /// Of the days from `first` on.
    fn total(&self, first: usize) -> Day {
        self.days[first..].iter().fold(Day::default(), |sum, day| Day {
            cost: sum.cost + day.cost,
            clicks: sum.clicks + day.clicks,
            orders: sum.orders + day.orders,
            value: sum.value + day.value,
            likely: sum.likely + day.likely,
        })
    }

    fn factor(&self) -> f64 {
        self.line.kpi_view().expect("a target").factor
    }
}

fn within(target: Target, least: f64, most: f64) -> Option<Kpi> {
    Some(Kpi { target, least, most })
}

fn value_for_money(ratio: f64) -> Target {
    Target::Roas {
        event: ObjectId::of("purchase"),
        ratio,
        order_value: Nanos(60_000_000_000),
    }
}

fn purchases(cost: f64) -> Target {
    Target::Cpa {
        event: ObjectId::of("purchase"),
        cost: Nanos(cost as i64),
    }
}

#[test]
fn clicks_cost_what_they_may_whatever_the_prediction_says() {
    // In this market a click costs about 0.24 where it is bid 0.5 for.
    for (target, bias) in [(0.35e9, 1.0), (0.25e9, 1.0), (0.30e9, 2.0), (0.30e9, 0.6)] {
        let mut shop = Shop::open(within(Target::Cpc(Nanos(target as i64)), 0.2, 5.0), None);
        shop.bias = bias;
        shop.play(5);
        let late = shop.total(2);
        let off = late.cost / late.clicks / target - 1.0;
        assert!(
            off.abs() < 0.08,
            "{target} {bias}: {off:+.3} at × {}",
            shop.factor()
        );
    }
}

#[test]
fn without_a_target_nothing_is_steered() {
    let mut shop = Shop::open(None, None);
    shop.bias = 2.0;
    shop.play(1);
    assert_eq!(
        (shop.line.kpi_factor_micros(), shop.line.kpi_view()),
        (1_000_000, None)
    );
}

#[test]
fn orders_that_come_a_day_later_cost_what_they_may_and_the_first_day_is_not_taken_for_dear() {
    let mut shop = Shop::open(within(purchases(0.8e9), 0.2, 5.0), None);
    (shop.bias, shop.order_delay_ms) = (1.5, 18.0 * HOUR_MS as f64);
    shop.play(1);
    let first = shop.factor();
    assert!(
        first > 0.5,
        "half of the orders of a day come after it: × {first}"
    );
    let mut shop = Shop::open(within(purchases(0.8e9), 0.2, 5.0), None);
    (shop.bias, shop.order_delay_ms) = (1.5, 18.0 * HOUR_MS as f64);
    shop.play(10);
    let late = shop.total(5);
    let off = late.cost / late.orders / 0.8e9 - 1.0;
    assert!(off.abs() < 0.12, "{off:+.3} at × {}", shop.factor());
}

#[test]
fn what_comes_back_is_the_ratio_that_was_asked_for() {
    let mut shop = Shop::open(within(value_for_money(60.0), 0.2, 5.0), None);
    shop.bias = 2.0;
    shop.play(6);
    let late = shop.total(3);
    let off = late.value / late.cost / 60.0 - 1.0;
    assert!(off.abs() < 0.10, "{off:+.3} at × {}", shop.factor());
}

#[test]
fn a_target_that_the_bounds_cannot_reach_stops_at_them() {
    let mut shop = Shop::open(within(Target::Cpc(Nanos(50_000_000)), 0.5, 2.0), None);
    shop.play(1);
    assert_eq!(shop.factor(), 0.5);
    let mut shop = Shop::open(within(Target::Cpc(Nanos(5_000_000_000)), 0.5, 2.0), None);
    shop.play(1);
    assert_eq!(shop.factor(), 2.0);
}

#[test]
fn a_budget_that_lowers_bids_does_not_make_the_factor_rise_against_it() {
    let kpi = within(Target::Cpc(Nanos(300_000_000)), 0.2, 5.0);
    let mut shop = Shop::open(kpi, Some(30.0));
    shop.play(4);
    let late = shop.total(1);
    let spent = late.cost / 3.0 / 30e9;
    assert!(spent > 0.95 && spent <= 1.001, "{spent}");
    assert!(
        late.cost / late.clicks < 300e6 * 0.9,
        "clicks are cheap at this pace"
    );
    assert!(shop.factor() < 2.0, "× {}", shop.factor());
}

#[test]
fn what_was_learnt_of_costs_survives_a_restart() {
    let kpi = within(Target::Cpc(Nanos(150_000_000)), 0.2, 5.0);
    let mut shop = Shop::open(kpi, None);
    shop.play(1);
    let (saved, now) = (shop.budgets.checkpoint(true), hours_after(MONDAY, 24));
    let again = Budgets::new(1_000_000);
    let open = |id, kind| again.account(id, "shop", kind, &TimeZone::UTC, now);
    let (line, campaign) = (
        open(LINE, AccountKind::LineItem),
        open(CAMPAIGN, AccountKind::Campaign),
    );
    line.set_kpi(kpi, &campaign);
    again.restore(&saved, now).unwrap();
    assert!(shop.factor() < 0.9, "{}", shop.factor());
    assert_eq!(line.kpi_view(), shop.line.kpi_view());
}

/// A shop whose bids are shaded; the first days are for learning.
fn shaded(kpi: Option<Kpi>, daily: Option<f64>) -> (Shop, Day) {
    let mut shop = Shop::open(kpi, daily);
    shop.shaded = Some(Markets::new(16));
    shop.play(6);
    let late = shop.total(2);
    (shop, late)
}

#[test]
fn events_cost_what_they_may_where_bids_are_shaded_whether_or_not_there_is_a_budget_to_be_spent() {
    // The targets are met at some 190 a day: budgets that are never spent, but not out of reach.
    for daily in [None, Some(500.0), Some(700.0)] {
        for target in [
            Target::Cpc(Nanos(300_000_000)),
            purchases(1e9),
            value_for_money(60.0),
        ] {
            let (shop, late) = shaded(within(target, 0.2, 5.0), daily);
            let off = match target {
                Target::Cpc(cost) => late.cost / late.clicks / cost.0 as f64,
                Target::Cpa { cost, .. } => late.cost / late.orders / cost.0 as f64,
                Target::Roas { ratio, .. } => late.value / late.cost / ratio,
            } - 1.0;
            assert!(
                off.abs() < 0.08,
                "{target:?} {daily:?}: {off:+.3} at × {}",
                shop.factor()
            );
        }
    }
}

#[test]
fn a_target_that_is_met_goes_before_a_plan_that_is_behind() {
    let kpi = within(Target::Cpc(Nanos(300_000_000)), 0.2, 5.0);
    let (free, of_free) = shaded(kpi, None);
    let (behind, of_behind) = shaded(kpi, Some(500.0));
    let drive = behind.line.drive_under(&behind.campaign);
    assert!(drive.stretch() < 1.2, "{drive:?}");
    assert!(
        (behind.factor() / free.factor() - 1.0).abs() < 0.15,
        "× {} and × {}",
        behind.factor(),
        free.factor()
    );
    assert!(
        of_behind.likely > 0.98 * of_free.likely,
        "{} of {}",
        of_behind.likely,
        of_free.likely
    );
}

#[test]
fn a_plan_that_is_behind_stretches_values_as_far_as_clicks_are_cheaper_than_they_may_be() {
    // The factor may not rise above 1, and a click may cost nearly what it is worth.
    let (shop, late) = shaded(within(Target::Cpc(Nanos(450_000_000)), 0.2, 1.0), Some(350.0));
    let (_, plain) = shaded(within(Target::Cpc(Nanos(450_000_000)), 0.2, 1.0), None);
    assert_eq!(shop.factor(), 1.0);
    assert!(late.cost > 1.25 * plain.cost, "{} and {}", late.cost, plain.cost);
    assert!(late.cost / late.clicks < 450e6, "{}", late.cost / late.clicks);
}
