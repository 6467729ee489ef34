//! A bidder with one banner, just good enough to keep a rule each of many kinds, and to break it when told to.

use super::items;
use super::server::{Reply, Request};
use serde_json::{Value, json};

const PRICE: f64 = 2.0;
const DOMAIN: &str = "toy.brand.example";
const CATEGORY: &str = "IAB9-5";
const SEAT: &str = "toy";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    Refusal,
    IdEcho,
    ImpEcho,
    Floor,
    FloorCurrency,
    Currency,
    Tmax,
    Advertiser,
    AdvertiserCase,
    AdvertiserParent,
    Category,
    CategoryParent,
    Taxonomy,
    AllowedCategory,
    AllowedSeat,
    BlockedSeat,
    Language,
    Size,
    Type,
    Secure,
    PrivateAuction,
    Exp,
    UserIds,
    PriceMacro,
    Forged,
    OpenRedirect,
    Method,
}

/// The bidder, with no rule or one rule switched off.
#[derive(Clone, Copy, Default)]
pub struct Toy {
    off: Option<Rule>,
}

impl Rule {
    pub const ALL: [Rule; 27] = [
        Rule::Refusal,
        Rule::IdEcho,
        Rule::ImpEcho,
        Rule::Floor,
        Rule::FloorCurrency,
        Rule::Currency,
        Rule::Tmax,
        Rule::Advertiser,
        Rule::AdvertiserCase,
        Rule::AdvertiserParent,
        Rule::Category,
        Rule::CategoryParent,
        Rule::Taxonomy,
        Rule::AllowedCategory,
        Rule::AllowedSeat,
        Rule::BlockedSeat,
        Rule::Language,
        Rule::Size,
        Rule::Type,
        Rule::Secure,
        Rule::PrivateAuction,
        Rule::Exp,
        Rule::UserIds,
        Rule::PriceMacro,
        Rule::Forged,
        Rule::OpenRedirect,
        Rule::Method,
    ];

    /// The cases that fail when the rule is broken.
    pub const fn cases(self) -> &'static [&'static str] {
        match self {
            Rule::Refusal => &[
                "body.truncated",
                "body.two-documents",
                "body.imp.empty",
                "transport.refusal",
            ],
            Rule::IdEcho => &["request.id.unicode", "response.id"],
            Rule::ImpEcho => &["imp.id.unicode"],
            Rule::Floor => &[
                "imp.floor.banner",
                "imp.floor.double",
                "imp.floor.default-currency",
            ],
            Rule::FloorCurrency => &["imp.floor.strong"],
            Rule::Currency => &["request.cur.unknown", "request.cur.other"],
            Rule::Tmax => &["request.tmax.tiny"],
            Rule::Advertiser => &["blocks.badv.exact", "blocks.badv.many"],
            Rule::AdvertiserCase => &["blocks.badv.case"],
            Rule::AdvertiserParent => &["blocks.badv.parent"],
            Rule::Category => &["blocks.bcat.exact", "blocks.bcat.default-taxonomy"],
            Rule::CategoryParent => &["blocks.bcat.parent"],
            Rule::Taxonomy => &["blocks.bcat.taxonomy"],
            Rule::AllowedCategory => &["blocks.acat.other"],
            Rule::AllowedSeat => &["blocks.wseat.other"],
            Rule::BlockedSeat => &["blocks.bseat.ours"],
            Rule::Language => &["blocks.wlang.other"],
            Rule::Size => &["banner.size.mismatch", "banner.size.swapped", "banner.size.near"],
            Rule::Type => &["banner.btype.html"],
            Rule::Secure => &["imp.secure.banner"],
            Rule::PrivateAuction => &["deals.private.unknown", "deals.private.empty"],
            Rule::Exp => &["imp.exp"],
            Rule::UserIds => &["privacy.coppa", "privacy.gdpr.no-consent"],
            Rule::PriceMacro => &["macros.nurl.price"],
            Rule::Forged => &["notices.forged.win", "notices.click.forged"],
            Rule::OpenRedirect => &["notices.click.open"],
            Rule::Method => &["transport.get"],
        }
    }
}

impl Toy {
    pub fn without(rule: Rule) -> Toy {
        Toy { off: Some(rule) }
    }

    fn keeps(self, rule: Rule) -> bool {
        self.off != Some(rule)
    }

    pub fn answer(self, request: &Request) -> Reply {
        if !request.target.starts_with("/bid") {
            return self.notice(request);
        }
        if request.method != "POST" {
            return Reply::status(if self.keeps(Rule::Method) { 405 } else { 204 });
        }
        let parsed: Option<Value> = serde_json::from_slice(&request.body).ok();
        let valid =
            |r: &Value| r["id"].as_str().is_some_and(|id| !id.is_empty()) && !items(&r["imp"]).is_empty();
        match parsed.filter(valid) {
            Some(parsed) => self.bid(&parsed, &format!("http://{}", request.host)),
            None if self.keeps(Rule::Refusal) => Reply::status(400),
            None => Reply::status(204),
        }
    }

    fn notice(self, request: &Request) -> Reply {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let value = |key: &str| {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
        };
        if value("t") != Some(TOKEN) && self.keeps(Rule::Forged) {
            return Reply::status(401);
        }
        match (path, value("url").filter(|_| !self.keeps(Rule::OpenRedirect))) {
            ("/click", Some(url)) => Reply::redirect(&url.replace("%3A", ":").replace("%2F", "/")),
            ("/click", None) => Reply::redirect("https://toy.brand.example/"),
            _ => Reply::status(200),
        }
    }

    fn bid(self, request: &Value, base: &str) -> Reply {
        let wanted = items(&request["imp"])
            .iter()
            .find(|imp| self.allows(request, imp));
        let Some(imp) = wanted.filter(|_| self.allows_us(request)) else {
            return Reply::status(204);
        };
        let impid = if self.keeps(Rule::ImpEcho) {
            imp["id"].as_str().unwrap_or_default()
        } else {
            "1"
        };
        let mut response = bid(request, impid, PRICE, base);
        let bid = &mut response["seatbid"][0]["bid"][0];
        let (w, h) = size(imp).filter(|_| self.keeps(Rule::Size)).unwrap_or((300, 250));
        (bid["w"], bid["h"]) = (json!(w), json!(h));
        if let (Some(exp), true) = (imp["exp"].as_i64(), self.keeps(Rule::Exp)) {
            bid["exp"] = json!(exp.min(300));
        }
        let restricted = request["regs"]["coppa"] == 1 || request["regs"]["gdpr"] == 1;
        if !restricted || !self.keeps(Rule::UserIds) {
            bid["ext"] = json!({"user": request["user"]["id"]});
        }
        if !self.keeps(Rule::PriceMacro) {
            bid["nurl"] = json!(format!("{base}/win?t={TOKEN}"));
        }
        if !self.keeps(Rule::IdEcho) {
            response["id"] = json!("1");
        }
        Reply::json(&response)
    }

    /// What the whole request forbids.
    fn allows_us(self, request: &Value) -> bool {
        let has = |key: &str, text: &str| items(&request[key]).iter().any(|entry| entry == text);
        let listed = |key: &str| !items(&request[key]).is_empty();
        let taxonomy = request["cattax"].as_i64().unwrap_or(1) == 1 || !self.keeps(Rule::Taxonomy);
        let blocked = |domain: &str| {
            let exact = domain == DOMAIN && self.keeps(Rule::Advertiser);
            let case =
                domain != DOMAIN && domain.eq_ignore_ascii_case(DOMAIN) && self.keeps(Rule::AdvertiserCase);
            exact || case || (domain == "brand.example" && self.keeps(Rule::AdvertiserParent))
        };
        let rules = [
            (Rule::Currency, !listed("cur") || has("cur", "USD")),
            (
                Rule::Tmax,
                request["tmax"].as_f64().is_none_or(|tmax| tmax > 10.0),
            ),
            (Rule::Category, !(taxonomy && has("bcat", CATEGORY))),
            (Rule::CategoryParent, !(taxonomy && has("bcat", "IAB9"))),
            (Rule::AllowedCategory, !listed("acat") || has("acat", CATEGORY)),
            (Rule::AllowedSeat, !listed("wseat") || has("wseat", SEAT)),
            (Rule::BlockedSeat, !has("bseat", SEAT)),
            (Rule::Language, !listed("wlang") || has("wlang", "en")),
        ];
        let domains = items(&request["badv"]).iter().filter_map(Value::as_str);
        domains.into_iter().all(|domain| !blocked(domain))
            && rules.iter().all(|(rule, kept)| *kept || !self.keeps(*rule))
    }

    /// What an imp forbids.
    fn allows(self, request: &Value, imp: &Value) -> bool {
        let rate = match imp["bidfloorcur"].as_str() {
            Some("GBP") if self.keeps(Rule::FloorCurrency) => Some(1.3),
            Some("JPY") if self.keeps(Rule::FloorCurrency) => Some(0.0064),
            Some("USD" | "GBP" | "JPY") | None => Some(1.0),
            _ => None,
        };
        let floor = rate.map(|rate| rate * imp["bidfloor"].as_f64().unwrap_or(0.0));
        let html = items(&imp["banner"]["btype"]).iter().any(|kind| kind == 2);
        let rules = [
            (Rule::Floor, floor.is_some_and(|floor| floor <= PRICE)),
            (Rule::Size, size(imp).is_some()),
            (Rule::Type, !html),
            (Rule::Secure, imp["secure"] != 1 && imp["secure"] != "1"),
            (Rule::PrivateAuction, imp["pmp"]["private_auction"] != 1),
        ];
        let banner = imp["banner"].is_object() && request["site"].is_object();
        banner && rules.iter().all(|(rule, kept)| *kept || !self.keeps(*rule))
    }
}

/// A response with one bid of 300x250.
pub fn bid(request: &Value, impid: &str, price: f64, base: &str) -> Value {
    let bid = json!({
        "id": format!("{}-{impid}", request["id"].as_str().unwrap_or_default()), "impid": impid, "price": price,
        "nurl": format!("{base}/win?t={TOKEN}&p=${{AUCTION_PRICE}}"),
        "adm": format!("<a href=\"{base}/click?t={TOKEN}\" style=\"color:red\">Toy</a>"),
        "adomain": [DOMAIN], "cat": [CATEGORY], "cid": "toy-1", "crid": "toy-1-1", "language": "en",
        "w": 300, "h": 250, "mtype": 1, "exp": 300,
    });
    json!({"id": request["id"], "cur": "USD", "seatbid": [{"seat": SEAT, "bid": [bid]}]})
}

/// The size that is offered and that we have.
fn size(imp: &Value) -> Option<(i64, i64)> {
    let banner = &imp["banner"];
    let single = std::slice::from_ref(banner);
    let offered = if banner["format"].is_array() {
        items(&banner["format"])
    } else {
        single
    };
    let ours = offered
        .iter()
        .any(|size| (size["w"].as_f64(), size["h"].as_f64()) == (Some(300.0), Some(250.0)));
    ours.then_some((300, 250))
}
