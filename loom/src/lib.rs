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
    leased(limit, UNLIMITED)
}

fn leased(limit: i64, granted: i64) -> Arc<Counter> {
    Arc::new(Counter::new(limit, granted))
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
        let limits = Arc::new((Counter::new(10, UNLIMITED), Counter::new(5, UNLIMITED)));
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

/// The lease thread makes a lease smaller while two workers take: what it is told covers all that they got.
#[test]
fn a_lease_made_smaller_covers_whatever_was_taken_and_whatever_still_is() {
    loom::model(|| {
        let budget = leased(100, 10);
        let takers = [4, 5].map(|amount| spawn(&budget, move |budget| budget.try_take(amount)));
        let recorded = budget.lower(5);
        let taken: i64 = [4, 5]
            .into_iter()
            .zip(takers)
            .filter_map(|(amount, taker)| taker.join().unwrap().then_some(amount))
            .sum();
        let end = budget.read();
        assert_eq!(end.reserved, taken);
        assert!(taken <= recorded, "{taken} of {recorded}");
    });
}

#[test]
fn a_lease_made_larger_is_taken_up_and_never_exceeded() {
    loom::model(|| {
        let budget = leased(100, 0);
        let takers = [4, 5].map(|amount| spawn(&budget, move |budget| budget.try_take(amount)));
        budget.raise(6);
        let taken: Vec<bool> = takers.into_iter().map(|taker| taker.join().unwrap()).collect();
        assert!(taken != [true, true]);
        assert!(budget.read().reserved <= 6);
        assert!(taken.contains(&true) || budget.try_take(6));
    });
}

/// A limit comes while a worker takes without one: the take is known to whoever brought the limit, or it is taken back.
#[test]
fn a_limit_that_comes_counts_what_was_taken_without_one() {
    loom::model(|| {
        let budget = leased(UNLIMITED, 0);
        let taker = spawn(&budget, |budget| budget.try_take(7));
        budget.set_limit(10);
        let known = budget.committed();
        let taken = taker.join().unwrap();
        assert_eq!(budget.read().reserved, if taken { 7 } else { 0 });
        assert!(!taken || known == 7, "{known}");
    });
}

#[test]
fn a_quarantine_is_adopted_or_freed_and_never_both() {
    loom::model(|| {
        let budget = leased(10, 10);
        budget.quarantine(8);
        let taker = spawn(&budget, |budget| budget.try_take(4));
        assert!(budget.can_adopt(5));
        budget.adopt(5);
        let freed = budget.end_quarantine();
        let taken = if taker.join().unwrap() { 4 } else { 0 };
        let end = budget.read();
        assert_eq!(freed, 3);
        assert_eq!(
            (end.reserved, end.quarantined, end.free),
            (5 + taken, 0, 5 - taken)
        );
    });
}

#[test]
fn a_lease_goes_down_with_the_quarantine_that_it_was_for() {
    loom::model(|| {
        let budget = leased(100, 10);
        budget.quarantine(8);
        let taker = spawn(&budget, |budget| [budget.try_take(2), budget.try_take(2)]);
        assert_eq!(budget.end_quarantine(), 8);
        let taken = taker.join().unwrap();
        let end = budget.read();
        // The two that were free before and no more; none where the lease is down already and the quarantine not yet.
        let taken: i64 = taken.into_iter().map(|taken| if taken { 2 } else { 0 }).sum();
        assert!(taken <= 2, "{taken}");
        assert_eq!((end.granted, end.reserved, end.quarantined), (2, taken, 0));
    });
}
