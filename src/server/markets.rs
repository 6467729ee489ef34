//! `GET /api/v1/markets`: what bids win where, as shading has learnt it.

use super::clock;
use super::serve::Common;
use crate::engine::Snapshot;
use crate::shading::MarketView;
use serde_json::{Value, json};

/// All markets together first, then exchange by exchange, each before its placements. Prices are CPM of the accounting currency.
pub fn report(common: &Common) -> Value {
    let snapshot = common.snapshot.load();
    let mut views = common.live.markets.views();
    views.retain(|view| view.observed > 0);
    views.sort_by_key(|view| {
        let exchange = view.exchange.map(|_| exchange(&snapshot, view));
        (exchange, view.auction, view.format, view.placement)
    });
    let markets: Vec<_> = views.iter().map(|view| entry(&snapshot, view)).collect();
    json!({
        "at_ms": clock::now().0,
        "prices_in": snapshot.rates.accounting.as_str(),
        "markets": markets,
    })
}

fn entry(snapshot: &Snapshot, view: &MarketView) -> Value {
    let [tenth, half, nine_tenths] = view.prices.map(|price| price.as_units());
    let of_exchange = view.exchange.is_some();
    json!({
        "exchange": of_exchange.then(|| exchange(snapshot, view)),
        "auction": of_exchange.then_some(view.auction),
        "format": of_exchange.then(|| format(view.format)),
        "placement": view.placement,
        "observed": view.observed,
        "won": view.won,
        "win_rate": view.won as f64 / view.observed.max(1) as f64,
        "explored_one_in": view.explored_one_in,
        "cpm_that_wins": {"10%": tenth, "50%": half, "90%": nine_tenths},
    })
}

/// Its number where the configuration no longer has it.
fn exchange(snapshot: &Snapshot, view: &MarketView) -> String {
    let id = view.exchange.unwrap_or_default();
    let known = snapshot.exchange_by_id(id);
    known.map_or_else(|| format!("{:016x}", id.0), |known| known.settings.name.clone())
}

/// By `mtype`.
fn format(mtype: u8) -> &'static str {
    match mtype {
        1 => "banner",
        2 => "video",
        3 => "audio",
        _ => "native",
    }
}
