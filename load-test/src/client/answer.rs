//! One HTTP/1.1 answer out of the bytes that have come so far (RFC 9112).
//!
//! Invariant: bytes are consumed only when an answer is whole, so that a partial one can be parsed again.

use std::ops::Range;

/// Headers of an answer; more than this is not a bidder's.
const HEADERS_MAX: usize = 64;
/// Bytes of one answer. A response of sixteen imps with markup stays far below it.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// A whole answer, as places in the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: Range<usize>,
    /// Value of the `Location` header.
    pub location: Option<Range<usize>>,
    /// The connection cannot be used again.
    pub close: bool,
    /// Bytes that the answer took.
    pub end: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    Partial,
    Whole(Answer),
    Malformed,
}

/// Remembers the head while the body is on its way.
#[derive(Clone, Debug, Default)]
pub struct AnswerParser {
    head: Option<Head>,
}

#[derive(Clone, Debug)]
struct Head {
    status: u16,
    len: usize,
    body: BodyLength,
    location: Option<Range<usize>>,
    close: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyLength {
    Known(usize),
    Chunked,
    UntilClose,
}

impl AnswerParser {
    /// `input`: all bytes since the last whole answer; a chunked body is put together in it. `ended`: no more will come.
    pub fn parse(&mut self, input: &mut [u8], ended: bool) -> Parsed {
        let parsed = self.try_parse(input, ended).unwrap_or(Parsed::Malformed);
        match parsed {
            Parsed::Partial if input.len() > ANSWER_BYTES_MAX => Parsed::Malformed,
            Parsed::Partial => Parsed::Partial,
            done => {
                self.head = None;
                done
            }
        }
    }

    pub fn reset(&mut self) {
        self.head = None;
    }

    /// `None` for what is not HTTP.
    fn try_parse(&mut self, input: &mut [u8], ended: bool) -> Option<Parsed> {
        if self.head.is_none() {
            self.head = parse_head(input, 0)?;
        }
        let Some(head) = &self.head else {
            return Some(Parsed::Partial);
        };
        let (body, end) = match head.body {
            BodyLength::Known(len) => (head.len..head.len + len, head.len + len),
            BodyLength::UntilClose if ended => (head.len..input.len(), input.len()),
            BodyLength::UntilClose => return Some(Parsed::Partial),
            BodyLength::Chunked => match join_chunks(input, head.len)? {
                Some(joined) => joined,
                None => return Some(Parsed::Partial),
            },
        };
        if end > input.len() {
            return Some(Parsed::Partial);
        }
        Some(Parsed::Whole(Answer {
            status: head.status,
            body,
            location: head.location.clone(),
            // Bytes behind an answer that nobody asked for: nothing that follows could be trusted.
            close: head.close || end < input.len(),
            end,
        }))
    }
}

/// The head that starts at `start`; interim answers (1xx) are skipped. `Some(None)` while it is incomplete.
fn parse_head(input: &[u8], start: usize) -> Option<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(len) = response.parse(&input[start..]).ok()? else {
        return Some(None);
    };
    let status = response.code?;
    if status < 200 {
        return parse_head(input, start + len);
    }
    let mut head = Head {
        status,
        len: start + len,
        body: BodyLength::UntilClose,
        location: None,
        close: response.version == Some(0),
    };
    for header in response.headers.iter() {
        read_header(&mut head, input, header)?;
    }
    if matches!(status, 204 | 304) {
        head.body = BodyLength::Known(0);
    }
    head.close |= head.body == BodyLength::UntilClose;
    Some(Some(head))
}

fn read_header(head: &mut Head, input: &[u8], header: &httparse::Header) -> Option<()> {
    let is = |name: &str| header.name.eq_ignore_ascii_case(name);
    if is("content-length") && head.body != BodyLength::Chunked {
        head.body = BodyLength::Known(std::str::from_utf8(header.value).ok()?.trim().parse().ok()?);
        let BodyLength::Known(..=ANSWER_BYTES_MAX) = head.body else {
            return None;
        };
    } else if is("transfer-encoding") && header.value.eq_ignore_ascii_case(b"chunked") {
        head.body = BodyLength::Chunked;
    } else if is("connection") && header.value.eq_ignore_ascii_case(b"close") {
        head.close = true;
    } else if is("connection") && header.value.eq_ignore_ascii_case(b"keep-alive") {
        head.close = false;
    } else if is("location") {
        let start = header.value.as_ptr() as usize - input.as_ptr() as usize;
        head.location = Some(start..start + header.value.len());
    }
    Some(())
}

/// Moves the data of all chunks together when the last one is there: the body, and the end of the answer.
fn join_chunks(input: &mut [u8], start: usize) -> Option<Option<(Range<usize>, usize)>> {
    let Some(end) = end_of_chunks(input, start)? else {
        return Some(None);
    };
    let (mut at, mut filled) = (start, start);
    loop {
        let (data, len) = chunk_size(&input[at..])??;
        if len == 0 {
            return Some(Some((start..filled, end)));
        }
        input.copy_within(at + data..at + data + len, filled);
        filled += len;
        at += data + len + 2;
    }
}

/// Where the answer ends, behind the trailer; `Some(None)` while it is incomplete.
fn end_of_chunks(input: &[u8], start: usize) -> Option<Option<usize>> {
    let mut at = start;
    while at < input.len() {
        let Some((data, len)) = chunk_size(&input[at..])? else {
            return Some(None);
        };
        at += data;
        if len == 0 {
            let rest = &input[at..];
            let trailer_end = if rest.starts_with(b"\r\n") {
                Some(2)
            } else {
                memchr::memmem::find(rest, b"\r\n\r\n").map(|found| found + 4)
            };
            return Some(trailer_end.map(|end| at + end));
        }
        at = at.checked_add(len)?.checked_add(2)?;
    }
    Some(None)
}

/// Bytes of the chunk's first line and of its data.
fn chunk_size(input: &[u8]) -> Option<Option<(usize, usize)>> {
    match httparse::parse_chunk_size(input).ok()? {
        httparse::Status::Complete((line, len)) => Some(Some((line, usize::try_from(len).ok()?))),
        httparse::Status::Partial => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status, body and whether the connection ends; the same however the bytes are cut.
    fn check(text: &str, ended: bool, expected: Option<(u16, &str, bool)>) {
        for cut in 0..=text.len() {
            let mut parser = AnswerParser::default();
            if cut < text.len() {
                let early = parser.parse(&mut text.as_bytes()[..cut].to_vec(), false);
                if early == Parsed::Malformed {
                    assert_eq!(expected, None, "{text:?} at {cut}");
                    continue;
                }
                if let Parsed::Whole(answer) = early {
                    assert!(answer.end <= cut);
                    continue;
                }
            }
            let mut input = text.as_bytes().to_vec();
            let found = match parser.parse(&mut input, ended) {
                Parsed::Whole(answer) => Some((answer.status, answer.body, answer.close)),
                Parsed::Malformed => None,
                Parsed::Partial => panic!("{text:?} is whole"),
            };
            let found = found.as_ref().map(|(status, body, close)| {
                (
                    *status,
                    std::str::from_utf8(&input[body.clone()]).expect("ASCII"),
                    *close,
                )
            });
            assert_eq!(found, expected, "{text:?} at {cut}");
        }
    }

    #[test]
    fn answers_end_where_their_framing_says() {
        check("HTTP/1.1 204 No Content\r\n\r\n", false, Some((204, "", false)));
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            false,
            Some((200, "{}", false)),
        );
        check(
            "HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length: 2\r\n\r\n{}",
            false,
            Some((200, "{}", true)),
        );
        check(
            "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            false,
            Some((200, "{}", true)),
        );
        check("HTTP/1.1 200 OK\r\n\r\n{}", true, Some((200, "{}", true)));
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{\"\r\n3;x=y\r\na\":\r\n2\r\n1}\r\n0\r\n\r\n",
            false,
            Some((200, "{\"a\":1}", false)),
        );
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nTrailer: y\r\n\r\n",
            false,
            Some((200, "x", false)),
        );
        check(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
            false,
            Some((204, "", false)),
        );
    }

    #[test]
    fn what_is_not_http_is_malformed() {
        check("SSH-2.0-OpenSSH\r\n", false, None);
        check("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", false, None);
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            false,
            None,
        );
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            false,
            None,
        );
    }

    #[test]
    fn the_location_of_a_redirect_is_found() {
        let text = b"HTTP/1.1 302 Found\r\nLocation: https://a.example/?t=1\r\nContent-Length: 0\r\n\r\n";
        let Parsed::Whole(answer) = AnswerParser::default().parse(&mut text.to_vec(), false) else {
            panic!("whole");
        };
        assert_eq!(&text[answer.location.expect("there")], b"https://a.example/?t=1");
    }
}
