//! A proxy in front of the real bidder that hides a rule from it or spoils what it says: the bidder with that rule off.
//!
//! Invariant: what a mutant does not touch passes through unchanged, so that nothing else is off.

use super::outbid_process::Outbid;
use super::server::{Reply, Request, Server};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// What stands between `certify` and the bidder.
#[derive(Clone, Copy)]
pub enum Twist {
    /// The bidder does not see these fields: `imp.*.banner.battr`.
    Hide(&'static [&'static str]),
    /// The bidder sees another request.
    Ask(fn(&mut Value)),
    /// Each bid is spoiled, for its imp.
    Bid(fn(&mut Value, &Value)),
    /// The response is spoiled, for its request.
    Answer(fn(&mut Value, &Value)),
    /// Anything else, with the bidder at hand.
    Http(fn(&Behind, Request) -> Reply),
}

/// The bidder behind the proxy.
#[derive(Clone)]
pub struct Behind {
    bids: String,
    admin: String,
}

impl Behind {
    pub fn of(outbid: &Outbid) -> Behind {
        Behind {
            bids: outbid.bids.clone(),
            admin: outbid.admin.clone(),
        }
    }

    /// What the bidder answers to this.
    pub fn pass(&self, request: &Request) -> Reply {
        let authority = if request.target.starts_with("/api/") {
            &self.admin
        } else {
            &self.bids
        };
        converse(authority, request).expect("the bidder answers")
    }

    /// The first bid on such a request.
    pub fn bid(&self, request: &Request) -> Value {
        let reply = self.pass(request);
        let response: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        response["seatbid"][0]["bid"][0].clone()
    }
}

pub fn start(behind: Behind, twist: Twist) -> Server {
    let behind = Arc::new(behind);
    Server::start(move |request| twist.answer(&behind, request.clone()))
}

impl Twist {
    fn answer(self, behind: &Behind, mut request: Request) -> Reply {
        match self {
            Twist::Http(answer) => answer(behind, request),
            Twist::Hide(paths) => {
                edit(&mut request, |body| {
                    paths.iter().for_each(|path| hide(body, path))
                });
                behind.pass(&request)
            }
            Twist::Ask(change) => {
                edit(&mut request, change);
                behind.pass(&request)
            }
            Twist::Answer(spoil) => spoiled(behind, request, spoil),
            Twist::Bid(spoil) => spoiled(behind, request, |response, request| {
                for seat in list_mut(&mut response["seatbid"]) {
                    for bid in list_mut(&mut seat["bid"]) {
                        let imps = request["imp"].as_array();
                        let imp = imps
                            .into_iter()
                            .flatten()
                            .find(|imp| imp["id"] == bid["impid"])
                            .cloned();
                        spoil(bid, &imp.unwrap_or_default());
                    }
                }
            }),
        }
    }
}

/// The answer to a bid request, spoiled. Compressed ones are not asked for: they would have to be unpacked.
pub fn spoiled(behind: &Behind, mut request: Request, spoil: impl Fn(&mut Value, &Value)) -> Reply {
    request
        .headers
        .retain(|(name, _)| !name.eq_ignore_ascii_case("accept-encoding"));
    let mut reply = behind.pass(&request);
    let asked = serde_json::from_slice(&request.body).unwrap_or_default();
    if let (true, Ok(mut response)) = (is_bid_request(&request), serde_json::from_slice(&reply.body)) {
        spoil(&mut response, &asked);
        reply.body = response.to_string().into_bytes();
    }
    reply
}

/// Changes the body where it is the JSON object of a bid request, for bids and explanations alike.
pub fn edit(request: &mut Request, change: impl FnOnce(&mut Value)) {
    if let Ok(mut body @ Value::Object(_)) = serde_json::from_slice::<Value>(&request.body) {
        change(&mut body);
        request.body = body.to_string().into_bytes();
    }
}

pub fn is_bid_request(request: &Request) -> bool {
    request.target.starts_with("/openrtb2/")
}

/// Takes a field away; `*` stands for every item of a list.
pub fn hide(value: &mut Value, path: &str) {
    match path.split_once('.') {
        None => {
            if let Some(object) = value.as_object_mut() {
                object.remove(path);
            }
        }
        Some(("*", rest)) => list_mut(value).iter_mut().for_each(|item| hide(item, rest)),
        Some((field, rest)) => {
            if let Some(inner) = value.get_mut(field) {
                hide(inner, rest);
            }
        }
    }
}

pub fn list_mut(value: &mut Value) -> &mut [Value] {
    value.as_array_mut().map_or(&mut [], Vec::as_mut_slice)
}

/// One request on one connection.
fn converse(authority: &str, request: &Request) -> std::io::Result<Reply> {
    let mut stream = TcpStream::connect(authority)?;
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        if !HOP_BY_HOP.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            head += &format!("{name}: {value}\r\n");
        }
    }
    head += &format!(
        "Host: {authority}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        request.body.len()
    );
    stream.write_all(&[head.as_bytes(), &request.body].concat())?;
    read(BufReader::new(stream))
}

/// What belongs to one connection, or is written anew.
const HOP_BY_HOP: [&str; 6] = [
    "host",
    "connection",
    "content-length",
    "expect",
    "transfer-encoding",
    "date",
];

fn read(mut reader: impl BufRead) -> std::io::Result<Reply> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let mut reply = Reply::status(status.expect("an answer has a status"));
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if !HOP_BY_HOP.iter().any(|own| name.eq_ignore_ascii_case(own)) => {
                reply.headers.push((name.to_owned(), value.trim().to_owned()));
            }
            Some(_) => {}
            None => break,
        }
    }
    reader.read_to_end(&mut reply.body)?;
    Ok(reply)
}
