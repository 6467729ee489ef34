//! `campaigns/NAME.toml` → a campaign and its line items with every inherited value filled in.
//! Invariant: what a line item says overrides its campaign, which overrides the defaults of the advertiser.

use super::advertiser::{Owner, STATUSES};
use super::creative::Creatives;
use super::document::{Document, Node, Table};
use super::layers::Layers;
use super::line_item;
use super::names::{Names, resolve};
use super::problem::Report;
use super::{caps, quantity, reallocation};
use crate::store::campaigns::definition::{Campaign, Cap, CapLevel, Flight, Status};
use crate::units::{Limits, Spread, Timestamp};
use std::collections::{HashMap, HashSet};

/// Keys of `defaults`, campaign and line item alike.
#[rustfmt::skip]
pub(super) const SHARED_KEYS: &[&str] = &[
    "bid", "max_bid", "multiplier", "creatives", "targeting", "without_id", "deal_goal", "open_beside_deals", "roadblock",
    "pacing", "slot_in_pod", "ltv", "ltv_from", "kpi", "relevance",
    "suppress_buyers", "suppress_buyers_of", "back_off",
];
#[rustfmt::skip]
pub(super) const KEYS: &[&str] = &[
    "id", "name", "advertiser", "status", "budget", "flight", "caps", "line_item",
    "bid", "max_bid", "multiplier", "creatives", "targeting", "without_id", "deal_goal", "open_beside_deals", "roadblock",
    "pacing", "slot_in_pod", "ltv", "ltv_from", "kpi", "relevance", "exploration", "reallocation",
    "suppress_buyers", "suppress_buyers_of", "back_off",
];
pub(super) const BUDGET_KEYS: &[&str] = &["hourly", "daily", "lifetime"];

/// What campaigns refer to.
pub(super) struct References<'a> {
    pub owners: &'a [Owner<'a>],
    /// Index into `owners` by id.
    pub by_id: &'a HashMap<String, usize>,
    pub creatives: &'a Creatives,
    pub exchanges: &'a [&'a str],
    /// Items of catalogues.
    pub out_of_stock: &'a HashSet<String>,
    /// Where nothing is said.
    pub pacing: Spread,
    pub exploration: f64,
    pub now: Timestamp,
}

/// The ids that are taken so far.
pub(super) struct Ids {
    pub campaigns: Names,
    pub line_items: Names,
}

/// A campaign as its line items see it.
pub(super) struct Parent<'a> {
    pub owner: &'a Owner<'a>,
    pub advertiser: usize,
    pub budget: Limits,
    pub pacing: Spread,
    pub flight: Flight,
    pub caps: Vec<Cap>,
    pub levels: Layers<'a>,
}

impl Parent<'_> {
    pub fn is_paced(&self) -> bool {
        quantity::is_paced(&self.budget, self.pacing, self.flight)
    }
}

/// `None` where the campaign cannot be told from others or belongs to nobody.
pub(super) fn read(
    document: &Document,
    refs: &References<'_>,
    ids: &mut Ids,
    report: &Report,
) -> Option<Campaign> {
    let tree = document.parse(report);
    let table = Table::root(document, &tree, KEYS, report);
    let id = ids.campaigns.read(&table);
    let advertiser = table.need("advertiser", "advertiser = \"acme\"");
    let advertiser = *resolve(&advertiser?, "advertiser", refs.by_id)?;
    let owner = &refs.owners[advertiser];
    let levels = owner.defaults.with(Some(table.clone()));
    let parent = Parent {
        owner,
        advertiser,
        budget: budget(&table, owner),
        pacing: levels.maybe("pacing", quantity::spread).unwrap_or(refs.pacing),
        flight: flight(&table, owner, refs.now),
        caps: caps::merge(&owner.caps, table.get("caps").as_ref(), &CapLevel::Campaign),
        levels,
    };
    caps::check_groups(table.get("caps").as_ref(), advertiser, refs.creatives);
    let tables = table.tables("line_item", line_item::KEYS);
    if tables.is_empty() && table.get("line_item").is_none() {
        table.problem(
            "this campaign has no line item",
            "add `[[line_item]]` with `id`, `bid` and `creatives`",
        );
    }
    let line_items = tables
        .iter()
        .flat_map(|t| line_item::read(t, &parent, refs, &mut ids.line_items))
        .collect();
    let id = id?;
    Some(Campaign {
        name: table.read("name", id.clone(), Node::name),
        id,
        advertiser,
        status: table.read("status", Status::Active, |n| n.choice(STATUSES)),
        budget: parent.budget,
        pacing: parent.pacing,
        exploration: table.read("exploration", refs.exploration, quantity::exploration),
        reallocation: table
            .table("reallocation", reallocation::KEYS)
            .and_then(|rules| reallocation::read(&rules, &owner.purse)),
        flight: parent.flight,
        line_items,
    })
}

/// Money without a limit is a mistake more often than a wish, so a campaign always has one.
fn budget(table: &Table<'_>, owner: &Owner<'_>) -> Limits {
    let Some(node) = table.need("budget", "budget = { daily = 50.00 }") else {
        return Limits::default();
    };
    let Some(budget) = node.table(BUDGET_KEYS) else {
        return Limits::default();
    };
    if budget.get("daily").is_none() && budget.get("lifetime").is_none() {
        node.problem("this budget has no end", "add `daily` or `lifetime`");
    }
    owner.purse.limits(&budget)
}

fn flight(table: &Table<'_>, owner: &Owner<'_>, now: Timestamp) -> Flight {
    let Some(node) = table.get("flight") else {
        return Flight::default();
    };
    let flight = quantity::flight(&node, &owner.zone).unwrap_or_default();
    if flight.until.is_some_and(|until| until <= now) {
        node.note(
            "this flight is over: the campaign does not bid",
            "extend it, or set `status = \"ended\"`",
        );
    }
    flight
}
