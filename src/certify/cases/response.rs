//! Section 4.2: the response, its seats and its bids, field by field, in every bid that was found.

use crate::certify::answer::{Bid, items};
use crate::certify::case::{Case, Section, Verdict, ensure, fails};
use crate::certify::markup;
use crate::certify::stage::Base;
use serde_json::Value;

/// The fields of a bid in section 4.2.3 and what they are: (t)ext, (i)nteger, (f)loat, list of (T)exts, of (I)ntegers,
/// (o)bject.
const BID_FIELDS: &[(&str, char)] = &[
    ("id", 't'),
    ("impid", 't'),
    ("price", 'f'),
    ("nurl", 't'),
    ("burl", 't'),
    ("lurl", 't'),
    ("adm", 't'),
    ("adid", 't'),
    ("adomain", 'T'),
    ("bundle", 't'),
    ("iurl", 't'),
    ("cid", 't'),
    ("crid", 't'),
    ("tactic", 't'),
    ("cattax", 'i'),
    ("cat", 'T'),
    ("attr", 'I'),
    ("apis", 'I'),
    ("api", 'i'),
    ("protocol", 'i'),
    ("qagmediarating", 'i'),
    ("language", 't'),
    ("langb", 't'),
    ("dealid", 't'),
    ("w", 'i'),
    ("h", 'i'),
    ("wratio", 'i'),
    ("hratio", 'i'),
    ("exp", 'i'),
    ("dur", 'i'),
    ("mtype", 'i'),
    ("slotinpod", 'i'),
    ("ext", 'o'),
];
const SEAT_FIELDS: &[(&str, char)] = &[("bid", 'l'), ("seat", 't'), ("group", 'i'), ("ext", 'o')];
const RESPONSE_FIELDS: &[(&str, char)] = &[
    ("id", 't'),
    ("seatbid", 'l'),
    ("bidid", 't'),
    ("cur", 't'),
    ("customdata", 't'),
    ("nbr", 'i'),
    ("ext", 'o'),
];

pub fn cases() -> Vec<Case> {
    [response(), required(), creative(), values()]
        .into_iter()
        .flatten()
        .collect()
}

fn response() -> Vec<Case> {
    vec![
        of_base(
            "response.id",
            "4.2.1",
            "the id of the response is that of the request",
            |base| {
                let id = base
                    .answer
                    .json
                    .as_ref()
                    .map(|json| json["id"].clone())
                    .unwrap_or_default();
                ensure(id == base.request["id"], || {
                    format!("id is {id}; right would be {}", base.request["id"])
                })
            },
        ),
        of_base(
            "response.fields",
            "4.2.1",
            "a response has the fields of the specification, of their types",
            |base| agree(base.answer.json.as_ref().unwrap_or(&Value::Null), RESPONSE_FIELDS),
        ),
        of_base(
            "response.seat.fields",
            "4.2.2",
            "a seat has the fields of the specification, of their types",
            |base| {
                let json = base.answer.json.as_ref().unwrap_or(&Value::Null);
                items(&json["seatbid"])
                    .iter()
                    .try_for_each(|seat| agree(seat, SEAT_FIELDS))
            },
        ),
        of_base(
            "response.seat.bids",
            "4.2.2",
            "a seat has one bid or more",
            |base| {
                let json = base.answer.json.as_ref().unwrap_or(&Value::Null);
                let empty = items(&json["seatbid"])
                    .iter()
                    .any(|seat| items(&seat["bid"]).is_empty());
                ensure(!empty, || "a seatbid without a bid".into())
            },
        ),
        of_base(
            "response.seat.once",
            "4.2.2",
            "a seat comes once in a response",
            |base| {
                let json = base.answer.json.as_ref().unwrap_or(&Value::Null);
                let mut seats: Vec<String> = items(&json["seatbid"])
                    .iter()
                    .map(|seat| seat["seat"].to_string())
                    .collect();
                let all = seats.len();
                seats.sort_unstable();
                seats.dedup();
                ensure(seats.len() == all, || "a seat comes twice".into())
            },
        ),
        of_base(
            "response.nbr",
            "4.2.1",
            "a response with bids gives no reason for having none",
            |base| ensure(base.answer.no_bid_reason().is_none(), || "nbr beside bids".into()),
        ),
        of_base(
            "response.cur",
            "4.2.1",
            "the currency is one of ISO 4217, and one that the request allows",
            |base| {
                let allowed = items(&base.request["cur"]);
                let currency = &base.bid.currency;
                let fits = allowed.is_empty() || allowed.iter().any(|code| code.as_str() == Some(currency));
                ensure(fits && currency.len() == 3, || {
                    format!("cur is `{currency}`; allowed is {allowed:?}")
                })
            },
        ),
        of_base(
            "response.utf8",
            "2.3",
            "a response is UTF-8 without a byte order mark",
            |base| {
                let text = std::str::from_utf8(&base.answer.body);
                ensure(text.is_ok_and(|text| !text.starts_with('\u{feff}')), || {
                    "the body is no plain UTF-8".into()
                })
            },
        ),
        of_base(
            "response.length",
            "2.1",
            "the length of a response is what its header says",
            |base| {
                let length = base
                    .answer
                    .reply
                    .header("content-length")
                    .and_then(|length| length.parse::<usize>().ok());
                ensure(
                    length.is_none_or(|length| length == base.answer.reply.body.len()),
                    || "Content-Length is wrong".into(),
                )
            },
        ),
    ]
}

fn required() -> Vec<Case> {
    vec![
        of_bid(
            "response.bid.fields",
            "4.2.3",
            "a bid has the fields of the specification, of their types",
            |bid| agree(&bid.fields, BID_FIELDS),
        ),
        of_bid("response.bid.id", "4.2.3", "a bid has an id", |bid| {
            text_is_there(bid, "id")
        }),
        of_bid("response.bid.impid", "4.2.3", "a bid names its imp", |bid| {
            text_is_there(bid, "impid")
        }),
        of_bid(
            "response.bid.price",
            "4.2.3",
            "a price is a finite number above zero",
            |bid| {
                let price = bid.price();
                ensure(price.is_finite() && price > 0.0, || {
                    format!("price is {}", bid.fields["price"])
                })
            },
        ),
        of_base(
            "response.bid.floor",
            "3.2.4",
            "a price is not below the floor",
            |base| {
                let floor = base.request["imp"][0]["bidfloor"].as_f64().unwrap_or(0.0);
                ensure(base.bid.price() >= floor - 1e-6, || {
                    format!("{} is below {floor}", base.bid.price())
                })
            },
        ),
        of_bid(
            "response.bid.crid",
            "4.2.3, loss 8",
            "a bid names its creative",
            |bid| text_is_there(bid, "crid"),
        ),
        of_bid("response.bid.cid", "4.2.3", "a bid names its campaign", |bid| {
            text_is_there(bid, "cid")
        }),
        of_bid(
            "response.bid.adomain",
            "4.2.3, loss 6",
            "a bid names its advertiser",
            |bid| {
                ensure(!bid.texts("adomain").is_empty(), || {
                    "adomain is missing or empty".into()
                })
            },
        ),
        of_bid(
            "response.bid.cat",
            "4.2.3, loss 10",
            "a bid has a category",
            |bid| ensure(!bid.texts("cat").is_empty(), || "cat is missing or empty".into()),
        ),
        of_bid("response.bid.mtype", "4.2.3", "a bid says what it is", |bid| {
            let mtype = bid.int("mtype");
            ensure(matches!(mtype, Some(1..=4)), || {
                format!("mtype is {mtype:?}; it is 1 to 4")
            })
        }),
        of_bid(
            "response.bid.markup",
            "4.3",
            "a bid has markup, or an address to get it from",
            |bid| {
                ensure(!bid.markup().is_empty() || !bid.text("nurl").is_empty(), || {
                    "neither adm nor nurl".into()
                })
            },
        ),
        of_bid(
            "response.bid.mtype-markup",
            "4.2.3",
            "mtype is the type of the markup",
            |bid| {
                let kind = markup::kind(bid.markup()).map(|kind| kind as i64);
                ensure(kind.is_none() || kind == bid.int("mtype"), || {
                    format!("mtype is {:?}, the markup is of type {kind:?}", bid.int("mtype"))
                })
            },
        ),
    ]
}

fn creative() -> Vec<Case> {
    vec![
        of_bid(
            "response.bid.domain",
            "4.2.3",
            "an advertiser is a plain domain",
            |bid| {
                let plain = |domain: &&str| {
                    domain.contains('.') && !domain.starts_with("www.") && domain.bytes().all(is_of_domain)
                };
                let wrong = bid.texts("adomain").into_iter().find(|domain| !plain(domain));
                ensure(wrong.is_none(), || {
                    format!("`{}` is no domain like brand.example", wrong.unwrap_or_default())
                })
            },
        ),
        of_bid(
            "response.bid.taxonomy",
            "4.2.3",
            "categories are of the taxonomy that the bid names",
            |bid| {
                let iab = |cat: &&str| cat.starts_with("IAB");
                let wrong = bid
                    .texts("cat")
                    .into_iter()
                    .find(|cat| (bid.taxonomy() == 1) != iab(cat));
                ensure(wrong.is_none(), || {
                    format!("`{}` in taxonomy {}", wrong.unwrap_or_default(), bid.taxonomy())
                })
            },
        ),
        of_base(
            "response.bid.size",
            "4.2.3",
            "a banner has its width and height",
            |base| {
                let banner = base.bid.int("mtype") == Some(1);
                let sized =
                    base.bid.size().is_some_and(|(w, h)| w > 0 && h > 0) || base.bid.int("wratio").is_some();
                ensure(!banner || sized, || "w and h are missing".into())
            },
        ),
        of_base(
            "response.bid.offered",
            "3.2.10",
            "the size of a banner is one of those offered",
            |base| {
                let offered = items(&base.request["imp"][0]["banner"]["format"]);
                let size = base.bid.size();
                let fits = offered
                    .iter()
                    .any(|o| o["w"].as_i64().zip(o["h"].as_i64()) == size);
                ensure(offered.is_empty() || size.is_none() || fits, || {
                    format!("{size:?} was not offered")
                })
            },
        ),
        of_bid(
            "response.bid.duration",
            "4.2.3",
            "a video says how long it is",
            |bid| {
                let timed = matches!(bid.int("mtype"), Some(2 | 3));
                ensure(!timed || bid.int("dur") > Some(0), || "dur is missing".into())
            },
        ),
        of_bid("response.bid.language", "4.2.3", "a language is a code", |bid| {
            let language = bid.text("language");
            let code = language.len() == 2 && language.bytes().all(|b| b.is_ascii_lowercase());
            ensure(language.is_empty() || code, || {
                format!("language is `{language}`; ISO 639-1 would be like `en`")
            })
        }),
        of_bid(
            "response.bid.attributes",
            "AdCOM",
            "attributes are known ones, each once",
            |bid| {
                let mut attributes = bid.ints("attr");
                let known = attributes
                    .iter()
                    .all(|attribute| (1..=23).contains(attribute) || *attribute >= 500);
                let all = attributes.len();
                attributes.sort_unstable();
                attributes.dedup();
                ensure(known && attributes.len() == all, || {
                    format!("attr is {}", bid.fields["attr"])
                })
            },
        ),
    ]
}

fn values() -> Vec<Case> {
    vec![
        of_bid(
            "response.bid.exp",
            "4.2.3, 7.2",
            "a bid is good for a time above zero",
            |bid| {
                ensure(bid.int("exp").is_none_or(|exp| exp > 0), || {
                    format!("exp is {}", bid.fields["exp"])
                })
            },
        ),
        of_bid(
            "response.bid.digits",
            "4.2.3",
            "a price has no more digits than a price can have",
            |bid| {
                let text = bid.fields["price"].to_string();
                let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
                ensure(decimals <= 9, || {
                    format!("price is {text}: the digits of a binary fraction")
                })
            },
        ),
        of_bid(
            "response.bid.nulls",
            "2.3",
            "what a bid does not say is absent, not null or empty",
            |bid| {
                let fields = bid.fields.as_object().into_iter().flatten();
                let mut empty = fields.filter(|(_, value)| value.is_null() || value.as_str() == Some(""));
                let found = empty.next();
                ensure(found.is_none(), || {
                    format!("`{}` is null or empty", found.map_or("", |(key, _)| key))
                })
            },
        ),
        of_bid(
            "response.bid.urls",
            "4.2.3",
            "the URLs of a bid are absolute, without white space",
            |bid| {
                for key in ["nurl", "burl", "lurl", "iurl"] {
                    let url = bid.text(key);
                    let sound = url.starts_with("http://") || url.starts_with("https://");
                    if !url.is_empty() && (!sound || url.bytes().any(|b| b <= b' ' || b == b'"' || b == b'<'))
                    {
                        return fails(format!("{key} is `{url}`"));
                    }
                }
                Ok(())
            },
        ),
        of_bid(
            "response.bid.iurl",
            "4.2.3",
            "the picture of a campaign has an address without macros",
            |bid| {
                ensure(!bid.text("iurl").contains("${"), || {
                    "iurl is for review and has a cache buster".into()
                })
            },
        ),
    ]
}

/// One rule for every response that was found.
fn of_base(
    id: &'static str,
    spec: &'static str,
    title: &'static str,
    judge: impl Fn(&Base) -> Verdict + 'static,
) -> Case {
    Case::new(Section::Response, id, spec, title, move |stage| {
        stage.every_bid("no bid was found", |base| Some(judge(base)))
    })
}

fn of_bid(
    id: &'static str,
    spec: &'static str,
    title: &'static str,
    judge: impl Fn(&Bid) -> Verdict + 'static,
) -> Case {
    of_base(id, spec, title, move |base| judge(&base.bid))
}

fn text_is_there(bid: &Bid, key: &str) -> Verdict {
    ensure(!bid.text(key).is_empty(), || {
        format!("{key} is missing, empty, or no text")
    })
}

/// Whether an object has known fields only, each of its type.
fn agree(object: &Value, fields: &[(&str, char)]) -> Verdict {
    for (key, value) in object.as_object().into_iter().flatten() {
        let Some((_, kind)) = fields.iter().find(|(known, _)| known == key) else {
            return fails(format!(
                "`{key}` is no field of the specification; extensions belong under ext"
            ));
        };
        if !is_a(value, *kind) {
            return fails(format!("`{key}` is {value}, which is not of its type"));
        }
    }
    Ok(())
}

fn is_a(value: &Value, kind: char) -> bool {
    match kind {
        't' => value.is_string(),
        'i' => value.is_i64(),
        'f' => value.is_number(),
        'T' => value
            .as_array()
            .is_some_and(|list| list.iter().all(Value::is_string)),
        'I' => value
            .as_array()
            .is_some_and(|list| list.iter().all(Value::is_i64)),
        'l' => value.is_array(),
        _ => value.is_object(),
    }
}

fn is_of_domain(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-')
}
