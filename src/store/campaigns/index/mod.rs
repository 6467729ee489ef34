//! The targeting index: which line items may answer an opportunity, without looking at each.
//!
//! Every dimension that some line item constrains is an [`Axis`]: the set of line items that do not constrain it and,
//! by value, the sets that want or refuse it. A match intersects the axes block by block (1,024 line items), the most
//! selective axis first, and leaves a block as soon as nothing survives in it. Survivors are checked for what sets
//! do not say: dates, circles, coarse ranges, audiences (each distinct expression once).
//!
//! Invariant: the answer is exactly that of [`super::naive::first_mismatch`].

mod axis;
mod intervals;
mod offered;
mod posting;
mod values;
mod wanted;

use super::compiled::LineItem;
use super::definition::Flight;
use super::dimension::Dimension;
use super::expression::Expression;
use super::naive::targeting_meets;
use super::opportunity::Opportunity;
use crate::store::profiles::Profile;
use crate::units::Timestamp;
use axis::Axis;
use posting::{BLOCK_ITEMS, Posting};
use std::collections::HashMap;
use std::ops::Range;

/// Words of a block. Sixteen (1,024 line items) measured best between the cost of a step and how soon a block is empty.
const BLOCK_WORDS: usize = 16;
type Block = [u64; BLOCK_WORDS];

/// The sets of all dimensions over one list of line items.
#[derive(Debug, Default)]
pub struct Index {
    axes: Vec<Axis>,
    postings: Vec<Posting>,
    /// Line items that serve.
    serving: Vec<Block>,
    residuals: Vec<Residual>,
    audiences: Vec<Expression>,
}

/// What is still to be checked when the sets let a line item pass. Small and in one row, because it is read for every
/// survivor, where the line items themselves are spread over memory.
#[derive(Clone, Copy, Debug, Default)]
struct Residual {
    flight: Flight,
    /// Into [`Index::audiences`].
    audience: Option<u32>,
    radius: bool,
    os_version: bool,
    ip: bool,
}

/// Buffers of a match, reused by the next one.
#[derive(Debug, Default)]
pub struct MatchScratch {
    steps: Vec<Step>,
    picks: Vec<Pick>,
    /// By posting list: the match that picked it last.
    picked_in: Vec<u32>,
    match_number: u32,
    audiences: Vec<Option<bool>>,
    matched: Vec<u32>,
}

/// One axis with the lists that the offered values picked.
#[derive(Debug)]
struct Step {
    picks: Range<usize>,
    /// How many line items the axis lets pass at most; the fewest are intersected first.
    passes_max: usize,
}

#[derive(Debug)]
struct Pick {
    posting: u32,
    /// How far the list has been read.
    cursor: u32,
    refused: bool,
}

impl Index {
    pub(super) fn build(items: &[LineItem]) -> Index {
        let mut index = Index {
            residuals: residuals(items),
            ..Index::default()
        };
        index.serving = vec![[0; BLOCK_WORDS]; items.len().div_ceil(BLOCK_ITEMS)];
        for (position, _) in items.iter().enumerate().filter(|(_, item)| item.serving) {
            index.serving[position / BLOCK_ITEMS][position % BLOCK_ITEMS / 64] |= 1 << (position % 64);
        }
        index.intern_audiences(items);
        index.axes = axis::build(items, &mut index.residuals, &mut index.postings);
        index
    }

    /// Heap bytes of the sets.
    pub fn bytes(&self) -> usize {
        self.postings.iter().map(Posting::bytes).sum()
    }

    pub(super) fn match_into<'s>(
        &self,
        items: &[LineItem],
        opportunity: &Opportunity,
        profile: Option<&Profile>,
        now: Timestamp,
        limit: usize,
        scratch: &'s mut MatchScratch,
    ) -> &'s [u32] {
        scratch.start(self, items.len());
        for axis in &self.axes {
            axis.pick(&self.postings, opportunity, profile.is_some(), now, scratch);
        }
        scratch.steps.sort_unstable_by_key(|step| step.passes_max);
        for block in 0..self.serving.len() {
            let survivors = self.intersect(block, scratch);
            for position in members(&survivors).map(|member| block * BLOCK_ITEMS + member) {
                if scratch.matched.len() == limit {
                    return &scratch.matched;
                }
                let (item, audiences) = (&items[position], &mut scratch.audiences);
                if self.passes(position, item, opportunity, profile, now, audiences) {
                    scratch.matched.push(position as u32);
                }
            }
        }
        &scratch.matched
    }

    /// The line items of a block that every axis lets pass.
    fn intersect(&self, block: usize, scratch: &mut MatchScratch) -> Block {
        let mut survivors = self.serving[block];
        for step in &scratch.steps {
            if survivors == [0; BLOCK_WORDS] {
                break;
            }
            let (mut allowed, mut refused) = ([0; BLOCK_WORDS], [0; BLOCK_WORDS]);
            for pick in &mut scratch.picks[step.picks.clone()] {
                let into = if pick.refused { &mut refused } else { &mut allowed };
                self.postings[pick.posting as usize].add_block(block, &mut pick.cursor, into);
            }
            for ((survivor, allowed), refused) in survivors.iter_mut().zip(allowed).zip(refused) {
                *survivor &= allowed & !refused;
            }
        }
        survivors
    }

    fn passes(
        &self,
        position: usize,
        item: &LineItem,
        opportunity: &Opportunity,
        profile: Option<&Profile>,
        now: Timestamp,
        audiences: &mut [Option<bool>],
    ) -> bool {
        let residual = &self.residuals[position];
        let meets =
            |dimension| targeting_meets(&item.definition.targeting, dimension, opportunity, profile, now);
        residual.flight.contains(now)
            && (!residual.radius || meets(Dimension::Radius))
            && (!residual.os_version || meets(Dimension::OsVersion))
            && (!residual.ip || meets(Dimension::Ip))
            && residual.audience.is_none_or(|audience| {
                let audience = audience as usize;
                *audiences[audience].get_or_insert_with(|| self.audiences[audience].matches(profile, now))
            })
    }

    fn intern_audiences(&mut self, items: &[LineItem]) {
        let mut known: HashMap<String, u32> = HashMap::new();
        for (residual, item) in self.residuals.iter_mut().zip(items) {
            let Some(expression) = &item.definition.targeting.audience else {
                continue;
            };
            let next = self.audiences.len() as u32;
            let audience = *known.entry(expression.to_string()).or_insert(next);
            if audience == next {
                self.audiences.push(expression.clone());
            }
            residual.audience = Some(audience);
        }
    }
}

/// Positions of the bits that are set, ascending.
fn members(block: &Block) -> impl Iterator<Item = usize> {
    block.iter().enumerate().flat_map(|(word, &bits)| {
        let rest = std::iter::successors(Some(bits), |bits| Some(bits & bits.wrapping_sub(1)));
        rest.take_while(|bits| *bits != 0)
            .map(move |bits| word * 64 + bits.trailing_zeros() as usize)
    })
}

fn residuals(items: &[LineItem]) -> Vec<Residual> {
    let residual = |item: &LineItem| Residual {
        flight: item.flight,
        radius: !item.definition.targeting.radius.is_any(),
        ..Residual::default()
    };
    items.iter().map(residual).collect()
}

impl MatchScratch {
    /// Empties the buffers and makes them as large as any match over this index needs.
    fn start(&mut self, index: &Index, items: usize) {
        self.steps.clear();
        self.steps.reserve(index.axes.len());
        self.picks.clear();
        self.picks.reserve(index.postings.len());
        self.matched.clear();
        self.matched.reserve(items);
        self.audiences.clear();
        self.audiences.resize(index.audiences.len(), None);
        if self.picked_in.len() < index.postings.len() || self.match_number == u32::MAX {
            self.picked_in.clear();
            self.picked_in.resize(index.postings.len(), 0);
            self.match_number = 0;
        }
        self.match_number += 1;
    }

    /// Picks a list unless this match has picked it already: repeated values in a request cost nothing more.
    fn pick(&mut self, posting: u32, refused: bool) {
        let picked_in = &mut self.picked_in[posting as usize];
        if *picked_in != self.match_number {
            *picked_in = self.match_number;
            self.picks.push(Pick {
                posting,
                cursor: 0,
                refused,
            });
        }
    }
}
