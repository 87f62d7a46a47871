//! Tokenizers: text to tokens and back.

use crate::{Result, bindings::models, request::Chat};

pub use models::SpecialToken;

/// A model's tokenizer.
#[derive(Debug)]
pub struct Tokenizer(pub(crate) models::Tokenizer);

impl Tokenizer {
    /// Encodes text as tokens, with or without the special tokens that the tokenizer adds.
    pub fn encode(&self, text: &str, with_special_tokens: bool) -> Result<Vec<u32>> {
        Ok(self.0.encode(text, with_special_tokens)?)
    }

    /// Decodes tokens to text, with or without the special tokens among them. Fails with `invalid-argument` if the
    /// tokenizer does not have an id.
    pub fn decode(&self, tokens: &[u32], with_special_tokens: bool) -> Result<String> {
        Ok(self.0.decode(tokens, with_special_tokens)?)
    }

    /// Renders a conversation with the model's chat template, ready for the assistant's turn. Fails with `unsupported`
    /// if the model has no template.
    pub fn apply_chat_template(&self, chat: &Chat) -> Result<String> {
        Ok(self.0.apply_chat_template(chat)?)
    }

    /// Returns the number of tokens, including added ones. The model may have more logits than this.
    pub fn vocab_size(&self) -> u32 {
        self.0.vocab_size()
    }

    /// Returns the number of special tokens that encoding adds to a text.
    pub fn added_tokens(&self) -> u32 {
        self.0.added_tokens()
    }

    /// Returns whether encoding puts the token that begins a text before it.
    pub fn adds_bos(&self) -> Result<bool> {
        let bos = self.bos();
        Ok(bos.is_some() && self.encode("", true)?.first().copied() == bos)
    }

    /// Returns all special tokens.
    pub fn special_tokens(&self) -> Vec<SpecialToken> {
        self.0.special_tokens()
    }

    /// Returns the token that begins a text, if the tokenizer's files name one.
    pub fn bos(&self) -> Option<u32> {
        self.0.bos()
    }

    /// Returns the token that ends a text, if the tokenizer's files name one.
    pub fn eos(&self) -> Option<u32> {
        self.0.eos()
    }

    /// Returns the padding token, if the tokenizer's files name one.
    pub fn pad(&self) -> Option<u32> {
        self.0.pad()
    }

    /// Returns the token for text that no other token covers, if the tokenizer's files name one.
    pub fn unknown(&self) -> Option<u32> {
        self.0.unknown()
    }

    /// Returns the text of a token in the tokenizer's own spelling.
    pub fn token_text(&self, id: u32) -> Option<String> {
        self.0.token_text(id)
    }

    /// Returns the token with this text, in the tokenizer's own spelling.
    pub fn token_of(&self, text: &str) -> Option<u32> {
        self.0.token_of(text)
    }
}
