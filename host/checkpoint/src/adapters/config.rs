//! `adapter_config.json`, as PEFT writes it for LoRA (`peft/tuners/lora/config.py`, PEFT 0.21): what is
//! changed, by which rank, and how strongly. Fields that would change a result and are not supported
//! are refused by name.

use super::{
    pattern::{self, Targets},
    role::Role,
};
use crate::{Error, Result, text_file};
use fancy_regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{collections::BTreeSet, path::Path};

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
    ranks: Vec<(Regex, usize)>,
    alphas: Vec<(Regex, f64)>,
    /// What it says it was trained on.
    pub base_model: Option<String>,
}

/// Fields that matter only while training, or name what the tensors themselves say.
const WITHOUT_EFFECT: &[&str] = &[
    "auto_mapping",
    "base_model_name_or_path",
    "corda_config",
    "eva_config",
    "fan_in_fan_out", // PEFT sets it by the layer's class, whatever the file says
    "inference_mode",
    "lora_dropout",
    "lora_ga_config",
    "megatron_core",
    "peft_version",
    "qalora_group_size", // without use_qalora
    "revision",
    "runtime_config",
    "task_type",
];

/// Fields that are read below.
const READ: &[&str] = &[
    "alpha_pattern",
    "bias",
    "exclude_modules",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "lora_alpha",
    "lora_bias", // the tensors say it: lora_B.bias
    "modules_to_save",
    "peft_type",
    "r",
    "rank_pattern",
    "target_modules",
    "target_parameters",
    "use_dora",
    "use_rslora",
];

/// Ways to begin training that leave the base weights as they are. The others (PiSSA, OLoRA, CorDA,
/// LoftQ, LoRA-GA) subtract something from them, so that the adapter alone is not the whole change.
const HARMLESS_BEGINNINGS: &[&str] = &["gaussian", "eva", "orthogonal", "mica", "true", "false"];

#[derive(Deserialize)]
struct Fields {
    peft_type: Option<String>,
    r: usize,
    lora_alpha: Option<f64>,
    use_rslora: Option<bool>,
    use_dora: Option<bool>,
    bias: Option<String>,
    modules_to_save: Option<Vec<String>>,
    target_parameters: Option<Vec<String>>,
    rank_pattern: Option<Map<String, Value>>,
    alpha_pattern: Option<Map<String, Value>>,
    base_model_name_or_path: Option<String>,
}

impl AdapterConfig {
    /// Parses a file's text; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let bad = |reason: String| Error::file(path, reason);
        let json: Value = text_file::parse(text, path)?;
        let object = json.as_object().ok_or_else(|| bad("is not a JSON object".to_owned()))?;
        let fields: Fields = text_file::of_json(json.clone(), path)?;
        check(object, &fields).map_err(bad)?;
        let targets = Targets::parse(object).map_err(bad)?;
        let saved = fields.modules_to_save.unwrap_or_default();
        Ok(Self {
            rank: fields.r,
            // PEFT's default.
            alpha: fields.lora_alpha.unwrap_or(8.0),
            rank_stabilised: fields.use_rslora.unwrap_or(false),
            dora: fields.use_dora.unwrap_or(false),
            targets,
            saved,
            parameters: fields.target_parameters.unwrap_or_default(),
            ranks: table(fields.rank_pattern, "rank_pattern", |value| {
                let rank = value.as_u64().and_then(|rank| usize::try_from(rank).ok());
                let rank = rank.ok_or_else(|| format!("is {value}; a whole number is needed"))?;
                check_rank(rank).map(|()| rank)
            })
            .map_err(bad)?,
            alphas: table(fields.alpha_pattern, "alpha_pattern", |value| {
                let alpha =
                    value.as_f64().ok_or_else(|| format!("is {value}; a number is needed"))?;
                check_alpha(alpha).map(|()| alpha)
            })
            .map_err(bad)?,
            base_model: fields.base_model_name_or_path,
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
            ranks: Vec::new(),
            alphas: Vec::new(),
            base_model: None,
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

    /// A name in `target_modules` or `modules_to_save` that means none of `modules`.
    pub fn name_without_module<'a>(&'a self, modules: &BTreeSet<String>) -> Option<&'a str> {
        let is_nowhere = |means: fn(&str, &str) -> bool| {
            move |name: &&str| !modules.iter().any(|module| means(name, module))
        };
        let target = self.targets.names().find(is_nowhere(pattern::is_end_of));
        target
            .or_else(|| self.saved.iter().map(String::as_str).find(is_nowhere(pattern::is_within)))
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

/// Refuses an alpha that is no number in 32 bits, in which factors are scaled.
pub fn check_alpha(alpha: f64) -> std::result::Result<(), String> {
    match (alpha as f32).is_finite() {
        true => Ok(()),
        false => Err(format!("must be a finite number in 32 bits, not {alpha}")),
    }
}

/// Whether a value asks for nothing.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn check(object: &Map<String, Value>, fields: &Fields) -> std::result::Result<(), String> {
    match fields.peft_type.as_deref() {
        None | Some("LORA") => {}
        Some(other) => {
            return Err(format!(
                "peft_type is '{other}'; this version attaches LORA adapters only"
            ));
        }
    }
    for (name, value) in object {
        let known = WITHOUT_EFFECT.contains(&name.as_str()) || READ.contains(&name.as_str());
        if !known && !is_off(value) {
            return Err(format!(
                "{name} is set ({value}), which this version does not support: train or export the adapter without it"
            ));
        }
    }
    check_rank(fields.r).map_err(|reason| format!("r {reason}"))?;
    let alpha = fields.lora_alpha.unwrap_or_default();
    check_alpha(alpha).map_err(|reason| format!("lora_alpha {reason}"))?;
    if let Some(beginning) = object.get("init_lora_weights") {
        let beginning = beginning.as_str().map_or_else(|| beginning.to_string(), str::to_lowercase);
        if beginning != "null" && !HARMLESS_BEGINNINGS.contains(&beginning.as_str()) {
            return Err(format!(
                "init_lora_weights is '{beginning}', which changes the base weights too: save the adapter with PEFT's path_initial_model_for_weight_conversion"
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
    entries: Option<Map<String, Value>>,
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
