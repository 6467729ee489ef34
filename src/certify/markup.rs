//! What can be told from markup by its text: its kind, its addresses, the parts of a VAST document.
//!
//! Invariant: a reader for judging, not for rendering; what it cannot find it does not claim.

use serde_json::Value;

/// `bid.mtype` of section 4.2.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Banner = 1,
    Video = 2,
    Audio = 3,
    Native = 4,
}

/// The kind of markup. VAST is video or audio by its media types.
pub fn kind(adm: &str) -> Option<Kind> {
    let text = adm.trim_start().trim_start_matches('\u{feff}');
    if text.starts_with('{') {
        return native(text).map(|_| Kind::Native);
    }
    if text.contains("<VAST") || text.contains("<DAAST") {
        let types: Vec<String> = tags(text, "MediaFile")
            .filter_map(|tag| attribute(tag, "type"))
            .collect();
        let audio = !types.is_empty() && types.iter().all(|media| media.starts_with("audio/"));
        return Some(if audio { Kind::Audio } else { Kind::Video });
    }
    (!text.is_empty()).then_some(Kind::Banner)
}

/// The native object, with or without the wrapper of version 1.0.
pub fn native(adm: &str) -> Option<Value> {
    let mut parsed: Value = serde_json::from_str(adm).ok()?;
    let wrapped = parsed.get_mut("native").map(Value::take);
    let object = wrapped.unwrap_or(parsed);
    object.get("link").is_some().then_some(object)
}

/// The blocked-type codes (`btype` of section 3.2.6) that a banner is of.
pub fn banner_types(adm: &str) -> Vec<i64> {
    let text = adm.to_ascii_lowercase();
    let mut types = Vec::new();
    if text.contains("<script") {
        types.push(3);
    }
    if text.contains("<iframe") {
        types.push(4);
    }
    if types.is_empty() {
        types.push(if text.contains("<img") || text.contains("style=") {
            2
        } else {
            1
        });
    }
    types
}

/// Every absolute address in markup, in order. Names of XML namespaces are none: nobody loads them.
pub fn urls(adm: &str) -> Vec<String> {
    match serde_json::from_str::<Value>(adm) {
        Ok(json) => {
            let mut found = Vec::new();
            visit_texts(&json, &mut |text| found.extend(urls_in_text(text)));
            found
        }
        Err(_) => urls_in_text(adm),
    }
}

/// The start tags of a name, without their brackets: `MediaFile type="video/mp4"`.
pub fn tags<'t>(xml: &'t str, name: &'t str) -> impl Iterator<Item = &'t str> {
    xml.split('<').skip(1).filter_map(move |piece| {
        let behind = piece.strip_prefix(name)?;
        let ends_name = behind.starts_with(|c: char| c.is_whitespace() || c == '>' || c == '/');
        ends_name.then(|| piece.split('>').next().unwrap_or(piece))
    })
}

pub fn attribute(tag: &str, name: &str) -> Option<String> {
    let mut rest = tag;
    loop {
        let at = rest.find(name)?;
        let starts = rest[..at].ends_with(char::is_whitespace);
        let behind = rest[at + name.len()..].trim_start();
        if let (true, Some(value)) = (starts, behind.strip_prefix('=')) {
            let value = value.trim_start();
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            return value[1..].split(quote).next().map(unescape);
        }
        rest = &rest[at + name.len()..];
    }
}

/// The text of each element of a name, without CDATA marks.
pub fn elements(xml: &str, name: &str) -> Vec<String> {
    let close = format!("</{name}>");
    let mut found = Vec::new();
    for piece in xml.split(&format!("<{name}")).skip(1) {
        let Some((tag, rest)) = piece.split_once('>') else {
            continue;
        };
        let ends_name = tag.is_empty() || tag.starts_with(|c: char| c.is_whitespace());
        if let (true, false, Some((text, _))) = (ends_name, tag.ends_with('/'), rest.split_once(&close)) {
            let text = text.trim();
            let inner = text
                .strip_prefix("<![CDATA[")
                .and_then(|text| text.strip_suffix("]]>"));
            found.push(inner.map_or_else(|| unescape(text), |inner| inner.trim().to_owned()));
        }
    }
    found
}

pub fn vast_version(adm: &str) -> Option<String> {
    attribute(tags(adm, "VAST").next()?, "version")
}

/// Of a linear ad, in whole seconds, rounded up.
pub fn vast_duration_s(adm: &str) -> Option<i64> {
    let text = elements(adm, "Duration").into_iter().next()?;
    let mut seconds = 0.0;
    for part in text.split(':') {
        seconds = seconds * 60.0 + part.parse::<f64>().ok()?;
    }
    Some(seconds.ceil() as i64)
}

/// Where a click on the markup leads, for the kinds that say so.
pub fn click_url(adm: &str) -> Option<String> {
    let found = match kind(adm)? {
        Kind::Native => native(adm)?["link"]["url"].as_str().map(str::to_owned),
        Kind::Video | Kind::Audio => elements(adm, "ClickThrough").into_iter().next(),
        Kind::Banner => tags(adm, "a").find_map(|tag| attribute(tag, "href")),
    };
    let url = found?;
    // The exchange's own click address comes first where it asks for it; ours is the last.
    url.rfind("http").map(|at| url[at..].to_owned())
}

/// Where the showing of an ad is reported by the markup itself.
pub fn impression_url(adm: &str) -> Option<String> {
    match kind(adm)? {
        Kind::Native => {
            let native = native(adm)?;
            let tracker = native["eventtrackers"][0]["url"]
                .as_str()
                .or(native["imptrackers"][0].as_str());
            tracker.map(str::to_owned)
        }
        Kind::Video | Kind::Audio => elements(adm, "Impression").into_iter().next(),
        Kind::Banner => tags(adm, "img")
            .filter_map(|tag| attribute(tag, "src"))
            .find(|url| url.contains("://")),
    }
}

/// Whether each start tag of an XML document has its end tag, in order.
pub fn is_balanced(xml: &str) -> bool {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = xml;
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        let (skip, end) = if rest.starts_with("<![CDATA[") {
            (true, rest.find("]]>").map(|end| end + 3))
        } else if rest.starts_with("<!--") {
            (true, rest.find("-->").map(|end| end + 3))
        } else {
            (
                rest.starts_with("<?") || rest.starts_with("<!"),
                rest.find('>').map(|end| end + 1),
            )
        };
        let Some(end) = end else {
            return false;
        };
        let tag = &rest[1..end - 1];
        rest = &rest[end..];
        if skip || tag.ends_with('/') {
            continue;
        }
        let name = tag
            .trim_start_matches('/')
            .split_whitespace()
            .next()
            .unwrap_or_default();
        match tag.starts_with('/') {
            true if open.pop() != Some(name) => return false,
            true => {}
            false => open.push(name),
        }
    }
    open.is_empty()
}

/// Calls `see` with every string of a document.
pub fn visit_texts(value: &Value, see: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => see(text),
        Value::Array(list) => list.iter().for_each(|value| visit_texts(value, see)),
        Value::Object(object) => object.values().for_each(|value| visit_texts(value, see)),
        _ => {}
    }
}

fn urls_in_text(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("http").map(|at| from + at) {
        let url = text[at..]
            .split(['"', '\'', '<', '>', ')', ']', '\\'])
            .next()
            .unwrap_or_default();
        let url = url.split(char::is_whitespace).next().unwrap_or_default();
        let namespace = text[..at].trim_end_matches(['"', '\'']).ends_with('=') && is_namespace(&text[..at]);
        if (url.starts_with("http://") || url.starts_with("https://")) && !namespace {
            found.push(unescape(url));
        }
        from = at + url.len().max("http".len());
    }
    found
}

/// Whether the attribute that `before` ends with declares an XML namespace.
fn is_namespace(before: &str) -> bool {
    let tag = &before[before.rfind('<').unwrap_or(0)..];
    let name = tag.rsplit(char::is_whitespace).next().unwrap_or_default();
    name.starts_with("xmlns") || name.contains("schemaLocation")
}

fn unescape(text: &str) -> String {
    text.replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    const VAST: &str = r#"<?xml version="1.0"?><VAST version="4.0" xmlns="http://www.iab.com/VAST"><Ad id="1"><InLine>
<Impression><![CDATA[https://b.example/i?a=1&b=2]]></Impression><Creatives><Creative><Linear skipoffset="00:00:05">
<Duration>00:00:30</Duration><MediaFiles><MediaFile type="video/mp4" bitrate="700">https://c.example/a.mp4</MediaFile>
</MediaFiles></Linear></Creative></Creatives></InLine></Ad></VAST>"#;

    #[test]
    fn the_kind_is_told_from_the_text() {
        for (adm, expected) in [
            (VAST, Some(Kind::Video)),
            (
                r#"<VAST><MediaFile type="audio/mpeg">x</MediaFile></VAST>"#,
                Some(Kind::Audio),
            ),
            (r#"{"native":{"link":{"url":"x"}}}"#, Some(Kind::Native)),
            (r#"{"link":{"url":"x"}}"#, Some(Kind::Native)),
            (r#"{"assets":[]}"#, None),
            ("<a href='x'>y</a>", Some(Kind::Banner)),
            (" ", None),
        ] {
            assert_eq!(kind(adm), expected, "{adm}");
        }
    }

    #[test]
    fn addresses_are_found_and_namespaces_are_not() {
        assert_eq!(
            urls(VAST),
            ["https://b.example/i?a=1&b=2", "https://c.example/a.mp4"]
        );
        let native = r#"{"link":{"url":"http:\/\/a.example/c"}}"#;
        assert_eq!(urls(native), ["http://a.example/c"]);
        assert_eq!(
            urls("<a href=\"http://x.example/?a=1&amp;b\">"),
            ["http://x.example/?a=1&b"]
        );
    }

    #[test]
    fn the_parts_of_a_vast_document_are_read() {
        assert_eq!(vast_version(VAST).as_deref(), Some("4.0"));
        assert_eq!(vast_duration_s(VAST), Some(30));
        assert_eq!(elements(VAST, "MediaFile"), ["https://c.example/a.mp4"]);
        let types: Vec<_> = tags(VAST, "MediaFile")
            .filter_map(|tag| attribute(tag, "type"))
            .collect();
        assert_eq!(types, ["video/mp4"]);
        assert!(tags(VAST, "Linear").any(|tag| attribute(tag, "skipoffset").is_some()));
        assert!(is_balanced(VAST));
        assert!(!is_balanced("<VAST><Ad></VAST>"));
    }
}
