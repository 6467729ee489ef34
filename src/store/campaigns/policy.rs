//! House rules: never this kind of ad to these people at this hour. Applied after the model, so nothing outbids them.

use super::compiled::Creative;
use super::definition::{self, PolicyRule};
use super::naive::targeting_mismatch;
use super::opportunity::Opportunity;
use crate::openrtb::category;
use crate::store::profiles::Profile;
use crate::units::Timestamp;

#[derive(Debug, Default)]
pub struct Policy {
    rules: Vec<PolicyRule>,
}

impl Policy {
    pub fn new(rules: Vec<PolicyRule>) -> Policy {
        Policy { rules }
    }

    pub fn rules(&self) -> &[PolicyRule] {
        &self.rules
    }

    /// The position of the first rule that forbids this creative here, in [`Policy::rules`].
    ///
    /// A rule holds when the ad has one of its categories and one of its attributes (where it names any), its `when`
    /// matches, and the user is below its age, or of unknown age where the rule says that counts too. Where the request is directed
    /// to children, the user is one.
    pub fn forbids(
        &self,
        creative: &Creative,
        opportunity: &Opportunity,
        profile: Option<&Profile>,
        now: Timestamp,
    ) -> Option<usize> {
        creative
            .policy_rules
            .iter()
            .map(|&rule| rule as usize)
            .find(|&rule| {
                let rule = &self.rules[rule];
                is_young(rule, opportunity, profile, now)
                    && targeting_mismatch(&rule.when, opportunity, profile, now).is_none()
            })
    }

    /// The rules that can ever concern this ad.
    pub(super) fn concerning(&self, ad: &definition::Creative) -> Vec<u32> {
        let concerns = |rule: &PolicyRule| has_category(rule, ad) && has_attribute(rule, ad);
        (0..)
            .zip(&self.rules)
            .filter(|(_, rule)| concerns(rule))
            .map(|(position, _)| position)
            .collect()
    }
}

fn has_category(rule: &PolicyRule, ad: &definition::Creative) -> bool {
    let has = |named: &String| {
        ad.categories
            .iter()
            .any(|category| category::covers(named, category))
    };
    rule.categories.is_empty() || rule.categories.iter().any(has)
}

fn has_attribute(rule: &PolicyRule, ad: &definition::Creative) -> bool {
    rule.attributes.is_empty() || rule.attributes.iter().any(|named| ad.attributes.contains(named))
}

/// Whom COPPA protects is below 13.
const CHILD_AGE_MAX: u8 = 12;

fn is_young(rule: &PolicyRule, opportunity: &Opportunity, profile: Option<&Profile>, now: Timestamp) -> bool {
    let age = || {
        let of_profile = || profile.and_then(|profile| profile.age(now));
        if opportunity.child_directed {
            Some(CHILD_AGE_MAX)
        } else {
            of_profile()
        }
    };
    rule.below_age
        .is_none_or(|limit| age().map_or(rule.unknown_age_matches, |age| age < limit))
}
