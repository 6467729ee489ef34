//! Definitions become records: references resolved, line items ordered, the last guard against what cannot work.

use super::compiled::{Advertiser, ById, Campaign, Campaigns, Creative, Format, LineItem};
use super::definition::{self, BidStrategy, Definitions, Status, Targeting};
use super::index::Index;
use super::policy::Policy;
use super::signal::Signals;
use super::version::Version;
use crate::units::{AccountId, Cpm, Nanos, ObjectId};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use xxhash_rust::xxh3::Xxh3;

/// One click in 1,000 impressions: the middle of what display ads see, for ordering only.
const PRIOR_IMPRESSIONS_PER_CLICK: i64 = 1_000;
/// One conversion in 10,000 impressions: a click in 1,000 and a conversion in ten clicks, for ordering only.
const PRIOR_IMPRESSIONS_PER_CONVERSION: i64 = 10_000;

pub(super) fn compile(definitions: Definitions) -> Result<Campaigns, Vec<String>> {
    let mut problems = check(&definitions);
    let Definitions {
        advertisers,
        campaigns,
        creatives,
        policy,
        do_not_disturb,
        signals,
    } = definitions;
    if !problems.is_empty() {
        return Err(problems);
    }
    let policy = Policy::new(policy);
    let advertisers: Vec<_> = advertisers.into_iter().map(compile_advertiser).collect();
    let creatives: Vec<_> = creatives
        .into_iter()
        .map(|creative| compile_creative(creative, &policy))
        .collect();
    let mut by_id = ById {
        creatives: positions(creatives.iter().map(|c| c.id)),
        ..ById::default()
    };
    let (mut campaigns, mut line_items) = (compile_campaigns(campaigns), Vec::new());
    for (position, campaign) in campaigns.iter_mut().enumerate() {
        let serving = is_active(campaign.definition.status, &advertisers[campaign.advertiser]);
        for item in std::mem::take(&mut campaign.definition.line_items) {
            line_items.push(compile_line_item(
                item,
                position,
                campaign,
                serving,
                &creatives,
                &by_id,
                &mut problems,
            ));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    line_items.sort_by(|a, b| {
        b.prior
            .cmp(&a.prior)
            .then_with(|| a.definition.id.cmp(&b.definition.id))
    });
    for (position, item) in (0..).zip(&line_items) {
        campaigns[item.campaign].line_items.push(position);
    }
    by_id.campaigns = positions(campaigns.iter().map(|c| c.id));
    by_id.line_items = positions(line_items.iter().map(|item| item.id));
    let index = Index::build(&line_items);
    let signals = Signals::compile(&signals);
    Ok(Campaigns {
        advertisers,
        campaigns,
        line_items,
        creatives,
        policy,
        do_not_disturb,
        signals,
        index,
        by_id,
    })
}

/// What an impression is worth before anything is known of it: the CPM, or the goal's value at a default rate,
/// never above `max_bid`.
pub(super) fn prior(item: &definition::LineItem) -> Cpm {
    let per_mille = |value: Nanos, impressions: i64| Cpm::from_value(Nanos(value.0 / impressions));
    let prior = match &item.bid {
        BidStrategy::Cpm(cpm) => *cpm,
        BidStrategy::Cpc(value) | BidStrategy::MaxClicks(value) => {
            per_mille(*value, PRIOR_IMPRESSIONS_PER_CLICK)
        }
        BidStrategy::Cpa { .. } | BidStrategy::Roas { .. } => per_mille(
            item.bid.conversion_worth(item.ltv.of(None)),
            PRIOR_IMPRESSIONS_PER_CONVERSION,
        ),
    };
    item.max_bid.map_or(prior, |max| prior.min(max))
}

fn compile_advertiser(definition: definition::Advertiser) -> Advertiser {
    Advertiser {
        id: ObjectId::of(&definition.id),
        definition,
    }
}

/// AdCOM creative attribute "skip button". Whether a skippable video has one depends on the request (section 7.4).
const SKIP_BUTTON: u32 = 16;

fn compile_creative(mut definition: definition::Creative, policy: &Policy) -> Creative {
    if matches!(&definition.ad, definition::Ad::Video(ad) if ad.skip_after_s.is_some()) {
        definition
            .attributes
            .retain(|attribute| *attribute != SKIP_BUTTON);
    }
    Creative {
        id: ObjectId::of(&definition.id),
        advertiser: definition.advertiser,
        domains: definition
            .domains
            .iter()
            .map(|domain| domain.to_ascii_lowercase())
            .collect(),
        format: Format::of(&definition.ad),
        version: content_version(&definition),
        policy_rules: policy.concerning(&definition),
        definition,
    }
}

/// Everything but what is ours alone: status, dates and approvals.
fn content_version(creative: &definition::Creative) -> u64 {
    let mut hash = Xxh3::new();
    creative.ad.hash(&mut hash);
    creative.landing_url.hash(&mut hash);
    creative.domains.hash(&mut hash);
    creative.categories.hash(&mut hash);
    creative.cattax.hash(&mut hash);
    creative.attributes.hash(&mut hash);
    creative.apis.hash(&mut hash);
    creative.languages.hash(&mut hash);
    creative.bundle.hash(&mut hash);
    creative.ai_generated.hash(&mut hash);
    creative.image_url.hash(&mut hash);
    hash.finish()
}

fn compile_campaigns(definitions: Vec<definition::Campaign>) -> Vec<Campaign> {
    let compile = |definition: definition::Campaign| Campaign {
        id: ObjectId::of(&definition.id),
        account: AccountId::campaign(&definition.id),
        advertiser: definition.advertiser,
        line_items: Vec::new(),
        definition,
    };
    definitions.into_iter().map(compile).collect()
}

fn compile_line_item(
    definition: definition::LineItem,
    position: usize,
    campaign: &Campaign,
    parents_active: bool,
    all: &[Creative],
    by_id: &ById,
    problems: &mut Vec<String>,
) -> LineItem {
    let mut creatives = Vec::new();
    for id in &definition.creatives {
        match by_id
            .creatives
            .get(&ObjectId::of(id))
            .map(|&found| (found, &all[found as usize]))
        {
            Some((_, creative)) if creative.advertiser != campaign.advertiser => problems.push(format!(
                "line item `{}`: creative `{id}` belongs to another advertiser; name one of its own",
                definition.id
            )),
            Some((found, creative)) if creative.definition.status == Status::Active => creatives.push(found),
            Some(_) => {}
            None => problems.push(format!(
                "line item `{}`: creative `{id}` is not defined; define it or name another",
                definition.id
            )),
        }
    }
    let mut formats: Vec<Format> = creatives
        .iter()
        .map(|&creative| all[creative as usize].format)
        .collect();
    formats.sort_unstable();
    formats.dedup();
    let whole = definition.part_of.as_ref().unwrap_or(&definition.id);
    LineItem {
        id: ObjectId::of(&definition.id),
        account: AccountId::line_item(whole),
        counted_as: ObjectId::of(whole),
        campaign: position,
        advertiser: campaign.advertiser,
        serving: parents_active
            && definition.status == Status::Active
            && definition.in_stock
            && !creatives.is_empty(),
        creatives,
        formats,
        prior: prior(&definition),
        flight: campaign.definition.flight.intersection(definition.flight),
        definition,
    }
}

fn is_active(campaign: Status, advertiser: &Advertiser) -> bool {
    campaign == Status::Active && advertiser.definition.status == Status::Active
}

fn positions(ids: impl Iterator<Item = ObjectId>) -> HashMap<ObjectId, u32> {
    ids.zip(0..).collect()
}

/// Everything that can be seen before references are resolved.
fn check(definitions: &Definitions) -> Vec<String> {
    let mut problems = Vec::new();
    let line_items = || {
        definitions
            .campaigns
            .iter()
            .flat_map(|campaign| &campaign.line_items)
    };
    check_ids(
        "advertiser",
        definitions.advertisers.iter().map(|a| &a.id),
        &mut problems,
    );
    check_ids(
        "campaign",
        definitions.campaigns.iter().map(|c| &c.id),
        &mut problems,
    );
    check_ids("line item", line_items().map(|item| &item.id), &mut problems);
    check_ids(
        "creative",
        definitions.creatives.iter().map(|c| &c.id),
        &mut problems,
    );
    check_accounts(definitions, &mut problems);
    let owners = definitions
        .campaigns
        .iter()
        .map(|c| ("campaign", &c.id, c.advertiser));
    let owners = owners.chain(
        definitions
            .creatives
            .iter()
            .map(|c| ("creative", &c.id, c.advertiser)),
    );
    for (kind, id, _) in owners.filter(|(_, _, owner)| *owner >= definitions.advertisers.len()) {
        problems.push(format!(
            "{kind} `{id}`: its advertiser is not defined; name one that is"
        ));
    }
    definitions
        .campaigns
        .iter()
        .for_each(|campaign| check_parts(campaign, &mut problems));
    for item in line_items() {
        let name = format!("line item `{}`", item.id);
        check_targeting(&name, &item.targeting, &mut problems);
        for multiplier in &item.multipliers {
            check_targeting(&format!("{name}: multiplier"), &multiplier.when, &mut problems);
        }
    }
    for rule in &definitions.policy {
        check_targeting(&format!("policy rule `{}`", rule.id), &rule.when, &mut problems);
    }
    problems
}

fn check_ids<'a>(kind: &str, ids: impl Iterator<Item = &'a String>, problems: &mut Vec<String>) {
    check_unique(
        ids.map(|id| (ObjectId::of(id), format!("{kind} `{id}`"))),
        problems,
    );
}

fn check_accounts(definitions: &Definitions, problems: &mut Vec<String>) {
    let mut accounts = Vec::new();
    for campaign in &definitions.campaigns {
        accounts.push((
            AccountId::campaign(&campaign.id),
            format!("budget of campaign `{}`", campaign.id),
        ));
        for item in &campaign.line_items {
            accounts.push((
                AccountId::line_item(&item.id),
                format!("budget of line item `{}`", item.id),
            ));
        }
    }
    // An id that is there twice has been reported as such.
    accounts.sort();
    accounts.dedup();
    check_unique(accounts.into_iter(), problems);
}

/// A regional override shares the budget of a line item beside it.
fn check_parts(campaign: &definition::Campaign, problems: &mut Vec<String>) {
    let wholes = campaign.line_items.iter().filter(|item| item.part_of.is_none());
    let wholes: HashSet<_> = wholes.map(|item| &item.id).collect();
    for item in &campaign.line_items {
        if let Some(whole) = item.part_of.as_ref().filter(|whole| !wholes.contains(whole)) {
            problems.push(format!(
                "line item `{}`: it is part of `{whole}`, which is no line item of campaign `{}`; name one that is",
                item.id, campaign.id
            ));
        }
    }
}

fn check_unique<H: std::hash::Hash + Eq>(
    names: impl Iterator<Item = (H, String)>,
    problems: &mut Vec<String>,
) {
    let mut seen: HashMap<H, String> = HashMap::new();
    for (hash, name) in names {
        match seen.entry(hash) {
            Entry::Vacant(vacant) => {
                vacant.insert(name);
            }
            Entry::Occupied(first) if *first.get() == name => {
                problems.push(format!("{name} is defined twice; ids are unique"));
            }
            Entry::Occupied(first) => {
                problems.push(format!(
                    "{name} and {} share a hash; rename one of them",
                    first.get()
                ));
            }
        }
    }
}

fn check_targeting(owner: &str, targeting: &Targeting, problems: &mut Vec<String>) {
    let radius = &targeting.radius;
    for circle in radius
        .include
        .iter()
        .chain(&radius.exclude)
        .filter(|circle| !circle.is_valid())
    {
        problems.push(format!(
            "{owner}: radius {circle:?} is not on the globe; lat is -90..=90, lon -180..=180, km above 0"
        ));
    }
    let ip = &targeting.ip;
    for range in ip.include.iter().chain(&ip.exclude) {
        if !range.contains(range.first) || !range.contains(range.last) {
            problems.push(format!(
                "{owner}: {}..{} is no range; both ends are of one family, the first not above the last",
                range.first, range.last
            ));
        }
    }
    if targeting.hours.is_never() {
        problems.push(format!(
            "{owner}: hours name no hour of the week; name one or leave them out"
        ));
    }
    check_versions(owner, targeting, problems);
}

fn check_versions(owner: &str, targeting: &Targeting, problems: &mut Vec<String>) {
    let range = &targeting.os_version;
    for text in range
        .min
        .iter()
        .chain(&range.max)
        .filter(|text| Version::parse(text).is_none())
    {
        problems.push(format!(
            "{owner}: os version `{text}` is not a version; write numbers such as 16 or 10.15"
        ));
    }
    if let (Some(min), Some(max)) = (&range.min, &range.max)
        && Version::parse(min) > Version::parse_upper(max)
    {
        problems.push(format!(
            "{owner}: os version `{min}` is above `{max}`; the first is the lower one"
        ));
    }
}
