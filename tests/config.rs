//! Configuration folders in, settings or problems out: broken files give exact messages, whatever else is in them.

use outbid::config::{self, Loaded, Problems};
use outbid::store::campaigns::definition::{Ad, BidStrategy, CapLevel};
use outbid::store::exchange::{Auth, BidCounts};
use outbid::units::{Cpm, Currency, HourOfWeek, Nanos, Timestamp};
use proptest::prelude::*;
use std::fs;
use std::path::Path;

/// 2026-11-21T12:00:00Z.
const NOW: Timestamp = Timestamp(1_795_262_400_000);

/// A small valid configuration.
const BASE: &[(&str, &str)] = &[
    ("outbid.toml", "listen = \"127.0.0.1:8080\"\n"),
    ("models.toml", "[bid]\nmodel = \"ctr/1\"\n"),
    ("rates.toml", "date = 2026-11-20\n[rates]\nEUR = 1.5\n"),
    ("exchanges/demo.toml", ""),
    (
        "advertisers/acme.toml",
        "id = \"acme\"\ndomain = \"acme.example\"\ncategories = [\"IAB2\"]\ntime_zone = \"America/New_York\"\n",
    ),
    (
        "advertisers/other.toml",
        "id = \"other\"\ndomain = \"other.example\"\n",
    ),
    (
        "creatives/acme.toml",
        "advertiser = \"acme\"\nlanding_url = \"https://acme.example/\"\n[[creative]]\nid = \"spring\"\n\
         banner = { sizes = [\"300x250\", \"728x90\"], html = '<a href=\"${CLICK_URL}\">${WIDTH}</a>' }\n",
    ),
    (
        "campaigns/spring.toml",
        "id = \"spring\"\nadvertiser = \"acme\"\nbudget = { daily = 100.0 }\n\
         [[line_item]]\nid = \"spring-1\"\nbid = { cpm = 2.5 }\ncreatives = [\"spring\"]\n",
    ),
];

/// The campaign file of `BASE` with other keys of the campaign and of its line item.
fn campaign(campaign: &str, line_item: &str) -> String {
    format!(
        "id = \"spring\"\nadvertiser = \"acme\"\nbudget = {{ daily = 100.0 }}\n{campaign}\n[[line_item]]\n\
         id = \"spring-1\"\nbid = {{ cpm = 2.5 }}\ncreatives = [\"spring\"]\n{line_item}\n"
    )
}

/// Loads `BASE` with some files replaced or added.
fn load(files: &[(&str, &str)]) -> Result<Loaded, Problems> {
    load_with(files, &|_| None)
}

fn load_with(files: &[(&str, &str)], env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Problems> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in BASE.iter().chain(files) {
        write(folder.path(), name, text.as_bytes());
    }
    config::load(folder.path(), env, NOW)
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// The problems of `BASE` with one file replaced, without the folder's own name.
fn check(file: &str, text: &str, expected: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in BASE.iter().copied().chain([(file, text)]) {
        write(folder.path(), name, text.as_bytes());
    }
    let prefix = format!("{}/", folder.path().display());
    let found = match config::load(folder.path(), &|_| None, NOW) {
        Ok(_) => Vec::new(),
        Err(problems) => problems
            .iter()
            .map(|p| p.to_string().replace(&prefix, ""))
            .collect(),
    };
    assert_eq!(found, expected, "{text}");
}

fn check_line_item(keys: &str, expected: &[&str]) {
    check("campaigns/spring.toml", &campaign("", keys), expected);
}

#[test]
fn a_small_configuration_loads() {
    let loaded = load(&[]).unwrap();
    let line_item = &loaded.definitions.campaigns[0].line_items[0];
    assert_eq!(line_item.bid, BidStrategy::Cpm(Cpm(2_500_000)));
    assert_eq!(line_item.creatives, ["spring-300x250", "spring-728x90"]);
    assert_eq!(loaded.definitions.creatives[0].domains, ["acme.example"]);
    assert_eq!(loaded.definitions.creatives[0].categories, ["IAB2"]);
    let Ad::Banner(banner) = &loaded.definitions.creatives[1].ad else {
        panic!("a banner")
    };
    assert_eq!(
        (banner.w, banner.h, banner.html.as_str()),
        (728, 90, "<a href=\"${CLICK_URL}\">728</a>")
    );
    assert_eq!(loaded.settings.public_url, "http://127.0.0.1:8080");
    assert_eq!(loaded.models.bid.to_string(), "ctr/1");
}

#[test]
fn the_default_configuration_loads_and_is_large_enough_for_a_demo() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let loaded = config::load(&folder, &|_| None, NOW).unwrap_or_else(|problems| panic!("{problems}"));
    let line_items: usize = loaded
        .definitions
        .campaigns
        .iter()
        .map(|c| c.line_items.len())
        .sum();
    assert!(line_items >= 60, "{line_items}");
    assert!(loaded.definitions.creatives.len() >= 80);
    for format in ["banner", "video", "audio", "native"] {
        let has = |ad: &Ad| match ad {
            Ad::Banner(_) => format == "banner",
            Ad::Video(_) => format == "video",
            Ad::Audio(_) => format == "audio",
            Ad::Native(_) => format == "native",
        };
        assert!(
            loaded.definitions.creatives.iter().any(|c| has(&c.ad)),
            "{format}"
        );
    }
    assert!(
        loaded
            .exchanges
            .iter()
            .any(|e| e.name == "demo" && e.auth == Auth::None)
    );
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_known_one() {
    check_line_item(
        "[line_item.targeting]\ncontry = [\"USA\"]",
        &[
            "campaigns/spring.toml:10:1: line_item[0].targeting.contry: `contry` is no key of this table; \
             did you mean `country`?",
        ],
    );
    check(
        "outbid.toml",
        "lissten = \"127.0.0.1:8080\"\nadmin_token = \"secret\"\n",
        &[
            "outbid.toml:1:1: lissten: `lissten` is no key of this table; did you mean `listen`?",
            "outbid.toml:2:1: admin_token: `admin_token` is no key of this table; did you mean `admin_token_file`?",
        ],
    );
    check(
        "campains/x.toml",
        "",
        &["campains: this folder is not read; did you mean `campaigns`?"],
    );
    check(
        "rate.toml",
        "",
        &["rate.toml: this file is not read; did you mean `rates.toml`?"],
    );
}

#[test]
fn wrong_types_and_units_are_refused() {
    for (text, expected) in [
        (
            "workers = \"four\"",
            "outbid.toml:1:11: workers: this is a string; write a whole number",
        ),
        (
            "workers = 5000",
            "outbid.toml:1:11: workers: 5000 is out of range; write a whole number within 0..=1024",
        ),
        (
            "listen = \"8080\"",
            "outbid.toml:1:10: listen: `8080` is no address; write address:port such as `127.0.0.1:8080`",
        ),
        (
            "drain_notice = \"2 minutes\"",
            "outbid.toml:1:16: drain_notice: `2 minutes` is no duration that is allowed here; \
             write a duration such as `10ms`, `2s`, `24h` or `7d`, within 0ns..=60s",
        ),
        (
            "[limits]\nbody = \"1MB\"",
            "outbid.toml:2:8: limits.body: `1MB` is no size that is allowed here; \
             write a size such as `64KiB` or `1MiB`, within 1024..=67108864 bytes",
        ),
        (
            "time_zone = \"New York\"",
            "outbid.toml:1:13: time_zone: `New York` is no known time zone; \
             write an IANA name such as `America/New_York` or `UTC`",
        ),
        (
            "currency = \"dollar\"",
            "outbid.toml:1:12: currency: `dollar` is no currency; write its ISO-4217 code such as `USD`",
        ),
        (
            "log = \"xml\"",
            "outbid.toml:1:7: log: `xml` is not known; known are `text`, `json`",
        ),
        (
            "listen = \"0.0.0.0:80\"\nadmin = \"0.0.0.0:81\"",
            "outbid.toml:1:1: `admin` is reachable from outside and has no token; \
             set `admin_token_file`, or OUTBID_ADMIN_TOKEN, or listen on 127.0.0.1",
        ),
    ] {
        let mut expected = vec![expected];
        if text.starts_with("listen = \"0") {
            expected.push(
                "outbid.toml:1:1: `public_url` is missing and `listen` is not loopback; \
                 write the base under which exchanges and browsers reach `listen`, such as `https://bid.example`",
            );
        }
        check("outbid.toml", text, &expected);
    }
}

#[test]
fn what_is_no_toml_is_refused_with_its_place() {
    check(
        "rates.toml",
        "date = 2026-11-20\n[rates\n",
        &["rates.toml:2:7: this is not TOML: unclosed table, expected `]`; see https://toml.io"],
    );
}

#[test]
fn dangling_references_are_refused() {
    check_line_item(
        "[line_item.targeting]\nexchange = [\"dmeo\"]",
        &[
            "campaigns/spring.toml:10:13: line_item[0].targeting.exchange[0]: `dmeo` is not known; did you mean `demo`?",
        ],
    );
    check(
        "campaigns/spring.toml",
        &campaign("", "").replace("[\"spring\"]", "[\"sprig\", \"autumn-collection\"]"),
        &[
            "campaigns/spring.toml:8:14: line_item[0].creatives[0]: there is no creative `sprig`; did you mean `spring`?",
            "campaigns/spring.toml:8:23: line_item[0].creatives[1]: there is no creative `autumn-collection`; \
             known are `spring`, `spring-300x250`, `spring-728x90`",
        ],
    );
    check(
        "campaigns/spring.toml",
        &campaign("", "").replace("\"acme\"", "\"acne\""),
        &["campaigns/spring.toml:2:14: advertiser: there is no advertiser `acne`; did you mean `acme`?"],
    );
    check(
        "campaigns/spring.toml",
        &campaign("", "").replace("\"acme\"", "\"other\""),
        &[
            "campaigns/spring.toml:8:14: line_item[0].creatives[0]: this creative belongs to another advertiser; \
             name one of the campaign's advertiser",
        ],
    );
}

#[test]
fn ids_are_there_once() {
    let again = campaign("", "").replace("\"spring\"\nadv", "\"autumn\"\nadv");
    let folder_free = |p: &Problems| p.iter().map(|p| p.what.clone()).collect::<Vec<_>>();
    let problems = load(&[("campaigns/autumn.toml", &again)]).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(folder_free(&problems)[0].starts_with("the line item id `spring-1` is taken by "));
    assert!(folder_free(&problems)[0].ends_with("campaigns/autumn.toml:6"));
    check(
        "advertisers/other.toml",
        "id = \"not an id\"\ndomain = \"other.example\"\n",
        &[
            "advertisers/other.toml:1:6: id: `not an id` is no id; write 1..=64 letters, digits, `-`, `_` or `.`",
        ],
    );
}

#[test]
fn impossible_budgets_are_refused() {
    for (budget, expected) in [
        (
            "{ daily = 100.0, lifetime = 50 }",
            "3:20: budget.daily: the daily budget 100.00 is above the lifetime budget 50.00; \
             lower `daily` or raise `lifetime`",
        ),
        (
            "{ daily = 0 }",
            "3:20: budget.daily: this amount is out of range; write an amount above 0 and at most 1000000000.00",
        ),
        (
            "{ daily = -5.0 }",
            "3:20: budget.daily: `-5.0` is no amount; write digits with at most 9 decimals, such as `2.50`",
        ),
        (
            "{ hourly = 5.0 }",
            "3:10: budget: this budget has no end; add `daily` or `lifetime`",
        ),
        (
            "{ daily = \"5 GBP\" }",
            "3:20: budget.daily: there is no rate for GBP; add GBP to rates.toml",
        ),
        (
            "{ daily = \"five\" }",
            "3:20: budget.daily: `five` is no amount; write for example `50.00 USD`",
        ),
        (
            "{ weekly = 5.0, daily = 9 }",
            "3:12: budget.weekly: `weekly` is no key of this table; known are `hourly`, `daily`, `lifetime`",
        ),
    ] {
        let text = campaign("", "").replace("{ daily = 100.0 }", budget);
        check(
            "campaigns/spring.toml",
            &text,
            &[&format!("campaigns/spring.toml:{expected}")],
        );
    }
    check_line_item(
        "budget = { daily = 200.0 }",
        &["campaigns/spring.toml:9:20: line_item[0].budget.daily: \
             the daily budget 200.00 is above the campaign's daily budget 100.00; lower it or raise the campaign's"],
    );
}

#[test]
fn impossible_line_items_are_refused() {
    for (keys, expected) in [
        (
            "flight = { from = 2026-12-02, until = 2026-12-01 }",
            "9:10: line_item[0].flight: this ends before it starts; write `from` before `until`",
        ),
        (
            "flight = { from = \"tomorrow\" }",
            "9:19: line_item[0].flight.from: this is a string; \
             write a date or time without quotes, such as `2026-11-01` or `2026-11-01T08:00:00Z`",
        ),
        (
            "caps = [\"0 per day per line_item\"]",
            "9:9: line_item[0].caps[0]: a cap of `0` impressions; write a number within 1..=1000",
        ),
        (
            "caps = [\"2 per day per line_item\", \"3 per day per line_item\"]",
            "9:36: line_item[0].caps[1]: there is a cap of this level and window already; \
             take one of them out, or give it an `audience`",
        ),
        (
            "caps = [{ cap = \"2 per day per line_item\" }]",
            "9:9: line_item[0].caps[0]: `audience` is missing; write for example `audience = '\"tier:gold\"'`",
        ),
        (
            "caps = [\"2 per day per group promo\"]",
            "9:9: line_item[0].caps[0]: no creative of this advertiser is in the group `promo`; \
             write `groups = [\"promo\"]` in the creatives that it counts",
        ),
        (
            "suppress_buyers = \"1y\"",
            "9:19: line_item[0].suppress_buyers: `1y` is no window of time; write `minute`, `hour`, `day`, `week`, \
             `month`, `lifetime` or a duration within 60s..=730d",
        ),
        (
            "suppress_buyers_of = [{ for = \"14d\" }]",
            "9:23: line_item[0].suppress_buyers_of[0]: `category` is missing; write for example `category = \"IAB10\"`",
        ),
        (
            "back_off = { after = 0, pause = \"3d\" }",
            "9:22: line_item[0].back_off.after: 0 is out of range; write a whole number within 1..=100",
        ),
        (
            "max_bid = 2.0",
            "7:7: line_item[0].bid: the bid 2.500000 is above `max_bid` 2.000000; lower the bid or raise `max_bid`",
        ),
        (
            "[line_item.targeting]\ncountry = [\"US\"]",
            "10:12: line_item[0].targeting.country[0]: `US` is no country code of OpenRTB; \
             write its ISO-3166-1 alpha-3 code such as `USA`",
        ),
        (
            "[line_item.targeting]\nip = [\"10.0.0.0/33\"]",
            "10:7: line_item[0].targeting.ip[0]: `10.0.0.0/33` is no range of IP addresses; \
             write an address, a network such as `203.0.113.0/24`, or first-last",
        ),
        (
            "[line_item.targeting]\nhours = [\"mon 25-26\"]",
            "10:10: line_item[0].targeting.hours[0]: `mon 25-26` names no hours; \
             write days, then hours from 00 to 24, such as `mon-fri 08-12` or `sat,sun 00-24`",
        ),
        (
            "[line_item.targeting]\nhours = [\"mon 08-12\"]\nnot_hours = [\"06-22\"]",
            "11:13: line_item[0].targeting.not_hours: this refuses every wanted hour; leave an hour of the week",
        ),
        (
            "[[line_item.multiplier]]\nfactor = 11\nwhen = {}",
            "10:10: line_item[0].multiplier[0].factor: 11 is out of range; write a number within 0.1..=10",
        ),
        (
            "[line_item.targeting]\ncountry = [\"USA\"]\n[[line_item.region]]\ncountry = [\"CAN\"]\nmax_bid = 9",
            "12:11: line_item[0].region[0].country: the line item does not reach `CAN`; \
             add it to the targeting, or remove the override or the earlier one of the same place",
        ),
    ] {
        check_line_item(keys, &[&format!("campaigns/spring.toml:{expected}")]);
    }
}

/// The campaign file of `BASE` with another bid and more keys of its line item.
fn with_bid(bid: &str, line_item: &str) -> String {
    let text = campaign("", line_item);
    text.replace("bid = { cpm = 2.5 }", &format!("bid = {bid}"))
}

#[test]
fn goals_are_read_with_all_that_they_need() {
    let units = |units| Nanos::from_units(units).unwrap();
    let bid = |bid: &str, more: &str| {
        let loaded = load(&[("campaigns/spring.toml", &with_bid(bid, more))]).unwrap();
        loaded.definitions.campaigns[0].line_items[0].bid.clone()
    };
    assert_eq!(
        bid("{ max_clicks = 2.00 }", ""),
        BidStrategy::MaxClicks(units(2.0))
    );
    assert_eq!(
        bid("{ max_clicks = 2.00 }", "pacing = \"asap\""),
        BidStrategy::MaxClicks(units(2.0)),
        "the campaign is paced"
    );
    let roas = bid("{ roas = 3.0, event = \"purchase\", order_value = 60.00 }", "");
    assert_eq!(roas.conversion_worth(Nanos::ZERO), units(20.0));
    for (weights, worth) in [
        ("preset = \"expansion\"", 24.0 + 16.0 * 2.0),
        ("preset = \"stable\"", 12.0 + 28.0 * 2.0),
        ("weights = { cac = 1, ltv = 0 }", 40.0),
        ("discount = { half_life = \"30d\", delay = \"60d\" }", 10.0),
        (
            "discount = { half_life = \"30d\", delay = \"60d\", learn_delay = true }",
            10.0,
        ),
    ] {
        let goal = bid(
            &format!("{{ cpa = 40.00, event = \"signup\", {weights} }}"),
            "ltv = 120.00",
        );
        assert_eq!(goal.conversion_worth(units(240.0)), units(worth), "{weights}");
    }
}

#[test]
fn targets_and_relevance_are_inherited_and_shown() {
    let text = campaign(
        "kpi = { roas = 3, event = \"purchase\", order_value = 60, bounds = [0.6, 1.5] }\nrelevance = { ctr = 0.25 }",
        "",
    );
    let loaded = load(&[("campaigns/spring.toml", &text)]).unwrap();
    let shown = config::effective(&loaded).to_json();
    let item = &shown["campaign"]["spring"]["line_item"]["spring-1"];
    assert_eq!(
        item["kpi"].to_string(),
        r#"{"bounds":[0.6,1.5],"event":"purchase","order_value":"60.00","roas":3.0}"#
    );
    assert_eq!(item["relevance"].to_string(), r#"{"ctr":0.25,"cvr":0.0}"#);
    let with_order_value = with_bid(
        "{ roas = 3, event = \"purchase\", order_value = 50 }",
        "kpi = { roas = 2, event = \"purchase\" }",
    );
    let loaded = load(&[("campaigns/spring.toml", &with_order_value)]).unwrap();
    let shown = config::effective(&loaded).to_json();
    let item = &shown["campaign"]["spring"]["line_item"]["spring-1"];
    assert_eq!(item["kpi"]["order_value"], "50.00", "of the bid");
    assert_eq!(item["kpi"]["bounds"].to_string(), "[0.5,2.0]");
}

#[test]
fn targets_that_make_no_sense_are_refused() {
    for (keys, expected) in [
        (
            "kpi = { cpc = 1, cpa = 2, event = \"purchase\" }",
            "9:7: line_item[0].kpi: a `kpi` has exactly one target; write one of `cpc`, `cpa` and `roas`",
        ),
        (
            "kpi = { cpc = 1, event = \"purchase\" }",
            "9:26: line_item[0].kpi.event: `event` belongs to `cpa` and `roas`; remove it",
        ),
        (
            "kpi = { cpa = 1 }",
            "9:7: line_item[0].kpi: `event` is missing; write for example `event = \"purchase\"`",
        ),
        (
            "kpi = { roas = 3, event = \"purchase\" }",
            "9:7: line_item[0].kpi: `order_value` is missing; write for example `order_value = 60.00`",
        ),
        (
            "kpi = { cpc = 1, bounds = [1.2, 2.0] }",
            "9:27: line_item[0].kpi.bounds: these bounds leave no room around 1; \
             write the lower factor, then the upper one, such as `[0.5, 2.0]`",
        ),
        (
            "kpi = { cpc = 1, bounds = [0.5] }",
            "9:27: line_item[0].kpi.bounds: bounds are two factors; write for example `[0.5, 2.0]`",
        ),
        (
            "relevance = { ctr = 5 }",
            "9:21: line_item[0].relevance.ctr: 5 is out of range; write a number within 0..=1",
        ),
    ] {
        check_line_item(keys, &[&format!("campaigns/spring.toml:{expected}")]);
    }
    check(
        "campaigns/spring.toml",
        &with_bid("{ max_clicks = 1 }", "kpi = { cpc = 1 }"),
        &[
            "campaigns/spring.toml:9:7: line_item[0].kpi: `max_clicks` buys clicks as cheaply as its budget allows: \
           there is nothing to steer; remove `kpi`, or bid `{ cpc = … }`",
        ],
    );
}

#[test]
fn goals_that_make_no_sense_are_refused() {
    for (bid, keys, expected) in [
        (
            "{ cpm = 1, cpc = 1 }",
            "",
            "7:7: line_item[0].bid: a bid has exactly one goal; write one of `cpm`, `cpc`, `max_clicks`, `cpa` and `roas`",
        ),
        (
            "{ cpc = 1, event = \"purchase\" }",
            "",
            "7:26: line_item[0].bid.event: `event` belongs to `cpa` and `roas`; \
             write for example `{ cpa = 12.00, event = \"purchase\" }`",
        ),
        (
            "{ roas = 3.0, event = \"purchase\" }",
            "",
            "7:7: line_item[0].bid: `order_value` is missing; write for example `order_value = 60.00`",
        ),
        (
            "{ roas = 0, event = \"purchase\", order_value = 60 }",
            "",
            "7:16: line_item[0].bid.roas: 0 is out of range; write a number within 0.1..=1000",
        ),
        (
            "{ cpa = 40, event = \"signup\", preset = \"stable\" }",
            "",
            "7:7: line_item[0].bid: the weights count what customers are worth, and nothing says it; \
             add `ltv = 120.00` to the line item, its campaign or the defaults of the advertiser",
        ),
        (
            "{ cpa = 40, event = \"signup\", weights = { cac = 0.6, ltv = 0.5 } }",
            "ltv = 120",
            "7:47: line_item[0].bid.weights: the weights add up to 1.1; \
             let them add up to 1, such as `{ cac = 0.6, ltv = 0.4 }`",
        ),
        (
            "{ cpa = 40, event = \"signup\", preset = \"stable\", weights = { cac = 0.6, ltv = 0.4 } }",
            "ltv = 120",
            "7:66: line_item[0].bid.weights: a preset has weights already; write one of `preset` and `weights`",
        ),
        (
            "{ cpa = 40, event = \"signup\", discount = { half_life = \"1d\", delay = \"11d\" } }",
            "",
            "7:48: line_item[0].bid.discount: after 10 half-lives nothing is left of the value; \
             lower `delay` or raise `half_life`",
        ),
        (
            "{ cpm = 2.5 }",
            "ltv_from = \"ltv\"",
            "9:12: line_item[0].ltv_from: nothing says what people without a profile are worth; \
             add `ltv = 120.00` beside `ltv_from`",
        ),
    ] {
        let text = with_bid(bid, keys);
        check(
            "campaigns/spring.toml",
            &text,
            &[&format!("campaigns/spring.toml:{expected}")],
        );
    }
    let unpaced =
        with_bid("{ max_clicks = 2.00 }", "").replace("[[line_item]]", "pacing = \"asap\"\n[[line_item]]");
    check(
        "campaigns/spring.toml",
        &unpaced,
        &[
            "campaigns/spring.toml:8:7: line_item[0].bid: `max_clicks` needs a budget that is paced: as fast as \
           possible, every click is bought at the dearest; write `pacing = \"even\"`, or `cpc` for what a click is worth",
        ],
    );
}

#[test]
fn caps_of_groups_are_checked_at_the_advertiser_too() {
    let advertiser = format!("{}caps = [\"2 per day per group promo\"]\n", BASE[4].1);
    let expected = "advertisers/acme.toml:5:9: caps[0]: no creative of this advertiser is in the group `promo`; \
                    write `groups = [\"promo\"]` in the creatives that it counts";
    check("advertisers/acme.toml", &advertiser, &[expected]);
    let creatives = BASE[6]
        .1
        .replace("id = \"spring\"", "id = \"spring\"\ngroups = [\"promo\"]");
    let files = [
        ("advertisers/acme.toml", advertiser.as_str()),
        ("creatives/acme.toml", &creatives),
    ];
    let loaded = load(&files).unwrap();
    assert!(
        loaded
            .definitions
            .creatives
            .iter()
            .all(|creative| creative.groups == ["promo"])
    );
}

#[test]
fn hours_without_disturbance_leave_some_hours() {
    let all = "do_not_disturb = [\"07-23\", \"22-08\"]\n";
    let expected =
        "1:18: do_not_disturb: this leaves no hour in which an ad may be shown; leave some hours out";
    check("policy.toml", all, &[&format!("policy.toml:{expected}")]);
    let advertiser = format!("{all}{}", BASE[4].1);
    check(
        "advertisers/acme.toml",
        &advertiser,
        &[&format!("advertisers/acme.toml:{expected}")],
    );
}

#[test]
fn a_wrong_audience_is_refused_at_its_offset() {
    let keys = "[line_item.targeting]\naudience = 'gender = \"m\" and aeg in 25..35'";
    let problems = load(&[("campaigns/spring.toml", &campaign("", keys))]).unwrap_err();
    let problem = problems.iter().next().unwrap();
    assert_eq!(
        (problems.len(), problem.line, problem.column),
        (1, 10, 30),
        "{problems}"
    );
    assert_eq!(problem.key, "line_item[0].targeting.audience");
    assert!(
        problem.what.starts_with("at byte 17 of the expression: "),
        "{problem}"
    );
}

#[test]
fn creatives_that_cannot_be_used_are_refused() {
    for (creative, expected) in [
        (
            "banner = { html = 'x' }",
            "5:10: creative[0].banner: this banner needs one of `size` and `sizes`; \
             write for example `size = \"300x250\"`",
        ),
        (
            "banner = { size = \"300\", html = 'x' }",
            "5:19: creative[0].banner.size: `300` is no size in pixels; \
             write width x height such as `300x250`, each within 1..=10000",
        ),
        (
            "banner = { size = \"300x250\", html = ' ' }",
            "5:37: creative[0].banner.html: the markup is empty; write what the browser shall show",
        ),
        (
            "video = { title = 'x', duration = '15s', size = '640x360' }",
            "5:9: creative[0].video: this video has no media file; \
             add `[[creative.video.media]]` with `url` and `mime`",
        ),
        (
            "audio = { title = 'x', duration = '30s', media = [] }",
            "5:9: creative[0].audio: this audio has no media file; \
             add `[[creative.audio.media]]` with `url` and `mime`",
        ),
        (
            "audio = { title = 'x', duration = '30s', size = '640x360', \
             media = [{ url = 'https://a.example/a.mp3', mime = 'audio/mpeg' }] }",
            "5:42: creative[0].audio.size: `size` is no key of this table; \
             known are `title`, `duration`, `media`, `companion`",
        ),
        (
            "audio = { title = 'x', duration = '30s', media = [{ url = 'https://a.example/a.mp3', mime = 'audio/mpeg' }], \
             companion = [{ size = '300x250', image = 'https://a.example/a.png' }] }",
            "5:123: creative[0].audio.companion[0]: `mime` is missing; write for example `mime = \"image/png\"`",
        ),
        (
            "native = { desc = 'x' }",
            "5:10: creative[0].native: `title` is missing; write for example `title = \"A chair for life\"`",
        ),
        (
            "status = \"active\"",
            "3:1: creative[0]: this creative has 0 of `banner`, `video`, `audio` and `native`; give it exactly one",
        ),
        (
            "languages = ['english']\nnative = { title = 'x' }",
            "5:14: creative[0].languages[0]: `english` is no language code; write its ISO-639-1 code such as `en`",
        ),
        (
            "landing_url = 'acme.example'\nnative = { title = 'x' }",
            "5:15: creative[0].landing_url: `acme.example` is no URL; write an absolute URL such as \
             `https://shop.example/spring`, other characters percent-encoded",
        ),
    ] {
        let text = format!(
            "advertiser = \"acme\"\nlanding_url = \"https://acme.example/\"\n[[creative]]\nid = \"spring\"\n{creative}\n"
        );
        check(
            "creatives/acme.toml",
            &text,
            &[&format!("creatives/acme.toml:{expected}")],
        );
    }
}

#[test]
fn exchanges_keep_their_secrets_elsewhere() {
    check(
        "exchanges/demo.toml",
        "[auth]\nbearer = \"1234567890123456\"\n",
        &[
            "exchanges/demo.toml:1:1: auth: this names no single secret; \
             write either `bearer_file = \"…\"` or `bearer_env = \"…\"`",
            "exchanges/demo.toml:2:1: auth.bearer: `bearer` is no key of this table; did you mean `bearer_file`?",
        ],
    );
    let file = [
        ("exchanges/demo.toml", "[auth]\nbearer_file = \"demo.token\"\n"),
        ("demo.token", "0123456789abcdef\n"),
    ];
    assert_eq!(
        load(&file).unwrap().exchanges[0].auth,
        Auth::Bearer("0123456789abcdef".into())
    );
    let variable = [("exchanges/demo.toml", "auth = { bearer_env = \"DEMO\" }\n")];
    let env = |name: &str| (name == "DEMO").then(|| "fedcba9876543210".to_owned());
    assert_eq!(
        load_with(&variable, &env).unwrap().exchanges[0].auth,
        Auth::Bearer("fedcba9876543210".into())
    );
    let shown = config::effective(&load(&file).unwrap()).to_string();
    assert!(!shown.contains("0123456789abcdef"), "{shown}");
}

#[test]
fn the_admin_token_comes_from_a_file_or_the_environment() {
    let open = "listen = \"127.0.0.1:80\"\nadmin = \"0.0.0.0:81\"\n";
    let env = |name: &str| (name == "OUTBID_ADMIN_TOKEN").then(|| "fedcba9876543210".to_owned());
    let loaded = load_with(&[("outbid.toml", open)], &env).unwrap();
    assert_eq!(loaded.settings.admin_token.as_deref(), Some("fedcba9876543210"));
    let short = |name: &str| (name == "OUTBID_ADMIN_TOKEN").then(|| "short".to_owned());
    let problems = load_with(&[("outbid.toml", open)], &short)
        .unwrap_err()
        .to_string();
    assert!(
        problems.contains("OUTBID_ADMIN_TOKEN: the secret has fewer than 16 characters"),
        "{problems}"
    );
    assert!(!problems.contains("short"), "{problems}");
}

#[test]
fn an_exchange_says_how_many_bids_it_takes() {
    let counts = |text: &str| load(&[("exchanges/demo.toml", text)]).unwrap().exchanges[0].bids;
    assert_eq!(counts(""), BidCounts::default());
    let some = BidCounts {
        per_imp: 4,
        open: 2,
        ..BidCounts::default()
    };
    assert_eq!(counts("bids = { per_imp = 4, open = 2 }\n"), some);
    check(
        "exchanges/demo.toml",
        "bids = { per_imp = 0, all = 1 }\n",
        &[
            "exchanges/demo.toml:1:20: bids.per_imp: 0 is out of range; write a whole number within 1..=32",
            "exchanges/demo.toml:1:23: bids.all: `all` is no key of this table; known are `per_imp`, `per_deal`, `open`",
        ],
    );
}

#[test]
fn all_problems_are_listed_at_once() {
    let files = [
        ("outbid.toml", "workers = -1\n"),
        ("models.toml", "[bid]\nmodel = \"ctr\"\n"),
        ("exchanges/demo.toml", "no_bid = \"200\"\nformat = \"xml\"\n"),
        ("advertisers/acme.toml", "id = \"acme\"\ndomain = \"acme\"\n"),
        (
            "campaigns/spring.toml",
            &campaign("status = \"on\"", "roadblock = 1"),
        ),
    ];
    let problems = load(&files).unwrap_err();
    let keys: Vec<&str> = problems.iter().map(|p| p.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "domain",
            "status",
            "line_item[0].roadblock",
            "no_bid",
            "format",
            "bid.model",
            "workers"
        ]
    );
    assert_eq!(problems.to_json().as_array().map(Vec::len), Some(7));
}

#[test]
fn line_items_inherit_key_by_key() {
    let loaded = load(&[
        (
            "advertisers/acme.toml",
            "id = \"acme\"\ndomain = \"acme.example\"\ncurrency = \"EUR\"\n\
             caps = [\"9 per day per advertiser\", \"5 per day per line_item\"]\n\
             [defaults]\nmax_bid = 10\nwithout_id = \"no_bid\"\n\
             [defaults.targeting]\ncountry = [\"USA\"]\nlanguage = [\"en\"]\n",
        ),
        (
            "campaigns/spring.toml",
            &campaign(
                "max_bid = 8\n[targeting]\nlanguage = [\"fr\"]\nnot_city = [\"Albany\"]",
                "caps = [\"2 per day per line_item\"]\n[line_item.targeting]\ncountry = []\nos = [\"iOS\"]",
            ),
        ),
    ])
    .unwrap();
    let campaign = &loaded.definitions.campaigns[0];
    let item = &campaign.line_items[0];
    assert!(item.targeting.country.include.is_empty());
    assert_eq!(item.targeting.language.include, ["fr"]);
    assert_eq!(item.targeting.city.exclude, ["Albany"]);
    assert_eq!(item.targeting.os.include, ["iOS"]);
    assert_eq!(
        item.without_id,
        outbid::store::campaigns::definition::WithoutId::NoBid
    );
    // One euro is 1.5 dollars in these rates.
    assert_eq!(item.max_bid, Some(Cpm(12_000_000)));
    assert_eq!(campaign.budget.daily, Some(Nanos(150 * Nanos::PER_UNIT)));
    let caps: Vec<_> = item
        .caps
        .iter()
        .map(|c| (c.level.clone(), c.impressions))
        .collect();
    assert_eq!(caps, [(CapLevel::Advertiser, 9), (CapLevel::LineItem, 2)]);
}

#[test]
fn a_regional_override_shares_the_budget_and_splits_the_audience() {
    let keys = "budget = { daily = 50.0 }\n[line_item.targeting]\ncountry = [\"USA\", \"CAN\"]\n\
                [[line_item.region]]\ncountry = [\"CAN\"]\nbid = { cpm = 4 }\ncreatives = [\"spring-300x250\"]";
    let loaded = load(&[("campaigns/spring.toml", &campaign("", keys))]).unwrap();
    let [rest, canada] = &loaded.definitions.campaigns[0].line_items[..] else {
        panic!("two line items")
    };
    assert_eq!((rest.id.as_str(), rest.part_of.as_deref()), ("spring-1", None));
    assert_eq!(
        (canada.id.as_str(), canada.part_of.as_deref()),
        ("spring-1@CAN", Some("spring-1"))
    );
    assert_eq!(rest.targeting.country.exclude, ["CAN"]);
    assert_eq!(canada.targeting.country.include, ["CAN"]);
    assert_eq!(canada.bid, BidStrategy::Cpm(Cpm(4_000_000)));
    assert_eq!(canada.creatives, ["spring-300x250"]);
    assert_eq!(canada.budget, rest.budget);
}

#[test]
fn a_date_is_a_day_of_the_advertisers_time_zone() {
    let keys = "flight = { from = 2026-03-08, until = 2026-03-08 }";
    let loaded = load(&[("campaigns/spring.toml", &campaign("", keys))]).unwrap();
    let flight = loaded.definitions.campaigns[0].line_items[0].flight;
    // The day on which New York changes to summer time has 23 hours.
    let (from, until) = (flight.from.unwrap(), flight.until.unwrap());
    assert_eq!(from, Timestamp(1_772_946_000_000));
    assert_eq!(until.since(from), 23 * Timestamp::MS_PER_HOUR);
}

#[test]
fn hours_are_bits_of_the_week() {
    let keys = "[line_item.targeting]\nhours = [\"mon-fri 08-12\"]\nnot_hours = [\"fri 09-10\"]";
    let loaded = load(&[("campaigns/spring.toml", &campaign("", keys))]).unwrap();
    let hours = loaded.definitions.campaigns[0].line_items[0].targeting.hours;
    for (weekday, hour, expected) in [
        (0, 8, true),
        (0, 12, false),
        (4, 9, false),
        (4, 10, true),
        (5, 8, false),
    ] {
        assert_eq!(
            hours.contains(HourOfWeek::new(weekday, hour).unwrap()),
            expected,
            "{weekday} {hour}"
        );
    }
}

#[test]
fn rates_that_are_too_old_are_noted_and_stop_bids_in_other_currencies() {
    let loaded = load(&[(
        "rates.toml",
        "date = 2026-11-01\nmax_age = \"2d\"\n[rates]\nEUR = 1.5\n",
    )])
    .unwrap();
    assert!(
        loaded
            .notes
            .to_string()
            .contains("the rates are older than `max_age`"),
        "{}",
        loaded.notes
    );
    assert_eq!(loaded.rates.get(Currency::parse("EUR").unwrap(), NOW), None);
}

#[test]
fn the_hash_changes_with_every_file() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in BASE {
        write(folder.path(), name, text.as_bytes());
    }
    let hash = || config::load(folder.path(), &|_| None, NOW).unwrap().hash;
    let first = hash();
    assert_eq!(first, hash());
    for (name, text) in BASE {
        write(folder.path(), name, format!("{text}\n# a comment\n").as_bytes());
        assert_ne!(first, hash(), "{name}");
        write(folder.path(), name, text.as_bytes());
    }
    write(folder.path(), "notes.txt", b"not part of the configuration");
    assert_eq!(first, hash());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_in_a_file_make_the_reader_panic(
        file in 0..BASE.len(),
        cut in 0.0..1.0f64,
        garbage in prop::collection::vec(any::<u8>(), 0..40),
        keep_rest in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in BASE {
            write(folder.path(), name, text.as_bytes());
        }
        let (name, text) = BASE[file];
        let at = (text.len() as f64 * cut) as usize;
        let rest = if keep_rest { &text.as_bytes()[at..] } else { &[] };
        write(folder.path(), name, &[&text.as_bytes()[..at], &garbage, rest].concat());
        let _ = config::load(folder.path(), &|_| None, NOW);
    }

    #[test]
    fn no_value_of_a_key_makes_the_reader_panic(
        key in prop::sample::select(vec![
            "flight", "caps", "targeting", "multiplier", "region", "bid", "max_bid", "budget", "creatives", "id",
            "suppress_buyers", "suppress_buyers_of", "back_off",
        ]),
        value in "[-0-9a-z\"'{}\\[\\] .,=:é€]{0,30}",
    ) {
        let text = campaign("", &format!("{key} = {value}"));
        let _ = load(&[("campaigns/spring.toml", &text)]);
    }
}

/// Samples name files and advertisers of their own: keys are made where they say, in a folder of the test.
#[test]
fn every_sample_of_an_exchange_is_read_without_a_problem() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/exchanges");
    let mut samples: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sample"))
        .collect();
    samples.sort();
    assert!(samples.len() >= 7, "{samples:?}");
    for path in samples {
        let secrets = tempfile::tempdir().unwrap();
        let place = format!("{}/", secrets.path().display());
        let text = fs::read_to_string(&path).unwrap().replace("/etc/outbid/", &place);
        for named in text.split('"').filter(|word| word.starts_with(&place)) {
            let secret = if named.ends_with(".key") {
                "0123456789abcdef".repeat(4)
            } else {
                "a-secret-of-the-exchange".into()
            };
            fs::write(named, secret).unwrap();
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let hearth = (
            "advertisers/hearth-home.toml",
            "id = \"hearth-home\"\ndomain = \"hearth.example\"\n",
        );
        let files = [(&*format!("exchanges/{name}"), &*text), hearth];
        let loaded = load(&files).unwrap_or_else(|problems| panic!("{name}: {problems}"));
        let stem = name.strip_suffix(".toml").unwrap();
        let exchange = loaded
            .exchanges
            .iter()
            .find(|exchange| exchange.name == stem)
            .unwrap();
        assert_ne!(exchange.auth, Auth::None, "{name}");
        // What `outbid check --effective` prints must not fail on it either.
        assert!(config::effective(&loaded).to_string().contains(stem));
    }
}

#[test]
fn an_exchange_shows_who_it_is_in_one_of_three_ways() {
    let auth = |lines: &str| {
        let files = [
            ("exchanges/demo.toml", &*format!("[auth]\n{lines}")),
            ("demo.token", "0123456789abcdef\n"),
        ];
        load(&files).map(|loaded| loaded.exchanges[0].auth.clone())
    };
    let header = |name: &str, value: &str| Auth::Header {
        name: name.into(),
        value: value.into(),
    };
    assert_eq!(
        auth("header = \"X-Api-Key\"\nheader_file = \"demo.token\"\n"),
        Ok(header("x-api-key", "0123456789abcdef"))
    );
    assert_eq!(
        auth("basic_user = \"demo\"\nbasic_file = \"demo.token\"\n"),
        Ok(header("authorization", "Basic ZGVtbzowMTIzNDU2Nzg5YWJjZGVm"))
    );
    for (lines, expected) in [
        (
            "header = \"X Key\"\nheader_file = \"demo.token\"\n",
            "auth.header: `X Key` is no name of a header",
        ),
        ("header_file = \"demo.token\"\n", "auth: `header` is missing"),
        (
            "basic_user = \"a:b\"\nbasic_file = \"demo.token\"\n",
            "auth.basic_user: `a:b` holds a colon",
        ),
        (
            "header = \"X-Key\"\nbearer_file = \"demo.token\"\n",
            "auth.header: `header` has no secret",
        ),
        (
            "bearer_file = \"demo.token\"\nheader = \"X\"\nheader_file = \"demo.token\"\n",
            "auth: this names no single secret",
        ),
    ] {
        let problems = auth(lines).unwrap_err().to_string();
        assert!(problems.contains(expected), "{problems}");
    }
}

#[test]
fn what_is_agreed_with_an_exchange_is_checked_word_by_word() {
    for (lines, expected) in [
        ("auction = \"third\"\n", "auction: "),
        ("second_price_codes = [2]\n", "second_price_codes[0]: "),
        ("shading = \"on\"\n", "shading: `on` is not known"),
        (
            "shading = \"learn\"\nnotices = [\"win\", \"bill\"]\n",
            "shading: bids are shaded by what wins and what loses, and this exchange is not asked for both notices; put `win` and `loss`",
        ),
        (
            "shading = \"learn\"\nauction = \"second\"\n",
            "shading: with `auction = \"second\"` there is no first-price auction",
        ),
        (
            "require = [\"iurls\"]\n",
            "require[0]: `iurls` is not known; did you mean `iurl`?",
        ),
        (
            "health = \"health\"\n",
            "health: `health` is no path for a health check",
        ),
        (
            "health = \"/n/health\"\n",
            "health: `/n/health` is no path for a health check",
        ),
        (
            "public_url = \"bid.example\"\n",
            "public_url: `bid.example` is no URL",
        ),
        (
            "[macros]\nprice = \"${P} \"\n",
            "macros.price: `${P} ` cannot stand in a URL",
        ),
        ("[macros]\ncost = \"x\"\n", "macros.cost: "),
        (
            "[seats]\nacmee = \"1\"\n",
            "seats.acmee: `acmee` is no key of this table; did you mean `acme`?",
        ),
        (
            "[traffic]\nrefuse = [\"robots\"]\n",
            "traffic.refuse[0]: `robots` is not known",
        ),
        (
            "[traffic]\nrefuse = [\"crawler\"]\nignore = [\"crawler\"]\n",
            "traffic: `crawler` stands in two of",
        ),
        (
            "[traffic]\nblocked = [\"news\"]\n",
            "traffic.blocked[0]: `news` is no place",
        ),
        (
            "[supply]\nrefuse = [\"crawler\"]\n",
            "supply.refuse[0]: `crawler` is not known",
        ),
    ] {
        let problems = load(&[("exchanges/demo.toml", lines)]).unwrap_err().to_string();
        assert!(problems.contains(expected), "{lines}: {problems}");
    }
}

#[test]
fn creatives_that_an_exchange_will_never_get_are_named() {
    let loaded = load(&[("exchanges/demo.toml", "require = [\"adomain\", \"iurl\"]\n")]).unwrap();
    let notes = loaded.notes.to_string();
    assert!(
        notes.contains("exchanges/demo.toml:1:23: require[1]: this exchange gets no bid with creatives that lack this field: `spring-300x250`, `spring-728x90`"),
        "{notes}"
    );
    assert!(!notes.contains("require[0]"), "{notes}");
}

#[test]
fn a_feed_of_signals_is_believed_for_as_long_as_it_says() {
    let feed = |at: &str| {
        format!(
            "country = \"USA\"\nregion = \"MA\"\nat = {at}\nttl = \"30m\"\n[values]\nweather = \"rain\"\nevent = [\"fair\", \"race\"]\n"
        )
    };
    let load_feed = |at: &str| {
        let loaded = load(&[("signals/ma.toml", &feed(at))]).unwrap();
        let signals: Vec<_> = loaded
            .definitions
            .signals
            .iter()
            .map(|s| {
                (
                    format!("{}:{}", s.name, s.value),
                    s.until.unwrap().since(NOW) / 60_000,
                )
            })
            .collect();
        let notes: Vec<String> = loaded.notes.iter().map(|note| note.what.clone()).collect();
        (signals, notes)
    };
    let of = |minutes| {
        ["weather:rain", "event:fair", "event:race"]
            .map(|text| (text.to_owned(), minutes))
            .to_vec()
    };
    let sorted = |(mut signals, notes): (Vec<(String, i64)>, Vec<String>)| {
        signals.sort();
        (signals, notes)
    };
    let expected = |minutes| {
        let mut signals = of(minutes);
        signals.sort();
        signals
    };
    assert_eq!(sorted(load_feed("2026-11-21T11:50:00Z")), (expected(20), vec![]));
    let stale = "these values are older than their `ttl` and ignored".to_owned();
    assert_eq!(
        sorted(load_feed("2026-11-21T11:30:00Z")),
        (expected(0), vec![stale])
    );
    let future = "these values are of the future and count as of now".to_owned();
    assert_eq!(
        sorted(load_feed("2026-11-22T11:30:00Z")),
        (expected(30), vec![future])
    );
}

#[test]
fn a_feed_that_cannot_be_read_is_refused() {
    for (text, expected) in [
        (
            "country = \"USA\"\nat = 2026-11-21T11:50:00Z\n[values]\nweather = \"rain\"\n",
            "signals/ma.toml:1:1: `ttl` is missing; write for example `ttl = \"30m\"`",
        ),
        (
            "country = \"USA\"\nat = 2026-11-21T11:50:00Z\nttl = \"30m\"\nvalues = { weather = 3 }\n",
            "signals/ma.toml:4:22: values.weather: this is an integer; write text in quotes",
        ),
        (
            "country = \"USA\"\nat = 2026-11-21T11:50:00Z\nttl = \"90d\"\nvalues = { weather = \"rain\" }\n",
            "signals/ma.toml:3:7: ttl: `90d` is no duration that is allowed here; write a duration such as `10ms`, `2s`, \
             `24h` or `7d`, within 60s..=2678400s",
        ),
        (
            "country = \"USA\"\nat = 2026-11-21T11:50:00Z\nttl = \"30m\"\nvalues = { \"a b\" = \"rain\" }\n",
            "signals/ma.toml:4:20: values.a b: `a b` is no name of a signal; write 1..=64 letters, digits, `-`, `_` or `.`",
        ),
    ] {
        check("signals/ma.toml", text, &[expected]);
    }
}
