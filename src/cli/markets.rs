//! `outbid markets`: what bids win where, as a running bidder has learnt it.

use super::{MarketsArguments, admin, say};
use anyhow::Context;
use serde_json::Value;
use std::process::ExitCode;

pub fn run(arguments: &MarketsArguments) -> anyhow::Result<ExitCode> {
    let loaded = arguments.folder.load()?;
    let admin = arguments.admin.unwrap_or(loaded.settings.admin);
    let body = admin::ask(admin, &loaded, "GET /api/v1/markets", b"")?.succeeded()?;
    if arguments.json {
        say(&body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let report =
        serde_json::from_str(&body).context("the answer is not JSON: is this an outbid admin address?")?;
    say(&table(&report))?;
    Ok(ExitCode::SUCCESS)
}

fn table(report: &Value) -> String {
    let markets = report["markets"].as_array().map_or(&[][..], Vec::as_slice);
    if markets.is_empty() {
        return "nothing was learnt yet: no exchange has `shading = \"learn\"`, or none of its bids has ended".to_owned();
    }
    let currency = report["prices_in"].as_str().unwrap_or("-");
    let mut lines = vec![format!(
        "{:<20} {:>4} {:<7} {:>9} {:>10} {:>8} {:>10}   {currency} CPM that wins 10 %, 50 %, 90 %",
        "exchange", "at", "format", "placement", "observed", "won", "explored"
    )];
    lines.extend(markets.iter().map(row));
    lines.join("\n")
}

fn row(market: &Value) -> String {
    let text = |key: &str, none: &str| match &market[key] {
        Value::Null => none.to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let price = |key: &str| market["cpm_that_wins"][key].as_f64().unwrap_or_default();
    format!(
        "{:<20} {:>4} {:<7} {:>9} {:>10} {:>6.1} % {:>10}   {:>8.3} {:>8.3} {:>8.3}",
        text("exchange", "all"),
        text("auction", "-"),
        text("format", "all"),
        text("placement", "all"),
        text("observed", "-"),
        100.0 * market["win_rate"].as_f64().unwrap_or_default(),
        format!("1 in {}", text("explored_one_in", "-")),
        price("10%"),
        price("50%"),
        price("90%"),
    )
}
