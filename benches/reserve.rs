//! What money and caps cost a bid: a reservation with its hold over four limits (line item and campaign, daily and lifetime) and over
//! six (hourly too), out of leases, with and without a second thread, beside the same ledger under one mutex; one step of the pace of
//! an account, and what an account takes of memory; a look at the caps of a user among a million.
//!
//! Only chunks during which the other thread moved on by about a chunk count, and of those the median: a thread that the machine
//! puts aside for others says nothing about money.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::tz::TimeZone;
use outbid::caps::{CapLevel, CapObject, CapRule, Caps};
use outbid::pacing::kernel::Counter;
use outbid::pacing::lease::LocalAuthority;
use outbid::pacing::{Account, AccountKind, Booking, Budgets, Leases, PacePlan};
use outbid::units::{AccountId, BidId, Limits, Nanos, ObjectId, Spread, Timestamp, UserKey};
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const NOW: Timestamp = Timestamp(1_772_323_200_000);
const AMOUNT: Nanos = Nanos(2_000_000);
/// Bids made before they are settled.
const CHUNK: u64 = 256;
const BIDS_PER_THREAD: u64 = 1 << 40;
/// Few chunks have a median that one interruption moves.
const CHUNKS_MIN: usize = 64;
/// Where two threads never run at once, as on one core, any chunk counts after this many.
const TRIED_MAX: u64 = 10_000;
/// Chunks that another thread gets through while this one does one and is not put aside itself.
const MOVES_MAX: u64 = 3;
const USERS: u64 = 1_000_000;

fn limits(hourly: bool) -> Limits {
    let limit = Some(Nanos(i64::MAX / 4));
    Limits {
        hourly: limit.filter(|_| hourly),
        daily: limit,
        lifetime: limit,
    }
}

fn account_ids() -> [AccountId; 2] {
    [AccountId::line_item("bench"), AccountId::campaign("bench")]
}

struct LockFree {
    budgets: Arc<Budgets>,
    accounts: [Arc<Account>; 2],
    _leases: Mutex<Leases>,
    _folder: TempDir,
}

impl LockFree {
    fn new(hourly: bool) -> LockFree {
        let budgets = Arc::new(Budgets::leased(1 << 16));
        let kinds = [AccountKind::LineItem, AccountKind::Campaign];
        let accounts =
            [0, 1].map(|n| budgets.account(account_ids()[n], "bench", kinds[n], &TimeZone::UTC, NOW));
        for account in &accounts {
            account.set_limits(limits(hourly), NOW);
            account.set_plan(paced());
        }
        let folder = TempDir::new().expect("a temporary folder");
        let authority = LocalAuthority::open(folder.path()).expect("an empty journal");
        let mut leases = Leases::begin(Box::new(authority), budgets.clone(), 1, NOW).expect("a lease");
        leases.tick(NOW).expect("grants");
        LockFree {
            budgets,
            accounts,
            _leases: Mutex::new(leases),
            _folder: folder,
        }
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

fn paced() -> PacePlan {
    PacePlan {
        spread: Spread::Even,
        ..PacePlan::default()
    }
}

/// The naive rival: the same limits and the holds in plain integers, everything behind one lock.
struct Locked(Mutex<Plain>);

struct Plain {
    /// Committed and spent, of each limit.
    columns: Vec<(i64, i64)>,
    held: HashMap<BidId, i64>,
}

impl Locked {
    fn new(limits: usize) -> Locked {
        Locked(Mutex::new(Plain {
            columns: vec![(0, 0); limits],
            held: HashMap::new(),
        }))
    }

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

/// What `act` says it took for a chunk, the median, times the chunks that `bids` bids are, while `rivals` other threads do the same
/// without a pause. `act` gets the number of the first bid of a chunk; numbers differ per thread.
fn beside(rivals: u64, bids: u64, act: impl Fn(u64) -> Duration + Sync) -> Duration {
    let running = AtomicBool::new(true);
    let moved = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for rival in 1..=rivals {
            let (running, moved, act) = (&running, &moved, &act);
            scope.spawn(move || {
                let mut first = rival * BIDS_PER_THREAD;
                while running.load(Ordering::Relaxed) {
                    act(first);
                    first += CHUNK;
                    moved.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut chunks: Vec<Duration> = Vec::new();
        let mut first = 0;
        while chunks.len() < (bids.div_ceil(CHUNK) as usize).max(CHUNKS_MIN) {
            let before = moved.load(Ordering::Relaxed);
            let took = act(first);
            first += CHUNK;
            let moves = moved.load(Ordering::Relaxed) - before;
            let tried = first / CHUNK;
            if rivals == 0 || tried > TRIED_MAX || (1..=MOVES_MAX).contains(&moves) {
                chunks.push(took);
            }
        }
        running.store(false, Ordering::Relaxed);
        chunks.sort();
        chunks[chunks.len() / 2].mul_f64(bids as f64 / CHUNK as f64)
    })
}

/// How long `act` takes for each bid of the chunk that begins at `first`.
fn timed(first: u64, act: impl FnMut(u64)) -> Duration {
    let start = Instant::now();
    (first..first + CHUNK).for_each(act);
    start.elapsed()
}

fn money(c: &mut Criterion) {
    for (name, hourly) in [("reserve_4_limits", false), ("reserve_6_limits", true)] {
        money_with(c, name, hourly);
    }
}

fn money_with(c: &mut Criterion, name: &str, hourly: bool) {
    let free = LockFree::new(hourly);
    let locked = Locked::new(if hourly { 6 } else { 4 });
    let mut group = c.benchmark_group(name);
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

/// One counter by itself: taken and given back.
fn counter(c: &mut Criterion) {
    let counter = Counter::new(i64::MAX / 4, i64::MAX / 4);
    let plain = Mutex::new(0i64);
    let mut group = c.benchmark_group("counter");
    group.throughput(Throughput::Elements(1));
    for threads in [1, 2] {
        let mut run = |name: &str, act: &(dyn Fn(u64) -> Duration + Sync)| {
            group.bench_function(format!("{name}/{threads}"), |b| {
                b.iter_custom(|bids| beside(threads - 1, bids, act));
            });
        };
        run("take", &|first| {
            let took = timed(first, |_| assert!(counter.try_take(black_box(AMOUNT.0))));
            counter.give_back(AMOUNT.0 * CHUNK as i64);
            took
        });
        run("mutex_take", &|first| {
            timed(first, |_| {
                let mut committed = plain.lock().expect("no panic inside");
                *committed = (*committed + black_box(AMOUNT.0)) % (i64::MAX / 4);
            })
        });
    }
    group.finish();
}

fn accounts(budgets: &Budgets, count: usize) {
    for n in 0..count {
        let name = format!("item {n}");
        let id = AccountId::line_item(&name);
        let account = budgets.account(id, &name, AccountKind::LineItem, &TimeZone::UTC, NOW);
        account.set_limits(limits(false), NOW);
        account.set_plan(paced());
    }
}

/// A tick that steers: once a second for each account. Per account.
fn tick(c: &mut Criterion) {
    const ACCOUNTS: usize = 1_000;
    let budgets = Budgets::new(1 << 10);
    accounts(&budgets, ACCOUNTS);
    let mut now = NOW;
    let mut group = c.benchmark_group("tick");
    group.throughput(Throughput::Elements(ACCOUNTS as u64));
    group.bench_function("1000_paced_accounts", |b| {
        b.iter_custom(|ticks| {
            let mut took: Vec<Duration> = Vec::new();
            for _ in 0..ticks {
                now = Timestamp(now.0 + 1000);
                let start = Instant::now();
                black_box(budgets.tick(now));
                took.push(start.elapsed());
            }
            took.sort();
            took[took.len() / 2].mul_f64(ticks as f64)
        });
    });
    group.finish();
}

/// Not a time: what a budget takes of memory, by the resident set of the process.
fn memory(_: &mut Criterion) {
    const ACCOUNTS: usize = 50_000;
    let resident = || {
        let text = std::fs::read_to_string("/proc/self/statm").ok()?;
        text.split(' ')
            .nth(1)?
            .parse::<usize>()
            .ok()
            .map(|pages| pages * 4096)
    };
    let budgets = Budgets::new(1 << 10);
    let before = resident();
    accounts(&budgets, ACCOUNTS);
    if let (Some(before), Some(after)) = (before, resident()) {
        println!(
            "memory: {} bytes an account",
            after.saturating_sub(before) / ACCOUNTS
        );
    }
    black_box(budgets);
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
        (0..1 + n % 4).for_each(|k| caps.count(user(n), &objects, Timestamp(NOW.0 - 1000 * k as i64)));
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

criterion_group!(benches, counter, money, tick, memory, caps);
criterion_main!(benches);
