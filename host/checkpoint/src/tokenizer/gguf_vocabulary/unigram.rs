//! SentencePiece's unigram model: splits a text into the most probable sequence of pieces (Kudo, 2018, "Subword
//! Regularization", section 3.2), after normalizing the text.

use crate::{Result, tokenizer::charsmap::Charsmap};
use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
};

/// How much the score of a character without a piece is below that of the rarest piece, as a natural logarithm:
/// SentencePiece's `kUnkPenalty`.
const UNKNOWN_PENALTY: f32 = 10.0;

/// The character that stands for a space in a piece.
const SPACE: &str = "▁";

/// A unigram model with its normalization.
#[derive(Clone)]
pub(super) struct Unigram {
    /// Ids and log-probabilities of the pieces, by spelling.
    pieces: HashMap<String, (u32, f64)>,
    /// The lengths that pieces have, in bytes, in ascending order.
    lengths: Vec<usize>,
    /// Pieces that are not normalized when they occur in a text.
    verbatim: BTreeSet<String>,
    unknown_score: f64,
    unknown: u32,
    charsmap: Option<Charsmap>,
    normalization: SpaceOptions,
}

/// How spaces are normalized.
#[derive(Clone, Copy)]
pub(super) struct SpaceOptions {
    /// Whether a space is added at the beginning of a text.
    pub(super) adds_prefix: bool,
    /// Whether runs of spaces become one space, and spaces at both ends are removed.
    pub(super) merges_spaces: bool,
}

/// A piece of the vocabulary.
pub(super) struct UnigramPiece {
    /// The spelling of the piece.
    pub(super) text: String,
    /// The id of the token.
    pub(super) id: u32,
    /// The natural logarithm of the probability.
    pub(super) score: f32,
    /// Whether the author of the vocabulary added the piece. It has the best score, so it is used wherever it occurs.
    pub(super) is_user_defined: bool,
}

impl Unigram {
    /// Makes a model with these pieces. `unknown` is the id of the unknown token.
    pub(super) fn new(
        pieces: Vec<UnigramPiece>,
        unknown: u32,
        charsmap: Option<Charsmap>,
        normalization: SpaceOptions,
    ) -> Self {
        let normal = pieces.iter().filter(|piece| !piece.is_user_defined);
        let lowest = normal.map(|piece| piece.score).fold(f32::MAX, f32::min);
        let verbatim = pieces.iter().filter(|piece| piece.is_user_defined);
        let verbatim = verbatim.map(|piece| piece.text.clone()).collect();
        let score =
            |piece: &UnigramPiece| if piece.is_user_defined { 0.0 } else { piece.score.into() };
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

    /// Appends the tokens of a text to `tokens`.
    ///
    /// # Errors
    /// Fails if the map of characters is invalid.
    pub(super) fn tokenize(&self, text: &str, tokens: &mut Vec<u32>) -> Result<()> {
        let text = self.normalize(text)?;
        if text.is_empty() {
            return Ok(());
        }
        /// The last token of the most probable way to spell the text up to some position.
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
            // A run of characters without a piece becomes one unknown token.
            if token != self.unknown || tokens[first..].last() != Some(&token) {
                tokens.push(token);
            }
            end = start;
        }
        tokens[first..].reverse();
        Ok(())
    }

    fn normalize(&self, text: &str) -> Result<String> {
        let SpaceOptions { adds_prefix, merges_spaces } = self.normalization;
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

    /// Normalizes the beginning of a text. Returns the normalized part, and how many bytes of the text it replaces.
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

    /// Returns the length of the longest common prefix of the text and a verbatim piece, in bytes. llama.cpp treats
    /// even a partial match with a piece as verbatim text.
    fn verbatim_prefix(&self, text: &str) -> usize {
        let common = |piece: &String| {
            let same = piece.chars().zip(text.chars()).take_while(|(ours, theirs)| ours == theirs);
            same.map(|(character, _)| character.len_utf8()).sum()
        };
        // In sorted order, the pieces next to the text have the longest common prefix with it.
        let from = (Bound::Included(text), Bound::Unbounded);
        let after = self.verbatim.range::<str, _>(from).next().map_or(0, common);
        let until = (Bound::Unbounded, Bound::Excluded(text));
        self.verbatim.range::<str, _>(until).next_back().map_or(0, common).max(after)
    }
}
