//! The table `macros` of an exchange: its own spelling of the macros of section 4.4, in our notice URLs.

use super::document::{Node, Table};
use crate::openrtb::macros::Macro;
use crate::openrtb::notice::Queries;

const WORDS: [(&str, Macro); 14] = [
    ("auction_id", Macro::AuctionId),
    ("bid_id", Macro::BidId),
    ("imp_id", Macro::ImpId),
    ("seat_id", Macro::SeatId),
    ("ad_id", Macro::AdId),
    ("price", Macro::Price),
    ("currency", Macro::Currency),
    ("mbr", Macro::MarketBidRatio),
    ("loss", Macro::Loss),
    ("min_to_win", Macro::MinToWin),
    ("multiplier", Macro::Multiplier),
    ("imp_ts", Macro::ImpTimestamp),
    ("discount_pct", Macro::DiscountPercent),
    ("discount_cpm", Macro::DiscountCpm),
];

/// `None` = the spelling of the specification.
pub(super) fn read(exchange: &Table<'_>) -> Option<Queries> {
    let known = WORDS.map(|(word, _)| word);
    let table = exchange.table("macros", &known)?;
    let spelled: Vec<_> = WORDS
        .iter()
        .filter_map(|(word, name)| Some((*name, table.maybe(word, spelling)?)))
        .collect();
    Some(Queries::spelled(&spelled))
}

/// It stands in a query, in HTML attributes, CDATA sections and JSON. An empty one leaves the value out.
fn spelling(node: &Node<'_>) -> Option<String> {
    const BYTES_MAX: usize = 64;
    let text = node.text()?;
    let unsafe_there = |b: u8| !b.is_ascii_graphic() || b"\"'<>\\`&#".contains(&b);
    if text.len() > BYTES_MAX || text.bytes().any(unsafe_there) {
        node.problem(
            format!("`{text}` cannot stand in a URL"),
            "write the macro as the exchange documents it, such as `%%WINNING_PRICE%%`; empty leaves it out",
        );
        return None;
    }
    Some(text.to_owned())
}
