//! Exchange rates with their date. A currency without a fresh rate is a currency without bids.

use crate::units::{Cpm, Currency, Nanos, Timestamp};

#[derive(Clone, Debug)]
pub struct Rates {
    pub accounting: Currency,
    /// When the rates were true.
    pub at: Timestamp,
    /// Rates older than this are not used.
    pub max_age_ms: i64,
    rates: Vec<(Currency, Rate)>,
}

/// Accounting units that one unit of a currency is worth, in billionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(pub i64);

impl Rate {
    pub const ONE: Rate = Rate(1_000_000_000);

    /// `None` unless finite and within 1e-6..=1e6.
    pub fn from_units(units: f64) -> Option<Rate> {
        (1e-6..=1e6)
            .contains(&units)
            .then(|| Rate((units * 1e9).round() as i64))
    }

    /// Rounded down; what no amount holds becomes the largest.
    pub fn amount_to_accounting(self, amount: Nanos) -> Nanos {
        let product = i128::from(amount.0) * i128::from(self.0) / i128::from(Self::ONE.0);
        Nanos(i64::try_from(product).unwrap_or(i64::MAX))
    }

    pub fn to_accounting_up(self, price: Cpm) -> Cpm {
        scale(price, self.0, Self::ONE.0, true)
    }

    pub fn to_accounting_down(self, price: Cpm) -> Cpm {
        scale(price, self.0, Self::ONE.0, false)
    }

    pub fn from_accounting_up(self, price: Cpm) -> Cpm {
        scale(price, Self::ONE.0, self.0, true)
    }

    pub fn from_accounting_down(self, price: Cpm) -> Cpm {
        scale(price, Self::ONE.0, self.0, false)
    }
}

fn scale(price: Cpm, numerator: i64, denominator: i64, up: bool) -> Cpm {
    let product = i128::from(price.0) * i128::from(numerator);
    let denominator = i128::from(denominator);
    let quotient = if up {
        (product + denominator - 1) / denominator
    } else {
        product / denominator
    };
    Cpm(quotient.min(i128::from(i64::MAX)) as i64)
}

impl Rates {
    pub fn new(accounting: Currency, at: Timestamp, max_age_ms: i64, rates: Vec<(Currency, Rate)>) -> Rates {
        Rates {
            accounting,
            at,
            max_age_ms,
            rates,
        }
    }

    /// Exact for the accounting currency; otherwise `None` when unknown or too old at `now`.
    pub fn get(&self, currency: Currency, now: Timestamp) -> Option<Rate> {
        if currency == self.accounting {
            return Some(Rate::ONE);
        }
        if now.since(self.at) > self.max_age_ms {
            return None;
        }
        self.rates
            .iter()
            .find(|(known, _)| *known == currency)
            .map(|(_, rate)| *rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_converted_up_and_a_price_converted_back_never_falls_below_the_floor() {
        let rate = Rate::from_units(1.0837).unwrap();
        for floor in [1, 999_999, 1_000_000, 1_234_567, 77_777_777] {
            let accounting = rate.to_accounting_up(Cpm(floor));
            assert!(rate.from_accounting_up(accounting) >= Cpm(floor));
        }
    }

    #[test]
    fn a_rate_that_is_too_old_is_no_rate() {
        let eur = Currency::parse("EUR").unwrap();
        let rates = Rates::new(Currency::USD, Timestamp(1_000), 500, vec![(eur, Rate::ONE)]);
        assert_eq!(rates.get(eur, Timestamp(1_500)), Some(Rate::ONE));
        assert_eq!(rates.get(eur, Timestamp(1_501)), None);
        assert_eq!(rates.get(Currency::USD, Timestamp(99_999)), Some(Rate::ONE));
        assert_eq!(rates.get(Currency::parse("JPY").unwrap(), Timestamp(1_500)), None);
    }
}
