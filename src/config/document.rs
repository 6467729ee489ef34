//! Typed reading of a parsed TOML file: each value knows its file, line and key path, and each reader reports instead
//! of failing. Invariant: a key that is not in the table's list of known keys is always reported.

use super::problem::{Problem, Report, suggest};
use std::cell::OnceCell;
use std::ops::{Range, RangeInclusive};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// The text of one file, with what is needed to say where something stands in it.
pub(super) struct Document {
    /// Path as people write it, such as `config/campaigns/x.toml`.
    pub name: String,
    /// The file's name without folder and extension.
    pub stem: String,
    pub text: String,
    /// Where each line begins, found when the first place is asked for.
    line_starts: OnceCell<Vec<usize>>,
}

impl Document {
    pub fn new(name: String, stem: String, text: String) -> Document {
        Document {
            name,
            stem,
            text,
            line_starts: OnceCell::new(),
        }
    }

    /// The top-level table; what is no TOML is reported and left out.
    pub fn parse<'t>(&'t self, report: &Report) -> Spanned<DeTable<'t>> {
        let (table, errors) = DeTable::parse_recoverable(&self.text);
        for error in errors {
            let start = error.span().map_or(0, |span| span.start);
            let what = error.message().replace('\n', " ");
            report.problem(self.place(
                start,
                "",
                format!("this is not TOML: {what}"),
                "see https://toml.io",
            ));
        }
        table
    }

    fn place(&self, offset: usize, key: &str, what: impl Into<String>, fix: impl Into<String>) -> Problem {
        let offset = offset.min(self.text.len());
        let starts = self.line_starts();
        let line = starts.partition_point(|start| *start <= offset);
        let before = &self.text.as_bytes()[starts[line - 1]..offset];
        Problem {
            file: self.name.clone(),
            line,
            // Continuation bytes of UTF-8 are no characters of their own.
            column: 1 + before.iter().filter(|b| **b & 0xc0 != 0x80).count(),
            key: key.to_owned(),
            what: what.into(),
            fix: fix.into(),
        }
    }

    /// The first line begins at 0, so there is always one.
    fn line_starts(&self) -> &[usize] {
        self.line_starts.get_or_init(|| {
            let ends = memchr::memchr_iter(b'\n', self.text.as_bytes());
            std::iter::once(0).chain(ends.map(|end| end + 1)).collect()
        })
    }
}

/// A table whose keys are known.
#[derive(Clone)]
pub(super) struct Table<'a> {
    document: &'a Document,
    report: &'a Report,
    /// `None` = a section that was left out.
    entries: Option<&'a DeTable<'a>>,
    span: Range<usize>,
    path: String,
}

impl<'a> Table<'a> {
    pub fn root(
        document: &'a Document,
        tree: &'a Spanned<DeTable<'a>>,
        known: &[&str],
        report: &'a Report,
    ) -> Table<'a> {
        // A problem of the file as a whole, such as a missing key, stands at its first line.
        let table = Table {
            document,
            report,
            entries: Some(tree.get_ref()),
            span: 0..0,
            path: String::new(),
        };
        table.check_keys(known);
        table
    }

    /// A table without keys, for sections that are left out.
    pub fn empty(beside: &Table<'a>) -> Table<'a> {
        Table {
            entries: None,
            ..beside.clone()
        }
    }

    fn check_keys(&self, known: &[&str]) {
        for (key, _) in self
            .pairs()
            .filter(|(key, _)| !known.contains(&key.get_ref().as_ref()))
        {
            let path = join(&self.path, key.get_ref());
            let what = format!("`{}` is no key of this table", key.get_ref());
            let fix = suggest(key.get_ref(), known.iter().copied());
            self.report
                .problem(self.document.place(key.span().start, &path, what, fix));
        }
    }

    pub fn document(&self) -> &'a Document {
        self.document
    }

    pub fn keys(&self) -> impl Iterator<Item = (&'a str, Node<'a>)> {
        let table = self.clone();
        self.pairs().map(move |(key, value)| {
            (
                key.get_ref().as_ref(),
                table.node(join(&table.path, key.get_ref()), value),
            )
        })
    }

    pub fn get(&self, key: &str) -> Option<Node<'a>> {
        self.entries?
            .get(key)
            .map(|value| self.node(join(&self.path, key), value))
    }

    /// The value of a key that must be there.
    pub fn need(&self, key: &str, example: &str) -> Option<Node<'a>> {
        let node = self.get(key);
        if node.is_none() {
            self.problem(
                &format!("`{key}` is missing"),
                format!("write for example `{example}`"),
            );
        }
        node
    }

    /// `default` where the key is absent, and also where its value is reported as wrong.
    pub fn read<T>(&self, key: &str, default: T, read: impl FnOnce(&Node<'a>) -> Option<T>) -> T {
        self.maybe(key, read).unwrap_or(default)
    }

    pub fn maybe<T>(&self, key: &str, read: impl FnOnce(&Node<'a>) -> Option<T>) -> Option<T> {
        self.get(key).and_then(|node| read(&node))
    }

    pub fn list<T>(&self, key: &str, read: impl Fn(&Node<'a>) -> Option<T>) -> Vec<T> {
        self.get(key).map_or_else(Vec::new, |node| node.list(read))
    }

    pub fn table(&self, key: &str, known: &[&str]) -> Option<Table<'a>> {
        self.get(key)?.table(known)
    }

    /// An array of tables; absent = none.
    pub fn tables(&self, key: &str, known: &[&str]) -> Vec<Table<'a>> {
        self.list(key, |node| node.table(known))
    }

    fn pairs(&self) -> impl Iterator<Item = (&'a Spanned<DeString<'a>>, &'a Spanned<DeValue<'a>>)> + use<'a> {
        self.entries.into_iter().flatten()
    }

    /// A problem of the table as a whole.
    pub fn problem(&self, what: &str, fix: impl Into<String>) {
        self.report
            .problem(self.document.place(self.span.start, &self.path, what, fix));
    }

    /// Of the table as a whole: worth knowing, no reason to refuse.
    pub fn note(&self, what: &str, fix: impl Into<String>) {
        self.report
            .note(self.document.place(self.span.start, &self.path, what, fix));
    }

    fn node(&self, path: String, value: &'a Spanned<DeValue<'a>>) -> Node<'a> {
        Node {
            document: self.document,
            report: self.report,
            value: value.get_ref(),
            span: value.span(),
            path,
        }
    }
}

/// A value and its place.
#[derive(Clone)]
pub(super) struct Node<'a> {
    document: &'a Document,
    report: &'a Report,
    value: &'a DeValue<'a>,
    span: Range<usize>,
    path: String,
}

impl<'a> Node<'a> {
    pub fn problem(&self, what: impl Into<String>, fix: impl Into<String>) {
        self.report
            .problem(self.document.place(self.span.start, &self.path, what, fix));
    }

    /// A problem at a byte offset of a text value.
    pub fn problem_within(&self, offset: usize, what: impl Into<String>, fix: impl Into<String>) {
        let at = self.span.start + self.offset_in_source(offset).unwrap_or(0);
        self.report
            .problem(self.document.place(at, &self.path, what, fix));
    }

    /// Worth knowing, no reason to refuse.
    pub fn note(&self, what: impl Into<String>, fix: impl Into<String>) {
        self.report
            .note(self.document.place(self.span.start, &self.path, what, fix));
    }

    /// Where the value stands, for messages about another place.
    pub fn place(&self) -> String {
        let at = self.document.place(self.span.start, "", "", "");
        format!("{}:{}", at.file, at.line)
    }

    pub fn value(&self) -> &'a DeValue<'a> {
        self.value
    }

    pub fn text(&self) -> Option<&'a str> {
        let text = self.value.as_str();
        if text.is_none() {
            self.wrong_type("text in quotes");
        }
        text
    }

    /// Text that is not empty and holds no control characters.
    pub fn name(&self) -> Option<String> {
        let text = self.text()?;
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            self.problem(
                "this is empty or holds control characters",
                "write some plain text",
            );
            return None;
        }
        Some(text.to_owned())
    }

    pub fn boolean(&self) -> Option<bool> {
        let value = self.value.as_bool();
        if value.is_none() {
            self.wrong_type("`true` or `false`");
        }
        value
    }

    pub fn integer<T: TryFrom<i64>>(&self, range: RangeInclusive<i64>) -> Option<T> {
        let Some(integer) = self.value.as_integer() else {
            self.wrong_type("a whole number");
            return None;
        };
        let value = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let fits = value
            .filter(|v| range.contains(v))
            .and_then(|v| T::try_from(v).ok());
        if fits.is_none() {
            let fix = format!("write a whole number within {}..={}", range.start(), range.end());
            self.problem(format!("{integer} is out of range"), fix);
        }
        fits
    }

    pub fn number(&self, range: RangeInclusive<f64>) -> Option<f64> {
        let text = self.decimal_text()?;
        let value = text.parse::<f64>().ok().filter(|v| range.contains(v));
        if value.is_none() {
            let fix = format!("write a number within {}..={}", range.start(), range.end());
            self.problem(format!("{text} is out of range"), fix);
        }
        value
    }

    /// The digits of an integer or a float as they were written, so that money is never rounded by a binary float.
    pub fn decimal_text(&self) -> Option<&'a str> {
        match self.value {
            DeValue::Integer(integer) if integer.radix() == 10 => Some(integer.as_str()),
            DeValue::Float(float) => Some(float.as_str()),
            _ => {
                self.wrong_type("a number");
                None
            }
        }
    }

    /// One of a closed list of words.
    pub fn choice<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = words
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value);
        if found.is_none() {
            let fix = suggest(text, words.iter().map(|(word, _)| *word).collect::<Vec<_>>());
            self.problem(format!("`{text}` is not known"), fix);
        }
        found
    }

    /// The readable elements of an array; the others are reported.
    pub fn list<T>(&self, read: impl Fn(&Node<'a>) -> Option<T>) -> Vec<T> {
        let Some(array) = self.value.as_array() else {
            self.wrong_type("a list in square brackets");
            return Vec::new();
        };
        array
            .iter()
            .enumerate()
            .filter_map(|(i, value)| read(&self.element(i, value)))
            .collect()
    }

    pub fn table(&self, known: &[&str]) -> Option<Table<'a>> {
        let Some(entries) = self.value.as_table() else {
            self.wrong_type("a table");
            return None;
        };
        let (document, report) = (self.document, self.report);
        let table = Table {
            document,
            report,
            entries: Some(entries),
            span: self.span.clone(),
            path: self.path.clone(),
        };
        table.check_keys(known);
        Some(table)
    }

    pub fn wrong_type(&self, wanted: &str) {
        let kind = self.value.type_str();
        let article = if matches!(kind, "integer" | "array") {
            "an"
        } else {
            "a"
        };
        self.problem(format!("this is {article} {kind}"), format!("write {wanted}"));
    }

    fn element(&self, index: usize, value: &'a Spanned<DeValue<'a>>) -> Node<'a> {
        let path = format!("{}[{index}]", self.path);
        Node {
            document: self.document,
            report: self.report,
            value: value.get_ref(),
            span: value.span(),
            path,
        }
    }

    /// Exact where the text holds no escapes; `None` = the value as a whole has to do.
    fn offset_in_source(&self, offset: usize) -> Option<usize> {
        let source = self.document.text.get(self.span.clone())?;
        let text = self.value.as_str()?;
        let quotes = source.find(text)?;
        (quotes <= 4 && offset <= text.len()).then_some(quotes + offset)
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
