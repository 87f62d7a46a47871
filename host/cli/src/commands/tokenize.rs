//! `llem tokenize`: what text or a conversation becomes before the model sees it.

use super::output::{print_json, print_text};
use crate::untrusted;
use llem_checkpoint::{
    chat::{ChatTemplate, Message},
    gguf::Gguf,
    tokenizer::Tokenizer,
};
use serde_json::json;
use std::path::PathBuf;

/// Show the tokens of a text, or of a conversation rendered by the model's chat template.
#[derive(clap::Args)]
pub struct Args {
    /// A model's folder or .gguf file; its weights are not read
    model: PathBuf,
    /// The text
    #[arg(required_unless_present = "chat", conflicts_with = "chat")]
    text: Option<String>,
    /// A JSON file with a list of messages: [{"role": "user", "content": "..."}]
    #[arg(long, value_name = "FILE")]
    chat: Option<PathBuf>,
    /// Print one JSON object: text and tokens
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Renders, tokenizes and prints.
    pub fn run(self) -> anyhow::Result<()> {
        let (tokenizer, template) = self.read()?;
        let text = match &self.chat {
            Some(path) => self.render(path, template)?,
            None => self.text.clone().unwrap_or_default(),
        };
        // A template writes the special tokens itself.
        let special = self.chat.is_none();
        let tokens = tokenizer.map(|tokenizer| tokenizer.encode(&text, special)).transpose()?;
        if self.json {
            return print_json(&json!({ "text": text, "tokens": tokens }).to_string());
        }
        print_text(&text)?;
        match tokens {
            Some(tokens) => {
                let ids: Vec<String> = tokens.iter().map(u32::to_string).collect();
                print_text(&ids.join(","))
            }
            None => {
                let model = self.model.to_string_lossy();
                eprintln!("{} has no tokenizer", untrusted::line(&model));
                Ok(())
            }
        }
    }

    fn read(&self) -> llem_engine::Result<(Option<Tokenizer>, Option<ChatTemplate>)> {
        if self.model.extension().is_some_and(|extension| extension == "gguf") {
            let gguf = Gguf::open(&self.model)?;
            return Ok((Tokenizer::from_gguf(&gguf)?, ChatTemplate::from_gguf(&gguf)));
        }
        let path = self.model.join("tokenizer.json");
        let tokenizer = path.is_file().then(|| Tokenizer::read(&path)).transpose()?;
        Ok((tokenizer, ChatTemplate::read(&self.model)?))
    }

    fn render(
        &self,
        path: &PathBuf,
        template: Option<ChatTemplate>,
    ) -> llem_checkpoint::Result<String> {
        let bad = |reason: String| llem_checkpoint::Error::file(path, reason);
        let messages = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        let messages: Vec<Message> =
            serde_json::from_str(&messages).map_err(|error| bad(error.to_string()))?;
        let template = template.ok_or_else(|| {
            let reason = "it has no chat template: no chat_template.jinja, nor one in tokenizer_config.json \
                          or in a .gguf file's metadata";
            llem_checkpoint::Error::file(&self.model, reason)
        })?;
        template.render(&messages, &[])
    }
}
