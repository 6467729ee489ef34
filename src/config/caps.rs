//! Frequency caps in one clear form: `3 per day per line_item`, for everybody or for an audience.
//! Invariant: a cap is set no lower than what it counts, so no two line items disagree on one counter.

use super::creative::Creatives;
use super::document::Node;
use super::problem::suggest;
use super::quantity::{self, parse_duration};
use super::targeting;
use crate::store::campaigns::definition::{Cap, CapLevel, LIFETIME_S};
use serde_json::{Value, json};

/// Lowest first. Groups stand beside creatives: what they count belongs to the advertiser, wherever the cap is set.
const LEVELS: [(&str, CapLevel); 4] = [
    ("creative", CapLevel::Creative),
    ("line_item", CapLevel::LineItem),
    ("campaign", CapLevel::Campaign),
    ("advertiser", CapLevel::Advertiser),
];
const GROUP: &str = "group";
const WINDOWS_S: [(&str, u64); 6] = [
    ("minute", 60),
    ("hour", 3600),
    ("day", 86_400),
    ("week", 604_800),
    ("month", 2_592_000),
    ("lifetime", LIFETIME_S as u64),
];
pub(super) const KEYS: &[&str] = &["cap", "audience"];

/// A larger cap limits nobody, and every capped user costs memory for as long as the window.
const IMPRESSIONS_MAX: u16 = 1000;
/// Two years, after which a person counts as cold; what shall hold longer holds for ever.
const WINDOW_S_MAX: u64 = 730 * 86_400;

/// The caps of one object: those of the levels above, where `node` sets none of the same level and window.
pub(super) fn merge(inherited: &[Cap], node: Option<&Node<'_>>, highest: &CapLevel) -> Vec<Cap> {
    let mut own: Vec<Cap> = Vec::new();
    for (cap, node) in node.map_or_else(Vec::new, |node| {
        node.list(|n| Some((read(n, highest)?, n.clone())))
    }) {
        if own
            .iter()
            .any(|other| is_same(other, &cap) && other.audience == cap.audience)
        {
            node.problem(
                "there is a cap of this level and window already",
                "take one of them out, or give it an `audience`",
            );
        }
        own.push(cap);
    }
    let kept = inherited
        .iter()
        .filter(|old| !own.iter().any(|cap| is_same(old, cap)));
    let mut caps: Vec<Cap> = kept.cloned().chain(own.iter().cloned()).collect();
    // The sort is stable: audiences stay in their order.
    caps.sort_by_key(|cap| cap.audience.is_none());
    caps
}

fn is_same(a: &Cap, b: &Cap) -> bool {
    (&a.level, a.window_s) == (&b.level, b.window_s)
}

/// Reports caps of `node` on groups that no creative of the advertiser is in.
pub(super) fn check_groups(node: Option<&Node<'_>>, advertiser: usize, creatives: &Creatives) {
    let Some(node) = node.filter(|node| node.value().as_array().is_some()) else {
        return;
    };
    let of_owner = creatives.all.iter().filter(|c| c.advertiser == advertiser);
    let mut known: Vec<&str> = of_owner.flat_map(|c| &c.groups).map(String::as_str).collect();
    known.sort_unstable();
    known.dedup();
    node.list(|n| {
        let text = n
            .value()
            .as_str()
            .or_else(|| n.value().as_table()?.get("cap")?.get_ref().as_str())?;
        let Ok(CapLevel::Group(name)) = parse(text, &CapLevel::Advertiser).map(|cap| cap.level) else {
            return None;
        };
        if !known.contains(&name.as_str()) {
            let fix = if known.is_empty() {
                format!("write `groups = [\"{name}\"]` in the creatives that it counts")
            } else {
                suggest(&name, known.clone())
            };
            n.problem(
                format!("no creative of this advertiser is in the group `{name}`"),
                fix,
            );
        }
        Some(())
    });
}

/// Text, or `{ cap = "…", audience = "…" }`.
fn read(node: &Node<'_>, highest: &CapLevel) -> Option<Cap> {
    if node.value().as_table().is_none() {
        return read_text(node, highest);
    }
    let table = node.table(KEYS)?;
    let cap = table.need("cap", "cap = \"10 per day per campaign\"")?;
    let audience = table.need("audience", "audience = '\"tier:gold\"'")?;
    Some(Cap {
        audience: Some(targeting::audience(&audience)?),
        ..read_text(&cap, highest)?
    })
}

fn read_text(node: &Node<'_>, highest: &CapLevel) -> Option<Cap> {
    let text = node.text()?;
    match parse(text, highest) {
        Ok(cap) => Some(cap),
        Err((what, fix)) => {
            node.problem(what, fix);
            None
        }
    }
}

type Wrong = (String, String);

fn parse(text: &str, highest: &CapLevel) -> Result<Cap, Wrong> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (impressions, window, level) = match words[..] {
        [impressions, "per", window, "per", level] => (impressions, window, parse_level(level, highest)),
        [impressions, "per", window, "per", GROUP, name] => (impressions, window, parse_group(name)),
        _ => {
            return Err((
                format!("`{text}` is no cap"),
                "write for example `3 per day per line_item` or `2 per day per group promo`".to_owned(),
            ));
        }
    };
    Ok(Cap {
        level: level?,
        impressions: parse_impressions(impressions)?,
        window_s: parse_window(window)?,
        audience: None,
    })
}

fn parse_impressions(text: &str) -> Result<u16, Wrong> {
    let fix = || {
        (
            format!("a cap of `{text}` impressions"),
            format!("write a number within 1..={IMPRESSIONS_MAX}"),
        )
    };
    text.parse()
        .ok()
        .filter(|n| (1..=IMPRESSIONS_MAX).contains(n))
        .ok_or_else(fix)
}

/// `day`, `lifetime`, or a duration such as `12h`.
pub(super) fn parse_window(text: &str) -> Result<u32, Wrong> {
    let named = WINDOWS_S.iter().find(|(name, _)| *name == text);
    if let Some((_, seconds)) = named {
        return Ok(*seconds as u32);
    }
    let seconds = parse_duration(text).map(|duration| duration.as_secs());
    seconds
        .filter(|s| (60..=WINDOW_S_MAX).contains(s))
        .map(|s| s as u32)
        .ok_or_else(|| {
            let fix =
                "write `minute`, `hour`, `day`, `week`, `month`, `lifetime` or a duration within 60s..=730d";
            (format!("`{text}` is no window of time"), fix.to_owned())
        })
}

fn parse_group(name: &str) -> Result<CapLevel, Wrong> {
    if quantity::is_id(name) {
        return Ok(CapLevel::Group(name.to_owned()));
    }
    Err((
        format!("`{name}` is no name of a group"),
        "write the name that creatives have in `groups`".to_owned(),
    ))
}

fn parse_level(text: &str, highest: &CapLevel) -> Result<CapLevel, Wrong> {
    let rank = |level: &CapLevel| LEVELS.iter().position(|(_, l)| l == level);
    let found = LEVELS
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, level)| level);
    let allowed = LEVELS
        .iter()
        .filter(|(_, level)| rank(level) <= rank(highest))
        .map(|(name, _)| *name);
    match found {
        Some(level) if rank(level) <= rank(highest) => Ok(level.clone()),
        Some(_) => Err((
            format!("a cap per {text} is not set here"),
            format!("set it where the {text} is defined"),
        )),
        None if text == GROUP => Err((
            "this cap names no group".to_owned(),
            "write for example `2 per day per group promo`".to_owned(),
        )),
        None => Err((
            format!("`{text}` is nothing that a cap counts"),
            suggest(text, allowed.collect::<Vec<_>>()),
        )),
    }
}

/// The inverse of reading, with the window in seconds.
pub(super) fn show(cap: &Cap) -> Value {
    let level = match &cap.level {
        CapLevel::Group(name) => format!("{GROUP} {name}"),
        level => {
            let found = LEVELS.iter().find(|(_, l)| l == level);
            found.map_or(String::new(), |(name, _)| (*name).to_owned())
        }
    };
    let text = format!(
        "{} per {} per {level}",
        cap.impressions,
        show_window(cap.window_s)
    );
    match &cap.audience {
        None => json!(text),
        Some(audience) => json!({ "cap": text, "audience": audience.to_string() }),
    }
}

pub(super) fn show_window(window_s: u32) -> String {
    let named = WINDOWS_S
        .iter()
        .find(|(_, seconds)| *seconds == u64::from(window_s));
    named.map_or_else(|| format!("{window_s}s"), |(name, _)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_is_read_and_shown_again() {
        for text in [
            "3 per day per line_item",
            "1 per hour per creative",
            "9 per 7200s per campaign",
            "1 per lifetime per advertiser",
            "2 per day per group promo",
        ] {
            assert_eq!(show(&parse(text, &CapLevel::Advertiser).unwrap()), text);
        }
    }

    #[test]
    fn a_cap_of_nothing_and_a_cap_set_too_low_are_refused() {
        for (text, what) in [
            ("0 per day per line_item", "a cap of `0` impressions"),
            ("3 a day", "`3 a day` is no cap"),
            ("3 per fortnight per creative", "`fortnight` is no window of time"),
            ("3 per 731d per creative", "`731d` is no window of time"),
            ("3 per 59s per creative", "`59s` is no window of time"),
            ("3 per day per user", "`user` is nothing that a cap counts"),
            ("3 per day per campaign", "a cap per campaign is not set here"),
            ("3 per day per group", "this cap names no group"),
            ("3 per day per group a,b", "`a,b` is no name of a group"),
        ] {
            assert_eq!(parse(text, &CapLevel::LineItem).unwrap_err().0, what);
        }
    }
}
