//! `rates.toml` → exchange rates with their date. Invariant: without the file only the accounting currency is known.

use super::document::{Document, Node, Table};
use super::problem::Report;
use super::quantity;
use crate::store::rates::{Rate, Rates};
use crate::units::{Currency, Timestamp};
use jiff::tz::TimeZone;
use std::time::Duration;

pub(super) const KEYS: &[&str] = &["date", "max_age", "rates"];
/// A year: older rates say nothing about today's prices.
const AGE_MAX: Duration = Duration::from_secs(366 * 86_400);

pub(super) fn read(
    document: Option<&Document>,
    accounting: Currency,
    now: Timestamp,
    report: &Report,
) -> Rates {
    let Some(document) = document else {
        return Rates::new(accounting, now, 0, Vec::new());
    };
    let tree = document.parse(report);
    let table = Table::root(document, &tree, KEYS, report);
    let date = table.need("date", "date = 2026-11-20");
    let at = date
        .as_ref()
        .and_then(|n| quantity::instant(n, &TimeZone::UTC))
        .unwrap_or(now);
    let week = Duration::from_secs(7 * 86_400);
    let max_age = table.read("max_age", week, |n| {
        quantity::duration(n, Duration::from_secs(3600)..=AGE_MAX)
    });
    if let Some(date) = date {
        check_age(&date, now.since(at), max_age);
    }
    Rates::new(
        accounting,
        at,
        max_age.as_millis() as i64,
        read_rates(&table, accounting),
    )
}

fn check_age(date: &Node<'_>, age_ms: i64, max_age: Duration) {
    if age_ms < -Timestamp::MS_PER_DAY {
        date.problem(
            "this lies in the future",
            "write the day on which the rates were true",
        );
    }
    if age_ms > max_age.as_millis() as i64 {
        let fix = "bring the rates up to date: until then no bid is made in another currency";
        date.note("the rates are older than `max_age`", fix);
    }
}

fn read_rates(table: &Table<'_>, accounting: Currency) -> Vec<(Currency, Rate)> {
    let Some(node) = table.get("rates") else {
        return Vec::new();
    };
    let names: Vec<&str> = node
        .value()
        .as_table()
        .into_iter()
        .flatten()
        .map(|(k, _)| k.get_ref().as_ref())
        .collect();
    let rates = node.table(&names);
    rates
        .iter()
        .flat_map(Table::keys)
        .filter_map(|(name, node)| read_rate(name, &node, accounting))
        .collect()
}

fn read_rate(name: &str, node: &Node<'_>, accounting: Currency) -> Option<(Currency, Rate)> {
    let currency = Currency::parse(name).filter(|currency| currency.as_str() == name);
    let Some(currency) = currency else {
        node.problem(
            format!("`{name}` is no currency"),
            "write its ISO-4217 code such as `EUR`",
        );
        return None;
    };
    if currency == accounting {
        node.problem(
            format!("{currency} is the accounting currency"),
            "leave it out: its rate is 1",
        );
        return None;
    }
    Some((currency, Rate::from_units(node.number(1e-6..=1e6)?)?))
}
