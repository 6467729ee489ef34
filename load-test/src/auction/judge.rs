//! Whether an answer is one that an exchange takes. Invariant: a bid that passes can be auctioned and shown.

use super::markup::MarkupKind;
use super::offer::{Imp, Offer};
use serde::Deserialize;

/// A bid response, OpenRTB 2.6 section 4.2, as far as an exchange needs it here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Response {
    pub id: String,
    pub bidid: Option<String>,
    pub cur: Option<String>,
    pub seatbid: Vec<Seat>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Seat {
    pub seat: Option<String>,
    /// 1: all bids of the seat are won, or none.
    pub group: u32,
    pub bid: Vec<Bid>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Bid {
    pub id: String,
    pub impid: String,
    pub price: Option<f64>,
    pub adm: Option<String>,
    pub nurl: Option<String>,
    pub burl: Option<String>,
    pub lurl: Option<String>,
    pub adid: Option<String>,
    pub adomain: Vec<String>,
    pub crid: Option<String>,
    pub cat: Vec<String>,
    pub dealid: Option<String>,
    pub w: Option<u64>,
    pub h: Option<u64>,
    pub mtype: Option<u32>,
}

/// What is wrong with an answer or a bid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    NotOpenRtb,
    WrongRequestId,
    CurrencyNotAllowed,
    UnknownImp,
    NoPrice,
    BelowFloor,
    BelowDealFloor,
    UnknownDeal,
    NoMarkup,
    NoCreativeId,
    NoDomain,
    FormatNotOffered,
    SizeNotOffered,
    NotSecure,
    BlockedDomain,
    BlockedCategory,
    BrokenMarkup,
}

impl Flaw {
    pub fn name(self) -> &'static str {
        match self {
            Flaw::NotOpenRtb => "not an OpenRTB response",
            Flaw::WrongRequestId => "id of the request not echoed",
            Flaw::CurrencyNotAllowed => "currency not allowed",
            Flaw::UnknownImp => "impid not in the request",
            Flaw::NoPrice => "no price above 0",
            Flaw::BelowFloor => "price below floor",
            Flaw::BelowDealFloor => "price below the deal's floor",
            Flaw::UnknownDeal => "dealid not offered",
            Flaw::NoMarkup => "no adm",
            Flaw::NoCreativeId => "no crid",
            Flaw::NoDomain => "no adomain",
            Flaw::FormatNotOffered => "format not offered",
            Flaw::SizeNotOffered => "size not offered",
            Flaw::NotSecure => "http in a secure imp",
            Flaw::BlockedDomain => "blocked domain (badv)",
            Flaw::BlockedCategory => "blocked category (bcat)",
            Flaw::BrokenMarkup => "markup cannot be read",
        }
    }

    /// Loss reason code, from the list of OpenRTB 3.0.
    pub fn loss_reason(self) -> u32 {
        match self {
            Flaw::NotOpenRtb | Flaw::CurrencyNotAllowed | Flaw::UnknownImp => 3,
            Flaw::WrongRequestId => 5,
            Flaw::NoPrice => 9,
            Flaw::BelowFloor => 100,
            Flaw::BelowDealFloor => 101,
            Flaw::UnknownDeal => 4,
            Flaw::NoMarkup => 7,
            Flaw::NoCreativeId => 8,
            Flaw::NoDomain => 6,
            Flaw::FormatNotOffered => 204,
            Flaw::SizeNotOffered => 203,
            Flaw::NotSecure => 207,
            Flaw::BlockedDomain => 205,
            Flaw::BlockedCategory => 209,
            Flaw::BrokenMarkup => 200,
        }
    }
}

impl Response {
    /// # Errors
    /// What makes the whole answer worthless.
    pub fn read(body: &[u8], sent_id: Option<&str>, offer: &Offer) -> Result<Response, Flaw> {
        let response: Response = serde_json::from_slice(body).map_err(|_| Flaw::NotOpenRtb)?;
        if sent_id.is_some_and(|id| id != response.id) {
            return Err(Flaw::WrongRequestId);
        }
        let allowed =
            offer.currencies.is_empty() || offer.currencies.iter().any(|cur| cur == response.currency());
        if allowed {
            Ok(response)
        } else {
            Err(Flaw::CurrencyNotAllowed)
        }
    }

    /// US dollars where nothing is said (section 4.2.1).
    pub fn currency(&self) -> &str {
        self.cur.as_deref().unwrap_or("USD")
    }
}

/// The index of the imp that a bid is for, or what is wrong with the bid. Prices are compared with floors of the same
/// currency only: the exchange here has no rates.
///
/// # Errors
/// The first flaw found.
pub fn judge(bid: &Bid, currency: &str, offer: &Offer) -> Result<usize, Flaw> {
    let at = offer
        .imps
        .iter()
        .position(|imp| imp.id == bid.impid)
        .ok_or(Flaw::UnknownImp)?;
    let imp = &offer.imps[at];
    let price = bid
        .price
        .filter(|price| price.is_finite() && *price > 0.0)
        .ok_or(Flaw::NoPrice)?;
    check_floor(bid, price, currency, imp)?;
    check_creative(bid, imp)?;
    check_blocks(bid, offer)?;
    Ok(at)
}

/// Half a millionth is the rounding of a price that is written in six digits.
fn is_below(price: f64, floor: f64) -> bool {
    price < floor - 0.5e-6
}

fn check_floor(bid: &Bid, price: f64, currency: &str, imp: &Imp) -> Result<(), Flaw> {
    match &bid.dealid {
        Some(id) => {
            let deal = imp.deal(id).ok_or(Flaw::UnknownDeal)?;
            let below = deal.floor_currency == currency && is_below(price, deal.floor);
            if below { Err(Flaw::BelowDealFloor) } else { Ok(()) }
        }
        None if imp.floor_currency == currency && is_below(price, imp.floor) => Err(Flaw::BelowFloor),
        None => Ok(()),
    }
}

fn check_creative(bid: &Bid, imp: &Imp) -> Result<(), Flaw> {
    let adm = bid
        .adm
        .as_deref()
        .filter(|adm| !adm.trim().is_empty())
        .ok_or(Flaw::NoMarkup)?;
    bid.crid
        .as_deref()
        .filter(|crid| !crid.is_empty())
        .ok_or(Flaw::NoCreativeId)?;
    if bid.adomain.iter().all(String::is_empty) {
        return Err(Flaw::NoDomain);
    }
    let kind = MarkupKind::of(bid.mtype, adm);
    let offered = match kind {
        MarkupKind::Html => imp.banner,
        MarkupKind::Vast => imp.video || imp.audio,
        MarkupKind::Native => imp.native,
    };
    if !offered {
        return Err(Flaw::FormatNotOffered);
    }
    if let (MarkupKind::Html, Some(w), Some(h)) = (kind, bid.w, bid.h)
        && !imp.sizes.is_empty()
        && !imp.sizes.contains(&(w, h))
    {
        return Err(Flaw::SizeNotOffered);
    }
    if imp.secure && is_insecure(adm) {
        Err(Flaw::NotSecure)
    } else {
        Ok(())
    }
}

/// The names of XML namespaces are no addresses that are fetched.
fn is_insecure(adm: &str) -> bool {
    adm.replace("http://www.w3.org/", "")
        .replace("http://www.iab.com/VAST", "")
        .contains("http://")
}

fn check_blocks(bid: &Bid, offer: &Offer) -> Result<(), Flaw> {
    let within = |name: &str, blocked: &str, joint: char| {
        name.strip_suffix(blocked)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with(joint))
    };
    let domain_blocked = |domain: &String| {
        offer
            .blocked_domains
            .iter()
            .any(|blocked| within(domain, blocked, '.'))
    };
    if bid.adomain.iter().any(domain_blocked) {
        return Err(Flaw::BlockedDomain);
    }
    // A category blocks what is below it: IAB7 blocks IAB7-39.
    let below = |code: &str, blocked: &str| {
        code.strip_prefix(blocked)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let blocked = |code: &String| {
        offer
            .blocked_categories
            .iter()
            .any(|blocked| below(code, blocked))
    };
    if bid.cat.iter().any(blocked) {
        Err(Flaw::BlockedCategory)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use world::World;

    fn offer() -> Offer {
        let request = json!({"cur": ["USD"], "badv": ["bad.example"], "bcat": ["IAB7"], "imp": [
            {"id": "1", "banner": {"w": 300, "h": 250}, "bidfloor": 0.5, "secure": 1, "pmp": {"deals": [{"id": "d", "bidfloor": 2}]}},
            {"id": "2", "native": {}}]});
        Offer::read(&request, &World::new(1))
    }

    /// A good bid with some fields changed.
    fn check(changes: Value, expected: Result<usize, Flaw>) {
        let mut bid = json!({"id": "b", "impid": "1", "price": 1.0, "adm": "<a href='https://x'>", "crid": "c",
            "adomain": ["good.example"], "cat": ["IAB2"], "w": 300, "h": 250});
        for (key, value) in changes.as_object().expect("an object") {
            bid[key] = value.clone();
        }
        let bid: Bid = serde_json::from_value(bid).expect("a bid");
        assert_eq!(judge(&bid, "USD", &offer()), expected, "{changes}");
    }

    #[test]
    fn bids_are_taken_or_refused_with_their_flaw() {
        check(json!({}), Ok(0));
        check(json!({"impid": "3"}), Err(Flaw::UnknownImp));
        check(json!({"price": 0}), Err(Flaw::NoPrice));
        check(json!({"price": null}), Err(Flaw::NoPrice));
        check(json!({"price": 0.49}), Err(Flaw::BelowFloor));
        check(json!({"price": 0.5}), Ok(0));
        check(json!({"dealid": "d"}), Err(Flaw::BelowDealFloor));
        check(json!({"dealid": "d", "price": 2}), Ok(0));
        check(json!({"dealid": "e"}), Err(Flaw::UnknownDeal));
        check(json!({"adm": " "}), Err(Flaw::NoMarkup));
        check(json!({"crid": ""}), Err(Flaw::NoCreativeId));
        check(json!({"adomain": []}), Err(Flaw::NoDomain));
        check(
            json!({"adm": "<VAST version='4.0'>"}),
            Err(Flaw::FormatNotOffered),
        );
        check(json!({"impid": "2", "adm": "{\"assets\":[]}"}), Ok(1));
        check(json!({"w": 728, "h": 90}), Err(Flaw::SizeNotOffered));
        check(json!({"adm": "<img src='http://x/'>"}), Err(Flaw::NotSecure));
        check(json!({"adm": "<svg xmlns='http://www.w3.org/2000/svg'>"}), Ok(0));
        check(json!({"adomain": ["very.bad.example"]}), Err(Flaw::BlockedDomain));
        check(json!({"adomain": ["notbad.example"]}), Ok(0));
        check(json!({"cat": ["IAB7-39"]}), Err(Flaw::BlockedCategory));
        check(json!({"cat": ["IAB70"]}), Ok(0));
    }

    #[test]
    fn answers_that_are_worthless_are_refused_whole() {
        for (body, expected) in [
            (r#"{"id":"r"}"#, None),
            (r#"{"id":"s"}"#, Some(Flaw::WrongRequestId)),
            (r#"{"id":"r","cur":"EUR"}"#, Some(Flaw::CurrencyNotAllowed)),
            (r#"{"id":"r","seatbid":1}"#, Some(Flaw::NotOpenRtb)),
            ("{", Some(Flaw::NotOpenRtb)),
        ] {
            assert_eq!(
                Response::read(body.as_bytes(), Some("r"), &offer()).err(),
                expected,
                "{body}"
            );
        }
    }
}
