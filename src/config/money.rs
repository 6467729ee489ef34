//! Amounts of money as people write them: a number in the advertiser's currency, or text with its own currency.
//! Invariant: decimals become integers digit by digit; a digit that the unit cannot hold is refused, never rounded.

use super::document::{Node, Table};
use crate::store::rates::{Rate, Rates};
use crate::units::{Cpm, Currency, Limits, Nanos};
use toml::de::DeValue;

/// How amounts of one advertiser are read.
#[derive(Clone, Copy)]
pub(super) struct Purse<'a> {
    pub rates: &'a Rates,
    /// Of numbers that name no currency.
    pub currency: Currency,
}

impl Purse<'_> {
    /// A positive price per thousand, converted to the accounting currency and rounded down.
    pub fn cpm(&self, node: &Node<'_>) -> Option<Cpm> {
        let (micros, rate) = self.amount(node, 6)?;
        let cpm = rate.to_accounting_down(Cpm(micros));
        if cpm <= Cpm::ZERO || cpm > Cpm::MAX {
            node.problem(
                "this price is out of range",
                "write a price above 0 and at most 1000000",
            );
            return None;
        }
        Some(cpm)
    }

    /// A positive amount, converted to the accounting currency and rounded down.
    pub fn nanos(&self, node: &Node<'_>) -> Option<Nanos> {
        let (nanos, rate) = self.amount(node, 9)?;
        let product = i128::from(nanos) * i128::from(rate.0) / i128::from(Rate::ONE.0);
        let amount = i64::try_from(product)
            .ok()
            .filter(|amount| *amount > 0 && *amount <= AMOUNT_MAX.0);
        if amount.is_none() {
            node.problem(
                "this amount is out of range",
                format!("write an amount above 0 and at most {AMOUNT_MAX}"),
            );
        }
        amount.map(Nanos)
    }

    /// `{ hourly = …, daily = …, lifetime = … }`, each at least as large as the one before.
    pub fn limits(&self, table: &Table<'_>) -> Limits {
        let limits = Limits {
            hourly: table.maybe("hourly", |n| self.nanos(n)),
            daily: table.maybe("daily", |n| self.nanos(n)),
            lifetime: table.maybe("lifetime", |n| self.nanos(n)),
        };
        let order = [
            ("hourly", limits.hourly),
            ("daily", limits.daily),
            ("lifetime", limits.lifetime),
        ];
        for (i, (shorter, less)) in order.iter().enumerate() {
            for (longer, more) in &order[i + 1..] {
                if let (Some(less), Some(more), Some(node)) = (less, more, table.get(shorter))
                    && less > more
                {
                    let what = format!("the {shorter} budget {less} is above the {longer} budget {more}");
                    node.problem(what, format!("lower `{shorter}` or raise `{longer}`"));
                }
            }
        }
        limits
    }

    /// The digits scaled by ten to the `decimals`, and the rate of their currency.
    fn amount(&self, node: &Node<'_>, decimals: usize) -> Option<(i64, Rate)> {
        let (digits, currency) = match node.value() {
            DeValue::String(text) => split_currency(text).or_else(|| {
                node.problem(format!("`{text}` is no amount"), "write for example `50.00 USD`");
                None
            })?,
            _ => (node.decimal_text()?, self.currency),
        };
        let scaled = parse_decimal(digits, decimals);
        if scaled.is_none() {
            let fix = format!("write digits with at most {decimals} decimals, such as `2.50`");
            node.problem(format!("`{digits}` is no amount"), fix);
        }
        // Budgets are kept also while the rates are too old to bid: an amount is no price.
        let rate = self.rates.get(currency, self.rates.at);
        if rate.is_none() {
            node.problem(
                format!("there is no rate for {currency}"),
                format!("add {currency} to rates.toml"),
            );
        }
        Some((scaled?, rate?))
    }
}

/// A thousand million: above any budget, and nine sums of it fit in 64 bits.
const AMOUNT_MAX: Nanos = Nanos(1_000_000_000 * Nanos::PER_UNIT);

fn split_currency(text: &str) -> Option<(&str, Currency)> {
    let (digits, currency) = text.trim().rsplit_once(' ')?;
    Some((digits.trim_end(), Currency::parse(currency)?))
}

/// `12.5` with 6 decimals = 12,500,000.
fn parse_decimal(text: &str, decimals: usize) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let fraction = fraction.trim_end_matches('0');
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > decimals {
        return None;
    }
    format!("{whole}{fraction:0<decimals$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_become_integers_without_rounding() {
        for (text, decimals, expected) in [
            ("12.5", 6, Some(12_500_000)),
            ("0.000001", 6, Some(1)),
            ("0.0000001", 6, None),
            ("1.100000000", 6, Some(1_100_000)),
            ("50", 9, Some(50_000_000_000)),
            ("-1", 6, None),
            ("1e3", 6, None),
            (".5", 6, None),
            ("nan", 6, None),
            ("99999999999999999999", 6, None),
        ] {
            assert_eq!(parse_decimal(text, decimals), expected, "{text}");
        }
    }

    #[test]
    fn an_amount_may_name_its_currency() {
        assert_eq!(split_currency("50.00 USD"), Some(("50.00", Currency::USD)));
        assert_eq!(split_currency("50.00"), None);
        assert_eq!(split_currency("50 dollars"), None);
    }
}
