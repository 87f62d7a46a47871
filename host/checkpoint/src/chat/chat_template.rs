//! Finds the chat templates of a model. Most models have one; some have further ones for tools or documents.

use crate::{
    Error, Result,
    gguf::Gguf,
    text_file,
    tokenizer::{SpecialTokens, TOKENIZER_CONFIG},
};
use indexmap::IndexMap;
use serde_json::Value;
use std::{fs, path::Path};

/// The file that holds the default template.
pub(crate) const TEMPLATE_FILE: &str = "chat_template.jinja";

/// The subfolder that holds the named templates, for example `tool_use.jinja`.
const TEMPLATE_FOLDER: &str = "additional_chat_templates";

/// The file in which older image processors saved their template. transformers' tokenizers do not read it, so it is
/// used only if there is no other template.
const PROCESSOR_FILE: &str = "chat_template.json";

/// The name of the template that is used unless the caller names another.
const DEFAULT: &str = "default";

/// The name of the template that is used if tools are given.
const TOOL_USE: &str = "tool_use";

/// The chat templates of one model, and the special tokens that they can refer to.
#[derive(Debug)]
pub struct ChatTemplate {
    /// Jinja2 source code by template name.
    templates: IndexMap<String, String>,
    /// Special tokens with a role are variables of the template, for example `bos_token`.
    pub(super) special_tokens: SpecialTokens,
}

/// Lists the template files that exist in a folder, as paths relative to the folder.
pub(crate) fn template_files(folder: &Path) -> Vec<String> {
    let fixed = [TEMPLATE_FILE, PROCESSOR_FILE].map(str::to_owned);
    let mut named: Vec<String> = fs::read_dir(folder.join(TEMPLATE_FOLDER))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".jinja"))
        .map(|name| format!("{TEMPLATE_FOLDER}/{name}"))
        .collect();
    named.sort();
    fixed.into_iter().chain(named).filter(|name| folder.join(name).is_file()).collect()
}

impl ChatTemplate {
    /// Reads the templates of a model's folder. Returns `None` if the folder has none. As in transformers, the field
    /// `chat_template` of `tokenizer_config.json` is used only if no template has a file of its own.
    ///
    /// # Errors
    /// Fails if a file cannot be read or its `chat_template` is not a template.
    pub fn from_folder(folder: &Path) -> Result<Option<Self>> {
        Self::read(folder, None)
    }

    /// Reads the templates like [`Self::from_folder`], for a caller that has parsed the folder's `config.json` already.
    pub(crate) fn from_folder_and_config(
        folder: &Path,
        model_config: &Value,
    ) -> Result<Option<Self>> {
        Self::read(folder, Some(model_config))
    }

    fn read(folder: &Path, model_config: Option<&Value>) -> Result<Option<Self>> {
        let mut templates = IndexMap::new();
        for name in template_files(folder) {
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
                templates = templates_in_config(&config["chat_template"])
                    .map_err(|cause| Error::file(&path, cause.to_string()))?;
            }
        }
        let special_tokens = SpecialTokens::from_folder(folder, model_config)?;
        Ok(Self { templates, special_tokens }.some_if_any())
    }

    /// Reads the templates in the metadata of a GGUF file. Returns `None` if it has none.
    pub fn from_gguf(gguf: &Gguf) -> Option<Self> {
        const KEY: &str = "tokenizer.chat_template";
        let default = gguf.text(KEY).map(|source| (DEFAULT.to_owned(), source));
        let others = gguf.keys().filter_map(|key| {
            let name = key.strip_prefix(KEY)?.strip_prefix('.')?;
            Some((name.to_owned(), gguf.text(key)?))
        });
        let templates = default.into_iter().chain(others).collect();
        Self { templates, special_tokens: SpecialTokens::from_gguf(gguf) }.some_if_any()
    }

    /// Makes a template from Jinja2 source code.
    #[cfg(test)]
    pub(super) fn from_source(source: &str) -> Self {
        let templates = [(DEFAULT.to_owned(), source.to_owned())].into();
        Self { templates, special_tokens: SpecialTokens::default() }
    }

    fn some_if_any(self) -> Option<Self> {
        (!self.templates.is_empty()).then_some(self)
    }

    /// Returns the source code of the template with this name. Without a name it selects as transformers does:
    /// `tool_use` if tools are given and the model has that template, otherwise `default`.
    pub(super) fn source(&self, name: Option<&str>, with_tools: bool) -> Result<&str> {
        let selected = match name {
            None if with_tools && self.templates.contains_key(TOOL_USE) => TOOL_USE,
            None => DEFAULT,
            Some(name) => name,
        };
        self.templates.get(selected).map(String::as_str).ok_or_else(|| {
            let names: Vec<&str> = self.templates.keys().map(String::as_str).collect();
            Error::Invalid(format!(
                "chat template: the model has none named '{selected}': choose one of {}",
                names.join(", ")
            ))
        })
    }
}

/// The field `chat_template` of a config has a type that transformers does not write.
#[derive(Debug, thiserror::Error)]
#[error("chat_template: is neither a text nor templates by name: save it again with transformers")]
struct ChatTemplateTypeError;

/// Reads the field `chat_template` of a config by template name. The field is one source text, an object of source
/// texts by name, or a list of objects with `name` and `template`.
fn templates_in_config(
    field: &Value,
) -> std::result::Result<IndexMap<String, String>, ChatTemplateTypeError> {
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
            all.iter().map(one).collect::<Option<_>>().ok_or(ChatTemplateTypeError)
        }
        Value::Array(all) => {
            let one = |one: &Value| named(&one["name"], &one["template"]);
            all.iter().map(one).collect::<Option<_>>().ok_or(ChatTemplateTypeError)
        }
        _ => Err(ChatTemplateTypeError),
    }
}
