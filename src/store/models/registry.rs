//! The model registry: `NAME/VERSION/` folders whose files are one unit under one hash.
//!
//! Invariant: a folder whose files differ in any byte from what `gate.json` was written for is refused.
//!
//! ```text
//! models/registry/ctr/1/
//!   model.onnx  embeddings.bin  schema.toml  parity.jsonl  card.md     the model
//!   gate.json   {"model_sha256", "slice", "metrics", "verdict"}        what an evaluation found about it
//! ```
//! The hash is the SHA-256 of, for each of [`FILES`] in order: the name, a zero byte, the length as u64 little-endian,
//! the content.

use super::error::ModelError;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The files under the hash, in its order.
pub const FILES: [&str; 5] = [
    "model.onnx",
    "embeddings.bin",
    "schema.toml",
    "parity.jsonl",
    "card.md",
];

/// Bytes of one file: room for tables of millions of rows, and an end to a wrong path.
const FILE_BYTES_MAX: u64 = 4 << 30;

/// `NAME/VERSION`, as written in `config/models.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelName {
    pub name: String,
    pub version: u32,
}

impl ModelName {
    /// `None` unless lower-case letters, digits, `-` and `_`, a slash, and a version from 1 on: no path can hide in it.
    pub fn parse(text: &str) -> Option<ModelName> {
        let (name, version) = text.split_once('/')?;
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        let version = version
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| version.parse().ok())??;
        (!name.is_empty() && name.bytes().all(allowed) && version > 0).then(|| ModelName {
            name: name.to_owned(),
            version,
        })
    }

    pub fn folder(&self, registry: &Path) -> PathBuf {
        registry.join(&self.name).join(self.version.to_string())
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.version)
    }
}

/// `gate.json`: what an evaluation found about one exact model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    pub model_sha256: String,
    /// The data that it was judged on.
    pub slice: String,
    pub metrics: BTreeMap<String, f64>,
    pub verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Pass,
    Fail,
}

impl Gate {
    /// Reads `gate.json` of a model folder; refused unless it is about files with this hash.
    pub fn open(folder: &Path, sha256: &str) -> Result<Gate, ModelError> {
        let file = folder.join("gate.json");
        let gate: Gate = serde_json::from_slice(&read(&file)?)
            .map_err(|error| ModelError::at(&file, error.line(), error))?;
        if gate.model_sha256 != sha256 {
            let problem = format!(
                "is about a model with hash {}, the files here have {sha256}; restore the files or evaluate again",
                gate.model_sha256
            );
            return Err(ModelError::new(&file, problem));
        }
        Ok(gate)
    }
}

/// The hash of a model folder, 64 hexadecimal digits.
pub fn sha256(folder: &Path) -> Result<String, ModelError> {
    let mut hasher = Sha256::new();
    for name in FILES {
        let content = read(&folder.join(name))?;
        hasher.update(name.as_bytes());
        hasher.update([0]);
        hasher.update((content.len() as u64).to_le_bytes());
        hasher.update(&content);
    }
    Ok(hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// Makes `model` the one that bids, by rewriting `[bid] model` in `models_toml` (temporary file and rename).
/// Refused unless its gate passes and is about exactly these files.
pub fn promote(registry: &Path, model: &ModelName, models_toml: &Path) -> Result<(), ModelError> {
    let folder = model.folder(registry);
    let gate = Gate::open(&folder, &sha256(&folder)?)?;
    if gate.verdict != Verdict::Pass {
        let problem = format!("the verdict on {model} is `fail`; only a model that passes is promoted");
        return Err(ModelError::new(&folder.join("gate.json"), problem));
    }
    let text =
        String::from_utf8(read(models_toml)?).map_err(|_| ModelError::new(models_toml, "is not UTF-8"))?;
    let changed = point_bid_at(&text, model).ok_or_else(|| {
        ModelError::new(
            models_toml,
            "has no line `model = \"NAME/VERSION\"` under `[bid]`; write one",
        )
    })?;
    let temporary = models_toml.with_extension("toml.new");
    std::fs::write(&temporary, changed)
        .and_then(|()| std::fs::rename(&temporary, models_toml))
        .map_err(|error| ModelError::new(models_toml, error))
}

/// The text with the value of `[bid] model` replaced and everything else, comments included, as it was.
fn point_bid_at(text: &str, model: &ModelName) -> Option<String> {
    let mut section = "";
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        if trimmed.starts_with('[') {
            section = trimmed.split_inclusive(']').next()?;
        }
        let is_key = trimmed
            .strip_prefix("model")
            .is_some_and(|rest| rest.trim_start().starts_with('='));
        if section == "[bid]" && is_key {
            let open = offset + line.find('"')? + 1;
            let close = open + text[open..offset + line.len()].find('"')?;
            return Some(format!("{}{model}{}", &text[..open], &text[close..]));
        }
        offset += line.len();
    }
    None
}

/// A whole file, bounded.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, ModelError> {
    let wrong = |error: std::io::Error| ModelError::new(file, error);
    let bytes = std::fs::metadata(file).map_err(wrong)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(ModelError::new(
            file,
            format!("has {bytes} bytes; at most {FILE_BYTES_MAX}"),
        ));
    }
    std::fs::read(file).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_name_is_a_name_and_a_version() {
        let ctr = ModelName {
            name: "ctr".into(),
            version: 12,
        };
        assert_eq!(ModelName::parse("ctr/12"), Some(ctr.clone()));
        assert_eq!(ctr.folder(Path::new("r")), Path::new("r/ctr/12"));
        for bad in [
            "ctr",
            "ctr/",
            "/1",
            "ctr/0",
            "ctr/+1",
            "../1",
            "a/b/1",
            "Ctr/1",
            "ctr/1/",
            "ctr/99999999999",
        ] {
            assert_eq!(ModelName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn promotion_changes_one_value_and_keeps_the_rest() {
        let model = ModelName {
            name: "ctr".into(),
            version: 2,
        };
        let text = "# models\n[rank]\nmodel = \"rank/1\"\n[bid] # bids\n# model = \"x/1\"\nmodel = \"ctr/1\" # active\n";
        let expected = text.replace("ctr/1", "ctr/2");
        assert_eq!(point_bid_at(text, &model), Some(expected));
        assert_eq!(point_bid_at("[rank]\nmodel = \"rank/1\"\n", &model), None);
    }
}
