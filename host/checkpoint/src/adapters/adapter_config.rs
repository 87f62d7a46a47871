//! Reads `adapter_config.json`, as PEFT 0.21 writes it for LoRA (`peft/tuners/lora/config.py`): which modules are
//! changed, with which rank, and with which scale. Fields that would change a result and are not supported are
//! refused by name.

use super::{
    module_kind::ModuleKind,
    peft_fields::{self, PeftFieldError},
    rank::{AlphaError, RankError, check_alpha, parse_alpha, parse_rank},
    targets::{self, TargetError, Targets},
    tensor_names::module_key,
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

/// The config of a LoRA adapter.
///
/// ```
/// use llem_checkpoint::{AdapterConfig, ModuleKind};
/// use std::path::Path;
///
/// let text = r#"{"r": 16, "lora_alpha": 32, "target_modules": ["q_proj"], "rank_pattern": {"layers.1.*": 4}}"#;
/// let config = AdapterConfig::parse(text, Path::new("adapter_config.json"))?;
/// let q = "model.layers.0.self_attn.q_proj";
/// assert!(config.targets(q, ModuleKind::Projection));
/// assert_eq!((config.rank(q), config.scale(q)), (16, 2.0)); // 32 / 16
/// assert_eq!(config.rank("model.layers.1.self_attn.q_proj"), 4);
/// # Ok::<(), llem_checkpoint::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AdapterConfig {
    /// The rank of modules that `rank_pattern` does not match.
    rank: usize,
    /// The alpha of modules that `alpha_pattern` does not match.
    alpha: f64,
    /// Whether the scale is alpha / sqrt(rank) (arXiv 2312.03732) instead of alpha / rank.
    rank_stabilised: bool,
    /// Whether weights are split into magnitude and direction (DoRA, arXiv 2402.09353).
    pub dora: bool,
    /// The modules that have low-rank factors.
    targets: Targets,
    /// The modules whose complete weights the adapter contains.
    saved: Vec<String>,
    /// Tensors with low-rank factors that are parameters rather than modules, such as the tensor of all experts.
    parameters: Vec<String>,
    /// Whether the factors B have biases (`lora_B.bias`).
    pub factor_biases: bool,
    /// The tokens whose rows in embedding tables were trained.
    tokens: TrainedTokens,
    ranks: Vec<(Regex, usize)>,
    alphas: Vec<(Regex, f64)>,
    /// The base model that the config names.
    pub base_model: Option<String>,
    /// Warnings for the run's record.
    pub warnings: Vec<String>,
}

/// The field `trainable_token_indices`: the trained tokens of each embedding table.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(untagged)]
enum TrainedTokens {
    #[default]
    None,
    /// The tokens of the embedding table.
    Embedding(Vec<usize>),
    /// The tokens of each table. The keys are the ends of the tables' module names.
    ByModule(BTreeMap<String, Vec<usize>>),
}

/// Values of `init_lora_weights` that leave the base weights unchanged.
const HARMLESS_INITIALISATIONS: &[&str] =
    &["gaussian", "eva", "orthogonal", "mica", "true", "false", "null"];

/// Beginnings of the values of `init_lora_weights` that also change the base weights, so that the adapter alone is
/// not the complete change. The values of PiSSA and CorDA may be longer (`pissa_niter_4`).
const HARMFUL_INITIALISATIONS: &[&str] = &["pissa", "olora", "corda", "loftq", "lora_ga"];

/// PEFT's default of the rank.
const DEFAULT_RANK: usize = 8;

/// PEFT's default of alpha.
const DEFAULT_ALPHA: f64 = 8.0;

#[derive(Deserialize)]
struct AdapterConfigFields {
    r: Option<Value>,
    lora_alpha: Option<f64>,
    use_rslora: Option<bool>,
    use_dora: Option<bool>,
    bias: Option<String>,
    modules_to_save: Option<Vec<String>>,
    target_parameters: Option<Vec<String>>,
    trainable_token_indices: Option<TrainedTokens>,
    lora_bias: Option<bool>,
    // These maps keep the file's order, because the first pattern that matches a module wins.
    rank_pattern: Option<IndexMap<String, Value>>,
    alpha_pattern: Option<IndexMap<String, Value>>,
    base_model_name_or_path: Option<String>,
}

/// Why the values of an `adapter_config.json` are refused.
#[derive(Debug, thiserror::Error)]
enum AdapterConfigError {
    /// The fields that select modules cannot be read.
    #[error(transparent)]
    Target(#[from] TargetError),

    /// An entry of a pattern table cannot be read.
    #[error(transparent)]
    Pattern(#[from] PatternError),

    /// The rank is refused.
    #[error("r {0}")]
    Rank(RankError),

    /// The alpha is refused.
    #[error("lora_alpha {0}")]
    Alpha(AlphaError),

    /// The initialisation changes the base weights, so that the adapter alone is not the complete change.
    #[error(
        "init_lora_weights is '{0}', which changes the base weights too: save the adapter with PEFT's path_initial_model_for_weight_conversion"
    )]
    HarmfulInitialisation(String),

    /// PEFT does not have the initialisation.
    #[error(
        "init_lora_weights is '{0}', which PEFT does not know: use {known}",
        known = HARMLESS_INITIALISATIONS.join(", ")
    )]
    UnknownInitialisation(String),

    /// PEFT does not have the kind of biases.
    #[error("bias is '{0}'; use none, all or lora_only")]
    UnknownBias(String),
}

/// An entry of `rank_pattern` or `alpha_pattern` that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{field}: '{key}' {cause}")]
struct PatternError {
    /// The name of the table.
    field: &'static str,
    /// The entry's key.
    key: String,
    cause: PatternErrorCause,
}

/// Why an entry of a pattern table cannot be read. The sentence follows the entry's key in a message.
#[derive(Debug, thiserror::Error)]
enum PatternErrorCause {
    /// The key is no regular expression.
    #[error("is no regular expression: {0}")]
    Key(#[from] fancy_regex::Error),

    /// The value is a rank that is refused.
    #[error(transparent)]
    Rank(#[from] RankError),

    /// The value is an alpha that is refused.
    #[error(transparent)]
    Alpha(#[from] AlphaError),
}

impl AdapterConfig {
    /// Parses the text of an `adapter_config.json`. Messages name `path`.
    ///
    /// # Errors
    /// Returns an error if the text is not JSON, if a field has a wrong value, or if the method is not supported.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let json: Value = text_file::parse(text, path)?;
        let object = json.as_object().ok_or_else(|| Error::file(path, "is not a JSON object"))?;
        let unknown =
            check_support(object).map_err(|cause| Error::file(path, cause.to_string()))?;
        let fields: AdapterConfigFields = text_file::parse(text, path)?;
        let config =
            Self::read(object, fields).map_err(|cause| Error::file(path, cause.to_string()))?;
        Ok(Self { warnings: unknown.into_iter().collect(), ..config })
    }

    /// Reads a config of a supported method.
    fn read(
        object: &Map<String, Value>,
        fields: AdapterConfigFields,
    ) -> std::result::Result<Self, AdapterConfigError> {
        check_values(object, &fields)?;
        let targets = Targets::parse(object)?;
        let saved = fields.modules_to_save.unwrap_or_default();
        let rank = fields.r.as_ref().map_or(Ok(DEFAULT_RANK), parse_rank);
        Ok(Self {
            rank: rank.map_err(AdapterConfigError::Rank)?,
            alpha: fields.lora_alpha.unwrap_or(DEFAULT_ALPHA),
            rank_stabilised: fields.use_rslora.unwrap_or(false),
            dora: fields.use_dora.unwrap_or(false),
            targets,
            saved,
            parameters: fields.target_parameters.unwrap_or_default(),
            factor_biases: fields.lora_bias.unwrap_or(false),
            tokens: fields.trainable_token_indices.unwrap_or_default(),
            ranks: pattern_table(fields.rank_pattern, "rank_pattern", parse_rank)?,
            alphas: pattern_table(fields.alpha_pattern, "alpha_pattern", parse_alpha)?,
            base_model: fields.base_model_name_or_path,
            warnings: Vec::new(),
        })
    }

    /// Creates the config of an adapter that changes the modules with the names `targets`. `None` means all linear
    /// layers except the LM head.
    pub fn new(rank: usize, alpha: f64, targets: Option<Vec<String>>) -> Self {
        Self {
            rank,
            alpha,
            rank_stabilised: false,
            dora: false,
            targets: Targets::from_names(targets),
            saved: Vec::new(),
            parameters: Vec::new(),
            factor_biases: false,
            tokens: TrainedTokens::None,
            ranks: Vec::new(),
            alphas: Vec::new(),
            base_model: None,
            warnings: Vec::new(),
        }
    }

    /// Returns `true` if a module of this kind should have low-rank factors.
    pub fn targets(&self, module: &str, kind: ModuleKind) -> bool {
        let excluded = self.saved.iter().any(|name| targets::has_part(name, module));
        !excluded && self.targets.includes(module, kind)
    }

    /// Returns `true` if a parameter that is no module, such as the tensor of all experts, should have low-rank
    /// factors.
    pub fn targets_parameter(&self, name: &str) -> bool {
        self.parameters.iter().any(|parameter| targets::is_end_of(parameter, name))
    }

    /// Returns `true` if the adapter should contain a module's complete weights (`_set_trainable` in
    /// `peft/utils/other.py`).
    pub fn saves(&self, module: &str) -> bool {
        self.saved.iter().any(|name| targets::is_inside(name, module))
    }

    /// Returns the tokens whose rows in an embedding table were trained. Returns `None` if the config names no tokens
    /// for the table.
    pub fn trained_tokens(&self, table: &str) -> Option<&[usize]> {
        match &self.tokens {
            TrainedTokens::None => None,
            TrainedTokens::Embedding(tokens) => Some(tokens),
            TrainedTokens::ByModule(by_module) => by_module
                .iter()
                .find(|(name, _)| table.ends_with(*name))
                .map(|(_, tokens)| &tokens[..]),
        }
    }

    /// Returns `true` if the config names any trained tokens.
    pub fn has_trained_tokens(&self) -> bool {
        match &self.tokens {
            TrainedTokens::None => false,
            TrainedTokens::Embedding(tokens) => !tokens.is_empty(),
            TrainedTokens::ByModule(by_module) => {
                by_module.values().any(|tokens| !tokens.is_empty())
            }
        }
    }

    /// Returns what to change in the config if the adapter has factors of a module that the config does not select.
    pub fn targets_remedy(&self) -> &'static str {
        self.targets.remedy()
    }

    /// Returns the names in `target_modules` and `modules_to_save` that match none of `modules`.
    pub fn names_without_module(&self, modules: &BTreeSet<String>) -> Vec<&str> {
        let is_unmatched = |matches: fn(&str, &str) -> bool| {
            move |name: &&str| {
                let is_match = |module: &String| {
                    matches(name, module) || module_key(name) == module_key(module)
                };
                !modules.iter().any(is_match)
            }
        };
        let targets = self.targets.names().filter(is_unmatched(targets::is_end_of));
        let saved = self.saved.iter().map(String::as_str).filter(is_unmatched(targets::is_inside));
        targets.chain(saved).collect()
    }

    /// Returns the rank of a module's factors.
    pub fn rank(&self, module: &str) -> usize {
        targets::find_by_pattern(&self.ranks, module).unwrap_or(self.rank)
    }

    /// Returns the number by which the product of a module's factors is multiplied.
    pub fn scale(&self, module: &str) -> f64 {
        let rank = self.rank(module) as f64;
        let alpha = targets::find_by_pattern(&self.alphas, module).unwrap_or(self.alpha);
        alpha / if self.rank_stabilised { rank.sqrt() } else { rank }
    }
}

/// Refuses methods and fields that are not supported. Returns a warning about fields that PEFT does not know.
fn check_support(
    object: &Map<String, Value>,
) -> std::result::Result<Option<String>, PeftFieldError> {
    peft_fields::check_method(object.get("peft_type"))?;
    peft_fields::check_fields(object)
}

fn check_values(
    object: &Map<String, Value>,
    fields: &AdapterConfigFields,
) -> std::result::Result<(), AdapterConfigError> {
    let alpha = fields.lora_alpha.unwrap_or_default();
    check_alpha(alpha).map_err(AdapterConfigError::Alpha)?;
    if let Some(initialisation) = object.get("init_lora_weights") {
        let initialisation =
            initialisation.as_str().map_or_else(|| initialisation.to_string(), str::to_lowercase);
        if HARMFUL_INITIALISATIONS.iter().any(|known| initialisation.starts_with(known)) {
            return Err(AdapterConfigError::HarmfulInitialisation(initialisation));
        }
        if !HARMLESS_INITIALISATIONS.contains(&&*initialisation) {
            return Err(AdapterConfigError::UnknownInitialisation(initialisation));
        }
    }
    match fields.bias.as_deref() {
        None | Some("none" | "all" | "lora_only") => Ok(()),
        Some(other) => Err(AdapterConfigError::UnknownBias(other.to_owned())),
    }
}

/// Compiles the entries of a pattern table. `convert` reads their values.
fn pattern_table<T, E>(
    entries: Option<IndexMap<String, Value>>,
    field: &'static str,
    convert: impl Fn(&Value) -> std::result::Result<T, E>,
) -> std::result::Result<Vec<(Regex, T)>, PatternError>
where
    PatternErrorCause: From<E>,
{
    let read = |key: &str, value: &Value| -> std::result::Result<_, PatternErrorCause> {
        Ok((targets::suffix_pattern(key)?, convert(value)?))
    };
    let entry = |(key, value): (String, Value)| {
        read(&key, &value).map_err(|cause| PatternError { field, key, cause })
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

    // As in get_pattern_key of PEFT 0.21.2, the first key that matches in the file's order wins.
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
