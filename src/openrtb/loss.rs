//! The loss reason codes of `${AUCTION_LOSS}`: the list of OpenRTB 3.0, to which section 4.4 of 2.6 refers.
//!
//! Codes 206 to 212 moved by one in April 2021: an exchange that follows an older list is off by one there.

/// Code and stable name, by code.
pub const CODES: [(u32, &str); 32] = [
    (0, "won"),
    (1, "internal_error"),
    (2, "opportunity_expired"),
    (3, "invalid_response"),
    (4, "invalid_deal"),
    (5, "invalid_auction"),
    (6, "invalid_advertiser_domain"),
    (7, "missing_markup"),
    (8, "missing_creative_id"),
    (9, "missing_price"),
    (10, "missing_approval_data"),
    (100, "below_floor"),
    (101, "below_deal_floor"),
    (102, "higher_bid"),
    (103, "deal_bid"),
    (104, "seat_blocked"),
    (200, "creative_filtered"),
    (201, "creative_pending"),
    (202, "creative_disapproved"),
    (203, "size"),
    (204, "format"),
    (205, "advertiser_exclusion"),
    (206, "app_store_exclusion"),
    (207, "not_secure"),
    (208, "language_exclusion"),
    (209, "category_exclusion"),
    (210, "attribute_exclusion"),
    (211, "ad_type_exclusion"),
    (212, "animation_too_long"),
    (213, "not_allowed_in_deal"),
    (214, "invalid_skadnetwork"),
    (215, "bundle_exclusion"),
];

/// The position of a code in [`CODES`].
pub fn position(code: u32) -> Option<usize> {
    CODES.binary_search_by_key(&code, |(code, _)| *code).ok()
}

/// The exchange calls the bid itself faulty: something of ours is broken. Codes 1 and 2 are the exchange's own trouble
/// or a matter of time, and count too, as they are rare where all is well.
pub fn is_fault(code: u32) -> bool {
    (1..=10).contains(&code)
}

/// The bid was let into the auction and another one won it.
pub fn was_outbid(code: u32) -> bool {
    matches!(code, 102 | 103)
}

/// A higher bid might have won: the floor of the auction counts as a price to win, and exchanges that give no code mean a
/// higher bid by far the most often. A deal's bid (103) goes before any price, and what was wrong with bid, creative, seat or
/// time (all other codes, and an exchange's own) is nothing that money mends.
pub fn is_about_price(code: Option<u32>) -> bool {
    matches!(code, None | Some(100 | 102))
}

/// The code speaks of the creative.
pub fn is_about_creative(code: u32) -> bool {
    (200..300).contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stand_in_order_and_are_found() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(position(102).map(|place| CODES[place].1), Some("higher_bid"));
        assert_eq!(position(11), None);
        assert_eq!(position(500), None);
    }
}
