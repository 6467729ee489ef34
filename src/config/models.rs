//! `models.toml` → which models are active. Invariant: this is the only pointer to them.

use super::document::{Document, Node, Table};
use super::problem::Report;
use crate::store::models::ModelName;
use std::path::PathBuf;

pub(super) const KEYS: &[&str] = &["registry", "bid", "recommend"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelsPointer {
    /// Relative to the working directory, as `data` is.
    pub registry: PathBuf,
    /// Predicts clicks and conversions of bids.
    pub bid: ModelName,
    /// Ranks the catalogue; `None` = no recommendations.
    pub recommend: Option<ModelName>,
}

pub(super) fn read(document: &Document, report: &Report) -> Option<ModelsPointer> {
    let tree = document.parse(report);
    let table = Table::root(document, &tree, KEYS, report);
    let model = |key| {
        table
            .table(key, &["model"])?
            .need("model", "model = \"ctr/1\"")
            .and_then(|n| model_name(&n))
    };
    table.need("bid", "[bid] model = \"ctr/1\"");
    Some(ModelsPointer {
        registry: table.read("registry", PathBuf::from("models/registry"), |n| {
            n.name().map(PathBuf::from)
        }),
        bid: model("bid")?,
        recommend: model("recommend"),
    })
}

fn model_name(node: &Node<'_>) -> Option<ModelName> {
    let text = node.text()?;
    let parsed = ModelName::parse(text);
    if parsed.is_none() {
        node.problem(
            format!("`{text}` names no model"),
            "write name and version such as `ctr/1`",
        );
    }
    parsed
}
