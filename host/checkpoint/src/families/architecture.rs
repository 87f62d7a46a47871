//! Which family a `config.json` is of. As `AutoModelForCausalLM`, by `model_type`, whatever `architectures` says; files
//! without one, which it refuses, by `architectures`.

use super::{FAMILIES, Family};
use serde_json::{Map, Value};

/// Models of images and text whose language model is of a family here, as `AutoModelForCausalLM` loads them:
/// their `model_type`, and that of the language model where its own config names none.
const WITH_IMAGES: [(&str, &str); 2] = [("gemma3", "gemma3_text"), ("mistral3", "mistral")];

/// A family, and what is said of its language model.
pub struct Found {
    /// Whose file it is.
    pub family: &'static Family,
    /// The fields of its language model.
    pub fields: Map<String, Value>,
    /// What contradicts that, a sentence each.
    pub warnings: Vec<String>,
}

/// The family of a file.
///
/// # Errors
/// The reason where this version has none.
pub fn find(fields: Map<String, Value>) -> Result<Found, String> {
    let architecture = fields.get("architectures").and_then(|names| names.get(0));
    let architecture = architecture.and_then(Value::as_str).map(str::to_owned);
    let model_type = match fields.get("model_type") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name.clone()),
        Some(_) => return Err("model_type must be a string".to_owned()),
    };
    if let Some(other) = architecture.as_deref().filter(|name| !is_language_model(name)) {
        return Err(format!(
            "\"architectures\" names {other}, which has another head than a language model's: this version runs {}",
            known()
        ));
    }
    match (model_type, architecture) {
        (Some(model_type), architecture) => of_model_type(fields, &model_type, architecture),
        (None, Some(architecture)) => {
            let family = FAMILIES.iter().find(|family| is_of(family, &architecture));
            let family = family.ok_or_else(|| {
                format!("unknown architecture '{architecture}' in \"architectures\"; this version runs {}", known())
            })?;
            Ok(Found { family, fields, warnings: Vec::new() })
        }
        (None, None) => Err(
            "neither \"model_type\" nor \"architectures\" says what model it is of: set \"model_type\", for instance to \"llama\""
                .to_owned(),
        ),
    }
}

fn of_model_type(
    mut fields: Map<String, Value>,
    model_type: &str,
    architecture: Option<String>,
) -> Result<Found, String> {
    let with_images = WITH_IMAGES.iter().find(|(kind, _)| *kind == model_type);
    let mut model_type = model_type.to_owned();
    if let Some((_, default)) = with_images {
        let mut text = match fields.remove("text_config") {
            Some(Value::Object(text)) => text,
            _ => {
                return Err(format!(
                    "\"text_config\" is missing or no object: a {model_type} describes its language model there"
                ));
            }
        };
        model_type = text.get("model_type").and_then(Value::as_str).unwrap_or(default).to_owned();
        // The outer model has the head, and decides whether it is tied.
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
    let family = family.ok_or_else(|| {
        let named = architecture.as_deref().map_or_else(String::new, |name| format!(" ({name})"));
        let images = if fields.contains_key("vision_config") { ", of images and text" } else { "" };
        format!("unknown model_type '{model_type}'{named}{images}; this version runs {}", known())
    })?;
    let contradicts = |name: &String| with_images.is_none() && !is_of(family, name);
    let warnings = architecture.filter(contradicts).map(|name| {
        format!(
            "config.json: \"architectures\" names {name} and \"model_type\" {model_type}: it is read as {}, as transformers does",
            family.class.architecture
        )
    });
    Ok(Found { family, fields, warnings: warnings.into_iter().collect() })
}

/// Whether an architecture's name is of a family: its language model's, its model's without a head, or an older
/// spelling of either.
fn is_of(family: &Family, architecture: &str) -> bool {
    stem(architecture).eq_ignore_ascii_case(stem(family.class.architecture))
}

/// An architecture's name without what it says of its head.
fn stem(architecture: &str) -> &str {
    let endings = ["ForCausalLM", "LMHeadModel", "DoubleHeadsModel", "TextModel", "Model"];
    endings.iter().find_map(|ending| architecture.strip_suffix(ending)).unwrap_or(architecture)
}

/// Whether an architecture has the head of a language model, or none.
fn is_language_model(architecture: &str) -> bool {
    let other =
        ["Classification", "QuestionAnswering", "RewardModel", "MultipleChoice", "ForEmbedding"];
    !other.iter().any(|head| architecture.contains(head))
}

/// For messages.
fn known() -> String {
    let names: Vec<_> = FAMILIES.iter().map(|family| family.class.architecture).collect();
    names.join(", ")
}
