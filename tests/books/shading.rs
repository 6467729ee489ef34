//! What the books make of shaded bids: each teaches its market once, whatever is told, how often, and what crashes.

use super::*;
use outbid::shading::{MarketPath, Ticket};

impl World {
    /// A bid whose price was looked for below its value.
    fn bid_shaded(&self, token: &Token) {
        let ticket = Ticket {
            market: self.markets.find(market()),
            bid: token.price,
        };
        let accounts = [&*self.line_item, &*self.campaign];
        let reservation = self
            .budgets
            .reserve(&accounts, token.reserved, token.bid_time)
            .expect("money");
        reservation
            .commit_noting(token.bid, token.win_hold_end, ticket.to_bits())
            .expect("room for a hold");
    }

    /// Outcomes that all markets together have learnt from, and wins among them.
    fn learnt(&self) -> (u64, u64) {
        let all = self.markets.views()[0];
        (all.observed, all.won)
    }
}

fn market() -> MarketPath {
    MarketPath {
        exchange: ObjectId::of("demo"),
        auction: 1,
        format: 1,
        placement: 5,
    }
}

/// One shaded bid is made, `events` come in; outcomes and wins that its market has learnt then.
fn learns(events: &[Inbound]) -> (u64, u64) {
    let world = World::new();
    let mut books = world.books();
    world.bid_shaded(&events[0].token);
    for event in events {
        world.budgets.tick(event.at);
        let mut record = books.decide(event).unwrap();
        books.note(&record);
        books.pin(&mut record);
        books.settle(&record);
        let mut bytes = Vec::new();
        record.write(&mut bytes);
        assert_eq!(Record::read(&bytes).unwrap(), record);
    }
    world.learnt()
}

fn lost_because(seconds: i64, code: Option<u32>) -> Inbound {
    with(loss(seconds), |inbound| {
        inbound.what = What::Loss {
            reason: code,
            min_to_win: None,
        };
    })
}

#[test]
fn the_first_word_of_how_a_bid_ended_teaches_its_market_and_nothing_else_does() {
    assert_eq!(learns(&[win(1), win(1), bill(2), bill(3), shown(4)]), (1, 1));
    assert_eq!(learns(&[shown(1), bill(2), win(3)]), (1, 1));
    assert_eq!(learns(&[loss(1), loss(2), loss(3)]), (1, 0));
    assert_eq!(learns(&[win(1), loss(2)]), (1, 1));
    assert_eq!(
        learns(&[at(1, token(1), What::Click, PriceField::Absent)]),
        (0, 0)
    );
    let audit = priced(PriceField::Audit);
    assert_eq!(learns(&[audit, win(2)]), (1, 1), "an audit is no win");
    assert_eq!(
        learns(&[win(WIN_HOLD_MS / 1000 + 1)]),
        (0, 0),
        "the hold's end was its outcome"
    );
}

#[test]
fn losses_for_other_reasons_than_the_price_teach_nothing() {
    for (code, teaches) in [
        (None, 1),
        (Some(100), 1),
        (Some(102), 1),
        (Some(0), 0),
        (Some(1), 0),
        (Some(2), 0),
        (Some(101), 0),
        (Some(103), 0),
        (Some(104), 0),
        (Some(200), 0),
        (Some(202), 0),
        (Some(1_000), 0),
    ] {
        assert_eq!(
            learns(&[lost_because(1, code), loss(2)]),
            (teaches, 0),
            "{code:?}"
        );
    }
}

#[test]
fn the_price_that_would_have_won_is_learnt() {
    let world = World::new();
    let mut books = world.books();
    for number in 0..400 {
        let token = Token {
            price: Cpm(1_000_000),
            user: None,
            ..token(number)
        };
        world.bid_shaded(&token);
        let mut event = at(1, token, loss(1).what, PriceField::Absent);
        event.told.min_to_win = Some(Cpm(3_000_000));
        let mut record = books.decide(&event).unwrap();
        books.pin(&mut record);
        books.apply(&record);
    }
    let market = world.markets.find(market());
    let win_rate = |bid| world.markets.win_rate(market, Cpm(bid));
    let (below, above) = (win_rate(2_500_000), win_rate(3_500_000));
    assert!(below < 0.4 && above > 0.6, "{below} {above}");
}

#[test]
fn what_markets_learn_survives_a_crash_at_any_moment_and_is_learnt_once() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new();
    let settings = BooksSettings {
        checkpoint_records: 4,
        ..settings(dir.path())
    };
    let keeper = open(&settings, &world);
    let images = tempfile::tempdir().unwrap();
    let mut kept = Vec::new();
    for number in 0..10 {
        let token = Token {
            user: None,
            ..token(number)
        };
        world.bid_shaded(&token);
        let what = if number % 2 == 0 { What::Win } else { loss(1).what };
        for _ in 0..2 {
            book(&keeper.desk(), at(1, token, what.clone(), PriceField::Absent)).unwrap();
        }
        let image = images.path().join(number.to_string());
        copy(dir.path(), &image);
        kept.push((number + 1, image));
    }
    for (bids, image) in kept {
        for start in ["crash", "clean stop"] {
            let world = World::new();
            let keeper = open(
                &BooksSettings {
                    dir: image.clone(),
                    ..settings.clone()
                },
                &world,
            );
            assert_eq!(world.learnt(), (bids, bids.div_ceil(2)), "{start} after {bids}");
            let view = world
                .markets
                .views()
                .into_iter()
                .find(|view| view.placement == Some(5));
            assert_eq!(view.map(|view| view.observed), Some(bids));
            keeper.stop().unwrap();
        }
    }
}

#[test]
fn a_bid_that_nothing_is_heard_of_is_lost_where_others_are_heard_of() {
    let world = World::new();
    let mut books = world.books();
    for number in 1..=3 {
        world.bid_shaded(&Token {
            user: None,
            ..token(number)
        });
    }
    let end = Timestamp(T0.0 + WIN_HOLD_MS);
    let silent = |world: &World| {
        let mut taught = 0;
        let mut undecided = Vec::new();
        world.budgets.tick_noting(end, |bid| undecided.push(bid));
        for bid in undecided {
            let ticket = Ticket::from_bits(bid.ticket).unwrap();
            taught += usize::from(world.markets.observe_silence(ticket, bid.bid_at));
        }
        taught
    };
    let mut record = books
        .decide(&with(win(1), |inbound| inbound.token.user = None))
        .unwrap();
    books.pin(&mut record);
    books.apply(&record);
    assert_eq!(silent(&world), 2);
    assert_eq!(world.learnt(), (3, 1));
    assert_eq!(silent(&world), 0);
    let unheard = World::new();
    unheard.bid_shaded(&token(9));
    assert_eq!((silent(&unheard), unheard.learnt()), (0, (0, 0)));
}
