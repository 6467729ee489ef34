//! A sum that many threads add to at once and one thread reads: each adds to a cache line of its own, so they do not fight for one.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

/// More threads than these share lines in turn. An account takes a cache line for each.
const STRIPES: usize = 8;

/// Relaxed throughout: nothing is read behind the sum.
#[derive(Debug, Default)]
pub struct Striped([Stripe; STRIPES]);

#[repr(align(64))]
#[derive(Debug, Default)]
struct Stripe(AtomicI64);

thread_local! {
    /// Of this thread, from its first use on.
    static STRIPE: Cell<Option<usize>> = const { Cell::new(None) };
}

impl Striped {
    pub fn add(&self, amount: i64) {
        self.0[stripe()].0.fetch_add(amount, Ordering::Relaxed);
    }

    pub fn sum(&self) -> i64 {
        self.0.iter().map(|stripe| stripe.0.load(Ordering::Relaxed)).sum()
    }
}

fn stripe() -> usize {
    STRIPE.get().unwrap_or_else(|| {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        let stripe = THREADS.fetch_add(1, Ordering::Relaxed) % STRIPES;
        STRIPE.set(Some(stripe));
        stripe
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_more_threads_than_stripes_add_is_in_the_sum() {
        let sum = Striped::default();
        std::thread::scope(|scope| {
            for thread in 0..3 * STRIPES as i64 {
                let sum = &sum;
                scope.spawn(move || (0..100).for_each(|_| sum.add(thread)));
            }
        });
        assert_eq!(sum.sum(), 100 * (0..3 * STRIPES as i64).sum::<i64>());
    }
}
