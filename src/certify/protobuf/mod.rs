//! Requests and responses as the messages of the IAB's `openrtb.proto`, and how they become JSON and come from it.
//!
//! These messages are written apart from the bidder's own reader and writer, so that a wrong field number in one of them
//! shows. Fields stand in the order of their numbers, under the names that they have in JSON.
//!
//! Invariant: flags are 0 and 1 in JSON, as OpenRTB has them.

mod imp;
mod request;
mod response;

pub use imp::*;
pub use request::*;
pub use response::*;

use prost::Message;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A request as protobuf. Fields that the messages do not have are left out.
///
/// # Errors
/// A field of another type than the specification gives it.
pub fn encode(request: &Value) -> serde_json::Result<Vec<u8>> {
    BidRequest::deserialize(request).map(|request| request.encode_to_vec())
}

/// A response in protobuf as the JSON that says the same. `None` for bytes that are none.
pub fn decode(response: &[u8]) -> Option<Value> {
    let response = BidResponse::decode(response).ok()?;
    let mut json = serde_json::to_value(response).ok()?;
    prune(&mut json);
    Some(json)
}

/// Takes away what says nothing: nulls and empty lists.
fn prune(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(prune);
            fields.retain(|_, value| !value.is_null() && *value != Value::Array(Vec::new()));
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    match Value::deserialize(from)? {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(flag)),
        Value::Number(number) => Ok(Some(number.as_f64() != Some(0.0))),
        other => Err(D::Error::custom(format!("{other} is neither 0 nor 1"))),
    }
}

#[allow(clippy::ref_option, reason = "serde passes the field as it is")]
fn digit<S: Serializer>(flag: &Option<bool>, to: S) -> Result<S::Ok, S::Error> {
    flag.map(u8::from).serialize(to)
}

/// The native request: text, or an object where an exchange sends one.
fn document<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        object => Some(object.to_string()),
    })
}
