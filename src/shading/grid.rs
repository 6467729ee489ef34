//! Prices on a logarithmic grid: from 0.01 to 1,000 units of CPM in 128 steps of 9.4 %.

use crate::units::Cpm;
use std::sync::LazyLock;

/// The optimum is flat: half a step away from it costs less than 0.5 % of the surplus on log-normal markets.
pub const STEPS: usize = 128;

const LEAST: f64 = 0.01;
const MOST: f64 = 1_000.0;

/// Of the grid, in units of CPM.
struct Grid {
    log_least: f64,
    log_step: f64,
    /// The upper end of each step.
    prices: [f64; STEPS],
}

static GRID: LazyLock<Grid> = LazyLock::new(|| {
    let log_least = LEAST.ln();
    let log_step = (MOST.ln() - log_least) / STEPS as f64;
    Grid {
        log_least,
        log_step,
        prices: std::array::from_fn(|step| (log_least + log_step * (step + 1) as f64).exp()),
    }
});

/// The upper ends of the steps, ascending, in units of CPM.
pub fn prices() -> &'static [f64; STEPS] {
    &GRID.prices
}

/// The natural logarithm of the upper end of a step.
pub fn log_price(step: usize) -> f64 {
    GRID.log_least + GRID.log_step * (step + 1) as f64
}

/// The natural logarithm of a price in units of CPM; prices outside the grid count as its ends.
pub fn log_of(price: Cpm) -> f64 {
    price.as_units().clamp(LEAST, MOST).ln()
}

/// The natural logarithm of a price so far into a step, 0..=1.
pub fn log_within(step: usize, into: f64) -> f64 {
    GRID.log_least + GRID.log_step * (step as f64 + into)
}

/// The step that holds a logarithm, and how far into it, 0..=1.
pub fn place(log: f64) -> (usize, f64) {
    let steps = ((log - GRID.log_least) / GRID.log_step).max(0.0);
    let step = (steps as usize).min(STEPS - 1);
    (step, (steps - step as f64).clamp(0.0, 1.0))
}

/// The price `steps` behind (or, negative, before) a step's upper end.
pub fn between(step: usize, steps: f64) -> f64 {
    (log_price(step) + GRID.log_step * steps).exp()
}
