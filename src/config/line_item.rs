//! `[[line_item]]` → line items with their inherited values, and one more for each region that overrides them.
//!
//! A regional override `ID@CAN` is a line item of its own that is targeted at that region, which `ID` then leaves out.
//! It spends from the budget of `ID` and counts against its caps (`part_of`), so an override never adds money.

use super::advertiser::STATUSES;
use super::campaign::{BUDGET_KEYS, Parent, References, SHARED_KEYS};
use super::creative::Creatives;
use super::document::{Node, Table};
use super::layers::Layers;
use super::names::{Names, resolve};
use super::{bid, caps, fatigue, kpi, quantity, targeting};
use crate::store::campaigns::definition::{
    CapLevel, Flight, LineItem, Multiplier, PodSlot, Status, Targeting, Terms, WithoutId,
};
use crate::units::Limits;

#[rustfmt::skip]
pub(super) const KEYS: &[&str] = &[
    "id", "status", "budget", "flight", "caps", "region", "items",
    "bid", "max_bid", "multiplier", "creatives", "targeting", "without_id", "deal_goal", "open_beside_deals", "roadblock",
    "pacing", "slot_in_pod", "ltv", "ltv_from", "kpi", "relevance",
    "suppress_buyers", "suppress_buyers_of", "back_off",
];
pub(super) const POD_SLOTS: &[(&str, PodSlot)] = &[
    ("first", PodSlot::First),
    ("last", PodSlot::Last),
    ("first-or-last", PodSlot::FirstOrLast),
];
pub(super) const REGION_KEYS: &[&str] = &["country", "region", "bid", "max_bid", "creatives"];

/// The line item and its regional parts; none where its id cannot be used.
pub(super) fn read(
    table: &Table<'_>,
    parent: &Parent<'_>,
    refs: &References<'_>,
    ids: &mut Names,
) -> Vec<LineItem> {
    let id = ids.read(table);
    let levels = parent.levels.with(Some(table.clone()));
    let line_item = read_one(table, &levels, parent, refs);
    caps::check_groups(table.get("caps").as_ref(), parent.advertiser, refs.creatives);
    let Some(id) = id else { return Vec::new() };
    let whole = LineItem { id, ..line_item };
    split_regions(whole, table, &levels, parent, refs, ids)
}

fn read_one(table: &Table<'_>, levels: &Layers<'_>, parent: &Parent<'_>, refs: &References<'_>) -> LineItem {
    let (budget, flight) = (budget(table, parent), flight(table, parent));
    let pacing = levels.maybe("pacing", quantity::spread).unwrap_or(refs.pacing);
    let is_paced = parent.is_paced() || quantity::is_paced(&budget, pacing, flight);
    let purse = &parent.owner.purse;
    let bid = bid::read(table, levels, purse, is_paced);
    LineItem {
        id: String::new(),
        part_of: None,
        status: table.read("status", Status::Active, |n| n.choice(STATUSES)),
        budget,
        pacing,
        flight,
        in_stock: in_stock(table, refs),
        targeting: targeting::read(&levels.table("targeting", targeting::KEYS), refs.exchanges),
        kpi: kpi::read(levels, &bid, purse),
        bid,
        ltv: bid::lifetime_value(levels, purse),
        relevance: bid::relevance(levels),
        max_bid: levels.maybe("max_bid", |n| purse.cpm(n)),
        multipliers: multipliers(levels, refs.exchanges),
        caps: caps::merge(&parent.caps, table.get("caps").as_ref(), &CapLevel::LineItem),
        suppressions: fatigue::suppressions(levels, parent.owner, refs.owners),
        back_off: levels.maybe("back_off", fatigue::back_off),
        without_id: levels.maybe("without_id", without_id).unwrap_or_default(),
        creatives: creatives(table, levels, parent.advertiser, refs.creatives),
        deliver_deals: levels.maybe("deal_goal", deal_goal).unwrap_or(false),
        open_beside_deals: levels.maybe("open_beside_deals", Node::boolean).unwrap_or(false),
        roadblock: levels.maybe("roadblock", Node::boolean).unwrap_or(false),
        slot_in_pod: levels.maybe("slot_in_pod", |n| n.choice(POD_SLOTS)),
    }
}

/// A limit that the campaign's never lets it reach is a mistake of one of the two.
fn budget(table: &Table<'_>, parent: &Parent<'_>) -> Limits {
    let Some(node) = table.get("budget") else {
        return Limits::default();
    };
    let Some(budget) = node.table(BUDGET_KEYS) else {
        return Limits::default();
    };
    let limits = parent.owner.purse.limits(&budget);
    let by_period = |l: &Limits| [("hourly", l.hourly), ("daily", l.daily), ("lifetime", l.lifetime)];
    for (i, (period, own)) in by_period(&limits).into_iter().enumerate() {
        let above = by_period(&parent.budget)
            .into_iter()
            .skip(i)
            .find(|(_, limit)| own > *limit && limit.is_some());
        if let (Some(own), Some((longer, Some(limit))), Some(node)) = (own, above, budget.get(period)) {
            let what = format!("the {period} budget {own} is above the campaign's {longer} budget {limit}");
            node.problem(what, "lower it or raise the campaign's");
        }
    }
    limits
}

/// A line item whose items are all out of stock does not bid; what it leaves of the campaign's budget is the others'.
fn in_stock(table: &Table<'_>, refs: &References<'_>) -> bool {
    let items = table.list("items", Node::name);
    let in_stock = items.is_empty() || items.iter().any(|item| !refs.out_of_stock.contains(item));
    if let (false, Some(node)) = (in_stock, table.get("items")) {
        node.note(
            "none of these items is in stock: the line item does not bid",
            "it bids again once stock.toml does not name all of them",
        );
    }
    in_stock
}

/// What is common to the line item's own flight and the campaign's.
fn flight(table: &Table<'_>, parent: &Parent<'_>) -> Flight {
    let Some(node) = table.get("flight") else {
        return parent.flight;
    };
    let Some(own) = quantity::flight(&node, &parent.owner.zone) else {
        return parent.flight;
    };
    let common = own.intersection(parent.flight);
    if common
        .from
        .zip(common.until)
        .is_some_and(|(from, until)| until <= from)
    {
        node.problem("this flight does not meet the campaign's", "let the two overlap");
    }
    common
}

fn multipliers(levels: &Layers<'_>, exchanges: &[&str]) -> Vec<Multiplier> {
    let tables = levels.tables("multiplier", &["factor", "when"]);
    tables
        .iter()
        .filter_map(|table| read_multiplier(table, exchanges))
        .collect()
}

fn read_multiplier(table: &Table<'_>, exchanges: &[&str]) -> Option<Multiplier> {
    let factor = table
        .need("factor", "factor = 1.30")
        .and_then(|n| n.number(0.1..=10.0));
    table.need("when", "when = { hours = [\"mon-fri 08-12\"] }");
    let when = table.table("when", targeting::KEYS)?;
    let when = targeting::read(&Layers::of(when), exchanges);
    Some(Multiplier {
        when,
        factor_milli: (factor? * 1000.0).round() as u32,
    })
}

fn without_id(node: &Node<'_>) -> Option<WithoutId> {
    node.choice(&[("bid", WithoutId::Bid), ("no_bid", WithoutId::NoBid)])
}

fn deal_goal(node: &Node<'_>) -> Option<bool> {
    node.choice(&[("deliver", true), ("value", false)])
}

fn creatives(table: &Table<'_>, levels: &Layers<'_>, advertiser: usize, known: &Creatives) -> Vec<String> {
    let Some(node) = levels.get("creatives") else {
        table.need("creatives", "creatives = [\"spring\"]");
        return Vec::new();
    };
    let mut indices: Vec<usize> = node
        .list(|n| owned(n, advertiser, known))
        .into_iter()
        .flatten()
        .collect();
    indices.sort_unstable();
    indices.dedup();
    if node.value().as_array().is_some_and(|list| list.is_empty()) {
        node.problem("there is nothing to show", "name at least one creative");
    }
    indices
        .into_iter()
        .map(|index| known.all[index].id.clone())
        .collect()
}

/// The creatives that an id stands for, all of them of this advertiser.
fn owned(node: &Node<'_>, advertiser: usize, known: &Creatives) -> Option<Vec<usize>> {
    let indices = resolve(node, "creative", &known.by_id)?;
    if indices
        .iter()
        .any(|index| known.all[*index].advertiser != advertiser)
    {
        node.problem(
            "this creative belongs to another advertiser",
            "name one of the campaign's advertiser",
        );
        return None;
    }
    Some(indices.clone())
}

fn split_regions(
    mut rest: LineItem,
    table: &Table<'_>,
    levels: &Layers<'_>,
    parent: &Parent<'_>,
    refs: &References<'_>,
    ids: &mut Names,
) -> Vec<LineItem> {
    let mut parts = Vec::new();
    for region in table.tables("region", REGION_KEYS) {
        let Some((places, node)) = places(&region) else {
            continue;
        };
        let id = format!("{}@{}", rest.id, places.values().join("+"));
        if !ids.claim(&id, &node) {
            continue;
        }
        // The override is one more level: what it does not name is the line item's.
        let levels = levels.with(Some(region.clone()));
        let is_paced = parent.is_paced() || quantity::is_paced(&rest.budget, rest.pacing, rest.flight);
        let mut part = LineItem {
            id,
            part_of: Some(rest.id.clone()),
            bid: bid::read(table, &levels, &parent.owner.purse, is_paced),
            max_bid: levels.maybe("max_bid", |n| parent.owner.purse.cpm(n)),
            creatives: creatives(table, &levels, parent.advertiser, refs.creatives),
            ..rest.clone()
        };
        places.narrow(&mut part.targeting, &node);
        places.exclude(&mut rest.targeting);
        parts.push(part);
    }
    parts.insert(0, rest);
    parts
}

/// Where an override holds.
enum Places {
    Countries(Vec<String>),
    Regions(Vec<String>),
}

fn places<'a>(table: &Table<'a>) -> Option<(Places, Node<'a>)> {
    let (places, node) = match (table.get("country"), table.get("region")) {
        (Some(node), None) => (Places::Countries(node.list(quantity::country)), node),
        (None, Some(node)) => (Places::Regions(node.list(Node::name)), node),
        _ => {
            table.problem(
                "an override names one of `country` and `region`",
                "write for example `country = [\"CAN\"]`",
            );
            return None;
        }
    };
    if places.values().is_empty() {
        node.problem("this override holds nowhere", "name at least one place");
        return None;
    }
    if !SHARED_KEYS
        .iter()
        .any(|key| REGION_KEYS.contains(key) && table.get(key).is_some())
    {
        table.problem(
            "this override changes nothing",
            "add `bid`, `max_bid` or `creatives`",
        );
    }
    Some((places, node))
}

impl Places {
    fn values(&self) -> &[String] {
        match self {
            Places::Countries(values) | Places::Regions(values) => values,
        }
    }

    fn terms<'t>(&self, targeting: &'t mut Targeting) -> &'t mut Terms<String> {
        match self {
            Places::Countries(_) => &mut targeting.country,
            Places::Regions(_) => &mut targeting.region,
        }
    }

    /// Only these places, each of which the line item has to reach without the override.
    fn narrow(&self, targeting: &mut Targeting, node: &Node<'_>) {
        let terms = self.terms(targeting);
        for place in self.values() {
            let reached = terms.include.is_empty() || terms.include.contains(place);
            if !reached || terms.exclude.contains(place) {
                let fix =
                    "add it to the targeting, or remove the override or the earlier one of the same place";
                node.problem(format!("the line item does not reach `{place}`"), fix);
            }
        }
        terms.include = self.values().to_vec();
    }

    fn exclude(&self, targeting: &mut Targeting) {
        self.terms(targeting).exclude.extend_from_slice(self.values());
    }
}
