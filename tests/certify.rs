//! `certify` judged: by servers that cannot pass, and by our own bidder with each of its rules off in turn.
//!
//! Invariant: nothing in the bidder can be switched off for this: what is off stands between it and `certify`.

#[path = "certify/mutants.rs"]
mod mutants;
#[path = "certify/outbid.rs"]
mod outbid_process;
#[path = "certify/proxy.rs"]
mod proxy;
#[path = "certify/server.rs"]
mod server;

use mutants::Mutant;
use outbid::certify::{Address, Report, Settings, certify};
use outbid_process::Outbid;
use proxy::{Behind, Twist};
use serde_json::json;
use server::{Reply, Server};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

#[test]
fn a_server_that_never_bids_is_not_certified_and_passes_nothing() {
    passes_nothing(204);
}

#[test]
fn a_server_that_refuses_everything_is_not_certified_and_passes_nothing() {
    passes_nothing(400);
}

#[test]
fn a_server_that_breaks_down_is_not_certified_and_passes_nothing() {
    passes_nothing(500);
}

#[test]
fn a_server_that_always_bids_the_same_fails_every_rule_that_forbids_a_bid() {
    let bid = json!({
        "id": "fixed-1", "impid": "1", "price": 2.0, "nurl": "http://127.0.0.1:1/win?p=${AUCTION_PRICE}",
        "adm": "<a href=\"http://127.0.0.1:1/click\" style=\"color:red\">Brand</a>",
        "adomain": ["ads.brand.example"], "cat": ["IAB9-5"], "cid": "1", "crid": "1-1", "language": "en",
        "w": 300, "h": 250, "mtype": 1, "exp": 300,
    });
    let response = json!({"id": "fixed", "cur": "USD", "seatbid": [{"seat": "brand", "bid": [bid]}]});
    let server = Server::start(move |_| Reply::json(&response));
    let report = certify(&settings(server.address), |case| !LARGE.contains(&case.id));
    assert!(!report.passed());
    let failed = outcomes(&report, "fail");
    for id in [
        "response.id",
        "request.id.quotes",
        "request.cur.unknown",
        "request.tmax.tiny",
        "blocks.badv.exact",
        "blocks.bcat.exact",
        "blocks.wseat.other",
        "imp.floor.banner",
        "imp.id.digits",
        "imp.secure.banner",
        "banner.size.mismatch",
        "deals.private.unknown",
        "body.truncated",
        "body.imp.missing",
        "transport.get",
        "transport.no-bid",
    ] {
        assert!(
            failed.contains(&id),
            "{id} should fail: {:?}",
            reason(&report, id)
        );
    }
}

#[test]
fn a_bidder_that_falls_silent_passes_no_rule_that_forbids_a_bid() {
    // Enough for the search for requests, not for the cases.
    let left = AtomicUsize::new(20);
    let outbid = shared();
    let behind = Behind::of(&outbid);
    let server = Server::start(move |request| {
        let bids = left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok();
        if bids {
            behind.pass(request)
        } else {
            Reply::status(204)
        }
    });
    let report = certify(&settings(server.address), |case| {
        case.id.starts_with("blocks.badv")
    });
    assert!(!report.found.is_empty());
    assert!(!report.passed());
    assert_eq!(outcomes(&report, "pass"), [""; 0]);
    assert!(reason(&report, "blocks.badv.exact").contains("twin"));
}

#[test]
fn what_cannot_be_provoked_is_not_tested() {
    let outbid = shared();
    let without = Settings {
        deals: Vec::new(),
        admin: None,
        ..settings_of(&outbid)
    };
    let ids = ["deals.known.echo", "money.bill"];
    let report = certify(&without, |case| ids.contains(&case.id));
    for id in ids {
        assert_eq!(outcome(&report, id), "not tested", "{id}");
    }
}

#[test]
fn a_report_says_of_each_failure_what_was_sent_and_what_came() {
    let outbid = shared();
    let mutant = proxy::start(Behind::of(&outbid), Twist::Hide(&["imp.*.bidfloor"]));
    let report = certify(&settings(mutant.address), |case| case.id == "imp.floor.banner");
    let json = report.to_json();
    assert_eq!(json["passed"], false);
    let case = &json["cases"][0];
    assert_eq!(case["outcome"], "fail");
    assert!(case["request"].as_str().unwrap().contains("\"bidfloor\""));
    assert!(case["answer"].as_str().unwrap().contains("\"price\""));
    let table = report.to_string();
    assert!(
        table.contains("FAIL imp.floor.banner") && table.ends_with("FAILED"),
        "{table}"
    );
}

#[test]
fn credentials_are_sent_and_stay_out_of_the_report() {
    let outbid = shared();
    let behind = Behind::of(&outbid);
    let server = Server::start(move |request| match request.header("authorization") {
        Some("Bearer secret") => {
            let mut request = request.clone();
            proxy::edit(&mut request, |body| proxy::hide(body, "imp.*.bidfloor"));
            behind.pass(&request)
        }
        _ => Reply::status(401),
    });
    let mut settings = settings(server.address);
    settings.headers = vec![("Authorization".into(), "Bearer secret".into())];
    let report = certify(&settings, |case| case.id == "imp.floor.banner");
    assert_eq!(outcome(&report, "imp.floor.banner"), "fail");
    assert!(!report.to_json().to_string().contains("secret"));
}

#[test]
fn protobuf_is_not_tested_where_it_is_not_spoken() {
    let outbid = shared();
    let behind = Behind::of(&outbid);
    let without = Server::start(move |request| {
        let kind = request.header("content-type").unwrap_or_default();
        if kind.contains("protobuf") {
            Reply::status(415)
        } else {
            behind.pass(request)
        }
    });
    let report = certify(&settings(without.address), |case| {
        case.id.starts_with("transport.protobuf.")
    });
    let not_tested = outcomes(&report, "not tested");
    assert!(not_tested.len() >= 20 && not_tested.len() == report.results.len());
}

#[test]
fn a_server_that_does_not_speak_http_ends_the_run_early_with_the_reason() {
    for (says, reason) in [
        ("", "closed without an answer"),
        (
            "SSH-2.0-OpenSSH_9.2\r\n\r\n",
            "`SSH-2.0-OpenSSH_9.2` is no HTTP/1.1 status line",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{",
            "closed within an answer",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
            "longer than 16 MiB",
        ),
    ] {
        let report = certify(&settings(blunt(says.as_bytes().to_vec())), |_| true);
        assert!(!report.passed() && report.found.is_empty());
        assert_eq!(outcomes(&report, "pass"), [""; 0]);
        let silent = report.silent.as_deref().unwrap_or_default();
        assert!(silent.contains(reason), "{silent}");
    }
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let endless = [
        b"HTTP/1.1 200 OK\r\n".as_slice(),
        &b"X-More: yes\r\n".repeat(20_000),
    ]
    .concat();
    let report = certify(&settings(blunt(endless)), |_| true);
    assert!(
        report
            .silent
            .is_some_and(|why| why.contains("does not end within 64 KiB"))
    );
}

#[test]
fn a_server_that_never_answers_is_not_waited_for_again_and_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let patience = Settings {
        timeout: Duration::from_millis(20),
        ..settings(listener.local_addr().unwrap())
    };
    let report = certify(&patience, |_| true);
    assert!(
        report
            .silent
            .as_ref()
            .is_some_and(|why| why.contains("no answer in time"))
    );
    assert!(report.to_string().contains("does not answer") && report.to_string().ends_with("FAILED"));
}

#[test]
fn the_command_says_what_it_cannot_reach() {
    for (url, code, reason) in [
        ("http://127.0.0.1:1/bid", 1, "nobody answers at 127.0.0.1:1"),
        ("https://bid.example/", 2, "certify speaks plain HTTP"),
        ("bid.example", 2, "write http://HOST[:PORT]/PATH"),
    ] {
        let output = command(&["certify", "--url", url]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(reason), "{said}");
    }
}

#[test]
fn bodies_from_a_file_are_answered_with_the_status_that_it_names() {
    let outbid = shared();
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("bid.json"),
        r#"{"id":"w","imp":[{"id":"1","banner":{"w":300,"h":250}}]}"#,
    )
    .unwrap();
    let cases = json!([
        {"name": "bid", "file": "bid.json", "expect_http": 200, "why": "a banner"},
        {"name": "cut", "body": "{\"id\":", "expect_http": "400|413", "why": "cut off"},
        {"name": "brotli", "body": "{}", "headers": {"Content-Encoding": "br"}, "expect_http": 415, "why": "not agreed"},
    ]);
    let file = folder.path().join("cases.json");
    fs::write(&file, cases.to_string()).unwrap();
    let url = format!("http://{}/openrtb2/demo", outbid.bids);
    let wire = ["certify", "--url", &url, "--wire", file.to_str().unwrap()];
    let output = command(&wire);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains("3 of 3 answered as expected"),
        "{said}"
    );

    fs::write(&file, cases.to_string().replace("415", "204")).unwrap();
    let output = command(&[&wire[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["wrong"], &report["cases"][2]["status"]),
        (&json!(1), &json!(415))
    );

    fs::write(
        &file,
        r#"[{"name": "x", "file": "not-there.bin", "expect_http": 400}]"#,
    )
    .unwrap();
    let said = String::from_utf8_lossy(&command(&wire).stderr).into_owned();
    assert!(said.contains("not-there.bin"), "{said}");
}

#[test]
fn recorded_requests_are_accepted_or_refused_with_a_reason() {
    let outbid = shared();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recorded.ndjson");
    let lines = [
        r#"{"id":"a","imp":[{"id":"1","banner":{"w":300,"h":250}}]}"#,
        "",
        r#"{"id":"b","imp":[]}"#,
        r#"{"id":"c","imp":[{"id":"1","video":{"w":1}}]}"#,
    ];
    fs::write(&file, lines.join("\n")).unwrap();
    let file = file.to_str().unwrap();
    let offline = command(&["requests", file]);
    let said = String::from_utf8_lossy(&offline.stdout).into_owned();
    assert!(offline.status.success());
    assert!(
        said.contains(&format!("{file}:3  `imp` cannot be used")),
        "{said}"
    );
    assert!(
        said.contains(&format!("{file}:4  `imp.video.mimes` is missing")),
        "{said}"
    );
    let url = format!("http://{}/openrtb2/demo", outbid.bids);
    let sent = command(&["requests", file, "--url", &url, "--json"]);
    assert!(sent.status.success());
    let lines: Vec<serde_json::Value> = String::from_utf8_lossy(&sent.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((&lines[0]["status"], &lines[0]["bids"]), (&json!(200), &json!(1)));
    assert_eq!(
        (&lines[1]["status"], &lines[1]["accepted"]),
        (&json!(400), &json!(false))
    );
    assert_eq!(
        lines[3],
        json!({"lines": 3, "accepted": 1, "refused": 2, "with_bids": 1, "differ": 0})
    );
    // A bidder that takes what cannot be understood is told apart.
    let careless = Server::start(|_| Reply::status(204));
    let url = format!("http://{}/bid", careless.address);
    let differs = command(&["requests", file, "--url", &url]);
    assert_eq!(differs.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&differs.stdout).contains("answered 204 and not 400"));
}

/// `cargo test --release --test certify mutants -- --nocapture` prints the table of mutants.
#[test]
fn our_bidder_passes_and_each_of_its_mutants_fails_its_own_cases() {
    let outbid = Outbid::start();
    let report = certify(&settings_of(&outbid), |_| true);
    assert!(report.passed(), "{report}");
    let mutants = mutants::all();
    assert!(mutants.len() >= 40, "{}", mutants.len());
    let named: BTreeSet<&str> = mutants.iter().flat_map(|mutant| mutant.cases).copied().collect();
    let untested: Vec<_> = named.iter().filter(|id| outcome(&report, id) != "pass").collect();
    let why = |id| format!("{id} is {}: {}", outcome(&report, id), reason(&report, id));
    assert!(
        untested.is_empty(),
        "{:#?}",
        untested.into_iter().map(|id| why(id)).collect::<Vec<_>>()
    );
    // What the books say is compared: nothing else may be billed while those cases run.
    let (booked, free): (Vec<_>, Vec<_>) = mutants.iter().partition(|mutant| moves_money(mutant));
    let mut survived = survivors(&outbid, &free, 2);
    survived.push_str(&survivors(&outbid, &booked, 1));
    let mut table = String::new();
    for (number, mutant) in mutants.iter().enumerate() {
        let cases = mutant.cases.join(" ");
        writeln!(table, "{:>3}  {:<55} {cases}", number + 1, mutant.off).unwrap();
    }
    println!("what is off, and the cases that find it\n{table}");
    assert!(survived.is_empty(), "{survived}");
}

fn moves_money(mutant: &Mutant) -> bool {
    mutant.cases.iter().any(|id| id.starts_with("money."))
}

/// The cases that did not find their mutant, a line each.
fn survivors(outbid: &Outbid, mutants: &[&Mutant], threads: usize) -> String {
    let (next, survived) = (AtomicUsize::new(0), Mutex::new(String::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(mutant) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let lines = undetected(outbid, mutant);
                    survived.lock().unwrap().push_str(&lines);
                }
            });
        }
    });
    survived.into_inner().unwrap()
}

fn undetected(outbid: &Outbid, mutant: &Mutant) -> String {
    let proxy = proxy::start(Behind::of(outbid), mutant.twist);
    let mut settings = settings_of(outbid);
    let through = Address::parse(&format!("http://{}/openrtb2/demo", proxy.address)).unwrap();
    (settings.notices, settings.admin) = (Some(through.clone()), Some(through.clone()));
    settings.url = through;
    let report = certify(&settings, |case| mutant.cases.contains(&case.id));
    let mut lines = String::new();
    for id in mutant.cases {
        let (outcome, reason) = (outcome(&report, id), reason(&report, id));
        if outcome != "fail" {
            writeln!(lines, "without {}: {id} is {outcome} {reason}", mutant.off).unwrap();
        }
    }
    lines
}

fn command(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outbid"));
    command.args(arguments).output().unwrap()
}

/// A server that says the same to whoever comes, and hangs up. It is there until the test's process ends.
fn blunt(says: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut asked = [0; 64 << 10];
            // Whoever has gone already misses nothing.
            let _ = stream.read(&mut asked).and_then(|_| stream.write_all(&says));
        }
    });
    address
}

fn passes_nothing(status: u16) {
    let server = Server::start(move |_| Reply::status(status));
    let report = certify(&settings(server.address), |case| !LARGE.contains(&case.id));
    assert!(!report.passed());
    assert!(report.found.is_empty());
    assert_eq!(outcomes(&report, "pass"), [""; 0]);
}

/// Cases of megabytes: the small server of these tests is not asked to read them.
const LARGE: [&str; 2] = ["transport.gzip.bomb", "transport.size.oversized"];

/// A bidder that tests share while any of them runs.
fn shared() -> Arc<Outbid> {
    static SHARED: Mutex<Weak<Outbid>> = Mutex::new(Weak::new());
    let mut known = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = known.upgrade() {
        return running;
    }
    let started = Arc::new(Outbid::start());
    *known = Arc::downgrade(&started);
    started
}

fn settings(address: impl std::fmt::Display) -> Settings {
    // Users and requests of one run never come again in another.
    static RUN: AtomicU64 = AtomicU64::new(7);
    let url = Address::parse(&format!("http://{address}/openrtb2/demo")).unwrap();
    Settings {
        url,
        headers: Vec::new(),
        notices: None,
        admin: None,
        admin_token: None,
        deals: Vec::new(),
        test: false,
        timeout: Duration::from_secs(20),
        run: RUN.fetch_add(1, Ordering::Relaxed),
    }
}

/// All that there is to know of our own bidder.
fn settings_of(outbid: &Outbid) -> Settings {
    let plain = settings(&outbid.bids);
    Settings {
        notices: Some(plain.url.clone()),
        admin: Some(Address::parse(&format!("http://{}/", outbid.admin)).unwrap()),
        deals: vec!["deal-sports-2".into()],
        ..plain
    }
}

fn outcomes<'r>(report: &'r Report, outcome: &str) -> Vec<&'r str> {
    let results = report.results.iter();
    let found = results.filter(|result| result.outcome() == outcome);
    found.map(|result| result.id).collect()
}

fn outcome(report: &Report, id: &str) -> &'static str {
    let mut results = report.results.iter();
    let found = results.find(|result| result.id == id);
    found.map_or("absent", |result| result.outcome())
}

fn reason<'r>(report: &'r Report, id: &str) -> &'r str {
    let mut results = report.results.iter();
    let found = results.find(|result| result.id == id);
    found.map_or("", |result| result.reason())
}
