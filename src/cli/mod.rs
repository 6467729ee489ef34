//! What the command line says, and who does it.

mod admin;
mod allocation;
mod approvals;
mod budgets;
mod certify;
mod check;
mod demo;
mod explain;
mod markets;
mod model;
mod nodes;
mod privacy;
mod reconcile;
mod replay;
mod requests;
mod serve;
mod simulate;
mod store;
mod world;

use clap::{Args, Parser, Subcommand};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// An OpenRTB bidder: answers bid requests from mapped profiles, lock-free budgets and an ONNX model.
///
/// Without a command it serves with the settings in `config/`.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example: outbid serve --config config --listen 127.0.0.1:8080"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Answer bid requests (the default command).
    #[command(
        after_help = "Example: outbid serve --config config --listen 0.0.0.0:8080 --admin 127.0.0.1:8081"
    )]
    Serve(ServeArguments),
    /// Read the configuration and list everything that is wrong with it.
    ///
    /// Exit codes: 0 valid, 1 problems were found.
    #[command(after_help = "Example: outbid check --config config --effective")]
    Check(CheckArguments),
    /// Build and read profile stores.
    #[command(
        subcommand,
        after_help = "Example: outbid store build --input users.csv --output data/profiles.store"
    )]
    Store(StoreCommand),
    /// Show every campaign and line item with its money, as a running bidder has it.
    #[command(after_help = "Example: outbid budgets --admin 127.0.0.1:8081 --json")]
    Budgets(BudgetsArguments),
    /// Show the nodes that share budgets, or say that one will not come back.
    ///
    /// A node that went without giving its leases back holds them until it is started again, or is declared dead: then
    /// they stay charged in full.
    #[command(after_help = "Example: outbid nodes declare-dead 3")]
    Nodes(NodesArguments),
    /// Where campaigns' money goes: weights that rules have set, what is tried, and what sources brought.
    #[command(after_help = "Example: outbid allocation --approve spring-lookalike/exchange:demo")]
    Allocation(AllocationArguments),
    /// Show what exchanges say of our creatives in loss notices, as a running bidder has it; let one be shown again.
    ///
    /// An exchange that calls a creative pending (loss code 201) does not get it for a while; one that disapproves of it
    /// (202) does not get it until its content changes, or until --approve says so.
    #[command(after_help = "Example: outbid approvals --approve spring-300x250 --exchange demo")]
    Approvals(ApprovalsArguments),
    /// Show what bids win in which market, as a running bidder has learnt it to shade bids in first-price auctions.
    ///
    /// Markets are told apart by exchange, auction type (`at`), format and bucket of placements. Exchanges with
    /// `shading = "learn"` teach them.
    #[command(after_help = "Example: outbid markets --admin 127.0.0.1:8081 --json")]
    Markets(MarketsArguments),
    /// Show why a running bidder answers a request as it does: for every line item the step at which it fell out, or
    /// its score, what moved it most, price and floor.
    #[command(after_help = "Example: outbid explain request.json --exchange demo")]
    Explain(ExplainArguments),
    /// Drive a bidder, this one or any other, through the built-in cases of OpenRTB 2.6.
    ///
    /// It meets the bidder over HTTP alone, as an exchange would. WITHOUT --test ALL OF IT IS REAL TO THE BIDDER: its bids hold
    /// budget until they expire, billing notices spend it and count against caps, and losses at made-up prices reach whatever
    /// learns from them. Give --test for a bidder that serves anybody else; the cases that see money move are not tested then.
    ///
    /// Exit codes: 0 no case failed, 1 a case failed or nothing was bid on, 2 the command line makes no sense.
    #[command(
        after_help = "Examples: outbid certify --url http://127.0.0.1:8080/openrtb2/demo --admin 127.0.0.1:8081 --deal deal-sports-2\n\
                      \u{20}         outbid certify --url http://bidder.example/rtb --header 'Authorization: Bearer SECRET' --test"
    )]
    Certify(Box<certify::CertifyArguments>),
    /// Opt people out of everything personal, on a running bidder, and see whether somebody is.
    ///
    /// Whoever has seen an ad of ours can do it alone: the ad's token is the link, /why/TOKEN shows the button.
    #[command(
        subcommand,
        after_help = "Example: outbid privacy opt-out buyeruid:u-000001 --admin 127.0.0.1:8081"
    )]
    Privacy(PrivacyCommand),
    /// Read recorded bid requests as the bidder does: which are accepted, which refused, and why.
    ///
    /// With --url they are also sent, and the answers compared.
    ///
    /// Exit codes: 0 all were accepted or refused for a stated reason, and the bidder answered so; 1 it answered otherwise.
    #[command(
        after_help = "Example: outbid requests recorded.ndjson --url http://127.0.0.1:8080/openrtb2/demo"
    )]
    Requests(requests::RequestsArguments),
    /// Compare one day of one exchange in our books with what the exchange says it was.
    ///
    /// Reads the journal of the books, also while a bidder is running, and changes nothing. Without --invoice: what was won,
    /// billed and remarkable. An invoice by bid (columns bid, and price per thousand or amount) is matched one by one by our bid
    /// id, `bid.id` on the wire; a summary (amount, impressions, and any of deal, seat, campaign, creative, hour) sum by sum.
    /// Rounding to the invoice's decimals is no difference of a row.
    ///
    /// The bidder never removes segments of the journal: any day since the first one can be asked for. Seats are those
    /// that the configuration gives advertisers now. How much of what came late became debt depends on the limits of that
    /// moment, and only the budgets know it.
    ///
    /// Exit codes: 0 the two agree, or there is no invoice; 1 they differ by more than --tolerance; 2 they cannot be compared.
    #[command(
        after_help = "Example: outbid reconcile --exchange demo --day 2026-11-20 --invoice november.csv --zone America/New_York\n\n\
                      More: outbid reconcile --exchange demo --day 2026-11-20 --split line-item --split deal\n      \
                      outbid reconcile --exchange demo --day 2026-11-20 --invoice paid.csv --columns 'bid=DSP Ref,price=Paid CPM' --json"
    )]
    Reconcile(Box<reconcile::ReconcileArguments>),
    /// Work with models: the ads they see, training rows, promotion.
    #[command(subcommand, after_help = "Example: outbid model check models/registry/ctr/1")]
    Model(ModelCommand),
    /// Replay recorded auctions and compare bidding strategies under a budget.
    #[command(
        subcommand,
        after_help = "Example: outbid replay ipinyou --log 2997.test.txt.xz --histogram 2997.info.json --fraction 1/16"
    )]
    Replay(replay::ReplayCommand),
    /// Play whole days in seconds, with the world of the load test, the real money code and everything that goes wrong.
    ///
    /// Two campaigns bid on a fake clock for what their budgets can pay. What the exchange really bills is counted apart
    /// from the books: no limit may be overspent, whatever fails. A seed gives the same result bit for bit.
    ///
    /// Exit codes: 0 all seeds are sound; 1 a limit was overspent, books and exchange differ, or money is stuck.
    #[command(
        after_help = "Examples:\n  outbid simulate --chart day.html\n  outbid simulate --seeds 1000 --faults all --nodes 1-3\n  \
                      outbid simulate --win-rate 0.1 --hold 5m --losses no\n  outbid simulate --shading on\n  outbid simulate --seed 17 --faults crash,lost --json"
    )]
    Simulate(simulate::SimulateArguments),
}

#[derive(Args, Clone)]
struct ConfigFolder {
    /// The configuration folder.
    #[arg(long, value_name = "DIR", default_value = "config")]
    config: PathBuf,
}

#[derive(Args)]
struct ServeArguments {
    #[command(flatten)]
    folder: ConfigFolder,
    /// Answer bids and notices here instead of at `listen` of outbid.toml.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Serve health, metrics and the API here instead of at `admin` of outbid.toml.
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
}

impl Default for ServeArguments {
    fn default() -> Self {
        ServeArguments {
            folder: ConfigFolder {
                config: "config".into(),
            },
            listen: None,
            admin: None,
        }
    }
}

#[derive(Args)]
struct CheckArguments {
    #[command(flatten)]
    folder: ConfigFolder,
    /// Print every line item with its inherited values filled in.
    #[arg(long)]
    effective: bool,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum StoreCommand {
    /// Build a profile store from CSV and JSON lines.
    ///
    /// The output appears whole or not at all. Memory is bounded whatever the size of the input. People who opted out, by the
    /// list in the data folder, are left out.
    #[command(
        after_help = "Example: outbid store build --input users.csv --input more.jsonl --output data/profiles.store"
    )]
    Build(StoreBuildArguments),
    /// Show one profile.
    #[command(after_help = "Example: outbid store get data/profiles.store buyeruid:u-000001")]
    Get(StoreGetArguments),
}

#[derive(Args)]
struct StoreBuildArguments {
    #[command(flatten)]
    folder: ConfigFolder,
    /// `.csv`, `.jsonl`, `.ndjson` or `.json` (lines); of two profiles with one id the later one counts.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    input: Vec<PathBuf>,
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Refuse the whole input when any line is bad.
    #[arg(long)]
    strict: bool,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct StoreGetArguments {
    #[command(flatten)]
    folder: ConfigFolder,
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// `NAMESPACE:ID`: buyeruid, ifa, the source of an extended id, or exchange:NAME. Without a namespace: buyeruid.
    #[arg(value_name = "ID")]
    id: String,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct BudgetsArguments {
    #[command(flatten)]
    folder: ConfigFolder,
    /// The admin address of the running bidder; by default the one in outbid.toml.
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum PrivacyCommand {
    /// From the next request on: no profile, no caps, no row in the log and no learning under this id, nor under the ids that
    /// the profile store knows to be the same person's. Durable when the command returns; repeating it changes nothing.
    #[command(after_help = "Example: outbid privacy opt-out ifa:6d92078a-8246-4ba4-ae5b-76104861e7dc")]
    OptOut(PrivacyArguments),
    /// Take an opt-out back, at the person's own wish. Both stay in the list's journal, with their times.
    #[command(after_help = "Example: outbid privacy opt-in buyeruid:u-000001")]
    OptIn(PrivacyArguments),
    /// Whether an id has opted out, and whether the store has a profile of it.
    #[command(after_help = "Example: outbid privacy status buyeruid:u-000001 --json")]
    Status(PrivacyArguments),
}

#[derive(Args)]
struct PrivacyArguments {
    #[command(flatten)]
    folder: ConfigFolder,
    /// `NAMESPACE:ID`: buyeruid, ifa, the source of an extended id, or exchange:NAME. Without a namespace: buyeruid.
    #[arg(value_name = "ID")]
    id: String,
    /// The admin address of the running bidder; by default the one in outbid.toml.
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct NodesArguments {
    #[command(flatten)]
    folder: ConfigFolder,
    /// For scripts.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<NodesCommand>,
}

#[derive(Subcommand)]
enum NodesCommand {
    /// Charge in full what a node has on record. There is no way back: it must be gone for good.
    #[command(after_help = "Example: outbid nodes declare-dead 3")]
    DeclareDead {
        /// `node` of its outbid.toml.
        node: u16,
    },
}

#[derive(Args)]
struct AllocationArguments {
    #[command(flatten)]
    folder: ConfigFolder,
    /// The admin address of the running bidder; by default the one in outbid.toml.
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// Use the weight that is proposed for this slice, as the table names it.
    #[arg(long, value_name = "SLICE", conflicts_with = "reset")]
    approve: Option<String>,
    /// Take the weight, the rest or the proposal of this slice away.
    #[arg(long, value_name = "SLICE")]
    reset: Option<String>,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct ApprovalsArguments {
    #[command(flatten)]
    folder: ConfigFolder,
    /// The admin address of the running bidder; by default the one in outbid.toml.
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// Let this creative be shown again at the exchange, whatever it said.
    #[arg(long, value_name = "CREATIVE", requires = "exchange")]
    approve: Option<String>,
    /// The exchange of --approve.
    #[arg(long, value_name = "NAME", requires = "approve")]
    exchange: Option<String>,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct MarketsArguments {
    #[command(flatten)]
    folder: ConfigFolder,
    /// The admin address of the running bidder; by default the one in outbid.toml.
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct ExplainArguments {
    #[command(flatten)]
    folder: ConfigFolder,
    /// A bid request in JSON; `-` reads standard input.
    #[arg(value_name = "FILE")]
    request: PathBuf,
    /// The request is a message of openrtb.proto.
    #[arg(long)]
    protobuf: bool,
    /// The exchange that it came from; may be left out where there is only one.
    #[arg(long, value_name = "NAME")]
    exchange: Option<String>,
    /// The admin address of the running bidder; by default the one in outbid.toml.
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// Also the line items that are not targeted.
    #[arg(long)]
    all: bool,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum ModelCommand {
    /// Print every ad of the configuration as the model sees it, one JSON object a line.
    #[command(after_help = "Example: outbid model candidates --config config > ads.jsonl")]
    Candidates(ConfigFolder),
    /// Turn labelled impressions into a training matrix with exactly the features that are served.
    #[command(
        after_help = "Example: outbid model rows --schema models/registry/ctr/1/schema.toml --input rows.ndjson \
                      --store data/profiles.store --candidates ads.jsonl --output rows.bin"
    )]
    Rows(ModelRowsArguments),
    /// Load a model as serving would: hash, schema, graph, parity with training, warm-up.
    #[command(after_help = "Example: outbid model check models/registry/ctr/1")]
    Check(ModelCheckArguments),
    /// Make a model the active one. Refused without a passing gate that belongs to it.
    #[command(after_help = "Example: outbid model promote ctr/2 --config config")]
    Promote(ModelPromoteArguments),
}

#[derive(Args)]
struct ModelRowsArguments {
    #[command(flatten)]
    folder: ConfigFolder,
    #[arg(long, value_name = "FILE")]
    schema: PathBuf,
    /// JSON lines: time_ms, exchange, imp, line_item, creative, click, conversion, request.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// The profiles to look users up in.
    #[arg(long, value_name = "FILE")]
    store: PathBuf,
    /// As printed by `outbid model candidates`.
    #[arg(long, value_name = "FILE")]
    candidates: PathBuf,
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Args)]
struct ModelCheckArguments {
    /// The folder of one version.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct ModelPromoteArguments {
    #[command(flatten)]
    folder: ConfigFolder,
    /// `NAME/VERSION` in the registry.
    #[arg(value_name = "MODEL")]
    model: String,
}

pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments
        .command
        .unwrap_or_else(|| Command::Serve(ServeArguments::default()))
    {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Store(StoreCommand::Build(arguments)) => store::build(&arguments),
        Command::Store(StoreCommand::Get(arguments)) => store::get(&arguments),
        Command::Budgets(arguments) => budgets::run(&arguments),
        Command::Nodes(arguments) => nodes::run(&arguments),
        Command::Allocation(arguments) => allocation::run(&arguments),
        Command::Approvals(arguments) => approvals::run(&arguments),
        Command::Markets(arguments) => markets::run(&arguments),
        Command::Certify(arguments) => certify::run(*arguments),
        Command::Requests(arguments) => requests::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Privacy(command) => privacy::run(&command),
        Command::Model(ModelCommand::Candidates(folder)) => model::candidates(&folder),
        Command::Model(ModelCommand::Rows(arguments)) => model::rows(&arguments),
        Command::Model(ModelCommand::Check(arguments)) => model::check(&arguments),
        Command::Model(ModelCommand::Promote(arguments)) => model::promote(&arguments),
        Command::Reconcile(arguments) => reconcile::run(&arguments),
        Command::Replay(command) => replay::run(&command),
        Command::Simulate(arguments) => simulate::run(&arguments),
    }
}

/// Writes to standard output. Whoever reads it may stop before the end, as `head` does: that is no error.
fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

impl ConfigFolder {
    /// The valid configuration, or all of its problems as one error.
    fn load(&self) -> anyhow::Result<outbid::config::Loaded> {
        let loaded = outbid::config::load(
            &self.config,
            &|name| std::env::var(name).ok(),
            outbid::server::now(),
        );
        loaded.map_err(|problems| {
            anyhow::anyhow!(
                "the configuration in {} cannot be used:\n{problems}",
                self.config.display()
            )
        })
    }
}
