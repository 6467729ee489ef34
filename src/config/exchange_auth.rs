//! The table `auth` of an exchange: how it shows who it is. Invariant: secrets come from files or the environment.

use super::document::{Node, Table};
use super::files::{Folder, check_secret};
use crate::store::exchange::Auth;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub(super) const KEYS: &[&str] = &[
    "bearer_file",
    "bearer_env",
    "header",
    "header_file",
    "header_env",
    "basic_user",
    "basic_file",
    "basic_env",
];

/// `None` is reported as a problem.
pub(super) fn read(table: &Table<'_>, folder: &Folder, env: &dyn Fn(&str) -> Option<String>) -> Option<Auth> {
    let kinds = ["bearer", "header", "basic"];
    let places = kinds.map(|kind| [format!("{kind}_file"), format!("{kind}_env")]);
    let given: Vec<_> = kinds
        .iter()
        .zip(&places)
        .flat_map(|(kind, keys)| keys.iter().map(move |key| (*kind, key)))
        .filter_map(|(kind, key)| Some((kind, key.ends_with("_file"), table.get(key)?)))
        .collect();
    let [(kind, in_file, node)] = &given[..] else {
        table.problem(
            "this names no single secret",
            "write either `bearer_file = \"…\"` or `bearer_env = \"…\"`",
        );
        return None;
    };
    let secret = if *in_file {
        folder.secret(node.text()?)
    } else {
        from_environment(node.text()?, env)
    };
    let secret = secret
        .map_err(|what| node.problem(what, "keep one line of random text there, 16 characters or more"))
        .ok();
    check_companions(table, kind);
    match *kind {
        "bearer" => secret.map(Auth::Bearer),
        "header" => {
            let name = table
                .need("header", "header = \"X-Api-Key\"")
                .and_then(|n| header_name(&n));
            Some(Auth::Header {
                name: name?,
                value: secret?,
            })
        }
        _ => {
            let user = table
                .need("basic_user", "basic_user = \"exchange\"")
                .and_then(|n| user(&n));
            let pair = format!("{}:{}", user?, secret?);
            Some(Auth::Header {
                name: "authorization".to_owned(),
                value: format!("Basic {}", STANDARD.encode(pair)),
            })
        }
    }
}

/// A name without its secret is a mistake.
fn check_companions(table: &Table<'_>, kind: &str) {
    for (key, of) in [("header", "header"), ("basic_user", "basic")] {
        if of != kind
            && let Some(node) = table.get(key)
        {
            let fix = format!("write `{of}_file` or `{of}_env` with it, or leave it out");
            node.problem(format!("`{key}` has no secret"), fix);
        }
    }
}

fn from_environment(name: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let text = env(name).ok_or_else(|| format!("the environment has no variable `{name}`"))?;
    check_secret(text.trim())
}

/// A token of RFC 9110 section 5.1, in lower case.
fn header_name(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.is_empty() || !text.bytes().all(token) {
        node.problem(
            format!("`{text}` is no name of a header"),
            "write for example `X-Api-Key`",
        );
        return None;
    }
    Some(text.to_ascii_lowercase())
}

/// RFC 7617 section 2: a user name holds no colon.
fn user(node: &Node<'_>) -> Option<String> {
    let name = node.name()?;
    if name.contains(':') {
        node.problem(
            format!("`{name}` holds a colon, which ends the user name"),
            "write the name alone",
        );
        return None;
    }
    Some(name)
}
