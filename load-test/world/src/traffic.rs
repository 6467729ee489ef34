//! Bid requests: who asks, where, for which sizes, under which rules, and the truth behind it.
//! Invariant: a request is a function of (seed, mix, population, number, time).

use crate::law::{Context, Format};
use crate::places::DeviceModel;
use crate::random::{Random, mix};
use crate::sites::{Properties, Property};
use crate::topics::Topic;
use crate::user::User;

/// Shares of the traffic, each 0..=1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix {
    /// Requests whose ids are in the population.
    pub known: f64,
    /// Of the others: those without any id.
    pub without_id: f64,
    pub video: f64,
    pub native: f64,
    /// Requests with two or three imps.
    pub multi_imp: f64,
    /// Imps that want https, on properties that are not old-fashioned.
    pub secure: f64,
    /// Imps with a floor.
    pub floor: f64,
    /// Imps with deals.
    pub deal: f64,
    pub coppa: f64,
    pub lmt: f64,
}

impl Default for Mix {
    fn default() -> Self {
        Mix {
            known: 0.75,
            without_id: 0.4,
            video: 0.15,
            native: 0.10,
            multi_imp: 0.05,
            secure: 0.95,
            floor: 0.7,
            deal: 0.08,
            coppa: 0.01,
            lmt: 0.03,
        }
    }
}

/// What stands behind one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    pub id: String,
    pub time_ms: i64,
    /// The person in front of the screen, also where no id says so.
    pub user: User,
    /// The person is in the population, and the request carries an id of theirs.
    pub known: bool,
    pub ids: SentIds,
    pub device: &'static DeviceModel,
    pub property: u16,
    pub at: u32,
    pub tmax_ms: u32,
    pub coppa: bool,
    pub lmt: bool,
    pub gdpr: bool,
    pub badv: Vec<String>,
    pub bcat: Vec<&'static str>,
    pub imps: Vec<ImpTruth>,
    /// Picks among texts that mean nothing (page, address, browser version).
    pub(crate) noise: u64,
}

/// Which of the person's ids the request carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SentIds {
    pub buyeruid: bool,
    pub ifa: bool,
    pub eid: bool,
}

/// One person in front of one place for an ad: a request without what only the wire needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Visit {
    /// Index of the person.
    pub person: usize,
    pub at: u32,
    pub imp: ImpTruth,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ImpTruth {
    pub id: String,
    pub tagid: String,
    pub format: Format,
    /// The first is the slot's own; empty for native.
    pub sizes: Vec<(u32, u32)>,
    /// CPM in USD; 0 = none.
    pub floor: f64,
    pub secure: bool,
    pub instl: bool,
    pub rewarded: bool,
    pub max_duration_s: u32,
    pub deals: Vec<DealTruth>,
    pub context: Context,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DealTruth {
    pub id: &'static str,
    pub floor: f64,
    /// 1, 2, or 3 = the floor is the agreed price.
    pub at: u32,
}

impl ImpTruth {
    /// Whether an ad of this format and size can be shown.
    pub fn fits(&self, format: Format, w: u32, h: u32) -> bool {
        format == self.format && (format != Format::Banner || self.sizes.contains(&(w, h)))
    }
}

/// Banner sizes and how common they are.
const DESKTOP_SIZES: [((u32, u32), f64); 8] = [
    ((300, 250), 39.0),
    ((728, 90), 36.0),
    ((160, 600), 20.0),
    ((336, 280), 1.8),
    ((468, 60), 1.6),
    ((120, 600), 1.0),
    ((250, 250), 0.4),
    ((200, 200), 0.2),
];
const MOBILE_SIZES: [((u32, u32), f64); 4] = [
    ((300, 250), 60.0),
    ((320, 50), 33.0),
    ((728, 90), 4.0),
    ((336, 280), 3.0),
];

/// The deals of this world: one by auction, one for sports, one at a fixed price.
const DEALS: [DealTruth; 3] = [
    DealTruth {
        id: "deal-premium-1",
        floor: 1.5,
        at: 1,
    },
    DealTruth {
        id: "deal-sports-2",
        floor: 1.0,
        at: 2,
    },
    DealTruth {
        id: "deal-fixed-3",
        floor: 2.0,
        at: 3,
    },
];

const BLOCKED_CATEGORIES: [&str; 8] = [
    "IAB25", "IAB26", "IAB24", "IAB7-39", "IAB8-5", "IAB9-9", "IAB23", "IAB14-1",
];

/// Draws the truth of a request for a person that has been chosen.
pub(crate) fn draw(
    properties: &Properties,
    mix_of: &Mix,
    user: User,
    in_population: bool,
    time_ms: i64,
    random: &mut Random,
) -> Truth {
    let device = match user.second_device {
        Some(second) if random.chance(0.35) => second,
        _ => user.device,
    };
    let in_app = device.runs_apps() && (device.kind == 3 || random.chance(0.5));
    let topic = random.chance(0.5).then(|| favourite(&user, random));
    let property = properties.pick(in_app, topic, random);
    let ids = sent_ids(
        &user,
        in_app,
        in_population || !random.chance(mix_of.without_id),
        random,
    );
    let imp_count = if random.chance(mix_of.multi_imp) {
        2 + random.below(2)
    } else {
        1
    };
    let secure = random.chance(mix_of.secure) && !property.insecure;
    let imps = (0..imp_count)
        .map(|at| draw_imp(property, mix_of, (&user, device), (at, secure, time_ms), random))
        .collect();
    let noise = random.next_u64();
    Truth {
        id: format!("{:016x}{:08x}", mix(noise), noise as u32),
        time_ms,
        known: in_population && ids != SentIds::default(),
        ids,
        device,
        property: property.index,
        at: if property.first_price { 1 } else { 2 },
        tmax_ms: 80 + 10 * random.below(13) as u32,
        coppa: random.chance(mix_of.coppa),
        lmt: random.chance(mix_of.lmt),
        gdpr: matches!(user.place.country, "DEU" | "FRA"),
        badv: blocked_domains(property, random),
        bcat: BLOCKED_CATEGORIES
            .iter()
            .copied()
            .filter(|_| random.chance(0.3))
            .collect(),
        imps,
        noise,
        user,
    }
}

/// Draws a visit of a person that has been chosen.
pub(crate) fn draw_visit(
    properties: &Properties,
    mix_of: &Mix,
    (person, user): (usize, &User),
    time_ms: i64,
    random: &mut Random,
) -> Visit {
    let device = match user.second_device {
        Some(second) if random.chance(0.35) => second,
        _ => user.device,
    };
    let in_app = device.runs_apps() && (device.kind == 3 || random.chance(0.5));
    let topic = random.chance(0.5).then(|| favourite(user, random));
    let property = properties.pick(in_app, topic, random);
    Visit {
        person,
        at: if property.first_price { 1 } else { 2 },
        imp: draw_imp(property, mix_of, (user, device), (0, true, time_ms), random),
    }
}

/// A topic, as likely as the person likes it.
fn favourite(user: &User, random: &mut Random) -> Topic {
    Topic(random.weighted(user.interests.iter().copied()) as u8)
}

/// A browser knows the matched id, an app the advertising id (or, without it, the matched one).
fn sent_ids(user: &User, in_app: bool, with_ids: bool, random: &mut Random) -> SentIds {
    if !with_ids {
        return SentIds::default();
    }
    let ifa = in_app && user.has_ifa;
    SentIds {
        buyeruid: !ifa || random.chance(0.5),
        ifa,
        eid: user.has_eid && random.chance(0.6),
    }
}

fn draw_imp(
    property: &Property,
    mix_of: &Mix,
    (user, device): (&User, &'static DeviceModel),
    (at, secure, time_ms): (u64, bool, i64),
    random: &mut Random,
) -> ImpTruth {
    let tv = device.kind == 3;
    let banner = (1.0 - mix_of.video - mix_of.native).max(0.0);
    let format = if tv {
        Format::Video
    } else {
        [Format::Banner, Format::Video, Format::Native]
            [random.weighted([banner, mix_of.video, mix_of.native])]
    };
    let instl = property.app && !tv && format != Format::Native && random.chance(0.08);
    let position = if instl {
        7
    } else {
        [0, 1, 3][random.weighted([30.0, 45.0, 25.0])]
    };
    let scale = match format {
        Format::Banner => 0.3,
        Format::Video => 2.5,
        Format::Native => 0.5,
    };
    let floor = if random.chance(mix_of.floor) {
        cents(scale * property.value * (0.5 * random.normal()).exp()).max(0.01)
    } else {
        0.0
    };
    ImpTruth {
        id: (at + 1).to_string(),
        tagid: format!("{}-{}", property.index, random.below(3) + 3 * at),
        format,
        sizes: sizes(format, device.kind, random),
        floor,
        secure,
        instl,
        rewarded: property.app && format == Format::Video && random.chance(0.3),
        max_duration_s: [15, 30, 60][random.weighted([25.0, 60.0, 15.0])],
        deals: deals(property, mix_of, random),
        context: context(property, user, device, position, time_ms),
    }
}

fn sizes(format: Format, device_kind: u8, random: &mut Random) -> Vec<(u32, u32)> {
    match format {
        Format::Native => Vec::new(),
        Format::Video if device_kind == 3 => vec![(1920, 1080)],
        Format::Video => vec![*random.pick(&[(640, 360), (640, 480), (1280, 720)])],
        Format::Banner => {
            let table: &[((u32, u32), f64)] = if device_kind == 2 {
                &DESKTOP_SIZES
            } else {
                &MOBILE_SIZES
            };
            let first = table[random.weighted(table.iter().map(|(_, weight)| *weight))].0;
            let second = if first == (300, 250) && random.chance(0.15) {
                Some((336, 280))
            } else {
                None
            };
            std::iter::once(first).chain(second).collect()
        }
    }
}

fn deals(property: &Property, mix_of: &Mix, random: &mut Random) -> Vec<DealTruth> {
    if !random.chance(mix_of.deal) {
        return Vec::new();
    }
    let sports = property.topic.name() == "sports";
    let mut deals: Vec<DealTruth> = DEALS.into_iter().filter(|_| random.chance(0.5)).collect();
    if deals.is_empty() || sports {
        deals = vec![DEALS[usize::from(sports)]];
    }
    deals
}

fn context(property: &Property, user: &User, device: &DeviceModel, position: u8, time_ms: i64) -> Context {
    let local_hours = (time_ms + i64::from(user.place.utc_offset_min) * 60_000).div_euclid(3_600_000);
    Context {
        time_ms,
        local_hour: local_hours.rem_euclid(24) as u8,
        // 1970-01-01 was a Thursday.
        weekday: (local_hours.div_euclid(24) + 3).rem_euclid(7) as u8,
        property: property.index,
        topic: property.topic,
        second_topic: property.second_topic,
        position,
        device_kind: device.kind,
        quality: property.quality,
        value: property.value,
        viewability: property.viewability,
    }
}

/// Competitors of the publisher; the same most of the time.
fn blocked_domains(property: &Property, random: &mut Random) -> Vec<String> {
    if property.index.is_multiple_of(3) {
        return Vec::new();
    }
    let first = mix(u64::from(property.index)) % 90;
    (first..first + 3 + random.below(6))
        .map(|n| format!("blocked-brand-{n:02}.example"))
        .collect()
}

/// How much traffic there is at this time, relative to the mean of a day: a trough at 3 and a peak at 20 o'clock in the
/// middle of North America.
pub fn daily_curve(time_ms: i64) -> f64 {
    let hour = (time_ms - 6 * 3_600_000).rem_euclid(86_400_000) as f64 / 3_600_000.0;
    let day = std::f64::consts::TAU / 24.0;
    1.0 + 0.55 * ((hour - 17.0) * day).cos() + 0.18 * ((hour - 20.5) * 2.0 * day).cos()
}

fn cents(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
