//! A model's tokenizer and chat template, for callers that do not need the rest of the model.

use crate::{Error, Result};
use llem_checkpoint::{
    chat::{ChatTemplate, Conversation, DateTime},
    tokenizer::{Tokenizer, TokenizerFacts},
};
use std::sync::{Arc, OnceLock};

/// A model's tokenizer and chat template. They are shared with the model and can be used while the model is busy.
#[derive(Clone)]
pub struct TextTools {
    pub(crate) source: String,
    /// The model's tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    pub(crate) chat_template: Option<Arc<ChatTemplate>>,
    /// The date that the chat template sees.
    pub(crate) date: DateTime,
    /// The tokenizer's facts, computed on the first request, because that reads the whole vocabulary.
    pub(crate) facts: Arc<OnceLock<TokenizerFacts>>,
}

impl TextTools {
    /// Returns facts about the tokenizer.
    pub fn facts(&self) -> &TokenizerFacts {
        self.facts.get_or_init(|| self.tokenizer.facts())
    }

    /// Renders a conversation with the model's chat template.
    ///
    /// # Errors
    /// The model has no chat template, or the template refuses the conversation ([`ChatTemplate::render`]).
    pub fn render(&self, conversation: &Conversation) -> Result<String> {
        render(self.chat_template.as_deref(), &self.source, conversation, self.date)
    }
}

/// Renders a conversation with a chat template. `source` is the model's source, for messages.
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
