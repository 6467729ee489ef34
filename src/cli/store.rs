//! `outbid store build` and `outbid store get`.

use super::{StoreBuildArguments, StoreGetArguments, demo, say, world};
use anyhow::Context;
use outbid::store::profiles::{BuildOptions, Profiles, build as build_store};
use outbid::units::{UserKey, split_user_id};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

pub fn build(arguments: &StoreBuildArguments) -> anyhow::Result<ExitCode> {
    let loaded = arguments.folder.load()?;
    let opt_outs = world::opt_outs(&loaded)?;
    let options = BuildOptions {
        strict: arguments.strict,
        leave_out: Arc::new(move |key| opt_outs.contains(key)),
        ..BuildOptions::new(world::keys(&loaded)?.user)
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
        "{}: {} users under {} ids, {} tags of {} names, {} bytes; {} ids stood twice (the later one counts); \
         {} users left out who opted out",
        arguments.output.display(),
        report.users,
        report.keys,
        report.tags,
        report.names,
        report.bytes,
        report.duplicate_keys,
        report.left_out
    );
    Ok(ExitCode::SUCCESS)
}

pub fn get(arguments: &StoreGetArguments) -> anyhow::Result<ExitCode> {
    let loaded = arguments.folder.load()?;
    let profiles = Profiles::open(&arguments.file)?;
    let (namespace, id) = split_user_id(&arguments.id).with_context(|| {
        format!(
            "`{}` is no id; write NAMESPACE:ID such as buyeruid:u-1",
            arguments.id
        )
    })?;
    let key = UserKey::of(&world::keys(&loaded)?.user, namespace, id);
    let found = profiles.describe(key);
    // A store that was built before the opt-out still has the profile; nobody is to look at it, here neither.
    let opted_out = world::opt_outs(&loaded)?.contains(key);
    let Some(found) = found.filter(|_| !opted_out) else {
        if arguments.json {
            println!("{}", json!({"found": false, "opted_out": opted_out}));
        } else {
            let why = if opted_out { ": opted out" } else { "" };
            println!(
                "{}: no profile of {namespace}:{id}{why}",
                arguments.file.display()
            );
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
