//! What a GGUF file says of each token, and which have a role.

use super::Model;
use crate::{
    Error, Result,
    gguf::Gguf,
    tokenizer::{SpecialTokens, special_tokens::ROLES},
};
use std::collections::{BTreeSet, HashMap};

/// What a token is for: `tokenizer.ggml.token_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Stands for text.
    Normal,
    /// Stands for what the vocabulary cannot spell.
    Unknown,
    /// Has a meaning of its own, as the end of a turn.
    Control,
    /// Stands for text that is never split.
    UserDefined,
    /// Stands for nothing yet.
    Unused,
    /// Stands for a byte.
    Byte,
    /// The file does not say.
    Undefined,
}

impl Type {
    fn of(number: f64) -> Self {
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

    /// Whether decoding leaves it out.
    pub fn is_special(self) -> bool {
        matches!(self, Self::Unknown | Self::Control)
    }
}

/// A token.
#[derive(Clone)]
pub struct Entry {
    /// How it is spelt.
    pub text: String,
    /// How soon it is merged, or the logarithm of its probability.
    pub score: f32,
    /// What it is for.
    pub kind: Type,
}

/// The tokens, by id.
pub struct Entries(Vec<Entry>);

impl Entries {
    /// Reads the tokens of a file.
    pub fn read(gguf: &Gguf) -> Result<Self> {
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
        let entries = texts.into_iter().enumerate().map(|(id, text)| Entry {
            // llama.cpp's name for a token without text.
            text: if text.is_empty() { format!("[EMPTY_{id}]") } else { text },
            score: scores.as_ref().map_or(0.0, |scores| scores[id] as f32),
            kind: types.as_ref().map_or(Type::Normal, |types| Type::of(types[id])),
        });
        Ok(Self(entries.collect()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// By id.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.0.iter()
    }

    /// The token of that id, to be changed.
    pub fn get_mut(&mut self, id: u32) -> Option<&mut Entry> {
        self.0.get_mut(id as usize)
    }

    /// Ids by text; the last of those that share one.
    pub fn ids(&self) -> HashMap<String, u32> {
        self.iter().zip(0..).map(|(entry, id)| (entry.text.clone(), id)).collect()
    }

    /// Lengths of tokens that there are, in bytes, ascending.
    pub fn lengths(&self) -> Vec<usize> {
        let lengths: BTreeSet<usize> = self.iter().map(|entry| entry.text.len()).collect();
        lengths.into_iter().collect()
    }

    /// By id, to be kept.
    pub fn into_list(self) -> Vec<Entry> {
        self.0
    }
}

/// Ids of tokens that have a role.
pub struct Roles(Vec<(&'static str, u32)>);

impl Roles {
    /// The id of the token with that role.
    pub fn id(&self, role: &str) -> Option<u32> {
        self.0.iter().find(|(named, _)| *named == role).map(|&(_, id)| id)
    }

    /// The same by text.
    pub fn texts(&self, entries: &Entries) -> SpecialTokens {
        let text = |id: u32| entries.0.get(id as usize).map(|entry| entry.text.clone());
        SpecialTokens::of_roles(self.0.iter().filter_map(|&(role, id)| Some((role, text(id)?))))
    }
}

/// Which tokens have a role: those that the file names, otherwise those that llama.cpp takes for granted.
pub fn roles(gguf: &Gguf, model: &Model, count: usize) -> Result<Roles> {
    let default = |role: &str| match (model, role) {
        (Model::Scores, "bos_token") => Some(1),
        (Model::Scores, "eos_token") => Some(2),
        (Model::Scores, "unk_token") => Some(0),
        (Model::Ranks(pre), "bos_token") if pre.has_no_bos || pre.is_gemma4 => None,
        (Model::Ranks(pre), "eos_token") if pre.is_gemma4 => None,
        (Model::Ranks(_), "bos_token" | "eos_token") => Some(11),
        (Model::Pieces, "eos_token") => Some(1),
        (Model::Pieces, "unk_token") => Some(2),
        (Model::Pieces, "pad_token") => Some(0),
        (Model::WordPieces, "bos_token") => Some(101),
        (Model::WordPieces, "unk_token") => Some(100),
        (Model::WordPieces, "sep_token") => Some(102),
        (Model::WordPieces, "pad_token") => Some(0),
        (Model::WordPieces, "mask_token") => Some(103),
        _ => None,
    };
    let mut roles = Vec::new();
    for (role, key) in ROLES {
        let named = gguf.whole(key)?;
        let id = [named, default(role)].into_iter().flatten().find(|&id| id < count as u64);
        roles.extend(id.map(|id| (role, id as u32)));
    }
    Ok(Roles(roles))
}

/// Merges and their ranks, spelt as files spell them: two texts with a space between.
pub fn ranks(gguf: &Gguf) -> Result<HashMap<String, u32>> {
    let merges = gguf.strings("tokenizer.ggml.merges").ok_or_else(|| {
        Error::file(gguf.path(), "its tokenizer: tokenizer.ggml.merges is missing: fetch it again")
    })?;
    let mut ranks = HashMap::with_capacity(merges.len());
    for (merge, rank) in merges.into_iter().zip(0..) {
        // Of two that are the same, llama.cpp takes the first.
        ranks.entry(merge).or_insert(rank);
    }
    Ok(ranks)
}
