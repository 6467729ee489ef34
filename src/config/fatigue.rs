//! When a person has had enough of an ad: buyers, people who never click, and hours in which nobody is disturbed.
//! Invariant: what is switched off at a lower level is absent, not zero.

use super::advertiser::Owner;
use super::caps::{parse_window, show_window};
use super::document::{Node, Table};
use super::hours;
use super::layers::Layers;
use super::quantity;
use crate::openrtb::category;
use crate::store::campaigns::definition::{BackOff, Hours, Sellers, Suppression};
use serde_json::{Value, json};

pub(super) const SUPPRESS_KEYS: &[&str] = &["for", "event"];
pub(super) const SUPPRESS_OF_KEYS: &[&str] = &["category", "for", "event"];
pub(super) const BACK_OFF_KEYS: &[&str] = &["after", "pause"];

/// The conversion that makes a buyer where nothing else is said.
const BOUGHT: &str = "purchase";
/// Takes back what a higher level says.
const OFF: &str = "off";
/// Each keeps a moment for every impression of every user: a longer patience is none.
const AFTER_MAX: i64 = 100;

/// `suppress_buyers` and `suppress_buyers_of` of a line item whose advertiser is `own`; `owners` are all advertisers.
pub(super) fn suppressions(levels: &Layers<'_>, own: &Owner<'_>, owners: &[Owner<'_>]) -> Vec<Suppression> {
    let of_own = levels.maybe("suppress_buyers", of_own);
    let of_category = levels.get("suppress_buyers_of").map_or_else(Vec::new, |node| {
        node.list(|n| of_category(n, own.advertiser.cattax, owners))
    });
    of_own.into_iter().chain(of_category).collect()
}

/// `"30d"`, `{ for = "30d", event = "signup" }`, or `"off"`.
fn of_own(node: &Node<'_>) -> Option<Suppression> {
    if node.value().as_table().is_some() {
        return from_table(&node.table(SUPPRESS_KEYS)?, Sellers::Own);
    }
    if node.text()? == OFF {
        return None;
    }
    Some(Suppression {
        sellers: Sellers::Own,
        event: BOUGHT.to_owned(),
        window_s: window(node)?,
    })
}

fn of_category(node: &Node<'_>, cattax: u32, owners: &[Owner<'_>]) -> Option<Suppression> {
    let table = node.table(SUPPRESS_OF_KEYS)?;
    let named = table.need("category", "category = \"IAB10\"")?;
    let category = quantity::category(&named, cattax)?;
    let sells = |owner: &Owner<'_>| {
        let own = &owner.advertiser;
        own.cattax == cattax && own.categories.iter().any(|one| category::covers(&category, one))
    };
    if !owners.iter().any(sells) {
        named.note(
            format!("no advertiser has the category `{category}` in this taxonomy: nobody buys from one"),
            "name one that an advertiser has in `categories`, or a parent of it",
        );
    }
    from_table(&table, Sellers::Category(category))
}

fn from_table(table: &Table<'_>, sellers: Sellers) -> Option<Suppression> {
    let event = table.read("event", BOUGHT.to_owned(), quantity::id);
    Some(Suppression {
        sellers,
        event,
        window_s: window(&table.need("for", "for = \"30d\"")?)?,
    })
}

fn window(node: &Node<'_>) -> Option<u32> {
    let text = node.text()?;
    parse_window(text)
        .map_err(|(what, fix)| node.problem(what, fix))
        .ok()
}

/// `{ after = 5, pause = "3d" }`, or `"off"`.
pub(super) fn back_off(node: &Node<'_>) -> Option<BackOff> {
    if node.value().as_str() == Some(OFF) {
        return None;
    }
    let table = node.table(BACK_OFF_KEYS)?;
    let after = table.need("after", "after = 5")?.integer(1..=AFTER_MAX);
    let pause = window(&table.need("pause", "pause = \"3d\"")?);
    Some(BackOff {
        after: after?,
        pause_s: pause?,
    })
}

/// `["22-07"]`, in the hours of the user's week.
pub(super) fn do_not_disturb(node: &Node<'_>) -> Option<Hours> {
    let hours = hours::read(node)?;
    if hours::without(Hours(None), hours).is_never() {
        node.problem(
            "this leaves no hour in which an ad may be shown",
            "leave some hours out",
        );
    }
    Some(hours)
}

/// The keys of the configuration again.
pub(super) fn show_suppression(suppression: &Suppression) -> Value {
    json!({
        "category": match &suppression.sellers {
            Sellers::Own => None,
            Sellers::Category(category) => Some(category),
        },
        "for": show_window(suppression.window_s),
        "event": suppression.event,
    })
}

pub(super) fn show_back_off(back_off: BackOff) -> Value {
    json!({ "after": back_off.after, "pause": show_window(back_off.pause_s) })
}
