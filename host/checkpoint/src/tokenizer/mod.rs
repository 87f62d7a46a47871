//! Converts text to tokens and tokens to text.
//!
//! ```text
//! tokenizer.json ──────────┐
//! tokenizer.model ─────────┼─► as transformers reads them, with Hugging Face's `tokenizers` ───┐
//! vocab.json, merges.txt ──┘                                                                   ├─► Tokenizer
//! a GGUF file ───────────────► as llama.cpp reads it ───────────────────────────────────────────┘
//! ```
//!
//! Start at [`Tokenizer`], [`TokenizerFacts`], [`SpecialTokens`] and [`TextStream`].

mod byte_alphabet;
mod charsmap;
mod gguf_vocabulary;
mod sentencepiece;
mod special_tokens;
mod text_stream;
mod tokenizer_class;
mod tokenizer_folder;

pub use special_tokens::SpecialTokens;
pub use text_stream::TextStream;

pub(crate) use special_tokens::TOKENIZER_CONFIG;
pub(crate) use tokenizer_folder::{SETTINGS_FILES, VOCABULARY_FILES};

use crate::{Error, Result, gguf::Gguf};
use gguf_vocabulary::Vocabulary;
use serde_json::Value as Json;
use std::path::Path;
use text_stream::DecodingScheme;
use tokenizers::{
    AddedToken, PostProcessor, decoders::byte_level::ByteLevel, models::bpe::BPE,
    pre_tokenizers::byte_level::ByteLevel as ByteLevelSplit,
};

/// The tokens 256 and 257 of [`Tokenizer::with_byte_tokens`].
const BYTE_SPECIALS: [&str; 2] = ["<s>", "</s>"];

/// Largest text that [`Tokenizer::encode`] accepts, in bytes. The test split of WikiText-2, which is often tokenized as
/// one text, has 1.3 million.
const MAX_TEXT_BYTES: usize = 1_500_000;

/// The tokenizer of a model. A clone does not copy the cache of words that the original has tokenized.
///
/// ```
/// use llem_checkpoint::tokenizer::Tokenizer;
///
/// let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/tokenizer");
/// let tokenizer = Tokenizer::from_folder(folder.as_ref())?.expect("the folder has a vocabulary");
/// let tokens = tokenizer.encode("The energy of a token", true)?;
/// assert_eq!(tokens, [0, 50, 42, 55, 52, 21, 39, 75, 44, 73, 25, 55]);
/// // This tokenizer converts text to lower case.
/// assert_eq!(tokenizer.decode(&tokens, false)?, "the energy of a token");
/// assert_eq!(tokenizer.token_id("<s>"), Some(0));
/// # Ok::<(), llem_checkpoint::Error>(())
/// ```
#[derive(Clone)]
pub struct Tokenizer {
    backend: TokenizerBackend,
    special: SpecialTokens,
}

/// The implementation that tokenizes.
#[derive(Clone)]
enum TokenizerBackend {
    /// Hugging Face's library `tokenizers`.
    Library {
        inner: Box<tokenizers::Tokenizer>,
        scheme: DecodingScheme,
        /// Whether decoding removes spaces before punctuation.
        cleans_up_spaces: bool,
    },
    /// The vocabulary of a GGUF file.
    Gguf(Vocabulary),
}

/// A token with a special meaning, such as the end of a sequence, instead of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecialToken {
    /// The id of the token.
    pub id: u32,
    /// The spelling of the token in the vocabulary.
    pub text: String,
    /// True if a config file names the token, by role or in a list. False if only the vocabulary marks it as special.
    pub is_named: bool,
}

/// Facts about a tokenizer. A role is `None` if the files do not name a token for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizerFacts {
    /// The token that begins a sequence.
    pub bos: Option<SpecialToken>,
    /// The token that ends a sequence, according to the tokenizer's files. Generation uses [`crate::Checkpoint::eos`]
    /// instead.
    pub eos: Option<SpecialToken>,
    /// The token that pads the shorter sequences of a batch. llem does not pad.
    pub pad: Option<SpecialToken>,
    /// The token for text that the vocabulary cannot spell.
    pub unk: Option<SpecialToken>,
    /// All special tokens. [`Tokenizer::decode`] leaves them out by default. Named tokens come first, in the order of
    /// transformers' `all_special_tokens`. Tokens that only the vocabulary marks follow, ordered by id.
    pub special: Vec<SpecialToken>,
    /// The number of special tokens that [`Tokenizer::encode`] adds to a text: transformers'
    /// `num_special_tokens_to_add()`.
    pub added_by_encoding: usize,
    /// The number of tokens, added tokens included: transformers' `len(tokenizer)`. A model's logits may have more or
    /// fewer rows.
    pub vocabulary: usize,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`, and the config files in the same folder.
    ///
    /// # Errors
    /// Fails if a file cannot be read or is invalid.
    pub fn from_json_file(path: &Path) -> Result<Self> {
        tokenizer_folder::read_json(path, None)
    }

    /// Reads the tokenizer of a model's folder: `tokenizer.json`, otherwise `tokenizer.model`, otherwise `vocab.json`
    /// with `merges.txt`. Returns `None` if the folder has none of these, or one of a kind that is not read.
    /// [`Self::folder_refusal`] then says why.
    ///
    /// # Errors
    /// Fails if a file cannot be read or is invalid.
    pub fn from_folder(folder: &Path) -> Result<Option<Self>> {
        tokenizer_folder::read(folder, None)
    }

    /// Reads the tokenizer like [`Self::from_folder`], for a caller that has parsed the folder's `config.json` already.
    pub(crate) fn from_folder_and_config(
        folder: &Path,
        model_config: &Json,
    ) -> Result<Option<Self>> {
        tokenizer_folder::read(folder, Some(model_config))
    }

    /// Names the files of a folder that [`Self::from_folder`] would read. Some of them may not exist.
    pub fn files_in(folder: &Path) -> Vec<&'static str> {
        tokenizer_folder::files(folder)
    }

    /// Explains why [`Self::from_folder`] returned `None`, and what to do. Returns `None` if the folder has no
    /// vocabulary.
    pub fn folder_refusal(folder: &Path) -> Option<String> {
        tokenizer_folder::refusal(folder)
    }

    /// Reads the tokenizer of a GGUF file. Returns `None` if the file has no vocabulary, or one of a kind that is not
    /// known: guessing how to split text would silently give wrong tokens. [`Self::gguf_refusal`] then says why.
    ///
    /// # Errors
    /// Fails if the vocabulary is incomplete.
    pub fn from_gguf(gguf: &Gguf) -> Result<Option<Self>> {
        let vocabulary = Vocabulary::from_gguf(gguf)?;
        Ok(vocabulary.map(|vocabulary| Self {
            special: vocabulary.special().clone(),
            backend: TokenizerBackend::Gguf(vocabulary),
        }))
    }

    /// Explains why [`Self::from_gguf`] returned `None`, and what to do. Returns `None` if the file has no vocabulary.
    pub fn gguf_refusal(gguf: &Gguf) -> Option<String> {
        gguf_vocabulary::refusal(gguf)
    }

    /// Wraps a tokenizer of the library. `special` are the special tokens that config files name.
    fn from_library(
        inner: tokenizers::Tokenizer,
        special: SpecialTokens,
        cleans_up_spaces: bool,
    ) -> Self {
        let scheme = if cleans_up_spaces {
            DecodingScheme::Whole
        } else {
            DecodingScheme::from_decoder(inner.get_decoder())
        };
        Self {
            backend: TokenizerBackend::Library { inner: Box::new(inner), scheme, cleans_up_spaces },
            special,
        }
    }

    /// Makes a tokenizer with one token for each byte, for synthetic models. Token `b` is the byte `b`. Token 256
    /// begins a sequence and token 257 ends it.
    ///
    /// # Errors
    /// Never fails unless llem has a bug.
    ///
    /// ```
    /// use llem_checkpoint::tokenizer::Tokenizer;
    ///
    /// let tokenizer = Tokenizer::with_byte_tokens()?;
    /// assert_eq!(tokenizer.encode("é", false)?, [0xc3, 0xa9]);
    /// assert_eq!(tokenizer.facts().vocabulary, 258);
    /// # Ok::<(), llem_checkpoint::Error>(())
    /// ```
    pub fn with_byte_tokens() -> Result<Self> {
        let internal =
            |error: tokenizers::Error| Error::Bug(format!("the byte tokenizer: {error}"));
        // Byte-level BPE spells each byte as a printable character.
        let vocab: [(String, u32); 256] = std::array::from_fn(|byte| {
            (byte_alphabet::byte_to_char(byte as u8).to_string(), byte as u32)
        });
        let model = BPE::builder().vocab_and_merges(vocab, vec![]).build().map_err(internal)?;
        let mut inner = tokenizers::Tokenizer::new(model);
        inner.with_pre_tokenizer(Some(ByteLevelSplit::new(false, true, false)));
        inner.with_decoder(Some(ByteLevel::default()));
        let specials = BYTE_SPECIALS.map(|token| AddedToken::from(token, true));
        inner.add_special_tokens(specials).map_err(internal)?;
        let [bos, eos] = BYTE_SPECIALS;
        let special = SpecialTokens::from_roles([("bos_token", bos), ("eos_token", eos)]);
        Ok(Self::from_library(inner, special, false))
    }

    /// Collects the facts about the tokenizer.
    pub fn facts(&self) -> TokenizerFacts {
        let named = |text: &str| {
            let id = self.token_id(text)?;
            Some(SpecialToken { id, text: text.to_owned(), is_named: true })
        };
        let role = |role: &str| named(self.special.role(role)?);
        let mut special: Vec<_> = self.special.texts().into_iter().filter_map(named).collect();
        let (mut marked, added_by_encoding, vocabulary) = match &self.backend {
            TokenizerBackend::Library { inner, .. } => {
                let added = inner.get_added_tokens_decoder().into_iter();
                let marked = added.filter(|(_, token)| token.special);
                let marked = marked.map(|(id, token)| SpecialToken {
                    id,
                    text: token.content,
                    is_named: false,
                });
                let processor = inner.get_post_processor();
                let added = processor.map_or(0, |processor| processor.added_tokens(false));
                (marked.collect(), added, inner.get_vocab_size(true))
            }
            TokenizerBackend::Gguf(vocabulary) => {
                (vocabulary.special_by_type(), vocabulary.added_by_encoding(), vocabulary.len())
            }
        };
        marked.retain(|token| special.iter().all(|named| named.id != token.id));
        marked.sort_by_key(|token| token.id);
        special.append(&mut marked);
        TokenizerFacts {
            bos: role("bos_token"),
            eos: role("eos_token"),
            pad: role("pad_token"),
            unk: role("unk_token"),
            special,
            added_by_encoding,
            vocabulary,
        }
    }

    /// The tokens at which llama.cpp ends generation, in ascending order. Empty unless the tokenizer comes from a GGUF
    /// file.
    pub fn end_of_generation(&self) -> &[u32] {
        match &self.backend {
            TokenizerBackend::Library { .. } => &[],
            TokenizerBackend::Gguf(vocabulary) => vocabulary.end_of_generation(),
        }
    }

    /// Returns the spelling of a token in the vocabulary, for example `Ġthe`. Returns `None` if there is no such token.
    pub fn token_text(&self, id: u32) -> Option<String> {
        match &self.backend {
            TokenizerBackend::Library { inner, .. } => inner.id_to_token(id),
            TokenizerBackend::Gguf(vocabulary) => vocabulary.token_text(id).map(str::to_owned),
        }
    }

    /// Returns the id of the token with this spelling. Returns `None` if there is no such token.
    pub fn token_id(&self, text: &str) -> Option<u32> {
        match &self.backend {
            TokenizerBackend::Library { inner, .. } => inner.token_to_id(text),
            TokenizerBackend::Gguf(vocabulary) => vocabulary.token_id(text),
        }
    }

    /// Converts text to tokens. If `special` is true, it adds the special tokens that the tokenizer puts around a
    /// sequence, such as BOS.
    ///
    /// # Errors
    /// Fails if the text is longer than 1.5 million bytes. Tokenizing needs up to a few hundred bytes of memory for
    /// each byte of text and cannot be interrupted, so the length is limited.
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(Error::Invalid(format!(
                "a text of {} bytes is tokenized in parts of at most {MAX_TEXT_BYTES}",
                text.len()
            )));
        }
        match &self.backend {
            TokenizerBackend::Library { inner, .. } => {
                let encoding = inner.encode_fast(text, special).map_err(|error| {
                    Error::Invalid(format!("cannot tokenize the text: {error}"))
                })?;
                Ok(encoding.get_ids().to_vec())
            }
            TokenizerBackend::Gguf(vocabulary) => vocabulary.encode(text, special),
        }
    }

    /// Converts tokens to text. It leaves out special tokens unless `keep_special` is true. It always leaves out ids
    /// that are not in the vocabulary.
    ///
    /// # Errors
    /// Fails if the decoder of the tokenizer fails.
    pub fn decode(&self, tokens: &[u32], keep_special: bool) -> Result<String> {
        match &self.backend {
            TokenizerBackend::Library { inner, cleans_up_spaces, .. } => {
                let text = inner.decode(tokens, !keep_special);
                let text = text.map_err(text_stream::decoding_error)?;
                Ok(if *cleans_up_spaces { clean_up_spaces(text) } else { text })
            }
            TokenizerBackend::Gguf(vocabulary) => {
                let bytes = tokens.iter().flat_map(|&id| vocabulary.bytes(id, keep_special));
                let text = String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned();
                let stripped = text.strip_prefix(' ').filter(|_| vocabulary.strips_space());
                Ok(stripped.map_or_else(|| text.clone(), str::to_owned))
            }
        }
    }

    /// Starts a text that grows token by token with [`Self::push`]. `keep` is the number of bytes before the new part
    /// that each call returns as well, so that a caller can find a string that began earlier.
    pub fn stream(&self, keep: usize) -> TextStream {
        match &self.backend {
            TokenizerBackend::Library { scheme, .. } => TextStream::new(scheme, keep),
            TokenizerBackend::Gguf(vocabulary) => TextStream::with_stripped_prefix(
                vocabulary.strips_space().then_some((' ', 1)),
                keep,
            ),
        }
    }

    /// Adds a token to a text. Returns the end of the new text: everything that the token changed, and the `keep` bytes
    /// before it. Returns an empty string if the token changed nothing. The whole text is always equal to what
    /// [`Self::decode`] makes of all tokens so far.
    ///
    /// # Errors
    /// Fails if the decoder of the tokenizer fails.
    ///
    /// ```
    /// use llem_checkpoint::tokenizer::Tokenizer;
    ///
    /// let tokenizer = Tokenizer::with_byte_tokens()?;
    /// let mut stream = tokenizer.stream(1);
    /// assert_eq!(tokenizer.push(&mut stream, u32::from(b'a'))?, "a");
    /// assert_eq!(tokenizer.push(&mut stream, u32::from(b'b'))?, "ab");
    /// // A character that is not complete yet is shown as U+FFFD, and is replaced later.
    /// assert_eq!(tokenizer.push(&mut stream, 0xc3)?, "b\u{fffd}");
    /// assert_eq!(tokenizer.push(&mut stream, 0xa9)?, "bé");
    /// # Ok::<(), llem_checkpoint::Error>(())
    /// ```
    pub fn push(&self, stream: &mut TextStream, token: u32) -> Result<String> {
        match &self.backend {
            TokenizerBackend::Library { inner, scheme, cleans_up_spaces } => {
                let text = stream.push(inner, scheme, token)?;
                Ok(if *cleans_up_spaces { clean_up_spaces(text) } else { text })
            }
            TokenizerBackend::Gguf(vocabulary) => {
                Ok(stream.push_bytes(vocabulary.bytes(token, false)))
            }
        }
    }
}

/// Removes spaces before punctuation, like `clean_up_tokenization` of transformers.
fn clean_up_spaces(text: String) -> String {
    const SPACED: [(&str, &str); 10] = [
        (" .", "."),
        (" ?", "?"),
        (" !", "!"),
        (" ,", ","),
        (" ' ", "'"),
        (" n't", "n't"),
        (" 'm", "'m"),
        (" 's", "'s"),
        (" 've", "'ve"),
        (" 're", "'re"),
    ];
    SPACED.iter().fold(text, |text, (spaced, tight)| text.replace(spaced, tight))
}

/// Returns the byte of a byte token in the spelling of SentencePiece, for example `<0x0A>`. Returns `None` for other
/// tokens.
fn parse_byte_token(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod tokenizer_folder_tests;
