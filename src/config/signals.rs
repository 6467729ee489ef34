//! `signals.toml` and `signals/NAME.toml` → what is true of a place right now, such as its weather.
//!
//! Invariant: what a feed says ends with its time to live, also where nobody writes the file again: a signal is never believed for
//! longer than its file says after it was true, or after it was read where the file dates itself to the future.

use super::document::{Document, Node, Table};
use super::problem::Report;
use super::quantity;
use crate::store::campaigns::definition::Signal;
use crate::units::Timestamp;
use jiff::tz::TimeZone;
use std::time::Duration;

pub(super) const KEYS: &[&str] = &["name", "value", "country", "region", "until"];
pub(super) const FEED_KEYS: &[&str] = &["country", "region", "at", "ttl", "values"];

/// Kinds of signals of one place: each request looks at all of its country.
const NAMES_MAX: usize = 64;
const TTL_MIN: Duration = Duration::from_secs(60);
/// What holds for longer is no feed: it stands in signals.toml.
const TTL_MAX: Duration = Duration::from_secs(31 * 86_400);
/// Clocks of two machines differ by less.
const AHEAD_MS_MAX: i64 = 5 * 60_000;

/// `signals.toml`: signals that people write.
pub(super) fn read(document: &Document, now: Timestamp, report: &Report) -> Vec<Signal> {
    let tree = document.parse(report);
    let root = Table::root(document, &tree, &["signal"], report);
    root.tables("signal", KEYS)
        .iter()
        .filter_map(|signal| read_one(signal, now))
        .collect()
}

fn read_one(table: &Table<'_>, now: Timestamp) -> Option<Signal> {
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

/// `signals/NAME.toml`: all signals of one place, as a job writes them again and again.
pub(super) fn read_feed(document: &Document, now: Timestamp, report: &Report) -> Vec<Signal> {
    let tree = document.parse(report);
    let table = Table::root(document, &tree, FEED_KEYS, report);
    let country = table
        .need("country", "country = \"USA\"")
        .and_then(|n| quantity::country(&n));
    let region = table.maybe("region", |n| n.name());
    let at = table.need("at", "at = 2026-11-20T08:00:00Z");
    let written = at.as_ref().and_then(|n| quantity::instant(n, &TimeZone::UTC));
    let ttl = table
        .need("ttl", "ttl = \"30m\"")
        .and_then(|n| quantity::duration(&n, TTL_MIN..=TTL_MAX));
    let values = values(&table);
    let (Some(country), Some(at), Some(written), Some(ttl)) = (country, at, written, ttl) else {
        return Vec::new();
    };
    let until = Timestamp(written.min(now).0 + ttl.as_millis() as i64);
    if written.since(now) > AHEAD_MS_MAX {
        at.note(
            "these values are of the future and count as of now",
            "set the clock of the machine that writes them",
        );
    } else if until <= now {
        at.note(
            "these values are older than their `ttl` and ignored",
            "see why they are not written anew",
        );
    }
    let signal = |(name, value)| Signal {
        name,
        value,
        country: country.clone(),
        region: region.clone(),
        until: Some(until),
    };
    values.into_iter().map(signal).collect()
}

/// `[values]`: names of your own, each with a value or a list of them.
fn values(table: &Table<'_>) -> Vec<(String, String)> {
    let Some(node) = table.need("values", "values = { weather = \"rain\" }") else {
        return Vec::new();
    };
    let names = node.value().as_table().into_iter().flatten();
    let names: Vec<&str> = names.map(|(name, _)| name.get_ref().as_ref()).collect();
    let Some(entries) = node.table(&names) else {
        return Vec::new();
    };
    if names.len() > NAMES_MAX {
        node.problem(
            format!("{} names", names.len()),
            format!("at most {NAMES_MAX} of one place are read"),
        );
        return Vec::new();
    }
    let mut found = Vec::new();
    for (name, node) in entries.keys() {
        if !quantity::is_id(name) {
            node.problem(
                format!("`{name}` is no name of a signal"),
                "write 1..=64 letters, digits, `-`, `_` or `.`",
            );
            continue;
        }
        let values = match node.value().as_array() {
            Some(_) => node.list(|n: &Node<'_>| quantity::id(n)),
            None => quantity::id(&node).into_iter().collect(),
        };
        found.extend(values.into_iter().map(|value| (name.to_owned(), value)));
    }
    found
}
