//! Compiled markup: literal text, escaped in advance, and the places where values go.

use super::Values;
use super::url;
use crate::openrtb::notice::{Notice, Queries};
use crate::openrtb::response::write_escaped;
use std::io::Write as _;

/// In front of the token, in the address of the page that says why an ad is shown.
const WHY_PATH: &str = "/why/";

/// Text in both forms that it is ever written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    raw: Box<str>,
    /// The content of a JSON string that holds `raw`.
    json: Box<str>,
}

impl Text {
    pub fn new(raw: &str) -> Text {
        Text {
            raw: raw.into(),
            json: json_escaped(raw).into(),
        }
    }
}

/// `text` as the content of a JSON string.
pub(super) fn json_escaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + text.len() / 8);
    write_escaped(&mut out, text);
    String::from_utf8(out).expect("escaping keeps UTF-8")
}

/// A part of markup that is only there when the fit says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Skippable,
    /// This media file was chosen.
    Media(usize),
    /// A companion is shown.
    Companions,
    /// This companion is shown.
    Companion(usize),
    /// … after the ad.
    EndCard(usize),
    /// … beside the ad.
    Concurrent(usize),
}

#[derive(Clone, Debug)]
enum Piece {
    Text(Text),
    When(Condition, Pieces),
    Base,
    Token,
    BidId,
    /// The query of a notice, as the exchange spells it.
    Query(Notice),
    /// The click macro of the exchange and our click URL behind it.
    Click,
}

/// Markup in order.
#[derive(Clone, Debug)]
pub(super) struct Pieces(Box<[Piece]>);

impl Pieces {
    pub fn write(&self, values: &Values, holds: impl Fn(Condition) -> bool, out: &mut Out) {
        self.write_part(values, &Links::new(values), &holds, out);
    }

    fn write_part(&self, values: &Values, links: &Links, holds: &impl Fn(Condition) -> bool, out: &mut Out) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.text(text),
                Piece::When(condition, pieces) if holds(*condition) => {
                    pieces.write_part(values, links, holds, out);
                }
                Piece::When(..) => {}
                Piece::Base => links.write_part(values.base, out),
                Piece::Token => links.write_part(values.token, out),
                Piece::BidId => write!(out.buffer, "{}", values.bid_id).expect("a vector takes every write"),
                Piece::Query(notice) => links.write_query(*notice, out),
                Piece::Click => links.write_click(out),
            }
        }
    }
}

#[derive(Default)]
pub(super) struct Builder {
    pieces: Vec<Piece>,
    /// Not yet among the pieces: neighbouring texts become one.
    text: String,
}

impl Builder {
    pub fn text(&mut self, text: &str) -> &mut Builder {
        self.text.push_str(text);
        self
    }

    /// A configured URL.
    pub fn url(&mut self, url: &str) -> &mut Builder {
        self.text(&url::safe(url))
    }

    /// The URL that reports `notice`.
    pub fn notice(&mut self, notice: Notice) -> &mut Builder {
        self.piece(Piece::Base)
            .text(notice.path())
            .text("?t=")
            .piece(Piece::Token)
            .piece(Piece::Query(notice))
    }

    /// The page that says why the ad is shown.
    pub fn why(&mut self) -> &mut Builder {
        self.piece(Piece::Base).text(WHY_PATH).piece(Piece::Token)
    }

    pub fn click(&mut self) -> &mut Builder {
        self.piece(Piece::Click)
    }

    pub fn bid_id(&mut self) -> &mut Builder {
        self.piece(Piece::BidId)
    }

    /// What `build` adds is there only where the condition holds.
    pub fn when(&mut self, condition: Condition, build: impl FnOnce(&mut Builder)) -> &mut Builder {
        let mut inner = Builder::default();
        build(&mut inner);
        self.piece(Piece::When(condition, inner.build()))
    }

    pub fn build(mut self) -> Pieces {
        self.flush();
        Pieces(self.pieces.into())
    }

    fn piece(&mut self, piece: Piece) -> &mut Builder {
        self.flush();
        self.pieces.push(piece);
        self
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.pieces.push(Piece::Text(Text::new(&self.text)));
            self.text.clear();
        }
    }
}

/// Our URLs in one rendering.
pub(super) struct Links<'v> {
    values: &'v Values<'v>,
    /// Base and token need no encoding: always, but for a strange configuration. Tested once per rendering.
    plain: bool,
}

impl<'v> Links<'v> {
    pub fn new(values: &'v Values<'v>) -> Links<'v> {
        let plain = url::is_all_safe(values.base) && url::is_all_safe(values.token);
        Links { values, plain }
    }

    /// Not [`Notice::Video`], whose URL ends with the name of an event.
    pub fn write_notice(&self, notice: Notice, out: &mut Out) {
        self.write_part(self.values.base, out);
        out.url_text(notice.path());
        out.url_text("?t=");
        self.write_part(self.values.token, out);
        self.write_query(notice, out);
    }

    /// Macros and letters that are safe everywhere: the same in both forms.
    pub fn write_query(&self, notice: Notice, out: &mut Out) {
        out.url_text(Queries::get(self.values.queries, notice));
    }

    pub fn write_why(&self, out: &mut Out) {
        self.write_part(self.values.base, out);
        out.url_text(WHY_PATH);
        self.write_part(self.values.token, out);
    }

    pub fn write_click(&self, out: &mut Out) {
        let Some(click_macro) = self.values.click_macro else {
            return self.write_notice(Notice::Click, out);
        };
        url::write_safe(out.buffer, click_macro.text);
        if !click_macro.escaped {
            return self.write_notice(Notice::Click, out);
        }
        for part in [self.values.base, Notice::Click.path(), "?t=", self.values.token] {
            url::write_component(out.buffer, part);
        }
    }

    fn write_part(&self, part: &str, out: &mut Out) {
        if self.plain {
            out.url_text(part);
        } else {
            url::write_safe(out.buffer, part);
        }
    }
}

/// Where markup goes: as it is, or as the content of a JSON string.
pub(super) struct Out<'o> {
    pub buffer: &'o mut Vec<u8>,
    json: bool,
}

impl<'o> Out<'o> {
    pub fn raw(buffer: &'o mut Vec<u8>) -> Out<'o> {
        Out { buffer, json: false }
    }

    pub fn json(buffer: &'o mut Vec<u8>) -> Out<'o> {
        Out { buffer, json: true }
    }

    pub fn text(&mut self, text: &Text) {
        let form = if self.json { &text.json } else { &text.raw };
        self.buffer.extend_from_slice(form.as_bytes());
    }

    /// Short markup that is not compiled.
    pub fn str(&mut self, text: &str) {
        if self.json {
            write_escaped(self.buffer, text);
        } else {
            self.buffer.extend_from_slice(text.as_bytes());
        }
    }

    pub fn number(&mut self, number: u32) {
        self.url_text(itoa::Buffer::new().format(number));
    }

    /// Text that reads the same in both forms.
    fn url_text(&mut self, text: &str) {
        self.buffer.extend_from_slice(text.as_bytes());
    }
}
