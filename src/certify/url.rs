//! Addresses as certify needs them: where to connect, what to ask for.
//!
//! Invariant: an [`Address`] is reached by plain HTTP; certify has no TLS of its own.

use std::fmt;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// `host:port`, as connected to.
    pub authority: String,
    /// Path and query; starts with `/`.
    pub target: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    #[error("`{0}` is not a URL; write http://HOST[:PORT]/PATH")]
    NoUrl(String),
    #[error(
        "`{0}` is https: certify speaks plain HTTP; put a local proxy that adds TLS in front, and name that"
    )]
    Tls(String),
}

impl Address {
    /// Whether somebody takes connections there; says why not.
    ///
    /// # Errors
    /// The name is not known, or nobody takes a connection within `timeout`.
    pub fn reach(&self, timeout: Duration) -> io::Result<()> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in self.authority.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(_) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Reads `http://HOST[:PORT][/PATH]`. A fragment is no part of what is asked for.
    pub fn parse(url: &str) -> Result<Address, BadAddress> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(BadAddress::NoUrl(url.to_owned()));
        };
        if scheme.eq_ignore_ascii_case("https") {
            return Err(BadAddress::Tls(url.to_owned()));
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, target) = rest.split_at(end);
        let clean = |text: &str| !text.bytes().any(|b| b <= b' ' || b == 0x7f);
        if !scheme.eq_ignore_ascii_case("http") || host.is_empty() || host.contains('@') || !clean(rest) {
            return Err(BadAddress::NoUrl(url.to_owned()));
        }
        Ok(Address {
            authority: with_port(host),
            target: if target.starts_with('/') {
                target.to_owned()
            } else {
                format!("/{target}")
            },
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.target)
    }
}

/// Host and what follows it in any absolute URL, whatever its scheme.
pub fn split(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, target) = rest.split_at(end);
    let named = scheme.bytes().all(|b| b.is_ascii_alphanumeric()) && !scheme.is_empty() && !host.is_empty();
    named.then_some((scheme, host, target))
}

fn with_port(host: &str) -> String {
    let behind_ipv6 = host.rsplit(']').next().unwrap_or(host);
    if behind_ipv6.contains(':') {
        host.to_owned()
    } else {
        format!("{host}:80")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_host_port_and_target() {
        for (url, expected) in [
            ("http://a.example", Some(("a.example:80", "/"))),
            (
                "http://a.example:8080/bid?x=1#f",
                Some(("a.example:8080", "/bid?x=1")),
            ),
            ("http://[::1]:90/b", Some(("[::1]:90", "/b"))),
            ("http://[::1]?q", Some(("[::1]:80", "/?q"))),
            ("https://a.example/", None),
            ("a.example/bid", None),
            ("http:///bid", None),
            ("http://a b/", None),
        ] {
            let found = Address::parse(url).ok();
            let found = found.as_ref().map(|a| (a.authority.as_str(), a.target.as_str()));
            assert_eq!(found, expected, "{url}");
        }
    }
}
