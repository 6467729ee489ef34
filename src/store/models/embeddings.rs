//! `embeddings.bin`: one table per category and bag of the schema, and the step from slots to the graph's columns.
//!
//! ```text
//! offset
//!      0  magic          8 bytes  "OBEMB\0\0\x01" (the last byte is the version)
//!      8  tables         u32      T
//!     12  checksum       u32      CRC-32 (IEEE) of everything behind offset 16
//!     16  T × { rows u32, dims u32 }   in schema order: context first, then candidate, sensitive features left out
//! 16+8T   T × rows × dims f32          row by row, table after table
//! ```
//! All numbers little-endian. Row 0 of a table is the embedding of "missing".

use super::error::ModelError;
use super::schema::{Feature, Group, Kind, Pool, Schema};
use std::path::Path;

const MAGIC: &[u8; 8] = b"OBEMB\0\0\x01";
const HEADER_BYTES: usize = 16;

#[derive(Clone, Debug)]
pub struct Embeddings {
    rows: Vec<f32>,
    /// Where the table of a feature starts in `rows`, by group and place in the schema; 0 for numbers.
    context: Vec<usize>,
    candidate: Vec<usize>,
}

impl Embeddings {
    /// `file` is named in errors. Refused when damaged, of another shape than the schema's, or not finite.
    pub fn parse(file: &Path, bytes: &[u8], schema: &Schema) -> Result<Embeddings, ModelError> {
        let wrong = |problem: String| ModelError::new(file, problem);
        if bytes.len() < HEADER_BYTES || &bytes[..8] != MAGIC {
            return Err(wrong("is not an embeddings file of version 1".into()));
        }
        let words: Vec<u32> = bytes[8..].chunks_exact(4).map(u32_le).collect();
        let (tables, checksum, body) = (words[0] as usize, words[1], &words[2..]);
        if crc32fast::hash(&bytes[HEADER_BYTES..]) != checksum {
            return Err(wrong("checksum does not match: the file is damaged".into()));
        }
        let shapes = Group::BOTH.map(|group| shapes(schema, group));
        let expected: Vec<(u32, u32)> = shapes.iter().flatten().flatten().copied().collect();
        let found: Vec<(u32, u32)> = body
            .chunks_exact(2)
            .take(tables)
            .map(|shape| (shape[0], shape[1]))
            .collect();
        if tables != expected.len() || found != expected {
            return Err(wrong(format!(
                "tables (rows, dims) are {found:?}; the schema has {expected:?}"
            )));
        }
        let rows: Vec<f32> = body[2 * tables..]
            .iter()
            .map(|bits| f32::from_bits(*bits))
            .collect();
        let floats: usize = expected
            .iter()
            .map(|(rows, dims)| *rows as usize * *dims as usize)
            .sum();
        if rows.len() != floats || !bytes.len().is_multiple_of(4) {
            return Err(wrong(format!(
                "holds {} numbers; the tables have {floats}",
                rows.len()
            )));
        }
        if let Some(index) = rows.iter().position(|value| !value.is_finite()) {
            return Err(wrong(format!("number {index} is not finite")));
        }
        let mut start = 0;
        let [context, candidate] = shapes.map(|shapes| starts(&shapes, &mut start));
        Ok(Embeddings {
            rows,
            context,
            candidate,
        })
    }

    /// From an encoded row to the inputs of the graph. `slots` and `columns` have the widths of the schema;
    /// ids beyond a table are read as missing, so that a damaged log row cannot panic.
    pub fn gather(&self, schema: &Schema, group: Group, slots: &[u32], columns: &mut [f32]) {
        let starts = match group {
            Group::Context => &self.context,
            Group::Candidate => &self.candidate,
        };
        for (feature, start) in schema.features(group).iter().zip(starts) {
            if !feature.sensitive {
                self.gather_feature(feature, *start, &slots[feature.slots.clone()], columns);
            }
        }
    }

    fn gather_feature(&self, feature: &Feature, start: usize, slots: &[u32], columns: &mut [f32]) {
        let columns = &mut columns[feature.columns.clone()];
        match feature.kind {
            Kind::Number { .. } => columns[0] = f32::from_bits(slots[0]),
            Kind::Category { buckets, dims } => {
                let table = &self.rows[start..start + buckets as usize * dims];
                columns.copy_from_slice(row(table, dims, slots[0]));
            }
            Kind::Bag {
                buckets,
                dims,
                max,
                pool,
            } => {
                let table = &self.rows[start..start + buckets as usize * dims];
                let (ids, weights) = slots.split_at(max);
                pool_rows(table, dims, ids, weights, pool, columns);
            }
        }
    }
}

/// The pooled rows of a bag; an empty bag, or one without weight, is the row of "missing".
fn pool_rows(table: &[f32], dims: usize, ids: &[u32], weights: &[u32], pool: Pool, columns: &mut [f32]) {
    columns.fill(0.0);
    let mut total = 0.0;
    let used = ids
        .iter()
        .position(|id| *id == Schema::UNUSED)
        .unwrap_or(ids.len());
    for (index, id) in ids[..used].iter().enumerate() {
        let weight = weights.get(index).map_or(1.0, |bits| f32::from_bits(*bits));
        for (column, value) in columns.iter_mut().zip(row(table, dims, *id)) {
            *column += weight * value;
        }
        total += weight;
    }
    if total <= 0.0 {
        columns.copy_from_slice(row(table, dims, 0));
    } else if pool != Pool::Sum {
        columns.iter_mut().for_each(|column| *column /= total);
    }
}

fn row(table: &[f32], dims: usize, id: u32) -> &[f32] {
    let start = id as usize * dims;
    table.get(start..start + dims).unwrap_or(&table[..dims])
}

/// (rows, dims) per feature of a group; `None` where a feature has no table.
fn shapes(schema: &Schema, group: Group) -> Vec<Option<(u32, u32)>> {
    let features = schema.features(group).iter();
    features
        .map(|feature| feature.kind.table().filter(|_| !feature.sensitive))
        .map(|table| table.map(|(rows, dims)| (rows, dims as u32)))
        .collect()
}

fn starts(shapes: &[Option<(u32, u32)>], next: &mut usize) -> Vec<usize> {
    let place = |shape: &Option<(u32, u32)>| {
        let start = *next;
        *next += shape.map_or(0, |(rows, dims)| rows as usize * dims as usize);
        start
    };
    shapes.iter().map(place).collect()
}

fn u32_le(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes.try_into().expect("four bytes"))
}
