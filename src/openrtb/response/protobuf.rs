//! The bid response as a `BidResponse` of `openrtb.proto`: the fields of [`super::BidFields`] under its numbers.
//!
//! A message is preceded by its length, which is known only at its end: it is written in place and moved back by the
//! bytes that its length takes.

use super::{BidFields, Dsa, NoticeUrls, ResponseHead};
use crate::openrtb::notice::{Notice, Queries};
use crate::units::Cpm;
use std::io::Write as _;

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;

/// `BidResponse` up to its seats.
pub(super) fn write_head(out: &mut Vec<u8>, head: &ResponseHead) {
    put_text(out, 1, head.id);
    if let Some(id) = head.bid_id {
        message(out, 3, |out| {
            write!(out, "{id}").expect("a vector takes every write")
        });
    }
    put_text(out, 4, head.currency.as_str());
}

pub(super) fn write_no_bid(out: &mut Vec<u8>, id: &str, nbr: Option<u32>) {
    put_text(out, 1, id);
    put_maybe_number(out, 6, nbr);
}

/// Opens a `SeatBid`; [`end_message`] with what this returns closes it.
pub(super) fn begin_seat(out: &mut Vec<u8>, seat: Option<&str>, group: bool) -> usize {
    put_tag(out, 2, BYTES);
    let start = out.len();
    put_maybe_text(out, 2, seat);
    if group {
        put_number(out, 3, 1);
    }
    start
}

/// Puts the length in front of the message that began at `start`.
pub(super) fn end_message(out: &mut Vec<u8>, start: usize) {
    let len = out.len() - start;
    put_varint(out, len as u64);
    out[start..].rotate_right(varint_len(len as u64));
}

/// One `Bid` of the seat that is open.
pub(super) fn write_bid(out: &mut Vec<u8>, bid: &BidFields, adm: impl FnOnce(&mut Vec<u8>)) {
    message(out, 1, |out| {
        message(out, 1, |out| {
            write!(out, "{}", bid.id).expect("a vector takes every write");
        });
        put_text(out, 2, bid.imp_id);
        put_price(out, 3, bid.price);
        message(out, 6, adm);
        put_number(out, 33, bid.markup as u32);
        write_notices(out, &bid.notices);
        write_creative(out, bid);
        write_shape(out, bid);
        if let Some(dsa) = &bid.dsa {
            message(out, 99, |ext| message(ext, 2, |out| write_dsa(out, dsa)));
        }
    });
}

fn write_notices(out: &mut Vec<u8>, notices: &NoticeUrls) {
    let mut url = |number, notice: Notice| {
        message(out, number, |out| {
            let query = Queries::get(notices.queries, notice);
            for part in [notices.base, notice.path(), "?t=", notices.token, query] {
                out.extend_from_slice(part.as_bytes());
            }
        });
    };
    if notices.win {
        url(5, Notice::Win);
    }
    if notices.bill {
        url(22, Notice::Bill);
    }
    if notices.loss {
        url(23, Notice::Loss);
    }
}

fn write_creative(out: &mut Vec<u8>, bid: &BidFields) {
    put_maybe_text(out, 4, bid.ad_id);
    put_texts(out, 7, bid.adomain);
    put_maybe_text(out, 14, bid.bundle);
    put_maybe_text(out, 8, bid.image_url);
    put_maybe_text(out, 9, bid.campaign_id);
    put_text(out, 10, bid.creative_id);
    put_texts(out, 15, bid.categories);
    put_maybe_number(out, 30, (!bid.categories.is_empty()).then_some(bid.cattax));
    put_numbers(out, 11, bid.all_attributes());
    put_numbers(out, 31, bid.apis.iter().copied());
    put_maybe_text(out, 25, bid.language);
}

fn write_shape(out: &mut Vec<u8>, bid: &BidFields) {
    put_maybe_number(out, 19, bid.protocol);
    put_maybe_text(out, 13, bid.deal_id);
    put_maybe_number(out, 16, bid.size.map(|size| size.0));
    put_maybe_number(out, 17, bid.size.map(|size| size.1));
    put_maybe_number(out, 26, bid.ratio.map(|ratio| ratio.0));
    put_maybe_number(out, 27, bid.ratio.map(|ratio| ratio.1));
    put_maybe_number(out, 32, bid.duration_s);
    if let Some(slot) = bid.slot_in_pod {
        // An int32 below 0 is sent as the 64 bits of its two's complement.
        put_tag(out, 28, VARINT);
        put_varint(out, i64::from(slot) as u64);
    }
    put_maybe_number(out, 21, bid.exp_s);
}

fn write_dsa(out: &mut Vec<u8>, dsa: &Dsa) {
    put_text(out, 1, dsa.behalf());
    put_text(out, 2, dsa.paid());
    if let Some((domain, parameters)) = dsa.transparency {
        message(out, 3, |out| {
            put_text(out, 1, domain);
            message(out, 2, |out| {
                parameters.ids().for_each(|id| put_varint(out, id.into()))
            });
        });
    }
    put_number(out, 4, u32::from(dsa.ad_shows));
}

/// A message, or text, of which only the writing tells how long it is.
fn message(out: &mut Vec<u8>, number: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    put_tag(out, number, BYTES);
    let start = out.len();
    fill(out);
    end_message(out, start);
}

fn put_text(out: &mut Vec<u8>, number: u32, text: &str) {
    put_tag(out, number, BYTES);
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn put_maybe_text(out: &mut Vec<u8>, number: u32, text: Option<&str>) {
    if let Some(text) = text {
        put_text(out, number, text);
    }
}

fn put_texts(out: &mut Vec<u8>, number: u32, texts: &[String]) {
    for text in texts {
        put_text(out, number, text);
    }
}

/// The double that is nearest to the price; a JSON reader gets the same one.
fn put_price(out: &mut Vec<u8>, number: u32, price: Cpm) {
    put_tag(out, number, FIXED64);
    out.extend_from_slice(&price.as_units().to_le_bytes());
}

fn put_number(out: &mut Vec<u8>, number: u32, value: u32) {
    put_tag(out, number, VARINT);
    put_varint(out, value.into());
}

fn put_maybe_number(out: &mut Vec<u8>, number: u32, value: Option<u32>) {
    if let Some(value) = value {
        put_number(out, number, value);
    }
}

/// Packed.
fn put_numbers(out: &mut Vec<u8>, number: u32, values: impl Iterator<Item = u32>) {
    let mut values = values.peekable();
    if values.peek().is_some() {
        message(out, number, |out| {
            values.for_each(|value| put_varint(out, value.into()));
        });
    }
}

fn put_tag(out: &mut Vec<u8>, number: u32, wire_type: u32) {
    put_varint(out, u64::from(number << 3 | wire_type));
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}
