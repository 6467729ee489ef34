//! What is bid for and by whom: two campaigns whose goals and budgets are set so that they buy the share of the auctions that
//! the scenario asks for.
//!
//! Values come from the law of the world: its click and conversion probabilities are the predictions, so that what is
//! measured is the money and not the model.

use super::scenario::Scenario;
use crate::caps::{CapLevel, CapObject, CapRule};
use crate::engine::impression_worth;
use crate::pacing::AccountKind;
use crate::store::campaigns::definition::BidStrategy;
use crate::store::models::Score;
use crate::units::{AccountId, Cpm, Limits, Nanos, ObjectId, Probability, Timestamp};
use world::{Ad, Format, ImpTruth, KnownAd, Law, Mix, User, Visit, World, settle};

/// People of the world: each comes by twenty times in a day of 200,000 auctions.
const PEOPLE: u64 = 10_000;
/// Visits looked at before the goals are set, as a forecast would.
const FORECAST: u64 = 8_192;
/// Numbers of visits that are not part of the day.
const FORECAST_FROM: u64 = 1 << 40;
/// What is paid when the budget is spread over the day, as a part of what would be paid: room to bid more.
pub const PACED_TO: f64 = 0.5;
/// No bid is above what this share of the visits is worth: few of them would make all the spend.
const MAX_BID_AT: f64 = 0.95;
/// CPM that an impression through the deal is worth; it costs 2.
const DEAL_WORTH: f64 = 2.5;
/// Of a campaign's forecast spend that it may spend in an hour, where it has an hourly limit.
const HOURLY_OF_DAILY: f64 = 2.5 / 24.0;

pub struct Market {
    pub world: World,
    pub people: Vec<User>,
    /// Campaigns first, in the order of [`CAMPAIGNS`].
    pub accounts: Vec<AccountTerms>,
    pub items: Vec<Item>,
}

pub const CAMPAIGNS: [&str; 2] = ["shop", "brand"];

pub struct AccountTerms {
    pub id: AccountId,
    pub name: &'static str,
    pub kind: AccountKind,
    pub limits: Limits,
}

/// A line item.
pub struct Item {
    pub name: &'static str,
    pub line_item: ObjectId,
    pub campaign: ObjectId,
    /// Indexes of accounts.
    pub account: usize,
    pub campaign_account: usize,
    pub goal: BidStrategy,
    pub max_bid: Option<Cpm>,
    /// Buys the deal at a fixed price, and nothing else.
    pub deal: Option<&'static str>,
    pub caps: Vec<CapRule>,
    ads: Ads,
}

/// An advertiser's ad in each size and format of this world.
struct Ads {
    banners: Vec<((u32, u32), KnownAd)>,
    video: KnownAd,
    native: KnownAd,
}

/// A chance for one item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chance {
    pub value: Cpm,
    pub click: f64,
    pub conversion_given_click: f64,
}

const SIZES: [(u32, u32); 11] = [
    (300, 250),
    (728, 90),
    (160, 600),
    (336, 280),
    (468, 60),
    (120, 600),
    (250, 250),
    (200, 200),
    (320, 50),
    (300, 600),
    (970, 250),
];

/// What a line item is set up with.
struct ItemTerms {
    name: &'static str,
    campaign: usize,
    domain: &'static str,
    category: &'static str,
    /// Of its campaign's money, what it may spend in a day.
    share: f64,
    /// Impressions a day for each person.
    cap: Option<u16>,
    /// Of what the scenario wants to be won, what it would win alone: one value for all loses to those that know.
    alone: f64,
}

/// Line items of the market.
pub const ITEM_COUNT: usize = 4;

#[rustfmt::skip]
const ITEMS: [ItemTerms; ITEM_COUNT] = [
    ItemTerms { name: "shop-clicks", campaign: 0, domain: "fashion-shop.example", category: "IAB18", share: 0.8, cap: Some(20), alone: 1.0 },
    ItemTerms { name: "shop-buyers", campaign: 0, domain: "fashion-shop.example", category: "IAB18", share: 0.8, cap: None, alone: 1.0 },
    ItemTerms { name: "brand-reach", campaign: 1, domain: "car-maker.example", category: "IAB2", share: 0.9, cap: None, alone: 2.0 },
    ItemTerms { name: "brand-deal", campaign: 1, domain: "car-maker.example", category: "IAB2", share: 0.5, cap: None, alone: 1.0 },
];

const DAY_S: u32 = 86_400;
/// Nothing multiplies values here.
const FACTOR_MICROS: u32 = 1_000_000;
/// And nothing is discounted.
const KEPT_MICROS: u32 = 1_000_000;

impl Market {
    /// The market of a seed; `at` maps 0..1 to a time of the first day, as traffic is spread.
    pub fn new(scenario: &Scenario, seed: u64, at: impl Fn(f64) -> Timestamp) -> Market {
        let world = World::with(seed, PEOPLE, Mix::default());
        let people = world.people();
        let law = world.law();
        let mut market = Market {
            items: (0..ITEMS.len()).map(|place| Item::new(&law, place)).collect(),
            accounts: Vec::new(),
            world,
            people,
        };
        let mut forecast: Vec<Seen> = (0..FORECAST)
            .map(|n| market.see(FORECAST_FROM + n, at((n as f64 + 0.5) / FORECAST as f64)))
            .collect();
        let most = most(&mut forecast, market.items.len());
        let prices = Prices::for_win_rate(&market, &forecast, scenario.win_rate);
        for ((item, unit), most) in market.items.iter_mut().zip(prices.units).zip(most) {
            item.goal = item.goal_at(unit);
            if item.deal.is_none() {
                item.max_bid = Cpm::from_units(most * unit);
            }
        }
        let spend = prices.spend.map(|spend| spend * scenario.budget);
        market.accounts = accounts(&spend, f64::from(scenario.auctions_per_day), scenario.days);
        market
    }

    /// What `item` sees in a visit; `None` where it has no ad for it, or the visit is not for it.
    pub fn chance(&self, item: &Item, visit: &Visit) -> Option<Chance> {
        let ad = item.ads.fitting(&visit.imp)?;
        let (user, context) = (&self.people[visit.person], &visit.imp.context);
        let click = ad.click_probability(user, context, 0);
        let conversion_given_click = match item.goal {
            BidStrategy::Cpa { .. } => ad.conversion_given_click(user, context),
            _ => 0.0,
        };
        let likely = |p: f64| Probability::new(p as f32).unwrap_or_default();
        let score = Score {
            click: likely(click),
            conversion_given_click: likely(conversion_given_click),
        };
        let one = item.goal.worth(score, Nanos::ZERO, KEPT_MICROS);
        let value = impression_worth(one, FACTOR_MICROS, item.max_bid);
        Some(Chance {
            value,
            click,
            conversion_given_click,
        })
    }

    fn see(&self, number: u64, at: Timestamp) -> Seen {
        let visit = self.world.visit(number, at.0, &self.people);
        let rivals = self
            .world
            .rivals_on(number, 0, &self.people[visit.person], &visit.imp);
        let values = self.items.iter().map(|item| match item.deal {
            Some(_) => 0.0,
            None => self
                .chance(item, &visit)
                .map_or(0.0, |chance| chance.value.as_units()),
        });
        Seen {
            values: values.collect(),
            rivals,
            floor: visit.imp.floor,
            at: visit.at,
        }
    }
}

/// A visit of the forecast, with what each item would give for it at its unit goal.
struct Seen {
    values: Vec<f64>,
    rivals: world::Rivals,
    floor: f64,
    at: u32,
}

/// Cuts what each item would give where it is worth more than nearly everywhere else, and says to what.
fn most(forecast: &mut [Seen], items: usize) -> Vec<f64> {
    let of_item = |item: usize| {
        let mut values: Vec<f64> = forecast.iter().map(|seen| seen.values[item]).collect();
        values.sort_by(f64::total_cmp);
        values[(values.len() as f64 * MAX_BID_AT) as usize]
    };
    let most: Vec<f64> = (0..items).map(of_item).collect();
    for seen in forecast {
        seen.values
            .iter_mut()
            .zip(&most)
            .for_each(|(value, most)| *value = value.min(*most));
    }
    most
}

/// What a unit of each goal is worth, and what each campaign then spends in an auction.
struct Prices {
    units: Vec<f64>,
    spend: [f64; CAMPAIGNS.len()],
}

impl Prices {
    /// Goals of which [`PACED_TO`] wins `win_rate` of the auctions, each item as good as the others by itself.
    fn for_win_rate(market: &Market, forecast: &[Seen], win_rate: f64) -> Prices {
        let least = |seen: &Seen| {
            let rival = seen.rivals.highest().filter(|rival| *rival >= seen.floor);
            rival.map_or(seen.floor, |rival| rival + 0.01).max(0.01)
        };
        let alone = |item: usize| {
            let mut needed: Vec<f64> = forecast
                .iter()
                .filter(|seen| seen.values[item] > 0.0)
                .map(|seen| least(seen) / seen.values[item])
                .collect();
            needed.sort_by(f64::total_cmp);
            let share = win_rate * ITEMS[item].alone;
            let place = (needed.len() as f64 * share.min(0.95)) as usize;
            needed.get(place).copied().unwrap_or(1.0)
        };
        let bases: Vec<f64> = (0..market.items.len()).map(alone).collect();
        let best = |seen: &Seen, scale: f64| {
            let bids = bases
                .iter()
                .zip(&seen.values)
                .map(|(base, value)| scale * base * value);
            bids.enumerate().max_by(|a, b| a.1.total_cmp(&b.1))
        };
        let won = |scale: f64| {
            let wins = |seen: &&Seen| {
                best(seen, scale).is_some_and(|(_, bid)| settle(seen.at, seen.floor, bid, &seen.rivals).won)
            };
            forecast.iter().filter(wins).count() as f64 / forecast.len() as f64
        };
        // The scale is found to a millionth of the range.
        let (mut low, mut high) = (0.01, 100.0);
        for _ in 0..30 {
            let middle = f64::sqrt(low * high);
            if won(middle) < win_rate {
                low = middle
            } else {
                high = middle
            }
        }
        let mut spend = [0.0; CAMPAIGNS.len()];
        for seen in forecast {
            if let Some((item, bid)) = best(seen, high) {
                let outcome = settle(seen.at, seen.floor, bid, &seen.rivals);
                if outcome.won {
                    spend[market.items[item].campaign_account] +=
                        outcome.price / 1_000.0 / forecast.len() as f64;
                }
            }
        }
        Prices {
            units: market
                .items
                .iter()
                .zip(&bases)
                .map(|(item, base)| match item.deal {
                    Some(_) => DEAL_WORTH,
                    None => base * high / PACED_TO,
                })
                .collect(),
            spend,
        }
    }
}

/// `spend`: of each campaign in an auction.
fn accounts(spend: &[f64], auctions_per_day: f64, days: u32) -> Vec<AccountTerms> {
    let nanos = |units: f64| Nanos::from_units(units).unwrap_or(Nanos::ZERO);
    let daily = |campaign: usize| spend[campaign] * auctions_per_day;
    let campaigns = CAMPAIGNS.iter().enumerate().map(|(campaign, name)| AccountTerms {
        id: AccountId::campaign(name),
        name,
        kind: AccountKind::Campaign,
        limits: Limits {
            hourly: (campaign == 1).then(|| nanos(HOURLY_OF_DAILY * daily(campaign))),
            daily: Some(nanos(daily(campaign))),
            lifetime: Some(nanos(daily(campaign) * f64::from(days))),
        },
    });
    let items = ITEMS.iter().map(|terms| AccountTerms {
        id: AccountId::line_item(terms.name),
        name: terms.name,
        kind: AccountKind::LineItem,
        limits: Limits {
            daily: Some(nanos(terms.share * daily(terms.campaign))),
            ..Limits::default()
        },
    });
    campaigns.chain(items).collect()
}

impl Item {
    fn new(law: &Law, place: usize) -> Item {
        let ItemTerms {
            name,
            campaign,
            domain,
            category,
            cap,
            ..
        } = ITEMS[place];
        let line_item = ObjectId::of(name);
        Item {
            name,
            line_item,
            campaign: ObjectId::of(CAMPAIGNS[campaign]),
            account: CAMPAIGNS.len() + place,
            campaign_account: campaign,
            goal: match name {
                "shop-clicks" => BidStrategy::Cpc(Nanos(Nanos::PER_UNIT)),
                "shop-buyers" => BidStrategy::Cpa {
                    event: "purchase".to_owned(),
                    value: Nanos(Nanos::PER_UNIT),
                    weights: None,
                    discount: None,
                },
                _ => BidStrategy::Cpm(Cpm(1_000_000)),
            },
            max_bid: None,
            deal: (name == "brand-deal").then_some("deal-fixed-3"),
            caps: Vec::from_iter(cap.map(|impressions| CapRule {
                object: CapObject::of(CapLevel::LineItem, line_item),
                impressions,
                window_s: DAY_S,
            })),
            ads: Ads::new(law, domain, category),
        }
    }

    /// The same goal at `units` of what it counts.
    fn goal_at(&self, units: f64) -> BidStrategy {
        let nanos = Nanos::from_units(units).unwrap_or(Nanos::ZERO);
        let mut goal = self.goal.clone();
        match &mut goal {
            BidStrategy::Cpm(cpm) => *cpm = Cpm::from_units(units).unwrap_or(Cpm::ZERO),
            BidStrategy::Cpc(worth) | BidStrategy::MaxClicks(worth) => *worth = nanos,
            BidStrategy::Cpa { value, .. } => *value = nanos,
            BidStrategy::Roas { order_value, .. } => *order_value = nanos,
        }
        goal
    }
}

impl Ads {
    fn new(law: &Law, domain: &str, category: &str) -> Ads {
        let know = |format, (w, h)| {
            law.know(&Ad {
                domain,
                categories: &[category],
                w,
                h,
                format,
            })
        };
        Ads {
            banners: SIZES.map(|size| (size, know(Format::Banner, size))).to_vec(),
            video: know(Format::Video, (0, 0)),
            native: know(Format::Native, (0, 0)),
        }
    }

    fn fitting(&self, imp: &ImpTruth) -> Option<&KnownAd> {
        match imp.format {
            Format::Video => Some(&self.video),
            Format::Native => Some(&self.native),
            Format::Banner => {
                let size = imp.sizes.first()?;
                self.banners
                    .iter()
                    .find(|(known, _)| known == size)
                    .map(|(_, ad)| ad)
            }
        }
    }
}
