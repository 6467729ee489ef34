//! From a request, a profile and an ad to the rows a model is shown: the one place where this is done.
//!
//! Invariant: a feature whose purpose is `profile` is missing whenever personal data may not be used; the same in
//! serving, in the log and in training rows. Nothing here allocates once its buffers have grown.

use super::embeddings::Embeddings;
use super::hashing::CategoryText;
use super::schema::{Feature, Group, Kind, Pool, Purpose, Schema};
use super::sources::{AdFormat, Source};
use crate::openrtb::request::{Channel, ChannelKind, Imp, Request};
use crate::store::campaigns::definition::{Ad, Advertiser, Campaign, Creative, LineItem};
use crate::store::profiles::Profile;
use crate::units::{HourOfWeek, Nanos, Timestamp};
use std::fmt;

/// What the context half of a prediction depends on.
#[derive(Clone, Copy)]
pub struct ContextInput<'a> {
    pub request: &'a Request<'a>,
    pub imp: &'a Imp<'a>,
    pub exchange: &'a str,
    /// In the user's own time zone.
    pub hour: HourOfWeek,
    pub profile: Option<&'a Profile<'a>>,
    /// Consent to personal data; without it profile and segments are missing.
    pub may_profile: bool,
    pub now: Timestamp,
}

/// An ad as the model sees it: one creative in one line item.
#[derive(Clone, Copy, Debug)]
pub struct CandidateInput<'a> {
    pub line_item: &'a str,
    pub campaign: &'a str,
    pub advertiser: &'a str,
    pub creative: &'a str,
    pub domain: &'a str,
    pub categories: &'a [String],
    pub w: u32,
    pub h: u32,
    pub format: AdFormat,
    pub languages: &'a [String],
}

impl<'a> CandidateInput<'a> {
    /// As configured. A native and an audio ad have no size of their own: 0 × 0.
    pub fn of(
        advertiser: &'a Advertiser,
        campaign: &'a Campaign,
        line_item: &'a LineItem,
        creative: &'a Creative,
    ) -> CandidateInput<'a> {
        let (format, w, h) = match &creative.ad {
            Ad::Banner(ad) => (AdFormat::Banner, ad.w, ad.h),
            Ad::Video(ad) => {
                let (w, h) = ad.size.unwrap_or_default();
                (AdFormat::Video, w, h)
            }
            Ad::Audio(_) => (AdFormat::Audio, 0, 0),
            Ad::Native(_) => (AdFormat::Native, 0, 0),
        };
        CandidateInput {
            line_item: &line_item.id,
            campaign: &campaign.id,
            advertiser: &advertiser.id,
            creative: &creative.id,
            domain: creative.domains.first().unwrap_or(&advertiser.domain),
            categories: &creative.categories,
            w,
            h,
            format,
            languages: &creative.languages,
        }
    }
}

/// The context row of one imp, reused between requests.
#[derive(Clone, Debug, Default)]
pub struct ContextBuffer {
    /// As logged.
    pub slots: Vec<u32>,
    /// `context` of the graph, f32\[C\].
    pub columns: Vec<f32>,
}

/// The row of one ad, made when a snapshot loads, so that a request only copies it.
#[derive(Clone, Debug, PartialEq)]
pub struct CandidateRow {
    pub slots: Box<[u32]>,
    /// One row of the graph's `candidate`, f32\[K\].
    pub columns: Box<[f32]>,
}

impl ContextBuffer {
    pub(super) fn fill(&mut self, schema: &Schema, embeddings: &Embeddings, input: &ContextInput) {
        self.slots.resize(schema.slots(Group::Context), 0);
        self.columns.resize(schema.columns(Group::Context), 0.0);
        schema.encode_context(input, &mut self.slots);
        embeddings.gather(schema, Group::Context, &self.slots, &mut self.columns);
    }

    /// The row of `slots` as if `feature` were missing.
    pub(super) fn fill_without(
        &mut self,
        schema: &Schema,
        embeddings: &Embeddings,
        slots: &[u32],
        feature: &Feature,
    ) {
        self.slots.clear();
        self.slots.extend_from_slice(slots);
        self.columns.resize(schema.columns(Group::Context), 0.0);
        Cell::new(schema.seed, feature, &mut self.slots);
        embeddings.gather(schema, Group::Context, &self.slots, &mut self.columns);
    }
}

impl CandidateRow {
    pub(super) fn new(schema: &Schema, embeddings: &Embeddings, input: &CandidateInput) -> CandidateRow {
        let mut slots = vec![0; schema.slots(Group::Candidate)].into_boxed_slice();
        let mut columns = vec![0.0; schema.columns(Group::Candidate)].into_boxed_slice();
        schema.encode_candidate(input, &mut slots);
        embeddings.gather(schema, Group::Candidate, &slots, &mut columns);
        CandidateRow { slots, columns }
    }
}

impl Schema {
    /// `slots` is as wide as [`Schema::slots`] of the context.
    pub fn encode_context(&self, input: &ContextInput, slots: &mut [u32]) {
        for feature in self.features(Group::Context) {
            let mut cell = Cell::new(self.seed, feature, slots);
            if feature.purpose == Purpose::Context || input.may_profile {
                encode_context_feature(feature.source, input, &mut cell);
            }
        }
    }

    /// `slots` is as wide as [`Schema::slots`] of the candidate.
    pub fn encode_candidate(&self, ad: &CandidateInput, slots: &mut [u32]) {
        for feature in self.features(Group::Candidate) {
            let mut cell = Cell::new(self.seed, feature, slots);
            match feature.source {
                Source::LineItem => cell.text(Some(ad.line_item)),
                Source::Campaign => cell.text(Some(ad.campaign)),
                Source::Advertiser => cell.text(Some(ad.advertiser)),
                Source::Creative => cell.text(Some(ad.creative)),
                Source::Format => cell.text(Some(ad.format.name())),
                Source::CreativeSize => cell.display(format_args!("{}x{}", ad.w, ad.h)),
                Source::AdCategories => cell.texts(ad.categories.iter().map(String::as_str)),
                Source::AdDomain => cell.text(Some(ad.domain)),
                Source::AdLanguages => {
                    cell.texts(ad.languages.iter().map(|language| primary_subtag(language)))
                }
                _ => unreachable!("the schema keeps context sources out of this group"),
            }
        }
    }
}

fn encode_context_feature(source: Source, input: &ContextInput, cell: &mut Cell) {
    let (request, imp) = (input.request, input.imp);
    let (device, channel) = (&request.device, &request.channel);
    let profile = input.profile;
    match source {
        Source::Exchange => cell.text(Some(input.exchange)),
        Source::Channel => cell.text(channel_name(channel.kind)),
        Source::SiteDomain => cell.text(site_domain(channel)),
        Source::AppBundle => cell.text(channel.bundle),
        Source::Publisher => cell.text(channel.publisher_id.or(channel.publisher_domain)),
        Source::Placement => cell.text(imp.tagid),
        Source::PageCategories => cell.texts(request.strs(channel.categories).iter().copied()),
        Source::Keywords => cell.texts(request.strs(channel.keywords).iter().copied()),
        Source::Os => cell.text(device.os),
        Source::Browser => cell.text(device.browser),
        Source::DeviceType => cell.maybe(device.kind),
        Source::Country => cell.text(device.geo.country.or(request.user.geo.country)),
        Source::Region => cell.text(device.geo.region.or(request.user.geo.region)),
        Source::City => cell.text(device.geo.city.or(request.user.geo.city)),
        Source::Language => cell.text(device.language.map(primary_subtag)),
        Source::Connection => cell.maybe(device.connection),
        Source::HourOfWeek => cell.display(input.hour.index()),
        Source::Hour => cell.display(input.hour.hour()),
        Source::Weekday => cell.display(input.hour.weekday()),
        Source::Position => cell.maybe(position(imp)),
        Source::Interstitial => cell.number(f32::from(u8::from(imp.instl))),
        Source::Secure => cell.maybe(imp.secure.map(u8::from)),
        Source::OfferedFormats => cell.texts(offered_formats(imp)),
        Source::OfferedSize => offered_size(request, imp, cell),
        Source::Segments => {
            let segments = &request.segments[request.user.segments.range()];
            cell.texts(segments.iter().map(|segment| segment.id));
        }
        Source::ProfileTags => profile_tags(profile, cell),
        Source::Frequency => cell.number(profile.map_or(0.0, |profile| f32::from(profile.frequency))),
        Source::RecencyDays => {
            let days = profile.and_then(|profile| profile.last_active_day);
            cell.number(days.map_or(0.0, |day| (input.now.day() - day).max(0) as f32));
        }
        Source::LifetimeValue => cell.number(profile.map_or(0.0, |profile| units(profile.ltv))),
        Source::Monetary => cell.number(profile.map_or(0.0, |profile| units(profile.monetary))),
        Source::HasProfile => cell.number(f32::from(u8::from(profile.is_some()))),
        Source::Gender => cell.text(profile.and_then(|profile| profile.gender.letter())),
        Source::AgeBand => cell.text(profile.and_then(|profile| profile.age(input.now)).map(age_band)),
        _ => unreachable!("the schema keeps candidate sources out of this group"),
    }
}

/// The slots of one feature in one row, written as "missing" until a value comes.
struct Cell<'a> {
    slots: &'a mut [u32],
    kind: Kind,
    seed: u64,
    text: CategoryText,
}

impl<'a> Cell<'a> {
    fn new(seed: u64, feature: &Feature, row: &'a mut [u32]) -> Cell<'a> {
        let slots = &mut row[feature.slots.clone()];
        match feature.kind {
            Kind::Bag { max, .. } => {
                slots[..max].fill(Schema::UNUSED);
                slots[max..].fill(0);
            }
            Kind::Number { .. } | Kind::Category { .. } => slots[0] = 0,
        }
        Cell {
            slots,
            kind: feature.kind,
            seed,
            text: CategoryText::new(feature.source.name()),
        }
    }

    fn number(&mut self, value: f32) {
        if let Kind::Number { transform, scale } = self.kind {
            self.slots[0] = (transform.apply(value) * scale).to_bits();
        }
    }

    fn text(&mut self, value: Option<&str>) {
        if let (Kind::Category { buckets, .. }, Some(value)) = (self.kind, value) {
            self.slots[0] = self.text.id_of_text(value, self.seed, buckets);
        }
    }

    fn maybe(&mut self, value: Option<impl fmt::Display>) {
        if let Some(value) = value {
            self.display(value);
        }
    }

    fn display(&mut self, value: impl fmt::Display) {
        if let Kind::Category { buckets, .. } = self.kind {
            self.slots[0] = self.text.id(value, self.seed, buckets);
        }
    }

    /// The first values up to the bag's size; empty ones are left out.
    fn texts<'t>(&mut self, values: impl Iterator<Item = &'t str>) {
        if let Kind::Bag {
            buckets, max, pool, ..
        } = self.kind
        {
            let ids = values.map(|value| self.text.id_of_text(value, self.seed, buckets));
            let mut used = 0;
            for id in ids.filter(|id| *id != 0).take(max) {
                self.slots[used] = id;
                used += 1;
            }
            if pool == Pool::WeightedMean {
                self.slots[max..max + used].fill(1f32.to_bits());
            }
        }
    }
}

/// Tags are kept by the hash of their name, so the value is that hash in eight hexadecimal digits. A profile with more
/// tags than the bag holds gives those with the lowest hashes: the same ones each time, with no preference among them.
fn profile_tags(profile: Option<&Profile>, cell: &mut Cell) {
    let (
        Some(profile),
        Kind::Bag {
            buckets, max, pool, ..
        },
    ) = (profile, cell.kind)
    else {
        return;
    };
    let (ids, weights) = cell.slots.split_at_mut(max);
    for (index, tag) in profile.tags.iter().take(max).enumerate() {
        ids[index] = cell
            .text
            .id_of_text(hexadecimal(tag.id, &mut [0; 8]), cell.seed, buckets);
        if pool == Pool::WeightedMean {
            weights[index] = tag.weight().to_bits();
        }
    }
}

fn hexadecimal(value: u32, digits: &mut [u8; 8]) -> &str {
    for (index, digit) in digits.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(value >> (28 - 4 * index) & 15) as usize];
    }
    std::str::from_utf8(digits).expect("ASCII digits")
}

fn channel_name(kind: ChannelKind) -> Option<&'static str> {
    match kind {
        ChannelKind::Site => Some("site"),
        ChannelKind::App => Some("app"),
        ChannelKind::Dooh => Some("dooh"),
        ChannelKind::Unknown => None,
    }
}

/// The site's domain, without `www.`; else the host of its page.
fn site_domain<'a>(channel: &Channel<'a>) -> Option<&'a str> {
    let domain = channel.domain.or_else(|| {
        let (_, rest) = channel.page?.split_once("://")?;
        rest.split(['/', '?', '#', ':']).next()
    })?;
    Some(domain.strip_prefix("www.").unwrap_or(domain))
}

fn primary_subtag(language: &str) -> &str {
    language.split(['-', '_']).next().unwrap_or(language)
}

fn position(imp: &Imp) -> Option<u32> {
    let banner = imp.banner.as_ref().and_then(|banner| banner.pos);
    banner.or_else(|| imp.video.as_ref().and_then(|video| video.pos))
}

fn offered_formats(imp: &Imp) -> impl Iterator<Item = &'static str> {
    let offered = [
        (imp.banner.is_some(), AdFormat::Banner),
        (imp.video.is_some(), AdFormat::Video),
        (imp.audio.is_some(), AdFormat::Audio),
        (imp.native.is_some(), AdFormat::Native),
    ];
    offered
        .into_iter()
        .filter(|(there, _)| *there)
        .map(|(_, format)| format.name())
}

/// The first size of the banner, else the video player's.
fn offered_size(request: &Request, imp: &Imp, cell: &mut Cell) {
    let banner = imp
        .banner
        .as_ref()
        .and_then(|banner| request.sizes(banner).first());
    if let Some(size) = banner {
        cell.display(format_args!("{}x{}", size.w, size.h));
    } else if let Some((w, h)) = imp.video.as_ref().and_then(|video| video.w.zip(video.h)) {
        cell.display(format_args!("{w}x{h}"));
    }
}

fn age_band(age: u8) -> &'static str {
    match age {
        0..18 => "under-18",
        18..25 => "18-24",
        25..35 => "25-34",
        35..45 => "35-44",
        45..55 => "45-54",
        55..65 => "55-64",
        65.. => "65-and-over",
    }
}

fn units(amount: Nanos) -> f32 {
    amount.as_units() as f32
}
