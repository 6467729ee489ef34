//! The rules of campaigns, played on what their sources brought: for the control thread, about once a minute.

use super::{Live, Snapshot};
use crate::allocation::{LtvRule, RetentionRule, RoiRule, Rules, Source, Sums, WeightView};
use crate::store::campaigns::definition::Reallocation;
use crate::units::{ObjectId, Timestamp};
use std::collections::HashMap;

/// Judges the slices of every campaign whose time has come; returns what has changed, by campaign.
pub fn reallocate(snapshot: &Snapshot, live: &Live, now: Timestamp) -> Vec<(ObjectId, WeightView)> {
    let campaigns = &snapshot.campaigns;
    let with_rules: Vec<_> = campaigns
        .campaigns()
        .iter()
        .filter_map(|campaign| Some((campaign, campaign.definition.reallocation.as_ref()?)))
        .collect();
    if with_rules.is_empty() {
        return Vec::new();
    }
    let campaign_of: HashMap<ObjectId, ObjectId> = campaigns
        .line_items()
        .iter()
        .map(|item| (item.counted_as, campaigns.campaigns()[item.campaign].id))
        .collect();
    let mut sources: HashMap<ObjectId, Vec<(Source, Sums)>> = HashMap::new();
    for (source, sums) in live.allocation.sources.all(now) {
        if let Some(campaign) = campaign_of.get(&source.line_item) {
            sources.entry(*campaign).or_default().push((source, sums));
        }
    }
    let review = |(campaign, definition): (&crate::store::campaigns::Campaign, &Reallocation)| {
        let of_campaign = sources.get(&campaign.id).map_or(&[][..], Vec::as_slice);
        let changed = live
            .allocation
            .weights
            .review(campaign.id, &rules(definition), of_campaign, now);
        let rests = changed.iter().filter(|view| view.rests_until.is_some());
        rests.for_each(|view| live.allocation.sources.forget(view.slice));
        changed
            .into_iter()
            .map(|view| (campaign.id, view))
            .collect::<Vec<_>>()
    };
    with_rules.into_iter().flat_map(review).collect()
}

fn rules(definition: &Reallocation) -> Rules {
    Rules {
        every_ms: i64::from(definition.every_s) * 1000,
        event: ObjectId::of(&definition.event),
        conversions_min: definition.conversions_min.into(),
        cac_max: definition.cac_max,
        approve_above: definition.approve_above,
        ltv: definition.ltv.as_ref().map(|rule| LtvRule {
            ltv: rule.ltv,
            more_over: rule.more_over,
            less_under: rule.less_under,
            step: rule.step,
        }),
        roi: definition.roi.as_ref().map(|rule| RoiRule {
            more_over: rule.more_over,
            step: rule.step,
            target: rule.target,
        }),
        retention: definition.retention.as_ref().map(|rule| RetentionRule {
            event: ObjectId::of(&rule.event),
            floor: rule.floor,
            ctr_over: rule.ctr_over,
            step: rule.step,
        }),
        pause_ms: i64::from(definition.pause_s) * 1000,
    }
}
