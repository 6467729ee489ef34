//! The bid endpoint: admit, read, parse, decide, write, log. Never a 5xx because of what was sent.

use super::body::{self, BodyError, Encoding, MediaType};
use super::clock;
use super::record::Recording;
use super::respond::{self, Answer};
use super::settings::Limits;
use super::worker::{Reply, Worker, empty};
use crate::engine::{self, ExchangeTerms, Outcome, Scratch, Snapshot, Turn};
use crate::events::boot::BidIds;
use crate::openrtb::{RequestBuffers, WireFormat, request, response};
use crate::store::exchange::{Auth, Exchange, NoBidForm};
use crate::telemetry::{Counter, Reason, Recorder, Size, Stage};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;

/// The version that answers are written in, whatever the request's is (OpenRTB 2.6 section 2.5): it adds fields to 2.5
/// and changes none.
const VERSION: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-openrtb-version"),
    HeaderValue::from_static("2.6"),
);

/// One worker's tools, reused from request to request.
pub struct Desk {
    pub recorder: Recorder,
    pub ids: BidIds,
    pub recording: Recording,
    pub scratch: Scratch,
    pub buffers: RequestBuffers,
    pub body: Vec<u8>,
    pub out: Vec<u8>,
    /// Advances with every request; seeds decisions and sampling.
    pub seed: u64,
}

/// When an answer is late.
#[derive(Clone, Copy)]
struct Deadline(Instant);

impl Deadline {
    /// The time that is left to us, and never more than our own budget.
    fn new(arrived: Instant, left_ms: u32, budget: Duration) -> Deadline {
        Deadline(arrived + Duration::from_millis(left_ms.into()).min(budget))
    }

    fn is_over(self) -> bool {
        Instant::now() >= self.0
    }
}

/// `tmax` (section 3.2.1), or what was agreed where there is none, less the way there and back. `None`: there is no time at all.
pub(super) fn time_left_ms(request: &request::Request, settings: &Exchange) -> Option<u32> {
    let tmax = request.tmax_ms.unwrap_or(settings.default_tmax_ms);
    tmax.checked_sub(settings.network_allowance_ms)
        .filter(|left| *left > 0)
}

pub async fn answer(worker: &Worker, exchange: &str, request: Request<Incoming>) -> Reply {
    let arrived = Instant::now();
    worker.desk.borrow().recorder.count(Counter::Requests, 1);
    let snapshot = worker.common.snapshot.load_full();
    let Some(terms) = snapshot.exchange(exchange) else {
        return refuse(worker, StatusCode::UNAUTHORIZED);
    };
    if !is_known(&terms.settings.auth, request.headers()) {
        return refuse(worker, StatusCode::UNAUTHORIZED);
    }
    let _in_flight = InFlight::enter(worker);
    let wire = match Wire::agree(request.headers(), &terms.settings) {
        Ok(wire) => wire,
        Err(error) => return refuse(worker, error.status()),
    };
    count_wire(&worker.desk.borrow().recorder, wire, request.headers());
    let raw = match take_body(request, &worker.common.settings.limits).await {
        Ok(raw) => raw,
        Err(status) => return refuse(worker, status),
    };
    if let Some(reason) = turn_away(worker, terms) {
        return no_bid(worker, terms, wire, reason);
    }
    decide(worker, &snapshot, terms, arrived, Raw { wire, bytes: &raw })
}

/// Counts a request in progress; dropping it counts it out.
struct InFlight<'w>(&'w Worker);

impl<'w> InFlight<'w> {
    fn enter(worker: &'w Worker) -> InFlight<'w> {
        worker.in_flight.set(worker.in_flight.get() + 1);
        InFlight(worker)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get() - 1);
    }
}

fn is_known(auth: &Auth, headers: &HeaderMap) -> bool {
    match auth {
        Auth::None => true,
        Auth::Header { name, value } => headers
            .get(name.as_str())
            .is_some_and(|given| bool::from(given.as_bytes().ct_eq(value.as_bytes()))),
        Auth::Bearer(secret) => headers
            .get(AUTHORIZATION)
            .is_some_and(|given| is_bearer(given, secret)),
    }
}

/// Compared in constant time.
pub fn is_bearer(given: &HeaderValue, secret: &str) -> bool {
    let token = given.as_bytes().strip_prefix(b"Bearer ");
    token.is_some_and(|token| bool::from(token.ct_eq(secret.as_bytes())))
}

/// Answers that cost nothing. They come once the body is read, as an unread body would end the connection.
fn turn_away(worker: &Worker, exchange: &ExchangeTerms) -> Option<Reason> {
    if worker.in_flight.get() > worker.common.settings.limits.requests_in_flight_per_worker {
        return Some(Reason::Shed);
    }
    if !worker.common.books.is_open() {
        return Some(Reason::Standby);
    }
    let over = exchange
        .settings
        .qps_max
        .is_some_and(|max| !exchange.qps.admit(clock::now(), max));
    over.then_some(Reason::QpsLimit)
}

/// How a request is written, and how its answer may go.
#[derive(Clone, Copy)]
struct Wire {
    encoding: Encoding,
    /// Of the request and of the answer.
    media: MediaType,
    /// The sender takes gzip.
    compress: bool,
}

impl Wire {
    /// What the headers say and the exchange's settings allow.
    fn agree(headers: &HeaderMap, settings: &Exchange) -> Result<Wire, BodyError> {
        let media = MediaType::of(headers)?;
        if settings.format.is_some_and(|agreed| agreed != media.format) {
            return Err(BodyError::Unsupported);
        }
        Ok(Wire {
            encoding: body::content_encoding(headers)?,
            media,
            compress: body::accepts_gzip(headers),
        })
    }
}

/// A version is no reason to refuse: of a request whose meaning changed, the parser says what is missing.
fn count_wire(recorder: &Recorder, wire: Wire, headers: &HeaderMap) {
    if wire.media.format == WireFormat::Protobuf {
        recorder.count(Counter::Protobuf, 1);
    }
    let (name, _) = VERSION;
    let version = headers.get(name).map(|value| value.as_bytes().trim_ascii());
    let counter = version.map(|version| match version {
        b"2.5" => Counter::Version25,
        b"2.6" => Counter::Version26,
        _ => Counter::VersionOther,
    });
    if let Some(counter) = counter {
        recorder.count(counter, 1);
    }
}

async fn take_body(request: Request<Incoming>, limits: &Limits) -> Result<Bytes, StatusCode> {
    let (head, incoming) = request.into_parts();
    let read = body::read(&head.headers, incoming, limits.body_bytes);
    match tokio::time::timeout(limits.read_timeout, read).await {
        Ok(Ok(raw)) => Ok(raw),
        Ok(Err(error)) => Err(error.status()),
        Err(_) => Err(StatusCode::BAD_REQUEST),
    }
}

/// A body as it came.
struct Raw<'b> {
    bytes: &'b [u8],
    wire: Wire,
}

/// From the whole body to the answer, without a pause.
fn decide(
    worker: &Worker,
    snapshot: &Arc<Snapshot>,
    exchange: &ExchangeTerms,
    arrived: Instant,
    raw: Raw,
) -> Reply {
    let mut desk = worker.desk.borrow_mut();
    let desk = &mut *desk;
    let mut watch = Watch {
        arrived,
        last: arrived,
        recorder: &mut desk.recorder,
    };
    watch.lap(Stage::Read);
    let wire = raw.wire;
    if let Err(error) = body::decode(
        raw.bytes,
        wire.encoding,
        &worker.common.settings.limits,
        &mut desk.body,
    ) {
        return counted_refusal(watch.recorder, error.status());
    }
    let request = match desk.buffers.parse_as(wire.media.format, &mut desk.body) {
        Ok(request) => request,
        Err(malformed) => {
            tracing::debug!(%malformed, exchange = exchange.settings.name, "request refused");
            return counted_refusal(watch.recorder, StatusCode::BAD_REQUEST);
        }
    };
    watch.lap(Stage::Parse);
    let settings = &exchange.settings;
    let limits = &worker.common.settings.limits;
    let deadline =
        time_left_ms(&request, settings).map(|left| Deadline::new(arrived, left, limits.decision_budget));
    let Some(deadline) = deadline.filter(|deadline| !deadline.is_over()) else {
        let reply = write_no_bid(
            watch.recorder,
            exchange,
            wire,
            request.id,
            Reason::TooLate,
            &mut desk.out,
        );
        desk.buffers.recycle(request);
        return reply;
    };
    desk.seed = desk.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let now = clock::now();
    let outcome = engine::bid(
        &request,
        exchange,
        snapshot,
        &worker.common.live,
        &mut desk.scratch,
        &mut Turn {
            now,
            seed: mix(desk.seed),
            candidates_max: limits.candidates,
            next_id: &mut || desk.ids.draw(),
            lap: &mut |stage| watch.lap(stage),
        },
    );
    let answer = Answer {
        request: &request,
        exchange,
        snapshot,
        scratch: &desk.scratch,
        now,
    };
    let reply = match outcome {
        Outcome::Bids(terms) => {
            desk.out.clear();
            let format = wire.media.format;
            respond::write_answer(&answer, terms, &worker.common.sealer, format, &mut desk.out);
            watch.recorder.count(Counter::Answered, 1);
            watch
                .recorder
                .count(Counter::Bids, desk.scratch.bids.len() as u64);
            reply(&desk.out, wire.media, wire.compress)
        }
        Outcome::NoBid(reason) => {
            write_no_bid(watch.recorder, exchange, wire, request.id, reason, &mut desk.out)
        }
    };
    watch.lap(Stage::Write);
    count_decision(watch.recorder, &desk.scratch);
    if deadline.is_over() {
        watch.recorder.count(Counter::Late, 1);
    }
    let micros = watch.total();
    let dropped = desk
        .recording
        .record(&answer, outcome, mix(desk.seed ^ 1), micros);
    watch.recorder.count(Counter::BidRecordsDropped, dropped);
    desk.buffers.recycle(request);
    reply
}

/// Times the stages one after the other.
struct Watch<'d> {
    arrived: Instant,
    last: Instant,
    recorder: &'d mut Recorder,
}

impl Watch<'_> {
    fn lap(&mut self, stage: Stage) {
        let now = Instant::now();
        self.recorder.time(stage, (now - self.last).as_nanos() as u64);
        self.last = now;
    }

    /// Microseconds since the request arrived.
    fn total(&mut self) -> u32 {
        let total = self.last - self.arrived;
        self.recorder.time(Stage::Total, total.as_nanos() as u64);
        total.as_micros().min(u32::MAX.into()) as u32
    }
}

fn count_decision(recorder: &mut Recorder, scratch: &Scratch) {
    recorder.measure(Size::Matched, scratch.matched as u64);
    recorder.measure(Size::Scored, scratch.scored as u64);
    recorder.count(Counter::ProfileLookups, u64::from(scratch.audience.looked_up));
    recorder.count(Counter::ProfileHits, u64::from(scratch.audience.has_profile));
    recorder.count(Counter::CandidatesMatched, scratch.matched as u64);
    recorder.count(Counter::CandidatesScored, scratch.scored as u64);
    if let Some(consent) = scratch.audience.consent {
        recorder.count_signal(consent.decided_by);
    }
    let shades = scratch.bids.iter().filter_map(|bid| bid.candidate.shade);
    recorder.count(Counter::BidsShaded, shades.clone().count() as u64);
    recorder.count(
        Counter::BidsExplored,
        shades.filter(|shade| shade.explored).count() as u64,
    );
    for finding in scratch.supply.findings() {
        recorder.count_finding(finding);
    }
    for (reason, count) in scratch.funnel.iter() {
        recorder.count_fell_out(reason, count.into());
    }
}

/// Before the request is read, so without its id.
fn no_bid(worker: &Worker, exchange: &ExchangeTerms, wire: Wire, reason: Reason) -> Reply {
    let mut desk = worker.desk.borrow_mut();
    let desk = &mut *desk;
    write_no_bid(&desk.recorder, exchange, wire, "", reason, &mut desk.out)
}

/// In the form that the exchange prefers. Before the request is read its id is not known: then it is a 204.
fn write_no_bid(
    recorder: &Recorder,
    exchange: &ExchangeTerms,
    wire: Wire,
    id: &str,
    reason: Reason,
    out: &mut Vec<u8>,
) -> Reply {
    recorder.count_no_bid(reason);
    match exchange.settings.no_bid {
        NoBidForm::Empty => reply(response::empty(wire.media.format), wire.media, false),
        NoBidForm::WithReason if !id.is_empty() => {
            out.clear();
            response::write_no_bid(wire.media.format, out, id, reason.nbr());
            reply(out, wire.media, false)
        }
        NoBidForm::WithReason | NoBidForm::NoContent => empty(StatusCode::NO_CONTENT),
    }
}

fn reply(plain: &[u8], media: MediaType, compress: bool) -> Reply {
    let packed = if compress { body::compress(plain) } else { None };
    let encoded = packed.is_some();
    let body = packed.map_or_else(|| Bytes::copy_from_slice(plain), Bytes::from);
    let mut reply = Reply::new(body.into());
    let (name, version) = VERSION;
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media.name));
    reply.headers_mut().insert(name, version);
    if encoded {
        reply
            .headers_mut()
            .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    reply
}

fn refuse(worker: &Worker, status: StatusCode) -> Reply {
    counted_refusal(&worker.desk.borrow().recorder, status)
}

fn counted_refusal(recorder: &Recorder, status: StatusCode) -> Reply {
    let malformed = status == StatusCode::BAD_REQUEST;
    recorder.count(
        if malformed {
            Counter::Malformed
        } else {
            Counter::Refused
        },
        1,
    );
    empty(status)
}

/// The finaliser of SplitMix64: neighbouring seeds give unrelated numbers.
fn mix(seed: u64) -> u64 {
    let z = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
