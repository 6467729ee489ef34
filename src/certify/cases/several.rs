//! Sections 3.2.1, 4.2.2, 7.3 and 7.6: answers of several bids: deals beside the open auction, road-blocks, pods.
//!
//! Invariant: what must not stand together is first seen together where the rule is lifted, else it is not tested.

use crate::certify::answer::{Answer, Bid, items};
use crate::certify::case::{Case, Flaw, Section, Verdict, ensure, fails, not_tested};
use crate::certify::edit::{remove, set};
use crate::certify::stage::{Base, Format, Stage};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const TOLERANCE: f64 = 1e-6;
/// Bidders choose among their ads at random: pairs that are kept apart are looked for this often.
const PAIR_TRIES: usize = 12;

pub fn cases() -> Vec<Case> {
    [beside(), groups(), pods()].into_iter().flatten().collect()
}

fn beside() -> Vec<Case> {
    let case = |id, title, run: fn(&Stage) -> Verdict| Case::new(Section::Deals, id, "7.3", title, run);
    vec![
        case(
            "deals.beside.open",
            "a deal and the open auction are both answered where both can be (\"1+1\")",
            |stage| {
                let (base, deal) = deal_and_open(stage)?;
                let answer = stage.still_bids(base, |request| offer(request, 0, &[&deal]))?;
                ensure(has(&answer, &deal) && has(&answer, ""), || {
                    format!(
                        "{}; right would be one for the deal and one without",
                        shown(&answer)
                    )
                })
            },
        ),
        case(
            "deals.beside.private",
            "beside a deal of a private auction there is no open bid",
            |stage| {
                let (base, deal) = deal_and_open(stage)?;
                stage.never_unlike(
                    base,
                    |request| offer(request, 0, &[&deal]),
                    |request| offer(request, 1, &[&deal]),
                    "an open bid in a private auction",
                    |bid| bid.text("dealid").is_empty(),
                )
            },
        ),
        case(
            "deals.beside.floor",
            "the floor of the imp holds for the open bid, whatever the floor of the deal beside it",
            |stage| {
                let (base, deal) = deal_and_open(stage)?;
                let answer = stage.still_bids(base, |request| offer(request, 0, &[&deal]))?;
                let Some(open) = answer
                    .bids()
                    .into_iter()
                    .find(|bid| bid.text("dealid").is_empty())
                else {
                    return not_tested("no open bid stands beside the deal");
                };
                let floor = open.price() * 1.001;
                stage.never_unlike(
                    base,
                    |request| offer(request, 0, &[&deal]),
                    |request| {
                        offer(request, 0, &[&deal]);
                        set(request, "imp.0.bidfloor", json!(floor));
                        set(request, "imp.0.bidfloorcur", json!(open.currency));
                    },
                    "an open bid below the floor of the imp",
                    |bid| bid.text("dealid").is_empty() && bid.price() < floor - TOLERANCE,
                )
            },
        ),
        case(
            "deals.beside.each",
            "each deal that can be answered alone is answered beside another",
            |stage| {
                let (base, _) = known_deal(stage)?;
                let mut alone: Vec<&str> = Vec::new();
                for deal in &stage.settings.deals {
                    if stage
                        .still_bids(base, |request| offer(request, 1, &[deal]))
                        .is_ok_and(|answer| has(&answer, deal))
                    {
                        alone.push(deal);
                    }
                }
                if alone.len() < 2 {
                    return not_tested("name two deals that are answered in one place, with --deal twice");
                }
                let answer = stage.still_bids(base, |request| offer(request, 1, &alone))?;
                let silent = alone.iter().find(|deal| !has(&answer, deal));
                ensure(silent.is_none(), || {
                    format!("{}; nothing for `{}`", shown(&answer), silent.unwrap_or(&""))
                })
            },
        ),
        case(
            "deals.beside.ids",
            "bids that stand beside each other have ids of their own",
            |stage| {
                let (base, deal) = deal_and_open(stage)?;
                let answer = stage.still_bids(base, |request| offer(request, 0, &[&deal]))?;
                let bids = answer.bids();
                if bids.len() < 2 {
                    return not_tested("one bid only");
                }
                let ids: BTreeSet<&str> = bids.iter().map(|bid| bid.text("id")).collect();
                ensure(ids.len() == bids.len(), || "two bids with one id".into())
            },
        ),
    ]
}

fn groups() -> Vec<Case> {
    let case =
        |id, spec, title, run: fn(&Stage) -> Verdict| Case::new(Section::Response, id, spec, title, run);
    vec![
        case(
            "response.group.whole",
            "3.2.1, 4.2.2",
            "where allimps = 1 a group takes every imp, each once",
            |stage| {
                let (_, groups) = grouped(stage)?;
                for group in &groups {
                    let imps: BTreeSet<&str> = group.iter().map(|bid| bid.text("impid")).collect();
                    if imps.len() != 2 || group.len() != 2 {
                        return fails(format!("a group of {} bids on {imps:?} of 2 imps", group.len()));
                    }
                }
                Ok(())
            },
        ),
        case(
            "response.group.allimps",
            "3.2.1, 4.2.2",
            "without allimps no bids are tied together",
            |stage| {
                let (base, _) = grouped(stage)?;
                let answer = stage.still_bids(base, |request| {
                    double(request);
                    request["allimps"] = json!(0);
                })?;
                ensure(groups_of(&answer).is_empty(), || {
                    "a group, although the request may not hold all there is".into()
                })
            },
        ),
        case(
            "response.group.floor",
            "4.2.2",
            "a group whose one imp is too dear is not bid at all",
            |stage| {
                let (base, groups) = grouped(stage)?;
                let price = groups.iter().flatten().map(Bid::price).fold(0.0, f64::max);
                let answer = stage.ask(&{
                    let mut request = stage.fresh(&base.request);
                    double(&mut request);
                    set(&mut request, "imp.1.bidfloor", json!(price * 1000.0));
                    request
                })?;
                ensure(groups_of(&answer).is_empty(), || {
                    "a group, although one of its imps cannot be bought".into()
                })
            },
        ),
    ]
}

fn pods() -> Vec<Case> {
    let case = |id, spec, title, run: fn(&Stage) -> Verdict| Case::new(Section::Video, id, spec, title, run);
    vec![
        case(
            "video.pod.hybrid",
            "7.6",
            "a slot and the dynamic part beside it are bid on without an ad that stands twice",
            |stage| {
                let base = stage.base(Format::Video)?;
                let answer = stage.still_bids(base, |request| {
                    pod(request, 120, 4);
                    let mut slot = request["imp"][0].clone();
                    slot["id"] = json!("slot");
                    for key in ["poddur", "maxseq"] {
                        slot["video"].as_object_mut().map(|video| video.remove(key));
                    }
                    set(request, "imp.1", slot);
                })?;
                let in_slot = answer
                    .bids()
                    .iter()
                    .filter(|bid| bid.text("impid") == "slot")
                    .count();
                let twice = repeated(&answer, |bid| vec![bid.text("crid")]);
                ensure(in_slot <= 1 && twice.is_none(), || {
                    format!("{in_slot} bids for one slot; creative twice: {twice:?}")
                })
            },
        ),
        case(
            "video.pod.seconds",
            "7.6",
            "each ad of a dynamic pod pays by its own seconds",
            |stage| {
                let base = stage.sample(Format::Video, "with a duration", |bid| bid.int("dur").is_some())?;
                let (_, bid) = stage.fresh_bid(base)?;
                let per_second = bid.price() * 0.8 / bid.int("dur").unwrap_or(1).max(1) as f64;
                stage.never_unlike(
                    base,
                    |request| pod(request, 120, 4),
                    |request| {
                        pod(request, 120, 4);
                        set(request, "imp.0.video.mincpmpersec", json!(per_second * 2.0));
                    },
                    "a bid below the price per second",
                    |bid| {
                        let seconds = bid.int("dur").unwrap_or(0) as f64;
                        bid.price() < per_second * 2.0 * seconds - TOLERANCE
                    },
                )
            },
        ),
        case(
            "video.pod.durations",
            "3.2.7, 7.6",
            "in a dynamic pod of exact durations every ad has one of them",
            |stage| {
                let base = stage.sample(Format::Video, "with a duration", |bid| bid.int("dur").is_some())?;
                let dur = base.bid.int("dur").unwrap_or_default();
                let answer = stage.still_bids(base, |request| {
                    pod(request, dur * 4, 4);
                    set(request, "imp.0.video.rqddurs", json!([dur]));
                    remove(request, "imp.0.video.minduration");
                    remove(request, "imp.0.video.maxduration");
                })?;
                let other = answer.bids().into_iter().find(|bid| bid.int("dur") != Some(dur));
                ensure(other.is_none(), || {
                    format!(
                        "{:?} s where {dur} s are required",
                        other.and_then(|bid| bid.int("dur"))
                    )
                })
            },
        ),
        case(
            "video.pod.place",
            "7.6",
            "no ad insists on a place in the pod that the seller does not promise",
            |stage| {
                let base = stage.base(Format::Video)?;
                let answer = stage.still_bids(base, |request| {
                    pod(request, 120, 4);
                    set(request, "imp.0.video.slotinpod", json!(0));
                })?;
                let insists = |bid: &Bid| bid.int("slotinpod").is_some_and(|slot| slot != 0);
                ensure(!answer.bids().iter().any(insists), || {
                    "slotinpod in the answer".into()
                })
            },
        ),
        case(
            "video.pod.dedupe.domain",
            "3.2.7, 7.6",
            "poddedupe = 1 keeps ads of one advertiser apart",
            |stage| kept_apart(stage, 1, |bid| bid.texts("adomain")),
        ),
        case(
            "video.pod.dedupe.category",
            "3.2.7, 7.6",
            "poddedupe = 2 keeps ads of one category apart",
            |stage| kept_apart(stage, 2, |bid| bid.texts("cat")),
        ),
        case(
            "video.pod.dedupe.creative",
            "3.2.7, 7.6",
            "poddedupe = 3 keeps a creative from standing twice",
            |stage| kept_apart(stage, 3, |bid| vec![bid.text("crid")]),
        ),
    ]
}

/// A pair that shares something stands in a pod where nothing is kept apart, and in none where `setting` keeps it apart.
fn kept_apart(stage: &Stage, setting: i64, shared: fn(&Bid) -> Vec<&str>) -> Verdict {
    let base = stage.base(Format::Video)?;
    let ask = |dedupe: i64| {
        stage.still_bids(base, |request| {
            pod(request, 600, 8);
            set(request, "imp.0.video.poddedupe", json!([dedupe]));
        })
    };
    let mut provoked = false;
    for _ in 0..PAIR_TRIES {
        provoked = provoked || repeated(&ask(5)?, shared).is_some();
        if let Some(twice) = repeated(&ask(setting)?, shared) {
            return fails(format!("`{twice}` stands twice in one pod"));
        }
    }
    if provoked {
        Ok(())
    } else {
        not_tested("no two bids that this would keep apart")
    }
}

/// What two bids of an answer have in common.
fn repeated(answer: &Answer, shared: impl Fn(&Bid) -> Vec<&str>) -> Option<String> {
    let mut seen = BTreeSet::new();
    for bid in answer.bids() {
        let own: BTreeSet<String> = shared(&bid).into_iter().map(str::to_owned).collect();
        if let Some(twice) = own.intersection(&seen).next() {
            return Some(twice.clone());
        }
        seen.extend(own);
    }
    None
}

fn pod(request: &mut Value, seconds: i64, ads: i64) {
    set(request, "imp.0.video.podid", json!("pod-1"));
    set(request, "imp.0.video.poddur", json!(seconds));
    set(request, "imp.0.video.maxseq", json!(ads));
}

/// A request of two imps whose answer ties bids together, and these bids.
fn grouped<'s>(stage: &'s Stage) -> Result<(&'s Base, Vec<Vec<Bid>>), Flaw> {
    for base in stage.bases() {
        let Ok(answer) = stage.still_bids(base, double) else {
            continue;
        };
        let groups = groups_of(&answer);
        if !groups.is_empty() {
            return Ok((base, groups));
        }
    }
    not_tested("no request for all imps of a place is answered with a group")
}

/// The first imp twice, as all there is.
fn double(request: &mut Value) {
    let mut second = request["imp"][0].clone();
    second["id"] = json!("second");
    request["imp"] = json!([request["imp"][0], second]);
    request["allimps"] = json!(1);
}

fn groups_of(answer: &Answer) -> Vec<Vec<Bid>> {
    let seats = answer
        .json
        .as_ref()
        .map_or(&[][..], |json| items(&json["seatbid"]));
    let tied = seats.iter().filter(|seat| seat["group"] == 1);
    tied.map(|seat| {
        let bids = items(&seat["bid"]).iter();
        bids.map(|bid| Bid {
            fields: bid.clone(),
            seat: None,
            currency: String::new(),
        })
        .collect()
    })
    .collect()
}

/// A request that is answered with a deal, and without it in the open auction too.
fn deal_and_open<'s>(stage: &'s Stage) -> Result<(&'s Base, String), Flaw> {
    let (base, deal) = known_deal(stage)?;
    let open = stage.still_bids(base, |request| remove(request, "imp.0.pmp"));
    if open.is_err() {
        return not_tested("the place of the deal gets no bid without it");
    }
    Ok((base, deal))
}

fn known_deal<'s>(stage: &'s Stage) -> Result<(&'s Base, String), Flaw> {
    if stage.settings.deals.is_empty() {
        return not_tested("no deal was named; name one that the bidder knows with --deal");
    }
    let base = stage.base(Format::Deal)?;
    Ok((base, base.bid.text("dealid").to_owned()))
}

fn offer(request: &mut Value, private: i64, deals: &[&str]) {
    let deals: Vec<Value> = deals
        .iter()
        .map(|id| json!({"id": id, "bidfloor": 0.01}))
        .collect();
    set(
        request,
        "imp.0.pmp",
        json!({"private_auction": private, "deals": deals}),
    );
}

fn has(answer: &Answer, deal: &str) -> bool {
    answer.bids().iter().any(|bid| bid.text("dealid") == deal)
}

fn shown(answer: &Answer) -> String {
    let bids = answer.bids();
    let deals: Vec<&str> = bids.iter().map(|bid| bid.text("dealid")).collect();
    format!("bids for the deals {deals:?}")
}
