//! What one imp of a request offers to a targeting, worked out once from the wire's many positions.

use super::signal::Signals;
use super::version::Version;
use crate::openrtb::request::{ChannelKind, Geo, Imp, Request, Size};
use crate::store::profiles::Profile;
use crate::units::{HourOfWeek, Timestamp};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest host name (RFC 1035, section 2.3.4); longer text is no domain and is not looked up label by label.
const DOMAIN_BYTES_MAX: usize = 253;
/// Longer than any category id; longer text is not looked up parent by parent.
const CATEGORY_BYTES_MAX: usize = 64;
/// Longer than any venue type; longer text is not looked up parent by parent.
const VENUE_BYTES_MAX: usize = 128;
/// Clocks on earth are within 14 hours of UTC.
const UTC_OFFSET_MIN_MAX: i32 = 14 * 60;

/// One imp in its request, at one exchange, at the user's own hour of the week.
#[derive(Clone, Copy, Debug)]
pub struct Opportunity<'a> {
    pub request: &'a Request<'a>,
    pub imp: &'a Imp<'a>,
    pub exchange: &'a str,
    pub user_time: HourOfWeek,
    pub signals: &'a Signals,
    pub place: Place<'a>,
    /// `site.domain`, else the host of `site.page`; or `dooh.domain`. Without a trailing dot.
    pub domain: Option<&'a str>,
    pub os_version: Option<Version>,
    /// IPv4 addresses within IPv6 are IPv4.
    pub ip: Option<IpAddr>,
    /// The page or app is directed to children (COPPA), so the user is taken for one.
    pub child_directed: bool,
}

/// Where the user is: `device.geo` where that says anything, else `user.geo`. The two are never mixed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place<'a> {
    pub country: Option<&'a str>,
    /// The subdivision alone: `CA` also where the request says `US-CA`.
    pub region: Option<&'a str>,
    pub city: Option<&'a str>,
    pub postcode: Option<&'a str>,
    /// Latitude and longitude in degrees, both in range.
    pub point: Option<(f64, f64)>,
}

impl<'a> Opportunity<'a> {
    pub fn new(
        request: &'a Request<'a>,
        imp: &'a Imp<'a>,
        exchange: &'a str,
        user_time: HourOfWeek,
        signals: &'a Signals,
    ) -> Opportunity<'a> {
        Opportunity {
            request,
            imp,
            exchange,
            user_time,
            signals,
            place: Place::of(request),
            domain: site_domain(request),
            os_version: request.device.osv.and_then(Version::parse),
            ip: request.device.ip.map(|ip| ip.to_canonical()),
            child_directed: request.regs.coppa,
        }
    }

    /// Without the exact point where it may not be used; a radius then meets nobody.
    pub fn with_precise_location(mut self, allowed: bool) -> Opportunity<'a> {
        if !allowed {
            self.place.point = None;
        }
        self
    }

    /// With the address of the network alone where the exact one may not be used: the last 8 bits of IPv4 and the last 80 of
    /// IPv6 are 0.
    pub fn with_exact_address(mut self, allowed: bool) -> Opportunity<'a> {
        if !allowed {
            self.ip = self.ip.map(network_of);
        }
        self
    }

    /// Name and id of the app.
    pub fn app(&self) -> [Option<&'a str>; 2] {
        let channel = &self.request.channel;
        if channel.kind == ChannelKind::App {
            [channel.name, channel.id]
        } else {
            [None, None]
        }
    }

    /// Name and id of the DOOH placement.
    pub fn dooh(&self) -> [Option<&'a str>; 2] {
        let channel = &self.request.channel;
        if channel.kind == ChannelKind::Dooh {
            [channel.name, channel.id]
        } else {
            [None, None]
        }
    }

    /// The venue types of the DOOH placement.
    pub fn venues(&self) -> impl Iterator<Item = &'a str> {
        let request = self.request;
        request
            .strs(request.channel.venues)
            .iter()
            .copied()
            .filter(|venue| venue.len() <= VENUE_BYTES_MAX)
    }

    /// Id and domain of the publisher.
    pub fn publisher(&self) -> [Option<&'a str>; 2] {
        [
            self.request.channel.publisher_id,
            self.request.channel.publisher_domain,
        ]
    }

    /// `pos` of the banner and of the video; they may differ.
    pub fn positions(&self) -> [Option<u32>; 2] {
        [
            self.imp.banner.and_then(|b| b.pos),
            self.imp.video.and_then(|v| v.pos),
        ]
    }

    /// The deprecated `placement` is none: what it called in-stream is several things now (section 3.2.7).
    pub fn video_placement(&self) -> Option<u32> {
        self.imp.video.and_then(|video| video.plcmt)
    }

    pub fn audio_feed(&self) -> Option<u32> {
        self.imp.audio.and_then(|audio| audio.feed)
    }

    /// The sizes of the banner; `None` = no banner, empty = any size.
    pub fn banner_sizes(&self) -> Option<&'a [Size]> {
        self.imp.banner.as_ref().map(|banner| self.request.sizes(banner))
    }

    pub fn categories(&self) -> impl Iterator<Item = &'a str> {
        let request = self.request;
        request
            .strs(request.channel.categories)
            .iter()
            .copied()
            .filter(|c| c.len() <= CATEGORY_BYTES_MAX)
    }

    /// Keywords of channel and content. The user's own are personal data and not offered.
    pub fn keywords(&self) -> &'a [&'a str] {
        self.request.strs(self.request.channel.keywords)
    }

    pub fn deals(&self) -> impl Iterator<Item = &'a str> {
        self.request.deals(self.imp).iter().map(|deal| deal.id)
    }

    pub fn active_signals(&self, now: Timestamp) -> impl Iterator<Item = &'a str> {
        self.signals.active(&self.place, now)
    }
}

impl<'a> Place<'a> {
    pub fn of(request: &Request<'a>) -> Place<'a> {
        let device = Place::from_geo(&request.device.geo);
        if device.is_empty() {
            Place::from_geo(&request.user.geo)
        } else {
            device
        }
    }

    fn from_geo(geo: &Geo<'a>) -> Place<'a> {
        let in_range = |lat: &f64, lon: &f64| lat.abs() <= 90.0 && lon.abs() <= 180.0;
        Place {
            country: geo.country,
            region: geo
                .region
                .map(|region| region.split_once('-').map_or(region, |(_, alone)| alone)),
            city: geo.city,
            postcode: geo.zip,
            point: geo.lat.zip(geo.lon).filter(|(lat, lon)| in_range(lat, lon)),
        }
    }

    fn is_empty(&self) -> bool {
        self.country
            .or(self.region)
            .or(self.city)
            .or(self.postcode)
            .is_none()
            && self.point.is_none()
    }
}

/// The hour of the week where the user is: by the offset of `device.geo`, else `user.geo`, else the profile, else the
/// default. Offsets that no clock on earth has are passed over.
pub fn user_hour(
    request: &Request,
    profile: Option<&Profile>,
    default_offset_min: i32,
    now: Timestamp,
) -> HourOfWeek {
    let known = profile.and_then(|profile| profile.utc_offset_min).map(i32::from);
    let offset = [
        request.device.geo.utc_offset_min,
        request.user.geo.utc_offset_min,
        known,
    ]
    .into_iter()
    .flatten()
    .find(|offset| offset.abs() <= UTC_OFFSET_MIN_MAX)
    .unwrap_or(default_offset_min);
    now.hour_of_week(offset)
}

/// Whether `wanted`, `COUNTRY-REGION` or a region alone, is the region of `place`.
pub(super) fn region_is(wanted: &str, place: &Place) -> bool {
    let Some(region) = place.region else { return false };
    let in_country = || {
        let (country, rest) = wanted.split_at_checked(place.country?.len())?;
        let same = country.eq_ignore_ascii_case(place.country?);
        Some(same && rest.strip_prefix('-')?.eq_ignore_ascii_case(region))
    };
    wanted.eq_ignore_ascii_case(region) || in_country().unwrap_or(false)
}

/// What names a site, an app or a screen, for what is learnt by place: the bundle, else the domain, else the seller's id.
pub fn place_of<'a>(request: &Request<'a>) -> Option<&'a str> {
    let channel = &request.channel;
    channel.bundle.or_else(|| site_domain(request)).or(channel.id)
}

fn site_domain<'a>(request: &Request<'a>) -> Option<&'a str> {
    let channel = &request.channel;
    if !matches!(channel.kind, ChannelKind::Site | ChannelKind::Dooh) {
        return None;
    }
    let domain = channel
        .domain
        .or_else(|| channel.page.and_then(host))?
        .trim_ascii()
        .trim_end_matches('.');
    (!domain.is_empty() && domain.len() <= DOMAIN_BYTES_MAX).then_some(domain)
}

/// The host of `scheme://user@host:port/path`.
fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    host.split(':').next()
}

fn network_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & !0xff).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 80 << 80).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_found_in_a_page_url() {
        for (url, expected) in [
            ("https://News.example/a?b", Some("News.example")),
            ("http://u:p@a.example:8080", Some("a.example")),
            ("a.example/x", None),
        ] {
            assert_eq!(host(url), expected, "{url}");
        }
    }

    #[test]
    fn the_users_hour_takes_the_first_offset_a_clock_can_have() {
        let mut request = Request::default();
        let now = Timestamp(0);
        let hour = |request: &Request| user_hour(request, None, 60, now).hour();
        assert_eq!(hour(&request), 1);
        request.user.geo.utc_offset_min = Some(120);
        assert_eq!(hour(&request), 2);
        request.device.geo.utc_offset_min = Some(9_999);
        assert_eq!(hour(&request), 2);
        request.device.geo.utc_offset_min = Some(180);
        assert_eq!(hour(&request), 3);
    }
}
