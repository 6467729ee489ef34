//! `policy.toml` → rules that hold whatever the model says.
//! Invariant: a rule without a condition is refused, since it would forbid every ad.

use super::document::{Document, Table};
use super::layers::Layers;
use super::names::Names;
use super::problem::Report;
use super::{fatigue, quantity, targeting};
use crate::store::campaigns::definition::{Hours, PolicyRule};

pub(super) const KEYS: &[&str] = &["rule", "do_not_disturb"];
pub(super) const RULE_KEYS: &[&str] = &[
    "id",
    "categories",
    "attributes",
    "below_age",
    "unknown_age",
    "when",
];

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
