//! Scoring 1, 8 and 32 candidates with features, as a bid does; beside the naive way, one run per candidate.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use outbid::openrtb::RequestBuffers;
use outbid::store::models::{
    AdFormat, CandidateInput, CandidateRow, ContextBuffer, ContextInput, Model, Scorer,
};
use outbid::store::profiles::{Gender, Profile, Tag, TagId};
use outbid::units::{Nanos, Timestamp, UserKey};
use std::hint::black_box;
use std::path::Path;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/registry/ctr/1");
const BODY: &str = r#"{"id":"1","imp":[{"id":"1","banner":{"w":300,"h":250,"pos":1},"tagid":"slot-1","secure":1}],
  "site":{"domain":"news.example","cat":["IAB2","IAB12"],"keywords":"cars,races","publisher":{"id":"pub-1"}},
  "device":{"os":"Android","devicetype":4,"language":"en","geo":{"country":"USA","region":"CA"}},"user":{"buyeruid":"u"}}"#;
const NOW: Timestamp = Timestamp(1_790_812_800_000);

fn tags() -> Vec<Tag> {
    let tag = |k| Tag {
        id: TagId::of(&format!("tag:{k}")).0,
        dimension: 0,
        weight: 100,
        day: 2000,
    };
    let mut tags: Vec<Tag> = (0..25).map(tag).collect();
    tags.sort_by_key(|tag| tag.id);
    tags
}

fn rows(model: &Model, n: usize) -> Vec<CandidateRow> {
    let categories = ["IAB2".to_string()];
    let row = |k| {
        model.candidate_row(&CandidateInput {
            line_item: &format!("line-item-{k}"),
            campaign: "campaign",
            advertiser: "advertiser",
            creative: "creative",
            domain: "brand.example",
            categories: &categories,
            w: 300,
            h: 250,
            format: AdFormat::Banner,
            languages: &[],
        })
    };
    (0..n).map(row).collect()
}

fn score(c: &mut Criterion) {
    let model = Model::load(Path::new(FOLDER)).expect("the shipped model");
    let mut body = BODY.as_bytes().to_vec();
    let request = RequestBuffers::default()
        .parse(&mut body)
        .expect("a sound request");
    let tags = tags();
    let profile = Profile {
        key: UserKey(1),
        gender: Gender::Unknown,
        birth_year: Some(1990),
        country: None,
        language: None,
        utc_offset_min: None,
        ltv: Nanos(1_000_000_000),
        monetary: Nanos(1_000_000_000),
        frequency: 3,
        last_active_day: Some(20_000),
        tags: &tags,
    };
    let input = ContextInput {
        request: &request,
        imp: &request.imps[0],
        exchange: "demo",
        hour: NOW.hour_of_week(0),
        profile: Some(&profile),
        may_profile: true,
        now: NOW,
    };
    let (mut context, mut scorer) = (ContextBuffer::default(), Scorer::default());
    let (mut matrix, mut scores) = (Vec::new(), Vec::new());
    let mut group = c.benchmark_group("score");
    group.bench_function("context features", |b| {
        b.iter(|| model.context(black_box(&input), &mut context));
    });
    for n in [1, 8, 32] {
        let rows = rows(&model, n);
        group.bench_function(BenchmarkId::new("one batch", n), |b| {
            b.iter(|| {
                model.context(black_box(&input), &mut context);
                matrix.clear();
                rows.iter().for_each(|row| matrix.extend_from_slice(&row.columns));
                scorer
                    .score(&model, &context.columns, &matrix, &mut scores)
                    .expect("scored");
                black_box(scores.last());
            });
        });
        group.bench_function(BenchmarkId::new("row by row", n), |b| {
            b.iter(|| {
                for row in &rows {
                    model.context(black_box(&input), &mut context);
                    scorer
                        .score(&model, &context.columns, &row.columns, &mut scores)
                        .expect("scored");
                    black_box(scores.last());
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, score);
criterion_main!(benches);
