//! Why: matching must cost far less than a look at every line item. The index stands beside the plain loop that it replaces.
//!
//! Line items are targeted as campaigns are: most by format and country, some by audience, hours, sites, categories,
//! devices, deals, circles. Each iteration matches the next of 64 different requests; numbers are per request.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use outbid::openrtb::request::{
    Banner, Channel, ChannelKind, Deal, Device, Geo, Imp, Request, Size, Span, Strs, Video,
};
use outbid::store::campaigns::definition::*;
use outbid::store::campaigns::expression::Expression;
use outbid::store::campaigns::{Campaigns, MatchScratch, Opportunity, naive};
use outbid::store::profiles::{Gender, Profile, Tag, TagId};
use outbid::units::{Cpm, HourOfWeek, Limits, Nanos, Spread, Timestamp, UserKey};
use std::hint::black_box;

const NOW: Timestamp = Timestamp(1_794_992_400_000);
/// What an engine that scores 32 candidates asks for, with room for those that budgets and caps take away.
const LIMIT: usize = 256;

fn target(c: &mut Criterion) {
    let mut group = c.benchmark_group("target");
    for line_items in [100, 1_000, 10_000, 100_000] {
        let campaigns = Campaigns::compile(definitions(line_items)).expect("valid definitions");
        let worlds: Vec<World> = (0..64).map(World::new).collect();
        let tags: Vec<_> = (0..64).map(tags).collect();
        let profiles: Vec<_> = (0..64)
            .zip(&tags)
            .map(|(seed, tags)| profile(seed, tags))
            .collect();
        let cases: Vec<_> = worlds
            .iter()
            .map(|world| world.opportunity(&campaigns))
            .zip(&profiles)
            .collect();
        let mut scratch = MatchScratch::default();
        let mut count = |limit| -> usize {
            let one = |(opportunity, profile): &(Opportunity, &Profile)| {
                campaigns
                    .match_into(opportunity, Some(profile), NOW, limit, &mut scratch)
                    .len()
            };
            cases.iter().map(one).sum()
        };
        println!(
            "{line_items} line items: {} match on average",
            count(usize::MAX) / cases.len()
        );
        group.throughput(Throughput::Elements(1));
        for (name, limit) in [("index", usize::MAX), ("index_first_256", LIMIT)] {
            let mut next = cases.iter().cycle();
            group.bench_function(BenchmarkId::new(name, line_items), |b| {
                b.iter(|| {
                    let (opportunity, profile) = next.next().expect("a cycle");
                    black_box(
                        campaigns
                            .match_into(opportunity, Some(profile), NOW, limit, &mut scratch)
                            .len(),
                    )
                });
            });
        }
        let mut next = cases.iter().cycle();
        group.bench_function(BenchmarkId::new("plain_loop", line_items), |b| {
            b.iter(|| {
                let (opportunity, profile) = next.next().expect("a cycle");
                let passes = |item| naive::first_mismatch(item, opportunity, Some(profile), NOW).is_none();
                black_box(campaigns.line_items().iter().filter(|item| passes(item)).count())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, target);
criterion_main!(benches);

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ z >> 31) % n
    }

    fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    /// Small numbers are more frequent, as countries, sites and topics are.
    fn skewed(&mut self, n: u64) -> u64 {
        self.below(n).min(self.below(n)).min(self.below(n))
    }

    /// With the given share, `count` of the values that `name` makes of skewed numbers below `n`.
    fn terms(&mut self, share: u64, count: u64, n: u64, name: impl Fn(u64) -> String) -> Terms<String> {
        let mut terms = Terms::default();
        if self.percent(share) {
            terms.include = (0..count).map(|_| name(self.skewed(n))).collect();
        } else if self.percent(5) {
            terms.exclude = (0..count).map(|_| name(self.below(n))).collect();
        }
        terms
    }
}

const COUNTRIES: [&str; 6] = ["USA", "CAN", "GBR", "DEU", "FRA", "JPN"];
const SIZES: [(u32, u32); 6] = [
    (300, 250),
    (728, 90),
    (160, 600),
    (320, 50),
    (336, 280),
    (468, 60),
];

fn targeting(dice: &mut Dice) -> Targeting {
    let country = |n: u64| COUNTRIES[n as usize].to_string();
    let mut targeting = Targeting {
        country: dice.terms(85, 1, 6, country),
        region: dice.terms(8, 3, 50, |n| format!("R{n}")),
        city: dice.terms(4, 3, 500, |n| format!("city {n}")),
        os: dice.terms(12, 1, 3, |n| ["iOS", "Android", "Windows"][n as usize].into()),
        browser: dice.terms(8, 1, 3, |n| ["chrome", "safari", "firefox"][n as usize].into()),
        language: dice.terms(20, 1, 3, |n| ["en", "fr", "de"][n as usize].into()),
        exchange: dice.terms(15, 2, 4, |n| format!("exchange{n}")),
        site: dice.terms(15, 8, 2_000, |n| format!("site{n}.example")),
        publisher: dice.terms(5, 4, 300, |n| format!("p{n}")),
        placement: dice.terms(3, 4, 3_000, |n| format!("tag-{n}")),
        category: dice.terms(25, 3, 26, |n| format!("IAB{}", n + 1)),
        keyword: dice.terms(6, 3, 500, |n| format!("word{n}")),
        deal: dice.terms(4, 1, 100, |n| format!("deal-{n}")),
        ..Targeting::default()
    };
    if dice.percent(20) {
        targeting.device_type.include = vec![dice.below(3) as u32 + 2];
    }
    if dice.percent(20) {
        targeting.hours = Hours(Some([
            0x00ff_ff00_ffff_00ff << dice.below(8),
            !0 >> dice.below(8),
            !0,
        ]));
    }
    if dice.percent(3) {
        let (lat, lon) = (30.0 + dice.below(20) as f64, -120.0 + dice.below(50) as f64);
        targeting.radius.include = vec![Circle {
            lat,
            lon,
            km: 20.0 + dice.below(100) as f64,
        }];
    }
    if dice.percent(40) {
        let (tag, age) = (dice.skewed(300), 18 + dice.below(4) * 10);
        let text = match dice.below(3) {
            0 => format!("\"tag{tag}\""),
            1 => format!("age in {age}..{} and \"tag{tag}\"", age + 20),
            _ => format!(
                "gender = \"m\" and age in {age}..{} and (\"tag{tag}\" or \"tag1\")",
                age + 20
            ),
        };
        targeting.audience = Some(Expression::parse(&text).expect("valid"));
    }
    targeting
}

fn definitions(line_items: usize) -> Definitions {
    let mut dice = Dice(1);
    let advertiser = Advertiser {
        id: "a".into(),
        name: "A".into(),
        domain: "a.example".into(),
        categories: Vec::new(),
        cattax: 1,
        time_zone: "UTC".into(),
        do_not_disturb: None,
        status: Status::Active,
    };
    let banner = |(w, h)| {
        Ad::Banner(BannerAd {
            w,
            h,
            html: String::new(),
            btype: 4,
            expands: Vec::new(),
        })
    };
    let video = LinearAd {
        duration_s: 15,
        size: Some((640, 360)),
        ..LinearAd::default()
    };
    let ads = SIZES.into_iter().map(banner).chain([Ad::Video(video)]);
    let creatives: Vec<_> = ads
        .enumerate()
        .map(|(i, ad)| creative(format!("creative{i}"), ad))
        .collect();
    let campaigns = (0..line_items.div_ceil(10)).map(|c| Campaign {
        id: format!("campaign{c}"),
        name: String::new(),
        advertiser: 0,
        status: Status::Active,
        budget: Limits::default(),
        pacing: Spread::AsFastAsPossible,
        exploration: 0.0,
        reallocation: None,
        flight: Flight {
            from: None,
            until: Some(Timestamp(NOW.0 + 1)),
        },
        line_items: (c * 10..line_items.min(c * 10 + 10))
            .map(|i| line_item(i, &mut dice))
            .collect(),
    });
    let campaigns = campaigns.collect();
    Definitions {
        advertisers: vec![advertiser],
        campaigns,
        creatives,
        ..Definitions::default()
    }
}

fn line_item(number: usize, dice: &mut Dice) -> LineItem {
    let creatives = (0..1 + dice.below(3))
        .map(|_| format!("creative{}", dice.skewed(7)))
        .collect();
    LineItem {
        id: format!("line{number}"),
        part_of: None,
        status: Status::Active,
        budget: Limits::default(),
        pacing: Spread::AsFastAsPossible,
        flight: Flight::default(),
        in_stock: true,
        targeting: targeting(dice),
        bid: BidStrategy::Cpm(Cpm(500_000 + dice.below(5_000_000) as i64)),
        ltv: LifetimeValue::default(),
        kpi: None,
        relevance: Relevance::default(),
        max_bid: None,
        multipliers: Vec::new(),
        caps: Vec::new(),
        suppressions: Vec::new(),
        back_off: None,
        without_id: WithoutId::Bid,
        creatives,
        deliver_deals: false,
        open_beside_deals: false,
        roadblock: false,
        slot_in_pod: None,
    }
}

fn creative(id: String, ad: Ad) -> Creative {
    Creative {
        id,
        advertiser: 0,
        status: Status::Active,
        groups: Vec::new(),
        domains: Vec::new(),
        categories: Vec::new(),
        cattax: 1,
        attributes: Vec::new(),
        apis: Vec::new(),
        landing_url: "https://a.example/".into(),
        languages: Vec::new(),
        valid: Flight::default(),
        bundle: None,
        approvals: Vec::new(),
        ai_generated: false,
        image_url: None,
        ad,
    }
}

struct World {
    request: Request<'static>,
    imp: Imp<'static>,
    hour: HourOfWeek,
}

impl World {
    fn new(seed: u64) -> World {
        let mut dice = Dice(1_000 + seed);
        let name = |text: String| -> &'static str { text.leak() };
        let strs = vec![
            name(format!("IAB{}-{}", 1 + dice.skewed(26), 1 + dice.below(20))),
            name(format!("IAB{}", 1 + dice.skewed(26))),
            name(format!("word{}", dice.skewed(500))),
            name(format!("word{}", dice.skewed(500))),
        ];
        let channel = Channel {
            kind: ChannelKind::Site,
            domain: Some(name(format!("www.site{}.example", dice.skewed(2_000)))),
            publisher_id: Some(name(format!("p{}", dice.skewed(300)))),
            categories: Strs(Span { start: 0, end: 2 }),
            keywords: Strs(Span { start: 2, end: 4 }),
            ..Channel::default()
        };
        let device = Device {
            kind: Some(2 + dice.below(3) as u32),
            os: Some(["iOS", "Android", "Windows"][dice.skewed(3) as usize]),
            browser: Some(["chrome", "safari", "firefox"][dice.skewed(3) as usize]),
            language: Some(["en", "fr", "de"][dice.skewed(3) as usize]),
            geo: Geo {
                country: Some(COUNTRIES[dice.skewed(6) as usize]),
                region: Some(name(format!("R{}", dice.skewed(50)))),
                city: Some(name(format!("city {}", dice.skewed(500)))),
                lat: Some(30.0 + dice.below(200) as f64 / 10.0),
                lon: Some(-120.0 + dice.below(500) as f64 / 10.0),
                ..Geo::default()
            },
            ..Device::default()
        };
        let (w, h) = SIZES[dice.skewed(6) as usize];
        let sizes = vec![Size {
            w,
            h,
            ..Size::default()
        }];
        let deals = vec![Deal {
            id: name(format!("deal-{}", dice.below(100))),
            ..Deal::default()
        }];
        let request = Request {
            strs,
            channel,
            device,
            sizes,
            deals,
            ..Request::default()
        };
        let banner = Banner {
            sizes: Span { start: 0, end: 1 },
            ..Banner::default()
        };
        let is_video = dice.percent(10);
        let imp = Imp {
            banner: (!is_video).then_some(banner),
            video: is_video.then(Video::default),
            tagid: Some(name(format!("tag-{}", dice.skewed(3_000)))),
            deals: Span {
                start: 0,
                end: u32::from(dice.percent(20)),
            },
            ..Imp::default()
        };
        let hour = HourOfWeek::new(dice.below(7) as u8, dice.below(24) as u8).expect("an hour of the week");
        World { request, imp, hour }
    }

    fn opportunity<'w>(&'w self, campaigns: &'w Campaigns) -> Opportunity<'w> {
        Opportunity::new(
            &self.request,
            &self.imp,
            "exchange0",
            self.hour,
            campaigns.signals(),
        )
    }
}

/// 30 tags a user.
fn tags(seed: u64) -> Vec<Tag> {
    let mut dice = Dice(2_000 + seed);
    let ids = (0..30).map(|_| TagId::of(&format!("tag{}", dice.skewed(300))).0);
    let mut tags: Vec<_> = ids
        .map(|id| Tag {
            id,
            dimension: 1,
            weight: 200,
            day: 2_000,
        })
        .collect();
    tags.sort_by_key(|tag| tag.id);
    tags.dedup_by_key(|tag| tag.id);
    tags
}

fn profile(seed: u64, tags: &[Tag]) -> Profile<'_> {
    let mut dice = Dice(3_000 + seed);
    Profile {
        key: UserKey(seed),
        gender: if dice.percent(50) {
            Gender::Male
        } else {
            Gender::Female
        },
        birth_year: Some(1950 + dice.below(60) as u16),
        country: None,
        language: None,
        utc_offset_min: None,
        ltv: Nanos::ZERO,
        monetary: Nanos::ZERO,
        frequency: 0,
        last_active_day: None,
        tags,
    }
}
