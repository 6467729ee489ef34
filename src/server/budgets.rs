//! `GET /api/v1/budgets`: every campaign and line item with its money and why it does not bid more.

use super::clock;
use super::serve::Common;
use crate::engine::{LineItemStats, Snapshot};
use crate::events::booking::Flags;
use crate::openrtb::loss;
use crate::pacing::{Account, PeriodView};
use crate::store::campaigns::definition::{self, KpiTarget};
use crate::units::{Nanos, Spread, Timestamp};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// Reasons shown per line item.
const REASONS: usize = 5;

/// Amounts are decimal strings in units of the accounting currency, as JSON numbers would round them.
pub fn report(common: &Common) -> Value {
    let snapshot = common.snapshot.load();
    let now = clock::now();
    let campaigns: Vec<_> = (0..snapshot.campaigns.campaigns().len())
        .map(|position| campaign(&snapshot, position, now))
        .collect();
    json!({
        "currency": snapshot.rates.accounting.as_str(),
        "at_ms": now.0,
        "books_open": common.books.is_open(),
        "leases": leases(common),
        "holds": holds(common, &snapshot),
        "alarms": alarms(common),
        "campaigns": campaigns,
    })
}

/// What is set aside for bids of a process that ended without giving its leases back is free again after
/// `quarantined_until_ms`.
fn leases(common: &Common) -> Value {
    let counts = common.books.lease_counts().unwrap_or_default();
    json!({
        "lease": common.live.budgets.lease(),
        "quarantined_limits": counts.quarantined,
        "quarantined_until_ms": common.live.budgets.quarantined_until().map(|until| until.0),
        "changed": counts.changed,
        "failed": counts.failed,
        "answering": counts.answering,
    })
}

/// How long wins take to become known, and how long money is held for that; `hold_s` is absent while it is not learnt.
fn holds(common: &Common, snapshot: &Snapshot) -> Vec<Value> {
    let format = |mtype: u8| ["", "banner", "video", "audio", "native"][usize::from(mtype)];
    let all = common.live.budgets.hold_times().all().into_iter();
    all.filter_map(|hold| {
        let exchange = snapshot.exchange_by_id(hold.exchange)?;
        Some(json!({
            "exchange": exchange.settings.name,
            "format": format(hold.format),
            "hold_s": hold.hold_s.filter(|_| exchange.settings.learn_win_hold),
            "configured_s": exchange.settings.win_hold_s,
            "samples": hold.samples,
            "p999_ms": hold.p999_ms,
        }))
    })
    .collect()
}

/// What should never happen, counted since the start; nothing where all is well.
fn alarms(common: &Common) -> serde_json::Map<String, Value> {
    let Some(desk) = common.books.desk() else {
        return serde_json::Map::new();
    };
    let counts = desk.counts();
    let flag = |flag: Flags| {
        let place = Flags::NAMES.iter().position(|(known, _)| *known == flag);
        place.map_or(0, |place| counts.flags[place].load(Ordering::Relaxed))
    };
    let mut alarms = vec![
        ("price_above_bid".to_owned(), flag(Flags::ABOVE_BID)),
        ("unmatched".to_owned(), flag(Flags::UNMATCHED)),
    ];
    for ((code, name), count) in loss::CODES.iter().zip(&counts.losses) {
        if loss::is_fault(*code) {
            alarms.push((format!("lost_{name}"), count.load(Ordering::Relaxed)));
        }
    }
    alarms
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| (name, Value::from(count)))
        .collect()
}

fn campaign(snapshot: &Snapshot, position: usize, now: Timestamp) -> Value {
    let campaign = &snapshot.campaigns.campaigns()[position];
    let advertiser = &snapshot.campaigns.advertisers()[campaign.advertiser];
    let items: Vec<_> = campaign
        .line_items
        .iter()
        .map(|&item| line_item(snapshot, item as usize, now))
        .collect();
    let money = campaign
        .line_items
        .first()
        .map(|&item| &snapshot.ready[item as usize].campaign_account);
    json!({
        "id": campaign.definition.id,
        "advertiser": advertiser.definition.id,
        "status": format!("{:?}", campaign.definition.status).to_lowercase(),
        "money": money.map(|account| account_money(account, snapshot.day_gone(campaign.advertiser, now), now)),
        "line_items": items,
    })
}

fn line_item(snapshot: &Snapshot, position: usize, now: Timestamp) -> Value {
    let item = &snapshot.campaigns.line_items()[position];
    let ready = &snapshot.ready[position];
    let mut value = json!({
        "id": item.definition.id,
        "serving": item.serving && item.flight.contains(now),
        "money": account_money(&ready.account, snapshot.day_gone(item.advertiser, now), now),
    });
    let object = value.as_object_mut().expect("an object was just made");
    object.insert(
        "kpi".to_owned(),
        item.definition
            .kpi
            .as_ref()
            .and_then(|of| kpi(of, &ready.account))
            .into(),
    );
    if let Some(view) = ready.account.delay_view() {
        object.insert(
            "delay".to_owned(),
            json!({"expected_s": view.delay_s, "kept": view.kept}),
        );
    }
    object.extend(activity(&ready.stats));
    value
}

/// What an event may cost and does, over the last days; `factor` is what values are multiplied by for it.
fn kpi(of: &definition::Kpi, account: &Account) -> Option<Value> {
    let view = account.kpi_view()?;
    let units = |nanos: f64| Nanos(nanos as i64).to_string();
    let (metric, event, target, achieved) = match &of.target {
        KpiTarget::Cpc(cost) => ("cpc", None, cost.to_string(), view.achieved().map(units)),
        KpiTarget::Cpa { event, cost } => ("cpa", Some(event), cost.to_string(), view.achieved().map(units)),
        KpiTarget::Roas {
            event, ratio_milli, ..
        } => {
            let ratio = |ratio: f64| format!("{ratio:.3}");
            let target = ratio(f64::from(*ratio_milli) / 1000.0);
            ("roas", Some(event), target, view.achieved().map(ratio))
        }
    };
    Some(json!({
        "metric": metric,
        "event": event,
        "target": target,
        "achieved": achieved,
        "factor": view.factor,
        "bounds": of.bounds_milli.map(|factor| f64::from(factor) / 1000.0),
        "cost": view.cost.to_string(),
        "delay_s": view.delay_s,
    }))
}

fn activity(stats: &LineItemStats) -> serde_json::Map<String, Value> {
    let (bids, wins) = (
        stats.bids.load(Ordering::Relaxed),
        stats.wins.load(Ordering::Relaxed),
    );
    let last_bid = stats.last_bid.load(Ordering::Relaxed);
    let reasons: Vec<_> = stats
        .top_reasons(REASONS)
        .into_iter()
        .map(|(reason, count)| json!({"reason": reason.name(), "count": count}))
        .collect();
    let fields = json!({
        "bids": bids,
        "wins": wins,
        "losses": stats.losses.load(Ordering::Relaxed),
        "win_rate": (bids > 0).then(|| wins as f64 / bids as f64),
        "last_bid_ms": (last_bid > 0).then_some(last_bid),
        "no_bid_reasons": reasons,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => unreachable!("an object was just made"),
    }
}

fn account_money(account: &Account, day_gone: f64, now: Timestamp) -> Value {
    let view = account.view(now);
    json!({
        "hour": period(&view.hour),
        "day": period(&view.day),
        "lifetime": period(&view.lifetime),
        "leased": view.lease_free().map(|free| free.to_string()),
        "quarantined": view.quarantined().to_string(),
        "pace": pace(&view.day, day_gone),
        "pacing": pacing(account, now),
    })
}

fn period(view: &PeriodView) -> Value {
    let amount = |nanos: Nanos| nanos.to_string();
    json!({
        "limit": view.limit.map(amount),
        "spent": amount(view.spent),
        "reserved": amount(view.reserved),
        "granted": view.granted.map(amount),
        "quarantined": amount(view.quarantined),
        "late": amount(view.late),
        "debt": amount(view.debt),
        "free": view.limit.map(|_| amount(view.free)),
        "used_by_others": amount(view.used_by_others),
    })
}

/// How the money is spread, and what that does to bids now: values are multiplied by `multiplier`, and by `stretch` before they are
/// shaded. `planned` is the share of the
/// day's money that is meant to be gone by now; it is absent where nothing is paced.
fn pacing(account: &Account, now: Timestamp) -> Value {
    let pace = account.pace_view(now);
    if pace.spread == Spread::AsFastAsPossible {
        return json!({"spread": pace.spread.name(), "multiplier": 1.0});
    }
    json!({
        "spread": pace.spread.name(),
        "multiplier": pace.multiplier,
        "stretch": pace.stretch,
        "planned": pace.planned,
        "in_flight": pace.in_flight.to_string(),
        "a_second": pace.rate.to_string(),
        "won_share": pace.won_share,
    })
}

/// The share of the day's money that is gone over the share of the day that is gone: 1.0 = evenly on plan.
fn pace(day: &PeriodView, day_gone: f64) -> Option<f64> {
    let limit = day.limit.filter(|limit| *limit > Nanos::ZERO)?;
    let used = (day.spent + day.late).as_units() / limit.as_units();
    (day_gone > 0.0).then(|| (used / day_gone * 1000.0).round() / 1000.0)
}
