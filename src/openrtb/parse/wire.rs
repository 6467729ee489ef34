//! The wire format of Protocol Buffers: a message is a row of records, each a field number and a payload.
//!
//! Invariant: reading never leaves the message it was given, and never fails silently: the first record that cannot be
//! read ends the walk with what is wrong and where.

use super::Malformed;
use std::ops::Range;

/// Groups are of no use in OpenRTB, so one only stands in fields that are skipped. The depth is that of protobuf's own parsers.
const GROUP_DEPTH_MAX: usize = 100;

/// One field of a message as it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub number: u32,
    /// The place among the records that were read with it, so that the order of equal numbers survives sorting.
    pub order: u32,
    pub payload: Payload,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Payload {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    /// Where text, a message or packed numbers stand in the body.
    Bytes(Stretch),
    Group,
}

/// A part of the body. Bodies above 4 GiB are refused, so positions fit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub start: u32,
    pub end: u32,
}

impl Stretch {
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Walks over a stretch of the body.
pub(super) struct Wire<'a> {
    body: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Wire<'a> {
    pub fn new(body: &'a [u8], stretch: Stretch) -> Wire<'a> {
        Wire {
            body,
            at: stretch.start as usize,
            end: stretch.end as usize,
        }
    }

    pub fn is_done(&self) -> bool {
        self.at == self.end
    }

    /// The next field number and its payload.
    pub fn record(&mut self) -> Result<(u32, Payload), Malformed> {
        let start = self.at;
        let (number, wire_type) = self.tag()?;
        let payload = match wire_type {
            0 => Payload::Varint(self.varint()?),
            1 => Payload::Fixed64(u64::from_le_bytes(self.take()?)),
            2 => Payload::Bytes(self.stretch()?),
            3 => {
                self.skip_group(number, GROUP_DEPTH_MAX)?;
                Payload::Group
            }
            5 => {
                self.take::<4>()?;
                Payload::Fixed32
            }
            _ => return Err(Malformed::NotProtobuf("a wire type that there is not", start)),
        };
        Ok((number, payload))
    }

    /// Seven bits a byte, the lowest first; at most ten bytes, of which the last holds one bit.
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        let start = self.at;
        let mut value = 0;
        for (i, byte) in self.body[self.at..self.end].iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                self.at += i + 1;
                let overflows = i == 9 && *byte > 1;
                return if overflows {
                    Err(Malformed::NotProtobuf("a number of more than 64 bits", start))
                } else {
                    Ok(value)
                };
            }
        }
        Err(Malformed::NotProtobuf("a number without an end", start))
    }

    fn tag(&mut self) -> Result<(u32, u8), Malformed> {
        let start = self.at;
        match u32::try_from(self.varint()?) {
            Ok(tag) if tag >> 3 > 0 => Ok((tag >> 3, (tag & 7) as u8)),
            _ => Err(Malformed::NotProtobuf("no field number", start)),
        }
    }

    fn stretch(&mut self) -> Result<Stretch, Malformed> {
        let start = self.at;
        let len = self.varint()?;
        if len > (self.end - self.at) as u64 {
            return Err(Malformed::NotProtobuf("a length beyond the end", start));
        }
        let from = self.at;
        self.at += len as usize;
        Ok(Stretch {
            start: from as u32,
            end: self.at as u32,
        })
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self.body[self.at..self.end].first_chunk();
        let bytes = bytes.ok_or(Malformed::NotProtobuf("a number cut off", self.at))?;
        self.at += N;
        Ok(*bytes)
    }

    /// What stands before the end tag of the group, whose start tag was just read.
    fn skip_group(&mut self, number: u32, depth: usize) -> Result<(), Malformed> {
        const UNBALANCED: &str = "a group without its end, or nested more than 100 levels deep";
        let start = self.at;
        while depth > 0 && !self.is_done() {
            let before = self.at;
            match self.tag()? {
                (end, 4) if end == number => return Ok(()),
                (_, 4) => break,
                (inner, 3) => self.skip_group(inner, depth - 1)?,
                _ => {
                    self.at = before;
                    self.record()?;
                }
            }
        }
        Err(Malformed::NotProtobuf(UNBALANCED, start))
    }
}
