//! Reading one value leniently where its meaning is single, strictly where money, time or privacy depends on it.
//!
//! Every function takes JSON null and the empty string as absent.

use super::Malformed;
use super::tape::Value;
use crate::units::{Cpm, Currency};
use simd_json::StaticNode;

impl<'a> Value<'_, 'a> {
    /// Null or the empty string: the field says nothing.
    pub fn is_absent(self) -> bool {
        self.is_null() || self.as_str() == Some("")
    }

    /// A string with something in it.
    pub fn text(self) -> Option<&'a str> {
        self.as_str().filter(|text| !text.is_empty())
    }

    /// An integer, an integral float, either of them as a string, or a boolean as 0 or 1.
    pub fn integer(self) -> Option<i64> {
        match self.as_static() {
            Some(StaticNode::I64(n)) => Some(n),
            Some(StaticNode::U64(n)) => i64::try_from(n).ok(),
            Some(StaticNode::F64(x)) => integral(x),
            Some(StaticNode::Bool(b)) => Some(i64::from(b)),
            Some(StaticNode::Null) => None,
            None => {
                let text = self.text()?.trim();
                text.parse().ok().or_else(|| integral(text.parse().ok()?))
            }
        }
    }

    pub fn uint(self) -> Option<u32> {
        u32::try_from(self.integer()?).ok()
    }

    /// A finite number, also as a string.
    pub fn number(self) -> Option<f64> {
        let value = match self.as_static() {
            Some(StaticNode::I64(n)) => n as f64,
            Some(StaticNode::U64(n)) => n as f64,
            Some(StaticNode::F64(x)) => x,
            Some(StaticNode::Bool(_) | StaticNode::Null) => return None,
            None => self.text()?.trim().parse().ok()?,
        };
        value.is_finite().then_some(value)
    }

    /// Exactly 1: for a flag that permits something or only describes.
    pub fn is_one(self) -> bool {
        self.integer() == Some(1)
    }

    /// For a flag that restricts (`coppa`, `lmt`, `gdpr`, `secure`, `test` …): 0 is no, absent is unknown, and
    /// everything else is yes, so that a value nobody understands never loosens anything.
    pub fn restriction(self) -> Option<bool> {
        (!self.is_absent()).then(|| self.integer() != Some(0))
    }

    /// A price per thousand.
    ///
    /// # Errors
    /// Not a number, negative, or above [`Cpm::MAX`].
    pub fn cpm(self, field: &'static str) -> Result<Option<Cpm>, Malformed> {
        if self.is_absent() {
            return Ok(None);
        }
        match self.number().and_then(Cpm::from_units) {
            Some(cpm) => Ok(Some(cpm)),
            None => Err(Malformed::Invalid(
                field,
                "a price from 0 to 1,000,000 per thousand",
            )),
        }
    }

    pub fn currency(self) -> Option<Currency> {
        Currency::parse(self.text()?.trim())
    }
}

/// Beyond 2⁵³ a float no longer names one integer.
fn integral(x: f64) -> Option<i64> {
    (x.fract() == 0.0 && x.abs() <= 9_007_199_254_740_992.0).then_some(x as i64)
}
