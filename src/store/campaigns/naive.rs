//! Matching as a plain loop: the judge of the index, the answer of *explain*, and the matcher of multipliers and policy.
//!
//! It compares text with text where the index compares hashes, and shares nothing with it but the opportunity.

use super::compiled::{Format, LineItem};
use super::definition::{IpRange, Targeting, Terms, VersionRange};
use super::dimension::Dimension;
use super::opportunity::{Opportunity, region_is};
use super::version::Version;
use crate::openrtb::{category, domain};
use crate::store::profiles::Profile;
use crate::units::Timestamp;

/// The product of multipliers stays within × 0.1 and × 10: a typo in one must not spend a budget in an hour.
const MULTIPLIER_MILLI: std::ops::RangeInclusive<u64> = 100..=10_000;

/// The first thing that keeps the line item from the opportunity, in the order of [`Dimension::ALL`]; `None` = it matches.
pub fn first_mismatch(
    item: &LineItem,
    opportunity: &Opportunity,
    profile: Option<&Profile>,
    now: Timestamp,
) -> Option<Dimension> {
    if !item.serving {
        return Some(Dimension::Status);
    }
    if !item.flight.contains(now) {
        return Some(Dimension::Flight);
    }
    if !item.formats.iter().any(|format| takes(opportunity, *format)) {
        return Some(Dimension::Format);
    }
    targeting_mismatch(&item.definition.targeting, opportunity, profile, now)
}

/// The first dimension of the targeting that the opportunity does not meet.
pub fn targeting_mismatch(
    targeting: &Targeting,
    opportunity: &Opportunity,
    profile: Option<&Profile>,
    now: Timestamp,
) -> Option<Dimension> {
    let targeted = &Dimension::ALL[Dimension::Exchange as usize..];
    targeted
        .iter()
        .copied()
        .find(|dimension| !targeting_meets(targeting, *dimension, opportunity, profile, now))
}

/// The product of the line item's multipliers that hold, in thousandths, within 100..=10,000.
pub fn multiplier_milli(
    item: &LineItem,
    opportunity: &Opportunity,
    profile: Option<&Profile>,
    now: Timestamp,
) -> u32 {
    let holding = item
        .definition
        .multipliers
        .iter()
        .filter(|multiplier| targeting_mismatch(&multiplier.when, opportunity, profile, now).is_none());
    // Nanos of a factor: products of thousandths are exact for three factors, then rounded down.
    let product = holding.fold(1_000_000_000_u64, |product, multiplier| {
        (product.saturating_mul(multiplier.factor_milli.into()) / 1000).min(1_000_000_000_000_000)
    });
    ((product + 500_000) / 1_000_000).clamp(*MULTIPLIER_MILLI.start(), *MULTIPLIER_MILLI.end()) as u32
}

/// Whether the imp takes an ad of this format. Finer demands (MIME types, durations, assets) are the creative's.
pub fn takes(opportunity: &Opportunity, format: Format) -> bool {
    match format {
        Format::Banner { w, h } => opportunity
            .banner_sizes()
            .is_some_and(|sizes| sizes.is_empty() || sizes.iter().any(|size| size.takes(w, h))),
        Format::Video => opportunity.imp.video.is_some(),
        Format::Audio => opportunity.imp.audio.is_some(),
        Format::Native => opportunity.imp.native.is_some(),
    }
}

/// Whether the opportunity meets one dimension of the targeting.
pub(super) fn targeting_meets(
    t: &Targeting,
    dimension: Dimension,
    o: &Opportunity,
    profile: Option<&Profile>,
    now: Timestamp,
) -> bool {
    let (device, place) = (&o.request.device, &o.place);
    match dimension {
        Dimension::Status | Dimension::Flight | Dimension::Format => true,
        Dimension::Exchange => text(&t.exchange, [Some(o.exchange)]),
        Dimension::Channel => number(&t.channel, [o.request.channel.kind.code()]),
        Dimension::Deal => terms(&t.deal, |wanted| {
            o.deals().any(|id| id.eq_ignore_ascii_case(wanted))
        }),
        Dimension::Country => text(&t.country, [place.country]),
        Dimension::Region => terms(&t.region, |wanted| region_is(wanted, place)),
        Dimension::City => text(&t.city, [place.city]),
        Dimension::Postcode => terms(&t.postcode, |w| {
            place.postcode.is_some_and(|code| postcode_is(w, code))
        }),
        Dimension::Radius => terms(&t.radius, |circle| {
            place.point.is_some_and(|point| circle.contains(point))
        }),
        Dimension::DeviceType => number(&t.device_type, [device.kind]),
        Dimension::Make => text(&t.make, [device.make]),
        Dimension::Model => text(&t.model, [device.model]),
        Dimension::Os => text(&t.os, [device.os]),
        Dimension::OsVersion => version_is(&t.os_version, o.os_version),
        Dimension::Browser => text(&t.browser, [device.browser]),
        Dimension::Language => terms(&t.language, |w| {
            device.language.is_some_and(|offered| language_is(w, offered))
        }),
        Dimension::Connection => number(&t.connection, [device.connection]),
        Dimension::Carrier => text(&t.carrier, [device.carrier]),
        Dimension::Hours => t.hours.contains(o.user_time),
        Dimension::Site => terms(&t.site, |wanted| {
            o.domain.is_some_and(|site| domain::covers(wanted, site))
        }),
        Dimension::App => text(&t.app, o.app()),
        Dimension::Bundle => text(&t.bundle, [o.request.channel.bundle]),
        Dimension::Dooh => text(&t.dooh, o.dooh()),
        Dimension::Venue => terms(&t.venue, |wanted| o.venues().any(|venue| venue_is(wanted, venue))),
        Dimension::Publisher => text(&t.publisher, o.publisher()),
        Dimension::Placement => text(&t.placement, [o.imp.tagid]),
        Dimension::Category => terms(&t.category, |wanted| {
            o.categories().any(|c| category::covers(wanted, c))
        }),
        Dimension::Keyword => terms(&t.keyword, |wanted| {
            o.keywords().iter().any(|k| k.eq_ignore_ascii_case(wanted))
        }),
        Dimension::Position => number(&t.position, o.positions()),
        Dimension::Instl => t.instl.is_none_or(|wanted| wanted == o.imp.instl),
        Dimension::Rewarded => t.rewarded.is_none_or(|wanted| wanted == o.imp.rewarded),
        Dimension::VideoPlacement => number(&t.video_placement, [o.video_placement()]),
        Dimension::AudioFeed => number(&t.audio_feed, [o.audio_feed()]),
        Dimension::Ip => terms(&t.ip, |range| o.ip.is_some_and(|ip| range.contains(ip))),
        Dimension::Signal => terms(&t.signal, |wanted| {
            o.active_signals(now).any(|s| s.eq_ignore_ascii_case(wanted))
        }),
        Dimension::Audience => t
            .audience
            .as_ref()
            .is_none_or(|audience| audience.matches(profile, now)),
    }
}

fn terms<T>(terms: &Terms<T>, offered: impl Fn(&T) -> bool) -> bool {
    (terms.include.is_empty() || terms.include.iter().any(&offered)) && !terms.exclude.iter().any(&offered)
}

fn text<const N: usize>(wanted: &Terms<String>, offered: [Option<&str>; N]) -> bool {
    terms(wanted, |w| {
        offered
            .iter()
            .flatten()
            .any(|value| value.eq_ignore_ascii_case(w))
    })
}

fn number<const N: usize>(wanted: &Terms<u32>, offered: [Option<u32>; N]) -> bool {
    terms(wanted, |w| offered.contains(&Some(*w)))
}

fn postcode_is(wanted: &str, postcode: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(prefix) => postcode
            .as_bytes()
            .get(..prefix.len())
            .is_some_and(|p| p.eq_ignore_ascii_case(prefix.as_bytes())),
        None => wanted.eq_ignore_ascii_case(postcode),
    }
}

fn venue_is(wanted: &str, venue: &str) -> bool {
    let (head, rest) = venue.as_bytes().split_at(venue.len().min(wanted.len()));
    head.eq_ignore_ascii_case(wanted.as_bytes()) && (rest.is_empty() || rest[0] == b'.')
}

fn language_is(wanted: &str, offered: &str) -> bool {
    let primary = offered.split(['-', '_']).next().unwrap_or(offered);
    wanted.eq_ignore_ascii_case(offered) || wanted.eq_ignore_ascii_case(primary)
}

fn version_is(range: &VersionRange, offered: Option<Version>) -> bool {
    let min = range.min.as_deref().map(Version::parse);
    let max = range.max.as_deref().map(Version::parse_upper);
    match offered {
        None => min.is_none() && max.is_none(),
        Some(version) => {
            min.is_none_or(|min| min.is_some_and(|min| min <= version))
                && max.is_none_or(|max| max.is_some_and(|max| version <= max))
        }
    }
}

impl IpRange {
    /// IPv4 addresses within IPv6 are IPv4; ranges of one family hold none of the other.
    pub fn contains(&self, ip: std::net::IpAddr) -> bool {
        let (first, last, ip) = (
            self.first.to_canonical(),
            self.last.to_canonical(),
            ip.to_canonical(),
        );
        first.is_ipv4() == ip.is_ipv4() && last.is_ipv4() == ip.is_ipv4() && (first..=last).contains(&ip)
    }
}
