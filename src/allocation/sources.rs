//! What every source cost and brought. The books write, workers and rules read.

use super::weights::Slice;
use crate::units::{Nanos, ObjectId, Timestamp};
use dashmap::DashMap;
use std::ops::AddAssign;

/// Old facts count half after this long.
const HALF_LIFE_MS: f64 = 7.0 * Timestamp::MS_PER_DAY as f64;
/// About 250 bytes each. Beyond it placements are counted together, then nothing new is.
const SOURCES_MAX: usize = 200_000;
/// Names of conversions that are told apart for each source: a goal, its retention, and two more.
const EVENTS_MAX: usize = 4;

/// Where impressions come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    pub line_item: ObjectId,
    pub exchange: ObjectId,
    /// `bid.mtype`.
    pub format: u8,
    /// 16 bits of a hash of site or app and tag; 0 = all others.
    pub placement: u16,
}

impl Source {
    /// What a token carries of it beside its other fields: bits 0-7 are 1 for a trial, bits 16-31 the placement.
    pub fn arms(placement: u16, tried: bool) -> u32 {
        u32::from(placement) << 16 | u32::from(tried)
    }

    /// Placement, and whether it was a trial.
    pub fn of_arms(arms: u32) -> (u16, bool) {
        ((arms >> 16) as u16, arms & 1 == 1)
    }
}

/// What happened on a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    Impression(Nanos),
    Click,
    /// `count` is −1 where one is taken back, with its value below zero.
    Conversion {
        event: ObjectId,
        count: i8,
        value: Nanos,
    },
}

/// Fading sums; money in nanos.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    pub impressions: f64,
    pub clicks: f64,
    pub cost: f64,
    /// Name (0 = not used), count, value.
    pub events: [(u64, f64, f64); EVENTS_MAX],
}

#[derive(Clone, Copy, Debug, Default)]
struct Faded {
    sums: Sums,
    at: Timestamp,
}

#[derive(Debug, Default)]
pub struct Sources {
    table: DashMap<Source, Faded>,
}

impl Sources {
    /// Counts a fact. False where there is no room for its source.
    pub fn count(&self, source: Source, fact: Fact, now: Timestamp) -> bool {
        let others = Source {
            placement: 0,
            ..source
        };
        let is_full = self.table.len() >= SOURCES_MAX;
        let known = |source: &Source| self.table.contains_key(source);
        let source = match is_full && !known(&source) {
            true if known(&others) => others,
            true => return false,
            false => source,
        };
        let mut entry = self.table.entry(source).or_default();
        entry.fade(now);
        entry.sums.add(fact);
        true
    }

    /// What is known of one source; nothing of one that is not known.
    pub fn get(&self, source: Source, now: Timestamp) -> Sums {
        self.table
            .get(&source)
            .map_or_else(Sums::default, |entry| entry.faded(now).sums)
    }

    /// Every source, in order.
    pub fn all(&self, now: Timestamp) -> Vec<(Source, Sums)> {
        let mut all: Vec<_> = self
            .table
            .iter()
            .map(|entry| (*entry.key(), entry.faded(now).sums))
            .collect();
        all.sort_unstable_by_key(|(source, _)| *source);
        all
    }

    /// Forgets what a slice brought: it is judged anew by what it brings after a rest.
    pub fn forget(&self, slice: Slice) {
        self.table
            .retain(|source, _| !Slice::all_of(source).contains(&slice));
    }

    /// Lets go of what has faded away.
    pub fn sweep(&self, now: Timestamp) {
        self.table
            .retain(|_, entry| entry.faded(now).sums.impressions > 0.01);
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    pub(super) fn put_back(&self, source: Source, sums: Sums, at: Timestamp) {
        if self.table.len() < SOURCES_MAX {
            self.table.insert(source, Faded { sums, at });
        }
    }
}

impl Faded {
    fn faded(&self, now: Timestamp) -> Faded {
        let mut faded = *self;
        faded.fade(now);
        faded
    }

    fn fade(&mut self, now: Timestamp) {
        let passed_ms = now.since(self.at);
        if passed_ms > 0 {
            self.sums
                .scale((-std::f64::consts::LN_2 * passed_ms as f64 / HALF_LIFE_MS).exp());
            self.at = now;
        }
    }
}

impl Sums {
    /// Of all conversions of a name: count and value.
    pub fn of(&self, event: ObjectId) -> (f64, f64) {
        let found = self
            .events
            .iter()
            .find(|(name, ..)| *name == event.0 && event.0 != 0);
        found.map_or((0.0, 0.0), |(_, count, value)| (*count, *value))
    }

    pub fn ctr(&self) -> f64 {
        if self.impressions > 0.0 {
            self.clicks / self.impressions
        } else {
            0.0
        }
    }

    fn add(&mut self, fact: Fact) {
        match fact {
            Fact::Impression(cost) => {
                self.impressions += 1.0;
                self.cost += cost.0 as f64;
            }
            Fact::Click => self.clicks += 1.0,
            Fact::Conversion { event, count, value } => {
                self.add_event(event.0, f64::from(count), value.0 as f64)
            }
        }
    }

    /// Of more names than there is room for, the rest is not counted.
    fn add_event(&mut self, name: u64, count: f64, value: f64) {
        let place = self
            .events
            .iter()
            .position(|(known, ..)| *known == name || *known == 0);
        if let Some(place) = place {
            let (known, counted, valued) = &mut self.events[place];
            *known = name;
            *counted = (*counted + count).max(0.0);
            *valued = (*valued + value).max(0.0);
        }
    }

    fn scale(&mut self, kept: f64) {
        for sum in [&mut self.impressions, &mut self.clicks, &mut self.cost] {
            *sum *= kept;
        }
        for (_, count, value) in &mut self.events {
            (*count, *value) = (*count * kept, *value * kept);
        }
    }
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Sums) {
        self.impressions += other.impressions;
        self.clicks += other.clicks;
        self.cost += other.cost;
        for (name, count, value) in other.events.into_iter().filter(|(name, ..)| *name != 0) {
            self.add_event(name, count, value);
        }
    }
}
