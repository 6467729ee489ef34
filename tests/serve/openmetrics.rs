//! Reads a page in the OpenMetrics text format and refuses what the format does not allow.

use std::collections::BTreeMap;

/// Name with labels → value.
pub fn parse(page: &str) -> BTreeMap<String, f64> {
    let body = page.strip_suffix("# EOF\n").expect("a page ends with # EOF");
    let mut kinds = BTreeMap::new();
    let mut samples = BTreeMap::new();
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let words: Vec<_> = comment.splitn(3, ' ').collect();
            match words[..] {
                ["TYPE", name, kind] => assert!(
                    kinds.insert(name.to_owned(), kind.to_owned()).is_none(),
                    "two types: {line}"
                ),
                ["HELP" | "UNIT", name, _] => assert!(!name.is_empty(), "{line}"),
                _ => panic!("no comment of the format: {line}"),
            }
            continue;
        }
        let (name, value) = line
            .rsplit_once(' ')
            .unwrap_or_else(|| panic!("no sample: {line:?}"));
        check_name(name, &kinds);
        let value = value
            .parse()
            .unwrap_or_else(|_| panic!("no number at the end of {line}"));
        assert!(
            samples.insert(name.to_owned(), value).is_none(),
            "stands twice: {name}"
        );
    }
    check_histograms(&samples, &kinds);
    samples
}

fn check_name(sample: &str, kinds: &BTreeMap<String, String>) {
    let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
    assert!(
        name.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
    );
    assert!(
        labels.ends_with('}') && labels.matches('"').count() % 2 == 0,
        "{sample}"
    );
    let suffixes: &[(&str, &str)] = &[
        ("counter", "_total"),
        ("histogram", "_bucket"),
        ("histogram", "_sum"),
        ("histogram", "_count"),
        ("gauge", ""),
    ];
    let fits = suffixes.iter().any(|(kind, suffix)| {
        name.strip_suffix(suffix)
            .is_some_and(|family| kinds.get(family).is_some_and(|known| known == kind))
    });
    assert!(fits, "{sample} belongs to no family that was announced");
}

/// Buckets only grow, and the last one holds all.
fn check_histograms(samples: &BTreeMap<String, f64>, kinds: &BTreeMap<String, String>) {
    for family in kinds.iter().filter(|(_, kind)| *kind == "histogram") {
        let start = format!("{}_bucket{{", family.0);
        let mut rows: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        for (name, count) in samples.iter().filter(|(name, _)| name.starts_with(&start)) {
            let (labels, bound) = name[start.len()..].split_once("le=\"").expect("a bucket has le");
            let (bound, more) = bound.split_once('"').expect("a label is closed");
            let labels = format!("{labels}{more}").replace(['}', ','], "");
            rows.entry(labels)
                .or_default()
                .push((bound.parse().unwrap(), *count));
        }
        for (labels, mut buckets) in rows {
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(
                buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1),
                "{labels}: {buckets:?}"
            );
            let (bound, all) = buckets[buckets.len() - 1];
            assert_eq!(bound, f64::INFINITY);
            assert_eq!(
                samples[&format!("{}_count{{{labels}}}", family.0)],
                all,
                "{labels}"
            );
        }
    }
}
