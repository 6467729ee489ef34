//! Click and conversion models: what they see, how they are checked at load, and how they score.
//!
//! Invariant: serving, training rows and parity files go through the same [`Schema`] and the same code from values to
//! slots to columns, so a model is never shown an input it was not trained on.
//!
//! ```text
//! request, profile, ad ── encode ──> slots (u32) ── gather ──> columns (f32) ── graph ──> one probability per head
//!                        schema.toml               embeddings.bin             model.onnx
//! ```
//!
//! *Slots* are bucket ids and numbers: what is logged and what a training row holds. *Columns* are the inputs of the
//! graph: `context` f32\[1, C\] and `candidate` f32\[N, K\].

mod embeddings;
mod error;
mod features;
mod hashing;
mod registry;
mod rows;
mod runtime;
mod schema;
mod schema_file;
mod sources;

pub use embeddings::Embeddings;
pub use error::ModelError;
pub use features::{CandidateInput, CandidateRow, ContextBuffer, ContextInput};
pub use registry::{FILES, Gate, ModelName, Verdict, promote, sha256};
pub use rows::{Candidate, Person, RowCounts, read_candidates, write_rows};
pub use runtime::{Model, Score, Scorer, Unscored};
pub use schema::{Feature, Group, Head, Kind, Pool, Purpose, Schema, Transform};
pub use sources::{AdFormat, Source};
