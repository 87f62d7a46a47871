//! A model's chat templates and where they lie. Most models have one; some have others for tools or documents.

use crate::{
    Error, Result,
    gguf::Gguf,
    text_file,
    tokenizer::special_tokens::{SpecialTokens, TOKENIZER_CONFIG},
};
use indexmap::IndexMap;
use serde_json::Value;
use std::{fs, path::Path};

/// The file of a folder that holds the default template alone.
pub(crate) const TEMPLATE_FILE: &str = "chat_template.jinja";

/// The folder of a folder that holds others, as `tool_use.jinja`.
const TEMPLATE_FOLDER: &str = "additional_chat_templates";

/// Where processors of images used to save a template; transformers' tokenizers do not read it.
const PROCESSOR_FILE: &str = "chat_template.json";

/// The template that is taken where nothing asks for another.
const DEFAULT: &str = "default";

/// The template that is taken where tools are given.
const TOOL_USE: &str = "tool_use";

/// A model's chat templates with the special tokens that they may name.
#[derive(Debug)]
pub struct ChatTemplate {
    /// Sources by name.
    templates: IndexMap<String, String>,
    /// Those with a role are variables of a template, as `bos_token`.
    pub(super) special_tokens: SpecialTokens,
}

/// Files of a folder that hold templates, relative to it.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let own = [TEMPLATE_FILE, PROCESSOR_FILE].map(str::to_owned);
    let mut others: Vec<String> = fs::read_dir(folder.join(TEMPLATE_FOLDER))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".jinja"))
        .map(|name| format!("{TEMPLATE_FOLDER}/{name}"))
        .collect();
    others.sort();
    own.into_iter().chain(others).filter(|name| folder.join(name).is_file()).collect()
}

impl ChatTemplate {
    /// Reads a folder's templates, of which those in files of their own go before `tokenizer_config.json`'s, as in
    /// transformers. None where the folder has none.
    ///
    /// # Errors
    /// A file cannot be read, or holds no template.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let mut templates = IndexMap::new();
        for name in files(folder) {
            let path = folder.join(&name);
            if name == PROCESSOR_FILE {
                continue;
            }
            let stem = Path::new(&name).file_stem().unwrap_or_default().to_string_lossy();
            let stem = if name == TEMPLATE_FILE { DEFAULT.into() } else { stem };
            templates.insert(stem.into_owned(), text_file::read(&path)?);
        }
        for name in [TOKENIZER_CONFIG, PROCESSOR_FILE] {
            let path = folder.join(name);
            if templates.is_empty() && path.is_file() {
                let config: Value = text_file::parse(&text_file::read(&path)?, &path)?;
                templates = in_config(&config["chat_template"])
                    .map_err(|reason| Error::file(&path, reason))?;
            }
        }
        let special_tokens = SpecialTokens::read(folder)?;
        Ok(Self { templates, special_tokens }.if_any())
    }

    /// The templates of a GGUF file.
    pub fn from_gguf(gguf: &Gguf) -> Option<Self> {
        const KEY: &str = "tokenizer.chat_template";
        let default = gguf.text(KEY).map(|source| (DEFAULT.to_owned(), source));
        let others = gguf.keys().filter_map(|key| {
            let name = key.strip_prefix(KEY)?.strip_prefix('.')?;
            Some((name.to_owned(), gguf.text(key)?))
        });
        let templates = default.into_iter().chain(others).collect();
        Self { templates, special_tokens: SpecialTokens::from_gguf(gguf) }.if_any()
    }

    /// One template by itself.
    #[cfg(test)]
    pub(super) fn of_source(source: &str) -> Self {
        let templates = [(DEFAULT.to_owned(), source.to_owned())].into();
        Self { templates, special_tokens: SpecialTokens::default() }
    }

    fn if_any(self) -> Option<Self> {
        (!self.templates.is_empty()).then_some(self)
    }

    /// The source of the template by that name; without a name, of the one that transformers takes: `tool_use` where
    /// tools are given and there is one, otherwise `default`.
    pub(super) fn source(&self, name: Option<&str>, with_tools: bool) -> Result<&str> {
        let taken = match name {
            None if with_tools && self.templates.contains_key(TOOL_USE) => TOOL_USE,
            None => DEFAULT,
            Some(name) => name,
        };
        self.templates.get(taken).map(String::as_str).ok_or_else(|| {
            let names: Vec<&str> = self.templates.keys().map(String::as_str).collect();
            Error::Invalid(format!(
                "chat template: the model has none named '{taken}': choose one of {}",
                names.join(", ")
            ))
        })
    }
}

/// A config's `chat_template`: a text, names with texts, or a list of both.
fn in_config(field: &Value) -> std::result::Result<IndexMap<String, String>, String> {
    let wrong = || {
        "chat_template: is neither a text nor templates by name: save it again with transformers"
            .to_owned()
    };
    let named = |name: &Value, source: &Value| {
        Some((name.as_str()?.to_owned(), source.as_str()?.to_owned()))
    };
    match field {
        Value::Null => Ok(IndexMap::new()),
        Value::String(source) => Ok([(DEFAULT.to_owned(), source.clone())].into()),
        Value::Object(all) => {
            let one = |(name, source): (&String, &Value)| {
                Some((name.clone(), source.as_str()?.to_owned()))
            };
            all.iter().map(one).collect::<Option<_>>().ok_or_else(wrong)
        }
        Value::Array(all) => {
            let one = |one: &Value| named(&one["name"], &one["template"]);
            all.iter().map(one).collect::<Option<_>>().ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}
