//! Rules of the response that the bidder breaks.

use super::{Mutant, mutant};
use crate::proxy::Twist::{Answer, Bid};
use crate::proxy::{hide, list_mut};
use serde_json::{Value, json};

pub fn mutants() -> Vec<Mutant> {
    [responses(), bids(), markup(), native(), notices()]
        .into_iter()
        .flatten()
        .collect()
}

fn responses() -> Vec<Mutant> {
    vec![
        mutant(
            "the id of the request",
            Answer(|response, _| response["id"] = json!("1")),
            &[
                "response.id",
                "request.id.quotes",
                "request.id.unicode",
                "request.id.long",
            ],
        ),
        mutant(
            "the currency of the bids",
            Answer(|response, _| response["cur"] = json!("EUR")),
            &["response.cur", "request.cur.one"],
        ),
        mutant(
            "no seat without bids",
            Answer(|response, _| push(&mut response["seatbid"], json!({"seat": "empty", "bid": []}))),
            &["response.seat.bids"],
        ),
        mutant(
            "the name of the seat",
            Answer(|response, request| {
                if request["wseat"].is_array() {
                    hide(response, "seatbid.*.seat");
                }
            }),
            &["blocks.seat.named"],
        ),
        mutant(
            "no reason beside bids",
            Answer(|response, _| response["nbr"] = json!(0)),
            &["response.nbr"],
        ),
        mutant(
            "one seat, named once",
            Answer(|response, _| {
                let seat = response["seatbid"][0].clone();
                push(&mut response["seatbid"], seat);
            }),
            &["response.seat.once"],
        ),
        mutant(
            "fields of the specification alone",
            Answer(|response, _| response["certify"] = json!(true)),
            &["response.fields"],
        ),
    ]
}

fn bids() -> Vec<Mutant> {
    vec![
        mutant(
            "the id of the imp",
            Bid(|bid, _| bid["impid"] = json!("1")),
            &["imp.id.quotes", "imp.id.unicode", "imp.many.two"],
        ),
        mutant(
            "the advertiser (adomain)",
            Bid(|bid, _| hide(bid, "adomain")),
            &["response.bid.adomain"],
        ),
        mutant(
            "an advertiser that is a domain",
            Bid(|bid, _| bid["adomain"] = json!(["https://www.brand.example/"])),
            &["response.bid.domain"],
        ),
        mutant(
            "the creative (crid)",
            Bid(|bid, _| hide(bid, "crid")),
            &["response.bid.crid"],
        ),
        mutant(
            "the campaign (cid)",
            Bid(|bid, _| hide(bid, "cid")),
            &["response.bid.cid"],
        ),
        mutant(
            "the category (cat)",
            Bid(|bid, _| hide(bid, "cat")),
            &["response.bid.cat"],
        ),
        mutant(
            "the taxonomy of the category",
            Bid(|bid, _| bid["cattax"] = json!(7)),
            &["response.bid.taxonomy"],
        ),
        mutant(
            "a price that is a number",
            Bid(|bid, _| bid["price"] = json!(bid["price"].to_string())),
            &["response.bid.price", "response.bid.fields"],
        ),
        mutant(
            "a price without the digits of a binary fraction",
            Bid(|bid, _| bid["price"] = json!(bid["price"].as_f64().unwrap_or_default() / 3.0)),
            &["response.bid.digits"],
        ),
        mutant(
            "a price that reaches the floor",
            Bid(|bid, imp| bid["price"] = json!(imp["bidfloor"].as_f64().unwrap_or_default() / 2.0)),
            &["response.bid.floor", "imp.floor.below"],
        ),
        mutant(
            "what the bid is (mtype)",
            Bid(|bid, _| hide(bid, "mtype")),
            &[
                "response.bid.mtype",
                "banner.mtype",
                "video.mtype",
                "native.mtype",
            ],
        ),
        mutant(
            "an mtype that is that of the markup",
            Bid(|bid, _| bid["mtype"] = json!(bid["mtype"].as_i64().unwrap_or_default() % 4 + 1)),
            &[
                "response.bid.mtype-markup",
                "banner.mtype",
                "video.mtype",
                "native.mtype",
            ],
        ),
        mutant(
            "the size of a banner",
            Bid(|bid, _| {
                hide(bid, "w");
                hide(bid, "h");
            }),
            &["response.bid.size"],
        ),
        mutant(
            "a size that was offered",
            Bid(|bid, _| bid["w"] = json!(301)),
            &["response.bid.offered", "banner.size.echo"],
        ),
        mutant(
            "the duration of a video (dur)",
            Bid(|bid, _| hide(bid, "dur")),
            &["response.bid.duration"],
        ),
        mutant(
            "a language that is a code",
            Bid(|bid, _| bid["language"] = json!("English")),
            &["response.bid.language"],
        ),
        mutant(
            "attributes that are known",
            Bid(|bid, _| bid["attr"] = json!([1, 1, 99])),
            &["response.bid.attributes"],
        ),
        mutant(
            "a time that the bid is good for",
            Bid(|bid, _| bid["exp"] = json!(0)),
            &["response.bid.exp"],
        ),
        mutant(
            "absent where nothing is said",
            Bid(|bid, _| bid["iurl"] = json!("")),
            &["response.bid.nulls"],
        ),
        mutant(
            "no deal where none was offered",
            Bid(|bid, _| bid["dealid"] = json!("deal-of-nobody")),
            &["deals.none.named", "deals.unknown.named"],
        ),
        mutant(
            "no id of the user in a bid for a child",
            Answer(|response, request| {
                if let Some(bid) = list_mut(&mut response["seatbid"][0]["bid"]).first_mut() {
                    bid["ext"] = json!({"user": request["user"]["id"]});
                }
            }),
            &[
                "privacy.coppa",
                "privacy.lmt",
                "privacy.gdpr.no-consent",
                "privacy.conflict",
            ],
        ),
        mutant(
            "no address of the user in a bid",
            Answer(|response, request| response["ext"] = json!({"ip": request["device"]["ip"]})),
            &["privacy.ip"],
        ),
    ]
}

fn markup() -> Vec<Mutant> {
    vec![
        mutant(
            "markup, or an address to get it from",
            Bid(|bid, _| {
                hide(bid, "adm");
                hide(bid, "nurl");
            }),
            &["response.bid.markup"],
        ),
        mutant(
            "our own placeholders, filled in",
            Bid(|bid, _| in_markup(bid, |adm| adm + "<!-- ${WIDTH} -->")),
            &["macros.own"],
        ),
        mutant(
            "macros of the specification alone, in markup",
            Bid(|bid, _| in_markup(bid, |adm| adm + "<!-- ${AUCTION_WINNER} -->")),
            &["macros.known.markup"],
        ),
        mutant(
            "macros that end",
            Bid(|bid, _| in_markup(bid, |adm| adm + "<!-- ${AUCTION_PRICE -->")),
            &["macros.closed"],
        ),
        mutant(
            "VAST that is well-formed",
            Bid(|bid, _| in_markup(bid, |adm| adm.replace("</Linear>", ""))),
            &["video.vast.well-formed"],
        ),
        mutant(
            "the version of a VAST in `protocol`",
            Bid(|bid, _| {
                if bid["protocol"].is_number() {
                    bid["protocol"] = json!(2);
                }
            }),
            &["video.vast.version"],
        ),
        mutant(
            "inline or wrapper as `protocol` says",
            Bid(|bid, _| in_markup(bid, |adm| adm.replace("InLine", "Wrapper"))),
            &["video.vast.wrapper"],
        ),
        mutant(
            "the duration of a VAST in `dur`",
            Bid(|bid, _| {
                if bid["dur"].is_number() {
                    bid["dur"] = json!(3);
                }
            }),
            &["video.vast.duration"],
        ),
        mutant(
            "the impression of a VAST",
            Bid(|bid, _| in_markup(bid, |adm| adm.replace("Impression", "Impossible"))),
            &["video.vast.impression"],
        ),
        mutant(
            "the types of media files",
            Bid(|bid, _| in_markup(bid, |adm| adm.replace(" type=\"video/", " kind=\"video/"))),
            &["video.vast.media"],
        ),
        mutant(
            "media files that the player can play alone",
            Bid(|bid, _| in_markup(bid, |adm| adm.replace("type=\"video/", "type=\"film/"))),
            &["video.mimes.one"],
        ),
        mutant(
            "attribute 16 on what can be skipped",
            Bid(|bid, _| hide(bid, "attr")),
            &["video.skip.zero"],
        ),
    ]
}

fn native() -> Vec<Mutant> {
    vec![
        mutant(
            "the link of a native ad",
            Bid(|bid, _| in_native(bid, |native| native["link"] = json!({"url": "/landing"}))),
            &["native.answer.link"],
        ),
        mutant(
            "required assets, all of them",
            Bid(|bid, _| in_native(bid, |native| drop_first(&mut native["assets"]))),
            &["native.answer.required"],
        ),
        mutant(
            "assets that were asked for alone",
            Bid(|bid, _| {
                in_native(bid, |native| {
                    push(&mut native["assets"], json!({"id": 999, "data": {"value": "x"}}));
                })
            }),
            &["native.answer.known"],
        ),
        mutant(
            "one part of an asset",
            Bid(|bid, _| {
                in_native(bid, |native| {
                    for asset in list_mut(&mut native["assets"]) {
                        asset["data"] = json!({"value": "x"});
                    }
                })
            }),
            &["native.answer.once"],
        ),
        mutant(
            "texts as long as asked for",
            Bid(|bid, _| {
                in_native(bid, |native| {
                    for asset in list_mut(&mut native["assets"]) {
                        if asset["title"].is_object() {
                            asset["title"]["text"] = json!("long ".repeat(40));
                        }
                    }
                })
            }),
            &["native.answer.lengths"],
        ),
        mutant(
            "images with a size",
            Bid(|bid, _| in_native(bid, |native| hide(native, "assets.*.img.w"))),
            &["native.answer.images"],
        ),
        mutant(
            "event trackers with a method",
            Bid(|bid, _| in_native(bid, |native| hide(native, "eventtrackers.*.method"))),
            &["native.answer.trackers"],
        ),
    ]
}

fn notices() -> Vec<Mutant> {
    vec![
        mutant(
            "the price in a win notice",
            Bid(|bid, _| in_text(bid, "nurl", |url| url.replace("${AUCTION_PRICE}", "1"))),
            &["macros.nurl.price"],
        ),
        mutant(
            "the price in a billing notice",
            Bid(|bid, _| in_text(bid, "burl", |url| url.replace("${AUCTION_PRICE}", "1"))),
            &["macros.burl.price"],
        ),
        mutant(
            "the reason in a loss notice",
            Bid(|bid, _| in_text(bid, "lurl", |url| url.replace("${AUCTION_LOSS}", "1"))),
            &["macros.lurl.reason"],
        ),
        mutant(
            "macros of the specification alone, in notices",
            Bid(|bid, _| in_text(bid, "nurl", |url| url + "&w=${WINNER}")),
            &["macros.known.notices", "macros.substituted"],
        ),
        mutant(
            "notices that are URLs",
            Bid(|bid, _| in_text(bid, "burl", |url| url.replace("http://", "//"))),
            &["response.bid.urls", "macros.substituted"],
        ),
        mutant(
            "notices of its own for each bid",
            Bid(|bid, _| bid["nurl"] = json!("http://bid.example/n/win?p=${AUCTION_PRICE}")),
            &["macros.own-notices"],
        ),
        mutant(
            "no question in a win notice why it lost",
            Bid(|bid, _| in_text(bid, "nurl", |url| url + "&l=${AUCTION_LOSS}")),
            &["macros.loss.win"],
        ),
    ]
}

fn in_text(bid: &mut Value, key: &str, change: impl FnOnce(String) -> String) {
    if let Some(text) = bid[key].as_str().map(str::to_owned) {
        bid[key] = json!(change(text));
    }
}

fn in_markup(bid: &mut Value, change: impl FnOnce(String) -> String) {
    in_text(bid, "adm", change);
}

fn in_native(bid: &mut Value, change: impl FnOnce(&mut Value)) {
    let text = bid["adm"].as_str().unwrap_or_default();
    if let Ok(mut native) = serde_json::from_str::<Value>(text) {
        change(&mut native);
        bid["adm"] = json!(native.to_string());
    }
}

fn push(list: &mut Value, item: Value) {
    if let Some(list) = list.as_array_mut() {
        list.push(item);
    }
}

fn drop_first(list: &mut Value) {
    if let Some(list) = list.as_array_mut() {
        list.remove(0);
    }
}
