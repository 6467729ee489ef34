//! Why there is no bid: for a whole request, an imp or a line item. One list, so that metrics, log and pages agree.

/// The step at which a request, an imp or a line item fell out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Reason {
    // Of the whole request, before any line item is looked at.
    Shed,
    TooLate,
    QpsLimit,
    Standby,
    Seat,
    Currency,
    Crawler,
    /// An address of the lists of non-human traffic.
    NonHuman,
    /// An address of a data centre, cloud or proxy.
    DataCenter,
    /// A site, app or publisher that is not bought.
    BlockedPlace,
    /// The supply chain is missing, incomplete or malformed.
    SupplyChainIncomplete,
    /// The supply chain has a node that is not admitted.
    SupplyChainBlocked,
    /// Whether the seller is authorised cannot be found out.
    SellerUnverified,
    /// The owner of the inventory does not authorise the seller.
    SellerUnauthorised,
    /// No line item is targeted at any of the imps.
    Unmatched,
    // Of a line item, in the order in which they are asked.
    /// An hour of the user's in which nobody is shown an ad.
    DoNotDisturb,
    NoUserId,
    /// The user has bought, and is left alone for a while.
    Bought,
    /// The user has not clicked on so many impressions.
    BackOff,
    FrequencyCap,
    /// Other nodes have not been heard of for so long that caps cannot be kept.
    CapsApart,
    BudgetSpent,
    PrivateAuction,
    Deal,
    Format,
    Size,
    Mime,
    Duration,
    Protocol,
    Playback,
    /// A place in a pod that the line item insists on is not on offer.
    PodSlot,
    Api,
    BlockedType,
    /// The banner expands into a direction that the imp does not permit.
    Expansion,
    BlockedAttribute,
    BlockedAdvertiser,
    BlockedCategory,
    BlockedApp,
    Language,
    NotSecure,
    /// The creative lacks a field that the exchange requires.
    CreativeIncomplete,
    NotApproved,
    CreativeDates,
    NativeAsset,
    DsaRendering,
    NotScored,
    Model,
    /// Its source rests: it brought too little for what it cost.
    Rests,
    Policy,
    /// The model predicts that nobody would care.
    Irrelevant,
    BelowFloor,
    /// Held back, or bid down below the floor, so that its budget lasts.
    Paced,
    LostInternally,
    /// A road-block that cannot take every imp of the request.
    RoadBlock,
    HoldsFull,
}

impl Reason {
    pub const COUNT: usize = Self::ALL.len();
    pub const ALL: [Reason; 55] = [
        Reason::Shed,
        Reason::TooLate,
        Reason::QpsLimit,
        Reason::Standby,
        Reason::Seat,
        Reason::Currency,
        Reason::Crawler,
        Reason::NonHuman,
        Reason::DataCenter,
        Reason::BlockedPlace,
        Reason::SupplyChainIncomplete,
        Reason::SupplyChainBlocked,
        Reason::SellerUnverified,
        Reason::SellerUnauthorised,
        Reason::Unmatched,
        Reason::DoNotDisturb,
        Reason::NoUserId,
        Reason::Bought,
        Reason::BackOff,
        Reason::FrequencyCap,
        Reason::CapsApart,
        Reason::BudgetSpent,
        Reason::PrivateAuction,
        Reason::Deal,
        Reason::Format,
        Reason::Size,
        Reason::Mime,
        Reason::Duration,
        Reason::Protocol,
        Reason::Playback,
        Reason::PodSlot,
        Reason::Api,
        Reason::BlockedType,
        Reason::Expansion,
        Reason::BlockedAttribute,
        Reason::BlockedAdvertiser,
        Reason::BlockedCategory,
        Reason::BlockedApp,
        Reason::Language,
        Reason::NotSecure,
        Reason::CreativeIncomplete,
        Reason::NotApproved,
        Reason::CreativeDates,
        Reason::NativeAsset,
        Reason::DsaRendering,
        Reason::NotScored,
        Reason::Model,
        Reason::Rests,
        Reason::Policy,
        Reason::Irrelevant,
        Reason::BelowFloor,
        Reason::Paced,
        Reason::LostInternally,
        Reason::RoadBlock,
        Reason::HoldsFull,
    ];

    /// Stable: dashboards and logs refer to it.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Shed => "shed",
            Reason::TooLate => "too_late",
            Reason::QpsLimit => "qps_limit",
            Reason::Standby => "standby",
            Reason::Seat => "seat",
            Reason::Currency => "currency",
            Reason::Crawler => "crawler",
            Reason::NonHuman => "non_human",
            Reason::DataCenter => "data_center",
            Reason::BlockedPlace => "blocked_place",
            Reason::SupplyChainIncomplete => "supply_chain_incomplete",
            Reason::SupplyChainBlocked => "supply_chain_blocked",
            Reason::SellerUnverified => "seller_unverified",
            Reason::SellerUnauthorised => "seller_unauthorised",
            Reason::Unmatched => "unmatched",
            Reason::DoNotDisturb => "do_not_disturb",
            Reason::NoUserId => "no_user_id",
            Reason::Bought => "bought",
            Reason::BackOff => "back_off",
            Reason::FrequencyCap => "frequency_cap",
            Reason::CapsApart => "caps_apart",
            Reason::BudgetSpent => "budget_spent",
            Reason::PrivateAuction => "private_auction",
            Reason::Deal => "deal",
            Reason::Format => "format",
            Reason::Size => "size",
            Reason::Mime => "mime",
            Reason::Duration => "duration",
            Reason::Protocol => "protocol",
            Reason::Playback => "playback",
            Reason::PodSlot => "pod_slot",
            Reason::Api => "api",
            Reason::BlockedType => "blocked_type",
            Reason::Expansion => "expansion",
            Reason::BlockedAttribute => "blocked_attribute",
            Reason::BlockedAdvertiser => "blocked_advertiser",
            Reason::BlockedCategory => "blocked_category",
            Reason::BlockedApp => "blocked_app",
            Reason::Language => "language",
            Reason::NotSecure => "not_secure",
            Reason::CreativeIncomplete => "creative_incomplete",
            Reason::NotApproved => "not_approved",
            Reason::CreativeDates => "creative_dates",
            Reason::NativeAsset => "native_asset",
            Reason::DsaRendering => "dsa_rendering",
            Reason::NotScored => "not_scored",
            Reason::Model => "model",
            Reason::Rests => "rests",
            Reason::Policy => "policy",
            Reason::Irrelevant => "irrelevant",
            Reason::BelowFloor => "below_floor",
            Reason::Paced => "paced",
            Reason::LostInternally => "lost_internally",
            Reason::RoadBlock => "road_block",
            Reason::HoldsFull => "holds_full",
        }
    }

    /// The no-bid reason code of OpenRTB 3.0 where there is one (0 = unknown error is never sent).
    pub fn nbr(self) -> Option<u32> {
        match self {
            Reason::Crawler => Some(3),
            Reason::NonHuman => Some(4),
            Reason::DataCenter => Some(5),
            Reason::BlockedPlace => Some(7),
            Reason::NoUserId => Some(8),
            Reason::FrequencyCap => Some(9),
            Reason::SellerUnverified => Some(11),
            Reason::SellerUnauthorised => Some(12),
            Reason::TooLate => Some(15),
            Reason::SupplyChainIncomplete => Some(16),
            Reason::SupplyChainBlocked => Some(17),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_holds_every_reason_at_its_own_index_and_names_are_unique() {
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
        }
        assert_eq!(Reason::HoldsFull as usize + 1, Reason::COUNT);
        let mut names: Vec<_> = Reason::ALL.iter().map(|r| r.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Reason::COUNT);
    }
}
