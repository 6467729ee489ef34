//! The record of a decision, pushed on the worker's queue of the log. A full queue drops it; nothing waits.

use super::respond::Answer;
use crate::engine::{Bid, Candidate, Outcome};
use crate::events::log::LogQueue;
use crate::events::proto;
use crate::events::record::{self, AnswerWriter, AnsweredImp, ConsentBits, LoggedCandidate, Served};
use crate::telemetry::Reason;
use crate::units::Nanos;

/// The share of candidates that became no bid and are logged beside those that did: enough to learn from, a tenth of the bytes.
const LOSER_SAMPLE: f32 = 0.1;

/// One worker's end of the log.
pub struct Recording {
    pub queue: LogQueue,
    /// The share of requests without a bid that is logged, 0..=1.
    pub no_bid_sample: f32,
}

impl Recording {
    /// Returns how many records were dropped: 0 or 1.
    pub fn record(&self, answer: &Answer, outcome: Outcome, seed: u64, latency_us: u32) -> u64 {
        let sampling = match outcome {
            Outcome::Bids(_) => 1.0,
            Outcome::NoBid(_) => self.no_bid_sample,
        };
        if share(seed) >= sampling {
            return 0;
        }
        let pushed = self
            .queue
            .push(|buffer| write(answer, outcome, seed, latency_us, sampling, buffer));
        u64::from(!pushed)
    }
}

fn write(answer: &Answer, outcome: Outcome, seed: u64, latency_us: u32, sampling: f32, out: &mut Vec<u8>) {
    let scratch = answer.scratch;
    let no_bid_reason = match outcome {
        Outcome::Bids(_) => "",
        Outcome::NoBid(reason) => reason.name(),
    };
    let head = record::Answer {
        at: answer.now,
        consent: consent_bits(answer),
        decided_by: record::decided_by(scratch.audience.consent),
        request_id: answer.request.id,
        transaction_id: answer.request.source.tid,
        exchange: answer.exchange.settings.id,
        auction: answer.exchange.settings.auction.of(answer.request.at) as u32,
        test: answer.request.test,
        user: scratch.audience.key,
        model: &answer.snapshot.model_name,
        latency_us,
        no_bid_reason,
        sampling,
        arms: 0,
        context: None,
    };
    let mut writer = AnswerWriter::begin(out, &head);
    for (index, imp) in answer
        .request
        .imps
        .iter()
        .take(answer.exchange.settings.imps_max)
        .enumerate()
    {
        let slots = scratch.slots_of(index as u16);
        let of_imp = scratch
            .candidates
            .iter()
            .filter(|candidate| usize::from(candidate.imp) == index);
        writer.imp(&AnsweredImp {
            index: index as u32,
            id: imp.id,
            floor: of_imp
                .clone()
                .find(|c| c.deal.is_none())
                .map_or_else(Default::default, |c| c.floor.accounting),
            matched: scratch.matched_by_imp.get(index).copied().unwrap_or(0),
            scored: of_imp.filter(|candidate| !candidate.alternative).count() as u32,
            no_bid_reason,
            context: (!slots.is_empty()).then_some(Served {
                ids: slots,
                numbers: &[],
            }),
        });
    }
    write_candidates(answer, outcome, seed, &mut writer);
    writer.finish();
}

fn write_candidates(answer: &Answer, outcome: Outcome, seed: u64, writer: &mut AnswerWriter) {
    let Outcome::Bids(terms) = outcome else { return };
    for bid in &answer.scratch.bids {
        writer.candidate(&logged(answer, &bid.candidate, Some(bid), terms, 1.0));
    }
    for (position, candidate) in answer.scratch.candidates.iter().enumerate() {
        if candidate.fell_out.is_some() && share(seed.rotate_left(position as u32 + 1)) < LOSER_SAMPLE {
            writer.candidate(&logged(answer, candidate, None, terms, LOSER_SAMPLE));
        }
    }
}

fn logged<'a>(
    answer: &Answer<'a>,
    candidate: &Candidate,
    bid: Option<&Bid>,
    terms: crate::engine::Terms,
    sampling: f32,
) -> LoggedCandidate<'a> {
    let campaigns = &answer.snapshot.campaigns;
    let item = &campaigns.line_items()[candidate.line_item as usize];
    let creative = item.creatives[usize::from(candidate.creative)];
    let imp = &answer.request.imps[usize::from(candidate.imp)];
    let deal = candidate
        .deal
        .map(|deal| answer.request.deals(imp)[usize::from(deal)].id);
    let row = &answer.snapshot.ready[candidate.line_item as usize].rows[usize::from(candidate.creative)];
    let price = bid.map_or_else(
        || {
            terms
                .rate
                .from_accounting_down(candidate.price.unwrap_or_default())
        },
        |bid| bid.price,
    );
    LoggedCandidate {
        outcome: if bid.is_some() {
            proto::Outcome::Bid
        } else {
            proto::Outcome::Lost
        },
        bid: bid.map(|bid| bid.id),
        imp_index: candidate.imp.into(),
        line_item: item.id,
        campaign: campaigns.campaigns()[item.campaign].id,
        creative: campaigns.creatives()[creative as usize].id,
        deal: deal.map(crate::units::ObjectId::of),
        price,
        currency: terms.currency,
        value: Nanos(candidate.value.0),
        p_click: candidate.score.map_or(0.0, |score| score.click.get()),
        p_conversion: candidate
            .score
            .map_or(0.0, |score| score.conversion_given_click.get()),
        floor: candidate.floor.accounting,
        reason: candidate.fell_out.map_or("", Reason::name),
        sampling,
        propensity: bid.map_or(0.0, |bid| bid.candidate.standing.propensity),
        features: Some(Served {
            ids: &row.slots,
            numbers: &[],
        }),
    }
}

fn consent_bits(answer: &Answer) -> ConsentBits {
    let consent = answer.scratch.audience.consent;
    consent.map_or_else(ConsentBits::default, |consent| {
        ConsentBits::of(consent).with(ConsentBits::GDPR, answer.request.regs.gdpr == Some(true))
    })
}

/// A number in 0..1 from the top bits of a mixed seed.
fn share(seed: u64) -> f32 {
    (seed >> 40) as f32 / (1_u64 << 24) as f32
}
