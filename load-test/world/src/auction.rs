//! The other bidders and the rule of the auction. Invariant: prices are CPM in USD, and a price paid is never above the bid.

use crate::law::{Context, Format};
use crate::random::Random;
use crate::user::User;

/// What the others bid for one imp, highest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rivals {
    pub bids: Vec<f64>,
}

impl Rivals {
    /// Three on average; log-normal around what such an impression is worth on the market.
    pub(crate) fn draw(user: &User, context: &Context, format: Format, random: &mut Random) -> Rivals {
        let count = (0..6).filter(|_| random.chance(0.5)).count();
        let market = market_cpm(user, context, format);
        let mut bids: Vec<f64> = (0..count).map(|_| rival_price(market, random)).collect();
        bids.sort_by(|a, b| b.total_cmp(a));
        Rivals { bids }
    }

    pub fn highest(&self) -> Option<f64> {
        self.bids.first().copied()
    }
}

/// The median bid of a rival.
pub fn market_cpm(user: &User, context: &Context, format: Format) -> f64 {
    let base = match format {
        Format::Banner => 0.8,
        Format::Video => 6.0,
        Format::Native => 1.4,
    };
    let position = match context.position {
        1 => 1.25,
        3 => 0.7,
        7 => 1.8,
        _ => 1.0,
    };
    let evening = if (18..=22).contains(&context.local_hour) {
        1.15
    } else {
        1.0
    };
    base * context.value * position * evening * (0.6 + 0.8 * user.spending)
}

/// One rival's bid, to the cent of a CPM.
pub fn rival_price(market: f64, random: &mut Random) -> f64 {
    ((market * (0.6 * random.normal()).exp()) * 100.0).round() / 100.0
}

/// How an auction ended for one bid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    pub won: bool,
    /// What the winner of the two sides pays; 0 when nobody met the floor.
    pub price: f64,
    /// The least that would have won.
    pub min_to_win: f64,
}

/// The step of a second price and of outbidding: one cent of CPM.
pub const INCREMENT: f64 = 0.01;

/// `at` as in OpenRTB: 1 first price, 3 the floor is the agreed price, else second price plus. Rivals below the floor
/// take no part; a tie goes to the rival, who came first.
pub fn settle(at: u32, floor: f64, bid: f64, rivals: &Rivals) -> Outcome {
    let rival = rivals.highest().filter(|rival| *rival >= floor);
    if at == 3 {
        let won = bid >= floor;
        return Outcome {
            won,
            price: if won { floor } else { 0.0 },
            min_to_win: floor,
        };
    }
    let min_to_win = rival.map_or(floor, |rival| rival + INCREMENT);
    let won = bid >= floor && rival.is_none_or(|rival| bid > rival);
    let price = match (won, at) {
        (true, 1) => bid,
        (true, _) => bid.min(min_to_win),
        (false, 1) => rival.unwrap_or(0.0),
        (false, _) => second_among_rivals(floor, bid, rivals),
    };
    Outcome {
        won,
        price,
        min_to_win,
    }
}

/// The best rival pays the highest of what it beat: the bid, the next rival, the floor.
fn second_among_rivals(floor: f64, bid: f64, rivals: &Rivals) -> f64 {
    let Some(highest) = rivals.highest().filter(|rival| *rival >= floor) else {
        return 0.0;
    };
    let next = rivals
        .bids
        .get(1)
        .copied()
        .unwrap_or(0.0)
        .max(if bid >= floor { bid } else { 0.0 });
    if next >= floor {
        highest.min(next + INCREMENT)
    } else {
        floor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auctions_settle_by_their_rule() {
        for (at, floor, bid, rivals, won, price, min_to_win) in [
            (1, 0.5, 2.0, &[1.0][..], true, 2.0, 1.01),
            (2, 0.5, 2.0, &[1.0], true, 1.01, 1.01),
            (2, 0.5, 2.0, &[], true, 0.5, 0.5),
            (2, 0.5, 2.0, &[0.4], true, 0.5, 0.5),
            (2, 0.5, 1.0, &[1.0], false, 1.0, 1.01),
            (2, 0.5, 1.0, &[3.0, 2.0], false, 2.01, 3.01),
            (1, 0.5, 1.0, &[3.0, 2.0], false, 3.0, 3.01),
            (1, 0.5, 0.4, &[], false, 0.0, 0.5),
            (3, 0.5, 0.5, &[3.0], true, 0.5, 0.5),
            (3, 0.5, 0.4, &[], false, 0.0, 0.5),
        ] {
            let outcome = settle(
                at,
                floor,
                bid,
                &Rivals {
                    bids: rivals.to_vec(),
                },
            );
            let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
            assert_eq!(outcome.won, won, "{at} {floor} {bid} {rivals:?}");
            assert!(close(outcome.price, price), "{outcome:?}");
            assert!(close(outcome.min_to_win, min_to_win), "{outcome:?}");
        }
    }
}
