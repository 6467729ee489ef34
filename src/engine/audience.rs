//! Who the request is for: consent first, then the user's key, then one profile.

use super::{ExchangeTerms, Snapshot, Who};
use crate::openrtb::privacy::{Consent, PrivacyPolicy, UserId, UserIdSource, every_id, user_ids};
use crate::openrtb::request::{ChannelKind, Imp, Request};
use crate::optouts::OptOuts;
use crate::store::campaigns::{Opportunity, user_hour};
use crate::store::profiles::{Profile, Profiles};
use crate::units::{HourOfWeek, Timestamp, UserKey, UserKeySecret};
use jiff::tz::TimeZone;
use std::sync::Arc;

/// Ids of one request that are looked up; a request with more is not more one person.
const IDS_MAX: usize = 4;

/// Where users are looked up, and how.
#[derive(Clone)]
pub struct People {
    pub profiles: Arc<Profiles>,
    pub secret: UserKeySecret,
    pub privacy: PrivacyPolicy,
    /// Sources of extended ids that are used, in order; empty = all.
    pub eid_sources: Vec<String>,
    /// Where neither request nor profile tells the user's time zone.
    pub time_zone: TimeZone,
}

/// What may be known of the user. Without consent there is no key and no profile, whatever the request says.
#[derive(Clone, Copy)]
pub struct Audience<'s> {
    pub consent: Consent,
    /// Of the first id that the request gives.
    pub key: Option<UserKey>,
    /// Of the first id that has one.
    pub profile: Option<Profile<'s>>,
    /// In the user's own time zone.
    pub hour: HourOfWeek,
    /// When all this was found out.
    now: Timestamp,
}

/// When a screen of many is estimated to show the ad (`imp.dt`), where that makes sense: later than now, and no later
/// than anybody sells a play.
pub(super) fn showing_time(imp: &Imp, now: Timestamp) -> Option<Timestamp> {
    const AHEAD_MS_MAX: i64 = 7 * Timestamp::MS_PER_DAY;
    imp.dt.filter(|dt| (1..=AHEAD_MS_MAX).contains(&dt.since(now)))
}

/// What is kept of an audience after the decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub key: Option<UserKey>,
    pub looked_up: bool,
    pub has_profile: bool,
    pub consent: Option<Consent>,
}

impl People {
    /// `exchange_namespace` is that of the exchange's own user ids: `exchange:NAME`.
    pub fn find(
        &self,
        request: &Request,
        exchange_namespace: &str,
        opt_outs: &OptOuts,
        now: Timestamp,
    ) -> Audience<'_> {
        let mut consent = Consent::decide(request, &self.privacy);
        if consent.asks_for_opt_out() && self.has_opted_out(request, exchange_namespace, opt_outs) {
            consent = consent.opt_out();
        }
        let (mut key, mut profile) = (None, None);
        // A screen is seen by many: what names it names nobody (section 7.9.2.5).
        let ids_max = if request.channel.kind == ChannelKind::Dooh {
            0
        } else {
            IDS_MAX
        };
        for id in user_ids(request, consent, &self.eid_sources).take(ids_max) {
            let this = self.key_of(&id, exchange_namespace);
            key = key.or(Some(this));
            if !consent.profile_use {
                break;
            }
            profile = self.profiles.get(this);
            if profile.is_some() {
                break;
            }
        }
        // An id that is not on the list led to the profile of somebody who is.
        if profile.is_some_and(|found| opt_outs.contains(found.key)) {
            (consent, key, profile) = (consent.opt_out(), None, None);
        }
        let hour = self.hour(request, profile.as_ref(), now);
        Audience {
            consent,
            key,
            profile,
            hour,
            now,
        }
    }

    fn has_opted_out(&self, request: &Request, exchange_namespace: &str, opt_outs: &OptOuts) -> bool {
        !opt_outs.is_empty()
            && every_id(request).any(|id| opt_outs.contains(self.key_of(&id, exchange_namespace)))
    }

    fn key_of(&self, id: &UserId, exchange_namespace: &str) -> UserKey {
        let namespace = match id.source {
            UserIdSource::BuyerUid => "buyeruid",
            UserIdSource::Eid(source) => source,
            UserIdSource::Ifa => "ifa",
            UserIdSource::Exchange => exchange_namespace,
        };
        UserKey::of(&self.secret, namespace, id.id)
    }

    fn hour(&self, request: &Request, profile: Option<&Profile>, at: Timestamp) -> HourOfWeek {
        user_hour(request, profile, self.utc_offset_min(at), at)
    }

    /// Minutes that the default time zone is ahead of UTC at `now`; a time that no calendar holds reads as 1970.
    fn utc_offset_min(&self, now: Timestamp) -> i32 {
        let at = jiff::Timestamp::from_millisecond(now.0).unwrap_or_default();
        self.time_zone.to_offset(at).seconds() / 60
    }
}

impl Audience<'_> {
    /// What an imp offers to this audience's targeting; the exact place and address only where they may be used. Hours are those
    /// in which the ad will be shown.
    pub(super) fn opportunity<'a>(
        &self,
        request: &'a Request<'a>,
        imp: &'a Imp<'a>,
        exchange: &'a ExchangeTerms,
        snapshot: &'a Snapshot,
    ) -> Opportunity<'a> {
        let signals = snapshot.campaigns.signals();
        let hour = showing_time(imp, self.now).map_or(self.hour, |at| {
            snapshot.people.hour(request, self.profile.as_ref(), at)
        });
        Opportunity::new(request, imp, &exchange.settings.name, hour, signals)
            .with_precise_location(self.consent.precise_location)
            .with_exact_address(self.consent.personal_data)
    }

    /// What caps by audience are chosen by.
    pub fn who(&self) -> Who<'_> {
        Who {
            profile: self.profile.as_ref(),
            now: self.now,
        }
    }

    pub(super) fn summary(&self) -> Summary {
        Summary {
            key: self.key,
            looked_up: self.key.is_some() && self.consent.profile_use,
            has_profile: self.profile.is_some(),
            consent: Some(self.consent),
        }
    }
}
