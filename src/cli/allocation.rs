//! `outbid allocation`: where a campaign's money goes and why, and a person's word on a weight.

use super::{AllocationArguments, admin, say};
use anyhow::Context;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Sources in the table; `--json` has all.
const SOURCES_SHOWN: usize = 20;

pub fn run(arguments: &AllocationArguments) -> anyhow::Result<ExitCode> {
    let loaded = arguments.folder.load()?;
    let admin = arguments.admin.unwrap_or(loaded.settings.admin);
    let word = match (&arguments.approve, &arguments.reset) {
        (Some(slice), _) => Some((slice, "approve")),
        (None, Some(slice)) => Some((slice, "reset")),
        (None, None) => None,
    };
    if let Some((slice, act)) = word {
        let body = json!({ "slice": slice, "do": act }).to_string();
        let answer = admin::ask(admin, &loaded, "POST /api/v1/allocation", body.as_bytes())?.succeeded()?;
        say(if arguments.json {
            answer.trim()
        } else {
            "holds from the next request on"
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let body = admin::ask(admin, &loaded, "GET /api/v1/allocation", b"")?.succeeded()?;
    let report: Value =
        serde_json::from_str(&body).context("the answer is not JSON: is this an outbid admin address?")?;
    say(&if arguments.json { body } else { table(&report) })?;
    Ok(ExitCode::SUCCESS)
}

fn table(report: &Value) -> String {
    let mut lines = vec!["weights".to_owned()];
    let weights = list(&report["weights"]);
    if weights.is_empty() {
        lines.push("  no rule has moved money".to_owned());
    }
    lines.extend(weights.iter().map(|weight| {
        let state = match (weight["rests_until_ms"].as_i64(), weight["proposed"].as_f64()) {
            (Some(until), _) => format!("rests until {}", day_and_time(until)),
            (None, Some(proposed)) => format!("{proposed:.2} waits for --approve"),
            (None, None) => String::new(),
        };
        let (slice, cause) = (text(&weight["slice"]), text(&weight["cause"]));
        format!(
            "  {slice:<50} × {:<5.2} {cause:<15} {state}",
            number(&weight["weight"])
        )
    }));
    lines.push("trials".to_owned());
    let tries = |trial: &&Value| number(&trial["reserve"]) > 0.0;
    lines.extend(list(&report["trials"]).iter().filter(tries).map(|trial| {
        let spent = |what: &str| number_of_text(&trial[what]["cost"]);
        let all = spent("known") + spent("tried");
        let share = if all > 0.0 { spent("tried") / all } else { 0.0 };
        format!(
            "  {:<50} {:>5.1} % of the money for trials, {:.1} % spent on them",
            text(&trial["campaign"]),
            100.0 * number(&trial["share_wanted"]),
            100.0 * share
        )
    }));
    lines.push(format!(
        "sources, those that cost most of {}",
        report["sources_known"]
    ));
    lines.extend(list(&report["sources"]).iter().take(SOURCES_SHOWN).map(|source| {
        let at = ["line_item", "exchange", "format", "placement"]
            .map(|key| text(&source[key]))
            .join(" / ");
        format!(
            "  {at:<50} {:>12.1} impressions {:>8.1} clicks {:>12}",
            number(&source["impressions"]),
            number(&source["clicks"]),
            text(&source["cost"])
        )
    }));
    lines.join("\n")
}

fn day_and_time(ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    at.strftime("%m-%d %H:%M UTC").to_string()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

fn number_of_text(value: &Value) -> f64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or(0.0)
}
