//! From the bytes of a bid request to [`Request`]: one pass over a tape of values, every buffer reused. JSON is laid
//! on the tape by simd-json, protobuf by [`protobuf`]; from there on the two are the same.
//!
//! The request borrows from the body. Give it back with [`RequestBuffers::recycle`], and parsing the next one
//! allocates nothing once the buffers have grown to the traffic's size. The rules are in [`crate::openrtb`].

mod arena;
mod context;
mod deal;
mod imp;
mod lists;
mod native;
mod protobuf;
mod scalar;
mod schema;
mod spot;
mod tape;
mod user;
mod wire;

use super::WireFormat;
use super::request::{Imp, Request};
use arena::Arena;
use native::NativeBuffers;
use protobuf::WireBuffers;
use simd_json::{INPUT_PADDING, Tape};
use tape::Value;

/// Imps read per request; the rest is ignored. Honest requests have fewer than 32 and exchanges' limits are lower
/// still (16 imps evaluated by default), so this only bounds the work that one request can cause.
pub const IMPS_MAX: usize = 256;

/// Why a body is not a bid request that can be understood safely. Answered with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the body must be one JSON document in UTF-8, nested at most 1024 levels deep")]
    NotJson,
    #[error("the body must be a JSON object")]
    NotAnObject,
    /// What is there, and at which byte of the body.
    #[error("the body must be one BidRequest of openrtb.proto: {0} at byte {1}")]
    NotProtobuf(&'static str, usize),
    #[error("field {0} of the message that holds it has another wire type in openrtb.proto")]
    WrongWireType(u32),
    /// Field and what it has to be.
    #[error("`{0}` is missing: it must be {1}")]
    Missing(&'static str, &'static str),
    /// Field and what it has to be.
    #[error("`{0}` cannot be used: it must be {1}")]
    Invalid(&'static str, &'static str),
    #[error("two imps have the same `imp.id`: it must be unique in the request")]
    DuplicateImpId,
    #[error("more than one of `site`, `app` and `dooh` is there: at most one may be")]
    SeveralChannels,
}

/// Everything that parsing needs and keeps from one request to the next. One per worker.
pub struct RequestBuffers {
    json: simd_json::Buffers,
    wire: WireBuffers,
    tape: Tape<'static>,
    native: NativeBuffers,
    pools: Request<'static>,
}

impl Default for RequestBuffers {
    fn default() -> Self {
        RequestBuffers {
            json: simd_json::Buffers::default(),
            wire: WireBuffers::default(),
            tape: Tape(Vec::new()),
            native: NativeBuffers::default(),
            pools: Request::default(),
        }
    }
}

impl RequestBuffers {
    /// Parses a whole JSON body. The body is used as scratch: strings are unescaped in place and it grows by at most its
    /// own length plus 320 bytes; clear it before the next one is read into it.
    ///
    /// # Errors
    /// See [`Malformed`]; the buffers stay usable.
    pub fn parse<'a>(&mut self, body: &'a mut Vec<u8>) -> Result<Request<'a>, Malformed> {
        let (json, len, arena) = lay_out(body);
        let mut tape = self.take_tape();
        let filled = simd_json::fill_tape_padded(json, len, &mut self.json, &mut tape);
        self.read(filled.map_err(|_| Malformed::NotJson), tape, arena)
    }

    /// Parses a whole body that is a `BidRequest` of `openrtb.proto`. The body grows by its own length and 256 bytes.
    ///
    /// # Errors
    /// See [`Malformed`]; the buffers stay usable.
    pub fn parse_protobuf<'a>(&mut self, body: &'a mut Vec<u8>) -> Result<Request<'a>, Malformed> {
        let len = body.len();
        body.resize(len + len + ROOM_BYTES, 0);
        let (wire, room) = body.split_at_mut(len);
        let mut tape = self.take_tape();
        let filled = protobuf::fill_tape(wire, &mut self.wire, &mut tape.0);
        self.read(filled, tape, Arena::new(room))
    }

    /// Parses a whole body of either format.
    ///
    /// # Errors
    /// See [`Malformed`]; the buffers stay usable.
    pub fn parse_as<'a>(
        &mut self,
        format: WireFormat,
        body: &'a mut Vec<u8>,
    ) -> Result<Request<'a>, Malformed> {
        match format {
            WireFormat::Json => self.parse(body),
            WireFormat::Protobuf => self.parse_protobuf(body),
        }
    }

    fn take_tape<'a>(&mut self) -> Tape<'a> {
        std::mem::replace(&mut self.tape, Tape(Vec::new())).reset()
    }

    /// From a tape that was filled to what it says.
    fn read<'a>(
        &mut self,
        filled: Result<(), Malformed>,
        tape: Tape<'a>,
        arena: Arena<'a>,
    ) -> Result<Request<'a>, Malformed> {
        let mut parser = Parser {
            request: emptied(std::mem::take(&mut self.pools)),
            arena,
            native: &mut self.native,
        };
        let outcome = filled.and_then(|()| parser.bid_request(Value::root(&tape)));
        let request = parser.request;
        self.tape = tape.reset();
        match outcome {
            Ok(()) => Ok(request),
            Err(malformed) => {
                self.recycle(request);
                Err(malformed)
            }
        }
    }

    /// Takes the memory of a request back. Without it the next request is parsed all the same, with new memory.
    pub fn recycle(&mut self, request: Request<'_>) {
        self.pools = emptied(request);
    }
}

/// What is at hand while one request is read.
struct Parser<'p, 'a> {
    request: Request<'a>,
    arena: Arena<'a>,
    native: &'p mut NativeBuffers,
}

impl<'a> Parser<'_, 'a> {
    /// `BidRequest`, section 3.2.1.
    fn bid_request(&mut self, root: Value<'_, 'a>) -> Result<(), Malformed> {
        if !root.is_object() {
            return Err(Malformed::NotAnObject);
        }
        self.request.at = 2;
        self.request.cattax = 1;
        let (mut id, mut imp, mut source, mut ext) = (None, None, None, None);
        let (mut site, mut app, mut dooh) = (None, None, None);
        for (key, value) in root.fields() {
            match key {
                "id" => id = Some(value),
                "imp" => imp = Some(value),
                "site" => site = Some(value),
                "app" => app = Some(value),
                "dooh" => dooh = Some(value),
                "device" => self.request.device = self.device(value),
                "user" => self.request.user = self.user(value),
                "regs" => self.request.regs = self.regs(value)?,
                "source" => source = Some(value),
                "ext" => ext = Some(value),
                "test" => self.request.test = value.restriction().unwrap_or(false),
                "at" => self.request.at = value.uint().filter(|at| *at > 0).unwrap_or(2),
                "tmax" => self.request.tmax_ms = tmax(value)?,
                "allimps" => self.request.all_imps = value.is_one(),
                "wseat" => self.request.wseat = self.strs(value, "wseat")?,
                "bseat" => self.request.bseat = self.strs(value, "bseat")?,
                "cur" => self.request.cur = self.strs(value, "cur")?,
                "wlang" => self.request.wlang = self.strs(value, "wlang")?,
                "wlangb" => self.request.wlangb = self.strs(value, "wlangb")?,
                "acat" => self.request.acat = self.strs(value, "acat")?,
                "bcat" => self.request.bcat = self.strs(value, "bcat")?,
                "cattax" => self.request.cattax = value.uint().unwrap_or(1),
                "badv" => self.request.badv = self.strs(value, "badv")?,
                "bapp" => self.request.bapp = self.strs(value, "bapp")?,
                _ => {}
            }
        }
        self.request.id = required_id(id, "id")?;
        self.channel([site, app, dooh])?;
        self.request.source = self.source(source, ext);
        self.imps(imp)
    }

    fn imps(&mut self, list: Option<Value<'_, 'a>>) -> Result<(), Malformed> {
        const WANTED: &str = "an array of at least one object";
        let list = list
            .filter(|list| !list.is_null())
            .ok_or(Malformed::Missing("imp", WANTED))?;
        for item in list.items().take(IMPS_MAX) {
            if !item.is_object() {
                return Err(Malformed::Invalid("imp", WANTED));
            }
            let imp: Imp<'a> = self.imp(item)?;
            self.request.imps.push(imp);
        }
        match self.request.imps.len() {
            0 => Err(Malformed::Invalid("imp", WANTED)),
            1 => Ok(()),
            _ => self.refuse_duplicate_imp_ids(),
        }
    }

    /// The tail of the pool of strings serves as scratch for sorting.
    fn refuse_duplicate_imp_ids(&mut self) -> Result<(), Malformed> {
        let strs = &mut self.request.strs;
        let start = strs.len();
        strs.extend(self.request.imps.iter().map(|imp| imp.id));
        let ids = &mut strs[start..];
        ids.sort_unstable();
        let duplicate = ids.windows(2).any(|pair| pair[0] == pair[1]);
        strs.truncate(start);
        if duplicate {
            Err(Malformed::DuplicateImpId)
        } else {
            Ok(())
        }
    }
}

/// Ids are echoed in the answer, so only a string will do.
fn required_id<'a>(value: Option<Value<'_, 'a>>, field: &'static str) -> Result<&'a str, Malformed> {
    const WANTED: &str = "a non-empty string";
    let value = value
        .filter(|id| !id.is_absent())
        .ok_or(Malformed::Missing(field, WANTED))?;
    value.as_str().ok_or(Malformed::Invalid(field, WANTED))
}

/// Milliseconds; a fraction is cut off, which is on the safe side.
fn tmax(value: Value<'_, '_>) -> Result<Option<u32>, Malformed> {
    if value.is_absent() {
        return Ok(None);
    }
    match value.number() {
        Some(ms) if (0.0..=f64::from(u32::MAX)).contains(&ms) => Ok(Some(ms as u32)),
        _ => Err(Malformed::Invalid("tmax", "milliseconds from 0 to 4,294,967,295")),
    }
}

/// Room for text that the body does not hold, beyond its own length: a request with little else may still have a version
/// number to be joined.
const ROOM_BYTES: usize = 256;

/// The document with its padding, the length of the document, and the room behind it for text that it does not
/// hold. The room is the document's length, so that integers as text always fit, and [`ROOM_BYTES`] more.
fn lay_out(body: &mut Vec<u8>) -> (&mut [u8], usize, Arena<'_>) {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    let start = if body.starts_with(BYTE_ORDER_MARK) {
        BYTE_ORDER_MARK.len()
    } else {
        0
    };
    let len = body.len() - start;
    body.resize(body.len() + INPUT_PADDING + len + ROOM_BYTES, 0);
    let (json, room) = body[start..].split_at_mut(len + INPUT_PADDING);
    (json, len, Arena::new(room))
}

/// The same memory for another lifetime, with nothing in it.
fn emptied<'b>(request: Request<'_>) -> Request<'b> {
    Request {
        imps: emptied_list(request.imps),
        strs: emptied_list(request.strs),
        ints: emptied_list(request.ints),
        sizes: emptied_list(request.sizes),
        deals: emptied_list(request.deals),
        native_assets: emptied_list(request.native_assets),
        eids: emptied_list(request.eids),
        segments: emptied_list(request.segments),
        schain_nodes: emptied_list(request.schain_nodes),
        dur_floors: emptied_list(request.dur_floors),
        companions: emptied_list(request.companions),
        ..Request::default()
    }
}

/// Collecting an iterator over a list into elements of the same layout keeps the list's memory.
fn emptied_list<A, B>(mut list: Vec<A>) -> Vec<B> {
    list.clear();
    list.into_iter()
        .map(|_| unreachable!("the list was cleared"))
        .collect()
}
