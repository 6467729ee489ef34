//! Targeting from the outside: the index answers what the plain loop answers, audiences and multipliers mean what they say.

#[path = "targeting/definitions.rs"]
mod definitions;
#[path = "targeting/worlds.rs"]
mod worlds;

use definitions::*;
use outbid::openrtb::request::{Banner, Imp, Request};
use outbid::store::campaigns::definition::*;
use outbid::store::campaigns::expression::Expression;
use outbid::store::campaigns::{
    Campaigns, Dimension, MatchScratch, Opportunity, multiplier_milli, naive, user_hour,
};
use outbid::store::profiles::Profile;
use outbid::units::{AccountId, Cpm, HourOfWeek, Nanos, ObjectId, Timestamp};
use proptest::prelude::*;
use std::collections::BTreeMap;
use worlds::{Dice, Person, World, ipv4};

/// Wednesday 2026-11-18, 09:00 UTC.
const NOW: Timestamp = Timestamp(1_794_992_400_000);
/// Days from 1970-01-01 to 2020-01-01, from which tags count theirs.
const TAG_DAY_ZERO: i32 = 18_262;

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_index_finds_exactly_what_the_plain_loop_finds(seed: u64, items in prop_oneof![1_usize..80, 500_usize..1200]) {
        let mut dice = Dice(seed);
        let campaigns = Campaigns::compile(dice.definitions(items)).expect("valid definitions");
        let mut scratch = MatchScratch::default();
        for _ in 0..12 {
            check_index(&campaigns, &mut dice, &mut scratch)?;
        }
    }

    #[test]
    fn an_expression_prints_text_that_parses_back(seed: u64) {
        let text = Dice(seed).expression(4);
        let expression = Expression::parse(&text).expect(&text);
        let printed = expression.to_string();
        let again = Expression::parse(&printed);
        prop_assert_eq!(again.as_ref().map(ToString::to_string), Ok(printed));
        prop_assert_eq!(again, Ok(expression));
    }

    #[test]
    fn any_text_parses_or_is_refused_at_an_offset_within_it(text in "[a-z0-9 \"()<>=!.,\\\\-]{0,60}|\\PC{0,30}") {
        if let Err(error) = Expression::parse(&text) {
            prop_assert!(error.offset <= text.len() && text.is_char_boundary(error.offset), "{}", error);
        }
    }
}

#[test]
fn the_random_cases_meet_every_dimension_and_match_often() {
    let mut met: BTreeMap<Dimension, usize> = BTreeMap::new();
    let mut matched = 0;
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let campaigns = Campaigns::compile(dice.definitions(100)).expect("valid definitions");
        let world = World::new(&mut dice);
        let opportunity = world.opportunity(&campaigns);
        for item in campaigns.line_items() {
            match naive::first_mismatch(item, &opportunity, world.profile().as_ref(), NOW) {
                Some(dimension) => *met.entry(dimension).or_default() += 1,
                None => matched += 1,
            }
        }
    }
    for dimension in Dimension::ALL {
        assert!(
            met.contains_key(dimension),
            "{dimension} never kept a line item away: {met:?}"
        );
    }
    assert!(matched > 100, "{matched} matches");
}

#[test]
fn thousands_of_ranges_are_still_exact() {
    let mut dice = Dice(7);
    let mut definitions = dice.definitions(3000);
    for item in definitions
        .campaigns
        .iter_mut()
        .flat_map(|campaign| &mut campaign.line_items)
    {
        let first = dice.below(20_000);
        item.targeting = Targeting::default();
        let last = first + dice.below(3_000);
        let range = IpRange {
            first: ipv4(first as u32),
            last: ipv4(last as u32),
        };
        let terms = &mut item.targeting.ip;
        if dice.one_in(4) {
            terms.exclude.push(range)
        } else {
            terms.include.push(range)
        }
        item.targeting.os_version.min = Some(format!("{}.{}", dice.below(20), dice.below(200)));
    }
    let campaigns = Campaigns::compile(definitions).expect("valid definitions");
    let mut scratch = MatchScratch::default();
    for _ in 0..50 {
        let mut world = World::new(&mut dice);
        let osv: &'static str = format!("{}.{}", dice.below(20), dice.below(200)).leak();
        world.request.device.osv = Some(osv);
        world.request.device.ip = Some(ipv4(dice.below(24_000) as u32));
        check_world(&campaigns, &world, &mut scratch).expect("equal");
    }
}

#[test]
fn a_limit_cuts_off_the_tail() {
    let mut dice = Dice(3);
    let campaigns = Campaigns::compile(dice.definitions(900)).expect("valid definitions");
    let world = World::new(&mut dice);
    let opportunity = world.opportunity(&campaigns);
    let mut scratch = MatchScratch::default();
    let mut matches = |limit| {
        campaigns
            .match_into(&opportunity, world.profile().as_ref(), NOW, limit, &mut scratch)
            .to_vec()
    };
    let all = matches(usize::MAX);
    assert!(all.len() > 3, "{} matches", all.len());
    assert_eq!(matches(3), all[..3]);
    assert_eq!(matches(0), [0_u32; 0]);
}

fn check_index(
    campaigns: &Campaigns,
    dice: &mut Dice,
    scratch: &mut MatchScratch,
) -> Result<(), TestCaseError> {
    check_world(campaigns, &World::new(dice), scratch)
}

fn check_world(
    campaigns: &Campaigns,
    world: &World,
    scratch: &mut MatchScratch,
) -> Result<(), TestCaseError> {
    let opportunity = world.opportunity(campaigns);
    let profile = world.profile();
    let plain: Vec<u32> = (0..)
        .zip(campaigns.line_items())
        .filter(|(_, item)| naive::first_mismatch(item, &opportunity, profile.as_ref(), NOW).is_none())
        .map(|(position, _)| position)
        .collect();
    let indexed = campaigns.match_into(&opportunity, profile.as_ref(), NOW, usize::MAX, scratch);
    for item in indexed.iter().filter(|item| !plain.contains(item)) {
        let item = &campaigns.line_items()[*item as usize];
        let why = naive::first_mismatch(item, &opportunity, profile.as_ref(), NOW);
        prop_assert!(
            false,
            "the index lets pass what fails at {:?}: {:?}",
            why,
            item.definition.targeting
        );
    }
    for item in plain.iter().filter(|item| !indexed.contains(item)) {
        let item = &campaigns.line_items()[*item as usize];
        prop_assert!(
            false,
            "the index misses {:?} {:?}",
            item.definition.targeting,
            world.request
        );
    }
    prop_assert_eq!(indexed, &plain[..]);
    Ok(())
}

#[test]
fn young_men_who_visited_the_car_forum_are_found() {
    let audience = r#"gender = "m" and age in 25..35 and "visited:car-forum""#;
    let mut definitions = one_line_item();
    item(&mut definitions).targeting.audience = Some(Expression::parse(audience).expect("valid"));
    let campaigns = Campaigns::compile(definitions).expect("valid definitions");
    let cases = [
        ("m", Some(1996), &["visited:car-forum"][..], true),
        ("m", Some(1991), &["interest:travel", "Visited:Car-Forum"], true),
        ("m", Some(2002), &["visited:car-forum"], false),
        ("m", Some(1989), &["visited:car-forum"], false),
        ("m", None, &["visited:car-forum"], false),
        ("f", Some(1996), &["visited:car-forum"], false),
        ("", Some(1996), &["visited:car-forum"], false),
        ("m", Some(1996), &["interest:travel"], false),
    ];
    for (gender, born, tags, expected) in cases {
        let person = Person::new(gender, born, tags);
        assert_eq!(
            matches(&campaigns, Some(&person.profile())),
            expected,
            "{gender} {born:?} {tags:?}"
        );
    }
    assert!(
        !matches(&campaigns, None),
        "without a profile nobody is known to match"
    );
}

#[test]
fn expressions_are_true_false_or_unknown() {
    let mut person = Person::new("m", None, &["a"]);
    person.tags[0].weight = 102;
    person.tags[0].day = (NOW.day() - TAG_DAY_ZERO - 30) as u16;
    for (text, expected) in [
        ("gender = \"M\"", true),
        ("GENDER in (\"f\", \"m\")", true),
        ("gender != \"m\"", false),
        ("age < 18", false),
        ("not age < 18", false),
        ("age < 18 or \"a\"", true),
        ("not (age < 18 and \"b\")", true),
        ("not (age < 18 or \"b\")", false),
        ("\"A\"", true),
        ("NOT \"b\"", true),
        ("\"a\" within 30 days", true),
        ("\"a\" within 29 days", false),
        ("\"a\" = 0.4", true),
        ("\"a\" > 0.4", false),
        ("\"a\" >= 0.3999", true),
        ("\"b\" < 0.1", true),
        ("ltv = 12.5", true),
        ("ltv in 12.500000001..13", false),
        ("ltv not in 12..12.4", true),
        ("frequency in (3, 4)", true),
        ("recency_days <= 5", true),
        ("recency_days in 0..4", false),
        ("country = \"usa\" and language = \"EN\"", true),
        ("country not in (\"USA\", \"CAN\")", false),
        ("\"b\" or \"a\" and not \"c\"", true),
        ("(\"b\" or \"a\") and \"c\"", false),
    ] {
        let expression = Expression::parse(text).expect(text);
        assert_eq!(
            expression.matches(Some(&person.profile()), NOW),
            expected,
            "{text}"
        );
        assert!(!expression.matches(None, NOW), "{text} without a profile");
    }
}

#[test]
fn a_text_that_is_no_expression_is_refused_where_it_goes_wrong() {
    let deep = format!("{}\"a\"{}", "(".repeat(40), ")".repeat(40));
    let long = vec!["\"a\""; 600].join(" or ");
    for (text, offset, message) in [
        ("", 0, "found the end; expected a quoted tag, `not`, `(`, gender"),
        ("gender = m", 9, "found `m`; expected \"m\", \"f\" or \"o\""),
        ("gender = \"x\"", 9, "found \"x\"; expected \"m\", \"f\" or \"o\""),
        ("gender < \"m\"", 9, "`<` needs a number"),
        ("age in 35..25", 11, "the range ends before it starts"),
        ("age in 25", 9, "found the end; expected `..`"),
        (
            "age = 25.5",
            6,
            "found `25.5`; expected a whole number from 0 to 255",
        ),
        ("age 25", 4, "found `25`; expected `=`"),
        ("height > 3", 0, "found `height`; expected a quoted tag"),
        ("\"a\" \"b\"", 4, "found \"b\"; expected `and`, `or` or the end"),
        ("\"a\" and", 7, "found the end; expected a quoted tag"),
        ("(\"a\"", 4, "found the end; expected `)`"),
        ("\"a", 0, "this quote is not closed"),
        ("\"\"", 0, "found \"\"; expected a quoted tag"),
        ("\"a\" within 3 weeks", 13, "found `weeks`; expected `days`"),
        (
            "\"a\" > 1.5",
            9,
            "a tag's weight is compared with a number from 0 to 1",
        ),
        (
            "country = \"US\"",
            10,
            "found \"US\"; expected a country such as \"USA\"",
        ),
        ("age = 1 & age = 2", 8, "found `&`; expected a word"),
        (
            "ltv > 1.0000000001",
            6,
            "found `1.0000000001`; expected a number of at most nine digits",
        ),
        (&deep, 33, "nested too deeply; at most 32 levels are read"),
        (
            &long,
            3_588,
            "too long; at most 1024 comparisons and operators are read",
        ),
    ] {
        let error = Expression::parse(text).expect_err(text);
        assert!(error.message.starts_with(message), "{text}: {error}");
        assert_eq!(error.offset, offset, "{text}: {error}");
    }
}

#[test]
fn bids_rise_at_weekday_peaks_and_fall_at_weekends_in_the_users_own_time() {
    let mut definitions = one_line_item();
    let when = |hours| Targeting {
        hours,
        ..Targeting::default()
    };
    let weekday_peaks = hours(|day, hour| day < 5 && matches!(hour, 8..12 | 18..22));
    item(&mut definitions).multipliers = vec![
        Multiplier {
            when: when(weekday_peaks),
            factor_milli: 1300,
        },
        Multiplier {
            when: when(hours(|day, _| day >= 5)),
            factor_milli: 800,
        },
    ];
    let campaigns = Campaigns::compile(definitions).expect("valid definitions");
    let day = |days: i64| Timestamp(NOW.0 + days * Timestamp::MS_PER_DAY);
    for (now, offset_min, expected) in [
        (NOW, 0, 1300),
        (NOW, -5 * 60, 1000),
        (NOW, -13 * 60, 1300),
        (NOW, 3 * 60, 1000),
        (NOW, 5 * 60 + 30, 1000),
        (day(3), 0, 800),
        (day(2), 14 * 60, 1000),
        (day(2), 15 * 60, 1300),
        (Timestamp(day(2).0 + Timestamp::MS_PER_HOUR), 14 * 60, 800),
    ] {
        let mut request = Request::default();
        request.device.geo.utc_offset_min = Some(offset_min);
        let (imp, hour) = (banner_imp(), user_hour(&request, None, 0, now));
        let opportunity = Opportunity::new(&request, &imp, "demo", hour, campaigns.signals());
        let milli = multiplier_milli(&campaigns.line_items()[0], &opportunity, None, now);
        assert_eq!(milli, expected, "{now:?} {offset_min} {hour:?}");
    }
}

#[test]
fn multipliers_multiply_and_stay_within_bounds() {
    for (factors, expected) in [
        (&[][..], 1000),
        (&[1300, 800], 1040),
        (&[333, 3003], 1000),
        (&[10_000, 10_000, 10_000, 10_000, 10_000, 10_000], 10_000),
        (&[1, 1, 1, 1, 1], 100),
        (&[0], 100),
        (&[u32::MAX, u32::MAX, u32::MAX], 10_000),
    ] {
        let mut definitions = one_line_item();
        let multiplier = |&factor_milli| Multiplier {
            when: Targeting::default(),
            factor_milli,
        };
        item(&mut definitions).multipliers = factors.iter().map(multiplier).collect();
        let campaigns = Campaigns::compile(definitions).expect("valid definitions");
        let (request, imp) = (Request::default(), banner_imp());
        let opportunity = Opportunity::new(&request, &imp, "demo", noon(), campaigns.signals());
        assert_eq!(
            multiplier_milli(&campaigns.line_items()[0], &opportunity, None, NOW),
            expected,
            "{factors:?}"
        );
    }
}

#[test]
fn policy_forbids_by_category_attribute_age_and_place() {
    let rule = |id: &str| PolicyRule {
        id: id.into(),
        categories: Vec::new(),
        attributes: Vec::new(),
        when: Targeting::default(),
        unknown_age_matches: false,
        below_age: None,
    };
    let in_can = Targeting {
        country: include(&["CAN"]),
        ..Targeting::default()
    };
    let rules = [
        PolicyRule {
            categories: vec!["IAB8-5".into()],
            below_age: Some(21),
            unknown_age_matches: true,
            ..rule("alcohol")
        },
        PolicyRule {
            categories: vec!["IAB8".into()],
            below_age: Some(12),
            ..rule("food")
        },
        PolicyRule {
            attributes: vec![3],
            when: in_can,
            ..rule("audio in Canada")
        },
    ];
    for (category, attribute, born, country, expected) in [
        ("IAB8-5", 1, Some(2010), "USA", Some(0)),
        ("IAB8-5", 1, None, "USA", Some(0)),
        ("IAB8-5", 1, Some(1990), "USA", None),
        ("IAB8-1", 1, Some(2018), "USA", Some(1)),
        ("IAB8-1", 1, None, "USA", None),
        ("IAB80", 1, Some(2018), "USA", None),
        ("IAB1", 3, None, "CAN", Some(2)),
        ("IAB1", 3, None, "USA", None),
        ("IAB1", 1, None, "CAN", None),
    ] {
        let mut definitions = one_line_item();
        definitions.policy = rules.to_vec();
        definitions.creatives[0].categories = vec![category.into()];
        definitions.creatives[0].attributes = vec![attribute];
        let campaigns = Campaigns::compile(definitions).expect("valid definitions");
        let mut request = Request::default();
        request.device.geo.country = Some(country);
        let imp = banner_imp();
        let opportunity = Opportunity::new(&request, &imp, "demo", noon(), campaigns.signals());
        let person = Person::new("m", born, &[]);
        let found = campaigns.policy().forbids(
            &campaigns.creatives()[0],
            &opportunity,
            Some(&person.profile()),
            NOW,
        );
        assert_eq!(found, expected, "{category} {attribute} {born:?} {country}");
    }
}

#[test]
fn line_items_stand_in_order_of_what_they_can_be_worth() {
    let mut definitions = one_line_item();
    let template = item(&mut definitions).clone();
    let named = |id: &str, bid: BidStrategy, max_bid: Option<Cpm>| LineItem {
        id: id.into(),
        bid,
        max_bid,
        ..template.clone()
    };
    let units = |units: f64| Nanos::from_units(units).expect("in range");
    let cpm = |units: f64| Cpm::from_units(units).expect("in range");
    definitions.campaigns[0].line_items = vec![
        named("cpm-2", BidStrategy::Cpm(cpm(2.0)), None),
        named("cpc-3", BidStrategy::Cpc(units(3.0)), None),
        named(
            "cpa-25",
            BidStrategy::Cpa {
                event: "sale".into(),
                value: units(25.0),
                weights: None,
                discount: None,
            },
            None,
        ),
        named("a-cpm-2", BidStrategy::Cpm(cpm(2.0)), None),
        named("capped", BidStrategy::Cpm(cpm(9.0)), Some(cpm(1.0))),
    ];
    let campaigns = Campaigns::compile(definitions).expect("valid definitions");
    let order: Vec<_> = campaigns
        .line_items()
        .iter()
        .map(|item| (item.definition.id.as_str(), item.prior))
        .collect();
    let expected = [
        ("cpc-3", 3.0),
        ("cpa-25", 2.5),
        ("a-cpm-2", 2.0),
        ("cpm-2", 2.0),
        ("capped", 1.0),
    ];
    assert_eq!(order, expected.map(|(id, units)| (id, cpm(units))));
    for (position, item) in campaigns.line_items().iter().enumerate() {
        assert_eq!(campaigns.line_item_position(item.id), Some(position));
    }
    assert_eq!(campaigns.campaigns()[0].line_items, [0, 1, 2, 3, 4]);
}

#[test]
fn a_regional_override_spends_and_counts_as_the_line_item_it_is_part_of() {
    let mut definitions = one_line_item();
    let part = LineItem {
        id: "li@CAN".into(),
        part_of: Some("li".into()),
        ..item(&mut definitions).clone()
    };
    definitions.campaigns[0].line_items.push(part);
    let campaigns = Campaigns::compile(definitions).expect("valid definitions");
    let [whole, part] = campaigns.line_items() else {
        panic!("two line items")
    };
    assert_ne!(whole.id, part.id);
    assert_eq!(
        (whole.account, whole.counted_as),
        (AccountId::line_item("li"), ObjectId::of("li"))
    );
    assert_eq!((part.account, part.counted_as), (whole.account, whole.counted_as));
}

#[test]
fn unusable_definitions_are_refused_with_every_problem() {
    let mut definitions = one_line_item();
    definitions.advertisers.push(Advertiser {
        id: "b".into(),
        ..definitions.advertisers[0].clone()
    });
    definitions.creatives.push(Creative {
        id: "other".into(),
        advertiser: 1,
        ..definitions.creatives[0].clone()
    });
    let bad = item(&mut definitions);
    bad.creatives = vec!["banner".into(), "other".into(), "missing".into()];
    check_problems(
        definitions,
        &[
            "`other` belongs to another advertiser",
            "`missing` is not defined",
        ],
    );

    let mut definitions = one_line_item();
    item(&mut definitions).part_of = Some("gone".into());
    check_problems(definitions, &["part of `gone`"]);

    let mut definitions = one_line_item();
    let twin = item(&mut definitions).clone();
    definitions.campaigns[0].line_items.push(twin);
    let bad = item(&mut definitions);
    bad.targeting.radius.include = vec![Circle {
        lat: 95.0,
        lon: 0.0,
        km: 1.0,
    }];
    bad.targeting.ip.exclude = vec![IpRange {
        first: ipv4(2),
        last: ipv4(1),
    }];
    bad.targeting.os_version = VersionRange {
        min: Some("12".into()),
        max: Some("11.9".into()),
    };
    bad.targeting.hours = Hours(Some([0, 0, 1 << 40]));
    check_problems(
        definitions,
        &[
            "defined twice",
            "not on the globe",
            "is no range",
            "hours name no hour",
            "`12` is above `11.9`",
        ],
    );
}

fn check_problems(definitions: Definitions, expected: &[&str]) {
    let problems = Campaigns::compile(definitions).expect_err("refused");
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(
            problem.contains(expected),
            "{problem:?} says nothing of {expected:?}"
        );
    }
}

fn matches(campaigns: &Campaigns, profile: Option<&Profile>) -> bool {
    let (request, imp) = (Request::default(), banner_imp());
    let opportunity = Opportunity::new(&request, &imp, "demo", noon(), campaigns.signals());
    let mut scratch = MatchScratch::default();
    let indexed = !campaigns
        .match_into(&opportunity, profile, NOW, 1, &mut scratch)
        .is_empty();
    let plain = naive::first_mismatch(&campaigns.line_items()[0], &opportunity, profile, NOW);
    assert_eq!(plain.is_none(), indexed);
    assert!(plain.is_none_or(|dimension| dimension == Dimension::Audience));
    indexed
}

fn noon() -> HourOfWeek {
    HourOfWeek::new(2, 12).expect("an hour of the week")
}

fn hours(belongs: impl Fn(u8, u8) -> bool) -> Hours {
    let mut bits = [0; 3];
    for index in (0..168_u8).filter(|index| belongs(index / 24, index % 24)) {
        bits[usize::from(index / 64)] |= 1 << (index % 64);
    }
    Hours(Some(bits))
}

fn include(values: &[&str]) -> Terms<String> {
    Terms {
        include: values.iter().map(|value| value.to_string()).collect(),
        exclude: Vec::new(),
    }
}

fn banner_imp() -> Imp<'static> {
    Imp {
        id: "1",
        banner: Some(Banner::default()),
        ..Imp::default()
    }
}
