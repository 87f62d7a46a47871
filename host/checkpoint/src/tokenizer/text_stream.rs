//! The end of a text that grows token by token, without decoding its beginning again.
//!
//! Decoding all tokens at each one takes longer the more there are. What a token adds depends on little
//! before it, and how little is known for the decoders of published tokenizers:
//!
//! | decoder | what a token adds depends on |
//! |---|---|
//! | byte-level BPE | bytes of a character that is not complete, at most 3 |
//! | SentencePiece (`Replace`, `Metaspace`, `Strip`) and WordPiece | whether it is the first |
//! | `ByteFallback` | the byte tokens right before it: if they are no UTF-8 together, all become U+FFFD |
//!
//! For any other, all is decoded each time: slower, never different.

use super::{byte_alphabet::ByteAlphabet, byte_of};
use crate::{Error, Result};
use tokenizers::{Decoder, DecoderWrapper};

/// What stands for bytes that are no character.
const REPLACEMENT: char = '\u{fffd}';

/// How a tokenizer's text grows.
#[derive(Clone)]
pub enum Growth {
    /// Tokens spell bytes in GPT-2's printable characters.
    Bytes(Box<ByteAlphabet>),
    /// Each token has a text of its own.
    Pieces(Pieces),
    /// Any token may change all of the text.
    Whole,
}

/// How tokens become texts that are put together.
#[derive(Clone)]
pub struct Pieces {
    /// Applied to each token.
    each: Vec<DecoderWrapper>,
    /// Whether there is a decoder at all; without one, spaces are put between tokens.
    has_decoder: bool,
    /// Whether `<0xE2>` is a byte.
    byte_fallback: bool,
    /// A character that is taken away at the beginning of the text, and how often at most.
    strip: Option<(char, usize)>,
}

impl Growth {
    /// Of a tokenizer's decoder.
    pub fn of(decoder: Option<&DecoderWrapper>) -> Self {
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
        Self::Pieces(Pieces { each, has_decoder: decoder.is_some(), byte_fallback, strip })
    }
}

/// The decoders that a sequence of decoders applies.
fn flatten(decoder: &DecoderWrapper) -> Vec<&DecoderWrapper> {
    match decoder {
        DecoderWrapper::Sequence(sequence) => {
            sequence.get_decoders().iter().flat_map(flatten).collect()
        }
        other => vec![other],
    }
}

/// The end of a text that grows.
pub struct TextStream {
    /// Bytes before what is new that are kept, at least.
    keep: usize,
    /// The end of the text that no later token changes.
    settled: End,
    /// Bytes of a character that is not complete.
    partial: Vec<u8>,
    /// Byte tokens right before the next token.
    run: Option<Run>,
    /// Whether a token has been there.
    started: bool,
    /// All tokens, where that is what is decoded.
    tokens: Vec<u32>,
}

/// Byte tokens in a row.
struct Run {
    count: usize,
    /// The end of the text if they are UTF-8 together, up to the last complete character.
    end: End,
    /// Whether no byte can make them UTF-8 any more.
    broken: bool,
}

/// The end of a text.
#[derive(Clone)]
struct End {
    text: String,
    /// What may be taken away if nothing else has come yet.
    strip: Option<(char, usize)>,
}

impl End {
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

    /// Forgets all but the last `keep` bytes, or a little more.
    fn trim(&mut self, keep: usize) {
        let start = self.text.floor_char_boundary(self.text.len().saturating_sub(keep));
        self.text.drain(..start);
    }

    fn with(&self, text: &str) -> String {
        let mut end = self.clone();
        end.push(text);
        end.text
    }
}

impl TextStream {
    /// No text yet. After each token, `keep` bytes before what is new are there, if there were so many.
    pub fn new(growth: &Growth, keep: usize) -> Self {
        Self::stripped(if let Growth::Pieces(pieces) = growth { pieces.strip } else { None }, keep)
    }

    /// The same of a text from whose beginning a character is taken away, so often at most.
    pub fn stripped(strip: Option<(char, usize)>, keep: usize) -> Self {
        Self {
            keep,
            settled: End { text: String::new(), strip },
            partial: Vec::new(),
            run: None,
            started: false,
            tokens: Vec::new(),
        }
    }

    /// Adds a token, and returns the end of the text with it: all that differs from the text without
    /// it, and what was to be kept before. Empty if the token changes nothing.
    pub fn push(
        &mut self,
        tokenizer: &tokenizers::Tokenizer,
        growth: &Growth,
        id: u32,
    ) -> Result<String> {
        let token = tokenizer
            .id_to_token(id)
            .filter(|token| !tokenizer.get_added_vocabulary().is_special_token(token));
        let Some(token) = token else { return Ok(String::new()) };
        self.settled.trim(self.keep);
        let text = match growth {
            Growth::Bytes(alphabet) => self.grow(alphabet.bytes(&token)),
            Growth::Pieces(pieces) => {
                let piece = pieces.of(token, !self.started).map_err(undecodable)?;
                match byte_of(&piece).filter(|_| pieces.byte_fallback) {
                    Some(byte) => self.push_byte(byte),
                    None => self.push_piece(&piece),
                }
            }
            Growth::Whole => {
                self.tokens.push(id);
                tokenizer.decode(&self.tokens, true).map_err(undecodable)?
            }
        };
        self.started = true;
        Ok(text)
    }

    /// Adds the bytes of a token, and returns the end of the text as [`Self::push`] does.
    pub fn push_bytes(&mut self, bytes: Vec<u8>) -> String {
        if bytes.is_empty() {
            return String::new();
        }
        self.settled.trim(self.keep);
        self.grow(bytes)
    }

    /// As `String::from_utf8_lossy` has it of all bytes so far.
    fn grow(&mut self, bytes: Vec<u8>) -> String {
        self.partial.extend(bytes);
        let bytes = std::mem::take(&mut self.partial);
        let mut read = 0;
        for chunk in bytes.utf8_chunks() {
            self.settled.push(chunk.valid());
            read += chunk.valid().len() + chunk.invalid().len();
            if chunk.invalid().is_empty() {
                continue;
            }
            if read == bytes.len() && is_incomplete(chunk.invalid()) {
                self.partial = chunk.invalid().to_vec();
            } else {
                self.settled.push(REPLACEMENT.encode_utf8(&mut [0; 4]));
            }
        }
        if self.partial.is_empty() {
            self.settled.text.clone()
        } else {
            self.settled.with(REPLACEMENT.encode_utf8(&mut [0; 4]))
        }
    }

    fn push_byte(&mut self, byte: u8) -> String {
        let settled = &self.settled;
        let run =
            self.run.get_or_insert_with(|| Run { count: 0, end: settled.clone(), broken: false });
        run.end.trim(self.keep);
        run.count += 1;
        if !run.broken {
            self.partial.push(byte);
            match std::str::from_utf8(&self.partial) {
                Ok(text) => {
                    run.end.push(text);
                    self.partial.clear();
                }
                Err(_) => run.broken = !is_incomplete(&self.partial),
            }
        }
        if !run.broken && self.partial.is_empty() {
            return run.end.text.clone();
        }
        let replaced = replacements(run.count, self.keep);
        self.settled.with(&replaced)
    }

    fn push_piece(&mut self, piece: &str) -> String {
        if let Some(run) = self.run.take() {
            if !run.broken && self.partial.is_empty() {
                self.settled = run.end;
            } else {
                self.settled.push(&replacements(run.count, self.keep));
                self.partial.clear();
            }
        }
        self.settled.push(piece);
        self.settled.text.clone()
    }
}

/// What stands for bytes that are not UTF-8 together, one character a byte; fewer if so many cannot be
/// told from more by looking at `keep + 1` bytes at a time.
fn replacements(count: usize, keep: usize) -> String {
    let seen_apart = keep / REPLACEMENT.len_utf8() + 2;
    REPLACEMENT.to_string().repeat(count.min(seen_apart))
}

/// Whether more bytes could make a character of these.
fn is_incomplete(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

impl Pieces {
    /// The text of a token by itself.
    fn of(&self, token: String, is_first: bool) -> tokenizers::Result<String> {
        if !self.has_decoder {
            return Ok(if is_first { token } else { format!(" {token}") });
        }
        // Decoders look only at whether another token is before.
        let mut tokens = if is_first { vec![token] } else { vec![String::new(), token] };
        for step in &self.each {
            tokens = step.decode_chain(tokens)?;
        }
        Ok(tokens.pop().unwrap_or_default())
    }
}

pub(super) fn undecodable(error: tokenizers::Error) -> Error {
    Error::Invalid(format!("cannot turn tokens into text: {error}"))
}

#[cfg(test)]
mod tests;
