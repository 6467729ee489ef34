//! What came of a run: a table for people, JSON for scripts, a folder with charts to keep.
//!
//! Invariant: all three say the same, because all three are made from one [`Summary`].

mod chart;
mod html;
mod machine;
mod summary;
mod text;

pub use machine::Machine;
pub use summary::{Latency, Run, SecondSummary, Settings, Summary};

use crate::run::Error;
use crate::tally::Tally;
use anyhow::Context;
use hdrhistogram::Histogram;
use std::fmt::Write as _;
use std::path::Path;

/// # Errors
/// When the folder cannot be made: better before the run than after it.
pub fn make_dir(dir: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(dir)
        .map_err(|error| Error::Usage(format!("--report {}: cannot be made: {error}", dir.display())))
}

/// Writes `index.html`, `summary.json`, `corrected.hgrm` and `service.hgrm`.
///
/// # Errors
/// When a file cannot be written.
pub fn write(dir: &Path, summary: &Summary, tally: &Tally) -> anyhow::Result<()> {
    let files = [
        ("index.html", html::page(summary, tally)),
        ("summary.json", json(summary)),
        ("corrected.hgrm", distribution(&tally.corrected)),
        ("service.hgrm", distribution(&tally.service)),
    ];
    for (name, content) in files {
        let path = dir.join(name);
        std::fs::write(&path, content).with_context(|| format!("{}: cannot be written", path.display()))?;
    }
    Ok(())
}

/// To standard output.
pub fn print(summary: &Summary, as_json: bool, report: Option<&Path>) {
    if as_json {
        print!("{}", json(summary));
        return;
    }
    print!("{}", text::table(summary));
    if let Some(dir) = report {
        println!("\nreport: {}", dir.join("index.html").display());
    }
}

fn json(summary: &Summary) -> String {
    serde_json::to_string_pretty(summary).expect("numbers and texts become JSON") + "\n"
}

/// The percentile distribution of HdrHistogram in its text form, in milliseconds, as its plotters read it.
fn distribution(histogram: &Histogram<u64>) -> String {
    let ms = |ns: f64| ns / 1e6;
    let mut out = String::from("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
    let mut total = 0;
    for step in histogram.iter_quantiles(5) {
        total += step.count_since_last_iteration();
        let quantile = step.quantile_iterated_to();
        let (value, inverse) = (ms(step.value_iterated_to() as f64), 1.0 / (1.0 - quantile));
        let _ = match inverse.is_finite() {
            true => writeln!(out, "{value:12.6} {quantile:2.12} {total:10} {inverse:14.2}"),
            false => writeln!(out, "{value:12.6} {quantile:2.12} {total:10}"),
        };
    }
    let (mean, deviation) = (ms(histogram.mean()), ms(histogram.stdev()));
    let _ = writeln!(out, "#[Mean    = {mean:12.6}, StdDeviation   = {deviation:12.6}]");
    let max = ms(histogram.max() as f64);
    let _ = writeln!(
        out,
        "#[Max     = {max:12.6}, Total count    = {:12}]",
        histogram.len()
    );
    let (buckets, size) = (histogram.buckets(), histogram.distinct_values());
    let _ = writeln!(out, "#[Buckets = {buckets:12}, SubBuckets     = {size:12}]");
    out
}
