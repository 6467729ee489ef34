//! `stock.toml` → the items that cannot be had. A feed of the shop rewrites the file; the next reload knows.

use super::document::{Document, Node, Table};
use super::problem::Report;
use crate::units::Timestamp;
use jiff::tz::TimeZone;
use std::collections::HashSet;

pub(super) const KEYS: &[&str] = &["out_of_stock", "until"];

/// Nothing where the file is too old to be believed.
pub(super) fn read(document: &Document, now: Timestamp, report: &Report) -> HashSet<String> {
    let tree = document.parse(report);
    let table = Table::root(document, &tree, KEYS, report);
    let items = table.list("out_of_stock", Node::name);
    let until = table.get("until");
    let ends = until
        .as_ref()
        .and_then(|n| super::quantity::instant(n, &TimeZone::UTC));
    match (until, ends) {
        (Some(node), Some(ends)) if ends <= now => {
            node.note(
                "this list is over and ignored: everything counts as in stock",
                "bring it up to date or remove the file",
            );
            HashSet::new()
        }
        _ => items.into_iter().collect(),
    }
}
