//! A model's tokenizer and chat template, for those who need no more of it.

use crate::{Error, Result};
use llem_checkpoint::{
    chat::{ChatTemplate, Conversation, DateTime},
    tokenizer::{Tokenizer, TokenizerFacts},
};
use std::sync::{Arc, OnceLock};

/// What turns text into tokens, and conversations into text. The model shares it.
#[derive(Clone)]
pub struct TextTools {
    /// The model's source.
    pub(crate) source: String,
    /// Its tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    pub(crate) chat_template: Option<Arc<ChatTemplate>>,
    /// The date that the chat template is told.
    pub(crate) date: DateTime,
    /// What is known of the tokenizer, once somebody has asked: it takes a walk through the whole vocabulary.
    pub(crate) facts: Arc<OnceLock<TokenizerFacts>>,
}

impl TextTools {
    /// What is known of the tokenizer.
    pub fn facts(&self) -> &TokenizerFacts {
        self.facts.get_or_init(|| self.tokenizer.facts())
    }

    /// Renders a conversation by the model's chat template.
    ///
    /// # Errors
    /// The model has no chat template, or it cannot be rendered so ([`ChatTemplate::render`]).
    pub fn render(&self, conversation: &Conversation) -> Result<String> {
        render(self.chat_template.as_deref(), &self.source, conversation, self.date)
    }
}

/// Renders a conversation by the chat template of the model of this source.
pub(crate) fn render(
    template: Option<&ChatTemplate>,
    source: &str,
    conversation: &Conversation,
    date: DateTime,
) -> Result<String> {
    let template = template.ok_or_else(|| {
        Error::Unsupported(format!("{source} has no chat template; give the prompt as text"))
    })?;
    Ok(template.render(conversation, date)?)
}
