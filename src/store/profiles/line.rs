//! One line of input as a record. Invariant: a value that is out of range is refused, never bent.

use super::profile::{Dimension, Gender};
use super::record::{Record, RecordTag, check_keys};
use crate::units::{Nanos, UserKey, UserKeySecret};
use serde::Deserialize as DeserializeDerive;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// A line as it stands; numbers are wider than they may be, so that one check can say what is right.
#[derive(Debug, Default, DeserializeDerive)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw<'a> {
    #[serde(borrow)]
    pub ids: Ids<'a>,
    #[serde(default, borrow)]
    pub gender: Option<Cow<'a, str>>,
    #[serde(default)]
    pub birth_year: Option<i64>,
    #[serde(default, borrow)]
    pub country: Option<Cow<'a, str>>,
    #[serde(default)]
    pub utc_offset_min: Option<i64>,
    #[serde(default, borrow)]
    pub language: Option<Cow<'a, str>>,
    #[serde(default)]
    pub ltv: Option<f64>,
    #[serde(default)]
    pub monetary: Option<f64>,
    #[serde(default)]
    pub frequency: Option<i64>,
    #[serde(default, borrow)]
    pub last_active: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub tags: Vec<RawTag<'a>>,
}

#[derive(Debug, DeserializeDerive)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTag<'a> {
    #[serde(borrow)]
    pub tag: Cow<'a, str>,
    #[serde(borrow)]
    pub dimension: Cow<'a, str>,
    #[serde(default)]
    pub weight: Option<f64>,
    #[serde(default, borrow)]
    pub day: Option<Cow<'a, str>>,
}

impl Raw<'_> {
    pub fn into_record(self, secret: &UserKeySecret) -> Result<Record, String> {
        let record = Record {
            keys: self
                .ids
                .0
                .iter()
                .map(|(namespace, id)| key_of(secret, namespace, id))
                .collect::<Result<_, _>>()?,
            gender: optional(self.gender.as_deref(), "gender", "m, f or o", Gender::parse)?
                .unwrap_or_default(),
            birth_year: in_range(self.birth_year, "birth_year", 1900, 2100)?,
            country: optional(
                self.country.as_deref(),
                "country",
                "an ISO-3166-1 alpha-3 code such as USA",
                |code| letters(code).map(|code: [u8; 3]| code.map(|byte| byte.to_ascii_uppercase())),
            )?,
            language: optional(
                self.language.as_deref(),
                "language",
                "an ISO-639-1 code such as en",
                |code| letters(code).map(|code: [u8; 2]| code.map(|byte| byte.to_ascii_lowercase())),
            )?,
            utc_offset_min: in_range(self.utc_offset_min, "utc_offset_min", -720, 840)?,
            ltv: money(self.ltv, "ltv")?,
            monetary: money(self.monetary, "monetary")?,
            frequency: in_range(self.frequency, "frequency", 0, i64::from(u16::MAX))?.unwrap_or(0),
            last_active_day: optional(self.last_active.as_deref(), "last_active", DATE, day)?,
            tags: self
                .tags
                .into_iter()
                .map(RawTag::into_tag)
                .collect::<Result<_, _>>()?,
        };
        check_keys(&record)?;
        Ok(record)
    }
}

impl RawTag<'_> {
    fn into_tag(self) -> Result<RecordTag, String> {
        let weight = self.weight.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&weight) {
            return Err(format!("tag `{}`: weight {weight}; 0 to 1", self.tag));
        }
        let dimension = Dimension::parse(&self.dimension).ok_or_else(|| {
            let all = Dimension::ALL.map(Dimension::as_str).join(", ");
            format!("tag `{}`: dimension `{}`; one of {all}", self.tag, self.dimension)
        })?;
        let day = optional(self.day.as_deref(), "day of a tag", DATE, day)?;
        let weight = (weight * 255.0).round() as u8;
        Ok(RecordTag {
            name: Cow::Owned(self.tag.into_owned()),
            dimension,
            weight,
            day,
        })
    }
}

/// (namespace, id) in the order of the line: the first is the person's main one.
#[derive(Debug, Default)]
pub(super) struct Ids<'a>(pub Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Ids<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Ids<'a>, D::Error> {
        struct IdsVisitor;
        impl<'de> Visitor<'de> for IdsVisitor {
            type Value = Ids<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("ids such as {\"buyeruid\":\"u-1\"}")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ids<'de>, A::Error> {
                let mut ids = Vec::new();
                while let Some((Text(namespace), value)) = map.next_entry::<Text<'de>, OneOrMany<'de>>()? {
                    match value {
                        OneOrMany::One(Text(id)) => ids.push((namespace, id)),
                        OneOrMany::Many(many) => {
                            ids.extend(many.into_iter().map(|Text(id)| (namespace.clone(), id)));
                        }
                    }
                }
                Ok(Ids(ids))
            }
        }
        deserializer.deserialize_map(IdsVisitor)
    }
}

/// A text that is borrowed where the line has it without escapes.
#[derive(Debug, DeserializeDerive)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Debug, DeserializeDerive)]
#[serde(untagged)]
enum OneOrMany<'a> {
    One(#[serde(borrow)] Text<'a>),
    Many(#[serde(borrow)] Vec<Text<'a>>),
}

fn key_of(secret: &UserKeySecret, namespace: &str, id: &str) -> Result<UserKey, String> {
    if namespace.is_empty() || id.is_empty() {
        return Err("an empty id or namespace; leave out what is not known".to_string());
    }
    Ok(UserKey::of(secret, namespace, id))
}

/// `None` and the empty text are "not known".
fn optional<T>(
    text: Option<&str>,
    name: &str,
    right: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, String> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    parse(text)
        .map(Some)
        .ok_or_else(|| format!("{name} `{text}`; {right}"))
}

fn in_range<T: TryFrom<i64>>(
    value: Option<i64>,
    name: &str,
    min: i64,
    max: i64,
) -> Result<Option<T>, String> {
    let Some(value) = value else { return Ok(None) };
    let inside = (min..=max)
        .contains(&value)
        .then(|| T::try_from(value).ok())
        .flatten();
    inside
        .map(Some)
        .ok_or_else(|| format!("{name} {value}; {min} to {max}"))
}

fn money(units: Option<f64>, name: &str) -> Result<Nanos, String> {
    let units = units.unwrap_or(0.0);
    Nanos::from_units(units).ok_or_else(|| format!("{name} {units}; an amount below 9 billion"))
}

fn letters<const N: usize>(code: &str) -> Option<[u8; N]> {
    let bytes: [u8; N] = code.as_bytes().try_into().ok()?;
    bytes.iter().all(u8::is_ascii_alphabetic).then_some(bytes)
}

const DATE: &str = "a date such as 2026-11-02";

/// Days since 1970-01-01.
fn day(text: &str) -> Option<i32> {
    let date: jiff::civil::Date = text.parse().ok()?;
    Some(date.since(jiff::civil::date(1970, 1, 1)).ok()?.get_days())
}
