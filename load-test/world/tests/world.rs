//! The world holds still (same seed, same bytes), hangs together, and has the shape that it promises.

use std::collections::{HashMap, HashSet};
use world::{Ad, AdChoice, Format, Mix, TAGS_MAX, TAGS_MIN, Topic, Truth, World, daily_curve, vocabulary};

/// 2026-10-01.
const DAY: i32 = 20_727;
const NOON_MS: i64 = DAY as i64 * 86_400_000 + 43_200_000;

fn text(world: &World) -> String {
    let mut out = String::new();
    for n in 0..200 {
        world.profile_json(n, DAY, &mut out);
        world.request(n, NOON_MS + n as i64, &mut out);
    }
    out
}

fn truths(count: u64) -> Vec<Truth> {
    let world = World::new(1);
    (0..count)
        .map(|n| world.truth(n, NOON_MS + n as i64 * 1_000))
        .collect()
}

/// One banner, one video and one native ad for each of eight topics.
fn ads() -> Vec<AdChoice> {
    let of = |topic: Topic, format, w, h| AdChoice {
        domain: format!("{}brand.example", topic.name()),
        categories: vec![topic.category().to_string()],
        w,
        h,
        format,
    };
    let sizes = [
        (Format::Banner, 300, 250),
        (Format::Banner, 728, 90),
        (Format::Banner, 160, 600),
        (Format::Banner, 320, 50),
    ];
    Topic::all()
        .step_by(3)
        .flat_map(|topic| {
            let others = [(Format::Video, 0, 0), (Format::Native, 0, 0)];
            sizes
                .into_iter()
                .chain(others)
                .map(move |(format, w, h)| of(topic, format, w, h))
        })
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
    assert_eq!(text(&World::new(1)), text(&World::new(1)));
    assert_ne!(text(&World::new(1)), text(&World::new(2)));
}

#[test]
fn anything_can_be_asked_for_out_of_order() {
    let world = World::new(3);
    let late = world.truth(900, NOON_MS);
    let _ = (world.user(5), world.truth(1, NOON_MS));
    assert_eq!(world.truth(900, NOON_MS), late);
    assert_eq!(world.rivals(900, &late, 0), world.rivals(900, &late, 0));
}

#[test]
fn profiles_and_requests_are_json_and_carry_the_same_ids() {
    let world = World::new(1);
    let mut seen = 0;
    for n in 0..2_000 {
        let mut json = String::new();
        let truth = world.request(n, NOON_MS, &mut json);
        let request: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(request["imp"].as_array().unwrap().len(), truth.imps.len());
        if let Some(native) = request["imp"][0]["native"]["request"].as_str() {
            serde_json::from_str::<serde_json::Value>(native).unwrap();
        }
        let mut profile = String::new();
        world.profile_json(truth.user.index, DAY, &mut profile);
        let profile: serde_json::Value = serde_json::from_str(&profile).unwrap();
        for (sent, known) in [
            (&request["user"]["buyeruid"], "buyeruid"),
            (&request["device"]["ifa"], "ifa"),
        ] {
            assert!(sent.is_null() || *sent == profile["ids"][known], "{sent}");
            seen += u32::from(!sent.is_null());
        }
        assert_eq!(
            truth.known,
            truth.user.index < world.population() && truth.ids != Default::default()
        );
    }
    assert!(seen > 1_500);
}

#[test]
fn ids_are_unique() {
    let world = World::new(1);
    let mut ids = HashSet::new();
    for n in 0..20_000 {
        for id in world.profile(n, DAY).ids {
            assert!(ids.insert(id.clone()), "{id:?} twice");
        }
    }
}

#[test]
fn profiles_have_ten_to_forty_tags_each_once() {
    let world = World::new(1);
    let mut used = HashSet::new();
    for n in 0..5_000 {
        let profile = world.profile(n, DAY);
        assert!((TAGS_MIN..=TAGS_MAX).contains(&profile.tags.len()));
        assert!(profile.tags.is_sorted_by(|a, b| a.tag < b.tag));
        for tag in &profile.tags {
            assert!((0.0..=1.0).contains(&tag.weight) && tag.day <= profile.last_active_day);
            used.insert(tag.tag);
        }
    }
    assert_eq!(used.len(), vocabulary().len());
}

#[test]
fn traffic_has_the_shares_of_its_mix() {
    let truths = truths(20_000);
    let share = |holds: &dyn Fn(&Truth) -> bool| truths.iter().filter(|t| holds(t)).count() as f64 / 20_000.0;
    let size = |w, h| share(&|t| t.imps[0].sizes.first() == Some(&(w, h)));
    for (name, found, wanted, within) in [
        ("known", share(&|t| t.known), 0.75, 0.02),
        (
            "without any id",
            share(&|t| t.ids == Default::default()),
            0.10,
            0.015,
        ),
        ("video", share(&|t| t.imps[0].format == Format::Video), 0.18, 0.03),
        (
            "native",
            share(&|t| t.imps[0].format == Format::Native),
            0.10,
            0.015,
        ),
        ("several imps", share(&|t| t.imps.len() > 1), 0.05, 0.01),
        ("floor", share(&|t| t.imps[0].floor > 0.0), 0.70, 0.02),
        ("secure", share(&|t| t.imps[0].secure), 0.89, 0.05),
        ("coppa", share(&|t| t.coppa), 0.01, 0.005),
        ("lmt", share(&|t| t.lmt), 0.03, 0.01),
        ("300x250", size(300, 250), 0.37, 0.05),
        ("728x90", size(728, 90), 0.14, 0.04),
    ] {
        assert!(
            (found - wanted).abs() <= within,
            "{name}: {found}, wanted {wanted}"
        );
    }
}

#[test]
fn a_mix_can_be_changed() {
    let world = World::with(
        1,
        500,
        Mix {
            known: 1.0,
            secure: 0.0,
            multi_imp: 1.0,
            ..Mix::default()
        },
    );
    let mut visitors = HashMap::new();
    for n in 0..5_000 {
        let truth = world.truth(n, NOON_MS);
        assert!(truth.known && truth.imps.len() > 1 && truth.imps.iter().all(|imp| !imp.secure));
        *visitors.entry(truth.user.index).or_insert(0) += 1;
    }
    assert!(
        visitors.len() > 490 && visitors.keys().all(|user| *user < 500),
        "{} of 500 came",
        visitors.len()
    );
    let one = World::with(1, 0, Mix::default());
    assert_eq!(one.population(), 1);
    one.truth(0, NOON_MS);
}

#[test]
fn the_day_has_a_mean_of_one_and_a_quiet_night() {
    let day: Vec<f64> = (0..1_440).map(|minute| daily_curve(minute * 60_000)).collect();
    assert!((day.iter().sum::<f64>() / 1_440.0 - 1.0).abs() < 0.001);
    assert!(day.iter().all(|rate| (0.2..2.0).contains(rate)));
    assert!(daily_curve(9 * 3_600_000) < 0.6 && daily_curve(26 * 3_600_000) > 1.3);
}

/// The area under the curve that the law itself would reach on labels drawn from it.
fn bayes_auc(mut probabilities: Vec<f64>) -> f64 {
    probabilities.sort_by(f64::total_cmp);
    let (mut misses_below, mut area) = (0.0, 0.0);
    for p in &probabilities {
        area += p * (misses_below + 0.5 * (1.0 - p));
        misses_below += 1.0 - p;
    }
    area / (probabilities.iter().sum::<f64>() * misses_below)
}

#[test]
fn clicks_are_as_rare_and_as_predictable_as_they_should_be() {
    let ads = ads();
    let world = World::new(1);
    let mut by_format: HashMap<Format, Vec<f64>> = HashMap::new();
    for row in world.rows(&ads, NOON_MS, 7).take(30_000) {
        by_format
            .entry(ads[row.ad].format)
            .or_default()
            .push(row.click_probability);
        assert!(!row.conversion || row.click);
    }
    for (format, low, high) in [
        (Format::Banner, 0.003, 0.008),
        (Format::Video, 0.008, 0.018),
        (Format::Native, 0.006, 0.014),
    ] {
        let probabilities = by_format.remove(&format).unwrap();
        let mean = probabilities.iter().sum::<f64>() / probabilities.len() as f64;
        assert!((low..high).contains(&mean), "{format:?}: a click rate of {mean}");
        let auc = bayes_auc(probabilities);
        assert!((0.75..0.85).contains(&auc), "{format:?}: an area of {auc}");
    }
}

#[test]
fn the_law_looks_at_tastes_and_not_at_who_somebody_is() {
    let world = World::new(1);
    let truth = world.truth(1, NOON_MS);
    let context = &truth.imps[0].context;
    let ad = Ad {
        domain: "cars.example",
        categories: &["IAB2"],
        w: 300,
        h: 250,
        format: Format::Banner,
    };
    let chance = |user: &world::User, seen| world.law().click_probability(user, context, &ad, seen);
    let user = world.user(1);
    let mut other = user.clone();
    (other.birth_year, other.gender, other.place) = (1950, world::Gender::Other, &world::PLACES[30]);
    assert_eq!(chance(&user, 0), chance(&other, 0));
    let mut fan = user.clone();
    fan.interests[0] = 1.0;
    assert!(chance(&fan, 0) > chance(&user, 0));
    assert!(chance(&user, 5) < chance(&user, 0), "an ad seen often tires");
}

#[test]
fn tags_betray_tastes_with_noise() {
    let world = World::new(1);
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for n in 0..5_000 {
        let (user, profile) = (world.user(n), world.profile(n, DAY));
        let tagged = profile.tags.iter().any(|tag| tag.name() == "visited:car-forum");
        if tagged {
            with.push(user.interests[0])
        } else {
            without.push(user.interests[0])
        }
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    assert!(
        mean(&with) > mean(&without) + 0.15,
        "{} {}",
        mean(&with),
        mean(&without)
    );
    assert!(
        with.iter().any(|interest| *interest < 0.2),
        "some tags mean nothing"
    );
}

#[test]
fn rows_end_where_no_ad_fits() {
    let none = vec![AdChoice {
        w: 1,
        h: 1,
        ..ads().remove(0)
    }];
    assert_eq!(World::new(1).rows(&none, NOON_MS, 1).count(), 0);
}
