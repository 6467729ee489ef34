//! Reads `schema.toml` and refuses what is unsound, with the line and what would be right.
//!
//! ```toml
//! version = 1
//! seed = 7
//! heads = ["click", "conversion_given_click"]
//!
//! [[feature]]
//! name = "site_domain"     # a name of Source
//! group = "context"        # or "candidate"
//! kind = "category"        # buckets, dims
//! buckets = 1024
//! dims = 8
//! purpose = "context"      # or "profile": missing unless personal data may be used
//!
//! [[feature]]
//! name = "profile_tags"
//! group = "context"
//! kind = "bag"             # buckets, dims, max values, pool = "sum" | "mean" | "weighted_mean"
//! buckets = 1024
//! dims = 16
//! max = 48
//! pool = "weighted_mean"
//! purpose = "profile"
//!
//! [[feature]]
//! name = "ltv"
//! group = "context"
//! kind = "number"          # column = transform(value) × scale; 0 = missing
//! transform = "log1p"      # or "identity"
//! scale = 0.2
//! purpose = "profile"
//!
//! [[vector]]               # what the category hash must give
//! feature = "site_domain"
//! value = "News.Example"
//! id = 123
//! ```

use super::error::ModelError;
use super::hashing::CategoryText;
use super::schema::{Feature, Group, Head, Kind, Layout, Pool, Purpose, Schema, Transform};
use super::sources::{Shape, Source};
use serde::Deserialize;
use std::path::Path;
use toml::Spanned;

/// See [`Schema::parse`].
pub(super) fn parse(file: &Path, text: &str) -> Result<Schema, ModelError> {
    let raw: RawSchema = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| line_of(text, span.start));
        ModelError {
            file: file.to_owned(),
            line,
            problem: error.message().to_owned(),
        }
    })?;
    Reader { file, text }.read(raw)
}

/// Features per group; a bid reads each of them once.
const FEATURES_MAX: usize = 128;
/// Rows of one table: 4 Mi rows of 16 f32 are 256 MiB.
const BUCKETS_MAX: u32 = 1 << 22;
const DIMS_MAX: usize = 256;
/// Values of one bag, bounding what a single request can make us hash.
const BAG_MAX: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSchema {
    version: Spanned<u32>,
    seed: u32,
    heads: Vec<Spanned<String>>,
    feature: Vec<RawFeature>,
    #[serde(default)]
    vector: Vec<RawVector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFeature {
    name: Spanned<String>,
    group: Spanned<String>,
    kind: Spanned<String>,
    purpose: Spanned<Purpose>,
    #[serde(default)]
    sensitive: bool,
    transform: Option<Transform>,
    scale: Option<f32>,
    buckets: Option<u32>,
    dims: Option<usize>,
    max: Option<usize>,
    pool: Option<Pool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawVector {
    feature: Spanned<String>,
    value: String,
    id: u32,
}

/// Turns what the file says into a [`Schema`], with the line of whatever is wrong.
struct Reader<'a> {
    file: &'a Path,
    text: &'a str,
}

impl Reader<'_> {
    fn read(&self, raw: RawSchema) -> Result<Schema, ModelError> {
        if *raw.version.get_ref() != 1 {
            return Err(self.wrong(&raw.version, "this schema version is not known; known: 1"));
        }
        let mut schema = Schema {
            seed: u64::from(raw.seed),
            heads: self.heads(&raw.heads)?,
            context: Layout::default(),
            candidate: Layout::default(),
        };
        for raw in &raw.feature {
            let feature = self.feature(raw)?;
            let layout = match feature.group {
                Group::Context => &mut schema.context,
                Group::Candidate => &mut schema.candidate,
            };
            if layout.features.iter().any(|known| known.source == feature.source) {
                return Err(self.wrong(&raw.name, "stands twice; a feature has one place"));
            }
            if layout.features.len() == FEATURES_MAX {
                return Err(self.wrong(
                    &raw.name,
                    format!("more than {FEATURES_MAX} features in one group"),
                ));
            }
            layout.push(feature);
        }
        for (layout, name) in [(&schema.context, "context"), (&schema.candidate, "candidate")] {
            if layout.columns == 0 {
                return Err(ModelError::new(
                    self.file,
                    format!("group `{name}` has no input feature; at least one"),
                ));
            }
        }
        raw.vector
            .iter()
            .try_for_each(|vector| self.check_vector(&schema, vector))?;
        Ok(schema)
    }

    /// Both heads, in this order: `Score` has a field for each.
    fn heads(&self, names: &[Spanned<String>]) -> Result<Vec<Head>, ModelError> {
        let known = [Head::Click, Head::ConversionGivenClick];
        for (index, name) in names.iter().enumerate() {
            if known.get(index).is_none_or(|head| head.name() != name.get_ref()) {
                return Err(self.wrong(name, "heads are `click`, `conversion_given_click`, in this order"));
            }
        }
        if names.len() < known.len() {
            return Err(ModelError::new(
                self.file,
                "heads must be [\"click\", \"conversion_given_click\"]",
            ));
        }
        Ok(known.to_vec())
    }

    fn feature(&self, raw: &RawFeature) -> Result<Feature, ModelError> {
        let group = match raw.group.get_ref().as_str() {
            "context" => Group::Context,
            "candidate" => Group::Candidate,
            _ => return Err(self.wrong(&raw.group, "no such group; `context` or `candidate`")),
        };
        let candidate = group == Group::Candidate;
        let source = Source::parse(raw.name.get_ref())
            .filter(|source| source.is_candidate() == candidate)
            .ok_or_else(|| {
                let names = Source::names(candidate);
                self.wrong(
                    &raw.name,
                    format!("no such feature of this group; known: {names}"),
                )
            })?;
        let purpose = *raw.purpose.get_ref();
        if source.is_personal() && purpose != Purpose::Profile {
            return Err(self.wrong(&raw.purpose, "is personal data: purpose must be \"profile\""));
        }
        if source.is_sensitive() && !raw.sensitive {
            return Err(self.wrong(
                &raw.name,
                "is never a model input; say `sensitive = true` to keep it for metrics",
            ));
        }
        let kind = self.kind(raw, source)?;
        Ok(Feature {
            source,
            group,
            kind,
            purpose,
            sensitive: raw.sensitive,
            slots: 0..0,
            columns: 0..0,
        })
    }

    fn kind(&self, raw: &RawFeature, source: Source) -> Result<Kind, ModelError> {
        let no_number = raw.transform.is_none() && raw.scale.is_none();
        let no_table = raw.buckets.is_none() && raw.dims.is_none();
        let no_bag = raw.max.is_none() && raw.pool.is_none();
        match (raw.kind.get_ref().as_str(), source.shape()) {
            ("number", Shape::Number) if no_table && no_bag => {
                let scale = raw.scale.unwrap_or(1.0);
                if !scale.is_finite() {
                    return Err(self.wrong(&raw.kind, "`scale` must be finite"));
                }
                let transform = raw
                    .transform
                    .ok_or_else(|| self.wrong(&raw.kind, "needs `transform`: \"identity\" or \"log1p\""))?;
                Ok(Kind::Number { transform, scale })
            }
            ("category", Shape::Text) if no_number && no_bag => {
                let (buckets, dims) = self.table(raw)?;
                Ok(Kind::Category { buckets, dims })
            }
            ("bag", Shape::Texts) if no_number => {
                let (buckets, dims) = self.table(raw)?;
                let max = raw
                    .max
                    .filter(|max| (1..=BAG_MAX).contains(max))
                    .ok_or_else(|| self.wrong(&raw.kind, format!("needs `max` within 1..={BAG_MAX}")))?;
                let pool = raw.pool.ok_or_else(|| {
                    self.wrong(&raw.kind, "needs `pool`: \"sum\", \"mean\" or \"weighted_mean\"")
                })?;
                Ok(Kind::Bag {
                    buckets,
                    dims,
                    max,
                    pool,
                })
            }
            ("number" | "category" | "bag", shape) => {
                let right = match shape {
                    Shape::Number => "kind = \"number\" with `transform` and `scale`",
                    Shape::Text => "kind = \"category\" with `buckets` and `dims`",
                    Shape::Texts => "kind = \"bag\" with `buckets`, `dims`, `max` and `pool`",
                };
                Err(self.wrong(
                    &raw.kind,
                    format!("`{}` takes {right}, and no other keys", source.name()),
                ))
            }
            _ => Err(self.wrong(&raw.kind, "no such kind; `number`, `category` or `bag`")),
        }
    }

    fn table(&self, raw: &RawFeature) -> Result<(u32, usize), ModelError> {
        let buckets = raw
            .buckets
            .filter(|buckets| (2..=BUCKETS_MAX).contains(buckets))
            .ok_or_else(|| self.wrong(&raw.kind, format!("needs `buckets` within 2..={BUCKETS_MAX}")))?;
        let dims = raw
            .dims
            .filter(|dims| (1..=DIMS_MAX).contains(dims))
            .ok_or_else(|| self.wrong(&raw.kind, format!("needs `dims` within 1..={DIMS_MAX}")))?;
        Ok((buckets, dims))
    }

    fn check_vector(&self, schema: &Schema, vector: &RawVector) -> Result<(), ModelError> {
        let name = vector.feature.get_ref();
        let features = schema.context.features.iter().chain(&schema.candidate.features);
        let table = features
            .filter(|feature| feature.source.name() == name)
            .find_map(|feature| feature.kind.table())
            .ok_or_else(|| self.wrong(&vector.feature, "no category or bag of this schema"))?;
        let id = CategoryText::new(name).id_of_text(&vector.value, schema.seed, table.0);
        if id != vector.id {
            let problem = format!("`{}` hashes to {id}, the vector says {}", vector.value, vector.id);
            return Err(self.wrong(&vector.feature, problem));
        }
        Ok(())
    }

    fn wrong<T: std::fmt::Debug>(&self, value: &Spanned<T>, problem: impl std::fmt::Display) -> ModelError {
        let problem = format!("{:?}: {problem}", value.get_ref());
        ModelError::at(self.file, line_of(self.text, value.span().start), problem)
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text
        .as_bytes()
        .iter()
        .take(offset)
        .filter(|byte| **byte == b'\n')
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = r#"
version = 1
seed = 7
heads = ["click", "conversion_given_click"]
[[feature]]
name = "site_domain"
group = "context"
kind = "category"
buckets = 100
dims = 4
purpose = "context"
[[feature]]
name = "gender"
group = "context"
kind = "category"
buckets = 8
dims = 2
purpose = "profile"
sensitive = true
[[feature]]
name = "profile_tags"
group = "context"
kind = "bag"
buckets = 64
dims = 3
max = 5
pool = "weighted_mean"
purpose = "profile"
[[feature]]
name = "ad_categories"
group = "candidate"
kind = "bag"
buckets = 64
dims = 3
max = 2
pool = "mean"
purpose = "context"
"#;

    /// `change` is (what stands in the sound schema, what stands there instead).
    fn check(change: (&str, &str), expected: &str) {
        let (from, to) = change;
        assert!(SOUND.contains(from), "{from}");
        let text = SOUND.replacen(from, to, 1);
        let error = Schema::parse(Path::new("s.toml"), &text)
            .expect_err("must be refused")
            .to_string();
        assert!(error.contains(expected), "{error}\nlacks\n{expected}");
    }

    #[test]
    fn slots_and_columns_follow_the_order_of_the_file() {
        let schema = Schema::parse(Path::new("s.toml"), SOUND).unwrap();
        assert_eq!(
            (schema.slots(Group::Context), schema.columns(Group::Context)),
            (1 + 1 + 10, 4 + 3)
        );
        assert_eq!(
            (schema.slots(Group::Candidate), schema.columns(Group::Candidate)),
            (2, 3)
        );
        let tags = &schema.features(Group::Context)[2];
        assert_eq!((tags.slots.clone(), tags.columns.clone()), (2..12, 4..7));
    }

    #[test]
    fn an_unsound_schema_is_refused_with_line_and_remedy() {
        for (change, expected) in [
            (
                ("version = 1", "version = 2"),
                "s.toml:2: 2: this schema version is not known; known: 1",
            ),
            (("seed = 7", "sed = 7"), "s.toml:3: unknown field `sed`"),
            (("\"click\", ", ""), "heads are `click`, `conversion_given_click`"),
            ((", \"conversion_given_click\"", ""), "heads must be"),
            (
                ("site_domain", "site_domian"),
                "s.toml:6: \"site_domian\": no such feature of this group; known: exchange,",
            ),
            (("site_domain", "ad_domain"), "no such feature of this group"),
            (
                ("\"context\"\nkind", "\"user\"\nkind"),
                "no such group; `context` or `candidate`",
            ),
            (("buckets = 100", "buckets = 1"), "needs `buckets` within 2..="),
            (("dims = 4", "dims = 0"), "needs `dims` within 1..="),
            (("max = 5", "max = 1000"), "needs `max` within 1..="),
            (("pool = \"mean\"\n", ""), "needs `pool`"),
            (
                ("\"category\"", "\"number\""),
                "`site_domain` takes kind = \"category\"",
            ),
            (("\"category\"", "\"tree\""), "no such kind"),
            (
                ("sensitive = true", "sensitive = false"),
                "is never a model input",
            ),
            (
                (
                    "weighted_mean\"\npurpose = \"profile\"",
                    "sum\"\npurpose = \"context\"",
                ),
                "is personal data",
            ),
            (
                ("profile_tags", "page_categories\"\n[x]\ny = \""),
                "missing field",
            ),
        ] {
            check(change, expected);
        }
    }

    #[test]
    fn a_feature_has_one_place() {
        let twice = format!("{SOUND}{}", &SOUND[SOUND.find("[[feature]]").unwrap()..]);
        let error = Schema::parse(Path::new("s.toml"), &twice)
            .unwrap_err()
            .to_string();
        assert!(error.contains("stands twice"), "{error}");
    }

    #[test]
    fn a_test_vector_that_hashes_otherwise_is_refused() {
        let id = CategoryText::new("site_domain").id_of_text("a.example", 7, 100);
        let with = |id: u32| {
            format!("{SOUND}[[vector]]\nfeature = \"site_domain\"\nvalue = \"A.example\"\nid = {id}\n")
        };
        assert!(Schema::parse(Path::new("s.toml"), &with(id)).is_ok());
        let error = Schema::parse(Path::new("s.toml"), &with(id + 1))
            .unwrap_err()
            .to_string();
        assert!(error.contains("hashes to"), "{error}");
    }
}
