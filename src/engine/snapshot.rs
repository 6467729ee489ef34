//! The immutable world that one request sees: campaigns, markup, profiles, model, rates and exchanges, made whole
//! before it is shown, replaced whole on a reload.

use super::fatigue::{self, Fatigue};
use super::{ExchangeTerms, LineItemStats, Live, People};
use crate::allocation::Exploration;
use crate::caps::{CapLevel, CapObject};
use crate::creative::{self, Template};
use crate::pacing::{Account, AccountKind, Drive, Kpi, LearntDelay, PacePlan, Target};
use crate::store::campaigns::definition::{self, Ad, Definitions, KpiTarget};
use crate::store::campaigns::{Campaign, Campaigns, LineItem};
use crate::store::exchange::Exchange;
use crate::store::models::{CandidateInput, CandidateRow, Model};
use crate::store::rates::Rates;
use crate::store::supply::Supply;
use crate::store::traffic::Traffic;
use crate::units::{Cpm, Nanos, ObjectId, Timestamp};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a snapshot is made from.
pub struct Parts {
    pub definitions: Definitions,
    pub exchanges: Vec<Exchange>,
    pub rates: Rates,
    pub supply: Arc<Supply>,
    pub traffic: Arc<Traffic>,
    pub people: People,
    pub model: Arc<Model>,
    /// `NAME/VERSION`.
    pub model_name: String,
    /// Base of the URLs that go out with bids.
    pub public_url: String,
    /// Of the configuration's files: equal hashes, equal configuration.
    pub hash: u64,
}

pub struct Snapshot {
    pub campaigns: Campaigns,
    /// Parallel to [`Campaigns::creatives`].
    pub templates: Vec<Template>,
    /// Parallel to [`Campaigns::line_items`].
    pub ready: Vec<Ready>,
    pub rates: Rates,
    pub supply: Arc<Supply>,
    pub traffic: Arc<Traffic>,
    pub people: People,
    pub model: Arc<Model>,
    pub model_name: String,
    pub public_url: String,
    pub hash: u64,
    /// Parallel to [`Campaigns::advertisers`].
    zones: Vec<TimeZone>,
    exchanges: BTreeMap<String, ExchangeTerms>,
}

/// A line item with what the path needs of the parts that outlive snapshots.
pub struct Ready {
    pub account: Arc<Account>,
    pub campaign_account: Arc<Account>,
    pub stats: Arc<LineItemStats>,
    pub fatigue: Fatigue,
    /// One per creative: the ad as the model sees it.
    pub rows: Vec<CandidateRow>,
    pub roadblock: bool,
    /// Of its campaign.
    pub exploration: Arc<Exploration>,
}

impl Snapshot {
    /// Compiles everything and tells the budgets their limits. Nothing is refilled.
    ///
    /// # Errors
    /// What makes the parts unusable together.
    pub fn build(parts: Parts, live: &Live, now: Timestamp) -> Result<Snapshot, Vec<String>> {
        let campaigns = Campaigns::compile(parts.definitions)?;
        let templates: Vec<_> = campaigns
            .creatives()
            .iter()
            .map(|c| template(&c.definition))
            .collect();
        let problems: Vec<String> = campaigns
            .creatives()
            .iter()
            .zip(&templates)
            .flat_map(|(creative, template)| {
                let id = &creative.definition.id;
                template
                    .problems()
                    .into_iter()
                    .map(move |problem| format!("creative {id:?}: {problem}"))
            })
            .collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        let zones = zones(&campaigns)?;
        let ready = ready_all(&campaigns, &zones, &parts.model, live, now);
        let versions = campaigns.creatives().iter().map(|c| (c.id, c.version));
        live.approvals.set_versions(versions, now);
        live.caps.set_groups(members(&campaigns));
        live.caps
            .set_rules(ready.iter().flat_map(|ready| ready.fatigue.asks_for()));
        let hold_s = parts.exchanges.iter().map(|exchange| exchange.win_hold_s).max();
        live.budgets.want_hold(hold_s.unwrap_or(0));
        let exchanges = parts.exchanges.into_iter().map(|exchange| {
            let qps = live.qps(&exchange.name);
            let holds = live.budgets.hold_times().of(exchange.id);
            let requests = live.budgets.traffic().of(exchange.id);
            let terms = ExchangeTerms::new(
                exchange,
                qps,
                holds,
                requests,
                &parts.public_url,
                campaigns.advertisers(),
            );
            (terms.settings.name.clone(), terms)
        });
        let exchanges = exchanges.collect();
        Ok(Snapshot {
            exchanges,
            traffic: parts.traffic,
            public_url: parts.public_url,
            templates,
            ready,
            campaigns,
            rates: parts.rates,
            supply: parts.supply,
            people: parts.people,
            model: parts.model,
            model_name: parts.model_name,
            zones,
            hash: parts.hash,
        })
    }

    pub fn exchange(&self, name: &str) -> Option<&ExchangeTerms> {
        self.exchanges.get(name)
    }

    /// For what comes back with a token.
    pub fn exchange_by_id(&self, id: ObjectId) -> Option<&ExchangeTerms> {
        self.exchanges
            .values()
            .find(|exchange| exchange.settings.id == id)
    }

    /// By name.
    pub fn exchanges(&self) -> impl Iterator<Item = &ExchangeTerms> {
        self.exchanges.values()
    }

    /// The day of `at` in an advertiser's time zone, days since 1970.
    pub fn local_day(&self, advertiser: usize, at: Timestamp) -> u16 {
        let zone = &self.zones[advertiser];
        let seconds = at.0.div_euclid(1000) + i64::from(zone.to_offset(instant(at)).seconds());
        seconds.div_euclid(86_400).clamp(0, u16::MAX.into()) as u16
    }

    /// The share of an advertiser's day that is over at `now`, 0..1; days of 23 and 25 hours count as they are.
    pub fn day_gone(&self, advertiser: usize, now: Timestamp) -> f64 {
        let local = instant(now).to_zoned(self.zones[advertiser].clone());
        let (Ok(start), Ok(end)) = (
            local.start_of_day(),
            local.tomorrow().and_then(|next| next.start_of_day()),
        ) else {
            return 0.0;
        };
        let (start, end) = (
            start.timestamp().as_millisecond(),
            end.timestamp().as_millisecond(),
        );
        (now.0 - start) as f64 / (end - start) as f64
    }
}

/// A time that no calendar holds reads as 1970.
fn instant(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(at.0).unwrap_or_default()
}

impl Ready {
    /// A cheap look before work is put into a bid. The price is not known yet: a quarter of the prior must be there.
    pub fn has_free(&self, prior: Cpm, now: Timestamp) -> bool {
        let amount = Nanos(prior.per_impression().0 / 4);
        self.account.has_free(amount, now) & self.campaign_account.has_free(amount, now)
    }

    /// The tighter one of line item and campaign.
    pub fn drive(&self) -> Drive {
        self.account.drive_under(&self.campaign_account)
    }

    pub fn accounts(&self) -> [&Account; 2] {
        [&self.account, &self.campaign_account]
    }
}

/// Which creative is in which group.
fn members(campaigns: &Campaigns) -> impl Iterator<Item = (CapObject, CapObject)> + '_ {
    campaigns.creatives().iter().flat_map(|creative| {
        let own = CapObject::of(CapLevel::Creative, creative.id);
        let advertiser = campaigns.advertisers()[creative.advertiser].id;
        fatigue::groups(creative, advertiser).map(move |group| (own, group))
    })
}

fn zones(campaigns: &Campaigns) -> Result<Vec<TimeZone>, Vec<String>> {
    let zone =
        |name: &String| TimeZone::get(name).map_err(|error| vec![format!("time zone {name:?}: {error}")]);
    campaigns
        .advertisers()
        .iter()
        .map(|advertiser| zone(&advertiser.definition.time_zone))
        .collect()
}

fn ready_all(
    campaigns: &Campaigns,
    zones: &[TimeZone],
    model: &Model,
    live: &Live,
    now: Timestamp,
) -> Vec<Ready> {
    let accounts: Vec<_> = campaigns
        .campaigns()
        .iter()
        .map(|campaign| {
            let (name, zone) = (&campaign.definition.id, &zones[campaign.advertiser]);
            let account = live
                .budgets
                .account(campaign.account, name, AccountKind::Campaign, zone, now);
            account.set_limits(campaign.definition.budget, now);
            account.set_plan(pace_of_campaign(campaigns, campaign));
            let exploration = live.allocation.exploration(campaign.id);
            exploration.reserve(campaign.definition.exploration);
            account
        })
        .collect();
    let ready =
        |item: &LineItem| {
            let name = item.definition.part_of.as_ref().unwrap_or(&item.definition.id);
            let zone = &zones[item.advertiser];
            let account = live
                .budgets
                .account(item.account, name, AccountKind::LineItem, zone, now);
            account.set_limits(item.definition.budget, now);
            account.set_plan(pace_of(item));
            account.set_kpi(item.definition.kpi.as_ref().map(kpi_of), &accounts[item.campaign]);
            account.set_learnt_delay(item.definition.bid.learns_delay().map(|(event, discount)| {
                LearntDelay {
                    event: ObjectId::of(event),
                    half_life_s: discount.half_life_s,
                    delay_s: discount.delay_s,
                }
            }));
            ready_one(
                campaigns,
                item,
                model,
                live,
                account,
                accounts[item.campaign].clone(),
            )
        };
    campaigns.line_items().iter().map(ready).collect()
}

fn pace_of(item: &LineItem) -> PacePlan {
    let targeting = &item.definition.targeting;
    PacePlan {
        spread: item.definition.pacing,
        from: item.definition.flight.from,
        until: item.definition.flight.until,
        hours: targeting.hours.0,
        exchanges: targeting
            .exchange
            .include
            .iter()
            .map(|name| ObjectId::of(name))
            .collect(),
    }
}

fn kpi_of(kpi: &definition::Kpi) -> Kpi {
    let [least, most] = kpi.bounds_milli.map(|factor| f64::from(factor) / 1000.0);
    let target = match &kpi.target {
        KpiTarget::Cpc(cost) => Target::Cpc(*cost),
        KpiTarget::Cpa { event, cost } => Target::Cpa {
            event: ObjectId::of(event),
            cost: *cost,
        },
        KpiTarget::Roas {
            event,
            ratio_milli,
            order_value,
        } => Target::Roas {
            event: ObjectId::of(event),
            ratio: f64::from(*ratio_milli) / 1000.0,
            order_value: *order_value,
        },
    };
    Kpi { target, least, most }
}

/// Wherever and whenever one of its line items may buy.
fn pace_of_campaign(campaigns: &Campaigns, campaign: &Campaign) -> PacePlan {
    let items = campaign
        .line_items
        .iter()
        .map(|&item| &campaigns.line_items()[item as usize]);
    let plans: Vec<_> = items.filter(|item| item.serving).map(pace_of).collect();
    let union = |a: [u64; 3], b: [u64; 3]| std::array::from_fn(|word| a[word] | b[word]);
    let hours = plans
        .iter()
        .map(|plan| plan.hours)
        .reduce(|a, b| Some(union(a?, b?)));
    let anywhere = plans.iter().any(|plan| plan.exchanges.is_empty());
    let exchanges = plans
        .iter()
        .filter(|_| !anywhere)
        .flat_map(|plan| plan.exchanges.clone());
    PacePlan {
        spread: campaign.definition.pacing,
        from: campaign.definition.flight.from,
        until: campaign.definition.flight.until,
        hours: hours.flatten(),
        exchanges: exchanges.collect(),
    }
}

fn ready_one(
    campaigns: &Campaigns,
    item: &LineItem,
    model: &Model,
    live: &Live,
    account: Arc<Account>,
    campaign_account: Arc<Account>,
) -> Ready {
    let advertiser = &campaigns.advertisers()[item.advertiser];
    let campaign = &campaigns.campaigns()[item.campaign];
    let creatives = || {
        item.creatives
            .iter()
            .map(|&position| &campaigns.creatives()[position as usize])
    };
    let rows = creatives()
        .map(|creative| {
            let input = CandidateInput::of(
                &advertiser.definition,
                &campaign.definition,
                &item.definition,
                &creative.definition,
            );
            model.candidate_row(&input)
        })
        .collect();
    Ready {
        account,
        campaign_account,
        stats: live.stats(item.account),
        fatigue: Fatigue::compile(campaigns, item),
        rows,
        roadblock: item.definition.roadblock,
        exploration: live.allocation.exploration(campaign.id),
    }
}

/// The markup of a configured creative.
pub fn template(creative: &definition::Creative) -> Template {
    let landing_url = creative.landing_url.clone();
    let apis = creative.apis.clone();
    match &creative.ad {
        Ad::Banner(ad) => Template::banner(creative::BannerSpec {
            html: ad.html.clone(),
            w: ad.w,
            h: ad.h,
            btype: ad.btype,
            apis,
            expands: directions(creative, ad),
            landing_url,
        }),
        Ad::Video(ad) | Ad::Audio(ad) => Template::linear(creative::LinearSpec {
            creative_id: creative.id.clone(),
            title: ad.title.clone(),
            duration_s: ad.duration_s,
            size: ad.size,
            skip_after_s: ad.skip_after_s,
            media: ad.media.iter().map(media_file).collect(),
            companions: ad.companions.iter().map(companion).collect(),
            apis,
            landing_url,
        }),
        Ad::Native(ad) => Template::native(creative::NativeSpec {
            title: ad.title.clone(),
            images: ad.images.iter().map(native_image).collect(),
            data: ad.data.clone(),
            privacy_url: ad.privacy_url.clone(),
            impression_script: ad.impression_script.clone(),
            apis,
            landing_url,
        }),
    }
}

/// Into which directions a banner expands. One that expands and does not say where to could go anywhere.
fn directions(creative: &definition::Creative, ad: &definition::BannerAd) -> Vec<u32> {
    if ad.expands.is_empty() && creative.is_expandable() {
        return (1..=6).collect();
    }
    ad.expands.clone()
}

fn media_file(media: &definition::MediaFile) -> creative::MediaFile {
    creative::MediaFile {
        url: media.url.clone(),
        mime: media.mime.clone(),
        bitrate_kbps: media.bitrate_kbps,
        w: media.w,
        h: media.h,
    }
}

fn companion(companion: &definition::CompanionAd) -> creative::CompanionSpec {
    creative::CompanionSpec {
        w: companion.w,
        h: companion.h,
        attributes: companion.attributes.clone(),
        content: match companion.content.clone() {
            definition::CompanionContent::Image { url, mime } => {
                creative::CompanionContent::Image { url, mime }
            }
            definition::CompanionContent::Html { html, btype } => {
                creative::CompanionContent::Html { html, btype }
            }
        },
    }
}

fn native_image(image: &definition::NativeImage) -> creative::NativeImage {
    creative::NativeImage {
        kind: image.kind,
        url: image.url.clone(),
        w: image.w,
        h: image.h,
    }
}
