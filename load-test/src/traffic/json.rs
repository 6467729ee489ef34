//! Finds a value in JSON text without changing the text. Invariant: the text has been parsed before, so it is valid.

use std::ops::Range;

/// Where the text under `key` of the outermost object stands, between its quotes. `None` without the key, for a value
/// that is no text, and for a key that is written with escapes.
pub fn top_level_text(json: &[u8], key: &str) -> Option<Range<usize>> {
    let (mut depth, mut at) = (0, 0);
    // The last text at depth 1 that a colon follows.
    let mut name: Option<Range<usize>> = None;
    while at < json.len() {
        match json[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b'"' => {
                let text = at + 1..end_of_text(json, at + 1)?;
                at = text.end;
                if depth == 1 {
                    match name.take() {
                        Some(name) if &json[name.clone()] == key.as_bytes() => return Some(text),
                        Some(_) => {}
                        None => name = Some(text),
                    }
                }
            }
            b',' if depth == 1 => name = None,
            _ => {}
        }
        at += 1;
    }
    None
}

/// The index of the quote that ends the text.
fn end_of_text(json: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while *json.get(at)? != b'"' {
        at += if json[at] == b'\\' { 2 } else { 1 };
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_the_outermost_object_is_found() {
        for (json, expected) in [
            (r#"{"id":"a"}"#, Some("a")),
            (r#"{"x":{"id":"b"},"y":["id","z"],"id" : "a"}"#, Some("a")),
            (r#"{"x":"id","y":1,"id":"a\"b"}"#, Some(r#"a\"b"#)),
            (r#"{"n":{"x":1},"id":""}"#, Some("")),
            (r#"{"x":"id"}"#, None),
            (r#"{"id":1,"x":"y"}"#, None),
            (r#"{"id":{"id":"b"},"x":"y"}"#, None),
            ("[]", None),
        ] {
            let found = top_level_text(json.as_bytes(), "id").map(|range| &json[range]);
            assert_eq!(found, expected, "{json}");
        }
    }
}
