//! How byte-level BPE spells bytes: each as a printable character of its own.

use std::collections::HashMap;

/// The character that stands for a byte, as GPT-2's `bytes_to_unicode` has it: printable Latin-1 stands for itself, the
/// rest for characters from U+0100 on.
pub fn letter(byte: u8) -> char {
    let stays = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if stays(byte) {
        char::from(byte)
    } else {
        let moved_before = (0..byte).filter(|&other| !stays(other)).count() as u32;
        char::from_u32(256 + moved_before).unwrap_or('\u{fffd}')
    }
}

/// The characters of all bytes.
#[derive(Clone)]
pub struct ByteAlphabet {
    letters: [char; 256],
    bytes: HashMap<char, u8>,
}

impl ByteAlphabet {
    /// GPT-2's.
    pub fn new() -> Self {
        let letters = std::array::from_fn(|byte| letter(byte as u8));
        Self { letters, bytes: letters.into_iter().zip(0..=255).collect() }
    }

    /// A text as the vocabulary spells it.
    pub fn spell(&self, text: &str) -> String {
        text.bytes().map(|byte| self.letters[usize::from(byte)]).collect()
    }

    /// The bytes of what the vocabulary spells. A token that has other characters was added, and stands for itself.
    pub fn bytes(&self, token: &str) -> Vec<u8> {
        let bytes: Option<_> =
            token.chars().map(|letter| self.bytes.get(&letter).copied()).collect();
        bytes.unwrap_or_else(|| token.as_bytes().to_vec())
    }
}
