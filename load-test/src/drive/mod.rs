//! The loop that offers requests at their intended times over keep-alive connections and reads what comes back.
//!
//! Invariant: the loop is open. A request whose time has come is sent on the next connection that is free; while none
//! is, it waits in line, and its latency counts from the intended time. Nothing that was offered is dropped.

mod driver;

use crate::arrivals::Arrivals;
use crate::auction::Played;
use crate::tally::Tally;
use crate::traffic::Traffic;
use driver::Driver;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

/// What one run is.
pub struct Plan<'a> {
    pub address: SocketAddr,
    pub traffic: &'a Traffic,
    pub pace: Pace,
    pub duration: Duration,
    /// Of all threads together.
    pub connections: usize,
    /// How long a request that was sent is waited for.
    pub patience: Duration,
    /// How long the line is worked off after the last request was due; what is under way then may still end.
    pub drain: Duration,
    pub threads: usize,
}

#[derive(Clone, Debug)]
pub enum Pace {
    /// By the clock, whatever the bidder does.
    Open(Arrivals),
    /// The next request on a connection follows its last answer: finds the most that the bidder answers, and says
    /// nothing about latency.
    Closed,
}

/// What a progress bar shows, updated as it goes.
#[derive(Debug, Default)]
pub struct Progress {
    pub offered: AtomicU64,
    pub answered: AtomicU64,
    pub failed: AtomicU64,
}

/// Runs the plan to its end and returns what was counted. Answers with a bid go to `auction` where there is one.
///
/// # Errors
/// When the operating system refuses a thread's poller or its first connections.
pub fn drive(
    plan: &Plan,
    auction: Option<&SyncSender<Played>>,
    unplayed: &AtomicU64,
    progress: &Progress,
) -> anyhow::Result<Tally> {
    let mut drivers = Vec::new();
    for thread in 0..plan.threads.max(1) {
        drivers.push(Driver::new(plan, thread, auction, unplayed)?);
    }
    for driver in &mut drivers {
        driver.connect_all()?;
    }
    let start = Instant::now();
    let tallies: Vec<anyhow::Result<Tally>> = std::thread::scope(|scope| {
        let running: Vec<_> = drivers
            .into_iter()
            .map(|driver| scope.spawn(move || driver.run(start, progress)))
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("a driver does not panic"))
            .collect()
    });
    let mut total = Tally::default();
    for tally in tallies {
        total.add(&tally?);
    }
    Ok(total)
}

/// What the progress has been told already.
#[derive(Default)]
struct Shown {
    offered: u64,
    answered: u64,
    failed: u64,
}

impl Shown {
    fn update(&mut self, tally: &Tally, progress: &Progress) {
        let counts = &tally.counts;
        let failed = counts.errors.total();
        if counts.offered == self.offered && counts.answered == self.answered && failed == self.failed {
            return;
        }
        progress
            .offered
            .fetch_add(counts.offered - self.offered, Ordering::Relaxed);
        progress
            .answered
            .fetch_add(counts.answered - self.answered, Ordering::Relaxed);
        progress.failed.fetch_add(failed - self.failed, Ordering::Relaxed);
        *self = Shown {
            offered: counts.offered,
            answered: counts.answered,
            failed,
        };
    }
}

/// What to say, and what to do, when nobody listens.
pub fn refused(address: SocketAddr) -> String {
    format!(
        "nothing answers at {address}: start the bidder first (`cargo run --release`), or give its address with --url"
    )
}
