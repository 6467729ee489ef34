//! Plain requests of every format, the most usual first.
//!
//! Invariant: each is a valid request with one imp, asking for no more than bidders commonly offer.

use super::stage::Format;
use serde_json::{Value, json};

const COUNTRIES: [&str; 3] = ["USA", "GBR", "DEU"];
const BANNER_SIZES: [(u32, u32); 10] = [
    (300, 250),
    (320, 50),
    (728, 90),
    (160, 600),
    (300, 600),
    (970, 250),
    (336, 280),
    (320, 480),
    (468, 60),
    (120, 600),
];
const VIDEO_SIZES: [(u32, u32); 3] = [(1280, 720), (640, 480), (1920, 1080)];

/// What to try for a format, in this order.
pub fn requests(format: Format) -> Vec<Value> {
    let shapes: Vec<Value> = match format {
        Format::Banner | Format::App => banners(),
        Format::Video => VIDEO_SIZES
            .iter()
            .map(|size| json!({"video": video(*size)}))
            .collect(),
        Format::Audio => vec![json!({"audio": audio()})],
        Format::Native => vec![json!({"native": native(true)}), json!({"native": native(false)})],
        Format::Deal => Vec::new(),
    };
    let places: &[fn() -> Value] = match format {
        Format::App => &[app],
        Format::Banner => &[site],
        _ => &[site, app],
    };
    let mut requests = Vec::new();
    for country in COUNTRIES {
        for place in places {
            requests.extend(shapes.iter().map(|shape| request(shape, place(), country)));
        }
    }
    requests
}

/// The object of `native.request` in Native 1.2, unwrapped. A rich one asks for more than title and image.
pub fn native_object(rich: bool) -> Value {
    let mut assets = vec![
        json!({"id": 1, "required": 1, "title": {"len": 90}}),
        json!({"id": 2, "required": 1, "img": {"type": 3, "wmin": 100, "hmin": 100}}),
    ];
    if rich {
        assets.push(json!({"id": 3, "img": {"type": 1, "wmin": 20, "hmin": 20}}));
        assets.push(json!({"id": 4, "data": {"type": 1, "len": 40}}));
        assets.push(json!({"id": 5, "data": {"type": 2, "len": 140}}));
        assets.push(json!({"id": 6, "data": {"type": 12, "len": 20}}));
    }
    json!({
        "ver": "1.2", "context": 1, "plcmttype": 1, "plcmtcnt": 1, "assets": assets,
        "eventtrackers": [{"event": 1, "methods": [1, 2]}],
    })
}

fn request(shape: &Value, place: Value, country: &str) -> Value {
    let mut imp = json!({"id": "1", "tagid": "certify-1", "bidfloor": 0.01, "bidfloorcur": "USD"});
    merge(&mut imp, shape);
    let mut request = json!({
        "id": "certify", "at": 1, "tmax": 1000, "cur": ["USD"], "imp": [imp],
        "device": {
            "ua": "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) \
                   Chrome/140.0.0.0 Mobile Safari/537.36",
            // Of the block for documentation (RFC 5737).
            "ip": "198.51.100.23", "devicetype": 4, "os": "Android", "osv": "15", "language": "en",
            "js": 1, "lmt": 0, "dnt": 0, "connectiontype": 2,
            "geo": {"country": country, "type": 2},
        },
        "user": {"id": "certify", "buyeruid": "certify"},
        "source": {"fd": 0, "tid": "certify-tid"},
    });
    merge(&mut request, &place);
    if request["app"].is_object() {
        request["device"]["ifa"] = json!("00000000-0000-4000-8000-000000000000");
    }
    request
}

fn banners() -> Vec<Value> {
    let size = |(w, h): &(u32, u32)| json!({"w": w, "h": h});
    let all: Vec<Value> = BANNER_SIZES.iter().map(size).collect();
    let mut shapes = vec![json!({"banner": {"format": all, "pos": 1}})];
    // For bidders that read one size only.
    shapes.extend(
        BANNER_SIZES
            .iter()
            .map(|(w, h)| json!({"banner": {"w": w, "h": h, "pos": 1}})),
    );
    shapes
}

fn video((w, h): (u32, u32)) -> Value {
    json!({
        "mimes": ["video/mp4", "video/webm"], "minduration": 1, "maxduration": 60, "startdelay": 0,
        "protocols": [2, 3, 5, 6, 7, 8, 11, 12, 13, 14], "w": w, "h": h, "plcmt": 1, "linearity": 1,
        "playbackmethod": [2], "delivery": [1, 2],
    })
}

fn audio() -> Value {
    json!({
        "mimes": ["audio/mpeg", "audio/mp4", "audio/ogg"], "minduration": 1, "maxduration": 60, "startdelay": 0,
        "protocols": [2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14], "feed": 3,
    })
}

fn native(rich: bool) -> Value {
    json!({"request": native_object(rich).to_string(), "ver": "1.2"})
}

fn site() -> Value {
    json!({"site": {
        "id": "certify-site", "domain": "news.example", "page": "https://news.example/story", "cat": ["IAB12"],
        "publisher": {"id": "certify-pub", "domain": "news.example"},
    }})
}

fn app() -> Value {
    json!({"app": {
        "id": "certify-app", "bundle": "example.news.app", "name": "News", "cat": ["IAB12"],
        "storeurl": "https://play.google.com/store/apps/details?id=example.news.app",
        "publisher": {"id": "certify-pub", "domain": "news.example"},
    }})
}

fn merge(into: &mut Value, from: &Value) {
    for (key, value) in from.as_object().into_iter().flatten() {
        into[key] = value.clone();
    }
}
