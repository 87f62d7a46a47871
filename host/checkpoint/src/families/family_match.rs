//! Finds the family of a `config.json`. `model_type` decides, whatever `architectures` says, as in transformers'
//! `AutoModelForCausalLM`. If a file has no `model_type`, `architectures` decides. transformers refuses such a file.

use super::{FAMILIES, Family};
use serde_json::{Map, Value};

/// Models of images and text whose language model belongs to a family of this crate. `AutoModelForCausalLM` loads that
/// language model. Each entry has the `model_type` of the whole model, and the `model_type` of the language model that
/// applies if the inner config names none.
const WITH_IMAGES: [(&str, &str); 2] = [("gemma3", "gemma3_text"), ("mistral3", "mistral")];

/// The family of a file, and the fields of its language model.
pub(super) struct FamilyMatch {
    pub family: &'static Family,
    /// The fields of the language model's config.
    pub fields: Map<String, Value>,
    /// Sentences about what contradicts the family.
    pub warnings: Vec<String>,
}

/// Why no family is found for a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum FamilyError {
    /// `model_type` is neither a string nor `null`.
    #[error("model_type must be a string")]
    ModelTypeNotText,

    /// The architecture has another head than a language model's.
    #[error(
        "\"architectures\" names {0}, which has another head than a language model's: this version runs {known}",
        known = known_architectures()
    )]
    OtherHead(String),

    /// The file has no `model_type`, and no family has its architecture.
    #[error(
        "unknown architecture '{0}' in \"architectures\"; this version runs {known}",
        known = known_architectures()
    )]
    UnknownArchitecture(String),

    /// The file has neither a `model_type` nor an architecture.
    #[error(
        "neither \"model_type\" nor \"architectures\" says what model it is of: set \"model_type\", for instance to \"llama\""
    )]
    Unnamed,

    /// A model of images and text has no config of its language model. The value is its `model_type`.
    #[error("\"text_config\" is missing or no object: a {0} describes its language model there")]
    NoTextConfig(String),

    /// No family has the file's `model_type`.
    #[error(
        "unknown model_type '{model_type}'{}{}; this version runs {}",
        architecture.as_deref().map_or_else(String::new, |name| format!(" ({name})")),
        if *has_images { ", of images and text" } else { "" },
        known_architectures()
    )]
    UnknownModelType {
        /// The `model_type` of the language model.
        model_type: String,
        /// The architecture that the file names.
        architecture: Option<String>,
        /// Whether the file describes a model of images and text.
        has_images: bool,
    },
}

/// Finds the family of a file by its fields.
///
/// # Errors
/// Returns an error if this version runs no such family.
pub(super) fn find(fields: Map<String, Value>) -> Result<FamilyMatch, FamilyError> {
    let architecture = fields.get("architectures").and_then(|names| names.get(0));
    let architecture = architecture.and_then(Value::as_str).map(str::to_owned);
    let model_type = match fields.get("model_type") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name.clone()),
        Some(_) => return Err(FamilyError::ModelTypeNotText),
    };
    if let Some(other) = architecture.as_deref().filter(|name| !is_language_model(name)) {
        return Err(FamilyError::OtherHead(other.to_owned()));
    }
    match (model_type, architecture) {
        (Some(model_type), architecture) => find_by_model_type(fields, &model_type, architecture),
        (None, Some(architecture)) => {
            let family = FAMILIES.iter().find(|family| is_architecture_of(family, &architecture));
            let family = family.ok_or(FamilyError::UnknownArchitecture(architecture))?;
            Ok(FamilyMatch { family, fields, warnings: Vec::new() })
        }
        (None, None) => Err(FamilyError::Unnamed),
    }
}

fn find_by_model_type(
    mut fields: Map<String, Value>,
    model_type: &str,
    architecture: Option<String>,
) -> Result<FamilyMatch, FamilyError> {
    let with_images = WITH_IMAGES.iter().find(|(kind, _)| *kind == model_type);
    let mut model_type = model_type.to_owned();
    if let Some((_, default)) = with_images {
        let mut text = match fields.remove("text_config") {
            Some(Value::Object(text)) => text,
            _ => return Err(FamilyError::NoTextConfig(model_type)),
        };
        model_type = text.get("model_type").and_then(Value::as_str).unwrap_or(default).to_owned();
        // The LM head belongs to the outer model, so its config decides whether the head is tied.
        let tied = fields.get("tie_word_embeddings").cloned().unwrap_or(Value::Bool(true));
        text.insert("tie_word_embeddings".to_owned(), tied);
        for outer in ["dtype", "torch_dtype", "eos_token_id", "quantization_config"] {
            if let Some(value) = fields.get(outer) {
                text.insert(outer.to_owned(), value.clone());
            }
        }
        fields = text;
    }
    let family = FAMILIES.iter().find(|family| family.class.model_type == model_type);
    let Some(family) = family else {
        let has_images = fields.contains_key("vision_config");
        return Err(FamilyError::UnknownModelType { model_type, architecture, has_images });
    };
    let contradicts = |name: &String| with_images.is_none() && !is_architecture_of(family, name);
    let warnings = architecture.filter(contradicts).map(|name| {
        format!(
            "config.json: \"architectures\" names {name} and \"model_type\" {model_type}: it is read as {}, as transformers does",
            family.class.architecture
        )
    });
    Ok(FamilyMatch { family, fields, warnings: warnings.into_iter().collect() })
}

/// Returns `true` if an architecture's name belongs to a family: the name with or without the ending for a head, in any
/// upper and lower case.
fn is_architecture_of(family: &Family, architecture: &str) -> bool {
    without_head_ending(architecture)
        .eq_ignore_ascii_case(without_head_ending(family.class.architecture))
}

/// Returns an architecture's name without the ending that describes its head.
fn without_head_ending(architecture: &str) -> &str {
    let endings = ["ForCausalLM", "LMHeadModel", "DoubleHeadsModel", "TextModel", "Model"];
    endings.iter().find_map(|ending| architecture.strip_suffix(ending)).unwrap_or(architecture)
}

/// Returns `true` unless an architecture's name says that it has another head than a language model's.
fn is_language_model(architecture: &str) -> bool {
    let other =
        ["Classification", "QuestionAnswering", "RewardModel", "MultipleChoice", "ForEmbedding"];
    !other.iter().any(|head| architecture.contains(head))
}

/// Returns the architectures that this version runs, for messages.
fn known_architectures() -> String {
    let names: Vec<_> = FAMILIES.iter().map(|family| family.class.architecture).collect();
    names.join(", ")
}
