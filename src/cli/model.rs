//! `outbid model …`: what training needs of the bidder, and the step from a trained model to an active one.

use super::{ConfigFolder, ModelCheckArguments, ModelPromoteArguments, ModelRowsArguments, say, world};
use anyhow::Context;
use outbid::openrtb::request::Request;
use outbid::store::models::{
    Candidate, Model, ModelName, Person, Schema, promote as promote_model, read_candidates, write_rows,
};
use outbid::store::profiles::Profiles;
use serde_json::json;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

pub fn candidates(folder: &ConfigFolder) -> anyhow::Result<ExitCode> {
    let loaded = folder.load()?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    for candidate in Candidate::all(&loaded.definitions) {
        serde_json::to_writer(&mut out, &candidate)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

pub fn rows(arguments: &ModelRowsArguments) -> anyhow::Result<ExitCode> {
    let loaded = arguments.folder.load()?;
    let keys = world::keys(&loaded)?;
    let people = world::people(&loaded, Arc::new(Profiles::open(&arguments.store)?), &keys.user);
    // Nothing is learnt of people who opted out since.
    let opt_outs = world::opt_outs(&loaded)?;
    let schema = std::fs::read_to_string(&arguments.schema)
        .with_context(|| format!("cannot open {}", arguments.schema.display()))?;
    let schema = Schema::parse(&arguments.schema, &schema)?;
    let ads = BufReader::new(open(&arguments.candidates)?);
    let ads = read_candidates(&arguments.candidates, ads)?;
    let input = BufReader::new(open(&arguments.input)?);
    let output = File::create(&arguments.output)
        .with_context(|| format!("cannot write {}", arguments.output.display()))?;
    let mut person = |request: &Request, exchange: &str, now| {
        let found = people.find(request, &format!("exchange:{exchange}"), &opt_outs, now);
        Person {
            profile: found.profile,
            may_profile: found.consent.profile_use,
            hour: found.hour,
        }
    };
    let output = BufWriter::new(output);
    let counts = write_rows(&schema, &ads, &arguments.input, input, output, &mut person)?;
    say(&format!("{:#}", serde_json::to_value(&counts)?))?;
    Ok(ExitCode::SUCCESS)
}

pub fn check(arguments: &ModelCheckArguments) -> anyhow::Result<ExitCode> {
    let model = Model::load(&arguments.folder)?;
    let (sha256, verdict) = (model.sha256(), &model.gate().verdict);
    if arguments.json {
        say(&format!(
            "{:#}",
            json!({"sha256": sha256, "verdict": format!("{verdict:?}").to_lowercase()})
        ))?;
    } else {
        say(&format!(
            "{}: loads; sha256 {sha256}; gate: {verdict:?}",
            arguments.folder.display()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub fn promote(arguments: &ModelPromoteArguments) -> anyhow::Result<ExitCode> {
    let loaded = arguments.folder.load()?;
    let name = ModelName::parse(&arguments.model).with_context(|| {
        format!(
            "`{}` names no model; write NAME/VERSION such as ctr/1",
            arguments.model
        )
    })?;
    let pointer = arguments.folder.config.join("models.toml");
    promote_model(&loaded.models.registry, &name, &pointer)?;
    println!(
        "{}: bids are scored by {name} from the next reload on",
        pointer.display()
    );
    Ok(ExitCode::SUCCESS)
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("cannot open {}", path.display()))
}
