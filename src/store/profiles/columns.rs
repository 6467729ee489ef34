//! A CSV row as a line of input. Invariant: columns are found by name, and a name that is not known is refused.

use super::line::{Ids, Raw, RawTag};
use std::borrow::Cow;

/// Where each field stands in a CSV.
#[derive(Debug, Default)]
pub(super) struct Columns([Option<usize>; NAMES.len()]);

const NAMES: [&str; 11] = [
    "ids",
    "gender",
    "birth_year",
    "country",
    "utc_offset_min",
    "language",
    "ltv",
    "monetary",
    "frequency",
    "last_active",
    "tags",
];

impl Columns {
    pub fn of(headers: &csv::StringRecord) -> Result<Columns, String> {
        let mut columns = Columns::default();
        for (position, header) in headers.iter().enumerate() {
            let known = NAMES.iter().position(|name| *name == header.trim());
            let known =
                known.ok_or_else(|| format!("line 1: column `{header}`; one of {}", NAMES.join(", ")))?;
            if columns.0[known].replace(position).is_some() {
                return Err(format!("line 1: column `{header}` is there twice"));
            }
        }
        if columns.0[0].is_none() {
            return Err("line 1: no column `ids`; the first line names the columns".to_string());
        }
        Ok(columns)
    }

    pub fn raw<'a>(&self, row: &'a csv::StringRecord) -> Result<Raw<'a>, String> {
        let field = |name: usize| {
            self.0[name]
                .and_then(|at| row.get(at))
                .map(str::trim)
                .filter(|text| !text.is_empty())
        };
        let text = |name| field(name).map(Cow::Borrowed);
        Ok(Raw {
            ids: Ids(parts(field(0)).map(split_id).collect::<Result<_, _>>()?),
            gender: text(1),
            birth_year: number(field(2), NAMES[2])?,
            country: text(3),
            utc_offset_min: number(field(4), NAMES[4])?,
            language: text(5),
            ltv: number(field(6), NAMES[6])?,
            monetary: number(field(7), NAMES[7])?,
            frequency: number(field(8), NAMES[8])?,
            last_active: text(9),
            tags: parts(field(10)).map(split_tag).collect::<Result<_, _>>()?,
        })
    }
}

fn parts(list: Option<&str>) -> impl Iterator<Item = &str> {
    list.unwrap_or_default()
        .split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

/// `namespace:id`, or `exchange:NAME:id`.
fn split_id(text: &str) -> Result<(Cow<'_, str>, Cow<'_, str>), String> {
    let skipped = if text.starts_with("exchange:") {
        "exchange:".len()
    } else {
        0
    };
    let colon = text[skipped..]
        .find(':')
        .ok_or_else(|| format!("id `{text}`; namespace:id such as ifa:6D92…"))?;
    let (namespace, id) = text.split_at(skipped + colon);
    Ok((Cow::Borrowed(namespace), Cow::Borrowed(&id[1..])))
}

/// `dimension/name=weight@date`.
fn split_tag(text: &str) -> Result<RawTag<'_>, String> {
    let (rest, day) = text
        .rsplit_once('@')
        .map_or((text, None), |(rest, day)| (rest, Some(day)));
    let (rest, weight) = rest
        .rsplit_once('=')
        .map_or((rest, None), |(rest, weight)| (rest, Some(weight)));
    let (dimension, tag) = rest
        .split_once('/')
        .ok_or_else(|| format!("tag `{text}`; dimension/name=weight@date"))?;
    let weight = number(weight, "weight of a tag")?;
    Ok(RawTag {
        tag: Cow::Borrowed(tag),
        dimension: Cow::Borrowed(dimension),
        weight,
        day: day.map(Cow::Borrowed),
    })
}

fn number<T: std::str::FromStr>(text: Option<&str>, name: &str) -> Result<Option<T>, String> {
    let Some(text) = text else { return Ok(None) };
    text.parse()
        .map(Some)
        .map_err(|_| format!("{name} `{text}`; a number"))
}
