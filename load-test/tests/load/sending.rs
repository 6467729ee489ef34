//! Sending against small real servers: counts are exact, waiting is visible, broken connections are told apart.

use crate::server::{Reply, Request, Server, serve};
use load_test::arrivals::Arrivals;
use load_test::drive::{Pace, Plan, Progress, drive};
use load_test::tally::{Counts, Tally};
use load_test::target::Target;
use load_test::traffic::{Traffic, Wrapping};
use std::collections::HashSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use world::World;

const BID: &str = r#"{"id":"x","seatbid":[{"bid":[{"id":"1","impid":"1","price":1}]}]}"#;

struct Setting {
    rate: f64,
    duration_ms: u64,
    connections: usize,
    patience_ms: u64,
    drain_ms: u64,
    threads: usize,
}

impl Default for Setting {
    fn default() -> Self {
        // 200 requests; patience that no busy machine exhausts.
        Setting {
            rate: 1000.0,
            duration_ms: 200,
            connections: 4,
            patience_ms: 20_000,
            drain_ms: 20_000,
            threads: 1,
        }
    }
}

fn drive_with(server: &Server, setting: &Setting, progress: &Progress) -> Tally {
    let target = Target::parse(&server.url()).expect("a URL");
    let wrapping = Wrapping {
        target: &target,
        headers: &[],
        default_tmax_ms: 100,
        run: 1,
        auction: false,
    };
    let lines = [
        r#"{"id":"a","imp":[{"id":"1"}]}"#.to_string(),
        r#"{"id":"b","tmax":200}"#.to_string(),
    ];
    let traffic = Traffic::replay(&lines, "lines", None, &World::new(1), &wrapping).expect("two requests");
    let plan = Plan {
        address: server.address,
        traffic: &traffic,
        pace: Pace::Open(Arrivals::Constant { rate: setting.rate }),
        duration: Duration::from_millis(setting.duration_ms),
        connections: setting.connections,
        patience: Duration::from_millis(setting.patience_ms),
        drain: Duration::from_millis(setting.drain_ms),
        threads: setting.threads,
    };
    drive(&plan, None, &AtomicU64::new(0), progress).expect("the server listens")
}

/// Sends 200 requests and compares what does not depend on time.
fn check(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static, expected: Counts) -> Server {
    let server = serve(handler);
    let counts = drive_with(&server, &Setting::default(), &Progress::default()).counts;
    let timeless = Counts {
        late: 0,
        over_10ms: 0,
        backlog_max: 0,
        slipped: 0,
        slip_max_us: 0,
        ..counts
    };
    assert_eq!(timeless, expected);
    server
}

/// All were sent and answered.
fn counts(bids: u64, no_bids: u64) -> Counts {
    Counts {
        offered: 200,
        sent: 200,
        answered: bids + no_bids,
        bids,
        no_bids,
        ..Counts::default()
    }
}

#[test]
fn bids_and_no_bids_are_counted_exactly_and_ids_are_unique() {
    let server = check(
        |request| match request.number % 4 {
            0 => Reply::Answer(204, "", String::new()),
            1 => Reply::Answer(200, "", "{}".into()),
            2 => Reply::Answer(200, "", r#"{"id":"x","seatbid":[],"nbr":2}"#.into()),
            _ => Reply::Answer(200, "Content-Type: application/json\r\n", BID.into()),
        },
        counts(50, 150),
    );
    let requests = server.requests.lock().expect("no handler panics");
    let ids: HashSet<String> = requests
        .iter()
        .map(|request| {
            let json: serde_json::Value = serde_json::from_str(&request.body).expect("JSON as it was");
            json["id"].as_str().expect("a text").to_string()
        })
        .collect();
    assert_eq!(ids.len(), 200);
}

#[test]
fn failures_are_told_apart() {
    let mut expected = counts(0, 40);
    expected.errors.errors_4xx = 40;
    expected.errors.errors_5xx = 40;
    expected.errors.errors_malformed = 80;
    // What is not HTTP costs the connection, which is opened again for the next request.
    check(
        |request| match request.number % 5 {
            0 => Reply::Answer(400, "", String::new()),
            1 => Reply::Answer(503, "", "busy".into()),
            2 => Reply::Answer(200, "", "<html>".into()),
            3 => Reply::Raw("what?\r\n\r\n"),
            _ => Reply::Answer(204, "", String::new()),
        },
        expected,
    );
}

#[test]
fn connection_close_is_an_answer_and_no_error() {
    let expected = Counts {
        reopened: 200,
        ..counts(200, 0)
    };
    check(|_| Reply::AnswerAndClose(200, BID.into()), expected);
}

#[test]
fn a_body_without_a_length_ends_with_the_connection() {
    let expected = Counts {
        reopened: 200,
        ..counts(0, 200)
    };
    check(|_| Reply::RawAndClose("HTTP/1.1 200 OK\r\n\r\n{}"), expected);
}

#[test]
fn a_request_on_a_connection_that_ended_is_sent_once_more() {
    // Every second request that reaches the server is dropped; the next one on that fresh connection may be, too.
    let dropped = Arc::new(AtomicU64::new(0));
    let count = dropped.clone();
    let first_ten = move |request: &Request| {
        if request.number < 10 && request.number.is_multiple_of(2) {
            count.fetch_add(1, Ordering::Relaxed);
            return Reply::RawAndClose("");
        }
        Reply::Answer(204, "", String::new())
    };
    let server = serve(first_ten);
    let setting = Setting {
        connections: 1,
        ..Setting::default()
    };
    let counts = drive_with(&server, &setting, &Progress::default()).counts;
    assert_eq!((counts.answered, counts.errors.total()), (200, 0));
    assert_eq!((counts.retried, dropped.load(Ordering::Relaxed)), (5, 5));
}

#[test]
fn a_second_loss_and_a_loss_in_the_middle_of_an_answer_are_errors() {
    let mut expected = Counts {
        offered: 200,
        sent: 200,
        retried: 200,
        ..Counts::default()
    };
    expected.errors.errors_reset = 200;
    check(|_| Reply::RawAndClose(""), expected);
    expected.retried = 0;
    check(
        |_| Reply::RawAndClose("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"),
        expected,
    );
}

#[test]
fn silence_is_a_timeout_and_stands_in_the_latencies() {
    let server = serve(|_| Reply::Silence);
    let setting = Setting {
        rate: 100.0,
        connections: 20,
        patience_ms: 200,
        ..Setting::default()
    };
    let tally = drive_with(&server, &setting, &Progress::default());
    assert_eq!(
        (tally.counts.offered, tally.counts.errors.errors_timeout),
        (20, 20)
    );
    assert_eq!((tally.corrected.len(), tally.counts.over_10ms), (20, 20));
    assert!(tally.corrected.min() >= 199_000_000, "{}", tally.corrected.min());
}

#[test]
fn what_never_gets_a_connection_is_counted_as_unsent() {
    // The only connection is busy until after the line is given up, 250 ms after the start.
    let server = serve(|_| Reply::Silence);
    let setting = Setting {
        connections: 1,
        patience_ms: 300,
        drain_ms: 50,
        ..Setting::default()
    };
    let tally = drive_with(&server, &setting, &Progress::default());
    let counts = tally.counts;
    assert_eq!((counts.offered, counts.sent, counts.unsent), (200, 1, 199));
    assert_eq!((counts.errors.errors_timeout, counts.backlog_max), (1, 199));
}

#[test]
fn a_stall_shows_in_the_latency_from_the_intended_time_only() {
    let progress = Arc::new(Progress::default());
    let watched = progress.clone();
    // The first answer waits until all 200 requests were due, on the only connection.
    let server = serve(move |request| {
        while request.number == 0 && watched.offered.load(Ordering::Relaxed) < 200 {
            std::thread::yield_now();
        }
        Reply::Answer(200, "", BID.into())
    });
    let setting = Setting {
        connections: 1,
        rate: 200.0,
        duration_ms: 1000,
        ..Setting::default()
    };
    let tally = drive_with(&server, &setting, &progress);
    assert_eq!((tally.counts.answered, tally.counts.errors.total()), (200, 0));
    assert!(tally.counts.backlog_max >= 198, "{}", tally.counts.backlog_max);
    let median = |histogram: &hdrhistogram::Histogram<u64>| histogram.value_at_quantile(0.5) as f64 / 1e6;
    let (corrected, service) = (median(&tally.corrected), median(&tally.service));
    // The median request was due half a second before the stall ended.
    assert!(corrected > 400.0, "{corrected} ms");
    assert!(
        service < corrected / 10.0,
        "{service} ms from send, {corrected} ms from due time"
    );
}

#[test]
fn threads_share_the_work_and_lose_nothing() {
    let server = serve(|_| Reply::Answer(204, "", String::new()));
    let setting = Setting {
        threads: 3,
        ..Setting::default()
    };
    let tally = drive_with(&server, &setting, &Progress::default());
    assert_eq!((tally.counts.offered, tally.counts.no_bids), (200, 200));
    assert_eq!(server.requests.lock().expect("no handler panics").len(), 200);
}

fn load_test(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_load-test"))
        .args(arguments)
        .output()
        .expect("the binary was built");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_run_prints_its_summary_writes_its_report_and_exits_by_its_errors() {
    let dir = tempfile::tempdir().expect("a folder");
    let report = dir.path().join("report");
    let server = serve(|request| match request.number {
        7 => Reply::Answer(500, "", String::new()),
        _ => Reply::Answer(200, "", BID.into()),
    });
    let url = server.url();
    let run = [
        "--url",
        &url,
        "--rate",
        "500",
        "--duration",
        "0.2",
        "--distinct",
        "50",
        "--json",
    ];
    let (code, out, _) = load_test(&[&run[..], &["--report", report.to_str().expect("UTF-8")]].concat());
    assert_eq!(code, Some(1));
    let summary: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(summary["counts"]["offered"], 100);
    assert_eq!(summary["counts"]["bids"], 99);
    assert_eq!(summary["counts"]["errors_5xx"], 1);
    let file = |name: &str| std::fs::read_to_string(report.join(name)).expect("a file of the report");
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&file("summary.json")).expect("JSON"),
        summary
    );
    assert!(file("corrected.hgrm").contains("#[Max "));
    let page = file("index.html");
    assert!(page.contains("<svg") && !page.contains("src=") && !page.contains("NaN"));
    let (code, out, _) = load_test(&[&run[..8], &["--allow-errors"]].concat());
    assert_eq!(code, Some(0));
    assert!(out.contains("latency, ms"), "{out}");
}

#[test]
fn wrong_options_exit_with_2_and_a_bidder_that_is_not_there_with_1() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a port")
        .port();
    let nobody = format!("http://127.0.0.1:{port}/");
    for (arguments, code, message) in [
        (&["--url", &nobody][..], 1, "start the bidder first"),
        (&["--url", "https://a.example/"], 2, "TLS is not spoken here"),
        (
            &["--url", &nobody, "--requests", "/nowhere.ndjson"],
            2,
            "/nowhere.ndjson",
        ),
        (&["--url", &nobody, "--arrivals", "recorded"], 2, "ext.arrival_us"),
        (&["--url", &nobody, "--rate", "fast"], 2, "requests per second"),
        (&["--rate", "5"], 2, "--url"),
    ] {
        let (found, _, error) = load_test(arguments);
        assert_eq!(found, Some(code), "{arguments:?}: {error}");
        assert!(error.contains(message), "{arguments:?}: {error}");
    }
}
