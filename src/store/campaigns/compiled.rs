//! The compiled records of campaigns and how they are found.
//!
//! Invariant: indices between records are in range, and line items stand in descending order of prior value.

use super::definition::{self, Ad, Definitions, Flight, Hours};
use super::index::{Index, MatchScratch};
use super::opportunity::Opportunity;
use super::policy::Policy;
use super::signal::Signals;
use crate::store::profiles::Profile;
use crate::units::{AccountId, Cpm, HourOfWeek, ObjectId, Timestamp};
use std::collections::HashMap;

/// All campaigns of a snapshot. Immutable once compiled.
#[derive(Debug)]
pub struct Campaigns {
    pub(super) advertisers: Vec<Advertiser>,
    pub(super) campaigns: Vec<Campaign>,
    pub(super) line_items: Vec<LineItem>,
    pub(super) creatives: Vec<Creative>,
    pub(super) policy: Policy,
    pub(super) do_not_disturb: Option<Hours>,
    pub(super) signals: Signals,
    pub(super) index: Index,
    pub(super) by_id: ById,
}

/// Positions by id, for notices.
#[derive(Debug, Default)]
pub(super) struct ById {
    pub line_items: HashMap<ObjectId, u32>,
    pub campaigns: HashMap<ObjectId, u32>,
    pub creatives: HashMap<ObjectId, u32>,
}

#[derive(Debug)]
pub struct Advertiser {
    pub definition: definition::Advertiser,
    pub id: ObjectId,
}

#[derive(Debug)]
pub struct Campaign {
    /// Its `line_items` are moved to [`Campaigns::line_items`] and empty here.
    pub definition: definition::Campaign,
    pub id: ObjectId,
    pub account: AccountId,
    /// Into [`Campaigns::advertisers`].
    pub advertiser: usize,
    /// Into [`Campaigns::line_items`], ascending.
    pub line_items: Vec<u32>,
}

#[derive(Debug)]
pub struct LineItem {
    pub definition: definition::LineItem,
    pub id: ObjectId,
    /// The budget it spends from: that of the line item it is part of, where there is one.
    pub account: AccountId,
    /// The id under which caps count its impressions, likewise.
    pub counted_as: ObjectId,
    /// Into [`Campaigns::campaigns`].
    pub campaign: usize,
    /// Into [`Campaigns::advertisers`].
    pub advertiser: usize,
    /// Into [`Campaigns::creatives`]: the active ones, in configured order.
    pub creatives: Vec<u32>,
    /// What the active creatives need of an imp, without repetition.
    pub formats: Vec<Format>,
    /// What an impression can be expected to be worth before anything is known of user and context.
    pub prior: Cpm,
    /// The time that its own flight and its campaign's share.
    pub flight: Flight,
    /// Line item, campaign and advertiser are active and a creative is.
    pub serving: bool,
}

#[derive(Debug)]
pub struct Creative {
    pub definition: definition::Creative,
    pub id: ObjectId,
    /// A hash of everything that an exchange reviews: it stays the same until the content changes.
    pub version: u64,
    /// Into [`Campaigns::advertisers`].
    pub advertiser: usize,
    /// `adomain` in lower case.
    pub domains: Vec<String>,
    pub format: Format,
    /// Rules of the policy whose categories and attributes this ad has.
    pub(super) policy_rules: Vec<u32>,
}

/// What an imp must take for a creative to fit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    Banner { w: u32, h: u32 },
    Video,
    Audio,
    Native,
}

impl Format {
    pub fn of(ad: &Ad) -> Format {
        match ad {
            Ad::Banner(banner) => Format::Banner {
                w: banner.w,
                h: banner.h,
            },
            Ad::Video(_) => Format::Video,
            Ad::Audio(_) => Format::Audio,
            Ad::Native(_) => Format::Native,
        }
    }
}

impl Campaigns {
    /// # Errors
    /// Every problem that makes the definitions unusable: repeated ids, ids that share a hash, references that lead
    /// nowhere or to another advertiser, targeting that can never match.
    pub fn compile(definitions: Definitions) -> Result<Campaigns, Vec<String>> {
        super::compile::compile(definitions)
    }

    pub fn advertisers(&self) -> &[Advertiser] {
        &self.advertisers
    }

    pub fn campaigns(&self) -> &[Campaign] {
        &self.campaigns
    }

    /// In descending order of [`LineItem::prior`], equal ones by id.
    pub fn line_items(&self) -> &[LineItem] {
        &self.line_items
    }

    pub fn creatives(&self) -> &[Creative] {
        &self.creatives
    }

    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether an ad of the advertiser, a position in [`Campaigns::advertisers`], would disturb a person at this hour of theirs.
    pub fn disturbs(&self, advertiser: usize, hour: HourOfWeek) -> bool {
        let own = self.advertisers[advertiser].definition.do_not_disturb;
        [self.do_not_disturb, own]
            .into_iter()
            .flatten()
            .any(|hours| hours.contains(hour))
    }

    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The position of a line item in [`Campaigns::line_items`].
    pub fn line_item_position(&self, id: ObjectId) -> Option<usize> {
        self.by_id.line_items.get(&id).map(|&position| position as usize)
    }

    pub fn line_item(&self, id: ObjectId) -> Option<&LineItem> {
        self.line_item_position(id)
            .map(|position| &self.line_items[position])
    }

    pub fn campaign(&self, id: ObjectId) -> Option<&Campaign> {
        self.by_id
            .campaigns
            .get(&id)
            .map(|&position| &self.campaigns[position as usize])
    }

    pub fn creative(&self, id: ObjectId) -> Option<&Creative> {
        self.by_id
            .creatives
            .get(&id)
            .map(|&position| &self.creatives[position as usize])
    }

    /// The first `limit` line items that may answer the opportunity, as positions in [`Campaigns::line_items`],
    /// ascending (best prior first). Allocates nothing once the scratch has met these campaigns.
    pub fn match_into<'s>(
        &self,
        opportunity: &Opportunity,
        profile: Option<&Profile>,
        now: Timestamp,
        limit: usize,
        scratch: &'s mut MatchScratch,
    ) -> &'s [u32] {
        self.index
            .match_into(&self.line_items, opportunity, profile, now, limit, scratch)
    }
}
