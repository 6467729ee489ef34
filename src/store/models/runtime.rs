//! Loads a model, proves that it answers as it did where it was trained, and scores.
//!
//! Invariant: a [`Model`] that exists has the hash its gate was written for, inputs and outputs as wide as its schema,
//! and reproduces every row of its `parity.jsonl`; it has run at the batch sizes that bids use.

use super::embeddings::Embeddings;
use super::error::ModelError;
use super::features::{CandidateInput, CandidateRow, ContextBuffer, ContextInput};
use super::registry::{self, Gate};
use super::schema::{Feature, Group, Head, Schema};
use crate::units::Probability;
use anyhow::{Context as _, bail};
use serde::Deserialize;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use tract_onnx::prelude::*;

/// A loaded model: immutable, shared by all workers.
#[derive(Debug)]
pub struct Model {
    sha256: String,
    gate: Gate,
    schema: Schema,
    embeddings: Embeddings,
    plan: Arc<TypedSimplePlan>,
}

/// What is predicted for one candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    pub click: Probability,
    pub conversion_given_click: Probability,
}

/// The model did not answer, or not with probabilities: no bid, with this as the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unscored(pub String);

impl fmt::Display for Unscored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the model gave no score: {}", self.0)
    }
}

impl std::error::Error for Unscored {}

impl Model {
    /// Reads and checks `models/registry/NAME/VERSION/`. Takes tens of milliseconds: never on a worker.
    pub fn load(folder: &Path) -> Result<Arc<Model>, ModelError> {
        let sha256 = registry::sha256(folder)?;
        let gate = Gate::open(folder, &sha256)?;
        let schema_file = folder.join("schema.toml");
        let text = String::from_utf8(registry::read(&schema_file)?)
            .map_err(|_| ModelError::new(&schema_file, "is not UTF-8"))?;
        let schema = Schema::parse(&schema_file, &text)?;
        let embeddings_file = folder.join("embeddings.bin");
        let embeddings = Embeddings::parse(&embeddings_file, &registry::read(&embeddings_file)?, &schema)?;
        let graph_file = folder.join("model.onnx");
        let plan =
            plan(&graph_file, &schema).map_err(|error| ModelError::new(&graph_file, format!("{error:#}")))?;
        let model = Arc::new(Model {
            sha256,
            gate,
            schema,
            embeddings,
            plan,
        });
        replay(&model, &folder.join("parity.jsonl"))?;
        warm_up(&model).map_err(|error| ModelError::new(&graph_file, error))?;
        Ok(model)
    }

    /// The hash over all files, 64 hexadecimal digits: the name of this exact model in logs and metrics.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Writes the context row of one imp.
    pub fn context(&self, input: &ContextInput, buffer: &mut ContextBuffer) {
        buffer.fill(&self.schema, &self.embeddings, input);
    }

    /// Writes the context row that `slots` stand for, as if one feature of the context were missing: what a prediction
    /// owes to that feature is the difference.
    pub fn context_without(&self, feature: &Feature, slots: &[u32], buffer: &mut ContextBuffer) {
        buffer.fill_without(&self.schema, &self.embeddings, slots, feature);
    }

    /// The row of one ad: made once per snapshot and model.
    pub fn candidate_row(&self, input: &CandidateInput) -> CandidateRow {
        CandidateRow::new(&self.schema, &self.embeddings, input)
    }
}

/// Batches up to this size keep an input tensor each; larger ones are allocated as they come.
const KEPT_BATCH_MAX: usize = 64;

/// Scores on one worker. Keeps the running state and the input tensors of the model it last scored with (and so that
/// model itself), and starts anew when it is given another.
#[derive(Default)]
pub struct Scorer {
    session: Option<Session>,
}

struct Session {
    model: Arc<Model>,
    state: TypedSimpleState,
    context: Arc<Tensor>,
    /// By batch size.
    candidates: Vec<Option<Arc<Tensor>>>,
}

impl Scorer {
    /// Scores `candidates` (rows × K, row by row) in one batch against one context row; `scores` is cleared and gets
    /// one [`Score`] per row. Empty candidates give empty scores. After an error `scores` is empty.
    pub fn score(
        &mut self,
        model: &Arc<Model>,
        context: &[f32],
        candidates: &[f32],
        scores: &mut Vec<Score>,
    ) -> Result<(), Unscored> {
        scores.clear();
        if candidates.is_empty() {
            return Ok(());
        }
        let outcome = self
            .session(model)
            .and_then(|session| session.score(context, candidates, scores));
        outcome.map_err(|error| {
            self.session = None;
            scores.clear();
            Unscored(format!("{error:#}"))
        })
    }

    fn session(&mut self, model: &Arc<Model>) -> TractResult<&mut Session> {
        if self
            .session
            .as_ref()
            .is_none_or(|session| !Arc::ptr_eq(&session.model, model))
        {
            self.session = Some(Session::new(model)?);
        }
        Ok(self.session.as_mut().expect("set above"))
    }
}

impl Session {
    fn new(model: &Arc<Model>) -> TractResult<Session> {
        let context = Tensor::zero::<f32>(&[1, model.schema.columns(Group::Context)])?;
        Ok(Session {
            state: model.plan.spawn()?,
            model: Arc::clone(model),
            context: Arc::new(context),
            candidates: vec![None; KEPT_BATCH_MAX + 1],
        })
    }

    fn score(&mut self, context: &[f32], candidates: &[f32], scores: &mut Vec<Score>) -> TractResult<()> {
        let width = self.model.schema.columns(Group::Candidate);
        if !candidates.len().is_multiple_of(width) {
            bail!("{} numbers are not rows of {width}", candidates.len());
        }
        let n = candidates.len() / width;
        fill(&mut self.context, &[1, context.len()], context)?;
        let mut passing = None;
        let kept = self.candidates.get_mut(n).unwrap_or(&mut passing);
        let batch = match kept {
            Some(batch) => batch,
            None => kept.insert(Arc::new(Tensor::zero::<f32>(&[n, width])?)),
        };
        fill(batch, &[n, width], candidates)?;
        let inputs = tvec!(
            Arc::clone(&self.context).into_tvalue(),
            Arc::clone(batch).into_tvalue()
        );
        let outputs = self.state.run(inputs)?;
        read_scores(&outputs, n, scores)
    }
}

/// Overwrites a tensor in place; a tensor of another shape, or one that the graph still holds, is replaced.
fn fill(tensor: &mut Arc<Tensor>, shape: &[usize], values: &[f32]) -> TractResult<()> {
    match Arc::get_mut(tensor) {
        Some(free) if free.shape() == shape => {
            free.try_as_plain_ram_mut()?
                .as_slice_mut::<f32>()?
                .copy_from_slice(values);
        }
        _ => *tensor = Arc::new(Tensor::from_shape(shape, values)?),
    }
    Ok(())
}

fn read_scores(outputs: &[TValue], n: usize, scores: &mut Vec<Score>) -> TractResult<()> {
    let [click, conversion] = outputs else {
        bail!("{} outputs instead of 2", outputs.len())
    };
    let (click, conversion) = (click.try_as_plain_ram()?, conversion.try_as_plain_ram()?);
    let (click, conversion) = (click.as_slice::<f32>()?, conversion.as_slice::<f32>()?);
    if click.len() != n || conversion.len() != n {
        bail!(
            "{} and {} scores for {n} candidates",
            click.len(),
            conversion.len()
        );
    }
    for (click, conversion) in click.iter().zip(conversion) {
        let (Some(click), Some(conversion_given_click)) =
            (Probability::new(*click), Probability::new(*conversion))
        else {
            bail!("{click} or {conversion} is no probability");
        };
        scores.push(Score {
            click,
            conversion_given_click,
        });
    }
    Ok(())
}

/// Reads the graph and fixes its inputs to the widths of the schema, its outputs to the heads in their order.
fn plan(file: &Path, schema: &Schema) -> TractResult<Arc<TypedSimplePlan>> {
    let mut graph = tract_onnx::onnx().model_for_path(file)?;
    let inputs = ["context", "candidate"];
    let nodes = graph
        .input_outlets()?
        .iter()
        .map(|outlet| outlet.node)
        .collect::<Vec<_>>();
    let names = nodes
        .iter()
        .map(|node| graph.node(*node).name.as_str())
        .collect::<Vec<_>>();
    if names != inputs {
        bail!("the inputs are {names:?}; they must be {inputs:?}, in this order");
    }
    let n = graph.symbols.sym("N");
    let widths = Group::BOTH.map(|group| schema.columns(group));
    graph.set_input_fact(0, f32::fact([1, widths[0]]).into())?;
    graph.set_input_fact(1, f32::fact([n.to_dim(), widths[1].to_dim()]).into())?;
    graph.select_outputs_by_name(schema.heads.iter().map(|head: &Head| head.name()))?;
    let graph = graph.into_optimized().with_context(|| {
        format!(
            "does not fit the schema's inputs `context` f32[1,{}] and `candidate` f32[N,{}]",
            widths[0], widths[1]
        )
    })?;
    for (index, head) in schema.heads.iter().enumerate() {
        let fact = graph.output_fact(index)?;
        if fact.datum_type != f32::datum_type() || fact.shape.to_tvec() != tvec![n.to_dim(), 1.to_dim()] {
            bail!("output `{}` is {fact:?}; it must be f32[N,1]", head.name());
        }
    }
    graph.into_runnable()
}

/// How far a probability may be from the one at training time: float sums differ in order between runtimes by about
/// 1e-6; a wrong feature, table or graph is off by more than this.
const PARITY_TOLERANCE: f32 = 1e-5;

/// One line of `parity.jsonl`: encoded rows in, probabilities out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParityRow {
    context: Vec<u32>,
    candidates: Vec<Vec<u32>>,
    click: Vec<f32>,
    conversion_given_click: Vec<f32>,
}

fn replay(model: &Arc<Model>, file: &Path) -> Result<(), ModelError> {
    let text = registry::read(file)?;
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut scorer = Scorer::default();
    let mut rows = 0;
    for (index, line) in lines.enumerate() {
        let wrong = |problem: String| ModelError::at(file, index + 1, problem);
        let row: ParityRow = serde_json::from_slice(line).map_err(|error| wrong(error.to_string()))?;
        replay_row(model, &mut scorer, &row).map_err(wrong)?;
        rows += 1;
    }
    if rows == 0 {
        return Err(ModelError::new(
            file,
            "is empty; at least one row must show what the model answers",
        ));
    }
    Ok(())
}

fn replay_row(model: &Arc<Model>, scorer: &mut Scorer, row: &ParityRow) -> Result<(), String> {
    if row.candidates.is_empty() {
        return Err("a row without candidates shows nothing; at least one".into());
    }
    let context = gather(model, Group::Context, &row.context)?;
    let mut candidates = Vec::new();
    for slots in &row.candidates {
        candidates.extend(gather(model, Group::Candidate, slots)?);
    }
    let mut scores = Vec::new();
    scorer
        .score(model, &context, &candidates, &mut scores)
        .map_err(|error| error.to_string())?;
    let found = scores
        .iter()
        .map(|score| [score.click.get(), score.conversion_given_click.get()]);
    let expected = row
        .click
        .iter()
        .zip(&row.conversion_given_click)
        .map(|(a, b)| [*a, *b]);
    if row.click.len() != scores.len() || row.conversion_given_click.len() != scores.len() {
        return Err(format!(
            "{} candidates, but another number of answers",
            scores.len()
        ));
    }
    for (found, expected) in found.zip(expected) {
        if found
            .iter()
            .zip(expected)
            .any(|(found, expected)| (found - expected).abs() > PARITY_TOLERANCE)
        {
            return Err(format!(
                "the model answers {found:?}, at training time it was {expected:?}"
            ));
        }
    }
    Ok(())
}

fn gather(model: &Model, group: Group, slots: &[u32]) -> Result<Vec<f32>, String> {
    let width = model.schema.slots(group);
    if slots.len() != width {
        return Err(format!("a row of {} slots; the schema has {width}", slots.len()));
    }
    let mut columns = vec![0.0; model.schema.columns(group)];
    model.embeddings.gather(&model.schema, group, slots, &mut columns);
    Ok(columns)
}

/// Touches every weight and code path before the first request does: one, a few and the default K of candidates.
fn warm_up(model: &Arc<Model>) -> Result<(), Unscored> {
    let mut scorer = Scorer::default();
    let context = vec![0.0; model.schema.columns(Group::Context)];
    for n in [1, 8, 32] {
        let candidates = vec![0.0; n * model.schema.columns(Group::Candidate)];
        scorer.score(model, &context, &candidates, &mut Vec::new())?;
    }
    Ok(())
}
