//! Section 2.1 and 2.3: bodies that are no JSON, or JSON that is no bid request.
//!
//! Invariant: every body is made of a request that is bid on as it is.

use crate::certify::case::{Case, Section, ensure};
use crate::certify::edit::{remove, set};
use crate::certify::stage::Stage;
use serde_json::{Value, json};

/// Deeper than any request, and than the stack of a parser that recurses without a limit.
const DEEP: usize = 200_000;

/// A body that has to be refused, or may be.
struct Malformed {
    id: &'static str,
    title: &'static str,
    expected: &'static [u16],
    make: fn(&str) -> Vec<u8>,
}

const REFUSED: &[u16] = &[400];
/// Where readers may differ: anything but a crash.
const ANY: &[u16] = &[200, 204, 400, 413];

const BODIES: &[Malformed] = &[
    Malformed {
        id: "body.whitespace",
        title: "white space alone is refused",
        expected: REFUSED,
        make: |_| b" \n\t ".to_vec(),
    },
    Malformed {
        id: "body.null",
        title: "null is refused",
        expected: REFUSED,
        make: |_| b"null".to_vec(),
    },
    Malformed {
        id: "body.list",
        title: "a list is refused",
        expected: REFUSED,
        make: |r| format!("[{r}]").into(),
    },
    Malformed {
        id: "body.string",
        title: "a string is refused",
        expected: REFUSED,
        make: |_| b"\"request\"".to_vec(),
    },
    Malformed {
        id: "body.number",
        title: "a number is refused",
        expected: REFUSED,
        make: |_| b"7".to_vec(),
    },
    Malformed {
        id: "body.true",
        title: "a boolean is refused",
        expected: REFUSED,
        make: |_| b"true".to_vec(),
    },
    Malformed {
        id: "body.empty-object",
        title: "an empty object is refused",
        expected: REFUSED,
        make: |_| b"{}".to_vec(),
    },
    Malformed {
        id: "body.truncated",
        title: "a body without its last brace is refused",
        expected: REFUSED,
        make: |r| r[..r.len() - 1].into(),
    },
    Malformed {
        id: "body.half",
        title: "half a body is refused",
        expected: REFUSED,
        make: |r| r.as_bytes()[..r.len() / 2].to_vec(),
    },
    Malformed {
        id: "body.two-documents",
        title: "two documents in one body are refused",
        expected: REFUSED,
        make: |r| format!("{r}\n{r}").into(),
    },
    Malformed {
        id: "body.trailing-text",
        title: "text behind the document is refused",
        expected: REFUSED,
        make: |r| format!("{r} end").into(),
    },
    Malformed {
        id: "body.trailing-comma",
        title: "a comma without a successor is refused",
        expected: REFUSED,
        make: |r| before_end(r, ","),
    },
    Malformed {
        id: "body.single-quotes",
        title: "single quotes are refused",
        expected: REFUSED,
        make: |r| r.replace('"', "'").into(),
    },
    Malformed {
        id: "body.bare-keys",
        title: "keys without quotes are refused",
        expected: REFUSED,
        make: |r| before_end(r, ",test:0"),
    },
    Malformed {
        id: "body.comment",
        title: "a comment is refused",
        expected: REFUSED,
        make: |r| before_end(r, "/* none */"),
    },
    Malformed {
        id: "body.nan",
        title: "NaN is no number",
        expected: REFUSED,
        make: |r| before_end(r, ",\"ext\":NaN"),
    },
    Malformed {
        id: "body.infinity",
        title: "Infinity is no number",
        expected: REFUSED,
        make: |r| before_end(r, ",\"ext\":Infinity"),
    },
    Malformed {
        id: "body.leading-zero",
        title: "a number has no leading zero",
        expected: REFUSED,
        make: |r| before_end(r, ",\"ext\":07"),
    },
    Malformed {
        id: "body.plus",
        title: "a number has no plus sign",
        expected: REFUSED,
        make: |r| before_end(r, ",\"ext\":+7"),
    },
    Malformed {
        id: "body.hexadecimal",
        title: "a number is decimal",
        expected: REFUSED,
        make: |r| before_end(r, ",\"ext\":0x7"),
    },
    Malformed {
        id: "body.escape",
        title: "an unknown escape is refused",
        expected: REFUSED,
        make: |r| before_end(r, ",\"ext\":\"\\x41\""),
    },
    Malformed {
        id: "body.control",
        title: "a bare control character in a string is refused",
        expected: REFUSED,
        make: |r| before_end(r, ",\"ext\":\"a\u{1}b\""),
    },
    Malformed {
        id: "body.utf8",
        title: "bytes that are no UTF-8 are refused",
        expected: REFUSED,
        make: invalid_utf8,
    },
    Malformed {
        id: "body.utf16",
        title: "UTF-16 is refused",
        expected: REFUSED,
        make: |r| r.encode_utf16().flat_map(u16::to_le_bytes).collect(),
    },
    Malformed {
        id: "body.nul",
        title: "a NUL behind the document is refused",
        expected: REFUSED,
        make: |r| format!("{r}\0").into(),
    },
    Malformed {
        id: "body.lone-surrogate",
        title: "half a surrogate pair does no harm",
        expected: ANY,
        make: |r| before_end(r, ",\"ext\":\"\\ud800\""),
    },
    Malformed {
        id: "body.bom",
        title: "a byte order mark is read over or refused",
        expected: ANY,
        make: |r| format!("\u{feff}{r}").into(),
    },
    Malformed {
        id: "body.duplicate-key",
        title: "a key that comes twice does no harm",
        expected: ANY,
        make: |r| before_end(r, ",\"test\":0,\"test\":0"),
    },
    Malformed {
        id: "body.deep-lists",
        title: "lists in lists in lists do no harm",
        expected: ANY,
        make: |r| nested(r, "[", "]"),
    },
    Malformed {
        id: "body.deep-objects",
        title: "objects in objects in objects do no harm",
        expected: ANY,
        make: |r| nested(r, "{\"a\":", "}"),
    },
    Malformed {
        id: "body.deep-open",
        title: "brackets that never close are refused",
        expected: &[400, 413],
        make: |_| "[".repeat(DEEP).into(),
    },
    Malformed {
        id: "body.huge-number",
        title: "a number beyond all ranges does no harm",
        expected: ANY,
        make: |r| before_end(r, ",\"ext\":1e9999"),
    },
    Malformed {
        id: "body.long-number",
        title: "a number of ten thousand digits does no harm",
        expected: ANY,
        make: long_number,
    },
];

pub fn cases() -> Vec<Case> {
    let bodies = BODIES.iter().map(|row| {
        Case::new(Section::Body, row.id, "2.1, 2.3", row.title, move |stage| {
            let base = stage.any()?;
            stage.answers(base, row.expected, |request| {
                stage.call((row.make)(&request.to_string()))
            })?;
            // Whatever it was, the next request is answered as if nothing had been.
            stage.fresh_bid(base).map(drop)
        })
    });
    bodies.chain(structures()).collect()
}

/// A request with a required part missing, empty or of another type.
fn structures() -> Vec<Case> {
    let refused = |id, spec, title, edit: fn(&mut Value)| {
        Case::new(Section::Body, id, spec, title, move |stage: &Stage| {
            stage.answers(stage.any()?, REFUSED, |request| edited(stage, request, edit))
        })
    };
    let never_bid_on = |id, spec, title, edit: fn(&mut Value)| {
        Case::new(Section::Body, id, spec, title, move |stage: &Stage| {
            let base = stage.any()?;
            stage.fresh_bid(base)?;
            let answer = stage.send(&edited(stage, &stage.fresh(&base.request), edit))?;
            ensure(answer.bids().is_empty(), || {
                "a bid on an imp that asks for nothing one can bid on".into()
            })
        })
    };
    vec![
        refused("body.id.missing", "3.2.1", "a request needs an id", |r| {
            remove(r, "id")
        }),
        refused("body.id.empty", "3.2.1", "an empty id is none", |r| {
            set(r, "id", json!(""))
        }),
        refused("body.id.null", "3.2.1", "a null id is none", |r| {
            set(r, "id", json!(null))
        }),
        refused("body.id.number", "3.2.1", "an id is a string", |r| {
            set(r, "id", json!(7))
        }),
        refused("body.id.object", "3.2.1", "an id is no object", |r| {
            set(r, "id", json!({"id": "7"}))
        }),
        refused("body.imp.missing", "3.2.1", "a request needs an imp", |r| {
            remove(r, "imp")
        }),
        refused("body.imp.null", "3.2.1", "null is no list of imps", |r| {
            set(r, "imp", json!(null))
        }),
        refused(
            "body.imp.empty",
            "3.2.1",
            "a request needs at least one imp",
            |r| set(r, "imp", json!([])),
        ),
        refused("body.imp.object", "3.2.1", "imps come in a list", |r| {
            set(r, "imp", json!({}))
        }),
        refused("body.imp.string", "3.2.1", "an imp is an object", |r| {
            set(r, "imp", json!(["1"]))
        }),
        refused("body.imp.id-missing", "3.2.4", "an imp needs an id", |r| {
            remove(r, "imp.0.id")
        }),
        never_bid_on(
            "body.imp.formatless",
            "3.2.4",
            "an imp without a format gets no bid",
            |r| {
                ["banner", "video", "audio", "native"]
                    .iter()
                    .for_each(|f| remove(r, &format!("imp.0.{f}")));
            },
        ),
        never_bid_on("body.imp.null-format", "3.2.4", "a null format is none", |r| {
            ["banner", "video", "audio", "native"].iter().for_each(|f| {
                remove(r, &format!("imp.0.{f}"));
                set(r, "imp.0.banner", json!(null));
            });
        }),
    ]
}

fn edited(stage: &Stage, request: &Value, edit: fn(&mut Value)) -> crate::certify::client::Call {
    let mut request = request.clone();
    edit(&mut request);
    stage.call(request.to_string().into_bytes())
}

/// Puts a piece in front of the last brace.
fn before_end(request: &str, piece: &str) -> Vec<u8> {
    format!("{}{piece}}}", &request[..request.len() - 1]).into()
}

fn nested(request: &str, open: &str, close: &str) -> Vec<u8> {
    before_end(
        request,
        &format!(",\"ext\":{}7{}", open.repeat(DEEP / 2), close.repeat(DEEP / 2)),
    )
}

fn invalid_utf8(request: &str) -> Vec<u8> {
    let mut body = before_end(request, ",\"ext\":\"?\"");
    let at = body.len() - 3;
    body[at] = 0xff;
    body
}

fn long_number(request: &str) -> Vec<u8> {
    before_end(request, &format!(",\"ext\":{}", "7".repeat(10_000)))
}
