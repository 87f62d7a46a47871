//! `adapter_config.json`, as PEFT writes it for LoRA (`peft/tuners/lora/config.py`, PEFT 0.21): what is
//! changed, by which rank, and how strongly. Fields that would change a result and are not supported
//! are refused by name.

use super::{
    fields,
    names::key_of,
    pattern::{self, Targets},
    role::Role,
};
use crate::{Error, Result, text_file};
use fancy_regex::Regex;
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// A LoRA adapter's config.
#[derive(Clone, Debug)]
pub struct AdapterConfig {
    /// Rank where `rank_pattern` says nothing else.
    rank: usize,
    /// Alpha where `alpha_pattern` says nothing else.
    alpha: f64,
    /// Scales by alpha / sqrt(rank) (arXiv 2312.03732) instead of alpha / rank.
    rank_stabilised: bool,
    /// Weights are split into magnitude and direction (arXiv 2402.09353).
    pub dora: bool,
    /// Which modules have low-rank factors.
    targets: Targets,
    /// Modules of which the adapter holds whole weights.
    saved: Vec<String>,
    /// Tensors with low-rank factors that no module of transformers has to itself.
    parameters: Vec<String>,
    /// Whether factors have biases (`lora_B.bias`).
    pub factor_biases: bool,
    /// Tokens whose rows of tables are the adapter's own.
    tokens: Tokens,
    ranks: Vec<(Regex, usize)>,
    alphas: Vec<(Regex, f64)>,
    /// What it says it was trained on.
    pub base_model: Option<String>,
    /// What the run's record is to say of it.
    pub warnings: Vec<String>,
}

/// `trainable_token_indices`: tokens by the table whose rows they name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(untagged)]
enum Tokens {
    #[default]
    Nowhere,
    /// Of the table of embeddings.
    OfEmbedding(Vec<usize>),
    /// By ends of modules' names.
    OfModules(BTreeMap<String, Vec<usize>>),
}

/// Ways to begin training that leave the base weights as they are.
const HARMLESS_BEGINNINGS: &[&str] =
    &["gaussian", "eva", "orthogonal", "mica", "true", "false", "null"];

/// Ways to begin training that subtract something from the base weights, so that the adapter alone is not the whole
/// change. The names of PiSSA and CorDA go on (`pissa_niter_4`).
const HARMFUL_BEGINNINGS: &[&str] = &["pissa", "olora", "corda", "loftq", "lora_ga"];

/// What PEFT takes for a rank that is not there.
const DEFAULT_RANK: usize = 8;

/// What PEFT takes for an alpha that is not there.
const DEFAULT_ALPHA: f64 = 8.0;

#[derive(Deserialize)]
struct Fields {
    r: Option<Value>,
    lora_alpha: Option<f64>,
    use_rslora: Option<bool>,
    use_dora: Option<bool>,
    bias: Option<String>,
    modules_to_save: Option<Vec<String>>,
    target_parameters: Option<Vec<String>>,
    trainable_token_indices: Option<Tokens>,
    lora_bias: Option<bool>,
    // In the file's order, for the first pattern that means a module counts.
    rank_pattern: Option<IndexMap<String, Value>>,
    alpha_pattern: Option<IndexMap<String, Value>>,
    base_model_name_or_path: Option<String>,
}

impl AdapterConfig {
    /// Parses a file's text; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let bad = |reason: String| Error::file(path, reason);
        let json: Value = text_file::parse(text, path)?;
        let object = json.as_object().ok_or_else(|| bad("is not a JSON object".to_owned()))?;
        fields::check_method(object.get("peft_type")).map_err(bad)?;
        let unknown = fields::check(object).map_err(bad)?;
        let fields: Fields = text_file::parse(text, path)?;
        check(object, &fields).map_err(bad)?;
        let targets = Targets::parse(object).map_err(bad)?;
        let saved = fields.modules_to_save.unwrap_or_default();
        let rank = fields.r.as_ref().map_or(Ok(DEFAULT_RANK), rank_of);
        Ok(Self {
            rank: rank.map_err(|reason| bad(format!("r {reason}")))?,
            alpha: fields.lora_alpha.unwrap_or(DEFAULT_ALPHA),
            rank_stabilised: fields.use_rslora.unwrap_or(false),
            dora: fields.use_dora.unwrap_or(false),
            targets,
            saved,
            parameters: fields.target_parameters.unwrap_or_default(),
            factor_biases: fields.lora_bias.unwrap_or(false),
            tokens: fields.trainable_token_indices.unwrap_or_default(),
            ranks: table(fields.rank_pattern, "rank_pattern", rank_of).map_err(bad)?,
            alphas: table(fields.alpha_pattern, "alpha_pattern", |value| {
                let alpha =
                    value.as_f64().ok_or_else(|| format!("is {value}; a number is needed"))?;
                check_alpha(alpha).map(|()| alpha)
            })
            .map_err(bad)?,
            base_model: fields.base_model_name_or_path,
            warnings: unknown.into_iter().collect(),
        })
    }

    /// A config that changes `targets` (names of modules; none means all linear ones).
    pub fn new(rank: usize, alpha: f64, targets: Option<Vec<String>>) -> Self {
        Self {
            rank,
            alpha,
            rank_stabilised: false,
            dora: false,
            targets: Targets::named(targets),
            saved: Vec::new(),
            parameters: Vec::new(),
            factor_biases: false,
            tokens: Tokens::Nowhere,
            ranks: Vec::new(),
            alphas: Vec::new(),
            base_model: None,
            warnings: Vec::new(),
        }
    }

    /// Whether a module is to have low-rank factors.
    pub fn targets(&self, module: &str, role: Role) -> bool {
        let excluded = self.saved.iter().any(|name| pattern::contains(name, module));
        !excluded && self.targets.include(module, role)
    }

    /// Whether a tensor that no module has to itself is to have low-rank factors.
    pub fn targets_parameter(&self, name: &str) -> bool {
        self.parameters.iter().any(|parameter| pattern::is_end_of(parameter, name))
    }

    /// Whether the adapter is to hold a module's whole weights (`_set_trainable` in
    /// `peft/utils/other.py`).
    pub fn saves(&self, module: &str) -> bool {
        self.saved.iter().any(|name| pattern::is_within(name, module))
    }

    /// The tokens whose rows of a table are the adapter's own.
    pub fn tokens(&self, table: &str) -> Option<&[usize]> {
        match &self.tokens {
            Tokens::Nowhere => None,
            Tokens::OfEmbedding(tokens) => Some(tokens),
            Tokens::OfModules(by_module) => by_module
                .iter()
                .find(|(name, _)| table.ends_with(*name))
                .map(|(_, tokens)| &tokens[..]),
        }
    }

    /// Whether there are such tokens.
    pub fn names_tokens(&self) -> bool {
        match &self.tokens {
            Tokens::Nowhere => false,
            Tokens::OfEmbedding(tokens) => !tokens.is_empty(),
            Tokens::OfModules(by_module) => by_module.values().any(|tokens| !tokens.is_empty()),
        }
    }

    /// What to mend where the adapter has factors of a module that the config does not mean.
    pub fn remedy_of_targets(&self) -> &'static str {
        self.targets.remedy()
    }

    /// Names in `target_modules` and `modules_to_save` that mean none of `modules`.
    pub fn names_without_module(&self, modules: &BTreeSet<String>) -> Vec<&str> {
        let is_nowhere = |means: fn(&str, &str) -> bool| {
            move |name: &&str| {
                let is_there =
                    |module: &String| means(name, module) || key_of(name) == key_of(module);
                !modules.iter().any(is_there)
            }
        };
        let targets = self.targets.names().filter(is_nowhere(pattern::is_end_of));
        let saved = self.saved.iter().map(String::as_str).filter(is_nowhere(pattern::is_within));
        targets.chain(saved).collect()
    }

    /// The rank of a module's factors.
    pub fn rank(&self, module: &str) -> usize {
        pattern::find(&self.ranks, module).unwrap_or(self.rank)
    }

    /// What the product of a module's factors is multiplied with.
    pub fn scale(&self, module: &str) -> f64 {
        let rank = self.rank(module) as f64;
        let alpha = pattern::find(&self.alphas, module).unwrap_or(self.alpha);
        alpha / if self.rank_stabilised { rank.sqrt() } else { rank }
    }
}

/// A rank that no weight of any model reaches.
const MOST_RANKS: usize = 1 << 16;

/// Refuses a rank that cannot be meant.
pub fn check_rank(rank: usize) -> std::result::Result<(), String> {
    match (1..=MOST_RANKS).contains(&rank) {
        true => Ok(()),
        false => Err(format!("must be between 1 and {MOST_RANKS}, not {rank}")),
    }
}

/// A rank in a file. Other programs than PEFT write it with a decimal point.
fn rank_of(value: &Value) -> std::result::Result<usize, String> {
    let rank = value.as_f64().filter(|rank| rank.fract() == 0.0 && *rank >= 0.0);
    let rank = rank.ok_or_else(|| format!("is {value}; a whole number is needed"))?;
    check_rank(rank as usize).map(|()| rank as usize)
}

/// Refuses an alpha that is no number in 32 bits, in which factors are scaled.
pub fn check_alpha(alpha: f64) -> std::result::Result<(), String> {
    match (alpha as f32).is_finite() {
        true => Ok(()),
        false => Err(format!("must be a finite number in 32 bits, not {alpha}")),
    }
}

fn check(object: &Map<String, Value>, fields: &Fields) -> std::result::Result<(), String> {
    let alpha = fields.lora_alpha.unwrap_or_default();
    check_alpha(alpha).map_err(|reason| format!("lora_alpha {reason}"))?;
    if let Some(beginning) = object.get("init_lora_weights") {
        let beginning = beginning.as_str().map_or_else(|| beginning.to_string(), str::to_lowercase);
        if HARMFUL_BEGINNINGS.iter().any(|known| beginning.starts_with(known)) {
            return Err(format!(
                "init_lora_weights is '{beginning}', which changes the base weights too: save the adapter with PEFT's path_initial_model_for_weight_conversion"
            ));
        }
        if !HARMLESS_BEGINNINGS.contains(&&*beginning) {
            return Err(format!(
                "init_lora_weights is '{beginning}', which PEFT does not know: use {}",
                HARMLESS_BEGINNINGS.join(", ")
            ));
        }
    }
    match fields.bias.as_deref() {
        None | Some("none" | "all" | "lora_only") => Ok(()),
        Some(other) => Err(format!("bias is '{other}'; use none, all or lora_only")),
    }
}

/// The entries of a pattern table, as `convert` takes their values.
fn table<T>(
    entries: Option<IndexMap<String, Value>>,
    field: &str,
    convert: impl Fn(&Value) -> std::result::Result<T, String>,
) -> std::result::Result<Vec<(Regex, T)>, String> {
    let entry = |(key, value): (String, Value)| {
        let pattern = pattern::of_end(&key).map_err(|reason| format!("{field}: {reason}"))?;
        let converted = convert(&value).map_err(|reason| format!("{field}: '{key}' {reason}"))?;
        Ok((pattern, converted))
    };
    entries.unwrap_or_default().into_iter().map(entry).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<AdapterConfig> {
        AdapterConfig::parse(text, Path::new("adapter_config.json"))
    }

    // As get_pattern_key of PEFT 0.21.2 answers: the first key that matches, in the file's order.
    #[test]
    fn the_first_pattern_of_the_file_counts() {
        let text = r#"{"rank_pattern": {"q_proj": 4, "layers.0.*": 2.0}, "alpha_pattern": {"z_proj|q_proj": 1, "a.*|q_proj": 2}}"#;
        let config = parse(text).unwrap();
        let q = "model.layers.0.self_attn.q_proj";
        assert_eq!(config.rank(q), 4);
        assert_eq!(config.rank("model.layers.0.self_attn.k_proj"), 2);
        assert_eq!(config.rank("model.layers.1.self_attn.k_proj"), 8, "PEFT's default");
        assert_eq!(config.scale(q), 1.0 / 4.0);
    }

    #[test]
    fn ranks_are_whole_numbers() {
        for (rank, words) in [
            ("8.5", "8.5; a whole number"),
            ("\"8\"", "a whole number"),
            ("-1", "-1; a whole number"),
            ("0", "between 1 and"),
            ("70000", "between 1 and"),
        ] {
            let refusal = parse(&format!(r#"{{"r": {rank}}}"#)).unwrap_err().to_string();
            assert!(refusal.contains(words) && refusal.contains("r "), "{refusal}");
        }
    }
}
