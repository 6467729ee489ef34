//! `outbid certify`: drives a bidder, ours or another, through the built-in cases.

use super::say;
use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use outbid::certify::{self, Address, Case, Progress, Section, Settings, WireCase, WireReport};
use serde_json::Value;
use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a command line that cannot be carried out ends with, as clap's own refusals do.
const USAGE: u8 = 2;

#[derive(Args)]
pub struct CertifyArguments {
    /// Where the bidder takes bid requests: http://HOST:PORT/PATH.
    #[arg(long, value_name = "URL", required_unless_present = "list", value_parser = Address::parse)]
    url: Option<Address>,
    /// Sent with every bid request, like the exchange's credentials: `Name: value`.
    #[arg(long = "header", value_name = "HEADER", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Send notices here instead of to the host in their URLs: for a public address that is https or elsewhere.
    #[arg(long, value_name = "URL", value_parser = Address::parse)]
    notices: Option<Address>,
    /// The admin address of an Outbid, for what bids do not show: money and opt-outs. Its token is read from
    /// OUTBID_ADMIN_TOKEN.
    #[arg(long, value_name = "ADDR", value_parser = admin)]
    admin: Option<Address>,
    /// A deal that the bidder bids on; without one the cases about known deals are not tested.
    #[arg(long = "deal", value_name = "ID")]
    deals: Vec<String>,
    /// Only these sections, as `--list` names them.
    #[arg(long = "section", value_name = "SECTION", value_parser = section)]
    sections: Vec<Section>,
    /// Only the cases whose id begins so.
    #[arg(long, value_name = "PREFIX", default_value = "")]
    case: String,
    /// Mark every request as a test auction: no money is held or spent, no cap counted, nothing learnt (`test = 1`, section 3.2.1).
    #[arg(long)]
    test: bool,
    /// How long to wait for an answer, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    timeout: u64,
    /// Send the bodies that this file names in place of the built-in cases, and compare the statuses:
    /// `[{"name": …, "file": …, "headers": {}, "expect_http": "400|413", "why": …}]`, each file relative to this one.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sections", "case", "list"])]
    wire: Option<PathBuf>,
    /// Print the cases and ask nobody.
    #[arg(long)]
    list: bool,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

/// Exit codes: 0 no case failed, 1 some failed, nothing was bid on or nobody answers, 2 the command line makes no sense.
pub fn run(arguments: CertifyArguments) -> anyhow::Result<ExitCode> {
    let (sections, prefix) = (&arguments.sections, &arguments.case);
    let chosen = |case: &Case| {
        (sections.is_empty() || sections.contains(&case.section)) && case.id.starts_with(prefix)
    };
    if !certify::cases().iter().any(chosen) {
        eprintln!("outbid certify: no case is left; `outbid certify --list` prints all of them");
        return Ok(ExitCode::from(USAGE));
    }
    let Some(url) = arguments.url.clone().filter(|_| !arguments.list) else {
        say(&list(chosen))?;
        return Ok(ExitCode::SUCCESS);
    };
    let settings = Settings {
        url,
        headers: arguments.headers.clone(),
        notices: arguments.notices.clone(),
        admin: arguments.admin.clone(),
        admin_token: std::env::var("OUTBID_ADMIN_TOKEN").ok(),
        deals: arguments.deals.clone(),
        test: arguments.test,
        timeout: Duration::from_millis(arguments.timeout),
        run: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |now| now.as_secs()),
    };
    settings.url.reach(settings.timeout).with_context(|| {
        format!(
            "nobody answers at {}; is the bidder running there?",
            settings.url.authority
        )
    })?;
    if !arguments.test {
        eprintln!(
            "outbid certify: these auctions are real to {}: they hold and spend its money, and losses teach it; --test marks them as tests",
            settings.url.authority
        );
    }
    if let Some(path) = &arguments.wire {
        let cases = WireCase::read_all(path)?;
        let report = WireReport::run(&settings, cases, progress(0));
        return finish(report.passed(), &report, || report.to_json(), arguments.json);
    }
    let report = certify::certify_watched(&settings, chosen, progress(0));
    finish(report.passed(), &report, || report.to_json(), arguments.json)
}

fn finish(
    passed: bool,
    report: &impl Display,
    to_json: impl FnOnce() -> Value,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let text = if json {
        format!("{:#}", to_json())
    } else {
        report.to_string()
    };
    say(&text)?;
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A bar on standard error, where that is a terminal.
pub(super) fn progress(of: usize) -> impl Fn(Progress) {
    let bar = ProgressBar::new(of as u64);
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}").expect("the template is valid"));
    move |progress: Progress| {
        bar.set_length(progress.of as u64);
        bar.set_position(progress.done as u64);
        bar.set_message(progress.doing.to_owned());
        if progress.done + 1 >= progress.of {
            bar.finish_and_clear();
        }
    }
}

fn list(chosen: impl Fn(&Case) -> bool) -> String {
    let cases = certify::cases();
    let lines = cases.iter().filter(|case| chosen(case)).map(|case| {
        format!(
            "{:<13} {:<38} {:<20} {}",
            case.section, case.id, case.spec, case.title
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

pub(super) fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write `Name: value`")?;
    let clean = |part: &str| !part.bytes().any(|b| b.is_ascii_control());
    if name.trim().is_empty() || name.contains(' ') || !clean(name) || !clean(value) {
        return Err("write `Name: value` on one line".into());
    }
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn admin(text: &str) -> Result<Address, String> {
    let url = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    Address::parse(&url).map_err(|error| error.to_string())
}

fn section(name: &str) -> Result<Section, String> {
    let names = || Section::ALL.map(Section::name).join(", ");
    Section::from_name(name).ok_or_else(|| format!("write one of: {}", names()))
}
