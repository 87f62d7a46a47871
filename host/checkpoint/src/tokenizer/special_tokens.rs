//! Reads which special tokens the config files of a tokenizer name, as transformers does (`tokenization_utils_base.py`,
//! version 5).

use super::tokenizer_class::TokenizerClass;
use crate::{Result, gguf::Gguf, text_file};
use serde_json::{Map, Value};
use std::path::Path;

/// The roles of special tokens and the GGUF keys of their ids. The roles are transformers' `SPECIAL_TOKENS_ATTRIBUTES`
/// in the same order, the keys are from ggml's `docs/gguf.md`.
pub(super) const ROLES: [(&str, &str); 7] = [
    ("bos_token", "tokenizer.ggml.bos_token_id"),
    ("eos_token", "tokenizer.ggml.eos_token_id"),
    ("unk_token", "tokenizer.ggml.unknown_token_id"),
    // The GGUF format misspells "separator".
    ("sep_token", "tokenizer.ggml.seperator_token_id"),
    ("pad_token", "tokenizer.ggml.padding_token_id"),
    ("cls_token", "tokenizer.ggml.cls_token_id"),
    ("mask_token", "tokenizer.ggml.mask_token_id"),
];

/// The file with the settings of a tokenizer.
pub(crate) const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

/// The files that name special tokens.
pub(crate) const FILES: [&str; 2] = [TOKENIZER_CONFIG, "special_tokens_map.json"];

/// The special tokens that config files name, by role or in a list.
#[derive(Clone, Debug, Default)]
pub struct SpecialTokens {
    /// Role and text of the tokens with a role of [`ROLES`], in that order.
    roles: Vec<(&'static str, String)>,
    /// Texts of the tokens with a role that only this model has, for example `image_token`.
    model_specific: Vec<String>,
    /// Texts of the tokens without a role, which files list.
    others: Vec<String>,
}

impl SpecialTokens {
    /// Reads the special tokens of a model's folder. transformers' tokenizer class provides defaults for roles that the
    /// files do not mention. Without config files and without a known class the result is empty. `model_config` is the
    /// folder's `config.json`, if the caller has parsed it already.
    ///
    /// # Errors
    /// Fails if a file cannot be read or is not JSON.
    pub(crate) fn from_folder(folder: &Path, model_config: Option<&Value>) -> Result<Self> {
        Ok(Self::from_config(&read_settings(folder, model_config)?.1))
    }

    /// Reads the special tokens from the settings that [`read_settings`] returns.
    pub(super) fn from_config(config: &Value) -> Self {
        let is_role = |key: &str| ROLES.iter().any(|(role, _)| *role == key);
        let roles = ROLES.iter().filter_map(|&(role, _)| Some((role, token_text(&config[role])?)));
        // Other keys that end in `_token` are roles of this model only.
        let model_specific = (config.as_object().into_iter().flatten())
            .filter(|(key, _)| key.ends_with("_token") && !is_role(key))
            .filter_map(|(_, value)| token_text(value));
        let named = config["extra_special_tokens"].as_object().into_iter().flatten();
        let model_specific = model_specific.chain(named.filter_map(|(_, value)| token_text(value)));
        let extra = extra_tokens(config).into_iter().filter_map(token_text);
        Self {
            roles: roles.collect(),
            model_specific: model_specific.collect(),
            others: extra.collect(),
        }
    }

    /// Reads the special tokens whose ids are in the metadata of a GGUF file.
    pub fn from_gguf(gguf: &Gguf) -> Self {
        let roles = ROLES.iter().filter_map(|&(role, id)| Some((role, gguf.token(id)?)));
        Self { roles: roles.collect(), model_specific: Vec::new(), others: Vec::new() }
    }

    /// Makes special tokens from pairs of role and text.
    pub(crate) fn from_roles<T: Into<String>>(
        roles: impl IntoIterator<Item = (&'static str, T)>,
    ) -> Self {
        let roles = roles.into_iter().map(|(role, text)| (role, text.into())).collect();
        Self { roles, model_specific: Vec::new(), others: Vec::new() }
    }

    /// Role and text of each token with a role, for example `bos_token` and `<s>`.
    pub fn roles(&self) -> &[(&'static str, String)] {
        &self.roles
    }

    /// Returns the text of the token with this role, for example `bos_token`.
    pub fn role(&self, role: &str) -> Option<&str> {
        self.roles.iter().find(|(named, _)| *named == role).map(|(_, text)| &text[..])
    }

    /// Whether the token with this text has a role, including the model's own roles.
    pub(super) fn has_role(&self, text: &str) -> bool {
        self.roles
            .iter()
            .map(|(_, named)| named)
            .chain(&self.model_specific)
            .any(|named| named == text)
    }

    /// The texts of all special tokens without duplicates, those with a role first: transformers' `all_special_tokens`.
    pub fn texts(&self) -> Vec<&str> {
        let mut texts: Vec<&str> = Vec::new();
        for text in
            self.roles.iter().map(|(_, text)| text).chain(&self.model_specific).chain(&self.others)
        {
            if !texts.contains(&&text[..]) {
                texts.push(text);
            }
        }
        texts
    }
}

/// Reads the settings of a folder's tokenizer: `tokenizer_config.json`, then the defaults of the tokenizer class. The
/// older file `special_tokens_map.json` is read as well if `tokenizer_config.json` has no `added_tokens_decoder`,
/// because versions of transformers that write this field put everything into `tokenizer_config.json`.
///
/// # Errors
/// Fails if a file cannot be read or is not JSON.
pub(super) fn read_settings(
    folder: &Path,
    model_config: Option<&Value>,
) -> Result<(TokenizerClass, Value)> {
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
    let class = TokenizerClass::from_folder(folder, &config, model_config)?;
    if let Value::Object(config) = &mut config {
        class.add_default_tokens(config);
    }
    Ok((class, config))
}

/// Returns the special tokens without a role that a config lists as `extra_special_tokens`, or otherwise as
/// `additional_special_tokens`.
pub(super) fn extra_tokens(config: &Value) -> Vec<&Value> {
    let list = |key: &str| match &config[key] {
        Value::Object(named) => named.values().collect(),
        Value::Array(all) => all.iter().collect(),
        _ => Vec::new(),
    };
    let extra = list("extra_special_tokens");
    if extra.is_empty() { list("additional_special_tokens") } else { extra }
}

/// Returns the text of a token in a config. The token is a string, or an object with the string as `content`.
pub(super) fn token_text(value: &Value) -> Option<String> {
    Some(value.as_str().or(value["content"].as_str())?.to_owned())
}
