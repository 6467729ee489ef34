//! What nodes leave for each other on the shared server, and what a person may ask of it.

use super::link::{Link, PREFIX, SharedSettings};
use super::resp::Reply;
use super::{LeaseError, text};
use crate::units::Timestamp;

/// Bookings that may wait for one node: those of some minutes in which it is away.
const WAITING_MAX: usize = 1_000_000;

/// Byte strings in rows, one row for each node; in order, none lost, the first ones perhaps read twice.
pub struct Inbox {
    link: Link,
}

/// A node as the shared server has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub number: u16,
    /// `live`, `left` (ended cleanly) or `dead` (declared so).
    pub state: String,
    pub lease: u32,
    /// When it last called, milliseconds since 1970 by the server's clock.
    pub seen_ms: i64,
    /// It has told what it holds since the server was last restarted.
    pub declared: bool,
    /// Limits on which it has something on record.
    pub limits: usize,
    /// Bookings that wait for it.
    pub waiting: usize,
}

impl Inbox {
    pub fn new(settings: &SharedSettings) -> Inbox {
        Inbox {
            link: Link::new(settings),
        }
    }

    /// Leaves `parcels` for `node`, all or none.
    ///
    /// # Errors
    /// [`LeaseError::Refused`] where there is no such node, where it is dead, or where too many wait.
    pub fn put(&mut self, node: u16, parcels: &[Vec<u8>], now: Timestamp) -> Result<(), LeaseError> {
        let mut arguments = vec![text(WAITING_MAX)];
        arguments.extend_from_slice(parcels);
        self.link
            .call(include_str!("hand_over.lua"), node, &arguments, now)?;
        Ok(())
    }

    /// The first `most` that wait for `node`.
    pub fn peek(&mut self, node: u16, most: usize, now: Timestamp) -> Result<Vec<Vec<u8>>, LeaseError> {
        let last = (most as i64 - 1).to_string();
        let found = self.link.run(["LRANGE", &row(node), "0", &last], now)?;
        Ok(found.byte_texts().unwrap_or_default())
    }

    /// The first `count` have been taken.
    pub fn drop_first(&mut self, node: u16, count: usize, now: Timestamp) -> Result<(), LeaseError> {
        self.link
            .run(["LTRIM", &row(node), &count.to_string(), "-1"], now)?;
        Ok(())
    }

    /// All nodes that ever shared these budgets, by number.
    pub fn nodes(&mut self, now: Timestamp) -> Result<Vec<Node>, LeaseError> {
        let numbers = self.link.run(["SMEMBERS", &format!("{PREFIX}nodes")], now)?;
        let epoch = self
            .link
            .run(["HGET", &format!("{PREFIX}generation"), "epoch"], now)?;
        let mut nodes = Vec::new();
        for number in numbers.texts().unwrap_or_default() {
            if let Ok(number) = number.parse() {
                nodes.push(self.node(number, epoch.text(), now)?);
            }
        }
        nodes.sort_unstable_by_key(|node| node.number);
        Ok(nodes)
    }

    fn node(&mut self, number: u16, epoch: Option<String>, now: Timestamp) -> Result<Node, LeaseError> {
        let count = |reply: Reply| match reply {
            Reply::Integer(count) => usize::try_from(count).unwrap_or(0),
            _ => 0,
        };
        let fields = self.link.run(
            [
                "HMGET",
                &format!("{PREFIX}node:{number}"),
                "state",
                "lease",
                "seen",
                "declared",
            ],
            now,
        )?;
        let fields = fields.texts().unwrap_or_default();
        let field = |at: usize| fields.get(at).cloned().unwrap_or_default();
        Ok(Node {
            number,
            state: field(0),
            lease: field(1).parse().unwrap_or(0),
            seen_ms: field(2).parse().unwrap_or(0),
            declared: Some(field(3)) == epoch,
            limits: count(self.link.run(["SCARD", &format!("{PREFIX}held:{number}")], now)?),
            waiting: count(self.link.run(["LLEN", &row(number)], now)?),
        })
    }

    /// What `node` has on record stays charged in full, and nobody waits for it any more. There is no way back. Returns what
    /// state it was in.
    ///
    /// # Errors
    /// [`LeaseError::Refused`] where there is no such node.
    pub fn declare_dead(&mut self, node: u16, now: Timestamp) -> Result<String, LeaseError> {
        let was = self.link.call(include_str!("declare_dead.lua"), node, &[], now)?;
        Ok(was.text().unwrap_or_default())
    }
}

fn row(node: u16) -> String {
    format!("{PREFIX}inbox:{node}")
}
