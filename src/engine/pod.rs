//! Breaks of several ads (section 7.6): what has room in one, and which ads are kept apart there.
//!
//! The seller builds the break from the bids of all buyers, so each of ours has to hold with and without the others.

use super::Snapshot;
use super::scratch::{Bid, Candidate};
use crate::openrtb::request::{Request, Spot};
use crate::store::campaigns::Creative;
use crate::store::campaigns::definition::PodSlot;
use crate::units::Cpm;
use std::mem::discriminant;

/// An ad of a dynamic pod that is this long ranks by its price; a shorter one, which leaves room for others, higher.
const STANDARD_S: u32 = 30;

/// `poddedupe` (AdCOM, "Pod Deduplication Settings").
mod dedupe {
    pub const DOMAIN: u32 = 1;
    pub const CATEGORY: u32 = 2;
    pub const CREATIVE: u32 = 3;
    pub const MEDIA: u32 = 4;
    pub const NONE: u32 = 5;
}

/// The pod that a candidate would be shown in.
fn pod_of<'q, 'r>(request: &'q Request<'r>, candidate: &Candidate) -> Option<&'q Spot<'r>> {
    let spot = candidate.fit.spot(&request.imps[usize::from(candidate.imp)])?;
    (spot.pod_id.is_some() || spot.pod_duration_s.is_some()).then_some(spot)
}

/// Whether its imp is the dynamic part of a pod, which takes several bids.
pub(super) fn is_dynamic(request: &Request, candidate: &Candidate) -> bool {
    pod_of(request, candidate).is_some_and(|pod| pod.pod_duration_s.is_some())
}

/// Whether the seller promises the place in its pod that an ad insists on (`slotinpod`, section 7.6): of the slot itself, or of
/// one ad in a dynamic part, where the bid says which place it is for. Alone, an ad is the first and the last one.
pub(super) fn offers(spot: &Spot, place: PodSlot) -> bool {
    if spot.pod_id.is_none() && spot.pod_duration_s.is_none() {
        return true;
    }
    let (promised, either) = (spot.slot_in_pod, PodSlot::FirstOrLast.code());
    let is_either = [PodSlot::First, PodSlot::Last, PodSlot::FirstOrLast]
        .iter()
        .any(|place| place.code() == promised);
    promised == place.code()
        || (place == PodSlot::FirstOrLast && is_either)
        || (promised == either && spot.pod_duration_s.is_some())
}

/// Whether both are for the dynamic part of one imp in one format: they may be shown together.
pub(super) fn share_a_part(request: &Request, a: &Candidate, b: &Candidate) -> bool {
    let same = a.imp == b.imp && discriminant(&a.fit) == discriminant(&b.fit);
    same && is_dynamic(request, a) && is_dynamic(request, b)
}

/// `price` by the share of a dynamic pod that the ad uses up: of its seconds or of its ads, whichever is larger.
pub(super) fn by_share(request: &Request, candidate: &Candidate, price: Cpm) -> Cpm {
    let (Some(pod), Some(seconds)) = (pod_of(request, candidate), candidate.fit.duration_s()) else {
        return price;
    };
    let Some(total) = pod.pod_duration_s else {
        return price;
    };
    // Both shares times seconds and ads of the pod: whole numbers.
    let used = |seconds: u32| match pod.max_seq {
        Some(ads) => (i128::from(seconds) * i128::from(ads)).max(total.into()),
        None => seconds.max(1).into(),
    };
    Cpm((i128::from(price.0) * used(STANDARD_S) / used(seconds)).min(Cpm::MAX.0.into()) as i64)
}

/// Whether the dynamic pod of the candidate takes one more ad of its length beside our other bids.
pub(super) fn has_room(request: &Request, candidate: &Candidate, bids: &[Bid]) -> bool {
    let Some(pod) = pod_of(request, candidate) else {
        return true;
    };
    let (mut ads, mut seconds) = (1, candidate.fit.duration_s().unwrap_or(0));
    for other in bids.iter().map(|bid| &bid.candidate) {
        if share_a_part(request, candidate, other) {
            ads += 1;
            seconds = seconds.saturating_add(other.fit.duration_s().unwrap_or(0));
        }
    }
    pod.max_seq.is_none_or(|max| ads <= max) && pod.pod_duration_s.is_none_or(|total| seconds <= total)
}

/// Whether two ads must not be shown in one pod: as `poddedupe` of either imp says, and the same creative never, unless
/// both say that nothing is kept apart; and two that insist on the same place.
pub(super) fn keeps_apart(request: &Request, snapshot: &Snapshot, a: &Candidate, b: &Candidate) -> bool {
    let (Some(of_a), Some(of_b)) = (pod_of(request, a), pod_of(request, b)) else {
        return false;
    };
    let one_pod = a.imp == b.imp || (of_a.pod_id.is_some() && of_a.pod_id == of_b.pod_id);
    if !one_pod {
        return false;
    }
    if insist_on_one_place(request, snapshot, a, b) {
        return true;
    }
    let in_pod = |pod: &Spot, setting| request.ints(pod.pod_dedupe).contains(&setting);
    let says = |setting| in_pod(of_a, setting) || in_pod(of_b, setting);
    let lifted = in_pod(of_a, dedupe::NONE) && in_pod(of_b, dedupe::NONE);
    let position = |candidate: &Candidate| {
        let item = &snapshot.campaigns.line_items()[candidate.line_item as usize];
        item.creatives[usize::from(candidate.creative)] as usize
    };
    let (place_a, place_b) = (position(a), position(b));
    let creatives = snapshot.campaigns.creatives();
    let (ad, other) = (&creatives[place_a], &creatives[place_b]);
    let same_creative = place_a == place_b && (says(dedupe::CREATIVE) || !lifted);
    same_creative
        || (says(dedupe::DOMAIN) && shares_domain(ad, other))
        || (says(dedupe::CATEGORY) && shares_category(ad, other))
        || (says(dedupe::MEDIA)
            && snapshot.templates[place_a].shares_media_with(&snapshot.templates[place_b]))
}

/// Both want the first place of one dynamic part, or both the last.
fn insist_on_one_place(request: &Request, snapshot: &Snapshot, a: &Candidate, b: &Candidate) -> bool {
    let place = |candidate: &Candidate| {
        let item = &snapshot.campaigns.line_items()[candidate.line_item as usize];
        item.definition
            .slot_in_pod
            .filter(|place| *place != PodSlot::FirstOrLast)
    };
    share_a_part(request, a, b) && place(a).is_some() && place(a) == place(b)
}

fn shares_domain(a: &Creative, b: &Creative) -> bool {
    a.domains.iter().any(|domain| b.domains.contains(domain))
}

fn shares_category(a: &Creative, b: &Creative) -> bool {
    let (a, b) = (&a.definition, &b.definition);
    let known = |category: &String| {
        b.categories
            .iter()
            .any(|other| other.eq_ignore_ascii_case(category))
    };
    a.cattax == b.cattax && a.categories.iter().any(known)
}
