//! Targeting tables → [`Targeting`]. Each dimension is a key; the same key with `not_` in front lists what is refused.
//! Invariant: a level that names a key replaces that key of the levels above, and no other.

use super::document::Node;
use super::hours;
use super::layers::Layers;
use super::quantity;
use crate::store::campaigns::definition::{Circle, Hours, Targeting, Terms, VersionRange};
use crate::store::campaigns::expression::Expression;

#[rustfmt::skip]
pub(super) const KEYS: &[&str] = &[
    "country", "not_country", "region", "not_region", "city", "not_city", "postcode", "not_postcode",
    "radius", "not_radius", "device_type", "not_device_type", "make", "not_make", "model", "not_model",
    "os", "not_os", "os_version", "browser", "not_browser", "language", "not_language",
    "connection", "not_connection", "carrier", "not_carrier", "hours", "not_hours",
    "exchange", "not_exchange", "channel", "not_channel", "site", "not_site", "app", "not_app", "bundle", "not_bundle",
    "dooh", "not_dooh", "venue", "not_venue",
    "publisher", "not_publisher", "placement", "not_placement", "category", "not_category",
    "keyword", "not_keyword", "position", "not_position", "instl", "rewarded",
    "video_placement", "not_video_placement", "audio_feed", "not_audio_feed", "deal", "not_deal", "ip", "not_ip", "signal", "not_signal", "audience",
];

/// AdCOM device types.
const DEVICE_TYPES: &[(&str, u32)] = &[
    ("mobile", 1),
    ("pc", 2),
    ("tv", 3),
    ("phone", 4),
    ("tablet", 5),
    ("connected", 6),
    ("set-top", 7),
    ("ooh", 8),
];
/// AdCOM connection types.
const CONNECTIONS: &[(&str, u32)] = &[
    ("ethernet", 1),
    ("wifi", 2),
    ("cellular", 3),
    ("2g", 4),
    ("3g", 5),
    ("4g", 6),
    ("5g", 7),
];
/// AdCOM placement positions.
const POSITIONS: &[(&str, u32)] = &[
    ("above", 1),
    ("locked", 2),
    ("below", 3),
    ("header", 4),
    ("footer", 5),
    ("sidebar", 6),
    ("fullscreen", 7),
];
/// AdCOM video placement subtypes.
const VIDEO_PLACEMENTS: &[(&str, u32)] = &[
    ("instream", 1),
    ("accompanying", 2),
    ("interstitial", 3),
    ("standalone", 4),
];

/// AdCOM feed types.
const AUDIO_FEEDS: &[(&str, u32)] = &[
    ("music", 1),
    ("broadcast", 2),
    ("podcast", 3),
    ("catch-up", 4),
    ("web-radio", 5),
    ("game", 6),
    ("speech", 7),
];
/// Codes of [`ChannelKind`](crate::openrtb::request::ChannelKind).
const CHANNELS: &[(&str, u32)] = &[("site", 1), ("app", 2), ("dooh", 3)];

/// Targeting of the levels in `tables`; `exchanges` are the names that exist.
pub(super) fn read(tables: &Layers<'_>, exchanges: &[&str]) -> Targeting {
    let text = |key| terms(tables, key, |n| n.name());
    let code = |key, words: &'static [(&str, u32)]| terms(tables, key, |n| coded(n, words));
    Targeting {
        country: terms(tables, "country", quantity::country),
        region: text("region"),
        city: text("city"),
        postcode: text("postcode"),
        radius: terms(tables, "radius", circle),
        device_type: code("device_type", DEVICE_TYPES),
        make: text("make"),
        model: text("model"),
        os: text("os"),
        os_version: tables.maybe("os_version", versions).unwrap_or_default(),
        browser: text("browser"),
        language: terms(tables, "language", quantity::language),
        connection: code("connection", CONNECTIONS),
        carrier: text("carrier"),
        hours: hours_of(tables),
        exchange: terms(tables, "exchange", |n| known_exchange(n, exchanges)),
        channel: terms(tables, "channel", |n| n.choice(CHANNELS)),
        site: terms(tables, "site", quantity::domain),
        app: text("app"),
        bundle: text("bundle"),
        dooh: text("dooh"),
        venue: text("venue"),
        publisher: text("publisher"),
        placement: text("placement"),
        category: text("category"),
        keyword: text("keyword"),
        position: code("position", POSITIONS),
        instl: tables.maybe("instl", Node::boolean),
        rewarded: tables.maybe("rewarded", Node::boolean),
        video_placement: code("video_placement", VIDEO_PLACEMENTS),
        audio_feed: code("audio_feed", AUDIO_FEEDS),
        deal: text("deal"),
        ip: terms(tables, "ip", quantity::ip_range),
        signal: terms(tables, "signal", signal),
        audience: tables.maybe("audience", audience),
    }
}

fn terms<T>(tables: &Layers<'_>, key: &str, read: impl Fn(&Node<'_>) -> Option<T>) -> Terms<T> {
    let list = |key: &str| tables.get(key).map_or_else(Vec::new, |node| node.list(&read));
    Terms {
        include: list(key),
        exclude: list(&format!("not_{key}")),
    }
}

/// A word of a closed list, or its number for values newer than the list.
fn coded(node: &Node<'_>, words: &[(&str, u32)]) -> Option<u32> {
    const CODE_MAX: i64 = 10_000;
    if node.value().is_integer() {
        node.integer(0..=CODE_MAX)
    } else {
        node.choice(words)
    }
}

fn circle(node: &Node<'_>) -> Option<Circle> {
    const KM_MAX: f64 = 20_000.0;
    let table = node.table(&["lat", "lon", "km"])?;
    Some(Circle {
        lat: table.need("lat", "lat = 40.7")?.number(-90.0..=90.0)?,
        lon: table.need("lon", "lon = -74.0")?.number(-180.0..=180.0)?,
        km: table.need("km", "km = 25")?.number(0.1..=KM_MAX)?,
    })
}

fn versions(node: &Node<'_>) -> Option<VersionRange> {
    let table = node.table(&["min", "max"])?;
    let range = VersionRange {
        min: table.maybe("min", version),
        max: table.maybe("max", version),
    };
    let numbers = |text: &Option<String>| text.as_deref().map(version_numbers);
    if let (Some(min), Some(max)) = (numbers(&range.min), numbers(&range.max))
        && min > max
    {
        node.problem("`min` is above `max`", "swap them");
    }
    Some(range)
}

fn version(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    if text.is_empty() || text.split('.').any(|part| part.parse::<u32>().is_err()) {
        node.problem(
            format!("`{text}` is no version"),
            "write numbers with dots such as `10.2`",
        );
        return None;
    }
    Some(text.to_owned())
}

fn version_numbers(text: &str) -> Vec<u32> {
    text.split('.').filter_map(|part| part.parse().ok()).collect()
}

fn hours_of(tables: &Layers<'_>) -> Hours {
    let wanted = tables.maybe("hours", hours::read).unwrap_or_default();
    let refused = tables.maybe("not_hours", hours::read).unwrap_or_default();
    let left = hours::without(wanted, refused);
    if let (Some([0, 0, 0]), Some(node)) = (left.0, tables.get("not_hours")) {
        node.problem("this refuses every wanted hour", "leave an hour of the week");
    }
    left
}

fn known_exchange(node: &Node<'_>, exchanges: &[&str]) -> Option<String> {
    let words: Vec<(&str, &str)> = exchanges.iter().map(|name| (*name, *name)).collect();
    node.choice(&words).map(str::to_owned)
}

fn signal(node: &Node<'_>) -> Option<String> {
    let text = node.name()?;
    let parts = text
        .split_once(':')
        .filter(|(name, value)| !name.is_empty() && !value.is_empty());
    if parts.is_none() {
        node.problem(
            format!("`{text}` names no signal and value"),
            "write for example `weather:rain`",
        );
        return None;
    }
    Some(text)
}

pub(super) fn audience(node: &Node<'_>) -> Option<Expression> {
    let text = node.text()?;
    match Expression::parse(text) {
        Ok(expression) => Some(expression),
        Err(error) => {
            let what = format!("at byte {} of the expression: {}", error.offset, error.message);
            let fix = "write for example `gender = \"m\" and \"visited:car-forum\"`";
            node.problem_within(error.offset, what, fix);
            None
        }
    }
}
