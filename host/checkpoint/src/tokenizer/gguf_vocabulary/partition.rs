//! Divides a text at its special tokens, before it is tokenized: llama.cpp's `tokenizer_st_partition` with
//! `parse_special`.

use super::token_entries::{TokenEntries, TokenType};
use crate::{Error, Result, gguf::Gguf};
use aho_corasick::AhoCorasick;
use std::{cmp::Reverse, collections::BTreeSet};

/// The special tokens of a vocabulary.
pub(super) struct Partition {
    /// Longer ones first, because they are searched in this order.
    specials: Vec<SpecialText>,
    /// Finds in one pass which of them occur in a text.
    search: AhoCorasick,
}

/// A special token, and how its spelling is found in a text.
struct SpecialText {
    id: u32,
    text: String,
    /// Whether white space before the token is removed.
    strips_before: bool,
    /// Whether white space after the token is removed.
    strips_after: bool,
}

/// A part of a divided text.
pub(super) enum Fragment<'a> {
    /// The id of a special token.
    Token(u32),
    /// Text without special tokens.
    Text(&'a str),
}

impl Partition {
    /// Prepares the search for the special tokens of a vocabulary. Files do not say which tokens remove white space
    /// around them, so llama.cpp decides by the names of model, architecture and pre-tokenizer.
    pub(super) fn new(gguf: &Gguf, entries: &TokenEntries) -> Result<Self> {
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
        let is_special =
            |kind| matches!(kind, TokenType::Control | TokenType::UserDefined | TokenType::Unknown);
        let mut specials: Vec<_> = (entries.iter().zip(0..))
            .filter(|(entry, _)| is_special(entry.kind))
            .map(|(entry, id)| SpecialText {
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

    /// Divides a text into special tokens and the texts between them.
    pub(super) fn fragments<'a>(&self, text: &'a str) -> Vec<Fragment<'a>> {
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

impl SpecialText {
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
