//! Writes an expression as canonical text, which parses back to the same expression.

use super::{Attribute, Expression, Node, Op, Test};
use crate::store::profiles::Gender;
use crate::units::Nanos;
use std::fmt;

/// How tightly a piece of text binds; looser ones are put in parentheses.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Binding {
    Or,
    And,
    Not,
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut stack: Vec<(String, Binding)> = Vec::new();
        for node in &self.nodes {
            let text = match node {
                Node::Test(test) => (test.to_string(), Binding::Not),
                Node::Not => {
                    let inner = operand(stack.pop(), |binding| binding < Binding::Not);
                    (format!("not {inner}"), Binding::Not)
                }
                Node::And => join(&mut stack, "and", Binding::And),
                Node::Or => join(&mut stack, "or", Binding::Or),
            };
            stack.push(text);
        }
        f.write_str(&operand(stack.pop(), |_| false))
    }
}

/// The parser groups to the left, so a right operand of the same binding keeps its parentheses.
fn join(stack: &mut Vec<(String, Binding)>, word: &str, binding: Binding) -> (String, Binding) {
    let right = operand(stack.pop(), |inner| inner <= binding);
    let left = operand(stack.pop(), |inner| inner < binding);
    (format!("{left} {word} {right}"), binding)
}

fn operand(text: Option<(String, Binding)>, loose: impl Fn(Binding) -> bool) -> String {
    let (text, binding) = text.expect("postfix order: operands come before their operator");
    if loose(binding) { format!("({text})") } else { text }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let equality = |equal: &bool| if *equal { "=" } else { "!=" };
        match self {
            Test::Gender { equal, gender } => write!(f, "gender {} \"{}\"", equality(equal), letter(*gender)),
            Test::Country { equal, code } => {
                write!(f, "country {} \"{}\"", equality(equal), code.escape_ascii())
            }
            Test::Language { equal, code } => {
                write!(f, "language {} \"{}\"", equality(equal), code.escape_ascii())
            }
            Test::Number { attribute, op, nanos } => write!(f, "{attribute} {op} {}", Decimal(*nanos)),
            Test::Between { attribute, low, high } => {
                write!(f, "{attribute} in {}..{}", Decimal(*low), Decimal(*high))
            }
            Test::Tag { name, .. } => write!(f, "{}", Quoted(name)),
            Test::TagWithin { name, days, .. } => write!(f, "{} within {days} days", Quoted(name)),
            Test::TagWeight { name, op, nanos, .. } => write!(f, "{} {op} {}", Quoted(name), Decimal(*nanos)),
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Attribute::Age => "age",
            Attribute::Ltv => "ltv",
            Attribute::Monetary => "monetary",
            Attribute::Frequency => "frequency",
            Attribute::RecencyDays => "recency_days",
        })
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Op::Eq => "=",
            Op::Ne => "!=",
            Op::Lt => "<",
            Op::Le => "<=",
            Op::Gt => ">",
            Op::Ge => ">=",
        })
    }
}

/// Nanos as a decimal number without needless digits.
struct Decimal(i64);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let per_unit = Nanos::PER_UNIT.unsigned_abs();
        let (units, rest) = (self.0.unsigned_abs() / per_unit, self.0.unsigned_abs() % per_unit);
        if rest == 0 {
            return write!(f, "{sign}{units}");
        }
        let digits = format!("{rest:09}");
        write!(f, "{sign}{units}.{}", digits.trim_end_matches('0'))
    }
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

fn letter(gender: Gender) -> &'static str {
    match gender {
        Gender::Male => "m",
        Gender::Female => "f",
        Gender::Other | Gender::Unknown => "o",
    }
}
