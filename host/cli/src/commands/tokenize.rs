//! The command `llem tokenize`: the tokens of a text or of a conversation.

use super::output::{print_json, print_text};
use crate::untrusted;
use llem_checkpoint::{
    Gguf,
    chat::{self, ChatTemplate, Conversation},
    is_gguf,
    tokenizer::Tokenizer,
};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Show the tokens of a text, or of a conversation rendered by the model's chat template.
#[derive(clap::Args)]
pub(crate) struct TokenizeArgs {
    /// A model's folder or .gguf file; its weights are not read
    model: PathBuf,
    /// The text to tokenize
    #[arg(required_unless_present = "chat", conflicts_with = "chat")]
    text: Option<String>,
    /// A JSON file with a list of messages: [{"role": "user", "content": "..."}]; or with an object of messages, tools,
    /// documents and variables of the template, as transformers' apply_chat_template takes them
    #[arg(long, value_name = "FILE")]
    chat: Option<PathBuf>,
    /// The date that the chat template is told, as 2026-03-05 or 2026-03-05T09:07 [default: now]
    #[arg(long, value_name = "DATE", requires = "chat")]
    date: Option<chat::DateTime>,
    /// Print one JSON object: text and tokens
    #[arg(long)]
    json: bool,
}

impl TokenizeArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let (tokenizer, template) = self.read()?;
        let text = match &self.chat {
            Some(path) => self.render(path, template)?,
            None => self.text.clone().unwrap_or_default(),
        };
        // A chat template writes the special tokens itself.
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
                if let Some(reason) = self.refusal()? {
                    eprintln!("{}", untrusted::line(&reason));
                }
                Ok(())
            }
        }
    }

    fn read(&self) -> llem_engine::Result<(Option<Tokenizer>, Option<ChatTemplate>)> {
        if self.is_gguf() {
            let gguf = Gguf::open(&self.model)?;
            return Ok((Tokenizer::from_gguf(&gguf)?, ChatTemplate::from_gguf(&gguf)));
        }
        Ok((Tokenizer::from_folder(&self.model)?, ChatTemplate::from_folder(&self.model)?))
    }

    fn is_gguf(&self) -> bool {
        is_gguf(&self.model)
    }

    /// Why the tokenizer cannot be read although there is one.
    fn refusal(&self) -> llem_engine::Result<Option<String>> {
        Ok(match self.is_gguf() {
            true => Tokenizer::gguf_refusal(&Gguf::open(&self.model)?),
            false => Tokenizer::folder_refusal(&self.model),
        })
    }

    fn render(
        &self,
        path: &Path,
        template: Option<ChatTemplate>,
    ) -> llem_checkpoint::Result<String> {
        let conversation = Conversation::from_file(path)?;
        let template = template.ok_or_else(|| {
            let reason = "it has no chat template: no chat_template.jinja, nor one in tokenizer_config.json \
                          or in a .gguf file's metadata";
            llem_checkpoint::Error::file(&self.model, reason)
        })?;
        template.render(&conversation, self.date.unwrap_or_else(chat::local_now))
    }
}
