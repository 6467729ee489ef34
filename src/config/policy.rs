//! `policy.toml` and `signals.toml` → rules that hold whatever the model says, and signals of places.
//! Invariant: a rule without a condition is refused, since it would forbid every ad.

use super::document::{Document, Table};
use super::layers::Layers;
use super::names::Names;
use super::problem::Report;
use super::{fatigue, quantity, targeting};
use crate::store::campaigns::definition::{Hours, PolicyRule, Signal};
use crate::units::Timestamp;
use jiff::tz::TimeZone;

pub(super) const KEYS: &[&str] = &["rule", "do_not_disturb"];
pub(super) const RULE_KEYS: &[&str] = &[
    "id",
    "categories",
    "attributes",
    "below_age",
    "unknown_age",
    "when",
];
pub(super) const SIGNAL_KEYS: &[&str] = &["name", "value", "country", "region", "until"];

/// What the house says, whoever advertises.
#[derive(Default)]
pub(super) struct HousePolicy {
    pub rules: Vec<PolicyRule>,
    pub do_not_disturb: Option<Hours>,
}

pub(super) fn read(document: &Document, exchanges: &[&str], report: &Report) -> HousePolicy {
    let tree = document.parse(report);
    let root = Table::root(document, &tree, KEYS, report);
    let mut ids = Names::new("rule");
    let rules = root.tables("rule", RULE_KEYS);
    HousePolicy {
        rules: rules
            .iter()
            .filter_map(|rule| read_rule(rule, exchanges, &mut ids))
            .collect(),
        do_not_disturb: root.maybe("do_not_disturb", fatigue::do_not_disturb),
    }
}

fn read_rule(table: &Table<'_>, exchanges: &[&str], ids: &mut Names) -> Option<PolicyRule> {
    let rule = PolicyRule {
        id: ids.read(table).unwrap_or_default(),
        categories: table.list("categories", |n| quantity::category(n, 1)),
        attributes: table.list("attributes", |n| n.integer(1..=1000)),
        when: table
            .table("when", targeting::KEYS)
            .map_or_else(Default::default, |when| {
                targeting::read(&Layers::of(when), exchanges)
            }),
        unknown_age_matches: table.read("unknown_age", false, |n| {
            n.choice(&[("refuse", true), ("allow", false)])
        }),
        below_age: table.maybe("below_age", |n| n.integer(1..=120)),
    };
    let conditions = ["categories", "attributes", "below_age", "when"];
    if conditions.iter().all(|key| table.get(key).is_none()) {
        table.problem(
            "this rule forbids every ad",
            "name `categories`, `attributes`, `below_age` or `when`",
        );
        return None;
    }
    if rule.below_age.is_none() && table.get("unknown_age").is_some() {
        table.problem(
            "`unknown_age` has no effect without `below_age`",
            "add `below_age` or leave it out",
        );
    }
    Some(rule)
}

pub(super) fn read_signals(document: &Document, now: Timestamp, report: &Report) -> Vec<Signal> {
    let tree = document.parse(report);
    let root = Table::root(document, &tree, &["signal"], report);
    root.tables("signal", SIGNAL_KEYS)
        .iter()
        .filter_map(|signal| read_signal(signal, now))
        .collect()
}

fn read_signal(table: &Table<'_>, now: Timestamp) -> Option<Signal> {
    let until = table.get("until");
    let ends = until.as_ref().and_then(|n| quantity::instant(n, &TimeZone::UTC));
    if let (Some(node), Some(ends)) = (until, ends)
        && ends <= now
    {
        node.note(
            "this signal is over and ignored",
            "bring it up to date or remove it",
        );
    }
    let (name, value) = (
        table.need("name", "name = \"weather\""),
        table.need("value", "value = \"rain\""),
    );
    let country = table.need("country", "country = \"USA\"");
    Some(Signal {
        name: quantity::id(&name?)?,
        value: quantity::id(&value?)?,
        country: quantity::country(&country?)?,
        region: table.maybe("region", |n| n.name()),
        until: ends,
    })
}
