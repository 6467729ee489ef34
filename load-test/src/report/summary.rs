//! The numbers of a run. Invariant: latencies are in microseconds and say by name what they are counted from.

use super::machine::Machine;
use crate::auction::AuctionTally;
use crate::options::{ArrivalsOption, RunOptions};
use crate::tally::{Counts, Second, Tally};
use hdrhistogram::{Counter, Histogram};
use serde::Serialize;

/// What a run was, beside its numbers.
pub struct Run<'a> {
    pub options: &'a RunOptions,
    /// Where the requests came from.
    pub traffic: &'a str,
    /// Seconds since 1970-01-01.
    pub started_s: u64,
    /// Mean rate of arrivals.
    pub rate: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub url: String,
    pub started_s: u64,
    pub settings: Settings,
    pub machine: Machine,
    pub counts: Counts,
    pub offered_per_s: f64,
    pub answered_per_s: f64,
    /// Bids ÷ answers.
    pub bid_rate: f64,
    /// From the intended send time.
    pub latency_corrected: Latency,
    /// From the actual send.
    pub latency_service: Latency,
    pub auction: Option<AuctionTally>,
    pub seconds: Vec<SecondSummary>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    pub version: &'static str,
    pub rate: f64,
    pub duration_s: f64,
    pub arrivals: &'static str,
    pub connections: u32,
    pub threads: u32,
    pub default_tmax_ms: u64,
    pub timeout_ms: u64,
    pub seed: u64,
    pub traffic: String,
    pub notice_base: Option<String>,
}

/// Microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    pub count: u64,
    pub mean_us: f64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
}

/// One second; latencies from the intended send time, by the time of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct SecondSummary {
    pub offered: u64,
    pub answered: u64,
    pub bids: u64,
    pub late: u64,
    pub errors: u64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub max_us: f64,
}

impl Summary {
    pub fn new(run: &Run, tally: &Tally, auction: Option<AuctionTally>) -> Summary {
        let (counts, duration_s) = (tally.counts, run.options.duration);
        Summary {
            url: run.options.load.url.clone(),
            started_s: run.started_s,
            settings: Settings::new(run),
            machine: Machine::here(),
            counts,
            offered_per_s: counts.offered as f64 / duration_s,
            answered_per_s: counts.answered as f64 / duration_s,
            bid_rate: counts.bids as f64 / counts.answered.max(1) as f64,
            latency_corrected: Latency::of(&tally.corrected),
            latency_service: Latency::of(&tally.service),
            auction,
            seconds: tally.seconds.iter().map(SecondSummary::of).collect(),
        }
    }

    /// No request without an answer, no bid that an exchange refuses, no notice undelivered.
    pub fn is_clean(&self) -> bool {
        let auction_clean = self
            .auction
            .as_ref()
            .is_none_or(|auction| auction.invalid == 0 && auction.notices_failed() == 0);
        self.counts.errors.total() == 0 && self.counts.unsent == 0 && auction_clean
    }
}

impl Settings {
    fn new(run: &Run) -> Settings {
        let load = &run.options.load;
        Settings {
            version: env!("CARGO_PKG_VERSION"),
            rate: run.rate,
            duration_s: run.options.duration,
            arrivals: match run.options.arrivals {
                ArrivalsOption::Constant => "constant",
                ArrivalsOption::Poisson => "poisson",
                ArrivalsOption::Recorded => "recorded",
            },
            connections: load.connections,
            threads: load.threads,
            default_tmax_ms: load.tmax_ms,
            timeout_ms: load.timeout_ms,
            seed: load.seed,
            traffic: run.traffic.to_string(),
            notice_base: run.options.notice_base.clone(),
        }
    }
}

impl Latency {
    pub fn of(histogram: &Histogram<u64>) -> Latency {
        Latency {
            count: histogram.len(),
            mean_us: histogram.mean() / 1000.0,
            p50_us: us(histogram, 0.5),
            p90_us: us(histogram, 0.9),
            p99_us: us(histogram, 0.99),
            p999_us: us(histogram, 0.999),
            max_us: us(histogram, 1.0),
        }
    }
}

impl SecondSummary {
    fn of(second: &Second) -> SecondSummary {
        SecondSummary {
            offered: second.offered,
            answered: second.answered,
            bids: second.bids,
            late: second.late,
            errors: second.errors,
            p50_us: us(&second.latency, 0.5),
            p99_us: us(&second.latency, 0.99),
            max_us: us(&second.latency, 1.0),
        }
    }
}

/// A quantile of a histogram of nanoseconds; 0 where it is empty.
fn us<C: Counter>(histogram: &Histogram<C>, quantile: f64) -> f64 {
    if histogram.is_empty() {
        0.0
    } else {
        histogram.value_at_quantile(quantile) as f64 / 1000.0
    }
}
