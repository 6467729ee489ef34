//! Sets of IP addresses. Invariant: ranges are sorted, and no two touch, so that one binary search decides.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

/// Addresses of both families. An IPv4 address takes 8 bytes a range, an IPv6 one 32.
#[derive(Clone, Debug, Default)]
pub struct Ranges {
    v4: Box<[(u32, u32)]>,
    v6: Box<[(u128, u128)]>,
}

/// Text that should have been an address or a range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address and no CIDR range such as `203.0.113.0/24` or `2001:db8::/32`")]
pub struct NotARange(pub String);

/// A range of one family, not yet among others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Range {
    V4(RangeInclusive<u32>),
    V6(RangeInclusive<u128>),
}

impl Ranges {
    pub fn new(ranges: impl IntoIterator<Item = Range>) -> Ranges {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for range in ranges {
            match range {
                Range::V4(range) => v4.push(range.into_inner()),
                Range::V6(range) => v6.push(range.into_inner()),
            }
        }
        Ranges {
            v4: joined(v4, |last| last.checked_add(1)),
            v6: joined(v6, |last| last.checked_add(1)),
        }
    }

    /// An IPv4 address that is written as IPv6 (`::ffff:203.0.113.7`) is the IPv4 one.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match ip.to_canonical() {
            IpAddr::V4(ip) => holds(&self.v4, ip.to_bits()),
            IpAddr::V6(ip) => holds(&self.v6, ip.to_bits()),
        }
    }

    /// Ranges, touching ones counted once.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Range {
    /// `203.0.113.7`, `203.0.113.0/24`, and the same in IPv6. Bits behind the prefix do not count.
    ///
    /// # Errors
    /// The text is neither.
    pub fn parse(text: &str) -> Result<Range, NotARange> {
        let wrong = || NotARange(text.to_owned());
        let (ip, prefix) = match text.split_once('/') {
            Some((ip, prefix)) => (ip, Some(prefix.trim().parse::<u32>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let of = match ip.trim().parse::<IpAddr>().map_err(|_| wrong())? {
            IpAddr::V4(ip) => Range::of_v4(ip, prefix.unwrap_or(32)),
            IpAddr::V6(ip) => Range::of_v6(ip, prefix.unwrap_or(128)),
        };
        of.ok_or_else(wrong)
    }

    fn of_v4(ip: Ipv4Addr, prefix: u32) -> Option<Range> {
        let host = u32::MAX.checked_shr(prefix).unwrap_or(0);
        let first = ip.to_bits() & !host;
        (prefix <= 32).then_some(Range::V4(first..=first | host))
    }

    fn of_v6(ip: Ipv6Addr, prefix: u32) -> Option<Range> {
        let host = u128::MAX.checked_shr(prefix).unwrap_or(0);
        let first = ip.to_bits() & !host;
        (prefix <= 128).then_some(Range::V6(first..=first | host))
    }
}

fn joined<N: Ord + Copy>(mut ranges: Vec<(N, N)>, next: impl Fn(N) -> Option<N>) -> Box<[(N, N)]> {
    ranges.sort_unstable();
    let mut joined: Vec<(N, N)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match joined.last_mut() {
            Some(before) if next(before.1).is_none_or(|after| first <= after) => {
                before.1 = before.1.max(last);
            }
            _ => joined.push((first, last)),
        }
    }
    joined.into()
}

fn holds<N: Ord>(ranges: &[(N, N)], ip: N) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= ip);
    after > 0 && ip <= ranges[after - 1].1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranges(lines: &[&str]) -> Ranges {
        Ranges::new(lines.iter().map(|line| Range::parse(line).expect("a range")))
    }

    #[test]
    fn addresses_of_both_families_are_found_to_the_last_one() {
        let set = ranges(&[
            "203.0.113.0/24",
            "10.1.2.3",
            "2001:db8::/32",
            "255.255.255.255",
            "198.51.100.77/31",
        ]);
        for (ip, expected) in [
            ("203.0.113.0", true),
            ("203.0.113.255", true),
            ("203.0.112.255", false),
            ("203.0.114.0", false),
            ("10.1.2.3", true),
            ("10.1.2.4", false),
            ("198.51.100.76", true),
            ("198.51.100.78", false),
            ("255.255.255.255", true),
            ("::ffff:203.0.113.9", true),
            ("2001:db8:ffff::1", true),
            ("2001:db9::", false),
        ] {
            assert_eq!(set.contains(ip.parse().expect("an address")), expected, "{ip}");
        }
    }

    #[test]
    fn ranges_that_touch_or_overlap_become_one() {
        assert_eq!(ranges(&["10.0.0.0/25", "10.0.0.128/25", "10.0.0.7"]).len(), 1);
        assert_eq!(ranges(&["0.0.0.0/0", "1.2.3.4", "::/0", "::1"]).len(), 2);
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "10.0.0",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "::/129",
            "a/8",
        ] {
            assert!(Range::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_search_agrees_with_a_look_at_every_range(
            nets in prop::collection::vec((any::<u32>(), 0..=32u32), 0..40),
            ips in prop::collection::vec(any::<u32>(), 40),
        ) {
            let all: Vec<_> = nets.iter().filter_map(|(ip, prefix)| Range::of_v4((*ip).into(), *prefix)).collect();
            let set = Ranges::new(all.clone());
            for ip in ips.into_iter().chain(nets.iter().map(|net| net.0)) {
                let naive = all.iter().any(|range| matches!(range, Range::V4(range) if range.contains(&ip)));
                prop_assert_eq!(set.contains(IpAddr::V4(ip.into())), naive);
            }
        }
    }
}
