//! A case: one rule of the specification, and how a bidder is led to show whether it keeps it.
//!
//! Invariant: a case passes only on what was observed. What could not be provoked is `not tested`.

use super::stage::Stage;
use std::fmt;

/// The parts of the specification that cases are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    Transport,
    Body,
    Request,
    Blocks,
    Imp,
    Banner,
    Video,
    Audio,
    Native,
    Deals,
    Privacy,
    SupplyChain,
    Response,
    Macros,
    Notices,
    Money,
}

/// One rule. `id` is stable: reports of different days are compared by it.
pub struct Case {
    pub id: &'static str,
    pub section: Section,
    /// Where the specification (OpenRTB 2.6 unless it says otherwise) states the rule.
    pub spec: &'static str,
    /// The rule, as a sentence.
    pub title: &'static str,
    run: Box<dyn Fn(&Stage) -> Verdict>,
}

/// `Ok`: the rule was provoked and kept.
pub type Verdict = Result<(), Flaw>;

#[derive(Clone, Debug, PartialEq)]
pub enum Flaw {
    /// The rule is broken, or its positive twin gets no bid. Says what would be right.
    Fails(String),
    /// The bidder could not be led to where the rule matters.
    NotTested(String),
}

impl Section {
    pub const ALL: [Section; 16] = [
        Section::Transport,
        Section::Body,
        Section::Request,
        Section::Blocks,
        Section::Imp,
        Section::Banner,
        Section::Video,
        Section::Audio,
        Section::Native,
        Section::Deals,
        Section::Privacy,
        Section::SupplyChain,
        Section::Response,
        Section::Macros,
        Section::Notices,
        Section::Money,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Section::Transport => "transport",
            Section::Body => "body",
            Section::Request => "request",
            Section::Blocks => "blocks",
            Section::Imp => "imp",
            Section::Banner => "banner",
            Section::Video => "video",
            Section::Audio => "audio",
            Section::Native => "native",
            Section::Deals => "deals",
            Section::Privacy => "privacy",
            Section::SupplyChain => "supply-chain",
            Section::Response => "response",
            Section::Macros => "macros",
            Section::Notices => "notices",
            Section::Money => "money",
        }
    }

    /// The sections of the specification behind it.
    pub const fn spec(self) -> &'static str {
        match self {
            Section::Transport => "2.1-2.5",
            Section::Body => "2.3, 2.6",
            Section::Request => "3.2.1",
            Section::Blocks => "3.2.1",
            Section::Imp => "3.2.4",
            Section::Banner => "3.2.6",
            Section::Video => "3.2.7, 7.4-7.6",
            Section::Audio => "3.2.8",
            Section::Native => "3.2.9, Native 1.2",
            Section::Deals => "3.2.11-12, 7.3",
            Section::Privacy => "3.2.3, 7.5",
            Section::SupplyChain => "3.2.25-26",
            Section::Response => "4.2",
            Section::Macros => "4.4",
            Section::Notices => "7.2, 7.8",
            Section::Money => "7.8",
        }
    }

    pub fn from_name(name: &str) -> Option<Section> {
        Section::ALL.into_iter().find(|section| section.name() == name)
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Case {
    pub fn new(
        section: Section,
        id: &'static str,
        spec: &'static str,
        title: &'static str,
        run: impl Fn(&Stage) -> Verdict + 'static,
    ) -> Case {
        Case {
            id,
            section,
            spec,
            title,
            run: Box::new(run),
        }
    }

    pub fn run(&self, stage: &Stage) -> Verdict {
        (self.run)(stage)
    }
}

pub fn fails<T>(why: impl Into<String>) -> Result<T, Flaw> {
    Err(Flaw::Fails(why.into()))
}

pub fn not_tested<T>(why: impl Into<String>) -> Result<T, Flaw> {
    Err(Flaw::NotTested(why.into()))
}

/// Fails with what would be right unless `kept`.
pub fn ensure(kept: bool, right: impl FnOnce() -> String) -> Verdict {
    if kept { Ok(()) } else { fails(right()) }
}
