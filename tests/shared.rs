//! Budgets that several nodes share through a real Redis server: whatever happens to it, to them or to the wire in between,
//! nothing is granted twice, and in the end everything can be spent.

#[path = "shared/server.rs"]
mod server;

use jiff::tz::TimeZone;
use outbid::pacing::lease::{Inbox, LeaseError, SharedAuthority, SharedSettings};
use outbid::pacing::{Account, AccountKind, Budgets, Leases, PacePlan};
use outbid::units::{AccountId, BidId, Limits, Nanos, Spread, Timestamp};
use server::{DURABLE, Redis, Wire};
use std::sync::Arc;
use std::time::Duration;

/// 2100-01-01T12:00:00Z: the server forgets what is long over, by its own clock.
const START: Timestamp = Timestamp(4_102_488_000_000);
const CENT: i64 = Nanos::PER_UNIT / 100;
/// Without a limit.
const FREE: i64 = i64::MAX;

fn settings(url: String) -> SharedSettings {
    SharedSettings {
        url,
        password: None,
        // The machine that tests run on may be busy: what is slow is frozen on purpose.
        timeout: Duration::from_secs(2),
        replicas: 0,
        may_lose: false,
    }
}

fn at(redis: &Redis) -> SharedSettings {
    settings(format!("redis://127.0.0.1:{}/0", redis.port))
}

/// A node with one account, whose day is limited.
struct Node {
    number: u16,
    budgets: Arc<Budgets>,
    account: Arc<Account>,
    leases: Option<Leases>,
    now: Timestamp,
    bids: u64,
}

fn start(settings: &SharedSettings, number: u16, limit: i64) -> Result<Node, LeaseError> {
    start_as(settings, number, limit, &format!("folder {number}"), START)
}

fn start_as(
    settings: &SharedSettings,
    number: u16,
    limit: i64,
    identity: &str,
    now: Timestamp,
) -> Result<Node, LeaseError> {
    let budgets = Arc::new(Budgets::leased(100_000));
    budgets.want_hold(60);
    let id = AccountId::campaign("shared");
    let account = budgets.account(id, "shared", AccountKind::Campaign, &TimeZone::UTC, now);
    account.set_limits(daily(limit), now);
    let authority = SharedAuthority::new(settings, number, identity.to_owned());
    let leases = Leases::begin(Box::new(authority), budgets.clone(), number, now)?;
    Ok(Node {
        number,
        budgets,
        account,
        leases: Some(leases),
        now,
        bids: 0,
    })
}

/// [`FREE`] = none.
fn daily(limit: i64) -> Limits {
    Limits {
        daily: (limit != FREE).then_some(Nanos(limit)),
        ..Limits::default()
    }
}

impl Node {
    /// A tenth of a second later.
    fn tick(&mut self) -> Result<(), LeaseError> {
        self.wait(100)
    }

    fn wait(&mut self, ms: i64) -> Result<(), LeaseError> {
        self.now.0 += ms;
        self.budgets.tick(self.now);
        self.leases.as_mut().unwrap().tick(self.now)
    }

    /// Bids a cent each until nothing is granted any more; returns how many cents.
    fn bid_all(&mut self) -> i64 {
        (0..).take_while(|_| self.bid()).count() as i64
    }

    fn bid_times(&mut self, times: usize) {
        (0..times).for_each(|_| assert!(self.bid()));
    }

    /// As a reload does.
    fn limit(&mut self, limit: i64) {
        self.account.set_limits(daily(limit), self.now);
    }

    fn bid(&mut self) -> bool {
        self.bids += 1;
        let bid = BidId::new(self.number, 1, self.bids);
        let taken = self.budgets.reserve(&[&self.account], Nanos(CENT), self.now);
        taken.is_ok_and(|reservation| {
            reservation
                .commit(bid, Timestamp(self.now.0 + 10_000_000))
                .is_ok()
        })
    }

    fn end(mut self) {
        self.leases.take().unwrap().end(self.now).unwrap();
    }

    fn quarantined(&self) -> i64 {
        self.account.view(self.now).day.quarantined.0 / CENT
    }
}

/// As [`spend_all`], where that comes to `cents`, or to one less: two nodes may each have a part of a bid left.
fn assert_spend_all(nodes: &mut [&mut Node], cents: i64) {
    let spent = spend_all(nodes);
    assert!((cents - 1..=cents).contains(&spent), "{spent} of {cents}");
}

/// Looks and bids in turn until nobody gets any more for a while.
fn spend_all(nodes: &mut [&mut Node]) -> i64 {
    let (mut cents, mut idle) = (0, 0);
    while idle < 40 {
        let before = cents;
        for node in nodes.iter_mut() {
            node.tick().unwrap();
            cents += node.bid_all();
        }
        idle = if cents > before { 0 } else { idle + 1 };
    }
    cents
}

#[test]
fn three_nodes_spend_one_budget_and_no_more_also_what_stood_ready_on_an_idle_one() {
    let redis = Redis::durable();
    let mut nodes: Vec<_> = (1..=3)
        .map(|number| start(&at(&redis), number, 500 * CENT).unwrap())
        .collect();
    let mut idle = nodes.pop().unwrap();
    let mut cents = 0;
    for _ in 0..100 {
        idle.tick().unwrap();
        for node in &mut nodes {
            node.tick().unwrap();
            cents += node.bid_all();
        }
    }
    let seen: Vec<_> = nodes
        .iter()
        .chain([&idle])
        .map(|node| node.account.view(node.now).day)
        .collect();
    // Each of the two may have the part of a bid left.
    assert!((499..=500).contains(&cents), "{seen:#?}");
    assert_eq!(idle.bid_all(), 0);
}

#[test]
fn whoever_bids_finds_the_last_money_also_where_two_limits_have_to_be_leased() {
    let redis = Redis::durable();
    let mut nodes: Vec<_> = (1..=3)
        .map(|number| start(&at(&redis), number, 50 * CENT).unwrap())
        .collect();
    for node in &nodes {
        let both = Limits {
            daily: Some(Nanos(50 * CENT)),
            lifetime: Some(Nanos(50 * CENT)),
            ..Limits::default()
        };
        node.account.set_limits(both, node.now);
    }
    let mut cents = 0;
    // 34 rounds would do where nobody ever waited for a lease, or for the others to read of the second limit.
    for round in 0..44 {
        for node in &mut nodes {
            node.wait(2_000).unwrap();
            // A bid every four seconds from each: the lease that it asks for comes in between.
            let is_asked = round % 2 == 0 && node.account.has_free(Nanos(CENT), node.now);
            cents += i64::from(is_asked && node.bid());
        }
    }
    assert_eq!(cents, 50);
}

#[test]
fn a_limit_that_comes_while_nodes_spend_without_one_counts_what_they_all_have_spent() {
    let redis = Redis::durable();
    let mut nodes: Vec<_> = (1..=3)
        .map(|number| start(&at(&redis), number, FREE).unwrap())
        .collect();
    nodes[0].bid_times(70);
    nodes[1].bid_times(60);
    for node in &mut nodes[..2] {
        node.tick().unwrap();
        node.limit(200 * CENT);
        assert!(!node.bid(), "what was spent without a limit is no lease");
    }
    // The third one has not read it yet, and spends on.
    assert_eq!(spend_all(&mut nodes.iter_mut().take(2).collect::<Vec<_>>()), 0);
    nodes[2].bid_times(30);
    nodes[2].limit(200 * CENT);
    assert_spend_all(&mut nodes.iter_mut().collect::<Vec<_>>(), 200 - 160);
}

#[test]
fn a_limit_that_is_below_what_was_spent_without_it_leaves_nothing_until_it_is_raised() {
    let redis = Redis::durable();
    let mut first = start(&at(&redis), 1, FREE).unwrap();
    let mut second = start(&at(&redis), 2, FREE).unwrap();
    first.bid_times(90);
    second.bid_times(60);
    second.limit(100 * CENT);
    first.limit(100 * CENT);
    assert_eq!(spend_all(&mut [&mut first, &mut second]), 0);
    second.limit(160 * CENT);
    first.limit(160 * CENT);
    let mut spent = 150 + spend_all(&mut [&mut first, &mut second]);
    assert!((159..=160).contains(&spent), "{spent}");
    // Nothing binds any more, and then something does again.
    second.limit(FREE);
    first.limit(FREE);
    first.tick().unwrap();
    second.tick().unwrap();
    first.bid_times(40);
    first.limit(250 * CENT);
    second.limit(250 * CENT);
    spent += 40 + spend_all(&mut [&mut second, &mut first]);
    assert!((249..=250).contains(&spent), "{spent}");
}

#[test]
fn a_limit_counts_what_nodes_that_are_gone_had_spent_without_it() {
    let redis = Redis::durable();
    let mut stays = start(&at(&redis), 1, FREE).unwrap();
    let mut ends = start(&at(&redis), 2, FREE).unwrap();
    let mut dies = start(&at(&redis), 3, FREE).unwrap();
    let mut crashes = start(&at(&redis), 4, FREE).unwrap();
    ends.bid_times(20);
    ends.end();
    dies.bid_times(30);
    dies.wait(60_000).unwrap();
    crashes.bid_times(40);
    crashes.wait(60_000).unwrap();
    drop((dies, crashes));
    stays.limit(200 * CENT);
    assert_eq!(
        spend_all(&mut [&mut stays]),
        0,
        "two nodes may spend on without it"
    );
    Inbox::new(&at(&redis)).declare_dead(3, START).unwrap();
    assert_eq!(spend_all(&mut [&mut stays]), 0, "one may");
    // What it had open is set aside, and then free.
    let mut back = start(&at(&redis), 4, 200 * CENT).unwrap();
    assert_eq!(back.quarantined(), 40);
    let mut spent = spend_all(&mut [&mut stays, &mut back]);
    assert!((109..=110).contains(&spent), "{spent} of 200 - 20 - 30 - 40");
    back.wait(120_000).unwrap();
    spent += spend_all(&mut [&mut stays, &mut back]);
    assert!((149..=150).contains(&spent), "{spent}");
}

#[test]
fn who_spends_without_a_limit_is_known_again_when_the_server_comes_back_without_its_memory() {
    let mut redis = Redis::durable();
    let settings = at(&redis);
    let mut first = start(&settings, 1, FREE).unwrap();
    let mut second = start(&settings, 2, FREE).unwrap();
    first.bid_times(30);
    second.bid_times(50);
    redis.forget();
    retried(|| second.wait(2_000));
    first.limit(100 * CENT);
    for _ in 0..20 {
        retried(|| first.wait(2_000));
        assert!(!first.bid(), "the second one may spend on without it");
    }
    second.limit(100 * CENT);
    assert_eq!(spend_all(&mut [&mut first, &mut second]), 20);
}

#[test]
fn what_a_paced_node_has_used_is_told_to_the_others_who_do_not_take_its_lease_for_spend() {
    let redis = Redis::durable();
    let [mut one, mut other] = [1, 2].map(|number| start(&at(&redis), number, 10_000 * CENT).unwrap());
    for node in [&one, &other] {
        node.account.set_plan(PacePlan {
            spread: Spread::Even,
            ..PacePlan::default()
        });
        assert!(node.account.view(node.now).day.used_by_others == Nanos::ZERO);
    }
    for _ in 0..3 {
        for _ in 0..50 {
            one.tick().unwrap();
            other.tick().unwrap();
        }
        assert!(one.bid() && other.bid());
    }
    let changed = |node: &Node| node.leases.as_ref().unwrap().counts().changed;
    let before = [changed(&one), changed(&other)];
    one.wait(5_000).unwrap();
    other.wait(5_000).unwrap();
    one.wait(5_000).unwrap();
    assert_eq!(
        [changed(&one), changed(&other)],
        before,
        "what is told changes no lease"
    );
    // 39 cents and more are leased to each; three are bid.
    for node in [&one, &other] {
        let told = node.account.view(node.now).day.used_by_others;
        assert!(Nanos::ZERO < told && told <= Nanos(3 * CENT), "{told:?}");
    }
}

#[test]
fn a_node_that_ends_cleanly_leaves_to_others_all_but_what_it_holds() {
    let redis = Redis::durable();
    let mut first = start(&at(&redis), 1, 100 * CENT).unwrap();
    let mut second = start(&at(&redis), 2, 100 * CENT).unwrap();
    assert!(first.bid() && first.bid());
    first.end();
    assert_eq!(spend_all(&mut [&mut second]), 98);
}

#[test]
fn a_crashed_node_sets_aside_what_it_had_and_gives_the_rest_back_itself() {
    let redis = Redis::durable();
    let mut first = start(&at(&redis), 1, 300 * CENT).unwrap();
    assert!(first.bid());
    drop(first);
    let mut second = start(&at(&redis), 2, 300 * CENT).unwrap();
    assert_eq!(
        spend_all(&mut [&mut second]),
        290,
        "the first one's lease is nobody else's"
    );

    let mut again = start_as(&at(&redis), 1, 300 * CENT, "folder 1", second.now).unwrap();
    assert_eq!(again.quarantined(), 10);
    assert_eq!(spend_all(&mut [&mut again, &mut second]), 0);
    again.wait(60_001).unwrap();
    assert_eq!(again.quarantined(), 0);
    // No bill came: what it had is free for anybody.
    assert_eq!(spend_all(&mut [&mut again, &mut second]), 10);
}

#[test]
fn a_number_belongs_to_one_data_folder_and_a_dead_node_is_charged_in_full() {
    let redis = Redis::durable();
    let mut first = start(&at(&redis), 1, 300 * CENT).unwrap();
    let stranger = start_as(&at(&redis), 1, 300 * CENT, "another folder", START).map(|_| ());
    assert!(
        matches!(stranger, Err(LeaseError::Refused { dead: false, .. })),
        "{stranger:?}"
    );

    let mut inbox = Inbox::new(&at(&redis));
    assert_eq!(inbox.declare_dead(1, START).unwrap(), "live");
    assert!(matches!(
        first.tick(),
        Ok(()) | Err(LeaseError::Refused { dead: true, .. })
    ));
    // It was not dead: what it has it may spend.
    assert_eq!(first.bid_all(), 10);
    assert!(matches!(
        first.wait(2_000),
        Err(LeaseError::Refused { dead: true, .. })
    ));
    let again = start_as(&at(&redis), 1, 300 * CENT, "folder 1", START).map(|_| ());
    assert!(
        matches!(again, Err(LeaseError::Refused { dead: true, .. })),
        "{again:?}"
    );
    let mut second = start(&at(&redis), 2, 300 * CENT).unwrap();
    assert_eq!(spend_all(&mut [&mut second]), 290);
    let states: Vec<_> = inbox
        .nodes(START)
        .unwrap()
        .into_iter()
        .map(|node| (node.number, node.state))
        .collect();
    assert_eq!(states, [(1, "dead".to_owned()), (2, "live".to_owned())]);
}

#[test]
fn a_killed_server_grants_nothing_until_it_is_back_and_all_have_said_what_they_hold() {
    let mut redis = Redis::durable();
    let mut first = start(&at(&redis), 1, 200 * CENT).unwrap();
    let mut second = start(&at(&redis), 2, 200 * CENT).unwrap();
    redis.kill();
    assert!(first.wait(1_000).is_err());
    assert_eq!(first.bid_all(), 10, "to the end of the lease and no further");
    assert!(
        matches!(first.tick(), Err(LeaseError::Broken)),
        "nobody waits for it"
    );

    redis.restart();
    first.wait(1_000).unwrap();
    assert_eq!(first.bid_all(), 0, "the second one has not declared");
    assert!(!declared(&redis, 2) && declared(&redis, 1));
    assert!(second.wait(1_100).is_err(), "its connection has ended");
    second.wait(1_100).unwrap();
    first.tick().unwrap();
    assert!(first.bid_all() > 0);
    spend_all(&mut [&mut first, &mut second]);
    let reserved = [&first, &second].map(|node| node.account.view(node.now).day.reserved.0 / CENT);
    let spent: i64 = reserved.iter().sum();
    assert!(
        (199..=200).contains(&spent),
        "the limit, but for less than a bid: {reserved:?}"
    );
}

fn declared(redis: &Redis, number: u16) -> bool {
    let nodes = Inbox::new(&at(redis)).nodes(START).unwrap();
    nodes
        .into_iter()
        .find(|node| node.number == number)
        .unwrap()
        .declared
}

#[test]
fn a_dead_node_is_not_waited_for() {
    let mut redis = Redis::durable();
    let mut first = start(&at(&redis), 1, 200 * CENT).unwrap();
    let second = start(&at(&redis), 2, 200 * CENT).unwrap();
    drop(second);
    redis.kill();
    redis.restart();
    assert!(first.wait(1_500).is_err(), "the connection has ended");
    first.wait(1_500).unwrap();
    first.bid_all();
    first.tick().unwrap();
    assert_eq!(first.bid_all(), 0);
    Inbox::new(&at(&redis)).declare_dead(2, START).unwrap();
    first.tick().unwrap();
    assert!(first.bid_all() > 0);
}

#[test]
fn a_slow_server_opens_the_breaker_and_a_node_that_is_cut_off_stops_at_zero_and_comes_back() {
    let redis = Redis::durable();
    let wire = Wire::to(redis.port);
    let quick = SharedSettings {
        timeout: Duration::from_millis(50),
        ..settings(wire.url())
    };
    let mut far = retried(|| start(&quick, 1, 400 * CENT));
    let mut near = start(&at(&redis), 2, 400 * CENT).unwrap();

    redis.freeze(true);
    assert!(matches!(far.wait(1_000), Err(LeaseError::Shared(_))));
    assert!(
        matches!(far.tick(), Err(LeaseError::Broken)),
        "the breaker is open"
    );
    redis.freeze(false);
    retried(|| far.wait(1_000));

    wire.cut();
    let alone = far.bid_all();
    assert!((1..=25).contains(&alone), "{alone}");
    assert!((0..20).all(|_| far.wait(1_000).is_err()));
    assert_eq!(far.bid_all(), 0);
    let meanwhile = spend_all(&mut [&mut near]);
    assert!(
        meanwhile >= 375 && meanwhile + alone <= 400,
        "{meanwhile} {alone}"
    );

    wire.mend();
    retried(|| far.wait(1_000));
    let mut rest = 0;
    while meanwhile + alone + rest < 400 {
        // A busy machine may be slower than 50 ms: then it is the next look that counts.
        rest += far.wait(1_000).map_or(0, |()| far.bid_all());
        near.wait(1_000).unwrap();
        rest += near.bid_all();
        assert!(far.now.0 < START.0 + 3_600_000, "{rest}");
    }
    assert_eq!(meanwhile + alone + rest, 400);
}

fn retried<T>(mut act: impl FnMut() -> Result<T, LeaseError>) -> T {
    (0..200).find_map(|_| act().ok()).expect("an answer within 50 ms")
}

#[test]
fn a_replica_that_takes_over_knows_every_grant_that_was_used() {
    let mut master = Redis::durable();
    let replica = Redis::durable();
    replica.ask(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]);
    let wire = Wire::to(master.port);
    let replicated = SharedSettings {
        replicas: 1,
        ..settings(wire.url())
    };
    let mut first = (0..1_000)
        .find_map(|_| start(&replicated, 1, 300 * CENT).ok())
        .expect("the replica is linked within some seconds");
    let mut second = start(&replicated, 2, 300 * CENT).unwrap();
    let before = first.bid_all() + second.bid_all();
    first.tick().unwrap();
    second.tick().unwrap();

    // The replica hangs: what it has not got is not used.
    replica.freeze(true);
    let held = first.bid_all();
    assert!(first.tick().is_err());
    assert_eq!(first.bid_all(), 0);
    replica.freeze(false);

    master.kill();
    replica.ask(&["REPLICAOF", "NO", "ONE"]);
    wire.lead_to(replica.port);
    // The new master has no replica: with one demanded, nothing is granted.
    assert!((0..3).all(|_| first.wait(1_100).is_err()));
    let alone = SharedSettings {
        replicas: 0,
        ..replicated.clone()
    };
    let mut third = start(&alone, 3, 300 * CENT).unwrap();
    third.tick().unwrap();
    assert_eq!(third.bid_all(), 0, "the others have not declared");
    // They have, although they did not get a replica's word for it.
    assert!((0..3).all(|_| second.wait(1_100).is_err()));
    let rest = spend_all(&mut [&mut third]) + first.bid_all() + second.bid_all();
    assert!(before + held + rest <= 300, "{before} {held} {rest}");
    assert!(before + held + rest >= 200, "{before} {held} {rest}");
}

#[test]
fn a_server_that_may_forget_is_refused_unless_that_is_allowed() {
    for missing in 0..3 {
        let mut options = DURABLE;
        options[2 * missing + 1] = ["no", "everysec", "allkeys-lru"][missing];
        let redis = Redis::start(&options);
        let refused = start(&at(&redis), 1, CENT).map(|_| ());
        assert!(
            matches!(refused, Err(LeaseError::NotDurable { .. })),
            "{refused:?}"
        );
        let text = refused.unwrap_err().to_string();
        assert!(
            text.contains(DURABLE[2 * missing].trim_start_matches('-')),
            "{text}"
        );
        let allowed = SharedSettings {
            may_lose: true,
            ..at(&redis)
        };
        assert!(start(&allowed, 1, CENT).is_ok());
    }
}

#[test]
fn a_call_that_is_overtaken_changes_nothing() {
    let redis = Redis::durable();
    let mut node = start(&at(&redis), 1, 100 * CENT).unwrap();
    let key = redis.ask(&["KEYS", "outbid:limit:*"]);
    assert!(key.contains("outbid:limit:"), "{key}");
    // The same sequence number again.
    let number = redis.ask(&["HGET", "outbid:node:1", "seq"]);
    node.tick().unwrap();
    assert_ne!(redis.ask(&["HSET", "outbid:node:1", "seq", "999999"]), number);
    let overtaken = node.wait(1_000);
    assert!(matches!(overtaken, Err(LeaseError::Undeclared)), "{overtaken:?}");
}

#[test]
fn bookings_wait_for_their_owner_in_order_and_not_for_a_dead_one() {
    let redis = Redis::durable();
    let _owner = start(&at(&redis), 1, CENT).unwrap();
    let mut inbox = Inbox::new(&at(&redis));
    let parcels: Vec<Vec<u8>> = (0..5u8).map(|n| vec![n, 0, 255, 13, 10]).collect();
    inbox.put(1, &parcels, START).unwrap();
    assert_eq!(inbox.peek(1, 3, START).unwrap(), parcels[..3]);
    inbox.drop_first(1, 3, START).unwrap();
    assert_eq!(inbox.peek(1, 10, START).unwrap(), parcels[3..]);
    assert!(matches!(
        inbox.put(9, &parcels, START),
        Err(LeaseError::Refused { dead: false, .. })
    ));
    inbox.declare_dead(1, START).unwrap();
    assert!(matches!(
        inbox.put(1, &parcels, START),
        Err(LeaseError::Refused { dead: true, .. })
    ));
}
