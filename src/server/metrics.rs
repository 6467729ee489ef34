//! `/metrics`: what all workers counted, merged when somebody looks, in the OpenMetrics text format.

use super::serve::Common;
use crate::telemetry::{Counter, Reason, Shared, Stage, stage_histogram};
use crate::units::Nanos;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeMetric, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt::{Debug, Error, Formatter};
use std::sync::Arc;

/// Upper bounds of the latency buckets, in seconds: about three per decade from 1 µs to 100 ms.
const BUCKETS_S: [f64; 16] = [
    1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1,
];

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
        stages(&mut encoder, common)?;
        spend(&mut encoder, common)?;
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

fn stages(encoder: &mut DescriptorEncoder, common: &Common) -> Result<(), Error> {
    let help = "Time spent per stage of a bid request, in seconds";
    let mut family = encoder.encode_descriptor("stage_seconds", help, None, MetricType::Histogram)?;
    for stage in Stage::ALL {
        let mut times = stage_histogram();
        common
            .workers
            .iter()
            .for_each(|worker| worker.merge_stage(stage, &mut times));
        let mut below = 0;
        let mut buckets = Vec::with_capacity(BUCKETS_S.len() + 1);
        for bound in BUCKETS_S {
            let until = times.count_between(0, (bound * 1e9) as u64);
            buckets.push((bound, until - below));
            below = until;
        }
        buckets.push((f64::MAX, times.len() - below));
        let total_s = times.mean() * times.len() as f64 / 1e9;
        family
            .encode_family(&[("stage", stage.name())])?
            .encode_histogram::<NoLabelSet>(total_s, times.len(), &buckets, None)?;
    }
    Ok(())
}

/// Per campaign and line item, in units of the accounting currency.
fn spend(encoder: &mut DescriptorEncoder, common: &Common) -> Result<(), Error> {
    let views = common.live.budgets.views(super::clock::now());
    let columns: [(&str, &str, fn(&crate::pacing::PeriodView) -> Nanos); 4] = [
        (
            "spent",
            "Settled within holds over the lifetime, in accounting units",
            |view| view.spent,
        ),
        ("reserved", "Held for open bids, in accounting units", |view| {
            view.reserved
        }),
        (
            "late",
            "Settled above or after holds over the lifetime, in accounting units",
            |view| view.late,
        ),
        (
            "debt",
            "Late and not covered by a limit, in accounting units",
            |view| view.debt,
        ),
    ];
    for (name, help, column) in columns {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for view in &views {
            let kind = match view.kind {
                crate::pacing::AccountKind::Campaign => "campaign",
                crate::pacing::AccountKind::LineItem => "line_item",
            };
            let labels = [("kind", kind), ("id", view.name.as_str())];
            ConstGauge::new(column(&view.lifetime).as_units()).encode(family.encode_family(&labels)?)?;
        }
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
    gauge(
        encoder,
        "holds_open",
        "Bids with money held",
        common.live.budgets.holds_open() as i64,
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
