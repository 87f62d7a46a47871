//! BERT's WordPiece as in llama.cpp. A text is split into words, and a word into the longest pieces from its beginning.
//! A word that cannot be split completely becomes the unknown token.

use std::collections::HashMap;
use unicode_normalization_alignments::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// The character that marks the first piece of a word.
const WORD_START: &str = "▁";

/// How letters are normalized.
#[derive(Clone, Copy)]
pub(super) struct LetterOptions {
    /// Whether letters are converted to lower case.
    pub(super) lowercase: bool,
    /// Whether accents are removed.
    pub(super) strip_accents: bool,
}

/// Appends the tokens of a text to `tokens`. `lengths` are the lengths that tokens have, in bytes, in ascending order.
pub(super) fn tokenize(
    text: &str,
    letters: LetterOptions,
    ids: &HashMap<String, u32>,
    lengths: &[usize],
    unknown: u32,
    tokens: &mut Vec<u32>,
) {
    for word in split_words(text, letters) {
        let first = tokens.len();
        let word = format!("{WORD_START}{word}");
        let mut rest = &word[..];
        while !rest.is_empty() {
            let longest = lengths.iter().rev().find_map(|&length| {
                let piece = rest.get(..length)?;
                Some((*ids.get(piece)?, length))
            });
            let Some((token, length)) = longest else {
                tokens.truncate(first);
                break;
            };
            tokens.push(token);
            rest = &rest[length..];
        }
        if tokens.len() == first {
            tokens.push(unknown);
        }
    }
}

/// Splits a text at white space. Each punctuation mark and each CJK ideograph is a word of its own.
fn split_words(text: &str, letters: LetterOptions) -> Vec<String> {
    let mut words = vec![String::new()];
    for character in text.chars() {
        let character = if letters.strip_accents { without_accents(character) } else { character };
        let group = character.general_category_group();
        if character.is_whitespace() {
            words.push(String::new());
            continue;
        }
        let is_control = group == GeneralCategoryGroup::Other
            && character.general_category() != GeneralCategory::Unassigned;
        if matches!(character, '\0' | '\u{fffd}') || is_control {
            continue;
        }
        if letters.strip_accents && group == GeneralCategoryGroup::Mark {
            continue;
        }
        let is_symbol = character < '\u{7f}' && group == GeneralCategoryGroup::Symbol;
        let is_alone =
            group == GeneralCategoryGroup::Punctuation || is_symbol || is_ideograph(character);
        if is_alone {
            words.push(String::new());
        }
        let small = character.to_lowercase().next().filter(|_| letters.lowercase);
        words.last_mut().expect("never empty").push(small.unwrap_or(character));
        if is_alone {
            words.push(String::new());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Removes the accents of a letter: returns the first character of its canonical decomposition, as llama.cpp does.
fn without_accents(character: char) -> char {
    character.encode_utf8(&mut [0; 4]).nfd().next().map_or(character, |(first, _)| first)
}

/// Whether a character is a CJK ideograph, which BERT treats as a word of its own. The blocks have the same gap before
/// U+2B920 as in Hugging Face's `tokenizers`.
fn is_ideograph(character: char) -> bool {
    matches!(character,
        '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{20000}'..='\u{2a6df}'
        | '\u{2a700}'..='\u{2b73f}' | '\u{2b740}'..='\u{2b81f}' | '\u{2b920}'..='\u{2ceaf}'
        | '\u{f900}'..='\u{faff}' | '\u{2f800}'..='\u{2fa1f}')
}
