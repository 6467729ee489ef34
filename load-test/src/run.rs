//! One run from its options to its report. Invariant: everything that can be wrong with the options is found before the
//! first request is sent.

use crate::arrivals::{Arrivals, Recorded};
use crate::auction::{AuctionTally, Exchange, Played, Terms};
use crate::drive::{self, Pace, Plan, Progress, drive};
use crate::options::{ArrivalsOption, LoadOptions, RunOptions};
use crate::report::{self, Run, Summary};
use crate::tally::Tally;
use crate::target::Target;
use crate::traffic::{self, Enrichment, Shares, Traffic, Users, Wrapping, read_lines};
use indicatif::{ProgressBar, ProgressStyle};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use world::World;

/// What the exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Clean,
    Errors,
}

/// Why there was no run.
#[derive(Debug)]
pub enum Error {
    /// The command was wrong.
    Usage(String),
    /// The world outside was.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Error::Failed(error)
    }
}

/// Answers with bids that may wait for their auction.
const AUCTION_QUEUE: usize = 65_536;
/// Requests per second where nothing is said.
const DEFAULT_RATE: f64 = 1000.0;

/// Runs, reports, and says whether all went well.
///
/// # Errors
/// When the options are wrong or the bidder is not there.
pub fn run(options: &RunOptions) -> Result<Verdict, Error> {
    let notice_base = match &options.notice_base {
        Some(url) => {
            Some(Target::parse(url).map_err(|error| Error::Usage(format!("--notice-base {error}")))?)
        }
        None => None,
    };
    let load = Load::prepare(&options.load, options.auction)?;
    let arrivals = arrivals(options, &load.traffic)?;
    reach(load.address)?;
    if let Some(dir) = &options.report {
        report::make_dir(dir)?;
    }
    let plan = load.plan(
        &options.load,
        Pace::Open(arrivals.clone()),
        Duration::from_secs_f64(options.duration),
        Duration::from_secs_f64(options.drain),
    );
    let terms = options.auction.then(|| Terms {
        target: load.target.clone(),
        notice_base,
        connections: options.notice_connections as usize,
        drain: Duration::from_secs_f64(options.drain),
    });
    let started = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    let (tally, auction) = play(&plan, &load.world, terms, &arrivals)?;
    let run = Run {
        options,
        traffic: &load.about,
        started_s: started,
        rate: arrivals.rate(),
    };
    let summary = Summary::new(&run, &tally, auction);
    if let Some(dir) = &options.report {
        report::write(dir, &summary, &tally)?;
    }
    report::print(&summary, options.json, options.report.as_deref());
    let clean = options.allow_errors || summary.is_clean();
    Ok(if clean { Verdict::Clean } else { Verdict::Errors })
}

/// Traffic and where it goes.
pub struct Load {
    pub target: Target,
    pub address: SocketAddr,
    pub world: World,
    pub traffic: Traffic,
    /// Where the requests come from, in words.
    pub about: String,
}

impl Load {
    /// # Errors
    /// When the URL, the files or the headers are wrong.
    pub fn prepare(options: &LoadOptions, auction: bool) -> Result<Load, Error> {
        let target = Target::parse(&options.url).map_err(|error| Error::Usage(format!("--url {error}")))?;
        let address = target
            .resolve()
            .map_err(|error| Error::Usage(format!("--url {error}")))?;
        for header in &options.headers {
            let ok = header
                .split_once(':')
                .is_some_and(|(name, _)| !name.trim().is_empty());
            if !ok || header.contains(['\r', '\n']) {
                return Err(Error::Usage(format!(
                    "--header {header:?}: `Name: value` is wanted"
                )));
            }
        }
        let shares = options.shares.shares();
        let world = World::with(options.seed, options.population, traffic::mix(&shares));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wrapping = Wrapping {
            target: &target,
            headers: &options.headers,
            default_tmax_ms: options.tmax_ms,
            run: now.as_secs() as u32,
            auction,
        };
        let (traffic, about) = match &options.requests {
            Some(_) => recorded(options, shares, &world, &wrapping).map_err(Error::Usage)?,
            None => made(options, shares, &world, now.as_millis() as i64, &wrapping),
        };
        Ok(Load {
            target,
            address,
            world,
            traffic,
            about,
        })
    }

    pub fn plan(&self, options: &LoadOptions, pace: Pace, duration: Duration, drain: Duration) -> Plan<'_> {
        Plan {
            address: self.address,
            traffic: &self.traffic,
            pace,
            duration,
            connections: options.connections as usize,
            patience: Duration::from_millis(options.timeout_ms),
            drain,
            threads: options.threads as usize,
        }
    }
}

/// # Errors
/// When nobody listens, with what to do about it.
pub fn reach(address: SocketAddr) -> Result<(), Error> {
    match TcpStream::connect_timeout(&address, Duration::from_secs(3)) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::Failed(anyhow::anyhow!(
            "{} ({error})",
            drive::refused(address)
        ))),
    }
}

fn recorded(
    options: &LoadOptions,
    shares: Shares,
    world: &World,
    wrapping: &Wrapping,
) -> Result<(Traffic, String), String> {
    let path = options.requests.as_deref().unwrap_or(std::path::Path::new(""));
    let users = match &options.users {
        Some(path) => Some(Users::parse(&read_lines(path)?, &path.display().to_string())?),
        None => None,
    };
    let swapped = users.as_ref().map(Users::len);
    let changed = users.is_some() || shares != Shares::default();
    let shares = if users.is_some() {
        shares.or_defaults()
    } else {
        shares
    };
    let enrichment = changed.then_some(Enrichment {
        seed: options.seed,
        users,
        shares,
    });
    let place = path.display().to_string();
    let traffic = Traffic::replay(&read_lines(path)?, &place, enrichment.as_ref(), world, wrapping)?;
    let mut about = format!("{} requests of {place}, in a loop", traffic.len());
    if let Some(users) = swapped {
        about += &format!("; {users} users swapped in");
    }
    if changed {
        about += &describe(&shares);
    }
    Ok((traffic, about))
}

fn made(
    options: &LoadOptions,
    shares: Shares,
    world: &World,
    time_ms: i64,
    wrapping: &Wrapping,
) -> (Traffic, String) {
    // The world knows all shares but this one, which it leaves to its sites.
    let first_price = Shares {
        first_price: shares.first_price,
        ..Shares::default()
    };
    let enrichment = shares.first_price.map(|_| Enrichment {
        seed: options.seed,
        users: None,
        shares: first_price,
    });
    let traffic = Traffic::of_world(world, options.distinct, time_ms, enrichment.as_ref(), wrapping);
    let mix = traffic::mix(&shares);
    let stated = Shares {
        known: Some(mix.known),
        floor: Some(mix.floor),
        secure: Some(mix.secure),
        deal: Some(mix.deal),
        first_price: shares.first_price,
    };
    let about = format!(
        "{} requests of the world of seed {} with {} users, in a loop{}",
        traffic.len(),
        options.seed,
        options.population,
        describe(&stated)
    );
    (traffic, about)
}

fn describe(shares: &Shares) -> String {
    let named = [
        ("known users", shares.known),
        ("floors", shares.floor),
        ("first price", shares.first_price),
        ("secure", shares.secure),
        ("deals", shares.deal),
    ];
    let stated = named
        .iter()
        .filter_map(|(name, share)| Some(format!("; {name} {:.0} %", (*share)? * 100.0)));
    stated.collect()
}

fn arrivals(options: &RunOptions, traffic: &Traffic) -> Result<Arrivals, Error> {
    let rate = options.rate.unwrap_or(DEFAULT_RATE);
    Ok(match options.arrivals {
        ArrivalsOption::Constant => Arrivals::Constant { rate },
        ArrivalsOption::Poisson => Arrivals::Poisson {
            rate,
            seed: options.load.seed,
        },
        ArrivalsOption::Recorded => {
            let times = traffic.arrivals_us();
            if times.len() != traffic.len() {
                return Err(Error::Usage(format!(
                    "--arrivals recorded: {} of {} requests have an ext.arrival_us, a whole number; all need one",
                    times.len(),
                    traffic.len()
                )));
            }
            let recorded = Recorded::new(times.to_vec(), options.rate);
            Arrivals::Recorded(
                recorded.map_err(|error| Error::Usage(format!("--arrivals recorded: {error}")))?,
            )
        }
    })
}

/// Sends, auctions and shows progress, each on its own thread.
fn play(
    plan: &Plan,
    world: &World,
    terms: Option<Terms>,
    arrivals: &Arrivals,
) -> anyhow::Result<(Tally, Option<AuctionTally>)> {
    let (progress, unplayed, done) = (Progress::default(), AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| show(&progress, plan.duration, arrivals.rate(), &done));
        let (sender, receiver) = sync_channel::<Played>(AUCTION_QUEUE);
        let exchange = match terms {
            Some(terms) => Some(Exchange::new(world, plan.traffic, terms)?),
            None => None,
        };
        let auction = exchange.map(|exchange| scope.spawn(move || exchange.run(&receiver)));
        let driven = drive(plan, auction.is_some().then_some(&sender), &unplayed, &progress);
        drop(sender);
        let auction = auction
            .map(|thread| thread.join().expect("the exchange does not panic"))
            .transpose();
        done.store(true, Ordering::Relaxed);
        let auction = auction?.map(|tally| AuctionTally {
            unplayed: unplayed.load(Ordering::Relaxed),
            ..tally
        });
        Ok((driven?, auction))
    })
}

/// A bar on standard error, where that is a terminal.
fn show(progress: &Progress, duration: Duration, rate: f64, done: &AtomicBool) {
    let style = ProgressStyle::with_template("{bar:30} {elapsed} {msg}").expect("the template is valid");
    let bar = ProgressBar::new(duration.as_millis() as u64).with_style(style);
    let start = Instant::now();
    while !bar.is_hidden() && !done.load(Ordering::Relaxed) {
        bar.set_position((start.elapsed().as_millis() as u64).min(duration.as_millis() as u64));
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        bar.set_message(format!(
            "{rate:.0}/s · offered {} · answered {} · errors {}",
            count(&progress.offered),
            count(&progress.answered),
            count(&progress.failed)
        ));
        std::thread::sleep(Duration::from_millis(200));
    }
    bar.finish_and_clear();
}
