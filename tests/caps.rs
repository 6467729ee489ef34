//! Frequency caps against a list of everything that ever happened.

use outbid::caps::{CapLevel, CapObject, CapRule, Caps};
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
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Count { user, objects, back_s } => {
                    let named: Vec<_> = objects.iter().map(|&n| object(n)).collect();
                    caps.count(UserKey(user), &named, bid(n as u64), at(now - back_s));
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
        (0..9).for_each(|n| caps.count(UserKey(n % 3), &[object(n % 2)], bid(n), at(n as i64)));
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
    caps.count(ann, &[object(0)], bid(5), at(2));
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
    (0..70).for_each(|n| caps.count(UserKey(n), &[object(2)], bid(n), at(n as i64)));
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
    caps.count(UserKey(1), &[object(7)], bid(1), at(0));
    assert_eq!(caps.allows(UserKey(1), &[once], at(1)), Err(0));
    caps.set_rules(rules());
    caps.count(UserKey(2), &[object(7)], bid(2), at(0));
    assert_eq!(caps.allows(UserKey(2), &[once], at(1)), Ok(()));
    assert_eq!(caps.totals().users, 1);
}

#[test]
fn a_user_shown_many_objects_keeps_the_latest() {
    let caps = Caps::new(100);
    (0..100).for_each(|n| caps.count(UserKey(1), &[object(n)], bid(n), at(n as i64)));
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
