//! `outbid store build` and `outbid store get`.

use super::{StoreBuildArguments, StoreGetArguments, demo, say, world};
use outbid::store::profiles::{BuildOptions, Profiles, build as build_store};
use outbid::units::UserKey;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

pub fn build(arguments: &StoreBuildArguments) -> anyhow::Result<ExitCode> {
    let keys = world::keys(&arguments.folder.load()?)?;
    let options = BuildOptions {
        strict: arguments.strict,
        ..BuildOptions::new(keys.user)
    };
    let bytes = arguments
        .input
        .iter()
        .filter_map(|path| std::fs::metadata(path).ok())
        .map(|meta| meta.len())
        .sum();
    let progress = demo::bar(bytes, "profiles");
    let mut done = 0;
    let report = build_store(
        &arguments.input,
        &arguments.output,
        &options,
        &mut |_: &Path, at| {
            progress.set_position(done + at.read);
            if at.read == at.total {
                done += at.total;
            }
        },
    )?;
    progress.finish_and_clear();
    if arguments.json {
        say(&format!("{:#}", serde_json::to_value(&report)?))?;
        return Ok(ExitCode::SUCCESS);
    }
    for input in &report.inputs {
        println!("{}: {} lines, {} bad", input.file, input.lines, input.bad_lines);
        for bad in &input.listed {
            println!("  {}:{}: {}", input.file, bad.line, bad.what);
        }
    }
    println!(
        "{}: {} users under {} ids, {} tags of {} names, {} bytes; {} ids stood twice (the later one counts)",
        arguments.output.display(),
        report.users,
        report.keys,
        report.tags,
        report.names,
        report.bytes,
        report.duplicate_keys
    );
    Ok(ExitCode::SUCCESS)
}

pub fn get(arguments: &StoreGetArguments) -> anyhow::Result<ExitCode> {
    let keys = world::keys(&arguments.folder.load()?)?;
    let profiles = Profiles::open(&arguments.file)?;
    let (namespace, id) = split_id(&arguments.id);
    let Some(found) = profiles.describe(UserKey::of(&keys.user, namespace, id)) else {
        if arguments.json {
            println!("{}", json!({"found": false}));
        } else {
            println!("{}: no profile of {namespace}:{id}", arguments.file.display());
        }
        return Ok(ExitCode::FAILURE);
    };
    if arguments.json {
        say(&format!("{:#}", serde_json::to_value(&found)?))?;
    } else {
        say(&found.to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `exchange:NAME:ID` has two colons in front of the id, all other namespaces one.
fn split_id(text: &str) -> (&str, &str) {
    let from = if text.starts_with("exchange:") {
        "exchange:".len()
    } else {
        0
    };
    match text[from..].find(':') {
        Some(colon) => (&text[..from + colon], &text[from + colon + 1..]),
        None => ("buyeruid", text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_split_from_its_namespace() {
        for (text, expected) in [
            ("u-1", ("buyeruid", "u-1")),
            ("ifa:AB:1", ("ifa", "AB:1")),
            ("exchange:demo:7", ("exchange:demo", "7")),
        ] {
            assert_eq!(split_id(text), expected);
        }
    }
}
