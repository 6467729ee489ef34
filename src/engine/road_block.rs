//! Road-blocks: where the request offers all there is in its place (`allimps`, section 3.2.1), a line item with
//! `roadblock = true` takes every imp or none, and says so with `seatbid.group` (section 4.2.2).
//!
//! Elsewhere such a line item merely may bid on several imps.

use super::scratch::Candidate;
use super::{Scratch, Snapshot};
use crate::openrtb::request::Request;
use crate::telemetry::Reason;
use crate::units::Cpm;

/// Whether the line item of the candidate has to take the whole request.
pub(super) fn is_whole(request: &Request, snapshot: &Snapshot, candidate: &Candidate) -> bool {
    request.all_imps && request.imps.len() > 1 && snapshot.ready[candidate.line_item as usize].roadblock
}

/// Takes out the road-blocks that cannot take every imp, and ranks the others by their mean price.
pub(super) fn weigh(request: &Request, snapshot: &Snapshot, scratch: &mut Scratch) {
    if !request.all_imps {
        return;
    }
    for place in 0..scratch.candidates.len() {
        let first = scratch.candidates[place];
        let seen = |earlier: &Candidate| earlier.line_item == first.line_item;
        if !is_whole(request, snapshot, &first) || scratch.candidates[..place].iter().any(seen) {
            continue;
        }
        let mean = mean_standing(request, first.line_item, scratch);
        for (candidate, standing) in scratch.candidates.iter_mut().zip(&mut scratch.standing) {
            if candidate.line_item != first.line_item || candidate.price.is_none() {
                continue;
            }
            match mean {
                Some(mean) => *standing = mean,
                None => scratch
                    .funnel
                    .out_candidate(snapshot, candidate, Reason::RoadBlock),
            }
        }
    }
}

/// Of the best of its ways on each imp; `None` where an imp is left without a price.
fn mean_standing(request: &Request, line_item: u32, scratch: &Scratch) -> Option<Cpm> {
    let (mut imps, mut sum) = (0, 0_i64);
    let of_imps = scratch.candidates.chunk_by(|a, b| a.imp == b.imp);
    let mut start = 0;
    for of_imp in of_imps {
        let standing = &scratch.standing[start..start + of_imp.len()];
        start += of_imp.len();
        let priced = of_imp.iter().zip(standing);
        let best = priced
            .filter(|(candidate, _)| candidate.line_item == line_item && candidate.price.is_some())
            .map(|(_, standing)| standing.0)
            .max();
        if let Some(best) = best {
            imps += 1;
            sum = sum.saturating_add(best);
        }
    }
    (imps == request.imps.len()).then(|| Cpm(sum / imps as i64))
}
