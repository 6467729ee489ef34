//! `imp` and what stands in it.

use super::Field;
use super::Kind::{Double, Flag, Int, Message, Text};
use super::{many, one};

pub(super) fn imp(number: u32) -> Option<Field> {
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
