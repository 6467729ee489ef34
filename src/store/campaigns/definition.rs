//! What people configure, after inheritance, before it is compiled: plain values, ids as strings.

use crate::store::campaigns::expression::Expression;
use crate::units::{Cpm, HourOfWeek, Limits, Nanos, Spread, Timestamp};
use std::net::IpAddr;

pub use super::goal::{
    BidStrategy, Discount, Kpi, KpiTarget, LifetimeValue, ProfileAmount, Relevance, Weights,
};

/// Everything that [`Campaigns::compile`](super::Campaigns::compile) turns into an index.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    pub advertisers: Vec<Advertiser>,
    pub campaigns: Vec<Campaign>,
    pub creatives: Vec<Creative>,
    pub policy: Vec<PolicyRule>,
    /// Hours of the user's week in which nobody is shown anything, whoever advertises; `None` = there are none.
    pub do_not_disturb: Option<Hours>,
    pub signals: Vec<Signal>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    #[default]
    Active,
    Paused,
    Ended,
}

#[derive(Clone, Debug)]
pub struct Advertiser {
    pub id: String,
    pub name: String,
    pub domain: String,
    pub categories: Vec<String>,
    /// Taxonomy of `categories` (AdCOM category taxonomies; 1 = IAB Content 1.0).
    pub cattax: u32,
    /// IANA name. Days and hours of budgets are this zone's.
    pub time_zone: String,
    /// Hours of the user's week in which nobody is shown an ad of this advertiser.
    pub do_not_disturb: Option<Hours>,
    pub status: Status,
}

#[derive(Clone, Debug)]
pub struct Campaign {
    pub id: String,
    pub name: String,
    /// Index into [`Definitions::advertisers`].
    pub advertiser: usize,
    pub status: Status,
    pub budget: Limits,
    pub pacing: Spread,
    /// The share of its money that is for trials: 0..=0.5.
    pub exploration: f64,
    pub reallocation: Option<Reallocation>,
    pub flight: Flight,
    pub line_items: Vec<LineItem>,
}

/// By which rules a campaign moves its money between line items, exchanges, formats and placements.
#[derive(Clone, Debug, PartialEq)]
pub struct Reallocation {
    /// Seconds between two looks.
    pub every_s: u32,
    /// The name of the conversion that counts.
    pub event: String,
    pub conversions_min: u32,
    pub cac_max: Option<Nanos>,
    /// A weight above it waits for a person.
    pub approve_above: f64,
    pub ltv: Option<LtvRule>,
    pub roi: Option<RoiRule>,
    pub retention: Option<RetentionRule>,
    /// Seconds that a slice rests which is below its target.
    pub pause_s: u32,
}

/// Lifetime value by acquisition cost.
#[derive(Clone, Debug, PartialEq)]
pub struct LtvRule {
    /// Of a converted user; `None` = what conversions are told to be worth.
    pub ltv: Option<Nanos>,
    pub more_over: f64,
    pub less_under: f64,
    pub step: f64,
}

/// Return on investment: 1.5 = 150 %.
#[derive(Clone, Debug, PartialEq)]
pub struct RoiRule {
    pub more_over: f64,
    pub step: f64,
    pub target: Option<f64>,
}

/// Those who come back.
#[derive(Clone, Debug, PartialEq)]
pub struct RetentionRule {
    pub event: String,
    pub floor: f64,
    pub ctr_over: f64,
    pub step: f64,
}

/// From (inclusive) until (exclusive); `None` = open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flight {
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

impl Flight {
    /// The time that belongs to both.
    pub fn intersection(self, other: Flight) -> Flight {
        let until = match (self.until, other.until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Flight {
            from: self.from.max(other.from),
            until,
        }
    }

    pub fn contains(&self, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }
}

/// A line item with every inherited value filled in.
#[derive(Clone, Debug)]
pub struct LineItem {
    pub id: String,
    /// A regional override `ID@CAN` is a line item of its own that spends from the budget account of `ID` and counts
    /// against its caps: the id of that line item. `None` = its own.
    pub part_of: Option<String>,
    pub status: Status,
    pub budget: Limits,
    pub pacing: Spread,
    pub flight: Flight,
    /// Something that it advertises can be had.
    pub in_stock: bool,
    pub targeting: Targeting,
    pub bid: BidStrategy,
    pub ltv: LifetimeValue,
    pub kpi: Option<Kpi>,
    pub relevance: Relevance,
    /// The value is never above this. A price that a guaranteed deal or a fixed one with `deliver_deals` agrees on stands.
    pub max_bid: Option<Cpm>,
    /// All that hold are multiplied; the product is kept within 0.1..=10.
    pub multipliers: Vec<Multiplier>,
    /// Of caps of one level and window, the first whose audience has the user counts; one without an audience stands last.
    pub caps: Vec<Cap>,
    pub suppressions: Vec<Suppression>,
    pub back_off: Option<BackOff>,
    pub without_id: WithoutId,
    /// Ids into [`Definitions::creatives`].
    pub creatives: Vec<String>,
    /// `deal_goal = "deliver"`: a fixed-price deal is answered even where the value is below its price.
    pub deliver_deals: bool,
    /// A line item that is targeted at deals bids in the open auction of their imps too.
    pub open_beside_deals: bool,
    /// May bid on several imps of one request; on all or none where the request offers all there is (`allimps`).
    pub roadblock: bool,
    /// In a pod of video or audio ads only this place will do.
    pub slot_in_pod: Option<PodSlot>,
}

/// A place in a pod that a line item insists on (OpenRTB 2.6, section 7.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodSlot {
    First,
    Last,
    FirstOrLast,
}

impl PodSlot {
    /// AdCOM, "Slot Position in Pod".
    pub fn code(self) -> i32 {
        match self {
            PodSlot::First => 1,
            PodSlot::Last => -1,
            PodSlot::FirstOrLast => 2,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Multiplier {
    pub when: Targeting,
    /// Thousandths: 1300 = × 1.30.
    pub factor_milli: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cap {
    pub level: CapLevel,
    pub impressions: u16,
    /// [`LIFETIME_S`] = however long ago.
    pub window_s: u32,
    /// For these users alone.
    pub audience: Option<Expression>,
}

/// A window without an end: 136 years.
pub const LIFETIME_S: u32 = u32::MAX;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CapLevel {
    Creative,
    /// Creatives of the advertiser that have this group's name.
    Group(String),
    LineItem,
    Campaign,
    Advertiser,
}

/// People who have bought are left alone for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    pub sellers: Sellers,
    /// The name of the conversion that makes a buyer.
    pub event: String,
    /// From the conversion on.
    pub window_s: u32,
}

/// From whom somebody bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sellers {
    /// The line item's own advertiser.
    Own,
    /// Any advertiser that has this category or one below it, in the taxonomy of the line item's own.
    Category(String),
}

/// After so many impressions without a click, a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackOff {
    pub after: u16,
    pub pause_s: u32,
}

/// What a line item does when the request names no user it may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WithoutId {
    #[default]
    Bid,
    NoBid,
}

/// Values wanted and values refused. Empty `include` = any value, also a missing one.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms<T> {
    pub include: Vec<T>,
    pub exclude: Vec<T>,
}

impl<T> Default for Terms<T> {
    fn default() -> Terms<T> {
        Terms {
            include: Vec::new(),
            exclude: Vec::new(),
        }
    }
}

impl<T> Terms<T> {
    pub fn is_any(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }
}

/// Every dimension a line item can target. A request without the value fails an `include` and passes an `exclude`.
/// Text is compared case-insensitively (ASCII).
#[derive(Clone, Debug, Default)]
pub struct Targeting {
    pub country: Terms<String>,
    /// `COUNTRY-REGION` such as `USA-CA`, or the region alone.
    pub region: Terms<String>,
    pub city: Terms<String>,
    /// A postcode, or a prefix ending in `*`.
    pub postcode: Terms<String>,
    pub radius: Terms<Circle>,
    pub device_type: Terms<u32>,
    pub make: Terms<String>,
    pub model: Terms<String>,
    pub os: Terms<String>,
    pub os_version: VersionRange,
    pub browser: Terms<String>,
    /// Primary subtag: `en` covers `en-GB`.
    pub language: Terms<String>,
    pub connection: Terms<u32>,
    pub carrier: Terms<String>,
    /// Hours of the week in the user's own time zone.
    pub hours: Hours,
    pub exchange: Terms<String>,
    /// 1 site, 2 app, 3 dooh: [`ChannelKind::code`](crate::openrtb::request::ChannelKind::code).
    pub channel: Terms<u32>,
    /// The domain of a site, or of the owner of a DOOH screen; a domain covers its subdomains.
    pub site: Terms<String>,
    /// App name or id.
    pub app: Terms<String>,
    pub bundle: Terms<String>,
    /// Name or id of a DOOH placement.
    pub dooh: Terms<String>,
    /// Where a DOOH screen stands, as the request writes it: `transit` covers `transit.airports`.
    pub venue: Terms<String>,
    pub publisher: Terms<String>,
    /// `imp.tagid`.
    pub placement: Terms<String>,
    /// A parent (`IAB1`) covers its children (`IAB1-6`).
    pub category: Terms<String>,
    pub keyword: Terms<String>,
    pub position: Terms<u32>,
    pub instl: Option<bool>,
    pub rewarded: Option<bool>,
    /// `video.plcmt`.
    pub video_placement: Terms<u32>,
    /// `audio.feed`.
    pub audio_feed: Terms<u32>,
    pub deal: Terms<String>,
    pub ip: Terms<IpRange>,
    /// Named context signals as `name:value`, such as `weather:rain`.
    pub signal: Terms<String>,
    pub audience: Option<Expression>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Circle {
    pub lat: f64,
    pub lon: f64,
    pub km: f64,
}

/// Inclusive, compared number by number: 10.2 < 10.10. `max` covers what it does not name: 16 lets 16.4 pass. Empty = any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionRange {
    pub min: Option<String>,
    pub max: Option<String>,
}

/// Inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpRange {
    pub first: IpAddr,
    pub last: IpAddr,
}

/// A set of hours of the week, Monday 00 first; `None` = all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hours(pub Option<[u64; 3]>);

impl Hours {
    /// No hour of the week belongs to it.
    pub fn is_never(&self) -> bool {
        // The third word holds the hours 128 to 167.
        self.0
            .is_some_and(|[a, b, c]| (a, b, c << (3 * 64 - 168)) == (0, 0, 0))
    }

    pub fn contains(&self, hour: HourOfWeek) -> bool {
        let index = hour.index();
        self.0
            .is_none_or(|bits| bits[index / 64] >> (index % 64) & 1 == 1)
    }
}

#[derive(Clone, Debug)]
pub struct Creative {
    pub id: String,
    /// Index into [`Definitions::advertisers`].
    pub advertiser: usize,
    pub status: Status,
    /// Names that caps count creatives of an advertiser under.
    pub groups: Vec<String>,
    /// `adomain`; the advertiser's where the file gives none.
    pub domains: Vec<String>,
    pub categories: Vec<String>,
    pub cattax: u32,
    /// AdCOM creative attributes.
    pub attributes: Vec<u32>,
    /// AdCOM API frameworks that the markup needs.
    pub apis: Vec<u32>,
    pub landing_url: String,
    /// ISO-639-1, lower case; empty or `xx` = no linguistic content.
    pub languages: Vec<String>,
    pub valid: Flight,
    /// The promoted app's store id.
    pub bundle: Option<String>,
    pub approvals: Vec<(String, Approval)>,
    pub ai_generated: bool,
    /// `iurl`: an image that represents the ad, for the exchange's review.
    pub image_url: Option<String>,
    pub ad: Ad,
}

impl Creative {
    /// AdCOM creative attributes 3 to 5: it expands by itself, on a click or on a rollover.
    pub fn is_expandable(&self) -> bool {
        self.attributes
            .iter()
            .any(|attribute| (3..=5).contains(attribute))
    }
}

/// The state of a creative at one exchange; where none is set, the exchange's default counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Approval {
    #[default]
    Approved,
    Pending,
    Rejected,
}

#[derive(Clone, Debug, Hash)]
pub enum Ad {
    Banner(BannerAd),
    /// With a size.
    Video(LinearAd),
    /// Without one.
    Audio(LinearAd),
    Native(NativeAd),
}

#[derive(Clone, Debug, Hash)]
pub struct BannerAd {
    pub w: u32,
    pub h: u32,
    /// May contain the OpenRTB macros, `${CLICK_URL}` (our redirect to the landing URL) and `${LANDING_URL}`.
    pub html: String,
    /// AdCOM `btype`: 1 XHTML text, 2 XHTML banner, 3 JavaScript, 4 iframe.
    pub btype: u32,
    /// AdCOM expandable directions into which the ad expands.
    pub expands: Vec<u32>,
}

/// A video, or an audio ad.
#[derive(Clone, Debug, Default, Hash)]
pub struct LinearAd {
    pub title: String,
    pub duration_s: u32,
    /// Of the picture.
    pub size: Option<(u32, u32)>,
    /// `Some(n)`: the ad itself can be skipped after n seconds.
    pub skip_after_s: Option<u32>,
    pub media: Vec<MediaFile>,
    /// Shown with the ad where the imp has room for them.
    pub companions: Vec<CompanionAd>,
}

#[derive(Clone, Debug, Hash)]
pub struct MediaFile {
    pub url: String,
    pub mime: String,
    pub bitrate_kbps: u32,
    /// 0 × 0 in an audio ad.
    pub w: u32,
    pub h: u32,
}

#[derive(Clone, Debug, Hash)]
pub struct CompanionAd {
    pub w: u32,
    pub h: u32,
    /// AdCOM creative attributes.
    pub attributes: Vec<u32>,
    pub content: CompanionContent,
}

#[derive(Clone, Debug, Hash)]
pub enum CompanionContent {
    Image {
        url: String,
        mime: String,
    },
    /// As in a [`BannerAd`].
    Html {
        html: String,
        btype: u32,
    },
}

#[derive(Clone, Debug, Hash)]
pub struct NativeAd {
    pub title: String,
    pub images: Vec<NativeImage>,
    /// (AdCOM native data type, value).
    pub data: Vec<(u32, String)>,
    pub privacy_url: Option<String>,
    /// A script that measures the impression, for pages that run those of their ads.
    pub impression_script: Option<String>,
}

#[derive(Clone, Debug, Hash)]
pub struct NativeImage {
    /// 1 icon, 3 main.
    pub kind: u32,
    pub url: String,
    pub w: u32,
    pub h: u32,
}

/// `policy.toml`: never this ad to these people at this hour; applied after the model.
#[derive(Clone, Debug)]
pub struct PolicyRule {
    pub id: String,
    /// The ad has one of these categories (a parent covers its children). Empty = not asked.
    pub categories: Vec<String>,
    /// The ad has one of these attributes. Empty = not asked.
    pub attributes: Vec<u32>,
    /// The user and context match; an empty targeting matches everybody.
    pub when: Targeting,
    /// The rule also holds where the age is not known.
    pub unknown_age_matches: bool,
    /// Users below this age.
    pub below_age: Option<u8>,
}

/// A named context signal of a place, from a feed.
#[derive(Clone, Debug)]
pub struct Signal {
    pub name: String,
    pub value: String,
    pub country: String,
    pub region: Option<String>,
    /// Ignored from then on.
    pub until: Option<Timestamp>,
}
