//! The summary as a table for a terminal. Invariant: no line is longer than 100 characters but those that quote options.

use super::summary::{Latency, Summary};
use crate::auction::AuctionTally;
use crate::tally::Failure;
use std::fmt::Write;

pub fn table(summary: &Summary) -> String {
    let mut out = String::new();
    try_table(summary, &mut out).expect("writing to a String cannot fail");
    out
}

fn try_table(summary: &Summary, out: &mut String) -> std::fmt::Result {
    let (settings, counts) = (&summary.settings, &summary.counts);
    writeln!(
        out,
        "{} · {:.0} s · {} connections",
        summary.url, settings.duration_s, settings.connections
    )?;
    writeln!(out, "{}", settings.traffic)?;
    writeln!(
        out,
        "\noffered    {:>10}  {:>9.0}/s {} arrivals",
        counts.offered, summary.offered_per_s, settings.arrivals
    )?;
    writeln!(out, "sent       {:>10}", counts.sent)?;
    writeln!(
        out,
        "answered   {:>10}  {:>9.0}/s",
        counts.answered, summary.answered_per_s
    )?;
    writeln!(
        out,
        "bids       {:>10}  {:>9.1} % of answers",
        counts.bids,
        100.0 * summary.bid_rate
    )?;
    writeln!(out, "no-bids    {:>10}", counts.no_bids)?;
    let share = |count: u64| 100.0 * count as f64 / counts.offered.max(1) as f64;
    writeln!(
        out,
        "late       {:>10}  {:>9.3} % over tmax",
        counts.late,
        share(counts.late)
    )?;
    writeln!(
        out,
        "over 10 ms {:>10}  {:>9.3} %",
        counts.over_10ms,
        share(counts.over_10ms)
    )?;
    writeln!(
        out,
        "errors     {:>10}  {:>9.3} %",
        counts.errors.total(),
        share(counts.errors.total())
    )?;
    for failure in Failure::ALL {
        let count = counts.errors.of(failure);
        if count > 0 {
            writeln!(out, "  {:<12} {:>6}", failure.name(), count)?;
        }
    }
    for (name, count) in [
        ("unsent", counts.unsent),
        ("retried", counts.retried),
        ("reopened", counts.reopened),
        ("backlog max", counts.backlog_max),
        ("slipped", counts.slipped),
    ] {
        if count > 0 {
            writeln!(out, "{name:<12} {count:>8}")?;
        }
    }
    if counts.slipped > 0 {
        let worst_ms = counts.slip_max_us as f64 / 1000.0;
        writeln!(
            out,
            "slipped: the load test itself came late, by {worst_ms:.1} ms at worst; give it a core"
        )?;
    }
    writeln!(
        out,
        "\nlatency, ms         p50       p90       p99     p99.9       max"
    )?;
    write_latency(out, "from due time", &summary.latency_corrected)?;
    write_latency(out, "from send", &summary.latency_service)?;
    match &summary.auction {
        Some(auction) => write_auction(out, auction),
        None => Ok(()),
    }
}

fn write_latency(out: &mut String, name: &str, latency: &Latency) -> std::fmt::Result {
    let ms = [
        latency.p50_us,
        latency.p90_us,
        latency.p99_us,
        latency.p999_us,
        latency.max_us,
    ]
    .map(|us| us / 1000.0);
    writeln!(
        out,
        "{name:<13} {:>9.3} {:>9.3} {:>9.3} {:>9.3} {:>9.3}",
        ms[0], ms[1], ms[2], ms[3], ms[4]
    )
}

fn write_auction(out: &mut String, auction: &AuctionTally) -> std::fmt::Result {
    let win_rate = 100.0 * auction.wins as f64 / (auction.wins + auction.losses).max(1) as f64;
    writeln!(
        out,
        "\nauctions   {:>10}  not played {}",
        auction.auctions, auction.unplayed
    )?;
    writeln!(
        out,
        "bids       {:>10}  invalid {}",
        auction.bids, auction.invalid
    )?;
    for (reason, count) in &auction.invalid_by_reason {
        writeln!(out, "  {reason}: {count}")?;
    }
    writeln!(out, "wins       {:>10}  {win_rate:>9.1} %", auction.wins)?;
    for (currency, nanos) in &auction.spend_nanos {
        writeln!(out, "spend      {:>10.6}  {currency}", *nanos as f64 / 1e9)?;
    }
    writeln!(
        out,
        "clicks     {:>10}  {:>9.1} by the law",
        auction.clicks, auction.clicks_expected
    )?;
    writeln!(
        out,
        "purchases  {:>10}  {:>9.1} by the law, worth {:.2} USD",
        auction.conversions, auction.conversions_expected, auction.conversion_value
    )?;
    writeln!(
        out,
        "\nnotices              sent   accepted  again after 503    failed"
    )?;
    for (kind, counts) in &auction.notices {
        let numbers = [counts.sent, counts.accepted, counts.retried_503, counts.failed];
        writeln!(
            out,
            "{kind:<15} {:>9} {:>10} {:>16} {:>9}",
            numbers[0], numbers[1], numbers[2], numbers[3]
        )?;
    }
    writeln!(
        out,
        "undelivered {} · waited at once {} · URLs of others, not fetched {}",
        auction.notices_undelivered, auction.notices_backlog_max, auction.foreign_urls
    )
}
