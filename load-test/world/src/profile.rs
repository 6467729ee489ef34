//! What a data provider knows of a person: noisy tags derived from the latents.
//! Invariant: everything here depends on the law only through [`User`], and is blurred.

use crate::random::{Random, Stream};
use crate::topics::{TOPICS, Topic, general_tag, topical_tag, vocabulary};
use crate::user::{EID_SOURCE, Lifecycle, User};
use std::fmt::Write;

/// One row of the demo population.
#[derive(Clone, Debug, PartialEq)]
pub struct WorldProfile {
    /// (namespace, id): `buyeruid`, `ifa`, [`EID_SOURCE`]; the first is always there.
    pub ids: Vec<(&'static str, String)>,
    /// `m`, `f`, `o`.
    pub gender: Option<&'static str>,
    pub birth_year: Option<u16>,
    pub country: &'static str,
    pub language: &'static str,
    pub utc_offset_min: i16,
    /// In units of the accounting currency.
    pub ltv: f64,
    pub monetary: f64,
    pub frequency: u16,
    /// Days since 1970-01-01.
    pub last_active_day: i32,
    /// In the order of the vocabulary, each name once.
    pub tags: Vec<WorldTag>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorldTag {
    /// Position in [`vocabulary`].
    pub tag: u16,
    /// 0..=1, two decimals.
    pub weight: f64,
    /// Days since 1970-01-01.
    pub day: i32,
}

impl WorldTag {
    pub fn name(&self) -> &'static str {
        vocabulary()[usize::from(self.tag)].name
    }

    pub fn dimension(&self) -> &'static str {
        vocabulary()[usize::from(self.tag)].dimension
    }
}

/// The most tags that the world gives one user.
pub const TAGS_MAX: usize = 40;
/// The fewest.
pub const TAGS_MIN: usize = 10;

impl WorldProfile {
    pub(crate) fn observe(seed: u64, user: &User, now_day: i32) -> WorldProfile {
        // The second half of the index space, so that these draws are not the ones that made the user.
        let random = &mut Random::new(seed, Stream::User, user.index | 1 << 63);
        let mut ids = vec![("buyeruid", user.buyeruid())];
        ids.extend(user.ifa().map(|ifa| ("ifa", ifa)));
        ids.extend(user.eid().map(|eid| (EID_SOURCE, eid)));
        let last_active_day = now_day - days_since_active(user.lifecycle, random);
        let frequency = purchases(user, random);
        let monetary =
            cents(f64::from(frequency) * 12.0 * (2.2 * user.spending + 0.4 * random.normal()).exp());
        WorldProfile {
            ids,
            gender: random.chance(0.85).then(|| user.gender_letter()),
            birth_year: random.chance(0.8).then_some(user.birth_year),
            country: user.place.country,
            language: user.language,
            utc_offset_min: user.place.utc_offset_min,
            ltv: cents(monetary * 1.4 + 20.0 * (user.spending + 0.2 * random.normal()).max(0.0)),
            monetary,
            frequency,
            last_active_day,
            tags: tags(user, last_active_day, random),
        }
    }

    /// Appends the profile as one JSON object, without a line end.
    pub fn write_json(&self, out: &mut String) {
        self.try_write_json(out).expect("writing to a String cannot fail");
    }

    fn try_write_json(&self, out: &mut String) -> std::fmt::Result {
        out.push_str("{\"ids\":{");
        for (i, (namespace, id)) in self.ids.iter().enumerate() {
            write!(out, "{}\"{namespace}\":\"{id}\"", if i == 0 { "" } else { "," })?;
        }
        out.push('}');
        if let Some(gender) = self.gender {
            write!(out, ",\"gender\":\"{gender}\"")?;
        }
        if let Some(year) = self.birth_year {
            write!(out, ",\"birth_year\":{year}")?;
        }
        write!(
            out,
            ",\"country\":\"{}\",\"utc_offset_min\":{},\"language\":\"{}\",\"ltv\":{:.2},\"monetary\":{:.2},\"frequency\":{},\"last_active\":\"",
            self.country, self.utc_offset_min, self.language, self.ltv, self.monetary, self.frequency
        )?;
        write_date(self.last_active_day, out)?;
        out.push_str("\",\"tags\":[");
        for (i, tag) in self.tags.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            let (name, dimension) = (tag.name(), tag.dimension());
            write!(
                out,
                "{comma}{{\"tag\":\"{name}\",\"dimension\":\"{dimension}\",\"weight\":{:.2},\"day\":\"",
                tag.weight
            )?;
            write_date(tag.day, out)?;
            out.push_str("\"}");
        }
        out.push_str("]}");
        Ok(())
    }
}

/// How often each pattern of [`TOPIC_TAGS`](crate::topics::TOPIC_TAGS) is seen of somebody with full interest.
/// The spending patterns (`cart`, `bought`) are scaled by spending as well.
const TOPIC_TAG_RATES: [f64; 11] = [0.95, 0.55, 0.6, 0.7, 0.7, 0.45, 0.4, 0.5, 0.55, 0.4, 0.25];
const CART: usize = 7;
const BOUGHT: usize = 8;
/// Chance of a topical tag that means nothing.
const FALSE_TAG: f64 = 0.008;

fn tags(user: &User, last_active_day: i32, random: &mut Random) -> Vec<WorldTag> {
    let mut tags = Vec::with_capacity(TAGS_MAX);
    for topic in Topic::all() {
        let interest = user.interest(topic);
        let pull = interest.powf(1.6);
        for (kind, rate) in TOPIC_TAG_RATES.iter().enumerate() {
            let spending = if kind == CART || kind == BOUGHT {
                0.3 + 1.2 * user.spending
            } else {
                1.0
            };
            if random.chance(rate * pull * spending + FALSE_TAG) {
                tags.push(seen(topical_tag(topic, kind), interest, last_active_day, random));
            }
        }
    }
    general_tags(user, last_active_day, &mut tags, random);
    fill_up(user, last_active_day, &mut tags, random);
    while tags.len() > TAGS_MAX {
        tags.remove(random.below(tags.len() as u64) as usize);
    }
    tags.sort_by_key(|tag| tag.tag);
    tags
}

fn general_tags(user: &User, last_active_day: i32, tags: &mut Vec<WorldTag>, random: &mut Random) {
    let spending = user.spending;
    let level = spending + 0.15 * random.normal();
    let spender = ["spender:low", "spender:medium", "spender:high"]
        [usize::from(level > 0.4) + usize::from(level > 0.75)];
    let lifecycle = match user.lifecycle {
        Lifecycle::New => "lifecycle:new",
        Lifecycle::Active => "lifecycle:active",
        Lifecycle::Loyal => "lifecycle:loyal",
        Lifecycle::Dormant => "lifecycle:dormant",
        Lifecycle::Returning => "lifecycle:returning",
    };
    let readiness = user.responsiveness + 0.5 * random.normal();
    let desktop = if user.place.weight > 3.0 { 0.7 } else { 0.3 };
    let age = 2026 - i32::from(user.birth_year);
    for (name, probability) in [
        (spender, 0.9),
        (lifecycle, 0.85),
        ("bought:premium", 0.5 * spending * spending),
        ("bought:discount", 0.4 * (1.0 - spending)),
        ("bought:gift", 0.12),
        ("coupon:used", 0.35 * (1.0 - spending)),
        ("subscription:paid", 0.3 * spending),
        ("returns:often", 0.06),
        ("price:sensitive", 0.6 * (1.0 - spending)),
        ("quality:seeking", 0.5 * spending),
        ("home:owner", if age > 35 { 0.4 } else { 0.1 }),
        ("home:renter", if age > 35 { 0.15 } else { 0.4 }),
        ("commuter", 0.2),
        ("student", if age < 26 { 0.5 } else { 0.03 }),
        ("parent", if (28..55).contains(&age) { 0.4 } else { 0.05 }),
        ("urban", desktop),
        ("rural", 0.7 - desktop),
        (
            "device:multi",
            if user.second_device.is_some() { 0.8 } else { 0.02 },
        ),
        ("device:new", 0.1),
        ("ads:responsive", if readiness > 0.7 { 0.85 } else { 0.02 }),
        ("ads:indifferent", if readiness < -0.7 { 0.75 } else { 0.02 }),
        ("night:owl", if user.night_owl { 0.7 } else { 0.04 }),
        ("early:bird", if user.night_owl { 0.02 } else { 0.2 }),
        ("weekend:browser", 0.25),
        ("newsletter:reader", 0.2),
        ("reviews:writer", 0.08),
        ("groups:active", 0.12),
        ("influencer:follower", 0.1),
        ("cart:abandoned", 0.1),
        ("trial:ended", 0.04),
    ] {
        if random.chance(probability) {
            tags.push(seen(general_tag(name), probability, last_active_day, random));
        }
    }
}

/// Somebody with few traces still shows the interests that are strongest, so that no profile is empty.
fn fill_up(user: &User, last_active_day: i32, tags: &mut Vec<WorldTag>, random: &mut Random) {
    if tags.len() >= TAGS_MIN {
        return;
    }
    let mut order: [usize; TOPICS] = std::array::from_fn(|t| t);
    order.sort_by(|a, b| user.interests[*b].total_cmp(&user.interests[*a]));
    for t in order {
        let tag = topical_tag(Topic(t as u8), 0);
        if tags.len() < TAGS_MIN && tags.iter().all(|present| present.tag != tag) {
            tags.push(seen(tag, user.interests[t], last_active_day, random));
        }
    }
}

fn seen(tag: u16, strength: f64, last_active_day: i32, random: &mut Random) -> WorldTag {
    let weight = cents((strength + 0.15 * random.normal()).clamp(0.05, 1.0));
    let day = last_active_day - (random.exponential() * 25.0).min(700.0) as i32;
    WorldTag { tag, weight, day }
}

fn purchases(user: &User, random: &mut Random) -> u16 {
    let mean = match user.lifecycle {
        Lifecycle::New => 0.3,
        Lifecycle::Active => 3.0,
        Lifecycle::Loyal => 9.0,
        Lifecycle::Dormant => 1.5,
        Lifecycle::Returning => 4.0,
    };
    (mean * (0.4 + 1.2 * user.spending) * random.exponential()).min(500.0) as u16
}

fn days_since_active(lifecycle: Lifecycle, random: &mut Random) -> i32 {
    let mean = match lifecycle {
        Lifecycle::Dormant => 90.0,
        Lifecycle::New | Lifecycle::Active | Lifecycle::Loyal | Lifecycle::Returning => 5.0,
    };
    (mean * random.exponential()).min(720.0) as i32
}

fn cents(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Days since 1970-01-01 as YYYY-MM-DD (civil calendar from 400-year cycles that start on 1 March).
fn write_date(day: i32, out: &mut String) -> std::fmt::Result {
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = era * 400 + year_of_era + i32::from(month <= 2);
    write!(
        out,
        "{year:04}-{month:02}-{:02}",
        of_year - (153 * shifted_month + 2) / 5 + 1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_written_as_dates() {
        for (day, date) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (11_016, "2000-02-29"),
            (20_513, "2026-03-01"),
        ] {
            let mut out = String::new();
            write_date(day, &mut out).unwrap();
            assert_eq!(out, date);
        }
    }
}
