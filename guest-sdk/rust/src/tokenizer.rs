//! What turns text into tokens and back.

use crate::{Result, bindings::models, request::Chat};

pub use models::SpecialToken;

/// A model's tokenizer.
#[derive(Debug)]
pub struct Tokenizer(pub(crate) models::Tokenizer);

impl Tokenizer {
    /// Text to tokens, with the special tokens that the tokenizer adds, or without.
    pub fn encode(&self, text: &str, with_special_tokens: bool) -> Result<Vec<u32>> {
        Ok(self.0.encode(text, with_special_tokens)?)
    }

    /// Tokens to text, with the special tokens among them, or without. Fails with `invalid-argument` for an id that the
    /// tokenizer does not have.
    pub fn decode(&self, tokens: &[u32], with_special_tokens: bool) -> Result<String> {
        Ok(self.0.decode(tokens, with_special_tokens)?)
    }

    /// Renders a conversation by the model's chat template, ready for the assistant's turn. Fails with `unsupported` where
    /// the model has none.
    pub fn apply_chat_template(&self, chat: &Chat) -> Result<String> {
        Ok(self.0.apply_chat_template(chat)?)
    }

    /// How many tokens it has, those that were added included. The model's logits may be wider.
    pub fn vocab_size(&self) -> u32 {
        self.0.vocab_size()
    }

    /// How many special tokens encoding adds to a text.
    pub fn added_tokens(&self) -> u32 {
        self.0.added_tokens()
    }

    /// All special tokens.
    pub fn special_tokens(&self) -> Vec<SpecialToken> {
        self.0.special_tokens()
    }

    /// The token that begins a text, if its files name one.
    pub fn bos(&self) -> Option<u32> {
        self.0.bos()
    }

    /// The token that ends a text, if its files name one.
    pub fn eos(&self) -> Option<u32> {
        self.0.eos()
    }

    /// The token that fills a text up, if its files name one.
    pub fn pad(&self) -> Option<u32> {
        self.0.pad()
    }

    /// The token for what has no other, if its files name one.
    pub fn unknown(&self) -> Option<u32> {
        self.0.unknown()
    }

    /// How a token is written, in the tokenizer's own spelling.
    pub fn token_text(&self, id: u32) -> Option<String> {
        self.0.token_text(id)
    }

    /// The token that is written so.
    pub fn token_of(&self, text: &str) -> Option<u32> {
        self.0.token_of(text)
    }
}
