//! The effect of each field of a LoRA config on a model that is run, not trained.

use serde_json::{Map, Value};

/// The effect of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// The field matters only in training, or repeats what the tensors show.
    None,
    /// The field is read in `adapter_config.rs` or `targets.rs`.
    Read,
    /// The field changes results in a way that this version does not support. The text names the method.
    Unsupported(&'static str),
}

/// All fields of `LoraConfig` in PEFT 0.21 (`peft/tuners/lora/config.py` and `peft/config.py`).
const FIELDS: &[(&str, Effect)] = &[
    ("alora_invocation_tokens", Effect::Unsupported("aLoRA, which is on from an invocation on")),
    ("alpha_pattern", Effect::Read),
    (
        "arrow_config",
        Effect::Unsupported("Arrow, which routes each token through several adapters"),
    ),
    ("auto_mapping", Effect::None),
    ("base_model_name_or_path", Effect::Read),
    ("bias", Effect::Read),
    ("corda_config", Effect::None), // init_lora_weights says whether it was used
    ("ensure_weight_tying", Effect::None), // the tensors say what it did
    ("eva_config", Effect::None),
    ("exclude_modules", Effect::Read),
    ("fan_in_fan_out", Effect::None), // PEFT sets it by the layer's class, whatever the file says
    ("inference_mode", Effect::None),
    ("init_lora_weights", Effect::Read),
    ("kasa_config", Effect::Unsupported("KaSA, which cuts singular values of the base weights")),
    ("layer_replication", Effect::Unsupported("a model of repeated layers")),
    ("layers_pattern", Effect::Read),
    ("layers_to_transform", Effect::Read),
    ("loftq_config", Effect::None), // init_lora_weights says whether it was used
    ("lora_alpha", Effect::Read),
    ("lora_bias", Effect::Read),
    ("lora_dropout", Effect::None),
    ("lora_ga_config", Effect::None), // init_lora_weights says whether it was used
    ("megatron_config", Effect::None), // matters for Megatron's own layers
    ("megatron_core", Effect::None),
    ("modules_to_save", Effect::Read),
    ("monteclora_config", Effect::None), // samples only while training
    ("peft_type", Effect::Read),
    ("peft_version", Effect::None),
    ("qalora_group_size", Effect::None), // without use_qalora
    ("r", Effect::Read),
    ("rank_pattern", Effect::Read),
    ("revision", Effect::None),
    ("runtime_config", Effect::None),
    ("target_modules", Effect::Read),
    ("target_parameters", Effect::Read),
    ("task_type", Effect::None),
    ("trainable_token_indices", Effect::Read),
    ("use_bdlora", Effect::Unsupported("BD-LoRA, whose factors are blocks")),
    ("use_dora", Effect::Read),
    ("use_qalora", Effect::Unsupported("QA-LoRA, which pools inputs")),
    ("use_rslora", Effect::Read),
    ("velora_config", Effect::None), // compresses what training keeps
];

/// Why a config asks for more than LoRA.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum PeftFieldError {
    /// A field is set whose effect is not supported.
    #[error(
        "{name} is set ({value}): {effect}, is not supported; merge the adapter with PEFT's merge_and_unload and load the saved model"
    )]
    UnsupportedField {
        /// The name of the field.
        name: String,
        /// The value in the file.
        value: Value,
        /// The name of the method that the field switches on.
        effect: &'static str,
    },

    /// The adapter's method is not LoRA, and PEFT can merge it into the model.
    #[error(
        "peft_type is '{0}', and only LORA adapters are read: merge it with PEFT's merge_and_unload and load the saved model"
    )]
    MergeableMethod(String),

    /// The adapter's method is not LoRA, and cannot be merged into the model.
    #[error("peft_type is '{0}', and only LORA adapters are read: train a LoRA adapter instead")]
    MethodWithoutMerge(String),
}

/// Returns `true` if a value leaves a method switched off.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Refuses fields whose effect is not supported. Returns a warning about fields that PEFT does not know. They are
/// ignored, as in `from_peft_type` of `peft/config.py`.
pub(super) fn check_fields(config: &Map<String, Value>) -> Result<Option<String>, PeftFieldError> {
    let mut unknown = Vec::new();
    for (name, value) in config {
        match FIELDS.iter().find(|(known, _)| known == name).map(|(_, effect)| *effect) {
            Some(Effect::Unsupported(effect)) if !is_off(value) => {
                let (name, value) = (name.clone(), value.clone());
                return Err(PeftFieldError::UnsupportedField { name, value, effect });
            }
            Some(_) => {}
            None => unknown.push(name.as_str()),
        }
    }
    Ok((!unknown.is_empty()).then(|| {
        format!("fields that PEFT does not know are left out, as it does: {}", unknown.join(", "))
    }))
}

/// The methods of PEFT that cannot be merged into a model, because they add tokens or layers and do not change weights.
const WITHOUT_MERGE: &[&str] = &[
    "PROMPT_TUNING",
    "MULTITASK_PROMPT_TUNING",
    "P_TUNING",
    "PREFIX_TUNING",
    "ADAPTION_PROMPT",
    "CPT",
    "CARTRIDGE",
    "XLORA",
    "POLY",
    "SHADOW",
];

/// Refuses all methods except LoRA.
pub(super) fn check_method(peft_type: Option<&Value>) -> Result<(), PeftFieldError> {
    let Some(method) = peft_type.filter(|method| !method.is_null()) else { return Ok(()) };
    let method = method.as_str().map_or_else(|| method.to_string(), ToOwned::to_owned);
    if method.eq_ignore_ascii_case("LORA") {
        return Ok(());
    }
    Err(match WITHOUT_MERGE.contains(&&*method) {
        true => PeftFieldError::MethodWithoutMerge(method),
        false => PeftFieldError::MergeableMethod(method),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    /// Reads what `tests/fixtures/make-lora-config` found in PEFT.
    fn known_to_peft() -> Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/lora-config.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn every_field_of_peft_is_known_and_no_other() {
        let peft = known_to_peft();
        let theirs: Vec<&String> = peft["fields"].as_object().unwrap().keys().collect();
        let mut theirs: Vec<&str> = theirs.into_iter().map(String::as_str).collect();
        theirs.sort_unstable();
        let ours: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
        assert_eq!(ours, theirs);
    }

    #[test]
    fn defaults_of_peft_are_accepted_without_a_warning() {
        let peft = known_to_peft();
        assert_eq!(check_fields(peft["fields"].as_object().unwrap()), Ok(None));
    }

    #[test]
    fn every_other_method_is_refused_by_name() {
        let peft = known_to_peft();
        let methods = peft["methods"].as_array().unwrap();
        assert!(methods.len() > 40);
        for method in methods {
            let (answer, name) = (check_method(Some(method)), method.as_str().unwrap());
            match name {
                "LORA" => assert_eq!(answer, Ok(())),
                _ => assert!(answer.unwrap_err().to_string().contains(&format!("'{name}'"))),
            }
        }
        for method in WITHOUT_MERGE {
            assert!(methods.iter().any(|known| known == method), "{method}");
        }
    }
}
