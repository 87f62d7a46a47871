//! Vocabularies of GGUF files, by which text becomes the tokens that llama.cpp makes of it (`llama-vocab.cpp`): where
//! transformers makes others of the same model, llama.cpp's are taken.
//!
//! ```text
//! text ─► fragments between special tokens ─► words ─► tokens
//!         partition                           kind: pairs merged by rank or score, pieces, word pieces
//! ```

mod end_of_generation;
mod entries;
mod merging;
mod partition;
mod pre_tokenizers;
mod unigram;
mod word_pieces;
mod words;

use super::{SpecialToken, SpecialTokens, byte_alphabet::ByteAlphabet, charsmap::Charsmap};
use crate::{Error, Result, gguf::Gguf};
use entries::{Entries, Entry, Roles, Type};
use partition::{Fragment, Partition};
use pre_tokenizers::PreTokenizer;
use std::{cmp::Reverse, collections::HashMap, sync::Arc};
use unigram::{Normalization, Piece, Unigram};
use word_pieces::Letters;
use words::Words;

/// What stands for a space in most vocabularies.
const SPACE: &str = "▁";

/// The vocabulary of a GGUF file.
#[derive(Clone)]
pub struct Vocabulary(Arc<Parts>);

struct Parts {
    entries: Vec<Entry>,
    ids: HashMap<String, u32>,
    roles: SpecialTokens,
    kind: Kind,
    partition: Partition,
    /// Tokens that encoding puts before a text.
    before: Vec<u32>,
    /// Tokens that encoding puts after it.
    after: Vec<u32>,
    /// A text that begins, or follows a special token, begins with a space; decoding takes the first away.
    adds_space: bool,
    end_of_generation: Vec<u32>,
    alphabet: ByteAlphabet,
}

/// How text becomes tokens.
enum Kind {
    /// Neighbours that make a token merge, the token with the highest score first: SentencePiece's BPE.
    Scores,
    /// Words, in which neighbours merge by rank.
    Ranks { words: Words, ranks: HashMap<String, u32>, pre: PreTokenizer },
    /// The most probable pieces: SentencePiece's unigram models.
    Pieces(Unigram),
    /// Words, each of the longest pieces: BERT.
    WordPieces { letters: Letters, lengths: Vec<usize>, unknown: u32 },
}

impl Vocabulary {
    /// The vocabulary of a file; none if it holds none, or one of a kind that is not read.
    ///
    /// # Errors
    /// The vocabulary is not whole.
    pub fn read(gguf: &Gguf) -> Result<Option<Self>> {
        let Some(model) = Model::of(gguf)? else { return Ok(None) };
        let mut entries = Entries::read(gguf)?;
        let roles = entries::roles(gguf, &model, entries.len())?;
        // Pieces are those that the file marks so, whatever is special by its text.
        let kind = Kind::of(&model, gguf, &entries, &roles)?;
        let end_of_generation = end_of_generation::mark(gguf, &mut entries, &roles)?;
        let (before, after) = around(&model, gguf, &roles)?;
        let adds_space = gguf.boolean("tokenizer.ggml.add_space_prefix");
        Ok(Some(Self(Arc::new(Parts {
            partition: Partition::new(gguf, &entries)?,
            before,
            after,
            adds_space: adds_space.unwrap_or(matches!(model, Model::Scores)),
            roles: roles.texts(&entries),
            ids: entries.ids(),
            entries: entries.into_list(),
            kind,
            end_of_generation,
            alphabet: ByteAlphabet::new(),
        }))))
    }

    /// The tokens of a text. Special tokens in it are taken for what they are; `special` adds what the vocabulary puts
    /// around a text.
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        let parts = &*self.0;
        let mut tokens = if special { parts.before.clone() } else { Vec::new() };
        let mut follows_special = true;
        for fragment in parts.partition.fragments(text) {
            match fragment {
                Fragment::Token(id) => tokens.push(id),
                Fragment::Text(text) => parts.tokenize(text, follows_special, &mut tokens)?,
            }
            follows_special = matches!(fragment, Fragment::Token(_));
        }
        if special {
            tokens.extend(&parts.after);
        }
        Ok(tokens)
    }

    /// The bytes that a token stands for; none for a special one unless `keep_special`, and beyond the vocabulary.
    pub fn bytes(&self, id: u32, keep_special: bool) -> Vec<u8> {
        let parts = &*self.0;
        let Some(Entry { text, kind, .. }) = parts.entries.get(id as usize) else {
            return Vec::new();
        };
        match kind {
            Type::Unknown | Type::Control if keep_special => text.clone().into_bytes(),
            Type::UserDefined => text.clone().into_bytes(),
            Type::Unknown | Type::Control | Type::Unused | Type::Undefined => Vec::new(),
            Type::Byte => super::byte_of(text).map_or_else(Vec::new, |byte| vec![byte]),
            Type::Normal => match &parts.kind {
                Kind::Ranks { pre, .. } if pre.is_byte_level => parts.alphabet.bytes(text),
                Kind::Ranks { pre, .. } if !pre.escapes_spaces => text.clone().into_bytes(),
                _ => text.replace(SPACE, " ").into_bytes(),
            },
        }
    }

    /// Whether decoding takes a space from the beginning of a text.
    pub fn strips_space(&self) -> bool {
        self.0.adds_space
    }

    /// How the vocabulary spells a token; none beyond it.
    pub fn token_text(&self, id: u32) -> Option<&str> {
        self.0.entries.get(id as usize).map(|entry| &entry.text[..])
    }

    /// The token that the vocabulary spells so.
    pub fn token_id(&self, text: &str) -> Option<u32> {
        self.0.ids.get(text).copied()
    }

    /// The tokens that have a role.
    pub fn special(&self) -> &SpecialTokens {
        &self.0.roles
    }

    /// Tokens that decoding leaves out, by id.
    pub fn marked(&self) -> Vec<SpecialToken> {
        let entries = self.0.entries.iter().zip(0..);
        let marked = entries.filter(|(entry, _)| entry.kind.is_special());
        marked
            .map(|(entry, id)| SpecialToken { id, text: entry.text.clone(), is_named: false })
            .collect()
    }

    /// Tokens that encoding adds to a text.
    pub fn added_by_encoding(&self) -> usize {
        self.0.before.len() + self.0.after.len()
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.0.entries.len()
    }

    /// The tokens that end generation in llama.cpp, ascending: the end of a text, of a turn and of a message.
    pub fn end_of_generation(&self) -> &[u32] {
        &self.0.end_of_generation
    }
}

impl Parts {
    /// The tokens of a text without special ones.
    fn tokenize(&self, text: &str, follows_special: bool, tokens: &mut Vec<u32>) -> Result<()> {
        match &self.kind {
            Kind::Scores => {
                let space = if self.adds_space && follows_special { SPACE } else { "" };
                let text = format!("{space}{}", text.replace(' ', SPACE));
                let priority = |pair: &str, _: usize| Some(Score(self.entry(pair)?.score));
                for symbol in merging::merge(&text, priority) {
                    self.push(symbol, true, tokens);
                }
            }
            Kind::Ranks { words, ranks, pre } => {
                let escaped = pre.escapes_spaces.then(|| text.replace(' ', SPACE));
                let text = escaped.as_deref().unwrap_or(text);
                for word in words.split(text)? {
                    self.push_word(word, ranks, pre, tokens);
                }
            }
            Kind::Pieces(unigram) => unigram.tokenize(text, tokens)?,
            &Kind::WordPieces { letters, ref lengths, unknown } => {
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
        let symbols = merging::merge(word, |pair, middle| {
            // Merges are kept as files spell them.
            entry.clear();
            entry.extend([&pair[..middle], " ", &pair[middle..]]);
            ranks.get(&entry).copied().map(Reverse)
        });
        for symbol in symbols {
            self.push(symbol, !pre.is_byte_level, tokens);
        }
    }

    /// Adds a symbol's token, or those of its bytes where it has none.
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

    fn entry(&self, text: &str) -> Option<&Entry> {
        self.ids.get(text).map(|&id| &self.entries[id as usize])
    }
}

/// A token's score, by which the higher one is merged first.
struct Score(f32);

impl Ord for Score {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // Zeros of either sign are one number.
        (self.0 + 0.0).total_cmp(&(other.0 + 0.0))
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Score {}

/// What `tokenizer.ggml.model` says.
enum Model {
    Scores,
    Ranks(PreTokenizer),
    Pieces,
    WordPieces,
}

impl Model {
    fn of(gguf: &Gguf) -> Result<Option<Self>> {
        let Some(model) = gguf.text("tokenizer.ggml.model") else { return Ok(None) };
        Ok(match &model[..] {
            "llama" => Some(Self::Scores),
            "bert" => Some(Self::WordPieces),
            "t5" => Some(Self::Pieces),
            "gemma4" => pre_tokenizers::by_name("gemma4").map(Self::Ranks),
            "gpt2" => {
                let name = gguf.text("tokenizer.ggml.pre").unwrap_or_else(|| "default".to_owned());
                pre_tokenizers::by_name(&name).map(Self::Ranks)
            }
            _ => None,
        })
    }
}

/// Why the vocabulary of a file is not read, where it has one.
pub fn refusal(gguf: &Gguf) -> Option<String> {
    let model =
        gguf.text("tokenizer.ggml.model").filter(|model| model != "none" && model != "no_vocab")?;
    let remedy =
        "give token ids instead of text, or put the original's tokenizer.json beside the file";
    Some(match (&model[..], gguf.text("tokenizer.ggml.pre")) {
        ("gpt2", Some(pre)) => {
            format!("its way of splitting text (tokenizer.ggml.pre {pre:?}) is not known: {remedy}")
        }
        _ => {
            format!("its kind of vocabulary (tokenizer.ggml.model {model:?}) is not read: {remedy}")
        }
    })
}

impl Kind {
    fn of(model: &Model, gguf: &Gguf, entries: &Entries, roles: &Roles) -> Result<Self> {
        let unknown = || {
            let reason = "its tokenizer: it names no token for what is unknown: fetch it again";
            roles.id("unk_token").ok_or_else(|| Error::file(gguf.path(), reason))
        };
        Ok(match model {
            Model::Scores => Self::Scores,
            Model::Ranks(pre) => Self::Ranks {
                words: Words::new(pre.splits)?,
                ranks: entries::ranks(gguf)?,
                pre: *pre,
            },
            Model::Pieces => Self::Pieces(unigram(gguf, entries, unknown()?)?),
            Model::WordPieces => {
                let flag = |key: &str| gguf.boolean(&format!("tokenizer.ggml.normalizer.{key}"));
                let lowercase = flag("lowercase").unwrap_or(true);
                let strip_accents = flag("strip_accents").unwrap_or(lowercase);
                Self::WordPieces {
                    letters: Letters { lowercase, strip_accents },
                    lengths: entries.lengths(),
                    unknown: unknown()?,
                }
            }
        })
    }
}

/// The tokens that encoding puts before a text and after it.
fn around(model: &Model, gguf: &Gguf, roles: &Roles) -> Result<(Vec<u32>, Vec<u32>)> {
    let flag =
        |key: &str, usual: bool| gguf.boolean(&format!("tokenizer.ggml.{key}")).unwrap_or(usual);
    let (adds_bos, end) = match model {
        Model::Scores => {
            (flag("add_bos_token", true), flag("add_eos_token", false).then_some("eos_token"))
        }
        Model::Ranks(pre) => (
            pre.is_gemma4 || flag("add_bos_token", pre.adds_bos),
            flag("add_eos_token", false).then_some("eos_token"),
        ),
        Model::Pieces => {
            (flag("add_bos_token", false), flag("add_eos_token", true).then_some("eos_token"))
        }
        // llama.cpp looks at neither.
        Model::WordPieces => (true, Some("sep_token")),
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

fn unigram(gguf: &Gguf, entries: &Entries, unknown: u32) -> Result<Unigram> {
    let bad =
        |reason: &str| Error::file(gguf.path(), format!("its tokenizer: {reason}: fetch it again"));
    let map = gguf.numbers("tokenizer.ggml.precompiled_charsmap");
    // Files have it in bytes with a sign or without.
    let map = map.map(|map| map.iter().map(|&byte| byte as i64 as u8).collect::<Vec<u8>>());
    let map = map.filter(|map| !map.is_empty()).map(|map| Charsmap::read(&map));
    let charsmap = map.transpose().map_err(|error| bad(&error.to_string()))?;
    let flag = |key: &str| gguf.boolean(&format!("tokenizer.ggml.{key}")).unwrap_or_default();
    let normalization = Normalization {
        adds_prefix: flag("add_space_prefix"),
        merges_spaces: flag("remove_extra_whitespaces"),
    };
    let pieces = entries
        .iter()
        .zip(0..)
        .filter(|(entry, _)| matches!(entry.kind, Type::Normal | Type::UserDefined | Type::Unused));
    let pieces = pieces.map(|(entry, id)| Piece {
        text: entry.text.clone(),
        id,
        score: entry.score,
        is_user_defined: entry.kind == Type::UserDefined,
    });
    Ok(Unigram::new(pieces.collect(), unknown, charsmap, normalization))
}

#[cfg(test)]
mod tests;
