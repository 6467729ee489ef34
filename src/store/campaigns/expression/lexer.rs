//! Cuts the text of an expression into words, numbers, quoted texts and symbols, each with its byte offset.

use super::parse::ParseError;
use std::fmt;

#[derive(Clone, Copy)]
pub(super) struct Lexeme<'t> {
    pub token: Token<'t>,
    pub offset: usize,
}

impl Lexeme<'_> {
    pub const END: Lexeme<'static> = Lexeme {
        token: Token::End,
        offset: 0,
    };
}

#[derive(Clone, Copy)]
pub(super) enum Token<'t> {
    Word(&'t str),
    /// Between its quotes, escapes as written.
    Text(&'t str),
    Number(&'t str),
    Symbol(&'static str),
    End,
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Word(text) | Token::Number(text) => write!(f, "`{text}`"),
            Token::Symbol(text) => write!(f, "`{text}`"),
            Token::Text(text) => write!(f, "\"{text}\""),
            Token::End => f.write_str("the end"),
        }
    }
}

pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    pub fn new(text: &'t str) -> Lexer<'t> {
        Lexer { text, at: 0 }
    }

    pub fn next(&mut self) -> Result<Lexeme<'t>, ParseError> {
        const SYMBOLS: [&str; 10] = ["!=", "<=", ">=", "..", "=", "<", ">", "(", ")", ","];
        self.at = self.text.len() - self.text[self.at..].trim_start().len();
        let (offset, rest) = (self.at, &self.text[self.at..]);
        let token = match rest.chars().next() {
            None => Token::End,
            Some('"') => self.quoted(rest)?,
            Some(c) if c.is_ascii_digit() || c == '-' => Token::Number(number_prefix(rest)),
            Some(c) if c.is_ascii_alphabetic() => {
                Token::Word(prefix(rest, |c| c.is_ascii_alphanumeric() || c == '_'))
            }
            Some(c) => match SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
                Some(symbol) => Token::Symbol(symbol),
                None => {
                    let message =
                        format!("found `{c}`; expected a word, a number, a quoted tag or an operator");
                    return Err(ParseError { offset, message });
                }
            },
        };
        self.at += match token {
            Token::Word(text) | Token::Number(text) => text.len(),
            Token::Symbol(text) => text.len(),
            Token::Text(text) => text.len() + 2,
            Token::End => 0,
        };
        Ok(Lexeme { token, offset })
    }

    fn quoted(&self, rest: &'t str) -> Result<Token<'t>, ParseError> {
        let mut escaped = false;
        for (i, byte) in rest.bytes().enumerate().skip(1) {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => return Ok(Token::Text(&rest[1..i])),
                _ => {}
            }
        }
        Err(ParseError {
            offset: self.at,
            message: "this quote is not closed; expected `\"` after the text".into(),
        })
    }
}

fn prefix(text: &str, belongs: impl Fn(char) -> bool) -> &str {
    &text[..text.find(|c| !belongs(c)).unwrap_or(text.len())]
}

/// A sign, digits and at most one point that a digit follows: `25..35` starts with the number `25`.
fn number_prefix(text: &str) -> &str {
    let digits = |from: usize| from + prefix(&text[from..], |c| c.is_ascii_digit()).len();
    let units = digits(usize::from(text.starts_with('-')));
    let fraction = units + 1;
    match text.as_bytes().get(units..fraction + 1) {
        Some([b'.', digit]) if digit.is_ascii_digit() => &text[..digits(fraction)],
        _ => &text[..units],
    }
}
