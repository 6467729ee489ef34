//! Golden files: what `tests/golden/cases/*.toml` say is decided. Invariant: a case sees nothing of the one before it.

use crate::laws;
use crate::stage::{At, CANDIDATES, Stage, with_request_as};
use outbid::certify::protobuf;
use outbid::engine::{Outcome, Scratch, Snapshot};
use outbid::openrtb::WireFormat;
use outbid::openrtb::request::Request;
use outbid::units::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Wednesday 2026-11-18, 15:00 UTC, 10:00 in New York.
pub const NOW: Timestamp = Timestamp(1_795_014_000_000);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: String,
    #[serde(flatten)]
    setting: Setting,
    case: Vec<Case>,
}

impl File {
    /// At least one case bids, and at least one is decided otherwise.
    fn shows_both_sides(&self) -> bool {
        let bids = |case: &Case| case.expect.contains("\nimp ");
        let first = self.case.iter().find(|case| bids(case));
        first.is_some_and(|twin| self.case.iter().any(|case| case.expect != twin.expect))
    }
}

#[derive(Deserialize)]
struct Case {
    when: String,
    expect: String,
    #[serde(flatten)]
    setting: Setting,
}

/// What a file or a case changes; a case comes on top of its file.
#[derive(Clone, Default, Deserialize)]
struct Setting {
    base: Option<String>,
    request: Option<String>,
    imp: Option<String>,
    #[serde(default)]
    edits: Vec<[String; 3]>,
    #[serde(default)]
    configuration: BTreeMap<String, String>,
    now: Option<String>,
    candidates: Option<usize>,
    seed: Option<u64>,
    #[serde(default)]
    open: usize,
    #[serde(default)]
    shown: usize,
    hours_ago: Option<i64>,
    #[serde(default)]
    clicked: bool,
    bought: Option<[String; 2]>,
}

/// Every key that a file or a case may have: an unknown one is a case that does not test what it says.
const KEYS: &[&str] = &[
    "title",
    "case",
    "when",
    "expect",
    "base",
    "request",
    "imp",
    "edits",
    "configuration",
    "now",
    "candidates",
    "seed",
    "open",
    "shown",
    "hours_ago",
    "clicked",
    "bought",
];

/// Runs every case with its request in a format; with `UPDATE_GOLDEN=1` in the environment it writes what is decided on
/// JSON into the files. The cases whose request can be written in the format.
pub fn run_all(format: WireFormat) -> usize {
    let update =
        format == WireFormat::Json && std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1");
    let mut files: Vec<PathBuf> = fs::read_dir(golden("cases"))
        .expect("the folder of cases")
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    files.sort();
    let (mut cases, mut wrong) = (0, String::new());
    for path in files {
        let text = fs::read_to_string(&path).expect("a readable file");
        let file = parse(&path, &text);
        let decided: Vec<Option<String>> = file.case.iter().map(|case| decide(&file, case, format)).collect();
        if update {
            let decided: Vec<String> = decided.into_iter().flatten().collect();
            fs::write(&path, with_expectations(&text, &decided)).expect("a writable file");
            continue;
        }
        assert!(
            file.shows_both_sides(),
            "{}: a rule needs its twin, which bids",
            path.display()
        );
        for (case, decided) in file.case.iter().zip(&decided) {
            let Some(decided) = decided else { continue };
            cases += 1;
            if case.expect != *decided {
                let (title, when, expect) = (&file.title, &case.when, &case.expect);
                let name = path.display();
                write!(
                    wrong,
                    "{name}: {title}: {when}\nexpected\n{expect}\ndecided\n{decided}\n"
                )
                .expect("a string");
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{wrong}\nUPDATE_GOLDEN=1 writes what is decided into the files"
    );
    cases
}

/// A stage of the shared configuration with some files replaced, added or edited.
pub fn stage(files: &[(&str, &str)], edits: &[(&str, &str, &str)], now: Timestamp) -> Stage {
    let folder = tempfile::tempdir().expect("a temporary folder");
    copy(&golden("configuration"), folder.path());
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("within the folder")).expect("a writable folder");
        fs::write(path, text).expect("a writable folder");
    }
    for (name, from, to) in edits {
        let path = folder.path().join(name);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            text.matches(from).count(),
            1,
            "{name}: `{from}` must stand there once"
        );
        fs::write(&path, text.replace(from, to)).expect("a writable folder");
    }
    Stage::open(folder.path(), now)
}

/// A request of `tests/golden/requests/` as a value.
pub fn base_request(name: &str) -> Value {
    let path = golden("requests").join(format!("{name}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The decision as a case expects it.
pub fn describe(request: &Request, snapshot: &Snapshot, scratch: &Scratch, outcome: Outcome) -> String {
    let mut out = String::from("\n");
    describe_user(scratch, &mut out);
    let (matched, scored) = (scratch.matched, scratch.scored);
    writeln!(out, "matched {matched}, scored {scored}").expect("a string");
    match outcome {
        Outcome::NoBid(reason) => writeln!(out, "no bid: {}", reason.name()).expect("a string"),
        Outcome::Bids(terms) => {
            for bid in &scratch.bids {
                let candidate = &bid.candidate;
                let imp = &request.imps[usize::from(candidate.imp)];
                let item = &snapshot.campaigns.line_items()[candidate.line_item as usize];
                let position = item.creatives[usize::from(candidate.creative)] as usize;
                let creative = &snapshot.campaigns.creatives()[position].definition.id;
                let markup = format!("{:?}", snapshot.templates[position].markup_type()).to_lowercase();
                write!(
                    out,
                    "imp {}: {} with {creative}, {markup}",
                    imp.id, item.definition.id
                )
                .expect("a string");
                if let Some(protocol) = candidate.fit.protocol() {
                    write!(out, " by protocol {protocol}").expect("a string");
                }
                if candidate.fit.extra_attribute().is_some() {
                    out.push_str(" with a skip button");
                }
                write!(out, ", at {} {}", bid.price, terms.currency).expect("a string");
                if let Some(deal) = candidate.deal {
                    write!(out, " in {}", request.deals(imp)[usize::from(deal)].id).expect("a string");
                }
                write!(out, ", holding {} for {} s", bid.reserved, bid.exp_s).expect("a string");
                out.push_str(if bid.group.is_some() {
                    ", all or none\n"
                } else {
                    "\n"
                });
            }
        }
    }
    let fell_out: Vec<String> = scratch
        .funnel
        .iter()
        .map(|(reason, count)| format!("{} {count}", reason.name()))
        .collect();
    if !fell_out.is_empty() {
        writeln!(out, "fell out: {}", fell_out.join(", ")).expect("a string");
    }
    out.remove(0);
    out
}

fn describe_user(scratch: &Scratch, out: &mut String) {
    let audience = &scratch.audience;
    let user = match (audience.consent, audience.has_profile, audience.key) {
        (None, ..) => "not looked for".to_owned(),
        (Some(consent), ..) if !consent.personal_data => {
            format!("must not be known ({})", consent.decided_by.as_str())
        }
        (_, true, _) => "known".to_owned(),
        (_, false, Some(_)) => "a stranger".to_owned(),
        (_, false, None) => "without an id".to_owned(),
    };
    writeln!(out, "user: {user}").expect("a string");
}

fn parse(path: &Path, text: &str) -> File {
    let tree: toml::Table =
        toml::from_str(text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let cases = tree
        .get("case")
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten();
    let tables = cases.filter_map(toml::Value::as_table).chain([&tree]);
    for key in tables.flat_map(|table| table.keys()) {
        assert!(
            KEYS.contains(&key.as_str()),
            "{}: unknown key `{key}`",
            path.display()
        );
    }
    toml::from_str(text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `None` where the request cannot be written in the format.
fn decide(file: &File, case: &Case, format: WireFormat) -> Option<String> {
    let settings = [&file.setting, &case.setting];
    let last = |read: fn(&Setting) -> Option<String>| settings.iter().rev().find_map(|s| read(s));
    let now = last(|s| s.now.clone()).map_or(NOW, |text| parse_time(&text));
    let files: Vec<(&str, &str)> = settings
        .iter()
        .flat_map(|s| &s.configuration)
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let edits: Vec<(&str, &str, &str)> = settings
        .iter()
        .flat_map(|s| &s.edits)
        .map(|[name, from, to]| (name.as_str(), from.as_str(), to.as_str()))
        .collect();
    let earlier = Timestamp(now.0 - case.setting.hours_ago.unwrap_or(1) * Timestamp::MS_PER_HOUR);
    let before = if case.setting.shown > 0 { earlier } else { now };
    let mut stage = stage(&files, &edits, NOW.min(before));
    let mut body = base_request(last(|s| s.base.clone()).as_deref().unwrap_or("banner"));
    for setting in settings {
        if let Some(patch) = &setting.request {
            merge(&mut body, json(patch));
        }
        if let Some(patch) = &setting.imp {
            merge(&mut body["imp"][0], json(patch));
        }
    }
    let at = At {
        now,
        seed: settings.iter().rev().find_map(|s| s.seed).unwrap_or(1),
        candidates: settings
            .iter()
            .rev()
            .find_map(|s| s.candidates)
            .unwrap_or(CANDIDATES),
    };
    let name = format!("{}: {}", file.title, case.when);
    let body = write_as(format, &body)?;
    let decision = with_request_as(format, body, |request| {
        for _ in 0..case.setting.shown {
            stage.decide(request, At { now: earlier, ..at });
            stage.show_all(earlier);
            if case.setting.clicked {
                stage.click_all(earlier);
            }
            if let Some([advertiser, event]) = &case.setting.bought {
                stage.buy(advertiser, event, earlier);
            }
        }
        stage.live.budgets.tick(now);
        for _ in 0..case.setting.open {
            stage.decide(request, at);
        }
        let outcome = stage.decide(request, at);
        laws::check(request, &stage, outcome, at).unwrap_or_else(|broken| panic!("{name}: {broken}"));
        describe(request, &stage.snapshot, &stage.scratch, outcome)
    });
    Some(decision.unwrap_or_else(|| panic!("{name}: the request is refused")))
}

/// Protobuf has no place for values of another type than the specification's, and none for some extensions of 2.5.
fn write_as(format: WireFormat, request: &Value) -> Option<Vec<u8>> {
    const NOWHERE: [&str; 4] = [
        "/ext/schain",
        "/imp/0/ext/rwdd",
        "/regs/ext/gpp",
        "/regs/ext/gpp_sid",
    ];
    match format {
        WireFormat::Json => Some(request.to_string().into_bytes()),
        WireFormat::Protobuf if NOWHERE.iter().any(|path| request.pointer(path).is_some()) => None,
        WireFormat::Protobuf => protobuf::encode(request).ok(),
    }
}

/// The n-th `expect` of the text replaced by the n-th decision.
fn with_expectations(text: &str, decided: &[String]) -> String {
    const START: &str = "expect = '''\n";
    let mut parts = text.split(START);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for (part, decided) in parts.zip(decided) {
        let (_, rest) = part.split_once("'''").expect("an expectation ends");
        write!(out, "{START}{decided}'''{rest}").expect("a string");
    }
    out
}

/// RFC 7386.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let fields = target.as_object_mut().expect("made one above");
    for (key, value) in patch {
        if value.is_null() {
            fields.remove(&key);
        } else {
            merge(fields.entry(key).or_insert(Value::Null), value);
        }
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn parse_time(text: &str) -> Timestamp {
    let time: jiff::Timestamp = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    Timestamp(time.as_millisecond())
}

fn golden(part: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(part)
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("a readable folder");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&target).expect("a writable folder");
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a writable folder");
        }
    }
}
