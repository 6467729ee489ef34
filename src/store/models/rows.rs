//! From labelled impressions to a training matrix, through the very code that serves.
//!
//! Invariant: a row holds the slots that a bid on the same request, profile and ad would have been scored with.
//!
//! Input, one JSON object a line:
//! `{"time_ms", "exchange", "imp": index, "line_item", "creative", "click": 0 or 1, "conversion": 0 or 1,
//! "request": {…}}`, with `"weight"` where rows without a click were thinned (1 / share kept), and with `"law_click"`
//! and `"law_conversion"` where a simulation knows the true probabilities; those are for reports, never features.
//!
//! Output, little-endian, made for `numpy.fromfile`:
//! ```text
//! offset
//!      0  JSON, padded with spaces to 32,768 bytes:
//!         {"format": "outbid-rows-1", "rows": R, "context_slots": S, "candidate_slots": T, "candidates": M,
//!          "seed", "heads", "features": [...]}
//!  32768  R × u32[6 + S]   seconds since 1970, candidate index, labels (bit 0 click, bit 1 conversion), f32 bits of
//!                          weight, law_click and law_conversion (NaN = not known), context slots
//!         M × u32[T]       candidate slots
//! ```

use super::error::ModelError;
use super::features::{CandidateInput, ContextInput};
use super::schema::{Feature, Group, Kind, Pool, Schema};
use super::sources::AdFormat;
use crate::openrtb::RequestBuffers;
use crate::openrtb::request::Request;
use crate::store::campaigns::definition::Definitions;
use crate::store::profiles::Profile;
use crate::units::{HourOfWeek, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::{self, BufRead, Seek, SeekFrom, Write};
use std::path::Path;

/// An ad that rows refer to: one creative in one line item. Written and read as JSON lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    pub line_item: String,
    pub campaign: String,
    pub advertiser: String,
    pub creative: String,
    pub domain: String,
    #[serde(rename = "cat", default)]
    pub categories: Vec<String>,
    #[serde(default)]
    pub w: u32,
    #[serde(default)]
    pub h: u32,
    pub format: AdFormat,
    #[serde(default)]
    pub languages: Vec<String>,
}

/// Who a request is from, as the engine finds it: the caller passes the engine's own lookup.
pub struct Person<'p> {
    pub profile: Option<Profile<'p>>,
    pub may_profile: bool,
    /// In the user's own time zone.
    pub hour: HourOfWeek,
}

/// What happened to the lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RowCounts {
    pub rows: u64,
    pub clicks: u64,
    pub conversions: u64,
    pub with_profile: u64,
}

impl Candidate {
    /// Every creative of every line item.
    pub fn all(definitions: &Definitions) -> Vec<Candidate> {
        let mut all = Vec::new();
        for campaign in &definitions.campaigns {
            let advertiser = &definitions.advertisers[campaign.advertiser];
            for line_item in &campaign.line_items {
                let creatives = definitions
                    .creatives
                    .iter()
                    .filter(|c| line_item.creatives.contains(&c.id));
                all.extend(creatives.map(|creative| {
                    Candidate::from(&CandidateInput::of(advertiser, campaign, line_item, creative))
                }));
            }
        }
        all
    }

    pub fn input(&self) -> CandidateInput<'_> {
        CandidateInput {
            line_item: &self.line_item,
            campaign: &self.campaign,
            advertiser: &self.advertiser,
            creative: &self.creative,
            domain: &self.domain,
            categories: &self.categories,
            w: self.w,
            h: self.h,
            format: self.format,
            languages: &self.languages,
        }
    }
}

impl From<&CandidateInput<'_>> for Candidate {
    fn from(ad: &CandidateInput<'_>) -> Candidate {
        Candidate {
            line_item: ad.line_item.to_owned(),
            campaign: ad.campaign.to_owned(),
            advertiser: ad.advertiser.to_owned(),
            creative: ad.creative.to_owned(),
            domain: ad.domain.to_owned(),
            categories: ad.categories.to_vec(),
            w: ad.w,
            h: ad.h,
            format: ad.format,
            languages: ad.languages.to_vec(),
        }
    }
}

/// Reads ads, one JSON object a line; `file` is named in errors.
pub fn read_candidates(file: &Path, input: impl BufRead) -> Result<Vec<Candidate>, ModelError> {
    let mut candidates = Vec::new();
    for (index, line) in input.lines().enumerate() {
        let line = line.map_err(|error| ModelError::at(file, index + 1, error))?;
        if !line.trim().is_empty() {
            let candidate =
                serde_json::from_str(&line).map_err(|error| ModelError::at(file, index + 1, error))?;
            candidates.push(candidate);
        }
    }
    Ok(candidates)
}

#[derive(Deserialize)]
struct Line {
    time_ms: i64,
    exchange: String,
    imp: usize,
    line_item: String,
    creative: String,
    click: u8,
    conversion: u8,
    weight: Option<f32>,
    law_click: Option<f32>,
    law_conversion: Option<f32>,
    request: serde_json::Value,
}

/// Room for the header: 128 features a group of at most 120 bytes each.
const HEADER_BYTES: usize = 32_768;

/// Turns labelled lines into a matrix. `file` is named in errors; `person` is the engine's lookup of consent, profile
/// and local hour.
///
/// # Errors
/// The first line that is no row, names an ad that is not among `candidates`, or has no such imp.
pub fn write_rows<'p>(
    schema: &Schema,
    candidates: &[Candidate],
    file: &Path,
    input: impl BufRead,
    output: impl Write + Seek,
    person: &mut dyn FnMut(&Request, &str, Timestamp) -> Person<'p>,
) -> Result<RowCounts, ModelError> {
    let mut matrix = Matrix::new(schema, candidates, output).map_err(|error| ModelError::new(file, error))?;
    let mut buffers = RequestBuffers::default();
    let mut body = Vec::new();
    for (index, text) in input.lines().enumerate() {
        let wrong = |problem: String| ModelError::at(file, index + 1, problem);
        let text = text.map_err(|error| wrong(error.to_string()))?;
        let line: Line = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        body.clear();
        serde_json::to_writer(&mut body, &line.request).map_err(|error| wrong(error.to_string()))?;
        let request = buffers
            .parse(&mut body)
            .map_err(|error| wrong(error.to_string()))?;
        matrix.push(&line, &request, person).map_err(wrong)?;
        buffers.recycle(request);
    }
    matrix.finish().map_err(|error| ModelError::new(file, error))
}

/// The output while it grows.
struct Matrix<'a, W> {
    schema: &'a Schema,
    candidates: &'a [Candidate],
    places: HashMap<(&'a str, &'a str), u32>,
    output: W,
    row: Vec<u32>,
    counts: RowCounts,
}

/// Words of a row in front of its context slots.
const ROW_PREFIX: usize = 6;

impl<'a, W: Write + Seek> Matrix<'a, W> {
    fn new(schema: &'a Schema, candidates: &'a [Candidate], mut output: W) -> io::Result<Matrix<'a, W>> {
        output.write_all(&[b' '; HEADER_BYTES])?;
        let ids = |ad: &'a Candidate| (ad.line_item.as_str(), ad.creative.as_str());
        let places = candidates.iter().map(ids).zip(0..).collect();
        let row = vec![0; ROW_PREFIX + schema.slots(Group::Context)];
        Ok(Matrix {
            schema,
            candidates,
            places,
            output,
            row,
            counts: RowCounts::default(),
        })
    }

    fn push<'p>(
        &mut self,
        line: &Line,
        request: &Request,
        person: &mut dyn FnMut(&Request, &str, Timestamp) -> Person<'p>,
    ) -> Result<(), String> {
        let imp = request
            .imps
            .get(line.imp)
            .ok_or_else(|| format!("`imp` is {}; the request has {}", line.imp, request.imps.len()))?;
        let ids = (line.line_item.as_str(), line.creative.as_str());
        let place = *self.places.get(&ids).ok_or_else(|| {
            format!(
                "creative `{}` of line item `{}` is not among the candidates",
                line.creative, line.line_item
            )
        })?;
        let now = Timestamp(line.time_ms);
        let Person {
            profile,
            may_profile,
            hour,
        } = person(request, &line.exchange, now);
        let (prefix, slots) = self.row.split_at_mut(ROW_PREFIX);
        let (click, conversion) = (line.click != 0, line.conversion != 0);
        let law = |known: Option<f32>| known.unwrap_or(f32::NAN).to_bits();
        prefix.copy_from_slice(&[
            (line.time_ms / 1000).clamp(0, i64::from(u32::MAX)) as u32,
            place,
            u32::from(click) | u32::from(conversion) << 1,
            line.weight.unwrap_or(1.0).to_bits(),
            law(line.law_click),
            law(line.law_conversion),
        ]);
        let profile = profile.as_ref();
        let input = ContextInput {
            request,
            imp,
            exchange: &line.exchange,
            hour,
            profile,
            may_profile,
            now,
        };
        self.schema.encode_context(&input, slots);
        self.counts.rows += 1;
        self.counts.clicks += u64::from(click);
        self.counts.conversions += u64::from(conversion);
        self.counts.with_profile += u64::from(profile.is_some());
        write_words(&mut self.output, &self.row).map_err(|error| error.to_string())
    }

    fn finish(mut self) -> io::Result<RowCounts> {
        let mut slots = vec![0; self.schema.slots(Group::Candidate)];
        for ad in self.candidates {
            self.schema.encode_candidate(&ad.input(), &mut slots);
            write_words(&mut self.output, &slots)?;
        }
        let header = header(self.schema, self.counts.rows, self.candidates.len()).to_string();
        if header.len() > HEADER_BYTES {
            return Err(io::Error::other(
                "the schema has too many features for the header of a rows file",
            ));
        }
        self.output.seek(SeekFrom::Start(0))?;
        self.output.write_all(header.as_bytes())?;
        self.output.flush()?;
        Ok(self.counts)
    }
}

fn write_words(output: &mut impl Write, words: &[u32]) -> io::Result<()> {
    words
        .iter()
        .try_for_each(|word| output.write_all(&word.to_le_bytes()))
}

fn header(schema: &Schema, rows: u64, candidates: usize) -> serde_json::Value {
    let features = Group::BOTH
        .iter()
        .flat_map(|group| schema.features(*group))
        .map(feature_json);
    serde_json::json!({
        "format": "outbid-rows-1",
        "rows": rows,
        "context_slots": schema.slots(Group::Context),
        "candidate_slots": schema.slots(Group::Candidate),
        "candidates": candidates,
        "seed": schema.seed,
        "heads": schema.heads.iter().map(|head| head.name()).collect::<Vec<_>>(),
        "features": features.collect::<Vec<_>>(),
    })
}

/// Where a feature's slots are and how they become columns.
fn feature_json(feature: &Feature) -> serde_json::Value {
    let (kind, pool, max) = match feature.kind {
        Kind::Number { .. } => ("number", None, None),
        Kind::Category { .. } => ("category", None, None),
        Kind::Bag { max, pool, .. } => ("bag", Some(pool_name(pool)), Some(max)),
    };
    serde_json::json!({
        "name": feature.source.name(),
        "group": if feature.group == Group::Context { "context" } else { "candidate" },
        "kind": kind,
        "pool": pool,
        "max": max,
        "buckets": feature.kind.table().map(|(buckets, _)| buckets),
        "dims": feature.kind.table().map(|(_, dims)| dims),
        "slot": feature.slots.start,
        "column": feature.columns.start,
        "sensitive": feature.sensitive,
    })
}

fn pool_name(pool: Pool) -> &'static str {
    match pool {
        Pool::Sum => "sum",
        Pool::Mean => "mean",
        Pool::WeightedMean => "weighted_mean",
    }
}
