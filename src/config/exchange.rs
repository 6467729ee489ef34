//! `exchanges/NAME.toml` → what is agreed with one exchange. Invariant: secrets come from files or the environment.

use super::document::{Document, Node, Table};
use super::files::Folder;
use super::problem::Report;
use super::{exchange_auth, macros, quantity, supply, traffic};
use crate::openrtb::WireFormat;
use crate::openrtb::notice::PriceUnit;
use crate::openrtb::price_crypto::{AdxKeys, PriceCodec};
use crate::store::campaigns::definition::{Approval, Definitions};
use crate::store::exchange::{
    Auction, AuctionType, Auth, BidCounts, BillingEvent, ClickMacro, Exchange, NoBidForm, Notices, Required,
    Shading,
};
use crate::units::{Currency, ObjectId};
use std::time::Duration;

pub(super) const KEYS: &[&str] = &[
    "auth",
    "format",
    "seat",
    "seats",
    "auction",
    "second_price_codes",
    "shading",
    "currency",
    "network_allowance",
    "default_tmax",
    "no_bid",
    "billable",
    "billable_video",
    "price_in",
    "price_encoding",
    "price_keys",
    "notices",
    "imps_max",
    "bids",
    "qps_max",
    "click_macro",
    "approval",
    "exp",
    "win_hold",
    "learn_win_hold",
    "supply",
    "traffic",
    "public_url",
    "macros",
    "require",
    "health",
];

pub(super) const EXPIRY_KEYS: &[&str] = &["banner", "video", "audio", "native", "interstitial", "dooh"];

pub(super) const PRICE_KEYS: &[&str] = &["encryption_file", "integrity_file"];

pub(super) const BIDS_KEYS: &[&str] = &["per_imp", "per_deal", "open"];

pub(super) const APPROVALS: &[(&str, Approval)] = &[
    ("approved", Approval::Approved),
    ("pending", Approval::Pending),
    ("rejected", Approval::Rejected),
];

const BILLING_EVENTS: &[(&str, BillingEvent)] = &[
    ("burl", BillingEvent::Burl),
    ("impression", BillingEvent::Impression),
    ("win", BillingEvent::Win),
];

const FORMATS: &[(&str, Option<WireFormat>)] = &[
    ("any", None),
    ("json", Some(WireFormat::Json)),
    ("protobuf", Some(WireFormat::Protobuf)),
];

const NO_BID_FORMS: &[(&str, NoBidForm)] = &[
    ("204", NoBidForm::NoContent),
    ("reason", NoBidForm::WithReason),
    ("empty", NoBidForm::Empty),
];

const PRICES: &[(&str, PriceUnit)] = &[
    ("cpm", PriceUnit::Cpm),
    ("cpm-micros", PriceUnit::CpmMicros),
    ("unit", PriceUnit::Impression),
];

pub(super) fn read(
    document: &Document,
    accounting: Currency,
    folder: &Folder,
    env: &dyn Fn(&str) -> Option<String>,
    definitions: &Definitions,
    report: &Report,
) -> Exchange {
    let tree = document.parse(report);
    let table = Table::root(document, &tree, KEYS, report);
    check_name(&table);
    let auth = table.table("auth", exchange_auth::KEYS);
    let exp = table
        .table("exp", EXPIRY_KEYS)
        .unwrap_or_else(|| Table::empty(&table));
    let (auction, notices) = (auction(&table), notices(&table));
    let ms = |key, default| table.read(key, default, |n| milliseconds(n, 10_000));
    let expiry = |key, default_s| exp.read(key, default_s, |n| seconds(n, 10));
    Exchange {
        name: document.stem.clone(),
        id: ObjectId::of(&document.stem),
        auth: auth
            .and_then(|auth| exchange_auth::read(&auth, folder, env))
            .unwrap_or(Auth::None),
        format: table.read("format", None, |n| n.choice(FORMATS)),
        seat: table.read("seat", "outbid".to_owned(), Node::name),
        seats: seats(&table, definitions),
        shading: shading(&table, &auction, notices),
        auction,
        currency: table.read("currency", accounting, quantity::currency),
        network_allowance_ms: ms("network_allowance", 20),
        default_tmax_ms: ms("default_tmax", 100),
        no_bid: table.read("no_bid", NoBidForm::NoContent, |n| n.choice(NO_BID_FORMS)),
        billable: table.read("billable", BillingEvent::Burl, |n| n.choice(BILLING_EVENTS)),
        billable_video: table.read("billable_video", BillingEvent::Impression, |n| {
            n.choice(BILLING_EVENTS)
        }),
        price_in: table.read("price_in", PriceUnit::Cpm, |n| n.choice(PRICES)),
        price_codec: price_codec(&table, folder),
        supply: supply::read(&table),
        traffic: traffic::read(&table),
        public_url: table.maybe("public_url", base_url),
        queries: macros::read(&table),
        require: required(&table, definitions),
        health: table.maybe("health", path),
        notices,
        imps_max: table.read("imps_max", 16, |n| n.integer(1..=1000)),
        bids: bid_counts(&table),
        qps_max: table.maybe("qps_max", |n| n.integer(1..=10_000_000)),
        click_macro: table.maybe("click_macro", click_macro),
        default_approval: table.read("approval", Approval::Approved, |n| n.choice(APPROVALS)),
        exp_banner_s: expiry("banner", 300),
        exp_video_s: expiry("video", 1800),
        exp_audio_s: expiry("audio", 1800),
        exp_native_s: expiry("native", 600),
        exp_interstitial_s: expiry("interstitial", 1800),
        exp_dooh_s: expiry("dooh", 7200),
        win_hold_s: table.read("win_hold", 60, |n| seconds(n, 1)),
        learn_win_hold: table.read("learn_win_hold", true, Node::boolean),
    }
}

/// The name stands in `/openrtb2/NAME` and in targeting.
fn check_name(table: &Table<'_>) {
    let name = &table.document().stem;
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(allowed) {
        let fix = "name the file with 1..=64 lower-case letters, digits, `-` or `_`";
        table.problem(&format!("`{name}` is no name for a URL"), fix);
    }
}

/// `[seats]`: advertiser id = seat.
fn seats(table: &Table<'_>, definitions: &Definitions) -> Vec<(String, String)> {
    let ids: Vec<&str> = definitions.advertisers.iter().map(|a| a.id.as_str()).collect();
    let Some(seats) = table.table("seats", &ids) else {
        return Vec::new();
    };
    let seat = |id: &&str| Some(((*id).to_owned(), seats.maybe(id, Node::name)?));
    ids.iter().filter_map(seat).collect()
}

fn auction(table: &Table<'_>) -> Auction {
    let words = [
        ("as-sent", None),
        ("first", Some(AuctionType::FirstPrice)),
        ("second", Some(AuctionType::SecondPrice)),
    ];
    Auction {
        always: table.read("auction", None, |n| n.choice(&words)),
        second_price_codes: table.list("second_price_codes", |n| n.integer(500..=i64::from(u32::MAX))),
    }
}

/// Bids can be shaded only where it is known how each of them ended, and below what.
fn shading(table: &Table<'_>, auction: &Auction, notices: Notices) -> Shading {
    let words = [("off", Shading::Off), ("learn", Shading::Learn)];
    let shading = table.read("shading", Shading::Off, |n| n.choice(&words));
    let Some(node) = table.get("shading").filter(|_| shading == Shading::Learn) else {
        return shading;
    };
    if !(notices.win && notices.loss) {
        node.problem(
            "bids are shaded by what wins and what loses, and this exchange is not asked for both notices",
            "put `win` and `loss` into `notices`, or write `shading = \"off\"`",
        );
    }
    if auction.always == Some(AuctionType::SecondPrice) {
        node.problem(
            "with `auction = \"second\"` there is no first-price auction to shade bids in",
            "write `shading = \"off\"`, or `auction = \"as-sent\"`",
        );
    }
    shading
}

/// The base of URLs: what follows it begins with a slash.
fn base_url(node: &Node<'_>) -> Option<String> {
    let url = quantity::url(node)?;
    Some(url.trim_end_matches('/').to_owned())
}

fn path(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~".contains(&b);
    if !text.starts_with('/') || text.starts_with("/n/") || !text.bytes().all(plain) {
        node.problem(
            format!("`{text}` is no path for a health check"),
            "write for example `/openrtb2/NAME/health`; `/n/` belongs to notices",
        );
        return None;
    }
    Some(text.to_owned())
}

/// What the exchange refuses bids without. Creatives that lack it are not offered there, which is worth knowing.
fn required(table: &Table<'_>, definitions: &Definitions) -> Vec<Required> {
    const NAMED: usize = 3;
    table.list("require", |node| {
        let field = node.choice(&Required::NAMES)?;
        let lacking: Vec<_> = definitions
            .creatives
            .iter()
            .filter(|creative| !field.is_in(creative))
            .collect();
        let names = lacking
            .iter()
            .take(NAMED)
            .map(|creative| format!("`{}`", creative.id));
        let mut names = names.collect::<Vec<_>>().join(", ");
        if lacking.len() > NAMED {
            names = format!("{names} and {} more", lacking.len() - NAMED);
        }
        if !lacking.is_empty() {
            let what = format!("this exchange gets no bid with creatives that lack this field: {names}");
            node.note(what, "complete them, or do not require it");
        }
        Some(field)
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Plain,
    Base64,
    Adx,
}

fn price_codec(table: &Table<'_>, folder: &Folder) -> PriceCodec {
    let words = [
        ("plain", Encoding::Plain),
        ("base64", Encoding::Base64),
        ("adx", Encoding::Adx),
    ];
    let encoding = table.read("price_encoding", Encoding::Plain, |n| n.choice(&words));
    let keys = table.table("price_keys", PRICE_KEYS);
    if keys.is_some() != (encoding == Encoding::Adx) {
        table.problem(
            "`price_keys` and `price_encoding = \"adx\"` belong together",
            "write both, or neither of them",
        );
    }
    match (encoding, keys) {
        (Encoding::Base64, _) => PriceCodec::Base64,
        (Encoding::Adx, Some(keys)) => adx_keys(&keys, folder).map_or(PriceCodec::Plain, PriceCodec::Adx),
        (Encoding::Plain | Encoding::Adx, _) => PriceCodec::Plain,
    }
}

/// `None` is reported as a problem.
fn adx_keys(table: &Table<'_>, folder: &Folder) -> Option<AdxKeys> {
    let key = |name| {
        let node = table.need(name, "a file with the key, such as `/etc/outbid/adx.key`")?;
        let text = folder.secret(node.text()?);
        text.and_then(|text| AdxKeys::parse_key(&text).map_err(|error| error.to_string()))
            .map_err(|what| node.problem(what, "copy the key from the account's page into this file"))
            .ok()
    };
    let (encryption, integrity) = (key("encryption_file"), key("integrity_file"));
    Some(AdxKeys {
        encryption: encryption?,
        integrity: integrity?,
    })
}

fn bid_counts(table: &Table<'_>) -> BidCounts {
    let default = BidCounts::default();
    let Some(bids) = table.table("bids", BIDS_KEYS) else {
        return default;
    };
    // More alternatives than these are no better answer, and each holds money.
    BidCounts {
        per_imp: bids.read("per_imp", default.per_imp, |n| n.integer(1..=32)),
        per_deal: bids.read("per_deal", default.per_deal, |n| n.integer(1..=8)),
        open: bids.read("open", default.open, |n| n.integer(1..=8)),
    }
}

fn notices(table: &Table<'_>) -> Notices {
    let names = table
        .get("notices")
        .map(|node| node.list(|n| n.choice(&[("win", 0), ("bill", 1), ("loss", 2)])));
    let Some(names) = names else {
        return Notices {
            win: true,
            bill: true,
            loss: true,
        };
    };
    Notices {
        win: names.contains(&0),
        bill: names.contains(&1),
        loss: names.contains(&2),
    }
}

fn click_macro(node: &Node<'_>) -> Option<ClickMacro> {
    let table = node.table(&["text", "escaped"])?;
    let text = table.need("text", "text = \"${CLICK_URL_ESC}\"")?.name()?;
    Some(ClickMacro {
        text,
        escaped: table.read("escaped", true, Node::boolean),
    })
}

fn seconds(node: &Node<'_>, least: u64) -> Option<u32> {
    // A bid that is open for longer than a day is forgotten by any exchange.
    let range = Duration::from_secs(least)..=Duration::from_secs(86_400);
    quantity::duration(node, range).map(|d| d.as_secs() as u32)
}

fn milliseconds(node: &Node<'_>, most_ms: u64) -> Option<u32> {
    let range = Duration::ZERO..=Duration::from_millis(most_ms);
    quantity::duration(node, range).map(|d| d.as_millis() as u32)
}
