//! Makes recorded requests into requests of today: users that the store knows, floors, first price, https, deals.
//!
//! Invariant: what is changed follows from the seed and the number of the request, so a run can be repeated.

use serde_json::{Map, Value, json};
use world::{Random, Stream};

/// Shares of requests or imps, each 0 to 1; `None` leaves them as they are, or as the world makes them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shares {
    /// Requests whose user is known.
    pub known: Option<f64>,
    /// Imps with a floor.
    pub floor: Option<f64>,
    /// Requests with a first-price auction.
    pub first_price: Option<f64>,
    /// Imps that want https.
    pub secure: Option<f64>,
    /// Imps with a deal.
    pub deal: Option<f64>,
}

impl Shares {
    /// What `--users` does where nothing else is said; half of the floors and of the first prices make both sides of
    /// every rule common.
    pub const KNOWN: f64 = 0.75;
    pub const FLOOR: f64 = 0.5;
    pub const FIRST_PRICE: f64 = 0.5;
    /// A bidder at a plain http address must not answer imps that want https.
    pub const SECURE: f64 = 0.0;
    pub const DEAL: f64 = 0.08;

    /// The defaults of `--users` for what was not given.
    pub fn or_defaults(self) -> Shares {
        Shares {
            known: self.known.or(Some(Shares::KNOWN)),
            floor: self.floor.or(Some(Shares::FLOOR)),
            first_price: self.first_price.or(Some(Shares::FIRST_PRICE)),
            secure: self.secure.or(Some(Shares::SECURE)),
            deal: self.deal.or(Some(Shares::DEAL)),
        }
    }
}

/// Ids that the bidder's store knows.
#[derive(Clone, Debug, Default)]
pub struct Users(Vec<String>);

impl Users {
    /// One id a line, or one object of the store's input a line, of which `ids.buyeruid` is taken.
    ///
    /// # Errors
    /// With the line that is neither.
    pub fn parse(lines: &[String], place: &str) -> Result<Users, String> {
        let ids: Result<Vec<String>, String> = lines
            .iter()
            .enumerate()
            .map(|(at, line)| id_of(line.trim()).map_err(|error| format!("{place}:{}: {error}", at + 1)))
            .collect();
        let ids = ids?;
        if ids.is_empty() {
            Err(format!("{place}: no user in it; one id a line is wanted"))
        } else {
            Ok(Users(ids))
        }
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn id_of(line: &str) -> Result<String, String> {
    if !line.starts_with('{') {
        return Ok(line.to_string());
    }
    let profile: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let id = profile["ids"]["buyeruid"]
        .as_str()
        .ok_or("a profile needs ids.buyeruid, a text")?;
    Ok(id.to_string())
}

/// What is done to every request.
#[derive(Clone, Debug)]
pub struct Enrichment {
    pub seed: u64,
    pub users: Option<Users>,
    pub shares: Shares,
}

impl Enrichment {
    /// `request` is an object.
    pub fn apply(&self, request: &mut Value, number: u64) {
        let random = &mut Random::new(self.seed, Stream::Request, number);
        if let Some(users) = &self.users
            && random.chance(self.shares.known.unwrap_or(Shares::KNOWN))
        {
            let id = random.pick(&users.0).clone();
            object(&mut request["user"]).insert("buyeruid".into(), id.into());
        }
        if let Some(share) = self.shares.first_price {
            request["at"] = if random.chance(share) { 1 } else { 2 }.into();
        }
        for imp in request["imp"]
            .as_array_mut()
            .into_iter()
            .flatten()
            .filter(|imp| imp.is_object())
        {
            self.apply_to_imp(imp, random);
        }
    }

    fn apply_to_imp(&self, imp: &mut Value, random: &mut Random) {
        if self.shares.floor.is_some_and(|share| random.chance(share)) {
            imp["bidfloor"] = floor(imp, random).into();
            imp["bidfloorcur"] = "USD".into();
        }
        if let Some(share) = self.shares.secure {
            imp["secure"] = u32::from(random.chance(share)).into();
        }
        if self.shares.deal.is_some_and(|share| random.chance(share)) {
            let (id, floor, at) = *random.pick(&DEALS);
            let deal = json!({"id": id, "bidfloor": floor, "bidfloorcur": "USD", "at": at});
            imp["pmp"] = json!({"private_auction": 0, "deals": [deal]});
        }
    }
}

/// The deals of the world: their id, floor in USD CPM and kind of auction (3 = the floor is the agreed price).
const DEALS: [(&str, f64, u32); 3] = [
    ("deal-premium-1", 1.5, 1),
    ("deal-sports-2", 1.0, 2),
    ("deal-fixed-3", 2.0, 3),
];

/// Log-normal around what the format is usually asked for, to the cent of a CPM.
fn floor(imp: &Value, random: &mut Random) -> f64 {
    let scale = if imp["video"].is_object() {
        2.5
    } else if imp["native"].is_object() {
        0.5
    } else {
        0.3
    };
    let floor: f64 = scale * (0.5 * random.normal()).exp();
    (floor * 100.0).round().max(1.0) / 100.0
}

/// The object in a place, which becomes one if it is none.
fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("it is an object now")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_met_and_the_rest_is_left_alone() {
        let users = Users::parse(
            &["u-1".into(), r#"{"ids":{"buyeruid":"u-2","ifa":"x"}}"#.into()],
            "users",
        )
        .expect("two");
        let shares = Shares {
            secure: Some(0.25),
            ..Shares::default().or_defaults()
        };
        let enrichment = Enrichment {
            seed: 3,
            users: Some(users),
            shares,
        };
        let (mut known, mut first, mut floors, mut secure, mut deals) = (0, 0, 0, 0, 0);
        for number in 0..10_000 {
            let mut request =
                json!({"id": "r", "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}], "site": {"id": "s"}});
            enrichment.apply(&mut request, number);
            assert_eq!(request["site"], json!({"id": "s"}));
            known += u32::from(matches!(
                request["user"]["buyeruid"].as_str(),
                Some("u-1" | "u-2")
            ));
            first += u32::from(request["at"] == 1);
            let imp = &request["imp"][0];
            floors += u32::from(imp["bidfloor"].as_f64().is_some_and(|floor| floor > 0.0));
            secure += u32::from(imp["secure"] == 1);
            deals += u32::from(imp["pmp"]["deals"][0]["id"].is_string());
        }
        for (found, share) in [
            (known, 0.75),
            (first, 0.5),
            (floors, 0.5),
            (secure, 0.25),
            (deals, 0.08),
        ] {
            assert!(
                (f64::from(found) / 10_000.0 - share).abs() < 0.02,
                "{found} for {share}"
            );
        }
    }

    #[test]
    fn a_broken_line_of_users_is_named() {
        let lines = ["u-1".to_string(), r#"{"ids":{}}"#.to_string()];
        let error = Users::parse(&lines, "users.txt").expect_err("no buyeruid");
        assert!(error.starts_with("users.txt:2: "), "{error}");
    }
}
