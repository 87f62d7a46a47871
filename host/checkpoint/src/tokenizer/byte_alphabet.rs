//! The alphabet of byte-level BPE, which spells each byte as one printable character.

use std::collections::HashMap;

/// Returns the character that stands for a byte, like GPT-2's `bytes_to_unicode`. Printable characters of Latin-1 stand
/// for themselves. The other bytes are represented by characters from U+0100 on.
pub(super) fn byte_to_char(byte: u8) -> char {
    let stays = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if stays(byte) {
        char::from(byte)
    } else {
        let moved_before = (0..byte).filter(|&other| !stays(other)).count() as u32;
        char::from_u32(256 + moved_before).unwrap_or('\u{fffd}')
    }
}

/// The characters of all bytes, in both directions.
#[derive(Clone)]
pub(super) struct ByteAlphabet {
    letters: [char; 256],
    bytes: HashMap<char, u8>,
}

impl ByteAlphabet {
    /// Makes GPT-2's alphabet.
    pub(super) fn new() -> Self {
        let letters = std::array::from_fn(|byte| byte_to_char(byte as u8));
        Self { letters, bytes: letters.into_iter().zip(0..=255).collect() }
    }

    /// Spells the UTF-8 bytes of a text.
    pub(super) fn spell(&self, text: &str) -> String {
        text.bytes().map(|byte| self.letters[usize::from(byte)]).collect()
    }

    /// Returns the bytes of a token. A token with a character outside the alphabet was added to the vocabulary and
    /// stands for its own text.
    pub(super) fn bytes(&self, token: &str) -> Vec<u8> {
        let bytes: Option<_> =
            token.chars().map(|letter| self.bytes.get(&letter).copied()).collect();
        bytes.unwrap_or_else(|| token.as_bytes().to_vec())
    }
}
