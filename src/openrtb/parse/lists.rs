//! Lists, read into the pools of the request.
//!
//! A list that restricts what may be bid is read whole or refused: an element that cannot be read would otherwise
//! be a block that is not honoured, or an allow list that has become empty and so allows everything.

use super::tape::Value;
use super::{Malformed, Parser};
use crate::openrtb::request::{Ints, Span, Strs};

impl<'a> Parser<'_, 'a> {
    /// A string, or an integer as text.
    pub fn text(&mut self, value: Value<'_, 'a>) -> Option<&'a str> {
        match value.as_str() {
            Some(text) => Some(text).filter(|text| !text.is_empty()),
            None if matches!(value.as_static(), Some(simd_json::StaticNode::Bool(_))) => None,
            None => self.arena.integer(value.integer()?),
        }
    }

    /// Appends the texts of an array; a lone text counts as a list separated by commas. `false` if something in it
    /// cannot be read.
    pub fn push_strs(&mut self, list: Value<'_, 'a>) -> bool {
        if let Some(text) = list.as_str() {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            self.request.strs.extend(parts);
            return true;
        }
        if !list.is_array() {
            let text = self.text(list);
            self.request.strs.extend(text);
            return text.is_some() || list.is_null();
        }
        let mut readable = true;
        for item in list.items() {
            match self.text(item) {
                Some(text) => self.request.strs.push(text),
                None => readable &= item.is_absent(),
            }
        }
        readable
    }

    /// A list of texts that restricts.
    pub fn strs(&mut self, list: Value<'_, 'a>, field: &'static str) -> Result<Strs, Malformed> {
        let start = self.request.strs.len();
        if self.push_strs(list) {
            Ok(self.strs_since(start))
        } else {
            Err(Malformed::Invalid(field, "an array of strings"))
        }
    }

    pub fn strs_since(&self, start: usize) -> Strs {
        Strs(span(start, self.request.strs.len()))
    }

    /// A list of codes that restricts. A code out of every enumeration's range is an unknown one, and left out;
    /// a lone number counts as a list of one.
    pub fn ints(&mut self, list: Value<'_, 'a>, field: &'static str) -> Result<Ints, Malformed> {
        let start = self.request.ints.len();
        let mut readable = list.is_array() || list.is_absent();
        if let Some(lone) = list.integer() {
            readable = true;
            self.request.ints.extend(u32::try_from(lone));
        }
        for item in list.items() {
            match item.integer() {
                Some(code) => self.request.ints.extend(u32::try_from(code)),
                None => readable &= item.is_absent(),
            }
        }
        if readable {
            Ok(Ints(span(start, self.request.ints.len())))
        } else {
            Err(Malformed::Invalid(field, "an array of integers"))
        }
    }
}

/// simd-json refuses documents above 4 GiB, so no pool reaches 2³² entries.
pub(super) fn span(start: usize, end: usize) -> Span {
    Span {
        start: start as u32,
        end: end as u32,
    }
}
