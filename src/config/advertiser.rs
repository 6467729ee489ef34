//! `advertisers/NAME.toml` → one advertiser, and the defaults that its campaigns inherit.

use super::campaign::SHARED_KEYS;
use super::document::{Node, Table};
use super::layers::Layers;
use super::money::Purse;
use super::names::Names;
use super::{caps, fatigue, quantity};
use crate::store::campaigns::definition::{Advertiser, Cap, CapLevel, Status};
use jiff::tz::TimeZone;

pub(super) const KEYS: &[&str] = &[
    "id",
    "name",
    "domain",
    "categories",
    "cattax",
    "time_zone",
    "currency",
    "status",
    "caps",
    "do_not_disturb",
    "defaults",
];

pub(super) const STATUSES: &[(&str, Status)] = &[
    ("active", Status::Active),
    ("paused", Status::Paused),
    ("ended", Status::Ended),
];

/// What campaigns take from their advertiser.
pub(super) struct Owner<'a> {
    pub advertiser: Advertiser,
    pub zone: TimeZone,
    pub purse: Purse<'a>,
    pub caps: Vec<Cap>,
    /// Where they stand.
    pub caps_node: Option<Node<'a>>,
    pub defaults: Layers<'a>,
}

/// `None` where the id cannot be used: nothing can refer to such an advertiser.
pub(super) fn read<'a>(table: &Table<'a>, site: &Site<'a>, ids: &mut Names) -> Option<Owner<'a>> {
    let cattax = table.read("cattax", 1, |n| n.integer(1..=1000));
    let zone = table
        .maybe("time_zone", quantity::time_zone)
        .unwrap_or_else(|| site.zone.clone());
    let currency = table.read("currency", site.accounting.currency, quantity::currency);
    let id = ids.read(table);
    let advertiser = Advertiser {
        id: id.clone().unwrap_or_default(),
        name: table.read("name", id.clone().unwrap_or_default(), Node::name),
        domain: table
            .need("domain", "domain = \"shop.example\"")
            .and_then(|n| quantity::domain(&n))
            .unwrap_or_default(),
        categories: table.list("categories", |n| quantity::category(n, cattax)),
        cattax,
        time_zone: zone.iana_name().unwrap_or("UTC").to_owned(),
        do_not_disturb: table.maybe("do_not_disturb", fatigue::do_not_disturb),
        status: table.read("status", Status::Active, |n| n.choice(STATUSES)),
    };
    check_rate(
        table,
        &Purse {
            currency,
            ..site.accounting
        },
    );
    id?;
    Some(Owner {
        advertiser,
        zone,
        purse: Purse {
            currency,
            ..site.accounting
        },
        caps: caps::merge(&[], table.get("caps").as_ref(), &CapLevel::Advertiser),
        caps_node: table.get("caps"),
        defaults: Layers::default().with(table.table("defaults", SHARED_KEYS)),
    })
}

/// What an advertiser takes from the installation.
pub(super) struct Site<'a> {
    pub zone: TimeZone,
    pub accounting: Purse<'a>,
}

fn check_rate(table: &Table<'_>, purse: &Purse<'_>) {
    if let (Some(node), None) = (
        table.get("currency"),
        purse.rates.get(purse.currency, purse.rates.at),
    ) {
        node.problem(
            format!("there is no rate for {}", purse.currency),
            "add it to rates.toml",
        );
    }
}
