//! Chat templates: Jinja, rendered as transformers does (`trim_blocks`, `lstrip_blocks`,
//! `raise_exception`, `strftime_now` left out because a run has no date).

use crate::{Error, Result, config::read_text};
use minijinja::{Environment, ErrorKind, context, syntax::SyntaxConfig, value::Serde};
use serde::Serialize;
use std::path::Path;

/// One turn of a conversation.
#[derive(Clone, Debug, Serialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The text.
    pub content: String,
}

/// A model's chat template with the special tokens that it may name.
pub struct ChatTemplate {
    source: String,
    bos_token: String,
    eos_token: String,
}

impl ChatTemplate {
    /// Reads `chat_template.jinja`, or else `tokenizer_config.json`'s `chat_template`. None where
    /// the folder has neither.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let config_path = folder.join("tokenizer_config.json");
        let config: serde_json::Value = if config_path.is_file() {
            serde_json::from_str(&read_text(&config_path)?)
                .map_err(|error| Error::file(&config_path, error.to_string()))?
        } else {
            serde_json::Value::Null
        };
        let file = folder.join("chat_template.jinja");
        let source = if file.is_file() {
            Some(read_text(&file)?)
        } else {
            config["chat_template"].as_str().map(str::to_owned)
        };
        // A special token is a string, or an object that holds it as `content`.
        let token = |name: &str| {
            let value = &config[name];
            value.as_str().or(value["content"].as_str()).unwrap_or_default().to_owned()
        };
        Ok(source.map(|source| Self {
            source,
            bos_token: token("bos_token"),
            eos_token: token("eos_token"),
        }))
    }

    /// Renders a conversation, ready for the assistant's turn.
    pub fn render(&self, messages: &[Message]) -> Result<String> {
        let broken = |error: minijinja::Error| Error::Invalid(format!("chat template: {error}"));
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(broken)?);
        environment.add_function(
            "raise_exception",
            |message: String| -> std::result::Result<(), _> {
                Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        environment
            .render_str(
                &self.source,
                context! {
                    messages => Serde(messages),
                    add_generation_prompt => true,
                    bos_token => self.bos_token.as_str(),
                    eos_token => self.eos_token.as_str(),
                },
            )
            .map_err(broken)
    }
}
