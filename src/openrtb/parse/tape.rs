//! Walking a simd-json tape: a value is a slice of nodes, its fields and items are read in one forward pass.
//!
//! A tape that simd-json filled is well formed: an object of n fields is followed by n key/value pairs, and every
//! container knows how many nodes stand inside it. Nothing here allocates or copies.

use simd_json::{Node, StaticNode, Tape};

/// One JSON value; the slice holds exactly its nodes.
#[derive(Clone, Copy)]
pub(super) struct Value<'t, 'a>(&'t [Node<'a>]);

impl<'t, 'a> Value<'t, 'a> {
    pub fn root(tape: &'t Tape<'a>) -> Value<'t, 'a> {
        Value(&tape.0)
    }

    pub fn is_object(self) -> bool {
        matches!(self.0[0], Node::Object { .. })
    }

    pub fn is_array(self) -> bool {
        matches!(self.0[0], Node::Array { .. })
    }

    pub fn is_null(self) -> bool {
        matches!(self.0[0], Node::Static(StaticNode::Null))
    }

    pub fn as_str(self) -> Option<&'a str> {
        match self.0[0] {
            Node::String(text) => Some(text),
            _ => None,
        }
    }

    /// A number or a boolean.
    pub fn as_static(self) -> Option<StaticNode> {
        match self.0[0] {
            Node::Static(value) => Some(value),
            _ => None,
        }
    }

    /// The fields of an object in their order; none for any other value.
    pub fn fields(self) -> Fields<'t, 'a> {
        match self.0[0] {
            Node::Object { .. } => Fields { rest: &self.0[1..] },
            _ => Fields { rest: &[] },
        }
    }

    /// The elements of an array in their order; none for any other value.
    pub fn items(self) -> Items<'t, 'a> {
        match self.0[0] {
            Node::Array { .. } => Items { rest: &self.0[1..] },
            _ => Items { rest: &[] },
        }
    }

    /// The value of the last field of that name, as a later duplicate wins everywhere.
    pub fn field(self, name: &str) -> Option<Value<'t, 'a>> {
        self.fields()
            .filter(|(key, _)| *key == name)
            .last()
            .map(|(_, value)| value)
    }
}

pub(super) struct Fields<'t, 'a> {
    rest: &'t [Node<'a>],
}

impl<'t, 'a> Iterator for Fields<'t, 'a> {
    type Item = (&'a str, Value<'t, 'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (Node::String(key), values) = self.rest.split_first()? else {
            return None;
        };
        let (value, rest) = split_value(values)?;
        self.rest = rest;
        Some((key, value))
    }
}

pub(super) struct Items<'t, 'a> {
    rest: &'t [Node<'a>],
}

impl<'t, 'a> Iterator for Items<'t, 'a> {
    type Item = Value<'t, 'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (value, rest) = split_value(self.rest)?;
        self.rest = rest;
        Some(value)
    }
}

/// The first value and what follows it; `None` at the end.
fn split_value<'t, 'a>(nodes: &'t [Node<'a>]) -> Option<(Value<'t, 'a>, &'t [Node<'a>])> {
    let inside = match nodes.first()? {
        Node::Object { count, .. } | Node::Array { count, .. } => *count,
        Node::String(_) | Node::Static(_) => 0,
    };
    let (value, rest) = nodes.split_at_checked(inside + 1)?;
    Some((Value(value), rest))
}
