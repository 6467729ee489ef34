//! Random numbers by counter. Invariant: a value depends only on (seed, stream, index) and on how many were drawn before
//! it from the same [`Random`], never on what else was drawn in the world.

/// What the numbers are for, so that drawing more of one kind changes no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Stream {
    User = 1,
    Site,
    Request,
    Outcome,
    Rivals,
    Row,
    Brand,
    /// What goes wrong between an exchange and a bidder.
    Mishap,
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    pub fn new(seed: u64, stream: Stream, index: u64) -> Random {
        Random {
            state: mix(mix(mix(seed) ^ stream as u64) ^ index),
        }
    }

    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        finish(self.state)
    }

    /// In 0..1, 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// In 0..`bound`; 0 for a bound of 0. The bias of 2⁻⁶⁴ × bound is of no account here.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }

    /// An index into `weights`, each as likely as its weight says.
    pub fn weighted(&mut self, weights: impl IntoIterator<Item = f64> + Clone) -> usize {
        let total: f64 = weights.clone().into_iter().sum();
        let mut left = self.unit() * total;
        let mut last = 0;
        for (i, weight) in weights.into_iter().enumerate() {
            last = i;
            left -= weight;
            if left < 0.0 {
                break;
            }
        }
        last
    }

    /// Standard normal, by Box and Muller.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// With mean 1 for rate 1.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }
}

/// 2⁶⁴ divided by the golden ratio, odd.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

pub(crate) fn mix(value: u64) -> u64 {
    finish(value.wrapping_add(GOLDEN))
}

fn finish(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_and_indices_are_independent() {
        let first = |seed, stream, index| Random::new(seed, stream, index).next_u64();
        assert_eq!(first(1, Stream::User, 7), first(1, Stream::User, 7));
        assert_ne!(first(1, Stream::User, 7), first(2, Stream::User, 7));
        assert_ne!(first(1, Stream::User, 7), first(1, Stream::Site, 7));
        assert_ne!(first(1, Stream::User, 7), first(1, Stream::User, 8));
    }

    #[test]
    fn draws_have_the_moments_of_their_laws() {
        let mut random = Random::new(3, Stream::Row, 0);
        let n = 100_000;
        let (mut unit, mut normal, mut square, mut exponential) = (0.0, 0.0, 0.0, 0.0);
        for _ in 0..n {
            unit += random.unit();
            let z = random.normal();
            normal += z;
            square += z * z;
            exponential += random.exponential();
        }
        let n = f64::from(n);
        assert!((unit / n - 0.5).abs() < 0.01);
        assert!((normal / n).abs() < 0.02);
        assert!((square / n - 1.0).abs() < 0.03);
        assert!((exponential / n - 1.0).abs() < 0.02);
    }
}
