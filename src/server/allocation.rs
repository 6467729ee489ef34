//! `/api/v1/allocation`: what sources brought, what is tried, and by which weights money moves; a person's word on a weight.

use super::approvals::{refusal, say};
use super::clock;
use super::serve::Common;
use crate::allocation::{Slice, Source, Sums, WeightView};
use crate::engine::{Live, Snapshot, reallocate};
use crate::events::books::Word;
use crate::units::{Nanos, ObjectId, Timestamp};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

/// Rules have periods of an hour and more.
const REVIEW_MS: i64 = 60_000;
/// Trials are weighed up this often, as [`Exploration::step`](crate::allocation::Exploration::step) wants it.
const STEP_MS: i64 = Timestamp::MS_PER_HOUR;
/// Sources shown: those that cost most.
const SHOWN_MAX: usize = 1_000;

/// What the control thread does of it, and when.
#[derive(Default)]
pub struct Schedule {
    reviewed_at: Timestamp,
    stepped_at: Timestamp,
}

impl Schedule {
    pub fn tick(&mut self, snapshot: &Snapshot, live: &Live, now: Timestamp) {
        if now.since(self.reviewed_at) >= REVIEW_MS {
            self.reviewed_at = now;
            for (campaign, view) in reallocate(snapshot, live, now) {
                let (slice, cause) = (name(snapshot, view.slice), view.cause.name());
                let campaign = snapshot
                    .campaigns
                    .campaign(campaign)
                    .map(|known| known.definition.id.as_str());
                tracing::info!(
                    campaign,
                    slice,
                    weight = view.weight,
                    cause,
                    proposed = view.proposal.map(|p| p.weight),
                    "money moves"
                );
            }
        }
        if now.since(self.stepped_at) >= STEP_MS {
            self.stepped_at = now;
            live.allocation.sources.sweep(now);
            live.allocation
                .explorations()
                .iter()
                .for_each(|(_, exploration)| exploration.step());
        }
    }
}

/// `POST /api/v1/allocation`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    /// As the report names it.
    slice: String,
    #[serde(rename = "do")]
    act: Act,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Act {
    /// Uses the weight that is proposed.
    Approve,
    /// Takes the weight, the rest or the proposal away.
    Reset,
}

/// Amounts are decimal strings in units of the accounting currency; times milliseconds since 1970. Sums fade: half in a week.
pub fn report(common: &Common) -> Value {
    let snapshot = common.snapshot.load();
    let (now, allocation) = (clock::now(), &common.live.allocation);
    let mut sources = allocation.sources.all(now);
    sources.sort_by(|(_, a), (_, b)| b.cost.total_cmp(&a.cost));
    let shown = sources
        .iter()
        .take(SHOWN_MAX)
        .map(|(at, sums)| source(&snapshot, at, sums));
    let trials = snapshot.campaigns.campaigns().iter().map(|campaign| {
        let exploration = allocation.exploration(campaign.id);
        let (share, known, tried) = exploration.view();
        json!({
            "campaign": campaign.definition.id,
            "reserve": campaign.definition.exploration,
            "share_wanted": share,
            "chance": exploration.chance(),
            "known": { "cost": amount(known.cost), "clicks": known.clicks },
            "tried": { "cost": amount(tried.cost), "clicks": tried.clicks },
        })
    });
    json!({
        "at_ms": now.0,
        "sources_known": sources.len(),
        "sources": shown.collect::<Vec<_>>(),
        "trials": trials.collect::<Vec<_>>(),
        "weights": allocation.weights.views().iter().map(|view| weight(&snapshot, view)).collect::<Vec<_>>(),
    })
}

/// A person's word on a slice: 404 where nothing was decided or proposed about it.
pub async fn decide(common: &Common, body: &[u8]) -> (StatusCode, Value) {
    let decision: Decision = match serde_json::from_slice(body) {
        Ok(decision) => decision,
        Err(error) => {
            let right = r#"{"slice": "LINE_ITEM/exchange:NAME", "do": "approve"} (or "reset")"#;
            return refusal(StatusCode::BAD_REQUEST, &format!("{error}; send {right}"));
        }
    };
    let named = {
        let snapshot = common.snapshot.load();
        let views = common.live.allocation.weights.views().into_iter();
        let mut slices = views.map(|view| view.slice);
        slices.find(|slice| name(&snapshot, *slice) == decision.slice)
    };
    let Some(slice) = named else {
        let what = format!(
            "nothing was decided about `{}`: `outbid allocation` lists what was",
            decision.slice
        );
        return refusal(StatusCode::NOT_FOUND, &what);
    };
    let word = match decision.act {
        Act::Approve => Word::Approve(slice),
        Act::Reset => Word::Reset(slice),
    };
    match say(common, word).await {
        Ok(true) => (StatusCode::OK, json!({"status": "done", "slice": decision.slice})),
        Ok(false) => {
            let what = format!("no weight is proposed for `{}`", decision.slice);
            refusal(StatusCode::NOT_FOUND, &what)
        }
        Err(what) => refusal(StatusCode::SERVICE_UNAVAILABLE, &what),
    }
}

fn source(snapshot: &Snapshot, source: &Source, sums: &Sums) -> Value {
    let events = sums.events.iter().filter(|(name, ..)| *name != 0);
    let events: Vec<_> = events
        .map(|(name, count, value)| json!({ "event": event_name(snapshot, *name), "count": count, "value": amount(*value) }))
        .collect();
    json!({
        "line_item": line_item(snapshot, source.line_item),
        "exchange": exchange(snapshot, source.exchange),
        "format": format_name(source.format),
        "placement": placement(source.placement),
        "impressions": sums.impressions,
        "clicks": sums.clicks,
        "cost": amount(sums.cost),
        "events": events,
    })
}

fn weight(snapshot: &Snapshot, view: &WeightView) -> Value {
    json!({
        "slice": name(snapshot, view.slice),
        "weight": view.weight,
        "rests_until_ms": view.rests_until.map(|until| until.0),
        "proposed": view.proposal.map(|proposal| proposal.weight),
        "cause": view.cause.name(),
        "since_ms": view.since.0,
    })
}

/// As people name it: `LINE_ITEM`, `LINE_ITEM/exchange:NAME`, `/format:NAME`, `/placement:EXCHANGE:HEX`.
fn name(snapshot: &Snapshot, slice: Slice) -> String {
    let item = line_item(snapshot, slice.line_item());
    match slice {
        Slice::LineItem(_) => item,
        Slice::Exchange(_, id) => format!("{item}/exchange:{}", exchange(snapshot, id)),
        Slice::Format(_, format) => format!("{item}/format:{}", format_name(format)),
        Slice::Placement(_, id, place) => {
            format!("{item}/placement:{}:{}", exchange(snapshot, id), placement(place))
        }
    }
}

fn line_item(snapshot: &Snapshot, id: ObjectId) -> String {
    let known = snapshot.campaigns.line_item(id);
    known.map_or_else(|| hex(id.0), |item| item.definition.id.clone())
}

fn exchange(snapshot: &Snapshot, id: ObjectId) -> String {
    let known = snapshot.exchange_by_id(id);
    known.map_or_else(|| hex(id.0), |exchange| exchange.settings.name.clone())
}

/// The names that rules ask for are known; of others only the hash is.
fn event_name(snapshot: &Snapshot, hash: u64) -> String {
    let rules = snapshot.campaigns.campaigns().iter();
    let rules = rules.filter_map(|campaign| campaign.definition.reallocation.as_ref());
    let mut names = rules.flat_map(|rules| {
        let retention = rules.retention.as_ref().map(|rule| &rule.event);
        std::iter::once(&rules.event).chain(retention)
    });
    names
        .find(|name| ObjectId::of(name).0 == hash)
        .map_or_else(|| hex(hash), Clone::clone)
}

fn format_name(format: u8) -> &'static str {
    ["other", "banner", "video", "audio", "native"]
        .get(usize::from(format))
        .copied()
        .unwrap_or("other")
}

fn placement(placement: u16) -> String {
    format!("{placement:04x}")
}

fn hex(id: u64) -> String {
    format!("{id:016x}")
}

fn amount(nanos: f64) -> String {
    // Fading makes fractions of a millionth.
    Nanos((nanos / 1000.0).round() as i64 * 1000).to_string()
}
