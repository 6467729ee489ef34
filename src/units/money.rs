//! Money as integers. An impression bought at a CPM of X micros costs exactly X nanos.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

/// Money in nanos (10⁻⁹) of the accounting currency: the unit of budgets, reservations and bookings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub i64);

impl Nanos {
    pub const ZERO: Nanos = Nanos(0);
    /// Nanos in one unit of the currency.
    pub const PER_UNIT: i64 = 1_000_000_000;
    /// One impression as [`Nanos::for_impressions`] counts them.
    pub const ONE_IMPRESSION_MICROS: u64 = 1_000_000;

    /// Rounds half away from zero; `None` when not finite or outside ±9.2 billion units.
    pub fn from_units(units: f64) -> Option<Nanos> {
        let nanos = (units * Self::PER_UNIT as f64).round();
        (nanos.is_finite() && nanos.abs() < i64::MAX as f64).then_some(Nanos(nanos as i64))
    }

    /// For display and reports only; decisions stay in integers.
    pub fn as_units(self) -> f64 {
        self.0 as f64 / Self::PER_UNIT as f64
    }

    pub fn saturating_sub(self, other: Nanos) -> Nanos {
        Nanos(self.0.saturating_sub(other.0))
    }

    pub fn saturating_add(self, other: Nanos) -> Nanos {
        Nanos(self.0.saturating_add(other.0))
    }

    /// `self` × `part` / `whole`, rounded up; what no `Nanos` holds becomes the largest. `whole` is above 0.
    pub fn scaled_up(self, part: u64, whole: u64) -> Nanos {
        let (product, whole) = (i128::from(self.0) * i128::from(part), i128::from(whole));
        let up = product.div_euclid(whole) + i128::from(product.rem_euclid(whole) > 0);
        Nanos(i64::try_from(up).unwrap_or(i64::MAX))
    }

    /// The price of that many impressions, in millionths (1,000,000 = 1.0), rounded up.
    pub fn for_impressions(self, micros: u64) -> Nanos {
        self.scaled_up(micros, Self::ONE_IMPRESSION_MICROS)
    }
}

impl Add for Nanos {
    type Output = Nanos;
    fn add(self, other: Nanos) -> Nanos {
        Nanos(self.0 + other.0)
    }
}

impl Sub for Nanos {
    type Output = Nanos;
    fn sub(self, other: Nanos) -> Nanos {
        Nanos(self.0 - other.0)
    }
}

impl Neg for Nanos {
    type Output = Nanos;
    fn neg(self) -> Nanos {
        Nanos(-self.0)
    }
}

impl AddAssign for Nanos {
    fn add_assign(&mut self, other: Nanos) {
        self.0 += other.0;
    }
}

impl SubAssign for Nanos {
    fn sub_assign(&mut self, other: Nanos) {
        self.0 -= other.0;
    }
}

impl Sum for Nanos {
    fn sum<I: Iterator<Item = Nanos>>(iter: I) -> Nanos {
        iter.fold(Nanos::ZERO, Add::add)
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let abs = self.0.unsigned_abs();
        let text = format!("{}.{:09}", abs / 1_000_000_000, abs % 1_000_000_000);
        let keep = text.trim_end_matches('0').len().max(text.len() - 7);
        write!(f, "{sign}{}", &text[..keep])
    }
}

/// Money limits of a budget; `None` = unlimited over that period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub hourly: Option<Nanos>,
    pub daily: Option<Nanos>,
    pub lifetime: Option<Nanos>,
}

/// How a budget is spread over its period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// The same every minute.
    #[default]
    Even,
    /// Falling evenly from twice the mean to nothing.
    FrontLoaded,
    /// In proportion to the requests that are expected.
    Traffic,
    /// Whatever comes, until the money is gone.
    AsFastAsPossible,
}

impl Spread {
    pub const ALL: [Spread; 4] = [
        Spread::Even,
        Spread::FrontLoaded,
        Spread::Traffic,
        Spread::AsFastAsPossible,
    ];

    /// As files and pages name it.
    pub fn name(self) -> &'static str {
        match self {
            Spread::Even => "even",
            Spread::FrontLoaded => "front_loaded",
            Spread::Traffic => "traffic",
            Spread::AsFastAsPossible => "asap",
        }
    }
}

/// A price per thousand impressions, in micros of a currency that stands beside it
/// (the accounting currency unless said otherwise).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpm(pub i64);

impl Cpm {
    pub const ZERO: Cpm = Cpm(0);
    /// One million units per thousand impressions: far above any real price, low enough that no sum overflows.
    pub const MAX: Cpm = Cpm(1_000_000 * 1_000_000);

    /// A CPM on the wire, in units of its currency. Rounded to the nearest micro;
    /// `None` when negative, not finite or above [`Cpm::MAX`].
    pub fn from_units(units: f64) -> Option<Cpm> {
        let micros = (units * 1e6).round();
        (units >= 0.0 && micros <= Self::MAX.0 as f64).then_some(Cpm(micros as i64))
    }

    /// For the wire, display and reports.
    pub fn as_units(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// What one impression at this price costs: X micros per thousand = X nanos each.
    pub fn per_impression(self) -> Nanos {
        Nanos(self.0)
    }

    /// The price per thousand at which one impression is worth `value`, capped to 0..=[`Cpm::MAX`].
    pub fn from_value(value: Nanos) -> Cpm {
        Cpm(value.0.clamp(0, Self::MAX.0))
    }
}

impl fmt::Display for Cpm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// A probability in 0..=1.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Probability(f32);

impl Probability {
    /// `None` outside 0..=1 and for NaN.
    pub fn new(value: f32) -> Option<Probability> {
        (0.0..=1.0).contains(&value).then_some(Probability(value))
    }

    pub fn get(self) -> f32 {
        self.0
    }

    /// The expected value of `amount` received with this probability, rounded down.
    pub fn of(self, amount: Nanos) -> Nanos {
        Nanos((f64::from(self.0) * amount.0 as f64) as i64)
    }
}

/// An ISO-4217 alphabetic code, upper case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

impl Currency {
    pub const USD: Currency = Currency(*b"USD");

    /// Three ASCII letters in any case.
    pub fn parse(text: &str) -> Option<Currency> {
        let bytes: [u8; 3] = text.as_bytes().try_into().ok()?;
        bytes
            .iter()
            .all(u8::is_ascii_alphabetic)
            .then(|| Currency(bytes.map(|b| b.to_ascii_uppercase())))
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("three ASCII letters")
    }

    pub fn bytes(self) -> [u8; 3] {
        self.0
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impression_at_a_cpm_of_x_micros_costs_x_nanos() {
        let cpm = Cpm::from_units(2.5).unwrap();
        assert_eq!(cpm, Cpm(2_500_000));
        assert_eq!(cpm.per_impression(), Nanos(2_500_000));
        assert_eq!(Nanos::from_units(0.0025).unwrap(), Nanos(2_500_000));
    }

    #[test]
    fn prices_out_of_range_are_refused() {
        for bad in [-0.01, f64::NAN, f64::INFINITY, 1e300, 1_000_000.1] {
            assert_eq!(Cpm::from_units(bad), None, "{bad}");
        }
        assert_eq!(Nanos::from_units(f64::NAN), None);
        assert_eq!(Nanos::from_units(1e12), None);
    }

    #[test]
    fn money_prints_at_least_two_decimals() {
        for (nanos, text) in [
            (0, "0.00"),
            (1_500_000_000, "1.50"),
            (-1, "-0.000000001"),
            (2_500_000, "0.0025"),
        ] {
            assert_eq!(Nanos(nanos).to_string(), text);
        }
    }
}
