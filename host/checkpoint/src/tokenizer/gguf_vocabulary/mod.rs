//! The vocabularies of GGUF files. They give the tokens of llama.cpp (`llama-vocab.cpp`), also where transformers gives
//! other tokens for the same model.
//!
//! ```text
//! text ─► fragments between special tokens ─► words ───────────► tokens
//!         Partition                           WordSplitter       Algorithm
//! ```
//!
//! Start at [`Vocabulary`], [`VocabularyType`] and [`Algorithm`].

mod byte_pair_merging;
mod end_of_generation;
mod partition;
mod pre_tokenizers;
mod split_patterns;
mod token_entries;
mod unigram;
mod vocabulary_type;
mod word_pieces;
mod word_splitter;

use super::{SpecialToken, SpecialTokens, byte_alphabet::ByteAlphabet, charsmap::Charsmap};
use crate::{Error, Result, gguf::Gguf};
use partition::{Fragment, Partition};
use pre_tokenizers::PreTokenizer;
use std::{cmp::Reverse, collections::HashMap, sync::Arc};
use token_entries::{RoleIds, TokenEntries, TokenEntry, TokenType};
pub(super) use vocabulary_type::refusal;

use unigram::{SpaceOptions, Unigram, UnigramPiece};
use vocabulary_type::VocabularyType;
use word_pieces::LetterOptions;
use word_splitter::WordSplitter;

/// The character that stands for a space in most vocabularies.
const SPACE: &str = "▁";

/// The vocabulary of a GGUF file.
#[derive(Clone)]
pub(super) struct Vocabulary(Arc<VocabularyData>);

struct VocabularyData {
    entries: Vec<TokenEntry>,
    ids: HashMap<String, u32>,
    roles: SpecialTokens,
    algorithm: Algorithm,
    partition: Partition,
    /// Tokens that encoding adds before a text.
    prefix: Vec<u32>,
    /// Tokens that encoding adds after a text.
    suffix: Vec<u32>,
    /// Whether encoding adds a space at the beginning of the text and after each special token. Decoding then removes
    /// the first one.
    adds_space: bool,
    end_of_generation: Vec<u32>,
    alphabet: ByteAlphabet,
}

/// The algorithm that splits text into tokens.
enum Algorithm {
    /// SentencePiece's BPE: neighbours that form a token are merged, those with the highest score first.
    Spm,
    /// BPE: the text is split into words, and neighbours within a word are merged by rank.
    Bpe { words: WordSplitter, ranks: HashMap<String, u32>, pre: PreTokenizer },
    /// SentencePiece's unigram model: the most probable sequence of pieces.
    Unigram(Unigram),
    /// BERT's WordPiece: the text is split into words, and each word into the longest pieces from its beginning.
    WordPiece { letters: LetterOptions, lengths: Vec<usize>, unknown: u32 },
}

impl Vocabulary {
    /// Reads the vocabulary of a file. Returns `None` if the file has none, or one of a type that is not known.
    ///
    /// # Errors
    /// Fails if the vocabulary is incomplete.
    pub(super) fn from_gguf(gguf: &Gguf) -> Result<Option<Self>> {
        let Some(model) = VocabularyType::from_gguf(gguf) else { return Ok(None) };
        let mut entries = TokenEntries::from_gguf(gguf)?;
        let roles = token_entries::roles(gguf, &model, entries.len())?;
        // This must come before `find_and_mark`, because the algorithm uses the types that the file gives.
        let algorithm = Algorithm::new(&model, gguf, &entries, &roles)?;
        let end_of_generation = end_of_generation::find_and_mark(gguf, &mut entries, &roles)?;
        let (prefix, suffix) = surrounding_tokens(&model, gguf, &roles)?;
        let adds_space = gguf.boolean("tokenizer.ggml.add_space_prefix");
        Ok(Some(Self(Arc::new(VocabularyData {
            partition: Partition::new(gguf, &entries)?,
            prefix,
            suffix,
            adds_space: adds_space.unwrap_or(matches!(model, VocabularyType::Spm)),
            roles: roles.texts(&entries),
            ids: entries.ids(),
            entries: entries.into_vec(),
            algorithm,
            end_of_generation,
            alphabet: ByteAlphabet::new(),
        }))))
    }

    /// Converts text to tokens. The spelling of a special token in the text becomes that token. If `special` is true,
    /// it adds the tokens that belong around a text, such as BOS.
    pub(super) fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        let parts = &*self.0;
        let mut tokens = if special { parts.prefix.clone() } else { Vec::new() };
        let mut follows_special = true;
        for fragment in parts.partition.fragments(text) {
            match fragment {
                Fragment::Token(id) => tokens.push(id),
                Fragment::Text(text) => parts.tokenize(text, follows_special, &mut tokens)?,
            }
            follows_special = matches!(fragment, Fragment::Token(_));
        }
        if special {
            tokens.extend(&parts.suffix);
        }
        Ok(tokens)
    }

    /// Returns the bytes of a token. They are empty for an id that is not in the vocabulary, and for a special token
    /// unless `keep_special` is true.
    pub(super) fn bytes(&self, id: u32, keep_special: bool) -> Vec<u8> {
        let parts = &*self.0;
        let Some(TokenEntry { text, kind, .. }) = parts.entries.get(id as usize) else {
            return Vec::new();
        };
        match kind {
            TokenType::Unknown | TokenType::Control if keep_special => text.clone().into_bytes(),
            TokenType::UserDefined => text.clone().into_bytes(),
            TokenType::Unknown | TokenType::Control | TokenType::Unused | TokenType::Undefined => {
                Vec::new()
            }
            TokenType::Byte => {
                super::parse_byte_token(text).map_or_else(Vec::new, |byte| vec![byte])
            }
            TokenType::Normal => match &parts.algorithm {
                Algorithm::Bpe { pre, .. } if pre.is_byte_level => parts.alphabet.bytes(text),
                Algorithm::Bpe { pre, .. } if !pre.escapes_spaces => text.clone().into_bytes(),
                _ => text.replace(SPACE, " ").into_bytes(),
            },
        }
    }

    /// Whether decoding removes a space from the beginning of a text.
    pub(super) fn strips_space(&self) -> bool {
        self.0.adds_space
    }

    /// Returns the spelling of a token, or `None` if there is no such token.
    pub(super) fn token_text(&self, id: u32) -> Option<&str> {
        self.0.entries.get(id as usize).map(|entry| &entry.text[..])
    }

    /// Returns the id of the token with this spelling, or `None` if there is no such token.
    pub(super) fn token_id(&self, text: &str) -> Option<u32> {
        self.0.ids.get(text).copied()
    }

    /// The special tokens with a role.
    pub(super) fn special(&self) -> &SpecialTokens {
        &self.0.roles
    }

    /// The tokens that decoding leaves out by default, ordered by id.
    pub(super) fn special_by_type(&self) -> Vec<SpecialToken> {
        let entries = self.0.entries.iter().zip(0..);
        let marked = entries.filter(|(entry, _)| entry.kind.is_special());
        marked
            .map(|(entry, id)| SpecialToken { id, text: entry.text.clone(), is_named: false })
            .collect()
    }

    /// The number of tokens that encoding adds around a text.
    pub(super) fn added_by_encoding(&self) -> usize {
        self.0.prefix.len() + self.0.suffix.len()
    }

    /// The number of tokens.
    pub(super) fn len(&self) -> usize {
        self.0.entries.len()
    }

    /// The tokens at which llama.cpp ends generation, in ascending order: the end of a text, of a turn and of a
    /// message.
    pub(super) fn end_of_generation(&self) -> &[u32] {
        &self.0.end_of_generation
    }
}

impl VocabularyData {
    /// Converts a fragment without special tokens. `follows_special` is true for the first fragment too.
    fn tokenize(&self, text: &str, follows_special: bool, tokens: &mut Vec<u32>) -> Result<()> {
        match &self.algorithm {
            Algorithm::Spm => {
                let space = if self.adds_space && follows_special { SPACE } else { "" };
                let text = format!("{space}{}", text.replace(' ', SPACE));
                let priority = |pair: &str, _: usize| Some(MergeScore(self.entry(pair)?.score));
                for symbol in byte_pair_merging::merge(&text, priority) {
                    self.push(symbol, true, tokens);
                }
            }
            Algorithm::Bpe { words, ranks, pre } => {
                let escaped = pre.escapes_spaces.then(|| text.replace(' ', SPACE));
                let text = escaped.as_deref().unwrap_or(text);
                for word in words.split(text)? {
                    self.push_word(word, ranks, pre, tokens);
                }
            }
            Algorithm::Unigram(unigram) => unigram.tokenize(text, tokens)?,
            &Algorithm::WordPiece { letters, ref lengths, unknown } => {
                word_pieces::tokenize(text, letters, &self.ids, lengths, unknown, tokens);
            }
        }
        Ok(())
    }

    fn push_word(
        &self,
        word: &str,
        ranks: &HashMap<String, u32>,
        pre: &PreTokenizer,
        tokens: &mut Vec<u32>,
    ) {
        let spelt = pre.is_byte_level.then(|| self.alphabet.spell(word));
        let word = spelt.as_deref().unwrap_or(word);
        let is_whole =
            pre.ignores_merges || (pre.is_gemma4 && word.bytes().all(|byte| byte == b'\n'));
        if is_whole && let Some(id) = self.ids.get(word) {
            return tokens.push(*id);
        }
        let mut entry = String::new();
        let symbols = byte_pair_merging::merge(word, |pair, middle| {
            // The keys of `ranks` have a space between the two parts, as in the file.
            entry.clear();
            entry.extend([&pair[..middle], " ", &pair[middle..]]);
            ranks.get(&entry).copied().map(Reverse)
        });
        for symbol in symbols {
            self.push(symbol, !pre.is_byte_level, tokens);
        }
    }

    /// Adds the token of a symbol. Without such a token it adds the tokens of the symbol's bytes.
    fn push(&self, symbol: &str, bytes_are_hexadecimal: bool, tokens: &mut Vec<u32>) {
        if let Some(id) = self.ids.get(symbol) {
            return tokens.push(*id);
        }
        for byte in symbol.bytes() {
            let hexadecimal = || self.ids.get(&format!("<0x{byte:02X}>"));
            let itself = || self.ids.get(str::from_utf8(&[byte]).ok()?);
            let id = if bytes_are_hexadecimal { hexadecimal().or_else(itself) } else { itself() };
            tokens.extend(id);
        }
    }

    fn entry(&self, text: &str) -> Option<&TokenEntry> {
        self.ids.get(text).map(|&id| &self.entries[id as usize])
    }
}

/// The priority of a merge in SentencePiece's BPE: the score of the merged token, higher first.
struct MergeScore(f32);

impl Ord for MergeScore {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // `total_cmp` would distinguish the two zeros. Adding 0.0 turns -0.0 into 0.0.
        (self.0 + 0.0).total_cmp(&(other.0 + 0.0))
    }
}

impl PartialOrd for MergeScore {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for MergeScore {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for MergeScore {}

impl Algorithm {
    fn new(
        model: &VocabularyType,
        gguf: &Gguf,
        entries: &TokenEntries,
        roles: &RoleIds,
    ) -> Result<Self> {
        let unknown = || {
            let reason = "its tokenizer: it names no token for what is unknown: fetch it again";
            roles.id("unk_token").ok_or_else(|| Error::file(gguf.path(), reason))
        };
        Ok(match model {
            VocabularyType::Spm => Self::Spm,
            VocabularyType::Bpe(pre) => Self::Bpe {
                words: WordSplitter::new(pre.splits)?,
                ranks: token_entries::ranks(gguf)?,
                pre: *pre,
            },
            VocabularyType::Unigram => Self::Unigram(read_unigram(gguf, entries, unknown()?)?),
            VocabularyType::WordPiece => {
                let flag = |key: &str| gguf.boolean(&format!("tokenizer.ggml.normalizer.{key}"));
                let lowercase = flag("lowercase").unwrap_or(true);
                let strip_accents = flag("strip_accents").unwrap_or(lowercase);
                Self::WordPiece {
                    letters: LetterOptions { lowercase, strip_accents },
                    lengths: entries.lengths(),
                    unknown: unknown()?,
                }
            }
        })
    }
}

/// Returns the tokens that encoding adds before a text and after it.
fn surrounding_tokens(
    model: &VocabularyType,
    gguf: &Gguf,
    roles: &RoleIds,
) -> Result<(Vec<u32>, Vec<u32>)> {
    let flag =
        |key: &str, usual: bool| gguf.boolean(&format!("tokenizer.ggml.{key}")).unwrap_or(usual);
    let (adds_bos, end) = match model {
        VocabularyType::Spm => {
            (flag("add_bos_token", true), flag("add_eos_token", false).then_some("eos_token"))
        }
        VocabularyType::Bpe(pre) => (
            pre.is_gemma4 || flag("add_bos_token", pre.adds_bos),
            flag("add_eos_token", false).then_some("eos_token"),
        ),
        VocabularyType::Unigram => {
            (flag("add_bos_token", false), flag("add_eos_token", true).then_some("eos_token"))
        }
        // llama.cpp ignores both flags for this type.
        VocabularyType::WordPiece => (true, Some("sep_token")),
    };
    let ids = |role: Option<&str>| -> Result<Vec<u32>> {
        let Some(role) = role else { return Ok(Vec::new()) };
        let reason = format!(
            "its tokenizer: a text is to have a {role}, and the file names none: fetch it again"
        );
        let id = roles.id(role).ok_or_else(|| Error::file(gguf.path(), reason))?;
        Ok(vec![id])
    };
    Ok((ids(adds_bos.then_some("bos_token"))?, ids(end)?))
}

fn read_unigram(gguf: &Gguf, entries: &TokenEntries, unknown: u32) -> Result<Unigram> {
    let bad =
        |reason: &str| Error::file(gguf.path(), format!("its tokenizer: {reason}: fetch it again"));
    let map = gguf.numbers("tokenizer.ggml.precompiled_charsmap");
    // Some files store signed bytes and some unsigned bytes.
    let map = map.map(|map| map.iter().map(|&byte| byte as i64 as u8).collect::<Vec<u8>>());
    let map = map.filter(|map| !map.is_empty()).map(|map| Charsmap::from_bytes(&map));
    let charsmap = map.transpose().map_err(|error| bad(&error.to_string()))?;
    let flag = |key: &str| gguf.boolean(&format!("tokenizer.ggml.{key}")).unwrap_or_default();
    let normalization = SpaceOptions {
        adds_prefix: flag("add_space_prefix"),
        merges_spaces: flag("remove_extra_whitespaces"),
    };
    let pieces = entries.iter().zip(0..).filter(|(entry, _)| {
        matches!(entry.kind, TokenType::Normal | TokenType::UserDefined | TokenType::Unused)
    });
    let pieces = pieces.map(|(entry, id)| UnigramPiece {
        text: entry.text.clone(),
        id,
        score: entry.score,
        is_user_defined: entry.kind == TokenType::UserDefined,
    });
    Ok(Unigram::new(pieces.collect(), unknown, charsmap, normalization))
}

#[cfg(test)]
mod tests;
