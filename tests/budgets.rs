//! Budgets against a naive ledger, under many threads, and over restarts.

use jiff::tz::TimeZone;
use outbid::pacing::{Account, AccountKind, Booking, Budgets, NotHeld, PeriodView, Scope, Settled};
use outbid::units::{AccountId, BidId, Limits, Nanos, Timestamp};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// 2026-03-01T00:00:00Z.
const START_MS: i64 = 1_772_323_200_000;
const HOUR_MS: i64 = Timestamp::MS_PER_HOUR;
const NAMES: [&str; 3] = ["campaign", "first", "second"];

fn at(ms: i64) -> Timestamp {
    Timestamp(START_MS + ms)
}

fn bid(n: u64) -> BidId {
    BidId::new(1, 1, n)
}

fn account_id(n: usize) -> AccountId {
    if n == 0 {
        AccountId::campaign(NAMES[0])
    } else {
        AccountId::line_item(NAMES[n])
    }
}

fn open(budgets: &Budgets, now: Timestamp) -> Vec<Arc<Account>> {
    let kind = |n| {
        if n == 0 {
            AccountKind::Campaign
        } else {
            AccountKind::LineItem
        }
    };
    (0..3)
        .map(|n| budgets.account(account_id(n), NAMES[n], kind(n), &TimeZone::UTC, now))
        .collect()
}

/// One campaign with one line item without limits of its own.
fn campaign(budgets: &Budgets, limits: Limits) -> Vec<Arc<Account>> {
    let accounts = open(budgets, at(0));
    accounts[0].set_limits(limits, at(0));
    accounts
}

fn daily(nanos: i64) -> Limits {
    Limits {
        daily: Some(Nanos(nanos)),
        ..Limits::default()
    }
}

fn hold(budgets: &Budgets, accounts: &[Arc<Account>], n: u64, amount: i64, now: Timestamp) -> bool {
    let reserved = budgets.reserve(&[&accounts[1], &accounts[0]], Nanos(amount), now);
    reserved.is_ok_and(|reservation| reservation.commit(bid(n), at(100 * HOUR_MS)).is_ok())
}

fn settle(budgets: &Budgets, n: u64, bid_at: Timestamp, price: i64) -> (i64, i64, i64) {
    let accounts = [account_id(1), account_id(0)];
    let booking = Booking {
        accounts: &accounts,
        bid_at,
        reserved: Nanos(0),
        price: Nanos(price),
    };
    let Settled { on_time, late, debt } = budgets.settle(bid(n), &booking);
    (on_time.0, late.0, debt.0)
}

/// The ledger that anybody would write: sums over everything, nothing concurrent, nothing prepared.
mod ledger {
    use super::*;

    #[derive(Clone, Debug, Default)]
    pub struct Column {
        pub limit: Option<i64>,
        pub spent: i64,
        pub reserved: i64,
        pub late: i64,
        pub carried: i64,
        pub lacked: i64,
        pub carried_out: i64,
    }

    impl Column {
        pub fn committed(&self) -> i64 {
            self.spent + self.reserved + self.late + self.carried
        }

        pub fn free(&self) -> i64 {
            self.limit
                .map_or(i64::MAX, |limit| limit)
                .saturating_sub(self.committed())
                .max(0)
        }

        fn fits(&self, amount: i64) -> bool {
            self.limit.is_none_or(|limit| self.committed() + amount <= limit)
        }

        pub fn debt(&self) -> i64 {
            self.limit
                .map_or(0, |limit| self.lacked.min(self.committed() - limit).max(0))
        }

        fn lack(&mut self, amount: i64) -> i64 {
            let lacked = (amount - self.free()).max(0);
            self.lacked += lacked;
            lacked
        }

        pub fn book_late(&mut self, amount: i64) -> i64 {
            let lacked = self.lack(amount);
            self.late += amount;
            lacked
        }

        fn carry(&mut self, amount: i64) {
            self.lack(amount);
            self.carried += amount;
        }
    }

    /// Hours, days or the lifetime of one account: columns by number, of which `current` − 1 ..= `current` + 1 are open.
    #[derive(Clone, Debug)]
    pub struct Book {
        pub length_ms: i64,
        pub current: i64,
        pub limit: Option<i64>,
        pub columns: BTreeMap<i64, Column>,
    }

    impl Book {
        pub fn new(length_ms: i64) -> Book {
            let mut book = Book {
                length_ms,
                current: 0,
                limit: None,
                columns: BTreeMap::new(),
            };
            book.current = book.number(at(0));
            book
        }

        fn number(&self, at: Timestamp) -> i64 {
            at.0.div_euclid(self.length_ms)
        }

        fn column(&mut self, number: i64) -> &mut Column {
            let fresh = Column {
                limit: self.limit,
                ..Column::default()
            };
            self.columns.entry(number).or_insert(fresh)
        }

        pub fn at(&mut self, at: Timestamp) -> Option<&mut Column> {
            let number = self.number(at);
            ((number - self.current).abs() <= 1).then(|| self.column(number))
        }

        pub fn shown(&mut self, now: Timestamp) -> Column {
            let current = self.current;
            match self.at(now) {
                Some(column) => column.clone(),
                None => self.column(current).clone(),
            }
        }

        pub fn set_limit(&mut self, limit: Option<i64>) {
            // The previous period keeps the limit it had.
            self.column(self.current - 1);
            self.limit = limit;
            for number in [self.current, self.current + 1] {
                self.column(number).limit = limit;
            }
        }

        pub fn tick(&mut self, now: Timestamp) {
            self.open_around(self.current);
            self.carry(self.current - 1, self.current);
            let target = self.number(now);
            if target > self.current {
                self.carry(self.current, self.current + 1);
                if target > self.current + 1 {
                    self.carry(self.current + 1, target);
                }
                self.current = target;
                self.open_around(target);
            }
        }

        /// Periods are open under the limits of the time when they were prepared.
        fn open_around(&mut self, number: i64) {
            for number in number - 1..=number + 1 {
                self.column(number);
            }
        }

        fn carry(&mut self, from: i64, to: i64) {
            let from = self.column(from);
            let due = from.debt() - from.carried_out;
            if due > 0 {
                from.carried_out += due;
                self.column(to).carry(due);
            }
        }
    }

    #[derive(Clone, Debug)]
    pub struct Held {
        pub item: usize,
        pub amount: i64,
        pub at: Timestamp,
        pub until: Timestamp,
    }

    #[derive(Clone, Debug)]
    pub struct Ledger {
        /// Hour, day, lifetime of each account.
        pub books: Vec<[Book; 3]>,
        pub held: HashMap<u64, Held>,
    }

    impl Ledger {
        pub fn new() -> Ledger {
            let books = || [Book::new(HOUR_MS), Book::new(24 * HOUR_MS), Book::new(i64::MAX)];
            Ledger {
                books: vec![books(), books(), books()],
                held: HashMap::new(),
            }
        }

        fn of(&mut self, item: usize) -> impl Iterator<Item = &mut Book> {
            let (campaign, items) = self.books.split_at_mut(1);
            items[item - 1].iter_mut().chain(&mut campaign[0])
        }

        /// spent + reserved + amount ≤ limit, on every limit.
        pub fn reserve(&mut self, item: usize, amount: i64, now: Timestamp) -> bool {
            let fits = self
                .of(item)
                .all(|book| book.at(now).is_some_and(|c| c.fits(amount)));
            if fits {
                self.of(item)
                    .for_each(|book| book.at(now).unwrap().reserved += amount);
            }
            fits
        }

        pub fn give_back(&mut self, held: &Held) {
            self.of(held.item)
                .filter_map(|book| book.at(held.at))
                .for_each(|c| c.reserved -= held.amount);
        }

        pub fn settle(&mut self, n: u64, item: usize, bid_at: Timestamp, price: i64) -> (i64, i64, i64) {
            let held = self.held.remove(&n);
            let on_time = held.as_ref().map_or(0, |held| held.amount.min(price));
            if let Some(held) = &held {
                self.give_back(held);
                self.of(item)
                    .filter_map(|book| book.at(held.at))
                    .for_each(|c| c.spent += on_time);
            }
            let late = price - on_time;
            let columns = self.of(item).filter_map(|book| book.at(bid_at));
            let debt = columns.map(|c| c.book_late(late)).max().unwrap();
            (on_time, late, debt)
        }

        pub fn tick(&mut self, now: Timestamp) -> (usize, i64) {
            self.books.iter_mut().flatten().for_each(|book| book.tick(now));
            let over: Vec<u64> = self
                .held
                .iter()
                .filter(|(_, h)| h.until <= now)
                .map(|(&n, _)| n)
                .collect();
            let held: Vec<Held> = over.iter().filter_map(|n| self.held.remove(n)).collect();
            held.iter().for_each(|held| self.give_back(held));
            (held.len(), held.iter().map(|held| held.amount).sum())
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Bid {
        item: usize,
        amount: i64,
        commit: bool,
        hold_ms: i64,
    },
    Win {
        n: u64,
        hold_ms: i64,
    },
    Release {
        n: u64,
    },
    Settle {
        n: u64,
        price: i64,
    },
    Limit {
        account: usize,
        limits: [Option<i64>; 3],
    },
    Wait {
        ms: i64,
    },
    Tick,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let limit = || prop_oneof![1 => Just(None), 4 => (0i64..400).prop_map(Some)];
    let hold = || prop_oneof![0i64..20_000, 0..3 * HOUR_MS];
    let wait = prop_oneof![6 => 0i64..30_000, 2 => 0..2 * HOUR_MS, 1 => 0..60 * HOUR_MS];
    prop_oneof![
        10 => (1usize..3, 0i64..60, prop::bool::weighted(0.9), hold())
            .prop_map(|(item, amount, commit, hold_ms)| Step::Bid { item, amount, commit, hold_ms }),
        2 => (0u64..60, hold()).prop_map(|(n, hold_ms)| Step::Win { n, hold_ms }),
        3 => (0u64..60).prop_map(|n| Step::Release { n }),
        5 => (0u64..60, 0i64..90).prop_map(|(n, price)| Step::Settle { n, price }),
        2 => (0usize..3, [limit(), limit(), limit()]).prop_map(|(account, limits)| Step::Limit { account, limits }),
        4 => wait.prop_map(|ms| Step::Wait { ms }),
        3 => Just(Step::Tick),
        1 => Just(Step::Restart),
    ]
}

fn assert_same(shown: &PeriodView, expected: &ledger::Column, what: &str) {
    let seen = [
        shown.spent,
        shown.reserved,
        shown.late,
        shown.carried,
        shown.debt,
        shown.free,
    ]
    .map(|n| n.0);
    let e = expected;
    let free = e.limit.map_or(seen[5], |_| e.free());
    assert_eq!(shown.limit.map(|n| n.0), e.limit, "{what}");
    assert_eq!(
        seen,
        [e.spent, e.reserved, e.late, e.carried, e.debt(), free],
        "{what}"
    );
}

fn check(steps: Vec<Step>) {
    let mut budgets = Budgets::new(1000);
    let mut accounts = open(&budgets, at(0));
    let mut ledger = ledger::Ledger::new();
    let mut made: Vec<(usize, Timestamp)> = Vec::new();
    let mut booked = [0; 3];
    let mut now = at(0);
    for step in steps {
        match step {
            Step::Bid {
                item,
                amount,
                commit,
                hold_ms,
            } => {
                let granted = ledger.reserve(item, amount, now);
                let held = ledger::Held {
                    item,
                    amount,
                    at: now,
                    until: Timestamp(now.0 + hold_ms),
                };
                let reserved = budgets.reserve(&[&accounts[item], &accounts[0]], Nanos(amount), now);
                assert_eq!(reserved.is_ok(), granted, "{:?}", reserved.err());
                match reserved {
                    Ok(reservation) if commit => {
                        reservation.commit(bid(made.len() as u64), held.until).unwrap();
                        ledger.held.insert(made.len() as u64, held);
                        made.push((item, now));
                    }
                    Ok(reservation) => {
                        drop(reservation);
                        ledger.give_back(&held);
                    }
                    Err(_) => {}
                }
            }
            Step::Win { n, hold_ms } => {
                let until = Timestamp(now.0 + hold_ms);
                let known = ledger.held.get_mut(&n).map(|held| held.until = until).is_some();
                assert_eq!(budgets.win(bid(n), until), known);
            }
            Step::Release { n } => {
                let held = ledger.held.remove(&n);
                assert_eq!(
                    budgets.release(bid(n)).map(|n| n.0),
                    held.as_ref().map(|held| held.amount)
                );
                held.iter().for_each(|held| ledger.give_back(held));
            }
            Step::Settle { n, price } => {
                // A bid that was never made is booked all the same.
                let (item, bid_at) = made.get(n as usize).copied().unwrap_or((1, now));
                let ids = [account_id(item), account_id(0)];
                let booking = Booking {
                    accounts: &ids,
                    bid_at,
                    reserved: Nanos(0),
                    price: Nanos(price),
                };
                let Settled { on_time, late, debt } = budgets.settle(bid(n), &booking);
                assert_eq!((on_time.0, late.0, debt.0), ledger.settle(n, item, bid_at, price));
                booked[item] += price;
                booked[0] += price;
            }
            Step::Limit { account, limits } => {
                let [hourly, daily, lifetime] = limits.map(|limit| limit.map(Nanos));
                accounts[account].set_limits(
                    Limits {
                        hourly,
                        daily,
                        lifetime,
                    },
                    now,
                );
                for (book, limit) in ledger.books[account].iter_mut().zip(limits) {
                    book.tick(now);
                    book.set_limit(limit);
                }
            }
            Step::Wait { ms } => now = Timestamp(now.0 + ms),
            Step::Tick => {
                let expired = budgets.tick(now);
                assert_eq!((expired.count, expired.amount.0), ledger.tick(now));
            }
            Step::Restart => {
                budgets.tick(now);
                ledger.tick(now);
                let next = Budgets::new(1000);
                let restored = next.restore(&budgets.checkpoint(true), now).unwrap();
                assert_eq!((restored.holds, restored.holds_dropped), (ledger.held.len(), 0));
                accounts = open(&next, now);
                budgets = next;
            }
        }
        for (n, view) in budgets.views(now).iter().enumerate() {
            let [hour, day, lifetime] = &mut ledger.books[n];
            assert_same(&view.hour, &hour.shown(now), &format!("{} hour", view.name));
            assert_same(&view.day, &day.shown(now), &format!("{} day", view.name));
            assert_same(
                &view.lifetime,
                &lifetime.shown(now),
                &format!("{} lifetime", view.name),
            );
            assert_eq!(
                view.lifetime.spent.0 + view.lifetime.late.0,
                booked[n],
                "all that was billed is booked"
            );
        }
        assert_eq!(budgets.holds_open(), ledger.held.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_number_equals_that_of_a_naive_ledger(steps in prop::collection::vec(step(), 1..120)) {
        check(steps);
    }

    #[test]
    fn damaged_checkpoints_are_refused_and_change_nothing(cut in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>()) {
        let budgets = Budgets::new(10);
        let accounts = campaign(&budgets, daily(100));
        assert!(hold(&budgets, &accounts, 1, 30, at(0)));
        settle(&budgets, 2, at(0), 20);
        let mut bytes = budgets.checkpoint(true);
        let fresh = Budgets::new(10);
        prop_assert!(fresh.restore(&bytes[..cut.index(bytes.len())], at(0)).is_err());
        prop_assert!(fresh.views(at(0)).is_empty());
        let place = flip.index(bytes.len());
        bytes[place] ^= 0x80;
        let _ = fresh.restore(&bytes, at(0));
    }
}

#[test]
fn a_reservation_that_is_dropped_gives_itself_back() {
    let budgets = Budgets::new(10);
    let accounts = campaign(&budgets, daily(100));
    let taken = budgets
        .reserve(&[&accounts[1], &accounts[0]], Nanos(60), at(0))
        .unwrap();
    let refused = budgets
        .reserve(&[&accounts[1], &accounts[0]], Nanos(60), at(0))
        .err()
        .unwrap();
    assert_eq!((refused.account, refused.scope), (1, Scope::Day));
    drop(taken);
    assert!(accounts[0].has_free(Nanos(100), at(0)));
}

#[test]
fn a_full_hold_table_refuses_and_a_bid_id_is_held_once() {
    let budgets = Budgets::new(2);
    let accounts = campaign(&budgets, daily(100));
    let commit = |n| {
        let reservation = budgets
            .reserve(&[&accounts[1], &accounts[0]], Nanos(10), at(0))
            .unwrap();
        reservation.commit(bid(n), at(1))
    };
    let results = [commit(1), commit(1), commit(2), commit(3)];
    assert_eq!(results, [Ok(()), Err(NotHeld::Known), Ok(()), Err(NotHeld::Full)]);
    assert_eq!(
        budgets.views(at(0))[0].day.reserved,
        Nanos(20),
        "what is not held is free"
    );
}

#[test]
fn a_lowered_limit_leaves_nothing_free_and_takes_nothing_away() {
    let budgets = Budgets::new(10);
    let accounts = campaign(&budgets, daily(100));
    assert!(hold(&budgets, &accounts, 1, 80, at(0)));
    accounts[0].set_limits(daily(50), at(0));
    assert!(!hold(&budgets, &accounts, 2, 1, at(0)));
    assert_eq!(settle(&budgets, 1, at(0), 80), (80, 0, 0));
    let day = budgets.views(at(0))[0].day;
    assert_eq!(
        (day.free, day.debt),
        (Nanos(0), Nanos(0)),
        "the limit fell, the bookings were on time"
    );
}

#[test]
fn a_settlement_above_its_hold_is_late_and_debt_stops_the_campaign_until_it_is_covered() {
    let budgets = Budgets::new(10);
    let accounts = campaign(&budgets, daily(100));
    assert!(hold(&budgets, &accounts, 1, 60, at(0)));
    assert!(hold(&budgets, &accounts, 2, 40, at(0)));
    assert_eq!(settle(&budgets, 1, at(0), 75), (60, 15, 15));
    assert!(!accounts[0].has_free(Nanos(0), at(0)));
    budgets.release(bid(2));
    let day = budgets.views(at(0))[0].day;
    assert_eq!(
        (day.free, day.debt),
        (Nanos(25), Nanos(0)),
        "money that came free covers it"
    );
}

#[test]
fn debt_reduces_the_next_day() {
    let budgets = Budgets::new(10);
    let accounts = campaign(&budgets, daily(100));
    assert_eq!(settle(&budgets, 1, at(0), 250), (0, 250, 150));
    for (day, free, debt) in [(0, 0, 150), (1, 0, 50), (2, 50, 0), (3, 100, 0)] {
        let now = at(day * 24 * HOUR_MS);
        budgets.tick(now);
        let view = budgets.views(now)[0].day;
        assert_eq!((view.free, view.debt), (Nanos(free), Nanos(debt)), "day {day}");
        assert_eq!(accounts[0].has_free(Nanos(50), now), free >= 50);
    }
}

#[test]
fn spend_belongs_to_the_day_of_the_bid() {
    let budgets = Budgets::new(10);
    let accounts = campaign(&budgets, daily(100));
    let (evening, morning) = (at(24 * HOUR_MS - 1), at(24 * HOUR_MS));
    budgets.tick(evening);
    assert!(hold(&budgets, &accounts, 1, 30, evening));
    budgets.tick(morning);
    assert_eq!(settle(&budgets, 1, evening, 20), (20, 0, 0));
    assert_eq!(
        settle(&budgets, 2, evening, 10),
        (0, 10, 0),
        "yesterday had money left"
    );
    let views = [evening, morning].map(|now| budgets.views(now)[0].day);
    assert_eq!(
        views.map(|day| (day.spent.0, day.late.0, day.free.0)),
        [(20, 10, 70), (0, 0, 100)]
    );
    assert_eq!(
        settle(&budgets, 3, at(-24 * HOUR_MS), 5),
        (0, 5, 0),
        "too old for a day: lifetime alone"
    );
    assert_eq!(budgets.views(morning)[0].lifetime.late, Nanos(15));
}

#[test]
fn nobody_reserves_in_a_period_that_nobody_prepared() {
    let budgets = Budgets::new(10);
    let accounts = campaign(&budgets, daily(100));
    let later = at(50 * HOUR_MS);
    assert!(!hold(&budgets, &accounts, 1, 1, later));
    budgets.tick(later);
    assert!(hold(&budgets, &accounts, 1, 1, later));
}

#[test]
fn a_hold_frees_its_money_once_whoever_comes_first() {
    let budgets = Budgets::new(10);
    let accounts = campaign(&budgets, daily(100));
    assert!(hold(&budgets, &accounts, 1, 60, at(0)));
    assert_eq!(budgets.tick(at(100 * HOUR_MS)).amount, Nanos(60));
    assert_eq!(budgets.release(bid(1)), None);
    assert!(!budgets.win(bid(1), at(200 * HOUR_MS)));
    assert_eq!(
        settle(&budgets, 1, at(100 * HOUR_MS), 60),
        (0, 60, 0),
        "after its hold: late, in full"
    );
    assert_eq!(
        settle(&budgets, 1, at(100 * HOUR_MS), 60),
        (0, 60, 20),
        "a second one is not lost"
    );
}

#[test]
fn books_that_are_read_again_know_what_was_held() {
    let budgets = Budgets::new(10);
    campaign(&budgets, daily(100));
    let ids = [account_id(1), account_id(0)];
    let booking = Booking {
        accounts: &ids,
        bid_at: at(0),
        reserved: Nanos(30),
        price: Nanos(35),
    };
    let again = |n, was_held| budgets.settle_again(bid(n), &booking, was_held);
    assert_eq!(
        again(1, true),
        Settled {
            on_time: Nanos(30),
            late: Nanos(5),
            debt: Nanos(0)
        }
    );
    assert_eq!(
        again(2, false),
        Settled {
            on_time: Nanos(0),
            late: Nanos(35),
            debt: Nanos(0)
        }
    );
    let day = budgets.views(at(0))[0].day;
    assert_eq!(
        (day.spent, day.late, day.reserved),
        (Nanos(30), Nanos(40), Nanos(0))
    );
}

#[test]
fn a_reload_refills_nothing_and_a_booking_of_an_unknown_account_is_kept_for_it() {
    let budgets = Budgets::new(10);
    settle(&budgets, 1, at(0), 40);
    let accounts = campaign(&budgets, daily(100));
    assert!(!hold(&budgets, &accounts, 2, 61, at(0)));
    let again = campaign(&budgets, daily(100));
    assert!(Arc::ptr_eq(&accounts[0], &again[0]));
    assert!(!hold(&budgets, &again, 2, 61, at(0)));
    assert!(hold(&budgets, &again, 2, 60, at(0)));
}

#[test]
fn a_restart_over_midnight_carries_the_debt() {
    let budgets = Budgets::new(10);
    campaign(&budgets, daily(100));
    settle(&budgets, 1, at(0), 130);
    let bytes = budgets.checkpoint(false);
    for (days, carried) in [(0, 0), (1, 30), (5, 30)] {
        let now = at(days * 24 * HOUR_MS);
        let next = Budgets::new(10);
        next.restore(&bytes, now).unwrap();
        next.tick(now);
        let view = next
            .views(now)
            .into_iter()
            .find(|view| view.id == account_id(0))
            .unwrap();
        assert_eq!(view.day.carried, Nanos(carried), "{days} days later");
        assert_eq!(view.lifetime.late, Nanos(130));
    }
}

/// Threads bid, win, lose and pay while the clock runs over many hours: no hour grants more than its limit.
#[test]
fn threads_that_fight_for_one_budget_never_overspend_it() {
    const HOURS: usize = 40;
    const HOURLY: i64 = 5_000;
    let budgets = Budgets::new(4096);
    let limits = Limits {
        hourly: Some(Nanos(HOURLY)),
        daily: Some(Nanos(60_000)),
        lifetime: Some(Nanos(90_000)),
    };
    let accounts = campaign(&budgets, limits);
    let clock = AtomicI64::new(0);
    let next = AtomicU64::new(0);
    let running = AtomicBool::new(true);
    let granted: Vec<AtomicI64> = (0..HOURS + 1).map(|_| AtomicI64::new(0)).collect();
    let (paid, refused) = (AtomicI64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (budgets, accounts, clock, next) = (&budgets, &accounts, &clock, &next);
            let (running, granted, paid, refused) = (&running, &granted, &paid, &refused);
            scope.spawn(move || {
                while running.load(Ordering::Relaxed) {
                    let now = clock.load(Ordering::Relaxed);
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let amount = 1 + (n * 7 + thread) as i64 % 13;
                    if !hold(budgets, accounts, n, amount, at(now)) {
                        refused.fetch_add(1, Ordering::Relaxed);
                    } else if n % 3 == 0 {
                        budgets.release(bid(n)).unwrap();
                    } else {
                        let (on_time, late, _) = settle(budgets, n, at(now), amount);
                        assert_eq!((on_time, late), (amount, 0));
                        paid.fetch_add(amount, Ordering::Relaxed);
                        granted[(now / HOUR_MS) as usize].fetch_add(amount, Ordering::Relaxed);
                    }
                }
            });
        }
        // The clock stands in each hour until that hour refuses (or the day, or all), then goes on.
        for hour in 1..HOURS as i64 {
            let before = refused.load(Ordering::Relaxed);
            while refused.load(Ordering::Relaxed) < before + 50 {
                budgets.tick(at(clock.load(Ordering::Relaxed)));
                std::thread::yield_now();
            }
            clock.store(hour * HOUR_MS, Ordering::Relaxed);
        }
        running.store(false, Ordering::Relaxed);
    });
    let hours: Vec<i64> = granted.iter().map(|hour| hour.load(Ordering::Relaxed)).collect();
    assert!(hours.iter().all(|&hour| hour <= HOURLY), "{hours:?}");
    assert!(
        hours[..24].iter().sum::<i64>() <= 60_000 && hours.iter().sum::<i64>() <= 90_000,
        "{hours:?}"
    );
    assert!(
        hours.iter().sum::<i64>() > 85_000,
        "the money is nearly all spent: {hours:?}"
    );
    let lifetime = budgets.views(at(0))[0].lifetime;
    assert_eq!(
        (lifetime.spent.0, lifetime.reserved.0),
        (paid.load(Ordering::Relaxed), 0)
    );
    assert_eq!(budgets.holds_open(), 0);
}
