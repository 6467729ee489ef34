//! Markets and requests in which many bids may stand in one answer: deals beside the open auction, pods, road-blocks, caps.
//! Invariant: the same dice make the same.

use crate::golden;
use crate::many::Dice;
use crate::stage::Stage;
use serde_json::{Value, json};
use std::fmt::Write as _;

const DEALS: [&str; 5] = ["deal-1", "deal-2", "deal-3", "deal-4", "deal-5"];
const CAPS: [&str; 4] = [
    "1 per day per line_item",
    "2 per day per line_item",
    "1 per day per creative",
    "2 per day per creative",
];
const SECONDS: [u64; 6] = [5, 6, 10, 15, 20, 30];

/// The shared configuration with twelve campaigns more of two brands, whose films last from 5 to 30 seconds.
pub fn market(dice: &mut Dice) -> Stage {
    let caps = ["", "caps = [\"8 per day per advertiser\"]\n"][dice.below(2) as usize];
    let brand = format!(
        "id = \"bikes\"\ndomain = \"bikes.example\"\ncategories = [\"IAB17\"]\ntime_zone = \"America/New_York\"\n{caps}"
    );
    let mut films = String::from("advertiser = \"bikes\"\nlanding_url = \"https://bikes.example/\"\n");
    for seconds in SECONDS {
        film(&format!("film-{seconds}"), seconds, &mut films);
    }
    for size in ["300x250", "728x90"] {
        write!(
            films,
            "[[creative]]\nid = \"banner-{size}\"\n[creative.banner]\nsize = \"{size}\"\nbtype = \"iframe\"\nhtml = '<a href=\"${{CLICK_URL}}\">Go</a>'\n"
        )
        .expect("a string");
    }
    let exchange = format!(
        "seat = \"outbid\"\ncurrency = \"USD\"\nbids = {{ per_imp = {}, per_deal = {}, open = {} }}\n",
        1 + dice.below(6),
        1 + dice.below(3),
        1 + dice.below(3)
    );
    let campaigns: Vec<(String, String)> = (0..12)
        .map(|n| (format!("campaigns/more-{n}.toml"), campaign(n, dice)))
        .collect();
    let mut files = vec![
        ("advertisers/bikes.toml", brand.as_str()),
        ("creatives/films.toml", films.as_str()),
        ("exchanges/demo.toml", exchange.as_str()),
    ];
    files.extend(
        campaigns
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str())),
    );
    golden::stage(&files, &[], golden::NOW)
}

fn film(id: &str, seconds: u64, out: &mut String) {
    write!(
        out,
        "[[creative]]\nid = \"{id}\"\n[creative.video]\ntitle = \"Go\"\nduration = \"{seconds}s\"\nsize = \"1280x720\"\n\
         media = [{{ url = \"https://cdn.bikes.example/{}.mp4\", mime = \"video/mp4\", bitrate_kbps = 900 }}]\n",
        seconds % 4
    )
    .expect("a string");
}

fn campaign(n: usize, dice: &mut Dice) -> String {
    let mut text = format!(
        "id = \"more-{n}\"\nadvertiser = \"bikes\"\nbudget = {{ daily = {} }}\n",
        ["0.004", "0.02", "100.00"][dice.below(3) as usize]
    );
    if dice.percent(20) {
        writeln!(text, "caps = [\"2 per day per campaign\"]").expect("a string");
    }
    for item in 0..1 + dice.below(2) {
        let cents = 50 + dice.below(900);
        let creatives: Vec<String> = (0..1 + dice.below(2))
            .map(|_| match dice.below(8) {
                0 => "\"banner-300x250\"".to_owned(),
                1 => "\"banner-728x90\"".to_owned(),
                _ => format!("\"film-{}\"", SECONDS[dice.below(6) as usize]),
            })
            .collect();
        write!(
            text,
            "[[line_item]]\nid = \"more-{n}-{item}\"\nbid = {{ cpm = {}.{:02} }}\ncreatives = [{}]\nroadblock = {}\nopen_beside_deals = {}\ndeal_goal = \"{}\"\n",
            cents / 100,
            cents % 100,
            creatives.join(", "),
            dice.percent(40),
            dice.percent(50),
            dice.one_of(&["value", "deliver"]),
        )
        .expect("a string");
        if dice.percent(40) {
            writeln!(text, "caps = [\"{}\"]", dice.one_of(&CAPS)).expect("a string");
        }
        if dice.percent(25) {
            let place = dice.one_of(&["first", "last", "first-or-last"]);
            writeln!(text, "slot_in_pod = \"{place}\"").expect("a string");
        }
        if dice.percent(60) {
            let deals: Vec<String> = DEALS
                .iter()
                .filter(|_| dice.percent(40))
                .map(|deal| format!("\"{deal}\""))
                .collect();
            writeln!(text, "targeting = {{ deal = [{}] }}", deals.join(", ")).expect("a string");
        }
    }
    text
}

/// A request of up to four imps: slots and dynamic parts of two pods, banners, and deals of all kinds.
pub fn request(dice: &mut Dice) -> String {
    let imps: Vec<Value> = (0..1 + dice.below(4)).map(|n| imp(n, dice)).collect();
    let mut body = golden::base_request("banner");
    body["imp"] = json!(imps);
    body["allimps"] = json!(dice.below(2));
    body["at"] = json!(1 + dice.below(2));
    if dice.percent(30) {
        body["user"] = json!({});
    }
    body.to_string()
}

fn imp(n: u64, dice: &mut Dice) -> Value {
    let mut imp = json!({"id": n.to_string(), "bidfloor": dice.below(300) as f64 / 100.0});
    if dice.percent(70) {
        imp["video"] = video(dice);
    }
    if dice.percent(40) {
        imp["banner"] = json!({"format": [{"w": 300, "h": 250}, {"w": 728, "h": 90}]});
    }
    if dice.percent(60) {
        let deals: Vec<Value> = (0..dice.below(6)).map(|_| deal(dice)).collect();
        imp["pmp"] = json!({"private_auction": dice.below(5) / 4, "deals": deals});
    }
    imp
}

fn video(dice: &mut Dice) -> Value {
    let mut video = json!({"mimes": ["video/mp4"], "protocols": [3, 7], "maxduration": 30});
    if dice.percent(70) {
        video["podid"] = json!(dice.one_of(&["a", "b"]));
    }
    if dice.percent(60) {
        video["poddur"] = json!(dice.below(120));
        if dice.percent(70) {
            video["maxseq"] = json!(dice.below(6));
        }
    }
    if dice.percent(40) {
        video["slotinpod"] = json!(dice.below(4) as i64 - 1);
    }
    if dice.percent(50) {
        let list: Vec<u64> = (0..dice.below(3)).map(|_| 1 + dice.below(6)).collect();
        video["poddedupe"] = json!(list);
    }
    if dice.percent(20) {
        video["rqddurs"] = json!([10, 15]);
    }
    if dice.percent(20) {
        video["mincpmpersec"] = json!(dice.below(40) as f64 / 100.0);
    }
    video
}

fn deal(dice: &mut Dice) -> Value {
    let mut deal = json!({"id": dice.one_of(&DEALS), "bidfloor": dice.below(500) as f64 / 100.0});
    if dice.percent(60) {
        deal["at"] = json!(1 + dice.below(3));
    }
    if dice.percent(20) {
        deal["guar"] = json!(1);
    }
    if dice.percent(20) {
        deal["bidfloorcur"] = json!(dice.one_of(&["EUR", "JPY"]));
    }
    if dice.percent(20) {
        deal["wadomain"] = json!([dice.one_of(&["bikes.example", "motors.example"])]);
    }
    deal
}
