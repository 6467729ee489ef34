//! Ids of one kind of object: each is there once, and a reference to none is refused.
//! Invariant: ids that differ as text but not as a 64-bit name are refused too, since counters are keyed by that name.

use super::document::{Node, Table};
use super::problem::suggest;
use super::quantity;
use crate::units::ObjectId;
use std::collections::HashMap;

pub(super) struct Names {
    kind: &'static str,
    places: HashMap<String, String>,
    by_object: HashMap<ObjectId, String>,
}

impl Names {
    pub fn new(kind: &'static str) -> Names {
        Names {
            kind,
            places: HashMap::new(),
            by_object: HashMap::new(),
        }
    }

    /// The `id` of a table; `None` and a problem where it is missing, malformed or taken.
    pub fn read(&mut self, table: &Table<'_>) -> Option<String> {
        let node = table.need("id", "id = \"spring-1\"")?;
        let id = quantity::id(&node)?;
        self.claim(&id, &node).then_some(id)
    }

    pub fn claim(&mut self, id: &str, node: &Node<'_>) -> bool {
        if let Some(place) = self.places.get(id) {
            let what = format!("the {} id `{id}` is taken by {place}", self.kind);
            node.problem(what, "ids are unique and never used again: choose another");
            return false;
        }
        if let Some(other) = self.by_object.insert(ObjectId::of(id), id.to_owned()) {
            let what = format!("the ids `{id}` and `{other}` have the same 64-bit name");
            node.problem(what, "change one of them a little");
        }
        self.places.insert(id.to_owned(), node.place());
        true
    }
}

/// The value that a reference names, from (id, value) pairs.
pub(super) fn resolve<'m, T>(node: &Node<'_>, kind: &str, known: &'m HashMap<String, T>) -> Option<&'m T> {
    let id = node.text()?;
    let found = known.get(id);
    if found.is_none() {
        let mut ids: Vec<&str> = known.keys().map(String::as_str).collect();
        ids.sort_unstable();
        let fix = if ids.is_empty() {
            format!("define it: there is no {kind} yet")
        } else {
            suggest(id, ids)
        };
        node.problem(format!("there is no {kind} `{id}`"), fix);
    }
    found
}
