//! The substitution macros of OpenRTB 2.6 section 4.4, as an exchange fills them.
//!
//! Invariant: what has no value is replaced by nothing; what is no macro of the list stays.

/// What an exchange knows when an auction is over. Prices in the currency and unit of the bid.
#[derive(Clone, Debug, Default)]
pub struct Values {
    pub auction_id: String,
    pub bid_id: String,
    pub imp_id: String,
    pub seat_id: String,
    pub ad_id: String,
    /// What the winner pays, or paid.
    pub price: f64,
    pub bid_price: f64,
    pub currency: String,
    /// Loss reason code; 0 = won.
    pub loss: u32,
    pub min_to_win: f64,
    pub time_ms: i64,
}

/// `text` with all macros replaced.
pub fn expand(text: &str, values: &Values) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some(start) = rest.find("${AUCTION_") {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find('}').map_or(rest.len(), |end| end + 1);
        let (name, after) = rest.split_at(end);
        match value(name, values) {
            Some(value) => out.push_str(&value),
            None => out.push_str(name),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn value(name: &str, values: &Values) -> Option<String> {
    Some(match name {
        "${AUCTION_ID}" => values.auction_id.clone(),
        "${AUCTION_BID_ID}" => values.bid_id.clone(),
        "${AUCTION_IMP_ID}" => values.imp_id.clone(),
        "${AUCTION_SEAT_ID}" => values.seat_id.clone(),
        "${AUCTION_AD_ID}" => values.ad_id.clone(),
        "${AUCTION_PRICE}" => price_text(values.price),
        "${AUCTION_CURRENCY}" => values.currency.clone(),
        "${AUCTION_MBR}" => price_text(values.price / values.bid_price),
        "${AUCTION_LOSS}" => values.loss.to_string(),
        "${AUCTION_MIN_TO_WIN}" => price_text(values.min_to_win),
        "${AUCTION_MULTIPLIER}" => "1".to_string(),
        "${AUCTION_IMP_TS}" => values.time_ms.to_string(),
        "${AUCTION_DISCOUNT_PCT}" | "${AUCTION_DISCOUNT_CPM}" => String::new(),
        _ => return None,
    })
}

/// Six digits at most, none of them idle: millionths are as fine as prices get.
pub fn price_text(price: f64) -> String {
    if price.is_finite() {
        format!("{}", (price * 1e6).round() / 1e6)
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macros_are_replaced_and_other_text_stays() {
        let values = Values {
            auction_id: "r1".into(),
            price: 1.01 + 0.1 + 0.2,
            bid_price: 2.62,
            currency: "USD".into(),
            loss: 102,
            min_to_win: 3.01,
            ..Values::default()
        };
        for (text, expected) in [
            ("", ""),
            (
                "p=${AUCTION_PRICE}&c=${AUCTION_CURRENCY}&x=${AUCTION_MULTIPLIER}",
                "p=1.31&c=USD&x=1",
            ),
            ("l=${AUCTION_LOSS}&m=${AUCTION_MIN_TO_WIN}", "l=102&m=3.01"),
            (
                "${AUCTION_ID}${AUCTION_ID}|${AUCTION_BID_ID}|${AUCTION_MBR}",
                "r1r1||0.5",
            ),
            (
                "${AUCTION_PRICE:B64} ${AUCTION_X} ${OTHER} ${AUCTION_",
                "${AUCTION_PRICE:B64} ${AUCTION_X} ${OTHER} ${AUCTION_",
            ),
        ] {
            assert_eq!(expand(text, &values), expected, "{text}");
        }
    }
}
