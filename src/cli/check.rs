//! `outbid check`: all problems of a configuration at once, or its effective values.

use super::{CheckArguments, say};
use outbid::config;
use outbid::store::traffic::Traffic;
use serde_json::json;
use std::process::ExitCode;

pub fn run(arguments: &CheckArguments) -> anyhow::Result<ExitCode> {
    let folder = &arguments.folder.config;
    let found = config::load(folder, &|name| std::env::var(name).ok(), outbid::server::now());
    let loaded = match found {
        Ok(loaded) => loaded,
        Err(problems) => {
            if arguments.json {
                say(&format!(
                    "{:#}",
                    json!({"valid": false, "problems": problems.to_json()})
                ))?;
            } else {
                let found = count(problems.len(), "problem");
                say(&format!(
                    "{problems}
{}: {found} found; nothing of it is used",
                    folder.display()
                ))?;
            }
            return Ok(ExitCode::FAILURE);
        }
    };
    let (_, unusable) = Traffic::open(&loaded.traffic)?;
    let left_out: Vec<_> = unusable.iter().map(ToString::to_string).collect();
    let effective = config::effective(&loaded);
    if arguments.json {
        let mut report = json!({"valid": true, "notes": loaded.notes.to_json(), "left_out": left_out});
        if arguments.effective {
            report["effective"] = effective.to_json();
        }
        say(&format!("{report:#}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.effective {
        say(&effective.to_string())?;
    }
    if !loaded.notes.is_empty() {
        say(&loaded.notes.to_string())?;
    }
    for line in &left_out {
        say(&format!("left out: {line}"))?;
    }
    let line_items = loaded
        .definitions
        .campaigns
        .iter()
        .map(|campaign| campaign.line_items.len())
        .sum();
    say(&format!(
        "{}: valid ({}, {}, {}, {})",
        folder.display(),
        count(loaded.exchanges.len(), "exchange"),
        count(loaded.definitions.campaigns.len(), "campaign"),
        count(line_items, "line item"),
        count(loaded.definitions.creatives.len(), "creative"),
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
