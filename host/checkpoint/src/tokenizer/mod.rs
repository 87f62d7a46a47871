//! Text to tokens and back.
//!
//! ```text
//! tokenizer.json ──────────┐
//! tokenizer.model ─────────┼─► as transformers reads them, through Hugging Face's `tokenizers` ─┐
//! vocab.json, merges.txt ──┘                                                                   ├─► Tokenizer
//! a GGUF file ───────────────► as llama.cpp reads it ───────────────────────────────────────────┘
//! ```
//!
//! Start at [`Tokenizer`], [`TokenizerFacts`] and [`SpecialTokens`].

mod byte_alphabet;
mod charsmap;
mod class;
mod folder;
mod gguf;
mod sentencepiece;
pub mod special_tokens;
mod text_stream;

pub use special_tokens::SpecialTokens;
pub use text_stream::TextStream;

use crate::{Error, Result, gguf::Gguf};
use gguf::Vocabulary;
use std::path::Path;
use text_stream::Growth;
use tokenizers::{
    AddedToken, PostProcessor, decoders::byte_level::ByteLevel, models::bpe::BPE,
    pre_tokenizers::byte_level::ByteLevel as ByteLevelSplit,
};

/// The tokens 256 and 257 of the byte-level tokenizer.
const BYTE_SPECIALS: [&str; 2] = ["<s>", "</s>"];

/// Longest text that is tokenized at a time, in bytes: WikiText-2's test split has 1.3 million.
const LONGEST_TEXT: usize = 1_500_000;

/// A model's tokenizer. A copy remembers none of the words that this one has met.
#[derive(Clone)]
pub struct Tokenizer {
    engine: Engine,
    special: SpecialTokens,
}

/// By what text becomes tokens.
#[derive(Clone)]
enum Engine {
    /// Hugging Face's library.
    Library {
        inner: Box<tokenizers::Tokenizer>,
        growth: Growth,
        /// Whether spaces before punctuation are taken off the text of tokens.
        cleans: bool,
    },
    /// A GGUF file's vocabulary.
    Gguf(Vocabulary),
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
    /// Ends one, as the tokenizer's files have it; generation goes by [`crate::Checkpoint::eos`].
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

impl Tokenizer {
    /// Reads a `tokenizer.json`, and what the files beside it say of its use.
    ///
    /// # Errors
    /// A file is not what it should be.
    pub fn read(path: &Path) -> Result<Self> {
        folder::read_json(path)
    }

    /// Reads the tokenizer of a model's folder: `tokenizer.json`, otherwise `tokenizer.model`, otherwise `vocab.json`
    /// with `merges.txt`; none if it has none of these. [`Self::refusal_in`] says why.
    ///
    /// # Errors
    /// A file is not what it should be.
    pub fn in_folder(folder: &Path) -> Result<Option<Self>> {
        folder::read(folder)
    }

    /// Files that may hold the vocabulary of a folder, in the order in which they are looked for, and files that say how
    /// it is used.
    pub const FILES: ([&str; 5], [&str; 3]) = (folder::VOCABULARIES, folder::SETTINGS);

    /// The files of a folder of which [`Self::in_folder`] makes its tokenizer, whether or not they are there.
    pub fn files(folder: &Path) -> Vec<&'static str> {
        folder::files(folder)
    }

    /// Why [`Self::in_folder`] gives none for a folder that has a vocabulary, and what to do about it.
    pub fn refusal_in(folder: &Path) -> Option<String> {
        folder::refusal(folder)
    }

    /// The vocabulary of a GGUF file; none if it has none, or one of a kind that is not read: another way of splitting
    /// text would give other tokens and say nothing. [`Self::refusal`] says why.
    ///
    /// # Errors
    /// The vocabulary is not whole.
    pub fn from_gguf(gguf: &Gguf) -> Result<Option<Self>> {
        let vocabulary = Vocabulary::read(gguf)?;
        Ok(vocabulary.map(|vocabulary| Self {
            special: vocabulary.special().clone(),
            engine: Engine::Gguf(vocabulary),
        }))
    }

    /// Why [`Self::from_gguf`] gives none for a file that has a vocabulary, and what to do about it.
    pub fn refusal(gguf: &Gguf) -> Option<String> {
        gguf::refusal(gguf)
    }

    /// A tokenizer of the library, and which special tokens files name.
    fn of_library(inner: tokenizers::Tokenizer, special: SpecialTokens, cleans: bool) -> Self {
        let growth = if cleans { Growth::Whole } else { Growth::of(inner.get_decoder()) };
        Self { engine: Engine::Library { inner: Box::new(inner), growth, cleans }, special }
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
        Ok(Self::of_library(inner, special, false))
    }

    /// What is known of it.
    pub fn facts(&self) -> TokenizerFacts {
        let named = |text: &str| {
            let id = self.token_id(text)?;
            Some(SpecialToken { id, text: text.to_owned(), is_named: true })
        };
        let role = |role: &str| named(self.special.role(role)?);
        let mut special: Vec<_> = self.special.texts().into_iter().filter_map(named).collect();
        let (mut marked, added_by_encoding, vocabulary) = match &self.engine {
            Engine::Library { inner, .. } => {
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
            Engine::Gguf(vocabulary) => {
                (vocabulary.marked(), vocabulary.added_by_encoding(), vocabulary.len())
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

    /// The tokens that end generation in llama.cpp, ascending, where the tokenizer is a GGUF file's.
    pub fn end_of_generation(&self) -> &[u32] {
        match &self.engine {
            Engine::Library { .. } => &[],
            Engine::Gguf(vocabulary) => vocabulary.end_of_generation(),
        }
    }

    /// How the vocabulary spells a token (`Ġthe`); none beyond it.
    pub fn token_text(&self, id: u32) -> Option<String> {
        match &self.engine {
            Engine::Library { inner, .. } => inner.id_to_token(id),
            Engine::Gguf(vocabulary) => vocabulary.token_text(id).map(str::to_owned),
        }
    }

    /// The token that the vocabulary spells so; none where it has no such.
    pub fn token_id(&self, text: &str) -> Option<u32> {
        match &self.engine {
            Engine::Library { inner, .. } => inner.token_to_id(text),
            Engine::Gguf(vocabulary) => vocabulary.token_id(text),
        }
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
        match &self.engine {
            Engine::Library { inner, .. } => {
                let encoding = inner.encode_fast(text, special).map_err(|error| {
                    Error::Invalid(format!("cannot tokenize the text: {error}"))
                })?;
                Ok(encoding.get_ids().to_vec())
            }
            Engine::Gguf(vocabulary) => vocabulary.encode(text, special),
        }
    }

    /// Tokens to text. Special tokens give nothing unless `keep_special` says otherwise; ids beyond the vocabulary
    /// never do.
    pub fn decode(&self, tokens: &[u32], keep_special: bool) -> Result<String> {
        match &self.engine {
            Engine::Library { inner, cleans, .. } => {
                let text = inner.decode(tokens, !keep_special);
                let text = text.map_err(text_stream::undecodable)?;
                Ok(if *cleans { clean(text) } else { text })
            }
            Engine::Gguf(vocabulary) => {
                let bytes = tokens.iter().flat_map(|&id| vocabulary.bytes(id, keep_special));
                let text = String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned();
                let stripped = text.strip_prefix(' ').filter(|_| vocabulary.strips_space());
                Ok(stripped.map_or_else(|| text.clone(), str::to_owned))
            }
        }
    }

    /// A text that grows token by token, of which `keep` bytes before what is new are kept.
    pub fn stream(&self, keep: usize) -> TextStream {
        match &self.engine {
            Engine::Library { growth, .. } => TextStream::new(growth, keep),
            Engine::Gguf(vocabulary) => {
                TextStream::stripped(vocabulary.strips_space().then_some((' ', 1)), keep)
            }
        }
    }

    /// Adds a token to a text, and returns the end of the text with it: all that differs from the text without it, and
    /// what was to be kept before. Empty if the token changes nothing. The text is what [`Self::decode`] makes of all
    /// its tokens.
    pub fn push(&self, stream: &mut TextStream, token: u32) -> Result<String> {
        match &self.engine {
            Engine::Library { inner, growth, cleans } => {
                let text = stream.push(inner, growth, token)?;
                Ok(if *cleans { clean(text) } else { text })
            }
            Engine::Gguf(vocabulary) => Ok(stream.push_bytes(vocabulary.bytes(token, false))),
        }
    }
}

/// Takes off spaces before punctuation, as `clean_up_tokenization` of transformers does.
fn clean(text: String) -> String {
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

/// The byte that a token spells, as SentencePiece has it: `<0x0A>`.
fn byte_of(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod folder_tests;
