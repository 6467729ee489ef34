//! The profile store: one contract for the mapped file and its twin in memory, and every way in which a file can be wrong.

use outbid::store::profiles::{
    BuildOptions, Builder, Dimension, Error, Gender, Profile, Profiles, RamProfiles, Record, RecordTag,
    TAGS_MAX, TagId, build, read_input,
};
use outbid::units::{Nanos, Timestamp, UserKey, UserKeySecret};
use proptest::prelude::*;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const SECRET: UserKeySecret = UserKeySecret([7; 16]);

fn tag(name: &str, weight: u8) -> RecordTag {
    RecordTag {
        name: name.to_string().into(),
        dimension: Dimension::Behaviour,
        weight,
        day: Some(20_500),
    }
}

fn user(keys: &[u64]) -> Record {
    Record {
        keys: keys.iter().map(|key| UserKey(*key)).collect(),
        ..Record::default()
    }
}

/// Enough users that some buckets spill, with one to three ids and up to seven tags each.
fn crowd(count: u64) -> Vec<Record> {
    let key = |n: u64| {
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(23)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9)
    };
    (0..count)
        .map(|n| Record {
            gender: [Gender::Unknown, Gender::Male, Gender::Female, Gender::Other][n as usize % 4],
            birth_year: (n % 3 > 0).then_some(1950 + (n % 50) as u16),
            country: (n % 5 > 0).then_some(*b"CAN"),
            language: (n % 7 > 0).then_some(*b"fr"),
            utc_offset_min: (n % 2 > 0).then_some(-300),
            ltv: Nanos(n as i64 * 1_000),
            monetary: Nanos(-(n as i64)),
            frequency: n as u16,
            last_active_day: (n % 4 > 0).then_some(20_000 + n as i32 % 500),
            tags: (0..n % 8)
                .map(|t| tag(&format!("tag:{}", (n * 7 + t * 13) % 100), t as u8))
                .collect(),
            ..user(&(0..=n % 3).map(|k| key(n * 3 + k + 1)).collect::<Vec<_>>())
        })
        .collect()
}

fn write(records: &[Record], sorted_in_memory: usize) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("users.profiles");
    let mut builder = Builder::new(&path, 42, sorted_in_memory).unwrap();
    for record in records {
        builder.push(record).unwrap();
    }
    let report = builder.finish().unwrap();
    assert_eq!(report.bytes, fs::metadata(&path).unwrap().len());
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing but the store is left"
    );
    (folder, path)
}

/// Both backings, made from the same records.
fn both(records: &[Record]) -> (TempDir, [Profiles; 2]) {
    let (folder, path) = write(records, 1_000);
    let ram = RamProfiles::from_records(records.to_vec()).unwrap();
    (folder, [Profiles::open(&path).unwrap(), Profiles::Ram(ram)])
}

/// The naive judge: what must be found under each key.
fn expected(records: &[Record]) -> HashMap<UserKey, &Record> {
    records
        .iter()
        .flat_map(|record| record.keys.iter().map(move |key| (*key, record)))
        .collect()
}

fn assert_same(profile: &Profile, record: &Record) {
    assert_eq!(profile.key, record.keys[0]);
    assert_eq!(
        (
            profile.gender,
            profile.birth_year,
            profile.country,
            profile.language
        ),
        (record.gender, record.birth_year, record.country, record.language)
    );
    assert_eq!(
        (
            profile.utc_offset_min,
            profile.ltv,
            profile.monetary,
            profile.frequency,
            profile.last_active_day
        ),
        (
            record.utc_offset_min,
            record.ltv,
            record.monetary,
            record.frequency,
            record.last_active_day
        )
    );
    let tags: HashMap<u32, u8> = record
        .tags
        .iter()
        .map(|tag| (TagId::of(&tag.name).0, tag.weight))
        .collect();
    assert_eq!(
        profile
            .tags
            .iter()
            .map(|tag| (tag.id, tag.weight))
            .collect::<HashMap<_, _>>(),
        tags
    );
    assert!(profile.tags.is_sorted_by_key(|tag| tag.id));
}

fn check(records: &[Record], misses: impl Iterator<Item = u64>) {
    let wanted = expected(records);
    let (_folder, backings) = both(records);
    for profiles in &backings {
        for (key, record) in &wanted {
            assert_same(
                &profiles.get(*key).unwrap_or_else(|| panic!("{key:?} is lost")),
                record,
            );
        }
    }
    for key in misses.map(UserKey).filter(|key| !wanted.contains_key(key)) {
        assert!(backings.iter().all(|profiles| profiles.get(key).is_none()));
    }
    let [mapped, ram] = backings.map(|profiles| profiles.summary());
    assert_eq!(
        (mapped.users, mapped.keys, mapped.tags),
        (ram.users, ram.keys, ram.tags)
    );
}

#[test]
fn every_user_is_found_by_every_id_and_nobody_else_is() {
    check(
        &crowd(20_000),
        (0..10_000u64).map(|n| n.wrapping_mul(0x9123_4567_89ab_cdef)),
    );
}

#[test]
fn an_empty_store_opens_and_finds_nobody() {
    check(&[], [0, 1, u64::MAX].into_iter());
    assert!(Profiles::empty().get(UserKey(1)).is_none());
}

#[test]
fn keys_at_the_ends_and_in_one_bucket_are_found() {
    let crowded: Vec<Record> = (0..40)
        .map(|n| user(&[n]))
        .chain([user(&[u64::MAX]), user(&[u64::MAX - 1])])
        .collect();
    check(&crowded, 40..80);
}

#[test]
fn the_last_record_of_a_key_wins_and_a_record_without_keys_is_gone() {
    let mut records = vec![user(&[1, 2]), user(&[3]), user(&[2, 3])];
    records[1].tags = vec![tag("left:out", 1)];
    records[2].tags = vec![tag("kept", 2)];
    let (_folder, path) = write(&records, 2);
    let profiles = Profiles::open(&path).unwrap();
    let summary = profiles.summary();
    assert_eq!((summary.users, summary.keys, summary.tags), (2, 3, 1));
    for (key, first) in [(1, 1), (2, 2), (3, 2)] {
        assert_eq!(profiles.get(UserKey(key)).unwrap().key, UserKey(first));
    }
    check(&records, 4..10);
}

#[test]
fn of_two_tags_with_one_name_the_later_counts() {
    let record = Record {
        tags: vec![tag("a", 1), tag("b", 2), tag("A", 3)],
        ..user(&[1])
    };
    let (_folder, backings) = both(&[record]);
    for profiles in &backings {
        let profile = profiles.get(UserKey(1)).unwrap();
        assert_eq!(profile.tags.len(), 2);
        assert_eq!(profile.tag(TagId::of("a")).unwrap().weight, 3);
        assert_eq!(profile.tag(TagId::of("c")), None);
        assert_eq!(profiles.tag_name(TagId::of("a")), Some("a"));
    }
}

#[test]
fn the_limits_on_ids_and_tags_hold() {
    let many = |count| Record {
        tags: (0..count).map(|n| tag(&format!("t{n}"), 1)).collect(),
        ..user(&[1])
    };
    check(&[many(TAGS_MAX)], 2..3);
    for (record, says) in [
        (many(TAGS_MAX + 1), "at most 5000"),
        (user(&[]), "at least one"),
        (user(&[1; 65]), "at most 64"),
        (
            Record {
                tags: vec![tag("", 1)],
                ..user(&[1])
            },
            "1 to 200",
        ),
        (
            Record {
                tags: vec![tag(&"x".repeat(201), 1)],
                ..user(&[1])
            },
            "1 to 200",
        ),
    ] {
        let error = RamProfiles::from_records([record]).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("user 1"), "{error}");
    }
}

#[test]
fn a_mapped_store_survives_its_replacement() {
    let (_folder, path) = write(&crowd(500), 100);
    let old = Profiles::open(&path).unwrap();
    let mut builder = Builder::new(&path, 43, 100).unwrap();
    builder.push(&user(&[5])).unwrap();
    builder.finish().unwrap();
    for (key, record) in expected(&crowd(500)) {
        assert_same(&old.get(key).unwrap(), record);
    }
    let new = Profiles::open(&path).unwrap();
    assert_eq!((new.summary().users, new.source(), old.source()), (1, 43, 42));
}

#[test]
fn a_build_that_is_given_up_leaves_nothing_and_changes_nothing() {
    let (folder, path) = write(&[user(&[1])], 100);
    let mut builder = Builder::new(&path, 43, 1).unwrap();
    builder.push(&user(&[2])).unwrap();
    drop(builder);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(Profiles::open(&path).unwrap().source(), 42);
}

/// Opens the bytes as a store.
fn open(bytes: &[u8]) -> Result<Profiles, Error> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("damaged.profiles");
    fs::write(&path, bytes).unwrap();
    Profiles::open(&path)
}

fn store_of(records: &[Record]) -> Vec<u8> {
    let (_folder, path) = write(records, 100);
    fs::read(path).unwrap()
}

/// Where the four sections of a store start and how long they are.
fn sections(bytes: &[u8]) -> [(usize, usize); 4] {
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    std::array::from_fn(|i| (number(64 + i * 24), number(64 + i * 24 + 8)))
}

#[test]
fn a_flipped_byte_in_any_section_is_named() {
    let bytes = store_of(&crowd(300));
    for ((offset, length), name) in sections(&bytes)
        .into_iter()
        .zip(["index", "rows", "tags", "names"])
    {
        for at in [offset, offset + length / 2, offset + length - 1] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x20;
            let error = open(&damaged).unwrap_err();
            assert!(
                matches!(error, Error::Damaged { section, .. } if section == name),
                "{at}: {error}"
            );
        }
    }
}

#[test]
fn a_store_of_another_kind_version_or_order_is_refused() {
    let bytes = store_of(&crowd(10));
    for (at, says) in [
        (0, "not a profile store"),
        (8, "the version"),
        (12, "the byte order"),
        (16, "header is damaged"),
        (100, "header is damaged"),
    ] {
        let mut other = bytes.clone();
        other[at] ^= 1;
        let error = open(&other).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        assert!(error.contains("damaged.profiles"), "{error}");
    }
    assert!(matches!(open(b""), Err(Error::NotAStore { .. })));
    assert!(matches!(
        Profiles::open(Path::new("/nowhere/users.profiles")),
        Err(Error::Io { .. })
    ));
}

#[test]
fn a_store_of_any_other_length_is_refused() {
    let bytes = store_of(&crowd(50));
    for length in [
        1,
        7,
        8,
        100,
        167,
        168,
        4096,
        5000,
        bytes.len() / 2,
        bytes.len() - 1,
    ] {
        let error = open(&bytes[..length]).err().map(|error| error.to_string());
        assert!(
            error.is_some(),
            "{length} of {} bytes were taken for a store",
            bytes.len()
        );
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(matches!(open(&longer), Err(Error::Length { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damage_is_an_error_or_harmless(flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4)) {
        let records = crowd(40);
        let mut bytes = store_of(&records);
        for (at, mask) in &flips {
            let at = at.index(bytes.len());
            bytes[at] ^= mask;
        }
        if let Ok(profiles) = open(&bytes) {
            for (key, record) in expected(&records) {
                assert_same(&profiles.get(key).unwrap(), record);
            }
        }
    }

    #[test]
    fn any_records_are_found_again(
        users in prop::collection::vec((prop::collection::vec(0u64..50, 1..4), any::<u16>()), 0..60),
        sorted_in_memory in 1usize..40,
    ) {
        let records: Vec<Record> =
            users.iter().map(|(keys, n)| Record { frequency: *n, ..user(keys) }).collect();
        let (_folder, path) = write(&records, sorted_in_memory);
        let mapped = Profiles::open(&path).unwrap();
        let wanted = expected(&records);
        for key in (0..60).map(UserKey) {
            match wanted.get(&key) {
                Some(record) => assert_same(&mapped.get(key).unwrap(), record),
                None => prop_assert!(mapped.get(key).is_none()),
            }
        }
    }

    #[test]
    fn any_text_as_input_is_taken_or_counted(text in "\\PC{0,80}", csv in any::<bool>()) {
        let (name, text) = if csv { ("x.csv", format!("ids,tags\n{text}")) } else { ("x.jsonl", text) };
        let (_folder, path) = input(name, &text);
        let mut taken = 0;
        let report = read_input(&path, &SECRET, &mut |_| (), &mut |_| { taken += 1; Ok(()) });
        if let Ok(report) = report {
            prop_assert_eq!(report.lines, taken + report.bad_lines);
        }
    }
}

fn input(name: &str, text: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    (folder, path)
}

const JSON: &str = r#"{"ids":{"buyeruid":"u-000001","ifa":"AB-CD","exchange:demo":["x1","x2"]},"gender":"m","birth_year":1994,"country":"usa","utc_offset_min":-300,"language":"EN","ltv":12.5,"monetary":88.1,"frequency":4,"last_active":"2026-11-02","tags":[{"tag":"visited:car-forum","dimension":"behaviour","weight":0.7,"day":"2026-10-30"},{"tag":"x=y@z","dimension":"social"}]}

{"ids":{"buyeruid":"u-000002"}}
"#;

const CSV: &str = "tags,ids,gender,birth_year,country,utc_offset_min,language,ltv,monetary,frequency,last_active
behaviour/visited:car-forum=0.7@2026-10-30;social/x=y@z=1@,buyeruid:u-000001;ifa:AB-CD;exchange:demo:x1;exchange:demo:x2,m,1994,USA,-300,en,12.5,88.1,4,2026-11-02
,buyeruid:u-000002,,,,,,,,,
";

#[test]
fn json_lines_and_csv_say_the_same() {
    for (name, text) in [("users.jsonl", JSON), ("users.csv", CSV)] {
        let (folder, path) = input(name, text);
        let output = folder.path().join("out.profiles");
        let report = build(&[path], &output, &BuildOptions::new(SECRET), &mut |_, _| ()).unwrap();
        assert_eq!(
            (report.users, report.keys, report.inputs[0].lines),
            (2, 5, 2),
            "{:?}",
            report.inputs
        );
        let profiles = Profiles::open(&output).unwrap();
        let by = |namespace, id| profiles.get(UserKey::of(&SECRET, namespace, id)).unwrap();
        let profile = by("buyeruid", "u-000001");
        for (namespace, id) in [("ifa", "ab-cd"), ("exchange:demo", "x1"), ("exchange:demo", "x2")] {
            assert_eq!(by(namespace, id), profile);
        }
        assert_eq!(
            (profile.gender, profile.age(Timestamp(1_793_750_400_000))),
            (Gender::Male, Some(31))
        );
        assert_eq!((profile.country, profile.language), (Some(*b"USA"), Some(*b"en")));
        assert_eq!((profile.ltv, profile.frequency), (Nanos(12_500_000_000), 4));
        assert_eq!(profile.last_active_day, Some(20_759));
        let tag = profile.tag(TagId::of("visited:car-forum")).unwrap();
        assert_eq!(
            (tag.weight, tag.day, tag.dimension),
            (179, 2_494, Dimension::Behaviour.code())
        );
        assert!(profile.tag(TagId::of("x=y@z")).is_some());
        assert_eq!(by("buyeruid", "u-000002").tags, []);
    }
}

#[test]
fn a_profile_is_described_with_names() {
    let (folder, path) = input("users.jsonl", JSON);
    let output = folder.path().join("out.profiles");
    build(&[path], &output, &BuildOptions::new(SECRET), &mut |_, _| ()).unwrap();
    let description = Profiles::open(&output)
        .unwrap()
        .describe(UserKey::of(&SECRET, "ifa", "ab-cd"))
        .unwrap();
    let text = description.to_string();
    for part in [
        "visited:car-forum",
        "behaviour",
        "0.70",
        "2026-10-30",
        "USA",
        "1994",
        "88.10 in 4 purchases",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let json = serde_json::to_value(&description).unwrap();
    assert_eq!(json["tags"][0]["tag"], "visited:car-forum");
    assert_eq!(json["last_active"], "2026-11-02");
}

#[test]
fn bad_lines_are_counted_and_say_what_would_be_right() {
    let with = |field: &str| format!("{{\"ids\":{{\"ifa\":\"1\"}},{field}}}");
    for (line, says) in [
        ("{".to_string(), "EOF"),
        ("{\"gender\":\"m\"}".to_string(), "missing field `ids`"),
        ("{\"ids\":{}}".to_string(), "at least one is needed"),
        (
            "{\"ids\":{\"ifa\":\"\"}}".to_string(),
            "leave out what is not known",
        ),
        (with("\"sex\":\"m\""), "unknown field `sex`"),
        (with("\"gender\":\"x\""), "m, f or o"),
        (with("\"birth_year\":94"), "1900 to 2100"),
        (with("\"country\":\"US\""), "alpha-3 code such as USA"),
        (with("\"language\":\"eng\""), "code such as en"),
        (with("\"utc_offset_min\":900"), "-720 to 840"),
        (with("\"ltv\":1e30"), "below 9 billion"),
        (with("\"frequency\":-1"), "0 to 65535"),
        (with("\"last_active\":\"2026-13-01\""), "a date such as"),
        (
            with("\"tags\":[{\"tag\":\"a\",\"dimension\":\"mood\"}]"),
            "one of attribute, behaviour",
        ),
        (
            with("\"tags\":[{\"tag\":\"a\",\"dimension\":\"social\",\"weight\":2}]"),
            "0 to 1",
        ),
    ] {
        let (_folder, path) = input(
            "users.ndjson",
            &format!("\n{}\n{line}\n", with("\"gender\":\"f\"")),
        );
        let report = read_input(&path, &SECRET, &mut |_| (), &mut |_| Ok(())).unwrap();
        assert_eq!((report.lines, report.bad_lines), (2, 1), "{line}");
        let first = report.first_bad().unwrap();
        assert!(
            first.contains(says) && first.contains("users.ndjson:3: "),
            "{first}"
        );
    }
}

#[test]
fn a_csv_says_which_column_or_field_is_wrong() {
    for (text, says) in [
        ("id,gender\n", "column `id`; one of ids, gender"),
        ("gender\nm\n", "no column `ids`"),
        ("ids,ids\n", "twice"),
        ("", "no column `ids`"),
    ] {
        let (_folder, path) = input("users.csv", text);
        let error = read_input(&path, &SECRET, &mut |_| (), &mut |_| Ok(()))
            .unwrap_err()
            .to_string();
        assert!(error.contains(says) && error.contains("users.csv"), "{error}");
    }
    for (line, says) in [
        ("u-1,m,", "namespace:id"),
        ("ifa:1,m", "2 fields; the header has 3"),
        ("ifa:1,m,1994x", "birth_year `1994x`; a number"),
    ] {
        let (_folder, path) = input("users.csv", &format!("ids,gender,birth_year\n{line}\n"));
        let report = read_input(&path, &SECRET, &mut |_| (), &mut |_| Ok(())).unwrap();
        let first = report.first_bad().unwrap();
        assert!(first.contains(says) && first.contains(":2:"), "{first}");
    }
}

#[test]
fn strict_refuses_a_bad_line_and_the_old_store_stays() {
    let (folder, path) = input("users.jsonl", &format!("{JSON}nonsense\n"));
    let output = folder.path().join("out.profiles");
    let lenient = BuildOptions::new(SECRET);
    build(std::slice::from_ref(&path), &output, &lenient, &mut |_, _| ()).unwrap();
    let strict = BuildOptions {
        strict: true,
        source: 9,
        ..lenient
    };
    let error = build(&[path], &output, &strict, &mut |_, _| ())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("1 of 3 lines") && error.contains("users.jsonl:4"),
        "{error}"
    );
    assert_eq!(Profiles::open(&output).unwrap().source(), 0);
}

#[test]
fn only_known_extensions_are_read() {
    let (_folder, path) = input("users.parquet", "");
    let error = read_input(&path, &SECRET, &mut |_| (), &mut |_| Ok(()))
        .unwrap_err()
        .to_string();
    assert!(error.contains(".csv, .jsonl"), "{error}");
}
