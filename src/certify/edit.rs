//! Changes to a JSON request by path: `imp.0.banner.w`.
//!
//! Invariant: setting makes what is missing on the way, so that a case says only what it changes.

use serde_json::{Map, Value};

/// Sets the value at `path`; numbers in a path are positions of a list, at most one behind its end.
pub fn set(root: &mut Value, path: &str, value: Value) {
    let mut place = root;
    for step in path.split('.') {
        place = child(place, step);
    }
    *place = value;
}

/// Takes away the key at the end of `path`, if it is there.
pub fn remove(root: &mut Value, path: &str) {
    let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
    let parent = if parent.is_empty() {
        Some(root)
    } else {
        find_mut(root, parent)
    };
    if let Some(object) = parent.and_then(Value::as_object_mut) {
        object.remove(key);
    }
}

fn find_mut<'v>(root: &'v mut Value, path: &str) -> Option<&'v mut Value> {
    path.split('.')
        .try_fold(root, |value, step| match step.parse::<usize>() {
            Ok(position) => value.get_mut(position),
            Err(_) => value.get_mut(step),
        })
}

fn child<'v>(place: &'v mut Value, step: &str) -> &'v mut Value {
    if let Ok(position) = step.parse::<usize>() {
        if !place.is_array() {
            *place = Value::Array(Vec::new());
        }
        let list = place.as_array_mut().expect("it was just made a list");
        if list.len() <= position {
            list.resize(position + 1, Value::Null);
        }
        return &mut list[position];
    }
    if !place.is_object() {
        *place = Value::Object(Map::new());
    }
    let object = place.as_object_mut().expect("it was just made an object");
    object.entry(step).or_insert(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn setting_makes_the_way_and_removing_leaves_the_rest() {
        let mut request = json!({"imp": [{"id": "1"}]});
        set(&mut request, "imp.0.banner.w", json!(300));
        set(&mut request, "regs.ext.gdpr", json!(1));
        set(&mut request, "cur.0", json!("USD"));
        remove(&mut request, "imp.0.id");
        remove(&mut request, "not.there");
        let expected = json!({"imp": [{"banner": {"w": 300}}], "regs": {"ext": {"gdpr": 1}}, "cur": ["USD"]});
        assert_eq!(request, expected);
    }
}
