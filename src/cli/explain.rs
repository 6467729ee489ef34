//! `outbid explain`: why a running bidder answers a request as it does.

use super::{ExplainArguments, admin, say};
use anyhow::Context;
use serde_json::Value;
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
    let body = admin::ask(
        address,
        &loaded,
        &format!("POST /api/v1/explain{query}"),
        &request,
    )?
    .succeeded()?;
    if arguments.json {
        say(&body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let explanation: Value =
        serde_json::from_str(&body).context("the answer is not JSON: is this an outbid admin address?")?;
    say(&describe(&explanation, arguments.all))?;
    Ok(ExitCode::SUCCESS)
}

fn read_request(arguments: &ExplainArguments) -> anyhow::Result<String> {
    if arguments.request.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("cannot read standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(&arguments.request)
        .with_context(|| format!("cannot read {}", arguments.request.display()))
}

fn describe(explanation: &Value, all: bool) -> String {
    let outcome = &explanation["outcome"];
    let head = match outcome["reason"].as_str() {
        Some(reason) => format!("no bid: {reason}"),
        None => "bid".to_owned(),
    };
    let mut lines = vec![
        format!(
            "request {} at {}: {head}",
            text(&explanation["request"]),
            text(&explanation["exchange"])
        ),
        format!(
            "personal data: {} (decided by: {}); user {}",
            if explanation["personal_data"] == Value::Bool(true) {
                "yes"
            } else {
                "no"
            },
            text(&explanation["consent_decided_by"]),
            if explanation["user_known"] == Value::Bool(true) {
                "known"
            } else {
                "not known"
            },
        ),
    ];
    for imp in list(&explanation["imps"]) {
        let items = list(&imp["line_items"]);
        let shown: Vec<_> = items
            .iter()
            .filter(|item| all || item["step"] != "not_targeted")
            .collect();
        lines.push(format!(
            "imp {}: {} line items, {} not targeted",
            text(&imp["id"]),
            items.len(),
            items.iter().filter(|item| item["step"] == "not_targeted").count()
        ));
        lines.extend(shown.into_iter().map(line));
    }
    lines.join("\n")
}

fn line(item: &Value) -> String {
    let fate = match item["reason"].as_str() {
        Some(reason) => format!("{} {reason}", text(&item["step"]).replace('_', " ")),
        None => "BID".to_owned(),
    };
    let scored = &item["scored"];
    let number = |key: &str| {
        scored[key]
            .as_f64()
            .map_or("-".to_owned(), |value| format!("{value:.4}"))
    };
    let moved: Vec<_> = list(&scored["moved_most_by"])
        .iter()
        .map(|moved| {
            format!(
                "{} {:+.2}",
                text(&moved["feature"]),
                moved["log_odds"].as_f64().unwrap_or_default()
            )
        })
        .collect();
    let mut line = format!("  {:<32} {fate}", text(&item["id"]));
    if let Some(deal) = item["deal"].as_str() {
        line += &format!(" in {deal}");
    }
    if !scored.is_null() {
        line += &format!(
            "; p(click) {} value {} price {} floor {}; {}",
            number("p_click"),
            number("value_cpm"),
            number("price_cpm"),
            number("floor_cpm"),
            moved.join(", ")
        );
    }
    line
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}
