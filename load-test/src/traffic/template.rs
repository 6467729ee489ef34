//! One request as the bytes that go over the wire, with a place for its id. Invariant: all ids are of one length, so the
//! `Content-Length` stands.

use super::json;
use crate::target::Target;
use std::io::Write as _;

/// Eight hexadecimal digits of the run, sixteen of the request.
const ID_LEN: usize = 24;

pub struct Template {
    wire: Box<[u8]>,
    /// Where the id stands, between its quotes; `None` where the request has none of its own.
    id_at: Option<usize>,
    pub tmax_ns: u64,
}

impl Template {
    /// `body` is a JSON object. Its `id` is replaced when it is a text; otherwise the body stays as it is to the byte.
    pub fn new(body: &str, target: &Target, headers: &[String], tmax_ns: u64) -> Template {
        let id = json::top_level_text(body.as_bytes(), "id");
        let body_len = body.len() - id.as_ref().map_or(0, |id| id.len()) + id.as_ref().map_or(0, |_| ID_LEN);
        let mut wire = Vec::with_capacity(body_len + 256);
        write!(
            wire,
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nx-openrtb-version: 2.6\r\n",
            target.path, target.authority
        )
        .and_then(|()| headers.iter().try_for_each(|header| write!(wire, "{header}\r\n")))
        .and_then(|()| write!(wire, "Content-Length: {body_len}\r\n\r\n"))
        .expect("a vector takes every write");
        let id_at = id.as_ref().map(|id| wire.len() + id.start);
        match id {
            Some(id) => {
                wire.extend_from_slice(&body.as_bytes()[..id.start]);
                wire.extend_from_slice(&[b'0'; ID_LEN]);
                wire.extend_from_slice(&body.as_bytes()[id.end..]);
            }
            None => wire.extend_from_slice(body.as_bytes()),
        }
        Template {
            wire: wire.into(),
            id_at,
            tmax_ns,
        }
    }

    pub fn write(&self, run: u32, number: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.wire);
        if let Some(id_at) = self.id_at {
            out[start + id_at..][..ID_LEN].copy_from_slice(&id_text(run, number));
        }
    }

    pub fn id(&self, run: u32, number: u64) -> Option<String> {
        self.id_at.map(|_| {
            id_text(run, number)
                .iter()
                .map(|byte| char::from(*byte))
                .collect()
        })
    }
}

fn id_text(run: u32, number: u64) -> [u8; ID_LEN] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let value = u128::from(run) << 64 | u128::from(number);
    std::array::from_fn(|at| HEX[(value >> (4 * (ID_LEN - 1 - at)) & 15) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(body: &str, run: u32, number: u64) -> String {
        let target = Target::parse("http://a.example:81/openrtb2/demo").expect("a URL");
        let template = Template::new(body, &target, &["Authorization: Bearer x".into()], 0);
        let mut out = b"before".to_vec();
        template.write(run, number, &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn only_the_id_of_the_request_itself_changes() {
        let body = r#"{"imp":[{"id":"1"}], "id" : "old", "n":1}"#;
        let text = written(body, 0xabc, 0x1f);
        let expected = r#"{"imp":[{"id":"1"}], "id" : "00000abc000000000000001f", "n":1}"#;
        assert!(
            text.starts_with("beforePOST /openrtb2/demo HTTP/1.1\r\nHost: a.example:81\r\n"),
            "{text}"
        );
        let tail = format!(
            "Authorization: Bearer x\r\nContent-Length: {}\r\n\r\n{expected}",
            expected.len()
        );
        assert!(text.ends_with(&tail), "{text}");
    }

    #[test]
    fn a_request_without_a_text_as_id_stays_as_it_is() {
        for body in [r#"{"imp":[{"id":"1"}]}"#, r#"{"id":5}"#, "{}"] {
            assert!(written(body, 1, 2).ends_with(&format!("Content-Length: {}\r\n\r\n{body}", body.len())));
        }
    }
}
