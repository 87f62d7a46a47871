//! `llem tokenize`: what text or a conversation becomes before the model sees it.

use llem_engine::{
    chat::{ChatTemplate, Message},
    tokenizer::Tokenizer,
};
use serde_json::json;
use std::path::PathBuf;

/// Show the tokens of a text, or of a conversation rendered by the model's chat template.
#[derive(clap::Args)]
pub struct Args {
    /// A model's folder; its weights are not read
    folder: PathBuf,
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
        let tokenizer = self.folder.join("tokenizer.json");
        let tokenizer = tokenizer.is_file().then(|| Tokenizer::read(&tokenizer)).transpose()?;
        let text = match &self.chat {
            Some(path) => self.render(path)?,
            None => self.text.clone().unwrap_or_default(),
        };
        // A template writes the special tokens itself.
        let special = self.chat.is_none();
        let tokens = tokenizer.map(|tokenizer| tokenizer.encode(&text, special)).transpose()?;
        if self.json {
            println!("{}", json!({ "text": text, "tokens": tokens }));
            return Ok(());
        }
        println!("{text}");
        match tokens {
            Some(tokens) => {
                let ids: Vec<String> = tokens.iter().map(u32::to_string).collect();
                println!("{}", ids.join(","));
            }
            None => eprintln!("{} has no tokenizer.json", self.folder.display()),
        }
        Ok(())
    }

    fn render(&self, path: &PathBuf) -> anyhow::Result<String> {
        let bad = |reason: String| llem_engine::Error::file(path, reason);
        let messages = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        let messages: Vec<Message> =
            serde_json::from_str(&messages).map_err(|error| bad(error.to_string()))?;
        let template = ChatTemplate::read(&self.folder)?.ok_or_else(|| {
            let reason =
                "no chat template: neither chat_template.jinja nor one in tokenizer_config.json";
            llem_engine::Error::file(&self.folder, reason)
        })?;
        Ok(template.render(&messages)?)
    }
}
