//! A market of many line items, made from a seed: targeted, capped and priced as campaigns are, with people and requests
//! that meet them. Invariant: the same number and seed make the same market.

use outbid::caps::Caps;
use outbid::engine::{Live, Parts, People, Snapshot};
use outbid::openrtb::notice::PriceUnit;
use outbid::openrtb::price_crypto::PriceCodec;
use outbid::openrtb::privacy::PrivacyPolicy;
use outbid::pacing::Budgets;
use outbid::shading::{MarketId, Outcome};
use outbid::store::campaigns::definition::*;
use outbid::store::campaigns::expression::Expression;
use outbid::store::exchange::{
    Auction, Auth, BidCounts, BillingEvent, Exchange, NoBidForm, Notices, Shading,
};
use outbid::store::models::Model;
use outbid::store::profiles::{Dimension, Gender, Profiles, RamProfiles, Record, RecordTag};
use outbid::store::rates::{Rate, Rates};
use outbid::store::supply::SupplyPolicy;
use outbid::store::traffic::TrafficPolicy;
use outbid::units::{
    Cpm, Currency, Limits, Nanos, ObjectId, Probability, Spread, Timestamp, UserKey, UserKeySecret,
};
use std::path::Path;
use std::sync::Arc;

/// Wednesday 2026-11-18, 15:00 UTC.
pub const NOW: Timestamp = Timestamp(1_795_014_000_000);
pub const EXCHANGE: &str = "demo";

const SECRET: UserKeySecret = UserKeySecret([9; 16]);
const PEOPLE: u64 = 1000;
const TAGS_PER_PERSON: u64 = 25;
const TAGS: u64 = 300;
const ADVERTISERS: u64 = 24;
const COUNTRIES: [&str; 4] = ["USA", "CAN", "GBR", "DEU"];
const CATEGORIES: [&str; 8] = [
    "IAB2", "IAB8", "IAB10", "IAB13", "IAB17", "IAB18", "IAB19", "IAB20",
];
const SIZES: [(u32, u32); 4] = [(300, 250), (728, 90), (320, 50), (160, 600)];

/// SplitMix64.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ z >> 31) % n
    }

    pub fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    pub fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len() as u64) as usize]
    }

    /// Small numbers are more frequent, as countries, sites and topics are.
    pub fn skewed(&mut self, n: u64) -> u64 {
        self.below(n).min(self.below(n))
    }
}

/// A snapshot of `line_items` line items, and its live state. Campaigns have `daily` to spend, each.
pub fn market(line_items: usize, seed: u64, daily: Nanos) -> (Snapshot, Live) {
    let mut dice = Dice(seed);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/registry/ctr/1");
    let euro = Currency::parse("EUR").expect("a code");
    let rate = Rate::from_units(1.25).expect("in range");
    let parts = Parts {
        definitions: definitions(line_items, daily, &mut dice),
        exchanges: vec![exchange()],
        rates: Rates::new(Currency::USD, NOW, Timestamp::MS_PER_DAY, vec![(euro, rate)]),
        supply: Arc::default(),
        traffic: Arc::default(),
        people: People {
            profiles: Arc::new(Profiles::Ram(people(&mut dice))),
            secret: SECRET,
            privacy: PrivacyPolicy::default(),
            eid_sources: Vec::new(),
            time_zone: jiff::tz::TimeZone::UTC,
        },
        model: Model::load(&folder).unwrap_or_else(|error| panic!("{error}")),
        model_name: "ctr/1".into(),
        public_url: "https://bid.example".into(),
        hash: 0,
    };
    let live = Live::new(Arc::new(Budgets::new(4096)), Arc::new(Caps::new(4096)));
    let snapshot = Snapshot::build(parts, &live, NOW).unwrap_or_else(|problems| panic!("{problems:?}"));
    teach(&live, &mut dice);
    (snapshot, live)
}

/// As many outcomes as it takes until bids are shaded by what was learnt.
fn teach(live: &Live, dice: &mut Dice) {
    for _ in 0..500 {
        let (bid, price) = (
            Cpm(10_000 * (1 + dice.below(600)) as i64),
            Cpm(5_000 * (1 + dice.below(600)) as i64),
        );
        let outcome = if bid >= price {
            Outcome::WonAt(price)
        } else {
            Outcome::LostTo(price)
        };
        live.markets.observe(MarketId::default(), bid, outcome);
    }
}

/// A request as an exchange sends them: one imp in most, a user who is known in three of four.
pub fn request(dice: &mut Dice) -> String {
    let imps: Vec<String> = (0..1 + dice.below(8) / 7)
        .map(|imp| {
            let sizes = [dice.below(4), dice.below(4)].map(|size| SIZES[size as usize]);
            let [(w, h), (w2, h2)] = sizes;
            let floor = dice.below(60) as f64 / 100.0;
            let video = r#","video":{"mimes":["video/mp4"],"protocols":[2,3,5,6,7,8],"minduration":5,"maxduration":30,"w":640,"h":360,"plcmt":1}"#;
            let video = if dice.percent(20) { video } else { "" };
            let deal = dice.below(4);
            let (private, seat) = (dice.below(8) / 7, dice.one_of(&["outbid", "outbid", "another"]));
            let deals = format!(
                r#","pmp":{{"private_auction":{private},"deals":[{{"id":"deal-{deal}","bidfloor":{floor},"at":{},"guar":{},"wseat":["{seat}"]}}]}}"#,
                1 + deal,
                dice.below(5) / 4
            );
            let deals = if dice.percent(30) { deals } else { String::new() };
            format!(
                r#"{{"id":"{}","tagid":"slot-{}","secure":1,"bidfloor":{floor},"bidfloorcur":"USD","exp":120,
                "banner":{{"format":[{{"w":{w},"h":{h}}},{{"w":{w2},"h":{h2}}}],"pos":1,"battr":[1,3,5,8,9]}}{video}{deals}}}"#,
                imp + 1,
                dice.below(300)
            )
        })
        .collect();
    let (country, category) = (dice.one_of(&COUNTRIES), dice.one_of(&CATEGORIES));
    // A few people are seen again and again.
    let user = if dice.percent(20) {
        dice.below(5)
    } else {
        dice.below(PEOPLE * 4 / 3)
    };
    format!(
        r#"{{"id":"request-{}","at":{},"tmax":200,"cur":["USD"],"imp":[{}],
        "bcat":["IAB25","IAB26","IAB24"],"badv":["blocked-1.example","blocked-2.example","brand-3.example"],
        "site":{{"id":"site-1","domain":"www.site-{}.example","page":"https://www.site-1.example/a/b?c=d","cat":["{category}","IAB12"],
        "keywords":"one,two","publisher":{{"id":"pub-{}"}}}},
        "device":{{"ua":"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0","ip":"203.0.113.{}",
        "devicetype":2,"os":"Windows","osv":"10.0","language":"en","connectiontype":2,
        "geo":{{"country":"{country}","region":"R{}","city":"City","utcoffset":{}}}}},
        "user":{{"id":"x-{user}","buyeruid":"u-{user}"}},"source":{{"tid":"t"}},"regs":{{"coppa":0,"gdpr":0}}}}"#,
        dice.below(1 << 40),
        1 + dice.below(2),
        imps.join(","),
        dice.skewed(300),
        dice.below(50),
        dice.below(250),
        dice.below(20),
        60 * dice.below(9) as i64 - 480,
    )
}

fn exchange() -> Exchange {
    Exchange {
        name: EXCHANGE.into(),
        id: ObjectId::of(EXCHANGE),
        format: None,
        auth: Auth::None,
        seat: "outbid".into(),
        seats: Vec::new(),
        auction: Auction::default(),
        currency: Currency::USD,
        network_allowance_ms: 20,
        default_tmax_ms: 100,
        no_bid: NoBidForm::NoContent,
        billable: BillingEvent::Burl,
        billable_video: BillingEvent::Impression,
        price_in: PriceUnit::Cpm,
        price_codec: PriceCodec::Plain,
        supply: SupplyPolicy::default(),
        traffic: TrafficPolicy::default(),
        public_url: None,
        queries: None,
        require: Vec::new(),
        health: None,
        notices: Notices {
            win: true,
            bill: true,
            loss: true,
        },
        imps_max: 16,
        bids: BidCounts::default(),
        qps_max: None,
        click_macro: None,
        default_approval: Approval::Approved,
        exp_banner_s: 300,
        exp_video_s: 1800,
        exp_native_s: 600,
        exp_audio_s: 600,
        exp_interstitial_s: 600,
        exp_dooh_s: 600,
        win_hold_s: 60,
        learn_win_hold: true,
        shading: Shading::Learn,
    }
}

fn people(dice: &mut Dice) -> RamProfiles {
    let records = (0..PEOPLE).map(|user| Record {
        keys: vec![UserKey::of(&SECRET, "buyeruid", &format!("u-{user}"))],
        gender: [Gender::Unknown, Gender::Male, Gender::Female][dice.below(3) as usize],
        birth_year: dice.percent(80).then(|| 1950 + dice.below(60) as u16),
        utc_offset_min: Some(-300),
        ltv: Nanos(dice.below(100) as i64 * Nanos::PER_UNIT),
        frequency: dice.below(9) as u16,
        last_active_day: Some(NOW.day() - dice.below(60) as i32),
        tags: (0..TAGS_PER_PERSON)
            .map(|_| RecordTag {
                name: format!("tag:{}", dice.skewed(TAGS)).into(),
                dimension: Dimension::Behaviour,
                weight: dice.below(256) as u8,
                day: Some(NOW.day() - dice.below(60) as i32),
            })
            .collect(),
        ..Record::default()
    });
    RamProfiles::from_records(records).expect("sound records")
}

fn definitions(line_items: usize, daily: Nanos, dice: &mut Dice) -> Definitions {
    let advertisers = (0..ADVERTISERS).map(|number| Advertiser {
        id: format!("brand-{number}"),
        name: format!("Brand {number}"),
        domain: format!("brand-{number}.example"),
        categories: vec![CATEGORIES[number as usize % CATEGORIES.len()].into()],
        cattax: 1,
        time_zone: ["America/New_York", "Europe/Berlin", "UTC"][number as usize % 3].into(),
        do_not_disturb: (number == 3).then(noon),
        status: Status::Active,
    });
    let campaigns = (0..line_items.div_ceil(5)).map(|campaign| {
        let advertiser = dice.below(ADVERTISERS) as usize;
        let line_items = campaign * 5..line_items.min(campaign * 5 + 5);
        Campaign {
            id: format!("campaign-{campaign}"),
            name: String::new(),
            advertiser,
            status: Status::Active,
            pacing: Spread::AsFastAsPossible,
            exploration: 0.0,
            reallocation: None,
            budget: Limits {
                daily: Some(daily),
                ..Limits::default()
            },
            flight: Flight {
                from: Some(Timestamp(NOW.0 - Timestamp::MS_PER_DAY)),
                until: Some(Timestamp(NOW.0 + Timestamp::MS_PER_DAY)),
            },
            line_items: line_items
                .map(|number| line_item(number, advertiser, dice))
                .collect(),
        }
    });
    let campaigns = campaigns.collect();
    Definitions {
        advertisers: advertisers.collect(),
        campaigns,
        creatives: (0..ADVERTISERS as usize).flat_map(creatives).collect(),
        policy: vec![PolicyRule {
            id: "adults-only".into(),
            categories: vec!["IAB13".into()],
            attributes: Vec::new(),
            when: Targeting::default(),
            unknown_age_matches: true,
            below_age: Some(21),
        }],
        do_not_disturb: None,
        signals: Vec::new(),
    }
}

/// Wednesday from noon on: a part of the market's people has that hour at [`NOW`].
fn noon() -> Hours {
    let from = 2 * 24 + 12;
    Hours(Some([0xf << from, 0, 0]))
}

fn line_item(number: usize, advertiser: usize, dice: &mut Dice) -> LineItem {
    let cents = |cents: u64| Nanos(cents as i64 * Nanos::PER_UNIT / 100);
    let bid = match dice.below(10) {
        0..=4 => BidStrategy::Cpm(Cpm(100_000 + dice.below(4_000_000) as i64)),
        5..=6 => BidStrategy::Cpc(cents(5 + dice.below(80))),
        7 => BidStrategy::Roas {
            event: "purchase".into(),
            ratio_milli: 1_000 + dice.below(4_000) as u32,
            order_value: cents(1_000 + dice.below(10_000)),
            discount: None,
        },
        _ => BidStrategy::Cpa {
            event: "purchase".into(),
            value: cents(200 + dice.below(4_000)),
            weights: dice.percent(50).then_some(Weights::STABLE),
            discount: dice.percent(30).then(|| Discount::new(2_592_000, 259_200, false)),
        },
    };
    let peak = Multiplier {
        when: Targeting {
            hours: Hours(Some([0x000f_ff00_0fff_000f, 0x0fff_000f_ff00_0fff, 0])),
            ..Targeting::default()
        },
        factor_milli: 1300,
    };
    let cap = |level, impressions| Cap {
        level,
        impressions,
        window_s: 86_400,
        audience: None,
    };
    let for_men = Cap {
        audience: Some(Expression::parse("gender = \"m\"").expect("an expression")),
        ..cap(CapLevel::Advertiser, 4)
    };
    let name = |format: &str| format!("creative-{advertiser}-{format}");
    let formats = ["300x250", "728x90", "320x50", "160x600", "video"];
    LineItem {
        id: format!("line-item-{number}"),
        part_of: None,
        status: Status::Active,
        pacing: Spread::AsFastAsPossible,
        budget: Limits::default(),
        flight: Flight::default(),
        in_stock: true,
        targeting: targeting(dice),
        bid,
        ltv: LifetimeValue {
            default: dice.percent(50).then_some(cents(9_000)),
            from: dice.percent(50).then_some(ProfileAmount::Ltv),
        },
        kpi: None,
        relevance: Relevance {
            click: Probability::new(dice.below(3) as f32 * 0.0002).expect("a probability"),
            conversion_given_click: Probability::default(),
        },
        max_bid: dice.percent(30).then_some(Cpm(8_000_000)),
        multipliers: if dice.percent(30) { vec![peak] } else { Vec::new() },
        caps: match dice.below(5) {
            0 => vec![cap(CapLevel::LineItem, 3)],
            1 => vec![cap(CapLevel::Campaign, 5), cap(CapLevel::Creative, 2)],
            2 => vec![cap(CapLevel::Group("promo".into()), 2), for_men],
            _ => Vec::new(),
        },
        suppressions: Vec::new(),
        back_off: dice.percent(20).then_some(BackOff {
            after: 3,
            pause_s: 3_600,
        }),
        without_id: if dice.percent(20) {
            WithoutId::NoBid
        } else {
            WithoutId::Bid
        },
        creatives: formats
            .iter()
            .filter(|_| dice.percent(75))
            .map(|format| name(format))
            .collect(),
        deliver_deals: dice.percent(30),
        open_beside_deals: dice.percent(30),
        roadblock: dice.percent(10),
        slot_in_pod: None,
    }
}

fn targeting(dice: &mut Dice) -> Targeting {
    let include = |values: Vec<String>| Terms {
        include: values,
        exclude: Vec::new(),
    };
    let mut targeting = Targeting::default();
    if dice.percent(70) {
        targeting.country = include(vec![dice.one_of(&COUNTRIES).into()]);
    }
    if dice.percent(20) {
        targeting.category = include((0..2).map(|_| dice.one_of(&CATEGORIES).into()).collect());
    }
    if dice.percent(10) {
        targeting.site = include(
            (0..8)
                .map(|_| format!("site-{}.example", dice.skewed(300)))
                .collect(),
        );
    }
    if dice.percent(10) {
        targeting.device_type.include = vec![2 + dice.below(3) as u32];
    }
    if dice.percent(10) {
        targeting.hours = Hours(Some([0x00ff_ff00_ffff_00ff, !0 >> 3, !0]));
    }
    if dice.percent(12) {
        targeting.deal = include(vec![format!("deal-{}", dice.below(4))]);
    }
    if dice.percent(35) {
        let (tag, other) = (dice.skewed(TAGS), dice.skewed(TAGS));
        let text = match dice.below(3) {
            0 => format!("\"tag:{tag}\""),
            1 => format!("age in 25..45 and (\"tag:{tag}\" or \"tag:{other}\")"),
            _ => format!("gender = \"m\" and not \"tag:{tag}\""),
        };
        targeting.audience = Some(Expression::parse(&text).expect("a sound expression"));
    }
    targeting
}

/// One in each size and a video.
fn creatives(advertiser: usize) -> Vec<Creative> {
    let html = "<a href=\"${CLICK_URL}\">Now</a>";
    let banners = SIZES.map(|(w, h)| {
        let ad = BannerAd {
            w,
            h,
            html: html.into(),
            btype: 2,
            expands: Vec::new(),
        };
        (format!("{w}x{h}"), Ad::Banner(ad))
    });
    let media = MediaFile {
        url: "https://cdn.example/v.mp4".into(),
        mime: "video/mp4".into(),
        bitrate_kbps: 900,
        w: 640,
        h: 360,
    };
    let video = Ad::Video(LinearAd {
        title: "Now".into(),
        duration_s: 15,
        size: Some((640, 360)),
        media: vec![media],
        ..LinearAd::default()
    });
    let all = banners.into_iter().chain([("video".to_owned(), video)]);
    let creative = |(format, ad)| Creative {
        id: format!("creative-{advertiser}-{format}"),
        advertiser,
        status: Status::Active,
        groups: vec!["promo".into()],
        domains: vec![format!("brand-{advertiser}.example")],
        categories: vec![CATEGORIES[advertiser % CATEGORIES.len()].into()],
        cattax: 1,
        attributes: if advertiser == 5 { vec![9] } else { Vec::new() },
        apis: Vec::new(),
        landing_url: format!("https://brand-{advertiser}.example/"),
        languages: vec!["en".into()],
        valid: Flight::default(),
        bundle: None,
        approvals: Vec::new(),
        ai_generated: false,
        image_url: None,
        ad,
    };
    all.map(creative).collect()
}
