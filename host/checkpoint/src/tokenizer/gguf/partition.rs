//! Finds special tokens in a text before anything else happens to it: llama.cpp's `tokenizer_st_partition`, as with
//! `parse_special`.

use super::entries::{Entries, Type};
use crate::{Error, Result, gguf::Gguf};
use aho_corasick::AhoCorasick;
use std::{cmp::Reverse, collections::BTreeSet};

/// The special tokens of a vocabulary.
pub struct Partition {
    /// The longest first, because that is the order in which they are looked for.
    specials: Vec<Special>,
    /// Tells which of them a text has at all.
    search: AhoCorasick,
}

struct Special {
    id: u32,
    text: String,
    /// Takes the spaces before it away.
    strips_before: bool,
    /// Takes the spaces behind it away.
    strips_after: bool,
}

/// A part of a text.
pub enum Fragment<'a> {
    /// A special token.
    Token(u32),
    /// What is between them.
    Text(&'a str),
}

impl Partition {
    /// Of a vocabulary's tokens. Which of them take spaces away is not in files: llama.cpp goes by names.
    pub fn new(gguf: &Gguf, entries: &Entries) -> Result<Self> {
        let text = |key: &str| gguf.text(key).unwrap_or_default();
        let name = text("general.name").to_lowercase();
        let (pre, architecture) = (text("tokenizer.ggml.pre"), text("general.architecture"));
        let mask =
            if ["jina-v2-de", "jina-v2-es", "jina-v2-code"].iter().any(|part| pre.contains(part))
                || ["nomic-bert-moe", "jina-bert-v3"].iter().any(|part| architecture.contains(part))
            {
                "<mask>"
            } else if name.contains("modern-bert") {
                "[MASK]"
            } else {
                ""
            };
        let is_phi3 = mask.is_empty() && (name.contains("phi-3") || name.contains("phi3"));
        let is_special = |kind| matches!(kind, Type::Control | Type::UserDefined | Type::Unknown);
        let mut specials: Vec<_> = (entries.iter().zip(0..))
            .filter(|(entry, _)| is_special(entry.kind))
            .map(|(entry, id)| Special {
                id,
                strips_before: entry.text == mask,
                strips_after: is_phi3
                    && !["<unk>", "<s>", "<|endoftext|>"].contains(&&entry.text[..]),
                text: entry.text.clone(),
            })
            .collect();
        specials.sort_by_key(|special| Reverse(special.text.len()));
        let search = AhoCorasick::new(specials.iter().map(|special| &special.text));
        let search = search.map_err(|error| {
            Error::file(
                gguf.path(),
                format!("its tokenizer: special tokens cannot be looked for: {error}"),
            )
        })?;
        Ok(Self { specials, search })
    }

    /// The special tokens of a text, and what is between them.
    pub fn fragments<'a>(&self, text: &'a str) -> Vec<Fragment<'a>> {
        let mut fragments = vec![Fragment::Text(text)];
        fragments.retain(|_| !text.is_empty());
        let found: BTreeSet<usize> = self
            .search
            .find_overlapping_iter(text)
            .map(|found| found.pattern().as_usize())
            .collect();
        for special in found.into_iter().map(|index| &self.specials[index]) {
            fragments =
                fragments.into_iter().flat_map(|fragment| special.split(fragment)).collect();
        }
        fragments
    }
}

impl Special {
    fn split<'a>(&self, fragment: Fragment<'a>) -> Vec<Fragment<'a>> {
        let Fragment::Text(mut rest) = fragment else { return vec![fragment] };
        // C's `isspace`.
        let is_space = |character: char| matches!(character, ' ' | '\t'..='\r');
        let mut parts = Vec::new();
        while let Some((before, after)) = rest.split_once(&self.text) {
            let before =
                if self.strips_before { before.trim_end_matches(is_space) } else { before };
            rest = if self.strips_after { after.trim_start_matches(is_space) } else { after };
            parts.extend((!before.is_empty()).then_some(Fragment::Text(before)));
            parts.push(Fragment::Token(self.id));
        }
        parts.extend((!rest.is_empty()).then_some(Fragment::Text(rest)));
        parts
    }
}
