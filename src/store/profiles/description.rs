//! Stores and profiles for people to read, and as JSON. Invariant: no raw id, because the store has none.

use super::profile::{Dimension, Profile, Tag, TagId};
use serde::Serialize;
use std::fmt;

/// What a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub users: u64,
    pub keys: u64,
    pub tags: u64,
    /// Different tags.
    pub names: u64,
    pub bytes: u64,
    /// What the builder's caller said that it was made from.
    pub source: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_user = self.tags as f64 / self.users.max(1) as f64;
        write!(
            f,
            "{} users with {} ids and {} tags ({per_user:.1} a user, {} different), {:.1} MB, source {:016x}",
            self.users,
            self.keys,
            self.tags,
            self.names,
            self.bytes as f64 / 1e6,
            self.source
        )
    }
}

/// One profile with names instead of codes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Description {
    /// Sixteen hexadecimal digits.
    pub key: String,
    pub gender: Option<&'static str>,
    pub birth_year: Option<u16>,
    pub country: Option<String>,
    pub language: Option<String>,
    pub utc_offset_min: Option<i16>,
    pub ltv: f64,
    pub monetary: f64,
    pub frequency: u16,
    pub last_active: Option<String>,
    /// By dimension, then by name.
    pub tags: Vec<TagDescription>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TagDescription {
    /// The id in hexadecimal where the dictionary lacks the name.
    pub tag: String,
    pub dimension: Option<Dimension>,
    pub weight: f32,
    pub day: Option<String>,
}

impl Description {
    pub(super) fn of<'n>(profile: &Profile<'_>, name: impl Fn(TagId) -> Option<&'n str>) -> Description {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut tags: Vec<TagDescription> = profile
            .tags
            .iter()
            .map(|tag| TagDescription::of(tag, &name))
            .collect();
        tags.sort_by(|a, b| {
            (a.dimension.map(Dimension::code), &a.tag).cmp(&(b.dimension.map(Dimension::code), &b.tag))
        });
        Description {
            key: format!("{:016x}", profile.key.0),
            gender: profile.gender.letter(),
            birth_year: profile.birth_year,
            country: profile.country.as_ref().map(|code| text(code)),
            language: profile.language.as_ref().map(|code| text(code)),
            utc_offset_min: profile.utc_offset_min,
            ltv: profile.ltv.as_units(),
            monetary: profile.monetary.as_units(),
            frequency: profile.frequency,
            last_active: profile.last_active_day.and_then(date),
            tags,
        }
    }
}

impl TagDescription {
    fn of<'n>(tag: &Tag, name: impl Fn(TagId) -> Option<&'n str>) -> TagDescription {
        TagDescription {
            tag: name(TagId(tag.id)).map_or_else(|| format!("{:08x}", tag.id), str::to_string),
            dimension: Dimension::from_code(tag.dimension),
            weight: (tag.weight() * 1000.0).round() / 1000.0,
            day: (tag.day != 0)
                .then(|| date(Tag::EPOCH_DAY + i32::from(tag.day)))
                .flatten(),
        }
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown = || "-".to_string();
        let year = self.birth_year.map_or_else(unknown, |year| year.to_string());
        let offset = self
            .utc_offset_min
            .map_or_else(unknown, |minutes| format!("{minutes:+} min"));
        writeln!(f, "key          {}", self.key)?;
        writeln!(f, "gender       {}   born {year}", self.gender.unwrap_or("-"))?;
        writeln!(
            f,
            "place        {}   language {}   UTC offset {offset}",
            self.country.as_deref().unwrap_or("-"),
            self.language.as_deref().unwrap_or("-")
        )?;
        writeln!(
            f,
            "value        lifetime {:.2}   spent {:.2} in {} purchases",
            self.ltv, self.monetary, self.frequency
        )?;
        writeln!(f, "last active  {}", self.last_active.as_deref().unwrap_or("-"))?;
        for tag in &self.tags {
            let dimension = tag.dimension.map_or("-", Dimension::as_str);
            let day = tag.day.as_deref().unwrap_or("-");
            writeln!(f, "{dimension:<12} {:<32} {:.2}   {day}", tag.tag, tag.weight)?;
        }
        Ok(())
    }
}

/// Days since 1970-01-01 as YYYY-MM-DD; `None` beyond the calendar.
fn date(days: i32) -> Option<String> {
    let day = jiff::civil::date(1970, 1, 1)
        .checked_add(jiff::Span::new().try_days(days).ok()?)
        .ok()?;
    Some(day.to_string())
}
