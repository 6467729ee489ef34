//! What a targeting wants and refuses in each dimension, as keys of the index.

use super::values::Key;
use crate::store::campaigns::definition::{Targeting, Terms};
use crate::store::campaigns::dimension::Dimension;

/// Dimensions whose configured values are keys by themselves; the others need cuts, cells or the line item.
pub(super) const DIMENSIONS: [Dimension; 31] = [
    Dimension::Exchange,
    Dimension::Channel,
    Dimension::Deal,
    Dimension::Country,
    Dimension::Region,
    Dimension::City,
    Dimension::Postcode,
    Dimension::DeviceType,
    Dimension::Make,
    Dimension::Model,
    Dimension::Os,
    Dimension::Browser,
    Dimension::Language,
    Dimension::Connection,
    Dimension::Carrier,
    Dimension::Hours,
    Dimension::Site,
    Dimension::App,
    Dimension::Bundle,
    Dimension::Dooh,
    Dimension::Venue,
    Dimension::Publisher,
    Dimension::Placement,
    Dimension::Category,
    Dimension::Keyword,
    Dimension::Position,
    Dimension::Instl,
    Dimension::Rewarded,
    Dimension::VideoPlacement,
    Dimension::AudioFeed,
    Dimension::Signal,
];

/// The keys of one of [`DIMENSIONS`].
pub(super) fn keys(t: &Targeting, dimension: Dimension) -> Terms<Key> {
    match dimension {
        Dimension::Exchange => texts(&t.exchange),
        Dimension::Channel => numbers(&t.channel),
        Dimension::Deal => texts(&t.deal),
        Dimension::Country => texts(&t.country),
        Dimension::Region => texts(&t.region),
        Dimension::City => texts(&t.city),
        Dimension::Postcode => texts(&t.postcode),
        Dimension::DeviceType => numbers(&t.device_type),
        Dimension::Make => texts(&t.make),
        Dimension::Model => texts(&t.model),
        Dimension::Os => texts(&t.os),
        Dimension::Browser => texts(&t.browser),
        Dimension::Language => texts(&t.language),
        Dimension::Connection => numbers(&t.connection),
        Dimension::Carrier => texts(&t.carrier),
        Dimension::Hours => included(t.hours.0.map(|_| (0..168).filter(|hour| has_hour(t, *hour)))),
        Dimension::Site => map(&t.site, |site| Key::text(normal_domain(site))),
        Dimension::App => texts(&t.app),
        Dimension::Bundle => texts(&t.bundle),
        Dimension::Dooh => texts(&t.dooh),
        Dimension::Venue => texts(&t.venue),
        Dimension::Publisher => texts(&t.publisher),
        Dimension::Placement => texts(&t.placement),
        Dimension::Category => texts(&t.category),
        Dimension::Keyword => texts(&t.keyword),
        Dimension::Position => numbers(&t.position),
        Dimension::Instl => included(t.instl.map(|wanted| [u64::from(wanted)])),
        Dimension::Rewarded => included(t.rewarded.map(|wanted| [u64::from(wanted)])),
        Dimension::VideoPlacement => numbers(&t.video_placement),
        Dimension::AudioFeed => numbers(&t.audio_feed),
        Dimension::Signal => texts(&t.signal),
        _ => Terms::default(),
    }
}

fn texts(terms: &Terms<String>) -> Terms<Key> {
    map(terms, |text| Key::text(text))
}

fn numbers(terms: &Terms<u32>) -> Terms<Key> {
    map(terms, |number| Key::Number((*number).into()))
}

fn included(numbers: Option<impl IntoIterator<Item = u64>>) -> Terms<Key> {
    let include = numbers.into_iter().flatten().map(Key::Number).collect();
    Terms {
        include,
        exclude: Vec::new(),
    }
}

fn map<T>(terms: &Terms<T>, key: impl Fn(&T) -> Key) -> Terms<Key> {
    Terms {
        include: terms.include.iter().map(&key).collect(),
        exclude: terms.exclude.iter().map(&key).collect(),
    }
}

fn has_hour(t: &Targeting, hour: u64) -> bool {
    t.hours
        .0
        .is_some_and(|bits| bits[hour as usize / 64] >> (hour % 64) & 1 == 1)
}

/// As [`crate::openrtb::domain::covers`] reads the covering domain: without spaces, trailing dots and a leading `www.`.
fn normal_domain(domain: &str) -> &str {
    let domain = domain.trim_ascii().trim_end_matches('.');
    match domain.split_at_checked(4) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("www.") => rest,
        _ => domain,
    }
}
