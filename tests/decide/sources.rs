//! Trials and weights in the decision: what is little known is tried, what rests does not bid.

use crate::golden::{self, NOW};
use crate::stage::{At, CANDIDATES, EXCHANGE, Stage, with_request};
use outbid::allocation::{Fact, RoiRule, Rules, Source};
use outbid::engine::{Bid, Outcome};
use outbid::telemetry::Reason;
use outbid::units::{Nanos, ObjectId, Timestamp};

const CAMPAIGN: &str = "campaigns/cars.toml";

/// Cars are paid by the click, and some of their money is for trials.
fn stage(exploration: &str) -> Stage {
    let budget = (
        "budget = { daily = 100.00 }",
        format!("budget = {{ daily = 100.00 }}\n{exploration}"),
    );
    let edits = [
        (CAMPAIGN, budget.0, budget.1.as_str()),
        (CAMPAIGN, "bid = { cpm = 2.00 }", "bid = { cpc = 2.00 }"),
    ];
    golden::stage(&[], &edits, NOW)
}

fn decide(stage: &mut Stage, seed: u64) -> Result<Bid, Reason> {
    let at = At {
        now: NOW,
        seed,
        candidates: CANDIDATES,
    };
    let body = golden::base_request("banner").to_string();
    match with_request(&body, |request| stage.decide(request, at)).expect("a sound request") {
        Outcome::Bids(_) => {
            let bid = stage.scratch.bids[0];
            stage.live.budgets.release(bid.id);
            stage
                .live
                .caps
                .clear(stage.scratch.audience.key.unwrap(), ObjectId::of("cars"), bid.id);
            Ok(bid)
        }
        Outcome::NoBid(reason) => Err(reason),
    }
}

fn source(bid: &Bid) -> Source {
    Source {
        line_item: ObjectId::of("cars"),
        exchange: ObjectId::of(EXCHANGE),
        format: 1,
        placement: Source::of_arms(bid.candidate.standing.arms()).0,
    }
}

#[test]
fn a_share_of_bids_on_a_place_that_is_little_known_is_tried_at_other_prices_until_it_is_known() {
    let mut stage = stage("exploration = 0.15");
    let plain = (0..)
        .map(|seed| decide(&mut stage, seed).unwrap())
        .find(|bid| !bid.candidate.standing.tried)
        .unwrap();
    let bids: Vec<Bid> = (0..2_000).map(|seed| decide(&mut stage, seed).unwrap()).collect();
    let tried: Vec<&Bid> = bids.iter().filter(|bid| bid.candidate.standing.tried).collect();
    let share = tried.len() as f64 / bids.len() as f64;
    assert!((share - 0.15).abs() < 0.03, "{share}");
    for bid in &bids {
        let standing = bid.candidate.standing;
        assert_eq!(Source::of_arms(standing.arms()).1, standing.tried);
        let factor = bid.candidate.value.0 as f64 / plain.candidate.value.0 as f64;
        assert!(
            (factor - standing.factor).abs() < 0.001 && (0.25..=4.0).contains(&factor),
            "{factor}"
        );
        assert_eq!(standing.tried, bid.candidate.value != plain.candidate.value);
        // It is alone on its imp, whatever is drawn.
        assert_eq!(standing.propensity, 1.0);
    }
    let mean = tried.iter().map(|bid| bid.candidate.standing.factor).sum::<f64>() / tried.len() as f64;
    assert!((mean - 1.0).abs() < 0.1, "{mean}");

    let click = plain.candidate.score.unwrap().click.get();
    for _ in 0..(10.5 / click) as u32 {
        assert!(
            stage
                .live
                .allocation
                .sources
                .count(source(&plain), Fact::Impression(Nanos(1_000)), NOW)
        );
    }
    let known = (0..500).map(|seed| decide(&mut stage, seed).unwrap());
    assert!(known.into_iter().all(|bid| !bid.candidate.standing.tried));
}

#[test]
fn how_likely_a_bid_was_is_told_where_trials_compete() {
    let mut stage = golden::stage(
        &[(
            "campaigns/rival.toml",
            "id = \"rival\"\nadvertiser = \"motors\"\nbudget = { daily = 100.00 }\nexploration = 0.4\n\
            [[line_item]]\nid = \"rival\"\nbid = { cpc = 2.20 }\ncreatives = [\"cars\"]\n",
        )],
        &[(CAMPAIGN, "bid = { cpm = 2.00 }", "bid = { cpc = 2.00 }")],
        NOW,
    );
    let bids: Vec<Bid> = (0..1_000).map(|seed| decide(&mut stage, seed).unwrap()).collect();
    let rival = |bid: &&Bid| {
        stage.snapshot.campaigns.line_items()[bid.candidate.line_item as usize]
            .definition
            .id
            == "rival"
    };
    let share = bids.iter().filter(rival).count() as f64 / bids.len() as f64;
    assert!(share > 0.6 && share < 0.95, "{share}");
    let told = |wanted: bool| {
        let of: Vec<f32> = bids
            .iter()
            .filter(|bid| rival(bid) == wanted)
            .map(|bid| bid.candidate.standing.propensity)
            .collect();
        f64::from(of.iter().sum::<f32>()) / of.len() as f64
    };
    assert!((told(true) - share).abs() < 0.06, "{} {share}", told(true));
    assert!(
        (told(false) - (1.0 - share)).abs() < 0.08,
        "{} {share}",
        told(false)
    );
}

#[test]
fn a_weight_moves_the_bid_and_what_rests_does_not_bid() {
    let mut stage = stage("exploration = 0.0");
    let before = decide(&mut stage, 1).unwrap();
    let buy = ObjectId::of("purchase");
    let rules = |roi| Rules {
        every_ms: 1,
        event: buy,
        conversions_min: 1.0,
        cac_max: None,
        approve_above: 3.0,
        ltv: None,
        roi: Some(roi),
        retention: None,
        pause_ms: 60_000,
    };
    let sources = &stage.live.allocation.sources;
    sources.count(source(&before), Fact::Impression(Nanos(1_000_000_000)), NOW);
    let bought = Fact::Conversion {
        event: buy,
        count: 1,
        value: Nanos(3_000_000_000),
    };
    sources.count(source(&before), bought, NOW);
    let review = |stage: &Stage, roi, ms| {
        let all = stage.live.allocation.sources.all(NOW);
        stage
            .live
            .allocation
            .weights
            .review(ObjectId::of("cars"), &rules(roi), &all, Timestamp(NOW.0 + ms))
    };
    let more = RoiRule {
        more_over: 1.5,
        step: 0.3,
        target: None,
    };
    review(&stage, more, 0);
    assert_eq!(
        review(&stage, more, 1).len(),
        1,
        "it is the only source: judged as a line item"
    );
    let after = decide(&mut stage, 1).unwrap();
    let factor = after.candidate.value.0 as f64 / before.candidate.value.0 as f64;
    assert!((factor - 1.3).abs() < 0.001, "{factor}");
    let stop = RoiRule {
        target: Some(2.5),
        ..more
    };
    review(&stage, stop, 2);
    assert_eq!(decide(&mut stage, 1).unwrap_err(), Reason::Rests);
}
