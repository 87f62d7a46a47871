//! Reads the tokens of a GGUF file, their roles and the ranks of merges.

use super::vocabulary_type::VocabularyType;
use crate::{
    Error, Result,
    gguf::Gguf,
    tokenizer::{SpecialTokens, special_tokens::ROLES},
};
use std::collections::{BTreeSet, HashMap};

/// The type of a token: `tokenizer.ggml.token_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenType {
    /// The token stands for a text.
    Normal,
    /// The token stands for text that the vocabulary cannot spell.
    Unknown,
    /// The token has a special meaning, for example the end of a turn.
    Control,
    /// The token stands for a text that is never split.
    UserDefined,
    /// The token is reserved.
    Unused,
    /// The token stands for a single byte.
    Byte,
    /// The file gives no type or an unknown one.
    Undefined,
}

impl TokenType {
    fn from_number(number: f64) -> Self {
        match number as i64 {
            1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => Self::Undefined,
        }
    }

    /// Whether decoding leaves out such a token by default.
    pub(super) fn is_special(self) -> bool {
        matches!(self, Self::Unknown | Self::Control)
    }
}

/// One token of the vocabulary.
#[derive(Clone)]
pub(super) struct TokenEntry {
    /// The spelling of the token.
    pub(super) text: String,
    /// The merge priority in SentencePiece's BPE, or the natural logarithm of the probability in a unigram model.
    pub(super) score: f32,
    pub(super) kind: TokenType,
}

/// All tokens of a vocabulary, ordered by id.
pub(super) struct TokenEntries(Vec<TokenEntry>);

impl TokenEntries {
    /// Reads the tokens of a file. Fails if they are missing, or if scores or types are incomplete.
    pub(super) fn from_gguf(gguf: &Gguf) -> Result<Self> {
        let bad = |reason: String| {
            Error::file(gguf.path(), format!("its tokenizer: {reason}: fetch it again"))
        };
        let texts = gguf.strings("tokenizer.ggml.tokens").filter(|texts| !texts.is_empty());
        let texts = texts.ok_or_else(|| bad("tokenizer.ggml.tokens is missing".to_owned()))?;
        let numbers = |key: &str| {
            let numbers = gguf.numbers(&format!("tokenizer.ggml.{key}"));
            match numbers {
                Some(numbers) if numbers.len() < texts.len() => Err(bad(format!(
                    "{key} has {} entries for {} tokens",
                    numbers.len(),
                    texts.len()
                ))),
                numbers => Ok(numbers),
            }
        };
        let (scores, types) = (numbers("scores")?, numbers("token_type")?);
        let entries = texts.into_iter().enumerate().map(|(id, text)| TokenEntry {
            // llama.cpp gives a token without text this name.
            text: if text.is_empty() { format!("[EMPTY_{id}]") } else { text },
            score: scores.as_ref().map_or(0.0, |scores| scores[id] as f32),
            kind: types
                .as_ref()
                .map_or(TokenType::Normal, |types| TokenType::from_number(types[id])),
        });
        Ok(Self(entries.collect()))
    }

    /// The number of tokens.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, TokenEntry> {
        self.0.iter()
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut TokenEntry> {
        self.0.get_mut(id as usize)
    }

    /// Returns the ids by text. If several tokens have the same text, the last one counts.
    pub(super) fn ids(&self) -> HashMap<String, u32> {
        self.iter().zip(0..).map(|(entry, id)| (entry.text.clone(), id)).collect()
    }

    /// Returns the lengths that tokens have, in bytes, in ascending order without duplicates.
    pub(super) fn lengths(&self) -> Vec<usize> {
        let lengths: BTreeSet<usize> = self.iter().map(|entry| entry.text.len()).collect();
        lengths.into_iter().collect()
    }

    /// Returns the tokens, ordered by id.
    pub(super) fn into_vec(self) -> Vec<TokenEntry> {
        self.0
    }
}

/// The ids of the tokens with a role.
pub(super) struct RoleIds(Vec<(&'static str, u32)>);

impl RoleIds {
    /// Returns the id of the token with this role.
    pub(super) fn id(&self, role: &str) -> Option<u32> {
        self.0.iter().find(|(named, _)| *named == role).map(|&(_, id)| id)
    }

    /// Converts the ids to texts.
    pub(super) fn texts(&self, entries: &TokenEntries) -> SpecialTokens {
        let text = |id: u32| entries.0.get(id as usize).map(|entry| entry.text.clone());
        SpecialTokens::from_roles(self.0.iter().filter_map(|&(role, id)| Some((role, text(id)?))))
    }
}

/// Finds the tokens with a role: the ids that the file gives, otherwise llama.cpp's defaults for the vocabulary type.
pub(super) fn roles(gguf: &Gguf, model: &VocabularyType, count: usize) -> Result<RoleIds> {
    let default = |role: &str| match (model, role) {
        (VocabularyType::Spm, "bos_token") => Some(1),
        (VocabularyType::Spm, "eos_token") => Some(2),
        (VocabularyType::Spm, "unk_token") => Some(0),
        (VocabularyType::Bpe(pre), "bos_token") if pre.has_no_bos || pre.is_gemma4 => None,
        (VocabularyType::Bpe(pre), "eos_token") if pre.is_gemma4 => None,
        (VocabularyType::Bpe(_), "bos_token" | "eos_token") => Some(11),
        (VocabularyType::Unigram, "eos_token") => Some(1),
        (VocabularyType::Unigram, "unk_token") => Some(2),
        (VocabularyType::Unigram, "pad_token") => Some(0),
        (VocabularyType::WordPiece, "bos_token") => Some(101),
        (VocabularyType::WordPiece, "unk_token") => Some(100),
        (VocabularyType::WordPiece, "sep_token") => Some(102),
        (VocabularyType::WordPiece, "pad_token") => Some(0),
        (VocabularyType::WordPiece, "mask_token") => Some(103),
        _ => None,
    };
    let mut roles = Vec::new();
    for (role, key) in ROLES {
        let named = gguf.whole(key)?;
        let id = [named, default(role)].into_iter().flatten().find(|&id| id < count as u64);
        roles.extend(id.map(|id| (role, id as u32)));
    }
    Ok(RoleIds(roles))
}

/// Reads the ranks of merges. A key is spelt as in the file: two texts with a space between them.
pub(super) fn ranks(gguf: &Gguf) -> Result<HashMap<String, u32>> {
    let merges = gguf.strings("tokenizer.ggml.merges").ok_or_else(|| {
        Error::file(gguf.path(), "its tokenizer: tokenizer.ggml.merges is missing: fetch it again")
    })?;
    let mut ranks = HashMap::with_capacity(merges.len());
    for (merge, rank) in merges.into_iter().zip(0..) {
        // llama.cpp uses the first of two equal merges.
        ranks.entry(merge).or_insert(rank);
    }
    Ok(ranks)
}
