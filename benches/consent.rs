//! Reading consent strings, beside a reader that unpacks every vendor into a set as general libraries do; it is paid
//! once for each request with a string, before anything else is known of the user.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use encode::{TcString, Vendors, gpp, us_core};
use outbid::openrtb::privacy::{gpp as sections, tcf};
use std::hint::black_box;

#[path = "../tests/privacy/encode.rs"]
#[allow(dead_code, reason = "shared with the tests, which write more than this")]
mod encode;

criterion_group!(benches, consent);
criterion_main!(benches);

const VENDOR: u16 = 755;

fn consent(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("consent");
    for (name, string) in [
        ("tcf_bits", as_bits()),
        ("tcf_ranges", as_ranges()),
        ("tcf_restricted", restricted()),
        ("tcf_longest", longest()),
    ] {
        let text = string.text();
        tcf::read(&text, VENDOR).expect("a valid string");
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| tcf::read(black_box(&text), VENDOR));
        });
        group.bench_function(format!("{name}_unpacked"), |bencher| {
            bencher.iter(|| unpacked::vendors(black_box(&text)).len());
        });
    }
    let text = gpp(&[(6, "1YNN".into()), (7, us_core(2, &[2; 32]) + ".QA")]);
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("gpp_usnat", |bencher| {
        bencher.iter(|| sections::read(black_box(&text), &[7], None));
    });
    group.finish();
}

/// As platforms with the whole vendor list write it: a bit for each of 1,200 vendors, three times.
fn as_bits() -> TcString {
    let most = Vendors::Bits((1..=1200).filter(|id| id % 7 != 0).collect());
    TcString {
        consented: most.clone(),
        interested: most.clone(),
        disclosed: Some(most),
        ..TcString::all(VENDOR)
    }
}

/// A short list of vendors, as publishers with their own choice of them have.
fn as_ranges() -> TcString {
    let few = Vendors::Ranges((1..20).map(|id| (id * 40, id * 40 + id % 2)).collect());
    TcString {
        consented: few.clone(),
        interested: few.clone(),
        disclosed: Some(few),
        ..TcString::all(VENDOR)
    }
}

fn restricted() -> TcString {
    let all = vec![(1, 1200)];
    TcString {
        restrictions: (2..=11).map(|purpose| (purpose, 1, all.clone())).collect(),
        ..as_bits()
    }
}

/// Ranges up to the longest text that is read.
fn longest() -> TcString {
    let singles = |count: u16| (1..=count).map(|id| (id * 3, id * 3)).collect::<Vec<_>>();
    TcString {
        restrictions: (7..=9).map(|purpose| (purpose, 1, singles(3700))).collect(),
        ..as_ranges()
    }
}

/// The naive reader: every bit a `bool`, every vendor an entry of a set.
mod unpacked {
    use base64::Engine;
    use base64::alphabet::URL_SAFE;
    use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
    use std::collections::BTreeSet;

    pub fn vendors(text: &str) -> BTreeSet<u64> {
        let config = GeneralPurposeConfig::new()
            .with_encode_padding(false)
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent);
        let engine = GeneralPurpose::new(&URL_SAFE, config);
        let core = text.split('.').next().unwrap_or("");
        // Whole groups of four characters, as base64 wants them.
        let padded = format!("{core}{}", &"AAA"[..(4 - core.len() % 4) % 4]);
        let bytes = engine.decode(padded).expect("base64url");
        let bits: Vec<bool> = bytes
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1))
            .collect();
        let int = |at: usize, width: usize| {
            bits[at..at + width]
                .iter()
                .fold(0_u64, |sum, bit| sum * 2 + u64::from(*bit))
        };
        let (max, as_ranges) = (int(213, 16), bits[229]);
        if !as_ranges {
            return (1..=max).filter(|id| bits[229 + *id as usize]).collect();
        }
        let mut found = BTreeSet::new();
        let mut at = 242;
        for _ in 0..int(230, 12) {
            let (first, is_range) = (int(at + 1, 16), bits[at]);
            let last = if is_range { int(at + 17, 16) } else { first };
            found.extend(first..=last);
            at += if is_range { 33 } else { 17 };
        }
        found
    }
}
