//! `outbid replay ipinyou`: strategies side by side on recorded auctions.

mod report;

use super::{demo, say};
use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};
use outbid::lab::replay::{
    Auction, Bidder, Campaign, Fraction, Lin, Mcpc, Outbid, Plan, Rlb, best_lin, read_log, replay,
};
use report::{Played, Report, Row};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

/// Beyond this the ends of the interval no longer move in the digits that are printed.
const ROUNDS_MAX: u64 = 100_000;
/// A day of one campaign.
const EPISODE_MAX: u64 = 1_000_000;

#[derive(Subcommand)]
pub enum ReplayCommand {
    /// Replay logs of second-price auctions in iPinYou's form and compare what strategies would have bought.
    ///
    /// Each episode starts with the budget int(mean price in training × fraction × episode). A bid wins where it reaches
    /// the market price, which is then paid. `outbid` sees what a bidder sees: predictions as they come, prices and
    /// clicks of what it wins, nothing of what comes later. `best lin` is the linear bidder that hindsight would choose.
    #[command(
        after_help = "Example: outbid replay ipinyou --log 2997.test.txt.xz --histogram 2997.info.json --fraction 1/16\n\n\
                      A log line is `click price pCTR`, with blanks or tabs; files may be packed with xz. --log and \
                      --histogram may be repeated, in the same order, to sum over campaigns."
    )]
    Ipinyou(IpinyouArguments),
}

#[derive(Args)]
pub struct IpinyouArguments {
    /// Auctions to replay.
    #[arg(long = "log", value_name = "FILE", required = true)]
    logs: Vec<PathBuf>,
    /// The training log's histogram of market prices (JSON), or the training log itself, which is then counted.
    #[arg(long = "histogram", value_name = "FILE", required = true)]
    histograms: Vec<PathBuf>,
    /// Share of the mean training cost that an episode may spend; may be repeated. `all` = 1/32, 1/16, 1/8, 1/4, 1/2.
    #[arg(long = "fraction", value_name = "SHARE", default_value = "all")]
    fractions: Vec<Share>,
    /// Auctions in an episode.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=EPISODE_MAX))]
    episode: u64,
    /// May be repeated.
    #[arg(long = "strategy", value_name = "NAME", value_enum, default_value = "all")]
    strategies: Vec<Name>,
    /// What lin bids on an average prediction. By default 10, 15, 20, 85, 130 for the five fractions of `all`, as the
    /// authors of rlb ship it for campaign 2997; other fractions have no default.
    #[arg(long, value_name = "BID", allow_negative_numbers = true, value_parser = positive)]
    b0: Option<f64>,
    /// Draws of the paired bootstrap over episodes that says how sure the gain of outbid over rlb is; 0 = none.
    #[arg(long, value_name = "DRAWS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(0..=ROUNDS_MAX))]
    bootstrap: u64,
    /// Seed of the bootstrap.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// The mean price of a click in training for each expected click.
    Mcpc,
    /// b0 × pCTR / mean CTR.
    Lin,
    /// The table of Cai et al., WSDM 2017.
    Rlb,
    /// Our own.
    Outbid,
    /// All of them, and the best lin in hindsight.
    All,
}

#[derive(Clone, Copy)]
enum Share {
    All,
    One(Fraction),
}

impl FromStr for Share {
    type Err = outbid::lab::replay::NoFraction;

    fn from_str(text: &str) -> Result<Share, Self::Err> {
        if text == "all" {
            return Ok(Share::All);
        }
        text.parse().map(Share::One)
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|b0: &f64| b0.is_finite() && *b0 > 0.0);
    value.ok_or_else(|| "write a number above 0".into())
}

pub fn run(command: &ReplayCommand) -> anyhow::Result<ExitCode> {
    let ReplayCommand::Ipinyou(arguments) = command;
    if arguments.logs.len() != arguments.histograms.len() {
        bail!(
            "{} logs and {} histograms: give one --histogram for each --log, in the same order",
            arguments.logs.len(),
            arguments.histograms.len()
        );
    }
    let mut report = Report {
        episode: arguments.episode,
        bootstrap: arguments.bootstrap as usize,
        seed: arguments.seed,
        played: Vec::new(),
    };
    for (log, histogram) in arguments.logs.iter().zip(&arguments.histograms) {
        let campaign = Campaign::read(histogram)?;
        let auctions = read_log(log)?;
        report.played.push(Played {
            log: log.display().to_string(),
            auctions: auctions.len(),
            clicks: auctions.iter().filter(|auction| auction.click).count(),
            rows: arguments.play(&auctions, &campaign)?,
        });
    }
    if arguments.json {
        say(&format!("{:#}", report.to_json()))?;
    } else {
        say(&report.to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

impl IpinyouArguments {
    fn fractions(&self) -> Vec<Fraction> {
        let mut fractions = Vec::new();
        for share in &self.fractions {
            let more: &[Fraction] = match share {
                Share::All => &Fraction::ALL,
                Share::One(fraction) => &[*fraction],
            };
            for fraction in more {
                if !fractions.contains(fraction) {
                    fractions.push(*fraction);
                }
            }
        }
        fractions
    }

    fn wants(&self, name: Name) -> bool {
        self.strategies.contains(&name) || self.strategies.contains(&Name::All)
    }

    /// Every wanted strategy at every fraction.
    fn play(&self, auctions: &[Auction], campaign: &Campaign) -> anyhow::Result<Vec<Row>> {
        let mut rows = Vec::new();
        for fraction in self.fractions() {
            let plan = Plan {
                episode: self.episode as usize,
                budget: campaign.budget(fraction, self.episode as usize),
            };
            for (name, b0, mut bidder) in self.bidders(campaign, fraction, plan)? {
                let progress = demo::bar(auctions.len() as u64, "auctions");
                progress.set_message(format!("{fraction} {name}"));
                let episodes = replay(auctions, plan, &mut bidder, &mut |at| {
                    progress.set_position(at as u64)
                });
                progress.finish_and_clear();
                rows.push(Row::new(fraction, plan, name, b0, episodes));
            }
            if self.wants(Name::Lin) || self.wants(Name::Outbid) {
                let best = best_lin(auctions, campaign, plan);
                rows.push(Row::new(
                    fraction,
                    plan,
                    "best lin",
                    Some(f64::from(best.b0)),
                    best.episodes,
                ));
            }
        }
        Ok(rows)
    }

    fn bidders(
        &self,
        campaign: &Campaign,
        fraction: Fraction,
        plan: Plan,
    ) -> anyhow::Result<Vec<(&'static str, Option<f64>, Bidder)>> {
        let mut bidders = Vec::new();
        if self.wants(Name::Mcpc) {
            bidders.push(("mcpc", None, Bidder::Mcpc(Mcpc::new(campaign))));
        }
        let b0 = self.b0.or(fraction.shipped_b0());
        if let Some(b0) = b0.filter(|_| self.wants(Name::Lin)) {
            bidders.push(("lin", Some(b0), Bidder::Lin(Lin::new(campaign, b0))));
        } else if self.strategies.contains(&Name::Lin) {
            bail!("lin has no default b0 at fraction {fraction}: give --b0");
        }
        if self.wants(Name::Rlb) {
            bidders.push(("rlb", None, Bidder::Rlb(Rlb::new(campaign, plan)?)));
        }
        if self.wants(Name::Outbid) {
            bidders.push(("outbid", None, Bidder::Outbid(Box::new(Outbid::new(campaign)))));
        }
        Ok(bidders)
    }
}
