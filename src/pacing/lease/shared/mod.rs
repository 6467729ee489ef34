//! The authority of several nodes: a Redis server, 7 or newer. Every call is one script, so it happens wholly or not at all.
//!
//! ```text
//! outbid:generation          run = run id of the server, epoch = how often it has changed
//! outbid:lease               the highest lease number
//! outbid:nodes               set of node numbers
//! outbid:node:N              identity (of its data folder), lease, state live | left | dead, declared (epoch), seq, hold (s), seen (ms)
//! outbid:limit:A:S:F:U       N → bound:beside, for each node; account, scope, from and until of the limit
//! outbid:held:N              the limits on which N has something on record
//! outbid:open:A:S            set of the nodes that spend on account and scope without a limit
//! outbid:opened:N            the same by node: account and scope of each
//! outbid:used:A:S:F:U        N → what it has used, for each node
//! outbid:wanted              limit → N:ms, a node that got less than it wanted
//! outbid:inbox:N             bookings that other nodes took for N
//! outbid:facts, :optouts     streams of what all nodes tell all others: identity → bytes; `:posted` behind the name: how far each is
//! ```
//!
//! - For each limit, the sum over all nodes of bound + beside is at most the limit, but for what is booked late. Amounts are micros
//!   of the currency: a script's numbers are exact up to 9 billion units. Bounds are rounded up and limits down.
//! - Bounds are absolute and calls are numbered, so an answer that was lost, or a call that was overtaken, does no harm.
//! - A server with another run id may have lost something. Then each node first declares what it holds, and until all live
//!   nodes have, nothing is granted. A node that will not come back must be declared dead for that: what it has on record
//!   stays charged in full.

mod board;
mod inbox;
mod link;
mod resp;

pub use board::{Board, Entry, Row};
pub use inbox::{Inbox, Node};
pub use link::SharedSettings;

use link::Link;

use super::super::account::Scope;
use super::super::calendar::Span;
use super::super::kernel::UNLIMITED;
use super::{Authority, Begun, Claim, Grant, Key, Kind, LeaseError};
use crate::units::{AccountId, Timestamp};
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Nanos in a micro.
const MICRO: i64 = 1_000;
/// Claims in one call: a script of some milliseconds.
const CLAIMS_PER_CALL: usize = 500;
/// Limits of a period are kept this many of its lengths longer, for bids that are billed late.
const KEPT_LENGTHS: i64 = 3;

/// The authority of nodes that share budgets: a Redis server.
pub struct SharedAuthority {
    link: Link,
    node: u16,
    /// Of the data folder: two folders must not share a number.
    identity: String,
    lease: u32,
    hold_max_s: u32,
    seq: u64,
    /// The server of the last call.
    run_id: String,
    /// On record, bound and beside, as this node knows it: never less than what the counters allow.
    known: HashMap<Key, (i64, i64)>,
    open: HashSet<Kind>,
    wanted: Vec<Key>,
}

impl SharedAuthority {
    pub fn new(settings: &SharedSettings, node: u16, identity: String) -> SharedAuthority {
        SharedAuthority {
            link: Link::new(settings),
            node,
            identity,
            lease: 0,
            hold_max_s: 0,
            seq: 0,
            run_id: String::new(),
            known: HashMap::new(),
            open: HashSet::new(),
            wanted: Vec::new(),
        }
    }

    /// Tells a server that is not the one of before what this node holds.
    fn declare(&mut self, now: Timestamp) -> Result<(), LeaseError> {
        let run_id = self.link.run_id(now)?;
        let bounds = self.known.iter();
        let bounds = bounds.map(|(key, (bound, beside))| {
            [
                name(key),
                micros_up(*bound).to_string(),
                micros_up(*beside).to_string(),
                expiry(key).to_string(),
            ]
        });
        let open = self.open.iter();
        let open = open.map(|kind| [kind_name(kind), "-1".to_owned(), "0".to_owned(), "0".to_owned()]);
        let mut known: Vec<_> = bounds.chain(open).collect();
        known.sort_unstable();
        // The last call is the one that declares: all are sent under the same words, each adding to what is there.
        let mut parts: Vec<_> = known.chunks(CLAIMS_PER_CALL).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        for part in parts {
            let mut arguments = vec![text(&self.identity), text(self.lease), text(self.hold_max_s)];
            arguments.extend(part.iter().flatten().map(text));
            self.link
                .call(include_str!("declare.lua"), self.node, &arguments, now)?;
        }
        self.run_id = run_id;
        Ok(())
    }

    fn claim_part(&mut self, claims: &[Claim], now: Timestamp) -> Result<Vec<Grant>, LeaseError> {
        self.seq += 1;
        let mut arguments = vec![text(self.lease), text(self.seq)];
        for claim in claims {
            arguments.extend([
                text(name(&claim.key)),
                text(micros_up(claim.bound)),
                text(micros_up(claim.committed)),
                text(micros_up(claim.beside)),
                text(claim.used.div_euclid(MICRO)),
                text(claim.limit.map_or(-1, |limit| limit.div_euclid(MICRO))),
                text(expiry(&claim.key)),
            ]);
        }
        let answer = self.texts(include_str!("claim.lua"), &arguments, now)?;
        let mut grants = Vec::with_capacity(claims.len());
        for (claim, four) in claims.iter().zip(answer.chunks_exact(4)) {
            let micros = |at: usize| {
                let micros = four[at].parse::<i64>();
                micros.map_err(|_| LeaseError::Shared(format!("the answer has {:?} for an amount", four[at])))
            };
            let [bound, share, used_by_others] =
                [micros(0)?, micros(1)?, micros(2)?].map(|micros| micros.saturating_mul(MICRO));
            let grant = Grant {
                bound: bound.min(claim.bound),
                share: match claim.limit {
                    Some(_) => share,
                    None => UNLIMITED,
                },
                used_by_others,
                waits_for: four[3].parse().ok(),
            };
            let kind = (claim.key.account, claim.key.scope);
            match claim.limit {
                Some(_) => self.open.remove(&kind),
                None => self.open.insert(kind),
            };
            self.known.insert(claim.key, (grant.bound, claim.beside));
            grants.push(grant);
        }
        if grants.len() < claims.len() {
            return Err(LeaseError::Shared("the answer is too short".to_owned()));
        }
        self.wanted = answer[4 * claims.len()..]
            .iter()
            .filter_map(|text| key(text))
            .collect();
        Ok(grants)
    }

    fn texts(
        &mut self,
        script: &str,
        arguments: &[Vec<u8>],
        now: Timestamp,
    ) -> Result<Vec<String>, LeaseError> {
        let answer = self.link.call(script, self.node, arguments, now)?;
        let none = || LeaseError::Shared("the answer is not what the script says".to_owned());
        answer.texts().ok_or_else(none)
    }

    fn forget(&mut self, now: Timestamp) {
        self.known.retain(|key, _| match expiry(key) {
            0 => true,
            expires => expires > now.0,
        });
    }
}

impl Authority for SharedAuthority {
    fn begin(&mut self, now: Timestamp) -> Result<Begun, LeaseError> {
        let run_id = self.link.run_id(now)?;
        let arguments = [text(&self.identity)];
        let answer = self.texts(include_str!("begin.lua"), &arguments, now)?;
        let number = |at: usize| answer.get(at).and_then(|text| text.parse().ok());
        let (Some(lease), Some(hold_max_s)) = (number(0), number(1)) else {
            return Err(LeaseError::Shared("no lease in the answer".to_owned()));
        };
        (self.lease, self.hold_max_s, self.run_id, self.seq) = (lease, hold_max_s, run_id, 0);
        let pairs = || answer[2..].chunks_exact(2);
        let bounds: Vec<_> = pairs()
            .filter_map(|pair| Some((key(&pair[0])?, pair[1].parse::<i64>().ok()?.saturating_mul(MICRO))))
            .collect();
        self.open = pairs().filter_map(|pair| kind(&pair[0])).collect();
        self.known = bounds.iter().map(|&(key, bound)| (key, (bound, 0))).collect();
        Ok(Begun {
            lease,
            bounds,
            open: self.open.iter().copied().collect(),
            hold_max_s,
        })
    }

    fn claim(&mut self, claims: &[Claim], now: Timestamp) -> Result<Vec<Grant>, LeaseError> {
        if self.link.run_id(now)? != self.run_id {
            self.declare(now)?;
        }
        let mut grants = Vec::with_capacity(claims.len());
        // Nothing to claim: who wants what is asked all the same.
        let parts = claims
            .chunks(CLAIMS_PER_CALL)
            .chain(claims.is_empty().then_some(claims));
        for part in parts {
            match self.claim_part(part, now) {
                Err(LeaseError::Undeclared) => {
                    self.declare(now)?;
                    grants.extend(self.claim_part(part, now)?);
                }
                answer => grants.extend(answer?),
            }
        }
        self.forget(now);
        Ok(grants)
    }

    fn keep_hold_max(&mut self, hold_max_s: u32, now: Timestamp) -> Result<(), LeaseError> {
        self.hold_max_s = hold_max_s;
        self.declare(now)
    }

    fn close(&mut self, kinds: &[Kind], now: Timestamp) -> Result<(), LeaseError> {
        for part in kinds.chunks(CLAIMS_PER_CALL) {
            let mut arguments = vec![text(self.lease)];
            arguments.extend(part.iter().map(|kind| text(kind_name(kind))));
            self.link
                .call(include_str!("close.lua"), self.node, &arguments, now)?;
            part.iter().for_each(|kind| {
                self.open.remove(kind);
            });
        }
        Ok(())
    }

    fn wanted(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.wanted)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn end(&mut self, now: Timestamp) -> Result<(), LeaseError> {
        let node = format!("{}node:{}", link::PREFIX, self.node);
        self.link.run(["HSET", &node, "state", "left"], now)?;
        Ok(())
    }
}

/// Connects, and looks whether the server may forget what it grants.
pub(super) fn reach(settings: &SharedSettings, now: Timestamp) -> Result<(), LeaseError> {
    Link::new(settings).run_id(now).map(|_| ())
}

/// Of the data folder that `path` is in: random, made once, durable before it is used.
pub(super) fn identity(path: &Path) -> Result<String, LeaseError> {
    let failed = |source| LeaseError::Identity {
        path: path.to_owned(),
        source,
    };
    match fs::read_to_string(path) {
        Ok(text) => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| failed(io::Error::other(error.to_string())))?;
    let identity = format!("{:032x}", u128::from_le_bytes(bytes));
    let draft = path.with_extension("tmp");
    let write = || {
        let mut file = File::create(&draft)?;
        file.write_all(identity.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(failed)?;
    Ok(identity)
}

fn text(value: impl ToString) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn micros_up(nanos: i64) -> i64 {
    nanos.div_euclid(MICRO) + i64::from(nanos.rem_euclid(MICRO) > 0)
}

fn name(key: &Key) -> String {
    let Span { from, until } = key.span;
    format!("{}:{}:{}", kind_name(&(key.account, key.scope)), from.0, until.0)
}

fn kind_name((account, scope): &Kind) -> String {
    format!("{:016x}:{}", account.0, *scope as u8)
}

/// Of a name without a period.
fn kind(name: &str) -> Option<Kind> {
    let mut parts = name.split(':');
    let kind = kind_of(&mut parts)?;
    parts.next().is_none().then_some(kind)
}

fn kind_of<'n>(parts: &mut impl Iterator<Item = &'n str>) -> Option<Kind> {
    let account = AccountId(u64::from_str_radix(parts.next()?, 16).ok()?);
    let scope = parts.next()?.parse::<u8>().ok()?;
    let scope = Scope::ALL.into_iter().find(|known| *known as u8 == scope)?;
    Some((account, scope))
}

fn key(name: &str) -> Option<Key> {
    let mut parts = name.split(':');
    let (account, scope) = kind_of(&mut parts)?;
    let mut time = || Some(Timestamp(parts.next()?.parse().ok()?));
    Some(Key {
        account,
        scope,
        span: Span {
            from: time()?,
            until: time()?,
        },
    })
}

/// When the server may forget a limit; 0 = never.
fn expiry(key: &Key) -> i64 {
    let Span { from, until } = key.span;
    match key.scope {
        Scope::Lifetime => 0,
        Scope::Hour | Scope::Day => until.0 + KEPT_LENGTHS * (until.0 - from.0),
    }
}
