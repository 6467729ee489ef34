//! What people, pages and ads are about: 24 topics, their IAB categories, and the vocabulary of tags.
//! Invariant: topics and tags keep their order; other parts refer to them by position.

use crate::random::mix;
use std::sync::LazyLock;

/// How many topics there are.
pub const TOPICS: usize = 24;

/// A position in [`Topic::all`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Topic(pub u8);

impl Topic {
    pub fn all() -> impl Iterator<Item = Topic> {
        (0..TOPICS as u8).map(Topic)
    }

    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    pub fn name(self) -> &'static str {
        TABLE[self.index()].0
    }

    /// The category of the IAB Content Taxonomy 1.0 that stands for the topic.
    pub fn category(self) -> &'static str {
        TABLE[self.index()].1
    }

    /// The topic of a category: its own row, else that of the first row with the same parent.
    pub fn of_category(category: &str) -> Option<Topic> {
        let parent = parent_of(category);
        Topic::all()
            .find(|topic| topic.category() == category)
            .or_else(|| Topic::all().find(|topic| parent_of(topic.category()) == parent))
            .or_else(|| {
                NEARBY
                    .iter()
                    .find(|(near, _)| *near == parent)
                    .map(|(_, topic)| Topic(*topic))
            })
    }

    /// A topic for a domain whose categories say nothing.
    pub fn of_domain(domain: &str) -> Topic {
        Topic((hash_of(domain) % TOPICS as u64) as u8)
    }

    /// How liking one topic goes with liking the other: 1 for itself, 0.35 within a circle, else 0.
    pub fn kinship(self, other: Topic) -> f64 {
        if self == other {
            1.0
        } else if TABLE[self.index()].2 == TABLE[other.index()].2 {
            0.35
        } else {
            0.0
        }
    }

    /// The circle of related topics that this one belongs to, 0..=6.
    pub(crate) fn circle(self) -> u8 {
        TABLE[self.index()].2
    }
}

/// One word of the tag vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagName {
    pub name: &'static str,
    /// `attribute`, `behaviour`, `spending`, `social` or `lifecycle`.
    pub dimension: &'static str,
}

/// The whole vocabulary: [`TOPIC_TAGS`] per topic, topic by topic, then [`GENERAL_TAGS`].
pub fn vocabulary() -> &'static [TagName] {
    static ALL: LazyLock<Vec<TagName>> = LazyLock::new(|| {
        let topical = Topic::all().flat_map(|topic| {
            TOPIC_TAGS.iter().map(move |(pattern, dimension)| TagName {
                name: pattern.replace('*', topic.name()).leak(),
                dimension,
            })
        });
        let general = GENERAL_TAGS
            .iter()
            .map(|&(name, dimension)| TagName { name, dimension });
        topical.chain(general).collect()
    });
    &ALL
}

/// The position in [`vocabulary`] of the `kind`-th topical tag of a topic.
pub(crate) fn topical_tag(topic: Topic, kind: usize) -> u16 {
    (topic.index() * TOPIC_TAGS.len() + kind) as u16
}

/// The position in [`vocabulary`] of the general tag of this name.
pub(crate) fn general_tag(name: &str) -> u16 {
    let at = GENERAL_TAGS.iter().position(|(general, _)| *general == name);
    (TOPICS * TOPIC_TAGS.len() + at.expect("a name from GENERAL_TAGS")) as u16
}

/// FNV-1a, finished: the same on every machine.
pub(crate) fn hash_of(text: &str) -> u64 {
    let fnv = text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
    });
    mix(fnv)
}

/// Patterns of the tags that every topic has.
pub const TOPIC_TAGS: [(&str, &str); 11] = [
    ("interest:*", "attribute"),
    ("visited:*-forum", "behaviour"),
    ("visited:*-shop", "behaviour"),
    ("read:*-news", "behaviour"),
    ("searched:*", "behaviour"),
    ("watched:*-video", "behaviour"),
    ("compared:*-prices", "behaviour"),
    ("cart:*", "spending"),
    ("bought:*", "spending"),
    ("follows:*", "social"),
    ("shared:*", "social"),
];

/// Tags that belong to no topic.
pub const GENERAL_TAGS: [(&str, &str); 36] = [
    ("spender:high", "spending"),
    ("spender:medium", "spending"),
    ("spender:low", "spending"),
    ("bought:premium", "spending"),
    ("bought:discount", "spending"),
    ("bought:gift", "spending"),
    ("coupon:used", "spending"),
    ("subscription:paid", "spending"),
    ("returns:often", "spending"),
    ("price:sensitive", "attribute"),
    ("quality:seeking", "attribute"),
    ("home:owner", "attribute"),
    ("home:renter", "attribute"),
    ("commuter", "attribute"),
    ("student", "attribute"),
    ("parent", "attribute"),
    ("urban", "attribute"),
    ("rural", "attribute"),
    ("device:multi", "attribute"),
    ("device:new", "attribute"),
    ("ads:responsive", "behaviour"),
    ("ads:indifferent", "behaviour"),
    ("night:owl", "behaviour"),
    ("early:bird", "behaviour"),
    ("weekend:browser", "behaviour"),
    ("newsletter:reader", "behaviour"),
    ("reviews:writer", "social"),
    ("groups:active", "social"),
    ("influencer:follower", "social"),
    ("lifecycle:new", "lifecycle"),
    ("lifecycle:active", "lifecycle"),
    ("lifecycle:loyal", "lifecycle"),
    ("lifecycle:dormant", "lifecycle"),
    ("lifecycle:returning", "lifecycle"),
    ("cart:abandoned", "lifecycle"),
    ("trial:ended", "lifecycle"),
];

/// Name, category, circle. Health, money, faith and politics are left out on purpose: those are sensitive.
const TABLE: [(&str, &str, u8); TOPICS] = [
    ("car", "IAB2", 0),
    ("travel", "IAB20", 1),
    ("food", "IAB8", 2),
    ("fashion", "IAB18", 3),
    ("beauty", "IAB18-1", 3),
    ("tech", "IAB19", 4),
    ("gaming", "IAB9-30", 4),
    ("sports", "IAB17", 0),
    ("fitness", "IAB7-1", 3),
    ("business", "IAB3", 5),
    ("home", "IAB10", 2),
    ("garden", "IAB10-4", 2),
    ("pets", "IAB16", 2),
    ("music", "IAB1-6", 6),
    ("movies", "IAB1-5", 6),
    ("books", "IAB1-1", 6),
    ("news", "IAB12", 5),
    ("science", "IAB15", 4),
    ("education", "IAB5", 5),
    ("careers", "IAB4", 5),
    ("family", "IAB6", 2),
    ("realestate", "IAB21", 1),
    ("shopping", "IAB22", 3),
    ("photography", "IAB9-23", 1),
];

/// Parents that no topic has, and the topic that comes nearest.
const NEARBY: [(&str, u8); 4] = [("IAB13", 9), ("IAB11", 16), ("IAB14", 20), ("IAB23", 20)];

fn parent_of(category: &str) -> &str {
    category.split('-').next().unwrap_or(category)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_lead_to_topics() {
        for (category, topic) in [
            ("IAB2", Some("car")),
            ("IAB2-3", Some("car")),
            ("IAB18-1", Some("beauty")),
            ("IAB18-4", Some("fashion")),
            ("IAB9-30", Some("gaming")),
            ("IAB13-2", Some("business")),
            ("IAB26", None),
            ("", None),
        ] {
            assert_eq!(Topic::of_category(category).map(Topic::name), topic, "{category}");
        }
    }

    #[test]
    fn the_vocabulary_has_three_hundred_different_names() {
        let names: std::collections::HashSet<_> = vocabulary().iter().map(|tag| tag.name).collect();
        assert_eq!(names.len(), 300);
        assert!(names.contains("visited:car-forum"));
        assert_eq!(
            vocabulary()[usize::from(topical_tag(Topic(1), 0))].name,
            "interest:travel"
        );
        assert_eq!(
            vocabulary()[usize::from(general_tag("bought:premium"))].name,
            "bought:premium"
        );
    }
}
