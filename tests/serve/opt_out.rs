//! People who say no to us: by the link of an ad, or through an operator.

use super::bidder::{Bidder, Offer, alone, banner, outbid};
use super::caps::{capped, see};
use super::configuration::{Campaign, Folder};
use super::http::{self, Connection, Response};
use outbid::events::keys::Keys;
use outbid::store::profiles::Profiles;
use outbid::units::UserKey;
use serde_json::{Value, json};
use std::path::Path;

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("Accept", "application/json");

#[test]
fn whoever_opts_out_by_the_link_of_an_ad_is_gone_at_the_next_request() {
    let (_folder, bidder) = alone(capped("gone"));
    see(&bidder, "gone", "u-000001", 1);
    let offer = bidder.offer(&banner("gone", "u-000001")).unwrap();
    assert!(
        bidder.offer(&banner("gone", "u-000001")).is_none(),
        "one bid at a time is open"
    );
    let looked_up = lookups(&bidder);

    let answer = opt_out(&bidder, offer.token());
    assert_eq!(
        (answer.status, answer.json()["status"].as_str()),
        (200, Some("opted_out"))
    );

    // No cap holds any more, and nobody is looked up: two bids, where the cap allows two and one was seen.
    let after: Vec<Offer> = (0..3)
        .filter_map(|_| bidder.offer(&banner("gone", "u-000001")))
        .collect();
    assert_eq!(after.len(), 3);
    assert_eq!(lookups(&bidder), looked_up);
    assert_eq!(decided_by(&bidder, "opt_out"), 3.0);
    assert_eq!(opted_out_ids(&bidder), 1.0);
    let why = why(&bidder, after[0].token());
    assert_eq!(why["id_used"], false);
    assert_eq!(why["decided_by"], "opt_out");
    // Somebody else is still known.
    assert!(bidder.offer(&banner("gone", "u-000002")).is_some());
    assert_eq!(lookups(&bidder), looked_up + 1.0);
}

#[test]
fn an_opted_out_id_speaks_for_the_whole_request() {
    let (_folder, bidder) = alone(Campaign::new("whole"));
    let ifa = "6D92078A-8246-4BA4-AE5B-76104861E7DC";
    let with = |change: Value| {
        let mut request = banner("whole", "u-000001");
        for (key, value) in change.as_object().unwrap() {
            request[key]
                .as_object_mut()
                .unwrap()
                .extend(value.as_object().unwrap().clone());
        }
        request
    };
    let cases = [
        (
            format!("ifa:{}", ifa.to_lowercase()),
            json!({"device": {"ifa": ifa}}),
        ),
        (
            "id.example:e-1".to_owned(),
            json!({"user": {"eids": [{"source": "id.example", "uids": [{"id": "e-0"}, {"id": "e-1"}]}]}}),
        ),
        ("exchange:open:x-1".to_owned(), json!({"user": {"id": "x-1"}})),
    ];
    for (id, change) in &cases {
        let before = decided_by(&bidder, "opt_out");
        bidder.offer(&with(change.clone())).unwrap();
        assert_eq!(decided_by(&bidder, "opt_out"), before, "{id}");
        assert_eq!(administer(&bidder, "opt-out", id)["opted_out"], true, "{id}");
        bidder.offer(&with(change.clone())).unwrap();
        assert_eq!(decided_by(&bidder, "opt_out"), before + 1.0, "{id}");
    }
    bidder.offer(&banner("whole", "u-000001")).unwrap();
    assert_eq!(
        decided_by(&bidder, "opt_out"),
        3.0,
        "the id alone has not opted out"
    );
}

#[test]
fn an_opt_out_survives_a_kill_a_reload_and_a_new_store_file() {
    let (folder, bidder) = alone(Campaign::new("lasting"));
    let is_out = |bidder: &Bidder| {
        let before = decided_by(bidder, "opt_out");
        bidder.offer(&banner("lasting", "u-000001")).unwrap();
        decided_by(bidder, "opt_out") > before
    };
    assert!(!is_out(&bidder));
    assert_eq!(
        administer(&bidder, "opt-out", "buyeruid:u-000001")["ids_changed"],
        1
    );
    assert!(is_out(&bidder));
    bidder.kill();

    let bidder = Bidder::start(&folder);
    assert!(is_out(&bidder), "after a kill");
    folder.write_campaign(&Campaign {
        cpm: "6.00",
        ..Campaign::new("lasting")
    });
    assert_eq!(bidder.reload().json()["status"], "reloaded");
    assert!(is_out(&bidder), "after a reload");

    let (people, store) = (
        folder.root().join("people.jsonl"),
        folder.data().join("profiles.store"),
    );
    std::fs::write(&people, PEOPLE).unwrap();
    let report = build(&folder, &people, &store);
    assert_eq!((&report["users"], &report["left_out"]), (&json!(1), &json!(1)));
    let secret = Keys::open(&folder.data().join("keys")).unwrap().user;
    let built = Profiles::open(&store).unwrap();
    let has = |namespace, id| built.get(UserKey::of(&secret, namespace, id)).is_some();
    assert!(!has("buyeruid", "u-000001") && !has("id.example", "e-1") && has("buyeruid", "u-000002"));
    assert_eq!(bidder.reload().json()["status"], "reloaded");
    assert_eq!(bidder.metric("outbid_profiles"), 1.0);
    assert!(is_out(&bidder), "with a new store file");
    let got = run(
        &folder,
        &[
            "store",
            "get",
            &store.display().to_string(),
            "buyeruid:u-000001",
            "--json",
        ],
    );
    assert_eq!(json_of(&got), json!({"found": false, "opted_out": true}));

    assert_eq!(
        administer(&bidder, "opt-in", "buyeruid:u-000001")["opted_out"],
        false
    );
    assert!(!is_out(&bidder));
}

const PEOPLE: &str = r#"{"ids": {"buyeruid": "u-000001", "id.example": "e-1"}, "gender": "m"}
{"ids": {"buyeruid": "u-000002"}, "gender": "f"}
"#;

#[test]
fn the_ids_that_the_store_knows_to_be_one_persons_opt_out_together() {
    let folder = Folder::new().with_campaign(Campaign::new("person"));
    let people = folder.root().join("people.jsonl");
    std::fs::create_dir_all(folder.data()).unwrap();
    std::fs::write(&people, PEOPLE).unwrap();
    build(&folder, &people, &folder.data().join("profiles.store"));
    let bidder = Bidder::start(&folder);
    let status = administer(&bidder, "opt-out", "id.example:e-1");
    assert_eq!(
        (&status["ids_changed"], &status["has_profile"]),
        (&json!(2), &json!(true))
    );
    bidder.offer(&banner("person", "u-000001")).unwrap();
    assert_eq!(decided_by(&bidder, "opt_out"), 1.0);
    bidder.offer(&banner("person", "u-000002")).unwrap();
    assert_eq!(decided_by(&bidder, "opt_out"), 1.0);
}

#[test]
fn following_a_link_changes_nothing() {
    let (_folder, bidder) = alone(Campaign::new("link"));
    let offer = bidder.offer(&banner("link", "u-000001")).unwrap();
    for target in [
        format!("/why/{}", offer.token()),
        format!("/v1/opt-out?t={}", offer.token()),
    ] {
        assert_eq!(bidder.ask(&http::get(&target, &[])).status, 200, "{target}");
    }
    assert_eq!(opted_out_ids(&bidder), 0.0);
    for method in ["PUT", "DELETE"] {
        let answer = bidder.ask(&http::write(method, "/v1/opt-out", &[], Some(b"")));
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some("GET, HEAD, POST"))
        );
    }
    assert_eq!(opt_out(&bidder, offer.token()).status, 200);
    assert_eq!(opt_out(&bidder, offer.token()).status, 200, "and again");
    assert_eq!(opted_out_ids(&bidder), 1.0);
}

#[test]
fn only_a_token_of_ours_opts_anybody_out() {
    let (_folder, bidder) = alone(Campaign::new("forged"));
    let token = bidder
        .offer(&banner("forged", "u-000001"))
        .unwrap()
        .token()
        .to_owned();
    let mut forged = token.clone().into_bytes();
    forged[40] = if forged[40] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    for bad in ["", "x", &token[1..], &forged, &format!("{token}A"), "%00%ff"] {
        assert_eq!(opt_out(&bidder, bad).status, 401, "{bad}");
        let page = bidder.ask(&http::get(&format!("/v1/opt-out?t={bad}"), &[]));
        assert_eq!(page.status, 401, "{bad}");
        if !bad.contains('%') {
            assert_eq!(
                bidder.ask(&http::get(&format!("/why/{bad}"), &[])).status,
                401,
                "{bad}"
            );
        }
    }
    assert_eq!(opted_out_ids(&bidder), 0.0);

    // A link of an ad that was chosen without an id has nobody to opt out, and says so.
    let mut unknown = banner("forged", "u-000001");
    unknown["device"]["lmt"] = json!(1);
    let answer = opt_out(&bidder, bidder.offer(&unknown).unwrap().token());
    assert_eq!(
        (answer.status, answer.json()["status"].as_str()),
        (200, Some("nothing_known"))
    );
    assert_eq!(opted_out_ids(&bidder), 0.0);
}

#[test]
fn a_process_that_stands_by_takes_no_opt_out_and_knows_those_of_the_other_later() {
    let (folder, first) = alone(Campaign::new("two"));
    let token = first
        .offer(&banner("two", "u-000001"))
        .unwrap()
        .token()
        .to_owned();
    let second = Bidder::start(&folder);
    let answer = opt_out(&second, &token);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    assert_eq!(opt_out(&first, &token).status, 200);
    assert!(first.stop().success());
    super::bidder::until("the books are handed over", || {
        (second.metric("outbid_books_open") == 1.0).then_some(())
    });
    second.offer(&banner("two", "u-000001")).unwrap();
    assert_eq!(decided_by(&second, "opt_out"), 1.0);
}

#[test]
fn an_operator_opts_people_out_from_the_command_line() {
    let (folder, bidder) = alone(Campaign::new("operator"));
    let admin = bidder.admin.to_string();
    let privacy = |command, id| run(&folder, &["privacy", command, id, "--admin", &admin, "--json"]);
    assert_eq!(json_of(&privacy("status", "u-000001"))["opted_out"], false);
    assert_eq!(json_of(&privacy("opt-out", "u-000001"))["opted_out"], true);
    assert_eq!(
        json_of(&privacy("opt-out", "buyeruid:u-000001"))["ids_changed"],
        0
    );
    assert_eq!(
        json_of(&privacy("status", "buyeruid:u-000001"))["opted_out"],
        true
    );
    assert_eq!(json_of(&privacy("opt-in", "u-000001"))["opted_out"], false);
    let wrong = privacy("opt-out", "ifa:");
    assert!(!wrong.status.success());
    let complaint = String::from_utf8(wrong.stderr).unwrap();
    assert!(complaint.contains("NAMESPACE:ID"), "{complaint}");
}

#[test]
fn the_page_says_who_why_and_how_to_stop_and_loads_nothing() {
    let (folder, bidder) = alone(Campaign::new("page"));
    let offer = bidder.offer(&banner("page", "u-000001")).unwrap();
    let page = bidder.ask(&http::get(&format!("/why/{}", offer.token()), &[]));
    let html = page.text();
    for part in [
        "north",
        "north.example",
        "page.example",
        "Opt out",
        offer.token(),
        "purpose 2",
    ] {
        assert!(html.contains(part), "{part} in {html}");
    }
    for foreign in ["<script", "http://", "https://", "//cdn", "<img", "<link"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    let secret = Keys::open(&folder.data().join("keys")).unwrap().user;
    let key = UserKey::of(&secret, "buyeruid", "u-000001");
    for form in [format!("{:016x}", key.0), key.0.to_string(), "u-000001".into()] {
        assert!(!html.contains(&form), "{form}");
    }
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-robots-tag", "noindex, nofollow"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(page.header(name), Some(value));
    }
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );

    let why = why(&bidder, offer.token());
    assert_eq!(
        why["advertiser"],
        json!({"name": "north", "domain": "north.example"})
    );
    assert_eq!(
        (&why["id_used"], &why["profile_used"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(why["decided_by"], "nothing");
    assert_eq!(
        why["opt_out"],
        json!({"possible": true, "done": false, "post": "/v1/opt-out"})
    );
}

#[test]
fn what_is_no_longer_known_of_an_ad_is_said_to_be_so() {
    let (folder, bidder) = alone(Campaign::new("ended"));
    let offer = bidder.offer(&banner("ended", "u-000001")).unwrap();
    std::fs::remove_file(folder.config().join("campaigns/ended.toml")).unwrap();
    assert_eq!(bidder.reload().json()["status"], "reloaded");
    let why = why(&bidder, offer.token());
    assert_eq!(why["advertiser"]["name"], "north");
    assert_eq!(why["main_parameters"], Value::Null);
    assert_eq!(opt_out(&bidder, offer.token()).status, 200);
}

pub fn opt_out(bidder: &Bidder, token: &str) -> Response {
    bidder.ask(&http::post(
        "/v1/opt-out",
        &[FORM, JSON],
        format!("t={token}").as_bytes(),
    ))
}

/// What the admin API answers for an id.
pub fn administer(bidder: &Bidder, action: &str, id: &str) -> Value {
    let body = json!({ "id": id }).to_string();
    let request = http::post(&format!("/api/v1/{action}"), &[], body.as_bytes());
    let answer = Connection::open(bidder.admin).ask(&request);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn why(bidder: &Bidder, token: &str) -> Value {
    bidder.ask(&http::get(&format!("/why/{token}"), &[JSON])).json()
}

fn lookups(bidder: &Bidder) -> f64 {
    bidder.metric("outbid_profile_lookups_total")
}

fn opted_out_ids(bidder: &Bidder) -> f64 {
    bidder.metric("outbid_opted_out_ids")
}

pub fn decided_by(bidder: &Bidder, signal: &str) -> f64 {
    bidder.metric(&format!("outbid_consent_decided_total{{signal=\"{signal}\"}}"))
}

fn build(folder: &Folder, people: &Path, store: &Path) -> Value {
    let (people, store) = (people.display().to_string(), store.display().to_string());
    json_of(&run(
        folder,
        &["store", "build", "--input", &people, "--output", &store, "--json"],
    ))
}

fn run(folder: &Folder, arguments: &[&str]) -> std::process::Output {
    let config = folder.config().display().to_string();
    let mut command = outbid();
    command
        .args(arguments)
        .args(["--config", &config])
        .current_dir(folder.root());
    command.output().unwrap()
}

fn json_of(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}
