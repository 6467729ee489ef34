//! Sections 4.4, 7.2 and 7.8: notices, told as an exchange tells them: late, twice, in any order, with whatever in them.
//!
//! Invariant: every notice is that of a bid made a moment ago.

use super::macros::substitute;
use crate::certify::Flaw;
use crate::certify::answer::{Answer, Bid};
use crate::certify::case::{Case, Section, Verdict, ensure, fails, not_tested};
use crate::certify::client::Call;
use crate::certify::edit::set;
use crate::certify::markup;
use crate::certify::stage::Stage;
use crate::certify::url::{self, Address};
use serde_json::json;

pub fn cases() -> Vec<Case> {
    [plain(), orders(), extras()].into_iter().flatten().collect()
}

pub(super) fn case(
    id: &'static str,
    spec: &'static str,
    title: &'static str,
    run: impl Fn(&Stage) -> Verdict + 'static,
) -> Case {
    Case::new(Section::Notices, id, spec, title, run)
}

fn plain() -> Vec<Case> {
    let told = |stage: &Stage, key: &'static str, call: Call| {
        let bid = bid_with(stage, key)?;
        taken(&deliver(stage, &call, &filled(&bid, key))?)
    };
    vec![
        case(
            "notices.win.get",
            "2.1, 7.8",
            "a win notice is taken as a GET",
            move |s| told(s, "nurl", Call::get("")),
        ),
        case(
            "notices.win.post",
            "2.1",
            "a win notice is taken as a POST",
            move |s| told(s, "nurl", Call::post("", Vec::new())),
        ),
        case(
            "notices.bill.get",
            "2.1, 7.8",
            "a billing notice is taken as a GET",
            move |s| told(s, "burl", Call::get("")),
        ),
        case(
            "notices.bill.post",
            "2.1",
            "a billing notice is taken as a POST",
            move |s| told(s, "burl", Call::post("", Vec::new())),
        ),
        case(
            "notices.loss.get",
            "2.1, 7.8",
            "a loss notice is taken as a GET",
            move |s| told(s, "lurl", Call::get("")),
        ),
        case(
            "notices.loss.post",
            "2.1",
            "a loss notice is taken as a POST",
            move |s| told(s, "lurl", Call::post("", Vec::new())),
        ),
        case(
            "notices.post.body",
            "2.1",
            "a POST with a body is taken",
            move |s| {
                let call =
                    Call::post("", b"x=1".to_vec()).with("Content-Type", "application/x-www-form-urlencoded");
                told(s, "nurl", call)
            },
        ),
        case(
            "notices.other-method",
            "2.1",
            "another method than GET and POST is refused",
            |stage| {
                let bid = bid_with(stage, "nurl")?;
                let call = Call {
                    method: "DELETE",
                    ..Call::post("", Vec::new())
                };
                let answer = deliver(stage, &call, &filled(&bid, "nurl"))?;
                ensure((400..500).contains(&answer.status()), || {
                    format!("DELETE was answered {}", answer.status())
                })
            },
        ),
        case(
            "notices.win.markup",
            "4.3.1",
            "a win notice answers with nothing where the bid had its markup",
            |stage| {
                let bid = bid_with(stage, "nurl")?;
                if bid.markup().is_empty() {
                    return not_tested("the markup comes with the win notice");
                }
                let answer = deliver(stage, &Call::get(""), &filled(&bid, "nurl"))?;
                ensure(markup::kind(&answer.text()).is_none(), || {
                    "markup on the win notice as well as in adm".into()
                })
            },
        ),
        case(
            "notices.impression",
            "7.8",
            "what the markup reports as its impression is taken",
            |stage| {
                let base = stage.any_sample("whose markup reports its impression", |bid| {
                    reachable_impression(stage, bid)
                })?;
                let (_, bid) = stage.fresh_bid(base)?;
                let url = markup::impression_url(bid.markup()).unwrap_or_default();
                taken(&deliver(
                    stage,
                    &Call::get(""),
                    &substitute(&url, &[("AUCTION_PRICE", "1.25")]),
                )?)
            },
        ),
    ]
}

fn orders() -> Vec<Case> {
    let twice = |stage: &Stage, key: &'static str| {
        let bid = bid_with(stage, key)?;
        for _ in 0..3 {
            taken(&deliver(stage, &Call::get(""), &filled(&bid, key))?)?;
        }
        Ok(())
    };
    let in_order = |stage: &Stage, keys: &[&'static str]| {
        let base = stage.any_sample("with nurl, burl and lurl", |bid| {
            ["nurl", "burl", "lurl"]
                .iter()
                .all(|key| !bid.text(key).is_empty())
        })?;
        let (_, bid) = stage.fresh_bid(base)?;
        keys.iter()
            .try_for_each(|key| taken(&deliver(stage, &Call::get(""), &filled(&bid, key))?))
    };
    vec![
        case(
            "notices.twice.win",
            "7.8",
            "a win notice that comes again is taken again",
            move |s| twice(s, "nurl"),
        ),
        case(
            "notices.twice.bill",
            "7.8",
            "a billing notice that comes again is taken again",
            move |s| twice(s, "burl"),
        ),
        case(
            "notices.twice.loss",
            "7.8",
            "a loss notice that comes again is taken again",
            move |s| twice(s, "lurl"),
        ),
        case(
            "notices.order.usual",
            "7.8",
            "a win and then a billing notice are taken",
            move |s| in_order(s, &["nurl", "burl"]),
        ),
        case(
            "notices.order.bill-first",
            "7.8",
            "a billing notice before the win notice is taken",
            move |s| in_order(s, &["burl", "nurl"]),
        ),
        case(
            "notices.order.loss-then-win",
            "7.8",
            "a win notice after a loss notice is taken",
            move |s| in_order(s, &["lurl", "nurl"]),
        ),
        case(
            "notices.order.bill-then-loss",
            "7.8",
            "a loss notice after a billing notice is taken",
            move |s| in_order(s, &["burl", "lurl"]),
        ),
    ]
}

fn extras() -> Vec<Case> {
    let with_values = |stage: &Stage, key: &str, values: &[(&str, &str)]| {
        let bid = bid_with(stage, key)?;
        taken(&deliver(
            stage,
            &Call::get(""),
            &substitute(bid.text(key), values),
        )?)
    };
    vec![
        case(
            "notices.currency.other",
            "4.4",
            "another currency than that of the bid is taken",
            move |s| {
                with_values(
                    s,
                    "burl",
                    &[("AUCTION_PRICE", "1.25"), ("AUCTION_CURRENCY", "EUR")],
                )
            },
        ),
        case(
            "notices.currency.garbage",
            "4.4",
            "a currency that is none is no server error",
            move |s| {
                with_values(
                    s,
                    "burl",
                    &[("AUCTION_PRICE", "1.25"), ("AUCTION_CURRENCY", "?%3F")],
                )
            },
        ),
        case(
            "notices.multiplier",
            "7.9.4",
            "a multiplier of 2.5 impressions is taken",
            move |s| {
                with_values(
                    s,
                    "burl",
                    &[
                        ("AUCTION_PRICE", "1.25"),
                        ("AUCTION_MULTIPLIER", "2.5"),
                        ("AUCTION_IMP_TS", "1790000000000"),
                    ],
                )
            },
        ),
        case(
            "notices.min-to-win.empty",
            "4.4",
            "a loss notice without the price that would have won is taken",
            move |s| with_values(s, "lurl", &[("AUCTION_LOSS", "102")]),
        ),
        case(
            "notices.min-to-win.scientific",
            "4.4",
            "a price that would have won may be in scientific notation",
            move |s| {
                with_values(
                    s,
                    "lurl",
                    &[("AUCTION_LOSS", "102"), ("AUCTION_MIN_TO_WIN", "2.5e0")],
                )
            },
        ),
        case(
            "notices.loss.garbage",
            "4.4",
            "a reason that is no number is no server error",
            |stage| {
                let bid = bid_with(stage, "lurl")?;
                let url = substitute(bid.text("lurl"), &[("AUCTION_LOSS", "lost")]);
                let answer = deliver(stage, &Call::get(""), &url)?;
                if (400..500).contains(&answer.status()) {
                    Ok(())
                } else {
                    taken(&answer)
                }
            },
        ),
        case(
            "notices.parameters.more",
            "7.8",
            "parameters that an exchange adds are ignored",
            |stage| {
                let bid = bid_with(stage, "nurl")?;
                let joint = if bid.text("nurl").contains('?') { '&' } else { '?' };
                taken(&deliver(
                    stage,
                    &Call::get(""),
                    &format!("{}{joint}certify=1&utm=x%20y", filled(&bid, "nurl")),
                )?)
            },
        ),
        case(
            "notices.headers.server-side",
            "7.8",
            "a notice from a server may carry the address and device of the user",
            |stage| {
                let bid = bid_with(stage, "burl")?;
                let call = Call::get("")
                    .with("X-Forwarded-For", "198.51.100.23, 192.0.2.1")
                    .with("X-Device-IP", "198.51.100.23")
                    .with("X-Device-User-Agent", "Mozilla/5.0");
                taken(&deliver(stage, &call, &filled(&bid, "burl"))?)
            },
        ),
    ]
}

/// A bid made now that has this notice.
pub(super) fn bid_with(stage: &Stage, key: &str) -> Result<Bid, Flaw> {
    let base = stage.any_sample(&format!("with a {key}"), |bid| !bid.text(key).is_empty())?;
    for _ in 0..4 {
        let (_, bid) = stage.fresh_bid(base)?;
        if !bid.text(key).is_empty() {
            return Ok(bid);
        }
    }
    not_tested(format!("no bid has a {key} any more"))
}

/// A bid on a test request: what its notices say teaches the bidder nothing.
pub(super) fn test_bid_with(stage: &Stage, key: &str) -> Result<Bid, Flaw> {
    let base = stage.any_sample(&format!("with a {key}"), |bid| !bid.text(key).is_empty())?;
    let mut request = stage.fresh(&base.request);
    set(&mut request, "test", json!(1));
    let bid = stage.ask(&request)?.bids().into_iter().next();
    match bid.filter(|bid| !bid.text(key).is_empty()) {
        Some(bid) => Ok(bid),
        None => not_tested(format!("no bid with a {key} on a test request")),
    }
}

/// With a price below the bid's, as after a second-price auction.
pub(super) fn filled(bid: &Bid, key: &str) -> String {
    let price = format!("{:.4}", bid.price() * 0.8);
    let values = [
        ("AUCTION_PRICE", price.as_str()),
        ("AUCTION_CURRENCY", bid.currency.as_str()),
        ("AUCTION_LOSS", "102"),
        ("AUCTION_MIN_TO_WIN", "9.5"),
        ("AUCTION_MULTIPLIER", "1"),
    ];
    substitute(bid.text(key), &values)
}

/// Sends a notice to where its URL says, or to where the settings say that notices go.
pub(super) fn deliver(stage: &Stage, call: &Call, url: &str) -> Result<Answer, Flaw> {
    let Some((_, host, target)) = url::split(url) else {
        return fails(format!("`{url}` is no absolute URL"));
    };
    let address = match (&stage.settings.notices, Address::parse(url)) {
        (Some(address), _) => address.clone(),
        (None, Ok(address)) => address,
        (None, Err(_)) => {
            return not_tested(format!(
                "notices go to {host} by https; say with --notices where to reach it by http"
            ));
        }
    };
    let target = if target.starts_with('/') {
        target.to_owned()
    } else {
        format!("/{target}")
    };
    let call = Call {
        target: target.split('#').next().unwrap_or_default().to_owned(),
        ..call.clone()
    };
    match stage.try_send_to(&address.authority, &call) {
        Ok(answer) if answer.status() >= 500 => {
            fails(format!("{}: no notice may lead to a 5xx", answer.status()))
        }
        Ok(answer) => Ok(answer),
        Err(error) if address.authority == stage.settings.url.authority => {
            fails(format!("no answer to a notice: {error}"))
        }
        Err(error) => not_tested(format!(
            "notices at {} cannot be reached: {error}",
            address.authority
        )),
    }
}

/// Exchanges send again what is answered with anything else (7.8).
pub(super) fn taken(answer: &Answer) -> Verdict {
    ensure(matches!(answer.status(), 200 | 204), || {
        format!(
            "answered {}; 200 and 204 alone say that a notice was taken",
            answer.status()
        )
    })
}

fn reachable_impression(stage: &Stage, bid: &Bid) -> bool {
    let url = markup::impression_url(bid.markup());
    url.is_some_and(|url| {
        shares_host(bid, &url)
            || Address::parse(&url).is_ok_and(|a| a.authority == stage.settings.url.authority)
    })
}

pub(super) fn shares_host(bid: &Bid, other: &str) -> bool {
    let host = |url: &str| url::split(url).map(|(_, host, _)| host.to_owned());
    let ours = ["nurl", "burl", "lurl"]
        .iter()
        .filter_map(|key| host(bid.text(key)));
    ours.into_iter().any(|ours| Some(ours) == host(other))
}
