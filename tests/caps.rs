//! Frequency caps against a list of everything that ever happened.

use outbid::caps::{BackOff, Buyers, CapLevel, CapObject, CapRule, Caps, LIFETIME_S, Noted, Shown, UserFact};
use outbid::units::{BidId, ObjectId, Timestamp, UserKey};
use proptest::prelude::*;

const RULES: [(u64, u16, u32); 5] = [
    (0, 1, 60),
    (0, 3, 3_600),
    (1, 7, 600),
    (2, 12, 86_400),
    (2, 2, 10),
];

fn object(n: u64) -> CapObject {
    CapObject::of(CapLevel::LineItem, ObjectId(n))
}

fn rules() -> Vec<CapRule> {
    let rule = |&(n, impressions, window_s)| CapRule {
        object: object(n),
        impressions,
        window_s,
    };
    RULES.iter().map(rule).collect()
}

fn bid(n: u64) -> BidId {
    BidId::new(1, 1, n)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(1_772_000_000 + seconds)
}

#[derive(Clone, Debug)]
enum Step {
    Count {
        user: u64,
        objects: Vec<u64>,
        back_s: i64,
    },
    Wait {
        seconds: i64,
    },
    Tick,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u64..3, prop::collection::vec(0u64..3, 1..3), prop_oneof![4 => Just(0i64), 1 => 0i64..120])
            .prop_map(|(user, objects, back_s)| Step::Count { user, objects, back_s }),
        4 => prop_oneof![0i64..15, 0i64..4_000, 0i64..100_000].prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Tick),
        1 => Just(Step::Restart),
    ]
}

fn restarted(caps: &Caps) -> Caps {
    let next = Caps::new(100);
    next.restore(&caps.checkpoint()).unwrap();
    next.set_rules(rules());
    next
}

proptest! {
    #[test]
    fn answers_equal_those_of_a_list_of_all_impressions(steps in prop::collection::vec(step(), 1..80)) {
        let mut caps = Caps::new(100);
        caps.set_rules(rules());
        let mut shown: Vec<(u64, u64, i64)> = Vec::new();
        let mut now = 0;
        for step in steps {
            match step {
                Step::Count { user, objects, back_s } => {
                    let named: Vec<_> = objects.iter().map(|&n| object(n)).collect();
                    caps.count(UserKey(user), &named, at(now - back_s));
                    shown.extend(objects.iter().map(|&n| (user, n, now - back_s)));
                }
                Step::Wait { seconds } => now += seconds,
                Step::Tick => { caps.tick(at(now)); }
                Step::Restart => caps = restarted(&caps),
            }
            for user in 0..3 {
                let stops = RULES.iter().position(|&(of, impressions, window_s)| {
                    let within = |&&(u, o, t): &&(u64, u64, i64)| u == user && o == of && now - t < i64::from(window_s);
                    shown.iter().filter(within).count() >= usize::from(impressions)
                });
                prop_assert_eq!(caps.allows(UserKey(user), &rules(), at(now)).err(), stops);
            }
        }
    }

    #[test]
    fn damaged_checkpoints_are_refused_and_change_nothing(flip in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>()) {
        let caps = Caps::new(100);
        caps.set_rules(rules());
        (0..9).for_each(|n| caps.count(UserKey(n % 3), &[object(n % 2)], at(n as i64)));
        let mut bytes = caps.checkpoint();
        let fresh = Caps::new(100);
        prop_assert!(fresh.restore(&bytes[..cut.index(bytes.len())]).is_err());
        prop_assert_eq!(fresh.totals().users, 0);
        let place = flip.index(bytes.len());
        bytes[place] ^= 0x80;
        let _ = fresh.restore(&bytes);
    }
}

#[test]
fn one_bid_of_a_line_item_is_outstanding_for_a_user_until_it_is_lost_billed_or_over() {
    let (ann, bob, item, other) = (UserKey(1), UserKey(2), ObjectId(0), ObjectId(1));
    let caps = Caps::new(100);
    caps.set_rules(rules());
    assert!(caps.provisional(ann, item, bid(1), at(0), at(60)));
    assert!(
        !caps.provisional(ann, item, bid(2), at(59), at(119)),
        "one is outstanding"
    );
    assert!(
        caps.provisional(ann, other, bid(3), at(0), at(60)),
        "another line item"
    );
    assert!(caps.provisional(bob, item, bid(4), at(0), at(60)), "another user");
    assert!(!caps.clear(ann, item, bid(9)), "not the bid that is outstanding");
    assert!(caps.clear(ann, item, bid(1)), "lost");
    assert!(caps.provisional(ann, item, bid(5), at(1), at(61)));
    assert!(caps.clear(ann, item, bid(5)));
    caps.count(ann, &[object(0)], at(2));
    assert!(
        caps.provisional(ann, item, bid(6), at(3), at(63)),
        "the one before is billed"
    );
    assert!(
        caps.provisional(ann, item, bid(7), at(63), at(123)),
        "the one before is over"
    );
    assert_eq!(caps.totals().provisional, 3);
    assert!(
        !restarted(&caps).provisional(ann, item, bid(8), at(64), at(124)),
        "it outlives a restart"
    );
    assert_eq!(caps.tick(at(200)).provisional, 3);
    assert_eq!(caps.totals().provisional, 0);
}

#[test]
fn the_bids_of_one_response_share_a_chance_that_ends_with_the_last_of_them() {
    let (ann, item) = (UserKey(1), ObjectId(0));
    let caps = Caps::new(100);
    caps.set_rules(rules());
    let beside = |n, until| caps.provisional_beside(ann, item, bid(1), bid(n), at(until));
    assert!(!beside(2, 60), "there is no chance yet");
    assert!(caps.provisional(ann, item, bid(1), at(0), at(60)));
    assert!(beside(2, 90) && beside(3, 60));
    assert!(!caps.clear(ann, item, bid(1)), "the others are open");
    caps.clear(ann, item, bid(3));
    caps.count(ann, &[object(0)], at(1));
    assert!(
        !caps.provisional(ann, item, bid(4), at(61), at(121)),
        "the second is open until its own end"
    );
    let again = restarted(&caps);
    assert!(!again.provisional(ann, item, bid(4), at(61), at(121)));
    assert!(!caps.clear(ann, item, bid(3)), "cleared already");
    assert!(caps.clear(ann, item, bid(2)) && again.clear(ann, item, bid(2)));
    assert!(caps.provisional(ann, item, bid(5), at(61), at(121)));
    assert!(!beside(6, 121), "the first of another response");
    assert_eq!(caps.totals().provisional, 1);
    let shared = (6..20)
        .filter(|&n| caps.provisional_beside(ann, item, bid(5), bid(n), at(121)))
        .count();
    assert_eq!(shared, 7, "eight bids share a chance at most");
}

#[test]
fn a_checkpoint_of_the_first_version_is_read() {
    let (ann, item) = (UserKey(1), ObjectId(0));
    let mut old = Vec::new();
    old.extend_from_slice(b"OUTBIDCA");
    old.extend_from_slice(&1_u32.to_le_bytes());
    old.extend_from_slice(&1_u32.to_le_bytes());
    old.extend_from_slice(&ann.0.to_le_bytes());
    old.extend_from_slice(&CapObject::of(CapLevel::LineItem, item).0.to_le_bytes());
    old.extend_from_slice(&bid(1).0.to_le_bytes());
    old.extend_from_slice(&at(60).0.to_le_bytes());
    old.extend_from_slice(&0_u32.to_le_bytes());
    let caps = Caps::new(100);
    assert_eq!(caps.restore(&old), Ok(0));
    assert!(!caps.provisional(ann, item, bid(2), at(1), at(61)));
    assert!(caps.clear(ann, item, bid(1)));
}

#[test]
fn room_for_several_at_once_is_what_the_window_leaves() {
    let ann = UserKey(1);
    let caps = Caps::new(100);
    let rule = CapRule {
        object: object(0),
        impressions: 3,
        window_s: 60,
    };
    caps.set_rules([rule]);
    let room = |now| {
        (0..6)
            .take_while(|n| caps.has_room(ann, &rule, n + 1, at(now)))
            .count()
    };
    assert_eq!(room(0), 3, "nobody has seen anything");
    caps.count(ann, &[object(0)], at(0));
    assert_eq!(room(1), 2);
    caps.count(ann, &[object(0)], at(30));
    assert_eq!((room(31), room(60), room(90)), (1, 2, 3));
}

#[test]
fn a_full_table_of_outstanding_bids_refuses_and_counts() {
    let caps = Caps::new(2);
    let place = |n| caps.provisional(UserKey(n), ObjectId(0), bid(n), at(0), at(60));
    assert_eq!([place(1), place(2), place(3)], [true, true, false]);
    assert_eq!(caps.totals().provisional_refused, 1);
}

#[test]
fn a_nearly_full_table_forgets_the_users_not_seen_for_longest() {
    let caps = Caps::new(64);
    caps.set_rules(rules());
    (0..70).for_each(|n| caps.count(UserKey(n), &[object(2)], at(n as i64)));
    assert_eq!((caps.totals().users, caps.totals().uncounted), (64, 6));
    assert_eq!(caps.tick(at(70)).evicted, 8);
    let once = CapRule {
        object: object(2),
        impressions: 1,
        window_s: 86_400,
    };
    let known: Vec<u64> = (0..70)
        .filter(|&n| caps.allows(UserKey(n), &[once], at(70)).is_err())
        .collect();
    assert_eq!(known, (8..64).collect::<Vec<_>>());
}

#[test]
fn objects_without_a_rule_are_not_counted_and_before_the_first_rules_all_are() {
    let caps = Caps::new(100);
    let once = CapRule {
        object: object(7),
        impressions: 1,
        window_s: 60,
    };
    caps.count(UserKey(1), &[object(7)], at(0));
    assert_eq!(caps.allows(UserKey(1), &[once], at(1)), Err(0));
    caps.set_rules(rules());
    caps.count(UserKey(2), &[object(7)], at(0));
    assert_eq!(caps.allows(UserKey(2), &[once], at(1)), Ok(()));
    assert_eq!(caps.totals().users, 1);
}

#[test]
fn a_user_shown_many_objects_keeps_the_latest() {
    let caps = Caps::new(100);
    (0..100).for_each(|n| caps.count(UserKey(1), &[object(n)], at(n as i64)));
    let stops = |n| {
        caps.allows(
            UserKey(1),
            &[CapRule {
                object: object(n),
                impressions: 1,
                window_s: 3_600,
            }],
            at(100),
        )
    };
    assert_eq!(
        (0..100).filter(|&n| stops(n).is_err()).collect::<Vec<_>>(),
        (36..100).collect::<Vec<_>>()
    );
}

const DAY: i64 = 86_400;

fn learn(caps: &Caps, user: u64, fact: UserFact, at_s: i64) {
    caps.learn(&Noted {
        user: UserKey(user),
        at: at(at_s),
        fact,
    });
}

fn shown(creative: u64) -> UserFact {
    UserFact::Shown(Shown {
        creative: ObjectId(creative),
        line_item: ObjectId(0),
        campaign: ObjectId(8),
        advertiser: ObjectId(9),
        answered: false,
    })
}

#[test]
fn a_user_of_whom_nothing_is_left_leaves_at_once() {
    let caps = Caps::new(100);
    let back_off = BackOff {
        object: CapObject::unanswered(ObjectId(0)),
        after: 1,
        pause_s: 60,
    };
    let sold = CapObject::bought(ObjectId(9), "purchase");
    let buyers = Buyers::new(vec![sold], 500);
    caps.set_rules([back_off.asks_for()].into_iter().chain(buyers.asks_for()));
    learn(&caps, 1, shown(1), 0);
    learn(&caps, 2, UserFact::Bought(sold), 0);
    assert_eq!(caps.totals().users, 2);
    learn(&caps, 1, UserFact::Clicked(ObjectId(0)), 1);
    learn(
        &caps,
        2,
        UserFact::Returned {
            sold,
            bought_at: at(0),
        },
        1,
    );
    assert!(caps.seen(UserKey(1)).is_none() && caps.seen(UserKey(2)).is_none());
    assert_eq!(caps.totals().users, 0);
}

#[test]
fn a_look_beside_writers_sees_all_objects_of_an_impression_or_none() {
    let caps = Caps::new(1_000);
    let once = [object(0), object(1)].map(|object| CapRule {
        object,
        impressions: 1,
        window_s: 60,
    });
    caps.set_rules(once);
    std::thread::scope(|scope| {
        let writers = (0..2).map(|part| {
            let caps = &caps;
            scope.spawn(move || {
                for round in 0..4_000 {
                    let user = UserKey(2 * (round % 50) + part);
                    caps.count(user, &[object(0), object(1)], at(0));
                    caps.forget(&[user]);
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        while !writers.iter().all(|writer| writer.is_finished()) {
            for user in 0..100 {
                if let Some(seen) = caps.seen(UserKey(user)) {
                    assert!(once.iter().all(|rule| seen.reaches(rule, at(1))));
                }
            }
        }
    });
    assert_eq!(caps.totals().users, 0);
}

#[test]
fn a_window_without_an_end_is_never_over() {
    let rule = CapRule {
        object: object(0),
        impressions: 1,
        window_s: LIFETIME_S,
    };
    let mut caps = Caps::new(100);
    caps.set_rules([rule]);
    learn(&caps, 1, shown(1), 0);
    for years in [1, 10, 50] {
        caps.tick(at(years * 365 * DAY));
        let next = Caps::new(100);
        next.restore(&caps.checkpoint()).unwrap();
        next.set_rules([rule]);
        caps = next;
        assert_eq!(caps.allows(UserKey(1), &[rule], at(years * 365 * DAY)), Err(0));
    }
}

#[test]
fn creatives_of_one_group_count_together() {
    let group = CapObject::group(ObjectId(9), "promo");
    assert_ne!(
        group,
        CapObject::group(ObjectId(10), "promo"),
        "of another advertiser"
    );
    let creative = |n| CapObject::of(CapLevel::Creative, ObjectId(n));
    let rule = CapRule {
        object: group,
        impressions: 2,
        window_s: 60,
    };
    let caps = Caps::new(100);
    caps.set_groups([(creative(1), group), (creative(2), group)]);
    caps.set_rules([rule]);
    learn(&caps, 1, shown(1), 0);
    learn(&caps, 1, shown(3), 0);
    assert_eq!(caps.allows(UserKey(1), &[rule], at(1)), Ok(()));
    learn(&caps, 1, shown(2), 1);
    assert_eq!(caps.allows(UserKey(1), &[rule], at(2)), Err(0));
}

/// What was unanswered at a line item, and who bought when, told by a list of everything that ever happened.
#[derive(Clone, Debug)]
enum Happened {
    Shown,
    Clicked,
    Bought,
    /// The n-th purchase before, counted back.
    Returned(usize),
    Wait(i64),
    Tick,
    Restart,
}

fn happened() -> impl Strategy<Value = Happened> {
    prop_oneof![
        8 => Just(Happened::Shown),
        1 => Just(Happened::Clicked),
        2 => Just(Happened::Bought),
        1 => (0..3_usize).prop_map(Happened::Returned),
        6 => prop_oneof![0..20_i64, 0..2_000_i64].prop_map(Happened::Wait),
        1 => Just(Happened::Tick),
        1 => Just(Happened::Restart),
    ]
}

proptest! {
    #[test]
    fn pauses_and_buyers_are_those_of_a_list_of_all_that_happened(steps in prop::collection::vec(happened(), 1..60)) {
        let sold = CapObject::bought(ObjectId(9), "purchase");
        let buyers = Buyers::new(vec![CapObject::bought(ObjectId(10), "purchase"), sold], 500);
        let back_off = BackOff { object: CapObject::unanswered(ObjectId(0)), after: 3, pause_s: 100 };
        let asked = || [back_off.asks_for()].into_iter().chain(buyers.asks_for()).collect::<Vec<_>>();
        let user = UserKey(1);
        let mut caps = Caps::new(100);
        caps.set_rules(asked());
        let (mut unanswered, mut bought): (Vec<i64>, Vec<i64>) = Default::default();
        let mut now = 0;
        for step in steps {
            match step {
                Happened::Shown => {
                    learn(&caps, 1, shown(1), now);
                    unanswered.push(now);
                }
                Happened::Clicked => {
                    learn(&caps, 1, UserFact::Clicked(ObjectId(0)), now);
                    unanswered.clear();
                }
                // As many as are kept of one seller: of more, the oldest are gone.
                Happened::Bought if bought.len() < 5 => {
                    learn(&caps, 1, UserFact::Bought(sold), now);
                    bought.push(now);
                }
                Happened::Bought => {}
                Happened::Returned(back) => if let Some(place) = bought.len().checked_sub(back + 1) {
                    learn(&caps, 1, UserFact::Returned { sold, bought_at: at(bought[place]) }, now);
                    bought.remove(place);
                },
                Happened::Wait(seconds) => now += seconds,
                Happened::Tick => { caps.tick(at(now)); }
                Happened::Restart => {
                    let next = Caps::new(100);
                    next.restore(&caps.checkpoint()).unwrap();
                    next.set_rules(asked());
                    caps = next;
                }
            }
            let run = unanswered.len().checked_sub(3).map_or(&[][..], |from| &unanswered[from..]);
            let moments: Vec<i64> = run.iter().copied().chain([now]).collect();
            let pauses = !run.is_empty() && moments.windows(2).all(|pair| pair[1] - pair[0] < 100);
            let is_buyer = bought.iter().any(|at| now - at < 500);
            let seen = caps.seen(user);
            prop_assert_eq!(seen.as_ref().is_some_and(|seen| seen.backs_off(&back_off, at(now))), pauses);
            prop_assert_eq!(seen.as_ref().is_some_and(|seen| seen.has_bought(&buyers, at(now))), is_buyer);
            drop(seen);
        }
    }
}
