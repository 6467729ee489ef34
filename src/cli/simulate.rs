//! `outbid simulate`: whole days in seconds, with everything that goes wrong.

mod report;

use super::{demo, say};
use anyhow::{Context, bail};
use clap::Args;
use outbid::lab::simulate::{
    AUCTIONS_MAX, DAYS_MAX, Faults, HOLD_MAX_S, MinToWin, NODES_MAX, Outcome, Scenario, Shading, chart,
    simulate,
};
use outbid::units::Spread;
use report::Report;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Above this a run takes days.
const SEEDS_MAX: u64 = 1_000_000;

#[derive(Args)]
pub struct SimulateArguments {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// So many seeds, one after the other; those of all cores at once.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=SEEDS_MAX))]
    seeds: u64,
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
    days: u32,
    /// Auctions a day.
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1_000..=i64::from(AUCTIONS_MAX)))]
    auctions: u32,
    /// `all`, `none`, or some of delayed, lost, doubled, reordered, crash, authority, reload, skew, clock-change, surge.
    #[arg(long, value_name = "LIST", default_value = "none")]
    faults: Faults,
    /// Bidders that share the budgets: a number, or a range from which each seed takes one.
    #[arg(long, value_name = "N", default_value = "1")]
    nodes: Nodes,
    /// Share of the auctions that the budgets pay for.
    #[arg(long, value_name = "SHARE", default_value_t = 0.3, value_parser = win_rate)]
    win_rate: f64,
    /// What the budgets have, of the money that this share takes: 10 and nothing binds.
    #[arg(long, value_name = "TIMES", default_value_t = 1.0, value_parser = budget)]
    budget: f64,
    /// How long money is held until a win is known.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = hold)]
    hold: Duration,
    /// Whether the exchange tells of losses.
    #[arg(long, value_name = "yes|no", default_value = "yes", value_parser = yes_or_no, action = clap::ArgAction::Set)]
    losses: bool,
    /// Of which bids the exchange tells the price that was needed to win: all, losses or none.
    #[arg(long, value_name = "BIDS", default_value = "all", value_parser = min_to_win)]
    min_to_win: MinToWin,
    /// Whether bids in open first-price auctions are shaded, as where an exchange's settings say `shading = "learn"`; off as
    /// where they say nothing. Or a fixed factor from 0.1 to 1 on the paced value, to compare with.
    #[arg(long, value_name = "on|off|FACTOR", default_value = "off")]
    shading: Shading,
    /// How budgets are spread over a day: even, front_loaded, traffic or asap.
    #[arg(long, value_name = "SPREAD", default_value = "even", value_parser = spread)]
    pacing: Spread,
    /// Write a page with spend against plan of the first seed.
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy)]
struct Nodes {
    least: u16,
    most: u16,
}

impl FromStr for Nodes {
    type Err = String;

    fn from_str(text: &str) -> Result<Nodes, String> {
        let (least, most) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| {
            text.parse::<u16>()
                .ok()
                .filter(|nodes| (1..=NODES_MAX).contains(nodes))
        };
        match (number(least), number(most)) {
            (Some(least), Some(most)) if least <= most => Ok(Nodes { least, most }),
            _ => Err(format!(
                "write a number from 1 to {NODES_MAX}, or a range of them such as 1-3"
            )),
        }
    }
}

fn win_rate(text: &str) -> Result<f64, String> {
    let value = text
        .parse()
        .ok()
        .filter(|share: &f64| (0.01..=0.9).contains(share));
    value.ok_or_else(|| "write a share from 0.01 to 0.9".into())
}

fn budget(text: &str) -> Result<f64, String> {
    let value = text
        .parse()
        .ok()
        .filter(|times: &f64| (0.01..=1_000.0).contains(times));
    value.ok_or_else(|| "write a number from 0.01 to 1000".into())
}

fn hold(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_s = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => 0,
    };
    let seconds = digits
        .parse::<u64>()
        .ok()
        .map(|count| count.saturating_mul(unit_s));
    let fits = seconds.filter(|seconds| (5..=u64::from(HOLD_MAX_S)).contains(seconds));
    fits.map(Duration::from_secs)
        .ok_or_else(|| "write a time from 5s to 18h, such as 10s, 5m or 1h".into())
}

fn spread(text: &str) -> Result<Spread, String> {
    let found = Spread::ALL.into_iter().find(|spread| spread.name() == text);
    found.ok_or_else(|| format!("write one of {}", Spread::ALL.map(Spread::name).join(", ")))
}

fn min_to_win(text: &str) -> Result<MinToWin, String> {
    let found = MinToWin::ALL.into_iter().find(|told| told.name() == text);
    found.ok_or_else(|| format!("write one of {}", MinToWin::ALL.map(MinToWin::name).join(", ")))
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("write yes or no".into()),
    }
}

pub fn run(arguments: &SimulateArguments) -> anyhow::Result<ExitCode> {
    let Some(last) = arguments.seed.checked_add(arguments.seeds - 1) else {
        bail!(
            "--seed {} and --seeds {} go beyond the largest seed",
            arguments.seed,
            arguments.seeds
        );
    };
    let outcomes = play(arguments, arguments.seed..=last)?;
    if let Some(file) = &arguments.chart {
        let first = &outcomes[0];
        std::fs::write(file, chart(&arguments.scenario(first.seed), first))
            .with_context(|| format!("{}", file.display()))?;
    }
    let report = Report {
        scenario: arguments.scenario(arguments.seed),
        outcomes,
    };
    if arguments.json {
        say(&format!("{:#}", report.to_json()))?;
    } else {
        say(&report.to_string())?;
    }
    Ok(if report.is_sound() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// In the order of the seeds, whichever is done first.
fn play(arguments: &SimulateArguments, seeds: std::ops::RangeInclusive<u64>) -> anyhow::Result<Vec<Outcome>> {
    let progress = demo::bar(arguments.seeds, "seeds");
    let (next, outcomes) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let workers = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(arguments.seeds as usize);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    // Relaxed: a number by itself.
                    let seed = seeds.start() + next.fetch_add(1, Ordering::Relaxed);
                    if seed > *seeds.end() {
                        return;
                    }
                    let mut outcome = simulate(&arguments.scenario(seed), seed);
                    if seed != *seeds.start() {
                        // Of the first one alone there is a chart.
                        outcome.slots = Vec::new();
                    }
                    outcomes
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .push(outcome);
                    progress.inc(1);
                }
            });
        }
    });
    progress.finish_and_clear();
    let mut outcomes = outcomes
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    outcomes.sort_by_key(|outcome| outcome.seed);
    Ok(outcomes)
}

impl SimulateArguments {
    fn scenario(&self, seed: u64) -> Scenario {
        let Nodes { least, most } = self.nodes;
        Scenario {
            auctions_per_day: self.auctions,
            days: self.days,
            nodes: least + (seed % (u64::from(most - least) + 1)) as u16,
            win_rate: self.win_rate,
            budget: self.budget,
            hold_s: self.hold.as_secs() as u32,
            losses: self.losses,
            min_to_win: self.min_to_win,
            shading: self.shading,
            spread: self.pacing,
            faults: self.faults,
        }
    }
}
