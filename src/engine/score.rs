//! The model: one batch per imp over its candidates, the context half computed once for all of them.

use super::scratch::ContextRow;
use super::{Audience, ExchangeTerms, Scratch, Snapshot, Turn};
use crate::openrtb::request::Request;
use crate::store::models::ContextInput;

/// Fills the `score` of every candidate; it stays `None` where the model cannot score.
pub(super) fn score(
    request: &Request,
    exchange: &ExchangeTerms,
    snapshot: &Snapshot,
    audience: &Audience,
    scratch: &mut Scratch,
    turn: &Turn,
) {
    let mut start = 0;
    while start < scratch.candidates.len() {
        let imp = scratch.candidates[start].imp;
        let same = scratch.candidates[start..]
            .iter()
            .take_while(|candidate| candidate.imp == imp)
            .count();
        let input = ContextInput {
            request,
            imp: &request.imps[usize::from(imp)],
            exchange: &exchange.settings.name,
            hour: audience.hour,
            profile: audience.profile.as_ref(),
            may_profile: audience.consent.profile_use,
            now: turn.now,
        };
        snapshot.model.context(&input, &mut scratch.context);
        keep_slots(imp, scratch);
        score_imp(snapshot, start..start + same, scratch);
        start += same;
    }
}

/// The ways to bid one ad share a row.
fn score_imp(snapshot: &Snapshot, range: std::ops::Range<usize>, scratch: &mut Scratch) {
    scratch.rows.clear();
    let of_imp = &mut scratch.candidates[range];
    for candidate in of_imp.iter().filter(|candidate| !candidate.alternative) {
        let ready = &snapshot.ready[candidate.line_item as usize];
        scratch
            .rows
            .extend_from_slice(&ready.rows[usize::from(candidate.creative)].columns);
    }
    let context = &scratch.context.columns;
    let scored = scratch
        .scorer
        .score(&snapshot.model, context, &scratch.rows, &mut scratch.scores);
    if let Err(error) = scored {
        tracing::error!(%error, "the model cannot score");
    }
    let mut scores = scratch.scores.iter().copied();
    let mut score = None;
    for candidate in of_imp {
        if !candidate.alternative {
            score = scores.next();
        }
        candidate.score = score;
    }
}

fn keep_slots(imp: u16, scratch: &mut Scratch) {
    let start = scratch.context_slots.len() as u32;
    scratch.context_slots.extend_from_slice(&scratch.context.slots);
    scratch.contexts.push(ContextRow {
        imp,
        start,
        end: scratch.context_slots.len() as u32,
    });
}
