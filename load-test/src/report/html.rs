//! The report as one page that needs nothing else. Invariant: no address outside of the page is loaded.

use super::chart::{Chart, Scale, Series};
use super::summary::{Latency, Summary};
use crate::auction::AuctionTally;
use crate::tally::{Failure, Tally};
use hdrhistogram::Histogram;
use std::fmt::Write;

pub fn page(summary: &Summary, tally: &Tally) -> String {
    let mut out = String::with_capacity(1 << 16);
    try_page(summary, tally, &mut out).expect("writing to a String cannot fail");
    out
}

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

fn try_page(summary: &Summary, tally: &Tally, out: &mut String) -> std::fmt::Result {
    let url = escape(&summary.url);
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>Load test of {url}</title><style>{STYLE}</style></head><body><main>"
    )?;
    write!(
        out,
        "<h1>Load test</h1><p class=\"sub\">{url} · started <time>{}</time></p>",
        utc(summary.started_s)
    )?;
    write_headline(summary, out)?;
    out.push_str("<h2>Latency</h2>");
    write_percentiles(summary, out)?;
    out.push_str("<p class=\"note\"><b>From due time</b> counts from when the request was meant to be sent, so that waiting behind a stall is seen; requests that were given up are in it with the time until then. <b>From send</b> counts from the write to the socket.</p>");
    out.push_str(&percentile_chart(tally).draw());
    out.push_str(&latency_over_time(summary).draw());
    out.push_str("<h2>Throughput</h2>");
    out.push_str(&throughput_over_time(summary).draw());
    write_counts(summary, out)?;
    if let Some(auction) = &summary.auction {
        write_auction(auction, out)?;
    }
    write_settings(summary, out)?;
    writeln!(out, "</main><script>{SCRIPT}</script></body></html>")
}

fn write_headline(summary: &Summary, out: &mut String) -> std::fmt::Result {
    let counts = &summary.counts;
    let verdict = if summary.is_clean() { "good" } else { "bad" };
    out.push_str("<div class=\"tiles\">");
    let share = |count: u64| format!("{:.3} %", 100.0 * count as f64 / counts.offered.max(1) as f64);
    for (name, value, class) in [
        ("offered", format!("{:.0}/s", summary.offered_per_s), ""),
        ("answered", format!("{:.0}/s", summary.answered_per_s), ""),
        ("bid rate", format!("{:.1} %", 100.0 * summary.bid_rate), ""),
        ("p50", ms(summary.latency_corrected.p50_us), ""),
        ("p99", ms(summary.latency_corrected.p99_us), ""),
        ("p99.9", ms(summary.latency_corrected.p999_us), ""),
        ("over 10 ms", share(counts.over_10ms), ""),
        (
            "errors",
            (counts.errors.total() + counts.unsent).to_string(),
            verdict,
        ),
    ] {
        write!(
            out,
            "<div class=\"tile {class}\"><span>{name}</span><b>{value}</b></div>"
        )?;
    }
    out.push_str("</div>");
    Ok(())
}

fn write_percentiles(summary: &Summary, out: &mut String) -> std::fmt::Result {
    out.push_str("<table><thead><tr><th></th><th>p50</th><th>p90</th><th>p99</th><th>p99.9</th><th>max</th><th>mean</th></tr></thead><tbody>");
    let rows = [
        ("from due time", &summary.latency_corrected),
        ("from send", &summary.latency_service),
    ];
    for (name, latency) in rows {
        let Latency {
            p50_us,
            p90_us,
            p99_us,
            p999_us,
            max_us,
            mean_us,
            ..
        } = *latency;
        write!(out, "<tr><th>{name}</th>")?;
        for us in [p50_us, p90_us, p99_us, p999_us, max_us, mean_us] {
            write!(out, "<td>{}</td>", ms(us))?;
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table>");
    Ok(())
}

/// Over the inverse of the tail, so that every nine has the same room.
fn percentile_chart(tally: &Tally) -> Chart<'static> {
    let curve = |histogram: &Histogram<u64>| -> Vec<(f64, f64)> {
        if histogram.is_empty() {
            return Vec::new();
        }
        // To where one request is left in the tail.
        let nines = (histogram.len() as f64).log10().max(1.0);
        let steps = (nines * 20.0) as usize;
        let at = |step: usize| nines * step as f64 / steps as f64;
        let value = |nines: f64| histogram.value_at_quantile(1.0 - 10f64.powf(-nines)) as f64 / 1e6;
        (0..=steps).map(at).map(|nines| (nines, value(nines))).collect()
    };
    let series = vec![
        Series {
            name: "from due time",
            color: 0,
            points: curve(&tally.corrected),
        },
        Series {
            name: "from send",
            color: 1,
            points: curve(&tally.service),
        },
    ];
    let last = series[0].points.last().map_or(1.0, |(nines, _)| *nines);
    let names = ["0", "90", "99", "99.9", "99.99", "99.999", "99.9999", "99.99999"];
    let x_ticks = names
        .iter()
        .enumerate()
        .map(|(nines, name)| (nines as f64, format!("{name} %")));
    Chart {
        title: "Latency by percentile",
        unit: "ms",
        x_label: "percentile",
        x_ticks: x_ticks.filter(|(nines, _)| *nines <= last).collect(),
        y_scale: Scale::Log,
        series,
    }
}

fn latency_over_time(summary: &Summary) -> Chart<'static> {
    let over_time = |us: fn(&super::SecondSummary) -> f64| {
        let seconds = summary.seconds.iter().enumerate();
        seconds
            .map(|(at, second)| (at as f64, us(second) / 1000.0))
            .collect()
    };
    Chart {
        title: "Latency from due time, by second",
        unit: "ms",
        x_label: "seconds",
        x_ticks: Vec::new(),
        y_scale: Scale::Log,
        series: vec![
            Series {
                name: "p50",
                color: 0,
                points: over_time(|second| second.p50_us),
            },
            Series {
                name: "p99",
                color: 1,
                points: over_time(|second| second.p99_us),
            },
            Series {
                name: "max",
                color: 2,
                points: over_time(|second| second.max_us),
            },
        ],
    }
}

fn throughput_over_time(summary: &Summary) -> Chart<'static> {
    let over_time = |count: fn(&super::SecondSummary) -> u64| {
        summary
            .seconds
            .iter()
            .enumerate()
            .map(|(at, second)| (at as f64, count(second) as f64))
            .collect()
    };
    Chart {
        title: "Requests, by second",
        unit: "per second",
        x_label: "seconds",
        x_ticks: Vec::new(),
        y_scale: Scale::Linear,
        series: vec![
            Series {
                name: "offered",
                color: 3,
                points: over_time(|second| second.offered),
            },
            Series {
                name: "answered",
                color: 0,
                points: over_time(|second| second.answered),
            },
            Series {
                name: "bids",
                color: 1,
                points: over_time(|second| second.bids),
            },
            Series {
                name: "errors",
                color: 2,
                points: over_time(|second| second.errors),
            },
        ],
    }
}

fn write_counts(summary: &Summary, out: &mut String) -> std::fmt::Result {
    let counts = &summary.counts;
    let rows = [
        ("offered", counts.offered, "were due"),
        ("sent", counts.sent, "were written to a connection"),
        ("bids", counts.bids, "200 with a bid"),
        ("no-bids", counts.no_bids, "204, or 200 without a bid"),
        ("late", counts.late, "over the request's tmax, from due time"),
        ("over 10 ms", counts.over_10ms, "from due time"),
        (
            "retried",
            counts.retried,
            "sent again, as the connection had ended without a byte of answer",
        ),
        ("reopened", counts.reopened, "connections that the server closed"),
        (
            "unsent",
            counts.unsent,
            "still waiting for a connection when time was up",
        ),
        (
            "backlog max",
            counts.backlog_max,
            "waited for a connection at once",
        ),
        (
            "slipped",
            counts.slipped,
            "the load test itself came more than 1 ms late, for want of a processor",
        ),
        ("slip max, µs", counts.slip_max_us, "the worst of it"),
    ];
    out.push_str("<h2>Requests</h2><table><tbody>");
    for (name, count, meaning) in rows {
        write!(
            out,
            "<tr><th>{name}</th><td>{count}</td><td class=\"text\">{meaning}</td></tr>"
        )?;
    }
    out.push_str("</tbody></table><h2>Errors</h2><table><tbody>");
    for failure in Failure::ALL {
        let count = counts.errors.of(failure);
        let class = if count > 0 { "bad" } else { "" };
        write!(
            out,
            "<tr><th>{}</th><td class=\"{class}\">{count}</td></tr>",
            failure.name()
        )?;
    }
    out.push_str("</tbody></table>");
    Ok(())
}

fn write_auction(auction: &AuctionTally, out: &mut String) -> std::fmt::Result {
    out.push_str("<h2>Auction</h2><table><tbody>");
    let mut rows = vec![
        ("auctions".to_string(), auction.auctions.to_string()),
        ("not played".into(), auction.unplayed.to_string()),
        ("bids".into(), auction.bids.to_string()),
        ("invalid".into(), auction.invalid.to_string()),
    ];
    rows.extend(
        auction
            .invalid_by_reason
            .iter()
            .map(|(reason, count)| (format!("· {reason}"), count.to_string())),
    );
    rows.push(("wins".into(), auction.wins.to_string()));
    rows.push(("losses".into(), auction.losses.to_string()));
    let spend = auction.spend_nanos.iter();
    rows.extend(spend.map(|(cur, nanos)| {
        (
            format!("spend, {}", escape(cur)),
            format!("{:.6}", *nanos as f64 / 1e9),
        )
    }));
    rows.push(("impressions".into(), auction.impressions.to_string()));
    rows.push((
        "clicks".into(),
        format!("{} ({:.1} by the law)", auction.clicks, auction.clicks_expected),
    ));
    let (conversions, expected) = (auction.conversions, auction.conversions_expected);
    rows.push((
        "purchases".into(),
        format!("{conversions} ({expected:.1} by the law)"),
    ));
    rows.push(("worth, USD".into(), format!("{:.2}", auction.conversion_value)));
    for (name, value) in rows {
        write!(out, "<tr><th>{name}</th><td>{value}</td></tr>")?;
    }
    out.push_str("</tbody></table><h2>Notices</h2><table><thead><tr><th></th><th>sent</th><th>accepted</th><th>again after 503</th><th>failed</th></tr></thead><tbody>");
    for (kind, counts) in &auction.notices {
        write!(
            out,
            "<tr><th>{kind}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            counts.sent, counts.accepted, counts.retried_503, counts.failed
        )?;
    }
    write!(
        out,
        "</tbody></table><p class=\"note\">{} undelivered; {} waited at once; {} URLs of others were not fetched.</p>",
        auction.notices_undelivered, auction.notices_backlog_max, auction.foreign_urls
    )
}

fn write_settings(summary: &Summary, out: &mut String) -> std::fmt::Result {
    let (settings, machine) = (&summary.settings, &summary.machine);
    out.push_str("<h2>Settings and machine</h2><table><tbody>");
    for (name, value) in [
        ("traffic", escape(&settings.traffic)),
        (
            "arrivals",
            format!("{}, {:.1} per second", settings.arrivals, settings.rate),
        ),
        ("duration", format!("{} s", settings.duration_s)),
        (
            "connections, threads",
            format!("{}, {}", settings.connections, settings.threads),
        ),
        (
            "tmax where none is given",
            format!("{} ms", settings.default_tmax_ms),
        ),
        ("error after", format!("{} ms", settings.timeout_ms)),
        ("seed", settings.seed.to_string()),
        (
            "notice base",
            settings.notice_base.as_deref().map_or("as sent".into(), escape),
        ),
        ("load-test", settings.version.to_string()),
        ("processor", escape(&machine.processor)),
        (
            "cores, memory",
            format!("{}, {} MiB", machine.cores, machine.memory_mib),
        ),
        ("kernel", escape(&machine.kernel)),
    ] {
        write!(out, "<tr><th>{name}</th><td class=\"text\">{value}</td></tr>")?;
    }
    out.push_str("</tbody></table>");
    Ok(())
}

fn ms(us: f64) -> String {
    let ms = us / 1000.0;
    if ms < 10.0 {
        format!("{ms:.3} ms")
    } else {
        format!("{ms:.1} ms")
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Civil date from days, by Howard Hinnant's algorithm.
fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{year}-{month:02}-{day:02} {:02}:{:02} UTC",
        rest / 3600,
        rest / 60 % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_dates() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_790_812_859, "2026-10-01 00:00 UTC"),
        ] {
            assert_eq!(utc(seconds), expected);
        }
    }
}
