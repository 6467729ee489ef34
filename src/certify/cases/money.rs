//! Sections 3.2.1 and 7.8: what notices do to the books, as the admin API of an Outbid shows them (`--admin`).
//!
//! Invariant: nothing else may bid while these cases run; what is compared is the sum of all that was spent.

use super::notices::{bid_with, deliver, filled, taken};
use super::tokens::change_token;
use crate::certify::Flaw;
use crate::certify::answer::items;
use crate::certify::case::{Case, Section, Verdict, ensure, fails, not_tested};
use crate::certify::client::Call;
use crate::certify::stage::{Format, Stage};
use crate::units::Nanos;
use serde_json::json;

pub fn cases() -> Vec<Case> {
    vec![
        case("money.bill", "a billing notice spends the price", |stage| {
            let bid = bid_with_burl(stage)?;
            let before = spent(stage)?;
            taken(&deliver(stage, &Call::get(""), &filled(&bid, "burl"))?)?;
            let after = spent(stage)?;
            ensure(after > before, || {
                format!("spent stays at {} after a billing notice", before.as_units())
            })
        }),
        case(
            "money.bill.twice",
            "a billing notice that comes again spends nothing again",
            |stage| {
                let bid = bid_with_burl(stage)?;
                let zero = spent(stage)?;
                taken(&deliver(stage, &Call::get(""), &filled(&bid, "burl"))?)?;
                let once = spent(stage)?;
                ensure(once > zero, || "the first billing notice spent nothing".into())?;
                taken(&deliver(stage, &Call::get(""), &filled(&bid, "burl"))?)?;
                taken(&deliver(
                    stage,
                    &Call::post("", Vec::new()),
                    &filled(&bid, "burl"),
                )?)?;
                unchanged(stage, once, "the same billing notice was booked twice")
            },
        ),
        case("money.win", "a win notice alone spends nothing", |stage| {
            let bid = bid_with_burl(stage)?;
            if bid.text("nurl").is_empty() {
                return not_tested("bids have no nurl");
            }
            let before = spent(stage)?;
            taken(&deliver(stage, &Call::get(""), &filled(&bid, "nurl"))?)?;
            unchanged(
                stage,
                before,
                "the win notice was booked; the billing notice is the billable event",
            )?;
            taken(&deliver(stage, &Call::get(""), &filled(&bid, "burl"))?)?;
            ensure(spent(stage)? > before, || {
                "not even the billing notice spent anything".into()
            })
        }),
        case("money.loss", "a loss notice spends nothing", |stage| {
            let bid = bid_with(stage, "lurl")?;
            let before = spent(stage)?;
            taken(&deliver(stage, &Call::get(""), &filled(&bid, "lurl"))?)?;
            unchanged(stage, before, "the loss notice was booked")
        }),
        case(
            "money.audit",
            "AUDIT in place of a price spends nothing",
            |stage| {
                let bid = bid_with_burl(stage)?;
                let before = spent(stage)?;
                let url = super::macros::substitute(bid.text("burl"), &[("AUCTION_PRICE", "AUDIT")]);
                taken(&deliver(stage, &Call::get(""), &url)?)?;
                unchanged(stage, before, "a rendering test was booked")
            },
        ),
        case(
            "money.unreplaced",
            "a price that was not replaced spends what was bid",
            |stage| {
                let bid = bid_with_burl(stage)?;
                let before = spent(stage)?;
                taken(&deliver(
                    stage,
                    &Call::get(""),
                    &bid.text("burl").replace("${AUCTION_CURRENCY}", &bid.currency),
                )?)?;
                ensure(spent(stage)? > before, || {
                    "a billable impression cost nothing".into()
                })
            },
        ),
        case("money.test", "a test auction spends nothing", |stage| {
            let base = stage.sample(Format::Banner, "with a burl", |bid| !bid.text("burl").is_empty())?;
            let answer = stage.still_bids(base, |request| request["test"] = json!(1))?;
            let Some(bid) = answer.bids().into_iter().find(|bid| !bid.text("burl").is_empty()) else {
                return not_tested("bids in test auctions have no burl");
            };
            let before = spent(stage)?;
            taken(&deliver(stage, &Call::get(""), &filled(&bid, "burl"))?)?;
            unchanged(stage, before, "a test auction was booked")
        }),
        case(
            "money.forged",
            "a forged billing notice spends nothing",
            |stage| {
                let bid = bid_with_burl(stage)?;
                let before = spent(stage)?;
                let Some(forged) = change_token(&filled(&bid, "burl")) else {
                    return not_tested("the burl holds nothing like a token");
                };
                deliver(stage, &Call::get(""), &forged)?;
                unchanged(stage, before, "a forged notice was booked")
            },
        ),
    ]
}

fn case(id: &'static str, title: &'static str, run: impl Fn(&Stage) -> Verdict + 'static) -> Case {
    Case::new(Section::Money, id, "7.8", title, move |stage| {
        match &stage.settings.admin {
            None => not_tested("the books are seen through --admin only"),
            Some(_) if stage.settings.test => not_tested("test auctions move no money"),
            Some(_) => run(stage),
        }
    })
}

fn bid_with_burl(stage: &Stage) -> Result<crate::certify::answer::Bid, Flaw> {
    bid_with(stage, "burl")
}

fn unchanged(stage: &Stage, before: Nanos, wrong: &str) -> Verdict {
    let after = spent(stage)?;
    ensure(after == before, || {
        format!(
            "{wrong}: spent went from {} to {}",
            before.as_units(),
            after.as_units()
        )
    })
}

/// What all campaigns have spent in their lives, on time and late.
pub(super) fn spent(stage: &Stage) -> Result<Nanos, Flaw> {
    let report = super::admin::ask(stage, Call::get("/api/v1/budgets"))?;
    let mut sum = Nanos(0);
    for campaign in items(&report["campaigns"]) {
        for column in ["spent", "late"] {
            let text = campaign["money"]["lifetime"][column].as_str().unwrap_or_default();
            let Some(amount) = text.parse().ok().and_then(Nanos::from_units) else {
                return fails(format!(
                    "`{text}` is no amount of money; right would be like 12.50"
                ));
            };
            sum = sum.saturating_add(amount);
        }
    }
    Ok(sum)
}
