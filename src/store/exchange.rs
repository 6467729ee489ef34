//! What is agreed with one exchange.

use crate::openrtb::WireFormat;
use crate::openrtb::notice::PriceUnit;
use crate::openrtb::price_crypto::PriceCodec;
use crate::store::campaigns::definition::Approval;
use crate::store::supply::SupplyPolicy;
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
    pub notices: Notices,
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
