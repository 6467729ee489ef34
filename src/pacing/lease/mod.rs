//! Leases: how much of each limit this node may commit, durable before it is spent.
//! What a node has reserved or spent on time against a limit is never above the bound that the authority has on record for it.
//!
//! ```text
//! authority (journal, Redis) ── grant, durable ──► Leases (one thread) ── raise ──► Counter::granted ──► try_take
//!                            ◄── return ─────────                     ◄── lower, what is committed
//! ```
//!
//! - A lease is per limit and period: a **bound** on spent + reserved + quarantined. It is topped up ahead of demand
//!   (`Demand`), so that the bid path neither waits nor asks; where it is used up before the next look, there are no bids
//!   for a tenth of a second.
//! - It is raised durable first, then in the counter; lowered in the counter first, then durable. So at every moment of a
//!   crash the record covers what bids may cost.
//! - After a crash the record says more than the books know: the difference is set aside on each counter (**quarantine**), since
//!   bids may be out whose holds are forgotten. A notice of such a bid within its hold takes its money from there and is on
//!   time. The rest is free again when the longest first hold of that process is over: no bid can be billed on time any
//!   more. Bids that were won have their holds again from the books, and are not in the quarantine.
//! - Where no limit is set, several nodes have on record that they spend **without a limit**, before they do. A limit that is
//!   set then waits for them: each puts on record what it has committed by then, and only when all have is more granted.
//! - Late bookings and carried debt are not in the bound: they are what the limit did not foresee, and they count on it all the
//!   same, beside the bound.
//!
//! What a crash holds back is therefore the headroom that nobody had used (two seconds of recent spending; at least 1/256 of
//! the limit or 0.1 units, at most 1/16), and the open bids; for as long as the longest `win_hold`.

mod demand;
mod leases;
mod local;
mod quarantine;
mod shared;

pub(super) use demand::Demand;
pub use leases::{LeaseCounts, Leases};
pub use local::LocalAuthority;
pub use shared::{Board, Entry, Inbox, Node, Row, SharedAuthority, SharedSettings};

use super::account::Scope;
use super::calendar::Span;
use super::kernel::UNLIMITED;
use crate::journal::{BadFields, JournalError};
use crate::units::{AccountId, Timestamp};
use quarantine::Quarantine;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// Which limit over which period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub account: AccountId,
    pub scope: Scope,
    pub span: Span,
}

/// The limit of one account over periods of one length, whichever period it is.
pub type Kind = (AccountId, Scope);

/// What a node wants to have on record for one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    pub key: Key,
    /// Most that may be spent, reserved or quarantined.
    pub bound: i64,
    /// What is, by now: on record whatever others have, up to `bound`.
    pub committed: i64,
    /// Booked beside the bound: late and carried.
    pub beside: i64,
    /// Booked, and what open bids are expected to cost: what the pace of the other nodes goes by.
    pub used: i64,
    /// As configured. Without one the node spends what it likes, and `bound` is what it has committed by now.
    pub limit: Option<i64>,
}

/// What is on record now. `bound` is never above the one claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub bound: i64,
    /// The part of the limit that other nodes leave to this one.
    pub share: i64,
    /// What the other nodes say they have used; where one says nothing, what it has on record.
    pub used_by_others: i64,
    /// A node that still spends without this limit: until it does not, no bound is raised.
    pub waits_for: Option<u16>,
}

/// What a new lease begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Begun {
    /// Above every number that was given out before; in the tokens of all bids made under it.
    pub lease: u32,
    /// What the earlier leases of this node have on record.
    pub bounds: Vec<(Key, i64)>,
    /// What they spent on without a limit.
    pub open: Vec<Kind>,
    /// The longest first hold of any bid made under them.
    pub hold_max_s: u32,
}

/// Who grants: a journal of this node alone, or a server that several nodes share.
pub trait Authority: Send {
    /// Begins a new lease, durably. The caller sees to it that no other process of this node has one.
    fn begin(&mut self, now: Timestamp) -> Result<Begun, LeaseError>;

    /// Puts `claims` on record and says for each what that came to. After an error some may be on record and some not:
    /// the caller goes on with the lower one of the two, and claims again.
    fn claim(&mut self, claims: &[Claim], now: Timestamp) -> Result<Vec<Grant>, LeaseError>;

    /// Puts on record that bids may be held this long before a win is known.
    fn keep_hold_max(&mut self, hold_max_s: u32, now: Timestamp) -> Result<(), LeaseError>;

    /// Limits that another node wants more of, as the last claim was told: what is idle of them should go back.
    fn wanted(&mut self) -> Vec<Key> {
        Vec::new()
    }

    /// This node spends no more on these without a limit, and has on record what it has spent.
    fn close(&mut self, _kinds: &[Kind], _now: Timestamp) -> Result<(), LeaseError> {
        Ok(())
    }

    /// Whether there are other nodes, who want to know what is used.
    fn is_shared(&self) -> bool {
        false
    }

    /// This node ends cleanly: what it has on record is all that it may still cost.
    fn end(&mut self, _now: Timestamp) -> Result<(), LeaseError> {
        Ok(())
    }
}

/// Which authority to ask, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthoritySettings {
    /// `data/leases`.
    Local { dir: PathBuf },
    /// A server that several nodes share; `identity` is a file of the data folder, made where it is missing.
    Shared {
        server: SharedSettings,
        node: u16,
        identity: PathBuf,
    },
}

impl AuthoritySettings {
    /// Whether the authority answers. To be asked before the books are opened, which would have to be closed again.
    pub fn reach(&self, now: Timestamp) -> Result<(), LeaseError> {
        match self {
            AuthoritySettings::Local { .. } => Ok(()),
            AuthoritySettings::Shared { server, .. } => shared::reach(server, now),
        }
    }

    /// Where all nodes are told something; `None` where there is only one.
    pub fn board(&self) -> Option<Result<Board, LeaseError>> {
        match self {
            AuthoritySettings::Local { .. } => None,
            AuthoritySettings::Shared {
                server,
                node,
                identity,
            } => Some(shared::identity(identity).map(|author| Board::new(server, *node, author))),
        }
    }

    /// Reads what is there. For whoever has the books.
    pub fn open(&self) -> Result<Box<dyn Authority>, LeaseError> {
        match self {
            AuthoritySettings::Local { dir } => {
                let authority = LocalAuthority::open(dir)?;
                if authority.bytes_cut() > 0 {
                    tracing::warn!(
                        bytes = authority.bytes_cut(),
                        "cut a torn tail off the leases: nothing was spent from it"
                    );
                }
                Ok(Box::new(authority))
            }
            AuthoritySettings::Shared {
                server,
                node,
                identity,
            } => Ok(Box::new(SharedAuthority::new(
                server,
                *node,
                shared::identity(identity)?,
            ))),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("{}: segment {segment}, byte {offset}: {source}: the file belongs to another version", dir.display())]
    Record {
        dir: PathBuf,
        segment: u64,
        offset: u64,
        source: BadFields,
    },
    #[error("the shared server of the budgets: {0}")]
    Shared(String),
    #[error("the shared server of the budgets failed within the last second")]
    Broken,
    #[error(
        "the shared server of the budgets may forget what it grants: its `{key}` is `{found}`. Set `{key} {needed}` in \
         redis.conf, or `durability = \"may-lose\"` under [budgets] where an overspent budget is no harm"
    )]
    NotDurable {
        key: &'static str,
        needed: &'static str,
        found: String,
    },
    /// The server wants to know first what this node holds.
    #[error("the shared server of the budgets does not know this node any more")]
    Undeclared,
    #[error("{why}")]
    Refused { dead: bool, why: String },
    #[error("{}: {source}", path.display())]
    Identity { path: PathBuf, source: std::io::Error },
}

/// What [`Budgets`](super::Budgets) know of leases.
pub(super) struct Leasing {
    /// Of every new period.
    pub first_grant: i64,
    /// The lease under which bids are made; 0 = none.
    number: AtomicU32,
    /// On record: no bid may be held longer before its win is known.
    hold_max_s: AtomicU32,
    /// Somebody would like to hold so long.
    hold_wanted_s: AtomicU32,
    quarantine: Mutex<Quarantine>,
}

impl Leasing {
    pub fn none() -> Leasing {
        Leasing::with(UNLIMITED, u32::MAX)
    }

    pub fn demanded() -> Leasing {
        Leasing::with(0, 0)
    }

    fn with(first_grant: i64, hold_max_s: u32) -> Leasing {
        Leasing {
            first_grant,
            number: AtomicU32::new(0),
            hold_max_s: AtomicU32::new(hold_max_s),
            hold_wanted_s: AtomicU32::new(0),
            quarantine: Mutex::default(),
        }
    }
}

/// Relaxed throughout: numbers that change rarely; a bid made with the one before is covered by the record too.
impl super::Budgets {
    /// The lease that bids are made under; 0 where budgets are not leased. It belongs into the token.
    pub fn lease(&self) -> u32 {
        self.leasing.number.load(Ordering::Relaxed)
    }

    /// The longest that money may be held before a win is known.
    pub fn hold_max_s(&self) -> u32 {
        self.leasing.hold_max_s.load(Ordering::Relaxed)
    }

    /// Asks that bids may be held this long before a win is known; granted within a tick of the leases.
    pub fn want_hold(&self, hold_s: u32) {
        self.leasing.hold_wanted_s.fetch_max(hold_s, Ordering::Relaxed);
    }
}
