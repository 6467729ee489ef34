//! What must hold for any bytes that come from outside: one function for each fuzz target, also run over the seeds by the
//! product's tests.
//!
//! Invariant: a function returns or panics by its input alone; a panic is a defect.

mod allocations;

mod consent;
mod request;
mod sealed;

pub use consent::{gpp_string, tc_string};
pub use request::{json_body, native_request, protobuf_body};
pub use sealed::{notice_query, token};

/// A target, and the name of its folder of seeds.
pub type Named = (&'static str, fn(&[u8]));

pub const TARGETS: &[Named] = &[
    ("json_body", json_body),
    ("protobuf_body", protobuf_body),
    ("tc_string", tc_string),
    ("gpp_string", gpp_string),
    ("native_request", native_request),
    ("notice_query", notice_query),
    ("token", token),
];
