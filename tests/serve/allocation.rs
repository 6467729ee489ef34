//! What sources brought, through the wire: counted from notices, listed, remembered over a restart.

use super::bidder::{Bidder, alone, banner, outbid};
use super::configuration::Campaign;
use super::http::{self, Connection};
use serde_json::{Value, json};

fn sources(bidder: &Bidder) -> Vec<Value> {
    let report = bidder.look("/api/v1/allocation").json();
    report["sources"].as_array().unwrap().clone()
}

#[test]
fn an_impression_is_counted_for_its_source_and_a_word_about_nothing_is_refused() {
    let (folder, bidder) = alone(Campaign::new("counted"));
    assert!(sources(&bidder).is_empty());
    let offer = bidder.offer(&banner("counted", "u-000001")).unwrap();
    bidder.tell(offer.text("burl"), "4.00");
    bidder.tell(offer.text("burl"), "4.00");
    let known = sources(&bidder);
    assert_eq!(known.len(), 1, "{known:#?}");
    let told =
        ["line_item", "exchange", "format", "cost"].map(|key| known[0][key].as_str().unwrap().to_owned());
    assert_eq!(told, ["counted-1", "open", "banner", "0.004"]);
    assert!((known[0]["impressions"].as_f64().unwrap() - 1.0).abs() < 1e-3);
    assert_eq!(known[0]["placement"].as_str().unwrap().len(), 4);

    let post = |body: &str| {
        Connection::open(bidder.admin)
            .ask(&http::post("/api/v1/allocation", &[], body.as_bytes()))
            .status
    };
    let word = json!({"slice": "counted-1/exchange:open", "do": "approve"}).to_string();
    assert_eq!(
        [post("{"), post("{\"slice\": \"x\"}"), post(&word)],
        [400, 400, 404]
    );

    assert!(bidder.stop().success());
    let bidder = Bidder::start(&folder);
    assert_eq!(sources(&bidder)[0]["line_item"], "counted-1");
    let listed = outbid()
        .args(["allocation", "--config"])
        .arg(folder.config())
        .arg("--admin")
        .arg(bidder.admin.to_string())
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(
        listed.contains("counted-1 / open / banner") && listed.contains("no rule has moved money"),
        "{listed}"
    );
}
