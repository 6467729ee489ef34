//! `[reallocation]` of a campaign → the rules by which its money moves between its sources.

use super::document::{Node, Table};
use super::money::Purse;
use super::quantity;
use crate::store::campaigns::definition::{LtvRule, Reallocation, RetentionRule, RoiRule};
use std::ops::RangeInclusive;
use std::time::Duration;

pub(super) const KEYS: &[&str] = &[
    "every",
    "event",
    "conversions_min",
    "cac_max",
    "approve_above",
    "ltv_by_cost",
    "roi",
    "retention",
    "pause",
];
pub(super) const LTV_KEYS: &[&str] = &["ltv", "more_over", "less_under", "step"];
pub(super) const ROI_KEYS: &[&str] = &["more_over", "step", "target"];
pub(super) const RETENTION_KEYS: &[&str] = &["event", "floor", "ctr_over", "step"];

/// A step of more than half would swing; one of less than a percent moves nothing.
const STEPS: RangeInclusive<f64> = 0.01..=0.5;
const RATIOS: RangeInclusive<f64> = 0.0..=1000.0;
const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn read(table: &Table<'_>, purse: &Purse<'_>) -> Option<Reallocation> {
    let event = table
        .need("event", "event = \"purchase\"")
        .and_then(|n| quantity::id(&n))?;
    let ltv = table
        .table("ltv_by_cost", LTV_KEYS)
        .map(|rule| read_ltv(&rule, purse));
    let roi = table.table("roi", ROI_KEYS).map(|rule| RoiRule {
        more_over: rule.read("more_over", 1.5, |n| n.number(RATIOS)),
        step: rule.read("step", 0.3, |n| n.number(STEPS)),
        target: rule.maybe("target", |n| n.number(-1.0..=1000.0)),
    });
    let retention = table
        .table("retention", RETENTION_KEYS)
        .and_then(|rule| read_retention(&rule));
    if ltv.is_none() && roi.is_none() && retention.is_none() {
        table.problem(
            "there is no rule to move money by",
            "add `ltv_by_cost`, `roi` or `retention`, for example `roi = { target = 0.2 }`",
        );
    }
    Some(Reallocation {
        every_s: seconds(table, "every", DAY, Duration::from_secs(3600)..=30 * DAY),
        event,
        conversions_min: table.read("conversions_min", 20, |n| n.integer(1..=1_000_000)),
        cac_max: table.maybe("cac_max", |n| purse.nanos(n)),
        approve_above: table.read("approve_above", 2.0, |n| n.number(1.0..=3.0)),
        ltv,
        roi,
        retention,
        pause_s: seconds(table, "pause", 7 * DAY, Duration::from_secs(3600)..=365 * DAY),
    })
}

fn read_ltv(rule: &Table<'_>, purse: &Purse<'_>) -> LtvRule {
    let read = LtvRule {
        ltv: rule.maybe("ltv", |n| purse.nanos(n)),
        more_over: rule.read("more_over", 3.0, |n| n.number(RATIOS)),
        less_under: rule.read("less_under", 1.0, |n| n.number(RATIOS)),
        step: rule.read("step", 0.2, |n| n.number(STEPS)),
    };
    if read.less_under >= read.more_over {
        rule.problem(
            "a slice would get more and less at once",
            "let `less_under` be below `more_over`, for example 1.0 and 3.0",
        );
    }
    read
}

fn read_retention(rule: &Table<'_>) -> Option<RetentionRule> {
    let event = rule
        .need("event", "event = \"day7\"")
        .and_then(|n| quantity::id(&n))?;
    Some(RetentionRule {
        event,
        floor: rule.read("floor", 0.2, |n| n.number(0.0..=1.0)),
        ctr_over: rule.read("ctr_over", 1.5, |n| n.number(1.0..=100.0)),
        step: rule.read("step", 0.2, |n| n.number(STEPS)),
    })
}

fn seconds(table: &Table<'_>, key: &str, default: Duration, range: RangeInclusive<Duration>) -> u32 {
    let read = |n: &Node<'_>| quantity::duration(n, range.clone());
    table.read(key, default, read).as_secs() as u32
}
