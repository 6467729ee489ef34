//! Recursive descent over the text of an expression; every error names a byte offset and what would be right there.

use super::lexer::{Lexeme, Lexer, Token};
use super::{Attribute, DEPTH_MAX, Expression, NODES_MAX, Node, Op, Test};
use crate::store::profiles::{Gender, TagId};
use crate::units::Nanos;

/// Where and why a text is not an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: {message}")]
pub struct ParseError {
    /// Bytes from the start of the text.
    pub offset: usize,
    /// What was found and what would be right.
    pub message: String,
}

pub(super) fn parse(text: &str) -> Result<Expression, ParseError> {
    let mut parser = Parser {
        lexer: Lexer::new(text),
        next: Lexeme::END,
        nodes: Vec::new(),
        depth: 0,
    };
    parser.advance()?;
    parser.or()?;
    match parser.next.token {
        Token::End => Ok(Expression {
            nodes: parser.nodes.into(),
        }),
        _ => Err(parser.expected("`and`, `or` or the end")),
    }
}

const ATTRIBUTES: &str = "gender, age, ltv, monetary, frequency, recency_days, country or language";

struct Parser<'t> {
    lexer: Lexer<'t>,
    next: Lexeme<'t>,
    nodes: Vec<Node>,
    depth: usize,
}

/// Tests of one attribute that take the same kinds of value.
#[derive(Clone, Copy)]
enum Subject {
    Gender,
    Country,
    Language,
    Number(Attribute),
}

type Parsed<T = ()> = Result<T, ParseError>;

impl<'t> Parser<'t> {
    fn or(&mut self) -> Parsed {
        self.and()?;
        while self.take_word("or")? {
            self.and()?;
            self.push(Node::Or)?;
        }
        Ok(())
    }

    fn and(&mut self) -> Parsed {
        self.not()?;
        while self.take_word("and")? {
            self.not()?;
            self.push(Node::And)?;
        }
        Ok(())
    }

    fn not(&mut self) -> Parsed {
        if !self.take_word("not")? {
            return self.primary();
        }
        self.nested(Self::not)?;
        self.push(Node::Not)
    }

    fn primary(&mut self) -> Parsed {
        match self.next.token {
            Token::Symbol("(") => {
                self.advance()?;
                self.nested(Self::or)?;
                self.expect_symbol(")")
            }
            Token::Text(_) => self.tag(),
            Token::Word(word) => match subject(word) {
                Some(subject) => {
                    self.advance()?;
                    self.attribute(subject)
                }
                None => Err(self.expected(&format!("a quoted tag, `not`, `(`, {ATTRIBUTES}"))),
            },
            _ => Err(self.expected(&format!("a quoted tag, `not`, `(`, {ATTRIBUTES}"))),
        }
    }

    /// Runs `inner` one level deeper; the levels are those that the printed form needs.
    fn nested(&mut self, inner: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        if self.depth == DEPTH_MAX {
            return Err(self.error(format!("nested too deeply; at most {DEPTH_MAX} levels are read")));
        }
        self.depth += 1;
        inner(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn tag(&mut self) -> Parsed {
        let name = self.text("a quoted tag")?.into_boxed_str();
        let id = TagId::of(&name).0;
        if self.take_word("within")? {
            let days = self.whole(0, u16::MAX.into())? as u16;
            if !self.take_word("days")? && !self.take_word("day")? {
                return Err(self.expected("`days`"));
            }
            return self.push(Node::Test(Test::TagWithin { name, id, days }));
        }
        let Some(op) = self.take_op()? else {
            return self.push(Node::Test(Test::Tag { name, id }));
        };
        let nanos = self.number()?;
        if !(0..=Nanos::PER_UNIT).contains(&nanos) {
            return Err(self.error("a tag's weight is compared with a number from 0 to 1".into()));
        }
        self.push(Node::Test(Test::TagWeight { name, id, op, nanos }))
    }

    fn attribute(&mut self, subject: Subject) -> Parsed {
        if let Some(op) = self.take_op()? {
            let test = self.comparison(subject, op)?;
            return self.push(Node::Test(test));
        }
        let negated = self.take_word("not")?;
        if !self.take_word("in")? {
            return Err(self.expected("`=`, `!=`, `<`, `<=`, `>`, `>=` or `in`"));
        }
        if !negated {
            return self.set(subject);
        }
        self.nested(|parser| parser.set(subject))?;
        self.push(Node::Not)
    }

    fn comparison(&mut self, subject: Subject, op: Op) -> Parsed<Test> {
        let equal = op == Op::Eq;
        if !matches!(subject, Subject::Number(_)) && !matches!(op, Op::Eq | Op::Ne) {
            return Err(self.error(format!(
                "`{op}` needs a number; this attribute takes `=`, `!=` or `in (…)`"
            )));
        }
        match subject {
            Subject::Gender => self.gender().map(|gender| Test::Gender { equal, gender }),
            Subject::Country => self.code("a country such as \"USA\"").map(|code: [u8; 3]| {
                let code = code.map(|b| b.to_ascii_uppercase());
                Test::Country { equal, code }
            }),
            Subject::Language => self.code("a language such as \"en\"").map(|code: [u8; 2]| {
                let code = code.map(|b| b.to_ascii_lowercase());
                Test::Language { equal, code }
            }),
            Subject::Number(attribute) => {
                self.value_of(attribute)
                    .map(|nanos| Test::Number { attribute, op, nanos })
            }
        }
    }

    /// After `in`: a range or a list. A list is a chain of `or`s, one level deep.
    fn set(&mut self, subject: Subject) -> Parsed {
        if matches!(self.next.token, Token::Symbol("(")) {
            self.advance()?;
            return self.nested(|parser| parser.list(subject));
        }
        let Subject::Number(attribute) = subject else {
            return Err(self.expected("a list such as (\"a\", \"b\")"));
        };
        if !matches!(self.next.token, Token::Number(_)) {
            return Err(self.expected("a range such as 25..35 or a list such as (25, 35)"));
        }
        let low = self.value_of(attribute)?;
        self.expect_symbol("..")?;
        let at = self.next.offset;
        let high = self.value_of(attribute)?;
        if high < low {
            return Err(ParseError {
                offset: at,
                message: "the range ends before it starts".into(),
            });
        }
        self.push(Node::Test(Test::Between { attribute, low, high }))
    }

    fn list(&mut self, subject: Subject) -> Parsed {
        let test = self.comparison(subject, Op::Eq)?;
        self.push(Node::Test(test))?;
        while matches!(self.next.token, Token::Symbol(",")) {
            self.advance()?;
            let test = self.comparison(subject, Op::Eq)?;
            self.push(Node::Test(test))?;
            self.push(Node::Or)?;
        }
        self.expect_symbol(")")
    }

    fn gender(&mut self) -> Parsed<Gender> {
        let at = self.next.offset;
        let text = self.text("\"m\", \"f\" or \"o\"")?;
        match text.to_ascii_lowercase().as_str() {
            "m" => Ok(Gender::Male),
            "f" => Ok(Gender::Female),
            "o" => Ok(Gender::Other),
            _ => Err(ParseError {
                offset: at,
                message: format!("found \"{text}\"; expected \"m\", \"f\" or \"o\""),
            }),
        }
    }

    fn code<const N: usize>(&mut self, right: &str) -> Parsed<[u8; N]> {
        let at = self.next.offset;
        let text = self.text(right)?;
        match <[u8; N]>::try_from(text.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_alphabetic) => Ok(code),
            _ => Err(ParseError {
                offset: at,
                message: format!("found \"{text}\"; expected {right}"),
            }),
        }
    }

    fn value_of(&mut self, attribute: Attribute) -> Parsed<i64> {
        match attribute {
            Attribute::Ltv | Attribute::Monetary => self.number(),
            Attribute::Age => self.whole(0, u8::MAX.into()).map(in_nanos),
            Attribute::Frequency => self.whole(0, u16::MAX.into()).map(in_nanos),
            // A day of last activity may lie ahead of `now` by a clock's error, hence the sign.
            Attribute::RecencyDays => self.whole(-36_500, 36_500).map(in_nanos),
        }
    }

    fn whole(&mut self, low: i64, high: i64) -> Parsed<i64> {
        let (at, found) = (self.next.offset, self.next.token.to_string());
        let nanos = self.number()?;
        let whole = nanos / Nanos::PER_UNIT;
        if nanos % Nanos::PER_UNIT == 0 && (low..=high).contains(&whole) {
            return Ok(whole);
        }
        let message = format!("found {found}; expected a whole number from {low} to {high}");
        Err(ParseError { offset: at, message })
    }

    fn number(&mut self) -> Parsed<i64> {
        let Token::Number(text) = self.next.token else {
            return Err(self.expected("a number"));
        };
        let Some(nanos) = nanos(text) else {
            return Err(self.expected("a number of at most nine digits before and nine after the point"));
        };
        self.advance()?;
        Ok(nanos)
    }

    fn text(&mut self, right: &str) -> Parsed<String> {
        let Token::Text(raw) = self.next.token else {
            return Err(self.expected(right));
        };
        let text = unescape(raw);
        if text.is_empty() {
            return Err(self.expected(right));
        }
        self.advance()?;
        Ok(text)
    }

    fn take_word(&mut self, word: &str) -> Parsed<bool> {
        let found = matches!(self.next.token, Token::Word(w) if w.eq_ignore_ascii_case(word));
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn take_op(&mut self) -> Parsed<Option<Op>> {
        let op = match self.next.token {
            Token::Symbol("=") => Op::Eq,
            Token::Symbol("!=") => Op::Ne,
            Token::Symbol("<") => Op::Lt,
            Token::Symbol("<=") => Op::Le,
            Token::Symbol(">") => Op::Gt,
            Token::Symbol(">=") => Op::Ge,
            _ => return Ok(None),
        };
        self.advance()?;
        Ok(Some(op))
    }

    fn expect_symbol(&mut self, symbol: &str) -> Parsed {
        match self.next.token {
            Token::Symbol(found) if found == symbol => self.advance(),
            _ => Err(self.expected(&format!("`{symbol}`"))),
        }
    }

    fn push(&mut self, node: Node) -> Parsed {
        if self.nodes.len() == NODES_MAX {
            return Err(self.error(format!(
                "too long; at most {NODES_MAX} comparisons and operators are read"
            )));
        }
        self.nodes.push(node);
        Ok(())
    }

    fn advance(&mut self) -> Parsed {
        self.next = self.lexer.next()?;
        Ok(())
    }

    fn expected(&self, right: &str) -> ParseError {
        self.error(format!("found {}; expected {right}", self.next.token))
    }

    fn error(&self, message: String) -> ParseError {
        ParseError {
            offset: self.next.offset,
            message,
        }
    }
}

fn subject(word: &str) -> Option<Subject> {
    Some(match word.to_ascii_lowercase().as_str() {
        "gender" => Subject::Gender,
        "country" => Subject::Country,
        "language" => Subject::Language,
        "age" => Subject::Number(Attribute::Age),
        "ltv" => Subject::Number(Attribute::Ltv),
        "monetary" => Subject::Number(Attribute::Monetary),
        "frequency" => Subject::Number(Attribute::Frequency),
        "recency_days" => Subject::Number(Attribute::RecencyDays),
        _ => return None,
    })
}

fn in_nanos(whole: i64) -> i64 {
    whole * Nanos::PER_UNIT
}

/// At most nine digits on either side of the point keep every value within ±10¹⁸.
fn nanos(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (units, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    if units.is_empty() || units.len() > 9 || fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let fraction: i64 = format!("{fraction:0<9}").parse().ok()?;
    let nanos = units.parse::<i64>().ok()? * Nanos::PER_UNIT + fraction;
    Some(if negative { -nanos } else { nanos })
}

fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        text.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    text
}
