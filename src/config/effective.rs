//! What a configuration comes to: every value after inheritance, in the accounting currency, for people and scripts.
//! Invariant: nothing secret is shown.

use super::line_item::POD_SLOTS;
use super::{Loaded, caps, fatigue, hours};
use crate::openrtb::WireFormat;
use crate::openrtb::price_crypto::PriceCodec;
use crate::store::campaigns::definition::{
    Ad, BidStrategy, Campaign, Creative, Discount, Flight, Hours, Kpi, KpiTarget, LineItem, Multiplier,
    PolicyRule, ProfileAmount, Reallocation, Relevance, Status, Targeting, Terms, WithoutId,
};
use crate::store::exchange::{AuctionType, Auth, Exchange, Required, Shading};
use crate::store::supply::Action;
use crate::telemetry::Finding;
use crate::units::{Limits, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// Prints one `path = value` a line; [`Effective::to_json`] is the same as a tree.
pub struct Effective<'a>(&'a Loaded);

pub fn effective(loaded: &Loaded) -> Effective<'_> {
    Effective(loaded)
}

impl Effective<'_> {
    pub fn to_json(&self) -> Value {
        let Loaded {
            settings,
            definitions,
            exchanges,
            rates,
            models,
            ..
        } = self.0;
        let by_id = |values: Vec<(String, Value)>| Value::Object(values.into_iter().collect());
        json!({
            "server": {
                "listen": settings.listen.to_string(),
                "admin": settings.admin.to_string(),
                "admin_token": settings.admin_token.is_some(),
                "public_url": settings.public_url,
                "workers": settings.workers,
                "node": settings.node,
                "data": settings.data.display().to_string(),
                "currency": rates.accounting.as_str(),
                "rates_of": instant(rates.at),
                "time_zone": self.0.default_time_zone.iana_name().unwrap_or("UTC"),
                "candidates": settings.limits.candidates,
            },
            "models": { "bid": models.bid.to_string(), "recommend": models.recommend.as_ref().map(ToString::to_string) },
            "exchange": by_id(exchanges.iter().map(|e| (e.name.clone(), exchange(e))).collect()),
            "campaign": by_id(definitions.campaigns.iter().map(|c| (c.id.clone(), self.campaign(c))).collect()),
            "creative": by_id(definitions.creatives.iter().map(|c| (c.id.clone(), self.creative(c))).collect()),
            "do_not_disturb": definitions.do_not_disturb.map(hours::show),
            "policy": by_id(definitions.policy.iter().map(|r| (r.id.clone(), rule(r))).collect()),
        })
    }

    fn campaign(&self, campaign: &Campaign) -> Value {
        let line_items: Map<String, Value> = campaign
            .line_items
            .iter()
            .map(|item| (item.id.clone(), line_item(item)))
            .collect();
        let advertiser = &self.0.definitions.advertisers[campaign.advertiser];
        compact(json!({
            "name": campaign.name,
            "advertiser": advertiser.id,
            "time_zone": advertiser.time_zone,
            "advertiser_status": status(advertiser.status),
            "do_not_disturb": advertiser.do_not_disturb.map(hours::show),
            "status": status(campaign.status),
            "budget": limits(&campaign.budget),
            "pacing": campaign.pacing.name(),
            "exploration": campaign.exploration,
            "reallocation": campaign.reallocation.as_ref().map(reallocation),
            "flight": flight(campaign.flight),
            "line_item": line_items,
        }))
    }

    fn creative(&self, creative: &Creative) -> Value {
        let format = match &creative.ad {
            Ad::Banner(banner) => format!("banner {}x{}", banner.w, banner.h),
            Ad::Video(ad) => {
                let (w, h) = ad.size.unwrap_or_default();
                format!("video {w}x{h} {}s", ad.duration_s)
            }
            Ad::Audio(ad) => format!("audio {}s", ad.duration_s),
            Ad::Native(_) => "native".to_owned(),
        };
        compact(json!({
            "advertiser": self.0.definitions.advertisers[creative.advertiser].id,
            "format": format,
            "status": status(creative.status),
            "groups": creative.groups,
            "domains": creative.domains,
            "categories": creative.categories,
            "attributes": creative.attributes,
            "apis": creative.apis,
            "languages": creative.languages,
            "landing_url": creative.landing_url,
            "valid": flight(creative.valid),
        }))
    }
}

impl fmt::Display for Effective<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_lines(f, "", &self.to_json())
    }
}

fn write_lines(f: &mut fmt::Formatter<'_>, path: &str, value: &Value) -> fmt::Result {
    let Value::Object(entries) = value else {
        return writeln!(f, "{path} = {value}");
    };
    for (key, value) in entries {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        write_lines(f, &path, value)?;
    }
    Ok(())
}

fn exchange(exchange: &Exchange) -> Value {
    compact(json!({
        "auth": match &exchange.auth {
            Auth::None => "none",
            Auth::Bearer(_) => "bearer",
            Auth::Header { name, .. } => name,
        },
        "seat": exchange.seat,
        "seats": exchange.seats.iter().cloned().collect::<BTreeMap<_, _>>(),
        "auction": match exchange.auction.always {
            None => "as-sent",
            Some(AuctionType::FirstPrice) => "first",
            Some(AuctionType::SecondPrice) => "second",
        },
        "public_url": exchange.public_url,
        "health": exchange.health,
        "require": Required::NAMES
            .iter()
            .filter(|(_, field)| exchange.require.contains(field))
            .map(|(name, _)| *name)
            .collect::<Vec<_>>(),
        "currency": exchange.currency.as_str(),
        "format": exchange.format.map_or("any", WireFormat::name),
        "network_allowance_ms": exchange.network_allowance_ms,
        "default_tmax_ms": exchange.default_tmax_ms,
        "billable": format!("{:?}", exchange.billable).to_lowercase(),
        "billable_video": format!("{:?}", exchange.billable_video).to_lowercase(),
        "imps_max": exchange.imps_max,
        "bids": {
            "per_imp": exchange.bids.per_imp,
            "per_deal": exchange.bids.per_deal,
            "open": exchange.bids.open,
        },
        "qps_max": exchange.qps_max,
        "shading": match exchange.shading {
            Shading::Off => "off",
            Shading::Learn => "learn",
        },
        "win_hold_s": exchange.win_hold_s,
        "learn_win_hold": exchange.learn_win_hold,
        "price_encoding": match exchange.price_codec {
            PriceCodec::Plain => "plain",
            PriceCodec::Base64 => "base64",
            PriceCodec::Adx(_) => "adx",
        },
        "supply": findings(&Finding::SUPPLY, |finding| exchange.supply.action(finding)),
        "traffic": findings(&Finding::TRAFFIC, |finding| exchange.traffic.action(finding)),
    }))
}

/// What comes of each finding.
fn findings(all: &[Finding], action: impl Fn(Finding) -> Action) -> Value {
    let word = |finding| match action(finding) {
        Action::Off => "ignore",
        Action::Count => "count",
        Action::Refuse => "refuse",
    };
    let entries = all
        .iter()
        .map(|finding| (finding.name().to_owned(), word(*finding).into()));
    Value::Object(entries.collect())
}

fn reallocation(rules: &Reallocation) -> Value {
    compact(json!({
        "every_s": rules.every_s,
        "event": rules.event,
        "conversions_min": rules.conversions_min,
        "cac_max": rules.cac_max.map(|cost| cost.to_string()),
        "approve_above": rules.approve_above,
        "ltv_by_cost": rules.ltv.as_ref().map(|rule| json!({
            "ltv": rule.ltv.map(|ltv| ltv.to_string()),
            "more_over": rule.more_over,
            "less_under": rule.less_under,
            "step": rule.step,
        })),
        "roi": rules.roi.as_ref().map(|rule| json!({
            "more_over": rule.more_over,
            "step": rule.step,
            "target": rule.target,
        })),
        "retention": rules.retention.as_ref().map(|rule| json!({
            "event": rule.event,
            "floor": rule.floor,
            "ctr_over": rule.ctr_over,
            "step": rule.step,
        })),
        "pause_s": rules.pause_s,
    }))
}

fn line_item(item: &LineItem) -> Value {
    compact(json!({
        "part_of": item.part_of,
        "status": status(item.status),
        "budget": limits(&item.budget),
        "pacing": item.pacing.name(),
        "flight": flight(item.flight),
        "bid": bid(&item.bid),
        "ltv": item.ltv.default.map(|value| value.to_string()),
        "ltv_from": item.ltv.from.map(ProfileAmount::name),
        "kpi": item.kpi.as_ref().map(kpi),
        "relevance": (item.relevance != Relevance::default()).then(|| json!({
            "ctr": item.relevance.click.get(),
            "cvr": item.relevance.conversion_given_click.get(),
        })),
        "max_bid": item.max_bid.map(|cpm| cpm.to_string()),
        "multiplier": item.multipliers.iter().map(multiplier).collect::<Vec<_>>(),
        "caps": item.caps.iter().map(caps::show).collect::<Vec<_>>(),
        "suppress_buyers": item.suppressions.iter().map(fatigue::show_suppression).collect::<Vec<_>>(),
        "back_off": item.back_off.map(fatigue::show_back_off),
        "without_id": match item.without_id { WithoutId::Bid => "bid", WithoutId::NoBid => "no_bid" },
        "creatives": item.creatives,
        "deal_goal": if item.deliver_deals { "deliver" } else { "value" },
        "open_beside_deals": item.open_beside_deals,
        "roadblock": item.roadblock,
        "slot_in_pod": item.slot_in_pod.and_then(|own| POD_SLOTS.iter().find(|(_, slot)| *slot == own)).map(|(name, _)| *name),
        "targeting": targeting(&item.targeting),
    }))
}

fn bid(bid: &BidStrategy) -> Value {
    match bid {
        BidStrategy::Cpm(cpm) => json!({ "cpm": cpm.to_string() }),
        BidStrategy::Cpc(value) => json!({ "cpc": value.to_string() }),
        BidStrategy::MaxClicks(value) => json!({ "max_clicks": value.to_string() }),
        BidStrategy::Cpa {
            event,
            value,
            weights,
            discount,
        } => compact(json!({
            "cpa": value.to_string(),
            "event": event,
            "weights": weights.map(|w| json!({ "cac": milli(w.cac_milli), "ltv": milli(w.ltv_milli) })),
            "discount": discount.map(later),
        })),
        BidStrategy::Roas {
            event,
            ratio_milli,
            order_value,
            discount,
        } => compact(json!({
            "roas": milli(*ratio_milli),
            "event": event,
            "order_value": order_value.to_string(),
            "discount": discount.map(later),
        })),
    }
}

fn kpi(kpi: &Kpi) -> Value {
    let mut value = match &kpi.target {
        KpiTarget::Cpc(cost) => json!({ "cpc": cost.to_string() }),
        KpiTarget::Cpa { event, cost } => json!({ "cpa": cost.to_string(), "event": event }),
        KpiTarget::Roas {
            event,
            ratio_milli,
            order_value,
        } => json!({ "roas": milli(*ratio_milli), "event": event, "order_value": order_value.to_string() }),
    };
    value["bounds"] = json!(kpi.bounds_milli.map(milli));
    value
}

fn later(discount: Discount) -> Value {
    json!({
        "half_life": format!("{}s", discount.half_life_s),
        "delay": format!("{}s", discount.delay_s),
        "learn_delay": discount.learns,
    })
}

fn milli(thousandths: u32) -> f64 {
    f64::from(thousandths) / 1000.0
}

fn multiplier(multiplier: &Multiplier) -> Value {
    json!({ "factor": milli(multiplier.factor_milli), "when": targeting(&multiplier.when) })
}

fn rule(rule: &PolicyRule) -> Value {
    compact(json!({
        "categories": rule.categories,
        "attributes": rule.attributes,
        "below_age": rule.below_age,
        "unknown_age": if rule.unknown_age_matches { "refuse" } else { "allow" },
        "when": targeting(&rule.when),
    }))
}

/// The keys of the configuration again, without those that are not constrained.
fn targeting(t: &Targeting) -> Value {
    let mut keys = Map::new();
    put(&mut keys, "country", &t.country);
    put(&mut keys, "region", &t.region);
    put(&mut keys, "city", &t.city);
    put(&mut keys, "postcode", &t.postcode);
    put_with(
        &mut keys,
        "radius",
        &t.radius,
        |c| json!({ "lat": c.lat, "lon": c.lon, "km": c.km }),
    );
    put(&mut keys, "device_type", &t.device_type);
    put(&mut keys, "make", &t.make);
    put(&mut keys, "model", &t.model);
    put(&mut keys, "os", &t.os);
    keys.insert(
        "os_version".into(),
        json!({ "min": t.os_version.min, "max": t.os_version.max }),
    );
    put(&mut keys, "browser", &t.browser);
    put(&mut keys, "language", &t.language);
    put(&mut keys, "connection", &t.connection);
    put(&mut keys, "carrier", &t.carrier);
    if t.hours != Hours(None) {
        keys.insert("hours".into(), json!(hours::show(t.hours)));
    }
    put(&mut keys, "exchange", &t.exchange);
    put(&mut keys, "channel", &t.channel);
    put(&mut keys, "site", &t.site);
    put(&mut keys, "app", &t.app);
    put(&mut keys, "bundle", &t.bundle);
    put(&mut keys, "dooh", &t.dooh);
    put(&mut keys, "venue", &t.venue);
    put(&mut keys, "publisher", &t.publisher);
    put(&mut keys, "placement", &t.placement);
    put(&mut keys, "category", &t.category);
    put(&mut keys, "keyword", &t.keyword);
    put(&mut keys, "position", &t.position);
    keys.insert("instl".into(), json!(t.instl));
    keys.insert("rewarded".into(), json!(t.rewarded));
    put(&mut keys, "video_placement", &t.video_placement);
    put(&mut keys, "audio_feed", &t.audio_feed);
    put(&mut keys, "deal", &t.deal);
    put_with(&mut keys, "ip", &t.ip, |range| {
        json!(format!("{}-{}", range.first, range.last))
    });
    put(&mut keys, "signal", &t.signal);
    keys.insert(
        "audience".into(),
        json!(t.audience.as_ref().map(ToString::to_string)),
    );
    compact(Value::Object(keys))
}

fn put<T: Clone + Into<Value>>(keys: &mut Map<String, Value>, key: &str, terms: &Terms<T>) {
    put_with(keys, key, terms, |value| value.clone().into());
}

fn put_with<T>(keys: &mut Map<String, Value>, key: &str, terms: &Terms<T>, show: impl Fn(&T) -> Value) {
    keys.insert(key.to_owned(), terms.include.iter().map(&show).collect());
    keys.insert(format!("not_{key}"), terms.exclude.iter().map(&show).collect());
}

fn limits(limits: &Limits) -> Value {
    let shown = |limit: Option<_>| limit.map(|nanos: crate::units::Nanos| nanos.to_string());
    compact(json!({
        "hourly": shown(limits.hourly), "daily": shown(limits.daily), "lifetime": shown(limits.lifetime),
    }))
}

fn flight(flight: Flight) -> Value {
    compact(json!({ "from": flight.from.map(instant), "until": flight.until.map(instant) }))
}

fn instant(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |instant| instant.to_string())
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Active => "active",
        Status::Paused => "paused",
        Status::Ended => "ended",
    }
}

/// Without nulls, empty lists and empty tables.
fn compact(value: Value) -> Value {
    let Value::Object(entries) = value else {
        return value;
    };
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(entries) => entries.values().all(Value::is_null),
        _ => false,
    };
    Value::Object(entries.into_iter().filter(|(_, value)| !empty(value)).collect())
}
