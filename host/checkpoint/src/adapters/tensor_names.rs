//! Parses the names of an adapter's tensors: the module to which each belongs, and the kind of the tensor.
//!
//! ```text
//! _orig_mod.base_model.model.model._fsdp_wrapped_module.layers.0.self_attn.q_proj.lora_A.default.weight
//! └─wrapper  └─PEFT's prefix      └─wrapper            └─module                  └─kind └─adapter's name
//! ```
//!
//! PEFT itself recognises `base_model.model.MODULE.lora_A.weight`, with or without the adapter's name after the kind
//! (`_remap_adapter_state_dict_for_load` in `peft/tuners/tuners_utils.py`, PEFT 0.21). Names with wrappers, or without
//! PEFT's prefix, are recognised here too.

use crate::{Error, Result};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// The kind of an adapter's tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TensorKind {
    /// The factor A, `[rank, inputs]`.
    Down,
    /// The factor B, `[outputs, rank]`.
    Up,
    /// The bias of the factor B, `[outputs]`.
    UpBias,
    /// The magnitudes of DoRA, `[outputs]`.
    Magnitude,
    /// The trained rows of an embedding table, `[tokens, hidden]`.
    Tokens,
    /// A complete weight that replaces the base model's.
    Weight,
    /// A complete bias that replaces the base model's.
    Bias,
    /// The base model's own weight. PEFT saves it beside the factors of an embedding.
    Base,
}

impl TensorKind {
    /// Returns the ending that PEFT gives the name of such a tensor. The endings of an embedding table differ.
    pub fn ending(self, is_embedding: bool) -> &'static str {
        match self {
            Self::Down if is_embedding => ".lora_embedding_A",
            Self::Up if is_embedding => ".lora_embedding_B",
            Self::Down => ".lora_A.weight",
            Self::Up => ".lora_B.weight",
            Self::UpBias => ".lora_B.bias",
            Self::Magnitude => ".lora_magnitude_vector",
            Self::Tokens => ".token_adapter.trainable_tokens_delta",
            Self::Weight => ".weight",
            Self::Bias => ".bias",
            Self::Base => ".base_layer.weight",
        }
    }
}

/// The prefix that PEFT writes before a module's name.
pub const PEFT_PREFIX: &str = "base_model.model.";

/// Parts of names that wrappers of modules insert: torch.compile, FSDP, activation checkpointing, data parallelism and
/// DeepSpeed, Lightning. No family has modules with these names.
const WRAPPERS: &[&str] = &[
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
    "module",
    "_forward_module",
];

/// The names of the modules that contain a decoder's layers in transformers: in a model with a head, and in the
/// language model of a vision-language model.
const LAYER_PARENTS: &[&str] =
    &["model", "language_model", "text_model", "transformer", "gpt_neox"];

/// The parts of a name with which PEFT's additions to a module begin.
const PEFT_PARTS: &[&str] = &[
    "lora_A",
    "lora_B",
    "lora_embedding_A",
    "lora_embedding_B",
    "lora_magnitude_vector",
    "token_adapter",
    "base_layer",
    "modules_to_save",
    "original_module",
    "lora_velora_embed",
    "lora_monteclora_sampler",
];

/// The name that PEFT gives an adapter by default.
const DEFAULT_ADAPTER: &str = "default";

/// The parts of a tensor's name in an adapter's file.
#[derive(Clone, Debug, PartialEq)]
struct ParsedName {
    /// The module, without wrappers and PEFT's prefix.
    module: String,
    /// `None` if the tensor matters only in training, or only when the adapter is off.
    kind: Option<TensorKind>,
    /// The adapter's name, if the tensor's name contains it.
    adapter: Option<String>,
    /// Whether PEFT itself recognises the name.
    is_peft: bool,
}

impl ParsedName {
    /// Parses a name. Returns `None` if the tensor is of no known kind.
    fn from_name(name: &str) -> Option<Self> {
        let bare: Vec<&str> = name.split('.').filter(|part| !WRAPPERS.contains(part)).collect();
        let mut parts = &bare[..];
        while let ["base_model", rest @ ..] = parts {
            parts = match rest {
                ["model", inner @ ..] => inner,
                _ => rest,
            };
        }
        let begin = parts.iter().rposition(|part| PEFT_PARTS.contains(part));
        let (module, ending) = parts.split_at(begin.unwrap_or(parts.len().saturating_sub(1)));
        // PEFT stores an embedding table with trained tokens as `token_adapter.base_layer`.
        let module = module.strip_suffix(&["token_adapter"]).unwrap_or(module);
        let (kind, adapter) = match *ending {
            ["lora_A", "weight"] => (Some(TensorKind::Down), None),
            ["lora_A", adapter, "weight"] => (Some(TensorKind::Down), Some(adapter)),
            ["lora_B", "weight"] => (Some(TensorKind::Up), None),
            ["lora_B", adapter, "weight"] => (Some(TensorKind::Up), Some(adapter)),
            ["lora_B", "bias"] => (Some(TensorKind::UpBias), None),
            ["lora_B", adapter, "bias"] => (Some(TensorKind::UpBias), Some(adapter)),
            ["lora_embedding_A"] => (Some(TensorKind::Down), None),
            ["lora_embedding_A", adapter] => (Some(TensorKind::Down), Some(adapter)),
            ["lora_embedding_B"] => (Some(TensorKind::Up), None),
            ["lora_embedding_B", adapter] => (Some(TensorKind::Up), Some(adapter)),
            ["lora_magnitude_vector"] | ["lora_magnitude_vector", "weight"] => {
                (Some(TensorKind::Magnitude), None)
            }
            ["lora_magnitude_vector", adapter] | ["lora_magnitude_vector", adapter, "weight"] => {
                (Some(TensorKind::Magnitude), Some(adapter))
            }
            ["token_adapter", "trainable_tokens_delta"] => (Some(TensorKind::Tokens), None),
            ["token_adapter", "trainable_tokens_delta", adapter] => {
                (Some(TensorKind::Tokens), Some(adapter))
            }
            ["base_layer", "weight"] => (Some(TensorKind::Base), None),
            ["base_layer", "bias"] => (Some(TensorKind::Bias), None),
            ["modules_to_save", "weight"] => (Some(TensorKind::Weight), None),
            ["modules_to_save", adapter, "weight"] => (Some(TensorKind::Weight), Some(adapter)),
            ["modules_to_save", "bias"] => (Some(TensorKind::Bias), None),
            ["modules_to_save", adapter, "bias"] => (Some(TensorKind::Bias), Some(adapter)),
            ["original_module" | "lora_velora_embed" | "lora_monteclora_sampler", ..] => {
                (None, None)
            }
            ["weight"] => (Some(TensorKind::Weight), None),
            ["bias"] => (Some(TensorKind::Bias), None),
            _ => return None,
        };
        // Other programs have names such as lora_down and lora_a for the factors.
        if module.is_empty() || module.iter().any(|part| part.starts_with("lora_")) {
            return None;
        }
        let module = module.join(".");
        let is_peft = name.strip_prefix(PEFT_PREFIX).is_some_and(|rest| rest.starts_with(&module))
            && adapter.is_none_or(|adapter| adapter == DEFAULT_ADAPTER)
            && !matches!(ending, ["modules_to_save", ..] | ["lora_magnitude_vector", "default"]);
        Some(Self { module, kind, adapter: adapter.map(ToOwned::to_owned), is_peft })
    }
}

/// The name of an adapter's tensor, and the module to which the tensor belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorName {
    /// The tensor's name in the file.
    pub name: String,
    /// The module, without wrappers and PEFT's prefix.
    pub module: String,
}

/// The tensors of an adapter's file, by module and kind.
///
/// ```
/// use llem_checkpoint::{TensorKind, TensorNames};
/// use std::path::Path;
///
/// let name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
/// let names = TensorNames::new([name.to_owned()], Path::new("adapter_model.safetensors"))?;
/// let tensor = names.get("model.layers.0.self_attn.q_proj", TensorKind::Down).unwrap();
/// assert_eq!((&tensor.name[..], &tensor.module[..]), (name, "model.layers.0.self_attn.q_proj"));
/// # Ok::<(), llem_checkpoint::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TensorNames {
    by_kind: BTreeMap<(String, TensorKind), TensorName>,
    /// Warnings for the run's record.
    pub warnings: Vec<String>,
}

impl TensorNames {
    /// Parses the names of a file's tensors. Messages name `path`.
    ///
    /// # Errors
    /// Returns an error if a tensor is of no known kind, if two names mean the same tensor, or if the file has several
    /// adapters and none with PEFT's default name.
    pub fn new(names: impl IntoIterator<Item = String>, path: &Path) -> Result<Self> {
        let bad = |name: &str, reason: &str| Error::file(path, format!("tensor {name} {reason}"));
        let mut parsed = Vec::new();
        // Sorted, so that messages name the same tensor in every run.
        for name in BTreeSet::from_iter(names) {
            let parts = ParsedName::from_name(&name).ok_or_else(|| {
                let example = format!("{PEFT_PREFIX}model.layers.0.self_attn.q_proj.lora_A.weight");
                bad(
                    &name,
                    &format!(
                        "is of no kind that PEFT saves for LoRA; it calls them like {example}"
                    ),
                )
            })?;
            parsed.push((name, parts));
        }
        let mut sorted = Self::default();
        let adapters: BTreeSet<&str> =
            parsed.iter().filter_map(|(_, parts)| parts.adapter.as_deref()).collect();
        let chosen = match adapters.len() {
            0 | 1 => None,
            _ if adapters.contains(DEFAULT_ADAPTER) => {
                let all = Vec::from_iter(adapters.iter().copied()).join(", ");
                sorted.warnings.push(format!(
                    "the file holds the adapters {all}: only {DEFAULT_ADAPTER} is used, as in PEFT"
                ));
                Some(DEFAULT_ADAPTER.to_owned())
            }
            _ => {
                let all = Vec::from_iter(adapters).join(", ");
                return Err(Error::file(
                    path,
                    format!(
                        "it holds the adapters {all}: save the one that is meant alone, with PEFT's selected_adapters"
                    ),
                ));
            }
        };
        let mut unlike_peft = None;
        for (name, ParsedName { module, kind, adapter, is_peft }) in parsed {
            let is_other_adapter = chosen.is_some() && adapter.is_some() && adapter != chosen;
            let Some(kind) = kind.filter(|_| !is_other_adapter) else { continue };
            if !is_peft {
                unlike_peft.get_or_insert_with(|| {
                    let read_as = format!("{PEFT_PREFIX}{module}{}", kind.ending(false));
                    format!("PEFT finds no tensor of the name {name}: it and its like are read as {read_as}")
                });
            }
            let key = (module_key(&module).to_owned(), kind);
            if let Some(first) =
                sorted.by_kind.insert(key, TensorName { name: name.clone(), module })
            {
                return Err(bad(&name, &format!("is there twice, also as {}", first.name)));
            }
        }
        sorted.warnings.extend(unlike_peft);
        Ok(sorted)
    }

    /// Returns the tensor of a kind that belongs to a module. The prefix before the module's layers does not matter.
    pub fn get(&self, module: &str, kind: TensorKind) -> Option<&TensorName> {
        self.by_kind.get(&(module_key(module).to_owned(), kind))
    }

    /// Removes the tensor of a kind that belongs to a module, and returns it.
    pub fn take(&mut self, module: &str, kind: TensorKind) -> Option<TensorName> {
        self.by_kind.remove(&(module_key(module).to_owned(), kind))
    }

    /// Returns all tensors.
    pub fn iter(&self) -> impl Iterator<Item = &TensorName> {
        self.by_kind.values()
    }

    /// Returns the first tensor of a kind, whatever its module, or `None` if there is none.
    pub fn example(&self, kind: TensorKind) -> Option<&TensorName> {
        self.by_kind.iter().find(|((_, other), _)| *other == kind).map(|(_, name)| name)
    }
}

/// Removes the names of the surrounding modules from a module's name. The result is the same for a model with a head, a
/// model without one, and the language model of a vision-language model.
///
/// ```
/// use llem_checkpoint::module_key;
///
/// assert_eq!(module_key("model.layers.0.mlp.up_proj"), "layers.0.mlp.up_proj");
/// assert_eq!(module_key("model.language_model.layers.0.mlp.up_proj"), "layers.0.mlp.up_proj");
/// ```
pub fn module_key(module: &str) -> &str {
    let mut rest = module;
    while let Some((first, inner)) = rest.split_once('.')
        && LAYER_PARENTS.contains(&first)
    {
        rest = inner;
    }
    rest
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    const Q: &str = "model.layers.0.self_attn.q_proj";

    fn names(names: &[&str]) -> Result<TensorNames> {
        TensorNames::new(names.iter().map(|name| (*name).to_owned()), Path::new("adapter"))
    }

    // `_remap_adapter_state_dict_for_load` of PEFT 0.21.2 recognises all these names, so there is no warning.
    #[test]
    fn names_of_peft_are_taken_apart() {
        for (ending, kind) in [
            ("lora_A.weight", TensorKind::Down),
            ("lora_A.default.weight", TensorKind::Down),
            ("lora_B.default.bias", TensorKind::UpBias),
            ("lora_embedding_B", TensorKind::Up),
            ("lora_embedding_B.default", TensorKind::Up),
            ("lora_magnitude_vector", TensorKind::Magnitude),
            ("lora_magnitude_vector.default.weight", TensorKind::Magnitude),
            ("base_layer.weight", TensorKind::Base),
            ("base_layer.bias", TensorKind::Bias),
            ("token_adapter.trainable_tokens_delta", TensorKind::Tokens),
            ("token_adapter.base_layer.weight", TensorKind::Base),
            ("weight", TensorKind::Weight),
        ] {
            let sorted = names(&[&format!("{PEFT_PREFIX}{Q}.{ending}")]).unwrap();
            assert!(sorted.get(Q, kind).is_some(), "{ending}");
            assert!(sorted.warnings.is_empty(), "{ending}: {:?}", sorted.warnings);
        }
    }

    #[test]
    fn what_matters_only_in_training_is_left_out() {
        let of_training = [
            "original_module.weight",
            "lora_velora_embed.default",
            "lora_monteclora_sampler.std_prior",
        ];
        let of_training = of_training.map(|ending| format!("{PEFT_PREFIX}{Q}.{ending}"));
        let sorted = names(&of_training.each_ref().map(String::as_str)).unwrap();
        assert_eq!(sorted.iter().count(), 0);
    }

    #[test]
    fn of_several_adapters_the_default_one_is_taken() {
        let of = |adapter: &str| format!("{PEFT_PREFIX}{Q}.lora_A.{adapter}.weight");
        let sorted = names(&[&of("reference"), &of("default")]).unwrap();
        assert_eq!(sorted.get(Q, TensorKind::Down).unwrap().name, of("default"));
        assert!(sorted.warnings[0].contains("default, reference"), "{:?}", sorted.warnings);
        let refusal = names(&[&of("one"), &of("two")]).unwrap_err().to_string();
        assert!(refusal.contains("one, two"), "{refusal}");
    }

    #[test]
    fn two_names_of_one_tensor_are_refused() {
        let twice = [&format!("{PEFT_PREFIX}{Q}.lora_A.weight"), &format!("{Q}.lora_A.weight")[..]];
        let refusal = names(&twice).unwrap_err().to_string();
        assert!(refusal.contains("there twice"), "{refusal}");
    }

    #[test]
    fn layers_are_the_same_within_any_model() {
        let key = "layers.0.self_attn.q_proj";
        for module in [
            Q,
            key,
            "language_model.model.layers.0.self_attn.q_proj",
            "model.language_model.layers.0.self_attn.q_proj",
        ] {
            assert_eq!(module_key(module), key);
        }
        assert_eq!(module_key("transformer.wte"), "wte");
        assert_eq!(module_key("lm_head"), "lm_head");
        let of_vision = "model.vision_tower.encoder.layers.0.self_attn.q_proj";
        assert_ne!(module_key(of_vision), key);
    }
}
