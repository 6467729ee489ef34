//! The VAST of video bids, and how it agrees with the fields of the bid (sections 4.2.3 and 7.8, VAST 2.0-4.3).

use crate::certify::answer::Bid;
use crate::certify::case::{Case, Section, Verdict, ensure};
use crate::certify::markup;
use crate::certify::stage::Format;

/// Protocol codes of AdCOM, by the version that the document says.
const VERSIONS: &[(&str, [i64; 2])] = &[
    ("2.0", [2, 5]),
    ("3.0", [3, 6]),
    ("4.0", [7, 8]),
    ("4.1", [11, 12]),
    ("4.2", [13, 14]),
    ("4.3", [15, 16]),
];

pub fn cases() -> Vec<Case> {
    vec![
        case(
            "video.vast.well-formed",
            "VAST",
            "the markup of a video is well-formed XML",
            |bid| {
                ensure(markup::is_balanced(bid.markup()), || {
                    "a tag is not closed, or closes what is not open".into()
                })
            },
        ),
        case(
            "video.vast.version",
            "4.2.3",
            "the protocol of a bid is the version of its VAST",
            |bid| {
                let version = markup::vast_version(bid.markup()).unwrap_or_default();
                let known = VERSIONS.iter().find(|(name, _)| *name == version);
                let Some(protocol) = bid.int("protocol") else {
                    return ensure(false, || "the bid has no protocol".into());
                };
                ensure(known.is_none_or(|(_, codes)| codes.contains(&protocol)), || {
                    format!("protocol is {protocol}, the document says VAST {version}")
                })
            },
        ),
        case(
            "video.vast.wrapper",
            "4.2.3",
            "the protocol of a bid says whether its VAST is a wrapper",
            |bid| {
                let wrapper = bid.markup().contains("<Wrapper");
                let says = matches!(bid.int("protocol"), Some(5 | 6 | 8 | 10 | 12 | 14 | 16));
                ensure(wrapper == says, || {
                    format!("protocol {:?} for a wrapper = {wrapper}", bid.int("protocol"))
                })
            },
        ),
        case(
            "video.vast.duration",
            "4.2.3",
            "`dur` is the duration of the VAST",
            |bid| {
                let found = markup::vast_duration_s(bid.markup());
                ensure(found.is_none() || bid.int("dur") == found, || {
                    format!("dur is {:?}, the document says {found:?} s", bid.int("dur"))
                })
            },
        ),
        case(
            "video.vast.impression",
            "7.8",
            "a VAST reports its impression, which is the billable event of a video",
            |bid| {
                ensure(markup::impression_url(bid.markup()).is_some(), || {
                    "there is no Impression element".into()
                })
            },
        ),
        case(
            "video.vast.media",
            "VAST",
            "an inline VAST has a media file with an address and a type",
            |bid| {
                let inline = bid.markup().contains("<InLine");
                let typed = markup::tags(bid.markup(), "MediaFile")
                    .all(|tag| markup::attribute(tag, "type").is_some());
                let files = markup::elements(bid.markup(), "MediaFile");
                let addressed = !files.is_empty() && files.iter().all(|url| url.contains("://"));
                ensure(!inline || (typed && addressed), || {
                    "a media file is missing, or its type or address".into()
                })
            },
        ),
        case(
            "video.vast.click",
            "VAST",
            "the address of a click is absolute",
            |bid| {
                let clicks = markup::elements(bid.markup(), "ClickThrough");
                ensure(clicks.iter().all(|url| url.contains("://")), || {
                    "a ClickThrough is no absolute URL".into()
                })
            },
        ),
        case(
            "video.mtype",
            "4.2.3",
            "a bid on a video is a video: mtype 2, and VAST",
            |bid| {
                let video = markup::kind(bid.markup()) == Some(markup::Kind::Video);
                ensure(video && bid.int("mtype") == Some(2), || {
                    format!(
                        "mtype is {:?}; right would be 2, with VAST in adm",
                        bid.int("mtype")
                    )
                })
            },
        ),
    ]
}

fn case(
    id: &'static str,
    spec: &'static str,
    title: &'static str,
    judge: impl Fn(&Bid) -> Verdict + 'static,
) -> Case {
    Case::new(Section::Video, id, spec, title, move |stage| {
        stage.every_bid("no video was found", |base| {
            (base.format == Format::Video).then(|| judge(&base.bid))
        })
    })
}
