//! Audio ads: which imps they fit, and how their VAST differs from that of a video.

use super::{CLICK, IMPRESSION, Pools, VALUES, audio_spec, render, video_spec, xml};
use outbid::creative::{Fit, LinearFit, Misfit, Template, VastVersion};
use outbid::openrtb::request::{Audio, Imp, Request, Spot, Video};

type AudioChange = fn(&mut Audio, &mut Pools);

/// The fit of the audio ad for an imp that takes mp3 and any protocol, changed by `change`.
fn audio_fit(change: impl FnOnce(&mut Audio, &mut Pools)) -> Result<LinearFit, Misfit> {
    let mut pools = Pools::default();
    let mut audio = Audio {
        spot: Spot {
            mimes: pools.strs(&["audio/mpeg"]),
            ..Spot::default()
        },
        ..Audio::default()
    };
    change(&mut audio, &mut pools);
    let imp = Imp {
        audio: Some(audio),
        ..Imp::default()
    };
    let fit = Template::linear(audio_spec()).fits(&imp, &pools.0);
    fit.map(|fit| match fit {
        Fit::Audio(fit) => fit,
        other => panic!("{other:?}"),
    })
}

#[test]
fn an_audio_ad_fits_by_protocol_duration_type_bitrate_and_api() {
    let cases: [(Option<Misfit>, AudioChange); 14] = [
        (None, |_, _| {}),
        (None, |a, p| a.spot.protocols = p.ints(&[9, 3])),
        (Some(Misfit::Protocol), |a, p| a.spot.protocols = p.ints(&[9, 10])),
        (None, |a, _| {
            (a.spot.min_duration_s, a.spot.max_duration_s) = (30, Some(30))
        }),
        (Some(Misfit::Duration), |a, _| a.spot.min_duration_s = 31),
        (Some(Misfit::Duration), |a, _| a.spot.max_duration_s = Some(29)),
        (None, |a, p| a.spot.rqddurs = p.ints(&[15, 30])),
        (Some(Misfit::Duration), |a, p| a.spot.rqddurs = p.ints(&[15])),
        (Some(Misfit::Duration), |a, _| a.spot.pod_duration_s = Some(20)),
        (Some(Misfit::Mime), |a, p| a.spot.mimes = p.strs(&["video/mp4"])),
        (Some(Misfit::Bitrate), |a, _| a.spot.min_bitrate_kbps = Some(320)),
        (Some(Misfit::Delivery), |a, p| a.spot.delivery = p.ints(&[1])),
        (None, |a, p| a.spot.api = p.ints(&[7])),
        (None, |a, _| {
            (a.feed, a.stitched, a.nvol) = (Some(3), Some(true), Some(2))
        }),
    ];
    for (i, (expected, change)) in cases.into_iter().enumerate() {
        assert_eq!(audio_fit(change).err(), expected, "case {i}");
    }
}

#[test]
fn a_video_does_not_answer_audio_nor_audio_a_video() {
    let (audio, video) = (Template::linear(audio_spec()), Template::linear(video_spec()));
    let only_audio = Imp {
        audio: Some(Audio::default()),
        ..Imp::default()
    };
    let only_video = Imp {
        video: Some(Video::default()),
        ..Imp::default()
    };
    let request = Request::default();
    assert_eq!(video.fits(&only_audio, &request), Err(Misfit::Format));
    assert_eq!(audio.fits(&only_video, &request), Err(Misfit::Format));
    assert_eq!((audio.markup_type() as u8, video.markup_type() as u8), (3, 2));
}

#[test]
fn an_audio_document_says_that_it_is_one_and_has_no_picture() {
    for version in VastVersion::ALL {
        let fit = audio_fit(|_, _| {}).expect("it fits");
        let fit = Fit::Audio(LinearFit { version, ..fit });
        assert_eq!(
            (fit.size(), fit.duration_s(), fit.extra_attribute()),
            (None, Some(30), None)
        );
        let document = render(&Template::linear(audio_spec()), &fit, &VALUES);
        let vast = xml::parse(&document).unwrap_or_else(|e| panic!("{version:?}: {e}\n{document}"));
        let ad = vast.all("VAST/Ad").next().expect("an ad");
        let says_audio = (version >= VastVersion::V4_1).then_some("audio");
        assert_eq!(ad.attribute("adType"), says_audio, "{version:?}");
        let linear = "VAST/Ad/InLine/Creatives/Creative/Linear";
        let media: Vec<_> = vast.all(&format!("{linear}/MediaFiles/MediaFile")).collect();
        assert_eq!(media.len(), 1);
        assert_eq!(
            ["type", "width", "height", "bitrate", "scalable"].map(|name| media[0].attribute(name)),
            [Some("audio/mpeg"), Some("0"), Some("0"), Some("128"), None]
        );
        assert_eq!(vast.text("VAST/Ad/InLine/Impression"), Some(IMPRESSION));
        assert_eq!(
            vast.text(&format!("{linear}/VideoClicks/ClickThrough")),
            Some(CLICK)
        );
    }
}
