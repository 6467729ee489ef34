//! What a look at a user's caps costs among ten million users, beside the same counts in a hash map under one mutex, and
//! what a million capped users take. Every user has four objects, one to four impressions each; users come in random order, so that
//! nothing of them is in a cache.

use criterion::{Criterion, criterion_group, criterion_main};
use outbid::caps::{BackOff, Buyers, CapLevel, CapObject, CapRule, Caps};
use outbid::units::{ObjectId, Timestamp, UserKey};
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Mutex;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// In test mode (`cargo bench -- --test`) as many as show that it runs.
fn users() -> u64 {
    if std::env::args().any(|argument| argument == "--test") {
        10_000
    } else {
        10_000_000
    }
}

const NOW: Timestamp = Timestamp(1_772_452_800_000);

/// The `n`-th of so many.
fn user(n: u64, users: u64) -> UserKey {
    UserKey((n % users + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Seconds ago of the k-th impression of the n-th user.
fn ago_s(n: u64, k: u64) -> i64 {
    (n % 900 + 60 * k) as i64
}

struct Rules {
    caps: [CapRule; 3],
    back_off: BackOff,
    buyers: Buyers,
}

fn rules() -> Rules {
    let rule = |level, impressions| CapRule {
        object: CapObject::of(level, ObjectId(7)),
        impressions,
        window_s: 86_400,
    };
    Rules {
        caps: [
            rule(CapLevel::LineItem, 5),
            rule(CapLevel::Campaign, 6),
            rule(CapLevel::Advertiser, 9),
        ],
        back_off: BackOff {
            object: CapObject::unanswered(ObjectId(7)),
            after: 5,
            pause_s: 3_600,
        },
        buyers: Buyers::new(vec![CapObject::bought(ObjectId(7), "purchase")], 86_400),
    }
}

fn objects(rules: &Rules) -> [CapObject; 4] {
    let [a, b, c] = rules.caps.map(|rule| rule.object);
    [a, b, c, rules.back_off.object]
}

/// Of another line item and its like.
fn others(rules: &Rules) -> [CapObject; 4] {
    objects(rules).map(|object| CapObject(!object.0))
}

fn empty(rules: &Rules, users: u64) -> Caps {
    let caps = Caps::new((users + users / 8) as usize);
    let asked = rules.caps.into_iter().chain([rules.back_off.asks_for()]);
    let others = others(rules).map(|object| CapRule {
        object,
        ..rules.caps[0]
    });
    caps.set_rules(asked.chain(rules.buyers.asks_for()).chain(others));
    caps
}

fn fill(caps: &Caps, objects: &[CapObject], users: u64) {
    for n in 0..users {
        (0..1 + n % 4)
            .for_each(|k| caps.count(user(n, users), objects, Timestamp(NOW.0 - 1000 * ago_s(n, k))));
    }
}

/// The moments of each user and object, in seconds.
type Plain = Mutex<HashMap<(u64, u64), Vec<u32>>>;

fn plain(rules: &Rules, users: u64) -> Plain {
    let mut all = HashMap::new();
    for n in 0..users {
        for object in objects(rules) {
            let moments = (0..1 + n % 4).rev().map(|k| (NOW.0 / 1000 - ago_s(n, k)) as u32);
            all.insert((user(n, users).0, object.0), moments.collect());
        }
    }
    Mutex::new(all)
}

fn plain_allows(all: &Plain, user: UserKey, rules: &[CapRule]) -> bool {
    let all = all.lock().unwrap();
    let now_s = (NOW.0 / 1000) as u32;
    rules.iter().all(|rule| {
        let within = |at: &&u32| now_s - **at < rule.window_s;
        let moments = all.get(&(user.0, rule.object.0));
        moments.is_none_or(|moments| moments.iter().filter(within).count() < usize::from(rule.impressions))
    })
}

/// Of the process.
fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kb.unwrap_or(0) / 1000
}

fn check(c: &mut Criterion) {
    let (rules, users) = (rules(), users());
    let mut group = c.benchmark_group("caps_10m");
    let mut n = 0u64;
    let mut next = move || {
        n = n
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        n >> 20
    };
    let before = resident_mb();
    let caps = empty(&rules, users);
    println!("empty: {} MB", resident_mb() - before);
    fill(&caps, &objects(&rules), users);
    println!(
        "{users} users with four objects each: {} MB",
        resident_mb() - before
    );
    group.bench_function("one_cap_any_user", |b| {
        b.iter(|| black_box(caps.allows(user(next(), users), &rules.caps[..1], NOW)));
    });
    // Of one to four impressions: what comes of it is as even a chance as the processor can meet.
    let reached = CapRule {
        impressions: 3,
        ..rules.caps[0]
    };
    group.bench_function("one_cap_reached_by_half_any_user", |b| {
        b.iter(|| black_box(caps.allows(user(next(), users), &[reached], NOW)));
    });
    group.bench_function("three_caps_any_user", |b| {
        b.iter(|| black_box(caps.allows(user(next(), users), &rules.caps, NOW)));
    });
    group.bench_function("three_caps_back_off_and_buyers_any_user", |b| {
        b.iter(|| {
            let seen = caps.seen(user(next(), users));
            black_box(seen.is_some_and(|seen| {
                seen.has_bought(&rules.buyers, NOW)
                    || seen.backs_off(&rules.back_off, NOW)
                    || rules.caps.iter().any(|rule| seen.reaches(rule, NOW))
            }))
        });
    });
    group.bench_function("three_caps_same_user", |b| {
        b.iter(|| black_box(caps.allows(user(4, users), &rules.caps, NOW)));
    });
    group.bench_function("three_caps_unknown_user", |b| {
        b.iter(|| black_box(caps.allows(UserKey(next() | 1 << 63), &rules.caps, NOW)));
    });
    group.bench_function("count_impression_any_user", |b| {
        b.iter(|| caps.count(user(next(), users), &objects(&rules), NOW));
    });
    fill(&caps, &others(&rules), users);
    println!(
        "{users} users with eight objects each: {} MB",
        resident_mb() - before
    );
    group.bench_function("one_cap_reached_by_half_any_user_of_eight_objects", |b| {
        b.iter(|| black_box(caps.allows(user(next(), users), &[reached], NOW)));
    });
    drop(caps);
    let all = plain(&rules, users);
    group.bench_function("rival_mutex_one_cap_any_user", |b| {
        b.iter(|| black_box(plain_allows(&all, user(next(), users), &rules.caps[..1])));
    });
    group.bench_function("rival_mutex_three_caps_any_user", |b| {
        b.iter(|| black_box(plain_allows(&all, user(next(), users), &rules.caps)));
    });
    group.finish();
}

criterion_group!(benches, check);
criterion_main!(benches);
