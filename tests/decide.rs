//! The bid decision from the outside: golden files, laws that hold for all decisions, and prices worked out again by hand.

#[path = "decide/golden.rs"]
mod golden;
#[path = "decide/laws.rs"]
mod laws;
#[path = "decide/many.rs"]
mod many;
#[path = "decide/several.rs"]
mod several;
#[path = "decide/shading.rs"]
mod shading;
#[path = "decide/sources.rs"]
mod sources;
#[path = "decide/stage.rs"]
mod stage;

use golden::{NOW, base_request, describe};
use many::Dice;
use outbid::engine::{Auction, Candidate, Outcome};
use outbid::openrtb::WireFormat;
use outbid::openrtb::request::Request;
use outbid::openrtb::response::MarkupType;
use outbid::optouts::OptOuts;
use outbid::pacing::Happened;
use outbid::store::models::{ContextBuffer, ContextInput, Score, Scorer};
use outbid::telemetry::Reason;
use outbid::units::{Cpm, Nanos, ObjectId, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use stage::{At, CANDIDATES, EXCHANGE, Stage, with_request};
use std::collections::BTreeMap;

const CAMPAIGN: &str = "campaigns/cars.toml";
const AT: At = At {
    now: NOW,
    seed: 1,
    candidates: CANDIDATES,
};

#[test]
fn every_golden_case_is_decided_as_it_says() {
    let cases = golden::run_all(WireFormat::Json);
    println!("{cases} cases");
    assert!(cases >= 45, "{cases} cases: some files are not found");
}

#[test]
fn every_golden_case_is_decided_alike_in_protobuf() {
    let cases = golden::run_all(WireFormat::Protobuf);
    println!("{cases} cases");
    assert!(cases >= 45, "{cases} cases can be written in protobuf");
}

/// Bids for the banner request and gives price, value and the model's own score of the same ad.
fn priced(edits: &[(&str, &str, &str)]) -> (Option<Cpm>, Cpm, Score) {
    let mut stage = golden::stage(&[], edits, NOW);
    let body = base_request("banner").to_string();
    let decided = with_request(&body, |request| {
        let outcome = stage.decide(request, AT);
        laws::check(request, &stage, outcome, AT).unwrap_or_else(|broken| panic!("{broken}"));
        let candidate = stage.scratch.candidates[0];
        let bid = stage.scratch.bids.first().map(|bid| bid.price);
        (bid, candidate.value, score_alone(request, &stage))
    });
    decided.expect("a sound request")
}

/// What the model says of the first candidate, without the engine.
fn score_alone(request: &Request, stage: &Stage) -> Score {
    let snapshot = &stage.snapshot;
    let exchange = snapshot.exchange(EXCHANGE).expect("configured");
    let audience = snapshot
        .people
        .find(request, &exchange.user_namespace, &OptOuts::default(), NOW);
    let input = ContextInput {
        request,
        imp: &request.imps[0],
        exchange: EXCHANGE,
        hour: audience.hour,
        profile: audience.profile.as_ref(),
        may_profile: audience.consent.personal_data,
        now: NOW,
    };
    let candidate = stage.scratch.candidates[0];
    let row = &snapshot.ready[candidate.line_item as usize].rows[usize::from(candidate.creative)];
    let (mut context, mut scores) = (ContextBuffer::default(), Vec::new());
    snapshot.model.context(&input, &mut context);
    Scorer::default()
        .score(&snapshot.model, &context.columns, &row.columns, &mut scores)
        .expect("scored");
    scores[0]
}

/// `amount` times a probability times a factor, to the nano that rounding down gives.
fn expected(amount: Nanos, probability: f32, factor_milli: i64) -> Cpm {
    let nanos = (f64::from(probability) * amount.0 as f64) as i64;
    Cpm(nanos * factor_milli / 1000)
}

#[test]
fn a_click_is_bid_for_at_its_value_times_its_probability() {
    let (price, value, score) = priced(&[(CAMPAIGN, "cpm = 2.00", "cpc = 0.50")]);
    assert_eq!(value, expected(Nanos(500_000_000), score.click.get(), 1000));
    assert_eq!(price, Some(value));
    assert!(value > Cpm(1000), "{value}: the click is worth next to nothing");
}

#[test]
fn a_conversion_is_bid_for_at_its_value_times_both_probabilities() {
    let (price, value, score) = priced(&[(CAMPAIGN, "cpm = 2.00", "cpa = 30.00, event = \"purchase\"")]);
    let per_click = expected(Nanos(30_000_000_000), score.conversion_given_click.get(), 1000);
    assert_eq!(
        value,
        expected(per_click.per_impression(), score.click.get(), 1000)
    );
    assert_eq!(price, Some(value));
    assert!(
        value > Cpm(1000),
        "{value}: the conversion is worth next to nothing"
    );
}

#[test]
fn a_value_bid_is_multiplied_and_then_cut_to_its_ceiling() {
    let multiplier = "creatives = [\"cars\"]\n[[line_item.multiplier]]\nfactor = 1.30\nwhen = { hours = [\"mon-fri 08-12\"] }";
    let click = (CAMPAIGN, "cpm = 2.00", "cpc = 0.50");
    let peak = (CAMPAIGN, "creatives = [\"cars\"]", multiplier);
    let (price, value, score) = priced(&[click, peak]);
    assert_eq!(price, Some(expected(Nanos(500_000_000), score.click.get(), 1300)));
    let ceiling = Cpm(value.0 / 2);
    let max_bid = format!("cpc = 0.50 }}\nmax_bid = {ceiling}");
    let (price, ..) = priced(&[click, peak, (CAMPAIGN, "cpc = 0.50 }", &max_bid)]);
    assert_eq!(price, Some(ceiling));
}

#[test]
fn a_target_moves_bids_within_its_bounds_and_never_above_the_ceiling() {
    let price_after = |more: &str, clicks: usize| {
        let keys = format!("cpm = 2.00 }}\n{more}");
        let mut stage = golden::stage(&[], &[(CAMPAIGN, "cpm = 2.00 }", &keys)], NOW);
        stage.live.budgets.tick(NOW);
        for _ in 0..clicks {
            let account = outbid::units::AccountId::line_item("cars");
            stage.live.budgets.happened(account, Happened::Click, 1_000);
        }
        stage.live.budgets.tick(Timestamp(NOW.0 + 1_000));
        let body = base_request("banner").to_string();
        with_request(&body, |request| {
            stage.decide(request, AT);
            stage.scratch.bids[0].price
        })
        .expect("a sound request")
    };
    let kpi = "kpi = { cpc = 0.50, bounds = [0.5, 1.5] }";
    assert_eq!(price_after(kpi, 0), Cpm(2_000_000));
    assert_eq!(
        price_after(kpi, 2),
        Cpm(2_200_000),
        "22 clicks for the cost of 20"
    );
    assert_eq!(price_after(kpi, 1_000), Cpm(3_000_000), "the bound");
    let ceiling = format!("{kpi}\nmax_bid = 2.10");
    assert_eq!(price_after(&ceiling, 1_000), Cpm(2_100_000));
    let multiplied = "kpi = { cpc = 0.50, bounds = [0.5, 10.0] }\nmultiplier = [{ factor = 5.0, when = { country = [\"USA\"] } }]";
    assert_eq!(price_after(multiplied, 0), Cpm(10_000_000));
    assert_eq!(
        price_after(multiplied, 1_000),
        Cpm(20_000_000),
        "ten times at most, whatever multiplies"
    );
    assert_eq!(price_after("", 1_000), Cpm(2_000_000), "without a target");
}

#[test]
fn conversions_that_come_sooner_than_expected_are_worth_more_where_that_is_learnt() {
    let price_after = |learns: bool, delay_ms: i64| {
        let goal = format!(
            "cpa = 3000.00, event = \"purchase\", discount = {{ half_life = \"10d\", delay = \"10d\", learn_delay = {learns} }}"
        );
        let mut stage = golden::stage(&[], &[(CAMPAIGN, "cpm = 2.00", &goal)], NOW);
        stage.live.budgets.tick(NOW);
        for _ in 0..20 {
            let what = Happened::Conversion {
                event: ObjectId::of("purchase"),
                value: Nanos::ZERO,
            };
            let account = outbid::units::AccountId::line_item("cars");
            stage.live.budgets.happened(account, what, delay_ms);
        }
        stage.live.budgets.tick(Timestamp(NOW.0 + 1_800_000));
        let body = base_request("banner").to_string();
        with_request(&body, |request| {
            stage.decide(request, AT);
            stage.scratch.bids[0].price.0
        })
        .expect("a sound request")
    };
    let expected = price_after(false, 60_000);
    assert_eq!(
        price_after(true, 1_800_000),
        expected,
        "half an hour says nothing of ten days"
    );
    let sooner = price_after(true, 60_000);
    assert!(
        (sooner - 2 * expected).abs() <= expected / 1_000,
        "a half-life sooner: {sooner}, {expected}"
    );
}

#[test]
fn what_is_known_of_the_user_reaches_the_model_only_with_consent() {
    let mut stage = golden::stage(&[], &[], NOW);
    let mut score = |body: Value| {
        let scored = with_request(&body.to_string(), |request| {
            stage.decide(request, AT);
            let alone = score_alone(request, &stage);
            let candidate = stage.scratch.candidates[0];
            assert_eq!(candidate.score, Some(alone));
            alone.click.get()
        });
        scored.expect("a sound request")
    };
    let mut body = base_request("banner");
    let known = score(body.clone());
    body["device"]["lmt"] = json!(1);
    let limited = score(body.clone());
    body["user"] = json!({});
    let nobody = score(body);
    assert_eq!(limited, nobody);
    assert_ne!(known, nobody);
}

#[test]
fn a_tie_goes_now_to_one_and_now_to_the_other() {
    let second = "id = \"second\"\nadvertiser = \"motors\"\nbudget = { daily = 100.00 }\n\
                  [[line_item]]\nid = \"second\"\nbid = { cpm = 2.00 }\ncreatives = [\"cars\"]\n";
    let mut stage = golden::stage(&[("campaigns/second.toml", second)], &[], NOW);
    let body = base_request("banner").to_string();
    let wins = |name: &str, stage: &Stage| {
        let item = stage.scratch.bids[0].candidate.line_item as usize;
        stage.snapshot.campaigns.line_items()[item].definition.id == name
    };
    let mut won = 0;
    for seed in 0..200 {
        with_request(&body, |request| stage.decide(request, At { seed, ..AT })).expect("a sound request");
        won += usize::from(wins("cars", &stage));
    }
    // Binomial, mean 100, standard deviation 7: four of them.
    assert!((72..=128).contains(&won), "{won} of 200");
}

#[test]
fn creatives_that_fit_are_shown_in_turn() {
    let mut stage = golden::stage(&[], &[], NOW);
    let mut body = base_request("banner");
    body["imp"][0]["banner"] = json!({});
    let mut shown = [0; 2];
    for seed in 0..200 {
        with_request(&body.to_string(), |request| {
            stage.decide(request, At { seed, ..AT })
        })
        .expect("a sound request");
        shown[usize::from(stage.scratch.bids[0].candidate.creative)] += 1;
    }
    assert!(shown.iter().all(|&count| count >= 72), "{shown:?}");
}

#[test]
fn of_several_formats_the_dearest_that_is_offered_is_bid_and_told() {
    let mut stage = golden::stage(&[], &[], NOW);
    let native = base_request("native")["imp"][0]["native"].clone();
    let formats = [
        (
            "video",
            MarkupType::Video,
            base_request("video")["imp"][0]["video"].clone(),
        ),
        (
            "audio",
            MarkupType::Audio,
            base_request("audio")["imp"][0]["audio"].clone(),
        ),
        ("native", MarkupType::Native, native),
        ("banner", MarkupType::Banner, json!({"w": 300, "h": 250})),
    ];
    for offered in 1..1_u32 << formats.len() {
        let is_offered = |format: usize| offered >> format & 1 == 1;
        let mut body = base_request("banner");
        body["imp"] = json!([{"id": "1"}]);
        for (_, (key, _, object)) in (0..).zip(&formats).filter(|(format, _)| is_offered(*format)) {
            body["imp"][0][*key] = object.clone();
        }
        with_request(&body.to_string(), |request| stage.decide(request, AT)).expect("a sound request");
        let markup = |candidate: &Candidate| {
            let item = &stage.snapshot.campaigns.line_items()[candidate.line_item as usize];
            let creative = item.creatives[usize::from(candidate.creative)];
            stage.snapshot.templates[creative as usize].markup_type()
        };
        let scored: Vec<_> = stage.scratch.candidates.iter().map(markup).collect();
        let dearest_first: Vec<_> = (0..formats.len())
            .filter(|f| is_offered(*f))
            .map(|f| formats[f].1)
            .collect();
        assert_eq!(scored, dearest_first, "{offered:04b}");
        let bids: Vec<_> = stage
            .scratch
            .bids
            .iter()
            .map(|bid| markup(&bid.candidate))
            .collect();
        assert_eq!(bids, dearest_first[..1], "{offered:04b}");
    }
}

#[test]
fn released_money_is_free_again() {
    let mut stage = golden::stage(&[], &[(CAMPAIGN, "daily = 100.00", "daily = 0.002")], NOW);
    let body = base_request("banner").to_string();
    let decide = |stage: &mut Stage| with_request(&body, |request| stage.decide(request, AT)).expect("sound");
    assert!(matches!(decide(&mut stage), Outcome::Bids(_)));
    let lost = stage.scratch.bids[0].id;
    assert_eq!(decide(&mut stage), Outcome::NoBid(Reason::BudgetSpent));
    stage.live.budgets.release(lost);
    assert!(matches!(decide(&mut stage), Outcome::Bids(_)));
}

#[test]
fn a_region_spends_from_the_budget_of_its_line_item() {
    let region = "creatives = [\"cars\"]\nbudget = { daily = 0.005 }\n[[line_item.region]]\ncountry = [\"CAN\"]\nbid = { cpm = 4.00 }";
    let mut stage = golden::stage(&[], &[(CAMPAIGN, "creatives = [\"cars\"]", region)], NOW);
    let mut decide = |country: &str| {
        let mut body = base_request("banner");
        body["device"]["geo"]["country"] = json!(country);
        with_request(&body.to_string(), |request| stage.decide(request, AT)).expect("a sound request")
    };
    assert!(matches!(decide("CAN"), Outcome::Bids(_)));
    assert_eq!(decide("USA"), Outcome::NoBid(Reason::BudgetSpent));
}

#[test]
fn the_random_requests_meet_most_reasons_and_bid_often() {
    let (mut decided, mut bids, mut deals, mut met) = (0, 0, 0, BTreeMap::new());
    for seed in 0..8 {
        let (mut stage, mut dice) = (market(seed), Dice(seed));
        for _ in 0..60 {
            let body = odd(many::request(&mut dice), &mut dice, 2);
            let at = At {
                now: many::NOW,
                seed: dice.below(u64::MAX),
                candidates: 8,
            };
            let Some(outcome) = with_request(&body, |request| stage.decide(request, at)) else {
                continue;
            };
            decided += 1;
            bids += usize::from(matches!(outcome, Outcome::Bids(_)));
            deals += stage
                .scratch
                .bids
                .iter()
                .filter(|bid| bid.candidate.deal.is_some())
                .count();
            for (reason, count) in stage.scratch.funnel.iter() {
                *met.entry(reason.name()).or_insert(0) += count;
            }
        }
    }
    println!("{bids} of {decided} bid, {deals} in deals; fell out: {met:?}");
    assert!(
        bids > decided / 4 && deals > 0 && met.len() >= 12,
        "{bids} of {decided}: {met:?}"
    );
}

/// How often a thing was seen that the laws about several bids are for.
#[derive(Debug, Default)]
struct Seen {
    beside: usize,
    both_deals: usize,
    filled_pods: usize,
    groups: usize,
    guaranteed: usize,
    fixed: usize,
}

impl Seen {
    fn look(&mut self, stage: &Stage) {
        let bids = &stage.scratch.bids;
        for (place, bid) in bids.iter().enumerate() {
            let candidate = &bid.candidate;
            self.guaranteed += usize::from(candidate.guaranteed);
            self.fixed += usize::from(candidate.auction == Auction::Fixed);
            self.groups += usize::from(bid.group.is_some());
            for other in bids[..place].iter().map(|other| &other.candidate) {
                if other.imp == candidate.imp {
                    self.beside += usize::from(other.deal.is_some() != candidate.deal.is_some());
                    self.both_deals += usize::from(
                        other.line_item == candidate.line_item
                            && other.deal.is_some()
                            && candidate.deal.is_some(),
                    );
                    self.filled_pods += usize::from(other.deal.is_none() && candidate.deal.is_none());
                }
            }
        }
    }
}

#[test]
fn answers_of_several_bids_keep_the_laws_whatever_deals_pods_and_road_blocks_there_are() {
    let mut seen = Seen::default();
    for seed in 0..24 {
        let mut dice = Dice(seed);
        let mut stage = several::market(&mut dice);
        for turn in 0..40 {
            let body = several::request(&mut dice);
            let at = At {
                now: Timestamp(NOW.0 + turn * 1000),
                seed: dice.below(u64::MAX),
                candidates: 1 + dice.below(32) as usize,
            };
            let kept = with_request(&body, |request| {
                let outcome = stage.decide(request, at);
                laws::check(request, &stage, outcome, at)
            });
            assert_eq!(kept, Some(Ok(())), "seed {seed}: {body}");
            seen.look(&stage);
            if dice.percent(50) {
                stage.show_all_or_lose(at.now, &mut |_| dice.percent(30));
            }
        }
    }
    println!("{seen:?}");
    let Seen {
        beside,
        both_deals,
        filled_pods,
        groups,
        guaranteed,
        fixed,
    } = seen;
    let rarest = [beside, both_deals, filled_pods, groups, guaranteed, fixed]
        .into_iter()
        .min();
    assert!(rarest > Some(10), "{rarest:?}");
}

/// A small market in which money and caps run out within a few dozen requests.
fn market(seed: u64) -> Stage {
    let (snapshot, live) = many::market(80, seed, Nanos(40_000_000));
    Stage::of(snapshot, live)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_decision_keeps_the_laws(seed: u64) {
        let mut stage = market(seed % 8);
        let mut dice = Dice(seed);
        let mut taken = Nanos::ZERO;
        for turn in 0..40 {
            let body = odd(many::request(&mut dice), &mut dice, 2);
            let at = At { now: Timestamp(many::NOW.0 + turn * 1000), seed: dice.below(u64::MAX), candidates: 1 + dice.below(32) as usize };
            let kept = with_request(&body, |request| {
                let outcome = stage.decide(request, at);
                taken += stage.scratch.bids.iter().map(|bid| bid.reserved).sum();
                let kept = laws::check(request, &stage, outcome, at);
                if dice.percent(30) {
                    stage.show_all(at.now);
                }
                kept
            });
            prop_assert_eq!(kept.unwrap_or(Ok(())), Ok(()), "{}", body);
        }
        let views = stage.live.budgets.views(many::NOW);
        let campaigns: Nanos = stage.snapshot.campaigns.campaigns().iter().map(|campaign| {
            let view = views.iter().find(|view| view.id == campaign.account).expect("an account each");
            let all = view.day.reserved + view.day.spent;
            assert!(all <= view.day.limit.expect("a daily budget"), "{view:?}");
            all
        }).sum();
        prop_assert_eq!(campaigns, taken);
    }

    #[test]
    fn the_same_is_decided_where_everything_is_the_same(seed: u64) {
        let run = || {
            let mut stage = market(seed % 8);
            let mut dice = Dice(seed);
            let decide = |_| {
                let body = many::request(&mut dice);
                let at = At { now: many::NOW, seed: dice.below(u64::MAX), candidates: 16 };
                with_request(&body, |request| {
                    let outcome = stage.decide(request, at);
                    describe(request, &stage.snapshot, &stage.scratch, outcome)
                })
            };
            (0..20).map(decide).collect::<Vec<_>>()
        };
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn whatever_is_asked_the_decision_is_lawful(seed: u64) {
        let mut stage = golden::stage(&[], &[], NOW);
        let mut dice = Dice(seed);
        for _ in 0..60 {
            let base = dice.one_of(&["banner", "video", "audio", "native", "two-imps"]).to_owned();
            let body = odd(base_request(&base).to_string(), &mut dice, 6);
            let kept = with_request(&body, |request| {
                let outcome = stage.decide(request, AT);
                laws::check(request, &stage, outcome, AT)
            });
            prop_assert_eq!(kept.unwrap_or(Ok(())), Ok(()), "{}", body);
        }
    }
}

/// A request with up to `changes` of its values replaced, added or removed.
fn odd(body: String, dice: &mut Dice, changes: u64) -> String {
    let mut value: Value = serde_json::from_str(&body).expect("JSON");
    for _ in 0..dice.below(changes + 1) {
        change(&mut value, dice);
    }
    value.to_string()
}

fn change(value: &mut Value, dice: &mut Dice) {
    const KEYS: [&str; 31] = [
        "bidfloor",
        "bidfloorcur",
        "at",
        "exp",
        "secure",
        "bcat",
        "badv",
        "cur",
        "wseat",
        "battr",
        "api",
        "w",
        "h",
        "format",
        "guar",
        "wlang",
        "acat",
        "test",
        "coppa",
        "lmt",
        "durfloors",
        "mincpmpersec",
        "private_auction",
        "deals",
        "qty",
        "dt",
        "allimps",
        "podid",
        "poddur",
        "maxseq",
        "poddedupe",
    ];
    match value {
        Value::Object(fields) if dice.percent(80) && !fields.is_empty() => {
            let place = dice.below(fields.len() as u64) as usize;
            let key = fields.keys().nth(place).expect("in range").clone();
            match dice.below(10) {
                0 => drop(fields.remove(&key)),
                1..=3 => drop(fields.insert(dice.one_of(&KEYS).to_owned(), odd_value(dice))),
                _ => change(&mut fields[&key], dice),
            }
        }
        Value::Array(items) if dice.percent(80) && !items.is_empty() => {
            let place = dice.below(items.len() as u64) as usize;
            change(&mut items[place], dice);
        }
        other => *other = odd_value(dice),
    }
}

fn odd_value(dice: &mut Dice) -> Value {
    match dice.below(15) {
        0 => Value::Null,
        1 => json!(-1),
        2 => json!(0),
        3 => json!(1),
        4 => json!(3),
        5 => json!(dice.below(400) as f64 / 100.0),
        6 => json!(1e300),
        7 => json!("EUR"),
        8 => json!(["EUR", "USD"]),
        9 => json!(["IAB2", "motors.example", 7]),
        10 => {
            json!([{"id": "deal-1", "bidfloor": dice.below(400) as f64 / 100.0, "at": dice.below(5), "guar": dice.below(2)}])
        }
        11 => json!([{"mindur": 1, "maxdur": 30, "bidfloor": 1.0}]),
        12 => json!({"deals": [{"id": "deal-2"}]}),
        13 => json!({"multiplier": dice.below(4000) as f64 / 100.0}),
        _ => json!("ü\u{0}\u{ffff}"),
    }
}
