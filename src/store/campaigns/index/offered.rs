//! The values that an opportunity offers in each dimension, with the parents that cover them.

use super::values::Offered;
use crate::store::campaigns::dimension::Dimension;
use crate::store::campaigns::opportunity::Opportunity;
use crate::units::Timestamp;

/// Calls `visit` with every value of a dimension whose values are keys by themselves, except postcodes.
pub(super) fn offer<'a>(
    o: &Opportunity<'a>,
    dimension: Dimension,
    now: Timestamp,
    visit: &mut impl FnMut(Offered<'_>),
) {
    let (device, channel) = (&o.request.device, &o.request.channel);
    match dimension {
        Dimension::Exchange => visit(Offered::text(o.exchange)),
        Dimension::Channel => numbers(channel.kind.code(), visit),
        Dimension::Deal => texts(o.deals(), visit),
        Dimension::Country => texts(o.place.country, visit),
        Dimension::Region => regions(o, visit),
        Dimension::City => texts(o.place.city, visit),
        Dimension::DeviceType => numbers(device.kind, visit),
        Dimension::Make => texts(device.make, visit),
        Dimension::Model => texts(device.model, visit),
        Dimension::Os => texts(device.os, visit),
        Dimension::Browser => texts(device.browser, visit),
        Dimension::Language => languages(device.language, visit),
        Dimension::Connection => numbers(device.connection, visit),
        Dimension::Carrier => texts(device.carrier, visit),
        Dimension::Hours => visit(Offered::Number(o.user_time.index() as u64)),
        Dimension::Site => domains(o.domain, visit),
        Dimension::App => texts(o.app().into_iter().flatten(), visit),
        Dimension::Bundle => texts(channel.bundle, visit),
        Dimension::Dooh => texts(o.dooh().into_iter().flatten(), visit),
        Dimension::Venue => o.venues().for_each(|venue| venues(venue, visit)),
        Dimension::Publisher => texts(o.publisher().into_iter().flatten(), visit),
        Dimension::Placement => texts(o.imp.tagid, visit),
        Dimension::Category => o.categories().for_each(|category| categories(category, visit)),
        Dimension::Keyword => texts(o.keywords().iter().copied(), visit),
        Dimension::Position => numbers(o.positions().into_iter().flatten(), visit),
        Dimension::Instl => visit(Offered::Number(o.imp.instl.into())),
        Dimension::Rewarded => visit(Offered::Number(o.imp.rewarded.into())),
        Dimension::VideoPlacement => numbers(o.video_placement(), visit),
        Dimension::AudioFeed => numbers(o.audio_feed(), visit),
        Dimension::Signal => texts(o.active_signals(now), visit),
        _ => {}
    }
}

fn texts<'a>(values: impl IntoIterator<Item = &'a str>, visit: &mut impl FnMut(Offered<'_>)) {
    values.into_iter().for_each(|value| visit(Offered::text(value)));
}

fn numbers(values: impl IntoIterator<Item = u32>, visit: &mut impl FnMut(Offered<'_>)) {
    values
        .into_iter()
        .for_each(|value| visit(Offered::Number(value.into())));
}

/// `CA` and `USA-CA`.
fn regions(o: &Opportunity, visit: &mut impl FnMut(Offered<'_>)) {
    let Some(region) = o.place.region else { return };
    visit(Offered::text(region));
    if let Some(country) = o.place.country {
        visit(Offered::Text([country, "-", region]));
    }
}

/// `en-GB` and `en`.
fn languages(language: Option<&str>, visit: &mut impl FnMut(Offered<'_>)) {
    let Some(language) = language else { return };
    visit(Offered::text(language));
    if let Some(end) = language.find(['-', '_']) {
        visit(Offered::text(&language[..end]));
    }
}

/// `a.b.example`, `b.example`, `example`.
fn domains(domain: Option<&str>, visit: &mut impl FnMut(Offered<'_>)) {
    let mut rest = domain;
    while let Some(suffix) = rest {
        visit(Offered::text(suffix));
        rest = suffix.split_once('.').map(|(_, suffix)| suffix);
    }
}

/// `transit.airports` and `transit`.
fn venues(venue: &str, visit: &mut impl FnMut(Offered<'_>)) {
    visit(Offered::text(venue));
    for (end, _) in venue.match_indices('.') {
        visit(Offered::text(&venue[..end]));
    }
}

/// `IAB1-6` and `IAB1`; ids of other taxonomies show no parents.
fn categories(category: &str, visit: &mut impl FnMut(Offered<'_>)) {
    visit(Offered::text(category));
    if !category
        .get(..3)
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case("IAB"))
    {
        return;
    }
    for (end, _) in category.match_indices('-').filter(|(end, _)| *end > 3) {
        visit(Offered::text(&category[..end]));
    }
}
