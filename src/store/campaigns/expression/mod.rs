//! Boolean expressions over a user's profile, such as `gender = "m" and age in 25..35 and "visited:car-forum"`.
//!
//! An expression that was parsed can always be printed, and what is printed parses back to the same expression.
//!
//! # Language
//!
//! ```text
//! or     = and { "or" and }
//! and    = not { "and" not }
//! not    = "not" not | primary
//! primary = "(" or ")"
//!         | TAG                                   the user has the tag
//!         | TAG "within" DAYS "days"              … and had it again within so many days
//!         | TAG OP NUMBER                         the tag's weight, 0..=1; a tag the user lacks weighs 0
//!         | ATTRIBUTE OP VALUE
//!         | ATTRIBUTE ["not"] "in" LOW ".." HIGH  both ends belong to it
//!         | ATTRIBUTE ["not"] "in" "(" VALUE { "," VALUE } ")"
//! OP     = "=" | "!=" | "<" | "<=" | ">" | ">="
//! ```
//!
//! Words are read in any case. A tag is a quoted string in which `\"` and `\\` stand for a quote and a backslash.
//!
//! | attribute | value | |
//! |---|---|---|
//! | `gender` | `"m"`, `"f"`, `"o"` | `=`, `!=`, list |
//! | `country` | ISO-3166-1 alpha-3, `"USA"` | `=`, `!=`, list |
//! | `language` | ISO-639-1, `"en"` | `=`, `!=`, list |
//! | `age` | whole years | all |
//! | `frequency` | whole number | all |
//! | `recency_days` | whole days since the user was last active | all |
//! | `ltv`, `monetary` | units of the accounting currency, up to nine decimals | all |
//!
//! # What is not known
//!
//! Logic has three values (Kleene): a comparison with an attribute that the profile lacks is *unknown*, `not unknown`
//! is unknown, `unknown and false` is false, `unknown or true` is true. An expression matches only when it is true:
//! `not age < 18` does not match people whose age is unknown. Without a profile everything is unknown. Tags are
//! complete: a user of a profile without the tag does not have it.

mod lexer;
mod parse;
mod print;

pub use parse::ParseError;

use crate::store::profiles::{Gender, Profile, TagId};
use crate::units::{Nanos, Timestamp};

/// Nested parentheses and `not`s: far above what people write, low enough for a small fixed stack.
pub const DEPTH_MAX: usize = 32;
/// Comparisons and operators: bounds what one expression costs per request (about 10 µs at the limit).
pub const NODES_MAX: usize = 1024;
/// Pending operands: each level of nesting leaves at most one of an `or` and one of an `and` waiting.
const STACK_MAX: usize = 2 * (DEPTH_MAX + 2);
/// Tags count their days from 2020-01-01, which is this many days after 1970-01-01.
const TAG_DAY_ZERO: i32 = 18_262;

/// A parsed expression: nodes in postfix order, so that evaluation is one loop without allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    nodes: Box<[Node]>,
}

/// The three values of Kleene's logic, ordered so that `and` is the minimum and `or` the maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    False,
    Unknown,
    True,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Test(Test),
    Not,
    And,
    Or,
}

/// One comparison. Numbers are nanos (10⁻⁹), so that nothing is compared in floating point.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Gender {
        equal: bool,
        gender: Gender,
    },
    Country {
        equal: bool,
        code: [u8; 3],
    },
    Language {
        equal: bool,
        code: [u8; 2],
    },
    Number {
        attribute: Attribute,
        op: Op,
        nanos: i64,
    },
    Between {
        attribute: Attribute,
        low: i64,
        high: i64,
    },
    Tag {
        name: Box<str>,
        id: u32,
    },
    TagWithin {
        name: Box<str>,
        id: u32,
        days: u16,
    },
    TagWeight {
        name: Box<str>,
        id: u32,
        op: Op,
        nanos: i64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attribute {
    Age,
    Ltv,
    Monetary,
    Frequency,
    RecencyDays,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Expression {
    /// # Errors
    /// Where the text is not an expression: the byte offset, what was found there and what would be right.
    pub fn parse(text: &str) -> Result<Expression, ParseError> {
        parse::parse(text)
    }

    /// Whether the expression is true (not false, not unknown) of this user.
    pub fn matches(&self, profile: Option<&Profile>, now: Timestamp) -> bool {
        self.truth(profile, now) == Truth::True
    }

    pub fn truth(&self, profile: Option<&Profile>, now: Timestamp) -> Truth {
        let Some(profile) = profile else {
            return Truth::Unknown;
        };
        let mut stack = [Truth::Unknown; STACK_MAX];
        let mut len = 0;
        for node in &self.nodes {
            match node {
                Node::Test(test) => {
                    stack[len] = test.truth(profile, now);
                    len += 1;
                }
                Node::Not => stack[len - 1] = stack[len - 1].not(),
                Node::And => {
                    len -= 1;
                    stack[len - 1] = stack[len - 1].min(stack[len]);
                }
                Node::Or => {
                    len -= 1;
                    stack[len - 1] = stack[len - 1].max(stack[len]);
                }
            }
        }
        stack[0]
    }
}

impl Truth {
    fn not(self) -> Truth {
        match self {
            Truth::False => Truth::True,
            Truth::Unknown => Truth::Unknown,
            Truth::True => Truth::False,
        }
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Truth {
        if value { Truth::True } else { Truth::False }
    }
}

impl Test {
    fn truth(&self, profile: &Profile, now: Timestamp) -> Truth {
        match self {
            Test::Gender { .. } if profile.gender == Gender::Unknown => Truth::Unknown,
            Test::Gender { equal, gender } => ((profile.gender == *gender) == *equal).into(),
            Test::Country { equal, code } => known(profile.country, |c| (c == *code) == *equal),
            Test::Language { equal, code } => known(profile.language, |c| (c == *code) == *equal),
            Test::Number { attribute, op, nanos } => {
                known(attribute.of(profile, now), |value| op.holds(value, *nanos))
            }
            Test::Between { attribute, low, high } => known(attribute.of(profile, now), |value| {
                (*low..=*high).contains(&value)
            }),
            Test::Tag { id, .. } => profile.tag(TagId(*id)).is_some().into(),
            Test::TagWithin { id, days, .. } => {
                let since = now.day() - TAG_DAY_ZERO - i32::from(*days);
                profile
                    .tag(TagId(*id))
                    .is_some_and(|tag| i32::from(tag.day) >= since)
                    .into()
            }
            Test::TagWeight { id, op, nanos, .. } => {
                let weight = profile.tag(TagId(*id)).map_or(0, |tag| i64::from(tag.weight));
                // weight / 255 against nanos / 10⁹, both sides multiplied out; nanos are within ±10⁹.
                op.holds(weight * Nanos::PER_UNIT, nanos * 255).into()
            }
        }
    }
}

impl Attribute {
    /// In nanos; `None` = not known.
    fn of(self, profile: &Profile, now: Timestamp) -> Option<i64> {
        let whole = |value: i64| value * Nanos::PER_UNIT;
        match self {
            Attribute::Age => profile.age(now).map(|age| whole(age.into())),
            Attribute::Ltv => Some(profile.ltv.0),
            Attribute::Monetary => Some(profile.monetary.0),
            Attribute::Frequency => Some(whole(profile.frequency.into())),
            Attribute::RecencyDays => profile
                .last_active_day
                .map(|day| whole(i64::from(now.day()) - i64::from(day))),
        }
    }
}

impl Op {
    fn holds(self, left: i64, right: i64) -> bool {
        match self {
            Op::Eq => left == right,
            Op::Ne => left != right,
            Op::Lt => left < right,
            Op::Le => left <= right,
            Op::Gt => left > right,
            Op::Ge => left >= right,
        }
    }
}

fn known<T>(value: Option<T>, test: impl FnOnce(T) -> bool) -> Truth {
    value.map_or(Truth::Unknown, |value| test(value).into())
}
