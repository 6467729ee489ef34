//! Random definitions, requests and people from small alphabets, so that values meet often.

use super::definitions::*;
use super::{NOW, TAG_DAY_ZERO};
use outbid::openrtb::request::{
    Audio, Banner, Channel, ChannelKind, Deal, Device, Geo, Imp, Ints, Native, Request, Size, Span, Strs,
    User, Video,
};
use outbid::store::campaigns::definition::*;
use outbid::store::campaigns::expression::Expression;
use outbid::store::campaigns::{Campaigns, Opportunity};
use outbid::store::profiles::{Gender, Profile, Tag, TagId};
use outbid::units::{Cpm, HourOfWeek, Nanos, Timestamp, UserKey};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub struct Person {
    pub gender: Gender,
    pub birth_year: Option<u16>,
    pub last_active_day: Option<i32>,
    pub country: Option<[u8; 3]>,
    pub tags: Vec<Tag>,
}

impl Person {
    pub fn new(gender: &str, birth_year: Option<u16>, tags: &[&str]) -> Person {
        let gender = match gender {
            "m" => Gender::Male,
            "f" => Gender::Female,
            _ => Gender::Unknown,
        };
        let mut tags: Vec<Tag> = tags
            .iter()
            .map(|tag| Tag {
                id: TagId::of(tag).0,
                dimension: 1,
                weight: 255,
                day: 2500,
            })
            .collect();
        tags.sort_by_key(|tag| tag.id);
        Person {
            gender,
            birth_year,
            last_active_day: Some(NOW.day() - 5),
            country: Some(*b"USA"),
            tags,
        }
    }

    pub fn profile(&self) -> Profile<'_> {
        Profile {
            key: UserKey(1),
            gender: self.gender,
            birth_year: self.birth_year,
            country: self.country,
            language: Some(*b"en"),
            utc_offset_min: None,
            ltv: Nanos(12_500_000_000),
            monetary: Nanos::ZERO,
            frequency: 4,
            last_active_day: self.last_active_day,
            tags: &self.tags,
        }
    }
}

/// SplitMix64: a whole case follows from the seed that a failing property prints.
pub struct Dice(pub u64);

const COUNTRIES: &[&str] = &["USA", "CAN", "usa", "DEU"];
const REGIONS: &[&str] = &["CA", "ca", "US-CA", "NY", "ON"];
const CITIES: &[&str] = &["Paris", "São Paulo", "paris"];
const POSTCODES: &[&str] = &["94103", "94110", "SW1A 1AA", "é1", "9"];
const WORDS: &[&str] = &["alpha", "Beta", "BETA", "gamma", ""];
const OS_VERSIONS: &[&str] = &["9", "10.2", "10.10", "10_15_7", "16.4", "x"];
const LANGUAGES: &[&str] = &["en", "en-GB", "EN_us", "fr", "e"];
const DOMAINS: &[&str] = &[
    "news.example",
    "www.news.example",
    "a.b.News.example.",
    "ews.example",
    "example",
    ".",
];
const CATEGORIES: &[&str] = &[
    "IAB1", "IAB1-6", "iab1-2", "IAB8", "IAB80", "IAB80-1", "IAB", "596", "596-1", "é-1",
];
const VENUES: &[&str] = &[
    "transit",
    "Transit.airports",
    "transit.airports.gates",
    "transition",
    "3",
    "",
];
const SIGNALS: &[&str] = &["rain", "Sun"];
const SIZES: &[(u32, u32)] = &[(300, 250), (728, 90), (600, 500), (160, 600)];
const TAGS: &[&str] = &["visited:car-forum", "a \"quoted\" \\ tag", "x"];

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn id(&mut self, from: &[String]) -> String {
        from[self.below(from.len() as u64) as usize].clone()
    }

    fn maybe<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        (!self.one_in(4)).then(|| self.pick(from))
    }

    /// Mostly unconstrained, so that many line items match.
    fn terms<T>(&mut self, value: impl Fn(&mut Dice) -> T) -> Terms<T> {
        let mut terms = Terms::default();
        if self.one_in(14) {
            for _ in 0..self.below(3) {
                terms.include.push(value(self));
            }
            for _ in 0..self.below(2) {
                terms.exclude.push(value(self));
            }
        }
        terms
    }

    fn words(&mut self, from: &[&str]) -> Terms<String> {
        self.terms(|dice| dice.pick(from).to_string())
    }

    fn numbers(&mut self) -> Terms<u32> {
        self.terms(|dice| dice.below(3) as u32)
    }

    fn flag(&mut self) -> Option<bool> {
        self.one_in(14).then(|| self.one_in(2))
    }

    fn circle(&mut self) -> Circle {
        let km = self.pick(&[1.0, 30.0, 300.0, 3000.0, 15_000.0]);
        let (lat, lon) = self.point();
        Circle { lat, lon, km }
    }

    /// Close to each other, and now and then at a pole or the date line.
    fn point(&mut self) -> (f64, f64) {
        let near = |dice: &mut Dice| dice.below(100) as f64 / 50.0;
        match self.below(6) {
            0 => (90.0 - near(self), 0.0),
            1 => (
                10.0,
                if self.one_in(2) {
                    180.0 - near(self)
                } else {
                    near(self) - 180.0
                },
            ),
            _ => (48.0 + near(self), 2.0 + near(self)),
        }
    }

    fn ip(&mut self) -> IpAddr {
        let bits = self.below(40) as u32;
        match self.below(3) {
            0 => Ipv6Addr::from(u128::from(bits)).into(),
            1 => Ipv4Addr::from(bits).to_ipv6_mapped().into(),
            _ => Ipv4Addr::from(bits).into(),
        }
    }

    fn ip_range(&mut self) -> IpRange {
        let (first, len) = (self.below(40) as u32, self.below(20) as u32);
        if self.one_in(3) {
            let v6 = |bits: u32| Ipv6Addr::from(u128::from(bits)).into();
            return IpRange {
                first: v6(first),
                last: v6(first + len),
            };
        }
        IpRange {
            first: ipv4(first),
            last: ipv4(first + len),
        }
    }

    fn postcode(&mut self) -> String {
        let code = self.pick(POSTCODES);
        let cut = self.below(4) as usize;
        match code.get(..cut) {
            Some(prefix) if self.one_in(2) => format!("{prefix}*"),
            _ => code.to_string(),
        }
    }

    fn region(&mut self) -> String {
        self.pick(&["CA", "USA-CA", "usa-ny", "CAN-ON", "ON", "DEU-CA"])
            .to_string()
    }

    fn targeting(&mut self) -> Targeting {
        Targeting {
            country: self.words(COUNTRIES),
            region: self.terms(Dice::region),
            city: self.words(CITIES),
            postcode: self.terms(Dice::postcode),
            radius: self.terms(Dice::circle),
            device_type: self.numbers(),
            make: self.words(WORDS),
            model: self.words(WORDS),
            os: self.words(WORDS),
            os_version: self.version_range(),
            browser: self.words(WORDS),
            language: self.words(LANGUAGES),
            connection: self.numbers(),
            carrier: self.words(WORDS),
            hours: self.hours(),
            exchange: self.words(&["demo", "Demo", "other"]),
            channel: self.numbers(),
            site: self.words(DOMAINS),
            app: self.words(WORDS),
            bundle: self.words(WORDS),
            dooh: self.words(WORDS),
            venue: self.words(VENUES),
            publisher: self.words(WORDS),
            placement: self.words(WORDS),
            category: self.words(CATEGORIES),
            keyword: self.words(WORDS),
            position: self.numbers(),
            instl: self.flag(),
            rewarded: self.flag(),
            video_placement: self.numbers(),
            audio_feed: self.numbers(),
            deal: self.words(WORDS),
            ip: self.terms(Dice::ip_range),
            signal: self.words(&["weather:rain", "WEATHER:sun", "weather:snow"]),
            audience: self.audience(),
        }
    }

    fn version_range(&mut self) -> VersionRange {
        let versions = ["9", "10.2", "10.10", "16"];
        let (low, high) = (self.below(4) as usize, self.below(4) as usize);
        let bound = |index: usize| Some(versions[index].to_string());
        match self.below(20) {
            0 => VersionRange {
                min: bound(low.min(high)),
                max: bound(low.max(high)),
            },
            1 => VersionRange {
                min: bound(low),
                max: None,
            },
            2 => VersionRange {
                min: None,
                max: bound(high),
            },
            _ => VersionRange::default(),
        }
    }

    fn hours(&mut self) -> Hours {
        let bits = [self.next(), self.next(), self.next()];
        Hours(self.one_in(10).then_some(bits))
    }

    fn audience(&mut self) -> Option<Expression> {
        self.one_in(8)
            .then(|| Expression::parse(&self.expression(2)).expect("valid"))
    }

    pub fn expression(&mut self, depth: u32) -> String {
        if depth == 0 || self.one_in(3) {
            return self.comparison();
        }
        let (left, right) = (self.expression(depth - 1), self.expression(depth - 1));
        match self.below(4) {
            0 => format!("not ({left})"),
            1 => format!("({left}) AND ({right})"),
            2 => format!("{left} and {right}"),
            _ => format!("({left} or {right})"),
        }
    }

    fn comparison(&mut self) -> String {
        let op = self.pick(&["=", "!=", "<", "<=", ">", ">="]);
        let n = self.below(80);
        let tag = format!(
            "\"{}\"",
            self.pick(TAGS).replace('\\', "\\\\").replace('"', "\\\"")
        );
        match self.below(10) {
            0 => format!(
                "gender {} \"{}\"",
                self.pick(&["=", "!="]),
                self.pick(&["m", "F", "o"])
            ),
            1 => format!("age {op} {n}"),
            2 => format!("age in {n}..{}", n + self.below(30)),
            3 => format!("ltv {op} -{n}.{:03}", self.below(1000)),
            4 => format!("frequency not in ({n}, {})", self.below(9)),
            5 => format!("recency_days {op} {n}"),
            6 => format!("country in (\"USA\", \"{}\")", self.pick(&["can", "DEU"])),
            7 => format!("{tag} within {n} days"),
            8 => format!("{tag} {op} 0.{n}"),
            _ => tag,
        }
    }

    pub fn definitions(&mut self, line_items: usize) -> Definitions {
        let mut creatives: Vec<_> = (0_u32..)
            .zip(SIZES)
            .map(|(i, (w, h))| creative(&format!("banner-{i}"), 0, banner_ad(*w, *h)))
            .collect();
        let audio = LinearAd {
            duration_s: 15,
            ..LinearAd::default()
        };
        creatives.push(creative("audio", 0, Ad::Audio(audio)));
        let video = LinearAd {
            duration_s: 15,
            size: Some((640, 360)),
            ..LinearAd::default()
        };
        creatives.push(creative("video", 0, Ad::Video(video)));
        let native = NativeAd {
            title: String::new(),
            images: Vec::new(),
            data: Vec::new(),
            privacy_url: None,
            impression_script: None,
        };
        creatives.push(creative("native", 0, Ad::Native(native)));
        creatives[1].status = Status::Paused;
        let ids: Vec<_> = creatives.iter().map(|c| c.id.clone()).collect();
        let mut campaigns: Vec<_> = (0..4)
            .map(|i| campaign(&format!("c{i}"), 0, Vec::new()))
            .collect();
        campaigns[3].flight = self.flight();
        if self.one_in(4) {
            campaigns[2].status = Status::Paused;
        }
        for i in 0..line_items {
            let count = 1 + self.below(4);
            let mut item = line_item(&format!("li{i}"), (0..count).map(|_| self.id(&ids)).collect());
            self.fill(&mut item);
            campaigns[i % 4].line_items.push(item);
        }
        let signals = (0..3).map(|_| self.signal()).collect();
        Definitions {
            advertisers: vec![advertiser("a")],
            campaigns,
            creatives,
            policy: Vec::new(),
            do_not_disturb: None,
            signals,
        }
    }

    fn fill(&mut self, item: &mut LineItem) {
        item.targeting = self.targeting();
        item.bid = BidStrategy::Cpm(Cpm(self.below(50) as i64 * 100_000));
        if self.one_in(20) {
            item.status = Status::Ended;
        }
        if self.one_in(8) {
            item.flight = self.flight();
        }
    }

    fn flight(&mut self) -> Flight {
        let near = |dice: &mut Dice| Timestamp(NOW.0 - 2 + dice.below(5) as i64);
        Flight {
            from: self.one_in(2).then(|| near(self)),
            until: self.one_in(2).then(|| near(self)),
        }
    }

    fn signal(&mut self) -> Signal {
        Signal {
            name: "weather".into(),
            value: self.pick(SIGNALS).into(),
            country: self.pick(COUNTRIES).into(),
            region: self.one_in(2).then(|| self.region()),
            until: self.one_in(2).then(|| Timestamp(NOW.0 + self.below(2) as i64)),
        }
    }
}

/// A request with one imp, and who sent it.
pub struct World {
    pub request: Request<'static>,
    pub imp: Imp<'static>,
    pub user_time: HourOfWeek,
    pub person: Option<Person>,
}

impl World {
    pub fn new(dice: &mut Dice) -> World {
        let (device, geo) = (World::device(dice), World::geo(dice));
        let user = User {
            geo,
            ..User::default()
        };
        let (mut strs, mut sizes) = (Vec::new(), Vec::new());
        let channel = World::channel(dice, &mut strs);
        let deal = |dice: &mut Dice| Deal {
            id: dice.pick(WORDS),
            ..Deal::default()
        };
        let deals: Vec<_> = (0..dice.below(3)).map(|_| deal(dice)).collect();
        let span = Span {
            start: 0,
            end: deals.len() as u32,
        };
        let imp = World::imp(dice, &mut sizes, span);
        let request = Request {
            device,
            user,
            channel,
            strs,
            sizes,
            deals,
            ..Request::default()
        };
        let user_time =
            HourOfWeek::new(dice.below(7) as u8, dice.below(24) as u8).expect("an hour of the week");
        World {
            request,
            imp,
            user_time,
            person: (!dice.one_in(4)).then(|| World::person(dice)),
        }
    }

    pub fn opportunity<'w>(&'w self, campaigns: &'w Campaigns) -> Opportunity<'w> {
        Opportunity::new(
            &self.request,
            &self.imp,
            "demo",
            self.user_time,
            campaigns.signals(),
        )
    }

    pub fn profile(&self) -> Option<Profile<'_>> {
        self.person.as_ref().map(Person::profile)
    }

    fn device(dice: &mut Dice) -> Device<'static> {
        Device {
            ip: (!dice.one_in(4)).then(|| dice.ip()),
            geo: if dice.one_in(4) {
                Geo::default()
            } else {
                World::geo(dice)
            },
            kind: dice.maybe(&[0, 1, 2]),
            make: dice.maybe(WORDS),
            model: dice.maybe(WORDS),
            os: dice.maybe(WORDS),
            osv: dice.maybe(OS_VERSIONS),
            browser: dice.maybe(WORDS),
            language: dice.maybe(LANGUAGES),
            carrier: dice.maybe(WORDS),
            connection: dice.maybe(&[0, 1, 2]),
            ..Device::default()
        }
    }

    fn geo(dice: &mut Dice) -> Geo<'static> {
        let (lat, lon) = if dice.one_in(9) { (91.0, 0.0) } else { dice.point() };
        Geo {
            country: dice.maybe(COUNTRIES),
            region: dice.maybe(REGIONS),
            city: dice.maybe(CITIES),
            zip: dice.maybe(POSTCODES),
            lat: dice.maybe(&[lat]),
            lon: dice.maybe(&[lon]),
            utc_offset_min: None,
        }
    }

    fn channel(dice: &mut Dice, strs: &mut Vec<&'static str>) -> Channel<'static> {
        let mut list = |dice: &mut Dice, from: &[&'static str]| {
            let start = strs.len() as u32;
            (0..dice.below(4)).for_each(|_| strs.push(dice.pick(from)));
            Strs(Span {
                start,
                end: strs.len() as u32,
            })
        };
        Channel {
            kind: dice.pick(&[ChannelKind::Site, ChannelKind::App, ChannelKind::Dooh]),
            id: dice.maybe(WORDS),
            name: dice.maybe(WORDS),
            domain: dice.maybe(DOMAINS),
            page: dice.maybe(&["https://www.news.example:443/x", "no url"]),
            bundle: dice.maybe(WORDS),
            publisher_id: dice.maybe(WORDS),
            publisher_domain: dice.maybe(WORDS),
            categories: list(dice, CATEGORIES),
            keywords: list(dice, WORDS),
            venues: list(dice, VENUES),
            ..Channel::default()
        }
    }

    fn imp(dice: &mut Dice, sizes: &mut Vec<Size>, deals: Span) -> Imp<'static> {
        for _ in 0..dice.below(4) {
            let (w, h) = dice.pick(SIZES);
            let flex = Size {
                wratio: 6,
                hratio: 5,
                wmin: dice.pick(&[0, 400]),
                ..Size::default()
            };
            sizes.push(dice.pick(&[
                Size {
                    w,
                    h,
                    ..Size::default()
                },
                flex,
                Size::default(),
            ]));
        }
        let span = Span {
            start: 0,
            end: sizes.len() as u32,
        };
        let banner = Banner {
            sizes: span,
            pos: dice.maybe(&[0, 1, 2]),
            btype: Ints::default(),
            ..Banner::default()
        };
        let video = Video {
            pos: dice.maybe(&[0, 1, 2]),
            plcmt: dice.maybe(&[0, 1, 2]),
            ..Video::default()
        };
        let audio = Audio {
            feed: dice.maybe(&[0, 1, 2]),
            ..Audio::default()
        };
        Imp {
            banner: dice.maybe(&[banner]),
            video: dice.one_in(2).then_some(video),
            audio: dice.one_in(2).then_some(audio),
            native: dice.one_in(3).then(Native::default),
            tagid: dice.maybe(WORDS),
            instl: dice.one_in(2),
            rewarded: dice.one_in(2),
            deals,
            ..Imp::default()
        }
    }

    fn person(dice: &mut Dice) -> Person {
        let tags: Vec<_> = TAGS.iter().copied().filter(|_| dice.one_in(2)).collect();
        let mut person = Person::new(dice.pick(&["m", "f", ""]), dice.maybe(&[1950, 1996, 2015]), &tags);
        person.last_active_day = dice.maybe(&[NOW.day(), NOW.day() - 40]);
        person.country = dice.maybe(&[*b"USA", *b"CAN"]);
        for tag in &mut person.tags {
            tag.weight = dice.below(256) as u8;
            tag.day = (NOW.day() - TAG_DAY_ZERO - dice.below(80) as i32) as u16;
        }
        person
    }
}

pub fn ipv4(bits: u32) -> IpAddr {
    Ipv4Addr::from(bits).into()
}
