//! The truth about clicks, conversions and views. Invariant: a probability depends on the person's latents, the context and
//! what an exchange sees of the ad; never on gender, age, place or an id.

use crate::random::{Random, Stream, mix};
use crate::topics::{Topic, hash_of};
use crate::user::{Lifecycle, User};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    Banner,
    Video,
    Native,
}

impl Format {
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Banner => "banner",
            Format::Video => "video",
            Format::Native => "native",
        }
    }

    pub fn parse(text: &str) -> Option<Format> {
        [Format::Banner, Format::Video, Format::Native]
            .into_iter()
            .find(|format| format.as_str() == text)
    }
}

/// Where and when one impression is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Context {
    pub time_ms: i64,
    /// In the person's own time zone.
    pub local_hour: u8,
    /// 0 = Monday.
    pub weekday: u8,
    /// Index of the site or app.
    pub property: u16,
    pub topic: Topic,
    pub second_topic: Topic,
    /// AdCOM placement position: 0 unknown, 1 above the fold, 3 below, 7 full screen.
    pub position: u8,
    /// AdCOM device type: 2 computer, 3 TV, 4 phone, 5 tablet.
    pub device_kind: u8,
    /// Of the site or app: effect on the logit of a click, what impressions are worth, share that is seen.
    pub quality: f64,
    pub value: f64,
    pub viewability: f64,
}

/// What an exchange sees of the ad in a bid.
#[derive(Clone, Copy, Debug)]
pub struct Ad<'a> {
    pub domain: &'a str,
    /// Codes of the IAB Content Taxonomy 1.0.
    pub categories: &'a [&'a str],
    /// 0 where the format has no size.
    pub w: u32,
    pub h: u32,
    pub format: Format,
}

/// The law of one seed.
#[derive(Clone, Copy, Debug)]
pub struct Law {
    seed: u64,
}

impl Law {
    pub(crate) fn new(seed: u64) -> Law {
        Law { seed }
    }

    /// A logistic model. `seen` = how often this person has seen an ad of this domain before.
    pub fn click_probability(&self, user: &User, context: &Context, ad: &Ad, seen: u32) -> f64 {
        self.know(ad).click_probability(user, context, seen)
    }

    /// Dearer brands convert the big spenders; interest counts twice, as it made the click too.
    pub fn conversion_given_click(&self, user: &User, context: &Context, ad: &Ad) -> f64 {
        self.know(ad).conversion_given_click(user, context)
    }

    /// What the law reads from an ad, for those who ask it about many impressions of one.
    pub fn know(&self, ad: &Ad) -> KnownAd {
        KnownAd {
            topics: AdTopics::of(ad),
            brand: self.brand(ad.domain),
            format: ad.format,
            size_effect: size_effect(ad),
        }
    }

    /// From click to conversion: log-normal with a median of 40 minutes, one in ten above 13 hours, at most 30 days.
    pub fn conversion_delay_ms(&self, random: &mut Random) -> i64 {
        let minutes = 40.0 * (2.35 * random.normal()).exp();
        (minutes.clamp(0.2, 30.0 * 1440.0) * 60_000.0) as i64
    }

    /// What a conversion is worth, in units of currency.
    pub fn conversion_value(&self, user: &User, ad: &Ad, random: &mut Random) -> f64 {
        let level = 1.0 + self.brand(ad.domain).price_level;
        let value = 25.0 * level * (1.2 * user.spending + 0.5 * random.normal()).exp();
        (value * 100.0).round() / 100.0
    }

    /// That half of the pixels are seen for a second (two for video).
    pub fn view_probability(&self, context: &Context) -> f64 {
        let shift = match context.position {
            1 => 0.15,
            3 => -0.2,
            7 => 0.25,
            _ => 0.0,
        };
        (context.viewability + shift).clamp(0.05, 0.98)
    }

    fn brand(&self, domain: &str) -> Brand {
        let random = &mut Random::new(self.seed, Stream::Brand, mix(hash_of(domain)));
        Brand {
            appeal: 0.35 * random.normal().clamp(-2.0, 2.0),
            price_level: random.unit(),
        }
    }
}

impl KnownAd {
    /// As [`Law::click_probability`].
    pub fn click_probability(&self, user: &User, context: &Context, seen: u32) -> f64 {
        let z = base_logit(self.format)
            + 3.6 * (self.topics.affinity(user) - 0.22)
            + 0.55 * self.topics.match_with(context)
            + 0.55 * user.responsiveness
            + context.quality
            + self.brand.appeal
            + position_effect(context.position)
            + self.size_effect
            + hour_effect(context.local_hour, user.night_owl)
            + if context.device_kind == 4 { 0.12 } else { 0.0 }
            + lifecycle_effect(user.lifecycle)
            - 0.28 * f64::from(seen).ln_1p();
        logistic(z)
    }

    /// As [`Law::conversion_given_click`].
    pub fn conversion_given_click(&self, user: &User, context: &Context) -> f64 {
        let z = -3.3
            + 2.4 * (self.topics.affinity(user) - 0.3)
            + 2.2 * self.brand.price_level * (user.spending - 0.5)
            + 0.8 * (user.spending - 0.5)
            + 1.5 * lifecycle_effect(user.lifecycle)
            + if context.device_kind == 2 { 0.35 } else { 0.0 }
            + 0.5 * self.brand.appeal;
        logistic(z)
    }
}

#[derive(Clone, Copy, Debug)]
struct Brand {
    /// Effect on the logit of a click.
    appeal: f64,
    /// 0..=1.
    price_level: f64,
}

/// An ad as the law sees it.
#[derive(Clone, Copy, Debug)]
pub struct KnownAd {
    topics: AdTopics,
    brand: Brand,
    format: Format,
    size_effect: f64,
}

/// At most three topics of an ad.
#[derive(Clone, Copy, Debug)]
struct AdTopics {
    topics: [Topic; 3],
    count: usize,
}

impl AdTopics {
    fn of(ad: &Ad) -> AdTopics {
        let mut found = AdTopics {
            topics: [Topic::of_domain(ad.domain); 3],
            count: 0,
        };
        for topic in ad
            .categories
            .iter()
            .filter_map(|category| Topic::of_category(category))
            .take(3)
        {
            found.topics[found.count] = topic;
            found.count += 1;
        }
        found.count = found.count.max(1);
        found
    }

    fn affinity(&self, user: &User) -> f64 {
        let sum: f64 = self.topics[..self.count]
            .iter()
            .map(|topic| user.interest(*topic))
            .sum();
        sum / self.count as f64
    }

    /// The first topic against what the page is about: 0..=1.4.
    fn match_with(&self, context: &Context) -> f64 {
        self.topics[0].kinship(context.topic) + 0.4 * self.topics[0].kinship(context.second_topic)
    }
}

/// Chosen so that a random ad shown to a random person is clicked by about 0.5 % (banner), 1.3 % (video), 0.9 % (native).
fn base_logit(format: Format) -> f64 {
    match format {
        Format::Banner => -6.17,
        Format::Video => -5.2,
        Format::Native => -5.5,
    }
}

fn position_effect(position: u8) -> f64 {
    match position {
        1 => 0.25,
        3 => -0.35,
        7 => 0.6,
        _ => 0.0,
    }
}

fn size_effect(ad: &Ad) -> f64 {
    match (ad.format, ad.w, ad.h) {
        (Format::Banner, 300, 250) | (Format::Banner, 336, 280) => 0.2,
        (Format::Banner, 300, 600) | (Format::Banner, 970, 250) => 0.35,
        (Format::Banner, 320, 50) | (Format::Banner, 468, 60) => -0.15,
        (Format::Banner, 160, 600) | (Format::Banner, 120, 600) => -0.1,
        _ => 0.0,
    }
}

fn hour_effect(hour: u8, night_owl: bool) -> f64 {
    match hour {
        0..=5 => {
            if night_owl {
                0.15
            } else {
                -0.2
            }
        }
        12..=13 => 0.08,
        18..=22 => 0.15,
        _ => 0.0,
    }
}

fn lifecycle_effect(lifecycle: Lifecycle) -> f64 {
    match lifecycle {
        Lifecycle::New => 0.0,
        Lifecycle::Active => 0.1,
        Lifecycle::Loyal => 0.25,
        Lifecycle::Dormant => -0.35,
        Lifecycle::Returning => 0.2,
    }
}

fn logistic(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}
