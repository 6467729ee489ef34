//! Why a model or its rows were refused: which file, which line, what is wrong and what would be right.

use std::fmt;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelError {
    pub file: PathBuf,
    /// 1-based; `None` where the whole file is meant.
    pub line: Option<usize>,
    pub problem: String,
}

impl ModelError {
    pub(super) fn new(file: &Path, problem: impl fmt::Display) -> ModelError {
        ModelError {
            file: file.to_owned(),
            line: None,
            problem: problem.to_string(),
        }
    }

    pub(super) fn at(file: &Path, line: usize, problem: impl fmt::Display) -> ModelError {
        ModelError {
            file: file.to_owned(),
            line: Some(line),
            problem: problem.to_string(),
        }
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file.display(), self.problem),
            None => write!(f, "{}: {}", self.file.display(), self.problem),
        }
    }
}

impl std::error::Error for ModelError {}
