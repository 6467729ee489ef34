//! What keeps a line item from a person who has had enough of it: caps, what they bought, and that they never click.

use crate::caps::{BackOff, Buyers, CapLevel, CapObject, CapRule, Seen};
use crate::openrtb::category;
use crate::store::campaigns::definition::{self, Sellers, Suppression};
use crate::store::campaigns::expression::Expression;
use crate::store::campaigns::{Advertiser, Campaigns, Creative, LineItem};
use crate::store::profiles::Profile;
use crate::telemetry::Reason;
use crate::units::{ObjectId, Timestamp};

/// Of one line item, compiled when the snapshot is.
pub struct Fatigue {
    /// Of the line item and all above it.
    caps: Vec<Ladder>,
    /// Of each creative and its groups, parallel to `LineItem::creatives`.
    creative_caps: Vec<Vec<Ladder>>,
    buyers: Vec<Buyers>,
    back_off: Option<BackOff>,
    /// What an impression counts on, whatever its creative.
    counted: [CapObject; 3],
    /// The same of each creative, parallel to `LineItem::creatives`: itself, then its groups.
    counted_creatives: Vec<Vec<CapObject>>,
}

/// What is known of the user at the time of the request.
#[derive(Clone, Copy)]
pub struct Who<'a> {
    pub profile: Option<&'a Profile<'a>>,
    pub now: Timestamp,
}

/// Caps of one object and window: the first whose audience has the user counts.
struct Ladder {
    audiences: Vec<(Expression, CapRule)>,
    everybody: Option<CapRule>,
}

impl Ladder {
    fn rule(&self, who: Who<'_>) -> Option<CapRule> {
        let of = |(audience, rule): &(Expression, CapRule)| {
            audience.matches(who.profile, who.now).then_some(*rule)
        };
        self.audiences.iter().find_map(of).or(self.everybody)
    }

    fn all(&self) -> impl Iterator<Item = CapRule> + '_ {
        self.audiences.iter().map(|(_, rule)| *rule).chain(self.everybody)
    }
}

impl Fatigue {
    pub(super) fn compile(campaigns: &Campaigns, item: &LineItem) -> Fatigue {
        let advertiser = &campaigns.advertisers()[item.advertiser];
        let campaign = campaigns.campaigns()[item.campaign].id;
        let caps = &item.definition.caps;
        let above = |level: &definition::CapLevel| match level {
            definition::CapLevel::Advertiser => Some(CapObject::of(CapLevel::Advertiser, advertiser.id)),
            definition::CapLevel::Campaign => Some(CapObject::of(CapLevel::Campaign, campaign)),
            definition::CapLevel::LineItem => Some(CapObject::of(CapLevel::LineItem, item.counted_as)),
            definition::CapLevel::Creative | definition::CapLevel::Group(_) => None,
        };
        let creatives: Vec<&Creative> = item
            .creatives
            .iter()
            .map(|&position| &campaigns.creatives()[position as usize])
            .collect();
        let of_creative = |creative: &Creative| {
            ladders(caps, |level| match level {
                definition::CapLevel::Creative => Some(CapObject::of(CapLevel::Creative, creative.id)),
                definition::CapLevel::Group(name) => {
                    let is_in = creative.definition.groups.contains(name);
                    is_in.then(|| CapObject::group(advertiser.id, name))
                }
                _ => None,
            })
        };
        Fatigue {
            caps: ladders(caps, above),
            creative_caps: creatives.iter().map(|creative| of_creative(creative)).collect(),
            buyers: item
                .definition
                .suppressions
                .iter()
                .map(|suppression| buyers(suppression, advertiser, campaigns.advertisers()))
                .collect(),
            back_off: item.definition.back_off.map(|rule| BackOff {
                object: CapObject::unanswered(item.counted_as),
                after: rule.after,
                pause_s: rule.pause_s,
            }),
            counted: [
                CapObject::of(CapLevel::LineItem, item.counted_as),
                CapObject::of(CapLevel::Campaign, campaign),
                CapObject::of(CapLevel::Advertiser, advertiser.id),
            ],
            counted_creatives: creatives
                .iter()
                .map(|creative| {
                    let own = CapObject::of(CapLevel::Creative, creative.id);
                    std::iter::once(own)
                        .chain(groups(creative, advertiser.id))
                        .collect()
                })
                .collect(),
        }
    }

    /// How much of the past all of it takes.
    pub(super) fn asks_for(&self) -> impl Iterator<Item = CapRule> + '_ {
        let caps = self.caps.iter().chain(self.creative_caps.iter().flatten());
        caps.flat_map(Ladder::all)
            .chain(self.buyers.iter().flat_map(Buyers::asks_for))
            .chain(self.back_off.iter().map(BackOff::asks_for))
    }

    /// Nothing is asked of a user's past, whatever the creative.
    pub(super) fn is_none(&self) -> bool {
        self.caps.is_empty() && self.buyers.is_empty() && self.back_off.is_none()
    }

    /// Whether the line item may be shown again, before its creative is chosen.
    pub(super) fn check(&self, seen: &Seen<'_>, who: Who<'_>) -> Result<(), Reason> {
        if self.buyers.iter().any(|buyers| seen.has_bought(buyers, who.now)) {
            return Err(Reason::Bought);
        }
        if self.back_off.is_some_and(|rule| seen.backs_off(&rule, who.now)) {
            return Err(Reason::BackOff);
        }
        check(&self.caps, seen, who)
    }

    /// Whether any cap holds for the `creative`-th creative alone.
    pub(super) fn caps_creative(&self, creative: usize) -> bool {
        !self.creative_caps[creative].is_empty()
    }

    /// The same for its `creative`-th creative.
    pub(super) fn check_creative(
        &self,
        creative: usize,
        seen: &Seen<'_>,
        who: Who<'_>,
    ) -> Result<(), Reason> {
        check(&self.creative_caps[creative], seen, who)
    }

    /// All caps of the line item with its `creative`-th creative that hold for this user.
    pub fn rules<'a>(&'a self, creative: u16, who: Who<'a>) -> impl Iterator<Item = CapRule> + 'a {
        let of_creative = &self.creative_caps[usize::from(creative)];
        let ladders = self.caps.iter().chain(of_creative);
        ladders.filter_map(move |ladder| ladder.rule(who))
    }

    /// Whether an impression of the line item with its `creative`-th creative counts on `object`.
    pub fn counts(&self, creative: u16, object: CapObject) -> bool {
        self.counted.contains(&object) || self.counted_creatives[usize::from(creative)].contains(&object)
    }

    /// Whether the line item with its `creative`-th creative has one bid at a time outstanding for a user.
    pub fn is_capped(&self, creative: u16) -> bool {
        !self.caps.is_empty() || self.back_off.is_some() || self.caps_creative(creative.into())
    }
}

fn check(ladders: &[Ladder], seen: &Seen<'_>, who: Who<'_>) -> Result<(), Reason> {
    let reached = |ladder: &Ladder| {
        let rule = ladder.rule(who);
        rule.is_some_and(|rule| seen.reaches(&rule, who.now))
    };
    if ladders.iter().any(reached) {
        Err(Reason::FrequencyCap)
    } else {
        Ok(())
    }
}

/// The groups that an impression of the creative counts on.
pub(super) fn groups(creative: &Creative, advertiser: ObjectId) -> impl Iterator<Item = CapObject> + '_ {
    let names = creative.definition.groups.iter();
    names.map(move |name| CapObject::group(advertiser, name))
}

/// The caps on those levels that `object` has a name for.
fn ladders(
    caps: &[definition::Cap],
    object: impl Fn(&definition::CapLevel) -> Option<CapObject>,
) -> Vec<Ladder> {
    let mut found: Vec<(CapObject, u32, Ladder)> = Vec::new();
    for cap in caps {
        let Some(object) = object(&cap.level) else {
            continue;
        };
        let rule = CapRule {
            object,
            impressions: cap.impressions,
            window_s: cap.window_s,
        };
        let known = found
            .iter()
            .position(|(of, window_s, _)| (*of, *window_s) == (object, cap.window_s));
        let place = known.unwrap_or_else(|| {
            let empty = Ladder {
                audiences: Vec::new(),
                everybody: None,
            };
            found.push((object, cap.window_s, empty));
            found.len() - 1
        });
        let ladder = &mut found[place].2;
        match &cap.audience {
            Some(audience) => ladder.audiences.push((audience.clone(), rule)),
            None => ladder.everybody = Some(rule),
        }
    }
    found.into_iter().map(|(_, _, ladder)| ladder).collect()
}

fn buyers(suppression: &Suppression, own: &Advertiser, all: &[Advertiser]) -> Buyers {
    let sells = |advertiser: &Advertiser, wanted: &str| {
        let definition = &advertiser.definition;
        let mut categories = definition.categories.iter();
        definition.cattax == own.definition.cattax && categories.any(|one| category::covers(wanted, one))
    };
    let sellers: Vec<ObjectId> = match &suppression.sellers {
        Sellers::Own => vec![own.id],
        Sellers::Category(category) => {
            let sellers = all.iter().filter(|advertiser| sells(advertiser, category));
            sellers.map(|advertiser| advertiser.id).collect()
        }
    };
    let sold = sellers
        .into_iter()
        .map(|seller| CapObject::bought(seller, &suppression.event));
    Buyers::new(sold.collect(), suppression.window_s)
}
