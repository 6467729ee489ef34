//! One dimension of the index: who does not constrain it, and who wants or refuses which value.

use super::intervals::Intervals;
use super::offered::offer;
use super::posting::Posting;
use super::values::{Key, Members, Offered, Values};
use super::wanted;
use super::{MatchScratch, Residual, Step};
use crate::store::campaigns::compiled::{Format, LineItem};
use crate::store::campaigns::definition::{Circle, IpRange, Terms};
use crate::store::campaigns::dimension::Dimension;
use crate::store::campaigns::geo;
use crate::store::campaigns::opportunity::Opportunity;
use crate::store::campaigns::version::Version;
use crate::units::Timestamp;
use std::collections::BTreeSet;
use std::net::IpAddr;

#[derive(Debug)]
pub(super) struct Axis {
    kind: Kind,
    /// The list of those that take any value, also none.
    unconstrained: u32,
    /// Nobody wants a value, so that the axis matters only where a refused one is offered.
    refuses_only: bool,
    values: Values,
}

/// How the offered values of an axis are found.
#[derive(Debug)]
enum Kind {
    Plain(Dimension),
    Format {
        sizes: Vec<(u32, u32)>,
    },
    Postcode {
        prefix_lens: Vec<usize>,
    },
    Radius,
    OsVersion(Intervals<Version>),
    Ip(Intervals<IpKey>),
    /// Without a profile no audience matches; with one, expressions are evaluated on survivors.
    Audience,
}

/// Family (true = IPv6) and address, so that the families do not mix.
type IpKey = (bool, u128);

const ANY_BANNER: &str = "banner";
const VIDEO: &str = "video";
const AUDIO: &str = "audio";
const NATIVE: &str = "native";

/// The axes that some serving line item constrains.
pub(super) fn build(
    items: &[LineItem],
    residuals: &mut [Residual],
    postings: &mut Vec<Posting>,
) -> Vec<Axis> {
    let axes = [format_axis(items), radius_axis(items), audience_axis(items)];
    let coarse = [os_version_axis(items, residuals), ip_axis(items, residuals)];
    let plain = wanted::DIMENSIONS
        .iter()
        .map(|dimension| plain_axis(items, *dimension));
    axes.into_iter()
        .chain(coarse)
        .chain(plain)
        .filter_map(|(kind, members)| members.build(kind, items.len(), postings))
        .collect()
}

impl Axis {
    /// Adds a step with the lists that the offered values pick, unless the axis lets everything pass.
    pub fn pick(
        &self,
        postings: &[Posting],
        opportunity: &Opportunity,
        has_profile: bool,
        now: Timestamp,
        scratch: &mut MatchScratch,
    ) {
        if has_profile && matches!(self.kind, Kind::Audience) {
            return;
        }
        let start = scratch.picks.len();
        scratch.pick(self.unconstrained, false);
        self.offered(opportunity, now, &mut |value| {
            if let Some(lists) = self.values.find(&value) {
                lists
                    .wanted
                    .into_iter()
                    .for_each(|list| scratch.pick(list, false));
                lists
                    .refused
                    .into_iter()
                    .for_each(|list| scratch.pick(list, true));
            }
        });
        let picks = start..scratch.picks.len();
        if self.refuses_only && picks.len() == 1 {
            scratch.picks.truncate(start);
            return;
        }
        let wanted = scratch.picks[picks.clone()].iter().filter(|pick| !pick.refused);
        let passes_max = wanted.map(|pick| postings[pick.posting as usize].len()).sum();
        scratch.steps.push(Step { picks, passes_max });
    }

    fn offered(&self, o: &Opportunity, now: Timestamp, visit: &mut impl FnMut(Offered<'_>)) {
        match &self.kind {
            Kind::Plain(dimension) => offer(o, *dimension, now, visit),
            Kind::Format { sizes } => offer_formats(o, sizes, visit),
            Kind::Postcode { prefix_lens } => offer_postcodes(o, prefix_lens, visit),
            Kind::Radius => o
                .place
                .point
                .into_iter()
                .for_each(|point| visit(Offered::Number(geo::cell(point)))),
            Kind::OsVersion(ranges) => {
                o.os_version
                    .into_iter()
                    .for_each(|version| visit(Offered::Number(ranges.bucket(&version))));
            }
            Kind::Ip(ranges) => {
                o.ip.into_iter()
                    .for_each(|ip| visit(Offered::Number(ranges.bucket(&ip_key(ip)))));
            }
            Kind::Audience => {}
        }
    }
}

/// Collects an axis over the line items in order.
#[derive(Default)]
struct AxisBuilder {
    unconstrained: Vec<u32>,
    constrained: bool,
    wants: bool,
    members: Members,
}

impl AxisBuilder {
    /// A line item that wants one of `include` (any value where that is empty) and none of `exclude`.
    fn add(&mut self, item: u32, terms: Terms<Key>) {
        if terms.include.is_empty() {
            self.unconstrained.push(item);
        }
        self.constrained |= !terms.is_any();
        self.wants |= !terms.include.is_empty();
        for (keys, wanted) in [(terms.include, true), (terms.exclude, false)] {
            keys.into_iter()
                .for_each(|key| self.members.add(item, key, wanted));
        }
    }

    /// A line item that no set lets pass.
    fn add_never(&mut self) {
        self.constrained = true;
        self.wants = true;
    }

    /// `None` where no line item constrains the dimension.
    fn build(self, kind: Kind, total: usize, postings: &mut Vec<Posting>) -> Option<Axis> {
        if !self.constrained {
            return None;
        }
        let unconstrained = postings.len() as u32;
        postings.push(Posting::new(self.unconstrained, total));
        let values = self.members.into_values(total, postings);
        Some(Axis {
            kind,
            unconstrained,
            refuses_only: !self.wants,
            values,
        })
    }
}

fn serving(items: &[LineItem]) -> impl Iterator<Item = (u32, &LineItem)> {
    (0..).zip(items).filter(|(_, item)| item.serving)
}

fn only(include: Vec<Key>) -> Terms<Key> {
    Terms {
        include,
        exclude: Vec::new(),
    }
}

fn plain_axis(items: &[LineItem], dimension: Dimension) -> (Kind, AxisBuilder) {
    let kind = match dimension {
        Dimension::Postcode => Kind::Postcode {
            prefix_lens: prefix_lens(items),
        },
        _ => Kind::Plain(dimension),
    };
    let mut builder = AxisBuilder::default();
    for (position, item) in serving(items) {
        builder.add(position, wanted::keys(&item.definition.targeting, dimension));
    }
    (kind, builder)
}

fn format_axis(items: &[LineItem]) -> (Kind, AxisBuilder) {
    let banner = |format: &Format| match *format {
        Format::Banner { w, h } => Some((w, h)),
        Format::Video | Format::Audio | Format::Native => None,
    };
    let sizes: BTreeSet<_> = items
        .iter()
        .flat_map(|item| item.formats.iter().filter_map(banner))
        .collect();
    let mut builder = AxisBuilder::default();
    for (position, item) in serving(items) {
        let keys = item.formats.iter().flat_map(|format| match *format {
            Format::Banner { w, h } => [Some(Key::Number(size_number(w, h))), Some(Key::text(ANY_BANNER))],
            Format::Video => [Some(Key::text(VIDEO)), None],
            Format::Audio => [Some(Key::text(AUDIO)), None],
            Format::Native => [Some(Key::text(NATIVE)), None],
        });
        builder.add(position, only(keys.flatten().collect()));
    }
    (
        Kind::Format {
            sizes: sizes.into_iter().collect(),
        },
        builder,
    )
}

fn offer_formats(o: &Opportunity, sizes: &[(u32, u32)], visit: &mut impl FnMut(Offered<'_>)) {
    match o.banner_sizes() {
        Some([]) => visit(Offered::text(ANY_BANNER)),
        Some(offered) => {
            for size in offered {
                if size.w > 0 && size.h > 0 {
                    visit(Offered::Number(size_number(size.w, size.h)));
                } else {
                    let fitting = sizes.iter().filter(|(w, h)| size.takes(*w, *h));
                    fitting.for_each(|(w, h)| visit(Offered::Number(size_number(*w, *h))));
                }
            }
        }
        None => {}
    }
    if o.imp.video.is_some() {
        visit(Offered::text(VIDEO));
    }
    if o.imp.audio.is_some() {
        visit(Offered::text(AUDIO));
    }
    if o.imp.native.is_some() {
        visit(Offered::text(NATIVE));
    }
}

fn size_number(w: u32, h: u32) -> u64 {
    u64::from(w) << 32 | u64::from(h)
}

/// Lengths of the configured prefixes, so that a long postcode costs no more lookups than there are lengths.
fn prefix_lens(items: &[LineItem]) -> Vec<usize> {
    let postcodes = items.iter().map(|item| &item.definition.targeting.postcode);
    let wanted = postcodes.flat_map(|terms| terms.include.iter().chain(&terms.exclude));
    let lens: BTreeSet<_> = wanted
        .filter_map(|text| text.strip_suffix('*'))
        .map(str::len)
        .collect();
    lens.into_iter().collect()
}

fn offer_postcodes(o: &Opportunity, prefix_lens: &[usize], visit: &mut impl FnMut(Offered<'_>)) {
    let Some(postcode) = o.place.postcode else { return };
    visit(Offered::text(postcode));
    for prefix in prefix_lens.iter().filter_map(|len| postcode.get(..*len)) {
        visit(Offered::Text([prefix, "*", ""]));
    }
}

/// Wanted circles by cell; distances, refused circles and very large ones are left to the check of survivors.
fn radius_axis(items: &[LineItem]) -> (Kind, AxisBuilder) {
    let mut builder = AxisBuilder::default();
    for (position, item) in serving(items) {
        let cells = |circle: &Circle| geo::cells(circle);
        let cells: Option<Vec<_>> = item
            .definition
            .targeting
            .radius
            .include
            .iter()
            .map(cells)
            .collect();
        let keys = cells.into_iter().flatten().flatten().map(Key::Number).collect();
        builder.add(position, only(keys));
    }
    (Kind::Radius, builder)
}

fn os_version_axis(items: &[LineItem], residuals: &mut [Residual]) -> (Kind, AxisBuilder) {
    let range = |item: &LineItem| {
        let range = &item.definition.targeting.os_version;
        let parsed =
            |text: &Option<String>, parse: fn(&str) -> Option<Version>| text.as_deref().and_then(parse);
        (
            parsed(&range.min, Version::parse),
            parsed(&range.max, Version::parse_upper),
        )
    };
    let cuts = items
        .iter()
        .map(range)
        .flat_map(|(min, max)| [min, max])
        .flatten();
    let ranges = Intervals::new(cuts.collect());
    let mut builder = AxisBuilder::default();
    for (position, item) in serving(items) {
        let (min, max) = range(item);
        if min.or(max).is_none() {
            builder.add(position, only(Vec::new()));
            continue;
        }
        residuals[position as usize].os_version = !ranges.exact();
        builder.add(
            position,
            only(
                ranges
                    .touched(min.as_ref(), max.as_ref())
                    .map(Key::Number)
                    .collect(),
            ),
        );
    }
    (Kind::OsVersion(ranges), builder)
}

fn ip_axis(items: &[LineItem], residuals: &mut [Residual]) -> (Kind, AxisBuilder) {
    let targeted = items.iter().map(|item| &item.definition.targeting.ip);
    let configured = targeted.flat_map(|terms| terms.include.iter().chain(&terms.exclude));
    let ranges = Intervals::new(
        configured
            .flat_map(|r| [ip_key(r.first), ip_key(r.last)])
            .collect(),
    );
    let mut builder = AxisBuilder::default();
    for (position, item) in serving(items) {
        let terms = &item.definition.targeting.ip;
        let keys = |range: &IpRange| {
            let touched = ranges.touched(Some(&ip_key(range.first)), Some(&ip_key(range.last)));
            touched.map(Key::Number)
        };
        let include = terms.include.iter().flat_map(keys).collect();
        // A coarse bucket holds more than the range: it may be looked into, but not refused as a whole.
        let refused = terms.exclude.iter().filter(|_| ranges.exact());
        residuals[position as usize].ip = !ranges.exact() && !terms.is_any();
        builder.add(
            position,
            Terms {
                include,
                exclude: refused.flat_map(keys).collect(),
            },
        );
    }
    (Kind::Ip(ranges), builder)
}

fn ip_key(ip: IpAddr) -> IpKey {
    match ip.to_canonical() {
        IpAddr::V4(ip) => (false, u32::from(ip).into()),
        IpAddr::V6(ip) => (true, ip.into()),
    }
}

fn audience_axis(items: &[LineItem]) -> (Kind, AxisBuilder) {
    let mut builder = AxisBuilder::default();
    for (position, item) in serving(items) {
        match item.definition.targeting.audience {
            Some(_) => builder.add_never(),
            None => builder.add(position, only(Vec::new())),
        }
    }
    (Kind::Audience, builder)
}
