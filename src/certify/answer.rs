//! What a bidder answered, as an exchange reads it.
//!
//! Invariant: reading never fails; what is not there or has another type is absent.

use super::client::Reply;
use super::{markup, protobuf};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::io::Read;

/// A gzip answer larger than this is not unpacked further.
const UNPACKED_BYTES_MAX: u64 = 32 << 20;

#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub reply: Reply,
    /// Decoded by its Content-Encoding.
    pub body: Vec<u8>,
    /// What it says, whichever format it is in.
    pub json: Option<Value>,
}

/// One bid, with what its seat and its response say of it.
#[derive(Clone, Debug)]
pub struct Bid {
    pub fields: Value,
    pub seat: Option<String>,
    pub currency: String,
}

impl Answer {
    pub fn read(reply: Reply) -> Answer {
        let gzip = reply
            .header("content-encoding")
            .is_some_and(|coding| coding.eq_ignore_ascii_case("gzip"));
        let body = if gzip {
            unpack(&reply.body)
        } else {
            reply.body.clone()
        };
        let json = if is_protobuf(&reply) {
            protobuf::decode(&body)
        } else {
            serde_json::from_slice(&body).ok()
        };
        Answer { reply, body, json }
    }

    pub fn status(&self) -> u16 {
        self.reply.status
    }

    /// Every bid of every seat.
    pub fn bids(&self) -> Vec<Bid> {
        let Some(response) = self.json.as_ref().filter(|_| self.status() == 200) else {
            return Vec::new();
        };
        let currency = response["cur"].as_str().unwrap_or("USD").to_owned();
        let seats = items(&response["seatbid"]).iter();
        let bids = seats.flat_map(|seat| items(&seat["bid"]).iter().map(move |bid| (seat, bid)));
        bids.map(|(seat, bid)| Bid {
            fields: bid.clone(),
            seat: seat["seat"].as_str().map(str::to_owned),
            currency: currency.clone(),
        })
        .collect()
    }

    /// The reason code of a no-bid.
    pub fn no_bid_reason(&self) -> Option<i64> {
        self.json.as_ref()?["nbr"].as_i64()
    }

    /// Whether the bidder called the request invalid: 400, or 200 with reason 2.
    pub fn refuses(&self) -> bool {
        self.status() == 400 || (self.status() == 200 && self.no_bid_reason() == Some(2))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Bid {
    pub fn text(&self, key: &str) -> &str {
        self.fields[key].as_str().unwrap_or_default()
    }

    pub fn int(&self, key: &str) -> Option<i64> {
        self.fields[key].as_i64()
    }

    pub fn ints(&self, key: &str) -> Vec<i64> {
        items(&self.fields[key])
            .iter()
            .filter_map(Value::as_i64)
            .collect()
    }

    pub fn texts(&self, key: &str) -> Vec<&str> {
        items(&self.fields[key])
            .iter()
            .filter_map(Value::as_str)
            .collect()
    }

    pub fn price(&self) -> f64 {
        self.fields["price"].as_f64().unwrap_or(f64::NAN)
    }

    pub fn markup(&self) -> &str {
        self.text("adm")
    }

    /// 1 is the default of section 4.2.3.
    pub fn taxonomy(&self) -> i64 {
        self.int("cattax").unwrap_or(1)
    }

    pub fn size(&self) -> Option<(i64, i64)> {
        Some((self.int("w")?, self.int("h")?))
    }

    /// `apis`, and the deprecated `api`.
    pub fn apis(&self) -> Vec<i64> {
        let mut apis = self.ints("apis");
        apis.extend(self.int("api"));
        apis
    }

    /// Every address that the bid makes somebody load or open.
    pub fn urls(&self) -> Vec<String> {
        let mut urls: Vec<String> = ["nurl", "burl", "lurl", "iurl"]
            .iter()
            .map(|key| self.text(key).to_owned())
            .filter(|url| !url.is_empty())
            .collect();
        urls.extend(markup::urls(self.markup()));
        urls
    }
}

/// The elements of a list; none of anything else.
pub fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn is_protobuf(reply: &Reply) -> bool {
    reply
        .header("content-type")
        .is_some_and(|kind| kind.to_ascii_lowercase().contains("protobuf"))
}

fn unpack(packed: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    // A broken end leaves a body that is no JSON, which the cases see.
    let _ = GzDecoder::new(packed)
        .take(UNPACKED_BYTES_MAX)
        .read_to_end(&mut body);
    body
}
