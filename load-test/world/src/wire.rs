//! A request as OpenRTB 2.6 JSON. Invariant: every text comes from this crate and needs no escaping but the native request.

use crate::law::Format;
use crate::random::mix;
use crate::sites::Property;
use crate::traffic::{ImpTruth, Truth};
use crate::user::EID_SOURCE;
use std::fmt::{Result, Write};

/// Appends the request as one JSON object, without a line end.
pub(crate) fn write_request(truth: &Truth, property: &Property, out: &mut String) {
    try_write_request(truth, property, out).expect("writing to a String cannot fail");
}

fn try_write_request(truth: &Truth, property: &Property, out: &mut String) -> Result {
    write!(out, "{{\"id\":\"{}\",\"imp\":[", truth.id)?;
    for (i, imp) in truth.imps.iter().enumerate() {
        out.push_str(if i == 0 { "" } else { "," });
        write_imp(imp, property, out)?;
    }
    out.push_str("],");
    write_channel(truth, property, out)?;
    write_device(truth, out)?;
    write_user(truth, out)?;
    write!(
        out,
        ",\"at\":{},\"tmax\":{},\"cur\":[\"USD\"]",
        truth.at, truth.tmax_ms
    )?;
    write_list("bcat", &truth.bcat, out)?;
    write_list("badv", &truth.badv, out)?;
    write_source_and_regs(truth, property, out)?;
    out.push('}');
    Ok(())
}

fn write_imp(imp: &ImpTruth, property: &Property, out: &mut String) -> Result {
    write!(out, "{{\"id\":\"{}\"", imp.id)?;
    match imp.format {
        Format::Banner => write_banner(imp, property, out)?,
        Format::Video => write_video(imp, property, out)?,
        Format::Native => out.push_str(NATIVE),
    }
    write!(out, ",\"tagid\":\"{}\"", imp.tagid)?;
    if imp.floor > 0.0 {
        write!(out, ",\"bidfloor\":{:.2},\"bidfloorcur\":\"USD\"", imp.floor)?;
    }
    if imp.secure {
        out.push_str(",\"secure\":1");
    }
    if imp.instl {
        out.push_str(",\"instl\":1");
    }
    if imp.rewarded {
        out.push_str(",\"rwdd\":1");
    }
    if !imp.deals.is_empty() {
        out.push_str(",\"pmp\":{\"private_auction\":0,\"deals\":[");
        for (i, deal) in imp.deals.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            let (id, floor, at) = (deal.id, deal.floor, deal.at);
            write!(
                out,
                "{comma}{{\"id\":\"{id}\",\"bidfloor\":{floor:.2},\"bidfloorcur\":\"USD\",\"at\":{at}}}"
            )?;
        }
        out.push_str("]}");
    }
    out.push('}');
    Ok(())
}

fn write_banner(imp: &ImpTruth, property: &Property, out: &mut String) -> Result {
    let (w, h) = imp.sizes[0];
    write!(out, ",\"banner\":{{\"w\":{w},\"h\":{h},\"format\":[")?;
    for (i, (w, h)) in imp.sizes.iter().enumerate() {
        write!(out, "{}{{\"w\":{w},\"h\":{h}}}", if i == 0 { "" } else { "," })?;
    }
    write!(out, "],\"pos\":{}", imp.context.position)?;
    if property.strict {
        out.push_str(STRICT_ATTRIBUTES);
    }
    out.push('}');
    Ok(())
}

fn write_video(imp: &ImpTruth, property: &Property, out: &mut String) -> Result {
    let (w, h) = imp.sizes[0];
    let television = imp.context.device_kind == 3;
    // AdCOM placement subtypes: 1 instream, 2 accompanying content, 3 interstitial, 4 standalone.
    let plcmt = match (imp.instl, television || property.index.is_multiple_of(3)) {
        (true, _) => 3,
        (false, true) => 1,
        (false, false) => 2 + 2 * u32::from(property.index.is_multiple_of(2)),
    };
    write!(
        out,
        ",\"video\":{{\"mimes\":[\"video/mp4\"{}],\"minduration\":5,\"maxduration\":{},\"protocols\":[2,3,5,6,7,8],\"w\":{w},\"h\":{h},\"startdelay\":0,\"plcmt\":{plcmt},\"linearity\":1,\"skip\":{},\"playbackmethod\":[{}],\"pos\":{}",
        if property.index.is_multiple_of(2) {
            ",\"video/webm\""
        } else {
            ""
        },
        imp.max_duration_s,
        u32::from(property.index % 4 == 1),
        if television { 1 } else { 2 },
        imp.context.position,
    )?;
    if property.strict {
        out.push_str(STRICT_ATTRIBUTES);
    }
    out.push('}');
    Ok(())
}

/// Automatic audio, expansion without a click, pop-ups, provocative images and shaking (AdCOM creative attributes).
const STRICT_ATTRIBUTES: &str = ",\"battr\":[1,3,5,8,9,10,14]";

/// Native 1.2: a title, a main image and what sells are wanted; the request is a JSON text inside a JSON text.
const NATIVE: &str = r#","native":{"ver":"1.2","request":"{\"ver\":\"1.2\",\"context\":1,\"contextsubtype\":11,\"plcmttype\":1,\"plcmtcnt\":1,\"assets\":[{\"id\":1,\"required\":1,\"title\":{\"len\":90}},{\"id\":2,\"required\":1,\"img\":{\"type\":3,\"wmin\":300,\"hmin\":157}},{\"id\":3,\"required\":0,\"img\":{\"type\":1,\"wmin\":50,\"hmin\":50}},{\"id\":4,\"required\":0,\"data\":{\"type\":1,\"len\":40}},{\"id\":5,\"required\":0,\"data\":{\"type\":2,\"len\":140}}],\"eventtrackers\":[{\"event\":1,\"methods\":[1,2]}],\"privacy\":1}"}"#;

fn write_channel(truth: &Truth, property: &Property, out: &mut String) -> Result {
    let (category, second) = (property.topic.category(), property.second_topic.category());
    if property.app {
        let android = truth.device.os == "Android";
        let store = if android {
            "play.example/apps/"
        } else {
            "store.example/app/"
        };
        write!(
            out,
            "\"app\":{{\"id\":\"app-{:03}\",\"name\":\"{}\",\"bundle\":\"{}\",\"storeurl\":\"https://{store}{}\",\"ver\":\"{}.{}\"",
            property.index,
            property.name,
            property.bundle,
            property.bundle,
            1 + property.index % 9,
            truth.noise % 4
        )?;
    } else {
        let scheme = if property.insecure { "http" } else { "https" };
        let page = truth.noise % 40;
        write!(
            out,
            "\"site\":{{\"id\":\"site-{:03}\",\"name\":\"{}\",\"domain\":\"{}\",\"page\":\"{scheme}://{}/{}/{page}.html\"",
            property.index,
            property.name,
            property.domain,
            property.domain,
            property.topic.name()
        )?;
    }
    write!(
        out,
        ",\"cat\":[\"{category}\",\"{second}\"],\"keywords\":\"{},{}\",\"publisher\":{{\"id\":\"{}\",\"domain\":\"{}.example\"}}}}",
        property.topic.name(),
        property.second_topic.name(),
        property.publisher,
        property.publisher
    )
}

fn write_device(truth: &Truth, out: &mut String) -> Result {
    let (user, device) = (&truth.user, truth.device);
    let major = 125 + mix(user.index) % 14;
    out.push_str(",\"device\":{\"ua\":\"");
    for (i, part) in device.user_agent.split("{}").enumerate() {
        if i > 0 {
            write!(out, "{major}")?;
        }
        out.push_str(part);
    }
    // The three networks that RFC 5737 keeps for documentation; one address a home.
    let network = ["203.0.113", "198.51.100", "192.0.2"][(user.index % 3) as usize];
    write!(
        out,
        "\",\"ip\":\"{network}.{}\",\"devicetype\":{},\"os\":\"{}\",\"osv\":\"{}\",\"language\":\"{}\",\"connectiontype\":{}",
        1 + mix(user.index) % 254,
        device.kind,
        device.os,
        device.os_version,
        user.language,
        connection(truth)
    )?;
    if !device.make.is_empty() {
        write!(
            out,
            ",\"make\":\"{}\",\"model\":\"{}\"",
            device.make, device.model
        )?;
    }
    let ifa = user.ifa().filter(|_| truth.ids.ifa);
    if let Some(ifa) = ifa {
        write!(out, ",\"ifa\":\"{ifa}\"")?;
    }
    write!(out, ",\"lmt\":{}", u32::from(truth.lmt))?;
    let place = user.place;
    write!(
        out,
        ",\"geo\":{{\"country\":\"{}\",\"region\":\"{}\",\"city\":\"{}\",\"zip\":\"{}\",\"lat\":{:.2},\"lon\":{:.2},\"type\":2,\"utcoffset\":{}}}}}",
        place.country, place.region, place.city, place.zip, place.lat, place.lon, place.utc_offset_min
    )
}

/// AdCOM connection type: 1 ethernet, 2 wifi, 6 4G, 7 5G.
fn connection(truth: &Truth) -> u32 {
    let first = (truth.noise >> 32).is_multiple_of(2);
    match (truth.device.kind, first) {
        (4, true) => 6,
        (4, false) if (truth.noise >> 33).is_multiple_of(2) => 7,
        (2, true) => 1,
        _ => 2,
    }
}

fn write_user(truth: &Truth, out: &mut String) -> Result {
    if truth.ids == Default::default() {
        return Ok(());
    }
    let user = &truth.user;
    write!(out, ",\"user\":{{\"id\":\"{}\"", user.exchange_id())?;
    if truth.ids.buyeruid {
        write!(out, ",\"buyeruid\":\"{}\"", user.buyeruid())?;
    }
    let eid = user.eid().filter(|_| truth.ids.eid);
    if let Some(eid) = eid {
        write!(
            out,
            ",\"eids\":[{{\"source\":\"{EID_SOURCE}\",\"uids\":[{{\"id\":\"{eid}\",\"atype\":3}}]}}]"
        )?;
    }
    if truth.noise.is_multiple_of(5) {
        let best = user
            .interests
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1))
            .map_or(0, |(t, _)| t);
        write!(
            out,
            ",\"data\":[{{\"id\":\"segments\",\"name\":\"demo segments\",\"segment\":[{{\"id\":\"{best}\"}}]}}]"
        )?;
    }
    out.push('}');
    Ok(())
}

fn write_source_and_regs(truth: &Truth, property: &Property, out: &mut String) -> Result {
    write!(
        out,
        ",\"source\":{{\"tid\":\"{}\",\"schain\":{{\"complete\":1,\"ver\":\"1.0\",\"nodes\":[{{\"asi\":\"exchange.example\",\"sid\":\"{}\",\"hp\":1}}]}}}}",
        truth.id, property.publisher
    )?;
    if truth.coppa || truth.gdpr {
        write!(
            out,
            ",\"regs\":{{\"coppa\":{},\"gdpr\":{}}}",
            u32::from(truth.coppa),
            u32::from(truth.gdpr)
        )?;
    }
    Ok(())
}

fn write_list(key: &str, values: &[impl AsRef<str>], out: &mut String) -> Result {
    if values.is_empty() {
        return Ok(());
    }
    write!(out, ",\"{key}\":[")?;
    for (i, value) in values.iter().enumerate() {
        write!(out, "{}\"{}\"", if i == 0 { "" } else { "," }, value.as_ref())?;
    }
    out.push(']');
    Ok(())
}
