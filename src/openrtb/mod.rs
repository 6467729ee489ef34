//! The wire: OpenRTB 2.5 and 2.6 as JSON and as protobuf. Nothing outside this module knows how a request or a response
//! is written.
//!
//! # Two formats, one meaning
//!
//! A protobuf body is a `BidRequest` of the IAB's `openrtb.proto`. It is laid on the same tape as JSON under the same
//! names, so everything below holds for both, as far as a typed format leaves anything to be forgiven. What is its own:
//!
//! | on the wire | is |
//! |---|---|
//! | unknown fields, extensions, unknown codes, groups | passed over |
//! | a field twice | the last one; messages are merged, lists joined |
//! | numbers packed or one by one | the same list |
//! | `native.request` as a string, or as the message `request_native` | the same |
//! | a length beyond the end, a number cut off or too long, a wrong wire type, text that is not UTF-8 | refused |
//!
//! The answer is written in the format of the request. Markup is the text `adm`, of native ads too. What has no number
//! in `openrtb.proto` (`bid.ext.aigen`) is left out there.
//!
//! # What is brought into one form
//!
//! Everything stands in its 2.6 position: `regs.ext.{gdpr,us_privacy,gpp,gpp_sid}`, `user.ext.{consent,eids}`,
//! `source.ext.schain`, `ext.schain` and `imp.ext.rwdd` are read where the 2.6 field is absent; of two privacy signals
//! the stricter one counts. `device.sua` is folded into `os`, `osv`, `browser`, `model` and `kind`; `langb` into
//! `language`; the deprecated `video.protocol` into `protocols`, `video.placement` into `plcmt` as far
//! as the two lists agree; `eids[].uids[]` are flattened; `keywords` are split.
//!
//! # Lenient, where the meaning is single
//!
//! | on the wire | is read as |
//! |---|---|
//! | null, `""`, a wrong type in an optional field that restricts nothing | absent |
//! | `"160"`, `160.0`, `true` for an integer | 160, 160, 1 |
//! | an integer for text (`tagid`, `publisher.id`, `bcat`, `bapp` …) | its digits |
//! | a lone value for an array; a lone string with commas | an array of one; its parts |
//! | unknown fields, unknown codes | nothing |
//! | a byte order mark before the document | nothing |
//! | the same key twice | the last one, never a mixture |
//! | an `ip` that is none, an `ifa` of zeros, coordinates or offsets out of range | absent |
//! | `imp.native.request` as a string or an object, with or without the `native` wrapper | the same |
//! | `dooh.venuetypeid` (as section 7.9.6 has it) beside `venuetype` | one list |
//! | a native request that is not JSON or has no assets | an imp without native |
//! | an imp with no format that could be read | an imp that gets no bid |
//! | `rqddurs` beside `minduration` or `maxduration` | `rqddurs` |
//! | `companionad` as a list of banners, or as an object with one under `banner` (before 2.3) | the same |
//! | more than [`IMPS_MAX`] imps | the first of them |
//!
//! # Read over, because nothing is owed to them
//!
//! | field | why |
//! |---|---|
//! | `imp.metric` (3.2.5), `imp.refresh` (3.2.33), `displaymanager`, `displaymanagerver` | they describe the place; the specification asks nothing of the bidder, and no model has them as a feature |
//! | `imp.clickbrowser` | tells what a click opens; no markup of ours depends on it |
//! | `banner.topframe`, `imp.iframebuster` | tell whether an ad is able to expand; whether it may is in `expdir` and `battr`, which are kept. Names of busters are agreed on one by one, and no ad of ours brings one |
//! | `video.maxextended`, `audio.maxextended` | allow play beyond `maxduration`; no ad of ours is longer than it says |
//! | `video.skipmin`, `video.skipafter` | belong to the button that the publisher brings under `skip = 1`, where an ad of ours has none of its own |
//! | `playbackend`, `playbackmethod`, `startdelay`, `podseq`, `ssai`, `feed`, `stitched`, `nvol` | describe how it is played, and refuse no ad |
//! | `sequence` | deprecated in favour of `slotinpod` |
//!
//! # Strict, where meaning would be lost
//!
//! | on the wire | is |
//! |---|---|
//! | not one JSON object in UTF-8; more than 1024 levels | refused |
//! | `id`, `imp`, `imp.id`, `video.mimes`, `audio.mimes`, `native.request` missing or of another type; equal imp ids | refused |
//! | money or `tmax` negative, out of range or no number; `qty.multiplier` not above 0 or above a million | refused |
//! | a list that blocks or allows (`bcat`, `badv`, `wseat`, `cur`, `battr`, `api`, `mimes` …) with an element that cannot be read | refused |
//! | more than one of `site`, `app`, `dooh` | refused |
//! | `coppa`, `gdpr`, `lmt`, `dnt`, `secure`, `test`, `private_auction` and `required` neither 0 nor absent | yes |
//! | a banner size that cannot be read, with no other | a size that fits no creative |
//! | a floor currency that is no code | a floor that no bid is known to reach |
//!
//! A refusal is a [`Malformed`], which the server answers with 400.

pub mod browser;
pub mod category;
pub mod domain;
pub mod loss;
pub mod macros;
pub mod notice;
mod parse;
pub mod price_crypto;
pub mod privacy;
pub mod request;
pub mod response;

/// In what a request is written, and so its answer (section 2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WireFormat {
    #[default]
    Json,
    Protobuf,
}

impl WireFormat {
    pub fn name(self) -> &'static str {
        match self {
            WireFormat::Json => "json",
            WireFormat::Protobuf => "protobuf",
        }
    }
}

pub use parse::{IMPS_MAX, Malformed, RequestBuffers};
