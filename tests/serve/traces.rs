//! What a person leaves on the disk: a byte scan of the whole data folder for their ids and the keys made of them.
//!
//! The store of profiles, the secrets and the list of those who opted out are left out: the first two hold what people gave
//! before and what keys are made with, the last has to know whom to leave alone.

use super::bidder::{Bidder, Offer, banner};
use super::caps::capped;
use super::configuration::{Campaign, Folder};
use super::opt_out::{administer, decided_by, opt_out};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use outbid::events::keys::Keys;
use outbid::events::token::Sealer;
use outbid::units::UserKey;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// By an encoder that is not ours: everything for vendor 755 of the Global Vendor List, of March 2026.
const CONSENT: &str = "CQgYw8AQgYw8AEsAHBENB4FoAPLAAAAAAAYgF5wAgAAgLzAAAAAA.IHCQBIAAgAEABwBeYDhA";
/// The same without the segment that says which vendors were disclosed.
const UNDISCLOSED: &str = "CQgYw8AQgYw8AEsAHBENB4FoAPLAAAAAAAYgF5wAgAAgLzAAAAAA";
/// The same for other vendors than 755.
const OTHER_VENDORS: &str = "CQgYw8AQgYw8AEsAHBENB4FoAPLAAAAAAAYgF5wAgAAgAcAAAAAA.IHCQBIAAgAEABwBeYDhA";
/// Everything that is remembered of those who were shown an ad.
const TIRING: &str = "caps = [\"2 per day per line_item\", \"9 per lifetime per line_item\"]\nsuppress_buyers = \"30d\"\n\
                      back_off = { after = 2, pause = \"1d\" }";
const IP: &str = "203.0.113.187";

/// What is changed in a request that gives four ids, and the signal that decides then.
fn cases() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("free", json!({}), "nothing"),
        (
            "consenting",
            json!({"regs": {"gdpr": 1}, "user": {"consent": CONSENT}}),
            "nothing",
        ),
        ("child", json!({"regs": {"coppa": 1}}), "coppa"),
        ("limited", json!({"device": {"lmt": 1}}), "lmt"),
        ("untracked", json!({"device": {"dnt": 1}}), "dnt"),
        ("silent", json!({"regs": {"gdpr": 1}}), "gdpr"),
        (
            "garbled",
            json!({"regs": {"gdpr": 1}, "user": {"consent": "junk"}}),
            "gdpr",
        ),
        (
            "others",
            json!({"regs": {"gdpr": 1}, "user": {"consent": OTHER_VENDORS}}),
            "gdpr",
        ),
        (
            "undisclosed",
            json!({"regs": {"gdpr": 1}, "user": {"consent": UNDISCLOSED}}),
            "gdpr",
        ),
        ("sold", json!({"regs": {"us_privacy": "1YYN"}}), "us_privacy"),
        (
            "platform",
            json!({"regs": {"gpp": "DBABTA~1YYN", "gpp_sid": [6]}}),
            "gpp",
        ),
        (
            "unread",
            json!({"regs": {"gpp": "DBABTA~1YNN", "gpp_sid": [6, 24]}}),
            "gpp",
        ),
        ("controlled", json!({"regs": {"ext": {"gpc": "1"}}}), "gpc"),
        ("gone", json!({}), "opt_out"),
    ]
}

/// The ids that a person of this name has, with their namespaces.
fn ids(name: &str, number: usize) -> [(&'static str, String); 4] {
    [
        ("buyeruid", format!("raw-buyer-{name}")),
        ("id.example", format!("raw-eid-{name}")),
        ("ifa", format!("6d92078a-8246-4ba4-ae5b-{number:012x}")),
        ("exchange:open", format!("raw-user-{name}")),
    ]
}

fn request(campaign: &str, ids: &[(&'static str, String); 4], change: &Value) -> Value {
    let [buyer, eid, ifa, own] = ids.each_ref().map(|(_, id)| id);
    let mut request = banner(campaign, buyer);
    request["id"] = json!("a request");
    request["user"]["id"] = json!(own);
    request["user"]["eids"] = json!([{"source": "id.example", "uids": [{"id": eid}]}]);
    request["device"]["ifa"] = json!(ifa);
    request["device"]["ip"] = json!(IP);
    for (object, fields) in change.as_object().unwrap() {
        for (field, value) in fields.as_object().unwrap() {
            request[object][field] = value.clone();
        }
    }
    request
}

#[test]
fn no_id_of_a_person_is_kept_anywhere_unless_it_may_be() {
    let folder = Folder::new().with_campaign(Campaign {
        more: TIRING,
        ..Campaign::new("traces")
    });
    let server = folder.read("outbid.toml").unwrap();
    folder.write("outbid.toml", &format!("{server}\n[privacy]\ngvl_id = 755\n"));
    let bidder = Bidder::start(&folder);
    let keys = Keys::open(&folder.data().join("keys")).unwrap();
    let sealer = Sealer::new(&keys.token);
    let cases = cases();
    for (number, (name, change, signal)) in cases.iter().enumerate() {
        let ids = ids(name, number);
        if *signal == "opt_out" {
            administer(&bidder, "opt-out", &format!("{}:{}", ids[2].0, ids[2].1));
        }
        let before = decided_by(&bidder, signal);
        let offer = bidder.offer(&request("traces", &ids, change)).expect(name);
        assert_eq!(
            decided_by(&bidder, signal),
            before + 1.0,
            "{name}: counted by its signal"
        );
        let token = sealer.open(offer.token()).unwrap();
        let first = UserKey::of(&keys.user, ids[0].0, &ids[0].1);
        assert_eq!(token.user, (*signal == "nothing").then_some(first), "{name}");
        assert_eq!(token.consent.unwrap().decided_by.as_str(), *signal, "{name}");
        play(&bidder, &offer, name);
    }
    assert!(bidder.stop().success());

    let files = files_below(&folder.data());
    for (number, (name, _, signal)) in cases.iter().enumerate() {
        let known = *signal == "nothing";
        for (position, (namespace, id)) in ids(name, number).iter().enumerate() {
            let key = UserKey::of(&keys.user, namespace, id);
            let found = find(&files, &forms_of_key(key));
            // Of several ids only the first one's key is used.
            assert_eq!(
                !found.is_empty(),
                known && position == 0,
                "{name}, {namespace}: {found:?}"
            );
            if known && position == 0 {
                for place in ["log/bids-", "books/books-00000001.seg", ".ckp"] {
                    assert!(
                        found.iter().any(|path| path.contains(place)),
                        "{name}: {place} of {found:?}"
                    );
                }
            }
            let raw = find(&files, &forms_of_text(id));
            assert!(raw.is_empty(), "{name}: the raw {namespace} in {raw:?}");
        }
    }
    assert!(find(&files, &forms_of_text(IP)).is_empty());
    assert!(find(&files, &[vec![203, 0, 113, 187], vec![187, 113, 0, 203]]).is_empty());
}

#[test]
fn an_advertising_id_of_zeros_is_nobodys() {
    let folder = Folder::new().with_campaign(capped("zeros"));
    let bidder = Bidder::start(&folder);
    let zeros = "00000000-0000-0000-0000-000000000000";
    let mut request = banner("zeros", "nobody");
    request["user"] = json!({});
    request["device"]["ifa"] = json!(zeros);
    let offer = bidder.offer(&request).unwrap();
    play(&bidder, &offer, "zeros");
    let keys = Keys::open(&folder.data().join("keys")).unwrap();
    assert_eq!(Sealer::new(&keys.token).open(offer.token()).unwrap().user, None);
    assert!(bidder.stop().success());
    let key = UserKey::of(&keys.user, "ifa", zeros);
    assert!(find(&files_below(&folder.data()), &forms_of_key(key)).is_empty());
}

#[test]
fn notices_of_bids_from_before_an_opt_out_move_money_and_leave_no_trace_of_the_person() {
    let folder = Folder::new().with_campaign(Campaign {
        more: "caps = [\"9 per lifetime per line_item\"]\nsuppress_buyers = \"lifetime\"\n\
               back_off = { after = 9, pause = \"30d\" }\nroadblock = true",
        ..Campaign::new("before")
    });
    let bidder = Bidder::start(&folder);
    let keys = Keys::open(&folder.data().join("keys")).unwrap();
    let (late, seen) = (ids("late", 1), ids("seen", 2));
    let of = |ids: &[(&'static str, String); 4]| UserKey::of(&keys.user, ids[0].0, &ids[0].1);
    // One is shown an ad and opts out; the other opts out while the bid is still on its way.
    let shown = bidder.offer(&request("before", &seen, &json!({}))).unwrap();
    play(&bidder, &shown, "shown");
    let open = bidder.offer(&request("before", &late, &json!({}))).unwrap();
    assert_eq!(opt_out(&bidder, shown.token()).status, 200);
    assert_eq!(opt_out(&bidder, open.token()).status, 200);
    let spent = bidder.money("before-1").spent;
    play(&bidder, &open, "open");
    play(&bidder, &shown, "again");
    assert_eq!(
        (spent.as_str(), bidder.money("before-1").spent.as_str()),
        ("0.004", "0.008")
    );
    assert!(bidder.stop().success());

    let files = files_below(&folder.data());
    let places = |ids: &[(&'static str, String); 4]| find(&files, &forms_of_key(of(ids)));
    assert_eq!(
        places(&late),
        ["log/bids-00000001.seg"],
        "the bid itself was before"
    );
    assert_eq!(
        places(&seen),
        ["books/books-00000001.seg", "log/bids-00000001.seg"]
    );
    let books = fs::read(folder.data().join("books/books-00000001.seg")).unwrap();
    let times = memchr::memmem::find_iter(&books, &of(&seen).0.to_le_bytes()).count();
    // Win, bill, impression, click and conversion, once each.
    assert_eq!(
        times, 5,
        "what came before the opt-out, and nothing of what came again"
    );

    // What is read again at the next start does not bring the counts back.
    let bidder = Bidder::start(&folder);
    bidder.offer(&request("before", &seen, &json!({}))).unwrap();
    assert_eq!(decided_by(&bidder, "opt_out"), 1.0);
    assert!(bidder.stop().success());
    let checkpoints = files_below(&folder.data());
    let checkpoints: Vec<_> = checkpoints
        .into_iter()
        .filter(|(path, _)| path.ends_with(".ckp"))
        .collect();
    assert!(!checkpoints.is_empty() && find(&checkpoints, &forms_of_key(of(&seen))).is_empty());
}

/// Won, billed, shown, clicked and bought.
fn play(bidder: &Bidder, offer: &Offer, order: &str) {
    bidder.tell(offer.text("nurl"), "4.00");
    bidder.tell(offer.text("burl"), "4.00");
    bidder.tell(offer.beacon("/n/imp"), "");
    assert_eq!(bidder.fire(offer.beacon("/n/click"), "").status, 302);
    let bought = format!("/n/conv?t={}&n=purchase&v=12.5&c=USD&o={order}", offer.token());
    assert_eq!(bidder.ask(&super::http::get(&bought, &[])).status, 200);
}

/// Path below the folder, and content.
type Files = Vec<(String, Vec<u8>)>;

fn files_below(data: &Path) -> Files {
    let mut files = Vec::new();
    let mut folders = vec![data.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            let name = path.strip_prefix(data).unwrap().display().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if !name.starts_with("keys/")
                && name != "profiles.store"
                && !name.starts_with("books/optouts-")
            {
                files.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

fn find(files: &Files, needles: &[Vec<u8>]) -> Vec<String> {
    let holds = |content: &[u8]| {
        needles
            .iter()
            .any(|needle| memchr::memmem::find(content, needle).is_some())
    };
    let found = files.iter().filter(|(_, content)| holds(content));
    found.map(|(path, _)| path.clone()).collect()
}

/// As a number in either byte order, in decimal, and in all that text makes of those.
fn forms_of_key(key: UserKey) -> Vec<Vec<u8>> {
    let (little, big) = (key.0.to_le_bytes(), key.0.to_be_bytes());
    let mut forms = vec![
        key.0.to_string().into_bytes(),
        (key.0 as i64).to_string().into_bytes(),
    ];
    for bytes in [little, big] {
        forms.extend(encoded(&bytes));
    }
    forms
}

fn forms_of_text(text: &str) -> Vec<Vec<u8>> {
    let reversed: Vec<u8> = text.bytes().rev().collect();
    let mut forms = encoded(text.as_bytes());
    forms.extend([reversed, text.to_uppercase().into_bytes()]);
    forms
}

/// Bytes as they are, in hexadecimal and in base64 at each of its three alignments.
fn encoded(bytes: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![bytes.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()];
    for shift in 0..3 {
        let shifted = [vec![0; shift], bytes.to_vec()].concat();
        // Only the letters that no neighbour has a part in.
        let whole = (shift * 8).div_ceil(6)..shifted.len() * 8 / 6;
        for text in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            forms.push(text.as_bytes()[whole.clone()].to_vec());
        }
    }
    forms
}
