//! What markup asks a browser or a player to fetch, and where a click leads.
//!
//! Invariant: a scanner, not a parser: it finds the URLs of well-formed markup and nothing in anything else.

use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkupKind {
    Html,
    Vast,
    Native,
}

impl MarkupKind {
    /// By `mtype` (1 banner, 2 video, 3 audio, 4 native), or else by what the markup starts with.
    pub fn of(mtype: Option<u32>, adm: &str) -> MarkupKind {
        let start = adm.trim_start();
        match mtype {
            Some(1) => MarkupKind::Html,
            Some(2 | 3) => MarkupKind::Vast,
            Some(4) => MarkupKind::Native,
            _ if start.starts_with('{') => MarkupKind::Native,
            _ if start.starts_with("<?xml") || start.starts_with("<VAST") => MarkupKind::Vast,
            _ => MarkupKind::Html,
        }
    }
}

/// Playback progress that a player reports, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum VideoEvent {
    Start,
    FirstQuartile,
    Midpoint,
    ThirdQuartile,
    Complete,
}

impl VideoEvent {
    fn parse(name: &str) -> Option<VideoEvent> {
        Some(match name {
            "start" => VideoEvent::Start,
            "firstQuartile" => VideoEvent::FirstQuartile,
            "midpoint" => VideoEvent::Midpoint,
            "thirdQuartile" => VideoEvent::ThirdQuartile,
            "complete" => VideoEvent::Complete,
            _ => return None,
        })
    }
}

/// The URLs in one piece of markup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Markup {
    /// Fetched when the ad is shown.
    pub impressions: Vec<String>,
    /// Fetched as a video plays, in order of playback.
    pub video_events: Vec<(VideoEvent, String)>,
    /// Fetched beside a click.
    pub click_trackers: Vec<String>,
    /// Opened by a click.
    pub click: Option<String>,
}

impl Markup {
    /// `None` for markup that cannot be shown: JSON that is none, or XML without a VAST element.
    pub fn read(kind: MarkupKind, adm: &str) -> Option<Markup> {
        match kind {
            MarkupKind::Html => Some(read_html(adm)),
            MarkupKind::Vast => adm.contains("<VAST").then(|| read_vast(adm)),
            MarkupKind::Native => read_native(adm),
        }
    }
}

fn read_html(html: &str) -> Markup {
    let mut markup = Markup::default();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        let tag = &rest[start..];
        let end = end_of_tag(tag);
        let (tag, after) = tag.split_at(end);
        match tag_name(tag).to_ascii_lowercase().as_str() {
            "img" => markup.impressions.extend(attribute(tag, "src")),
            "a" if markup.click.is_none() => markup.click = attribute(tag, "href"),
            _ => {}
        }
        rest = after;
    }
    markup
}

/// Behind the `>` that ends a tag; quoted values may hold one too.
fn end_of_tag(tag: &str) -> usize {
    let mut quote = None;
    for (at, byte) in tag.bytes().enumerate().skip(1) {
        match (quote, byte) {
            (None, b'>') => return at + 1,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    tag.len()
}

fn tag_name(tag: &str) -> &str {
    let name = &tag[1..];
    let end = name
        .find(|c: char| !c.is_ascii_alphanumeric() && c != ':')
        .unwrap_or(name.len());
    &name[..end]
}

/// The value of an attribute, with the entities that URLs are written with undone.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let lower = tag.to_ascii_lowercase();
    let mut from = 0;
    let value = loop {
        let at = from + lower[from..].find(name)?;
        from = at + name.len();
        let rest = tag[from..].trim_start();
        if lower.as_bytes()[at - 1].is_ascii_whitespace() && rest.starts_with('=') {
            break rest[1..].trim_start();
        }
    };
    let value = match value.as_bytes().first()? {
        quote @ (b'"' | b'\'') => value[1..].split(char::from(*quote)).next()?,
        _ => value.split(|c: char| c.is_whitespace() || c == '>').next()?,
    };
    let url = unescape(value.trim());
    (!url.is_empty()).then_some(url)
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

fn read_vast(xml: &str) -> Markup {
    let mut markup = Markup::default();
    let mut rest = xml;
    while let Some(start) = rest.find('<') {
        let tag = &rest[start..];
        let (tag, content) = tag.split_at(end_of_tag(tag));
        rest = content;
        let name = tag_name(tag);
        if !matches!(name, "Impression" | "Tracking" | "ClickThrough" | "ClickTracking")
            || tag.ends_with("/>")
        {
            continue;
        }
        let Some((content, after)) = content.split_once(&format!("</{name}")) else {
            continue;
        };
        rest = after;
        let url = element_text(content);
        if url.is_empty() {
            continue;
        }
        match name {
            "Impression" => markup.impressions.push(url),
            "ClickTracking" => markup.click_trackers.push(url),
            "ClickThrough" => markup.click = Some(url),
            _ => {
                let event = attribute(tag, "event").and_then(|event| VideoEvent::parse(&event));
                markup.video_events.extend(event.map(|event| (event, url)));
            }
        }
    }
    markup.video_events.sort_by_key(|(event, _)| *event);
    markup
}

/// Text as it is in a CDATA section, unescaped outside of one.
fn element_text(content: &str) -> String {
    let content = content.trim();
    match content
        .strip_prefix("<![CDATA[")
        .and_then(|rest| rest.strip_suffix("]]>"))
    {
        Some(plain) => plain.trim().to_string(),
        None => unescape(content),
    }
}

/// Native 1.2 section 5, bare or wrapped in `native`.
fn read_native(adm: &str) -> Option<Markup> {
    let json: Value = serde_json::from_str(adm).ok()?;
    let native = json.get("native").unwrap_or(&json);
    let texts = |value: &Value| -> Vec<String> {
        value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|url| Some(url.as_str()?.to_string()))
            .collect()
    };
    let mut impressions = texts(&native["imptrackers"]);
    // Event 1 is the impression, method 1 an image.
    let trackers = native["eventtrackers"].as_array().into_iter().flatten();
    let by_image = trackers.filter(|tracker| tracker["event"] == 1 && tracker["method"] == 1);
    impressions.extend(by_image.filter_map(|tracker| Some(tracker["url"].as_str()?.to_string())));
    Some(Markup {
        impressions,
        video_events: Vec::new(),
        click_trackers: texts(&native["link"]["clicktrackers"]),
        click: native["link"]["url"].as_str().map(str::to_string),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(adm: &str, impressions: &[&str], events: &[VideoEvent], click: Option<&str>) {
        let markup = Markup::read(MarkupKind::of(None, adm), adm).expect("markup");
        assert_eq!(markup.impressions, impressions, "{adm}");
        assert_eq!(
            markup
                .video_events
                .iter()
                .map(|(event, _)| *event)
                .collect::<Vec<_>>(),
            events,
            "{adm}"
        );
        assert_eq!(markup.click.as_deref(), click, "{adm}");
    }

    #[test]
    fn banners_fire_their_images_and_lead_to_their_first_link() {
        check(
            r#"<div data-src="no"><a target=_blank href="https://c/?a=1&amp;b=2" style="x>y"><IMG alt='>' SRC='https://i/1'></a><a href=https://d/>x</a><img src=https://i/2 width=1></div>"#,
            &["https://i/1", "https://i/2"],
            &[],
            Some("https://c/?a=1&b=2"),
        );
        check("no markup < at all", &[], &[], None);
        check("<img", &[], &[], None);
    }

    #[test]
    fn video_impressions_events_and_clicks_are_found_in_cdata_and_in_text() {
        let vast = r#"<?xml version="1.0"?><VAST version="4.0"><Ad><InLine><Impression id="x"><![CDATA[ https://i/?p=${AUCTION_PRICE}&a=1 ]]></Impression>
            <Impression>https://i/?a=1&amp;b=2</Impression><Impression/><Creatives><Creative><Linear><TrackingEvents>
            <Tracking event="complete"><![CDATA[https://e/4]]></Tracking><Tracking offset="1" event="start">https://e/0</Tracking><Tracking event="mute">https://e/m</Tracking>
            </TrackingEvents><VideoClicks><ClickThrough><![CDATA[https://c/]]></ClickThrough><ClickTracking>https://t/</ClickTracking></VideoClicks></Linear></Creative></Creatives></InLine></Ad></VAST>"#;
        check(
            vast,
            &["https://i/?p=${AUCTION_PRICE}&a=1", "https://i/?a=1&b=2"],
            &[VideoEvent::Start, VideoEvent::Complete],
            Some("https://c/"),
        );
        let markup = Markup::read(MarkupKind::Vast, vast).expect("VAST");
        assert_eq!(markup.click_trackers, ["https://t/"]);
        assert_eq!(Markup::read(MarkupKind::Vast, "<html>"), None);
    }

    #[test]
    fn native_trackers_are_found_in_both_forms() {
        let bare = r#"{"ver":"1.2","link":{"url":"https://c/"},"assets":[],"imptrackers":["https://i/1"],"eventtrackers":[{"event":1,"method":1,"url":"https://i/2"},{"event":1,"method":2,"url":"https://js"}]}"#;
        check(bare, &["https://i/1", "https://i/2"], &[], Some("https://c/"));
        check(
            &format!(r#"{{"native":{bare}}}"#),
            &["https://i/1", "https://i/2"],
            &[],
            Some("https://c/"),
        );
        assert_eq!(Markup::read(MarkupKind::Native, "{"), None);
    }
}
