//! A bid request as the bidder sees it: OpenRTB 2.6 positions, borrowed from the body, flat.
//!
//! Lists live in pools and are referred to by [`Span`], so that parsing the next request reuses every buffer.
//! `None` means unknown (section 2.3); an empty list means that the request gave none. Text is never empty
//! where it is `Some`, except where a field says otherwise.

use crate::units::{Cpm, Currency, Timestamp};

/// A range of one of the pools in [`Request`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A list of strings in [`Request::strs`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strs(pub Span);

/// A list of integers in [`Request::ints`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ints(pub Span);

/// `BidRequest`, section 3.2.1.
#[derive(Debug, Default)]
pub struct Request<'a> {
    pub id: &'a str,
    pub imps: Vec<Imp<'a>>,
    pub channel: Channel<'a>,
    pub device: Device<'a>,
    pub user: User<'a>,
    pub regs: Regs<'a>,
    pub source: Source<'a>,
    pub test: bool,
    /// 1 first price, 2 second price plus (the default), 500 and above as the exchange says.
    pub at: u32,
    /// Includes the network; 0 = no time at all.
    pub tmax_ms: Option<u32>,
    pub all_imps: bool,
    pub wseat: Strs,
    pub bseat: Strs,
    /// Allowed currencies; empty = no list.
    pub cur: Strs,
    pub wlang: Strs,
    pub wlangb: Strs,
    pub acat: Strs,
    pub bcat: Strs,
    /// Taxonomy of `acat` and `bcat`; 1 by default.
    pub cattax: u32,
    pub badv: Strs,
    pub bapp: Strs,

    pub strs: Vec<&'a str>,
    pub ints: Vec<u32>,
    pub sizes: Vec<Size>,
    pub deals: Vec<Deal<'a>>,
    pub native_assets: Vec<NativeAsset>,
    pub eids: Vec<Eid<'a>>,
    pub segments: Vec<Segment<'a>>,
    pub schain_nodes: Vec<SchainNode<'a>>,
    pub dur_floors: Vec<DurFloor>,
    pub companions: Vec<Companion>,
}

impl<'a> Request<'a> {
    pub fn strs(&self, list: Strs) -> &[&'a str] {
        &self.strs[list.0.range()]
    }

    pub fn ints(&self, list: Ints) -> &[u32] {
        &self.ints[list.0.range()]
    }

    pub fn deals(&self, imp: &Imp<'a>) -> &[Deal<'a>] {
        &self.deals[imp.deals.range()]
    }

    pub fn sizes(&self, banner: &Banner) -> &[Size] {
        &self.sizes[banner.sizes.range()]
    }

    pub fn native_assets(&self, native: &Native) -> &[NativeAsset] {
        &self.native_assets[native.assets.range()]
    }

    /// The companion ads that a spot has room for.
    pub fn companions(&self, spot: &Spot) -> &[Companion] {
        &self.companions[spot.companions.range()]
    }

    /// Floors by duration, of a spot ([`Spot::dur_floors`]) or a deal ([`Deal::dur_floors`]).
    pub fn dur_floors(&self, list: Span) -> &[DurFloor] {
        &self.dur_floors[list.range()]
    }

    /// `user.eids`, one entry per uid.
    pub fn eids(&self) -> &[Eid<'a>] {
        &self.eids[self.user.eids.range()]
    }

    /// `user.data[].segment[]`.
    pub fn segments(&self) -> &[Segment<'a>] {
        &self.segments[self.user.segments.range()]
    }

    pub fn schain_nodes(&self, schain: &Schain) -> &[SchainNode<'a>] {
        &self.schain_nodes[schain.nodes.range()]
    }
}

/// `Imp`, section 3.2.4. One without any format that could be read is kept, so that it is counted; it gets no bid.
#[derive(Debug, Default)]
pub struct Imp<'a> {
    pub id: &'a str,
    pub banner: Option<Banner>,
    pub video: Option<Video<'a>>,
    pub audio: Option<Audio<'a>>,
    pub native: Option<Native>,
    pub floor: Cpm,
    pub floor_cur: FloorCurrency,
    pub tagid: Option<&'a str>,
    /// `Some(true)`: everything https. `None`: unknown.
    pub secure: Option<bool>,
    pub instl: bool,
    pub rewarded: bool,
    pub ssai: u32,
    /// Advisory seconds between auction and impression.
    pub exp_s: Option<u32>,
    /// `qty.multiplier`, impressions in millionths (1,000,000 = 1.0), not 0. Section 7.9.4: cost = price/1000 × multiplier.
    pub qty_micros: Option<u64>,
    /// When the ad is estimated to be shown, on a screen of many (section 7.9.2.5).
    pub dt: Option<Timestamp>,
    pub private_auction: bool,
    pub deals: Span,
}

/// The currency of a floor. An unreadable code is kept apart from the default, so that such a floor is never ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloorCurrency {
    Known(Currency),
    Unreadable,
}

impl Default for FloorCurrency {
    fn default() -> Self {
        FloorCurrency::Known(Currency::USD)
    }
}

/// `Format`, section 3.2.10. All zero = a size was given that cannot be read: it fits no creative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    pub w: u32,
    pub h: u32,
    /// Flex sizes, section 3.2.10: a ratio and a minimum width instead of `w` and `h`.
    pub wratio: u32,
    pub hratio: u32,
    pub wmin: u32,
}

impl Size {
    /// A ratio rather than a width and a height; where both are given, width and height count.
    pub fn is_flexible(&self) -> bool {
        (self.w == 0 || self.h == 0) && self.wratio > 0 && self.hratio > 0
    }

    /// Whether `w` × `h` is this very size; or, where it is flexible, at least as wide as it asks and of its ratio,
    /// with the height to the pixel (section 3.2.10).
    pub fn takes(&self, w: u32, h: u32) -> bool {
        if self.is_flexible() {
            w >= self.wmin && is_in_ratio((w, h), (self.wratio, self.hratio))
        } else {
            self.w > 0 && self.h > 0 && (self.w, self.h) == (w, h)
        }
    }
}

/// Whether a size is of a ratio, its height rounded to the pixel. The ratio is not 0.
pub fn is_in_ratio(size: (u32, u32), ratio: (u32, u32)) -> bool {
    let across = u64::from(size.1) * u64::from(ratio.0);
    let down = u64::from(size.0) * u64::from(ratio.1);
    across.abs_diff(down) < u64::from(ratio.0)
}

/// `Banner`, section 3.2.6. `sizes` is `format[]`, or `w`/`h` where `format` is missing; empty = any size.
#[derive(Clone, Copy, Debug, Default)]
pub struct Banner {
    pub sizes: Span,
    pub btype: Ints,
    pub battr: Ints,
    pub pos: Option<u32>,
    pub mimes: Strs,
    pub api: Ints,
    pub expdir: Ints,
}

/// `companionad[]` of a spot: a banner beside or behind it (sections 3.2.6 to 3.2.8).
#[derive(Clone, Copy, Debug, Default)]
pub struct Companion {
    pub banner: Banner,
    /// `vcm`: `Some(true)` is shown as an end card, `Some(false)` beside the spot.
    pub end_card: Option<bool>,
}

/// What [`Video`] and [`Audio`] say in the same words: a slot in a stream that a linear VAST ad fills
/// (sections 3.2.7 and 3.2.8).
#[derive(Clone, Copy, Debug, Default)]
pub struct Spot<'a> {
    pub mimes: Strs,
    pub min_duration_s: u32,
    pub max_duration_s: Option<u32>,
    /// Exact durations, in seconds. They win over the two above, which are then 0 and `None`.
    pub rqddurs: Ints,
    pub start_delay: Option<i32>,
    pub protocols: Ints,
    pub battr: Ints,
    pub min_bitrate_kbps: Option<u32>,
    pub max_bitrate_kbps: Option<u32>,
    pub delivery: Ints,
    pub api: Ints,
    /// In [`Request::companions`].
    pub companions: Span,
    /// AdCOM companion types on offer: 1 static, 2 HTML, 3 iframe; empty = any.
    pub companion_types: Ints,
    /// The pod that the spot belongs to, section 7.6.
    pub pod_id: Option<&'a str>,
    /// AdCOM pod sequence: -1 last, 0 any, 1 first pod of the content.
    pub pod_seq: i32,
    /// AdCOM slot position in pod, as the seller guarantees it: -1 last, 0 any, 1 first, 2 first or last.
    pub slot_in_pod: i32,
    /// Part of a dynamic pod of this length, section 7.6: it takes several bids, which share the time. Without it the spot is
    /// one slot. Not 0.
    pub pod_duration_s: Option<u32>,
    /// The most ads of a dynamic pod. Not 0.
    pub max_seq: Option<u32>,
    /// AdCOM pod deduplication settings: 1 domain, 2 category, 3 creative id, 4 media URL, 5 none.
    pub pod_dedupe: Ints,
    pub min_cpm_per_sec: Option<Cpm>,
    /// In [`Request::dur_floors`].
    pub dur_floors: Span,
}

/// `Video`, section 3.2.7.
#[derive(Clone, Copy, Debug, Default)]
pub struct Video<'a> {
    pub spot: Spot<'a>,
    pub w: Option<u32>,
    pub h: Option<u32>,
    /// AdCOM plcmt subtype: 1 instream, 2 accompanying content, 3 interstitial, 4 standalone, …
    pub plcmt: Option<u32>,
    pub linearity: Option<u32>,
    pub skip: Option<bool>,
    pub playback_method: Option<u32>,
    pub pos: Option<u32>,
    /// Absent = allowed.
    pub boxing_allowed: Option<bool>,
}

/// `Audio`, section 3.2.8.
#[derive(Clone, Copy, Debug, Default)]
pub struct Audio<'a> {
    pub spot: Spot<'a>,
    /// AdCOM feed type: 1 music service, 2 broadcast, 3 podcast, …
    pub feed: Option<u32>,
    /// Stitched into the content rather than delivered by itself.
    pub stitched: Option<bool>,
    /// AdCOM volume normalization mode.
    pub nvol: Option<u32>,
}

/// `durfloors[]`, section 3.2.35.
#[derive(Clone, Copy, Debug, Default)]
pub struct DurFloor {
    pub min_s: u32,
    pub max_s: Option<u32>,
    pub floor: Cpm,
}

/// `Native`, section 3.2.9, with what its `request` asks for (Native 1.2, section 4).
#[derive(Clone, Copy, Debug, Default)]
pub struct Native {
    /// The request had the 1.0 wrapper `{"native": …}`; the answer has it too.
    pub wrapped: bool,
    pub assets: Span,
    pub battr: Ints,
    pub api: Ints,
    /// Event trackers that the page can fire: bit 0 = impression by image, bit 1 = impression by script.
    pub impression_methods: u8,
    /// The request lists an impression among its `eventtrackers` (1.2); otherwise use `imptrackers`.
    pub event_trackers: bool,
    pub privacy: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NativeAsset {
    pub id: u32,
    pub required: bool,
    pub kind: NativeAssetKind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NativeAssetKind {
    Title {
        len: u32,
    },
    Image {
        kind: u32,
        w: u32,
        h: u32,
        wmin: u32,
        hmin: u32,
    },
    Data {
        kind: u32,
        len: Option<u32>,
    },
    Video,
    /// A kind this bidder does not know: it cannot be filled.
    #[default]
    Unknown,
}

/// `Deal`, section 3.2.12.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deal<'a> {
    pub id: &'a str,
    pub floor: Cpm,
    /// USD where absent: it does not inherit the imp's.
    pub floor_cur: FloorCurrency,
    /// Overrides [`Request::at`]; 3 = `floor` is the agreed price.
    pub at: Option<u32>,
    pub wseat: Strs,
    pub wadomain: Strs,
    pub guaranteed: bool,
    /// Video and audio deals, in `floor_cur`; section 7.11 gives the order of floors.
    pub min_cpm_per_sec: Option<Cpm>,
    pub dur_floors: Span,
}

/// Where the ad would be shown: `site`, `app` or `dooh`.
#[derive(Debug, Default)]
pub struct Channel<'a> {
    pub kind: ChannelKind,
    pub id: Option<&'a str>,
    pub name: Option<&'a str>,
    pub domain: Option<&'a str>,
    pub page: Option<&'a str>,
    /// App only: store id or package name.
    pub bundle: Option<&'a str>,
    pub publisher_id: Option<&'a str>,
    pub publisher_domain: Option<&'a str>,
    pub inventory_partner_domain: Option<&'a str>,
    /// `cat`, `sectioncat`, `pagecat` and, where it is of the same taxonomy, the content's `cat`, in that order.
    pub categories: Strs,
    pub cattax: u32,
    /// `keywords` split at commas and `kwarray`, of channel and content.
    pub keywords: Strs,
    pub content_language: Option<&'a str>,
    /// DOOH only, section 3.2.32: `venuetype`, as the request writes it.
    pub venues: Strs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelKind {
    Site,
    App,
    Dooh,
    #[default]
    Unknown,
}

impl ChannelKind {
    /// 1 site, 2 app, 3 dooh.
    pub fn code(self) -> Option<u32> {
        match self {
            ChannelKind::Site => Some(1),
            ChannelKind::App => Some(2),
            ChannelKind::Dooh => Some(3),
            ChannelKind::Unknown => None,
        }
    }
}

/// `Device`, section 3.2.18; `sua` (section 3.2.29) has been folded into `os`, `osv`, `browser`, `model` and
/// `kind` where it is there, and wins over the fields beside it. `os` and `kind` come from `ua` where nothing else says.
#[derive(Debug, Default)]
pub struct Device<'a> {
    pub ua: Option<&'a str>,
    /// A valid `ip` or `ipv6`; anything else was dropped.
    pub ip: Option<std::net::IpAddr>,
    pub geo: Geo<'a>,
    /// AdCOM device type: 1 mobile or tablet, 2 PC, 3 connected TV, 4 phone, 5 tablet, …
    pub kind: Option<u32>,
    pub make: Option<&'a str>,
    pub model: Option<&'a str>,
    pub os: Option<&'a str>,
    pub osv: Option<&'a str>,
    /// From `sua.browsers`, else recognised in `ua`: chrome, safari, firefox, edge, opera, msie, samsung.
    pub browser: Option<&'a str>,
    /// `language` (ISO-639-1), else `langb` (BCP 47).
    pub language: Option<&'a str>,
    pub carrier: Option<&'a str>,
    pub connection: Option<u32>,
    /// Never the all-zero id.
    pub ifa: Option<&'a str>,
    /// `ua` names a known crawler or script.
    pub crawler: bool,
    pub lmt: bool,
    pub dnt: bool,
}

/// `Geo`, section 3.2.19.
#[derive(Clone, Copy, Debug, Default)]
pub struct Geo<'a> {
    /// ISO-3166-1 alpha-3.
    pub country: Option<&'a str>,
    pub region: Option<&'a str>,
    pub city: Option<&'a str>,
    pub zip: Option<&'a str>,
    pub lat: Option<f64>,
    pub lon: Option<f64>,
    pub utc_offset_min: Option<i32>,
}

/// `User`, section 3.2.20.
#[derive(Debug, Default)]
pub struct User<'a> {
    pub id: Option<&'a str>,
    pub buyer_uid: Option<&'a str>,
    pub eids: Span,
    pub segments: Span,
    pub geo: Geo<'a>,
    /// The TC string.
    pub consent: Option<&'a str>,
    pub keywords: Strs,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Eid<'a> {
    pub source: &'a str,
    pub id: &'a str,
    pub atype: u32,
}

/// `Data.segment[]`, section 3.2.22.
#[derive(Clone, Copy, Debug, Default)]
pub struct Segment<'a> {
    /// The data provider's `id`, else its `name`, else empty.
    pub provider: &'a str,
    /// `id`, else `name`.
    pub id: &'a str,
    pub value: Option<&'a str>,
}

/// `Regs`, section 3.2.3.
#[derive(Debug, Default)]
pub struct Regs<'a> {
    pub coppa: bool,
    /// `None` = unknown.
    pub gdpr: Option<bool>,
    /// `Some("")`: something is there that is not text.
    pub us_privacy: Option<&'a str>,
    /// `Some("")`: something is there that is not text.
    pub gpp: Option<&'a str>,
    /// Sections in force.
    pub gpp_sid: Ints,
    /// `gpp_sid` says that no section is in force (`[-1]` or `[0]`).
    pub gpp_not_applicable: bool,
    /// `ext.gpc`: the browser sent `Sec-GPC: 1`.
    pub gpc: bool,
    pub dsa: DsaTerms,
}

/// `regs.ext.dsa` of the DSA transparency extension.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DsaTerms {
    /// `dsarequired` is 1 or more: a bid says on whose behalf the ad is shown and who pays.
    pub asked: bool,
    /// `dsarequired` is 2 or 3 and `pubrender` is 0: the ad has to show it itself.
    pub ad_must_show: bool,
    /// `datatopub` is 1 or 2: the user parameters that were applied are to be sent.
    pub parameters: bool,
}

/// `Source`, section 3.2.2.
#[derive(Debug, Default)]
pub struct Source<'a> {
    pub tid: Option<&'a str>,
    pub schain: Option<Schain>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Schain {
    /// 1, or 2 (all paid nodes and all others too; since version 1.1).
    pub complete: bool,
    pub nodes: Span,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct SchainNode<'a> {
    /// Empty where the node has none: no known system, so a check of the chain fails on it.
    pub asi: &'a str,
    pub sid: &'a str,
    /// `hp`: paid for the inventory (since version 1.1 others stand in chains too); `None` = it does not say.
    pub paid: Option<bool>,
}
