//! BERT's words and their pieces, as llama.cpp has them: the longest piece first, a word without pieces is unknown.

use std::collections::HashMap;
use unicode_normalization_alignments::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// What stands before the first piece of a word.
const WORD: &str = "▁";

/// What becomes of letters.
#[derive(Clone, Copy)]
pub struct Letters {
    /// Each is made small.
    pub lowercase: bool,
    /// Accents are taken off.
    pub strip_accents: bool,
}

/// The tokens of a text. `lengths` are the lengths of tokens that there are, in bytes, ascending.
pub fn tokenize(
    text: &str,
    letters: Letters,
    ids: &HashMap<String, u32>,
    lengths: &[usize],
    unknown: u32,
    tokens: &mut Vec<u32>,
) {
    for word in words(text, letters) {
        let first = tokens.len();
        let word = format!("{WORD}{word}");
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

/// The words of a text: between spaces, and each punctuation mark and CJK character by itself.
fn words(text: &str, letters: Letters) -> Vec<String> {
    let mut words = vec![String::new()];
    for character in text.chars() {
        let character = if letters.strip_accents { base(character) } else { character };
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

/// A letter without its accents; llama.cpp keeps the first of what a character is composed of.
fn base(character: char) -> char {
    character.encode_utf8(&mut [0; 4]).nfd().next().map_or(character, |(first, _)| first)
}

/// Whether BERT's vocabularies hold a character as a word of its own: the blocks of CJK ideographs, with the gap that
/// Hugging Face's `tokenizers` leaves before U+2B920.
fn is_ideograph(character: char) -> bool {
    matches!(character,
        '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{20000}'..='\u{2a6df}'
        | '\u{2a700}'..='\u{2b73f}' | '\u{2b740}'..='\u{2b81f}' | '\u{2b920}'..='\u{2ceaf}'
        | '\u{f900}'..='\u{faff}' | '\u{2f800}'..='\u{2fa1f}')
}
