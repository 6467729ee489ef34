//! People who may not be known are not looked up, and leave no key behind.

use super::bidder::{Bidder, alone, banner};
use super::configuration::Campaign;
use outbid::events::proto::{Bid, Event, What};
use outbid::events::record::ConsentBits;
use prost::Message;
use serde_json::{Value, json};
use std::path::Path;

#[test]
fn without_consent_there_is_no_look_up_and_no_user_key_in_the_log() {
    let (folder, bidder) = alone(Campaign::new("private"));
    let cases: [(&str, Value, Option<ConsentBits>); 6] = [
        ("known", json!({}), None),
        ("coppa", json!({"regs": {"coppa": 1}}), Some(ConsentBits::COPPA)),
        (
            "lmt",
            json!({"device": {"lmt": 1}}),
            Some(ConsentBits::LIMITED_TRACKING),
        ),
        (
            "dnt",
            json!({"device": {"dnt": 1}}),
            Some(ConsentBits::LIMITED_TRACKING),
        ),
        ("gdpr", json!({"regs": {"gdpr": 1}}), Some(ConsentBits::GDPR)),
        (
            "us privacy",
            json!({"regs": {"us_privacy": "1YYN"}}),
            Some(ConsentBits::OPTED_OUT),
        ),
    ];
    for (name, change, why) in &cases {
        let mut request = banner("private", "u-000001");
        request["id"] = json!(name);
        for (key, value) in change.as_object().unwrap() {
            request[key] = value.clone();
        }
        let looked_up = lookups(&bidder);
        bidder.offer(&request).unwrap();
        assert_eq!(lookups(&bidder) > looked_up, why.is_none(), "{name}");
    }
    assert!(bidder.stop().success());

    let log = read_log(&folder.data().join("log"));
    assert_eq!(log.len(), cases.len());
    for (name, _, why) in &cases {
        let (consent, bid) = log.iter().find(|(_, bid)| bid.request_id == *name).unwrap();
        assert_eq!(bid.user.is_some(), why.is_none(), "{name}");
        let has = |bits: ConsentBits| consent & bits.0 == bits.0;
        assert_eq!(has(ConsentBits::USER_KEY), why.is_none(), "{name}");
        assert_eq!(has(ConsentBits::PROFILE), why.is_none(), "{name}");
        assert!(why.is_none_or(has), "{name}: {consent}");
    }
}

fn lookups(bidder: &Bidder) -> f64 {
    bidder.metric("outbid_profile_lookups_total")
}

fn read_log(folder: &Path) -> Vec<(u32, Bid)> {
    let records = outbid::journal::read(folder, "bids", 1).unwrap();
    let events = records.map(|record| Event::decode(record.unwrap().payload.as_slice()).unwrap());
    events
        .filter_map(|event| match event.what {
            Some(What::Bid(bid)) => Some((event.consent, bid)),
            _ => None,
        })
        .collect()
}
