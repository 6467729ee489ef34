//! Where ads are shown: 280 sites and 120 apps. Invariant: a property is a function of (seed, index), and every topic has both.

use crate::random::{Random, Stream};
use crate::topics::{TOPICS, Topic};

/// A site or an app with its ad slots.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    pub index: u16,
    pub app: bool,
    pub topic: Topic,
    pub second_topic: Topic,
    pub name: String,
    /// Sites only.
    pub domain: String,
    /// Apps only.
    pub bundle: String,
    pub publisher: String,
    /// Effect on the logit of a click; a standard deviation of 0.4.
    pub quality: f64,
    /// What impressions here are worth, relative to the mean.
    pub value: f64,
    /// Share of impressions that are seen.
    pub viewability: f64,
    /// Still served over http.
    pub insecure: bool,
    /// Asks for first-price bids.
    pub first_price: bool,
    /// Refuses annoying creative attributes.
    pub strict: bool,
}

pub const PROPERTIES: usize = 400;
/// Three of ten are apps.
const APPS_OF_TEN: usize = 3;

/// All properties, ready for drawing by kind and topic.
#[derive(Clone, Debug)]
pub struct Properties {
    all: Vec<Property>,
    /// Running sums of popularity per (app, topic), beside the index.
    by_topic: Vec<Vec<(f64, u16)>>,
    /// Running sums of popularity per kind.
    by_kind: [Vec<(f64, u16)>; 2],
}

impl Properties {
    pub(crate) fn draw(seed: u64) -> Properties {
        let all: Vec<Property> = (0..PROPERTIES).map(|index| Property::draw(seed, index)).collect();
        let mut by_topic = vec![Vec::new(); 2 * TOPICS];
        let mut by_kind = [Vec::new(), Vec::new()];
        for property in &all {
            // Zipf's law, flattened at the top.
            let popularity = (f64::from(property.index) + 8.0).powf(-0.85);
            let kind = usize::from(property.app);
            add(&mut by_kind[kind], popularity, property.index);
            add(
                &mut by_topic[kind * TOPICS + property.topic.index()],
                popularity,
                property.index,
            );
        }
        Properties {
            all,
            by_topic,
            by_kind,
        }
    }

    pub fn get(&self, index: u16) -> &Property {
        &self.all[usize::from(index)]
    }

    pub fn iter(&self) -> impl Iterator<Item = &Property> {
        self.all.iter()
    }

    /// By popularity, among those of the kind (and topic, where given).
    pub(crate) fn pick(&self, app: bool, topic: Option<Topic>, random: &mut Random) -> &Property {
        let list = match topic {
            Some(topic) => &self.by_topic[usize::from(app) * TOPICS + topic.index()],
            None => &self.by_kind[usize::from(app)],
        };
        let total = list.last().expect("every topic has sites and apps").0;
        let wanted = random.unit() * total;
        let at = list.partition_point(|(sum, _)| *sum <= wanted);
        self.get(list[at.min(list.len() - 1)].1)
    }
}

impl Property {
    fn draw(seed: u64, index: usize) -> Property {
        let random = &mut Random::new(seed, Stream::Site, index as u64);
        let (ten, place) = (index / 10, index % 10);
        let app = place < APPS_OF_TEN;
        let ordinal = if app {
            ten * APPS_OF_TEN + place
        } else {
            ten * (10 - APPS_OF_TEN) + place - APPS_OF_TEN
        };
        let topic = Topic((ordinal % TOPICS) as u8);
        let noun = random.pick(if app { &APP_NOUNS } else { &SITE_NOUNS });
        let slug = format!("{}{noun}{index}", topic.name());
        Property {
            index: index as u16,
            app,
            topic,
            second_topic: Topic(random.below(TOPICS as u64) as u8),
            name: format!("{} {noun} {index}", topic.name()),
            domain: if app {
                String::new()
            } else {
                format!("{slug}.example")
            },
            bundle: if app {
                format!("com.example.{slug}")
            } else {
                String::new()
            },
            publisher: format!("pub-{:03}", index / 3),
            quality: 0.4 * random.normal().clamp(-2.5, 2.5),
            value: (0.4 * random.normal()).exp(),
            viewability: (0.62 + 0.15 * random.normal()).clamp(0.2, 0.95),
            insecure: random.chance(0.06),
            first_price: random.chance(0.65),
            strict: random.chance(0.5),
        }
    }
}

fn add(list: &mut Vec<(f64, u16)>, popularity: f64, index: u16) {
    let sum = list.last().map_or(0.0, |(sum, _)| *sum);
    list.push((sum + popularity, index));
}

const SITE_NOUNS: [&str; 8] = [
    "daily", "forum", "magazine", "guide", "world", "review", "hub", "blog",
];
const APP_NOUNS: [&str; 6] = ["pocket", "go", "club", "quiz", "feed", "planner"];
