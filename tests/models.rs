//! The shipped model and the model runtime: what is answered, what is refused, and what is allocated.

use outbid::openrtb::RequestBuffers;
use outbid::openrtb::request::Request;
use outbid::store::models::{
    AdFormat, Candidate, CandidateInput, ContextBuffer, ContextInput, FILES, Gate, Group, Model, ModelName,
    Person, Schema, Score, Scorer, Source, Verdict, promote, read_candidates, sha256, write_rows,
};
use outbid::store::profiles::{Gender, Profile, Tag, TagId};
use outbid::units::{Nanos, Timestamp, UserKey};
use proptest::prelude::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

/// Counts the allocations of each thread; everything else is the system's.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on unchanged to the system allocator; the counter is a plain thread-local integer.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = ALLOCATIONS.get();
    let result = work();
    (ALLOCATIONS.get() - before, result)
}

const REGISTRY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/registry");
const BODY: &str = r#"{"id":"1","imp":[{"id":"1","banner":{"w":300,"h":250,"pos":1},"tagid":"slot-1","secure":1}],
  "site":{"domain":"www.news.example","cat":["IAB2","IAB12"],"keywords":"cars,races","publisher":{"id":"pub-1"}},
  "device":{"os":"Android","devicetype":4,"language":"en-GB","geo":{"country":"USA","region":"CA"}},
  "user":{"buyeruid":"u-1","data":[{"segment":[{"id":"seg-1"},{"id":"seg-2"}]}]}}"#;
const NOW: Timestamp = Timestamp(1_790_812_800_000);

static MODEL: LazyLock<Arc<Model>> = LazyLock::new(|| {
    let name = ModelName::parse("ctr/1").expect("a model name");
    Model::load(&name.folder(Path::new(REGISTRY))).unwrap_or_else(|error| panic!("{error}"))
});

fn with_request<T>(body: &str, work: impl FnOnce(&Request) -> T) -> T {
    let mut bytes = body.as_bytes().to_vec();
    let mut buffers = RequestBuffers::default();
    let request = buffers.parse(&mut bytes).expect("a sound request");
    work(&request)
}

fn tags() -> Vec<Tag> {
    let names = [
        "interest:car",
        "visited:car-forum",
        "cart:car",
        "searched:car",
        "ads:responsive",
    ];
    let mut tags = names
        .map(|name| Tag {
            id: TagId::of(name).0,
            dimension: 0,
            weight: 200,
            day: 2000,
        })
        .to_vec();
    tags.sort_by_key(|tag| tag.id);
    tags
}

fn profile(tags: &[Tag]) -> Profile<'_> {
    Profile {
        key: UserKey(1),
        gender: Gender::Female,
        birth_year: Some(1990),
        country: None,
        language: None,
        utc_offset_min: None,
        ltv: Nanos::from_units(120.0).expect("in range"),
        monetary: Nanos::from_units(80.0).expect("in range"),
        frequency: 4,
        last_active_day: Some(NOW.day() - 3),
        tags,
    }
}

fn input<'a>(
    request: &'a Request<'a>,
    profile: Option<&'a Profile<'a>>,
    may_profile: bool,
) -> ContextInput<'a> {
    let imp = &request.imps[0];
    ContextInput {
        request,
        imp,
        exchange: "demo",
        hour: NOW.hour_of_week(-300),
        profile,
        may_profile,
        now: NOW,
    }
}

fn ad<'a>(line_item: &'a str, categories: &'a [String]) -> CandidateInput<'a> {
    CandidateInput {
        line_item,
        campaign: "campaign",
        advertiser: "advertiser",
        creative: "creative",
        domain: "brand.example",
        categories,
        w: 300,
        h: 250,
        format: AdFormat::Banner,
        languages: &[],
    }
}

/// `n` different ads of real categories, row by row.
fn candidates(model: &Model, n: usize) -> Vec<f32> {
    let all = ["IAB2", "IAB20", "IAB8", "IAB17", "IAB19"].map(String::from);
    let rows = (0..n).map(|k| {
        let line_item = format!("line-item-{k}");
        model.candidate_row(&ad(&line_item, &all[k % all.len()..][..1]))
    });
    rows.flat_map(|row| row.columns.to_vec()).collect()
}

fn score(scorer: &mut Scorer, model: &Arc<Model>, context: &[f32], candidates: &[f32]) -> Vec<Score> {
    let mut scores = Vec::new();
    scorer
        .score(model, context, candidates, &mut scores)
        .unwrap_or_else(|error| panic!("{error}"));
    scores
}

/// A copy of the shipped model's folder that may be damaged.
fn copy() -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().expect("a temporary folder");
    let folder = root.path().join("ctr/1");
    fs::create_dir_all(&folder).expect("a folder");
    for name in FILES.iter().chain(&["gate.json"]) {
        fs::copy(Path::new(REGISTRY).join("ctr/1").join(name), folder.join(name)).expect("a copy");
    }
    (root, folder)
}

/// Makes the gate speak of the files as they are now.
fn seal(folder: &Path, verdict: &str) {
    let gate = format!(
        r#"{{"model_sha256":"{}","slice":"none","metrics":{{"auc":0.7}},"verdict":"{verdict}"}}"#,
        sha256(folder).expect("all files are there")
    );
    fs::write(folder.join("gate.json"), gate).expect("written");
}

#[test]
fn the_shipped_model_loads_passes_its_gate_and_reproduces_its_parity_rows() {
    assert_eq!(MODEL.gate().verdict, Verdict::Pass);
    assert_eq!(MODEL.sha256().len(), 64);
    let size: u64 = FILES
        .iter()
        .map(|name| {
            fs::metadata(Path::new(REGISTRY).join("ctr/1").join(name))
                .unwrap()
                .len()
        })
        .sum();
    assert!(size <= 1 << 20, "{size} bytes");
}

#[test]
fn a_batch_gives_each_candidate_the_score_that_it_has_alone() {
    let (mut scorer, mut context) = (Scorer::default(), ContextBuffer::default());
    with_request(BODY, |request| {
        MODEL.context(&input(request, None, true), &mut context)
    });
    let width = MODEL.schema().columns(Group::Candidate);
    for n in [0, 1, 2, 8, 32, 33, 100] {
        let rows = candidates(&MODEL, n);
        let batch = score(&mut scorer, &MODEL, &context.columns, &rows);
        assert_eq!(batch.len(), n);
        for (row, together) in rows.chunks(width).zip(&batch) {
            let alone = score(&mut scorer, &MODEL, &context.columns, row)[0];
            assert!((alone.click.get() - together.click.get()).abs() < 1e-6, "{n}");
            assert!(
                (alone.conversion_given_click.get() - together.conversion_given_click.get()).abs() < 1e-6,
                "{n}"
            );
        }
    }
}

#[test]
fn people_with_an_interest_click_more_on_what_they_are_interested_in() {
    let (mut scorer, mut known, mut unknown) = (
        Scorer::default(),
        ContextBuffer::default(),
        ContextBuffer::default(),
    );
    let (tags, cars) = (tags(), ["IAB2".to_string()]);
    let profile = profile(&tags);
    with_request(BODY, |request| {
        MODEL.context(&input(request, Some(&profile), true), &mut known);
        MODEL.context(&input(request, None, true), &mut unknown);
    });
    let row = MODEL.candidate_row(&ad("cars", &cars)).columns;
    let with = score(&mut scorer, &MODEL, &known.columns, &row)[0].click;
    let without = score(&mut scorer, &MODEL, &unknown.columns, &row)[0].click;
    assert!(with > without, "{with:?} {without:?}");
}

#[test]
fn without_consent_a_profile_and_segments_change_nothing() {
    let (mut without, mut with) = (ContextBuffer::default(), ContextBuffer::default());
    let tags = tags();
    let profile = profile(&tags);
    let no_segments = BODY.replace("\"data\"", "\"unread\"");
    with_request(&no_segments, |request| {
        MODEL.context(&input(request, None, false), &mut without)
    });
    with_request(BODY, |request| {
        MODEL.context(&input(request, Some(&profile), false), &mut with)
    });
    assert_eq!(without.slots, with.slots);
    assert_eq!(without.columns, with.columns);
    with_request(BODY, |request| {
        MODEL.context(&input(request, Some(&profile), true), &mut with)
    });
    assert_ne!(without.slots, with.slots);
}

#[test]
fn gender_and_age_are_logged_and_not_seen_by_the_model() {
    let (mut one, mut other) = (ContextBuffer::default(), ContextBuffer::default());
    let tags = tags();
    let woman = profile(&tags);
    let man = Profile {
        gender: Gender::Male,
        birth_year: Some(1950),
        ..woman
    };
    with_request(BODY, |request| {
        MODEL.context(&input(request, Some(&woman), true), &mut one);
        MODEL.context(&input(request, Some(&man), true), &mut other);
    });
    assert_ne!(one.slots, other.slots);
    assert_eq!(one.columns, other.columns);
    let sensitive = |source| {
        MODEL
            .schema()
            .features(Group::Context)
            .iter()
            .any(|f| f.source == source && f.sensitive)
    };
    assert!(sensitive(Source::Gender) && sensitive(Source::AgeBand));
}

/// A warm decision allocates nothing of ours; the model library's own count is what it is, and a change of library or
/// graph that moves it shows here.
#[test]
fn features_allocate_nothing_and_the_library_a_known_number_of_times() {
    let (mut scorer, mut context, mut scores) = (Scorer::default(), ContextBuffer::default(), Vec::new());
    let tags = tags();
    let profile = profile(&tags);
    with_request(BODY, |request| {
        let input = input(request, Some(&profile), true);
        MODEL.context(&input, &mut context);
        let (ours, ()) = allocations(|| MODEL.context(&input, &mut context));
        assert_eq!(ours, 0);
    });
    for n in [1, 8, 32] {
        let rows = candidates(&MODEL, n);
        for _ in 0..3 {
            scorer
                .score(&MODEL, &context.columns, &rows, &mut scores)
                .expect("scored");
        }
        let (count, outcome) = allocations(|| scorer.score(&MODEL, &context.columns, &rows, &mut scores));
        outcome.expect("scored");
        println!("tract: {count} allocations for {n} candidates");
        assert!(count <= TRACT_ALLOCATIONS, "{count} for {n}");
    }
}

/// Measured with ctr/1 (12 nodes, five or so each: tensors, their shared pointers, lists); the same for any batch size.
const TRACT_ALLOCATIONS: u64 = 63;

#[test]
fn a_worker_that_is_given_another_model_scores_with_that_one() {
    let (_root, folder) = copy();
    let second = Model::load(&folder).expect("an exact copy is a model");
    let (mut scorer, mut context) = (Scorer::default(), ContextBuffer::default());
    with_request(BODY, |request| {
        MODEL.context(&input(request, None, true), &mut context)
    });
    let rows = candidates(&MODEL, 3);
    let before = Arc::strong_count(&second);
    let first_scores = score(&mut scorer, &MODEL, &context.columns, &rows);
    let second_scores = score(&mut scorer, &second, &context.columns, &rows);
    assert_eq!(first_scores, second_scores);
    assert_eq!(
        Arc::strong_count(&second),
        before + 1,
        "the worker holds the model it last scored with"
    );
    score(&mut scorer, &MODEL, &context.columns, &rows);
    assert_eq!(
        Arc::strong_count(&second),
        before,
        "and lets go of the one before"
    );
}

#[test]
fn rows_of_a_wrong_width_give_an_error_and_no_score() {
    let mut scorer = Scorer::default();
    let context = vec![0.0; MODEL.schema().columns(Group::Context)];
    let width = MODEL.schema().columns(Group::Candidate);
    let mut scores = vec![Score::default()];
    for (context, candidates) in [
        (&context[..], vec![0.0; width + 1]),
        (&context[1..], vec![0.0; width]),
    ] {
        assert!(scorer.score(&MODEL, context, &candidates, &mut scores).is_err());
        assert!(scores.is_empty());
    }
    assert_eq!(
        score(&mut scorer, &MODEL, &context, &vec![0.0; width]).len(),
        1,
        "the next one is scored again"
    );
}

/// `change` is made to a copy of the folder, which is then sealed or not.
fn check_refused(change: impl Fn(&Path), sealed: bool, expected: &str) {
    let (_root, folder) = copy();
    change(&folder);
    if sealed {
        seal(&folder, "pass");
    }
    let error = Model::load(&folder).expect_err("must be refused").to_string();
    assert!(error.contains(expected), "{error}\nlacks\n{expected}");
}

fn edit(folder: &Path, name: &str, change: impl Fn(&mut Vec<u8>)) {
    let mut bytes = fs::read(folder.join(name)).expect("read");
    change(&mut bytes);
    fs::write(folder.join(name), bytes).expect("written");
}

fn replace(folder: &Path, name: &str, from: &str, to: &str) {
    edit(folder, name, |bytes| {
        let text = String::from_utf8(bytes.clone()).expect("text");
        assert!(text.contains(from), "{from}");
        *bytes = text.replacen(from, to, 1).into_bytes();
    });
}

#[test]
fn any_changed_byte_of_any_file_is_refused() {
    for name in FILES {
        check_refused(
            |folder| edit(folder, name, |bytes| bytes[0] ^= 1),
            false,
            "is about a model with hash",
        );
        check_refused(|folder| fs::remove_file(folder.join(name)).unwrap(), false, name);
    }
    check_refused(
        |folder| fs::remove_file(folder.join("gate.json")).unwrap(),
        false,
        "gate.json",
    );
    check_refused(
        |folder| edit(folder, "gate.json", |bytes| bytes[0] = b'x'),
        false,
        "gate.json:1",
    );
}

#[test]
fn a_model_that_does_not_fit_together_is_refused_with_the_file_and_the_reason() {
    let table = |folder: &Path| edit(folder, "embeddings.bin", |bytes| bytes[400] ^= 1);
    check_refused(table, true, "checksum does not match");
    check_refused(
        |folder| edit(folder, "embeddings.bin", |bytes| bytes.truncate(10)),
        true,
        "is not an embeddings file",
    );
    let dims = |folder: &Path| replace(folder, "schema.toml", "dims = 8", "dims = 9");
    check_refused(dims, true, "the schema has");
    let graph = |folder: &Path| edit(folder, "model.onnx", |bytes| bytes.truncate(1000));
    check_refused(graph, true, "model.onnx");
    let scale = |folder: &Path| replace(folder, "schema.toml", "buckets = 1024", "buckets = 1025");
    check_refused(scale, true, "hashes to");
    check_refused(
        |folder| fs::write(folder.join("parity.jsonl"), "").unwrap(),
        true,
        "at least one row",
    );
    let answer = |folder: &Path| replace(folder, "parity.jsonl", "\"click\":[0.0", "\"click\":[0.1");
    check_refused(answer, true, "parity.jsonl:1: the model answers");
    let narrow = |folder: &Path| {
        let start = |text: &str| {
            text.find("[[feature]]\nname = \"interstitial\"")
                .expect("a number")
        };
        let text = fs::read_to_string(folder.join("schema.toml")).unwrap();
        let from = start(&text);
        let to = from + 1 + text[from + 1..].find("[[feature]]").expect("another");
        fs::write(
            folder.join("schema.toml"),
            format!("{}{}", &text[..from], &text[to..]),
        )
        .unwrap();
    };
    check_refused(narrow, true, "does not fit the schema's inputs");
}

#[test]
fn only_a_model_that_passes_is_promoted() {
    let (root, folder) = copy();
    let pointer = root.path().join("models.toml");
    fs::write(&pointer, "[bid]\nmodel = \"ctr/7\" # now\n").unwrap();
    let name = ModelName::parse("ctr/1").unwrap();
    seal(&folder, "fail");
    assert!(
        promote(root.path(), &name, &pointer)
            .unwrap_err()
            .to_string()
            .contains("the verdict on ctr/1 is `fail`")
    );
    seal(&folder, "pass");
    promote(root.path(), &name, &pointer).unwrap();
    assert_eq!(
        fs::read_to_string(&pointer).unwrap(),
        "[bid]\nmodel = \"ctr/1\" # now\n"
    );
    edit(&folder, "card.md", |bytes| bytes.push(b'\n'));
    assert!(promote(root.path(), &name, &pointer).is_err());
    assert!(Gate::open(&folder, &"0".repeat(64)).is_err());
}

#[test]
fn a_training_row_holds_the_slots_that_serving_makes() {
    let tags = tags();
    let profile = profile(&tags);
    let ads = r#"{"line_item":"l","campaign":"c","advertiser":"a","creative":"k","domain":"d.example","cat":["IAB2"],"w":300,"h":250,"format":"banner"}"#;
    let ads = read_candidates(Path::new("ads"), Cursor::new(ads)).unwrap();
    let line = format!(
        r#"{{"time_ms":{},"exchange":"demo","imp":0,"line_item":"l","creative":"k","click":1,"conversion":0,"weight":2.5,"request":{}}}"#,
        NOW.0,
        BODY.replace('\n', " ")
    );
    let mut output = Cursor::new(Vec::new());
    let mut person = |_: &Request, _: &str, now: Timestamp| Person {
        profile: Some(profile),
        may_profile: true,
        hour: now.hour_of_week(-300),
    };
    let schema = MODEL.schema();
    let counts = write_rows(
        schema,
        &ads,
        Path::new("rows"),
        Cursor::new(line),
        &mut output,
        &mut person,
    )
    .unwrap();
    assert_eq!(
        (
            counts.rows,
            counts.clicks,
            counts.conversions,
            counts.with_profile
        ),
        (1, 1, 0, 1)
    );

    let mut context = ContextBuffer::default();
    with_request(BODY, |request| {
        MODEL.context(&input(request, Some(&profile), true), &mut context)
    });
    let words: Vec<u32> = output.get_ref()[32_768..]
        .chunks(4)
        .map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    let slots = schema.slots(Group::Context);
    assert_eq!(
        words[..6],
        [
            (NOW.0 / 1000) as u32,
            0,
            1,
            2.5f32.to_bits(),
            f32::NAN.to_bits(),
            f32::NAN.to_bits()
        ]
    );
    assert_eq!(words[6..6 + slots], context.slots);
    assert_eq!(words[6 + slots..], *MODEL.candidate_row(&ads[0].input()).slots);
    let header: serde_json::Value = serde_json::from_slice(&output.get_ref()[..32_768]).unwrap();
    assert_eq!(
        (header["rows"].as_u64(), header["context_slots"].as_u64()),
        (Some(1), Some(slots as u64))
    );
}

#[test]
fn a_line_that_is_no_row_is_refused_with_its_number() {
    let ads: [Candidate; 0] = [];
    let good = format!(
        r#"{{"time_ms":1,"exchange":"demo","imp":0,"line_item":"l","creative":"k","click":0,"conversion":0,"request":{}}}"#,
        BODY.replace('\n', " ")
    );
    for (line, expected) in [
        ("{}", "rows:1: missing field"),
        (
            &good,
            "rows:1: creative `k` of line item `l` is not among the candidates",
        ),
        (
            &good.replace("\"imp\":0", "\"imp\":3"),
            "rows:1: `imp` is 3; the request has 1",
        ),
    ] {
        let mut person = |_: &Request, _: &str, now: Timestamp| Person {
            profile: None,
            may_profile: false,
            hour: now.hour_of_week(0),
        };
        let input = Cursor::new(line.to_string());
        let output = Cursor::new(Vec::new());
        let error = write_rows(
            MODEL.schema(),
            &ads,
            Path::new("rows"),
            input,
            output,
            &mut person,
        )
        .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}\nlacks\n{expected}");
    }
}

#[test]
fn a_bag_keeps_its_first_values_and_leaves_the_rest_unused() {
    let feature = |schema: &Schema, source| {
        schema
            .features(Group::Candidate)
            .iter()
            .position(|f| f.source == source)
    };
    let many: Vec<String> = (0..20).map(|k| format!("IAB{k}")).collect();
    let (few, all) = (
        MODEL.candidate_row(&ad("l", &many[..4])),
        MODEL.candidate_row(&ad("l", &many)),
    );
    assert!(feature(MODEL.schema(), Source::AdCategories).is_some());
    assert_eq!(few, all, "the bag of the shipped schema holds four");
    let none = MODEL.candidate_row(&ad("l", &[]));
    assert!(none.slots.contains(&Schema::UNUSED));
    assert!(none.columns.iter().all(|column| column.is_finite()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_domain_region_and_keywords_encode_within_the_schema(domain in ".{0,300}", region in ".{0,10}", words in ".{0,400}") {
        let body = serde_json::json!({
            "id": "1", "imp": [{"id": "1", "banner": {}}],
            "site": {"domain": domain, "keywords": words},
            "device": {"geo": {"region": region}},
        });
        let mut context = ContextBuffer::default();
        with_request(&body.to_string(), |request| MODEL.context(&input(request, None, true), &mut context));
        prop_assert!(context.columns.iter().all(|column| column.is_finite()));
        let scores = score(&mut Scorer::default(), &MODEL, &context.columns, &candidates(&MODEL, 2));
        prop_assert_eq!(scores.len(), 2);
    }
}
