//! A hasher for keys that are hashes or counters already: two multiplications a word.
//! Not for keys that a stranger can choose freely: it has no secret.

use std::hash::Hasher;

/// Odd constants with well-spread bits: the fractions of π and of the golden ratio.
const FIRST: u64 = 0x243f_6a88_85a3_08d3;
const SECOND: u64 = 0x9e37_79b9_7f4a_7c15;

/// For `BuildHasherDefault<MixHasher>` in maps keyed by ids.
#[derive(Clone, Copy, Debug, Default)]
pub struct MixHasher(u64);

impl MixHasher {
    /// The upper and lower half of a 128-bit product, folded: every bit of both words reaches every bit of the result.
    pub fn mix(a: u64, b: u64) -> u64 {
        let product = u128::from(a ^ FIRST) * u128::from(b ^ SECOND);
        let folded = product as u64 ^ (product >> 64) as u64;
        let product = u128::from(folded) * u128::from(SECOND);
        product as u64 ^ (product >> 64) as u64
    }

    /// Dice: evenly within 0..1, by the upper 53 bits of [`mix`](MixHasher::mix).
    pub fn unit(a: u64, b: u64) -> f64 {
        (MixHasher::mix(a, b) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Hasher for MixHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = MixHasher::mix(self.0 ^ word, word);
    }

    fn write_u128(&mut self, word: u128) {
        self.0 = MixHasher::mix(self.0 ^ word as u64, (word >> 64) as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn counters_spread_over_low_and_high_bits() {
        let hash = |n: u64| {
            let mut hasher = MixHasher::default();
            hasher.write_u128(u128::from(n) << 32);
            hasher.finish()
        };
        for shift in [0, 32, 57] {
            let mut counts = [0u32; 128];
            (0..128_000).for_each(|n| counts[(hash(n) >> shift) as usize % 128] += 1);
            // Binomial, mean 1000, standard deviation 31.5: six of them.
            assert!(
                counts.iter().all(|&count| (810..1190).contains(&count)),
                "{shift} {counts:?}"
            );
        }
        let all: HashSet<u64> = (0..100_000).map(hash).collect();
        assert_eq!(all.len(), 100_000);
    }
}
