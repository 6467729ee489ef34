//! `outbid reconcile`: books that the real bookkeeper wrote, beside invoices that agree, err, or cannot be read.

use super::bidder::{Bidder, banner, outbid};
use super::configuration::{Campaign, Folder};
use jiff::tz::TimeZone;
use outbid::caps::Caps;
use outbid::events::bookkeeper::{Bookkeeper, BooksSettings, Receipt};
use outbid::events::notice::{Inbound, Paid, Told, What};
use outbid::events::token::{Format, ImpRef, Token};
use outbid::openrtb::notice::{PriceField, PriceUnit};
use outbid::pacing::{Account, AccountKind, Budgets};
use outbid::store::exchange::BillingEvent;
use outbid::store::rates::Rate;
use outbid::units::{AccountId, BidId, Cpm, Currency, Nanos, ObjectId, Timestamp};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// 2026-03-02T12:00:00Z.
const T0: Timestamp = Timestamp(1_772_452_800_000);
const DAY: &str = "2026-03-02";

/// A bookkeeper and its budgets, in the data folder of a configuration.
struct Books {
    budgets: Arc<Budgets>,
    accounts: [Arc<Account>; 2],
    keeper: Bookkeeper,
}

impl Books {
    fn open(dir: PathBuf) -> Books {
        let budgets = Arc::new(Budgets::new(10_000));
        let before = Timestamp(T0.0 - Timestamp::MS_PER_DAY);
        let account = |id, kind| budgets.account(id, "a", kind, &TimeZone::UTC, before);
        let accounts = [
            account(AccountId::line_item("alpha-1"), AccountKind::LineItem),
            account(AccountId::campaign("alpha"), AccountKind::Campaign),
        ];
        let settings = BooksSettings::new(dir);
        let caps = Arc::new(Caps::new(1_000));
        Books {
            keeper: Bookkeeper::try_open(&settings, budgets.clone(), caps, T0).unwrap(),
            budgets,
            accounts,
        }
    }

    /// What the bid path does for a bid.
    fn bid(&self, token: &Token) {
        self.budgets.tick(token.bid_time);
        let accounts = [&*self.accounts[0], &*self.accounts[1]];
        let reservation = self.budgets.reserve(&accounts, token.reserved, token.bid_time);
        reservation.unwrap().commit(token.bid, token.hold_end).unwrap();
    }

    fn tell(&self, inbound: Inbound) -> Receipt {
        let answer = self.keeper.desk().submit(inbound).unwrap();
        answer.blocking_recv().unwrap().unwrap()
    }

    /// Bid, won and billed at this price.
    fn sold(&self, token: Token, cpm: i64) {
        self.bid(&token);
        self.tell(told(1, token, What::Win, PriceField::Value(Cpm(cpm))));
        let receipt = self.tell(told(2, token, What::Bill, PriceField::Value(Cpm(cpm))));
        assert!(receipt.booked.is_some());
    }

    fn close(self) {
        self.keeper.stop().unwrap();
    }
}

/// A bid of 5.00 USD for a thousand.
fn token(number: u64) -> Token {
    Token {
        bid: BidId::new(1, 1, number),
        lease: 0,
        budget_day: 20_514,
        bid_time: T0,
        win_hold_end: Timestamp(T0.0 + 60_000),
        hold_end: Timestamp(T0.0 + 300_000),
        exchange: ObjectId::of("open"),
        imp: ImpRef::of(0, "1"),
        format: Format::Banner,
        line_item_account: AccountId::line_item("alpha-1"),
        campaign_account: AccountId::campaign("alpha"),
        line_item: ObjectId::of("alpha-1"),
        campaign: ObjectId::of("alpha"),
        advertiser: ObjectId::of("north"),
        creative: ObjectId::of("north-banner"),
        deal: None,
        reserved: Nanos(5_000_000),
        rate: Rate::ONE,
        currency: Currency::USD,
        price: Cpm(5_000_000),
        billing: BillingEvent::Burl,
        price_unit: PriceUnit::Cpm,
        test: false,
        user: None,
        consent: None,
        profile_used: false,
        arms: 0,
    }
}

fn euros(number: u64) -> Token {
    let rate = Rate(1_100_000_000);
    let price = Cpm(5_000_000);
    Token {
        currency: Currency::parse("EUR").unwrap(),
        reserved: rate.to_accounting_up(price).per_impression(),
        rate,
        price,
        ..token(number)
    }
}

fn told(seconds: i64, token: Token, what: What, price: PriceField) -> Inbound {
    Inbound {
        at: Timestamp(token.bid_time.0 + seconds * 1000),
        token,
        what,
        told: Told::default(),
        paid: Paid {
            price,
            ..Paid::NOTHING
        },
        shown_at: None,
    }
}

fn value(cpm: i64) -> PriceField {
    PriceField::Value(Cpm(cpm))
}

fn id(number: u64) -> String {
    token(number).bid.to_string()
}

fn folder() -> Folder {
    Folder::new().with_campaign(Campaign::new("alpha"))
}

/// Four bids at 4.00, one of them through a deal.
fn four_sold() -> Folder {
    let folder = folder();
    let books = Books::open(folder.data().join("books"));
    for number in 1..=4 {
        let deal = (number == 4).then(|| ObjectId::of("deal-7"));
        books.sold(
            Token {
                deal,
                ..token(number)
            },
            4_000_000,
        );
    }
    books.close();
    folder
}

fn reconcile(folder: &Folder, more: &[&str]) -> Output {
    let mut command = outbid();
    command.arg("reconcile").arg("--config").arg(folder.config());
    command.args(["--exchange", "open"]);
    if !more.contains(&"--day") {
        command.args(["--day", DAY]);
    }
    command.args(more).current_dir(folder.root()).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// The day alone.
fn statement(folder: &Folder, more: &[&str]) -> Value {
    let output = reconcile(folder, &[&["--json"], more].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Exit code and report about an invoice of these lines.
fn compared(folder: &Folder, invoice: &str, more: &[&str]) -> (i32, Value) {
    fs::write(folder.root().join("invoice.csv"), invoice).unwrap();
    let arguments = [&["--invoice", "invoice.csv", "--json"], more].concat();
    let output = reconcile(folder, &arguments);
    let report = serde_json::from_slice(&output.stdout);
    let report: Value = report.unwrap_or_else(|_| panic!("{}", stderr(&output)));
    (output.status.code().unwrap(), report["invoice"].clone())
}

fn refused(folder: &Folder, invoice: &str, more: &[&str]) -> String {
    fs::write(folder.root().join("invoice.csv"), invoice).unwrap();
    let output = reconcile(folder, &[&["--invoice", "invoice.csv"], more].concat());
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    stderr(&output).to_owned()
}

/// An invoice by bid, price per thousand.
fn by_bid(rows: &[(u64, &str)]) -> String {
    let rows = rows
        .iter()
        .map(|(number, price)| format!("{},{price}\n", id(*number)));
    format!("bid id,price\n{}", rows.collect::<String>())
}

#[test]
fn a_day_is_told_with_all_that_is_remarkable() {
    let folder = folder();
    let books = Books::open(folder.data().join("books"));
    books.sold(token(1), 4_000_000);
    // Again: ignored. Above our bid. Without a readable price. For three impressions.
    books.tell(told(3, token(1), What::Bill, value(4_000_000)));
    books.sold(token(2), 6_000_000);
    books.bid(&token(3));
    books.tell(told(1, token(3), What::Bill, PriceField::Unreadable));
    books.bid(&token(4));
    let mut three = told(1, token(4), What::Bill, value(1_000_000));
    three.paid.multiplier_micros = Some(3_000_000);
    books.tell(three);
    // Won and never billed; a test; an audit; after the hold; never bid by this node; another exchange.
    books.bid(&token(5));
    books.tell(told(1, token(5), What::Win, value(4_000_000)));
    let test = Token {
        test: true,
        ..token(6)
    };
    books.tell(told(1, test, What::Bill, value(4_000_000)));
    books.bid(&token(7));
    books.tell(told(1, token(7), What::Bill, PriceField::Audit));
    books.bid(&token(8));
    books.budgets.tick(Timestamp(T0.0 + 301_000));
    books.tell(told(301, token(8), What::Bill, value(4_000_000)));
    let unknown = books.tell(told(1, token(9), What::Bill, value(4_000_000)));
    assert_eq!(unknown.settled.unwrap().late, Nanos(4_000_000));
    let elsewhere = Token {
        exchange: ObjectId::of("closed"),
        ..token(10)
    };
    books.sold(elsewhere, 4_000_000);
    books.close();

    let day = statement(&folder, &["--split", "line-item", "--split", "seat"]);
    assert_eq!(
        day["ours"],
        json!({"won": 7, "billed": 6, "impressions": 8.0, "sent": {"USD": "0.026"}, "booked": "0.026"})
    );
    let count = |bids: u64, money: &str| json!({"bids": bids, "money": money});
    // The part above the bid of the second one, all of the eighth and the ninth.
    assert_eq!(day["late"], count(3, "0.009"));
    assert_eq!(day["at_reserved_price"], count(1, "0.005"));
    assert_eq!(day["above_bid"], count(1, "0.001"));
    assert_eq!(day["multiplied"], count(1, "0.003"));
    assert_eq!(day["unmatched"], count(1, "0.004"));
    assert_eq!(day["won_without_bill"], count(1, "0.005"));
    assert_eq!(
        [&day["duplicates_ignored"], &day["tests"], &day["audits"]],
        [&json!(1), &json!(1), &json!(1)]
    );
    assert_eq!(day["by"]["line_item"][0]["key"], "alpha-1");
    assert_eq!(day["by"]["line_item"][0]["booked"], "0.026");
    assert_eq!(day["by"]["seat"][0]["key"], "seat-open");

    let people = reconcile(&folder, &[]);
    for part in [
        "bids won 7, billed 6, impressions 8",
        "spend 0.026 USD",
        "unmatched): 1 bids, 0.004 USD",
        "duplicates ignored: 1",
        "alpha",
    ] {
        assert!(stdout(&people).contains(part), "{part}:\n{}", stdout(&people));
    }
}

#[test]
fn an_invoice_by_bid_that_agrees_is_recognised_in_any_common_form() {
    let folder = four_sold();
    let line = |number: u64| format!("{};4,00", id(number));
    let semicolons = format!("Bid-ID;CPM\n{}\n{}\n{}\n{}\n", line(1), line(2), line(3), line(4));
    let tabs = format!(
        "\u{feff}when\tDSP Bid Id\tSpend (USD)\n1\t{}\t$0.004\n2\t{}\t0.004\n3\t{}\t0.004\n4\t{}\t4E-3\nTotal\t\t0.016\n",
        id(1),
        id(2),
        id(3),
        id(4).to_uppercase()
    );
    let per_impression = by_bid(&[(1, "4.001"), (2, "4"), (3, "4.00"), (4, "3.999")]);
    let cases: [(&str, &[&str]); 3] = [
        (&semicolons, &["--decimal", "comma"]),
        (&tabs, &[]),
        (&per_impression, &[]),
    ];
    for (invoice, more) in cases {
        let (code, report) = compared(&folder, invoice, more);
        assert_eq!(code, 0, "{invoice}{report:#}");
        assert_eq!(report["rows"], 4);
        assert_eq!(report["ours"]["money"], "0.016");
    }
    let told = format!("ref,x\n{},4\n{},4\n{},4\n{},4\n", id(1), id(2), id(3), id(4));
    let (code, report) = compared(&folder, &told, &["--columns", "bid=ref,price=x"]);
    assert_eq!((code, &report["theirs"]["money"]), (0, &json!("0.016")));
}

#[test]
fn an_invoice_by_bid_is_matched_one_by_one() {
    let folder = four_sold();
    // 1 agrees, 2 comes twice, 3 costs more, 4 is missing, 77 is not ours.
    let invoice = by_bid(&[(1, "4.00"), (2, "4.00"), (2, "4.00"), (3, "4.50"), (77, "2.00")]);
    let (code, report) = compared(&folder, &invoice, &[]);
    assert_eq!(code, 1);
    let kind = |name: &str| {
        let kind = &report["kinds"][name];
        [&kind["ours"]["count"], &kind["theirs"]["count"]].map(|count| count.as_u64().unwrap())
    };
    assert_eq!(kind("agrees"), [1, 1]);
    assert_eq!(kind("billed_twice"), [1, 2]);
    assert_eq!(kind("price_differs"), [1, 1]);
    assert_eq!(kind("missing_in_theirs"), [1, 0]);
    assert_eq!(kind("missing_in_ours"), [0, 1]);
    // Apart by 4.00 twice, 0.50 and 2.00 of a total of 18.50.
    let percent = report["apart_percent"].as_f64().unwrap();
    assert!((percent - 10.5 / 18.5 * 100.0).abs() < 1e-6, "{percent}");
    assert_eq!(report["difference"], "0.0025");
    let worst = &report["worst"];
    assert_eq!(worst.as_array().unwrap().len(), 4);
    assert_eq!(
        worst[3],
        json!({"kind": "price_differs", "bid": id(3), "line": 5, "ours": "0.004", "theirs": "0.0045", "difference": "0.0005"})
    );
    assert_eq!(report["groups"][0]["rows"][0]["key"], "not in our books");

    let (code, _) = compared(&folder, &invoice, &["--tolerance", "60"]);
    assert_eq!(code, 0);
    let people = reconcile(&folder, &["--invoice", "invoice.csv"]);
    for part in [
        "billed twice by them",
        "missing in theirs",
        "DIFFER",
        "+0.0025",
        &id(3),
    ] {
        assert!(stdout(&people).contains(part), "{part}:\n{}", stdout(&people));
    }
}

#[test]
fn bids_that_are_theirs_and_not_booked_by_us_are_explained() {
    let folder = folder();
    let books = Books::open(folder.data().join("books"));
    let bid_time = Timestamp(T0.0 - 13 * 3_600_000);
    let yesterday = Token {
        bid_time,
        win_hold_end: Timestamp(bid_time.0 + 60_000),
        hold_end: Timestamp(bid_time.0 + 300_000),
        ..token(2)
    };
    books.sold(yesterday, 4_000_000);
    books.sold(token(1), 4_000_000);
    books.bid(&token(3));
    books.tell(told(1, token(3), What::Win, value(4_000_000)));
    books.bid(&token(4));
    books.tell(told(1, token(4), What::Bill, PriceField::Audit));
    books.close();
    let (code, report) = compared(&folder, &by_bid(&[(1, "4"), (2, "4"), (3, "4"), (4, "4")]), &[]);
    assert_eq!(code, 1);
    for kind in ["of_another_day", "won_without_bill", "not_booked"] {
        assert_eq!(report["kinds"][kind]["theirs"]["count"], 1, "{kind}");
    }
}

#[test]
fn a_summary_is_compared_sum_by_sum() {
    let folder = four_sold();
    let agrees = "Deal ID,Imps,Spend\n,3,0.012\ndeal-7,1,0.004\nTotal,4,0.016\n";
    let (code, report) = compared(&folder, agrees, &[]);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!((&report["rows"], &report["rows_of_sums"]), (&json!(2), &json!(1)));

    // The total agrees and the deals do not: differences are not set off against each other.
    let (code, report) = compared(&folder, "deal,amount\nopen,0.004\ndeal-7,0.0120\n", &[]);
    assert_eq!(code, 1);
    assert_eq!(
        (&report["difference"], &report["apart_percent"]),
        (&json!("0.00"), &json!(100.0))
    );
    assert_eq!(report["groups"][0]["rows"].as_array().unwrap().len(), 2);

    let by_hour = "date,hour,seat,creative,campaign,impressions,amount\n\
                   2026-03-01,12,seat-open,north-banner,alpha,9,9\n\
                   20260302,12:00,seat-open,north-banner,alpha,4,0.016\n";
    let (code, report) = compared(&folder, by_hour, &[]);
    assert_eq!((code, &report["rows_of_other_days"]), (0, &json!(1)));
    assert_eq!(
        report["groups"][0]["rows"][0]["key"],
        "alpha · seat-open · north-banner · 12"
    );

    // Impressions alone, and a price with impressions.
    assert_eq!(compared(&folder, "impressions\n4\n", &[]).0, 0);
    assert_eq!(compared(&folder, "impressions\n5\n", &[]).0, 1);
    assert_eq!(compared(&folder, "impressions,cpm\n4,4.00\n", &[]).0, 0);
    let (code, report) = compared(
        &folder,
        "campaign,impressions,cost\nalpha,4,0.02\nbeta,1,0.01\n",
        &[],
    );
    assert_eq!(code, 1);
    assert_eq!(report["groups"][0]["rows"][0]["key"], "beta");
    assert_eq!(report["groups"][0]["rows"][1]["difference"], "0.004");
}

#[test]
fn an_invoice_may_be_in_the_bids_currency_in_ours_or_in_a_third_one_with_its_rate() {
    let folder = folder();
    let books = Books::open(folder.data().join("books"));
    books.sold(euros(1), 4_000_000);
    books.sold(euros(2), 3_000_000);
    books.close();
    let day = statement(&folder, &[]);
    assert_eq!(day["ours"]["sent"], json!({"EUR": "0.007"}));
    assert_eq!(day["ours"]["booked"], "0.0077");
    for (invoice, more) in [
        ("amount,currency\n0.007,EUR\n", &[][..]),
        ("amount\n0.007\n", &[]),
        ("amount,currency\n0.0077,USD\n", &[]),
        ("amount\n0.0077\n", &["--currency", "usd"]),
        ("spend_gbp\n0.00616\n", &["--rate", "1.25"]),
    ] {
        let (code, report) = compared(&folder, invoice, more);
        assert_eq!(code, 0, "{invoice}{report:#}");
    }
    let said = refused(&folder, "spend_gbp\n0.00616\n", &[]);
    assert!(said.contains("--rate, USD for 1 GBP"), "{said}");
    let said = refused(&folder, "amount,currency\n1,EUR\n1,USD\n", &[]);
    assert!(
        said.contains("invoice.csv:3: the row is in USD, EUR before"),
        "{said}"
    );
}

#[test]
fn a_day_is_that_of_the_zone_and_of_the_bid_or_the_bill() {
    let folder = folder();
    let books = Books::open(folder.data().join("books"));
    // 23:59:50 UTC, billed two seconds and twenty seconds later; in Berlin it is past midnight.
    let late = |number| {
        let bid_time = Timestamp(T0.0 + 12 * 3_600_000 - 10_000);
        Token {
            bid_time,
            win_hold_end: Timestamp(bid_time.0 + 60_000),
            hold_end: Timestamp(bid_time.0 + 300_000),
            ..token(number)
        }
    };
    books.sold(late(1), 4_000_000);
    books.bid(&late(2));
    books.tell(told(1, late(2), What::Win, value(4_000_000)));
    books.tell(told(20, late(2), What::Bill, value(4_000_000)));
    books.close();
    let billed = |more: &[&str]| {
        let day = statement(&folder, more);
        let won = day["won_without_bill"]["bids"].as_u64().unwrap();
        (day["ours"]["billed"].as_u64().unwrap(), won)
    };
    assert_eq!(billed(&[]), (2, 0));
    assert_eq!(billed(&["--by", "bill"]), (1, 0));
    assert_eq!(billed(&["--by", "bill", "--day", "2026-03-03"]), (1, 0));
    assert_eq!(billed(&["--zone", "Europe/Berlin"]), (0, 0));
    assert_eq!(
        billed(&["--zone", "Europe/Berlin", "--day", "2026-03-03"]),
        (2, 0)
    );
    for (more, part) in [
        (["--zone", "Mars/Base"], "IANA name"),
        (["--day", "2026-02-30"], "YYYY-MM-DD"),
        (["--day", "yesterday"], "YYYY-MM-DD"),
    ] {
        let output = reconcile(&folder, &more);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    }
}

fn segments(folder: &Folder) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.data().join("books")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|is| is == "seg") && name(path).starts_with("books-"));
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_torn_tail_is_left_out_and_told_and_a_damaged_middle_is_refused_with_its_place() {
    let folder = four_sold();
    let first = &segments(&folder)[0];
    let whole = fs::read(first).unwrap();
    // As a crash leaves it: the segment is the last one, and its last record is not whole.
    for later in &segments(&folder)[1..] {
        fs::remove_file(later).unwrap();
    }
    fs::write(first, &whole[..whole.len() - 10]).unwrap();
    let day = statement(&folder, &[]);
    assert_eq!(day["ours"]["billed"], 3);
    assert_eq!(day["torn"][0]["file"], first.display().to_string());
    assert!(day["torn"][0]["bytes"].as_u64().unwrap() > 10);
    let (code, report) = compared(&folder, &by_bid(&[(1, "4"), (2, "4"), (3, "4"), (4, "4")]), &[]);
    assert_eq!(
        (code, &report["kinds"]["won_without_bill"]["theirs"]["count"]),
        (1, &json!(1))
    );
    let people = reconcile(&folder, &[]);
    assert!(stdout(&people).contains("no whole record"), "{}", stdout(&people));

    let mut damaged = whole;
    damaged[50] ^= 1;
    fs::write(first, damaged).unwrap();
    let output = reconcile(&folder, &[]);
    assert_eq!(output.status.code(), Some(2));
    for part in [
        "is damaged at byte 32",
        "Restore the file from a copy",
        "truncate -s 32",
    ] {
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    }
}

#[test]
fn closed_segments_from_before_the_day_are_not_read_and_missing_ones_are_noticed() {
    let folder = folder();
    for round in 0..3 {
        let books = Books::open(folder.data().join("books"));
        books.sold(token(round + 1), 4_000_000);
        books.close();
    }
    let all = segments(&folder);
    assert!(all.len() >= 3);
    // By its time of writing the first segment is from before the day: nothing in it is looked at.
    let before = UNIX_EPOCH + Duration::from_millis(T0.0 as u64 - 48 * 3_600_000);
    File::options()
        .write(true)
        .open(&all[0])
        .unwrap()
        .set_modified(before)
        .unwrap();
    assert_eq!(statement(&folder, &[])["ours"]["billed"], 2);

    fs::remove_file(&all[0]).unwrap();
    let output = reconcile(&folder, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("segments before number 2 were moved away"),
        "{}",
        stderr(&output)
    );
    fs::remove_file(&all[1]).unwrap();
    fs::copy(&all[2], &all[0]).unwrap();
    let output = reconcile(&folder, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("books-00000002.seg is missing"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn books_of_several_nodes_are_added_up() {
    let folder = folder();
    let dirs = ["one", "two"].map(|name| folder.root().join(name));
    for (dir, number) in dirs.iter().zip(1..) {
        let books = Books::open(dir.clone());
        books.sold(token(number), 4_000_000);
        books.close();
    }
    let of = |dir: &PathBuf| dir.display().to_string();
    let day = statement(&folder, &["--books", &of(&dirs[0]), "--books", &of(&dirs[1])]);
    assert_eq!(day["ours"]["booked"], "0.008");
    let output = reconcile(&folder, &["--books", &of(&folder.root().to_owned())]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("there are no books here"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn what_cannot_be_read_is_refused_with_file_line_and_column() {
    let folder = four_sold();
    let cases: [(String, &[&str]); 13] = [
        (
            "a,b\n1,2\n".into(),
            &["invoice.csv:1:", "none of the columns is known", "found a, b"],
        ),
        (String::new(), &["invoice.csv:1:", "none of the columns is known"]),
        ("bid,x\n1,2\n".into(), &["need a price", "--columns price=NAME"]),
        (
            "spend,cost\n1,2\n".into(),
            &["`spend` and `cost` could both be the amount"],
        ),
        (
            format!("bid,price\n{},4\n{},abc\n", id(1), id(2)),
            &["invoice.csv:3, column 2 (`price`): `abc`", "is no number"],
        ),
        (
            format!("bid,price\n{},\"4,5\"\n", id(1)),
            &["column 2", "--decimal comma"],
        ),
        (format!("bid,price\n{},-4\n", id(1)), &["is below 0"]),
        (
            format!("bid,price\n{},4,5\n", id(1)),
            &["invoice.csv:2:", "has 3 columns where the header has 2"],
        ),
        ("impressions,amount\n-3,1\n".into(), &["`-3` is below 0"]),
        ("hour,amount\n25,1\n".into(), &["`25` is no hour"]),
        (
            "date,amount\n3/2/26,1\n".into(),
            &["`3/2/26` is no day such as 2026-03-02"],
        ),
        (
            "date,amount\n2026-03-01,1\n".into(),
            &["no row for that day (1 rows are of other days)"],
        ),
        (
            "bid,price\nauction-1,4\n".into(),
            &["none of 1 cells of `bid` is a bid id of ours", "`auction-1`"],
        ),
    ];
    for (invoice, parts) in cases {
        let said = refused(&folder, &invoice, &[]);
        for part in parts {
            assert!(said.contains(part), "{part} in {said} of\n{invoice}");
        }
    }
    let said = refused(&folder, &format!("bid,price\n{}", "x".repeat(2 << 20)), &[]);
    assert!(said.contains("a line of more than"), "{said}");
    fs::write(folder.root().join("latin.csv"), b"deal,amount\nn\xe9,1\n").unwrap();
    let output = reconcile(&folder, &["--invoice", "latin.csv"]);
    assert!(
        stderr(&output).contains("latin.csv:2: is not in UTF-8"),
        "{}",
        stderr(&output)
    );
    let output = reconcile(&folder, &["--invoice", "nowhere.csv"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("nowhere.csv"), "{}", stderr(&output));

    let mut command = outbid();
    command.arg("reconcile").arg("--config").arg(folder.config());
    let output = command
        .args(["--exchange", "opn", "--day", DAY])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("there is no exchange `opn`") && stderr(&output).contains("open"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_running_bidder_and_the_ids_in_its_responses_agree() {
    let folder = folder();
    let bidder = Bidder::start(&folder);
    let mut invoice = "bid,price\n".to_owned();
    for user in ["u-000001", "u-000002", "u-000003"] {
        let offer = bidder.offer(&banner("alpha", user)).unwrap();
        bidder.tell(offer.text("nurl"), "3.21");
        bidder.tell(offer.text("burl"), "3.21");
        invoice += &format!("{},3.21\n", offer.text("id"));
    }
    // Around midnight the bids may be of two days: the bids of both are theirs and ours.
    let today = || jiff::Timestamp::now().to_zoned(TimeZone::UTC).date().to_string();
    let day = today();
    fs::write(folder.root().join("invoice.csv"), &invoice).unwrap();
    let output = reconcile(&folder, &["--day", &day, "--invoice", "invoice.csv", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let kinds = &report["invoice"]["kinds"];
    let theirs = |kind: &str| kinds[kind]["theirs"]["count"].as_u64().unwrap();
    assert_eq!(theirs("agrees") + theirs("of_another_day"), 3, "{report:#}");
}
