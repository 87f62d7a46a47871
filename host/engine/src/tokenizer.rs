//! Text to tokens and back, through Hugging Face's `tokenizers`.

use crate::{
    Error, Result, byte_alphabet,
    error::first_line,
    load::gguf::Gguf,
    text_stream::{Growth, TextStream},
};
use candle_core::quantized::{
    gguf_file::{Content, Value},
    tokenizer::TokenizerFromGguf,
};
use std::{collections::HashMap, path::Path};
use tokenizers::{
    AddedToken, decoders::byte_level::ByteLevel, models::bpe::BPE,
    pre_tokenizers::byte_level::ByteLevel as ByteLevelSplit,
};

/// The tokens 256 and 257 of the byte-level tokenizer.
const BYTE_SPECIALS: [&str; 2] = ["<s>", "</s>"];

/// A model's tokenizer. A copy remembers none of the words that this one has met.
#[derive(Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    growth: Growth,
}

impl From<tokenizers::Tokenizer> for Tokenizer {
    fn from(inner: tokenizers::Tokenizer) -> Self {
        Self { growth: Growth::of(inner.get_decoder()), inner }
    }
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    pub fn read(path: &Path) -> Result<Self> {
        let inner = tokenizers::Tokenizer::from_file(path)
            .map_err(|error| Error::file(path, error.to_string()))?;
        Ok(inner.into())
    }

    /// The byte-level BPE vocabulary of a GGUF file; none if it holds another kind, or one whose way of
    /// splitting text (`tokenizer.ggml.pre`) is not among those that candle knows: another way would give
    /// other tokens and say nothing.
    pub fn from_gguf(gguf: &Gguf) -> Result<Option<Self>> {
        if gguf.text("tokenizer.ggml.model").as_deref() != Some("gpt2") {
            return Ok(None);
        }
        let pre = gguf.text("tokenizer.ggml.pre").unwrap_or_else(|| "gpt-2".to_owned());
        let known = match pre.as_str() {
            "gpt-2" | "qwen2" | "smaug-bpe" => pre.as_str(),
            // Under llama.cpp's name, candle would split as GPT-2 does.
            "llama-bpe" => "llama3",
            _ => return Ok(None),
        };
        let mut content = Content {
            magic: gguf.content.magic,
            metadata: gguf.content.metadata.clone(),
            tensor_infos: HashMap::new(),
            tensor_data_offset: 0,
        };
        let mut say =
            |key: &str, value| content.metadata.insert(format!("tokenizer.ggml.{key}"), value);
        say("pre", Value::String(known.to_owned()));
        if known == "llama3" {
            // What llama.cpp takes for granted of this kind.
            say("ignore_merges", Value::Bool(true));
            if !gguf.content.metadata.contains_key("tokenizer.ggml.add_bos_token") {
                say("add_bos_token", Value::Bool(true));
            }
        }
        let mut inner = tokenizers::Tokenizer::from_gguf(&content).map_err(|error| {
            Error::file(&gguf.path, format!("its tokenizer: {}", first_line(&error)))
        })?;
        if known == "gpt-2" {
            // candle puts a space before every text; GPT-2 does not.
            inner.with_pre_tokenizer(Some(ByteLevelSplit::new(false, true, true)));
        }
        Ok(Some(inner.into()))
    }

    /// One token a byte, for models that are made in memory: token `b` is the byte `b`, 256 begins
    /// and 257 ends a sequence.
    pub fn bytes() -> Result<Self> {
        let internal = |error: tokenizers::Error| Error::Unsupported(error.to_string());
        let vocab: [(String, u32); 256] = std::array::from_fn(|byte| {
            (byte_alphabet::letter(byte as u8).to_string(), byte as u32)
        });
        let model = BPE::builder().vocab_and_merges(vocab, vec![]).build().map_err(internal)?;
        let mut inner = tokenizers::Tokenizer::new(model);
        inner.with_pre_tokenizer(Some(ByteLevelSplit::new(false, true, false)));
        inner.with_decoder(Some(ByteLevel::default()));
        let specials = BYTE_SPECIALS.map(|token| AddedToken::from(token, true));
        inner.add_special_tokens(specials).map_err(internal)?;
        Ok(inner.into())
    }

    /// Text to tokens. `special` adds what the tokenizer puts around a sequence (BOS and the like).
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        let encoding = self
            .inner
            .encode_fast(text, special)
            .map_err(|error| Error::Invalid(format!("cannot tokenize the text: {error}")))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Tokens to text, without special tokens. Ids beyond the vocabulary give nothing.
    pub fn decode(&self, tokens: &[u32]) -> Result<String> {
        self.inner
            .decode(tokens, true)
            .map_err(|error| Error::Invalid(format!("cannot turn tokens into text: {error}")))
    }

    /// The tokenizer of Hugging Face's library.
    #[cfg(test)]
    pub(crate) fn inner(&self) -> &tokenizers::Tokenizer {
        &self.inner
    }

    /// A text that grows token by token, of which `keep` bytes before what is new are kept.
    pub fn stream(&self, keep: usize) -> TextStream {
        TextStream::new(&self.growth, keep)
    }

    /// Adds a token to a text, as [`TextStream::push`] does. The text is what [`Self::decode`] makes of
    /// all its tokens.
    pub fn push(&self, stream: &mut TextStream, token: u32) -> Result<String> {
        stream.push(&self.inner, &self.growth, token)
    }
}
