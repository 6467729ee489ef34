//! The kernel of the budgets, compiled on loom's atomics: each test runs under every interleaving of its threads.
//! No limit is ever exceeded by what was granted, and no money appears or disappears.
#![cfg(test)]

mod atomic {
    pub use loom::sync::atomic::{AtomicI64, Ordering};
}

#[path = "../../src/pacing/kernel.rs"]
#[allow(dead_code)]
mod kernel;

use kernel::{Column, Counter, UNLIMITED};
use loom::sync::Arc;
use loom::thread::{self, JoinHandle};

fn counter(limit: i64) -> Arc<Counter> {
    Arc::new(Counter::new(limit))
}

fn spawn<T: 'static>(counter: &Arc<Counter>, act: impl FnOnce(&Counter) -> T + 'static) -> JoinHandle<T> {
    let counter = counter.clone();
    thread::spawn(move || act(&counter))
}

/// The limit holds at any moment, seen from any thread.
fn check_within_limit(counter: &Counter) {
    let now = counter.read();
    assert!(
        now.spent + now.reserved + now.late + now.carried <= now.limit,
        "{now:?}"
    );
}

#[test]
fn two_reservers_never_share_the_last_money() {
    loom::model(|| {
        let budget = counter(10);
        let threads = [6, 7].map(|amount| spawn(&budget, move |budget| budget.try_take(amount)));
        check_within_limit(&budget);
        let granted = threads.map(|thread| thread.join().unwrap());
        assert_eq!(granted.iter().filter(|&&granted| granted).count(), 1);
        assert_eq!(budget.read().reserved, if granted[0] { 6 } else { 7 });
    });
}

#[test]
fn two_reservers_and_a_settler_keep_the_limit_and_lose_nothing() {
    loom::model(|| {
        let budget = counter(10);
        assert!(budget.try_take(6));
        let reservers = [4, 5].map(|amount| spawn(&budget, move |budget| budget.try_take(amount)));
        budget.settle(6, 2);
        check_within_limit(&budget);
        let reserved: i64 = [4, 5]
            .into_iter()
            .zip(reservers)
            .filter_map(|(amount, thread)| thread.join().unwrap().then_some(amount))
            .sum();
        let end = budget.read();
        assert_eq!((end.spent, end.reserved, end.free), (2, reserved, 8 - reserved));
    });
}

#[test]
fn a_reservation_over_two_limits_is_given_back_where_the_second_refuses() {
    loom::model(|| {
        let limits = Arc::new((Counter::new(10), Counter::new(5)));
        let threads = [4, 3].map(|amount| {
            let limits = limits.clone();
            thread::spawn(move || {
                let (day, hour) = &*limits;
                let first = day.try_take(amount);
                if first && !hour.try_take(amount) {
                    day.give_back(amount);
                    return 0;
                }
                if first { amount } else { 0 }
            })
        });
        let granted: i64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert!(granted == 4 || granted == 3);
        assert_eq!(
            (limits.0.read().reserved, limits.1.read().reserved),
            (granted, granted)
        );
    });
}

#[test]
fn a_late_booking_is_counted_in_full_and_its_debt_is_what_the_limit_lacks() {
    loom::model(|| {
        let budget = counter(10);
        let reserver = spawn(&budget, |budget| budget.try_take(6));
        let refunder = spawn(&budget, |budget| {
            budget.try_take(3).then(|| budget.give_back(3));
        });
        let debt = budget.charge(8, Column::Late);
        let granted = reserver.join().unwrap();
        refunder.join().unwrap();
        let end = budget.read();
        assert_eq!((end.late, end.reserved), (8, if granted { 6 } else { 0 }));
        assert!(end.debt <= debt && debt <= 7, "{debt} {end:?}");
        assert_eq!(end.debt, if granted { 4 } else { 0 });
    });
}

#[test]
fn a_reader_never_sees_a_booking_whose_money_is_not_committed() {
    loom::model(|| {
        let budget = counter(UNLIMITED);
        let writer = spawn(&budget, |budget| {
            budget.try_take(5);
            budget.charge(3, Column::Late);
            budget.settle(5, 4);
        });
        let seen = budget.read();
        let committed = seen.limit - seen.free;
        assert!(seen.spent + seen.late <= committed, "{seen:?}");
        writer.join().unwrap();
        let end = budget.read();
        assert_eq!((end.spent, end.late, end.reserved), (4, 3, 0));
    });
}
