//! What is agreed with one exchange.

use crate::openrtb::WireFormat;
use crate::openrtb::notice::{PriceUnit, Queries};
use crate::openrtb::price_crypto::PriceCodec;
use crate::store::campaigns::definition::{Approval, Creative};
use crate::store::supply::SupplyPolicy;
use crate::store::traffic::TrafficPolicy;
use crate::units::{Currency, ObjectId};

#[derive(Clone, Debug)]
pub struct Exchange {
    /// The file's name and the path segment of `POST /openrtb2/{name}`.
    pub name: String,
    pub id: ObjectId,
    pub auth: Auth,
    /// The only format that its requests may have; `None` = any.
    pub format: Option<WireFormat>,
    /// Our seat there; `seatbid.seat`.
    pub seat: String,
    /// Advertisers with a seat of their own: (advertiser id, seat).
    pub seats: Vec<(String, String)>,
    /// What `at` means here.
    pub auction: Auction,
    pub shading: Shading,
    /// The currency of our bids where the request allows it; else one that the request allows and a rate is known for.
    pub currency: Currency,
    /// Taken off `tmax` for the way there and back.
    pub network_allowance_ms: u32,
    /// `tmax` where the request gives none.
    pub default_tmax_ms: u32,
    pub no_bid: NoBidForm,
    pub billable: BillingEvent,
    /// Of video and audio.
    pub billable_video: BillingEvent,
    /// What the price macro carries.
    pub price_in: PriceUnit,
    /// How it is written.
    pub price_codec: PriceCodec,
    /// What the way of its requests is held to.
    pub supply: SupplyPolicy,
    /// Which of its traffic is not bought.
    pub traffic: TrafficPolicy,
    pub notices: Notices,
    /// Base of the URLs that go out with bids, without a slash at its end; `None` = the server's.
    pub public_url: Option<String>,
    /// How the exchange spells the macros in our notice URLs; `None` = as the specification does.
    pub queries: Option<Queries>,
    /// A creative without one of these is not offered.
    pub require: Vec<Required>,
    /// `GET` of this path tells whether we bid.
    pub health: Option<String>,
    /// Imps evaluated per request, the first ones.
    pub imps_max: usize,
    pub bids: BidCounts,
    /// Bid requests answered a second; the rest gets a no-bid. `None` = no limit.
    pub qps_max: Option<u32>,
    /// The macro that the exchange wants in front of the click URL, such as `${CLICK_URL_ESC}`.
    pub click_macro: Option<ClickMacro>,
    pub default_approval: Approval,
    /// Seconds that a bid stays valid: `bid.exp` where the imp gives none, and the end of every hold.
    pub exp_banner_s: u32,
    pub exp_video_s: u32,
    pub exp_audio_s: u32,
    pub exp_native_s: u32,
    /// Of any format where `imp.instl` is set and this is longer.
    pub exp_interstitial_s: u32,
    /// Of any format on a screen of many.
    pub exp_dooh_s: u32,
    /// Seconds that money is held for a bid until a win is known, where that is not learnt (yet).
    pub win_hold_s: u32,
    /// The hold follows how long wins take.
    pub learn_win_hold: bool,
}

/// How many bids may stand on one imp, as alternatives of which the exchange takes one ("M+N" bidding, section 7.3). The
/// dynamic part of a pod is not held to it. Each holds its own money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BidCounts {
    /// In all, deals first.
    pub per_imp: usize,
    /// Through one deal (M).
    pub per_deal: usize,
    /// In the open auction (N).
    pub open: usize,
}

impl Default for BidCounts {
    /// "1+1": what every exchange that knows deals can be expected to take.
    fn default() -> Self {
        BidCounts {
            per_imp: 8,
            per_deal: 1,
            open: 1,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    None,
    /// `Authorization: Bearer …`, compared in constant time.
    Bearer(String),
    /// A header of this name (lower case) holds exactly this value, compared in constant time.
    Header {
        name: String,
        value: String,
    },
}

/// How bids are charged: `at` (section 3.2.1) and what is agreed about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Auction {
    /// Whatever `at` says.
    pub always: Option<AuctionType>,
    /// Codes of the exchange's own (500 and above) that mean second price. The others are taken as first price: that
    /// never pays more than was meant.
    pub second_price_codes: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuctionType {
    /// The winner pays its bid.
    FirstPrice = 1,
    /// The winner pays the next bid or the floor.
    SecondPrice = 2,
}

impl Auction {
    pub fn of(&self, at: u32) -> AuctionType {
        const SECOND_PRICE_PLUS: u32 = 2;
        let second = at == SECOND_PRICE_PLUS || self.second_price_codes.contains(&at);
        self.always.unwrap_or(if second {
            AuctionType::SecondPrice
        } else {
            AuctionType::FirstPrice
        })
    }
}

/// What is bid in the exchange's open first-price auctions. Deals and second price are always bid at value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shading {
    /// The value.
    #[default]
    Off,
    /// What is learnt to be worth most, from notices of wins and losses.
    Learn,
}

/// A field that an exchange refuses bids without. `id`, `impid`, `price`, `adm`, `crid`, `cid`, `adid` and `mtype` are in
/// every bid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Required {
    Adomain,
    Category,
    Attribute,
    ImageUrl,
    Language,
    Bundle,
    /// `dur`, of video and audio alone: those always have it.
    Duration,
}

impl Required {
    pub const NAMES: [(&'static str, Required); 7] = [
        ("adomain", Required::Adomain),
        ("cat", Required::Category),
        ("attr", Required::Attribute),
        ("iurl", Required::ImageUrl),
        ("language", Required::Language),
        ("bundle", Required::Bundle),
        ("dur", Required::Duration),
    ];

    pub fn is_in(self, creative: &Creative) -> bool {
        match self {
            Required::Adomain => !creative.domains.is_empty(),
            Required::Category => !creative.categories.is_empty(),
            Required::Attribute => !creative.attributes.is_empty(),
            Required::ImageUrl => creative.image_url.is_some(),
            Required::Language => !creative.languages.is_empty(),
            Required::Bundle => creative.bundle.is_some(),
            Required::Duration => true,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBidForm {
    /// 204.
    NoContent,
    /// 200 with `{"id":…,"seatbid":[],"nbr":n}`.
    WithReason,
    /// 200 with `{}`.
    Empty,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BillingEvent {
    /// The billing notice, `burl`.
    Burl,
    /// The impression that the markup itself reports (VAST Impression, native tracker).
    Impression,
    /// The win notice, `nurl`.
    Win,
}

/// Which notice URLs are put into bids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notices {
    pub win: bool,
    pub bill: bool,
    pub loss: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClickMacro {
    pub text: String,
    /// Our click URL is percent-encoded behind the macro.
    pub escaped: bool,
}
