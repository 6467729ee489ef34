//! From a `BidRequest` of `openrtb.proto` to the tape that the JSON parser fills: one request, one meaning, one reader.
//!
//! What a field number is called and what it holds stands in [`super::schema`]; here are the rules of the encoding:
//! of a field that may stand once the last one counts, messages that stand twice are merged, repeated fields are
//! gathered wherever they stand, numbers may be packed or not, unknown fields are passed over. Nesting is as deep as
//! the schema, and nothing is allocated once the buffers have grown. The memory is bounded by the body: a record takes
//! 24 bytes and at least two on the wire, a node of the tape 24 bytes and at least one.

use super::Malformed;
use super::schema::{self, Field, Kind, Schema};
use super::wire::{Payload, Record, Stretch, Wire};
use simd_json::{Node, StaticNode};
use std::ops::Range;

/// Reused from request to request.
#[derive(Default)]
pub(super) struct WireBuffers {
    records: Vec<Record>,
    /// Where the pieces of the message that is read next stand.
    pieces: Vec<Stretch>,
}

/// Fills an empty tape.
///
/// # Errors
/// [`Malformed::NotProtobuf`]; the tape then holds no whole document.
pub(super) fn fill_tape<'a>(
    body: &'a [u8],
    buffers: &mut WireBuffers,
    nodes: &mut Vec<Node<'a>>,
) -> Result<(), Malformed> {
    let Ok(end) = u32::try_from(body.len()) else {
        return Err(Malformed::NotProtobuf("more than 4 GiB", 0));
    };
    buffers.records.clear();
    buffers.pieces.clear();
    buffers.pieces.push(Stretch { start: 0, end });
    let mut filler = Filler {
        body,
        records: &mut buffers.records,
        pieces: &mut buffers.pieces,
        nodes,
    };
    filler.message(schema::BID_REQUEST, 0)
}

struct Filler<'f, 'a> {
    body: &'a [u8],
    records: &'f mut Vec<Record>,
    pieces: &'f mut Vec<Stretch>,
    nodes: &'f mut Vec<Node<'a>>,
}

impl<'a> Filler<'_, 'a> {
    /// The message whose pieces are those from `first` on, as an object. To merge messages is to read one after the other.
    fn message(&mut self, schema: Schema, first: usize) -> Result<(), Malformed> {
        let records = self.read_records(first)?;
        let object = self.nodes.len();
        self.nodes.push(Node::Object { len: 0, count: 0 });
        let (mut start, mut len) = (records.start, 0);
        while start < records.end {
            let number = self.records[start].number;
            let rest = &self.records[start..records.end];
            let end = start + rest.iter().take_while(|record| record.number == number).count();
            if let Some(field) = schema(number) {
                self.field(&field, start..end)?;
                len += 1;
            }
            start = end;
        }
        self.records.truncate(records.start);
        let count = self.nodes.len() - object - 1;
        self.nodes[object] = Node::Object { len, count };
        Ok(())
    }

    /// The records of the pieces from `first` on, by field number; the pieces are used up.
    fn read_records(&mut self, first: usize) -> Result<Range<usize>, Malformed> {
        let start = self.records.len();
        for &piece in &self.pieces[first..] {
            let mut wire = Wire::new(self.body, piece);
            while !wire.is_done() {
                let (number, payload) = wire.record()?;
                self.records.push(Record {
                    number,
                    order: self.records.len() as u32,
                    payload,
                });
            }
        }
        self.pieces.truncate(first);
        let records = &mut self.records[start..];
        // Most encoders write fields in this order already.
        if !records.is_sorted_by_key(|record| record.number) {
            records.sort_unstable_by_key(|record| (record.number, record.order));
        }
        Ok(start..self.records.len())
    }

    /// One field with all its records.
    fn field(&mut self, field: &Field, records: Range<usize>) -> Result<(), Malformed> {
        self.nodes.push(Node::String(field.name));
        match (field.repeated, field.kind) {
            (true, kind) => self.list(kind, records),
            (false, Kind::Message(schema)) => {
                let first = self.pieces.len();
                for position in records {
                    let piece = self.bytes(position)?;
                    self.pieces.push(piece);
                }
                self.message(schema, first)
            }
            (false, kind) => {
                let place = self.nodes.len();
                for position in records {
                    self.nodes.truncate(place);
                    self.scalar(kind, position)?;
                }
                Ok(())
            }
        }
    }

    fn list(&mut self, kind: Kind, records: Range<usize>) -> Result<(), Malformed> {
        let array = self.nodes.len();
        self.nodes.push(Node::Array { len: 0, count: 0 });
        let mut len = 0;
        for position in records {
            len += match (kind, self.records[position].payload) {
                (Kind::Message(schema), _) => {
                    let piece = self.bytes(position)?;
                    self.pieces.push(piece);
                    self.message(schema, self.pieces.len() - 1)?;
                    1
                }
                (Kind::Int, Payload::Bytes(packed)) => self.packed(packed)?,
                _ => {
                    self.scalar(kind, position)?;
                    1
                }
            };
        }
        let count = self.nodes.len() - array - 1;
        self.nodes[array] = Node::Array { len, count };
        Ok(())
    }

    fn packed(&mut self, stretch: Stretch) -> Result<usize, Malformed> {
        let before = self.nodes.len();
        let mut wire = Wire::new(self.body, stretch);
        while !wire.is_done() {
            let node = int(wire.varint()?);
            self.nodes.push(node);
        }
        Ok(self.nodes.len() - before)
    }

    fn scalar(&mut self, kind: Kind, position: usize) -> Result<(), Malformed> {
        let node = match (kind, self.records[position].payload) {
            // Flags are 0 and 1 in JSON.
            (Kind::Flag, Payload::Varint(value)) => Node::Static(StaticNode::I64((value != 0).into())),
            (Kind::Int, Payload::Varint(value)) => int(value),
            (Kind::Double, Payload::Fixed64(bits)) => Node::Static(StaticNode::F64(f64::from_bits(bits))),
            (Kind::Text, Payload::Bytes(stretch)) => Node::String(self.text(stretch)?),
            _ => return Err(self.wrong_type(position)),
        };
        self.nodes.push(node);
        Ok(())
    }

    fn text(&self, stretch: Stretch) -> Result<&'a str, Malformed> {
        std::str::from_utf8(&self.body[stretch.range()])
            .map_err(|_| Malformed::NotProtobuf("text that is not UTF-8", stretch.start as usize))
    }

    fn bytes(&self, position: usize) -> Result<Stretch, Malformed> {
        match self.records[position].payload {
            Payload::Bytes(stretch) => Ok(stretch),
            _ => Err(self.wrong_type(position)),
        }
    }

    /// Where a number stood is not kept.
    fn wrong_type(&self, position: usize) -> Malformed {
        Malformed::WrongWireType(self.records[position].number)
    }
}

/// `int32`: the low 32 bits, with their sign.
fn int<'a>(value: u64) -> Node<'a> {
    Node::Static(StaticNode::I64((value as u32).cast_signed().into()))
}
