//! The weights that rules have set: by how much bids of a slice are worth more or less than the model says.

use super::rules::{Cause, Change, Rules, judge};
use super::sources::{Source, Sums};
use crate::units::{ObjectId, Timestamp};
use arc_swap::ArcSwap;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A weight, and the product of those that meet, stay within, but for a slice that rests.
const WEIGHT_MIN: f64 = 0.1;
const WEIGHT_MAX: f64 = 3.0;
/// After its rest a slice begins again at half.
const AFTER_REST: f64 = 0.5;
/// Slices with a weight of their own.
const SLICES_MAX: usize = 100_000;
/// A weight this near to 1 is none.
const NONE: f64 = 0.005;

/// Sources of one line item that are judged together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slice {
    LineItem(ObjectId),
    Exchange(ObjectId, ObjectId),
    Format(ObjectId, u8),
    /// At an exchange.
    Placement(ObjectId, ObjectId, u16),
}

impl Slice {
    /// The slices that a source belongs to, coarsest first.
    pub fn all_of(source: &Source) -> [Slice; 4] {
        let Source {
            line_item,
            exchange,
            format,
            placement,
        } = *source;
        [
            Slice::LineItem(line_item),
            Slice::Exchange(line_item, exchange),
            Slice::Format(line_item, format),
            Slice::Placement(line_item, exchange, placement),
        ]
    }

    pub fn line_item(&self) -> ObjectId {
        match *self {
            Slice::LineItem(item)
            | Slice::Exchange(item, _)
            | Slice::Format(item, _)
            | Slice::Placement(item, ..) => item,
        }
    }
}

/// A weight that waits for a person.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proposal {
    pub weight: f64,
    pub since: Timestamp,
}

/// What was decided about one slice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightView {
    pub slice: Slice,
    /// 0 while it rests.
    pub weight: f64,
    pub rests_until: Option<Timestamp>,
    pub proposal: Option<Proposal>,
    pub cause: Cause,
    /// Of the last change.
    pub since: Timestamp,
}

#[derive(Debug, Default)]
pub struct Weights {
    /// Those that are not 1.
    published: ArcSwap<HashMap<Slice, f64>>,
    any: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub entries: BTreeMap<Slice, WeightView>,
    /// When each campaign was last reviewed.
    pub reviewed: BTreeMap<ObjectId, Timestamp>,
}

impl Weights {
    /// What the value of a bid on this source is multiplied by: 0 = it rests. Takes no lock.
    pub fn of(&self, source: &Source) -> f64 {
        // Relaxed: a weight that appears this moment counts for the next request.
        if !self.any.load(Ordering::Relaxed) {
            return 1.0;
        }
        let published = self.published.load();
        let weights = Slice::all_of(source).map(|slice| published.get(&slice).copied().unwrap_or(1.0));
        match weights.into_iter().product::<f64>() {
            0.0 => 0.0,
            weight => weight.clamp(WEIGHT_MIN, WEIGHT_MAX),
        }
    }

    /// Judges every slice of a campaign where it is time to; returns what has changed. `sources` are the campaign's.
    pub fn review(
        &self,
        campaign: ObjectId,
        rules: &Rules,
        sources: &[(Source, Sums)],
        now: Timestamp,
    ) -> Vec<WeightView> {
        let mut state = self.state();
        let rested = state.wake(now);
        let last = state.reviewed.get(&campaign).copied();
        if last.is_some_and(|last| now.since(last) < rules.every_ms) {
            if rested {
                self.publish(&state);
            }
            return Vec::new();
        }
        state.reviewed.insert(campaign, now);
        // The first time there is nothing to compare with: facts gather for one period.
        let changed = match last {
            Some(_) => state.judge_all(rules, sources, now),
            None => Vec::new(),
        };
        self.publish(&state);
        changed
    }

    /// A person agrees to what is proposed. `None` where nothing is.
    pub fn approve(&self, slice: Slice, now: Timestamp) -> Option<WeightView> {
        self.change(slice, |entry| {
            let proposal = entry.proposal.take()?;
            (entry.weight, entry.since) = (proposal.weight, now);
            Some(())
        })
    }

    /// A person lets a slice go on as if nothing had been decided. `None` where nothing was.
    pub fn reset(&self, slice: Slice) -> Option<WeightView> {
        let mut state = self.state();
        let entry = state.entries.remove(&slice)?;
        self.publish(&state);
        Some(entry)
    }

    /// In order.
    pub fn views(&self) -> Vec<WeightView> {
        self.state().entries.values().copied().collect()
    }

    fn change(&self, slice: Slice, act: impl FnOnce(&mut WeightView) -> Option<()>) -> Option<WeightView> {
        let mut state = self.state();
        let entry = state.entries.get_mut(&slice)?;
        act(entry)?;
        let changed = *entry;
        self.publish(&state);
        Some(changed)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn publish(&self, state: &State) {
        let is_set = |entry: &&WeightView| (entry.weight - 1.0).abs() > NONE;
        let weights = state.entries.values().filter(is_set);
        let published: HashMap<_, _> = weights.map(|entry| (entry.slice, entry.weight)).collect();
        self.any.store(!published.is_empty(), Ordering::Relaxed);
        self.published.store(Arc::new(published));
    }
}

impl State {
    /// Slices whose rest is over begin again.
    fn wake(&mut self, now: Timestamp) -> bool {
        let is_over = |entry: &&mut WeightView| entry.rests_until.is_some_and(|until| until <= now);
        let mut any = false;
        for entry in self.entries.values_mut().filter(is_over) {
            (entry.weight, entry.rests_until, entry.since) = (AFTER_REST, None, now);
            any = true;
        }
        any
    }

    fn judge_all(&mut self, rules: &Rules, sources: &[(Source, Sums)], now: Timestamp) -> Vec<WeightView> {
        let mut slices: BTreeMap<Slice, Sums> = BTreeMap::new();
        let mut whole = Sums::default();
        for (source, sums) in sources {
            whole += *sums;
            for slice in Slice::all_of(source) {
                *slices.entry(slice).or_default() += *sums;
            }
        }
        let is_whole_line_item = |slice: &Slice, sums: &Sums| {
            let all = slices[&Slice::LineItem(slice.line_item())];
            !matches!(slice, Slice::LineItem(_)) && sums.impressions >= all.impressions
        };
        let mut changed = Vec::new();
        for (slice, sums) in &slices {
            // A slice that is all of its line item is judged as that.
            if is_whole_line_item(slice, sums) {
                continue;
            }
            if let Some((change, cause)) = judge(rules, sums, whole.ctr()) {
                changed.extend(self.apply(*slice, change, cause, rules, now));
            }
        }
        changed
    }

    fn apply(
        &mut self,
        slice: Slice,
        change: Change,
        cause: Cause,
        rules: &Rules,
        now: Timestamp,
    ) -> Option<WeightView> {
        if self.entries.len() >= SLICES_MAX && !self.entries.contains_key(&slice) {
            return None;
        }
        let entry = self.entries.entry(slice).or_insert(WeightView {
            slice,
            weight: 1.0,
            rests_until: None,
            proposal: None,
            cause,
            since: now,
        });
        let before = *entry;
        match change {
            // It costs nothing while it rests.
            _ if entry.rests_until.is_some() => return None,
            Change::Pause => {
                (entry.weight, entry.proposal) = (0.0, None);
                entry.rests_until = Some(Timestamp(now.0.saturating_add(rules.pause_ms)));
            }
            Change::Times(factor) => {
                let weight = (entry.weight * factor).clamp(WEIGHT_MIN, WEIGHT_MAX);
                let used = weight.min(rules.approve_above.max(entry.weight));
                entry.proposal = (weight > used).then_some(Proposal { weight, since: now });
                entry.weight = used;
            }
        }
        (entry.cause, entry.since) = (cause, now);
        (entry.weight != before.weight || entry.proposal.is_some() != before.proposal.is_some())
            .then_some(*entry)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::RoiRule;
    use super::*;
    use crate::units::Nanos;

    const CAMPAIGN: ObjectId = ObjectId(1);
    const ITEM: ObjectId = ObjectId(2);
    const BUY: ObjectId = ObjectId(3);
    const DAY: i64 = Timestamp::MS_PER_DAY;

    fn rules() -> Rules {
        Rules {
            every_ms: DAY,
            event: BUY,
            conversions_min: 10.0,
            cac_max: Some(Nanos(1_000_000_000)),
            approve_above: 1.5,
            ltv: None,
            roi: Some(RoiRule {
                more_over: 1.5,
                step: 0.3,
                target: Some(0.0),
            }),
            retention: None,
            pause_ms: 7 * DAY,
        }
    }

    fn source(exchange: u64, value: f64) -> (Source, Sums) {
        let source = Source {
            line_item: ITEM,
            exchange: ObjectId(exchange),
            format: 1,
            placement: 9,
        };
        let mut sums = Sums {
            impressions: 1e5,
            clicks: 100.0,
            cost: 100e9,
            ..Sums::default()
        };
        sums.events[0] = (BUY.0, 20.0, value * 1e9);
        (source, sums)
    }

    fn day(n: i64) -> Timestamp {
        Timestamp(n * DAY)
    }

    #[test]
    fn the_better_exchange_gets_more_up_to_what_a_person_must_approve_and_the_losing_one_rests() {
        let weights = Weights::default();
        let sources = [source(1, 300.0), source(2, 90.0)];
        let review = |n| weights.review(CAMPAIGN, &rules(), &sources, day(n));
        assert!(review(0).is_empty(), "facts gather first");
        assert!(review(1).len() > 1);
        let of = |n: usize| weights.of(&sources[n].0);
        // The exchange and its only placement each.
        assert!((of(0) - 1.69).abs() < 1e-9, "{}", of(0));
        assert_eq!(of(1), 0.0);
        assert!(
            weights
                .review(CAMPAIGN, &rules(), &sources, Timestamp(day(2).0 - 1))
                .is_empty(),
            "once a day"
        );
        review(2);
        assert!((of(0) - 1.5 * 1.5).abs() < 1e-9, "{}", of(0));
        let slice = Slice::Exchange(ITEM, ObjectId(1));
        let proposed = weights
            .views()
            .into_iter()
            .find(|view| view.slice == slice)
            .unwrap();
        assert!((proposed.proposal.unwrap().weight - 1.69).abs() < 1e-9);
        weights.approve(slice, day(2)).unwrap();
        assert!((of(0) - 1.69 * 1.5).abs() < 1e-9);
        assert_eq!(
            weights.approve(slice, day(2)),
            None,
            "nothing is proposed any more"
        );
        // What rested has brought nothing new, good or bad.
        weights.review(CAMPAIGN, &rules(), &[], day(8));
        assert!(
            (of(1) - 0.25).abs() < 1e-9,
            "half, of both slices, after a week: {}",
            of(1)
        );
    }

    #[test]
    fn what_is_all_of_its_line_item_is_judged_once_and_no_weight_leaves_its_bounds() {
        let weights = Weights::default();
        let sources = [source(1, 1_000.0)];
        let free = Rules {
            approve_above: 100.0,
            ..rules()
        };
        for n in 0..20 {
            weights.review(CAMPAIGN, &free, &sources, day(n));
        }
        assert_eq!(weights.of(&sources[0].0), 3.0);
        assert_eq!(weights.views().len(), 1);
        weights.reset(Slice::LineItem(ITEM)).unwrap();
        assert_eq!(weights.of(&sources[0].0), 1.0);
    }
}
