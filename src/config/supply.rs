//! The table `supply` of an exchange → what its supply paths are held to.
//! Invariant: a finding is counted unless one of the two lists says otherwise.

use super::document::{Node, Table};
use crate::store::supply::{Action, NotADomain, SupplyPolicy};
use crate::telemetry::Finding;
use std::cell::RefCell;

pub(super) const KEYS: &[&str] = &["systems", "hops_max", "blocked", "refuse", "ignore"];

/// As many as are looked at.
const HOPS_MAX: i64 = 64;

pub(super) fn read(exchange: &Table<'_>) -> SupplyPolicy {
    let Some(table) = exchange.table("supply", KEYS) else {
        return SupplyPolicy::default();
    };
    let policy = RefCell::new(SupplyPolicy::default());
    table.list("systems", |n| {
        take(n, |text| policy.borrow_mut().add_system(text))
    });
    table.list("blocked", |n| take(n, |text| policy.borrow_mut().block(text)));
    let mut policy = policy.into_inner();
    policy.hops_max = table.maybe("hops_max", |n| n.integer(1..=HOPS_MAX));
    let words = Finding::SUPPLY.map(|finding| (finding.name(), finding));
    let [refused, ignored] = ["refuse", "ignore"].map(|key| table.list(key, |n| n.choice(&words)));
    if let Some(both) = refused.iter().find(|finding| ignored.contains(finding)) {
        let what = format!("`{}` stands in `refuse` and in `ignore`", both.name());
        table.problem(&what, "write it into one of them, or into none to count it");
    }
    let policy = refused
        .into_iter()
        .fold(policy, |policy, finding| policy.with(finding, Action::Refuse));
    ignored
        .into_iter()
        .fold(policy, |policy, finding| policy.with(finding, Action::Off))
}

fn take(node: &Node<'_>, add: impl FnOnce(&str) -> Result<(), NotADomain>) -> Option<()> {
    add(node.text()?)
        .map_err(|error| {
            node.problem(
                error.to_string(),
                "write the advertising system's domain, such as `exchange.example`",
            )
        })
        .ok()
}
