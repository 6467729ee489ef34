//! What holds for every decision, whatever request, configuration and state it is made of.

use crate::stage::{At, EXCHANGE, Stage};
use outbid::caps::CapRule;
use outbid::creative::Fit;
use outbid::engine::{Auction, Audience, Bid, Candidate, Outcome, Terms};
use outbid::openrtb::request::{ChannelKind, FloorCurrency, Request, Spot};
use outbid::store::campaigns::definition::PodSlot;
use outbid::units::{Cpm, Nanos};
use std::collections::{BTreeMap, BTreeSet};

/// A fixed price is asked and paid to the micro; a converted one is off by the rounding of two conversions.
const ROUNDING: i64 = 2;

/// The first law that the decision breaks.
pub fn check(request: &Request, stage: &Stage, outcome: Outcome, at: At) -> Result<(), String> {
    let scratch = &stage.scratch;
    let terms = match outcome {
        Outcome::NoBid(_) if scratch.bids.is_empty() => return check_funnel(stage, at),
        Outcome::Bids(terms) if !scratch.bids.is_empty() => terms,
        other => return Err(format!("{other:?} with {} bids", scratch.bids.len())),
    };
    for (position, bid) in scratch.bids.iter().enumerate() {
        check_bid(request, stage, terms, bid, at)?;
        check_place(request, stage, &bid.candidate)?;
        for other in &scratch.bids[..position] {
            check_pair(request, stage, bid, other)?;
        }
        check_imp(request, stage, bid)?;
        check_caps(request, stage, bid, at)?;
        check_peace(request, stage, bid, at)?;
    }
    check_groups(request, stage)?;
    check_funnel(stage, at)?;
    check_money(stage, at)
}

/// Every line item that matched an imp, and every way in which it may bid there, either bids or falls out once.
fn check_funnel(stage: &Stage, at: At) -> Result<(), String> {
    let scratch = &stage.scratch;
    let fell_out: u32 = scratch.funnel.iter().map(|(_, count)| count).sum();
    let by_imp: u32 = scratch.matched_by_imp.iter().sum();
    if by_imp as usize != scratch.matched {
        return Err(format!("{by_imp} matches imp by imp, {} in all", scratch.matched));
    }
    for candidate in &scratch.candidates {
        let is_bid = scratch
            .bids
            .iter()
            .any(|bid| bid.candidate.is_same_offer(candidate));
        if is_bid == candidate.fell_out.is_some() {
            return Err(format!(
                "bid: {is_bid}, yet it fell out at {:?}",
                candidate.fell_out
            ));
        }
    }
    let alternatives = scratch
        .candidates
        .iter()
        .filter(|candidate| candidate.alternative)
        .count();
    if scratch.matched + alternatives != scratch.bids.len() + fell_out as usize {
        let bids = scratch.bids.len();
        return Err(format!(
            "{} matched with {alternatives} alternatives, {bids} bid, {fell_out} fell out",
            scratch.matched
        ));
    }
    if scratch.scored > at.candidates || scratch.scored + alternatives != scratch.candidates.len() {
        return Err(format!(
            "{} scored of at most {}, {} candidates",
            scratch.scored,
            at.candidates,
            scratch.candidates.len()
        ));
    }
    Ok(())
}

fn check_bid(request: &Request, stage: &Stage, terms: Terms, bid: &Bid, at: At) -> Result<(), String> {
    let candidate = &bid.candidate;
    let imp = &request.imps[usize::from(candidate.imp)];
    let deal = candidate.deal.map(|deal| &request.deals(imp)[usize::from(deal)]);
    let item = &stage.snapshot.campaigns.line_items()[candidate.line_item as usize];
    let (floor, currency) = deal
        .map(|deal| (deal.floor, deal.floor_cur))
        .filter(|(floor, _)| *floor > Cpm::ZERO)
        .unwrap_or((imp.floor, imp.floor_cur));
    // Floors by second and by duration are told by golden cases.
    let by_time = imp.video.is_some()
        || imp.audio.is_some()
        || deal.is_some_and(|deal| !deal.dur_floors.is_empty() || deal.min_cpm_per_sec.is_some());
    if floor > Cpm::ZERO && !by_time {
        let FloorCurrency::Known(currency) = currency else {
            return Err("a bid on a floor that nobody can read".into());
        };
        let rate = stage.snapshot.rates.get(currency, at.now);
        let in_accounting = rate.map_or(Cpm::MAX, |rate| rate.to_accounting_down(floor));
        let below = terms.rate.to_accounting_up(bid.price) < in_accounting;
        if below || (currency == terms.currency && bid.price < floor) {
            return Err(format!("{} is below the floor {floor} {currency}", bid.price));
        }
    }
    if deal.is_none() && imp.private_auction {
        return Err("an open bid in a private auction".into());
    }
    let fixed = deal.is_some_and(|deal| deal.at == Some(3));
    if fixed != (candidate.auction == Auction::Fixed) {
        return Err(format!(
            "{:?} with at {:?}",
            candidate.auction,
            deal.and_then(|deal| deal.at)
        ));
    }
    let relevance = item.definition.relevance;
    if !deal.is_some_and(|deal| deal.guaranteed)
        && !candidate.score.is_some_and(|score| relevance.admits(score))
    {
        return Err(format!("{:?} is below {relevance:?}", candidate.score));
    }
    if item.definition.max_bid.is_some_and(|most| candidate.value > most) {
        return Err(format!("the value {} is above `max_bid`", candidate.value));
    }
    let whatever_the_value =
        deal.is_some_and(|deal| deal.guaranteed) || (fixed && item.definition.deliver_deals);
    let paid = terms.rate.to_accounting_down(bid.price);
    if paid.0 > candidate.value.0 + ROUNDING && !whatever_the_value {
        return Err(format!("{paid} is above the value {}", candidate.value));
    }
    if fixed && !by_time && (paid.0 - candidate.floor.accounting.0).abs() > ROUNDING {
        return Err(format!(
            "{paid} is not the fixed price {}",
            candidate.floor.accounting
        ));
    }
    let held = if request.test {
        Nanos::ZERO
    } else {
        let one = terms.rate.to_accounting_up(bid.price).per_impression();
        one.for_impressions(imp.qty_micros.unwrap_or(1_000_000))
    };
    if bid.reserved != held || stage.live.budgets.is_held(bid.id) == request.test {
        return Err(format!("{} reserved for a price of {}", bid.reserved, bid.price));
    }
    let settings = &stage.snapshot.exchange(EXCHANGE).expect("configured").settings;
    if usize::from(candidate.imp) >= settings.imps_max || bid.price == Cpm::ZERO {
        return Err(format!("imp {} at {}", candidate.imp, bid.price));
    }
    Ok(())
}

fn check_pair(request: &Request, stage: &Stage, bid: &Bid, other: &Bid) -> Result<(), String> {
    let (a, b) = (&bid.candidate, &other.candidate);
    let item = &stage.snapshot.ready[a.line_item as usize];
    if bid.id == other.id || a.is_same_offer(b) {
        return Err("two bids with one id, or of one line item in the same way".into());
    }
    if a.line_item == b.line_item && together(request, a, b) && !(item.roadblock && a.imp != b.imp) {
        return Err("a line item may be shown twice".into());
    }
    let (Some(pod), Some(other_pod)) = (pod(request, a), pod(request, b)) else {
        return Ok(());
    };
    let one_pod = a.imp == b.imp || (pod.pod_id.is_some() && pod.pod_id == other_pod.pod_id);
    let (list, other_list) = (request.ints(pod.pod_dedupe), request.ints(other_pod.pod_dedupe));
    let says = |n| list.contains(&n) || other_list.contains(&n);
    let lifted = list.contains(&5) && other_list.contains(&5);
    let creatives = stage.snapshot.campaigns.creatives();
    let of = |candidate: &Candidate| {
        let item = &stage.snapshot.campaigns.line_items()[candidate.line_item as usize];
        &creatives[item.creatives[usize::from(candidate.creative)] as usize]
    };
    let (ad, other_ad) = (of(a), of(b));
    if one_pod && together(request, a, b) {
        if ad.id == other_ad.id && !lifted {
            return Err("a creative twice in a pod".into());
        }
        let place =
            |candidate: &Candidate| place(stage, candidate).filter(|place| *place != PodSlot::FirstOrLast);
        if a.imp == b.imp && place(a).is_some() && place(a) == place(b) {
            return Err("two bids on the same place of a pod".into());
        }
        if says(1) && ad.domains.iter().any(|domain| other_ad.domains.contains(domain)) {
            return Err("an advertiser twice in a pod that allows it once".into());
        }
        let categories = &other_ad.definition.categories;
        if says(2)
            && ad
                .definition
                .categories
                .iter()
                .any(|own| categories.contains(own))
        {
            return Err("a category twice in a pod that allows it once".into());
        }
    }
    Ok(())
}

/// The place in its pod that a candidate insists on.
fn place(stage: &Stage, candidate: &Candidate) -> Option<PodSlot> {
    let item = &stage.snapshot.campaigns.line_items()[candidate.line_item as usize];
    item.definition.slot_in_pod
}

/// A place that is insisted on is one that the seller promises.
fn check_place(request: &Request, stage: &Stage, candidate: &Candidate) -> Result<(), String> {
    let (Some(pod), Some(place)) = (pod(request, candidate), place(stage, candidate)) else {
        return Ok(());
    };
    let (slots, parts): (&[i32], &[i32]) = match place {
        PodSlot::First => (&[1], &[1, 2]),
        PodSlot::Last => (&[-1], &[-1, 2]),
        PodSlot::FirstOrLast => (&[-1, 1, 2], &[-1, 1, 2]),
    };
    let dynamic = pod.pod_duration_s.is_some();
    if (if dynamic { parts } else { slots }).contains(&pod.slot_in_pod) {
        Ok(())
    } else {
        Err(format!("{place:?} is wanted of {pod:?}"))
    }
}

fn pod<'q, 'r>(request: &'q Request<'r>, candidate: &Candidate) -> Option<&'q Spot<'r>> {
    let imp = &request.imps[usize::from(candidate.imp)];
    let spot = match candidate.fit {
        Fit::Video(_) => &imp.video.as_ref()?.spot,
        Fit::Audio(_) => &imp.audio.as_ref()?.spot,
        Fit::Banner(_) | Fit::Native(_) => return None,
    };
    Some(spot).filter(|pod| pod.pod_id.is_some() || pod.pod_duration_s.is_some())
}

fn dynamic<'q, 'r>(request: &'q Request<'r>, candidate: &Candidate) -> Option<&'q Spot<'r>> {
    pod(request, candidate).filter(|pod| pod.pod_duration_s.is_some())
}

/// Alternatives are never shown together.
fn together(request: &Request, a: &Candidate, b: &Candidate) -> bool {
    let same_format = std::mem::discriminant(&a.fit) == std::mem::discriminant(&b.fit);
    a.imp != b.imp || (same_format && dynamic(request, a).is_some() && dynamic(request, b).is_some())
}

/// No imp has more bids than the exchange takes, no pod more ads or seconds than it has.
fn check_imp(request: &Request, stage: &Stage, bid: &Bid) -> Result<(), String> {
    let candidate = &bid.candidate;
    let of_imp = |other: &&Candidate| other.imp == candidate.imp;
    let all = stage.scratch.bids.iter().map(|bid| &bid.candidate);
    if let Some(pod) = dynamic(request, candidate) {
        let ads: Vec<u32> = all
            .filter(of_imp)
            .filter(|other| other.is_same_offer(candidate) || together(request, candidate, other))
            .filter_map(|other| other.fit.duration_s())
            .collect();
        let seconds: u32 = ads.iter().sum();
        let most = pod.max_seq.unwrap_or(u32::MAX) as usize;
        if Some(seconds) > pod.pod_duration_s || ads.len() > most {
            return Err(format!("{ads:?} seconds in a pod of {pod:?}"));
        }
        return Ok(());
    }
    let limits = stage
        .snapshot
        .exchange(EXCHANGE)
        .expect("configured")
        .settings
        .bids;
    let deals = request.deals(&request.imps[usize::from(candidate.imp)]);
    let id = |candidate: &Candidate| candidate.deal.map(|deal| deals[usize::from(deal)].id);
    let beside: Vec<_> = all
        .filter(of_imp)
        .filter(|other| dynamic(request, other).is_none())
        .collect();
    let in_way = beside.iter().filter(|other| id(other) == id(candidate)).count();
    let most = if candidate.deal.is_some() {
        limits.per_deal
    } else {
        limits.open
    };
    if beside.len() > limits.per_imp || in_way > most {
        return Err(format!("{} bids on an imp, {in_way} in one way", beside.len()));
    }
    Ok(())
}

fn audience<'s>(request: &Request, stage: &'s Stage, at: At) -> Audience<'s> {
    let namespace = &stage
        .snapshot
        .exchange(EXCHANGE)
        .expect("configured")
        .user_namespace;
    let people = &stage.snapshot.people;
    people.find(request, namespace, &stage.live.opt_outs, at.now)
}

/// No advertiser is disturbing anybody at this hour of theirs.
fn check_peace(request: &Request, stage: &Stage, bid: &Bid, at: At) -> Result<(), String> {
    let imp = &request.imps[usize::from(bid.candidate.imp)];
    let item = &stage.snapshot.campaigns.line_items()[bid.candidate.line_item as usize];
    let hour = audience(request, stage, at).hour;
    let of_many = request.channel.kind == ChannelKind::Dooh || imp.dt.is_some();
    if !of_many && stage.snapshot.campaigns.disturbs(item.advertiser, hour) {
        return Err(format!("{} disturbs at {hour:?}", item.definition.id));
    }
    Ok(())
}

/// Were every bid shown that may be shown together, every cap of the bid would still hold.
fn check_caps(request: &Request, stage: &Stage, bid: &Bid, at: At) -> Result<(), String> {
    let ready = |bid: &Bid| &stage.snapshot.ready[bid.candidate.line_item as usize];
    let audience = audience(request, stage, at);
    for rule in ready(bid).fatigue.rules(bid.candidate.creative, audience.who()) {
        let mut by_imp: BTreeMap<u16, [usize; 2]> = BTreeMap::new();
        for other in &stage.scratch.bids {
            let candidate = &other.candidate;
            if !ready(other).fatigue.counts(candidate.creative, rule.object) {
                continue;
            }
            let [alone, in_pod] = by_imp.entry(candidate.imp).or_default();
            if dynamic(request, candidate).is_some() {
                *in_pod += 1;
            } else {
                *alone = 1;
            }
        }
        let shown: usize = by_imp
            .into_values()
            .flat_map(|kinds| kinds.into_iter().max())
            .sum();
        let most = usize::from(rule.impressions);
        // As many less as are shown already.
        let left = CapRule {
            impressions: most.saturating_sub(shown.saturating_sub(1)).max(1) as u16,
            ..rule
        };
        let user = stage.scratch.audience.key;
        let allowed = user.is_none_or(|user| stage.live.caps.allows(user, &[left], at.now).is_ok());
        if shown > most || !allowed {
            return Err(format!("{shown} impressions at once under {rule:?}"));
        }
    }
    Ok(())
}

/// A group holds one bid for every imp, of one road-block, where all there is is offered.
fn check_groups(request: &Request, stage: &Stage) -> Result<(), String> {
    let bids = &stage.scratch.bids;
    for group in bids.chunk_by(|a, b| a.group == b.group) {
        let Some(line_item) = group[0].group else { continue };
        let whole = request.all_imps && stage.snapshot.ready[line_item as usize].roadblock;
        let imps: BTreeSet<u16> = group.iter().map(|bid| bid.candidate.imp).collect();
        let own = group.iter().all(|bid| bid.candidate.line_item == line_item);
        if !whole || !own || imps.len() != request.imps.len() || group.len() != imps.len() {
            return Err(format!("a group of {} bids on {imps:?}", group.len()));
        }
        if bids
            .iter()
            .filter(|bid| bid.candidate.line_item == line_item)
            .count()
            != group.len()
        {
            return Err("a road-block bids outside of its group".into());
        }
    }
    Ok(())
}

/// Campaigns hold what their line items hold, and there is no hold without money.
fn check_money(stage: &Stage, at: At) -> Result<(), String> {
    let views = stage.live.budgets.views(at.now);
    let reserved = |id| {
        views
            .iter()
            .find(|view| view.id == id)
            .map_or(Nanos::ZERO, |view| view.lifetime.reserved)
    };
    for campaign in stage.snapshot.campaigns.campaigns() {
        let mut accounts: Vec<_> = campaign
            .line_items
            .iter()
            .map(|&item| stage.snapshot.campaigns.line_items()[item as usize].account)
            .collect();
        accounts.sort_unstable();
        accounts.dedup();
        let items: Nanos = accounts.into_iter().map(reserved).sum();
        if reserved(campaign.account) != items {
            return Err(format!(
                "{} holds {}, its line items {items}",
                campaign.definition.id,
                reserved(campaign.account)
            ));
        }
    }
    let account = |bid: &Bid| stage.snapshot.campaigns.line_items()[bid.candidate.line_item as usize].account;
    for bid in &stage.scratch.bids {
        // Alternatives too: each holds its own.
        let same = stage
            .scratch
            .bids
            .iter()
            .filter(|other| account(other) == account(bid));
        let taken: Nanos = same.map(|other| other.reserved).sum();
        if reserved(account(bid)) < taken {
            return Err(format!("{taken} reserved, {} held", reserved(account(bid))));
        }
    }
    Ok(())
}
