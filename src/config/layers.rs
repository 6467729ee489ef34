//! Inheritance: the tables of advertiser, campaign and line item seen as one, in which the lowest level that names a
//! key decides it.

use super::document::{Node, Table};

/// Highest level first, the most particular last.
#[derive(Clone, Default)]
pub(super) struct Layers<'a>(Vec<Table<'a>>);

impl<'a> Layers<'a> {
    pub fn of(table: Table<'a>) -> Layers<'a> {
        Layers(vec![table])
    }

    /// With one more level, which overrides those before it.
    pub fn with(&self, table: Option<Table<'a>>) -> Layers<'a> {
        Layers(self.0.iter().cloned().chain(table).collect())
    }

    pub fn get(&self, key: &str) -> Option<Node<'a>> {
        self.0.iter().rev().find_map(|table| table.get(key))
    }

    pub fn maybe<T>(&self, key: &str, read: impl FnOnce(&Node<'a>) -> Option<T>) -> Option<T> {
        self.get(key).and_then(|node| read(&node))
    }

    /// The levels of a sub-table.
    pub fn table(&self, key: &str, known: &[&str]) -> Layers<'a> {
        Layers(
            self.0
                .iter()
                .filter_map(|table| table.table(key, known))
                .collect(),
        )
    }

    /// An array of tables, the whole array from one level.
    pub fn tables(&self, key: &str, known: &[&str]) -> Vec<Table<'a>> {
        self.get(key)
            .map_or_else(Vec::new, |node| node.list(|element| element.table(known)))
    }
}
