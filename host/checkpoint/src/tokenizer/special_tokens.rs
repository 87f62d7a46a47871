//! The special tokens that the files beside a tokenizer name, read as transformers reads them
//! (`tokenization_utils_base.py`, version 5).

use super::class::Class;
use crate::{Result, gguf::Gguf, text_file};
use serde_json::{Map, Value};
use std::path::Path;

/// The names that special tokens have, and what GGUF calls their ids: transformers' `SPECIAL_TOKENS_ATTRIBUTES` in its
/// order, and ggml's `docs/gguf.md`.
pub(super) const ROLES: [(&str, &str); 7] = [
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
    /// Those with a role that only this model has.
    own: Vec<String>,
    /// Those in a list.
    others: Vec<String>,
}

impl SpecialTokens {
    /// What a folder's files name, and what transformers' tokenizer class has where they are silent. Nothing where the
    /// folder has no such files.
    ///
    /// # Errors
    /// A file is no JSON.
    pub fn read(folder: &Path) -> Result<Self> {
        Ok(Self::of_config(&settings(folder)?.1))
    }

    /// What settings name, as [`settings`] has them.
    pub(super) fn of_config(config: &Value) -> Self {
        let is_role = |key: &str| ROLES.iter().any(|(role, _)| *role == key);
        let roles = ROLES.iter().filter_map(|&(role, _)| Some((role, text(&config[role])?)));
        // Other keys of that ending are a model's own roles, as `image_token`.
        let own = (config.as_object().into_iter().flatten())
            .filter(|(key, _)| key.ends_with("_token") && !is_role(key))
            .filter_map(|(_, value)| text(value));
        let named = config["extra_special_tokens"].as_object().into_iter().flatten();
        let own = own.chain(named.filter_map(|(_, value)| text(value)));
        let extra = extra_tokens(config).into_iter().filter_map(text);
        Self { roles: roles.collect(), own: own.collect(), others: extra.collect() }
    }

    /// Those whose ids a GGUF file's metadata tells.
    pub fn from_gguf(gguf: &Gguf) -> Self {
        let roles = ROLES.iter().filter_map(|&(role, id)| Some((role, gguf.token(id)?)));
        Self { roles: roles.collect(), own: Vec::new(), others: Vec::new() }
    }

    /// Given ones, by role.
    pub(crate) fn of_roles<T: Into<String>>(
        roles: impl IntoIterator<Item = (&'static str, T)>,
    ) -> Self {
        let roles = roles.into_iter().map(|(role, text)| (role, text.into())).collect();
        Self { roles, own: Vec::new(), others: Vec::new() }
    }

    /// Role and text of those that have a role, as `bos_token` and `<s>`.
    pub fn roles(&self) -> &[(&'static str, String)] {
        &self.roles
    }

    /// The text of the one with that role, as `bos_token`.
    pub fn role(&self, role: &str) -> Option<&str> {
        self.roles.iter().find(|(named, _)| *named == role).map(|(_, text)| &text[..])
    }

    /// Whether a token has a role, a model's own ones included.
    pub(super) fn has_role(&self, text: &str) -> bool {
        self.roles.iter().map(|(_, named)| named).chain(&self.own).any(|named| named == text)
    }

    /// The texts of all, each once, those with a role first: transformers' `all_special_tokens`.
    pub fn texts(&self) -> Vec<&str> {
        let mut texts: Vec<&str> = Vec::new();
        for text in self.roles.iter().map(|(_, text)| text).chain(&self.own).chain(&self.others) {
            if !texts.contains(&&text[..]) {
                texts.push(text);
            }
        }
        texts
    }
}

/// How a folder's tokenizer is used: what `tokenizer_config.json` says, and `special_tokens_map.json` where that holds no
/// `added_tokens_decoder` (from then on transformers keeps all in the former), and what the class has besides.
///
/// # Errors
/// A file is no JSON.
pub(super) fn settings(folder: &Path) -> Result<(Class, Value)> {
    let object = |name: &str| {
        let path = folder.join(name);
        match path.is_file() {
            true => text_file::parse::<Map<String, Value>>(&text_file::read(&path)?, &path),
            false => Ok(Map::new()),
        }
    };
    let [config, legacy] = FILES;
    let mut config = object(config)?;
    if !config.contains_key("added_tokens_decoder") {
        config.extend(object(legacy)?);
    }
    let mut config = Value::Object(config);
    let class = Class::of(folder, &config)?;
    if let Value::Object(config) = &mut config {
        class.complete(config);
    }
    Ok((class, config))
}

/// Special tokens without a role that a config lists, by whichever of two names.
pub(super) fn extra_tokens(config: &Value) -> Vec<&Value> {
    let list = |key: &str| match &config[key] {
        Value::Object(named) => named.values().collect(),
        Value::Array(all) => all.iter().collect(),
        _ => Vec::new(),
    };
    let extra = list("extra_special_tokens");
    if extra.is_empty() { list("additional_special_tokens") } else { extra }
}

/// A token is a string, or an object that holds it as `content`.
pub(super) fn text(value: &Value) -> Option<String> {
    Some(value.as_str().or(value["content"].as_str())?.to_owned())
}
