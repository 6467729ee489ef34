//! What every node tells all others: rows of entries on the shared server, which each node reads in order.
//!
//! Invariant: entries of one author are numbered and rise, so that telling again after a crash or a lost answer adds nothing.

use super::super::LeaseError;
use super::link::{Link, PREFIX, SharedSettings};
use super::resp::Reply;
use super::text;
use crate::units::{EntryId, Timestamp};

/// Looked through with one call when entries are taken out.
const PAGE: usize = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// What happened to users. About the newest million is kept: some 100 MB on the server.
    Facts,
    /// Who opted out. All of it is kept.
    OptOuts,
}

impl Row {
    pub const FACTS_KEPT: usize = 1_000_000;

    fn name(self) -> &'static str {
        match self {
            Row::Facts => "facts",
            Row::OptOuts => "optouts",
        }
    }

    fn kept(self) -> usize {
        match self {
            Row::Facts => Row::FACTS_KEPT,
            Row::OptOuts => 0,
        }
    }

    fn key(self) -> String {
        format!("{PREFIX}{}", self.name())
    }
}

/// An entry as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub id: EntryId,
    /// The identity of a data folder.
    pub author: String,
    pub bytes: Vec<u8>,
}

/// A connection of its own.
pub struct Board {
    link: Link,
    node: u16,
    /// Of this node's data folder.
    author: String,
}

impl Board {
    pub fn new(settings: &SharedSettings, node: u16, author: String) -> Board {
        Board {
            link: Link::new(settings),
            node,
            author,
        }
    }

    pub fn author(&self) -> &str {
        &self.author
    }

    /// The number of the last entry of this node.
    pub fn posted(&mut self, row: Row, now: Timestamp) -> Result<u64, LeaseError> {
        let posted = format!("{}:posted", row.key());
        let last = self.link.run(["HGET", &posted, &self.author], now)?;
        Ok(last.text().and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    /// Adds entries, all or none, but for those whose number was posted before.
    pub fn post(&mut self, row: Row, entries: &[(u64, Vec<u8>)], now: Timestamp) -> Result<(), LeaseError> {
        let mut arguments = vec![text(row.name()), text(&self.author), text(row.kept())];
        for (number, bytes) in entries {
            arguments.extend([text(number), bytes.clone()]);
        }
        self.link
            .call(include_str!("post.lua"), self.node, &arguments, now)?;
        Ok(())
    }

    /// The first `most` entries behind `after`.
    pub fn read(
        &mut self,
        row: Row,
        after: EntryId,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<Entry>, LeaseError> {
        let from = format!("({after}");
        let found = self.link.run(
            ["XRANGE", &row.key(), &from, "+", "COUNT", &most.to_string()],
            now,
        )?;
        entries(found).ok_or_else(|| LeaseError::Shared("a row is not what a node writes".to_owned()))
    }

    /// The oldest entry that is still there.
    pub fn oldest(&mut self, row: Row, now: Timestamp) -> Result<Option<EntryId>, LeaseError> {
        let first = self.read(row, EntryId::default(), 1, now)?;
        Ok(first.first().map(|entry| entry.id))
    }

    /// Takes out the entries of a row that `goes` says it of. Walks through all of it, a page at a time.
    pub fn take_out(
        &mut self,
        row: Row,
        goes: impl Fn(&[u8]) -> bool,
        now: Timestamp,
    ) -> Result<usize, LeaseError> {
        let (mut after, mut taken) = (EntryId::default(), 0);
        loop {
            let page = self.read(row, after, PAGE, now)?;
            let Some(last) = page.last() else {
                return Ok(taken);
            };
            after = last.id;
            for entry in page.iter().filter(|entry| goes(&entry.bytes)) {
                self.link.run(["XDEL", &row.key(), &entry.id.to_string()], now)?;
                taken += 1;
            }
        }
    }
}

/// `[[id, [author, bytes]], …]`.
fn entries(reply: Reply) -> Option<Vec<Entry>> {
    let Reply::Items(items) = reply else {
        return None;
    };
    items.into_iter().map(entry).collect()
}

fn entry(item: Reply) -> Option<Entry> {
    let Reply::Items(parts) = item else {
        return None;
    };
    let [id, fields] = <[Reply; 2]>::try_from(parts).ok()?;
    let [author, bytes] = <[Vec<u8>; 2]>::try_from(fields.byte_texts()?).ok()?;
    Some(Entry {
        id: EntryId::parse(&id.text()?)?,
        author: String::from_utf8(author).ok()?,
        bytes,
    })
}
