//! The names of an adapter's tensors, taken apart: which module each belongs to, and what it is to it.
//!
//! ```text
//! _orig_mod.base_model.model.model._fsdp_wrapped_module.layers.0.self_attn.q_proj.lora_A.default.weight
//! └─wrapper  └─PEFT's prefix      └─wrapper            └─module                  └─part └─adapter's name
//! ```
//!
//! PEFT itself finds `base_model.model.MODULE.lora_A.weight`, with or without the adapter's own name behind
//! the part (`_remap_adapter_state_dict_for_load` in `peft/tuners/tuners_utils.py`, PEFT 0.21).

use crate::{Error, Result};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// What a tensor is to its module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A of the factors, `[rank, inputs]`.
    Down,
    /// B of the factors, `[outputs, rank]`.
    Up,
    /// Added with what `Up` gives, `[outputs]`.
    UpBias,
    /// DoRA's magnitudes, `[outputs]`.
    Magnitude,
    /// Rows of a table that were trained, `[tokens, hidden]`.
    Tokens,
    /// A whole weight in place of the base model's.
    Weight,
    /// A whole bias in place of the base model's.
    Bias,
    /// The base model's own weight, which PEFT saves beside the factors of an embedding.
    Base,
}

impl Part {
    /// How PEFT ends the name of such a tensor of a module; a table of embeddings has names of its own.
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

/// What PEFT puts before a module's name.
pub const PREFIX: &str = "base_model.model.";

/// Parts of names that programs add which wrap a model's modules: torch.compile, FSDP, activation checkpointing, data
/// parallelism and DeepSpeed, Lightning. No family has modules of these names.
const WRAPPERS: &[&str] = &[
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
    "module",
    "_forward_module",
];

/// Where a decoder's layers stand within the models that transformers wraps around them: with a head, or as
/// the language model of a vision-language one.
const AROUND_LAYERS: &[&str] =
    &["model", "language_model", "text_model", "transformer", "gpt_neox"];

/// Marks behind a module's name that begin what PEFT adds to it.
const MARKS: &[&str] = &[
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

/// The name that PEFT gives an adapter where the trainer gives it none.
const DEFAULT_ADAPTER: &str = "default";

/// A name, taken apart.
#[derive(Clone, Debug, PartialEq)]
struct Parsed {
    /// The module, without wrappers and PEFT's prefix.
    module: String,
    /// `None` if the tensor matters only while training, or where the adapter is off.
    part: Option<Part>,
    /// The adapter's name.
    adapter: Option<String>,
    /// Whether PEFT finds it under this name, if the module is the model's.
    is_peft: bool,
}

impl Parsed {
    /// Returns `None` if the name is of no kind that is known.
    fn of(name: &str) -> Option<Self> {
        let bare: Vec<&str> = name.split('.').filter(|part| !WRAPPERS.contains(part)).collect();
        let mut parts = &bare[..];
        while let ["base_model", rest @ ..] = parts {
            parts = match rest {
                ["model", inner @ ..] => inner,
                _ => rest,
            };
        }
        let mark = parts.iter().rposition(|part| MARKS.contains(part));
        let (module, ending) = parts.split_at(mark.unwrap_or(parts.len().saturating_sub(1)));
        // PEFT keeps a table with trained tokens as `token_adapter.base_layer`.
        let module = module.strip_suffix(&["token_adapter"]).unwrap_or(module);
        let (part, adapter) = match *ending {
            ["lora_A", "weight"] => (Some(Part::Down), None),
            ["lora_A", adapter, "weight"] => (Some(Part::Down), Some(adapter)),
            ["lora_B", "weight"] => (Some(Part::Up), None),
            ["lora_B", adapter, "weight"] => (Some(Part::Up), Some(adapter)),
            ["lora_B", "bias"] => (Some(Part::UpBias), None),
            ["lora_B", adapter, "bias"] => (Some(Part::UpBias), Some(adapter)),
            ["lora_embedding_A"] => (Some(Part::Down), None),
            ["lora_embedding_A", adapter] => (Some(Part::Down), Some(adapter)),
            ["lora_embedding_B"] => (Some(Part::Up), None),
            ["lora_embedding_B", adapter] => (Some(Part::Up), Some(adapter)),
            ["lora_magnitude_vector"] | ["lora_magnitude_vector", "weight"] => {
                (Some(Part::Magnitude), None)
            }
            ["lora_magnitude_vector", adapter] | ["lora_magnitude_vector", adapter, "weight"] => {
                (Some(Part::Magnitude), Some(adapter))
            }
            ["token_adapter", "trainable_tokens_delta"] => (Some(Part::Tokens), None),
            ["token_adapter", "trainable_tokens_delta", adapter] => {
                (Some(Part::Tokens), Some(adapter))
            }
            ["base_layer", "weight"] => (Some(Part::Base), None),
            ["base_layer", "bias"] => (Some(Part::Bias), None),
            ["modules_to_save", "weight"] => (Some(Part::Weight), None),
            ["modules_to_save", adapter, "weight"] => (Some(Part::Weight), Some(adapter)),
            ["modules_to_save", "bias"] => (Some(Part::Bias), None),
            ["modules_to_save", adapter, "bias"] => (Some(Part::Bias), Some(adapter)),
            ["original_module" | "lora_velora_embed" | "lora_monteclora_sampler", ..] => {
                (None, None)
            }
            ["weight"] => (Some(Part::Weight), None),
            ["bias"] => (Some(Part::Bias), None),
            _ => return None,
        };
        // Other programs call factors lora_down, lora_a and the like.
        if module.is_empty() || module.iter().any(|part| part.starts_with("lora_")) {
            return None;
        }
        let module = module.join(".");
        let is_peft = name.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with(&module))
            && adapter.is_none_or(|adapter| adapter == DEFAULT_ADAPTER)
            && !matches!(ending, ["modules_to_save", ..] | ["lora_magnitude_vector", "default"]);
        Some(Self { module, part, adapter: adapter.map(ToOwned::to_owned), is_peft })
    }
}

/// A tensor of an adapter's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorName {
    /// Its name in the file.
    pub name: String,
    /// Its module, without wrappers and PEFT's prefix.
    pub module: String,
}

/// The tensors of an adapter's file, by what they are to which module.
#[derive(Clone, Debug, Default)]
pub struct TensorNames {
    by_part: BTreeMap<(String, Part), TensorName>,
    /// What the run's record is to say of them.
    pub warnings: Vec<String>,
}

impl TensorNames {
    /// Sorts the names of a file's tensors; `path` is for messages.
    ///
    /// # Errors
    /// If a tensor is of no known kind, if two are the same, or if the file holds several adapters of which
    /// none has PEFT's own name.
    pub fn new(names: impl IntoIterator<Item = String>, path: &Path) -> Result<Self> {
        let bad = |name: &str, reason: &str| Error::file(path, format!("tensor {name} {reason}"));
        let mut parsed = Vec::new();
        // Sorted, so that messages name the same tensor each time.
        for name in BTreeSet::from_iter(names) {
            let parts = Parsed::of(&name).ok_or_else(|| {
                let example = format!("{PREFIX}model.layers.0.self_attn.q_proj.lora_A.weight");
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
        let mut other_than_peft = None;
        for (name, Parsed { module, part, adapter, is_peft }) in parsed {
            let is_of_other = chosen.is_some() && adapter.is_some() && adapter != chosen;
            let Some(part) = part.filter(|_| !is_of_other) else { continue };
            if !is_peft {
                other_than_peft.get_or_insert_with(|| {
                    let read_as = format!("{PREFIX}{module}{}", part.ending(false));
                    format!("PEFT finds no tensor of the name {name}: it and its like are read as {read_as}")
                });
            }
            let key = (key_of(&module).to_owned(), part);
            if let Some(first) =
                sorted.by_part.insert(key, TensorName { name: name.clone(), module })
            {
                return Err(bad(&name, &format!("is there twice, also as {}", first.name)));
            }
        }
        sorted.warnings.extend(other_than_peft);
        Ok(sorted)
    }

    /// The tensor that is this to a module, under whatever prefix the module's layers stand.
    pub fn get(&self, module: &str, part: Part) -> Option<&TensorName> {
        self.by_part.get(&(key_of(module).to_owned(), part))
    }

    /// Takes that tensor out.
    pub fn take(&mut self, module: &str, part: Part) -> Option<TensorName> {
        self.by_part.remove(&(key_of(module).to_owned(), part))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &TensorName> {
        self.by_part.values()
    }

    /// One that is this to any module.
    pub fn example(&self, part: Part) -> Option<&TensorName> {
        self.by_part.iter().find(|((_, is), _)| *is == part).map(|(_, name)| name)
    }
}

/// A module's name from where the decoder's layers begin, which is the same with a head, without one, and
/// within a vision-language model: `layers.0.mlp.up_proj` of `model.language_model.layers.0.mlp.up_proj`.
pub fn key_of(module: &str) -> &str {
    let mut rest = module;
    while let Some((first, inner)) = rest.split_once('.')
        && AROUND_LAYERS.contains(&first)
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

    // As `_remap_adapter_state_dict_for_load` of PEFT 0.21.2 finds them, without a warning.
    #[test]
    fn names_of_peft_are_taken_apart() {
        for (ending, part) in [
            ("lora_A.weight", Part::Down),
            ("lora_A.default.weight", Part::Down),
            ("lora_B.default.bias", Part::UpBias),
            ("lora_embedding_B", Part::Up),
            ("lora_embedding_B.default", Part::Up),
            ("lora_magnitude_vector", Part::Magnitude),
            ("lora_magnitude_vector.default.weight", Part::Magnitude),
            ("base_layer.weight", Part::Base),
            ("base_layer.bias", Part::Bias),
            ("token_adapter.trainable_tokens_delta", Part::Tokens),
            ("token_adapter.base_layer.weight", Part::Base),
            ("weight", Part::Weight),
        ] {
            let sorted = names(&[&format!("{PREFIX}{Q}.{ending}")]).unwrap();
            assert!(sorted.get(Q, part).is_some(), "{ending}");
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
        let of_training = of_training.map(|ending| format!("{PREFIX}{Q}.{ending}"));
        let sorted = names(&of_training.each_ref().map(String::as_str)).unwrap();
        assert_eq!(sorted.iter().count(), 0);
    }

    #[test]
    fn of_several_adapters_the_default_one_is_taken() {
        let of = |adapter: &str| format!("{PREFIX}{Q}.lora_A.{adapter}.weight");
        let sorted = names(&[&of("reference"), &of("default")]).unwrap();
        assert_eq!(sorted.get(Q, Part::Down).unwrap().name, of("default"));
        assert!(sorted.warnings[0].contains("default, reference"), "{:?}", sorted.warnings);
        let refusal = names(&[&of("one"), &of("two")]).unwrap_err().to_string();
        assert!(refusal.contains("one, two"), "{refusal}");
    }

    #[test]
    fn two_names_of_one_tensor_are_refused() {
        let twice = [&format!("{PREFIX}{Q}.lora_A.weight"), &format!("{Q}.lora_A.weight")[..]];
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
            assert_eq!(key_of(module), key);
        }
        assert_eq!(key_of("transformer.wte"), "wte");
        assert_eq!(key_of("lm_head"), "lm_head");
        let of_vision = "model.vision_tower.encoder.layers.0.self_attn.q_proj";
        assert_ne!(key_of(of_vision), key);
    }
}
