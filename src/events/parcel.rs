//! What a node hands to another one: an [`Inbound`] about a bid that the other one owns, as bytes.
//!
//! ```text
//! version u8 = 1 | price u8 (0 absent, 1 audit, 2 unreplaced, 3 unreadable, 4 value) | value i64, micros per thousand
//!          | currency 3 letters or zeros | multiplier u64, millionths (0 = none) | Event of event.proto
//! ```

use super::booking::{BadRecord, Record, Verdict};
use super::notice::{Inbound, Paid};
use crate::openrtb::notice::PriceField;
use crate::units::{Cpm, Currency};

const VERSION: u8 = 1;
const HEAD: usize = 1 + 1 + 8 + 3 + 8;

/// Appends `inbound` to `out`.
pub fn write(inbound: &Inbound, out: &mut Vec<u8>) {
    let (kind, value) = match inbound.paid.price {
        PriceField::Absent => (0, 0),
        PriceField::Audit => (1, 0),
        PriceField::Unreplaced => (2, 0),
        PriceField::Unreadable => (3, 0),
        PriceField::Value(price) => (4, price.0),
    };
    out.extend([VERSION, kind]);
    out.extend(value.to_le_bytes());
    out.extend(inbound.paid.currency.map_or([0; 3], |currency| {
        let text = currency.to_string();
        <[u8; 3]>::try_from(text.as_bytes()).unwrap_or_default()
    }));
    out.extend(inbound.paid.multiplier_micros.unwrap_or(0).to_le_bytes());
    let record = Record {
        at: inbound.at,
        token: inbound.token,
        what: inbound.what.clone(),
        told: inbound.told,
        verdict: Verdict {
            shown_at: inbound.shown_at,
            ..Verdict::default()
        },
    };
    record.write(out);
}

/// # Errors
/// What is wrong with the bytes; they were written by another version.
pub fn read(bytes: &[u8]) -> Result<Inbound, BadRecord> {
    let bad = || BadRecord::Field("the head of a parcel");
    let (head, event) = bytes.split_first_chunk::<HEAD>().ok_or_else(bad)?;
    let eight = |at: usize| <[u8; 8]>::try_from(&head[at..at + 8]).unwrap_or_default();
    let price = match head[1] {
        _ if head[0] != VERSION => return Err(bad()),
        0 => PriceField::Absent,
        1 => PriceField::Audit,
        2 => PriceField::Unreplaced,
        3 => PriceField::Unreadable,
        4 => PriceField::Value(Cpm(i64::from_le_bytes(eight(2)))),
        _ => return Err(bad()),
    };
    let currency = match &head[10..13] {
        [0, 0, 0] => None,
        letters => {
            let text = std::str::from_utf8(letters).map_err(|_| bad())?;
            Some(Currency::parse(text).ok_or_else(bad)?)
        }
    };
    let multiplier = u64::from_le_bytes(eight(13));
    let record = Record::read(event)?;
    Ok(Inbound {
        at: record.at,
        token: record.token,
        what: record.what,
        told: record.told,
        paid: Paid {
            price,
            currency,
            multiplier_micros: (multiplier > 0).then_some(multiplier),
        },
        shown_at: record.verdict.shown_at,
    })
}
