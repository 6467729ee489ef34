//! Pages for people: one frame, no scripts, nothing from elsewhere, and nothing that a cache or a search engine keeps.
//!
//! Invariant: whatever is put into a page has gone through [`escape`].

use super::worker::Reply;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::LazyLock;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5a6675;--line:#d9dfe7;--paper:#fff;--ground:#f4f6f9;--act:#1f5fd0}\
@media(prefers-color-scheme:dark){:root{--ink:#e8edf4;--soft:#a0acbb;--line:#323c4a;--paper:#1b222c;--ground:#12171e;--act:#6ea0ff}}\
*{box-sizing:border-box}\
body{margin:0;padding:1.25rem 1rem 3rem;background:var(--ground);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}\
main{max-width:38rem;margin:0 auto;background:var(--paper);border:1px solid var(--line);border-radius:.75rem;padding:1.25rem}\
h1{margin:0 0 .5rem;font-size:1.4rem;line-height:1.25}\
h2{margin:1.5rem 0 .4rem;font-size:1.05rem}\
p{margin:.4rem 0}\
ul{margin:.4rem 0;padding-left:1.2rem}\
li{margin:.3rem 0;overflow-wrap:anywhere}\
dl{margin:.4rem 0;display:grid;grid-template-columns:max-content 1fr;gap:.3rem 1rem}\
dt{color:var(--soft)}\
dd{margin:0;overflow-wrap:anywhere}\
small{display:block;margin-top:1rem;color:var(--soft)}\
button{width:100%;margin-top:.75rem;padding:.8rem 1rem;border:0;border-radius:.5rem;background:var(--act);color:var(--paper);font:inherit;font-weight:600;cursor:pointer}\
button:focus-visible{outline:3px solid var(--ink);outline-offset:2px}\
@media(max-width:26rem){dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.4rem}}";

/// Nothing but the style above, by its hash (CSP level 3), and forms to ourselves.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
});

/// Whether the caller asks for JSON rather than for a page.
pub fn wants_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("application/json") && !accept.contains("text/html"))
}

/// `body` is HTML already.
pub fn html(status: StatusCode, title: &str, body: &str) -> Reply {
    let title = escape(title);
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><meta name=\"robots\" content=\"noindex\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1>{body}</main></body></html>\n"
    );
    personal(status, "text/html; charset=utf-8", page)
}

pub fn json(status: StatusCode, body: &serde_json::Value) -> Reply {
    personal(status, "application/json", format!("{body:#}\n"))
}

fn personal(status: StatusCode, kind: &'static str, body: String) -> Reply {
    let mut reply = Reply::new(Bytes::from(body).into());
    *reply.status_mut() = status;
    let policy = HeaderValue::from_str(&POLICY).expect("a policy is ASCII");
    let robots = HeaderName::from_static("x-robots-tag");
    let fixed = HeaderValue::from_static;
    for (name, value) in [
        (CONTENT_TYPE, fixed(kind)),
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, fixed("no-store")),
        // The address holds the token.
        (REFERRER_POLICY, fixed("no-referrer")),
        (X_CONTENT_TYPE_OPTIONS, fixed("nosniff")),
        (robots, fixed("noindex, nofollow")),
        (VARY, fixed("accept")),
    ] {
        reply.headers_mut().insert(name, value);
    }
    reply
}

/// Text as the content of an element or a quoted attribute.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => {
                write!(out, "&#{};", u32::from('\u{fffd}')).expect("a string takes every write")
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_put_into_a_page_ends_an_element_or_an_attribute() {
        assert_eq!(
            escape("<b a=\"1\" b='2'>&\u{0}</b>"),
            "&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&amp;&#65533;&lt;/b&gt;"
        );
    }

    #[test]
    fn json_is_for_those_who_ask_for_it_and_not_for_browsers() {
        for (accept, expected) in [
            ("application/json", true),
            ("text/html,application/xhtml+xml,application/json;q=0.1", false),
            ("*/*", false),
        ] {
            let headers = [(ACCEPT, HeaderValue::from_static(accept))].into_iter().collect();
            assert_eq!(wants_json(&headers), expected, "{accept}");
        }
        assert!(!wants_json(&HeaderMap::new()));
    }
}
