//! The books: what notices mean, and that no bid is booked twice, whatever comes in, crashes or fails.

#[path = "books/shading.rs"]
mod shading;

use jiff::tz::TimeZone;
use outbid::allocation::{Allocation, Fact, RoiRule, Rules, Slice, Source};
use outbid::approvals::{Approvals, Place};
use outbid::caps::{BackOff, Buyers, CapLevel, CapObject, CapRule, Caps, Seen};
use outbid::events::booking::{Flags, Record, Verdict};
use outbid::events::bookkeeper::{Bookkeeper, BooksError, BooksSettings, Desk, NotBooked, Receipt};
use outbid::events::books::{Books, Word};
use outbid::events::lock::LockError;
use outbid::events::memory::MemoryLimits;
use outbid::events::notice::{Conversion, Engagement, Inbound, Paid, Told, What};
use outbid::events::token::{Format, ImpRef, Token};
use outbid::journal::Medium;
use outbid::openrtb::notice::{Notice, NoticeQuery, PriceField, PriceUnit};
use outbid::openrtb::price_crypto::PriceCodec;
use outbid::pacing::{Account, AccountKind, Budgets, Kpi, KpiView, LearntDelay, PeriodView, Target};
use outbid::shading::Markets;
use outbid::store::exchange::BillingEvent;
use outbid::store::rates::Rate;
use outbid::units::{AccountId, BidId, Cpm, Currency, Limits, Nanos, ObjectId, Timestamp, UserKey};
use proptest::prelude::*;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// 2026-03-02T12:00:00Z.
const T0: Timestamp = Timestamp(1_772_452_800_000);
const EXP_MS: i64 = 300_000;
const WIN_HOLD_MS: i64 = 60_000;
const USER: UserKey = UserKey(77);
const CREATIVE_RULE: (u16, u32) = (3, 86_400);

/// Budgets, caps and their accounts, without files.
struct World {
    budgets: Arc<Budgets>,
    caps: Arc<Caps>,
    approvals: Arc<Approvals>,
    markets: Arc<Markets>,
    line_item: Arc<Account>,
    campaign: Arc<Account>,
}

impl World {
    fn new() -> World {
        let budgets = Arc::new(Budgets::new(10_000));
        let account = |id, name, kind| {
            let account = budgets.account(id, name, kind, &TimeZone::UTC, T0);
            let limits = Limits {
                daily: Some(Nanos(1_000_000)),
                ..Limits::default()
            };
            account.set_limits(limits, T0);
            account
        };
        let caps = Arc::new(Caps::new(1_000));
        caps.set_rules([creative_rule()]);
        World {
            line_item: account(AccountId::line_item("li"), "li", AccountKind::LineItem),
            campaign: account(AccountId::campaign("c"), "c", AccountKind::Campaign),
            budgets,
            caps,
            approvals: Arc::default(),
            markets: Arc::new(Markets::new(100)),
        }
    }

    fn books(&self) -> Books {
        Books::new(self.budgets.clone(), self.caps.clone(), MemoryLimits::default())
            .telling(self.approvals.clone())
            .teaching(self.markets.clone())
    }

    /// What the bid path does for a bid.
    fn bid(&self, token: &Token) {
        let accounts = [&*self.line_item, &*self.campaign];
        let reservation = self
            .budgets
            .reserve(&accounts, token.reserved, token.bid_time)
            .expect("money");
        reservation
            .commit(token.bid, token.hold_end)
            .expect("room for a hold");
        if let Some(user) = token.user {
            assert!(
                self.caps
                    .provisional(user, token.line_item, token.bid, token.bid_time, token.hold_end)
            );
        }
    }

    fn today(&self) -> PeriodView {
        self.line_item.view(T0).day
    }

    fn impressions_seen(&self) -> u16 {
        let rule = |impressions| CapRule {
            impressions,
            ..creative_rule()
        };
        (1..=CREATIVE_RULE.0)
            .find(|&most| self.caps.allows(USER, &[rule(most)], T0).is_ok())
            .map_or(CREATIVE_RULE.0, |most| most - 1)
    }
}

fn creative_rule() -> CapRule {
    let object = CapObject::of(CapLevel::Creative, ObjectId::of("cr"));
    CapRule {
        object,
        impressions: CREATIVE_RULE.0,
        window_s: CREATIVE_RULE.1,
    }
}

/// A bid of 1,000 nanos in the accounting currency.
fn token(number: u64) -> Token {
    Token {
        bid: BidId::new(1, 1, number),
        lease: 0,
        budget_day: 20_514,
        bid_time: T0,
        win_hold_end: Timestamp(T0.0 + WIN_HOLD_MS),
        hold_end: Timestamp(T0.0 + EXP_MS),
        exchange: ObjectId::of("demo"),
        imp: ImpRef::of(0, "1"),
        format: Format::Banner,
        line_item_account: AccountId::line_item("li"),
        campaign_account: AccountId::campaign("c"),
        line_item: ObjectId::of("li"),
        campaign: ObjectId::of("c"),
        advertiser: ObjectId::of("a"),
        creative: ObjectId::of("cr"),
        deal: None,
        reserved: Nanos(1_000),
        rate: Rate::ONE,
        currency: Currency::USD,
        price: Cpm(1_000),
        billing: BillingEvent::Burl,
        price_unit: PriceUnit::Cpm,
        test: false,
        user: Some(USER),
        consent: None,
        profile_used: false,
        arms: 0,
    }
}

fn at(seconds: i64, token: Token, what: What, price: PriceField) -> Inbound {
    let paid = Paid {
        price,
        ..Paid::NOTHING
    };
    Inbound {
        at: Timestamp(T0.0 + seconds * 1000),
        token,
        what,
        told: Told::default(),
        paid,
        shown_at: None,
    }
}

fn win(seconds: i64) -> Inbound {
    at(seconds, token(1), What::Win, PriceField::Value(Cpm(900)))
}

fn bill(seconds: i64) -> Inbound {
    at(seconds, token(1), What::Bill, PriceField::Value(Cpm(900)))
}

fn loss(seconds: i64) -> Inbound {
    at(
        seconds,
        token(1),
        What::Loss {
            reason: Some(102),
            min_to_win: None,
        },
        PriceField::Absent,
    )
}

fn shown(seconds: i64) -> Inbound {
    at(seconds, token(1), What::Impression, PriceField::Absent)
}

fn priced(price: PriceField) -> Inbound {
    at(1, token(1), What::Bill, price)
}

fn with(mut inbound: Inbound, change: impl FnOnce(&mut Inbound)) -> Inbound {
    change(&mut inbound);
    inbound
}

/// One bid is made, `events` come in; each must be flagged and booked as told, and leave spent, late and reserved.
fn check(events: &[Inbound], verdicts: &[(Option<i64>, &[Flags])], spent: i64, late: i64, reserved: i64) {
    let world = World::new();
    let mut books = world.books();
    world.bid(&events[0].token);
    for (step, (event, (booked, flags))) in events.iter().zip(verdicts).enumerate() {
        world.budgets.tick(event.at);
        let mut record = books.decide(event).unwrap();
        let all = flags.iter().fold(0, |all, flag| all | flag.0);
        assert_eq!(record.verdict.flags, Flags(all), "step {step}: {:?}", event.what);
        assert_eq!(
            record.verdict.booked,
            booked.map(Nanos),
            "step {step}: {:?}",
            event.what
        );
        books.pin(&mut record);
        books.apply(&record);
        let mut bytes = Vec::new();
        record.write(&mut bytes);
        assert_eq!(Record::read(&bytes).unwrap(), record, "step {step}");
    }
    assert_eq!(events.len(), verdicts.len());
    let day = world.today();
    let money = (day.spent.0, day.late.0, day.reserved.0);
    assert_eq!(money, (spent, late, reserved), "spent, late, reserved");
    let booked: i64 = verdicts.iter().filter_map(|(booked, _)| *booked).sum();
    assert_eq!(day.spent.0 + day.late.0, booked);
    let counted = verdicts.iter().filter(|(booked, _)| booked.is_some()).count();
    let expected = if events[0].token.user.is_some() {
        counted
    } else {
        0
    };
    assert_eq!(
        usize::from(world.impressions_seen()),
        expected,
        "impressions for the caps"
    );
}

#[test]
fn the_billing_notice_books_its_price_and_frees_the_rest() {
    check(&[win(1), bill(2)], &[(None, &[]), (Some(900), &[])], 900, 0, 0);
    check(&[bill(1), win(2)], &[(Some(900), &[]), (None, &[])], 900, 0, 0);
}

#[test]
fn only_the_first_billable_event_of_a_bid_books() {
    let free: (Option<i64>, &[Flags]) = (None, &[Flags::DUPLICATE]);
    check(
        &[bill(1), bill(2), bill(3)],
        &[(Some(900), &[]), free, free],
        900,
        0,
        0,
    );
    check(
        &[bill(1), shown(2), shown(3)],
        &[(Some(900), &[]), (None, &[]), free],
        900,
        0,
        0,
    );
}

#[test]
fn the_agreed_event_books_and_others_are_free() {
    let of = |billing: BillingEvent| move |inbound: &mut Inbound| inbound.token.billing = billing;
    let video = |inbound| with(inbound, of(BillingEvent::Impression));
    let events = [video(win(1)), video(bill(2)), video(shown(3))];
    check(
        &events,
        &[(None, &[]), (None, &[]), (Some(1_000), &[Flags::AT_RESERVED])],
        1_000,
        0,
        0,
    );
    let on_win = |inbound| with(inbound, of(BillingEvent::Win));
    check(
        &[on_win(win(1)), on_win(bill(2))],
        &[(Some(900), &[]), (None, &[])],
        900,
        0,
        0,
    );
}

#[test]
fn without_a_readable_price_the_reserved_one_is_booked() {
    for price in [PriceField::Absent, PriceField::Unreplaced, PriceField::Unreadable] {
        check(
            &[priced(price)],
            &[(Some(1_000), &[Flags::AT_RESERVED])],
            1_000,
            0,
            0,
        );
    }
    let euros = with(bill(1), |inbound| inbound.paid.currency = Currency::parse("EUR"));
    check(
        &[euros],
        &[(Some(1_000), &[Flags::AT_RESERVED, Flags::OTHER_CURRENCY])],
        1_000,
        0,
        0,
    );
}

#[test]
fn a_price_of_zero_is_a_price() {
    check(&[priced(PriceField::Value(Cpm(0)))], &[(Some(0), &[])], 0, 0, 0);
}

#[test]
fn audits_and_tests_book_and_count_nothing() {
    let audit = priced(PriceField::Audit);
    check(
        &[audit, bill(2)],
        &[(None, &[Flags::AUDIT]), (Some(900), &[])],
        900,
        0,
        0,
    );
    let test = with(bill(1), |inbound| inbound.token.test = true);
    check(
        &[test.clone(), test],
        &[(None, &[Flags::TEST]), (None, &[Flags::TEST])],
        0,
        0,
        1_000,
    );
}

#[test]
fn a_price_above_the_bid_is_booked_late_for_the_part_above() {
    let dear = priced(PriceField::Value(Cpm(1_500)));
    check(&[dear], &[(Some(1_500), &[Flags::ABOVE_BID])], 1_000, 500, 0);
}

#[test]
fn the_rate_of_the_bid_converts_the_price_up() {
    let euro = with(priced(PriceField::Value(Cpm(333))), |inbound| {
        inbound.token.rate = Rate(1_100_000_000);
        inbound.token.currency = Currency::parse("EUR").unwrap();
        inbound.token.reserved = Nanos(1_100);
        inbound.paid.currency = Currency::parse("EUR");
    });
    check(&[euro], &[(Some(367), &[])], 367, 0, 0);
}

#[test]
fn a_multiplier_books_that_many_impressions() {
    let screen = with(priced(PriceField::Value(Cpm(333))), |inbound| {
        inbound.paid.multiplier_micros = Some(2_500_000);
    });
    check(&[screen], &[(Some(833), &[Flags::MULTIPLIED])], 833, 0, 0);
    let crowded = with(bill(1), |inbound| {
        inbound.paid.multiplier_micros = Some(2_000_000)
    });
    let flags: &[Flags] = &[Flags::MULTIPLIED, Flags::ABOVE_BID];
    check(&[crowded], &[(Some(1_800), flags)], 1_000, 800, 0);
}

/// The billing notice of a bid of 1,000 nanos an impression on a screen that counts 2.5 of them.
fn on_a_screen(price: PriceField, multiplier_micros: Option<u64>) -> Inbound {
    with(priced(price), |inbound| {
        inbound.token.reserved = Nanos(2_500);
        inbound.paid.multiplier_micros = multiplier_micros;
    })
}

#[test]
fn on_a_screen_of_many_each_impression_is_paid_for_once() {
    let paid = PriceField::Value(Cpm(333));
    let multiplied: &[Flags] = &[Flags::MULTIPLIED];
    let dearer: &[Flags] = &[Flags::MULTIPLIED, Flags::ABOVE_BID];
    for (price, multiplier, booked, flags, late) in [
        // As many as were bid for, said or not; rounded up.
        (paid, Some(2_500_000), 833, multiplied, 0),
        (paid, None, 833, multiplied, 0),
        // Fewer than were bid for: what is not shown is not paid for.
        (paid, Some(1_000_000), 333, &[], 0),
        (paid, Some(320_000), 107, multiplied, 0),
        // More than were bid for.
        (PriceField::Value(Cpm(1_000)), Some(3_000_000), 3_000, dearer, 500),
        // The reserved amount is that of all impressions, and is not multiplied once more.
        (
            PriceField::Absent,
            Some(2_500_000),
            2_500,
            &[Flags::AT_RESERVED],
            0,
        ),
        (PriceField::Unreplaced, None, 2_500, &[Flags::AT_RESERVED], 0),
    ] {
        let screen = on_a_screen(price, multiplier);
        let spent = booked - late;
        check(&[screen], &[(Some(booked), flags)], spent, late, 0);
    }
}

#[test]
fn when_a_screen_showed_the_ad_is_kept_with_the_number_of_impressions() {
    let world = World::new();
    let books = world.books();
    let query = NoticeQuery::parse(b"p=0.0009&c=USD&x=14.2&ts=1772452799000");
    let bill = Inbound::of_notice(Notice::Bill, &query, token(1), &PriceCodec::Plain, T0).unwrap();
    let record = books.decide(&bill).unwrap();
    let mut bytes = Vec::new();
    record.write(&mut bytes);
    let read = Record::read(&bytes).unwrap();
    assert_eq!(read.verdict.multiplier_micros, Some(14_200_000));
    assert_eq!(read.verdict.shown_at, Some(Timestamp(T0.0 - 1_000)));
    assert_eq!(read, record);
}

#[test]
fn a_loss_frees_the_hold_at_once_and_again_nothing() {
    check(
        &[loss(1), loss(2)],
        &[(None, &[]), (None, &[Flags::DUPLICATE])],
        0,
        0,
        0,
    );
}

fn lost_with(code: u32, number: u64, seconds: i64) -> Inbound {
    let what = What::Loss {
        reason: Some(code),
        min_to_win: None,
    };
    let mut lost = at(seconds, token(number), what, PriceField::Absent);
    lost.token.bid_time = Timestamp(T0.0 + (seconds - 1) * 1000);
    lost
}

const PLACE: fn() -> Place = || Place {
    exchange: ObjectId::of("demo"),
    creative: ObjectId::of("cr"),
};

/// Whether the creative may be shown after `events`, an hour later.
fn allowed_after(world: &World, events: &[Inbound]) -> bool {
    let mut books = world.books();
    for event in events {
        let record = books.decide(event).unwrap();
        let mut bytes = Vec::new();
        record.write(&mut bytes);
        assert_eq!(Record::read(&bytes).unwrap(), record);
        books.apply(&record);
    }
    world.approvals.allows(PLACE(), 7, Timestamp(T0.0 + 3_600_000))
}

/// Whether the user is known to have bought from the advertiser within a day, and whether one unanswered impression is all
/// there is of the line item, after `events`: told by the books, and by those that read the same journal after a crash.
fn remembered_after(events: &[Inbound]) -> (bool, bool) {
    let buyers = Buyers::new(vec![CapObject::bought(ObjectId::of("a"), "purchase")], 86_400);
    let back_off = BackOff {
        object: CapObject::unanswered(ObjectId::of("li")),
        after: 1,
        pause_s: 86_400,
    };
    let dir = tempfile::tempdir().unwrap();
    let image = tempfile::tempdir().unwrap();
    let told = |world: &World| {
        let seen = world.caps.seen(USER);
        let told = |ask: &dyn Fn(&Seen<'_>) -> bool| seen.as_ref().is_some_and(ask);
        (
            told(&|seen| seen.has_bought(&buyers, Timestamp(T0.0 + 60_000))),
            told(&|seen| seen.backs_off(&back_off, Timestamp(T0.0 + 60_000))),
        )
    };
    let world = || {
        let world = World::new();
        world
            .caps
            .set_rules(buyers.asks_for().chain([back_off.asks_for()]));
        world
    };
    let first = world();
    let keeper = open(&settings(dir.path()), &first);
    for event in events {
        book(&keeper.desk(), event.clone()).unwrap();
    }
    // As a crash would leave it: no checkpoint.
    copy(dir.path(), image.path());
    keeper.stop().unwrap();
    let before = told(&first);
    for folder in [&image, &dir] {
        let again = world();
        let _keeper = open(&settings(folder.path()), &again);
        assert_eq!(told(&again), before, "after a restart");
    }
    before
}

#[test]
fn whoever_bought_is_a_buyer_until_every_order_is_taken_back() {
    let order = |id, reversal| conversion(Some(id), reversal);
    let of_nobody = with(order("o1", false), |inbound| inbound.token.user = None);
    let tested = with(order("o1", false), |inbound| inbound.token.test = true);
    let signup = with(order("o1", false), |inbound| {
        if let What::Conversion(conversion) = &mut inbound.what {
            conversion.name = "signup".into();
        }
    });
    for (events, is_buyer) in [
        (vec![order("o1", false)], true),
        (vec![order("o1", false), order("o1", true)], false),
        (
            vec![order("o1", false), order("o1", false), order("o1", true)],
            false,
        ),
        (
            vec![order("o1", false), order("o2", false), order("o2", true)],
            true,
        ),
        (
            vec![
                order("o1", false),
                order("o2", false),
                order("o2", true),
                order("o1", true),
            ],
            false,
        ),
        (vec![order("o1", true)], false),
        (vec![of_nobody], false),
        (vec![tested], false),
        (vec![signup], false),
    ] {
        assert_eq!(remembered_after(&events), (is_buyer, false), "{events:?}");
    }
}

#[test]
fn an_impression_is_unanswered_until_its_line_item_is_clicked() {
    let click = |seconds| at(seconds, token(1), What::Click, PriceField::Absent);
    let later = with(click(4), |inbound| {
        inbound.token = Token {
            user: Some(USER),
            ..token(2)
        };
    });
    for (events, unanswered) in [
        (vec![bill(1)], true),
        (vec![bill(1), click(2)], false),
        (vec![click(1), bill(2)], false),
        (vec![bill(1), later], false),
        (vec![bill(1), click(2), click(2), shown(3)], false),
    ] {
        assert_eq!(remembered_after(&events), (false, unanswered), "{events:?}");
    }
}

#[test]
fn a_loss_with_202_stops_the_creative_and_others_do_not() {
    let world = |version| {
        let world = World::new();
        let versions = [(ObjectId::of("cr"), version)];
        world.approvals.set_versions(versions.into_iter(), T0);
        world
    };
    for code in [1, 100, 102, 203, 215, 500] {
        assert!(allowed_after(&world(7), &[lost_with(code, 1, 5)]), "{code}");
    }
    assert!(!allowed_after(&world(7), &[lost_with(202, 1, 5)]));
    let first_counts = [lost_with(102, 1, 5), lost_with(202, 1, 6)];
    assert!(
        allowed_after(&world(7), &first_counts),
        "the first loss of a bid counts"
    );
    let won = with(win(1), |inbound| inbound.token.bid_time = T0);
    assert!(
        allowed_after(&world(7), &[won, lost_with(202, 1, 6)]),
        "it was shown"
    );
    let test = with(lost_with(202, 1, 5), |inbound| inbound.token.test = true);
    assert!(allowed_after(&world(7), &[test]), "tests leave no trace");
    let changed = world(6);
    let versions = [(ObjectId::of("cr"), 7)];
    changed
        .approvals
        .set_versions(versions.into_iter(), Timestamp(T0.0 + 4_500));
    assert!(
        allowed_after(&changed, &[lost_with(202, 1, 5)]),
        "it spoke of older content"
    );
}

#[test]
fn what_exchanges_say_of_creatives_survives_a_crash_a_stop_and_a_persons_word() {
    let dir = tempfile::tempdir().unwrap();
    let fresh = || {
        let world = World::new();
        let versions = [(ObjectId::of("cr"), 7)];
        world.approvals.set_versions(versions.into_iter(), T0);
        world
    };
    let allowed = |world: &World| world.approvals.allows(PLACE(), 7, Timestamp(T0.0 + 3_600_000));
    let (world, crashed) = (fresh(), tempfile::tempdir().unwrap());
    let keeper = open(&settings(dir.path()), &world);
    book(&keeper.desk(), lost_with(202, 1, 5)).unwrap();
    copy(dir.path(), crashed.path());
    keeper.stop().unwrap();
    for path in [dir.path(), crashed.path()] {
        let world = fresh();
        let keeper = open(&settings(path), &world);
        assert!(!allowed(&world), "the stop is remembered");
        let cleared = clear(&keeper.desk());
        assert_eq!(cleared, Ok(true));
        assert!(allowed(&world));
        assert_eq!(clear(&keeper.desk()), Ok(false), "once is enough");
        let again = tempfile::tempdir().unwrap();
        copy(path, again.path());
        keeper.stop().unwrap();
        let world = fresh();
        let keeper = open(&settings(again.path()), &world);
        assert!(allowed(&world), "the word outlives a crash");
        keeper.stop().unwrap();
    }
}

#[test]
fn what_would_have_won_is_recorded_in_the_accounting_currency() {
    let euro = Token {
        rate: Rate(1_500_000_000),
        currency: Currency::parse("EUR").unwrap(),
        ..token(1)
    };
    for (notice, query, expected) in [
        (Notice::Win, "m=2&c=EUR&r=0.8", Some(3_000_000)),
        (Notice::Loss, "l=102&m=2", Some(3_000_000)),
        (Notice::Loss, "l=102&m=2&c=USD", None),
        (Notice::Bill, "m=${AUCTION_MIN_TO_WIN}", None),
        (Notice::Loss, "m=", None),
    ] {
        let query = NoticeQuery::parse(query.as_bytes());
        let inbound = Inbound::of_notice(notice, &query, euro, &PriceCodec::Plain, T0).unwrap();
        assert_eq!(inbound.told.min_to_win, expected.map(Cpm), "{query:?}");
        let record = World::new().books().decide(&inbound).unwrap();
        let mut bytes = Vec::new();
        record.write(&mut bytes);
        assert_eq!(Record::read(&bytes).unwrap().told, inbound.told);
    }
}

#[test]
fn a_loss_that_contradicts_a_win_or_a_booking_frees_nothing() {
    let contradicts: (Option<i64>, &[Flags]) = (None, &[Flags::CONTRADICTION]);
    check(&[win(1), loss(2)], &[(None, &[]), contradicts], 0, 0, 1_000);
    check(&[bill(1), loss(2)], &[(Some(900), &[]), contradicts], 900, 0, 0);
}

#[test]
fn a_booking_after_a_loss_or_after_the_hold_is_late_in_full() {
    check(&[loss(1), bill(2)], &[(None, &[]), (Some(900), &[])], 0, 900, 0);
    check(&[bill(301)], &[(Some(900), &[Flags::LATE])], 0, 900, 0);
}

#[test]
fn a_bid_that_may_be_forgotten_is_not_booked() {
    let day_later = 300 + 86_400 + 1;
    check(&[bill(day_later)], &[(None, &[Flags::TOO_LATE])], 0, 0, 0);
    // Also where the clock went back in between.
    let mut other = bill(day_later);
    other.token.bid = BidId::new(1, 1, 2);
    check(
        &[other, bill(5)],
        &[(None, &[Flags::TOO_LATE]), (None, &[Flags::TOO_LATE])],
        0,
        0,
        0,
    );
}

#[test]
fn without_consent_no_impression_is_counted_for_the_user() {
    let nobody = with(bill(1), |inbound| inbound.token.user = None);
    check(&[nobody], &[(Some(900), &[])], 900, 0, 0);
}

#[test]
fn beacons_are_counted_once_each() {
    let beacon = |what: What| at(5, token(1), what, PriceField::Absent);
    let kinds = [
        What::View,
        What::Click,
        What::VastError { code: Some(405) },
        What::Engagement(Engagement::Start),
        What::Engagement(Engagement::Complete),
    ];
    for what in kinds {
        let events = [beacon(what.clone()), beacon(what)];
        check(&events, &[(None, &[]), (None, &[Flags::DUPLICATE])], 0, 0, 1_000);
    }
}

fn conversion(order: Option<&str>, reversal: bool) -> Inbound {
    let conversion = Conversion {
        name: "purchase".into(),
        value: Nanos(5),
        currency: Some(Currency::USD),
        order: order.map(str::to_owned),
        reversal,
        signed: reversal,
        worth: Some(Nanos(5)),
    };
    Inbound::of_conversion(conversion, token(1), Timestamp(T0.0 + 1_000))
}

#[test]
fn an_order_counts_once_and_can_be_taken_back_once() {
    let again: (Option<i64>, &[Flags]) = (None, &[Flags::DUPLICATE]);
    let unknown: (Option<i64>, &[Flags]) = (None, &[Flags::UNKNOWN_ORDER]);
    let fine: (Option<i64>, &[Flags]) = (None, &[]);
    let (order, other) = (conversion(Some("o1"), false), conversion(Some("o2"), false));
    check(
        &[order.clone(), order.clone(), other],
        &[fine, again, fine],
        0,
        0,
        1_000,
    );
    let back = conversion(Some("o1"), true);
    check(
        &[back.clone(), order.clone(), back.clone(), back],
        &[unknown, fine, fine, again],
        0,
        0,
        1_000,
    );
    let elsewhere = with(order.clone(), |inbound| inbound.token.bid = BidId::new(1, 1, 9));
    check(&[order.clone(), elsewhere], &[fine, again], 0, 0, 1_000);
    let stranger = with(order.clone(), |inbound| {
        inbound.token.advertiser = ObjectId::of("b")
    });
    check(&[order, stranger], &[fine, fine], 0, 0, 1_000);
}

#[test]
fn without_an_order_id_a_bid_converts_once_by_each_name() {
    let plain = conversion(None, false);
    let signup = with(plain.clone(), |inbound| {
        if let What::Conversion(conversion) = &mut inbound.what {
            conversion.name = "signup".into();
        }
    });
    check(
        &[plain.clone(), plain, signup],
        &[(None, &[]), (None, &[Flags::DUPLICATE]), (None, &[])],
        0,
        0,
        1_000,
    );
}

#[test]
fn a_notice_is_read_with_the_terms_of_its_token() {
    let mut micros = token(1);
    micros.price_unit = PriceUnit::CpmMicros;
    let read = |notice, query: &str, token| {
        Inbound::of_notice(
            notice,
            &NoticeQuery::parse(query.as_bytes()),
            token,
            &PriceCodec::Plain,
            T0,
        )
    };
    let bill = read(Notice::Bill, "p=900&c=USD&x=2", micros).unwrap();
    assert_eq!(
        (bill.what, bill.paid.price),
        (What::Bill, PriceField::Value(Cpm(900)))
    );
    assert_eq!(bill.paid.multiplier_micros, Some(2_000_000));
    let lost = read(Notice::Loss, "l=102&m=0.5&c=USD", token(1)).unwrap();
    assert_eq!(
        lost.what,
        What::Loss {
            reason: Some(102),
            min_to_win: Some(Cpm(500_000))
        }
    );
    let foreign = read(Notice::Loss, "l=102&m=0.5&c=EUR", token(1)).unwrap();
    assert_eq!(
        foreign.what,
        What::Loss {
            reason: Some(102),
            min_to_win: None
        }
    );
    assert_eq!(read(Notice::Video, "", token(1)), None);
    let start = read(Notice::Video, "e=start", token(1)).unwrap();
    assert_eq!(start.what, What::Engagement(Engagement::Start));
}

#[test]
fn what_cannot_be_remembered_is_refused() {
    let world = World::new();
    let limits = MemoryLimits {
        bids_max: 1,
        orders_max: 1,
        ..MemoryLimits::default()
    };
    let mut books = Books::new(world.budgets.clone(), world.caps.clone(), limits);
    for event in [bill(1), conversion(Some("o1"), false)] {
        books.apply(&books.decide(&event).unwrap());
    }
    assert!(
        books
            .decide(&with(bill(2), |inbound| inbound.token.bid = BidId::new(1, 1, 2)))
            .is_err()
    );
    assert!(books.decide(&conversion(Some("o2"), false)).is_err());
    assert!(books.decide(&win(2)).is_ok(), "the known bid goes on");
}

fn any_event() -> impl Strategy<Value = Inbound> {
    let what = prop::sample::select(vec![
        What::Win,
        What::Bill,
        What::Bill,
        What::Impression,
        What::Click,
        What::Loss {
            reason: None,
            min_to_win: None,
        },
    ]);
    let price = prop::sample::select(vec![
        PriceField::Absent,
        PriceField::Audit,
        PriceField::Unreadable,
        PriceField::Value(Cpm(900)),
        PriceField::Value(Cpm(1_300)),
    ]);
    let billing = prop::sample::select(vec![
        BillingEvent::Burl,
        BillingEvent::Impression,
        BillingEvent::Win,
    ]);
    (0u64..6, 0i64..100_000, what, price, billing).prop_map(|(number, seconds, what, price, billing)| {
        let mut token = token(number);
        token.billing = billing;
        at(seconds, token, what, price)
    })
}

proptest! {
    /// Even where notices of one bid disagree on the billing event.
    #[test]
    fn in_any_order_and_number_each_bid_is_booked_at_most_once(
        events in prop::collection::vec(any_event(), 0..60),
        restart_after in 0usize..60,
    ) {
        let world = World::new();
        for number in 0..6 {
            world.bid(&Token { user: None, ..token(number) });
        }
        let mut books = world.books();
        let mut booked = std::collections::HashMap::new();
        let mut total = 0;
        for (step, event) in events.iter().enumerate() {
            let mut record = books.decide(event).unwrap();
            books.pin(&mut record);
            if let Some(price) = record.verdict.booked {
                prop_assert_eq!(booked.insert(event.token.bid, price), None);
                total += price.0;
            }
            books.apply(&record);
            if step == restart_after {
                // The same memory, written and read.
                let parts = books.checkpoint();
                let fresh = World::new();
                books = fresh.books();
                books.restore(&parts, MemoryLimits::default(), event.at).unwrap();
                let day = fresh.line_item.view(T0).lifetime;
                prop_assert_eq!(day.spent.0 + day.late.0, total);
                total = 0;
                let before = booked.clone();
                for event in &events {
                    let again = books.decide(event).unwrap().verdict.booked;
                    prop_assert!(again.is_none() || !before.contains_key(&event.token.bid));
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_no_record_or_one_but_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Record::read(&bytes);
    }
}

fn settings(dir: &Path) -> BooksSettings {
    BooksSettings {
        segment_bytes_max: 1 << 20,
        ..BooksSettings::new(dir.into())
    }
}

fn open(settings: &BooksSettings, world: &World) -> Bookkeeper {
    let settings = BooksSettings {
        approvals: world.approvals.clone(),
        markets: world.markets.clone(),
        ..settings.clone()
    };
    Bookkeeper::try_open(&settings, world.budgets.clone(), world.caps.clone(), T0).unwrap()
}

fn clear(desk: &Desk) -> Result<bool, NotBooked> {
    desk.say(Word::ShowAgain(PLACE()), Timestamp(T0.0 + 10_000))?
        .blocking_recv()
        .unwrap_or(Err(NotBooked::Closed))
}

fn book(desk: &Desk, inbound: Inbound) -> Result<Receipt, NotBooked> {
    desk.submit(inbound)?
        .blocking_recv()
        .unwrap_or(Err(NotBooked::Closed))
}

fn bill_of(number: u64) -> Inbound {
    at(
        1,
        Token {
            user: None,
            ..token(number)
        },
        What::Bill,
        PriceField::Value(Cpm(900)),
    )
}

#[test]
fn a_restart_keeps_spend_holds_caps_and_what_was_booked() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new();
    let keeper = open(&settings(dir.path()), &world);
    world.bid(&token(1));
    world.bid(&Token {
        user: None,
        ..token(2)
    });
    assert_eq!(book(&keeper.desk(), bill(1)).unwrap().booked, Some(Nanos(900)));
    keeper.stop().unwrap();

    let world = World::new();
    let keeper = open(&settings(dir.path()), &world);
    assert_eq!(
        keeper.replayed().records,
        0,
        "a clean stop leaves nothing to replay"
    );
    let day = world.today();
    assert_eq!((day.spent, day.reserved), (Nanos(900), Nanos(1_000)));
    assert_eq!(world.impressions_seen(), 1);
    let again = book(&keeper.desk(), bill(2)).unwrap();
    assert_eq!((again.booked, again.flags), (None, Flags::DUPLICATE));
    assert_eq!(
        book(&keeper.desk(), bill_of(2)).unwrap().settled.unwrap().on_time,
        Nanos(900)
    );
}

/// Orders are to bring back ten times their cost; one is expected to bring 5 nanos.
fn with_a_target() -> World {
    let world = World::new();
    let target = Target::Roas {
        event: ObjectId::of("purchase"),
        ratio: 10.0,
        order_value: Nanos(5),
    };
    let (least, most) = (0.1, 10.0);
    world
        .line_item
        .set_kpi(Some(Kpi { target, least, most }), &world.campaign);
    world.line_item.set_learnt_delay(Some(LearntDelay {
        event: ObjectId::of("purchase"),
        half_life_s: 86_400,
        delay_s: 86_400,
    }));
    world
}

/// What is counted after a minute.
fn steered(world: &World) -> KpiView {
    (0..60).for_each(|second| {
        world.budgets.tick(Timestamp(T0.0 + second * 1_000));
    });
    world.line_item.kpi_view().expect("a target")
}

fn check_steered(world: &World, orders: f64, cost: i64) {
    let view = steered(world);
    assert!((view.events - 5.0 * orders).abs() < 0.02, "{view:?}");
    assert!((view.cost.0 - cost).abs() <= 2, "{view:?}");
    // An order takes no time here: seen in all six of them, whichever process counted them.
    let delay = world.line_item.delay_view().expect("a goal");
    assert!(delay.kept > 0.999, "{delay:?}");
}

#[test]
fn what_an_order_may_cost_is_steered_by_each_order_once_also_across_a_crash_and_a_stop() {
    let (dir, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let world = with_a_target();
    let keeper = open(&settings(dir.path()), &world);
    let desk = keeper.desk();
    let order = |name| conversion(Some(name), false);
    world.budgets.tick(Timestamp(T0.0 - 1_000));
    world.bid(&token(1));
    for event in [
        bill(1),
        order("o1"),
        order("o1"),
        order("o2"),
        conversion(Some("o1"), true),
        order("o3"),
        order("o4"),
        order("o5"),
        order("o6"),
        at(2, token(1), What::Click, PriceField::Absent),
    ] {
        book(&desk, event).unwrap();
    }
    check_steered(&world, 5.0, 900);
    copy(dir.path(), crashed.path());
    book(&desk, order("o7")).unwrap();
    keeper.stop().unwrap();

    let again = with_a_target();
    let keeper = open(&settings(crashed.path()), &again);
    check_steered(&again, 5.0, 900);
    drop(keeper);

    let again = with_a_target();
    let keeper = open(&settings(dir.path()), &again);
    check_steered(&again, 6.0, 900);
    book(&keeper.desk(), order("o8")).unwrap();
    again.budgets.tick(Timestamp(T0.0 + 61_000));
    let view = again.line_item.kpi_view().unwrap();
    assert!((view.events - 35.0).abs() < 0.02, "{view:?}");
}

#[test]
fn a_crash_at_any_byte_loses_no_acknowledged_booking_and_doubles_none() {
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
        world.bid(&Token {
            user: None,
            ..token(number)
        });
        book(&keeper.desk(), bill_of(number)).unwrap();
        let image = images.path().join(number.to_string());
        copy(dir.path(), &image);
        kept.push((number, image));
    }
    for (number, image) in kept {
        let acknowledged = 900 * (number as i64 + 1);
        let world = restart_and_repeat(&image, number, acknowledged);
        assert_eq!(world, 9_000, "image {number}");
    }
    // The last segment cut anywhere: what was not synced yet may be gone, and is booked when it is sent again.
    let last = last_segment(dir.path());
    let whole = fs::read(&last).unwrap().len();
    for length in (0..whole).step_by(7) {
        let image = images.path().join(format!("cut-{length}"));
        copy(dir.path(), &image);
        File::options()
            .write(true)
            .open(last_segment(&image))
            .unwrap()
            .set_len(length as u64)
            .unwrap();
        assert_eq!(restart_and_repeat(&image, 9, 0), 9_000, "cut at {length}");
    }
}

/// Opens a crash image, checks that at least `spent_min` is there, repeats all ten bills; returns what is spent then.
fn restart_and_repeat(image: &Path, number: u64, spent_min: i64) -> i64 {
    let world = World::new();
    let keeper = open(&settings(image), &world);
    let spent = |world: &World| {
        let day = world.today();
        day.spent.0 + day.late.0
    };
    let before = spent(&world);
    assert!(
        before >= spent_min && before <= 9_000 && before % 900 == 0,
        "image {number}: {before}"
    );
    assert_eq!(world.today().late, Nanos::ZERO, "what was on time stays on time");
    for number in 0..10 {
        book(&keeper.desk(), bill_of(number)).unwrap();
    }
    keeper.stop().unwrap();
    spent(&world)
}

fn last_segment(dir: &Path) -> std::path::PathBuf {
    let mut segments: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    segments.sort();
    segments.pop().unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        // A checkpoint's draft is renamed while this runs.
        if path.extension().is_none_or(|extension| extension != "tmp") {
            let _ = fs::copy(&path, to.join(path.file_name().unwrap()));
        }
    }
}

#[test]
fn a_second_process_stands_by_until_the_books_are_free() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (World::new(), World::new());
    let keeper = open(&settings(dir.path()), &first);
    let attempt = |world: &World| {
        Bookkeeper::try_open(
            &settings(dir.path()),
            world.budgets.clone(),
            world.caps.clone(),
            T0,
        )
    };
    match attempt(&second) {
        Err(BooksError::Lock(LockError::Held { pid, .. })) => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{:?}", other.err()),
    }
    keeper.stop().unwrap();
    attempt(&second).unwrap();
}

#[test]
fn a_stop_books_what_waits_and_refuses_what_comes_after() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new();
    let keeper = open(&settings(dir.path()), &world);
    let desk = keeper.desk();
    let answers: Vec<_> = (0..500)
        .map(|number| desk.submit(bill_of(number)).unwrap())
        .collect();
    keeper.stop().unwrap();
    for answer in answers {
        assert_eq!(answer.blocking_recv().unwrap().unwrap().booked, Some(Nanos(900)));
    }
    assert_eq!(book(&desk, bill_of(1_000)), Err(NotBooked::Closed));
    let counts = desk.counts();
    let (records, batches) = (&counts.records, &counts.batches);
    let load = |count: &std::sync::atomic::AtomicU64| count.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(load(records), 500);
    assert!(load(batches) <= 500, "records that wait share a sync");
}

#[test]
fn many_senders_at_once_book_each_bid_once() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new();
    let keeper = open(&settings(dir.path()), &world);
    for number in 0..50 {
        world.bid(&Token {
            user: None,
            ..token(number)
        });
    }
    let booked: usize = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..4)
            .map(|_| {
                let desk = keeper.desk();
                scope.spawn(move || {
                    let answers: Vec<_> = (0..50).map(|n| desk.submit(bill_of(n)).unwrap()).collect();
                    let receipts = answers
                        .into_iter()
                        .map(|answer| answer.blocking_recv().unwrap().unwrap());
                    receipts.filter(|receipt| receipt.booked.is_some()).count()
                })
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).sum()
    });
    assert_eq!(booked, 50);
    assert_eq!(world.today().spent, Nanos(50 * 900));
}

/// Takes 300 bytes, then fails.
struct FullDisk {
    file: File,
    left: usize,
}

impl Medium for FullDisk {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.left = self
            .left
            .checked_sub(bytes.len())
            .ok_or(io::ErrorKind::StorageFull)?;
        io::Write::write_all(&mut self.file, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

#[test]
fn a_disk_that_fails_closes_the_books_and_acknowledges_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new();
    let (budgets, caps) = (world.budgets.clone(), world.caps.clone());
    let keeper = Bookkeeper::try_open_on(&settings(dir.path()), budgets, caps, T0, |file| {
        Box::new(FullDisk { file, left: 300 })
    })
    .unwrap();
    let desk = keeper.desk();
    let answers: Vec<_> = (0..5).map(|number| book(&desk, bill_of(number))).collect();
    let acknowledged = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(
        acknowledged < 5 && answers[4] == Err(NotBooked::Closed),
        "{answers:?}"
    );
    assert!(keeper.stop().is_err());

    let world = World::new();
    let keeper = open(&settings(dir.path()), &world);
    assert_eq!(keeper.replayed().records, acknowledged as u64);
    for number in 0..5 {
        book(&keeper.desk(), bill_of(number)).unwrap();
    }
    let day = world.today();
    assert_eq!(day.spent + day.late, Nanos(5 * 900));
}

#[test]
fn a_damaged_checkpoint_costs_a_longer_replay_and_a_missing_journal_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new();
    let keeper = open(&settings(dir.path()), &world);
    for number in 0..3 {
        book(&keeper.desk(), bill_of(number)).unwrap();
    }
    keeper.stop().unwrap();
    let checkpoint = dir.path().join("books-00000002.ckp");
    fs::write(&checkpoint, b"noise").unwrap();
    let world = World::new();
    let keeper = open(&settings(dir.path()), &world);
    assert_eq!(
        (keeper.replayed().checkpoint, keeper.replayed().records),
        (None, 3)
    );
    assert_eq!(world.today().late, Nanos(2_700));
    keeper.stop().unwrap();

    for name in ["books-00000001.seg", "books-00000002.ckp", "books-00000003.ckp"] {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    let world = World::new();
    match Bookkeeper::try_open(&settings(dir.path()), world.budgets, world.caps, T0) {
        Err(BooksError::Gap {
            first: 2, from: 1, ..
        }) => {}
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn verdicts_that_count_are_told_from_those_that_do_not() {
    let counts = |flags: Flags| {
        Verdict {
            flags,
            ..Verdict::default()
        }
        .counts()
    };
    assert!(counts(Flags::default()) && counts(Flags::LATE) && counts(Flags::ABOVE_BID));
    for flags in [
        Flags::DUPLICATE,
        Flags::TEST,
        Flags::AUDIT,
        Flags::TOO_LATE,
        Flags::UNKNOWN_ORDER,
    ] {
        assert!(!counts(flags), "{flags:?}");
    }
}

#[test]
fn what_a_source_cost_and_brought_is_counted_once_and_survives_a_restart() {
    let world = World::new();
    let allocation = Arc::new(Allocation::default());
    let mut books = world.books().allocating(allocation.clone());
    let token = Token {
        arms: Source::arms(77, true),
        ..token(1)
    };
    let source = Source {
        line_item: token.line_item,
        exchange: token.exchange,
        format: 1,
        placement: 77,
    };
    world.bid(&token);
    let conversion = |reversal| {
        What::Conversion(Conversion {
            name: "purchase".into(),
            value: Nanos(20_000_000_000),
            currency: Some(Currency::USD),
            order: Some("order-1".into()),
            reversal,
            signed: true,
            worth: None,
        })
    };
    let price = PriceField::Value(Cpm(900));
    let free = PriceField::Absent;
    for (what, price) in [
        (What::Bill, price),
        (What::Bill, price),
        (What::Click, free),
        (What::Click, free),
        (conversion(false), free),
        (conversion(false), free),
    ] {
        let record = books.decide(&at(3, token, what, price)).unwrap();
        books.apply(&record);
    }
    let sums = |allocation: &Allocation| allocation.sources.get(source, T0);
    let (count, value) = sums(&allocation).of(ObjectId::of("purchase"));
    assert_eq!(
        (
            sums(&allocation).impressions,
            sums(&allocation).clicks,
            sums(&allocation).cost
        ),
        (1.0, 1.0, 900.0)
    );
    assert_eq!((count, value), (1.0, 20e9));
    let (_, known, tried) = allocation.exploration(token.campaign).view();
    assert_eq!((known.cost, tried.cost, tried.clicks), (0.0, 900.0, 1.0));

    let parts = books.checkpoint();
    let again = Arc::new(Allocation::default());
    let other = World::new();
    let mut books = other.books().allocating(again.clone());
    books.restore(&parts, MemoryLimits::default(), T0).unwrap();
    assert_eq!(sums(&again).clicks, 1.0);
    let record = books.decide(&at(4, token, conversion(true), free)).unwrap();
    books.apply(&record);
    assert_eq!(
        sums(&again).of(ObjectId::of("purchase")),
        (0.0, 0.0),
        "taken back"
    );
}

#[test]
fn a_person_s_word_on_a_weight_is_durable_when_it_is_acknowledged() {
    let slice = Slice::LineItem(ObjectId::of("li"));
    let allocation = Arc::new(Allocation::default());
    let source = Source {
        line_item: ObjectId::of("li"),
        exchange: ObjectId::of("demo"),
        format: 1,
        placement: 7,
    };
    allocation
        .sources
        .count(source, Fact::Impression(Nanos(1_000_000_000)), T0);
    let bought = Fact::Conversion {
        event: ObjectId::of("purchase"),
        count: 1,
        value: Nanos(5_000_000_000),
    };
    allocation.sources.count(source, bought, T0);
    let rules = Rules {
        every_ms: 1,
        event: ObjectId::of("purchase"),
        conversions_min: 0.5,
        cac_max: None,
        approve_above: 1.1,
        ltv: None,
        roi: Some(RoiRule {
            more_over: 1.5,
            step: 0.3,
            target: None,
        }),
        retention: None,
        pause_ms: 1_000,
    };
    for ms in 0..2 {
        let now = Timestamp(T0.0 + ms);
        allocation
            .weights
            .review(ObjectId::of("c"), &rules, &allocation.sources.all(now), now);
    }
    assert!(
        (allocation.weights.of(&source) - 1.1).abs() < 1e-9,
        "the rest is proposed"
    );

    let dir = tempfile::tempdir().unwrap();
    let open_in = |dir: &Path, allocation: &Arc<Allocation>| {
        let settings = BooksSettings {
            allocation: allocation.clone(),
            ..settings(dir)
        };
        let world = World::new();
        Bookkeeper::try_open(&settings, world.budgets, world.caps, T0).unwrap()
    };
    let keeper = open_in(dir.path(), &allocation);
    let say = |word| keeper.desk().say(word, T0).unwrap().blocking_recv().unwrap();
    assert_eq!(say(Word::Approve(slice)), Ok(true));
    assert_eq!(
        say(Word::Approve(slice)),
        Ok(false),
        "nothing is proposed any more"
    );

    // What a crash leaves: the files as they are now.
    let image = tempfile::tempdir().unwrap();
    copy(dir.path(), image.path());
    let again = Arc::new(Allocation::default());
    let _keeper = open_in(image.path(), &again);
    assert!((again.weights.of(&source) - 1.3).abs() < 1e-9);
}
