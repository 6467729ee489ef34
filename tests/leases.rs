//! Leases: whatever crashes at whatever moment, no limit is overspent, what is billed within its hold is on time, and in the
//! end all the money can be spent.

use jiff::tz::TimeZone;
use outbid::caps::Caps;
use outbid::events::booking::Record;
use outbid::events::books::Books;
use outbid::events::memory::MemoryLimits;
use outbid::events::notice::{Inbound, Paid, Told, What};
use outbid::events::token::{Format, ImpRef, Token};
use outbid::journal::{JournalError, Medium};
use outbid::openrtb::notice::{PriceField, PriceUnit};
use outbid::pacing::lease::{Authority, Begun, Claim, Grant, LeaseError, LocalAuthority};
use outbid::pacing::{Account, AccountKind, Budgets, Leases, Scope};
use outbid::store::exchange::BillingEvent;
use outbid::store::rates::Rate;
use outbid::units::{AccountId, BidId, Cpm, Currency, Limits, Nanos, ObjectId, Timestamp};
use proptest::prelude::*;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// 2026-03-01T22:00:00Z: two hours to midnight.
const START: Timestamp = Timestamp(1_772_402_400_000);
/// A hundredth of the currency: far below and far above what leases are cut to.
const CENT: i64 = Nanos::PER_UNIT / 100;
const NODE: u16 = 7;
const NAMES: [&str; 3] = ["campaign", "first", "second"];
/// Hour, day, lifetime of each account, in cents.
const LIMITS: [[Option<i64>; 3]; 3] = [
    [Some(300), Some(500), Some(1500)],
    [None, Some(400), None],
    [Some(150), None, Some(700)],
];
const LENGTHS_MS: [i64; 3] = [Timestamp::MS_PER_HOUR, Timestamp::MS_PER_DAY, i64::MAX];

fn account_id(n: usize) -> AccountId {
    match n {
        0 => AccountId::campaign(NAMES[0]),
        n => AccountId::line_item(NAMES[n]),
    }
}

fn open_accounts(budgets: &Budgets, now: Timestamp) -> Vec<Arc<Account>> {
    let open = |n: usize| {
        let kind = if n == 0 {
            AccountKind::Campaign
        } else {
            AccountKind::LineItem
        };
        let account = budgets.account(account_id(n), NAMES[n], kind, &TimeZone::UTC, now);
        let [hourly, daily, lifetime] = LIMITS[n].map(|limit| limit.map(|cents| Nanos(cents * CENT)));
        account.set_limits(
            Limits {
                hourly,
                daily,
                lifetime,
            },
            now,
        );
        account
    };
    (0..3).map(open).collect()
}

/// Files that are not synced: a process that dies takes nothing from the system's memory with it.
struct Unsynced(File);

impl Medium for Unsynced {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        Write::write_all(&mut self.0, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn local(dir: &Path) -> LocalAuthority {
    LocalAuthority::open_on(dir, |file| Box::new(Unsynced(file))).unwrap()
}

/// When the process dies within a claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Death {
    #[default]
    Never,
    BeforeItIsDurable,
    AfterItIsDurable,
}

/// The local authority of a process that can die.
struct Mortal {
    local: LocalAuthority,
    death: Arc<Mutex<Death>>,
}

fn dead() -> LeaseError {
    let source = io::Error::other("the process died");
    JournalError::Io {
        path: "leases".into(),
        source,
    }
    .into()
}

impl Authority for Mortal {
    fn begin(&mut self, now: Timestamp) -> Result<Begun, LeaseError> {
        self.local.begin(now)
    }

    fn claim(&mut self, claims: &[Claim], now: Timestamp) -> Result<Vec<Grant>, LeaseError> {
        let death = *self.death.lock().unwrap();
        if death == Death::BeforeItIsDurable {
            return Err(dead());
        }
        let grants = self.local.claim(claims, now)?;
        if death == Death::AfterItIsDurable {
            return Err(dead());
        }
        Ok(grants)
    }

    fn keep_hold_max(&mut self, hold_max_s: u32, now: Timestamp) -> Result<(), LeaseError> {
        self.local.keep_hold_max(hold_max_s, now)
    }
}

/// What is on the disk.
struct Disk {
    dir: TempDir,
    checkpoint: Option<[Vec<u8>; 3]>,
    /// Behind the checkpoint.
    records: Vec<Record>,
    /// All there ever were.
    booked: Vec<Record>,
}

struct Process {
    budgets: Arc<Budgets>,
    accounts: Vec<Arc<Account>>,
    books: Books,
    leases: Option<Leases>,
    death: Arc<Mutex<Death>>,
}

impl Process {
    fn start(disk: &Disk, now: Timestamp) -> Process {
        let budgets = Arc::new(Budgets::leased(10_000));
        budgets.want_hold(60);
        let accounts = open_accounts(&budgets, now);
        let caps = Arc::new(Caps::new(10));
        let mut books = Books::new(budgets.clone(), caps, MemoryLimits::default());
        if let Some(parts) = &disk.checkpoint {
            books.restore(parts, MemoryLimits::default(), now).unwrap();
        }
        disk.records.iter().for_each(|record| {
            books.apply(record);
        });
        let death = Arc::new(Mutex::new(Death::Never));
        let authority = Mortal {
            local: local(disk.dir.path()),
            death: death.clone(),
        };
        let leases = Leases::begin(Box::new(authority), budgets.clone(), NODE, now).unwrap();
        Process {
            budgets,
            accounts,
            books,
            leases: Some(leases),
            death,
        }
    }

    fn tick(&mut self, now: Timestamp) {
        self.budgets.tick(now);
        self.leases.as_mut().unwrap().tick(now).unwrap();
    }

    fn bid(&self, number: u64, item: usize, amount: i64, exp_s: i64, now: Timestamp) -> Option<Token> {
        let accounts = [&*self.accounts[item], &*self.accounts[0]];
        let reservation = self.budgets.reserve(&accounts, Nanos(amount), now).ok()?;
        let win_hold_s = exp_s.min(self.budgets.hold_max_s().into());
        let token = Token {
            lease: self.budgets.lease(),
            bid_time: now,
            win_hold_end: Timestamp(now.0 + 1000 * win_hold_s),
            hold_end: Timestamp(now.0 + 1000 * exp_s),
            ..token(number, item, amount)
        };
        reservation.commit(token.bid, token.win_hold_end).unwrap();
        Some(token)
    }

    /// Makes `inbound` durable; then settles it, unless the process is to die first.
    fn book(&mut self, disk: &mut Disk, inbound: &Inbound, dies: bool) -> Record {
        let mut record = self.books.decide(inbound).unwrap();
        self.books.note(&record);
        self.books.pin(&mut record);
        disk.records.push(record.clone());
        if record.verdict.booked.is_some() {
            disk.booked.push(record.clone());
        }
        if !dies {
            self.books.settle(&record);
        }
        record
    }

    fn checkpoint(&self, disk: &mut Disk) {
        disk.checkpoint = Some(self.books.checkpoint());
        disk.records.clear();
    }

    fn stop(mut self, disk: &mut Disk, now: Timestamp) {
        self.leases.take().unwrap().end(now).unwrap();
        self.checkpoint(disk);
    }
}

fn token(number: u64, item: usize, amount: i64) -> Token {
    Token {
        bid: BidId::new(NODE, 1, number),
        lease: 0,
        budget_day: 0,
        bid_time: START,
        win_hold_end: START,
        hold_end: START,
        exchange: ObjectId::of("demo"),
        imp: ImpRef::of(0, "1"),
        format: Format::Banner,
        line_item_account: account_id(item),
        campaign_account: account_id(0),
        line_item: ObjectId::of(NAMES[item]),
        campaign: ObjectId::of("c"),
        advertiser: ObjectId::of("a"),
        creative: ObjectId::of("cr"),
        deal: None,
        reserved: Nanos(amount),
        rate: Rate::ONE,
        currency: Currency::USD,
        price: Cpm(amount),
        billing: BillingEvent::Burl,
        price_unit: PriceUnit::Cpm,
        test: false,
        user: None,
        consent: None,
        profile_used: false,
        arms: 0,
    }
}

fn told(token: Token, what: What, price: PriceField, at: Timestamp) -> Inbound {
    let paid = Paid {
        price,
        ..Paid::NOTHING
    };
    Inbound {
        at,
        token,
        what,
        told: Told::default(),
        paid,
        shown_at: None,
    }
}

/// On time, late.
fn columns(record: &Record) -> (i64, i64) {
    let price = record.verdict.booked.unwrap_or_default();
    let on_time = if record.verdict.held {
        price.min(record.token.reserved)
    } else {
        Nanos::ZERO
    };
    (on_time.0, (price - on_time).0)
}

/// No limit of any account, in any period, is exceeded by what was booked on time.
fn assert_not_overspent(booked: &[Record]) {
    let mut sums: HashMap<(usize, usize, i64), i64> = HashMap::new();
    for record in booked {
        let (on_time, _) = columns(record);
        for (account, limits) in LIMITS.iter().enumerate() {
            let ours = [record.token.line_item_account, record.token.campaign_account]
                .contains(&account_id(account));
            for (scope, _) in limits.iter().enumerate().filter(|_| ours) {
                let period = record.token.bid_time.0.div_euclid(LENGTHS_MS[scope]);
                *sums.entry((account, scope, period)).or_default() += on_time;
            }
        }
    }
    for ((account, scope, _), sum) in sums {
        if let Some(limit) = LIMITS[account][scope] {
            assert!(
                sum <= limit * CENT,
                "{} {:?}: {sum} spent of {limit} cents",
                NAMES[account],
                Scope::ALL[scope]
            );
        }
    }
}

/// What the exchange knows of a bid.
#[derive(Clone, Copy)]
struct Open {
    token: Token,
    /// Of its hold, by the notices that we have got.
    end: Timestamp,
    lost: bool,
    billed: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Bid { item: usize, cents: i64, exp_s: i64 },
    Win { n: usize },
    Loss { n: usize },
    Bill { n: usize, cents: i64, dies: bool },
    Wait { ms: i64 },
    Tick,
    Checkpoint,
    Crash(Death),
    Stop,
}

fn step() -> impl Strategy<Value = Step> {
    let any_bid = || 0usize..40;
    let death = prop::sample::select(vec![
        Death::Never,
        Death::BeforeItIsDurable,
        Death::AfterItIsDurable,
    ]);
    let wait = prop_oneof![6 => 0i64..10_000, 2 => 0i64..90_000, 1 => 0..2 * Timestamp::MS_PER_HOUR];
    prop_oneof![
        16 => (1usize..3, 1i64..60, 10i64..400)
            .prop_map(|(item, cents, exp_s)| Step::Bid { item, cents, exp_s }),
        3 => any_bid().prop_map(|n| Step::Win { n }),
        2 => any_bid().prop_map(|n| Step::Loss { n }),
        8 => (any_bid(), 0i64..70, prop::bool::weighted(0.2))
            .prop_map(|(n, cents, dies)| Step::Bill { n, cents, dies }),
        5 => wait.prop_map(|ms| Step::Wait { ms }),
        8 => Just(Step::Tick),
        1 => Just(Step::Checkpoint),
        2 => death.prop_map(Step::Crash),
        1 => Just(Step::Stop),
    ]
}

/// One node over many processes.
struct World {
    disk: Disk,
    process: Process,
    bids: Vec<Open>,
    now: Timestamp,
}

impl World {
    fn new() -> World {
        let disk = Disk {
            dir: tempfile::tempdir().unwrap(),
            checkpoint: None,
            records: Vec::new(),
            booked: Vec::new(),
        };
        World {
            process: Process::start(&disk, START),
            disk,
            bids: Vec::new(),
            now: START,
        }
    }

    fn restart(&mut self) {
        self.now.0 += 1;
        self.process = Process::start(&self.disk, self.now);
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Bid { item, cents, exp_s } => {
                let number = self.bids.len() as u64;
                if let Some(token) = self.process.bid(number, item, cents * CENT, exp_s, self.now) {
                    self.bids.push(Open {
                        token,
                        end: token.win_hold_end,
                        lost: false,
                        billed: false,
                    });
                }
            }
            Step::Win { n } => self.win(n),
            Step::Loss { n } => self.lose(n),
            Step::Bill { n, cents, dies } => {
                self.bill(n, cents * CENT, dies);
                if dies {
                    self.restart();
                }
            }
            Step::Wait { ms } => self.now.0 += ms,
            Step::Tick => {
                self.now.0 += 100;
                self.process.tick(self.now);
            }
            Step::Checkpoint => self.process.checkpoint(&mut self.disk),
            Step::Crash(death) => {
                *self.process.death.lock().unwrap() = death;
                // A process that dies within a claim hears no answer.
                let _ = self.process.leases.as_mut().unwrap().tick(self.now);
                self.restart();
            }
            Step::Stop => {
                let disk = tempfile::tempdir().unwrap();
                let fresh = Process::start(
                    &Disk {
                        dir: disk,
                        checkpoint: None,
                        records: Vec::new(),
                        booked: Vec::new(),
                    },
                    self.now,
                );
                std::mem::replace(&mut self.process, fresh).stop(&mut self.disk, self.now);
                self.restart();
            }
        }
    }

    fn win(&mut self, n: usize) {
        let Some(bid) = self.bids.get_mut(n).copied() else {
            return;
        };
        let inbound = told(bid.token, What::Win, PriceField::Absent, self.now);
        self.process.book(&mut self.disk, &inbound, false);
        if self.now < bid.end && !bid.lost {
            self.bids[n].end = bid.token.hold_end;
        }
    }

    fn lose(&mut self, n: usize) {
        let Some(bid) = self.bids.get(n).copied() else {
            return;
        };
        let what = What::Loss {
            reason: None,
            min_to_win: None,
        };
        let inbound = told(bid.token, what, PriceField::Absent, self.now);
        self.process.book(&mut self.disk, &inbound, false);
        self.bids[n].lost = true;
    }

    fn bill(&mut self, n: usize, price: i64, dies: bool) {
        let Some(bid) = self.bids.get(n).copied() else {
            return;
        };
        let price_field = PriceField::Value(Cpm(price));
        let inbound = told(bid.token, What::Bill, price_field, self.now);
        let record = self.process.book(&mut self.disk, &inbound, dies);
        assert_eq!(record.verdict.booked.is_some(), !bid.billed, "booked once");
        if !bid.billed && !bid.lost && self.now < bid.end {
            let reserved = bid.token.reserved.0;
            assert_eq!(
                columns(&record),
                (price.min(reserved), (price - reserved).max(0)),
                "bid {n} is billed within its hold"
            );
        }
        self.bids[n].billed = true;
    }

    fn check(&self) {
        assert_not_overspent(&self.disk.booked);
        for (n, account) in self.process.accounts.iter().enumerate() {
            let ours = |record: &&Record| {
                [record.token.line_item_account, record.token.campaign_account].contains(&account_id(n))
            };
            let booked: i64 = self
                .disk
                .booked
                .iter()
                .filter(ours)
                .map(|r| columns(r).0 + columns(r).1)
                .sum();
            let lifetime = account.view(self.now).lifetime;
            assert_eq!(
                (lifetime.spent + lifetime.late).0,
                booked,
                "all that was billed is booked"
            );
        }
    }

    /// All holds and quarantines are over, a new day begins: what is not spent can be bid.
    fn check_that_nothing_is_stuck(&mut self) {
        self.now.0 += 2 * Timestamp::MS_PER_DAY;
        (0..3).for_each(|_| {
            self.now.0 += 100;
            self.process.tick(self.now);
        });
        let lifetime = self.process.accounts[0].view(self.now).lifetime;
        assert_eq!((lifetime.reserved, lifetime.quarantined), (Nanos(0), Nanos(0)));
        let limit = LIMITS[1][1].unwrap().min(LIMITS[0][0].unwrap()) * CENT;
        let day = self.process.accounts[0].view(self.now).day;
        let left = limit.min(lifetime.free.0).min(day.free.0);
        let granted = (0..10).any(|_| {
            self.now.0 += 100;
            self.process.tick(self.now);
            self.process.bid(1 << 40, 1, left, 10, self.now).is_some()
        });
        assert!(granted, "{left} of {lifetime:?} cannot be bid");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn crashes_at_any_moment_overspend_nothing_and_make_nothing_late(steps in prop::collection::vec(step(), 1..150)) {
        let mut world = World::new();
        for step in steps {
            world.apply(step);
            world.check();
        }
        world.check_that_nothing_is_stuck();
    }
}

/// One bid of 50 cents is open, and the process is gone.
fn crashed() -> (World, Token) {
    let mut world = World::new();
    world.apply(Step::Bid {
        item: 1,
        cents: 5,
        exp_s: 300,
    });
    let token = world.bids[0].token;
    world.restart();
    (world, token)
}

#[test]
fn an_open_bid_of_a_crashed_process_is_set_aside_until_its_hold_would_be_over() {
    let (mut world, token) = crashed();
    let held_back = |world: &World| world.process.accounts[0].view(world.now).day.quarantined.0;
    // The headroom of the lease goes with it: a tenth of a unit.
    assert_eq!(held_back(&world), 10 * CENT);
    assert_eq!(
        world.process.budgets.quarantined_until(),
        Some(Timestamp(world.now.0 + 60_000))
    );
    world.now = token.win_hold_end;
    world.process.tick(world.now);
    assert_eq!(held_back(&world), 10 * CENT);
    world.now.0 += 2;
    world.process.tick(world.now);
    assert_eq!(held_back(&world), 0);
}

#[test]
fn a_win_after_the_crash_makes_the_hold_again_and_a_bill_settles_it_on_time() {
    let (mut world, token) = crashed();
    world.win(0);
    let day = world.process.accounts[0].view(world.now).day;
    assert_eq!((day.reserved.0, day.quarantined.0), (5 * CENT, 5 * CENT));
    // Known to be won: also the next process holds it, until the end of the bid.
    world.restart();
    world.now = Timestamp(token.hold_end.0 - 1);
    world.process.tick(world.now);
    let day = world.process.accounts[0].view(world.now).day;
    assert_eq!((day.reserved.0, day.quarantined.0), (5 * CENT, 0));
    world.bill(0, 4 * CENT, false);
    let day = world.process.accounts[0].view(world.now).day;
    assert_eq!((day.spent.0, day.late.0, day.reserved.0), (4 * CENT, 0, 0));
}

#[test]
fn what_a_hold_of_the_checkpoint_had_and_was_bid_again_after_its_end_is_set_aside() {
    let mut world = World::new();
    let bid = |cents| Step::Bid {
        item: 1,
        cents,
        exp_s: 30,
    };
    world.apply(bid(10));
    world.apply(Step::Checkpoint);
    world.now.0 += 30_000;
    world.process.budgets.tick(world.now);
    world.apply(bid(10));
    assert_eq!(world.bids.len(), 2, "with the money of the first one");
    world.restart();
    world.bill(1, 10 * CENT, false);
}

#[test]
fn a_bill_after_the_first_hold_is_late_whether_or_not_there_was_a_crash() {
    let (mut world, token) = crashed();
    world.now = Timestamp(token.win_hold_end.0 + 1);
    world.bill(0, 4 * CENT, false);
    let day = world.process.accounts[0].view(world.now).day;
    assert_eq!((day.spent.0, day.late.0), (0, 4 * CENT));
}

#[test]
fn a_clean_stop_holds_nothing_back() {
    let mut world = World::new();
    world.apply(Step::Bid {
        item: 1,
        cents: 5,
        exp_s: 300,
    });
    world.apply(Step::Stop);
    let day = world.process.accounts[0].view(world.now).day;
    assert_eq!((day.reserved.0, day.quarantined.0), (5 * CENT, 0));
    assert_eq!(world.process.budgets.quarantined_until(), None);
}

#[test]
fn without_an_answer_of_the_authority_bids_go_on_to_the_end_of_the_lease_and_no_further() {
    let mut world = World::new();
    *world.process.death.lock().unwrap() = Death::BeforeItIsDurable;
    let mut spent = 0;
    for number in 0..100 {
        spent += i64::from(world.process.bid(number, 1, CENT, 300, world.now).is_some());
        world.process.budgets.tick(world.now);
        assert!(world.process.leases.as_mut().unwrap().tick(world.now).is_err() || number < 5);
    }
    assert_eq!(spent, 10, "the first lease is a tenth of a unit");
    *world.process.death.lock().unwrap() = Death::Never;
    world.process.tick(world.now);
    assert!(world.process.bid(200, 1, CENT, 300, world.now).is_some());
}

#[test]
fn a_reload_that_brings_a_limit_waits_for_its_lease_and_one_that_lowers_it_takes_effect_at_once() {
    let mut world = World::new();
    let limits = |daily: i64| Limits {
        daily: Some(Nanos(daily * CENT)),
        hourly: Some(Nanos(100 * CENT)),
        ..Limits::default()
    };
    world.process.accounts[1].set_limits(limits(400), world.now);
    assert!(
        world.process.bid(1, 1, CENT, 300, world.now).is_none(),
        "hourly: not leased yet"
    );
    world.process.tick(world.now);
    assert!(world.process.bid(1, 1, CENT, 300, world.now).is_some());
    world.process.accounts[1].set_limits(limits(2), world.now);
    assert!(world.process.bid(2, 1, 2 * CENT, 300, world.now).is_none());
    assert!(world.process.bid(3, 1, CENT, 300, world.now).is_some());
}

/// Threads bid while the lease thread raises and lowers: what is on record covers what is out, at every look.
#[test]
fn what_is_on_record_covers_what_is_out_while_threads_bid() {
    struct Watched {
        local: LocalAuthority,
        bounds: Arc<Mutex<HashMap<Scope2, i64>>>,
    }
    type Scope2 = (AccountId, usize, i64);
    impl Authority for Watched {
        fn begin(&mut self, now: Timestamp) -> Result<Begun, LeaseError> {
            self.local.begin(now)
        }
        fn claim(&mut self, claims: &[Claim], now: Timestamp) -> Result<Vec<Grant>, LeaseError> {
            let grants = self.local.claim(claims, now)?;
            let mut bounds = self.bounds.lock().unwrap();
            for claim in claims {
                let key = (claim.key.account, claim.key.scope as usize, claim.key.span.from.0);
                bounds.insert(key, claim.bound);
            }
            Ok(grants)
        }
        fn keep_hold_max(&mut self, hold_max_s: u32, now: Timestamp) -> Result<(), LeaseError> {
            self.local.keep_hold_max(hold_max_s, now)
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let bounds = Arc::new(Mutex::new(HashMap::new()));
    let budgets = Arc::new(Budgets::leased(100_000));
    let accounts = open_accounts(&budgets, START);
    let authority = Watched {
        local: local(dir.path()),
        bounds: bounds.clone(),
    };
    let mut leases = Leases::begin(Box::new(authority), budgets.clone(), NODE, START).unwrap();
    let running = AtomicBool::new(true);
    std::thread::scope(|scope| {
        for worker in 0..3u64 {
            let (budgets, accounts, running) = (&budgets, &accounts, &running);
            scope.spawn(move || {
                let mut number = worker << 32;
                while running.load(Ordering::Relaxed) {
                    number += 1;
                    let taken = budgets.reserve(&[&accounts[1], &accounts[0]], Nanos(CENT), START);
                    let bid = BidId::new(NODE, 1, number);
                    if let Ok(reservation) = taken {
                        reservation.commit(bid, Timestamp(START.0 + 60_000)).unwrap();
                        budgets.release(bid).unwrap();
                    }
                }
            });
        }
        for n in 0..300i64 {
            leases.tick(Timestamp(START.0 + n)).unwrap();
            for (account, id) in accounts.iter().zip((0..3).map(account_id)) {
                let view = account.view(START);
                let bounds = bounds.lock().unwrap();
                for (scope, period) in view.periods().into_iter().enumerate() {
                    let from = match Scope::ALL[scope] {
                        Scope::Lifetime => i64::MIN,
                        _ => START.0.div_euclid(LENGTHS_MS[scope]) * LENGTHS_MS[scope],
                    };
                    if let Some(bound) = bounds.get(&(id, scope, from)) {
                        // Columns are read one by one: transient takes of three workers may show, and no more.
                        assert!(
                            (period.spent + period.reserved).0 <= bound + 3 * CENT,
                            "{period:?} {bound}"
                        );
                    }
                }
            }
        }
        running.store(false, Ordering::Relaxed);
    });
}

/// Grants, then a second start; the files in between.
fn written(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let budgets = Arc::new(Budgets::leased(100));
    open_accounts(&budgets, START);
    budgets.want_hold(60);
    let mut leases = Leases::begin(Box::new(local(dir)), budgets.clone(), NODE, START).unwrap();
    for n in 0..3 {
        budgets.want_hold(61 + n);
        leases.tick(START).unwrap();
    }
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

#[test]
fn a_journal_cut_at_any_byte_says_what_was_synced_before() {
    let dir = tempfile::tempdir().unwrap();
    let files = written(dir.path());
    let [(path, whole)] = &files[..] else {
        panic!("one segment: {files:?}")
    };
    let mut last = None;
    for bytes in 0..=whole.len() {
        fs::write(path, &whole[..bytes]).unwrap();
        for entry in fs::read_dir(dir.path()).unwrap() {
            let other = entry.unwrap().path();
            if other != *path {
                fs::remove_file(other).unwrap();
            }
        }
        let begun = local(dir.path()).begin(START).unwrap();
        let seen = (begun.bounds.len(), begun.hold_max_s);
        // The more is there, the more is known.
        assert!(
            last.is_none_or(|last| last <= seen),
            "byte {bytes}: {last:?} {seen:?}"
        );
        last = Some(seen);
        for entry in fs::read_dir(dir.path()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
    assert_eq!(last.unwrap().1, 63);
}

#[test]
fn a_journal_that_is_damaged_in_the_middle_is_refused_with_the_place_and_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let files = written(dir.path());
    let (path, mut bytes) = files[0].clone();
    bytes[45] ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = LocalAuthority::open(dir.path())
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("damaged at byte 32") && error.contains("truncate -s 32"),
        "{error}"
    );
}
