//! `outbid budgets`: the money of a running bidder, as a table or as JSON.

use super::{BudgetsArguments, admin, say};
use anyhow::Context;
use serde_json::Value;
use std::process::ExitCode;

const COLUMNS: [(&str, usize); 11] = [
    ("", 34),
    ("day limit", 12),
    ("spent", 12),
    ("reserved", 12),
    ("late", 10),
    ("free", 12),
    ("leased", 10),
    ("set aside", 10),
    ("pace", 6),
    ("× bids", 7),
    ("win rate", 8),
];

pub fn run(arguments: &BudgetsArguments) -> anyhow::Result<ExitCode> {
    let loaded = arguments.folder.load()?;
    let admin = arguments.admin.unwrap_or(loaded.settings.admin);
    let body = admin::ask(admin, &loaded, "GET /api/v1/budgets", b"")?.succeeded()?;
    if arguments.json {
        say(&body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let report: Value =
        serde_json::from_str(&body).context("the answer is not JSON: is this an outbid admin address?")?;
    say(&table(&report))?;
    Ok(ExitCode::SUCCESS)
}

fn table(report: &Value) -> String {
    let currency = report["currency"].as_str().unwrap_or_default();
    let mut lines = vec![row(&COLUMNS.map(|(name, _)| name.to_owned()))];
    for campaign in list(&report["campaigns"]) {
        let name = format!("{} [{}]", text(&campaign["id"]), text(&campaign["status"]));
        lines.push(row(&money_row(name, campaign, currency)));
        for item in list(&campaign["line_items"]) {
            lines.push(row(&money_row(
                format!("  {}", text(&item["id"])),
                item,
                currency,
            )));
            lines.extend(kpi(&item["kpi"]));
            let reasons = list(&item["no_bid_reasons"]).iter();
            let reasons: Vec<_> = reasons
                .map(|r| format!("{} {}", text(&r["reason"]), r["count"]))
                .collect();
            if !reasons.is_empty() {
                lines.push(format!("      no bid: {}", reasons.join(", ")));
            }
        }
    }
    let alarms = report["alarms"].as_object().into_iter().flatten();
    let alarms: Vec<_> = alarms.map(|(name, count)| format!("{name} {count}")).collect();
    if !alarms.is_empty() {
        lines.push(format!("alarms: {}", alarms.join(", ")));
    }
    if report["books_open"] == Value::Bool(false) {
        lines.push("standing by: another process holds the books, this one does not bid".to_owned());
    }
    lines.extend(list(&report["holds"]).iter().map(hold));
    if report["books_open"] == Value::Bool(true) && report["leases"]["answering"] == Value::Bool(false) {
        lines.push(
            "the authority of the leases does not answer: bids go on until what is leased is used up"
                .to_owned(),
        );
    }
    if let Some(until) = report["leases"]["quarantined_until_ms"].as_i64() {
        let left_s = (until - report["at_ms"].as_i64().unwrap_or(until)).max(0) / 1000;
        lines.push(format!(
            "set aside: an earlier process ended without giving its leases back; what its open bids do not use is free in {left_s} s"
        ));
    }
    lines.join("\n")
}

/// `None` where nothing is steered.
fn kpi(kpi: &Value) -> Option<String> {
    let factor = kpi["factor"].as_f64()?;
    let event = kpi["event"]
        .as_str()
        .map_or(String::new(), |event| format!(" of {event}"));
    let achieved = kpi["achieved"]
        .as_str()
        .map_or("nothing known yet".to_owned(), |achieved| {
            format!("{achieved} of late")
        });
    let (metric, target) = (text(&kpi["metric"]), text(&kpi["target"]));
    Some(format!(
        "      {metric}{event}: {target} wanted, {achieved}; values × {factor:.2}"
    ))
}

fn hold(hold: &Value) -> String {
    let (exchange, format) = (text(&hold["exchange"]), text(&hold["format"]));
    let (samples, p999_ms) = (&hold["samples"], &hold["p999_ms"]);
    let held = match hold["hold_s"].as_u64() {
        Some(hold_s) => format!("{hold_s} s, learnt"),
        None => format!("{} s, as configured", hold["configured_s"]),
    };
    format!(
        "money is held {held} until a win is known: {exchange} {format}, 99.9 % within {p999_ms} ms of {samples} wins"
    )
}

fn money_row(name: String, object: &Value, currency: &str) -> [String; 11] {
    let day = &object["money"]["day"];
    let limit = day["limit"]
        .as_str()
        .map_or("none".to_owned(), |limit| format!("{limit} {currency}"));
    let number = |value: &Value| {
        value
            .as_f64()
            .map_or("-".to_owned(), |number| format!("{number:.2}"))
    };
    [
        name,
        limit,
        text(&day["spent"]),
        text(&day["reserved"]),
        text(&day["late"]),
        text(&day["free"]),
        text(&object["money"]["leased"]),
        text(&object["money"]["quarantined"]),
        number(&object["money"]["pace"]),
        number(&object["money"]["pacing"]["multiplier"]),
        number(&object["win_rate"]),
    ]
}

fn row(cells: &[String; 11]) -> String {
    let padded = cells
        .iter()
        .zip(COLUMNS)
        .enumerate()
        .map(|(position, (cell, (_, width)))| {
            if position == 0 {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        });
    padded.collect::<Vec<_>>().join(" ")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}
