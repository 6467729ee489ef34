//! `bid = { … }` → the goal of a line item, and what its customers are worth.
//! Invariant: a goal that is read has all that its formula needs, and nothing that it does not.

use super::document::{Node, Table};
use super::layers::Layers;
use super::money::Purse;
use super::quantity;
use crate::store::campaigns::definition::{
    BidStrategy, Discount, LifetimeValue, ProfileAmount, Relevance, Weights,
};
use crate::units::{Cpm, Probability};
use std::time::Duration;

#[rustfmt::skip]
pub(super) const KEYS: &[&str] = &[
    "cpm", "cpc", "max_clicks", "cpa", "roas", "event", "order_value", "preset", "weights", "discount",
];
pub(super) const WEIGHT_KEYS: &[&str] = &["cac", "ltv"];
pub(super) const RELEVANCE_KEYS: &[&str] = &["ctr", "cvr"];
pub(super) const DISCOUNT_KEYS: &[&str] = &["half_life", "delay", "learn_delay"];

const GOALS: [&str; 5] = ["cpm", "cpc", "max_clicks", "cpa", "roas"];
/// Keys that only some goals have, with those and an example.
const BELONGS: [(&str, &[&str], &str); 5] = [
    ("event", &["cpa", "roas"], "{ cpa = 12.00, event = \"purchase\" }"),
    (
        "order_value",
        &["roas"],
        "{ roas = 3.0, event = \"purchase\", order_value = 60.00 }",
    ),
    (
        "preset",
        &["cpa"],
        "{ cpa = 40.00, event = \"signup\", preset = \"expansion\" }",
    ),
    (
        "weights",
        &["cpa"],
        "{ cpa = 40.00, event = \"signup\", weights = { cac = 0.6, ltv = 0.4 } }",
    ),
    (
        "discount",
        &["cpa", "roas"],
        "{ cpa = 40.00, event = \"signup\", discount = { half_life = \"30d\", delay = \"3d\" } }",
    ),
];
const PRESETS: &[(&str, Weights)] = &[("expansion", Weights::EXPANSION), ("stable", Weights::STABLE)];

const DAY: Duration = Duration::from_secs(86_400);
/// Longer than any campaign looks ahead.
const LATER_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);
/// After ten half-lives less than a thousandth is left.
const HALF_LIVES_MAX: u32 = 10;

/// The goal that holds for the line item `table`; `is_paced` says whether a budget of it or above it is.
pub(super) fn read(table: &Table<'_>, levels: &Layers<'_>, purse: &Purse<'_>, is_paced: bool) -> BidStrategy {
    let node = levels
        .get("bid")
        .or_else(|| table.need("bid", "bid = { cpm = 2.50 }"));
    let Some((node, strategy)) = node.and_then(|node| Some((node.clone(), goal(&node, purse)?))) else {
        return BidStrategy::Cpm(Cpm::ZERO);
    };
    let max_bid = levels.maybe("max_bid", |n| purse.cpm(n));
    if let (BidStrategy::Cpm(cpm), Some(max)) = (&strategy, max_bid)
        && *cpm > max
    {
        node.problem(
            format!("the bid {cpm} is above `max_bid` {max}"),
            "lower the bid or raise `max_bid`",
        );
    }
    if matches!(strategy, BidStrategy::MaxClicks(_)) && !is_paced {
        node.problem(
            "`max_clicks` needs a budget that is paced: as fast as possible, every click is bought at the dearest",
            "write `pacing = \"even\"`, or `cpc` for what a click is worth",
        );
    }
    if strategy.counts_ltv() && levels.get("ltv").is_none() {
        node.problem(
            "the weights count what customers are worth, and nothing says it",
            "add `ltv = 120.00` to the line item, its campaign or the defaults of the advertiser",
        );
    }
    strategy
}

pub(super) fn lifetime_value(levels: &Layers<'_>, purse: &Purse<'_>) -> LifetimeValue {
    let fields = ProfileAmount::ALL.map(|field| (field.name(), field));
    let value = LifetimeValue {
        default: levels.maybe("ltv", |n| purse.nanos(n)),
        from: levels.maybe("ltv_from", |n| n.choice(&fields)),
    };
    if let (Some(node), None) = (levels.get("ltv_from"), levels.get("ltv")) {
        node.problem(
            "nothing says what people without a profile are worth",
            "add `ltv = 120.00` beside `ltv_from`",
        );
    }
    value
}

fn goal(node: &Node<'_>, purse: &Purse<'_>) -> Option<BidStrategy> {
    let table = node.table(KEYS)?;
    let given: Vec<&str> = GOALS.into_iter().filter(|key| table.get(key).is_some()).collect();
    let [goal] = given[..] else {
        node.problem(
            "a bid has exactly one goal",
            "write one of `cpm`, `cpc`, `max_clicks`, `cpa` and `roas`",
        );
        return None;
    };
    let value = table.get(goal)?;
    for (key, goals, example) in BELONGS {
        if !goals.contains(&goal)
            && let Some(node) = table.get(key)
        {
            let of = goals.join("` and `");
            node.problem(
                format!("`{key}` belongs to `{of}`"),
                format!("write for example `{example}`"),
            );
        }
    }
    match goal {
        "cpm" => purse.cpm(&value).map(BidStrategy::Cpm),
        "cpc" => purse.nanos(&value).map(BidStrategy::Cpc),
        "max_clicks" => purse.nanos(&value).map(BidStrategy::MaxClicks),
        "cpa" => cpa(&table, &value, purse),
        _ => roas(&table, &value, purse),
    }
}

fn cpa(table: &Table<'_>, value: &Node<'_>, purse: &Purse<'_>) -> Option<BidStrategy> {
    let (value, event) = (purse.nanos(value), event(table));
    let (weights, discount) = (weights(table), discount(table));
    Some(BidStrategy::Cpa {
        event: event?,
        value: value?,
        weights: weights?,
        discount: discount?,
    })
}

fn roas(table: &Table<'_>, ratio: &Node<'_>, purse: &Purse<'_>) -> Option<BidStrategy> {
    let (ratio_milli, event) = (ratio_milli(ratio), event(table));
    let order_value = table
        .need("order_value", "order_value = 60.00")
        .and_then(|n| purse.nanos(&n));
    let discount = discount(table);
    Some(BidStrategy::Roas {
        event: event?,
        ratio_milli: ratio_milli?,
        order_value: order_value?,
        discount: discount?,
    })
}

/// Thousandths of a return on spend.
pub(super) fn ratio_milli(node: &Node<'_>) -> Option<u32> {
    node.number(0.1..=1000.0)
        .map(|ratio| (ratio * 1000.0).round() as u32)
}

pub(super) fn event(table: &Table<'_>) -> Option<String> {
    table
        .need("event", "event = \"purchase\"")
        .and_then(|n| quantity::id(&n))
}

/// `{ ctr = 0.0005, cvr = 0.01 }`: predictions below are nobody's interest.
pub(super) fn relevance(levels: &Layers<'_>) -> Relevance {
    let Some(table) = levels
        .get("relevance")
        .and_then(|node| node.table(RELEVANCE_KEYS))
    else {
        return Relevance::default();
    };
    let floor = |key: &str| {
        table
            .maybe(key, |n| n.number(0.0..=1.0))
            .and_then(|floor| Probability::new(floor as f32))
            .unwrap_or_default()
    };
    Relevance {
        click: floor("ctr"),
        conversion_given_click: floor("cvr"),
    }
}

/// `None` where it is there and wrong.
fn weights(table: &Table<'_>) -> Option<Option<Weights>> {
    match (table.get("preset"), table.get("weights")) {
        (None, None) => Some(None),
        (Some(preset), None) => preset.choice(PRESETS).map(Some),
        (None, Some(node)) => own_weights(&node).map(Some),
        (Some(_), Some(node)) => {
            node.problem(
                "a preset has weights already",
                "write one of `preset` and `weights`",
            );
            None
        }
    }
}

fn own_weights(node: &Node<'_>) -> Option<Weights> {
    let table = node.table(WEIGHT_KEYS)?;
    let weight = |key: &str, example: &str| {
        let weight = table.need(key, example)?.number(0.0..=1.0)?;
        Some((weight * 1000.0).round() as u32)
    };
    let (cac, ltv) = (weight("cac", "cac = 0.6"), weight("ltv", "ltv = 0.4"));
    let weights = Weights {
        cac_milli: cac?,
        ltv_milli: ltv?,
    };
    let sum = weights.cac_milli + weights.ltv_milli;
    if sum != 1000 {
        node.problem(
            format!("the weights add up to {}", f64::from(sum) / 1000.0),
            "let them add up to 1, such as `{ cac = 0.6, ltv = 0.4 }`",
        );
        return None;
    }
    Some(weights)
}

/// `None` where it is there and wrong.
fn discount(table: &Table<'_>) -> Option<Option<Discount>> {
    let Some(node) = table.get("discount") else {
        return Some(None);
    };
    let table = node.table(DISCOUNT_KEYS)?;
    let time = |key: &str, example: &str, least: Duration| {
        table
            .need(key, example)
            .and_then(|n| quantity::duration(&n, least..=LATER_MAX))
    };
    let half_life = time("half_life", "half_life = \"30d\"", DAY);
    let delay = time("delay", "delay = \"3d\"", Duration::ZERO);
    let learns = table.maybe("learn_delay", |n| n.boolean());
    let (half_life, delay) = (half_life?, delay?);
    if delay > half_life * HALF_LIVES_MAX {
        node.problem(
            format!("after {HALF_LIVES_MAX} half-lives nothing is left of the value"),
            "lower `delay` or raise `half_life`",
        );
        return None;
    }
    // Ten years of seconds fit.
    let seconds = |time: Duration| time.as_secs() as u32;
    Some(Some(Discount::new(
        seconds(half_life),
        seconds(delay),
        learns.unwrap_or(false),
    )))
}
