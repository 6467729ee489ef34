//! The table `traffic` of an exchange → what its traffic is held to.

use super::document::{Node, Table};
use crate::store::supply::Action;
use crate::store::traffic::{Places, TrafficPolicy};
use crate::telemetry::Finding;
use std::cell::RefCell;

const KEYS: &[&str] = &["refuse", "count", "ignore", "blocked"];

pub(super) fn read(exchange: &Table<'_>) -> TrafficPolicy {
    let Some(table) = exchange.table("traffic", KEYS) else {
        return TrafficPolicy::default();
    };
    let words = Finding::TRAFFIC.map(|finding| (finding.name(), finding));
    let lists = [
        ("refuse", Action::Refuse),
        ("count", Action::Count),
        ("ignore", Action::Off),
    ];
    let mut policy = TrafficPolicy::default();
    let mut said = Vec::new();
    for (key, action) in lists {
        for finding in table.list(key, |n| n.choice(&words)) {
            if said.contains(&finding) {
                let what = format!(
                    "`{}` stands in two of `refuse`, `count` and `ignore`",
                    finding.name()
                );
                table.problem(&what, "write it into one of them");
            }
            said.push(finding);
            policy = policy.with(finding, action);
        }
    }
    let blocked = RefCell::new(Places::default());
    table.list("blocked", |n| add(n, &blocked));
    policy.blocked = blocked.into_inner();
    policy
}

fn add(node: &Node<'_>, blocked: &RefCell<Places>) -> Option<()> {
    let added = blocked.borrow_mut().add(node.text()?);
    added
        .map_err(|error| node.problem(error.to_string(), "name one site, app or publisher"))
        .ok()
}
