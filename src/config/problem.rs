//! What is wrong with a configuration, and where. Reading goes on after a problem, so that one run finds all of them.

use std::cell::RefCell;
use std::fmt;

/// One thing that is wrong: where it stands, what it is, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub file: String,
    /// From 1; 0 = the file as a whole.
    pub line: usize,
    /// In characters from 1; 0 = the file as a whole.
    pub column: usize,
    /// Dotted path of the key, such as `line_item[0].bid.cpm`; empty = the file as a whole.
    pub key: String,
    pub what: String,
    pub fix: String,
}

impl fmt::Display for Problem {
    /// `config/campaigns/x.toml:12:5: line_item[0].bid.cpm: what; fix` on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}; {}", self.what, self.fix)
    }
}

/// Everything that is wrong, sorted by place, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    fn new(mut problems: Vec<Problem>) -> Problems {
        problems.sort();
        problems.dedup();
        Problems(problems)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An array of `{file, line, column, key, what, fix}`.
    pub fn to_json(&self) -> serde_json::Value {
        self.iter()
            .map(|p| {
                serde_json::json!({
                    "file": p.file, "line": p.line, "column": p.column, "key": p.key, "what": p.what, "fix": p.fix,
                })
            })
            .collect()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Collects problems, which refuse the configuration, and notes, which do not.
#[derive(Default)]
pub(super) struct Report {
    problems: RefCell<Vec<Problem>>,
    notes: RefCell<Vec<Problem>>,
}

impl Report {
    pub fn problem(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    pub fn note(&self, note: Problem) {
        self.notes.borrow_mut().push(note);
    }

    /// A problem of a file or folder as a whole.
    pub fn whole(&self, file: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) {
        let (file, what, fix) = (file.into(), what.into(), fix.into());
        self.problem(Problem {
            file,
            line: 0,
            column: 0,
            key: String::new(),
            what,
            fix,
        });
    }

    /// The notes where nothing is wrong.
    pub fn finish(self) -> Result<Problems, Problems> {
        let problems = Problems::new(self.problems.into_inner());
        if problems.is_empty() {
            Ok(Problems::new(self.notes.into_inner()))
        } else {
            Err(problems)
        }
    }
}

/// ``did you mean `x`?`` where one of the known words is close, else the list of them.
pub(super) fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    // `bearer` for `bearer_file` is half a word rather than a wrong one.
    const STEM_LETTERS_MIN: usize = 4;
    if let Some(longer) = known
        .clone()
        .into_iter()
        .find(|k| word.len() >= STEM_LETTERS_MIN && k.starts_with(word))
    {
        return format!("did you mean `{longer}`?");
    }
    let close_enough = 1 + word.chars().count() / 3;
    let nearest = known.clone().into_iter().map(|k| (distance(word, k), k)).min();
    match nearest {
        Some((d, k)) if d <= close_enough => format!("did you mean `{k}`?"),
        Some(_) => one_of(known),
        None => "nothing is allowed here".to_owned(),
    }
}

/// Words listed in a message: more would hide the rest of it.
const WORDS_LISTED: usize = 24;

fn one_of<'a>(known: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = known.into_iter().map(|k| format!("`{k}`")).collect();
    let shown = words.len().min(WORDS_LISTED);
    let more = if shown < words.len() {
        format!(" and {} more", words.len() - shown)
    } else {
        String::new()
    };
    format!("known are {}{more}", words[..shown].join(", "))
}

/// Edit distance with transpositions of neighbours (optimal string alignment), without regard to case.
fn distance(a: &str, b: &str) -> usize {
    // Longer words are no typing errors of keys; the bound keeps the work small.
    const LETTERS_MAX: usize = 64;
    let letters = |s: &str| {
        s.chars()
            .take(LETTERS_MAX)
            .flat_map(char::to_lowercase)
            .collect::<Vec<_>>()
    };
    let (a, b) = (letters(a), letters(b));
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = cell(&rows, &a, &b, i, j);
        }
    }
    rows[a.len()][b.len()]
}

fn cell(rows: &[Vec<usize>], a: &[char], b: &[char], i: usize, j: usize) -> usize {
    if i == 0 || j == 0 {
        return i + j;
    }
    let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
    let best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
    let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
    if swapped {
        best.min(rows[i - 2][j - 2] + 1)
    } else {
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_word_is_suggested_and_a_far_one_gets_the_list() {
        let known = ["country", "region", "city"];
        for (word, expected) in [
            ("contry", "did you mean `country`?"),
            ("COUNTRY", "did you mean `country`?"),
            ("coun", "did you mean `country`?"),
            ("regoin", "did you mean `region`?"),
            ("xyzzy", "known are `country`, `region`, `city`"),
        ] {
            assert_eq!(suggest(word, known), expected, "{word}");
        }
        assert_eq!(suggest("x", []), "nothing is allowed here");
    }
}
