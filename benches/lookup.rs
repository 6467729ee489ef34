//! Looking a user up among a million: hits and misses, spread over all users and on the busiest thousand, beside a
//! `HashMap` of the same keys. A hit reads a field of the row and searches one tag, as a decision does.

use criterion::{Criterion, criterion_group, criterion_main};
use outbid::store::profiles::{BuildOptions, Builder, Dimension, Profiles, Record, RecordTag, Tag, TagId};
use outbid::units::{Nanos, UserKey, UserKeySecret};
use std::collections::HashMap;
use std::hint::black_box;

const USERS: u64 = 1_000_000;
/// Keys asked for in turn; a power of two, larger than the caches remember the order of.
const ASKED: usize = 1 << 18;
const HOT: u64 = 1_000;
const TAGS_EACH: u64 = 24;

/// The rival: what a program without a store of its own would do.
struct Row {
    ltv: Nanos,
    tags: Vec<Tag>,
}

fn key(n: u64) -> UserKey {
    UserKey::of(&UserKeySecret([3; 16]), "buyeruid", &format!("u-{n:07}"))
}

fn record(n: u64, names: &[String]) -> Record {
    let tags = (0..TAGS_EACH).map(|t| RecordTag {
        name: names[((n * 31 + t * 17) % names.len() as u64) as usize]
            .clone()
            .into(),
        dimension: Dimension::Behaviour,
        weight: t as u8,
        day: Some(20_000),
    });
    Record {
        keys: vec![key(n)],
        ltv: Nanos(n as i64),
        tags: tags.collect(),
        ..Record::default()
    }
}

/// A permutation-like walk, so that neighbours in the list are strangers in memory.
fn asked(offset: u64, among: u64) -> Vec<UserKey> {
    (0..ASKED as u64)
        .map(|i| key(offset + i.wrapping_mul(0x9e37_79b9) % among))
        .collect()
}

fn lookup(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("users.profiles");
    let names: Vec<String> = (0..300).map(|n| format!("visited:topic-{n}")).collect();
    let mut builder = Builder::new(&path, 0, BuildOptions::SORTED_IN_MEMORY).expect("a folder to write to");
    for n in 0..USERS {
        builder.push(&record(n, &names)).expect("room on the disk");
    }
    builder.finish().expect("room on the disk");
    let profiles = Profiles::open(&path).expect("a store just built");
    let mut rival: HashMap<u64, Row> = HashMap::new();
    for n in 0..USERS {
        let profile = profiles.get(key(n)).expect("every user is there");
        rival.insert(
            key(n).0,
            Row {
                ltv: profile.ltv,
                tags: profile.tags.to_vec(),
            },
        );
    }
    let wanted = TagId::of(&names[7]);

    let mut group = criterion.benchmark_group("lookup");
    for (case, keys) in [
        ("hit, any user", asked(0, USERS)),
        ("hit, hot users", asked(0, HOT)),
        ("miss", asked(USERS, USERS)),
    ] {
        let mut next = keys.iter().cycle();
        group.bench_function(format!("{case}/store"), |bencher| {
            bencher.iter(|| {
                let profile = profiles.get(*black_box(next.next().expect("a cycle never ends")));
                profile.map(|profile| (profile.ltv, profile.tag(wanted).is_some()))
            });
        });
        let mut next = keys.iter().cycle();
        group.bench_function(format!("{case}/HashMap"), |bencher| {
            bencher.iter(|| {
                let row = rival.get(&black_box(next.next().expect("a cycle never ends")).0);
                row.map(|row| {
                    (
                        row.ltv,
                        row.tags.binary_search_by_key(&wanted.0, |tag| tag.id).is_ok(),
                    )
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, lookup);
criterion_main!(benches);
