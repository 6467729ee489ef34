//! What goes wrong, and reloads.

use super::super::authority::Way;
use super::super::mishaps::{self, Mishap};
use super::super::node::Died;
use super::super::oracle::looser;
use super::{Event, LOWERED_AFTER_MS, Play, START_AGAIN_MS};
use crate::pacing::AccountKind;
use crate::units::{Limits, Nanos, Timestamp};
use world::Random;

impl Play<'_> {
    pub(super) fn start(&mut self, node: u16) {
        let index = usize::from(node);
        if self.nodes[index].is_up() {
            return;
        }
        if self.nodes[index].start(&self.market, &self.limits, &self.terms, self.now) {
            self.down_since[index] = None;
        } else {
            self.down_since[index].get_or_insert(self.now);
            self.push_in(START_AGAIN_MS, Event::Start { node });
        }
    }

    pub(super) fn crash(&mut self, node: usize) {
        if !self.nodes[node].is_up() {
            return;
        }
        self.nodes[node].crash();
        self.tally.mishaps.crashes += 1;
        self.is_down(node, mishaps::down_ms);
    }

    pub(super) fn is_down(&mut self, node: usize, for_ms: fn(&mut Random) -> i64) {
        self.down_since[node] = Some(self.now);
        let after_ms = for_ms(&mut self.dice);
        self.push_in(after_ms, Event::Start { node: node as u16 });
    }

    pub(super) fn mishap(&mut self, mishap: Mishap) {
        match mishap {
            Mishap::Crash { node } => self.crash(usize::from(node)),
            Mishap::CrashAtBid { node } => self.dies_at_bid[usize::from(node)] = true,
            Mishap::CrashInWrite {
                node,
                operations,
                books,
            } => {
                self.nodes[usize::from(node)].light_fuse(operations, books);
            }
            Mishap::Restart { node } => self.restart(usize::from(node)),
            Mishap::Way { node, way } => {
                self.tally.mishaps.server_faults += u64::from(way != Way::Open);
                let nodes = self.scenario.nodes;
                if let Some(server) = &self.server {
                    let of = |number: &u16| node.is_none_or(|node| node + 1 == *number);
                    (1..=nodes)
                        .filter(of)
                        .for_each(|number| server.set_way(number, way));
                }
            }
            Mishap::Reload { parts, lifted } => self.reload(f64::from(parts) / 1_000.0, lifted),
        }
    }

    pub(super) fn restart(&mut self, node: usize) {
        if !self.nodes[node].is_up() {
            return;
        }
        self.tally.mishaps.restarts += 1;
        match self.nodes[node].stop(self.now) {
            Ok(()) => self.is_down(node, mishaps::restart_ms),
            Err(Died) => {
                self.nodes[node].crash();
                self.is_down(node, mishaps::down_ms);
            }
        }
    }

    /// All budgets become `part` of what they were set up with; `lifted`: but those of campaigns for a day and a lifetime, which
    /// become none.
    pub(super) fn reload(&mut self, part: f64, lifted: bool) {
        self.tally.mishaps.reloads += 1;
        let of = |limit: Option<Nanos>| limit.map(|limit| Nanos((limit.0 as f64 * part) as i64));
        let before = self.limits.clone();
        self.limits = (self.market.accounts.iter())
            .map(|account| match (lifted, account.kind) {
                (true, AccountKind::LineItem) => Limits::default(),
                _ => Limits {
                    hourly: of(account.limits.hourly.filter(|_| !lifted)),
                    daily: of(account.limits.daily),
                    lifetime: of(account.limits.lifetime),
                },
            })
            .collect();
        // Whoever reads it first may spend what is raised; a clock may be wrong. What is lowered counts when all have read it.
        let either = before.iter().zip(&self.limits);
        let either = either.map(|(before, after)| looser(before, after)).collect();
        self.oracle.limit(Timestamp(self.now.0 - 2_000), either);
        self.lowered = Some(self.now);
        for node in 0..self.scenario.nodes {
            let after_ms = self.dice.below(3_000) as i64;
            self.push_in(after_ms, Event::Reload { node });
        }
    }

    /// A lowered limit counts once every node has read it and looked at its leases, whether a server answered or not.
    pub(super) fn lower_when_read(&mut self) {
        if self
            .lowered
            .is_some_and(|since| self.now.since(since) >= LOWERED_AFTER_MS)
        {
            self.oracle.limit(self.now, self.limits.clone());
            self.lowered = None;
        }
    }
}
