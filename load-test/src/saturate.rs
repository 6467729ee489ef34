//! Finds the rate up to which a bidder keeps up: the most it answers in a closed loop, then open-loop steps towards it.
//!
//! Invariant: saturation is the rate of a step that was kept up with, never a number that was only computed.

use crate::arrivals::Arrivals;
use crate::drive::{Pace, Progress, drive};
use crate::options::SaturateOptions;
use crate::run::{Error, Load, Verdict, reach};
use crate::tally::Tally;
use serde::Serialize;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Steps as shares of what the closed loop was answered. More connections at work, or a machine that had been disturbed,
/// may carry the open loop further: the steps go on by [`FURTHER`] while it keeps up, to at most three times as much.
const STEPS: [f64; 8] = [0.25, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0];
const FURTHER: f64 = 1.05;
const FURTHER_STEPS_MAX: i32 = 22;
/// A step is kept up with when at least this share of its requests is answered before it ends. A hiccup in the middle is
/// caught up with by then; a rate that is 1 % too high is not.
const ANSWERED_MIN: f64 = 0.99;
/// Only so long is the line worked off after a step: what needs more has not kept up.
const DRAIN: Duration = Duration::from_millis(500);

#[derive(Debug, Serialize)]
struct Saturation {
    url: String,
    connections: u32,
    /// Requests per second answered in a closed loop.
    closed_loop: f64,
    /// The highest rate that was kept up with, 0 if none was.
    saturation: f64,
    steps: Vec<StepResult>,
}

#[derive(Debug, Serialize)]
struct StepResult {
    rate: f64,
    answered_per_s: f64,
    kept_up: bool,
    backlog_max: u64,
    errors: u64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
}

/// # Errors
/// When the options are wrong or the bidder is not there.
pub fn saturate(options: &SaturateOptions) -> Result<Verdict, Error> {
    let load = Load::prepare(&options.load, false)?;
    reach(load.address)?;
    let duration = Duration::from_secs_f64(options.step_duration);
    let step = |pace: Pace| -> anyhow::Result<Tally> {
        let plan = load.plan(&options.load, pace, duration, DRAIN);
        drive(&plan, None, &AtomicU64::new(0), &Progress::default())
    };
    let closed = step(Pace::Closed)?;
    let closed_loop = closed.counts.answered as f64 / options.step_duration;
    if closed.counts.answered == 0 {
        return Err(Error::Failed(anyhow::anyhow!(
            "{}: none of {} requests was answered with a bid or a no-bid; try `load-test --url …` to see why",
            options.load.url,
            closed.counts.offered
        )));
    }
    eprintln!(
        "closed loop: {closed_loop:.0}/s with {} connections",
        options.load.connections
    );
    let mut steps: Vec<StepResult> = Vec::new();
    let further = (1..=FURTHER_STEPS_MAX).map(|step| FURTHER.powi(step));
    for share in STEPS.into_iter().chain(further) {
        let rate = (closed_loop * share).max(1.0);
        let result = StepResult::new(
            rate,
            options.step_duration,
            &step(Pace::Open(Arrivals::Constant { rate }))?,
        );
        eprintln!("{}", result.line());
        steps.push(result);
        // Two in a row, so that one hiccup of the machine does not end the search.
        if steps.iter().rev().take(2).filter(|step| !step.kept_up).count() == 2 {
            break;
        }
    }
    let kept_up = steps.iter().filter(|step| step.kept_up).map(|step| step.rate);
    let saturation = kept_up.fold(0.0, f64::max);
    let (url, connections) = (options.load.url.clone(), options.load.connections);
    let found = Saturation {
        url,
        connections,
        closed_loop,
        saturation,
        steps,
    };
    if options.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&found).expect("numbers and texts become JSON")
        );
    } else {
        println!("saturation: {saturation:.0}/s (the closed loop answered {closed_loop:.0}/s)");
    }
    Ok(Verdict::Clean)
}

impl StepResult {
    fn new(rate: f64, seconds: f64, tally: &Tally) -> StepResult {
        let counts = &tally.counts;
        let us = |quantile: f64| tally.corrected.value_at_quantile(quantile) as f64 / 1000.0;
        let whole_seconds = (seconds as usize).max(1);
        let in_time: u64 = tally
            .seconds
            .iter()
            .take(whole_seconds)
            .map(|second| second.answered)
            .sum();
        let offered: u64 = tally
            .seconds
            .iter()
            .take(whole_seconds)
            .map(|second| second.offered)
            .sum();
        StepResult {
            rate,
            answered_per_s: counts.answered as f64 / seconds,
            kept_up: in_time as f64 >= ANSWERED_MIN * offered as f64,
            backlog_max: counts.backlog_max,
            errors: counts.errors.total(),
            p50_us: us(0.5),
            p99_us: us(0.99),
            p999_us: us(0.999),
        }
    }

    fn line(&self) -> String {
        format!(
            "{:>8.0}/s: answered {:>8.0}/s, p50 {:>8.0} µs, p99 {:>8.0} µs, p99.9 {:>8.0} µs, backlog {:>6}, errors {} {}",
            self.rate,
            self.answered_per_s,
            self.p50_us,
            self.p99_us,
            self.p999_us,
            self.backlog_max,
            self.errors,
            if self.kept_up {
                "· kept up"
            } else {
                "· fell behind"
            }
        )
    }
}
