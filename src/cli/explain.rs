//! `outbid explain`: why a running bidder answers a request as it does.

use super::{ExplainArguments, admin, say};
use anyhow::{Context, bail};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Read;
use std::process::ExitCode;

pub fn run(arguments: &ExplainArguments) -> anyhow::Result<ExitCode> {
    let loaded = arguments.folder.load()?;
    let address = arguments.admin.unwrap_or(loaded.settings.admin);
    let request = read_request(arguments)?;
    let query = arguments
        .exchange
        .as_ref()
        .map(|name| format!("?exchange={name}"))
        .unwrap_or_default();
    let kind = if arguments.protobuf {
        "application/x-protobuf"
    } else {
        "application/json"
    };
    let answer = admin::ask_in(
        kind,
        address,
        &loaded,
        &format!("POST /api/v1/explain{query}"),
        &request,
    )?;
    if let Some(why) = answer.refusal() {
        if arguments.json {
            say(&answer.body)?;
        }
        bail!("the request is malformed, and answered with 400 where bids are asked for: {why}");
    }
    let body = answer.succeeded()?;
    if arguments.json {
        say(&body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let explanation: Value =
        serde_json::from_str(&body).context("the answer is not JSON: is this an outbid admin address?")?;
    say(&describe(&explanation, arguments.all))?;
    Ok(ExitCode::SUCCESS)
}

fn read_request(arguments: &ExplainArguments) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if arguments.request.as_os_str() == "-" {
        std::io::stdin()
            .read_to_end(&mut bytes)
            .context("cannot read standard input")?;
        return Ok(bytes);
    }
    std::fs::read(&arguments.request).with_context(|| format!("cannot read {}", arguments.request.display()))
}

fn describe(explanation: &Value, all: bool) -> String {
    let mut lines = vec![
        format!(
            "request {} at {}: {}",
            text(&explanation["request"]),
            text(&explanation["exchange"]),
            outcome(&explanation["outcome"])
        ),
        person(explanation),
    ];
    for imp in list(&explanation["imps"]) {
        let items = list(&imp["line_items"]);
        let of_step = |step: &str| items.iter().filter(|item| item["step"] == step).count();
        let untargeted = of_step("not_targeted");
        // A line item may bid through a deal and in the open auction.
        let ids: BTreeSet<String> = items.iter().map(|item| text(&item["id"])).collect();
        if items.is_empty() {
            lines.push(format!(
                "imp {}: no line item was looked at: the request is refused as a whole",
                text(&imp["id"])
            ));
            continue;
        }
        lines.push(format!(
            "imp {}: {} line items: {} bid, {} fell out, {untargeted} not targeted{}",
            text(&imp["id"]),
            ids.len(),
            of_step("bid"),
            of_step("fell_out"),
            if untargeted > 0 && !all {
                " (--all shows them)"
            } else {
                ""
            }
        ));
        let shown: Vec<_> = items
            .iter()
            .filter(|item| all || item["step"] != "not_targeted")
            .collect();
        lines.extend(table(&shown, text(&explanation["prices_in"])));
    }
    lines.join("\n")
}

fn outcome(outcome: &Value) -> String {
    match (outcome["reason"].as_str(), outcome["nbr"].as_i64()) {
        (None, _) => format!("bids in {}", text(&outcome["currency"])),
        (Some(reason), None) => format!("no bid: {reason}"),
        (Some(reason), Some(nbr)) => format!("no bid: {reason} (nbr {nbr})"),
    }
}

fn person(explanation: &Value) -> String {
    let Some(personal) = explanation["personal_data"].as_bool() else {
        return "personal data: none; the request was refused before consent was asked for".to_owned();
    };
    format!(
        "personal data: {} (decided by: {}); user {}",
        if personal { "may be used" } else { "none" },
        text(&explanation["consent_decided_by"]),
        if explanation["user_known"] == Value::Bool(true) {
            "known"
        } else {
            "not known"
        },
    )
}

/// What became of each line item, and its numbers where it came so far.
fn table(items: &[&Value], currency: String) -> Vec<String> {
    let width = items
        .iter()
        .map(|item| text(&item["id"]).len())
        .max()
        .unwrap_or(0);
    let fates: Vec<_> = items.iter().map(|item| fate(item)).collect();
    let fate_width = fates.iter().map(String::len).max().unwrap_or(0);
    let mut lines = Vec::new();
    if items.iter().any(|item| !item["scored"].is_null()) {
        let columns = format!("  p(click)      value      price      floor {currency} CPM; moved most by");
        lines.push(format!("  {:<width$}  {:<fate_width$}{columns}", "", ""));
    }
    for (item, fate) in items.iter().zip(&fates) {
        let line = format!(
            "  {:<width$}  {fate:<fate_width$}{}",
            text(&item["id"]),
            numbers(&item["scored"])
        );
        lines.push(line.trim_end().to_owned());
    }
    lines
}

fn fate(item: &Value) -> String {
    let deal = item["deal"]
        .as_str()
        .map(|deal| format!(" in {deal}"))
        .unwrap_or_default();
    match item["reason"].as_str() {
        Some(reason) => format!("{}{deal}: {reason}", text(&item["step"]).replace('_', " ")),
        None => format!("BID{deal} with {}", text(&item["creative"])),
    }
}

fn numbers(scored: &Value) -> String {
    if scored.is_null() {
        return String::new();
    }
    let number = |key: &str, digits: usize| {
        scored[key]
            .as_f64()
            .map_or("-".to_owned(), |value| format!("{value:.digits$}"))
    };
    let shaded = &scored["shading"];
    let shaded = if shaded["shaded"] == Value::Bool(true) {
        format!(
            "shaded from {:.4}, wins {:.0} %: {}; ",
            shaded["paced_value_cpm"].as_f64().unwrap_or_default(),
            100.0 * shaded["win_rate"].as_f64().unwrap_or_default(),
            text(&shaded["why"])
        )
    } else {
        String::new()
    };
    let moved = list(&scored["moved_most_by"]).iter().map(|moved| {
        let by = moved["log_odds"].as_f64().unwrap_or_default();
        format!("{} {by:+.2}", text(&moved["feature"]))
    });
    format!(
        "  {:>8} {:>10} {:>10} {:>10}  {shaded}{}",
        number("p_click", 5),
        number("value_cpm", 4),
        number("price_cpm", 4),
        number("floor_cpm", 4),
        moved.collect::<Vec<_>>().join(", ")
    )
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}
