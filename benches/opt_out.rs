//! Asking whether somebody has opted out, with a million ids on the list: every request pays it for each of its ids. Beside a
//! sharded map with locks and a set behind one lock, as they are first thought of.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use dashmap::DashSet;
use outbid::optouts::{Change, Direction, OptOuts, Source};
use outbid::units::{EntryId, Timestamp, UserKey};
use std::collections::HashSet;
use std::hint::black_box;
use std::sync::RwLock;

criterion_group!(benches, opt_out);
criterion_main!(benches);

const IDS: u64 = 1_000_000;
/// Keys asked in a round: more than fit a small cache, so that the table itself is in question.
const ASKED: u64 = 4096;

/// Spread as the keys of users are; even numbers are on the list, odd ones are not.
fn key(n: u64) -> UserKey {
    let z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    UserKey(z ^ (z >> 32))
}

fn opt_out(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let list = OptOuts::default();
    list.open(folder.path()).expect("an empty folder");
    let change = |keys| Change {
        place: EntryId::default(),
        direction: Direction::Out,
        source: Source::Operator,
        at: Timestamp(0),
        keys,
    };
    let all: Vec<UserKey> = (0..IDS).map(|n| key(2 * n)).collect();
    for keys in all.chunks(Change::KEYS_MAX) {
        list.change(&change(keys.to_vec())).expect("room and a disk");
    }
    let sharded: DashSet<UserKey> = all.iter().copied().collect();
    let locked: RwLock<HashSet<UserKey>> = RwLock::new(all.iter().copied().collect());

    let mut group = criterion.benchmark_group("opt_out");
    for (name, odd) in [("listed", 0), ("not_listed", 1)] {
        let asked: Vec<UserKey> = (0..ASKED).map(|n| key(2 * (n * 241 % IDS) + odd)).collect();
        let mut next = 0;
        let mut turn = move || {
            next = (next + 1) % asked.len();
            asked[next]
        };
        group.bench_function(name, |bencher| bencher.iter(|| list.contains(black_box(turn()))));
        group.bench_function(format!("{name}_sharded"), |bencher| {
            bencher.iter(|| sharded.contains(&black_box(turn())));
        });
        group.bench_function(format!("{name}_locked"), |bencher| {
            bencher.iter(|| locked.read().expect("not poisoned").contains(&black_box(turn())));
        });
    }
    let empty = OptOuts::default();
    group.bench_function("empty_list", |bencher| {
        bencher.iter(|| empty.contains(black_box(key(1))))
    });
    let mut new = 0;
    group.bench_function("durable_change", |bencher| {
        bencher.iter_batched(
            || {
                new += 1;
                change(vec![key(2 * (IDS + new))])
            },
            |change| list.change(&change).expect("room and a disk"),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}
