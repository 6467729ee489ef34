//! The record of an answered bid request, written field by field into a reused buffer.
//!
//! Invariant: what is written decodes as `Event { what: Bid }` of `event.proto`, and writing allocates nothing
//! once the buffer has grown to the size of the largest record.
//!
//! A nested message stands behind its length, which is not known when it begins. It gets four bytes, a varint
//! padded with leading continuation bits, and is filled in at the end: valid for every protobuf reader.

use super::proto::{self, Outcome};
use crate::openrtb::privacy::{Consent, Signal};
use crate::units::{BidId, Cpm, Currency, Nanos, ObjectId, Timestamp, UserKey};
use prost::encoding::{WireType, encode_key, encode_varint, fixed32, fixed64, float, int64, uint32};

/// What one answer has once.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    pub at: Timestamp,
    /// The bits of `Event.consent`.
    pub consent: ConsentBits,
    pub decided_by: proto::Signal,
    pub request_id: &'a str,
    /// `source.tid`.
    pub transaction_id: Option<&'a str>,
    pub exchange: ObjectId,
    /// 1 first price, 2 second price plus.
    pub auction: u32,
    pub test: bool,
    /// Only where consent allows it to be kept.
    pub user: Option<UserKey>,
    /// `NAME/VERSION`.
    pub model: &'a str,
    pub latency_us: u32,
    /// Why the whole request got no bid; empty where it got one.
    pub no_bid_reason: &'a str,
    /// With which probability a record of this kind is kept.
    pub sampling: f32,
    pub arms: u32,
    /// Where one context serves the whole request; otherwise each imp has its own.
    pub context: Option<Served<'a>>,
}

/// A transaction id is a UUID as a rule, 36 bytes; what is much longer is none, and the log is not the place for it.
const TRANSACTION_ID_BYTES_MAX: usize = 64;

/// Model inputs as served.
#[derive(Clone, Copy, Debug)]
pub struct Served<'a> {
    pub ids: &'a [u32],
    pub numbers: &'a [f32],
}

#[derive(Clone, Copy, Debug)]
pub struct AnsweredImp<'a> {
    pub index: u32,
    pub id: &'a str,
    /// In the accounting currency.
    pub floor: Cpm,
    pub matched: u32,
    pub scored: u32,
    pub no_bid_reason: &'a str,
    pub context: Option<Served<'a>>,
}

#[derive(Clone, Copy, Debug)]
pub struct LoggedCandidate<'a> {
    pub outcome: Outcome,
    /// Only of a candidate that became a bid.
    pub bid: Option<BidId>,
    pub imp_index: u32,
    pub line_item: ObjectId,
    pub campaign: ObjectId,
    pub creative: ObjectId,
    pub deal: Option<ObjectId>,
    /// In `currency`.
    pub price: Cpm,
    pub currency: Currency,
    pub value: Nanos,
    pub p_click: f32,
    pub p_conversion: f32,
    /// In the accounting currency.
    pub floor: Cpm,
    /// Why it is no bid; empty where it is one.
    pub reason: &'a str,
    pub sampling: f32,
    /// Of a bid: with which probability it was the best one of the open auction on its imp; 0 where it is none.
    pub propensity: f32,
    pub features: Option<Served<'a>>,
}

/// The bits of `Event.consent`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsentBits(pub u32);

impl ConsentBits {
    pub const USER_KEY: ConsentBits = ConsentBits(1);
    pub const PROFILE: ConsentBits = ConsentBits(2);
    pub const PRECISE_LOCATION: ConsentBits = ConsentBits(4);
    pub const COPPA: ConsentBits = ConsentBits(8);
    pub const LIMITED_TRACKING: ConsentBits = ConsentBits(16);
    pub const GDPR: ConsentBits = ConsentBits(32);
    pub const OPTED_OUT: ConsentBits = ConsentBits(64);

    /// What a consent says by itself; that the GDPR applies, only where it decided.
    pub fn of(consent: Consent) -> ConsentBits {
        let by = |signals: &[Signal]| signals.contains(&consent.decided_by);
        let refused = by(&[Signal::UsPrivacy, Signal::Gpp, Signal::Gpc, Signal::OptOut]);
        ConsentBits::default()
            .with(ConsentBits::USER_KEY, consent.personal_data)
            .with(ConsentBits::PROFILE, consent.profile_use)
            .with(ConsentBits::PRECISE_LOCATION, consent.precise_location)
            .with(ConsentBits::COPPA, consent.child_directed)
            .with(ConsentBits::GDPR, by(&[Signal::Gdpr]))
            .with(ConsentBits::LIMITED_TRACKING, by(&[Signal::Lmt, Signal::Dnt]))
            .with(ConsentBits::OPTED_OUT, !consent.personal_data && refused)
    }

    pub fn with(self, other: ConsentBits, set: bool) -> ConsentBits {
        if set { ConsentBits(self.0 | other.0) } else { self }
    }
}

/// `Event.decided_by`.
pub fn decided_by(consent: Option<Consent>) -> proto::Signal {
    match consent.map(|consent| consent.decided_by) {
        None => proto::Signal::Unspecified,
        Some(Signal::Coppa) => proto::Signal::Coppa,
        Some(Signal::Gdpr) => proto::Signal::Gdpr,
        Some(Signal::UsPrivacy) => proto::Signal::UsPrivacy,
        Some(Signal::Gpp) => proto::Signal::Gpp,
        Some(Signal::Gpc) => proto::Signal::Gpc,
        Some(Signal::Lmt) => proto::Signal::Lmt,
        Some(Signal::Dnt) => proto::Signal::Dnt,
        Some(Signal::OptOut) => proto::Signal::OptOut,
        Some(Signal::Nothing) => proto::Signal::Nothing,
    }
}

/// Writes one record: the answer, then its imps and candidates in any number, then [`finish`](AnswerWriter::finish).
#[must_use = "a record that is not finished is cut short"]
pub struct AnswerWriter<'b> {
    out: &'b mut Vec<u8>,
    bid: Nested,
}

impl<'b> AnswerWriter<'b> {
    /// Appends to `out`, which is not cleared.
    pub fn begin(out: &'b mut Vec<u8>, answer: &Answer<'_>) -> AnswerWriter<'b> {
        uint32::encode(1, &proto::SCHEMA_VERSION, out);
        int64::encode(2, &answer.at.0, out);
        uint32::encode(3, &answer.consent.0, out);
        // An enumeration travels as a varint, which is what a uint32 is; 0 is left out as everywhere.
        uint32::encode(6, &(answer.decided_by as u32), out);
        let bid = Nested::begin(10, out);
        put_text(1, answer.request_id, out);
        fixed64::encode(2, &answer.exchange.0, out);
        uint32::encode(3, &answer.auction, out);
        put_bool(4, answer.test, out);
        put_object(5, answer.user.map(|user| user.0), out);
        put_text(6, answer.model, out);
        uint32::encode(7, &answer.latency_us, out);
        put_text(8, answer.no_bid_reason, out);
        float::encode(9, &answer.sampling, out);
        fixed32::encode(10, &answer.arms, out);
        put_features(11, answer.context, out);
        let transaction = answer
            .transaction_id
            .filter(|id| id.len() <= TRANSACTION_ID_BYTES_MAX);
        put_text(14, transaction.unwrap_or_default(), out);
        AnswerWriter { out, bid }
    }

    pub fn imp(&mut self, imp: &AnsweredImp<'_>) {
        let out = &mut *self.out;
        let nested = Nested::begin(12, out);
        uint32::encode(1, &imp.index, out);
        put_text(2, imp.id, out);
        int64::encode(3, &imp.floor.0, out);
        uint32::encode(4, &imp.matched, out);
        uint32::encode(5, &imp.scored, out);
        put_text(6, imp.no_bid_reason, out);
        put_features(7, imp.context, out);
        nested.finish(out);
    }

    pub fn candidate(&mut self, candidate: &LoggedCandidate<'_>) {
        let out = &mut *self.out;
        let nested = Nested::begin(13, out);
        // Enumerations travel as varints, which is what a uint32 is.
        uint32::encode(1, &(candidate.outcome as u32), out);
        if let Some(bid) = candidate.bid {
            let id = Nested::begin(2, out);
            fixed64::encode(1, &((bid.0 >> 64) as u64), out);
            fixed64::encode(2, &(bid.0 as u64), out);
            id.finish(out);
        }
        uint32::encode(3, &candidate.imp_index, out);
        fixed64::encode(4, &candidate.line_item.0, out);
        fixed64::encode(5, &candidate.campaign.0, out);
        fixed64::encode(6, &candidate.creative.0, out);
        put_object(7, candidate.deal.map(|deal| deal.0), out);
        int64::encode(8, &candidate.price.0, out);
        put_text(9, candidate.currency.as_str(), out);
        int64::encode(10, &candidate.value.0, out);
        float::encode(11, &candidate.p_click, out);
        float::encode(12, &candidate.p_conversion, out);
        int64::encode(13, &candidate.floor.0, out);
        put_text(14, candidate.reason, out);
        float::encode(15, &candidate.sampling, out);
        put_features(16, candidate.features, out);
        float::encode(17, &candidate.propensity, out);
        nested.finish(out);
    }

    pub fn finish(self) {
        self.bid.finish(self.out);
    }
}

fn put_text(tag: u32, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        encode_key(tag, WireType::LengthDelimited, out);
        encode_varint(text.len() as u64, out);
        out.extend_from_slice(text.as_bytes());
    }
}

fn put_bool(tag: u32, value: bool, out: &mut Vec<u8>) {
    if value {
        uint32::encode(tag, &1, out);
    }
}

fn put_object(tag: u32, object: Option<u64>, out: &mut Vec<u8>) {
    if let Some(object) = object {
        fixed64::encode(tag, &object, out);
    }
}

fn put_features(tag: u32, features: Option<Served<'_>>, out: &mut Vec<u8>) {
    if let Some(features) = features {
        let nested = Nested::begin(tag, out);
        uint32::encode_packed(1, features.ids, out);
        float::encode_packed(2, features.numbers, out);
        nested.finish(out);
    }
}

/// A message whose length is filled in when it ends.
struct Nested {
    /// Behind the four bytes of the length.
    start: usize,
}

impl Nested {
    const LENGTH_BYTES: usize = 4;

    fn begin(tag: u32, out: &mut Vec<u8>) -> Nested {
        encode_key(tag, WireType::LengthDelimited, out);
        out.extend_from_slice(&[0; Nested::LENGTH_BYTES]);
        Nested { start: out.len() }
    }

    /// Four groups of seven bits hold 256 MiB; a frame of the journal holds 1 MiB.
    fn finish(self, out: &mut [u8]) {
        let length = out.len() - self.start;
        debug_assert!(length < 1 << 28);
        let place = &mut out[self.start - Nested::LENGTH_BYTES..self.start];
        for (group, byte) in place.iter_mut().enumerate() {
            let more = if group + 1 < Nested::LENGTH_BYTES { 0x80 } else { 0 };
            *byte = (length >> (7 * group)) as u8 & 0x7f | more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    const ANSWER: Answer<'_> = Answer {
        at: Timestamp(1_700_000_000_123),
        consent: ConsentBits(3),
        decided_by: proto::Signal::Gpp,
        request_id: "r-1",
        transaction_id: Some("t-1"),
        exchange: ObjectId(11),
        auction: 2,
        test: true,
        user: Some(UserKey(12)),
        model: "ctr/1",
        latency_us: 345,
        no_bid_reason: "",
        sampling: 0.25,
        arms: 0x0102_0304,
        context: Some(Served {
            ids: &[1, 300, 70_000],
            numbers: &[0.5, -1.0],
        }),
    };

    fn features(ids: &[u32], numbers: &[f32]) -> Option<proto::Features> {
        Some(proto::Features {
            ids: ids.into(),
            numbers: numbers.into(),
        })
    }

    fn decoded(bytes: &[u8]) -> (proto::Event, proto::Bid) {
        let event = proto::Event::decode(bytes).unwrap();
        let Some(proto::What::Bid(bid)) = event.what.clone() else {
            panic!("{event:?}");
        };
        (event, bid)
    }

    #[test]
    fn an_answer_decodes_to_what_was_written() {
        let mut out = Vec::new();
        let mut writer = AnswerWriter::begin(&mut out, &ANSWER);
        writer.imp(&AnsweredImp {
            index: 1,
            id: "i-1",
            floor: Cpm(100),
            matched: 40,
            scored: 8,
            no_bid_reason: "",
            context: None,
        });
        writer.candidate(&LoggedCandidate {
            outcome: Outcome::Bid,
            bid: Some(BidId::new(1, 2, 3)),
            imp_index: 1,
            line_item: ObjectId(21),
            campaign: ObjectId(22),
            creative: ObjectId(23),
            deal: Some(ObjectId(24)),
            price: Cpm(1_500_000),
            currency: Currency::USD,
            value: Nanos(2_000_000),
            p_click: 0.01,
            p_conversion: 0.001,
            floor: Cpm(100),
            reason: "",
            sampling: 1.0,
            propensity: 0.5,
            features: Some(Served {
                ids: &[],
                numbers: &[2.0],
            }),
        });
        writer.finish();

        let (event, bid) = decoded(&out);
        assert_eq!(
            (
                event.schema_version,
                event.time_ms,
                event.consent,
                event.decided_by()
            ),
            (1, 1_700_000_000_123, 3, proto::Signal::Gpp)
        );
        let expected = proto::Bid {
            request_id: "r-1".into(),
            exchange: 11,
            auction: 2,
            test: true,
            user: Some(12),
            model: "ctr/1".into(),
            latency_us: 345,
            no_bid_reason: String::new(),
            sampling: 0.25,
            arms: 0x0102_0304,
            context: features(&[1, 300, 70_000], &[0.5, -1.0]),
            imps: vec![proto::Imp {
                index: 1,
                id: "i-1".into(),
                floor_micros: 100,
                matched: 40,
                scored: 8,
                no_bid_reason: String::new(),
                context: None,
            }],
            transaction_id: "t-1".into(),
            candidates: vec![proto::Candidate {
                outcome: Outcome::Bid as i32,
                bid: Some(proto::BidId {
                    high: 1 << 48 | 2 << 16,
                    low: 3 << 32,
                }),
                imp_index: 1,
                line_item: 21,
                campaign: 22,
                creative: 23,
                deal: Some(24),
                price_micros: 1_500_000,
                currency: "USD".into(),
                value_nanos: 2_000_000,
                p_click: 0.01,
                p_conversion: 0.001,
                floor_micros: 100,
                reason: String::new(),
                sampling: 1.0,
                features: features(&[], &[2.0]),
                propensity: 0.5,
            }],
        };
        assert_eq!(bid, expected);
    }

    #[test]
    fn a_no_bid_has_its_reason_and_long_messages_their_length() {
        let mut out = Vec::new();
        let ids: Vec<u32> = (0..50_000).collect();
        let context = Some(Served {
            ids: &ids,
            numbers: &[],
        });
        AnswerWriter::begin(
            &mut out,
            &Answer {
                no_bid_reason: "too_late",
                transaction_id: Some(&"t".repeat(65)),
                context,
                user: None,
                ..ANSWER
            },
        )
        .finish();
        let (_, bid) = decoded(&out);
        assert_eq!(bid.no_bid_reason, "too_late");
        assert_eq!(bid.transaction_id, "");
        assert_eq!(bid.user, None);
        assert_eq!(bid.context.unwrap().ids, ids);
    }

    #[test]
    fn a_grown_buffer_is_not_grown_again() {
        let mut out = Vec::new();
        AnswerWriter::begin(&mut out, &ANSWER).finish();
        let (capacity, first) = (out.capacity(), out.clone());
        out.clear();
        AnswerWriter::begin(&mut out, &ANSWER).finish();
        assert_eq!((out.capacity(), &out), (capacity, &first));
    }
}
