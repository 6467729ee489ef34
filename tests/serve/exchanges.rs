//! What is agreed with single exchanges, through the wire: who it is, whose seat, which URLs, whether we are well.

use super::bidder::{Bidder, banner, bid_request};
use super::configuration::{Campaign, Folder};
use super::http;
use serde_json::json;

const AGREED: &str = r#"
seat = "general"
public_url = "https://own.bid.example/"
health = "/openrtb2/agreed/health"
[seats]
north = "seat-of-north"
[macros]
price = "%%WINNING_PRICE%%"
[auth]
header = "X-Api-Key"
header_file = "agreed.token"
"#;
const KEY: &str = "the-key-of-this-exchange";

#[test]
fn an_exchange_gets_what_is_agreed_with_it() {
    let folder = Folder::new().with_campaign(Campaign::new("agreed"));
    folder.write("agreed.token", KEY);
    folder.write("exchanges/agreed.toml", AGREED);
    let bidder = Bidder::start(&folder);
    let request = banner("agreed", "u-000001");
    let ask = |headers: &[(&str, &str)]| bidder.ask(&bid_request("agreed", headers, &request));

    for headers in [
        &[][..],
        &[("X-Api-Key", "another-key-of-the-same")],
        &[("Authorization", KEY)],
    ] {
        assert_eq!(ask(headers).status, 401, "{headers:?}");
    }
    let response = ask(&[("x-api-key", KEY)]).json();
    let seat = &response["seatbid"][0];
    let bid = &seat["bid"][0];
    assert_eq!(seat["seat"], "seat-of-north");
    assert_eq!(response["bidid"], bid["id"], "`${{AUCTION_BID_ID}}` has a value");
    for (key, path) in [("nurl", "/n/win?t="), ("burl", "/n/bill?t=")] {
        let url = bid[key].as_str().unwrap();
        assert!(
            url.starts_with(&format!("https://own.bid.example{path}")),
            "{url}"
        );
        assert!(
            url.contains("&p=%%WINNING_PRICE%%&c=${AUCTION_CURRENCY}"),
            "{url}"
        );
    }
    let markup = bid["adm"].as_str().unwrap();
    assert!(markup.contains("https://own.bid.example/n/click?t="), "{markup}");
    assert!(markup.contains("https://own.bid.example/n/imp?t="), "{markup}");
    assert!(markup.contains("&p=%%WINNING_PRICE%%&"), "{markup}");

    // The macro that nobody replaced is no price: the reserved one is booked.
    let burl = bid["burl"]
        .as_str()
        .unwrap()
        .strip_prefix("https://own.bid.example")
        .unwrap();
    assert_eq!(bidder.ask(&http::get(burl, &[])).status, 200);
    let money = bidder.line_item("agreed-1")["money"]["lifetime"]["spent"].clone();
    assert_eq!(money, json!("0.005"));

    assert_eq!(bidder.ask(&http::get("/openrtb2/agreed/health", &[])).status, 200);
    assert_eq!(bidder.ask(&http::get("/openrtb2/open/health", &[])).status, 405);
    assert_eq!(
        bidder
            .ask(&http::post("/openrtb2/agreed/health", &[], b"{}"))
            .status,
        401
    );
}
