//! The built-in cases, one rule each, in files by section of the specification.
//!
//! Invariant: ids are unique and say section and rule; a change of meaning is a new id.

mod admin;
mod audio;
mod banner;
mod blocks;
mod body;
mod companions;
mod deals;
mod dooh;
mod floors;
mod imp;
mod macros;
mod malformed;
mod money;
mod native;
mod native_answer;
mod notice_values;
mod notices;
mod opt_out;
mod privacy;
mod protobuf;
mod request;
mod response;
mod several;
mod supply;
mod tokens;
mod transport;
mod vast;
mod video;

use super::case::{Case, Section};
use super::edit::set;
use super::stage::Format;
use serde_json::Value;

pub fn all() -> Vec<Case> {
    [
        transport::cases(),
        protobuf::cases(),
        malformed::cases(),
        body::cases(),
        request::cases(),
        blocks::cases(),
        imp::cases(),
        floors::cases(),
        banner::cases(),
        video::cases(),
        vast::cases(),
        audio::cases(),
        companions::cases(),
        native::cases(),
        native_answer::cases(),
        deals::cases(),
        several::cases(),
        privacy::cases(),
        opt_out::cases(),
        supply::cases(),
        response::cases(),
        macros::cases(),
        notices::cases(),
        notice_values::cases(),
        tokens::cases(),
        money::cases(),
        dooh::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What a case changes in a request: values to set by path, as JSON.
struct Change {
    id: &'static str,
    spec: &'static str,
    title: &'static str,
    edits: &'static [(&'static str, &'static str)],
}

fn harmless(section: Section, format: Format, rows: &'static [Change]) -> impl Iterator<Item = Case> {
    rows.iter().map(move |row| {
        Case::new(section, row.id, row.spec, row.title, move |stage| {
            let base = stage.base(format)?;
            stage
                .still_bids(base, |request| apply(request, row.edits))
                .map(drop)
        })
    })
}

fn apply(request: &mut Value, edits: &[(&str, &str)]) {
    for (path, json) in edits {
        set(
            request,
            path,
            serde_json::from_str(json).expect("the tables hold valid JSON, which a test checks"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_unique_and_there_are_at_least_two_hundred_cases() {
        let all = all();
        let ids: BTreeSet<&str> = all.iter().map(|case| case.id).collect();
        assert_eq!(ids.len(), all.len());
        assert!(ids.len() >= 200, "{}", ids.len());
    }

    #[test]
    fn ids_are_lower_case_words_with_dots() {
        for case in all() {
            let clean = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
            assert!(case.id.chars().all(clean) && case.id.contains('.'), "{}", case.id);
        }
    }

    #[test]
    fn the_tables_hold_valid_json() {
        let tables = [
            body::TOLERATED,
            request::HARMLESS,
            imp::HARMLESS,
            banner::HARMLESS,
            video::HARMLESS,
        ];
        let more = [
            native::HARMLESS,
            privacy::HARMLESS,
            privacy::RESTRICTED,
            privacy::UNREADABLE,
            supply::HARMLESS,
        ];
        for row in tables.into_iter().chain(more).flatten() {
            apply(&mut Value::Null, row.edits);
        }
    }
}
