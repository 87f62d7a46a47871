//! The special tokens that the files beside a tokenizer name, read as transformers reads them
//! (`tokenization_utils_base.py`, version 5).

use crate::{Result, gguf::Gguf, text_file};
use serde_json::Value;
use std::path::Path;

/// The names that special tokens have, and what GGUF calls their ids: transformers' `SPECIAL_TOKENS_ATTRIBUTES` in its
/// order, and ggml's `docs/gguf.md`.
const ROLES: [(&str, &str); 7] = [
    ("bos_token", "tokenizer.ggml.bos_token_id"),
    ("eos_token", "tokenizer.ggml.eos_token_id"),
    ("unk_token", "tokenizer.ggml.unknown_token_id"),
    // Spelled so in the format.
    ("sep_token", "tokenizer.ggml.seperator_token_id"),
    ("pad_token", "tokenizer.ggml.padding_token_id"),
    ("cls_token", "tokenizer.ggml.cls_token_id"),
    ("mask_token", "tokenizer.ggml.mask_token_id"),
];

/// The file of a folder that says how its tokenizer is used.
pub(crate) const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

/// Files of a folder that name special tokens.
pub(crate) const FILES: [&str; 2] = [TOKENIZER_CONFIG, "special_tokens_map.json"];

/// The special tokens that are named, by role or in a list.
#[derive(Clone, Debug, Default)]
pub struct SpecialTokens {
    /// Role and text: those of [`ROLES`] that there are, in that order.
    roles: Vec<(&'static str, String)>,
    /// Those without such a role.
    others: Vec<String>,
}

impl SpecialTokens {
    /// What `tokenizer_config.json` names, and `special_tokens_map.json` where that holds no `added_tokens_decoder`
    /// (from then on transformers keeps all in the former). Nothing where the folder has neither.
    ///
    /// # Errors
    /// A file is no JSON.
    pub fn read(folder: &Path) -> Result<Self> {
        let [config, legacy] = FILES.map(|name| folder.join(name));
        let object = |path: &Path| match path.is_file() {
            true => text_file::parse::<Value>(&text_file::read(path)?, path),
            false => Ok(Value::Null),
        };
        let mut config = object(&config)?;
        if config.get("added_tokens_decoder").is_none()
            && let Value::Object(named) = object(&legacy)?
        {
            match config.as_object_mut() {
                Some(config) => config.extend(named),
                None => config = Value::Object(named),
            }
        }
        Ok(Self::of_config(&config))
    }

    fn of_config(config: &Value) -> Self {
        let is_role = |key: &str| ROLES.iter().any(|(role, _)| *role == key);
        let roles = ROLES.iter().filter_map(|&(role, _)| Some((role, text(&config[role])?)));
        // Other keys of that ending are a model's own roles, as `image_token`.
        let own = (config.as_object().into_iter().flatten())
            .filter(|(key, _)| key.ends_with("_token") && !is_role(key))
            .filter_map(|(_, value)| text(value));
        let extra = config.get("extra_special_tokens").filter(|extra| !extra.is_null());
        let extra = match extra.unwrap_or(&config["additional_special_tokens"]) {
            Value::Object(named) => named.values().filter_map(text).collect(),
            Value::Array(all) => all.iter().filter_map(text).collect(),
            _ => Vec::new(),
        };
        Self { roles: roles.collect(), others: own.chain(extra).collect() }
    }

    /// Those whose ids a GGUF file's metadata tells.
    pub fn from_gguf(gguf: &Gguf) -> Self {
        let roles = ROLES.iter().filter_map(|&(role, id)| Some((role, gguf.token(id)?)));
        Self { roles: roles.collect(), others: Vec::new() }
    }

    /// Given ones, by role.
    pub(crate) fn of_roles(roles: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        let roles = roles.into_iter().map(|(role, text)| (role, text.to_owned())).collect();
        Self { roles, others: Vec::new() }
    }

    /// Role and text of those that have a role, as `bos_token` and `<s>`.
    pub fn roles(&self) -> &[(&'static str, String)] {
        &self.roles
    }

    /// The text of the one with that role, as `bos_token`.
    pub fn role(&self, role: &str) -> Option<&str> {
        self.roles.iter().find(|(named, _)| *named == role).map(|(_, text)| &text[..])
    }

    /// The texts of all, each once, those with a role first: transformers' `all_special_tokens`.
    pub fn texts(&self) -> Vec<&str> {
        let mut texts: Vec<&str> = Vec::new();
        for text in self.roles.iter().map(|(_, text)| text).chain(&self.others) {
            if !texts.contains(&&text[..]) {
                texts.push(text);
            }
        }
        texts
    }
}

/// A token is a string, or an object that holds it as `content`.
fn text(value: &Value) -> Option<String> {
    Some(value.as_str().or(value["content"].as_str())?.to_owned())
}
