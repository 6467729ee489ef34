//! The command line. Invariant: every option has a default that works against the bidder's demo, or says what it needs.

use crate::traffic::Shares;
use clap::{Args, FromArgMatches, Subcommand, ValueEnum};
use std::path::PathBuf;

const EXAMPLES: &str = "Examples:
  load-test --url http://127.0.0.1:8080/openrtb2/demo --rate 2000 --duration 30 --report report/
  load-test --url http://127.0.0.1:8080/openrtb2/demo --rate 500 --duration 60 --auction
  load-test --url http://127.0.0.1:8080/openrtb2/demo --requests bidstream.ndjson.xz --arrivals recorded --users users.txt
  load-test saturate --url http://127.0.0.1:8080/openrtb2/demo
  load-test world population --users 100000 --output population.ndjson

Exit code: 0 all answered, 1 errors or invalid bids (0 with --allow-errors), 2 wrong usage.";

const ABOUT: &str = "Sends bid requests to a bidder at a fixed rate, plays the exchange, and reports latency from the intended send time";

/// What was asked for.
#[derive(Debug)]
pub enum Wanted {
    /// Options without a command: a run.
    Run(Box<RunOptions>),
    Command(Box<Command>),
}

impl Wanted {
    /// `arguments` start with the name of the program.
    ///
    /// # Errors
    /// What is wrong with the arguments, or the help that was asked for.
    pub fn parse<I, T>(arguments: I) -> Result<Wanted, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<std::ffi::OsString> + Clone,
    {
        let mut matches = command().try_get_matches_from(arguments)?;
        if matches.subcommand().is_some() {
            Command::from_arg_matches_mut(&mut matches).map(|command| Wanted::Command(Box::new(command)))
        } else {
            RunOptions::from_arg_matches_mut(&mut matches).map(|run| Wanted::Run(Box::new(run)))
        }
    }
}

/// The options of a run stand without a command, beside the commands.
fn command() -> clap::Command {
    let command = clap::Command::new("load-test")
        .version(env!("CARGO_PKG_VERSION"))
        .args_conflicts_with_subcommands(true)
        .subcommand_negates_reqs(true)
        .arg_required_else_help(true);
    // Last, as a struct of options has a text of its own.
    RunOptions::augment_args(Command::augment_subcommands(command))
        .about(ABOUT)
        .after_help(EXAMPLES)
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Finds the rate at which a bidder no longer keeps up.
    #[command(
        after_help = "Example:\n  load-test saturate --url http://127.0.0.1:8080/openrtb2/demo --connections 64 --step-duration 5"
    )]
    Saturate(SaturateOptions),
    /// Writes what the world is made of: its people, and impressions with what came of them.
    #[command(subcommand)]
    World(WorldCommand),
}

#[derive(Debug, Subcommand)]
pub enum WorldCommand {
    /// Writes the profiles of the population as JSON lines, the input of `outbid store build`.
    #[command(
        after_help = "Example:\n  load-test world population --users 100000 --output population.ndjson"
    )]
    Population(PopulationOptions),
    /// Writes labelled impressions as JSON lines: what a model is trained on.
    #[command(
        after_help = "Example:\n  load-test world rows --ads ads.ndjson --rows 200000 --keep-no-clicks 0.1 --output rows.ndjson"
    )]
    Rows(RowsOptions),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ArrivalsOption {
    /// Evenly spaced.
    Constant,
    /// Exponential gaps, as of many independent visitors.
    Poisson,
    /// By `ext.arrival_us` of the requests; scaled when --rate is given too.
    Recorded,
}

/// What all runs need.
#[derive(Clone, Debug, Args)]
pub struct LoadOptions {
    /// Where bid requests are posted [example: http://127.0.0.1:8080/openrtb2/demo].
    #[arg(long)]
    pub url: String,
    /// Bid requests, one JSON object a line; `.xz` is unpacked. Replayed in a loop under new ids. Without it the world makes
    /// the traffic [example: bidstream.ndjson.xz].
    #[arg(long, value_name = "FILE")]
    pub requests: Option<PathBuf>,
    /// User ids that the bidder's store knows, one a line, or a population as JSON lines: they take the place of
    /// `user.buyeruid`, and the shares below get their defaults [example: population.ndjson].
    #[arg(long, value_name = "FILE", requires = "requests")]
    pub users: Option<PathBuf>,
    /// Connections, all threads together [example: 64].
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub connections: u32,
    /// Threads that send; each has its share of the connections [example: 2].
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: u32,
    /// A header of every request, can be given again [example: "Authorization: Bearer secret"].
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// `tmax` where a request has none, in milliseconds [example: 120].
    #[arg(long, default_value_t = 100, value_name = "MS")]
    pub tmax_ms: u64,
    /// A request without an answer after this long is an error, in milliseconds [example: 2000].
    #[arg(long, default_value_t = 1000, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout_ms: u64,
    /// Of the world, of Poisson arrivals and of everything drawn; the demo store holds the population of seed 1 [example: 7].
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Users of the world that the bidder's store knows [example: 1000000].
    #[arg(long, default_value_t = world::POPULATION, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub population: u64,
    /// Different requests that the world makes before they are repeated [example: 100000].
    #[arg(long, default_value_t = 20_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub distinct: u64,
    #[command(flatten)]
    pub shares: ShareOptions,
}

/// Shares from 0 to 1. For recorded requests the defaults hold with --users and nothing is changed without; the world has
/// its own.
#[derive(Clone, Debug, Args)]
pub struct ShareOptions {
    /// Requests whose user is known [default: 0.75; example: 1].
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub known_share: Option<f64>,
    /// Imps with a floor, log-normal around 0.3 (banner), 0.5 (native), 2.5 (video) USD CPM [default: 0.5, world 0.7; example: 1].
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub floor_share: Option<f64>,
    /// Requests with a first-price auction [default: 0.5, world: by site; example: 1].
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub first_price_share: Option<f64>,
    /// Imps that want https; a bidder with an http public URL must not answer them [default: 0; example: 0.95].
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub secure_share: Option<f64>,
    /// Imps with one of the world's deals [default: 0.08; example: 0.3].
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub deal_share: Option<f64>,
}

impl ShareOptions {
    pub fn shares(&self) -> Shares {
        Shares {
            known: self.known_share,
            floor: self.floor_share,
            first_price: self.first_price_share,
            secure: self.secure_share,
            deal: self.deal_share,
        }
    }
}

#[derive(Clone, Debug, Args)]
pub struct RunOptions {
    #[command(flatten)]
    pub load: LoadOptions,
    /// Requests per second [default: 1000, recorded arrivals: as recorded; example: 5000].
    #[arg(long, value_parser = parse_rate)]
    pub rate: Option<f64>,
    /// Seconds [example: 60].
    #[arg(long, default_value_t = 10.0, value_parser = parse_seconds)]
    pub duration: f64,
    /// When requests are due [example: poisson].
    #[arg(long, value_enum, default_value = "constant")]
    pub arrivals: ArrivalsOption,
    /// Seconds after the end in which waiting requests and notices are still delivered [example: 30].
    #[arg(long, default_value_t = 10.0, value_parser = parse_seconds)]
    pub drain: f64,
    /// Plays the exchange: judges bids, lets rivals bid, sends notices, fires trackers, clicks and buys [example: --auction].
    #[arg(long)]
    pub auction: bool,
    /// Takes the place of scheme and host in notices [example: http://127.0.0.1:8080].
    #[arg(long, value_name = "URL", requires = "auction")]
    pub notice_base: Option<String>,
    /// Connections for notices [example: 16].
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub notice_connections: u32,
    /// Writes index.html, summary.json and latency distributions into this folder [example: report/].
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Prints the summary as JSON [example: --json].
    #[arg(long)]
    pub json: bool,
    /// Exits with 0 also after errors and invalid bids [example: --allow-errors].
    #[arg(long)]
    pub allow_errors: bool,
}

#[derive(Clone, Debug, Args)]
pub struct SaturateOptions {
    #[command(flatten)]
    pub load: LoadOptions,
    /// Seconds of each step [example: 10].
    #[arg(long, default_value_t = 5.0, value_parser = parse_seconds)]
    pub step_duration: f64,
    /// Prints the steps as JSON [example: --json].
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Debug, Args)]
pub struct PopulationOptions {
    /// How many [example: 1000000].
    #[arg(long, default_value_t = world::POPULATION, value_parser = clap::value_parser!(u64).range(1..))]
    pub users: u64,
    /// File to write [example: population.ndjson].
    #[arg(long)]
    pub output: PathBuf,
    /// Of the world [example: 7].
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// What is known on this day, in days since 1970-01-01; the default is 2026-10-01 [example: 20800].
    #[arg(long, default_value_t = 20_727)]
    pub day: i32,
}

#[derive(Clone, Debug, Args)]
pub struct RowsOptions {
    /// Ads to show, one JSON object a line: line_item, creative, domain, cat, w, h, format (banner, video, native)
    /// [example: ads.ndjson].
    #[arg(long)]
    pub ads: PathBuf,
    /// How many [example: 200000].
    #[arg(long, default_value_t = 20_000)]
    pub rows: usize,
    /// File to write [example: rows.ndjson].
    #[arg(long)]
    pub output: PathBuf,
    /// Of the world [example: 7].
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Users of the world that have profiles [example: 1000000].
    #[arg(long, default_value_t = world::POPULATION, value_parser = clap::value_parser!(u64).range(1..))]
    pub users: u64,
    /// Share of rows without a click that are kept; their `weight` makes up for the others [example: 0.1].
    #[arg(long, default_value_t = 1.0, value_name = "SHARE", value_parser = parse_positive_share)]
    pub keep_no_clicks: f64,
    /// Start of the period, in milliseconds since 1970-01-01; the default is 2026-10-01 [example: 1793491200000].
    #[arg(long, default_value_t = 1_790_812_800_000)]
    pub start_ms: i64,
    /// Length of the period [example: 28].
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..))]
    pub days: u32,
}

fn parse_share(text: &str) -> Result<f64, String> {
    parse_within(text, 0.0, 1.0, "a share from 0 to 1")
}

fn parse_positive_share(text: &str) -> Result<f64, String> {
    parse_within(text, 1e-6, 1.0, "a share above 0, up to 1")
}

fn parse_rate(text: &str) -> Result<f64, String> {
    parse_within(
        text,
        0.01,
        10_000_000.0,
        "requests per second, from 0.01 to 10,000,000",
    )
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    parse_within(text, 0.01, 604_800.0, "seconds, from 0.01 to a week")
}

fn parse_within(text: &str, min: f64, max: f64, wanted: &str) -> Result<f64, String> {
    let number = text
        .parse::<f64>()
        .ok()
        .filter(|number| (min..=max).contains(number));
    number.ok_or_else(|| format!("{wanted} is wanted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A command itself, without what belongs to clap.
    fn check_help(command: &clap::Command) {
        for argument in command.get_arguments() {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            let own = matches!(argument.get_id().as_str(), "help" | "version");
            assert!(
                own || help.contains("example: "),
                "{} --{}",
                command.get_name(),
                argument.get_id()
            );
        }
        command
            .get_subcommands()
            .filter(|command| command.get_name() != "help")
            .for_each(check_help);
    }

    #[test]
    fn the_command_line_is_sound_and_every_option_has_help_with_an_example() {
        let mut command = command();
        command.build();
        check_help(&command);
        command.debug_assert();
    }

    #[test]
    fn options_alone_are_a_run_and_commands_have_their_own() {
        let parse = |line: &str| Wanted::parse(line.split(' '));
        assert!(
            matches!(parse("load-test --url http://a/ --rate 5"), Ok(Wanted::Run(run)) if run.rate == Some(5.0))
        );
        let command = |line: &str| match parse(line) {
            Ok(Wanted::Command(command)) => *command,
            other => panic!("{other:?}"),
        };
        assert!(matches!(
            command("load-test saturate --url http://a/"),
            Command::Saturate(_)
        ));
        let population = command("load-test world population --output x");
        assert!(matches!(population, Command::World(WorldCommand::Population(_))));
        assert!(parse("load-test --rate 5").is_err(), "the URL is missing");
    }

    #[test]
    fn shares_and_rates_out_of_range_are_refused() {
        let parse = |args: &[&str]| Wanted::parse([&["load-test", "--url", "http://a/"], args].concat());
        assert!(parse(&["--rate", "100", "--floor-share", "0.5"]).is_ok());
        for args in [
            ["--floor-share", "1.5"],
            ["--rate", "0"],
            ["--duration", "-1"],
            ["--connections", "0"],
        ] {
            assert!(parse(&args).is_err(), "{args:?}");
        }
        assert!(
            parse(&["--users", "x"]).is_err(),
            "users are swapped into recorded requests"
        );
    }
}
