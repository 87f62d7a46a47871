//! Text to tokens and back, through Hugging Face's `tokenizers`.

mod byte_alphabet;
pub mod special_tokens;
mod text_stream;

pub use special_tokens::SpecialTokens;
pub use text_stream::TextStream;

use crate::{Error, Result, error::first_line, gguf::Gguf, text_file};
use candle_core::quantized::{
    gguf_file::{Content, Value},
    tokenizer::TokenizerFromGguf,
};
use serde::Deserialize;
use serde_json::Value as Json;
use std::{collections::HashMap, path::Path};
use text_stream::Growth;
use tokenizers::{
    AddedToken, PostProcessor, decoders::byte_level::ByteLevel, models::bpe::BPE,
    normalizers::Precompiled, pre_tokenizers::byte_level::ByteLevel as ByteLevelSplit,
};

/// The tokens 256 and 257 of the byte-level tokenizer.
const BYTE_SPECIALS: [&str; 2] = ["<s>", "</s>"];

/// Longest text that is tokenized at a time, in bytes: WikiText-2's test split has 1.3 million.
const LONGEST_TEXT: usize = 1_500_000;

/// A model's tokenizer. A copy remembers none of the words that this one has met.
#[derive(Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    growth: Growth,
    special: SpecialTokens,
}

/// A token that stands for no text of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecialToken {
    /// Its id.
    pub id: u32,
    /// How the vocabulary spells it.
    pub text: String,
    /// Whether the files name it, by role or in a list, rather than that the vocabulary alone marks it as special.
    pub is_named: bool,
}

/// What is known of a tokenizer. A role that the files do not name is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizerFacts {
    /// Begins a sequence.
    pub bos: Option<SpecialToken>,
    /// Ends one, as the tokenizer's files have it; generation goes by [`crate::Info::eos`].
    pub eos: Option<SpecialToken>,
    /// Fills up shorter sequences of a batch; llem needs none.
    pub pad: Option<SpecialToken>,
    /// Stands for what the vocabulary cannot spell.
    pub unk: Option<SpecialToken>,
    /// All special tokens, which [`Tokenizer::decode`] leaves out: first those that are named, which are transformers'
    /// `all_special_tokens` in its order, then those that only the vocabulary marks, by id.
    pub special: Vec<SpecialToken>,
    /// Special tokens that encoding one text adds: transformers' `num_special_tokens_to_add()`.
    pub added_by_encoding: usize,
    /// Tokens, added ones included: transformers' `len(tokenizer)`. A model's logits may have more rows, or fewer.
    pub vocabulary: usize,
}

impl From<tokenizers::Tokenizer> for Tokenizer {
    fn from(inner: tokenizers::Tokenizer) -> Self {
        Self { growth: Growth::of(inner.get_decoder()), inner, special: SpecialTokens::default() }
    }
}

impl Tokenizer {
    /// Reads a `tokenizer.json`, and which special tokens the files beside it name.
    pub fn read(path: &Path) -> Result<Self> {
        let bad = |reason: String| Error::file(path, reason);
        let text = text_file::read(path)?;
        let Parts { normalizer, post_processor, .. } = text_file::parse(&text, path)?;
        for part in [normalizer, post_processor].iter().flatten() {
            check(part).map_err(bad)?;
        }
        let inner: tokenizers::Tokenizer =
            text.parse().map_err(|error: tokenizers::Error| bad(error.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::from(inner).with_special(SpecialTokens::read(folder)?)
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
        Self::from(inner).with_special(SpecialTokens::from_gguf(gguf)).map(Some)
    }

    /// The same tokenizer with the special tokens that the files beside it name. As in transformers, those are special
    /// even if the vocabulary does not mark them, and a token that it lacks is added with the next free id.
    ///
    /// # Errors
    /// The tokenizer's normalizer fails on one of them.
    fn with_special(mut self, special: SpecialTokens) -> Result<Self> {
        let tokens = special.texts().into_iter().map(|text| AddedToken::from(text, true));
        let tokens: Vec<_> = tokens.collect();
        self.inner
            .add_special_tokens(tokens)
            .map_err(|error| Error::Invalid(format!("cannot add a special token: {error}")))?;
        Ok(Self { special, ..self })
    }

    /// One token a byte, for models that are made in memory: token `b` is the byte `b`, 256 begins
    /// and 257 ends a sequence.
    pub fn bytes() -> Result<Self> {
        let internal =
            |error: tokenizers::Error| Error::Bug(format!("the byte tokenizer: {error}"));
        // GPT-2's printable stand-in for each byte, which is how byte-level BPE spells them.
        let vocab: [(String, u32); 256] = std::array::from_fn(|byte| {
            (byte_alphabet::letter(byte as u8).to_string(), byte as u32)
        });
        let model = BPE::builder().vocab_and_merges(vocab, vec![]).build().map_err(internal)?;
        let mut inner = tokenizers::Tokenizer::new(model);
        inner.with_pre_tokenizer(Some(ByteLevelSplit::new(false, true, false)));
        inner.with_decoder(Some(ByteLevel::default()));
        let specials = BYTE_SPECIALS.map(|token| AddedToken::from(token, true));
        inner.add_special_tokens(specials).map_err(internal)?;
        let [bos, eos] = BYTE_SPECIALS;
        let special = SpecialTokens::of_roles([("bos_token", bos), ("eos_token", eos)]);
        Self::from(inner).with_special(special)
    }

    /// What is known of it.
    pub fn facts(&self) -> TokenizerFacts {
        let named = |text: &str| {
            let id = self.token_id(text)?;
            Some(SpecialToken { id, text: text.to_owned(), is_named: true })
        };
        let role = |role: &str| named(self.special.role(role)?);
        let mut special: Vec<_> = self.special.texts().into_iter().filter_map(named).collect();
        let mut marked: Vec<_> = (self.inner.get_added_tokens_decoder().into_iter())
            .filter(|(id, token)| token.special && special.iter().all(|named| named.id != *id))
            .map(|(id, token)| SpecialToken { id, text: token.content, is_named: false })
            .collect();
        marked.sort_by_key(|token| token.id);
        special.append(&mut marked);
        TokenizerFacts {
            bos: role("bos_token"),
            eos: role("eos_token"),
            pad: role("pad_token"),
            unk: role("unk_token"),
            special,
            added_by_encoding: self
                .inner
                .get_post_processor()
                .map_or(0, |processor| processor.added_tokens(false)),
            vocabulary: self.inner.get_vocab_size(true),
        }
    }

    /// How the vocabulary spells a token (`Ġthe`); none beyond it.
    pub fn token_text(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The token that the vocabulary spells so; none where it has no such.
    pub fn token_id(&self, text: &str) -> Option<u32> {
        self.inner.token_to_id(text)
    }

    /// Text to tokens. `special` adds what the tokenizer puts around a sequence (BOS and the like).
    ///
    /// # Errors
    /// The text is too long: tokenizing takes up to some hundred bytes of memory for each of its bytes, and cannot be
    /// interrupted.
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        if text.len() > LONGEST_TEXT {
            return Err(Error::Invalid(format!(
                "a text of {} bytes is tokenized in parts of at most {LONGEST_TEXT}",
                text.len()
            )));
        }
        let encoding = self
            .inner
            .encode_fast(text, special)
            .map_err(|error| Error::Invalid(format!("cannot tokenize the text: {error}")))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Tokens to text. Special tokens give nothing unless `keep_special` says otherwise; ids beyond the vocabulary
    /// never do.
    pub fn decode(&self, tokens: &[u32], keep_special: bool) -> Result<String> {
        self.inner
            .decode(tokens, !keep_special)
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

/// The parts of a `tokenizer.json` of which the library takes for granted that they are well, and panics otherwise. All
/// of it has been found to be JSON, and not too deep, once these are read.
#[derive(Deserialize)]
struct Parts {
    normalizer: Option<Json>,
    post_processor: Option<Json>,
    #[serde(rename = "decoder")]
    _decoder: Option<Json>,
}

/// The reason why a part, or one within it, is not what the library takes for granted.
fn check(part: &Json) -> std::result::Result<(), String> {
    if part["type"] == "Precompiled" {
        serde_json::from_str::<Precompiled>(&part.to_string())
            .map_err(|error| format!("normalizer: precompiled_charsmap: {error}"))?;
    }
    for piece in part["single"].as_array().into_iter().flatten() {
        let token = &piece["SpecialToken"]["id"];
        if token.as_str().is_some_and(|token| part["special_tokens"].get(token).is_none()) {
            return Err(format!(
                "post_processor: special_tokens lacks {token}, which single names"
            ));
        }
        if piece["Sequence"]["id"] == "B" {
            return Err("post_processor: single names the sequence B, and has A alone".to_owned());
        }
    }
    match part {
        Json::Array(parts) => parts.iter().try_for_each(check),
        Json::Object(parts) => parts.values().try_for_each(check),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
