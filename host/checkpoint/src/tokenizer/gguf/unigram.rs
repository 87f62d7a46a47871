//! The most probable pieces of a text, as SentencePiece's unigram models have them (Kudo, 2018, "Subword
//! Regularization", section 3.2), with the normalization that precedes it.

use crate::{Result, tokenizer::charsmap::Charsmap};
use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
};

/// How much less probable than the rarest piece a character is that has none, in natural logarithms: SentencePiece's
/// `kUnkPenalty`.
const UNKNOWN_PENALTY: f32 = 10.0;

/// What stands for a space in a piece.
const SPACE: &str = "▁";

/// A unigram model.
#[derive(Clone)]
pub struct Unigram {
    /// Ids and logarithms of probabilities of pieces that a text may have.
    pieces: HashMap<String, (u32, f64)>,
    /// Lengths of pieces that there are, in bytes, ascending.
    lengths: Vec<usize>,
    /// Pieces that are never normalized.
    verbatim: BTreeSet<String>,
    unknown_score: f64,
    unknown: u32,
    charsmap: Option<Charsmap>,
    normalization: Normalization,
}

/// What becomes of spaces.
#[derive(Clone, Copy)]
pub struct Normalization {
    /// A text begins with a space.
    pub adds_prefix: bool,
    /// Spaces in a row are one, and none are at the ends.
    pub merges_spaces: bool,
}

/// A piece that a text may have.
pub struct Piece {
    /// How it is spelt.
    pub text: String,
    /// Its token.
    pub id: u32,
    /// The logarithm of its probability.
    pub score: f32,
    /// Whether whoever made the vocabulary added it, so that it is taken whenever it is there.
    pub is_user_defined: bool,
}

impl Unigram {
    /// A model of these pieces.
    pub fn new(
        pieces: Vec<Piece>,
        unknown: u32,
        charsmap: Option<Charsmap>,
        normalization: Normalization,
    ) -> Self {
        let normal = pieces.iter().filter(|piece| !piece.is_user_defined);
        let lowest = normal.map(|piece| piece.score).fold(f32::MAX, f32::min);
        let verbatim = pieces.iter().filter(|piece| piece.is_user_defined);
        let verbatim = verbatim.map(|piece| piece.text.clone()).collect();
        let score = |piece: &Piece| if piece.is_user_defined { 0.0 } else { piece.score.into() };
        let pieces: HashMap<_, _> = (pieces.into_iter())
            .map(|piece| {
                let score = score(&piece);
                (piece.text, (piece.id, score))
            })
            .collect();
        let lengths: BTreeSet<usize> = pieces.keys().map(String::len).collect();
        Self {
            pieces,
            lengths: lengths.into_iter().collect(),
            verbatim,
            unknown_score: (lowest - UNKNOWN_PENALTY).into(),
            unknown,
            charsmap,
            normalization,
        }
    }

    /// The tokens of a text.
    ///
    /// # Errors
    /// The map of characters leads out of itself.
    pub fn tokenize(&self, text: &str, tokens: &mut Vec<u32>) -> Result<()> {
        let text = self.normalize(text)?;
        if text.is_empty() {
            return Ok(());
        }
        /// The best way to spell the text up to a place, by its last token.
        #[derive(Clone, Copy)]
        struct Best {
            token: u32,
            start: usize,
            score: f64,
        }
        let nothing = Best { token: self.unknown, start: 0, score: f64::MIN };
        let mut best = vec![nothing; text.len() + 1];
        best[0].score = 0.0;
        for (start, character) in text.char_indices() {
            let before = best[start].score;
            let mut reach = |end: usize, token: u32, score: f64| {
                if score > best[end].score {
                    best[end] = Best { token, start, score };
                }
            };
            let mut has_character = false;
            for end in self.lengths.iter().map(|length| start + length) {
                if end > text.len() {
                    break;
                }
                let piece = text.get(start..end).and_then(|piece| self.pieces.get(piece));
                if let Some(&(token, score)) = piece {
                    has_character |= end == start + character.len_utf8();
                    reach(end, token, before + score);
                }
            }
            if !has_character {
                reach(start + character.len_utf8(), self.unknown, before + self.unknown_score);
            }
        }
        let first = tokens.len();
        let mut end = text.len();
        while end > 0 {
            let Best { token, start, .. } = best[end];
            // What has no piece is one unknown token, however long.
            if token != self.unknown || tokens[first..].last() != Some(&token) {
                tokens.push(token);
            }
            end = start;
        }
        tokens[first..].reverse();
        Ok(())
    }

    fn normalize(&self, text: &str) -> Result<String> {
        let Normalization { adds_prefix, merges_spaces } = self.normalization;
        let mut normalized = String::with_capacity(text.len() + SPACE.len());
        let (mut has_prefix, mut in_word) = (false, false);
        let mut rest = text;
        while !rest.is_empty() {
            let (normal, taken) = self.normalize_start(rest)?;
            rest = &rest[taken..];
            for character in normal.chars() {
                if character == ' ' {
                    in_word = false;
                    if !merges_spaces {
                        normalized.push_str(SPACE);
                    }
                    continue;
                }
                if !in_word && (merges_spaces || (adds_prefix && !has_prefix)) {
                    normalized.push_str(SPACE);
                    has_prefix = true;
                }
                in_word = true;
                normalized.push(character);
            }
        }
        Ok(normalized)
    }

    /// What the beginning of a text becomes, and how many bytes that is for.
    fn normalize_start<'a>(&'a self, text: &'a str) -> Result<(&'a str, usize)> {
        let verbatim = self.verbatim_prefix(text);
        if verbatim > 0 {
            return Ok((&text[..verbatim], verbatim));
        }
        if let Some(charsmap) = &self.charsmap
            && let Some(replaced) = charsmap.replacement(text)?
        {
            return Ok(replaced);
        }
        let first = text.chars().next().map_or(0, char::len_utf8);
        Ok((&text[..first], first))
    }

    /// The longest beginning of the text that a verbatim piece begins with, in bytes. llama.cpp takes a piece for found
    /// as far as the text agrees with it.
    fn verbatim_prefix(&self, text: &str) -> usize {
        let common = |piece: &String| {
            let same = piece.chars().zip(text.chars()).take_while(|(ours, theirs)| ours == theirs);
            same.map(|(character, _)| character.len_utf8()).sum()
        };
        // In the order of texts, the neighbours agree longest.
        let from = (Bound::Included(text), Bound::Unbounded);
        let after = self.verbatim.range::<str, _>(from).next().map_or(0, common);
        let until = (Bound::Unbounded, Bound::Excluded(text));
        self.verbatim.range::<str, _>(until).next_back().map_or(0, common).max(after)
    }
}
