//! What a request offers, as the exchange keeps it to judge the answer and to know who sits in front of the screen.
//!
//! Invariant: reading is lenient; what a request does not say restricts nothing.

use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};
use world::{Context, Format, Truth, World};

#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    pub imps: Vec<Imp>,
    /// 1 first price, else second price plus.
    pub at: u32,
    /// Allowed currencies; empty = all.
    pub currencies: Vec<String>,
    pub blocked_domains: Vec<String>,
    pub blocked_categories: Vec<String>,
    /// Index of the person in the world.
    pub user: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Imp {
    pub id: String,
    pub banner: bool,
    pub video: bool,
    pub audio: bool,
    pub native: bool,
    /// Of banners; empty = any.
    pub sizes: Vec<(u64, u64)>,
    pub floor: f64,
    pub floor_currency: String,
    pub secure: bool,
    pub deals: Vec<Deal>,
    pub context: Context,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Deal {
    pub id: String,
    pub floor: f64,
    pub floor_currency: String,
    /// Of the deal, or else of the request.
    pub at: u32,
}

impl Offer {
    pub fn read(request: &Value, world: &World) -> Offer {
        let at = number(&request["at"]).unwrap_or(2.0) as u32;
        let imps = request["imp"].as_array().into_iter().flatten();
        Offer {
            imps: imps
                .map(|imp| Imp::read(imp, at, context(request, imp, world)))
                .collect(),
            at,
            currencies: texts(&request["cur"]),
            blocked_domains: texts(&request["badv"]),
            blocked_categories: texts(&request["bcat"]),
            user: user(request, world),
        }
    }

    /// The person and the circumstances that the world had in mind.
    pub fn with_truth(mut self, truth: &Truth) -> Offer {
        self.user = truth.user.index;
        for (imp, wanted) in self.imps.iter_mut().zip(&truth.imps) {
            imp.context = wanted.context;
        }
        self
    }
}

impl Imp {
    fn read(imp: &Value, at: u32, context: Context) -> Imp {
        let floor_currency = text(&imp["bidfloorcur"]).unwrap_or("USD").to_string();
        let deals = imp["pmp"]["deals"].as_array().into_iter().flatten();
        Imp {
            id: text(&imp["id"]).unwrap_or_default().to_string(),
            banner: imp["banner"].is_object(),
            video: imp["video"].is_object(),
            audio: imp["audio"].is_object(),
            native: imp["native"].is_object(),
            sizes: sizes(&imp["banner"]),
            floor: number(&imp["bidfloor"]).unwrap_or(0.0),
            secure: number(&imp["secure"]) == Some(1.0),
            deals: deals.map(|deal| Deal::read(deal, at)).collect(),
            floor_currency,
            context,
        }
    }

    pub fn deal(&self, id: &str) -> Option<&Deal> {
        self.deals.iter().find(|deal| deal.id == id)
    }
}

impl Deal {
    fn read(deal: &Value, at: u32) -> Deal {
        Deal {
            id: text(&deal["id"]).unwrap_or_default().to_string(),
            floor: number(&deal["bidfloor"]).unwrap_or(0.0),
            floor_currency: text(&deal["bidfloorcur"]).unwrap_or("USD").to_string(),
            at: number(&deal["at"]).map_or(at, |at| at as u32),
        }
    }
}

/// The sizes that a banner names; none where it names a ratio or a range, which any size may meet.
fn sizes(banner: &Value) -> Vec<(u64, u64)> {
    let formats = banner["format"].as_array().map(Vec::as_slice).unwrap_or_default();
    if formats.iter().any(|format| number(&format["wratio"]).is_some()) || number(&banner["wmax"]).is_some() {
        return Vec::new();
    }
    let all = formats.iter().chain([banner]);
    all.filter_map(|size| Some((number(&size["w"])? as u64, number(&size["h"])? as u64)))
        .collect()
}

/// A user of the world by `buyeruid`; anybody else is a stranger, the same for the same id.
fn user(request: &Value, world: &World) -> u64 {
    let buyeruid = text(&request["user"]["buyeruid"]);
    let known = buyeruid.and_then(|id| id.strip_prefix("u-")?.parse().ok());
    known
        .filter(|index| *index < world.population())
        .unwrap_or_else(|| {
            let ids = [
                buyeruid,
                text(&request["user"]["id"]),
                text(&request["device"]["ifa"]),
                text(&request["id"]),
            ];
            let id = ids.into_iter().flatten().next().unwrap_or_default();
            world.population() + hash(id) % (10 * world.population())
        })
}

/// Stands in for the circumstances of a request that the world did not make: a place of the world for each site or app.
fn context(request: &Value, imp: &Value, world: &World) -> Context {
    let place = [&request["site"], &request["app"], &request["dooh"]];
    let name = place.iter().find_map(|place| {
        text(&place["domain"])
            .or(text(&place["bundle"]))
            .or(text(&place["id"]))
    });
    let property = world
        .properties()
        .get((hash(name.unwrap_or_default()) % world::PROPERTIES as u64) as u16);
    let time_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_millis() as i64);
    let offset_min = number(&request["device"]["geo"]["utcoffset"]).unwrap_or(0.0) as i64;
    let local_hours = (time_ms + offset_min * 60_000).div_euclid(3_600_000);
    let position = ["banner", "video"]
        .iter()
        .find_map(|format| number(&imp[*format]["pos"]));
    Context {
        time_ms,
        local_hour: local_hours.rem_euclid(24) as u8,
        // 1970-01-01 was a Thursday.
        weekday: (local_hours.div_euclid(24) + 3).rem_euclid(7) as u8,
        property: property.index,
        topic: property.topic,
        second_topic: property.second_topic,
        position: position.unwrap_or(0.0) as u8,
        device_kind: number(&request["device"]["devicetype"]).unwrap_or(2.0) as u8,
        quality: property.quality,
        value: property.value,
        viewability: property.viewability,
    }
}

/// What an imp wants most, for the rivals.
pub fn main_format(imp: &Imp) -> Format {
    match (imp.video || imp.audio, imp.native) {
        (true, _) => Format::Video,
        (false, true) if !imp.banner => Format::Native,
        _ => Format::Banner,
    }
}

fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

fn texts(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|text| Some(text.as_str()?.to_string()))
        .collect()
}

/// A number, also where it is written as a text.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

/// FNV-1a, 64 bits.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_offer_says_what_the_request_says() {
        let world = World::new(1);
        let offer = Offer::read(
            &json!({"id": "r", "at": 1, "cur": ["USD"], "badv": ["x.example"], "user": {"buyeruid": "u-000042"},
                "imp": [{"id": "1", "banner": {"w": 300, "h": 250, "format": [{"w": "728", "h": 90}]}, "bidfloor": "0.5",
                    "secure": 1, "pmp": {"deals": [{"id": "d", "bidfloor": 2, "at": 3}, {"id": "e"}]}},
                    {"id": "2", "native": {}}]}),
            &world,
        );
        assert_eq!((offer.at, offer.user, offer.imps.len()), (1, 42, 2));
        let imp = &offer.imps[0];
        assert_eq!(imp.sizes, [(728, 90), (300, 250)]);
        assert_eq!(
            (imp.floor, imp.secure, imp.banner, imp.video),
            (0.5, true, true, false)
        );
        assert_eq!(imp.deal("d").map(|deal| (deal.floor, deal.at)), Some((2.0, 3)));
        assert_eq!(imp.deal("e").map(|deal| (deal.floor, deal.at)), Some((0.0, 1)));
        assert_eq!(main_format(&offer.imps[1]), Format::Native);
    }

    #[test]
    fn strangers_are_outside_of_the_population_and_stay_the_same() {
        let world = World::new(1);
        let read = |id: &str| Offer::read(&json!({"user": {"id": id}}), &world).user;
        assert!(read("a") >= world.population());
        assert_eq!(read("a"), read("a"));
        assert_ne!(read("a"), read("b"));
    }
}
