//! Text to tokens and back, through Hugging Face's `tokenizers`.

use crate::{
    Error, Result, byte_alphabet,
    error::first_line,
    load::gguf::Gguf,
    text_file,
    text_stream::{Growth, TextStream},
};
use candle_core::quantized::{
    gguf_file::{Content, Value},
    tokenizer::TokenizerFromGguf,
};
use serde::Deserialize;
use serde_json::Value as Json;
use std::{collections::HashMap, path::Path};
use tokenizers::{
    AddedToken, decoders::byte_level::ByteLevel, models::bpe::BPE, normalizers::Precompiled,
    pre_tokenizers::byte_level::ByteLevel as ByteLevelSplit,
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
}

impl From<tokenizers::Tokenizer> for Tokenizer {
    fn from(inner: tokenizers::Tokenizer) -> Self {
        Self { growth: Growth::of(inner.get_decoder()), inner }
    }
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    pub fn read(path: &Path) -> Result<Self> {
        let bad = |reason: String| Error::file(path, reason);
        let text = text_file::read(path)?;
        let Parts { normalizer, post_processor, .. } = text_file::parse(&text, path)?;
        for part in [normalizer, post_processor].iter().flatten() {
            check(part).map_err(bad)?;
        }
        let inner: tokenizers::Tokenizer =
            text.parse().map_err(|error: tokenizers::Error| bad(error.to_string()))?;
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
        Ok(inner.into())
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
mod tests {
    use super::*;
    use serde_json::json;

    /// The refusal of the fixture with a part replaced.
    fn refusal(part: &str, value: Json) -> String {
        let fixture =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/tokenizer/tokenizer.json");
        let text = std::fs::read_to_string(fixture).expect("the fixture");
        let mut json: Json = serde_json::from_str(&text).expect("JSON");
        json[part] = value;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokenizer.json");
        std::fs::write(&path, json.to_string()).expect("written");
        Tokenizer::read(&path).err().expect("refused").to_string()
    }

    #[test]
    fn parts_that_the_library_panics_with_are_refused() {
        let template = |single: Json| {
            let pieces = json!([{ "Sequence": { "id": "A", "type_id": 0 } }]);
            json!({
                "type": "TemplateProcessing", "single": [single], "pair": pieces, "special_tokens": {},
            })
        };
        let missing = template(json!({ "SpecialToken": { "id": "<s>", "type_id": 0 } }));
        assert!(refusal("post_processor", missing.clone()).contains("lacks \"<s>\""));
        let within = json!({ "type": "Sequence", "processors": [missing] });
        assert!(refusal("post_processor", within).contains("lacks \"<s>\""));
        let second = template(json!({ "Sequence": { "id": "B", "type_id": 0 } }));
        assert!(refusal("post_processor", second).contains("sequence B"));
        let map = json!({ "type": "Precompiled", "precompiled_charsmap": "AAAA" });
        assert!(refusal("normalizer", map).contains("precompiled_charsmap"));
    }

    #[test]
    fn a_decoder_that_is_no_json_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokenizer.json");
        for decoder in ["nul", &"[".repeat(100_000)] {
            std::fs::write(&path, format!("{{\"decoder\": {decoder}")).expect("written");
            let refusal = Tokenizer::read(&path).err().expect("refused").to_string();
            assert!(refusal.contains("tokenizer.json"), "{refusal}");
        }
    }
}
