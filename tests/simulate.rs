//! Simulated days: the same seed gives the same day, and whatever goes wrong no limit is overspent.

use outbid::lab::simulate::{Fault, Faults, MinToWin, Outcome, Scenario, Shading, chart, simulate};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Seeds of the day with every fault; without optimisation a few, as each takes seconds.
const SEEDS: u64 = if cfg!(debug_assertions) { 4 } else { 50 };
const AUCTIONS: u32 = 50_000;

/// One to three nodes, with and without loss notices.
fn with_every_fault(seed: u64) -> Scenario {
    Scenario {
        auctions_per_day: AUCTIONS,
        nodes: 1 + (seed % 3) as u16,
        losses: seed.is_multiple_of(2),
        faults: Faults::ALL,
        ..Scenario::default()
    }
}

/// In the order of the seeds, on all cores.
fn play(seeds: std::ops::Range<u64>, scenario: impl Fn(u64) -> Scenario + Sync) -> Vec<Outcome> {
    let (next, outcomes) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = simulate(&scenario(seed), seed);
                    outcomes.lock().unwrap().push(outcome);
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap();
    outcomes.sort_by_key(|outcome| outcome.seed);
    outcomes
}

fn assert_sound(outcome: &Outcome) {
    assert_eq!(outcome.overspend(), 0.0, "{outcome:#?}");
    assert!(outcome.books_agree, "{outcome:#?}");
    assert_eq!(outcome.stuck, 0.0, "{outcome:#?}");
}

#[test]
fn whatever_goes_wrong_no_limit_is_overspent_and_the_money_is_spent() {
    let outcomes = play(1..SEEDS + 1, with_every_fault);
    outcomes.iter().for_each(assert_sound);
    let crashes: u64 = outcomes.iter().map(|outcome| outcome.mishaps.crashes).sum();
    assert!(crashes > 3 * SEEDS, "{crashes}");
    for outcome in &outcomes {
        assert!(
            outcome.used() >= 0.95,
            "seed {}: {} used",
            outcome.seed,
            outcome.used()
        );
    }
}

#[test]
fn a_seed_gives_the_same_day_to_the_bit() {
    for seed in [7, 8] {
        let day = |_| Scenario {
            auctions_per_day: 4_000,
            ..with_every_fault(seed)
        };
        let outcomes = [play(seed..seed + 1, day), play(seed..seed + 1, day)];
        assert_eq!(outcomes[0], outcomes[1]);
        let other = simulate(&day(seed), seed + 100);
        assert_ne!(outcomes[0][0].digest, other.digest);
    }
}

#[test]
fn without_faults_nothing_is_late_nothing_is_untold_and_nobody_crashes() {
    let scenario = Scenario {
        auctions_per_day: 20_000,
        ..Scenario::default()
    };
    let outcome = simulate(&scenario, 3);
    assert_sound(&outcome);
    assert_eq!(outcome.mishaps, Default::default());
    assert!(outcome.accounts.iter().all(|account| account.unknown == 0.0));
    assert_eq!(outcome.late_by_books_only, 0);
}

#[test]
fn several_nodes_spend_one_budget_over_several_days() {
    let scenario = Scenario {
        auctions_per_day: 8_000,
        days: 3,
        nodes: 3,
        faults: "crash,authority,lost".parse().unwrap(),
        ..Scenario::default()
    };
    let outcome = simulate(&scenario, 11);
    assert_sound(&outcome);
    assert!(outcome.notices.for_another_node > 1_000, "{outcome:#?}");
    assert!(outcome.mishaps.server_faults > 0, "{outcome:#?}");
}

#[test]
fn shaded_bids_overspend_nothing_whatever_goes_wrong_and_a_seed_is_the_same_day_to_the_bit() {
    for (seed, min_to_win) in [(20, MinToWin::All), (21, MinToWin::Losses), (22, MinToWin::None)] {
        let day = |_| Scenario {
            auctions_per_day: 8_000,
            shading: Shading::On,
            min_to_win,
            ..with_every_fault(seed)
        };
        let outcomes = [play(seed..seed + 1, day), play(seed..seed + 1, day)];
        assert_eq!(outcomes[0], outcomes[1]);
        assert_sound(&outcomes[0][0]);
        let shaded = outcomes[0][0].shaded.as_ref().expect("some are at first price");
        assert!(shaded.factor < 0.9 && shaded.explored > 0, "{shaded:?}");
    }
}

/// Where no budget binds, so that nothing but the price differs.
#[test]
fn a_click_costs_less_shaded_than_at_the_value_or_at_any_fixed_factor() {
    let [off, on] = [Shading::Off, Shading::On].map(|shading| {
        let scenario = Scenario {
            auctions_per_day: 20_000,
            budget: 20.0,
            shading,
            ..Scenario::default()
        };
        let outcome = simulate(&scenario, 5);
        assert_sound(&outcome);
        outcome
    });
    let [at_value, shaded] = [&off, &on].map(|outcome| outcome.shaded.as_ref().expect("first price"));
    assert_eq!(at_value.factor, 1.0);
    let click = |earned: &outbid::lab::simulate::Earned| earned.spent / earned.clicks;
    assert!(
        click(&shaded.earned) < 0.9 * click(&at_value.earned),
        "{shaded:?}"
    );
    assert!(
        on.surplus() > 1.1 * off.surplus(),
        "{} {}",
        on.surplus(),
        off.surplus()
    );
    let equal = shaded
        .fixed_spent_at_equal_value
        .expect("some factor wins as much");
    assert!(shaded.earned.spent < equal, "{shaded:?}");
}

#[test]
fn shading_is_read_as_it_is_written() {
    for text in ["on", "off", "0.7", "1"] {
        assert_eq!(text.parse::<Shading>().unwrap().to_string(), text);
    }
    for text in ["", "learn", "0.05", "1.1", "NaN"] {
        assert!(text.parse::<Shading>().is_err(), "{text}");
    }
}

#[test]
fn faults_are_read_as_they_are_written() {
    for text in ["all", "none", "delayed", "crash,reload"] {
        assert_eq!(text.parse::<Faults>().unwrap().to_string(), text);
    }
    assert!("crash".parse::<Faults>().unwrap().has(Fault::Crash));
    let error = "crash,fire".parse::<Faults>().unwrap_err().to_string();
    assert!(
        error.contains("`fire` is no fault") && error.contains("clock-change"),
        "{error}"
    );
}

#[test]
fn the_chart_is_one_page_that_loads_nothing() {
    let scenario = Scenario {
        auctions_per_day: 5_000,
        ..Scenario::default()
    };
    let page = chart(&scenario, &simulate(&scenario, 1));
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    assert!(page.contains("<svg") && page.contains("Spent since midnight"));
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("NaN"));
}
