//! The commands beside `serve`.

use super::bidder::{alone, banner, outbid};
use super::configuration::{Campaign, Folder};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs;
use std::process::Output;

#[test]
fn every_command_shows_an_example() {
    for command in [
        "",
        "serve",
        "check",
        "store",
        "store build",
        "store get",
        "budgets",
        "model",
        "model candidates",
        "model rows",
        "model check",
        "model promote",
        "explain",
        "certify",
        "requests",
        "reconcile",
        "replay",
        "replay ipinyou",
    ] {
        let help = run(command.split_whitespace().chain(["--help"]));
        assert!(help.status.success(), "{command}");
        assert!(
            text(&help).contains("Example: outbid") || text(&help).contains("Examples: outbid"),
            "{command}:\n{}",
            text(&help)
        );
    }
    assert!(!run(["no-such-command"]).status.success());
}

#[test]
fn check_accepts_a_valid_folder_and_shows_what_it_means() {
    let folder = Folder::new().with_campaign(Campaign::new("fine"));
    let valid = check(&folder, &[]);
    assert!(valid.status.success());
    assert!(
        text(&valid).contains("valid (6 exchanges, 1 campaign, 1 line item, 3 creatives)"),
        "{}",
        text(&valid)
    );

    let effective = check(&folder, &["--effective"]);
    for part in ["fine-1", "fine.example", "north-banner"] {
        assert!(text(&effective).contains(part), "{part}:\n{}", text(&effective));
    }
    let report = json_of(&check(&folder, &["--json", "--effective"]));
    assert_eq!(report["valid"], true);
    assert!(report["effective"].to_string().contains("fine-1"));
}

#[test]
fn check_lists_every_problem_with_its_line() {
    let folder = Folder::new().with_campaign(Campaign {
        cpm: "\"a lot\"",
        more: "creatves = []",
        ..Campaign::new("broken")
    });
    folder.write(
        "rates.toml",
        "date = 2026-11-20\nmax_age = \"365d\"\n\n[rates]\nEUR = -1\n",
    );
    let lines = folder.read("campaigns/broken.toml").unwrap();
    let line_of = |what: &str| 1 + lines.lines().position(|line| line.contains(what)).unwrap();
    let places = [
        ("campaigns/broken.toml", line_of("a lot"), "line_item[0].bid.cpm"),
        (
            "campaigns/broken.toml",
            line_of("creatves"),
            "line_item[0].creatves",
        ),
        ("rates.toml", 5, "rates.EUR"),
    ];

    let found = check(&folder, &[]);
    assert_eq!(found.status.code(), Some(1));
    let report = json_of(&check(&folder, &["--json"]));
    assert_eq!(report["valid"], false);
    for (file, line, key) in places {
        assert!(
            text(&found).contains(&format!("{file}:{line}:")),
            "{file}:{line} in\n{}",
            text(&found)
        );
        let problems = report["problems"].as_array().unwrap();
        let listed = problems.iter().any(|problem| {
            problem["file"].as_str().unwrap().ends_with(file)
                && problem["line"] == line
                && problem["key"] == key
                && !problem["fix"].as_str().unwrap().is_empty()
        });
        assert!(listed, "{file}:{line} {key} in {report:#}");
    }
}

#[test]
fn a_store_is_built_from_csv_and_json_lines_and_read_back() {
    let folder = Folder::new().with_campaign(Campaign::new("users"));
    let path = |name: &str| folder.root().join(name);
    fs::write(
        path("users.csv"),
        "ids,gender,birth_year,country,tags\n\
         buyeruid:anna;ifa:AB-1,f,1990,USA,behaviour/visited:car-forum=0.7@2026-10-30;spending/spender:high\n\
         buyeruid:ben,m,2990,USA,\n",
    )
    .unwrap();
    fs::write(
        path("more.jsonl"),
        "{\"ids\":{\"buyeruid\":\"carla\"},\"gender\":\"f\",\"ltv\":12.5}\n\
         {\"ids\":{\"buyeruid\":\"anna\"},\"gender\":\"o\"}\n",
    )
    .unwrap();
    let build = |more: &[&str]| {
        let mut command = outbid();
        command.args(["store", "build", "--config"]).arg(folder.config());
        command.arg("--input").arg(path("users.csv"));
        command.arg("--input").arg(path("more.jsonl"));
        command
            .arg("--output")
            .arg(path("my.store"))
            .args(more)
            .output()
            .unwrap()
    };
    let strict = build(&["--strict"]);
    assert!(!strict.status.success());
    let said = String::from_utf8(strict.stderr).unwrap();
    assert!(
        said.contains("users.csv:3") && said.contains("birth_year"),
        "{said}"
    );
    assert!(!path("my.store").exists());

    let built = build(&["--json"]);
    assert!(built.status.success(), "{built:?}");
    let report = json_of(&built);
    assert_eq!(report["inputs"][0]["bad_lines"], 1);
    assert_eq!(report["duplicate_keys"], 1);

    let get = |id: &str, more: &[&str]| {
        let mut command = outbid();
        command.args(["store", "get", "--config"]).arg(folder.config());
        command.arg(path("my.store")).arg(id).args(more).output().unwrap()
    };
    let by_ifa = json_of(&get("ifa:AB-1", &["--json"]));
    assert_eq!(
        (&by_ifa["gender"], &by_ifa["birth_year"]),
        (&json!("f"), &json!(1990))
    );
    assert!(by_ifa["tags"].to_string().contains("visited:car-forum"));
    assert_eq!(
        json_of(&get("buyeruid:anna", &["--json"]))["gender"],
        "o",
        "the later line counts"
    );
    assert_eq!(json_of(&get("carla", &["--json"]))["ltv"], 12.5);
    assert!(text(&get("ifa:AB-1", &[])).contains("visited:car-forum"));
    let missing = get("ben", &["--json"]);
    assert_eq!(
        (missing.status.code(), json_of(&missing)),
        (Some(1), json!({"found": false, "opted_out": false}))
    );
}

#[test]
fn budgets_shows_the_money_of_a_running_bidder() {
    let (folder, bidder) = alone(Campaign::new("asked"));
    let offer = bidder.offer(&banner("asked", "u-000001")).unwrap();
    bidder.tell(offer.text("burl"), "4.00");
    let budgets = |more: &[&str]| {
        let mut command = outbid();
        command.args(["budgets", "--config"]).arg(folder.config());
        command.args(["--admin", &bidder.admin.to_string()]);
        command.args(more).output().unwrap()
    };
    let report = json_of(&budgets(&["--json"]));
    let item = &report["campaigns"][0]["line_items"][0];
    assert_eq!(
        (&item["id"], &item["money"]["lifetime"]["spent"]),
        (&json!("asked-1"), &json!("0.004"))
    );
    let table = budgets(&[]);
    assert!(table.status.success());
    assert!(
        text(&table).contains("asked-1") && text(&table).contains("0.004"),
        "{}",
        text(&table)
    );

    let admin = bidder.admin.to_string();
    assert!(bidder.stop().success());
    let nobody = outbid()
        .args(["budgets", "--admin", &admin, "--config"])
        .arg(folder.config())
        .output()
        .unwrap();
    assert!(!nobody.status.success());
    assert!(
        String::from_utf8(nobody.stderr)
            .unwrap()
            .contains("nobody answers at")
    );
}

fn run(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
    outbid().args(arguments).output().unwrap()
}

fn check(folder: &Folder, more: &[&str]) -> Output {
    let mut command = outbid();
    command
        .arg("check")
        .arg("--config")
        .arg(folder.config())
        .args(more);
    command.output().unwrap()
}

fn text(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}
