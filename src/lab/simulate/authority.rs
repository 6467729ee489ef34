//! The server that grants leases to several nodes, with its faults: the rules of the scripts of
//! [`SharedAuthority`](crate::pacing::lease::SharedAuthority), in this process.
//!
//! Invariant: for each limit, the sum over all nodes of what is on record is at most the limit, but for late bookings.

use crate::events::notice::Inbound;
use crate::pacing::lease::{Authority, Begun, Claim, Grant, Key, Kind, LeaseError};
use crate::units::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A wish of another node is passed on as long as this, ms.
const WANTED_FOR_MS: i64 = 3_000;

/// Clones are the same server.
#[derive(Clone, Default)]
pub struct Server(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    lease: u32,
    /// Longest first hold of each node.
    holds_s: BTreeMap<u16, u32>,
    limits: HashMap<Key, BTreeMap<u16, OnRecord>>,
    /// Who spends without a limit.
    open: HashMap<Kind, BTreeSet<u16>>,
    wanted: HashMap<Key, (u16, Timestamp)>,
    inboxes: BTreeMap<u16, Vec<Inbound>>,
    ways: BTreeMap<u16, Way>,
}

/// Of one node and limit.
#[derive(Clone, Copy, Default)]
struct OnRecord {
    bound: i64,
    beside: i64,
    used: i64,
}

/// How a call of a node fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    #[default]
    Open,
    /// The call never arrives.
    Cut,
    /// The call is done, and its answer comes too late.
    Slow,
}

/// The way of one node to the server.
pub struct Line {
    server: Server,
    node: u16,
    /// What others wanted when this node last claimed.
    wanted: Vec<Key>,
}

impl Server {
    pub fn set_way(&self, node: u16, way: Way) {
        self.state().ways.insert(node, way);
    }

    pub fn way(&self, node: u16) -> Way {
        self.state().ways.get(&node).copied().unwrap_or_default()
    }

    pub fn line(&self, node: u16) -> Line {
        Line {
            server: self.clone(),
            node,
            wanted: Vec::new(),
        }
    }

    /// Leaves `inbound` for the node `owner`; false where `from` does not reach the server, or does not hear that it did.
    pub fn hand_over(&self, from: u16, owner: u16, inbound: Inbound) -> bool {
        let way = self.way(from);
        if way != Way::Cut {
            self.state().inboxes.entry(owner).or_default().push(inbound);
        }
        way == Way::Open
    }

    /// What waits for `node`; it stays until [`fetched`](Server::fetched) says that it is booked.
    pub fn inbox(&self, node: u16) -> Vec<Inbound> {
        if self.way(node) != Way::Open {
            return Vec::new();
        }
        self.state().inboxes.get(&node).cloned().unwrap_or_default()
    }

    pub fn fetched(&self, node: u16, count: usize) {
        if let Some(inbox) = self.state().inboxes.get_mut(&node) {
            inbox.drain(..count.min(inbox.len()));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Does `act` unless the way is cut, and hears of it unless it is slow.
    fn call<T>(&self, act: impl FnOnce(&mut State) -> T) -> Result<T, LeaseError> {
        let way = self.server.way(self.node);
        if way == Way::Cut {
            return Err(LeaseError::Shared("no connection".to_owned()));
        }
        let answer = act(&mut self.server.state());
        match way {
            Way::Slow => Err(LeaseError::Shared("no answer in time".to_owned())),
            _ => Ok(answer),
        }
    }
}

impl State {
    fn claim(&mut self, node: u16, claim: &Claim, now: Timestamp) -> Grant {
        let open = self.open.entry((claim.key.account, claim.key.scope)).or_default();
        match claim.limit {
            Some(_) => open.remove(&node),
            None => open.insert(node),
        };
        let waits_for = open.first().copied().filter(|_| claim.limit.is_some());
        let record = self.limits.entry(claim.key).or_default();
        let own = record.remove(&node).unwrap_or_default().bound;
        let others = |of: fn(&OnRecord) -> i64| record.values().map(of).sum::<i64>();
        let limit = claim.limit.unwrap_or(i64::MAX);
        let share = limit.saturating_sub(others(|other| other.bound + other.beside));
        let used_by_others = others(|other| other.used);
        let bound = match claim.bound > own {
            true => {
                let free = match waits_for {
                    Some(_) => own,
                    None => share - claim.beside,
                };
                own.max(claim.bound.min(free.max(claim.committed)))
            }
            false => claim.bound,
        };
        record.insert(
            node,
            OnRecord {
                bound,
                beside: claim.beside,
                used: claim.used,
            },
        );
        if bound < claim.bound && waits_for.is_none() {
            self.wanted.insert(claim.key, (node, now));
        }
        Grant {
            bound,
            share,
            used_by_others,
            waits_for,
        }
    }
}

impl Authority for Line {
    fn begin(&mut self, _now: Timestamp) -> Result<Begun, LeaseError> {
        let node = self.node;
        self.call(|state| {
            state.lease += 1;
            let on_record = |(key, record): (&Key, &BTreeMap<u16, OnRecord>)| {
                record.get(&node).map(|own| (*key, own.bound))
            };
            let is_open = |(kind, nodes): (&Kind, &BTreeSet<u16>)| nodes.contains(&node).then_some(*kind);
            Begun {
                open: state.open.iter().filter_map(is_open).collect(),
                lease: state.lease,
                bounds: state.limits.iter().filter_map(on_record).collect(),
                hold_max_s: state.holds_s.get(&node).copied().unwrap_or(0),
            }
        })
    }

    fn claim(&mut self, claims: &[Claim], now: Timestamp) -> Result<Vec<Grant>, LeaseError> {
        let node = self.node;
        let (grants, wanted) = self.call(|state| {
            let grants = claims.iter().map(|claim| state.claim(node, claim, now)).collect();
            state.wanted.retain(|_, (_, at)| now.since(*at) <= WANTED_FOR_MS);
            let of_others = state.wanted.iter().filter(|(_, (who, _))| *who != node);
            (grants, of_others.map(|(key, _)| *key).collect())
        })?;
        self.wanted = wanted;
        Ok(grants)
    }

    fn keep_hold_max(&mut self, hold_max_s: u32, _now: Timestamp) -> Result<(), LeaseError> {
        let node = self.node;
        self.call(|state| {
            let hold_s = state.holds_s.entry(node).or_default();
            *hold_s = hold_max_s.max(*hold_s);
        })
    }

    fn close(&mut self, kinds: &[Kind], _now: Timestamp) -> Result<(), LeaseError> {
        let node = self.node;
        self.call(|state| {
            for kind in kinds {
                if let Some(open) = state.open.get_mut(kind) {
                    open.remove(&node);
                }
            }
        })
    }

    fn wanted(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.wanted)
    }

    fn is_shared(&self) -> bool {
        true
    }
}
