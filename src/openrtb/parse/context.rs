//! Where the ad would be shown and on what: `site`, `app` or `dooh`, and `device`.

use super::tape::Value;
use super::{Malformed, Parser};
use crate::openrtb::browser;
use crate::openrtb::request::{Channel, ChannelKind, Device, Geo};
use std::net::IpAddr;

/// `Content`, section 3.2.16, as far as it is used; its lists wait until the channel's own have been read.
#[derive(Default)]
struct Content<'t, 'a> {
    cat: Option<Value<'t, 'a>>,
    cattax: u32,
    keywords: [Option<Value<'t, 'a>>; 2],
    language: Option<&'a str>,
}

impl<'a> Parser<'_, 'a> {
    /// `Site`, `App` or `DOOH` (sections 3.2.13, 3.2.14, 3.2.32): at most one.
    pub fn channel(&mut self, candidates: [Option<Value<'_, 'a>>; 3]) -> Result<(), Malformed> {
        let kinds = [ChannelKind::Site, ChannelKind::App, ChannelKind::Dooh];
        let mut found = candidates
            .into_iter()
            .zip(kinds)
            .filter_map(|(value, kind)| Some((value?, kind)).filter(|(value, _)| value.is_object()));
        if let Some((value, kind)) = found.next() {
            if found.next().is_some() {
                return Err(Malformed::SeveralChannels);
            }
            self.request.channel = self.read_channel(value, kind);
        }
        Ok(())
    }

    fn read_channel(&mut self, value: Value<'_, 'a>, kind: ChannelKind) -> Channel<'a> {
        let mut channel = Channel {
            kind,
            cattax: 1,
            ..Channel::default()
        };
        let mut categories = [None; 3];
        let mut keywords = [None; 2];
        let mut venues = [None; 2];
        let mut content = Content::default();
        let mut partner = None;
        for (key, value) in value.fields() {
            match key {
                "id" => channel.id = self.text(value),
                "name" => channel.name = value.text(),
                "domain" => channel.domain = value.text(),
                "page" => channel.page = value.text(),
                "bundle" if kind == ChannelKind::App => channel.bundle = self.text(value),
                "publisher" => (channel.publisher_id, channel.publisher_domain) = self.publisher(value),
                "inventorypartnerdomain" => channel.inventory_partner_domain = value.text(),
                // Its position in 2.5.
                "ext" => partner = value.field("inventorypartnerdomain").and_then(Value::text),
                "cat" => categories[0] = Some(value),
                "sectioncat" => categories[1] = Some(value),
                "pagecat" => categories[2] = Some(value),
                "cattax" => channel.cattax = value.uint().unwrap_or(1),
                "keywords" => keywords[0] = Some(value),
                "kwarray" => keywords[1] = Some(value),
                "content" => content = read_content(value),
                // The specification's own example in section 7.9.6 writes `venuetypeid`.
                "venuetype" if kind == ChannelKind::Dooh => venues[0] = Some(value),
                "venuetypeid" if kind == ChannelKind::Dooh => venues[1] = Some(value),
                _ => {}
            }
        }
        let start = self.request.strs.len();
        for list in venues.into_iter().flatten() {
            self.push_strs(list);
        }
        channel.venues = self.strs_since(start);
        channel.content_language = content.language;
        channel.inventory_partner_domain = channel.inventory_partner_domain.or(partner);
        self.push_channel_lists(&mut channel, categories, keywords, &content);
        channel
    }

    /// Categories of different taxonomies are not comparable: the content's count only beside the channel's own,
    /// or instead of them.
    fn push_channel_lists<'t>(
        &mut self,
        channel: &mut Channel<'a>,
        categories: [Option<Value<'t, 'a>>; 3],
        keywords: [Option<Value<'t, 'a>>; 2],
        content: &Content<'t, 'a>,
    ) {
        let start = self.request.strs.len();
        for list in categories.into_iter().flatten() {
            self.push_strs(list);
        }
        if self.request.strs.len() == start && content.cat.is_some() {
            channel.cattax = content.cattax;
        }
        if let Some(list) = content.cat.filter(|_| content.cattax == channel.cattax) {
            self.push_strs(list);
        }
        channel.categories = self.strs_since(start);

        let start = self.request.strs.len();
        for list in keywords.into_iter().chain(content.keywords).flatten() {
            self.push_strs(list);
        }
        channel.keywords = self.strs_since(start);
    }

    /// `id` and `domain` of a `Publisher`, section 3.2.15.
    fn publisher(&mut self, value: Value<'_, 'a>) -> (Option<&'a str>, Option<&'a str>) {
        let (mut id, mut domain) = (None, None);
        for (key, value) in value.fields() {
            match key {
                "id" => id = self.text(value),
                "domain" => domain = value.text(),
                _ => {}
            }
        }
        (id, domain)
    }

    /// `Device`, section 3.2.18.
    pub fn device(&mut self, value: Value<'_, 'a>) -> Device<'a> {
        let mut device = Device::default();
        let (mut ip, mut ipv6, mut langb, mut sua) = (None, None, None, None);
        for (key, value) in value.fields() {
            match key {
                "ua" => device.ua = value.text(),
                "ip" => ip = address(value),
                "ipv6" => ipv6 = address(value),
                "geo" => device.geo = self.geo(value),
                "devicetype" => device.kind = value.uint().filter(|kind| *kind > 0),
                "make" => device.make = value.text(),
                "model" => device.model = self.text(value),
                "os" => device.os = value.text(),
                "osv" => device.osv = self.text(value),
                "language" => device.language = value.text(),
                "langb" => langb = value.text(),
                "carrier" => device.carrier = self.text(value),
                "connectiontype" => device.connection = value.uint().filter(|kind| *kind > 0),
                "ifa" => device.ifa = value.text().filter(|ifa| !is_zero(ifa)),
                "lmt" => device.lmt = value.restriction().unwrap_or(false),
                "dnt" => device.dnt = value.restriction().unwrap_or(false),
                "sua" => sua = Some(value),
                _ => {}
            }
        }
        device.ip = ip.or(ipv6);
        device.language = device.language.or(langb);
        if let Some(sua) = sua {
            self.structured_user_agent(sua, &mut device);
        }
        fill_from_user_agent(&mut device);
        device
    }

    /// `UserAgent`, section 3.2.29: it wins over `ua` and over the plain fields.
    fn structured_user_agent(&mut self, value: Value<'_, 'a>, device: &mut Device<'a>) {
        for (key, value) in value.fields() {
            match key {
                "browsers" => {
                    let brands = value.items().filter_map(|item| item.field("brand")?.text());
                    device.browser = browser::family_of_brands(brands).or(device.browser);
                }
                "platform" => {
                    device.os = value.field("brand").and_then(Value::text).or(device.os);
                    device.osv = value
                        .field("version")
                        .and_then(|list| self.version(list))
                        .or(device.osv);
                }
                "model" => device.model = self.text(value).or(device.model),
                // A phone or a tablet, it does not say which.
                "mobile" if value.is_one() => device.kind = device.kind.or(Some(1)),
                _ => {}
            }
        }
    }

    /// `["10", "0", "1"]` as `10.0.1`.
    fn version(&mut self, list: Value<'_, 'a>) -> Option<&'a str> {
        if !list.is_array() {
            return self.text(list);
        }
        self.arena.dotted(list.items().filter_map(Value::text))
    }

    /// `Geo`, section 3.2.19.
    pub fn geo(&mut self, value: Value<'_, 'a>) -> Geo<'a> {
        let mut geo = Geo::default();
        for (key, value) in value.fields() {
            match key {
                "country" => geo.country = value.text(),
                "region" => geo.region = self.text(value),
                "city" => geo.city = value.text(),
                "zip" => geo.zip = self.text(value),
                "lat" => geo.lat = value.number().filter(|lat| lat.abs() <= 90.0),
                "lon" => geo.lon = value.number().filter(|lon| lon.abs() <= 180.0),
                "utcoffset" => geo.utc_offset_min = utc_offset(value),
                _ => {}
            }
        }
        if geo.lat.is_none() || geo.lon.is_none() {
            (geo.lat, geo.lon) = (None, None);
        }
        geo
    }
}

fn read_content<'t, 'a>(value: Value<'t, 'a>) -> Content<'t, 'a> {
    let mut content = Content {
        cattax: 1,
        ..Content::default()
    };
    let mut langb = None;
    for (key, value) in value.fields() {
        match key {
            "cat" => content.cat = Some(value),
            "cattax" => content.cattax = value.uint().unwrap_or(1),
            "keywords" => content.keywords[0] = Some(value),
            "kwarray" => content.keywords[1] = Some(value),
            "language" => content.language = value.text(),
            "langb" => langb = value.text(),
            _ => {}
        }
    }
    content.language = content.language.or(langb);
    content
}

/// What `ua` says, where nothing else did.
fn fill_from_user_agent(device: &mut Device<'_>) {
    let Some(ua) = device.ua else { return };
    let seen = browser::recognise(ua);
    device.crawler = seen.crawler;
    device.browser = device.browser.or(seen.browser);
    device.os = device.os.or(seen.os);
    device.kind = device.kind.or(seen.kind);
}

fn address(value: Value<'_, '_>) -> Option<IpAddr> {
    value.text()?.parse().ok()
}

/// The advertising id of a device that does not want one (section 7.5).
fn is_zero(ifa: &str) -> bool {
    ifa.bytes().all(|byte| byte == b'0' || byte == b'-')
}

/// Time zones lie between UTC−12:00 and UTC+14:00.
fn utc_offset(value: Value<'_, '_>) -> Option<i32> {
    let minutes = i32::try_from(value.integer()?).ok()?;
    (-720..=840).contains(&minutes).then_some(minutes)
}
