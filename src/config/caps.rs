//! Frequency caps in one clear form: `3 per day per line_item`.
//! Invariant: a cap is set no lower than what it counts, so no two line items disagree on one counter.

use super::document::Node;
use super::problem::suggest;
use super::quantity::parse_duration;
use crate::store::campaigns::definition::{Cap, CapLevel};

const LEVELS: [(&str, CapLevel); 4] = [
    ("creative", CapLevel::Creative),
    ("line_item", CapLevel::LineItem),
    ("campaign", CapLevel::Campaign),
    ("advertiser", CapLevel::Advertiser),
];
const WINDOWS_S: [(&str, u64); 5] = [
    ("minute", 60),
    ("hour", 3600),
    ("day", 86_400),
    ("week", 604_800),
    ("month", 2_592_000),
];

/// A larger cap limits nobody, and every capped user costs memory for as long as the window.
const IMPRESSIONS_MAX: u16 = 1000;
const WINDOW_S_MAX: u64 = 2_592_000;

/// The caps of one object: those of the levels above, each replaced where `node` sets one of the same level and window.
pub(super) fn merge(inherited: &[Cap], node: Option<&Node<'_>>, highest: CapLevel) -> Vec<Cap> {
    let mut caps = inherited.to_vec();
    for cap in node.map_or_else(Vec::new, |node| node.list(|n| read(n, highest))) {
        caps.retain(|old| (old.level, old.window_s) != (cap.level, cap.window_s));
        caps.push(cap);
    }
    caps
}

fn read(node: &Node<'_>, highest: CapLevel) -> Option<Cap> {
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

fn parse(text: &str, highest: CapLevel) -> Result<Cap, Wrong> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [impressions, "per", window, "per", level] = words[..] else {
        return Err((
            format!("`{text}` is no cap"),
            "write for example `3 per day per line_item`".to_owned(),
        ));
    };
    Ok(Cap {
        level: parse_level(level, highest)?,
        impressions: parse_impressions(impressions)?,
        window_s: parse_window(window)?,
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

/// `day`, or a duration such as `12h`.
fn parse_window(text: &str) -> Result<u32, Wrong> {
    let named = WINDOWS_S
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, seconds)| *seconds);
    let seconds = named.or_else(|| parse_duration(text).map(|d| d.as_secs()));
    seconds
        .filter(|s| (60..=WINDOW_S_MAX).contains(s))
        .map(|s| s as u32)
        .ok_or_else(|| {
            let fix = "write `minute`, `hour`, `day`, `week`, `month` or a duration within 60s..=30d";
            (format!("`{text}` is no window of a cap"), fix.to_owned())
        })
}

fn parse_level(text: &str, highest: CapLevel) -> Result<CapLevel, Wrong> {
    let rank = |level| LEVELS.iter().position(|(_, l)| *l == level);
    let found = LEVELS
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, level)| *level);
    let allowed = LEVELS
        .iter()
        .filter(|(_, level)| rank(*level) <= rank(highest))
        .map(|(name, _)| *name);
    match found {
        Some(level) if rank(level) <= rank(highest) => Ok(level),
        Some(_) => Err((
            format!("a cap per {text} is not set here"),
            format!("set it where the {text} is defined"),
        )),
        None => Err((
            format!("`{text}` is nothing that a cap counts"),
            suggest(text, allowed.collect::<Vec<_>>()),
        )),
    }
}

/// The inverse of reading, with the window in seconds.
pub(super) fn show(cap: Cap) -> String {
    let level = LEVELS
        .iter()
        .find(|(_, level)| *level == cap.level)
        .map_or("", |(name, _)| *name);
    let named = WINDOWS_S
        .iter()
        .find(|(_, seconds)| *seconds == u64::from(cap.window_s));
    let window = named.map_or_else(|| format!("{}s", cap.window_s), |(name, _)| (*name).to_owned());
    format!("{} per {window} per {level}", cap.impressions)
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
        ] {
            assert_eq!(show(parse(text, CapLevel::Advertiser).unwrap()), text);
        }
    }

    #[test]
    fn a_cap_of_nothing_and_a_cap_set_too_low_are_refused() {
        for (text, what) in [
            ("0 per day per line_item", "a cap of `0` impressions"),
            ("3 a day", "`3 a day` is no cap"),
            (
                "3 per fortnight per creative",
                "`fortnight` is no window of a cap",
            ),
            ("3 per 31d per creative", "`31d` is no window of a cap"),
            ("3 per day per user", "`user` is nothing that a cap counts"),
            ("3 per day per campaign", "a cap per campaign is not set here"),
        ] {
            assert_eq!(parse(text, CapLevel::LineItem).unwrap_err().0, what);
        }
    }
}
