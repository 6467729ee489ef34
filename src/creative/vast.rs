//! VAST documents: one InLine ad with one linear creative, and the companions that are shown with it.
//!
//! The order of elements is that of the XML schema of each version, so that strict players accept it.
//! URLs stand in CDATA sections, which no URL can end.

use super::linear::{LinearSpec, MediaFile};
use super::pieces::{Builder, Condition, Pieces};
use super::{companion, url};
use crate::openrtb::notice::{Notice, VideoEvent};

/// The versions that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VastVersion {
    V2_0,
    V3_0,
    V4_0,
    V4_1,
    V4_2,
}

impl VastVersion {
    pub const ALL: [VastVersion; 5] = [
        VastVersion::V2_0,
        VastVersion::V3_0,
        VastVersion::V4_0,
        VastVersion::V4_1,
        VastVersion::V4_2,
    ];

    /// AdCOM creative subtype of an InLine document.
    pub const fn protocol(self) -> u32 {
        match self {
            VastVersion::V2_0 => 2,
            VastVersion::V3_0 => 3,
            VastVersion::V4_0 => 7,
            VastVersion::V4_1 => 11,
            VastVersion::V4_2 => 13,
        }
    }

    const fn number(self) -> &'static str {
        match self {
            VastVersion::V2_0 => "2.0",
            VastVersion::V3_0 => "3.0",
            VastVersion::V4_0 => "4.0",
            VastVersion::V4_1 => "4.1",
            VastVersion::V4_2 => "4.2",
        }
    }

    /// `skipoffset` and the `skip` event came with 3.0.
    pub(super) fn can_skip(self) -> bool {
        self >= VastVersion::V3_0
    }
}

/// The highest version that a player of these `protocols` plays; 4.2 where none are given, `None` where none is
/// written here. A player of 4.3 (15) plays 4.2. Wrapper protocols do not count: no wrapper is written.
pub fn vast_version(protocols: &[u32]) -> Option<VastVersion> {
    const VAST_4_3: u32 = 15;
    if protocols.is_empty() || protocols.contains(&VAST_4_3) {
        return Some(VastVersion::V4_2);
    }
    VastVersion::ALL
        .into_iter()
        .rev()
        .find(|version| protocols.contains(&version.protocol()))
}

pub(super) fn compile(spec: &LinearSpec, version: VastVersion) -> Pieces {
    let mut xml = Builder::default();
    xml.text(r#"<?xml version="1.0" encoding="UTF-8"?><VAST version=""#)
        .text(version.number());
    let is_4 = version >= VastVersion::V4_0;
    xml.text(if is_4 {
        r#"" xmlns="http://www.iab.com/VAST">"#
    } else {
        r#"">"#
    });
    xml.text(r#"<Ad id=""#)
        .text(&escape(&spec.creative_id))
        .text(r#"""#);
    // An ad without a picture says so since 4.1; before, its media types do.
    if spec.size.is_none() && version >= VastVersion::V4_1 {
        xml.text(r#" adType="audio""#);
    }
    xml.text("><InLine><AdSystem>Outbid</AdSystem>");
    if is_4 {
        write_error(&mut xml);
        write_impression(&mut xml);
        if version >= VastVersion::V4_1 {
            xml.text("<AdServingId>").bid_id().text("</AdServingId>");
        }
        element(&mut xml, "AdTitle", &spec.title);
    } else {
        element(&mut xml, "AdTitle", &spec.title);
        write_error(&mut xml);
        write_impression(&mut xml);
    }
    xml.text("<Creatives>");
    write_creative(&mut xml, spec, version, |xml| write_linear(xml, spec, version));
    xml.when(Condition::Companions, |xml| {
        write_creative(xml, spec, version, |xml| {
            companion::write(xml, &spec.companions, &spec.landing_url, version);
        });
    });
    xml.text("</Creatives></InLine></Ad></VAST>");
    xml.build()
}

fn write_creative(
    xml: &mut Builder,
    spec: &LinearSpec,
    version: VastVersion,
    content: impl FnOnce(&mut Builder),
) {
    xml.text(r#"<Creative id=""#)
        .text(&escape(&spec.creative_id))
        .text(r#"">"#);
    content(xml);
    write_universal_ad_id(xml, &spec.creative_id, version);
    xml.text("</Creative>");
}

fn write_error(xml: &mut Builder) {
    xml.text("<Error><![CDATA[")
        .notice(Notice::VideoError)
        .text("]]></Error>");
}

fn write_impression(xml: &mut Builder) {
    xml.text("<Impression><![CDATA[")
        .notice(Notice::Impression)
        .text("]]></Impression>");
}

/// The creative's id is in no public registry, which the specification calls `unknown`.
/// 4.0 has the value as an attribute too. The schema of 4.2 wants it behind the linear creative, the others anywhere.
fn write_universal_ad_id(xml: &mut Builder, id: &str, version: VastVersion) {
    if version < VastVersion::V4_0 {
        return;
    }
    xml.text(r#"<UniversalAdId idRegistry="unknown""#);
    if version == VastVersion::V4_0 {
        xml.text(r#" idValue=""#).text(&escape(id)).text("\"");
    }
    xml.text(">").text(&escape(id)).text("</UniversalAdId>");
}

fn write_linear(xml: &mut Builder, spec: &LinearSpec, version: VastVersion) {
    xml.text("<Linear");
    if let (Some(after_s), true) = (spec.skip_after_s, version.can_skip()) {
        xml.when(Condition::Skippable, |xml| {
            xml.text(&format!(r#" skipoffset="{}""#, clock(after_s)));
        });
    }
    xml.text(">");
    if version >= VastVersion::V4_0 {
        write_tracking(xml, version);
        element(xml, "Duration", &clock(spec.duration_s));
        write_media(xml, &spec.media);
        write_clicks(xml);
    } else {
        element(xml, "Duration", &clock(spec.duration_s));
        write_tracking(xml, version);
        write_clicks(xml);
        write_media(xml, &spec.media);
    }
    xml.text("</Linear>");
}

fn write_tracking(xml: &mut Builder, version: VastVersion) {
    xml.text("<TrackingEvents>");
    for event in VideoEvent::ALL {
        if event == VideoEvent::Skip && !version.can_skip() {
            continue;
        }
        xml.text(r#"<Tracking event=""#)
            .text(event.name())
            .text(r#""><![CDATA["#);
        xml.notice(Notice::Video)
            .text(event.name())
            .text("]]></Tracking>");
    }
    xml.text("</TrackingEvents>");
}

fn write_clicks(xml: &mut Builder) {
    xml.text("<VideoClicks><ClickThrough><![CDATA[")
        .click()
        .text("]]></ClickThrough></VideoClicks>");
}

fn write_media(xml: &mut Builder, media: &[MediaFile]) {
    xml.text("<MediaFiles>");
    for (i, file) in media.iter().enumerate() {
        xml.when(Condition::Media(i), |xml| {
            xml.text(&media_file(file));
        });
    }
    xml.text("</MediaFiles>");
}

/// A file without a picture is 0 × 0 (VAST 4.2, section 3.9.1).
fn media_file(file: &MediaFile) -> String {
    let bitrate = match file.bitrate_kbps {
        0 => String::new(),
        kbps => format!(r#" bitrate="{kbps}""#),
    };
    let scaling = match file.w {
        0 => "",
        _ => r#" scalable="true" maintainAspectRatio="true""#,
    };
    format!(
        r#"<MediaFile delivery="{}" type="{}"{} width="{}" height="{}"{}><![CDATA[{}]]></MediaFile>"#,
        if file.is_streamed() {
            "streaming"
        } else {
            "progressive"
        },
        escape(&file.mime),
        bitrate,
        file.w,
        file.h,
        scaling,
        url::safe(&file.url),
    )
}

fn element(xml: &mut Builder, name: &str, text: &str) {
    xml.text(&format!("<{name}>{}</{name}>", escape(text)));
}

/// For text and attributes. Characters that XML 1.0 section 2.2 does not have become blanks.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => out.push(' '),
            c if c.is_ascii_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// `HH:MM:SS`.
fn clock(seconds: u32) -> String {
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_version_that_the_player_knows_is_written() {
        use VastVersion::*;
        for (protocols, expected) in [
            (&[][..], Some(V4_2)),
            (&[2], Some(V2_0)),
            (&[2, 3, 5, 6], Some(V3_0)),
            (&[7, 3, 2], Some(V4_0)),
            (&[2, 3, 5, 6, 7, 8, 11, 12], Some(V4_1)),
            (&[13, 14, 2], Some(V4_2)),
            (&[15], Some(V4_2)),
            (&[1, 4, 5, 6, 8, 9, 12, 99], None),
        ] {
            assert_eq!(vast_version(protocols), expected, "{protocols:?}");
        }
    }

    #[test]
    fn durations_are_clocks_and_text_is_escaped() {
        assert_eq!(
            [0, 59, 60, 3_725].map(clock),
            ["00:00:00", "00:00:59", "00:01:00", "01:02:05"]
        );
        assert_eq!(
            escape("a<b>&\"'\u{0}\n]]>é"),
            "a&lt;b&gt;&amp;&quot;&apos;  ]]&gt;é"
        );
    }
}
