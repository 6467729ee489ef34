//! `/metrics`: what all workers counted, merged when somebody looks, in the OpenMetrics text format.

use super::serve::Common;
use crate::approvals::State;
use crate::events::booking::Flags;
use crate::events::counts::BooksCounts;
use crate::openrtb::loss;
use crate::pacing::{AccountKind, AccountView};
use crate::telemetry::{
    Counter, Finding, Reason, Shared, Signal, Size, Stage, size_histogram, stage_histogram,
};
use crate::units::Nanos;
use hdrhistogram::Histogram;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeMetric, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt::{Debug, Error, Formatter};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Upper bounds of the latency buckets, in seconds: about three per decade from 1 µs to 100 ms.
const BUCKETS_S: [f64; 16] = [
    1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1,
];

/// Upper bounds of line item counts; 32 is the usual number of candidates.
const BUCKETS_ITEMS: [u64; 14] = [0, 1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 128, 256, 1024];

pub fn encode(common: &Arc<Common>) -> Result<String, Error> {
    let mut registry = Registry::with_prefix("outbid");
    registry.register_collector(Box::new(Scrape(common.clone())));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

struct Scrape(Arc<Common>);

impl Debug for Scrape {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scrape")
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        let common = &self.0;
        for counter in Counter::ALL {
            let (name, help) = counter.describe();
            counted(
                &mut encoder,
                name,
                help,
                sum(common, |worker| worker.counter(counter)),
            )?;
        }
        by_reason(
            &mut encoder,
            "no_bids_by_reason",
            "Bid requests without a bid, by the reason",
            |reason| sum(common, |worker| worker.no_bids(reason)),
        )?;
        by_reason(
            &mut encoder,
            "fell_out",
            "Line items that fell out of a decision, by step",
            |reason| sum(common, |worker| worker.fell_out(reason)),
        )?;
        findings(&mut encoder, common)?;
        signals(&mut encoder, common)?;
        stages(&mut encoder, common)?;
        sizes(&mut encoder, common)?;
        spend(&mut encoder, common)?;
        books(&mut encoder, common)?;
        leases(&mut encoder, common)?;
        approvals(&mut encoder, common)?;
        markets(&mut encoder, common)?;
        state(&mut encoder, common)
    }
}

fn sum(common: &Common, of: impl Fn(&Shared) -> u64) -> u64 {
    common.workers.iter().map(|worker| of(worker)).sum()
}

fn counted<N>(encoder: &mut DescriptorEncoder, name: &str, help: &str, value: N) -> Result<(), Error>
where
    N: EncodeCounterValue,
{
    ConstCounter::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)
}

fn gauge<N>(encoder: &mut DescriptorEncoder, name: &str, help: &str, value: N) -> Result<(), Error>
where
    N: EncodeGaugeValue,
{
    ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

fn by_reason(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    of: impl Fn(Reason) -> u64,
) -> Result<(), Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for reason in Reason::ALL {
        ConstCounter::new(of(reason)).encode(family.encode_family(&[("reason", reason.name())])?)?;
    }
    Ok(())
}

fn findings(encoder: &mut DescriptorEncoder, common: &Common) -> Result<(), Error> {
    let help = "Bid requests with something wrong in their supply path or traffic";
    let mut family = encoder.encode_descriptor("supply_findings", help, None, MetricType::Counter)?;
    for finding in Finding::ALL {
        let count = sum(common, |worker| worker.findings(finding));
        ConstCounter::new(count).encode(family.encode_family(&[("finding", finding.name())])?)?;
    }
    Ok(())
}

fn signals(encoder: &mut DescriptorEncoder, common: &Common) -> Result<(), Error> {
    let help = "Bid requests by the signal that decided what may be done with the user's data";
    let mut family = encoder.encode_descriptor("consent_decided", help, None, MetricType::Counter)?;
    for signal in Signal::ALL {
        let count = sum(common, |worker| worker.signals(signal));
        ConstCounter::new(count).encode(family.encode_family(&[("signal", signal.as_str())])?)?;
    }
    Ok(())
}

fn stages(encoder: &mut DescriptorEncoder, common: &Common) -> Result<(), Error> {
    let help = "Time spent per stage of a bid request, in seconds";
    let mut family = encoder.encode_descriptor("stage_seconds", help, None, MetricType::Histogram)?;
    for stage in Stage::ALL {
        let mut times = stage_histogram();
        common
            .workers
            .iter()
            .for_each(|worker| worker.merge_stage(stage, &mut times));
        let bounds = BUCKETS_S.map(|bound| (bound, (bound * 1e9) as u64));
        histogram(
            family.encode_family(&[("stage", stage.name())])?,
            &times,
            &bounds,
            1e9,
        )?;
    }
    Ok(())
}

fn sizes(encoder: &mut DescriptorEncoder, common: &Common) -> Result<(), Error> {
    let help = "Line items per bid request";
    let mut family = encoder.encode_descriptor("line_items", help, None, MetricType::Histogram)?;
    for size in Size::ALL {
        let mut counts = size_histogram();
        common
            .workers
            .iter()
            .for_each(|worker| worker.merge_size(size, &mut counts));
        let bounds = BUCKETS_ITEMS.map(|bound| (bound as f64, bound));
        histogram(
            family.encode_family(&[("step", size.name())])?,
            &counts,
            &bounds,
            1.0,
        )?;
    }
    Ok(())
}

/// `bounds`: what is shown and what it is in the histogram's unit, of which `unit` make one of the shown.
fn histogram(
    mut into: MetricEncoder,
    of: &Histogram<u64>,
    bounds: &[(f64, u64)],
    unit: f64,
) -> Result<(), Error> {
    let mut below = 0;
    let mut buckets = Vec::with_capacity(bounds.len() + 1);
    for &(shown, bound) in bounds {
        let until = of.count_between(0, bound);
        buckets.push((shown, until - below));
        below = until;
    }
    buckets.push((f64::INFINITY, of.len() - below));
    let total = of.mean() * of.len() as f64 / unit;
    into.encode_histogram::<NoLabelSet>(total, of.len(), &buckets, None)
}

/// Per campaign and line item, in units of the accounting currency.
fn spend(encoder: &mut DescriptorEncoder, common: &Common) -> Result<(), Error> {
    let views = common.live.budgets.views(super::clock::now());
    type Column = fn(&AccountView) -> Nanos;
    let columns: [(&str, &str, Column); 6] = [
        (
            "spent",
            "Settled within holds over the lifetime, in accounting units",
            |view| view.lifetime.spent,
        ),
        ("reserved", "Held for open bids, in accounting units", |view| {
            view.lifetime.reserved
        }),
        (
            "late",
            "Settled above or after holds over the lifetime, in accounting units",
            |view| view.lifetime.late,
        ),
        (
            "debt",
            "Late and not covered by a limit, in accounting units",
            |view| view.lifetime.debt,
        ),
        (
            "quarantined",
            "Set aside for bids of a process that crashed, in accounting units",
            AccountView::quarantined,
        ),
        (
            "lease_free",
            "Leased and not yet committed on the tightest limit, in accounting units; 0 without a limit",
            |view| view.lease_free().unwrap_or_default(),
        ),
    ];
    for (name, help, column) in columns {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for view in &views {
            let kind = match view.kind {
                AccountKind::Campaign => "campaign",
                AccountKind::LineItem => "line_item",
            };
            let labels = [("kind", kind), ("id", view.name.as_str())];
            ConstGauge::new(column(view).as_units()).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn books(encoder: &mut DescriptorEncoder, common: &Common) -> Result<(), Error> {
    if let Some(log) = common.books.log_counts() {
        counted(
            encoder,
            "bid_records_written",
            "Bid records written to the log",
            log.written,
        )?;
        counted(
            encoder,
            "bid_records_failed",
            "Bid records that the disk did not take",
            log.failed,
        )?;
    }
    let Some(desk) = common.books.desk() else {
        return Ok(());
    };
    let counts = desk.counts();
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    counted(
        encoder,
        "books_records",
        "Notices, beacons and conversions made durable",
        read(&counts.records),
    )?;
    counted(encoder, "books_booked", "Bids booked", read(&counts.booked))?;
    counted(
        encoder,
        "books_refused",
        "Notices answered 503 for want of room",
        read(&counts.refused),
    )?;
    losses(encoder, counts)?;
    gauge(
        encoder,
        "books_waiting",
        "Notices waiting to be made durable",
        desk.waiting() as i64,
    )?;
    let mut flagged = encoder.encode_descriptor(
        "books_flagged",
        "Records by what is remarkable",
        None,
        MetricType::Counter,
    )?;
    for ((_, name), count) in Flags::NAMES.iter().zip(&counts.flags) {
        ConstCounter::new(read(count)).encode(flagged.encode_family(&[("flag", *name)])?)?;
    }
    Ok(())
}

fn leases(encoder: &mut DescriptorEncoder, common: &Common) -> Result<(), Error> {
    let Some(counts) = common.books.lease_counts() else {
        return Ok(());
    };
    counted(
        encoder,
        "leases_changed",
        "Leases made larger or smaller",
        counts.changed,
    )?;
    counted(
        encoder,
        "leases_failed",
        "Times that the authority of the leases gave no answer",
        counts.failed,
    )?;
    gauge(
        encoder,
        "leases_breaker_open",
        "1 while the authority of the leases gives no answer: bids go on until the leases are used up",
        i64::from(!counts.answering),
    )?;
    gauge(
        encoder,
        "leases_look_seconds",
        "How long the last look at all leases took, the authority's answer included",
        common.books.lease_look().as_secs_f64(),
    )?;
    let Some(relay) = &common.relay else {
        return Ok(());
    };
    let counts = relay.counts();
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let handed = [
        (
            "relay_handed_over",
            "Notices handed to the node that owns their bid",
            &counts.handed_over,
        ),
        (
            "relay_fetched",
            "Notices of own bids that other nodes took",
            &counts.fetched,
        ),
        (
            "relay_of_dead",
            "Notices of bids of nodes declared dead",
            &counts.of_dead,
        ),
        (
            "relay_refused",
            "Notices that could not be handed over: 503",
            &counts.refused,
        ),
    ];
    for (name, help, count) in handed {
        counted(encoder, name, help, read(count))?;
    }
    let Some(sharing) = &common.sharing else {
        return Ok(());
    };
    let counts = &sharing.counts;
    gauge(
        encoder,
        "caps_apart",
        "1 while what other nodes count has not been heard of for longer than apart_after",
        read(&counts.apart) as f64,
    )?;
    let facts = [
        (
            "facts_told",
            "What happened to users, told to other nodes",
            read(&counts.told),
        ),
        (
            "facts_heard",
            "What other nodes told of users",
            read(&counts.heard),
        ),
        (
            "facts_dropped",
            "Not told to other nodes: the queue was full",
            sharing.facts.dropped(),
        ),
        (
            "facts_missed",
            "Starts after which some of it may not be known",
            read(&counts.missed),
        ),
    ];
    for (name, help, count) in facts {
        counted(encoder, name, help, count)?;
    }
    Ok(())
}

/// Creatives that an exchange's loss notices hold back, by exchange and creative once.
fn approvals(encoder: &mut DescriptorEncoder, common: &Common) -> Result<(), Error> {
    let views = common.live.approvals.views();
    let count = |wanted: fn(&State) -> bool| views.iter().filter(|view| wanted(&view.state)).count() as i64;
    let states = [
        ("waiting", count(|state| matches!(state, State::Waiting { .. }))),
        ("stopped", count(|state| matches!(state, State::Stopped))),
    ];
    let help = "Creatives held back at an exchange by its loss notices";
    let mut family = encoder.encode_descriptor("creatives_held", help, None, MetricType::Gauge)?;
    for (state, count) in states {
        ConstGauge::new(count).encode(family.encode_family(&[("state", state)])?)?;
    }
    Ok(())
}

/// How shaded bids ended, as far as it was learnt from; since the first start.
fn markets(encoder: &mut DescriptorEncoder, common: &Common) -> Result<(), Error> {
    let views = common.live.markets.views();
    let (observed, won) = views.first().map_or((0, 0), |all| (all.observed, all.won));
    let help = "Shaded bids from whose end markets have learnt";
    let mut family = encoder.encode_descriptor("shading_outcomes", help, None, MetricType::Counter)?;
    for (outcome, count) in [("won", won), ("lost", observed - won)] {
        ConstCounter::new(count).encode(family.encode_family(&[("outcome", outcome)])?)?;
    }
    let known = views.iter().filter(|view| view.observed > 0).count();
    gauge(
        encoder,
        "shading_markets",
        "Markets that have learnt something, all together included",
        known as i64,
    )
}

fn losses(encoder: &mut DescriptorEncoder, counts: &BooksCounts) -> Result<(), Error> {
    let help = "Bids lost, by the loss code of the exchange";
    let mut family = encoder.encode_descriptor("losses", help, None, MetricType::Counter)?;
    let known = loss::CODES.iter().zip(&counts.losses);
    let known = known.map(|((code, _), count)| (code.to_string(), count));
    for (code, count) in known.chain([("other".to_owned(), &counts.losses_other)]) {
        let count = ConstCounter::new(count.load(Ordering::Relaxed));
        count.encode(family.encode_family(&[("code", code.as_str())])?)?;
    }
    Ok(())
}

fn state(encoder: &mut DescriptorEncoder, common: &Common) -> Result<(), Error> {
    let last = common.reloader.last();
    counted(
        encoder,
        "reloads",
        "Configurations taken since the start",
        last.swaps,
    )?;
    counted(
        encoder,
        "reloads_refused",
        "Configurations refused since the start",
        last.refusals,
    )?;
    let snapshot = common.snapshot.load();
    let (holding, stale) = snapshot.campaigns.signals().count(super::clock::now());
    gauge(
        encoder,
        "context_signals",
        "Signals of places, such as the weather, that are believed",
        holding as i64,
    )?;
    gauge(
        encoder,
        "context_signals_stale",
        "Signals of places that are over or older than their time to live, and ignored",
        stale as i64,
    )?;
    gauge(
        encoder,
        "holds_open",
        "Bids with money held",
        common.live.budgets.holds_open() as i64,
    )?;
    gauge(
        encoder,
        "opted_out_ids",
        "User ids on the list of those who opted out",
        common.live.opt_outs.len() as i64,
    )?;
    gauge(
        encoder,
        "profiles",
        "Users in the profile store",
        common.snapshot.load().people.profiles.summary().users as i64,
    )?;
    gauge(
        encoder,
        "books_open",
        "1 when this process holds the books",
        i64::from(common.books.is_open()),
    )
}
