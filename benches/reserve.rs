//! What money and caps cost a bid: a reservation over six limits with its hold, with and without a second thread,
//! beside the same ledger under one mutex; and a look at the caps of a user among a million.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::tz::TimeZone;
use outbid::caps::{CapLevel, CapObject, CapRule, Caps};
use outbid::pacing::{Account, AccountKind, Booking, Budgets};
use outbid::units::{AccountId, BidId, Limits, Nanos, ObjectId, Timestamp, UserKey};
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const NOW: Timestamp = Timestamp(1_772_323_200_000);
const AMOUNT: Nanos = Nanos(2_000_000);
/// Bids made before they are settled.
const CHUNK: u64 = 256;
const BIDS_PER_THREAD: u64 = 1 << 40;
const USERS: u64 = 1_000_000;

fn limits() -> Limits {
    let limit = Some(Nanos(i64::MAX / 4));
    Limits {
        hourly: limit,
        daily: limit,
        lifetime: limit,
    }
}

fn account_ids() -> [AccountId; 2] {
    [AccountId::line_item("bench"), AccountId::campaign("bench")]
}

struct LockFree {
    budgets: Budgets,
    accounts: [Arc<Account>; 2],
}

impl LockFree {
    fn new() -> LockFree {
        let budgets = Budgets::new(1 << 16);
        let kinds = [AccountKind::LineItem, AccountKind::Campaign];
        let accounts =
            [0, 1].map(|n| budgets.account(account_ids()[n], "bench", kinds[n], &TimeZone::UTC, NOW));
        accounts
            .iter()
            .for_each(|account| account.set_limits(limits(), NOW));
        LockFree { budgets, accounts }
    }

    fn reserve_and_drop(&self) {
        let [item, campaign] = &self.accounts;
        let reservation = self.budgets.reserve(&[item, campaign], AMOUNT, NOW);
        drop(black_box(reservation.expect("limits are not reached")));
    }

    fn bid(&self, n: u64) {
        let [item, campaign] = &self.accounts;
        let reservation = self
            .budgets
            .reserve(&[item, campaign], AMOUNT, NOW)
            .expect("limits are not reached");
        reservation
            .commit(BidId::new(1, 1, n), Timestamp(NOW.0 + 60_000))
            .expect("the table has room");
    }

    fn settle(&self, n: u64) {
        let ids = account_ids();
        let booking = Booking {
            accounts: &ids,
            bid_at: NOW,
            reserved: AMOUNT,
            price: AMOUNT,
        };
        black_box(self.budgets.settle(BidId::new(1, 1, n), &booking));
    }
}

/// The naive rival: the same six limits and the holds in plain integers, everything behind one lock.
#[derive(Default)]
struct Locked(Mutex<Plain>);

#[derive(Default)]
struct Plain {
    /// Committed and spent, hour, day and lifetime of line item and campaign.
    columns: [(i64, i64); 6],
    held: HashMap<BidId, i64>,
}

impl Locked {
    fn bid(&self, n: u64) {
        let mut plain = self.0.lock().expect("no panic inside");
        let limit = i64::MAX / 4;
        assert!(
            plain
                .columns
                .iter()
                .all(|&(committed, _)| committed + AMOUNT.0 <= limit)
        );
        plain
            .columns
            .iter_mut()
            .for_each(|(committed, _)| *committed += AMOUNT.0);
        plain.held.insert(BidId::new(1, 1, n), AMOUNT.0);
    }

    fn settle(&self, n: u64) {
        let mut plain = self.0.lock().expect("no panic inside");
        let held = plain.held.remove(&BidId::new(1, 1, n)).expect("bid before");
        plain.columns.iter_mut().for_each(|(committed, spent)| {
            *committed += AMOUNT.0 - held;
            *spent += AMOUNT.0;
        });
    }
}

/// Adds up what `act` says it took for `bids` bids in chunks, while `rivals` other threads do the same without a pause.
/// `act` gets the number of the first bid of a chunk; numbers differ per thread.
fn beside(rivals: u64, bids: u64, act: impl Fn(u64) -> Duration + Sync) -> Duration {
    let running = AtomicBool::new(true);
    std::thread::scope(|scope| {
        for rival in 1..=rivals {
            let (running, act) = (&running, &act);
            scope.spawn(move || {
                let mut first = rival * BIDS_PER_THREAD;
                while running.load(Ordering::Relaxed) {
                    act(first);
                    first += CHUNK;
                }
            });
        }
        let chunks = bids.div_ceil(CHUNK);
        let took: Duration = (0..chunks).map(|chunk| act(chunk * CHUNK)).sum();
        running.store(false, Ordering::Relaxed);
        took.mul_f64(bids as f64 / (chunks * CHUNK) as f64)
    })
}

/// How long `act` takes for each bid of the chunk that begins at `first`.
fn timed(first: u64, act: impl FnMut(u64)) -> Duration {
    let start = Instant::now();
    (first..first + CHUNK).for_each(act);
    start.elapsed()
}

fn money(c: &mut Criterion) {
    let (free, locked) = (LockFree::new(), Locked::default());
    let mut group = c.benchmark_group("reserve");
    group.throughput(Throughput::Elements(1));
    group.bench_function("has_free", |b| {
        b.iter(|| black_box(free.accounts.iter().all(|account| account.has_free(AMOUNT, NOW))));
    });
    for threads in [1, 2] {
        let mut run = |name: &str, act: &(dyn Fn(u64) -> Duration + Sync)| {
            group.bench_function(format!("{name}/{threads}"), |b| {
                b.iter_custom(|bids| beside(threads - 1, bids, act));
            });
        };
        run("reserve_and_drop", &|first| {
            timed(first, |_| free.reserve_and_drop())
        });
        run("reserve_and_hold", &|first| {
            let took = timed(first, |n| free.bid(n));
            timed(first, |n| free.settle(n));
            took
        });
        run("settle", &|first| {
            timed(first, |n| free.bid(n));
            timed(first, |n| free.settle(n))
        });
        run("mutex_reserve_and_hold", &|first| {
            let took = timed(first, |n| locked.bid(n));
            timed(first, |n| locked.settle(n));
            took
        });
        run("mutex_settle", &|first| {
            timed(first, |n| locked.bid(n));
            timed(first, |n| locked.settle(n))
        });
    }
    group.finish();
}

fn object(level: CapLevel, n: u64) -> CapObject {
    CapObject::of(level, ObjectId(n))
}

/// The `n`-th user, spread as hashed ids are.
fn user(n: u64) -> UserKey {
    UserKey((n % USERS + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn caps(c: &mut Criterion) {
    let rule = |level, impressions| CapRule {
        object: object(level, 7),
        impressions,
        window_s: 86_400,
    };
    let rules = [
        rule(CapLevel::LineItem, 3),
        rule(CapLevel::Campaign, 5),
        rule(CapLevel::Advertiser, 9),
    ];
    let caps = Caps::new(2 * USERS as usize);
    caps.set_rules(rules);
    for n in 0..USERS {
        let objects = rules.map(|rule| rule.object);
        (0..1 + n % 4).for_each(|k| {
            caps.count(
                user(n),
                &objects,
                BidId::new(1, 1, n),
                Timestamp(NOW.0 - 1000 * k as i64),
            )
        });
    }
    let mut group = c.benchmark_group("caps_1m");
    let mut n = 0u64;
    let mut next = move || {
        n = n
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        n >> 20
    };
    group.bench_function("one_rule_any_user", |b| {
        b.iter(|| black_box(caps.allows(user(next()), &rules[..1], NOW)));
    });
    group.bench_function("three_rules_any_user", |b| {
        b.iter(|| black_box(caps.allows(user(next()), &rules, NOW)));
    });
    group.bench_function("three_rules_same_user", |b| {
        b.iter(|| black_box(caps.allows(user(4), &rules, NOW)))
    });
    group.bench_function("unknown_user", |b| {
        b.iter(|| black_box(caps.allows(UserKey(next() | 1 << 63), &rules, NOW)));
    });
    group.bench_function("provisional_and_clear", |b| {
        b.iter(|| {
            let (user, bid) = (user(next() % 50_000), BidId::new(1, 1, 1));
            caps.provisional(user, ObjectId(7), bid, NOW, Timestamp(NOW.0 + 60_000));
            black_box(caps.clear(user, ObjectId(7), bid))
        });
    });
    group.finish();
}

criterion_group!(benches, money, caps);
criterion_main!(benches);
