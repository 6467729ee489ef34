//! What may be wrong with a request: with its supply path, or with whom it comes from. One list, so that configuration, metrics and log agree.

use super::Reason;

/// One thing that is wrong with the way from the publisher to us, or that cannot be found out; then what is wrong with
/// the traffic itself.
/// In the order in which one of them is given as the reason of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Finding {
    /// The request holds no `schain`.
    ChainMissing,
    /// `complete` is neither 1 nor 2 (since version 1.1), or there are no nodes (OpenRTB 2.6, section 3.2.25).
    ChainIncomplete,
    /// A node without `asi` or `sid`, or with a `sid` of more than 64 characters (section 3.2.26).
    NodeMalformed,
    /// A node without `hp`, which `supplychainobject.md` requires and section 3.2.26 does not. It is taken as 1.
    HopUnmarked,
    /// The last node is no advertising system of the exchange that sent the request.
    SenderUnknown,
    /// More nodes than the policy allows.
    TooManyHops,
    /// A node that the policy blocks.
    NodeBlocked,
    /// No `sellers.json` is there for a node.
    SellersUnavailable,
    /// A node's `sid` is not in the `sellers.json` of its `asi`.
    SellerUnlisted,
    /// Whether the seller is authorised cannot be found out: no file is there, or nothing names the seller.
    AdsTxtUnavailable,
    /// The file of the inventory's owner does not authorise the seller.
    AdsTxtViolation,
    /// The file does not list a paid node before the seller.
    UpstreamUnlisted,
    /// A complete chain starts with an account that is listed as a reseller's only, or that its system calls an
    /// intermediary's: the owner's node is missing.
    OwnerNotDirect,
    /// A known crawler, a script, or a user agent of the lists.
    Crawler,
    /// An address of the lists of non-human traffic.
    NonHuman,
    /// An address of a data centre, cloud or proxy.
    DataCenter,
    /// A site, app or publisher that is blocked.
    BlockedPlace,
}

impl Finding {
    pub const ALL: [Finding; 17] = [
        Finding::ChainMissing,
        Finding::ChainIncomplete,
        Finding::NodeMalformed,
        Finding::HopUnmarked,
        Finding::SenderUnknown,
        Finding::TooManyHops,
        Finding::NodeBlocked,
        Finding::SellersUnavailable,
        Finding::SellerUnlisted,
        Finding::AdsTxtUnavailable,
        Finding::AdsTxtViolation,
        Finding::UpstreamUnlisted,
        Finding::OwnerNotDirect,
        Finding::Crawler,
        Finding::NonHuman,
        Finding::DataCenter,
        Finding::BlockedPlace,
    ];
    /// Of the supply path.
    pub const SUPPLY: [Finding; 13] = *Finding::ALL.first_chunk().expect("the first ones");
    /// Of the traffic itself.
    pub const TRAFFIC: [Finding; 4] = *Finding::ALL.last_chunk().expect("the last ones");
    pub const COUNT: usize = Self::ALL.len();

    /// In the configuration and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Finding::ChainMissing => "chain_missing",
            Finding::ChainIncomplete => "chain_incomplete",
            Finding::NodeMalformed => "node_malformed",
            Finding::HopUnmarked => "hop_unmarked",
            Finding::SenderUnknown => "sender_unknown",
            Finding::TooManyHops => "too_many_hops",
            Finding::NodeBlocked => "node_blocked",
            Finding::SellersUnavailable => "sellers_unavailable",
            Finding::SellerUnlisted => "seller_unlisted",
            Finding::AdsTxtUnavailable => "ads_txt_unavailable",
            Finding::AdsTxtViolation => "ads_txt_violation",
            Finding::UpstreamUnlisted => "upstream_unlisted",
            Finding::OwnerNotDirect => "owner_not_direct",
            Finding::Crawler => "crawler",
            Finding::NonHuman => "non_human",
            Finding::DataCenter => "data_center",
            Finding::BlockedPlace => "blocked_place",
        }
    }

    /// Why there is no bid, where the finding refuses the request. A hop too many is a node that is not admitted.
    pub const fn reason(self) -> Reason {
        match self {
            Finding::ChainMissing
            | Finding::ChainIncomplete
            | Finding::NodeMalformed
            | Finding::HopUnmarked
            | Finding::SenderUnknown => Reason::SupplyChainIncomplete,
            Finding::TooManyHops | Finding::NodeBlocked => Reason::SupplyChainBlocked,
            Finding::SellersUnavailable | Finding::AdsTxtUnavailable => Reason::SellerUnverified,
            Finding::SellerUnlisted
            | Finding::AdsTxtViolation
            | Finding::UpstreamUnlisted
            | Finding::OwnerNotDirect => Reason::SellerUnauthorised,
            Finding::Crawler => Reason::Crawler,
            Finding::NonHuman => Reason::NonHuman,
            Finding::DataCenter => Reason::DataCenter,
            Finding::BlockedPlace => Reason::BlockedPlace,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_holds_every_finding_at_its_own_index() {
        for (index, finding) in Finding::ALL.into_iter().enumerate() {
            assert_eq!(finding as usize, index);
        }
        assert_eq!(Finding::BlockedPlace as usize + 1, Finding::COUNT);
    }
}
