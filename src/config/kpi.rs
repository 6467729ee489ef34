//! `kpi = { … }` → what an event of a line item may cost, and how far bids may move for it.

use super::bid;
use super::document::{Node, Table};
use super::layers::Layers;
use super::money::Purse;
use crate::store::campaigns::definition::{BidStrategy, Kpi, KpiTarget};

pub(super) const KEYS: &[&str] = &["cpc", "cpa", "roas", "event", "order_value", "bounds"];

const TARGETS: [&str; 3] = ["cpc", "cpa", "roas"];
/// Half and twice the value: a model that is further off than that is to be mended, not steered.
const BOUNDS_MILLI: [u32; 2] = [500, 2000];

pub(super) fn read(levels: &Layers<'_>, bid: &BidStrategy, purse: &Purse<'_>) -> Option<Kpi> {
    let node = levels.get("kpi")?;
    let table = node.table(KEYS)?;
    if matches!(bid, BidStrategy::MaxClicks(_)) {
        node.problem(
            "`max_clicks` buys clicks as cheaply as its budget allows: there is nothing to steer",
            "remove `kpi`, or bid `{ cpc = … }`",
        );
    }
    let given: Vec<&str> = TARGETS
        .into_iter()
        .filter(|key| table.get(key).is_some())
        .collect();
    let [key] = given[..] else {
        node.problem(
            "a `kpi` has exactly one target",
            "write one of `cpc`, `cpa` and `roas`",
        );
        return None;
    };
    for (stray, of) in [("event", &["cpa", "roas"][..]), ("order_value", &["roas"][..])] {
        if !of.contains(&key)
            && let Some(node) = table.get(stray)
        {
            let of = of.join("` and `");
            node.problem(format!("`{stray}` belongs to `{of}`"), "remove it");
        }
    }
    let (target, bounds_milli) = (target(key, &table, bid, purse), bounds(&table));
    Some(Kpi {
        target: target?,
        bounds_milli: bounds_milli?,
    })
}

fn target(key: &str, table: &Table<'_>, bid: &BidStrategy, purse: &Purse<'_>) -> Option<KpiTarget> {
    let value = table.get(key)?;
    match key {
        "cpc" => purse.nanos(&value).map(KpiTarget::Cpc),
        "cpa" => {
            let (cost, event) = (purse.nanos(&value), bid::event(table));
            Some(KpiTarget::Cpa {
                event: event?,
                cost: cost?,
            })
        }
        _ => {
            let (ratio_milli, event) = (bid::ratio_milli(&value), bid::event(table));
            let order_value = match (table.get("order_value"), bid) {
                (None, BidStrategy::Roas { order_value, .. }) => Some(*order_value),
                _ => table
                    .need("order_value", "order_value = 60.00")
                    .and_then(|n| purse.nanos(&n)),
            };
            Some(KpiTarget::Roas {
                event: event?,
                ratio_milli: ratio_milli?,
                order_value: order_value?,
            })
        }
    }
}

fn bounds(table: &Table<'_>) -> Option<[u32; 2]> {
    let Some(node) = table.get("bounds") else {
        return Some(BOUNDS_MILLI);
    };
    let both = node.list(|n: &Node<'_>| n.number(0.1..=10.0));
    let [least, most] = both[..] else {
        node.problem("bounds are two factors", "write for example `[0.5, 2.0]`");
        return None;
    };
    if !(least <= 1.0 && 1.0 <= most && least < most) {
        node.problem(
            "these bounds leave no room around 1",
            "write the lower factor, then the upper one, such as `[0.5, 2.0]`",
        );
        return None;
    }
    Some([least, most].map(|factor| (factor * 1000.0).round() as u32))
}
