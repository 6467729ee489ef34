//! Numbers as spreadsheets and reports write them: `1,234.50`, `$0.004`, `12.30 EUR`, `(3.00)`, `4E-3`.

use crate::units::Nanos;

/// The mark in front of the fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decimal {
    #[default]
    Point,
    Comma,
}

/// A number in billionths, and how many decimals it was written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    pub nanos: Nanos,
    pub decimals: u32,
}

/// Digits in front of the fraction; 9.2 billion is the most that [`Nanos`] holds.
const DIGITS_MAX: usize = 30;

/// A sign or parentheses, a currency sign or code before or behind, groups of three digits.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn parse(text: &str, mark: Decimal) -> Result<Number, String> {
    let bad = || match mark {
        Decimal::Point => "is no number such as 1234.56; a decimal comma needs --decimal comma".to_owned(),
        Decimal::Comma => "is no number such as 1234,56".to_owned(),
    };
    let (text, in_parentheses) = match text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
        Some(inner) => (inner, true),
        None => (text, false),
    };
    let text = without_currency(text.trim());
    let (text, has_minus) = match text.strip_prefix(['-', '\u{2212}']) {
        Some(rest) => (without_currency(rest), true),
        None => (text.strip_prefix('+').unwrap_or(text), false),
    };
    let number = if text.contains(['e', 'E']) {
        scientific(text, mark)
    } else {
        plain(text, mark)
    };
    let mut number = number.ok_or_else(bad)?;
    if has_minus != in_parentheses {
        number.nanos = -number.nanos;
    }
    Ok(number)
}

fn without_currency(text: &str) -> &str {
    let is_currency = |c: char| c.is_alphabetic() && c != 'e' && c != 'E' || "$€£¥₹".contains(c);
    let code = |text: &str| {
        text.len() >= 3 && text.is_char_boundary(3) && text[..3].chars().all(char::is_alphabetic)
    };
    let text = if code(text) { &text[3..] } else { text };
    let text = match text.len().checked_sub(3).filter(|&at| text.is_char_boundary(at)) {
        Some(at) if code(&text[at..]) => &text[..at],
        _ => text,
    };
    text.trim_matches(is_currency).trim()
}

fn plain(text: &str, mark: Decimal) -> Option<Number> {
    let (mark, group) = match mark {
        Decimal::Point => ('.', ','),
        Decimal::Comma => (',', '.'),
    };
    let (whole, fraction) = text.split_once(mark).unwrap_or((text, ""));
    let groups: Vec<&str> = whole.split([group, '\'', ' ', '\u{a0}', '\u{202f}']).collect();
    let grouped = groups.len() == 1
        || ((1..=3).contains(&groups[0].len()) && groups[1..].iter().all(|group| group.len() == 3));
    let digits = groups.concat();
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let all_digits = is_digits(&digits) && is_digits(fraction);
    if !grouped || !all_digits || digits.len() + fraction.len() == 0 || digits.len() > DIGITS_MAX {
        return None;
    }
    let units: i128 = if digits.is_empty() {
        0
    } else {
        digits.parse().ok()?
    };
    let kept = &fraction[..fraction.len().min(9)];
    let parts = i128::from(format!("{kept:0<9}").parse::<u32>().ok()?);
    let round_up = fraction.as_bytes().get(9).is_some_and(|&digit| digit >= b'5');
    let nanos = units * i128::from(Nanos::PER_UNIT) + parts + i128::from(round_up);
    Some(Number {
        nanos: Nanos(i64::try_from(nanos).ok()?),
        decimals: kept.len() as u32,
    })
}

fn scientific(text: &str, mark: Decimal) -> Option<Number> {
    let text = match mark {
        Decimal::Point => text.to_owned(),
        Decimal::Comma => text.replace(',', "."),
    };
    let nanos = Nanos::from_units(text.parse().ok()?)?;
    Some(Number { nanos, decimals: 9 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_reports_write_them() {
        use Decimal::{Comma, Point};
        for (text, mark, nanos, decimals) in [
            ("12", Point, 12_000_000_000, 0),
            ("0.004", Point, 4_000_000, 3),
            (".5", Point, 500_000_000, 1),
            ("1,234.50", Point, 1_234_500_000_000, 2),
            ("1.234,50", Comma, 1_234_500_000_000, 2),
            ("1 234,5 EUR", Comma, 1_234_500_000_000, 1),
            ("$3.20", Point, 3_200_000_000, 2),
            ("-$3.20", Point, -3_200_000_000, 2),
            ("USD 3.20", Point, 3_200_000_000, 2),
            ("3.20USD", Point, 3_200_000_000, 2),
            ("(3.20)", Point, -3_200_000_000, 2),
            ("4E-3", Point, 4_000_000, 9),
            ("0.0000000005", Point, 1, 9),
        ] {
            let expected = Number {
                nanos: Nanos(nanos),
                decimals,
            };
            assert_eq!(parse(text, mark), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            "-",
            "abc",
            "1,5",
            "1,23,4",
            "1.2.3",
            "12 34",
            "nan",
            "1e400",
            "99999999999",
            "٣",
        ] {
            assert!(parse(text, Decimal::Point).is_err(), "{text}");
        }
    }
}
