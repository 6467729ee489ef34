//! Shading on markets whose law is known: the share of the surplus that the best bid under the known law would earn.

use outbid::journal::{FieldReader, FieldWriter};
use outbid::shading::{MarketId, MarketPath, Markets, Outcome, Ticket, WIN_RATE_KEPT};
use outbid::units::{Cpm, ObjectId, Timestamp};
use proptest::prelude::*;

/// The least price that wins, log-normal: e^(`mean` + `sigma`·N) units of CPM.
#[derive(Clone, Copy)]
struct Law {
    mean: f64,
    sigma: f64,
}

/// What the exchange tells of an auction.
#[derive(Clone, Copy, Debug)]
enum Tells {
    WinOrLoss,
    PriceToWinOfLosses,
    EveryPrice,
}

/// What an impression is worth, log-normal as the prices are.
type Worth = Law;

const PATH: MarketPath = MarketPath {
    exchange: ObjectId(7),
    auction: 1,
    format: 1,
    placement: 11,
};

const ALL: [Tells; 3] = [Tells::WinOrLoss, Tells::PriceToWinOfLosses, Tells::EveryPrice];

#[test]
fn fifty_thousand_auctions_teach_enough_for_nine_tenths_of_the_best_surplus() {
    for (law, worth) in MARKETS {
        for tells in ALL {
            let mut run = Run::new(1, tells);
            run.auctions(law, worth, 50_000);
            run.earns(0.92, "the first 50,000", law, worth);
        }
    }
}

#[test]
fn in_the_limit_hardly_anything_of_the_best_surplus_is_lost() {
    for (law, worth) in [MARKETS[1], MARKETS[2], MARKETS[6]] {
        for tells in ALL {
            let mut run = Run::new(2, tells);
            run.auctions(law, worth, 100_000);
            run.forget();
            run.auctions(law, worth, 30_000);
            run.earns(0.98, "in the limit", law, worth);
        }
    }
}

#[test]
fn a_market_that_shifts_is_followed_within_twenty_thousand_auctions() {
    // Prices rise, fall, and spread; one value is bid, and many.
    for (mean, sigma) in [(0.6, 1.0), (-0.8, 0.7), (-0.3, 1.3)] {
        for (law, worth) in [MARKETS[0], MARKETS[3]] {
            let after = Law {
                mean: law.mean + mean,
                sigma: law.sigma * sigma,
            };
            for tells in ALL {
                let mut run = Run::new(3, tells);
                run.auctions(law, worth, 25_000);
                run.auctions(after, worth, 18_000);
                run.forget();
                run.auctions(after, worth, 2_000);
                run.earns(0.90, "after a shift", after, worth);
            }
        }
    }
}

/// The values are in the far tail of what prices have become: 150 to 600 bids in 20,000 win.
#[test]
fn a_market_in_which_hardly_any_bid_wins_any_more_is_followed_within_twenty_thousand_auctions() {
    for (law, worth, mean) in [
        (MARKETS[0].0, MARKETS[0].1, 1.7),
        (MARKETS[0].0, MARKETS[0].1, 2.0),
        (MARKETS[3].0, MARKETS[3].1, 2.5),
    ] {
        let after = Law {
            mean: law.mean + mean,
            ..law
        };
        for tells in ALL {
            let mut run = Run::new(3, tells);
            run.auctions(law, worth, 25_000);
            run.forget();
            run.auctions(after, worth, 18_000);
            assert!(run.won < 700, "{} won", run.won);
            run.forget();
            run.auctions(after, worth, 2_000);
            run.earns(0.90, "where hardly any bid wins", after, worth);
        }
    }
}

/// Clicks are in proportion to the value that was won: a bid's value is what a click is worth times its chance.
#[test]
fn the_same_clicks_cost_less_than_with_any_fixed_factor() {
    let (law, worth) = MARKETS[1];
    let mut run = Run::new(4, Tells::PriceToWinOfLosses);
    run.auctions(law, worth, 50_000);
    let values: Vec<f64> = (0..2_000).map(|_| run.dice.draw(worth)).collect();
    for tenths in 5..=10 {
        let factor = f64::from(tenths) / 10.0;
        let fixed = law.expected(&values, |value| value * factor);
        let shaded = run.with_clicks_of(&fixed, law, &values);
        println!(
            "fixed factor {factor:.1}: {:.4} a click; shaded {:.4}, {:+.1} %",
            fixed.cost_of_a_click(),
            shaded.cost_of_a_click(),
            100.0 * (shaded.cost_of_a_click() / fixed.cost_of_a_click() - 1.0)
        );
        assert!((shaded.clicks / fixed.clicks - 1.0).abs() < 0.003);
        assert!(shaded.spend < fixed.spend, "factor {factor}");
    }
}

#[test]
fn what_is_worth_more_never_bids_less() {
    let mut run = Run::new(6, Tells::WinOrLoss);
    run.auctions(MARKETS[1].0, MARKETS[1].1, 5_000);
    let market = run.markets.find(PATH);
    for seed in 0..200 {
        let bid = |value| run.markets.shade(market, cpm(value), cpm(0.1), seed).bid;
        let bids: Vec<_> = (1..60).map(|n| bid(f64::from(n) / 8.0)).collect();
        assert!(bids.is_sorted(), "seed {seed}: {bids:?}");
    }
}

#[test]
fn prices_that_cannot_be_true_teach_what_the_outcome_alone_does() {
    let told = |outcome| {
        let markets = Markets::new(16);
        let market = markets.find(PATH);
        for _ in 0..500 {
            markets.observe(market, cpm(2.0), outcome);
        }
        [0.5, 1.0, 2.0, 4.0].map(|bid| markets.win_rate(market, cpm(bid)))
    };
    assert_eq!(told(Outcome::LostTo(cpm(1.0))), told(Outcome::Lost));
    assert_eq!(told(Outcome::WonAt(cpm(3.0))), told(Outcome::Won));
    assert_eq!(told(Outcome::WonAt(Cpm::ZERO)), told(Outcome::Won));
    assert_ne!(told(Outcome::LostTo(cpm(3.0))), told(Outcome::Lost));
}

#[test]
fn notices_that_are_all_lost_do_not_make_bids_collapse() {
    let mut run = Run::new(8, Tells::WinOrLoss);
    run.auctions(MARKETS[1].0, MARKETS[1].1, 10_000);
    let market = run.markets.find(PATH);
    let settled = |markets: &Markets| {
        let mut bids = (0..).map(|seed| markets.shade(market, cpm(3.0), Cpm::ZERO, seed));
        bids.find(|shaded| !shaded.explored).expect("most are not").bid
    };
    let before = settled(&run.markets);
    for seed in 0..20_000 {
        let bid = run.markets.shade(market, cpm(3.0), Cpm::ZERO, seed).bid;
        run.markets.observe(market, bid, Outcome::Lost);
    }
    let after = settled(&run.markets);
    assert!(
        0.9 * before.as_units() < after.as_units() && after <= cpm(3.0),
        "{before:?} {after:?}"
    );
}

#[test]
fn silence_is_a_loss_only_where_the_exchange_still_speaks() {
    let markets = Markets::new(16);
    let (market, other) = (
        markets.find(PATH),
        markets.find(MarketPath { placement: 3, ..PATH }),
    );
    let ticket = Ticket {
        market,
        bid: cpm(1.0),
    };
    assert!(!markets.observe_silence(ticket, Timestamp(1_000)));
    markets.hear(other, Timestamp(2_000));
    assert!(markets.observe_silence(ticket, Timestamp(1_000)));
    assert!(!markets.observe_silence(ticket, Timestamp(2_001)));
    let seen: Vec<_> = markets.views().iter().map(|view| view.observed).collect();
    assert_eq!(seen.iter().max(), Some(&1), "{seen:?}");
    assert_eq!(markets.find_name(markets.name_of(market).unwrap()), market);
}

#[test]
fn a_ticket_keeps_market_and_price() {
    for (market, bid) in [(0, 1), (1, 0), (77, 2_500_000), (1_200_000, Cpm::MAX.0)] {
        let ticket = Ticket {
            market: MarketId(market),
            bid: Cpm(bid),
        };
        assert_eq!(Ticket::from_bits(ticket.to_bits()), Some(ticket));
    }
    assert_eq!(Ticket::from_bits(0), None);
}

#[test]
fn nothing_learnt_keeps_bids_between_half_and_the_whole_value() {
    let markets = Markets::new(16);
    let market = markets.find(PATH);
    for seed in 0..1000 {
        let shaded = markets.shade(market, cpm(4.0), Cpm::ZERO, seed);
        assert!(shaded.explored && (cpm(2.0)..=cpm(4.0)).contains(&shaded.bid));
    }
}

#[test]
fn a_table_that_is_full_bids_by_the_coarser_market() {
    let markets = Markets::new(16);
    let path = |placement| MarketPath { placement, ..PATH };
    let found: Vec<_> = (0..1000).map(|placement| markets.find(path(placement))).collect();
    let exchange = *found.last().unwrap();
    assert!(found.iter().filter(|market| **market == exchange).count() > 900);
    assert!(markets.views().len() <= 22);
    assert_eq!(found[0], markets.find(path(0)), "a market keeps its place");
}

#[test]
fn what_was_learnt_survives_a_restart() {
    let mut run = Run::new(5, Tells::PriceToWinOfLosses);
    run.auctions(MARKETS[1].0, MARKETS[1].1, 5_000);
    let saved = bytes(&run.markets);
    let again = Markets::new(1_000);
    assert_eq!(again.restore(&mut FieldReader::new(&saved)).unwrap(), 3);
    assert_eq!(bytes(&again), saved);
    let names = |markets: &Markets| {
        let views = markets.views().into_iter();
        views
            .map(|view| {
                (
                    view.exchange,
                    view.auction,
                    view.format,
                    view.placement,
                    view.observed,
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&again), names(&run.markets));
    for seed in 0..200 {
        let value = cpm(0.5 + seed as f64 / 20.0);
        let (before, after) = (
            run.markets.shade(run.markets.find(PATH), value, Cpm::ZERO, seed),
            again.shade(again.find(PATH), value, Cpm::ZERO, seed),
        );
        // The curve is published every few observations, and anew by a restart.
        assert!(
            (before.bid.as_units() / after.bid.as_units()).ln().abs() < 0.05,
            "{before:?} {after:?}"
        );
    }
    let fresh = Markets::new(8);
    for cut in 0..saved.len() {
        assert!(fresh.restore(&mut FieldReader::new(&saved[..cut])).is_err());
    }
}

/// Version 1 had curves, the information on them, and no outcomes by bid.
#[test]
fn a_checkpoint_of_the_version_before_is_read() {
    let mut out = FieldWriter::default();
    out.u64(u64::from_le_bytes(*b"OUTBIDSH"));
    out.u32(1);
    out.count(1);
    [0, 0].into_iter().for_each(|name| out.u64(name));
    out.f64(700.0);
    [900, 300].into_iter().for_each(|count| out.u64(count));
    for _ in 0..2 {
        for number in [-0.4, 1.6, 90.0, 20.0, 30.0, 400.0] {
            out.f64(number);
        }
    }
    out.f64(0.0);
    out.count(0);
    let saved = out.finish();
    let markets = Markets::new(16);
    let mut fields = FieldReader::new(&saved);
    assert_eq!(markets.restore(&mut fields), Ok(1));
    assert!(fields.is_at_end());
    let (view, law) = (
        markets.views()[0],
        Law {
            mean: 0.25,
            sigma: 1.0 / 1.6,
        },
    );
    assert_eq!((view.observed, view.won), (900, 300));
    let found = markets.win_rate(MarketId(0), cpm(1.5));
    assert!((found - law.win_rate(1.5)).abs() < 0.01, "{found}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_bid_lies_between_floor_and_value_and_keeps_its_share_of_wins(
        value in 1_i64..200_000_000_000,
        floor_share in 0.0..1.0_f64,
        seed: u64,
        history in proptest::collection::vec((1_i64..200_000_000, 0..4_u8, 1_i64..200_000_000), 0..400),
    ) {
        let markets = Markets::new(16);
        let market = markets.find(PATH);
        for (bid, kind, price) in history {
            let outcome = match kind {
                0 => Outcome::Won,
                1 => Outcome::Lost,
                2 => Outcome::WonAt(Cpm(price.min(bid))),
                _ => Outcome::LostTo(Cpm(price.max(bid))),
            };
            markets.observe(market, Cpm(bid), outcome);
        }
        let floor = Cpm((value as f64 * floor_share) as i64);
        let shaded = markets.shade(market, Cpm(value), floor, seed);
        prop_assert!(floor <= shaded.bid && shaded.bid <= Cpm(value));
        prop_assert!((0.0..=1.0).contains(&shaded.win_rate));
        if !shaded.explored {
            let kept = markets.win_rate(market, shaded.bid) / markets.win_rate(market, Cpm(value)).max(1e-12);
            // Within one step of the grid.
            prop_assert!(kept >= WIN_RATE_KEPT * 0.8 || markets.win_rate(market, Cpm(value)) < 1e-6, "{kept}");
        }
    }
}

/// Prices and values. The last but one has prices far above the values; in the last one they hardly differ.
const MARKETS: [(Law, Worth); 8] = [
    (law(0.5, 0.8), law(0.9, 0.0)),
    (law(0.5, 0.8), law(0.9, 0.6)),
    (law(0.0, 1.0), law(0.0, 0.0)),
    (law(0.0, 0.5), law(1.5, 0.3)),
    (law(2.0, 1.2), law(1.0, 0.5)),
    (law(-1.0, 0.6), law(-0.9, 0.2)),
    (law(-1.0, 0.4), law(-1.2, 0.0)),
    (law(0.0, 0.3), law(0.7, 0.0)),
];

const fn law(mean: f64, sigma: f64) -> Law {
    Law { mean, sigma }
}

/// What bids are expected to bring under a law.
struct Expected {
    clicks: f64,
    spend: f64,
}

impl Expected {
    fn cost_of_a_click(&self) -> f64 {
        self.spend / self.clicks
    }
}

struct Run {
    markets: Markets,
    tells: Tells,
    dice: Dice,
    /// Expected under the law, of our bids and of the best ones.
    surplus: f64,
    best_surplus: f64,
    won: u32,
}

impl Run {
    fn new(seed: u64, tells: Tells) -> Run {
        Run {
            markets: Markets::new(100),
            tells,
            dice: Dice(seed),
            surplus: 0.0,
            best_surplus: 0.0,
            won: 0,
        }
    }

    fn forget(&mut self) {
        (self.surplus, self.best_surplus, self.won) = (0.0, 0.0, 0);
    }

    fn auctions(&mut self, law: Law, worth: Worth, count: usize) {
        let market = self.markets.find(PATH);
        let best = Best::of(law);
        for _ in 0..count {
            let (value, price) = (self.dice.draw(worth), self.dice.draw(law));
            let bid = self
                .markets
                .shade(market, cpm(value), Cpm::ZERO, self.dice.next())
                .bid;
            self.surplus += (value - bid.as_units()) * law.win_rate(bid.as_units());
            self.best_surplus += best.surplus(value);
            let won = bid >= cpm(price);
            self.won += u32::from(won);
            let outcome = match (self.tells, won) {
                (Tells::EveryPrice, true) => Outcome::WonAt(cpm(price)),
                (_, true) => Outcome::Won,
                (Tells::WinOrLoss, false) => Outcome::Lost,
                (_, false) => Outcome::LostTo(cpm(price)),
            };
            self.markets.observe(market, bid, outcome);
        }
    }

    /// The values are scaled until the shaded bids win as many clicks: what a pacing multiplier in front of shading does.
    fn with_clicks_of(&self, other: &Expected, law: Law, values: &[f64]) -> Expected {
        let market = self.markets.find(PATH);
        let shaded = |scale: f64| {
            let mut seed = 0;
            law.expected(values, |value| {
                seed += 1;
                let shaded = self.markets.shade(market, cpm(value * scale), Cpm::ZERO, seed);
                shaded.bid.as_units()
            })
        };
        let (mut low, mut high) = (0.1, 10.0);
        for _ in 0..20 {
            let middle = (low + high) / 2.0;
            if shaded(middle).clicks < other.clicks {
                low = middle;
            } else {
                high = middle;
            }
        }
        shaded(high)
    }

    /// Prints and asserts the share of the best surplus.
    fn earns(&self, least: f64, when: &str, law: Law, worth: Worth) {
        let share = self.surplus / self.best_surplus;
        println!(
            "{when}: {:.2} % (prices e^({:.1} ± {:.2}), values e^({:.1} ± {:.1}), {:?})",
            100.0 * share,
            law.mean,
            law.sigma,
            worth.mean,
            worth.sigma,
            self.tells
        );
        assert!(share >= least, "{when}: {share} < {least}");
    }
}

/// The highest expected surplus by value, tabled over ln value.
struct Best(Vec<f64>);

impl Best {
    const LEAST: f64 = -4.0;
    const STEP: f64 = 0.02;

    fn of(law: Law) -> Best {
        let surplus = |log_value: f64| {
            let value = log_value.exp();
            (0..400)
                .map(|n| value * (-0.02 * f64::from(n)).exp())
                .map(|bid| (value - bid) * law.win_rate(bid))
                .fold(0.0, f64::max)
        };
        Best(
            (0..500)
                .map(|n| surplus(Best::LEAST + Best::STEP * f64::from(n)))
                .collect(),
        )
    }

    fn surplus(&self, value: f64) -> f64 {
        let place = (value.ln() - Best::LEAST) / Best::STEP;
        let (at, into) = (place as usize, place.fract());
        self.0[at] + (self.0[at + 1] - self.0[at]) * into
    }
}

impl Law {
    fn expected(self, values: &[f64], mut bid: impl FnMut(f64) -> f64) -> Expected {
        let mut expected = Expected {
            clicks: 0.0,
            spend: 0.0,
        };
        for &value in values {
            let bid = bid(value);
            let win_rate = self.win_rate(bid);
            expected.clicks += value * win_rate;
            expected.spend += bid * win_rate;
        }
        expected
    }

    /// P(price ≤ bid), by summing the density: slow and plain.
    fn win_rate(self, bid: f64) -> f64 {
        normal((bid.ln() - self.mean) / self.sigma)
    }
}

/// The series Φ(z) = ½ + φ(z)·(z + z³/3 + z⁵/15 + …), Marsaglia 2004; the tails beyond 7 are 0 and 1.
fn normal(z: f64) -> f64 {
    if z.abs() > 7.0 {
        return if z > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut sum, mut term, mut n) = (z, z, 1.0);
    while term.abs() > 1e-16 {
        n += 2.0;
        term *= z * z / n;
        sum += term;
    }
    0.5 + sum * (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt()
}

fn bytes(markets: &Markets) -> Vec<u8> {
    let mut out = FieldWriter::default();
    markets.checkpoint(&mut out);
    out.finish()
}

fn cpm(units: f64) -> Cpm {
    Cpm::from_units(units).unwrap()
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn share(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Box and Muller 1958.
    fn draw(&mut self, law: Law) -> f64 {
        let radius = (-2.0 * self.share().ln()).sqrt();
        (law.mean + law.sigma * radius * (std::f64::consts::TAU * self.share()).cos()).exp()
    }
}
