//! What is tried because too little is known of it: a share of a campaign's money goes to sources that are under-observed, bid at
//! a value drawn from what their clicks leave possible (Thompson sampling; Chapelle and Li, *An Empirical Evaluation of
//! Thompson Sampling*, NIPS 2011).
//!
//! The model predicts p for every impression. Of a source with n impressions and c clicks, the ratio of its true click rate to
//! the predicted one is taken as Gamma(c + 4) / (n·p + 4): four clicks as predicted are believed before anything is seen. The
//! value of a trial is multiplied by a draw of that ratio. A source is under-observed until ten clicks were to be expected.

use crate::units::{MixHasher, Nanos};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Clicks as predicted that are believed of every source before anything is seen of it.
const PRIOR_CLICKS: f64 = 4.0;
/// Expected clicks from which a source is known.
const KNOWN_AT: f64 = 10.0;
/// A drawn ratio is kept within: nothing is bid at more than four times what it is thought to be worth.
const RATIO_MIN: f64 = 0.25;
const RATIO_MAX: f64 = 4.0;
/// The share that a reserve of 15 % grows to while what is tried does better than what is known; other reserves in proportion.
pub const GROWN_SHARE: f64 = 25.0 / 15.0;
/// It grows, and shrinks again, by this part of itself a step.
const GROWTH: f64 = 1.1;
/// Clicks of what is tried, and of what is known, before they are compared.
const COMPARED_AT: f64 = 30.0;
/// Sums fade by this much a step: with steps of an hour, half in three days.
const KEPT: f64 = 0.99;
/// At most this share of requests is for trying.
const CHANCE_MAX: f64 = 0.5;

/// Of one campaign.
#[derive(Debug, Default)]
pub struct Exploration {
    /// Bits of f64: the share of requests in which trials are made; 0 = none. Relaxed: a number on its own.
    chance: AtomicU64,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Of the campaign's money, as configured, and as it has grown.
    reserve: f64,
    share: f64,
    /// Of what is known, and of trials.
    known: Yield,
    tried: Yield,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Yield {
    /// Nanos.
    pub cost: f64,
    pub clicks: f64,
}

/// A candidate that may be tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    pub clicks: f64,
    /// n · p.
    pub expected: f64,
}

impl Trial {
    /// `None` where the source is known well enough.
    pub fn of(clicks: f64, impressions: f64, p_click: f64) -> Option<Trial> {
        let expected = impressions * p_click;
        (expected < KNOWN_AT).then_some(Trial { clicks, expected })
    }

    /// A draw of the ratio by which its value is multiplied.
    pub fn draw(&self, dice: u64) -> f64 {
        let shape = self.clicks + PRIOR_CLICKS;
        // Wilson and Hilferty (1931): the cube root of a Gamma variable is nearly normal; from a shape of 4 on the error is below 1 %.
        let cube_root = 1.0 - 1.0 / (9.0 * shape) + normal(dice) / (3.0 * shape.sqrt());
        let gamma = shape * cube_root.max(0.0).powi(3);
        (gamma / (self.expected + PRIOR_CLICKS)).clamp(RATIO_MIN, RATIO_MAX)
    }
}

impl Exploration {
    /// The share of requests in which trials are made.
    pub fn chance(&self) -> f64 {
        f64::from_bits(self.chance.load(Ordering::Relaxed))
    }

    /// The share of the campaign's money that is meant for trials, 0..=0.5.
    pub fn reserve(&self, reserve: f64) {
        let mut state = self.state();
        if state.reserve != reserve {
            (state.reserve, state.share) = (reserve, reserve);
            // Until it is known what trials cost, they are made as often as they may cost.
            self.set_chance(reserve);
        }
    }

    /// A billed impression.
    pub fn cost(&self, tried: bool, cost: Nanos) {
        let mut state = self.state();
        state.of(tried).cost += cost.0 as f64;
    }

    pub fn click(&self, tried: bool) {
        let mut state = self.state();
        state.of(tried).clicks += 1.0;
    }

    /// Looks at what trials cost and brought, and sets how often they are made. For one thread, once an hour.
    pub fn step(&self) {
        let mut state = self.state();
        let State {
            reserve,
            known,
            tried,
            ..
        } = *state;
        let is_sure = known.clicks >= COMPARED_AT && tried.clicks >= COMPARED_AT;
        let is_better = is_sure && tried.clicks * known.cost > known.clicks * tried.cost;
        let grown = if is_better {
            state.share * GROWTH
        } else {
            state.share / GROWTH
        };
        state.share = grown.clamp(reserve, (reserve * GROWN_SHARE).min(CHANCE_MAX));
        let spent = tried.cost + known.cost;
        if spent > 0.0 && self.chance() > 0.0 {
            let share = (tried.cost / spent).max(0.001);
            // What was spent on trials follows the chance; halfway there at each step.
            let wanted = self.chance() * (state.share / share).clamp(0.5, 2.0).sqrt();
            self.set_chance(wanted.clamp(reserve / 10.0, CHANCE_MAX));
        }
        state.known.fade();
        state.tried.fade();
    }

    /// The share of money that is meant for trials now, and what known sources and trials cost and brought.
    pub fn view(&self) -> (f64, Yield, Yield) {
        let state = self.state();
        (state.share, state.known, state.tried)
    }

    pub(super) fn save(&self) -> [f64; 6] {
        let State {
            share, known, tried, ..
        } = *self.state();
        [
            self.chance(),
            share,
            known.cost,
            known.clicks,
            tried.cost,
            tried.clicks,
        ]
    }

    /// Before the reserve is set.
    pub(super) fn put_back(&self, saved: [f64; 6]) {
        let [chance, share, known_cost, known_clicks, tried_cost, tried_clicks] =
            saved.map(|number| number.max(0.0));
        let mut state = self.state();
        let of = |cost, clicks| Yield { cost, clicks };
        (state.known, state.tried) = (of(known_cost, known_clicks), of(tried_cost, tried_clicks));
        if state.reserve > 0.0 {
            state.share = share.clamp(state.reserve, (state.reserve * GROWN_SHARE).min(CHANCE_MAX));
            self.set_chance(chance.clamp(state.reserve / 10.0, CHANCE_MAX));
        }
    }

    fn set_chance(&self, chance: f64) {
        self.chance.store(chance.to_bits(), Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn of(&mut self, tried: bool) -> &mut Yield {
        if tried { &mut self.tried } else { &mut self.known }
    }
}

impl Yield {
    fn fade(&mut self) {
        self.cost *= KEPT;
        self.clicks *= KEPT;
    }
}

/// Box and Muller, of two halves of the dice.
fn normal(dice: u64) -> f64 {
    let dice = MixHasher::mix(dice, 0);
    let unit = |bits: u64| (bits as f64 + 0.5) / f64::from(u32::MAX);
    let (first, second) = (unit(dice >> 32).min(1.0), unit(dice & u64::from(u32::MAX)));
    (-2.0 * first.ln()).max(0.0).sqrt() * (std::f64::consts::TAU * second).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(clicks: f64, impressions: f64) -> (f64, f64) {
        let trial = Trial::of(clicks, impressions, 0.001).unwrap();
        let all: Vec<f64> = (0..20_000).map(|dice| trial.draw(dice)).collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let variance = all.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / all.len() as f64;
        (mean, variance.sqrt())
    }

    #[test]
    fn an_unknown_source_is_drawn_around_what_is_predicted_and_each_click_narrows_and_moves_it() {
        let (mean, spread) = draws(0.0, 0.0);
        assert!(
            (mean - 1.0).abs() < 0.03 && (spread - 0.5).abs() < 0.05,
            "{mean} {spread}"
        );
        let (good, narrower) = draws(16.0, 6_000.0);
        assert!((good - 2.0).abs() < 0.1 && narrower < spread, "{good} {narrower}");
        let (bad, _) = draws(0.0, 6_000.0);
        assert!((bad - 0.45).abs() < 0.1, "{bad}");
        assert_eq!(
            Trial::of(3.0, 10_000.0, 0.001),
            None,
            "ten clicks were to be expected"
        );
    }

    #[test]
    fn trials_cost_their_reserve_and_more_while_they_do_better() {
        for (better, share) in [(false, 0.15), (true, 0.25)] {
            let exploration = Exploration::default();
            exploration.reserve(0.15);
            for _ in 0..400 {
                // A trial wins twice as often as its chance; 1,000 of money an hour.
                let tried = 1000.0 * exploration.chance() * 2.0 / (1.0 + exploration.chance());
                exploration.cost(true, Nanos(tried as i64));
                exploration.cost(false, Nanos((1000.0 - tried) as i64));
                let per_click = if better { 50.0 } else { 200.0 };
                (0..(tried / per_click) as u32).for_each(|_| exploration.click(true));
                (0..((1000.0 - tried) / 100.0) as u32).for_each(|_| exploration.click(false));
                exploration.step();
            }
            let (_, known, tried) = exploration.view();
            let spent = tried.cost / (tried.cost + known.cost);
            assert!((spent - share).abs() < 0.02, "{better}: {spent}");
        }
    }

    #[test]
    fn without_a_reserve_nothing_is_tried() {
        let exploration = Exploration::default();
        exploration.cost(false, Nanos(1_000));
        exploration.step();
        assert_eq!(exploration.chance(), 0.0);
    }
}
