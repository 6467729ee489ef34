//! Where requests go. Invariant: a target is plain http with a host, so that what remains is to resolve its name.

use std::net::{SocketAddr, ToSocketAddrs};

/// An `http://` URL in the parts that a client needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Host and port as they were written: the `Host` header.
    pub authority: String,
    /// Path and query, from the first slash on.
    pub path: String,
}

impl Target {
    /// # Errors
    /// What is wrong with the URL and what would be right.
    pub fn parse(url: &str) -> Result<Target, String> {
        if url.starts_with("https://") {
            return Err(format!(
                "{url}: TLS is not spoken here; give the http:// address behind the TLS terminator"
            ));
        }
        let Some(rest) = url.strip_prefix("http://") else {
            return Err(format!(
                "{url}: a URL such as http://127.0.0.1:8080/openrtb2/demo"
            ));
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.is_empty() || authority.starts_with(':') {
            return Err(format!("{url}: the host is missing"));
        }
        if url.bytes().any(|byte| !(0x21..0x7f).contains(&byte)) {
            return Err(format!(
                "{url}: blanks and letters beyond ASCII must be percent-encoded"
            ));
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Target {
            authority: authority.to_string(),
            path: format!("{slash}{path}"),
        })
    }

    /// # Errors
    /// When the name does not resolve.
    pub fn resolve(&self) -> Result<SocketAddr, String> {
        resolve(&self.authority)
    }
}

/// # Errors
/// When the name does not resolve, or the port is none.
pub fn resolve(authority: &str) -> Result<SocketAddr, String> {
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.ends_with(']'));
    let with_port = if has_port {
        authority.to_string()
    } else {
        format!("{authority}:80")
    };
    let mut found = with_port
        .to_socket_addrs()
        .map_err(|error| format!("{authority}: {error}"))?;
    found
        .next()
        .ok_or_else(|| format!("{authority}: the name has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Option<(&str, &str)>) {
        let found = Target::parse(url);
        assert_eq!(
            found
                .as_ref()
                .ok()
                .map(|t| (t.authority.as_str(), t.path.as_str())),
            expected,
            "{found:?}"
        );
    }

    #[test]
    fn urls_fall_into_host_and_path() {
        check("http://a.example", Some(("a.example", "/")));
        check("http://a.example:81/x?y=1#z", Some(("a.example:81", "/x?y=1")));
        check("http://[::1]:80?x", Some(("[::1]:80", "/?x")));
        check("https://a.example/", None);
        check("a.example", None);
        check("http:///x", None);
        check("http://a/ b", None);
    }

    #[test]
    fn the_port_is_80_where_none_is_given() {
        assert_eq!(resolve("127.0.0.1").map(|a| a.port()), Ok(80));
        assert_eq!(resolve("[::1]").map(|a| a.port()), Ok(80));
        assert_eq!(resolve("127.0.0.1:9").map(|a| a.port()), Ok(9));
        assert!(resolve("127.0.0.1:99999").is_err());
    }
}
