//! Strings that end a sequence as soon as its text contains one of them.

use crate::{Error, Result};
use llem_checkpoint::tokenizer::{TextStream, Tokenizer};

/// The stop strings of a sequence, and the end of its text.
pub(super) struct StopStrings {
    strings: Vec<String>,
    /// `None` before the first token.
    stream: Option<TextStream>,
}

impl StopStrings {
    /// Returns `None` if there are no stop strings.
    pub(super) fn new(strings: &[String]) -> Option<Self> {
        (!strings.is_empty()).then(|| Self { strings: strings.to_vec(), stream: None })
    }

    /// Refuses an empty string, because every text contains it.
    pub(super) fn check(strings: &[String]) -> Result<()> {
        match strings.iter().position(String::is_empty) {
            Some(index) => Err(Error::Invalid(format!(
                "stop string {index} is empty, and every text contains it: leave it out"
            ))),
            None => Ok(()),
        }
    }

    /// Adds a token, and returns true if the text contains a stop string now. The time does not depend on the length
    /// of the text.
    pub(super) fn push(&mut self, token: u32, tokenizer: &Tokenizer) -> Result<bool> {
        let stream = self.stream.get_or_insert_with(|| {
            let longest = self.strings.iter().map(String::len).max().unwrap_or_default();
            tokenizer.stream(longest.saturating_sub(1))
        });
        let end = tokenizer.push(stream, token)?;
        Ok(self.strings.iter().any(|string| end.contains(string)))
    }
}
