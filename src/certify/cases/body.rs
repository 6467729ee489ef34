//! Sections 2.3, 2.6 and 2.9: what a reader has to tolerate in a valid request, and what live traffic adds to that.

use super::imp::only_https;
use super::{Change, harmless};
use crate::certify::case::{Case, Section, ensure};
use crate::certify::stage::Format;
use serde_json::{Value, json};

pub(super) const TOLERATED: &[Change] = &[
    Change {
        id: "body.unknown.root",
        spec: "2.6",
        title: "an unknown field of the request is ignored",
        edits: &[("certifyunknown", r#"{"a":[1,"b",null]}"#)],
    },
    Change {
        id: "body.unknown.imp",
        spec: "2.6",
        title: "an unknown field of an imp is ignored",
        edits: &[("imp.0.certifyunknown", "7")],
    },
    Change {
        id: "body.unknown.banner",
        spec: "2.6",
        title: "an unknown field of a banner is ignored",
        edits: &[("imp.0.banner.certifyunknown", "[{}]")],
    },
    Change {
        id: "body.unknown.site",
        spec: "2.6",
        title: "an unknown field of a site is ignored",
        edits: &[("site.certifyunknown", "true")],
    },
    Change {
        id: "body.unknown.device",
        spec: "2.6",
        title: "an unknown field of a device is ignored",
        edits: &[("device.certifyunknown", r#""x""#)],
    },
    Change {
        id: "body.unknown.user",
        spec: "2.6",
        title: "an unknown field of a user is ignored",
        edits: &[("user.certifyunknown", "{}")],
    },
    Change {
        id: "body.unknown.source",
        spec: "2.6",
        title: "an unknown field of a source is ignored",
        edits: &[("source.certifyunknown", "0.5")],
    },
    Change {
        id: "body.unknown.regs",
        spec: "2.6",
        title: "an unknown field of regs is ignored",
        edits: &[("regs.certifyunknown", "[]")],
    },
    Change {
        id: "body.ext.everywhere",
        spec: "2.9",
        title: "every object may carry ext",
        edits: &[
            ("ext", r#"{"a":1}"#),
            ("imp.0.ext", r#"{"a":1}"#),
            ("imp.0.banner.ext", r#"{"a":[]}"#),
            ("site.ext", "{}"),
            ("site.publisher.ext", r#"{"a":"b"}"#),
            ("device.ext", r#"{"a":null}"#),
            ("device.geo.ext", "{}"),
            ("user.ext", r#"{"a":{}}"#),
            ("source.ext", r#"{"a":1}"#),
            ("regs.ext", r#"{"a":1}"#),
        ],
    },
    Change {
        id: "body.ext.other-type",
        spec: "2.9",
        title: "an ext that is no object does no harm",
        edits: &[("ext", "[1]"), ("imp.0.ext", r#""x""#)],
    },
    Change {
        id: "body.enum.device",
        spec: "2.6",
        title: "unknown device and connection types are unknown",
        edits: &[("device.devicetype", "97"), ("device.connectiontype", "97")],
    },
    Change {
        id: "body.enum.position",
        spec: "2.6",
        title: "an unknown position is unknown",
        edits: &[("imp.0.banner.pos", "97")],
    },
    Change {
        id: "body.enum.battr",
        spec: "2.6",
        title: "an unknown blocked attribute blocks nothing we know",
        edits: &[("imp.0.banner.battr", "[997]")],
    },
    Change {
        id: "body.enum.btype",
        spec: "2.6",
        title: "an unknown blocked type blocks nothing we know",
        edits: &[("imp.0.banner.btype", "[997]")],
    },
    Change {
        id: "body.enum.api",
        spec: "2.6",
        title: "an unknown API does no harm",
        edits: &[("imp.0.banner.api", "[997]")],
    },
    Change {
        id: "body.enum.expdir",
        spec: "2.6",
        title: "an unknown direction of expansion does no harm",
        edits: &[("imp.0.banner.expdir", "[997]")],
    },
    Change {
        id: "body.enum.geo",
        spec: "2.6",
        title: "an unknown source of a location does no harm",
        edits: &[("device.geo.type", "97")],
    },
    Change {
        id: "body.float.size",
        spec: "2.3",
        title: "a whole number may be written as 300.0",
        edits: &[("tmax", "1000.0"), ("at", "1.0"), ("device.devicetype", "4.0")],
    },
    Change {
        id: "body.float.exponent",
        spec: "2.3",
        title: "a number may have an exponent",
        edits: &[("tmax", "1e3"), ("imp.0.bidfloor", "1E-2")],
    },
    Change {
        id: "body.text.tmax",
        spec: "2.3",
        title: "a number in quotes is that number",
        edits: &[("tmax", r#""1000""#)],
    },
    Change {
        id: "body.text.flags",
        spec: "2.3",
        title: "flags in quotes are flags",
        edits: &[
            ("imp.0.instl", r#""0""#),
            ("device.lmt", r#""0""#),
            ("device.dnt", r#""0""#),
        ],
    },
    Change {
        id: "body.text.empty-secure",
        spec: "2.3",
        title: "an empty flag is absent",
        edits: &[("imp.0.secure", r#""""#)],
    },
    Change {
        id: "body.null.fields",
        spec: "2.3",
        title: "a null field is absent",
        edits: &[
            ("bcat", "null"),
            ("badv", "null"),
            ("wseat", "null"),
            ("bapp", "null"),
            ("regs", "null"),
            ("ext", "null"),
            ("imp.0.pmp", "null"),
            ("imp.0.exp", "null"),
            ("imp.0.metric", "null"),
            ("device.sua", "null"),
            ("site.content", "null"),
            ("user.data", "null"),
            ("user.eids", "null"),
        ],
    },
    Change {
        id: "body.empty.lists",
        spec: "2.3",
        title: "an empty list of blocks blocks nothing",
        edits: &[
            ("bcat", "[]"),
            ("badv", "[]"),
            ("bapp", "[]"),
            ("bseat", "[]"),
            ("imp.0.banner.battr", "[]"),
            ("imp.0.banner.btype", "[]"),
        ],
    },
    Change {
        id: "body.empty.objects",
        spec: "2.3",
        title: "empty objects are objects without fields",
        edits: &[
            ("regs", "{}"),
            ("source", "{}"),
            ("site.content", "{}"),
            ("device.sua", "{}"),
        ],
    },
    Change {
        id: "body.ip.invalid",
        spec: "3.2.18",
        title: "an address that is none is absent",
        edits: &[("device.ip", r#""111.222.333.444""#)],
    },
    Change {
        id: "body.ip.v6-only",
        spec: "3.2.18",
        title: "a device may have an IPv6 address only",
        edits: &[("device.ip", "null"), ("device.ipv6", r#""2001:db8::17""#)],
    },
    Change {
        id: "body.bcat.numbers",
        spec: "3.2.1",
        title: "category numbers of other systems block nothing of ours",
        edits: &[("bcat", "[9001,9002]")],
    },
    Change {
        id: "body.text.unicode",
        spec: "2.3",
        title: "text may be in any script",
        edits: &[
            ("site.name", r#""Новости 新聞 😀""#),
            ("site.keywords", r#""café,\u00e9t\u00e9""#),
        ],
    },
    Change {
        id: "body.text.long",
        spec: "2.3",
        title: "a page address may be long",
        edits: &[(
            "site.page",
            r#""https://news.example/?q=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa""#,
        )],
    },
];

pub fn cases() -> Vec<Case> {
    let rows = harmless(Section::Body, Format::Banner, TOLERATED);
    rows.chain([
        pretty(),
        size_as_text(),
        size_as_float(),
        floor_as_text(),
        secure_as_text(),
    ])
    .collect()
}

fn pretty() -> Case {
    Case::new(
        Section::Body,
        "body.layout",
        "2.3",
        "white space between tokens means nothing",
        |stage| {
            let wrap = |request: &Value| stage.call(format!("\r\n\t {request:#} \r\n").into_bytes());
            stage.still_bids_by(stage.any()?, |_| (), wrap).map(drop)
        },
    )
}

fn size_as_text() -> Case {
    Case::new(
        Section::Body,
        "body.text.size",
        "2.3",
        "a size in quotes is that size",
        |stage| {
            let base = stage.sample(Format::Banner, "with a size", |bid| bid.size().is_some())?;
            let (w, h) = base.bid.size().unwrap_or_default();
            let size = json!({"format": [{"w": w.to_string(), "h": h.to_string()}]});
            stage
                .still_bids(base, |request| request["imp"][0]["banner"] = size.clone())
                .map(drop)
        },
    )
}

fn size_as_float() -> Case {
    Case::new(
        Section::Body,
        "body.float.banner",
        "2.3",
        "a size may be written as 300.0",
        |stage| {
            let base = stage.sample(Format::Banner, "with a size", |bid| bid.size().is_some())?;
            let (w, h) = base.bid.size().unwrap_or_default();
            let size = json!({"format": [{"w": w as f64, "h": h as f64}]});
            stage
                .still_bids(base, |request| request["imp"][0]["banner"] = size.clone())
                .map(drop)
        },
    )
}

/// Read as a price, as no floor or as an invalid request; a bid below it shows that it was read as something else.
fn floor_as_text() -> Case {
    Case::new(
        Section::Body,
        "body.text.floor",
        "2.3, 3.2.4",
        "a floor in quotes is a floor or makes the request invalid",
        |stage| {
            let base = stage.base(Format::Banner)?;
            let (_, bid) = stage.fresh_bid(base)?;
            let floor = bid.price() + 1.0;
            let mut request = stage.fresh(&base.request);
            request["imp"][0]["bidfloor"] = json!(format!("{floor:.2}"));
            let answer = stage.send(&stage.call(request.to_string().into_bytes()))?;
            ensure(
                answer.bids().iter().all(|bid| bid.price() >= floor - 0.01),
                || format!("a bid below the floor \"{floor:.2}\"; right would be no bid, or 400"),
            )
        },
    )
}

fn secure_as_text() -> Case {
    Case::new(
        Section::Body,
        "body.text.secure",
        "2.3, 3.2.4",
        "`secure` in quotes means the same as without",
        |stage| only_https(stage, stage.base(Format::Banner)?, &json!("1")),
    )
}
