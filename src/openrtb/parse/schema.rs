//! The field numbers of the IAB's `openrtb.proto` (openrtb2.x, 2.6-202606), with the names that the same fields have in JSON.
//!
//! What the parser does not read has no row. Extensions (500 and above) belong to whoever claimed their block and are
//! passed over; of the `ext` messages only fields that the IAB numbered itself stand here.

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

use Kind::{Double, Flag, Int, Message, Text};

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

fn imp(number: u32) -> Option<Field> {
    match number {
        1 => one("id", Text),
        2 => one("banner", Message(banner)),
        3 => one("video", Message(video)),
        6 => one("instl", Flag),
        7 => one("tagid", Text),
        8 => one("bidfloor", Double),
        9 => one("bidfloorcur", Text),
        11 => one("pmp", Message(pmp)),
        12 => one("secure", Flag),
        13 => one("native", Message(native)),
        14 => one("exp", Int),
        15 => one("audio", Message(audio)),
        18 => one("rwdd", Flag),
        19 => one("ssai", Int),
        20 => one("qty", Message(qty)),
        21 => one("dt", Double),
        _ => None,
    }
}

fn qty(number: u32) -> Option<Field> {
    match number {
        1 => one("multiplier", Double),
        _ => None,
    }
}

fn banner(number: u32) -> Option<Field> {
    match number {
        1 => one("w", Int),
        2 => one("h", Int),
        3 => one("id", Text),
        4 => one("pos", Int),
        5 => many("btype", Int),
        6 => many("battr", Int),
        7 => many("mimes", Text),
        9 => many("expdir", Int),
        10 => many("api", Int),
        15 => many("format", Message(format)),
        16 => one("vcm", Flag),
        _ => None,
    }
}

fn format(number: u32) -> Option<Field> {
    match number {
        1 => one("w", Int),
        2 => one("h", Int),
        3 => one("wratio", Int),
        4 => one("hratio", Int),
        5 => one("wmin", Int),
        _ => None,
    }
}

fn video(number: u32) -> Option<Field> {
    match number {
        1 => many("mimes", Text),
        2 => one("linearity", Int),
        3 => one("minduration", Int),
        4 => one("maxduration", Int),
        5 => one("protocol", Int),
        6 => one("w", Int),
        7 => one("h", Int),
        8 => one("startdelay", Int),
        10 => many("battr", Int),
        12 => one("minbitrate", Int),
        13 => one("maxbitrate", Int),
        14 => one("boxingallowed", Flag),
        15 => many("playbackmethod", Int),
        16 => many("delivery", Int),
        17 => one("pos", Int),
        18 => many("companionad", Message(banner)),
        19 => many("api", Int),
        20 => many("companiontype", Int),
        21 => many("protocols", Int),
        23 => one("skip", Flag),
        26 => one("placement", Int),
        28 => one("maxseq", Int),
        29 => one("poddur", Int),
        30 => one("podid", Text),
        31 => one("podseq", Int),
        32 => many("rqddurs", Int),
        33 => one("slotinpod", Int),
        34 => one("mincpmpersec", Double),
        35 => one("plcmt", Int),
        36 => many("durfloors", Message(dur_floors)),
        37 => many("poddedupe", Int),
        _ => None,
    }
}

fn audio(number: u32) -> Option<Field> {
    match number {
        1 => many("mimes", Text),
        2 => one("minduration", Int),
        3 => one("maxduration", Int),
        4 => many("protocols", Int),
        5 => one("startdelay", Int),
        7 => many("battr", Int),
        9 => one("minbitrate", Int),
        10 => one("maxbitrate", Int),
        11 => many("delivery", Int),
        12 => many("companionad", Message(banner)),
        13 => many("api", Int),
        20 => many("companiontype", Int),
        21 => one("maxseq", Int),
        22 => one("feed", Int),
        23 => one("stitched", Flag),
        24 => one("nvol", Int),
        25 => one("poddur", Int),
        26 => many("rqddurs", Int),
        27 => one("podid", Text),
        28 => one("podseq", Int),
        29 => one("slotinpod", Int),
        30 => one("mincpmpersec", Double),
        31 => many("durfloors", Message(dur_floors)),
        _ => None,
    }
}

fn dur_floors(number: u32) -> Option<Field> {
    match number {
        1 => one("mindur", Int),
        2 => one("maxdur", Int),
        3 => one("bidfloor", Double),
        _ => None,
    }
}

/// The request inside is a string (1) or a message (50); where both stand the message counts, as it comes last.
fn native(number: u32) -> Option<Field> {
    match number {
        1 => one("request", Text),
        3 => many("api", Int),
        4 => many("battr", Int),
        50 => one("request", Message(native_request)),
        _ => None,
    }
}

fn native_request(number: u32) -> Option<Field> {
    match number {
        6 => many("assets", Message(asset)),
        13 => many("eventtrackers", Message(event_tracker)),
        14 => one("privacy", Flag),
        _ => None,
    }
}

fn asset(number: u32) -> Option<Field> {
    match number {
        1 => one("id", Int),
        2 => one("required", Flag),
        3 => one("title", Message(title)),
        4 => one("img", Message(image)),
        5 => one("video", Message(video)),
        6 => one("data", Message(asset_data)),
        _ => None,
    }
}

fn title(number: u32) -> Option<Field> {
    match number {
        1 => one("len", Int),
        _ => None,
    }
}

fn image(number: u32) -> Option<Field> {
    match number {
        1 => one("type", Int),
        2 => one("w", Int),
        3 => one("h", Int),
        4 => one("wmin", Int),
        5 => one("hmin", Int),
        _ => None,
    }
}

fn asset_data(number: u32) -> Option<Field> {
    match number {
        1 => one("type", Int),
        2 => one("len", Int),
        _ => None,
    }
}

fn event_tracker(number: u32) -> Option<Field> {
    match number {
        1 => one("event", Int),
        2 => many("methods", Int),
        _ => None,
    }
}

fn pmp(number: u32) -> Option<Field> {
    match number {
        1 => one("private_auction", Flag),
        2 => many("deals", Message(deal)),
        _ => None,
    }
}

fn deal(number: u32) -> Option<Field> {
    match number {
        1 => one("id", Text),
        2 => one("bidfloor", Double),
        3 => one("bidfloorcur", Text),
        4 => many("wseat", Text),
        5 => many("wadomain", Text),
        6 => one("at", Int),
        7 => one("guar", Int),
        8 => one("mincpmpersec", Double),
        9 => many("durfloors", Message(dur_floors)),
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
