//! Chat templates: Jinja, rendered as transformers does (`trim_blocks`, `lstrip_blocks`,
//! `raise_exception`, `strftime_now` left out because a run has no date).

use crate::{Error, Result, config::read_text, load::gguf::Gguf};
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

    /// The template of a GGUF file.
    pub fn from_gguf(gguf: &Gguf) -> Option<Self> {
        let token = |name: &str| gguf.token(&format!("tokenizer.ggml.{name}_token_id"));
        Some(Self {
            source: gguf.text("tokenizer.chat_template")?,
            bos_token: token("bos").unwrap_or_default(),
            eos_token: token("eos").unwrap_or_default(),
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fixtures() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/chat")
    }

    /// What transformers rendered (`tests/fixtures/make-chat`).
    #[test]
    fn conversations_look_as_transformers_renders_them() {
        let template = ChatTemplate::read(&fixtures()).expect("readable").expect("a template");
        let expected = read_text(&fixtures().join("expected.json")).expect("readable");
        let expected: serde_json::Value = serde_json::from_str(&expected).expect("JSON");
        for case in expected["cases"].as_array().expect("cases") {
            let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
            let turns = case["messages"].as_array().expect("messages").iter();
            let messages: Vec<Message> = turns
                .map(|turn| Message { role: text(&turn["role"]), content: text(&turn["content"]) })
                .collect();
            assert_eq!(template.render(&messages).expect("rendered"), text(&case["rendered"]));
        }
    }

    #[test]
    fn a_template_may_refuse_in_its_own_words() {
        let template = ChatTemplate::read(&fixtures()).expect("readable").expect("a template");
        let message = Message { role: "tool".to_owned(), content: "4".to_owned() };
        let refusal = template.render(&[message]).expect_err("refused").to_string();
        assert!(refusal.contains("unknown role tool"), "{refusal}");
    }
}
