//! The field numbers of the IAB's `openrtb.proto` (openrtb2.x, 2.6-202606), with the names that the same fields have in JSON.
//!
//! What the parser does not read has no row. Extensions (500 and above) belong to whoever claimed their block and are
//! passed over; of the `ext` messages only fields that the IAB numbered itself stand here.

mod imp;

use Kind::{Double, Flag, Int, Message, Text};
use imp::imp;

/// What a message holds: a field for a number, `None` for an unknown one.
pub(super) type Schema = fn(u32) -> Option<Field>;

#[derive(Clone, Copy)]
pub(super) struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub repeated: bool,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// `bool`.
    Flag,
    /// `int32`.
    Int,
    /// `double`.
    Double,
    /// `string`.
    Text,
    Message(Schema),
}

pub(super) const BID_REQUEST: Schema = bid_request;

const fn one(name: &'static str, kind: Kind) -> Option<Field> {
    Some(Field {
        name,
        kind,
        repeated: false,
    })
}

const fn many(name: &'static str, kind: Kind) -> Option<Field> {
    Some(Field {
        name,
        kind,
        repeated: true,
    })
}

fn bid_request(number: u32) -> Option<Field> {
    match number {
        1 => one("id", Text),
        2 => many("imp", Message(imp)),
        3 => one("site", Message(site)),
        4 => one("app", Message(app)),
        5 => one("device", Message(device)),
        6 => one("user", Message(user)),
        7 => one("at", Int),
        8 => one("tmax", Int),
        9 => many("wseat", Text),
        10 => one("allimps", Flag),
        11 => many("cur", Text),
        12 => many("bcat", Text),
        13 => many("badv", Text),
        14 => one("regs", Message(regs)),
        15 => one("test", Flag),
        16 => many("bapp", Text),
        17 => many("bseat", Text),
        18 => many("wlang", Text),
        19 => one("source", Message(source)),
        20 => many("wlangb", Text),
        21 => one("cattax", Int),
        22 => one("dooh", Message(dooh)),
        23 => many("acat", Text),
        _ => None,
    }
}

fn source(number: u32) -> Option<Field> {
    match number {
        2 => one("tid", Text),
        4 => one("schain", Message(schain)),
        99 => one("ext", Message(source_ext)),
        _ => None,
    }
}

fn source_ext(number: u32) -> Option<Field> {
    match number {
        1 => one("schain", Message(schain)),
        _ => None,
    }
}

fn schain(number: u32) -> Option<Field> {
    match number {
        1 => one("complete", Flag),
        2 => many("nodes", Message(schain_node)),
        _ => None,
    }
}

fn schain_node(number: u32) -> Option<Field> {
    match number {
        1 => one("asi", Text),
        2 => one("sid", Text),
        6 => one("hp", Flag),
        _ => None,
    }
}

fn site(number: u32) -> Option<Field> {
    match number {
        1 => one("id", Text),
        2 => one("name", Text),
        3 => one("domain", Text),
        4 => many("cat", Text),
        5 => many("sectioncat", Text),
        6 => many("pagecat", Text),
        7 => one("page", Text),
        11 => one("publisher", Message(publisher)),
        12 => one("content", Message(content)),
        13 => one("keywords", Text),
        16 => one("cattax", Int),
        17 => one("inventorypartnerdomain", Text),
        18 => many("kwarray", Text),
        _ => None,
    }
}

fn app(number: u32) -> Option<Field> {
    match number {
        1 => one("id", Text),
        2 => one("name", Text),
        3 => one("domain", Text),
        4 => many("cat", Text),
        5 => many("sectioncat", Text),
        6 => many("pagecat", Text),
        8 => one("bundle", Text),
        11 => one("publisher", Message(publisher)),
        12 => one("content", Message(content)),
        13 => one("keywords", Text),
        17 => one("cattax", Int),
        18 => one("inventorypartnerdomain", Text),
        19 => many("kwarray", Text),
        _ => None,
    }
}

fn dooh(number: u32) -> Option<Field> {
    match number {
        1 => one("id", Text),
        2 => one("name", Text),
        3 => many("venuetype", Text),
        5 => one("publisher", Message(publisher)),
        6 => one("domain", Text),
        7 => one("keywords", Text),
        8 => one("content", Message(content)),
        _ => None,
    }
}

fn publisher(number: u32) -> Option<Field> {
    match number {
        1 => one("id", Text),
        4 => one("domain", Text),
        _ => None,
    }
}

fn content(number: u32) -> Option<Field> {
    match number {
        7 => many("cat", Text),
        9 => one("keywords", Text),
        19 => one("language", Text),
        27 => one("cattax", Int),
        29 => one("langb", Text),
        32 => many("kwarray", Text),
        _ => None,
    }
}

fn device(number: u32) -> Option<Field> {
    match number {
        1 => one("dnt", Flag),
        2 => one("ua", Text),
        3 => one("ip", Text),
        4 => one("geo", Message(geo)),
        9 => one("ipv6", Text),
        10 => one("carrier", Text),
        11 => one("language", Text),
        12 => one("make", Text),
        13 => one("model", Text),
        14 => one("os", Text),
        15 => one("osv", Text),
        17 => one("connectiontype", Int),
        18 => one("devicetype", Int),
        20 => one("ifa", Text),
        23 => one("lmt", Flag),
        31 => one("sua", Message(user_agent)),
        32 => one("langb", Text),
        _ => None,
    }
}

fn geo(number: u32) -> Option<Field> {
    match number {
        1 => one("lat", Double),
        2 => one("lon", Double),
        3 => one("country", Text),
        4 => one("region", Text),
        7 => one("city", Text),
        8 => one("zip", Text),
        10 => one("utcoffset", Int),
        _ => None,
    }
}

fn user_agent(number: u32) -> Option<Field> {
    match number {
        1 => many("browsers", Message(brand_version)),
        2 => one("platform", Message(brand_version)),
        3 => one("mobile", Flag),
        6 => one("model", Text),
        _ => None,
    }
}

fn brand_version(number: u32) -> Option<Field> {
    match number {
        1 => one("brand", Text),
        2 => many("version", Text),
        _ => None,
    }
}

fn user(number: u32) -> Option<Field> {
    match number {
        1 => one("id", Text),
        2 => one("buyeruid", Text),
        5 => one("keywords", Text),
        7 => one("geo", Message(geo)),
        8 => many("data", Message(data)),
        9 => many("kwarray", Text),
        10 => one("consent", Text),
        11 => many("eids", Message(eid)),
        99 => one("ext", Message(user_ext)),
        _ => None,
    }
}

/// Where 2.5 had them.
fn user_ext(number: u32) -> Option<Field> {
    match number {
        1 => one("consent", Text),
        2 => many("eids", Message(eid)),
        _ => None,
    }
}

fn eid(number: u32) -> Option<Field> {
    match number {
        1 => one("source", Text),
        2 => many("uids", Message(uid)),
        _ => None,
    }
}

fn uid(number: u32) -> Option<Field> {
    match number {
        1 => one("id", Text),
        2 => one("atype", Int),
        _ => None,
    }
}

fn data(number: u32) -> Option<Field> {
    match number {
        1 => one("id", Text),
        2 => one("name", Text),
        3 => many("segment", Message(segment)),
        _ => None,
    }
}

fn segment(number: u32) -> Option<Field> {
    match number {
        1 => one("id", Text),
        2 => one("name", Text),
        3 => one("value", Text),
        _ => None,
    }
}

fn regs(number: u32) -> Option<Field> {
    match number {
        1 => one("coppa", Flag),
        2 => one("gpp", Text),
        3 => many("gpp_sid", Int),
        4 => one("gdpr", Flag),
        5 => one("us_privacy", Text),
        99 => one("ext", Message(regs_ext)),
        _ => None,
    }
}

/// Where 2.5 had them, and the DSA transparency extension.
fn regs_ext(number: u32) -> Option<Field> {
    match number {
        1 => one("gdpr", Flag),
        2 => one("us_privacy", Text),
        3 => one("gpc", Text),
        4 => one("dsa", Message(dsa)),
        _ => None,
    }
}

fn dsa(number: u32) -> Option<Field> {
    match number {
        1 => one("dsarequired", Int),
        2 => one("pubrender", Int),
        3 => one("datatopub", Int),
        _ => None,
    }
}
