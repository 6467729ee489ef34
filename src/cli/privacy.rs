//! `outbid privacy …`: opt-outs that reach us by mail or telephone, on a running bidder.

use super::{PrivacyArguments, PrivacyCommand, admin, say};
use anyhow::Context;
use serde_json::{Value, json};
use std::process::ExitCode;

pub fn run(command: &PrivacyCommand) -> anyhow::Result<ExitCode> {
    let (path, arguments) = match command {
        PrivacyCommand::OptOut(arguments) => ("/api/v1/opt-out", arguments),
        PrivacyCommand::OptIn(arguments) => ("/api/v1/opt-in", arguments),
        PrivacyCommand::Status(arguments) => ("/api/v1/opt-out/status", arguments),
    };
    let body = ask(path, arguments)?;
    if arguments.json {
        say(&body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let status: Value =
        serde_json::from_str(&body).context("the answer is not JSON: is this an outbid admin address?")?;
    say(&describe(&arguments.id, &status))?;
    Ok(ExitCode::SUCCESS)
}

fn ask(path: &str, arguments: &PrivacyArguments) -> anyhow::Result<String> {
    let loaded = arguments.folder.load()?;
    let address = arguments.admin.unwrap_or(loaded.settings.admin);
    let body = json!({ "id": arguments.id }).to_string();
    admin::ask(address, &loaded, &format!("POST {path}"), body.as_bytes())?.succeeded()
}

fn describe(id: &str, status: &Value) -> String {
    let out = status["opted_out"] == Value::Bool(true);
    let state = if out { "opted out" } else { "not opted out" };
    let known = match (status["has_profile"] == Value::Bool(true), out) {
        (false, _) => "the store has no profile of it",
        (true, true) => "its profile is not looked up, and the next `outbid store build` leaves it out",
        (true, false) => "the store has a profile of it",
    };
    let changed = match status["ids_changed"].as_u64() {
        None => String::new(),
        Some(0) => "; nothing had to be changed".to_owned(),
        Some(ids) => format!("; changed for {ids} ids of one person"),
    };
    format!(
        "{id}: {state}{changed}; {known}; {} ids on the list",
        status["ids_on_list"]
    )
}
