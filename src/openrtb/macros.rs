//! The substitution macros of OpenRTB 2.6 section 4.4: the exchange puts values in their place.
//!
//! A macro that nobody replaces stays as it is, so that the receiver can tell "not replaced" from "no value".

/// The macros that an exchange replaces in notice URLs and markup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Macro {
    AuctionId,
    BidId,
    ImpId,
    SeatId,
    AdId,
    /// Clearing price, in the currency and unit of the bid.
    Price,
    Currency,
    /// Clearing price ÷ bid price.
    MarketBidRatio,
    /// Loss reason code.
    Loss,
    /// The price that would have tied with the winner, or that ties with the runner-up.
    MinToWin,
    /// Impressions won: a float, above 1 on screens that many people see.
    Multiplier,
    /// Fulfilment time, milliseconds since 1970.
    ImpTimestamp,
    DiscountPercent,
    DiscountCpm,
}

impl Macro {
    pub const ALL: [Macro; 14] = [
        Macro::AuctionId,
        Macro::BidId,
        Macro::ImpId,
        Macro::SeatId,
        Macro::AdId,
        Macro::Price,
        Macro::Currency,
        Macro::MarketBidRatio,
        Macro::Loss,
        Macro::MinToWin,
        Macro::Multiplier,
        Macro::ImpTimestamp,
        Macro::DiscountPercent,
        Macro::DiscountCpm,
    ];

    /// As it stands in a URL or in markup.
    pub const fn text(self) -> &'static str {
        match self {
            Macro::AuctionId => "${AUCTION_ID}",
            Macro::BidId => "${AUCTION_BID_ID}",
            Macro::ImpId => "${AUCTION_IMP_ID}",
            Macro::SeatId => "${AUCTION_SEAT_ID}",
            Macro::AdId => "${AUCTION_AD_ID}",
            Macro::Price => "${AUCTION_PRICE}",
            Macro::Currency => "${AUCTION_CURRENCY}",
            Macro::MarketBidRatio => "${AUCTION_MBR}",
            Macro::Loss => "${AUCTION_LOSS}",
            Macro::MinToWin => "${AUCTION_MIN_TO_WIN}",
            Macro::Multiplier => "${AUCTION_MULTIPLIER}",
            Macro::ImpTimestamp => "${AUCTION_IMP_TS}",
            Macro::DiscountPercent => "${AUCTION_DISCOUNT_PCT}",
            Macro::DiscountCpm => "${AUCTION_DISCOUNT_CPM}",
        }
    }
}

/// Plays the exchange: `text` with every macro replaced for which `lookup` has a value. A value may be empty.
///
/// A macro with an encoding suffix (`${AUCTION_PRICE:B64}`) asks for an algorithm that nothing here provides
/// and is left alone.
pub fn expand<'v>(text: &str, mut lookup: impl FnMut(Macro) -> Option<&'v str>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let found = Macro::ALL.into_iter().find(|m| rest.starts_with(m.text()));
        match found.and_then(|m| Some((m.text().len(), lookup(m)?))) {
            Some((len, value)) => {
                out.push_str(value);
                rest = &rest[len..];
            }
            None => {
                out.push_str("${");
                rest = &rest[2..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macros_with_a_value_are_replaced_and_others_stay() {
        let lookup = |m| match m {
            Macro::Price => Some("1.5"),
            Macro::MinToWin => Some(""),
            _ => None,
        };
        for (text, expected) in [
            ("", ""),
            ("p=${AUCTION_PRICE}", "p=1.5"),
            ("${AUCTION_PRICE}${AUCTION_PRICE}", "1.51.5"),
            (
                "m=${AUCTION_MIN_TO_WIN}&l=${AUCTION_LOSS}",
                "m=&l=${AUCTION_LOSS}",
            ),
            ("${AUCTION_PRICE:B64}", "${AUCTION_PRICE:B64}"),
            ("${AUCTION_PRICE", "${AUCTION_PRICE"),
            ("$${${AUCTION_PRICE}ä", "$${1.5ä"),
        ] {
            assert_eq!(expand(text, lookup), expected, "{text}");
        }
    }

    #[test]
    fn no_macro_is_the_beginning_of_another() {
        for a in Macro::ALL {
            for b in Macro::ALL {
                assert_eq!(a == b, b.text().starts_with(a.text()), "{a:?} {b:?}");
            }
        }
    }
}
