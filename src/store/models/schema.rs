//! `schema.toml`: the ordered features of a model, shared by serving, logging and training.
//!
//! Invariant: a [`Schema`] that exists is sound: known sources, personal data marked as such, nothing sensitive among
//! the inputs, and every test vector of the file hashes to the id it states.
//!
//! A category takes one slot (its id), a number one (the bits of the f32 column), a bag `max` (ids, unused slots
//! [`UNUSED`](Schema::UNUSED)), twice that for `weighted_mean` (then the bits of the f32 weights).

use super::error::ModelError;
use super::schema_file;
use super::sources::Source;
use serde::Deserialize;
use std::ops::Range;
use std::path::Path;

#[derive(Clone, Debug)]
pub struct Schema {
    pub seed: u64,
    pub heads: Vec<Head>,
    pub(super) context: Layout,
    pub(super) candidate: Layout,
}

/// What is predicted; the name of a graph output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    Click,
    ConversionGivenClick,
}

impl Head {
    pub fn name(self) -> &'static str {
        match self {
            Head::Click => "click",
            Head::ConversionGivenClick => "conversion_given_click",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Context,
    Candidate,
}

impl Group {
    /// In the order of the graph's inputs and of the embedding tables.
    pub const BOTH: [Group; 2] = [Group::Context, Group::Candidate];
}

#[derive(Clone, Debug)]
pub struct Feature {
    pub source: Source,
    pub group: Group,
    pub kind: Kind,
    pub purpose: Purpose,
    /// Encoded into slots for group metrics, but not among the columns.
    pub sensitive: bool,
    pub(super) slots: Range<usize>,
    pub(super) columns: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Number {
        transform: Transform,
        scale: f32,
    },
    Category {
        buckets: u32,
        dims: usize,
    },
    Bag {
        buckets: u32,
        dims: usize,
        max: usize,
        pool: Pool,
    },
}

impl Kind {
    /// Rows and dimensions of the embedding table; `None` for a number.
    pub fn table(self) -> Option<(u32, usize)> {
        match self {
            Kind::Number { .. } => None,
            Kind::Category { buckets, dims } | Kind::Bag { buckets, dims, .. } => Some((buckets, dims)),
        }
    }

    fn slots(self) -> usize {
        match self {
            Kind::Number { .. } | Kind::Category { .. } => 1,
            Kind::Bag {
                max,
                pool: Pool::WeightedMean,
                ..
            } => 2 * max,
            Kind::Bag { max, .. } => max,
        }
    }

    fn columns(self) -> usize {
        self.table().map_or(1, |(_, dims)| dims)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    Identity,
    /// ln(1 + max(x, 0))
    Log1p,
}

impl Transform {
    pub fn apply(self, value: f32) -> f32 {
        match self {
            Transform::Identity => value,
            Transform::Log1p => value.max(0.0).ln_1p(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pool {
    Sum,
    Mean,
    /// Σ weight × row / Σ weight.
    WeightedMean,
}

/// Why the data may be used. TCF v2.2: `context` is purpose 2 and 7 (basic ads and their measurement), `profile`
/// purpose 3 and 4 (personalised ads).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    Context,
    Profile,
}

/// The features of one group in schema order and the widths of their rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    pub(super) features: Vec<Feature>,
    pub(super) slots: usize,
    pub(super) columns: usize,
}

impl Schema {
    /// A slot of a bag without a value.
    pub const UNUSED: u32 = u32::MAX;

    /// `file` is named in errors.
    pub fn parse(file: &Path, text: &str) -> Result<Schema, ModelError> {
        schema_file::parse(file, text)
    }

    pub fn features(&self, group: Group) -> &[Feature] {
        &self.layout(group).features
    }

    /// Width of an encoded row.
    pub fn slots(&self, group: Group) -> usize {
        self.layout(group).slots
    }

    /// Width of the graph's input.
    pub fn columns(&self, group: Group) -> usize {
        self.layout(group).columns
    }

    fn layout(&self, group: Group) -> &Layout {
        match group {
            Group::Context => &self.context,
            Group::Candidate => &self.candidate,
        }
    }
}

impl Layout {
    pub(super) fn push(&mut self, mut feature: Feature) {
        feature.slots = self.slots..self.slots + feature.kind.slots();
        let columns = if feature.sensitive {
            0
        } else {
            feature.kind.columns()
        };
        feature.columns = self.columns..self.columns + columns;
        self.slots = feature.slots.end;
        self.columns = feature.columns.end;
        self.features.push(feature);
    }
}
