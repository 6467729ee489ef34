//! `outbid approvals`: what exchanges say of our creatives, and the word that one may be shown again.

use super::{ApprovalsArguments, admin, say};
use anyhow::Context;
use serde_json::{Value, json};
use std::process::ExitCode;

pub fn run(arguments: &ApprovalsArguments) -> anyhow::Result<ExitCode> {
    let loaded = arguments.folder.load()?;
    let admin = arguments.admin.unwrap_or(loaded.settings.admin);
    if let (Some(creative), Some(exchange)) = (&arguments.approve, &arguments.exchange) {
        let body = json!({"exchange": exchange, "creative": creative, "state": "approved"});
        let answer = admin::ask(
            admin,
            &loaded,
            "POST /api/v1/approvals",
            body.to_string().as_bytes(),
        )?
        .succeeded()?;
        let cleared = parse(&answer)?["status"] == "cleared";
        say(if arguments.json {
            answer.trim()
        } else if cleared {
            "shown again from the next request on"
        } else {
            "nothing held it back"
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let body = admin::ask(admin, &loaded, "GET /api/v1/approvals", b"")?.succeeded()?;
    say(&if arguments.json {
        body
    } else {
        table(&parse(&body)?)
    })?;
    Ok(ExitCode::SUCCESS)
}

fn parse(body: &str) -> anyhow::Result<Value> {
    serde_json::from_str(body).context("the answer is not JSON: is this an outbid admin address?")
}

fn table(report: &Value) -> String {
    let entries = report["approvals"].as_array().map_or(&[][..], Vec::as_slice);
    if entries.is_empty() {
        return "no exchange has said anything of a creative".to_owned();
    }
    let row = |cells: [&str; 4]| {
        let [exchange, creative, state, losses] = cells;
        format!("{exchange:<20} {creative:<34} {state:<28} {losses}")
    };
    let mut lines = vec![row(["exchange", "creative", "state", "losses"])];
    for entry in entries {
        let losses = entry["losses"].as_object().into_iter().flatten();
        let losses: Vec<_> = losses.map(|(code, count)| format!("{code}: {count}")).collect();
        lines.push(row([
            entry["exchange"].as_str().unwrap_or("-"),
            entry["creative"].as_str().unwrap_or("-"),
            &state(entry),
            &losses.join(", "),
        ]));
    }
    lines.join("\n")
}

fn state(entry: &Value) -> String {
    let name = entry["state"].as_str().unwrap_or("-");
    let until = entry["until_ms"]
        .as_i64()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    match until {
        Some(until) => format!("{name} until {}", until.strftime("%m-%d %H:%M")),
        None if name == "stopped" && entry["holds"] == Value::Bool(false) => {
            "stopped (older content)".to_owned()
        }
        None => name.to_owned(),
    }
}
