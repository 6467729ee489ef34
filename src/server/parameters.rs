//! What an ad was chosen by, in words for the person who saw it: the targeting of its line item, and what was used of them.

use crate::openrtb::privacy::{Consent, Signal};
use crate::store::campaigns::definition::{LineItem, Targeting, Terms};
use std::fmt::Display;

/// Of one list; what is left out is counted.
const SHOWN_MAX: usize = 8;

/// What the choice went by, and the values that were wanted, where there are some to name.
pub struct Parameter {
    pub what: &'static str,
    pub values: Option<String>,
}

/// A purpose of the TCF, or its special feature, that the bid could use data for.
pub struct Purpose {
    /// `0` = the special feature.
    pub id: u8,
    pub name: &'static str,
}

/// In the order in which people ask: where, what, when, who.
pub fn parameters(item: &LineItem, profile_used: bool) -> Vec<Parameter> {
    let mut list = List(Vec::new());
    place(&item.targeting, &mut list);
    device(&item.targeting, &mut list);
    page(&item.targeting, &mut list);
    if item.targeting.hours.0.is_some() {
        list.say("The day of the week and the hour where you were", None);
    }
    if let Some(audience) = item.targeting.audience.as_ref().filter(|_| profile_used) {
        list.say(
            "A stored profile with interests and traits of yours, which fits this audience",
            Some(audience.to_string()),
        );
    } else if profile_used {
        list.say(
            "A stored profile with interests and traits of yours, for a prediction",
            None,
        );
    }
    if profile_used && item.bid.counts_ltv() && item.ltv.from.is_some() {
        list.say("What you have bought so far, or are expected to buy", None);
    }
    list.say(
        "A prediction, from the things above and the page, of how likely people click or buy",
        None,
    );
    list.0
}

/// What the bid was allowed to use data for. A profile counts only where one was used.
pub fn purposes(consent: Consent, profile_used: bool, item: Option<&LineItem>) -> Vec<Purpose> {
    let precise = item.is_some_and(|item| !item.targeting.radius.is_any());
    [
        (consent.ids, 1, "Store and/or access information on a device"),
        (consent.basic_ads, 2, "Use limited data to select advertising"),
        (profile_used, 3, "Create profiles for personalised advertising"),
        (profile_used, 4, "Use profiles to select personalised advertising"),
        (consent.measurement, 7, "Measure advertising performance"),
        (consent.research, 9, "Understand audiences through statistics"),
        (consent.research, 10, "Develop and improve services"),
        (
            consent.precise_location && precise,
            0,
            "Use precise geolocation data",
        ),
    ]
    .into_iter()
    .filter(|(used, ..)| *used)
    .map(|(_, id, name)| Purpose { id, name })
    .collect()
}

/// Which signal set the limits, as a sentence.
pub fn decided_by(signal: Signal) -> &'static str {
    match signal {
        Signal::Coppa => "The page or app is directed to children, so nothing about you was used.",
        Signal::Gdpr => "Your choices under the GDPR set the limits.",
        Signal::UsPrivacy => "Your opt-out under US privacy law set the limits.",
        Signal::Gpp => "Your choices in the Global Privacy Platform set the limits.",
        Signal::Gpc => "Your browser sends the Global Privacy Control, so no id of yours was used.",
        Signal::Lmt => "Your device asks to limit ad tracking, so no id of yours was used.",
        Signal::Dnt => "Your browser asks not to be tracked, so no id of yours was used.",
        Signal::OptOut => "You have opted out with us, so no id of yours was used.",
        Signal::Nothing => "No signal that came with the request asked for limits.",
    }
}

fn place(t: &Targeting, list: &mut List) {
    list.terms("Your country", &t.country);
    list.terms("Your region", &t.region);
    list.terms("Your city", &t.city);
    list.terms("Your postcode", &t.postcode);
    if !t.radius.is_any() {
        list.say("Your distance from a place", None);
    }
    list.terms("Conditions where you were, such as the weather", &t.signal);
    if !t.ip.is_any() {
        list.say("Your network address", None);
    }
}

fn device(t: &Targeting, list: &mut List) {
    if !t.device_type.is_any() {
        list.say("The kind of your device", None);
    }
    list.terms("The make of your device", &t.make);
    list.terms("The model of your device", &t.model);
    list.terms("Your operating system", &t.os);
    if t.os_version.min.is_some() || t.os_version.max.is_some() {
        list.say("The version of your operating system", None);
    }
    list.terms("Your browser", &t.browser);
    list.terms("Your language", &t.language);
    list.terms("Your mobile or internet provider", &t.carrier);
    if !t.connection.is_any() {
        list.say("The kind of your connection", None);
    }
}

fn page(t: &Targeting, list: &mut List) {
    list.terms("The site", &t.site);
    list.terms("The app", &t.app);
    list.terms("The app", &t.bundle);
    list.terms("The publisher", &t.publisher);
    list.terms("What the page or app is about", &t.category);
    list.terms("Words on the page", &t.keyword);
    if !t.deal.is_any() {
        list.say("An agreement with the publisher", None);
    }
    let slot = [
        t.placement.is_any(),
        t.position.is_any(),
        t.video_placement.is_any(),
    ];
    if slot.contains(&false) || t.instl.is_some() || t.rewarded.is_some() {
        list.say("The place on the page", None);
    }
}

struct List(Vec<Parameter>);

impl List {
    fn say(&mut self, what: &'static str, values: Option<String>) {
        self.0.push(Parameter { what, values });
    }

    fn terms<T: Display>(&mut self, what: &'static str, terms: &Terms<T>) {
        if terms.is_any() {
            return;
        }
        let mut shown: Vec<String> = terms.include.iter().take(SHOWN_MAX).map(T::to_string).collect();
        if terms.include.len() > SHOWN_MAX {
            shown.push(format!("{} more", terms.include.len() - SHOWN_MAX));
        }
        let excluded = || Some(format!("not {} named by the advertiser", terms.exclude.len()));
        self.say(
            what,
            if shown.is_empty() {
                excluded()
            } else {
                Some(shown.join(", "))
            },
        );
    }
}
