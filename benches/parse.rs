//! Parsing a bid request: this parser on JSON and on protobuf, beside serde_json into typed structs and into a generic
//! value, beside prost into owned structs, and beside building the simd-json tape alone, which is the part that cannot be
//! saved.
//!
//! The typed rival borrows all text, reads fewer fields and forgives nothing, so it has the easier job; prost reads the
//! same fields as this parser, but none of their meaning. `OUTBID_REQUESTS=FILE`, one request a line, measures those too,
//! one after the other.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use outbid::certify::protobuf;
use outbid::openrtb::{
    RequestBuffers, WireFormat, browser,
    privacy::{Consent, PrivacyPolicy},
};
use prost::Message;
use std::hint::black_box;

criterion_group!(benches, parse, stream, recognise);
criterion_main!(benches);

const UA: &str = "Mozilla/5.0 (Linux; Android 13; Pixel 7) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/124.0.0.0 Mobile Safari/537.36";

fn parse(criterion: &mut Criterion) {
    race(criterion, "banner", &[banner()]);
    race(criterion, "video_and_native", &[video_and_native()]);
}

/// Recorded requests, if there are any.
fn stream(criterion: &mut Criterion) {
    let Some(path) = std::env::var_os("OUTBID_REQUESTS") else {
        return;
    };
    let file = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let bodies: Vec<Vec<u8>> = lines.map(<[u8]>::to_vec).collect();
    race(criterion, "stream", &bodies);
}

/// Every parser on the same requests, in turn.
fn race(criterion: &mut Criterion, name: &str, bodies: &[Vec<u8>]) {
    let encode = |body: &Vec<u8>| {
        let request = serde_json::from_slice(body).expect("JSON");
        protobuf::encode(&request).expect("a request of the specification's types")
    };
    let messages: Vec<Vec<u8>> = bodies.iter().map(encode).collect();
    let mut group = criterion.benchmark_group(format!("parse/{name}"));
    let bytes: usize = bodies.iter().map(Vec::len).sum();
    group.throughput(Throughput::Bytes((bytes / bodies.len()) as u64));
    for (label, format, bodies) in [
        ("outbid", WireFormat::Json, bodies),
        ("outbid_protobuf", WireFormat::Protobuf, &messages),
    ] {
        let (mut buffers, mut scratch) = (RequestBuffers::default(), Vec::new());
        let mut turns = bodies.iter().cycle();
        group.bench_function(label, |bencher| {
            bencher.iter(|| {
                scratch.clear();
                scratch.extend_from_slice(turns.next().expect("a cycle"));
                let request = buffers.parse_as(format, &mut scratch).expect("a sound request");
                black_box(Consent::decide(&request, &PrivacyPolicy::default()));
                buffers.recycle(request);
            });
        });
    }
    let mut turns = messages.iter().cycle();
    group.bench_function("prost", |bencher| {
        bencher.iter(|| {
            let message: &[u8] = turns.next().expect("a cycle");
            black_box(
                protobuf::BidRequest::decode(message)
                    .expect("a message")
                    .imp
                    .len(),
            )
        });
    });
    // Text that is escaped cannot be borrowed, so the typed rival is spared it.
    let plain = |body: &&Vec<u8>| serde_json::from_slice::<typed::BidRequest<'_>>(body).is_ok();
    let borrowable: Vec<&Vec<u8>> = bodies.iter().filter(plain).collect();
    let mut turns = borrowable.into_iter().cycle();
    group.bench_function("serde_json_typed", |bencher| {
        bencher.iter(|| {
            let body = turns.next().expect("a cycle");
            let request: typed::BidRequest<'_> = serde_json::from_slice(body).expect("typed");
            black_box(request.imp.len())
        });
    });
    let mut turns = bodies.iter().cycle();
    group.bench_function("serde_json_value", |bencher| {
        bencher.iter(|| {
            let body = turns.next().expect("a cycle");
            let request: serde_json::Value = serde_json::from_slice(body).expect("a value");
            black_box(request.is_object())
        });
    });
    let (mut tape_buffers, mut tape) = (simd_json::Buffers::default(), simd_json::Tape(Vec::new()));
    let (mut turns, mut scratch) = (bodies.iter().cycle(), Vec::new());
    group.bench_function("simd_json_tape_alone", |bencher| {
        bencher.iter(|| {
            scratch.clear();
            scratch.extend_from_slice(turns.next().expect("a cycle"));
            let mut filled = std::mem::replace(&mut tape, simd_json::Tape(Vec::new())).reset();
            simd_json::fill_tape(&mut scratch, &mut tape_buffers, &mut filled).expect("well formed");
            black_box(&filled);
            tape = filled.reset();
        });
    });
    group.finish();
}

fn recognise(criterion: &mut Criterion) {
    criterion.bench_function("browser/recognise", |bencher| {
        bencher.iter(|| browser::recognise(black_box(UA)))
    });
}

/// About 1 KB, as web exchanges send it.
fn banner() -> Vec<u8> {
    let body = serde_json::json!({
        "id": "7b1d3f52-0c7a-4e0e-9d61-2f8f6f0a9c11", "at": 1, "tmax": 120, "cur": ["USD"],
        "imp": [{
            "id": "1", "tagid": "slot-17", "secure": 1, "bidfloor": 0.35, "bidfloorcur": "USD",
            "banner": {"format": [{"w": 300, "h": 250}, {"w": 336, "h": 280}], "pos": 1, "battr": [1, 3, 8, 9, 14, 17]},
        }],
        "site": {
            "id": "s-204", "domain": "gardening.example", "page": "https://gardening.example/roses/pruning",
            "cat": ["IAB10", "IAB10-4"], "keywords": "roses,pruning", "publisher": {"id": "p-9", "domain": "media.example"},
        },
        "device": {
            "ua": UA, "ip": "203.0.113.0", "devicetype": 4, "language": "en", "lmt": 0,
            "geo": {"country": "USA", "region": "OR", "city": "Portland", "type": 2, "utcoffset": -480},
        },
        "user": {
            "id": "u-81f20a", "buyeruid": "b-5512aa90",
            "data": [{"id": "topics", "segment": [{"id": "47", "value": "0.25"}, {"id": "438", "value": "0.75"}]}],
        },
        "bcat": ["IAB7-39", "IAB8-5", "IAB25", "IAB26"],
        "badv": ["casino.example", "lottery.example", "loans.example", "pills.example", "dating.example"],
        "regs": {"coppa": 0}, "source": {"tid": "t-77", "fd": 1},
    });
    serde_json::to_vec(&body).expect("a value is written")
}

/// Two imps of richer formats, the native request as a string inside.
fn video_and_native() -> Vec<u8> {
    let native = serde_json::json!({"ver": "1.2", "eventtrackers": [{"event": 1, "methods": [1, 2]}], "assets": [
        {"id": 1, "required": 1, "title": {"len": 90}}, {"id": 2, "required": 1, "img": {"type": 3, "wmin": 600, "hmin": 315}},
        {"id": 3, "data": {"type": 2, "len": 140}}, {"id": 4, "data": {"type": 12}},
    ]});
    let mut body: serde_json::Value = serde_json::from_slice(&banner()).expect("just written");
    body["imp"] = serde_json::json!([
        {"id": "1", "bidfloor": 4.0, "video": {
            "mimes": ["video/mp4", "video/webm"], "protocols": [2, 3, 5, 6, 7, 8], "w": 1280, "h": 720, "minduration": 5,
            "maxduration": 30, "linearity": 1, "plcmt": 1, "api": [7], "skip": 1, "startdelay": 0, "playbackmethod": [2],
        }, "pmp": {"private_auction": 0, "deals": [{"id": "deal-1", "bidfloor": 6.5, "at": 1, "wseat": ["seat-1"]}]}},
        {"id": "2", "bidfloor": 0.8, "native": {"request": native.to_string(), "ver": "1.2"}},
    ]);
    serde_json::to_vec(&body).expect("a value is written")
}

/// What a bidder would write with serde, for the fields in the requests above.
#[allow(dead_code, reason = "the rival has to read the fields, nobody looks at them")]
mod typed {
    use serde::Deserialize;

    #[derive(Deserialize)]
    pub struct BidRequest<'a> {
        id: &'a str,
        #[serde(borrow)]
        pub imp: Vec<Imp<'a>>,
        at: Option<u32>,
        tmax: Option<u32>,
        #[serde(default)]
        cur: Vec<&'a str>,
        site: Option<Site<'a>>,
        device: Option<Device<'a>>,
        user: Option<User<'a>>,
        #[serde(default)]
        bcat: Vec<&'a str>,
        #[serde(default)]
        badv: Vec<&'a str>,
    }

    #[derive(Deserialize)]
    pub struct Imp<'a> {
        id: &'a str,
        tagid: Option<&'a str>,
        secure: Option<u32>,
        bidfloor: Option<f64>,
        bidfloorcur: Option<&'a str>,
        banner: Option<Banner>,
        #[serde(borrow)]
        video: Option<Video<'a>>,
        native: Option<Native>,
        pmp: Option<Pmp<'a>>,
    }

    #[derive(Deserialize)]
    struct Banner {
        #[serde(default)]
        format: Vec<Format>,
        #[serde(default)]
        battr: Vec<u32>,
        pos: Option<u32>,
    }

    #[derive(Deserialize)]
    struct Format {
        w: u32,
        h: u32,
    }

    #[derive(Deserialize)]
    struct Video<'a> {
        #[serde(borrow)]
        mimes: Vec<&'a str>,
        protocols: Vec<u32>,
        w: Option<u32>,
        h: Option<u32>,
        minduration: Option<u32>,
        maxduration: Option<u32>,
        linearity: Option<u32>,
        plcmt: Option<u32>,
        #[serde(default)]
        api: Vec<u32>,
        skip: Option<u32>,
        startdelay: Option<i32>,
    }

    /// The native request stays an unread string, and has to be copied because it is escaped.
    #[derive(Deserialize)]
    struct Native {
        request: String,
    }

    #[derive(Deserialize)]
    struct Pmp<'a> {
        private_auction: u32,
        #[serde(borrow)]
        deals: Vec<Deal<'a>>,
    }

    #[derive(Deserialize)]
    struct Deal<'a> {
        id: &'a str,
        bidfloor: f64,
        at: u32,
        #[serde(borrow)]
        wseat: Vec<&'a str>,
    }

    #[derive(Deserialize)]
    struct Site<'a> {
        id: Option<&'a str>,
        domain: Option<&'a str>,
        page: Option<&'a str>,
        #[serde(borrow, default)]
        cat: Vec<&'a str>,
        keywords: Option<&'a str>,
        publisher: Option<Publisher<'a>>,
    }

    #[derive(Deserialize)]
    struct Publisher<'a> {
        id: Option<&'a str>,
        domain: Option<&'a str>,
    }

    #[derive(Deserialize)]
    struct Device<'a> {
        ua: Option<&'a str>,
        ip: Option<std::net::IpAddr>,
        devicetype: Option<u32>,
        language: Option<&'a str>,
        lmt: Option<u32>,
        #[serde(borrow)]
        geo: Option<Geo<'a>>,
    }

    #[derive(Deserialize)]
    struct Geo<'a> {
        country: Option<&'a str>,
        region: Option<&'a str>,
        city: Option<&'a str>,
        utcoffset: Option<i32>,
    }

    #[derive(Deserialize)]
    struct User<'a> {
        id: Option<&'a str>,
        buyeruid: Option<&'a str>,
        #[serde(borrow, default)]
        data: Vec<Data<'a>>,
    }

    #[derive(Deserialize)]
    struct Data<'a> {
        id: Option<&'a str>,
        #[serde(borrow, default)]
        segment: Vec<Segment<'a>>,
    }

    #[derive(Deserialize)]
    struct Segment<'a> {
        id: Option<&'a str>,
        value: Option<&'a str>,
    }
}
