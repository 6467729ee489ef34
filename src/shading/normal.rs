//! The standard normal distribution.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

/// Density at `z`.
pub fn density(z: f64) -> f64 {
    (-z * z / 2.0).exp() / TAU.sqrt()
}

/// So far from the mean nothing is expected any more: P(Z ≤ −8) is 6·10⁻¹⁶.
pub const FAR: f64 = 8.0;
/// From here on the continued fraction is the better one.
const TAIL: f64 = 4.0;

/// P(Z ≤ z), within 1.5·10⁻⁷ and within 0.5 % of it or of what it lacks of 1 (Abramowitz and Stegun 1964, 7.1.26; in the tails the
/// continued fraction 26.2.14).
pub fn cumulative(z: f64) -> f64 {
    if z.abs() > TAIL {
        let tail = tail(z.abs());
        return if z > 0.0 { 1.0 - tail } else { tail };
    }
    let x = z.abs() * FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let poly = t
        * (0.254_829_592
            + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let upper = 0.5 * poly * (-x * x).exp();
    if z > 0.0 { 1.0 - upper } else { upper }
}

/// P(Z > z) for z ≥ 4.
fn tail(z: f64) -> f64 {
    density(z) / (z + 1.0 / (z + 2.0 / (z + 3.0 / z)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tabled_values_are_met() {
        for (z, expected) in [
            (0.0, 0.5),
            (1.0, 0.841_344_7),
            (-1.0, 0.158_655_3),
            (1.959_964, 0.975),
            (-3.0, 0.001_349_9),
        ] {
            assert!((cumulative(z) - expected).abs() < 2e-7, "{z}: {}", cumulative(z));
        }
        for (z, expected) in [(-3.99, 3.303_7e-5), (-4.01, 3.035_9e-5), (-6.0, 9.865_88e-10)] {
            let off = cumulative(z) / expected - 1.0;
            assert!(off.abs() < 5e-3, "{z}: {off}");
        }
        assert!((density(0.0) - 0.398_942_28).abs() < 1e-8);
    }
}
