//! Values that are written with a unit or in a fixed form: durations, sizes, dates, names on the net.
//! Invariant: a number without a unit is refused wherever more than one unit is in use.

use super::document::Node;
use crate::store::campaigns::definition::{Flight, IpRange};
use crate::units::{Currency, Limits, Spread, Timestamp};
use jiff::civil;
use jiff::tz::TimeZone;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::time::Duration;
use toml::de::DeValue;

const DURATION_UNITS_MS: [(&str, u64); 6] = [
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
];

/// `10ms`, `2s`, `5m`, `24h`, `7d`, `2w`.
pub(super) fn duration(node: &Node<'_>, range: RangeInclusive<Duration>) -> Option<Duration> {
    let text = node.text()?;
    let value = parse_duration(text).filter(|duration| range.contains(duration));
    if value.is_none() {
        let fix = format!(
            "write a duration such as `10ms`, `2s`, `24h` or `7d`, within {:?}..={:?}",
            range.start(),
            range.end()
        );
        node.problem(format!("`{text}` is no duration that is allowed here"), fix);
    }
    value
}

pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let (count, unit) = split_unit(text)?;
    let (_, ms) = DURATION_UNITS_MS.iter().find(|(name, _)| *name == unit)?;
    count.checked_mul(*ms).map(Duration::from_millis)
}

/// `512`, `64KiB`, `1MiB`: bytes.
pub(super) fn bytes(node: &Node<'_>, range: RangeInclusive<usize>) -> Option<usize> {
    let text = node.text()?;
    let value = parse_bytes(text).filter(|bytes| range.contains(bytes));
    if value.is_none() {
        let fix = format!(
            "write a size such as `64KiB` or `1MiB`, within {}..={} bytes",
            range.start(),
            range.end()
        );
        node.problem(format!("`{text}` is no size that is allowed here"), fix);
    }
    value
}

fn parse_bytes(text: &str) -> Option<usize> {
    let (count, unit) = split_unit(text)?;
    let shift = match unit {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        _ => return None,
    };
    usize::try_from(count).ok()?.checked_mul(1 << shift)
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    Some((text[..digits].parse().ok()?, text[digits..].trim_start()))
}

/// `300x250`: width and height in pixels.
pub(super) fn size(node: &Node<'_>) -> Option<(u32, u32)> {
    const PIXELS_MAX: u32 = 10_000;
    let text = node.text()?;
    let side = |s: &str| s.parse().ok().filter(|side| (1..=PIXELS_MAX).contains(side));
    let sides = text.split_once('x').and_then(|(w, h)| Some((side(w)?, side(h)?)));
    if sides.is_none() {
        let fix = format!("write width x height such as `300x250`, each within 1..={PIXELS_MAX}");
        node.problem(format!("`{text}` is no size in pixels"), fix);
    }
    sides
}

const ID_CHARS_MAX: usize = 64;

pub(super) fn is_id(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.len() <= ID_CHARS_MAX && text.chars().all(allowed)
}

/// An id of ours: counters, budgets and logs are keyed by it, so it is short and safe in any file or URL.
pub(super) fn id(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    if !is_id(text) {
        let fix = format!("write 1..={ID_CHARS_MAX} letters, digits, `-`, `_` or `.`");
        node.problem(format!("`{text}` is no id"), fix);
        return None;
    }
    Some(text.to_owned())
}

pub(super) fn currency(node: &Node<'_>) -> Option<Currency> {
    let text = node.text()?;
    let currency = Currency::parse(text).filter(|currency| currency.as_str() == text);
    if currency.is_none() {
        node.problem(
            format!("`{text}` is no currency"),
            "write its ISO-4217 code such as `USD`",
        );
    }
    currency
}

pub(super) fn time_zone(node: &Node<'_>) -> Option<TimeZone> {
    let text = node.text()?;
    let zone = TimeZone::get(text).ok();
    if zone.is_none() {
        let fix = "write an IANA name such as `America/New_York` or `UTC`";
        node.problem(format!("`{text}` is no known time zone"), fix);
    }
    zone
}

/// Upper-case ISO-3166-1 alpha-3, the form of OpenRTB.
pub(super) fn country(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    if text.len() != 3 || !text.bytes().all(|b| b.is_ascii_uppercase()) {
        let fix = "write its ISO-3166-1 alpha-3 code such as `USA`";
        node.problem(format!("`{text}` is no country code of OpenRTB"), fix);
        return None;
    }
    Some(text.to_owned())
}

/// ISO-639-1, lower case.
pub(super) fn language(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    if text.len() != 2 || !text.bytes().all(|b| b.is_ascii_lowercase()) {
        node.problem(
            format!("`{text}` is no language code"),
            "write its ISO-639-1 code such as `en`",
        );
        return None;
    }
    Some(text.to_owned())
}

/// A category of the IAB Content Taxonomy 1.0 where `cattax` is 1, else any id.
pub(super) fn category(node: &Node<'_>, cattax: u32) -> Option<String> {
    const TIERS_MAX: u32 = 26;
    let text = node.name()?;
    let tier = |s: &str| s.parse::<u32>().ok().filter(|n| *n > 0 && !s.starts_with('+'));
    let known = text
        .strip_prefix("IAB")
        .is_some_and(|rest| match rest.split_once('-') {
            Some((parent, child)) => tier(parent).is_some_and(|n| n <= TIERS_MAX) && tier(child).is_some(),
            None => tier(rest).is_some_and(|n| n <= TIERS_MAX),
        });
    if cattax == 1 && !known {
        let fix = "write an id of the IAB Content Taxonomy 1.0 such as `IAB2` or `IAB2-3`";
        node.problem(format!("`{text}` is no category"), fix);
        return None;
    }
    Some(text)
}

/// A host name in lower case, with at least one dot.
pub(super) fn domain(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    let lower = text.to_ascii_lowercase();
    if !lower.contains('.') || !is_host(&lower) {
        node.problem(
            format!("`{text}` is no domain"),
            "write the bare name such as `shop.example`",
        );
        return None;
    }
    Some(lower)
}

/// An absolute `http` or `https` URL, as it was written.
pub(super) fn url(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    let printable = text
        .bytes()
        .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\' | b'`'));
    if !printable || !authority.is_some_and(is_authority) {
        let fix =
            "write an absolute URL such as `https://shop.example/spring`, other characters percent-encoded";
        node.problem(format!("`{text}` is no URL"), fix);
        return None;
    }
    Some(text.to_owned())
}

/// Host and port; user names in URLs are refused.
fn is_authority(text: &str) -> bool {
    if text.parse::<std::net::SocketAddr>().is_ok() {
        return true;
    }
    let (host, port) = text.rsplit_once(':').unwrap_or((text, "80"));
    is_host(&host.to_ascii_lowercase()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// `203.0.113.7`, `203.0.113.0/24`, `203.0.113.10-203.0.113.20`, and the same in IPv6.
pub(super) fn ip_range(node: &Node<'_>) -> Option<IpRange> {
    let text = node.text()?;
    let range = parse_ip_range(text);
    if range.is_none() {
        let fix = "write an address, a network such as `203.0.113.0/24`, or first-last";
        node.problem(format!("`{text}` is no range of IP addresses"), fix);
    }
    range
}

fn parse_ip_range(text: &str) -> Option<IpRange> {
    if let Some((first, last)) = text.split_once('-') {
        let (first, last): (IpAddr, IpAddr) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        return (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(IpRange { first, last });
    }
    let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
    let address: IpAddr = address.parse().ok()?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let length = length
        .map_or(Some(bits), |l| l.parse().ok())
        .filter(|l: &u32| *l <= bits)?;
    Some(match address {
        IpAddr::V4(a) => {
            let host = u32::MAX.checked_shr(length).unwrap_or(0);
            let network = u32::from(a) & !host;
            IpRange {
                first: Ipv4Addr::from(network).into(),
                last: Ipv4Addr::from(network | host).into(),
            }
        }
        IpAddr::V6(a) => {
            let host = u128::MAX.checked_shr(length).unwrap_or(0);
            let network = u128::from(a) & !host;
            IpRange {
                first: Ipv6Addr::from(network).into(),
                last: Ipv6Addr::from(network | host).into(),
            }
        }
    })
}

/// A TOML date or time. Without an offset it is the clock of `zone`; a date alone is its first instant.
pub(super) fn instant(node: &Node<'_>, zone: &TimeZone) -> Option<Timestamp> {
    read_instant(node, zone, 0)
}

/// `{ from = 2026-11-01, until = 2026-12-24 }`: a date alone as `until` includes that day.
pub(super) fn flight(node: &Node<'_>, zone: &TimeZone) -> Option<Flight> {
    let table = node.table(&["from", "until"])?;
    let from = table.maybe("from", |n| read_instant(n, zone, 0));
    let until = table.maybe("until", |n| read_instant(n, zone, 1));
    if let (Some(start), Some(end)) = (from, until)
        && end <= start
    {
        node.problem("this ends before it starts", "write `from` before `until`");
        return None;
    }
    Some(Flight { from, until })
}

fn read_instant(node: &Node<'_>, zone: &TimeZone, days_after_date: i64) -> Option<Timestamp> {
    let DeValue::Datetime(written) = node.value() else {
        node.wrong_type("a date or time without quotes, such as `2026-11-01` or `2026-11-01T08:00:00Z`");
        return None;
    };
    let text = written.to_string();
    let instant = match (written.date, written.time, written.offset) {
        (Some(_), Some(_), Some(_)) => text.parse::<jiff::Timestamp>().ok(),
        (Some(_), Some(_), None) => text
            .parse::<civil::DateTime>()
            .ok()
            .and_then(|t| in_zone(t, zone)),
        (Some(_), None, None) => text.parse::<civil::Date>().ok().and_then(|date| {
            let date = date.checked_add(jiff::Span::new().days(days_after_date)).ok()?;
            in_zone(date.to_datetime(civil::Time::midnight()), zone)
        }),
        _ => None,
    };
    if instant.is_none() {
        node.problem(
            format!("`{text}` names no day"),
            "write a date such as `2026-11-01`",
        );
    }
    instant.map(|instant| Timestamp(instant.as_millisecond()))
}

fn in_zone(time: civil::DateTime, zone: &TimeZone) -> Option<jiff::Timestamp> {
    zone.to_ambiguous_timestamp(time).compatible().ok()
}

/// Whether any limit is spread over time. A lifetime is where its flight has an end.
pub(super) fn is_paced(limits: &Limits, spread: Spread, flight: Flight) -> bool {
    let ends = limits.lifetime.is_some() && flight.until.is_some();
    spread != Spread::AsFastAsPossible && (limits.hourly.is_some() || limits.daily.is_some() || ends)
}

/// The share of a campaign's money that is for trials, where nothing is said.
pub(super) const EXPLORATION: f64 = 0.15;

/// The share of a campaign's money that is for trials; above half nothing would be left to what is known to be good.
pub(super) fn exploration(node: &Node<'_>) -> Option<f64> {
    node.number(0.0..=0.5)
}

/// How a budget is spread.
pub(super) fn spread(node: &Node<'_>) -> Option<Spread> {
    node.choice(&Spread::ALL.map(|spread| (spread.name(), spread)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_need_their_unit() {
        for (text, ms) in [
            ("10ms", Some(10)),
            ("2s", Some(2000)),
            ("7d", Some(604_800_000)),
            ("10", None),
            ("s", None),
        ] {
            assert_eq!(parse_duration(text).map(|d| d.as_millis()), ms, "{text}");
        }
        assert_eq!(parse_duration("99999999999999999999d"), None);
        for (text, bytes) in [
            ("1MiB", Some(1 << 20)),
            ("64 KiB", Some(65_536)),
            ("3B", Some(3)),
            ("1MB", None),
        ] {
            assert_eq!(parse_bytes(text), bytes, "{text}");
        }
    }

    #[test]
    fn a_network_is_its_first_and_last_address() {
        for (text, expected) in [
            ("203.0.113.7", Some(("203.0.113.7", "203.0.113.7"))),
            ("203.0.113.77/24", Some(("203.0.113.0", "203.0.113.255"))),
            ("0.0.0.0/0", Some(("0.0.0.0", "255.255.255.255"))),
            ("192.0.2.3-192.0.2.9", Some(("192.0.2.3", "192.0.2.9"))),
            (
                "2001:db8::/32",
                Some(("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")),
            ),
            ("::/0", Some(("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"))),
            ("203.0.113.0/33", None),
            ("192.0.2.9-192.0.2.3", None),
            ("192.0.2.9-::1", None),
        ] {
            let expected = expected.map(|(first, last)| IpRange {
                first: first.parse().unwrap(),
                last: last.parse().unwrap(),
            });
            assert_eq!(parse_ip_range(text), expected, "{text}");
        }
    }

    #[test]
    fn hosts_and_ports_are_checked() {
        for (text, expected) in [
            ("shop.example", true),
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("localhost:80", true),
            ("a_b.example", false),
            ("user@shop.example", false),
            ("shop.example:0", false),
            ("", false),
        ] {
            assert_eq!(is_authority(text), expected, "{text}");
        }
    }
}
