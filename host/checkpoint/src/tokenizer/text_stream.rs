//! Decodes a text that grows token by token, without decoding its beginning again.
//!
//! Decoding all tokens after each new token would take quadratic time. What a token adds to the text depends on only a
//! few tokens before it. For the decoders of published tokenizers it is known on which:
//!
//! | decoder | what a token adds depends on |
//! |---|---|
//! | byte-level BPE | up to 3 bytes of an incomplete character before it |
//! | SentencePiece (`Replace`, `Metaspace`, `Strip`) and WordPiece | whether it is the first token |
//! | `ByteFallback` | the run of byte tokens before it: if they are not UTF-8 together, each becomes U+FFFD |
//!
//! With any other decoder, all tokens are decoded each time. This is slower and gives the same text.

use super::{byte_alphabet::ByteAlphabet, parse_byte_token};
use crate::{Error, Result};
use tokenizers::{Decoder, DecoderWrapper};

/// Replaces bytes that are not valid UTF-8.
const REPLACEMENT: char = '\u{fffd}';

/// How the text of a token depends on the tokens before it.
#[derive(Clone)]
pub(super) enum DecodingScheme {
    /// Byte-level BPE: tokens spell bytes in the characters of [`ByteAlphabet`].
    Bytes(Box<ByteAlphabet>),
    /// Each token has its own text, which only depends on whether it is the first.
    Pieces(PieceDecoder),
    /// A token may change the whole text, so all tokens are decoded again.
    Whole,
}

/// Decodes single tokens to texts that are concatenated.
#[derive(Clone)]
pub(super) struct PieceDecoder {
    /// The decoders that are applied to each token.
    each: Vec<DecoderWrapper>,
    /// Whether the tokenizer has a decoder. Without one, the library puts spaces between tokens.
    has_decoder: bool,
    /// Whether a token such as `<0xE2>` stands for a byte.
    byte_fallback: bool,
    /// A character that is removed from the beginning of the text, and how often at most.
    strip: Option<(char, usize)>,
}

impl DecodingScheme {
    /// Chooses the scheme for the decoder of a tokenizer.
    pub(super) fn from_decoder(decoder: Option<&DecoderWrapper>) -> Self {
        let steps = decoder.map(flatten).unwrap_or_default();
        if let [DecoderWrapper::ByteLevel(_)] = steps[..] {
            return Self::Bytes(Box::new(ByteAlphabet::new()));
        }
        let is_local = |step: &&&DecoderWrapper| {
            use DecoderWrapper::{Metaspace, Replace, Strip, WordPiece};
            match step {
                Replace(_) | Metaspace(_) | WordPiece(_) => true,
                Strip(strip) => strip.stop == 0,
                _ => false,
            }
        };
        let each: Vec<DecoderWrapper> =
            steps.iter().take_while(is_local).map(|&step| step.clone()).collect();
        let mut rest = &steps[each.len()..];
        let byte_fallback = matches!(rest.first(), Some(DecoderWrapper::ByteFallback(_)));
        rest = &rest[usize::from(byte_fallback)..];
        let strip = match rest {
            [] | [DecoderWrapper::Fuse(_)] => None,
            [DecoderWrapper::Fuse(_), DecoderWrapper::Strip(strip)]
                if strip.stop == 0 && strip.content != REPLACEMENT =>
            {
                Some((strip.content, strip.start))
            }
            _ => return Self::Whole,
        };
        Self::Pieces(PieceDecoder { each, has_decoder: decoder.is_some(), byte_fallback, strip })
    }
}

/// Returns the decoders of nested sequences as one list.
fn flatten(decoder: &DecoderWrapper) -> Vec<&DecoderWrapper> {
    match decoder {
        DecoderWrapper::Sequence(sequence) => {
            sequence.get_decoders().iter().flat_map(flatten).collect()
        }
        other => vec![other],
    }
}

/// The state of a text that grows token by token. [`Tokenizer::stream`](super::Tokenizer::stream) makes one, and
/// [`Tokenizer::push`](super::Tokenizer::push) adds a token to it.
pub struct TextStream {
    /// Number of bytes before the new part that are kept.
    keep: usize,
    /// The end of that part of the text that no later token can change.
    stable_end: TextEnd,
    /// The bytes of an incomplete character.
    partial: Vec<u8>,
    /// The run of byte tokens at the end.
    byte_run: Option<ByteRun>,
    /// Whether the text has any token.
    started: bool,
    /// All tokens so far. Empty unless the scheme is [`DecodingScheme::Whole`].
    tokens: Vec<u32>,
}

/// Consecutive byte tokens.
struct ByteRun {
    count: usize,
    /// The end of the text up to the last complete character, if the bytes are UTF-8 together.
    end: TextEnd,
    /// Whether the bytes are invalid UTF-8, whatever follows.
    broken: bool,
}

/// The end of a text.
#[derive(Clone)]
struct TextEnd {
    text: String,
    /// The character that is still removed from the beginning of the text, and how often at most. `None` after another
    /// character.
    strip: Option<(char, usize)>,
}

impl TextEnd {
    fn push(&mut self, mut text: &str) {
        while let Some((content, left)) = self.strip
            && !text.is_empty()
        {
            match text.strip_prefix(content).filter(|_| left > 0) {
                Some(rest) => (text, self.strip) = (rest, Some((content, left - 1))),
                None => self.strip = None,
            }
        }
        self.text.push_str(text);
    }

    /// Drops all but the last `keep` bytes, or a few more to keep whole characters.
    fn trim(&mut self, keep: usize) {
        let start = self.text.floor_char_boundary(self.text.len().saturating_sub(keep));
        self.text.drain(..start);
    }

    fn text_with(&self, text: &str) -> String {
        let mut end = self.clone();
        end.push(text);
        end.text
    }
}

impl TextStream {
    /// Makes an empty text. Each push returns up to `keep` bytes before the new part.
    pub(super) fn new(scheme: &DecodingScheme, keep: usize) -> Self {
        Self::with_stripped_prefix(
            if let DecodingScheme::Pieces(pieces) = scheme { pieces.strip } else { None },
            keep,
        )
    }

    /// Makes an empty text from whose beginning a character is removed. `strip` is the character and how often it is
    /// removed at most.
    pub(super) fn with_stripped_prefix(strip: Option<(char, usize)>, keep: usize) -> Self {
        Self {
            keep,
            stable_end: TextEnd { text: String::new(), strip },
            partial: Vec::new(),
            byte_run: None,
            started: false,
            tokens: Vec::new(),
        }
    }

    /// Adds a token. Returns the end of the new text: everything that the token changed, and up to `keep` bytes before
    /// it. Returns an empty string if the token changed nothing.
    pub(super) fn push(
        &mut self,
        tokenizer: &tokenizers::Tokenizer,
        scheme: &DecodingScheme,
        id: u32,
    ) -> Result<String> {
        let token = tokenizer
            .id_to_token(id)
            .filter(|token| !tokenizer.get_added_vocabulary().is_special_token(token));
        let Some(token) = token else { return Ok(String::new()) };
        self.stable_end.trim(self.keep);
        let text = match scheme {
            DecodingScheme::Bytes(alphabet) => self.push_utf8(alphabet.bytes(&token)),
            DecodingScheme::Pieces(pieces) => {
                let piece = pieces.decode(token, !self.started).map_err(decoding_error)?;
                match parse_byte_token(&piece).filter(|_| pieces.byte_fallback) {
                    Some(byte) => self.push_byte(byte),
                    None => self.push_piece(&piece),
                }
            }
            DecodingScheme::Whole => {
                self.tokens.push(id);
                tokenizer.decode(&self.tokens, true).map_err(decoding_error)?
            }
        };
        self.started = true;
        Ok(text)
    }

    /// Adds the bytes of a token. Returns the same as [`Self::push`].
    pub(super) fn push_bytes(&mut self, bytes: Vec<u8>) -> String {
        if bytes.is_empty() {
            return String::new();
        }
        self.stable_end.trim(self.keep);
        self.push_utf8(bytes)
    }

    /// Adds bytes. The whole text is always equal to `String::from_utf8_lossy` of all bytes so far.
    fn push_utf8(&mut self, bytes: Vec<u8>) -> String {
        self.partial.extend(bytes);
        let bytes = std::mem::take(&mut self.partial);
        let mut read = 0;
        for chunk in bytes.utf8_chunks() {
            self.stable_end.push(chunk.valid());
            read += chunk.valid().len() + chunk.invalid().len();
            if chunk.invalid().is_empty() {
                continue;
            }
            if read == bytes.len() && is_incomplete(chunk.invalid()) {
                self.partial = chunk.invalid().to_vec();
            } else {
                self.stable_end.push(REPLACEMENT.encode_utf8(&mut [0; 4]));
            }
        }
        if self.partial.is_empty() {
            self.stable_end.text.clone()
        } else {
            self.stable_end.text_with(REPLACEMENT.encode_utf8(&mut [0; 4]))
        }
    }

    fn push_byte(&mut self, byte: u8) -> String {
        let stable_end = &self.stable_end;
        let byte_run = self.byte_run.get_or_insert_with(|| ByteRun {
            count: 0,
            end: stable_end.clone(),
            broken: false,
        });
        byte_run.end.trim(self.keep);
        byte_run.count += 1;
        if !byte_run.broken {
            self.partial.push(byte);
            match std::str::from_utf8(&self.partial) {
                Ok(text) => {
                    byte_run.end.push(text);
                    self.partial.clear();
                }
                Err(_) => byte_run.broken = !is_incomplete(&self.partial),
            }
        }
        if !byte_run.broken && self.partial.is_empty() {
            return byte_run.end.text.clone();
        }
        let replaced = replacement_text(byte_run.count, self.keep);
        self.stable_end.text_with(&replaced)
    }

    fn push_piece(&mut self, piece: &str) -> String {
        if let Some(byte_run) = self.byte_run.take() {
            if !byte_run.broken && self.partial.is_empty() {
                self.stable_end = byte_run.end;
            } else {
                self.stable_end.push(&replacement_text(byte_run.count, self.keep));
                self.partial.clear();
            }
        }
        self.stable_end.push(piece);
        self.stable_end.text.clone()
    }
}

/// Returns one U+FFFD for each of `count` bytes that are not UTF-8 together. A caller who looks at `keep + 1` bytes at
/// a time cannot see the difference between many and more of them, so their number is limited.
fn replacement_text(count: usize, keep: usize) -> String {
    let seen_apart = keep / REPLACEMENT.len_utf8() + 2;
    REPLACEMENT.to_string().repeat(count.min(seen_apart))
}

/// Whether these bytes are the beginning of a character.
fn is_incomplete(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

impl PieceDecoder {
    /// Returns the text of one token.
    fn decode(&self, token: String, is_first: bool) -> tokenizers::Result<String> {
        if !self.has_decoder {
            return Ok(if is_first { token } else { format!(" {token}") });
        }
        // These decoders treat a token differently only if it is the first, so any token may come before it.
        let mut tokens = if is_first { vec![token] } else { vec![String::new(), token] };
        for step in &self.each {
            tokens = step.decode_chain(tokens)?;
        }
        Ok(tokens.pop().unwrap_or_default())
    }
}

pub(super) fn decoding_error(error: tokenizers::Error) -> Error {
    Error::Invalid(format!("cannot turn tokens into text: {error}"))
}

#[cfg(test)]
mod tests;
