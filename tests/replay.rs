//! `outbid replay`: published strategies against an independent script, and what must hold for any strategy.

use outbid::lab::replay::{
    Auction, Bidder, Campaign, CampaignError, Fraction, Lin, LogError, Mcpc, Outbid, Plan, Rlb, Sum,
    best_lin, bootstrap, read_log, replay,
};
use outbid::units::MixHasher;
use proptest::prelude::*;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/replay")
        .join(name)
}

fn log() -> Vec<Auction> {
    read_log(&sample("sample.log")).expect("the committed log")
}

fn campaign() -> Campaign {
    Campaign::read(&sample("sample.json")).expect("the committed histogram")
}

fn plan(fraction: Fraction) -> Plan {
    Plan {
        episode: 50,
        budget: campaign().budget(fraction, 50),
    }
}

fn ours(campaign: &Campaign) -> Bidder {
    Bidder::Outbid(Box::new(Outbid::new(campaign)))
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outbid"));
    command.args(["replay", "ipinyou"]).args(arguments);
    command.output().expect("outbid starts")
}

fn sample_run(more: &[&str]) -> Output {
    let (log, histogram) = (sample("sample.log"), sample("sample.json"));
    let files = [
        "--log",
        log.to_str().unwrap(),
        "--histogram",
        histogram.to_str().unwrap(),
    ];
    run(&[&files[..], &["--episode", "50"], more].concat())
}

#[test]
fn published_strategies_buy_what_the_independent_script_says_to_the_unit() {
    let answers = fs::read_to_string(sample("answers.json")).expect("the committed answers");
    let answers: Value = serde_json::from_str(&answers).expect("JSON");
    let output = sample_run(&[
        "--strategy",
        "mcpc",
        "--strategy",
        "lin",
        "--strategy",
        "rlb",
        "--json",
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let rows = report["campaigns"][0]["rows"].as_array().expect("rows");
    let mut compared = 0;
    for (share, wanted) in answers["budgets"].as_object().expect("budgets") {
        let fraction: Fraction = share.parse().expect("a share");
        for strategy in ["mcpc", "lin", "rlb", "best lin"] {
            let row = rows
                .iter()
                .find(|row| row["strategy"] == strategy && row["fraction"] == fraction.get())
                .expect("every strategy at every budget");
            assert_eq!(row["budget"], wanted["budget"], "{share}");
            for key in ["clicks", "impressions", "cost"] {
                assert_eq!(row[key], wanted[strategy][key], "{share} {strategy} {key}");
                compared += 1;
            }
            if strategy == "best lin" {
                assert_eq!(row["b0"].as_f64(), wanted[strategy]["b0"].as_f64(), "{share}");
            }
        }
    }
    assert_eq!(compared, 60);
}

/// Auctions of which one in twenty is worth sixty others: what an average prediction hides.
fn uneven(auctions: u64, seed: u64) -> Vec<Auction> {
    let draw = |number| MixHasher::mix(seed, number) as f64 / u64::MAX as f64;
    let auction = |number: u64| {
        let pctr = if draw(4 * number) < 0.05 { 0.6 } else { 0.01 };
        // Log-logistic prices with a median of 60.
        let odds = 1.0 / draw(4 * number + 1).clamp(0.001, 0.999) - 1.0;
        Auction {
            click: draw(4 * number + 2) < pctr,
            price: (60.0 * odds.powf(0.6)).min(300.0) as u32,
            pctr,
        }
    };
    (0..auctions).map(auction).collect()
}

#[test]
fn ours_wins_more_than_rlb_where_predictions_are_uneven() {
    let (training, log) = (uneven(8_000, 1), uneven(4_000, 2));
    let campaign = Campaign::count(&training);
    let (mut our_clicks, mut their_clicks) = (0, 0);
    for share in ["1/32", "1/4"] {
        let plan = Plan {
            episode: 200,
            budget: campaign.budget(share.parse().unwrap(), 200),
        };
        let mut rlb = Bidder::Rlb(Rlb::new(&campaign, plan).expect("a small table"));
        let theirs = replay(&log, plan, &mut rlb, &mut |_| ());
        let episodes = replay(&log, plan, &mut ours(&campaign), &mut |_| ());
        our_clicks += episodes.iter().sum::<Sum>().clicks;
        their_clicks += theirs.iter().sum::<Sum>().clicks;
    }
    assert!(
        our_clicks * 100 > their_clicks * 102,
        "{our_clicks} {their_clicks}"
    );
}

#[test]
fn no_bid_depends_on_what_comes_later() {
    let (log, campaign) = (&log()[..600], campaign());
    let plan = plan(Fraction::ALL[2]);
    let whole = replay(log, plan, &mut ours(&campaign), &mut |_| ());
    for episodes in [1, 7] {
        let mut changed = log[..episodes * plan.episode].to_vec();
        changed.extend(log.iter().rev().map(|auction| Auction {
            price: 300 - auction.price.min(300),
            ..*auction
        }));
        let again = replay(&changed, plan, &mut ours(&campaign), &mut |_| ());
        assert_eq!(whole[..episodes], again[..episodes]);
    }
}

#[test]
fn prices_and_clicks_of_lost_auctions_change_nothing() {
    let (log, campaign) = (&log()[..600], campaign());
    let plan = plan(Fraction::ALL[0]);
    let first = replay(log, plan, &mut ours(&campaign), &mut |_| ());
    // Nothing above 109, the whole budget of an episode, can be won.
    let hidden: Vec<_> = log
        .iter()
        .map(|auction| match auction.price {
            110.. => Auction {
                price: 300,
                click: !auction.click,
                ..*auction
            },
            _ => *auction,
        })
        .collect();
    assert_eq!(first, replay(&hidden, plan, &mut ours(&campaign), &mut |_| ()));
}

#[test]
fn progress_ends_with_the_last_auction_and_the_last_episode_may_be_short() {
    let (log, campaign) = (log(), campaign());
    let mut through = Vec::new();
    let mut mcpc = Bidder::Mcpc(Mcpc::new(&campaign));
    let episodes = replay(&log, plan(Fraction::ALL[0]), &mut mcpc, &mut |at| {
        through.push(at)
    });
    assert_eq!(episodes.len(), 47);
    assert_eq!(episodes[46].auctions, 45);
    assert_eq!(through.last(), Some(&2345));
    assert!(through.is_sorted());
}

#[test]
fn a_training_log_counts_to_the_same_campaign_as_its_histogram() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("training.log");
    fs::write(&path, "0 3 0.1\n1\t300\t0.2\t7\n\n0 999 0.000\n").expect("written");
    let counted = Campaign::read(&path).expect("a training log");
    let mut prices = vec![0; 301];
    (prices[3], prices[300]) = (1, 2);
    let json = folder.path().join("histogram.json");
    let histogram = serde_json::json!({ "imp_train": 3, "clk_train": 1, "cost_train": 1302,
        "price_counter_train": prices, "dim": 7 });
    fs::write(&json, histogram.to_string()).expect("written");
    assert_eq!(counted, Campaign::read(&json).expect("a histogram"));
    assert_eq!(counted.budget("1/2".parse().unwrap(), 10), 2170);
}

#[test]
fn bad_logs_are_refused_with_file_line_and_what_would_be_right() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bad.log");
    for (text, line, what) in [
        ("0 5 0.1\n2 5 0.1\n", 2, "click is `2`, not 0 or 1"),
        ("0 -5 0.1\n", 1, "price is `-5`, not a whole number"),
        ("0 5.5 0.1\n", 1, "price is `5.5`"),
        ("\n0 5 1.5\n", 2, "pCTR is not a number from 0 to 1"),
        ("0 5 NaN\n", 1, "pCTR is not a number"),
        ("0 5\n", 1, "the pCTR is missing"),
        ("click price pctr\n", 1, "click is `click`"),
    ] {
        fs::write(&path, text).expect("written");
        let error = read_log(&path).expect_err(text).to_string();
        assert!(error.contains(&format!("bad.log:{line}: ")), "{error}");
        assert!(error.contains(what) && error.contains("`0 70 0.0021`"), "{error}");
    }
    fs::write(&path, vec![b'0'; 1 << 20]).expect("written");
    assert!(
        read_log(&path)
            .expect_err("one long line")
            .to_string()
            .contains("longer than")
    );
    fs::write(&path, [0xff, b'\n']).expect("written");
    assert!(
        read_log(&path)
            .expect_err("bytes")
            .to_string()
            .contains("not UTF-8")
    );
    fs::write(&path, "\n").expect("written");
    assert!(matches!(read_log(&path), Err(LogError::Empty { .. })));
    fs::write(&path, b"\xfd7zXZ\0 torn").expect("written");
    assert!(matches!(read_log(&path), Err(LogError::Io { .. })));
}

#[test]
fn bad_histograms_are_refused_with_what_would_be_right() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bad.json");
    let good: Value = serde_json::from_str(&fs::read_to_string(sample("sample.json")).unwrap()).unwrap();
    for (key, value, what) in [
        ("imp_train", Value::from(0), "must be 1 or more"),
        ("cost_train", Value::from(1u64 << 60), "must be 1 or more"),
        ("clk_train", Value::from(999_999), "clk_train is above imp_train"),
        ("clk_train", Value::from("x"), "invalid type"),
        (
            "price_counter_train",
            Value::from(vec![1; 300]),
            "has 300 numbers, not 301",
        ),
        ("price_counter_train", Value::from(vec![0; 301]), "counts nothing"),
        (
            "price_counter_train",
            Value::from(vec![u64::MAX; 301]),
            "counts nothing",
        ),
    ] {
        let mut bad = good.clone();
        bad[key] = value;
        fs::write(&path, bad.to_string()).expect("written");
        let error = Campaign::read(&path).expect_err(what);
        assert!(matches!(error, CampaignError::Unusable { .. }));
        assert!(error.to_string().contains(what), "{error}");
        assert!(error.to_string().contains("bad.json") && error.to_string().contains("price_counter_train"));
    }
}

#[test]
fn command_lines_that_make_no_sense_are_refused() {
    for (arguments, what) in [
        (&["--fraction", "2"][..], "like 1/16 or 0.0625"),
        (&["--fraction", "1/0"], "like 1/16 or 0.0625"),
        (&["--bootstrap", "100001"], "0..=100000"),
        (&["--b0", "-1"], "write a number above 0"),
        (&["--fraction", "0.3", "--strategy", "lin"], "give --b0"),
        (&["--log", "second.log"], "one --histogram for each --log"),
        (&["--strategy", "best"], "possible values"),
    ] {
        let output = sample_run(arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{arguments:?}");
        assert!(error.contains(what), "{arguments:?}: {error}");
    }
}

#[test]
fn the_table_sums_over_campaigns_and_says_how_sure_the_gain_is() {
    let (log, histogram) = (sample("sample.log"), sample("sample.json"));
    let files = [
        "--log",
        log.to_str().unwrap(),
        "--histogram",
        histogram.to_str().unwrap(),
    ];
    let output = sample_run(&[&files[..], &["--fraction", "1/4"]].concat());
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // 55 clicks of rlb at 1/4 in each of two campaigns.
    let line = table
        .lines()
        .rfind(|line| line.starts_with("1/4"))
        .expect("a line");
    assert!(
        line.contains(" 110 ") && line.contains("outbid over rlb") && line.contains("95%"),
        "{table}"
    );
}

#[test]
fn a_table_of_rlb_that_would_fill_the_memory_is_refused() {
    let plan = Plan {
        episode: 100_000,
        budget: 3_000_000,
    };
    let refused = Rlb::new(&campaign(), plan).err().expect("too large").to_string();
    assert!(refused.contains("choose shorter episodes"), "{refused}");
}

#[test]
fn fractions_are_written_as_they_are_read() {
    for (text, value, shown) in [
        ("1/32", 1.0 / 32.0, "1/32"),
        ("0.0625", 0.0625, "1/16"),
        (" 3/4 ", 0.75, "0.75"),
        ("1", 1.0, "1/1"),
    ] {
        let fraction: Fraction = text.parse().expect(text);
        assert_eq!(fraction.get(), value);
        assert_eq!(fraction.to_string(), shown);
    }
    for text in ["", "0", "-1/2", "1/0", "0/0", "2", "inf", "NaN", "1/2/3", "x"] {
        assert!(text.parse::<Fraction>().is_err(), "{text}");
    }
}

#[test]
fn an_interval_holds_the_gain_and_shrinks_with_more_episodes() {
    let episodes = |n: u64| (0..n).map(|i| (3 + i % 3, 2 + i % 5)).collect::<Vec<_>>();
    let few = bootstrap(&[episodes(15)], 1000, 7).expect("an interval");
    let many = bootstrap(&[episodes(1500)], 1000, 7).expect("an interval");
    assert!(few.low < few.gain && few.gain < few.high, "{few:?}");
    assert!(
        many.high - many.low < (few.high - few.low) / 5.0,
        "{few:?} {many:?}"
    );
    assert_eq!(
        Some(few),
        bootstrap(&[episodes(15)], 1000, 7),
        "a seed gives one answer"
    );
    let equal = vec![vec![(4, 4); 9], vec![(1, 1); 3]];
    assert_eq!(
        bootstrap(&equal, 100, 1).map(|equal| (equal.gain, equal.low, equal.high)),
        Some((0.0, 0.0, 0.0))
    );
    assert_eq!(bootstrap(&[vec![(1, 0)]], 100, 1), None);
    assert_eq!(bootstrap(&[vec![(1, 1)]], 0, 1), None);
}

fn auctions() -> impl Strategy<Value = Vec<Auction>> {
    let prediction = prop_oneof![Just(0.0), Just(1.0), 0.0..=1.0, 1e-9..1e-3];
    let auction = (any::<bool>(), 0u32..400, prediction);
    let auction = auction.prop_map(|(click, price, pctr)| Auction { click, price, pctr });
    proptest::collection::vec(auction, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_strategy_spends_more_than_an_episode_may(
        log in auctions(),
        training in auctions(),
        episode in 1usize..40,
        budget in 0u32..2_000,
    ) {
        let training = [training, vec![Auction { click: true, price: 9, pctr: 0.1 }]].concat();
        let campaign = Campaign::count(&training);
        let plan = Plan { episode, budget };
        let bidders = [
            Bidder::Mcpc(Mcpc::new(&campaign)),
            Bidder::Lin(Lin::new(&campaign, 40.0)),
            Bidder::Rlb(Rlb::new(&campaign, plan).expect("a small table")),
            ours(&campaign),
        ];
        for mut bidder in bidders {
            let episodes = replay(&log, plan, &mut bidder, &mut |_| ());
            let sum: Sum = episodes.iter().sum();
            prop_assert!(episodes.iter().all(|episode| episode.cost <= budget));
            prop_assert_eq!(sum.auctions, log.len() as u64);
            prop_assert!(sum.clicks <= sum.impressions && sum.impressions <= sum.auctions);
        }
        let best = best_lin(&log, &campaign, plan);
        let mut lin = Bidder::Lin(Lin::new(&campaign, 40.0));
        let forty = replay(&log, plan, &mut lin, &mut |_| ());
        prop_assert!(best.episodes.iter().sum::<Sum>().clicks >= forty.iter().sum::<Sum>().clicks);
    }
}
