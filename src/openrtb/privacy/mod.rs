//! Consent: one value, decided from the request before any user is looked up.
//!
//! Invariant: the most restrictive of all signals wins, and a signal that is there but cannot be read restricts.
//!
//! | signal | leaves |
//! |---|---|
//! | `regs.coppa` = 1 | nothing |
//! | `regs.gdpr` = 1, or a TC string without `regs.gdpr` | what [`tcf`] finds in `user.consent` for our vendor id; nothing without a readable string or without an id |
//! | `regs.us_privacy` opts out, or is no such string | what needs no identity |
//! | `regs.gpp` for the sections in `regs.gpp_sid` | what every one of them leaves ([`gpp`], [`us_sections`]) |
//! | `regs.gpp` without `regs.gpp_sid` | what needs no identity: nobody says which sections are in force |
//! | `regs.ext.gpc` = 1, the Global Privacy Control of the browser | what needs no identity |
//! | `device.lmt` = 1 | what needs no identity |
//! | `device.dnt` = 1, if the policy honours it | what needs no identity |
//! | our own list of those who opted out names an id of the request | what needs no identity |
//!
//! "What needs no identity" is choosing and measuring ads by the page, place and time alone.
//!
//! | use | purposes of the TCF | by |
//! |---|---|---|
//! | `ids` | 1, store and access information on a device | consent |
//! | `basic_ads` | 2, use limited data to select advertising | consent or legitimate interest |
//! | `measurement` | 7, measure advertising performance | consent or legitimate interest |
//! | `profile` | 3 and 4, create and use profiles for advertising | consent, under every policy version |
//! | `research` | 9 and 10, understand audiences, develop services | consent or legitimate interest |
//! | `precise_location` | special feature 1 | opt-in |

mod bits;
pub mod gpp;
pub mod tcf;
pub mod us_sections;
mod usp;

pub use bits::{TEXT_MAX, Unreadable};
pub use usp::opts_out_of_sale;

pub use crate::telemetry::Signal;

use super::request::Request;
use std::ops::BitAnd;
use tcf::VendorConsent;

/// What the operator decides about privacy, beside the law and the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrivacyPolicy {
    /// Our id in the IAB's Global Vendor List. Without one there is no personal data where the GDPR applies.
    pub gvl_id: Option<u16>,
    /// Whether `device.dnt` counts.
    pub honour_dnt: bool,
}

impl Default for PrivacyPolicy {
    fn default() -> PrivacyPolicy {
        PrivacyPolicy {
            gvl_id: None,
            honour_dnt: true,
        }
    }
}

/// What may be done with the user's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consent {
    /// User ids, a key made of them, user-level caps and the like may be used, logged and learnt from: `ids` and
    /// `basic_ads`. Without it the IP address is that of the network alone.
    pub personal_data: bool,
    /// What is stored of the user may be looked up and used: `personal_data` and `profile`.
    pub profile_use: bool,
    pub ids: bool,
    pub basic_ads: bool,
    pub measurement: bool,
    pub profile: bool,
    pub research: bool,
    pub precise_location: bool,
    /// COPPA: on top of that, only creatives that suit children.
    pub child_directed: bool,
    /// The first signal, in the order of [`Signal`], that switched personal data off; while it is on, the first that
    /// restricted anything.
    pub decided_by: Signal,
}

impl Consent {
    /// From the signals of the request alone.
    pub fn decide(request: &Request<'_>, policy: &PrivacyPolicy) -> Consent {
        let mut left = Uses::ALL;
        let (mut switched_off, mut restricted) = (None, None);
        for signal in RESTRICTING {
            let before = left;
            left = left & allowed(signal, request, policy);
            if left != before {
                restricted = restricted.or(Some(signal));
            }
            if before.holds(Uses::PERSONAL_DATA) && !left.holds(Uses::PERSONAL_DATA) {
                switched_off = Some(signal);
            }
            if left == Uses::NONE {
                break;
            }
        }
        let decided_by = switched_off.or(restricted).unwrap_or(Signal::Nothing);
        Consent::of(left, request.regs.coppa, decided_by)
    }

    /// Whether an opt-out would take anything away. Where it would not, no id is looked at, not even to find one.
    pub fn asks_for_opt_out(self) -> bool {
        !Uses::OPTED_OUT.holds(self.uses())
    }

    /// What is left for somebody who opted out with us.
    pub fn opt_out(self) -> Consent {
        let decided_by = if self.personal_data || self.decided_by == Signal::Nothing {
            Signal::OptOut
        } else {
            self.decided_by
        };
        Consent::of(self.uses() & Uses::OPTED_OUT, self.child_directed, decided_by)
    }

    /// For tokens and records: bits 0-5 the uses in the order of their fields, 6 child-directed, 8-11 the signal.
    pub fn to_bits(self) -> u16 {
        u16::from(self.uses().0) | u16::from(self.child_directed) << 6 | (self.decided_by as u16) << 8
    }

    /// `None` where the bits name no signal that there is.
    pub fn from_bits(bits: u16) -> Option<Consent> {
        let signal = Signal::ALL.get(usize::from(bits >> 8))?;
        Some(Consent::of(
            Uses(bits as u8 & Uses::ALL.0),
            bits & 1 << 6 != 0,
            *signal,
        ))
    }

    fn of(left: Uses, child_directed: bool, decided_by: Signal) -> Consent {
        Consent {
            personal_data: left.holds(Uses::PERSONAL_DATA),
            profile_use: left.holds(Uses::PERSONAL_DATA) && left.holds(Uses::PROFILE),
            ids: left.holds(Uses::IDS),
            basic_ads: left.holds(Uses::BASIC_ADS),
            measurement: left.holds(Uses::MEASUREMENT),
            profile: left.holds(Uses::PROFILE),
            research: left.holds(Uses::RESEARCH),
            precise_location: left.holds(Uses::PRECISE_LOCATION),
            child_directed,
            decided_by,
        }
    }

    fn uses(self) -> Uses {
        [
            (self.ids, Uses::IDS),
            (self.basic_ads, Uses::BASIC_ADS),
            (self.measurement, Uses::MEASUREMENT),
            (self.profile, Uses::PROFILE),
            (self.research, Uses::RESEARCH),
            (self.precise_location, Uses::PRECISE_LOCATION),
        ]
        .into_iter()
        .filter(|(held, _)| *held)
        .fold(Uses::NONE, |all, (_, uses)| Uses(all.0 | uses.0))
    }
}

/// A set of uses of personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uses(u8);

impl Uses {
    pub const NONE: Uses = Uses(0);
    pub const IDS: Uses = Uses(1);
    pub const BASIC_ADS: Uses = Uses(2);
    pub const MEASUREMENT: Uses = Uses(4);
    pub const PROFILE: Uses = Uses(8);
    pub const RESEARCH: Uses = Uses(16);
    pub const PRECISE_LOCATION: Uses = Uses(32);
    pub const ALL: Uses = Uses(63);
    pub const PERSONAL_DATA: Uses = Uses(Uses::IDS.0 | Uses::BASIC_ADS.0);
    /// What needs no identity.
    pub const OPTED_OUT: Uses = Uses(Uses::BASIC_ADS.0 | Uses::MEASUREMENT.0);

    /// What a TC string leaves.
    pub fn of(tcf: &VendorConsent) -> Uses {
        [
            (Uses::IDS, tcf.consent(1)),
            (Uses::BASIC_ADS, tcf.either(2)),
            (Uses::MEASUREMENT, tcf.either(7)),
            (Uses::PROFILE, tcf.consent(3) && tcf.consent(4)),
            (Uses::RESEARCH, tcf.either(9) && tcf.either(10)),
            (Uses::PRECISE_LOCATION, tcf.special_feature(1)),
        ]
        .iter()
        .filter(|(_, held)| *held)
        .fold(Uses::NONE, |all, (uses, _)| Uses(all.0 | uses.0))
    }

    /// Whether all of `uses` are in here.
    pub fn holds(self, uses: Uses) -> bool {
        self & uses == uses
    }

    pub fn without(self, uses: Uses) -> Uses {
        Uses(self.0 & !uses.0)
    }
}

/// What both leave.
impl BitAnd for Uses {
    type Output = Uses;
    fn bitand(self, other: Uses) -> Uses {
        Uses(self.0 & other.0)
    }
}

/// Where a user id comes from. Its namespace in the user key is `buyeruid`, the eid's source, `ifa`, or
/// `exchange:NAME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserIdSource<'a> {
    BuyerUid,
    Eid(&'a str),
    Ifa,
    Exchange,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserId<'a> {
    pub source: UserIdSource<'a>,
    pub id: &'a str,
}

/// The user's ids, the one to prefer first: `buyeruid`, `eids` in the order of `eid_sources` (those not listed are
/// not used; an empty list takes all, in the request's order), `ifa`, the exchange's own id. None without consent.
pub fn user_ids<'r, 'a>(
    request: &'r Request<'a>,
    consent: Consent,
    eid_sources: &'r [String],
) -> impl Iterator<Item = UserId<'a>> + 'r {
    let own = |source, id: Option<&'a str>| id.map(|id| UserId { source, id });
    let listed = eid_sources.iter().flat_map(|source| {
        request
            .eids()
            .iter()
            .filter(|eid| eid.source.eq_ignore_ascii_case(source))
    });
    let all = request.eids().iter().filter(|_| eid_sources.is_empty());
    let eids = listed.chain(all).map(|eid| UserId {
        source: UserIdSource::Eid(eid.source),
        id: eid.id,
    });
    own(UserIdSource::BuyerUid, request.user.buyer_uid)
        .into_iter()
        .chain(eids)
        .chain(own(UserIdSource::Ifa, request.device.ifa))
        .chain(own(UserIdSource::Exchange, request.user.id))
        .take(if consent.personal_data { usize::MAX } else { 0 })
}

/// Every id that names the user, used or not: whoever opted out under any of them has opted out.
pub fn every_id<'r, 'a>(request: &'r Request<'a>) -> impl Iterator<Item = UserId<'a>> + 'r {
    let own = |source, id: Option<&'a str>| id.map(|id| UserId { source, id });
    let eids = request.eids().iter().map(|eid| UserId {
        source: UserIdSource::Eid(eid.source),
        id: eid.id,
    });
    own(UserIdSource::BuyerUid, request.user.buyer_uid)
        .into_iter()
        .chain(own(UserIdSource::Ifa, request.device.ifa))
        .chain(own(UserIdSource::Exchange, request.user.id))
        .chain(eids)
}

/// Every signal of a request that can restrict, in the order of [`Signal`].
const RESTRICTING: [Signal; 7] = [
    Signal::Coppa,
    Signal::Gdpr,
    Signal::UsPrivacy,
    Signal::Gpp,
    Signal::Gpc,
    Signal::Lmt,
    Signal::Dnt,
];

/// What `signal` alone leaves.
fn allowed(signal: Signal, request: &Request<'_>, policy: &PrivacyPolicy) -> Uses {
    let (regs, device) = (&request.regs, &request.device);
    let unless = |restricted, left| if restricted { left } else { Uses::ALL };
    match signal {
        Signal::Coppa => unless(regs.coppa, Uses::NONE),
        Signal::Gdpr => by_gdpr(request, policy),
        Signal::UsPrivacy => unless(regs.us_privacy.is_some_and(opts_out_of_sale), Uses::OPTED_OUT),
        Signal::Gpp => by_gpp(request, policy),
        Signal::Gpc => unless(regs.gpc, Uses::OPTED_OUT),
        Signal::Lmt => unless(device.lmt, Uses::OPTED_OUT),
        Signal::Dnt => unless(device.dnt && policy.honour_dnt, Uses::OPTED_OUT),
        // What the request says; the list is asked later, by `Consent::opt_out`.
        Signal::OptOut | Signal::Nothing => Uses::ALL,
    }
}

fn by_gdpr(request: &Request<'_>, policy: &PrivacyPolicy) -> Uses {
    let string = request.user.consent;
    if !request.regs.gdpr.unwrap_or(string.is_some()) {
        return Uses::ALL;
    }
    match (string, policy.gvl_id) {
        (Some(string), Some(vendor)) => {
            tcf::read(string, vendor).map_or(Uses::NONE, |found| Uses::of(&found))
        }
        _ => Uses::NONE,
    }
}

/// Only the sections in `gpp_sid` act; without it nobody says that none of them does.
fn by_gpp(request: &Request<'_>, policy: &PrivacyPolicy) -> Uses {
    let regs = &request.regs;
    let in_force = request.ints(regs.gpp_sid);
    if !in_force.is_empty() {
        gpp::allowed(regs.gpp.unwrap_or(""), in_force, policy.gvl_id)
    } else if regs.gpp.is_some() && !regs.gpp_not_applicable {
        Uses::OPTED_OUT
    } else {
        Uses::ALL
    }
}
