//! People: who they are, what they like, which ids they carry. Invariant: a user is a function of (seed, index).

use crate::places::{DEVICES, DeviceModel, PLACES, Place};
use crate::random::{Random, Stream, mix};
use crate::topics::{TOPICS, Topic};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gender {
    Male,
    Female,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    New,
    Active,
    Loyal,
    Dormant,
    Returning,
}

/// One person. The law of clicks sees `interests`, `spending`, `responsiveness` and `lifecycle` only; gender and year of
/// birth act through the interests that they tilt.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    pub index: u64,
    pub gender: Gender,
    pub birth_year: u16,
    pub place: &'static Place,
    pub language: &'static str,
    pub device: &'static DeviceModel,
    pub second_device: Option<&'static DeviceModel>,
    /// 0..=1 per topic; a mean of about a quarter.
    pub interests: [f64; TOPICS],
    /// 0..=1, uniform over the population.
    pub spending: f64,
    /// Standard normal: how readily this person clicks on anything.
    pub responsiveness: f64,
    pub lifecycle: Lifecycle,
    /// Awake late rather than early.
    pub night_owl: bool,
    /// Has an id that a browser extension or a log-in gives to exchanges (`eids`).
    pub has_eid: bool,
    /// Lets apps see the advertising id.
    pub has_ifa: bool,
    tokens: [u64; 2],
}

/// The source of the `eids` in this world.
pub const EID_SOURCE: &str = "id.example";

impl User {
    pub(crate) fn draw(seed: u64, index: u64) -> User {
        let random = &mut Random::new(seed, Stream::User, index);
        let gender = [Gender::Male, Gender::Female, Gender::Other][random.weighted([49.0, 49.0, 2.0])];
        let birth_year = 1946 + (random.unit() * 35.0 + random.unit() * 27.0) as u16;
        let place = &PLACES[random.weighted(PLACES.iter().map(|place| place.weight))];
        let language = if random.chance(0.9) {
            place.language
        } else {
            random.pick(&["en", "es", "fr", "zh"])
        };
        let device = &DEVICES[random.weighted(DEVICES.iter().map(|device| device.weight))];
        let second_device = random.chance(0.45).then(|| second_of(device, random));
        let runs_apps = device.runs_apps() || second_device.is_some_and(DeviceModel::runs_apps);
        let interests = interests(gender, birth_year, random);
        User {
            index,
            gender,
            birth_year,
            place,
            language,
            device,
            second_device,
            interests,
            spending: random.unit(),
            responsiveness: random.normal().clamp(-3.0, 3.0),
            lifecycle: [
                Lifecycle::New,
                Lifecycle::Active,
                Lifecycle::Loyal,
                Lifecycle::Dormant,
                Lifecycle::Returning,
            ][random.weighted([15.0, 40.0, 18.0, 20.0, 7.0])],
            night_owl: random.chance(0.25),
            has_eid: random.chance(0.15),
            has_ifa: runs_apps && random.chance(0.8),
            tokens: [mix(seed ^ mix(index)), mix(mix(seed) ^ index)],
        }
    }

    /// The id that the exchange has matched to the bidder's: `u-` and the index in six digits.
    pub fn buyeruid(&self) -> String {
        format!("u-{:06}", self.index)
    }

    /// The advertising id, in the form of a version 4 UUID.
    pub fn ifa(&self) -> Option<String> {
        let [a, b] = self.tokens;
        self.has_ifa.then(|| {
            format!(
                "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
                a >> 32,
                (a >> 16) & 0xffff,
                a & 0xfff,
                b >> 52,
                b & 0xffff_ffff_ffff
            )
        })
    }

    /// The id under [`EID_SOURCE`].
    pub fn eid(&self) -> Option<String> {
        self.has_eid
            .then(|| format!("e{:016x}", self.tokens[1].rotate_left(17)))
    }

    /// The exchange's own id (`user.id`).
    pub fn exchange_id(&self) -> String {
        format!("x{:016x}", self.tokens[0].rotate_left(9))
    }

    /// `m`, `f` or `o`.
    pub fn gender_letter(&self) -> &'static str {
        match self.gender {
            Gender::Male => "m",
            Gender::Female => "f",
            Gender::Other => "o",
        }
    }

    pub fn interest(&self, topic: Topic) -> f64 {
        self.interests[topic.index()]
    }
}

fn second_of(first: &DeviceModel, random: &mut Random) -> &'static DeviceModel {
    let other_kind = DEVICES.iter().map(|device| {
        if device.kind == first.kind {
            0.0
        } else {
            device.weight
        }
    });
    &DEVICES[random.weighted(other_kind)]
}

/// A few strong interests, many weak ones: a logistic of a taste for the circle, a taste for the topic, and the tilts.
fn interests(gender: Gender, birth_year: u16, random: &mut Random) -> [f64; TOPICS] {
    let circles: [f64; 7] = std::array::from_fn(|_| 0.7 * random.normal());
    let youth = (f64::from(birth_year) - 1977.0) / 15.0;
    std::array::from_fn(|t| {
        let topic = Topic(t as u8);
        let circle = usize::from(topic.circle());
        let sex_tilt = match gender {
            Gender::Male => MALE_TILT[circle],
            Gender::Female => -MALE_TILT[circle],
            Gender::Other => 0.0,
        };
        let z = -1.75 + circles[circle] + 1.25 * random.normal() + sex_tilt + YOUTH_TILT[circle] * youth;
        1.0 / (1.0 + (-z).exp())
    })
}

/// Logits per circle (see the table of topics): cars and sports, places, home, style, technology, work, culture.
const MALE_TILT: [f64; 7] = [0.45, 0.0, -0.2, -0.5, 0.4, 0.1, 0.0];
const YOUTH_TILT: [f64; 7] = [0.0, -0.1, -0.3, 0.2, 0.35, -0.15, 0.25];
