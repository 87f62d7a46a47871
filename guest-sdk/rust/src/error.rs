//! One error for all that an experiment does: a sentence.

use crate::bindings::types;
use std::fmt;

/// Shorthand for experiments.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an experiment cannot go on. Ends up in the run record.
#[derive(Clone, Debug, PartialEq)]
pub struct Error(pub String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        use types::Error::{
            Failed, InvalidArgument, LimitReached, NotFound, NotGranted, Unsupported,
        };
        let (InvalidArgument(sentence)
        | NotFound(sentence)
        | NotGranted(sentence)
        | Unsupported(sentence)
        | LimitReached(sentence)
        | Failed(sentence)) = error;
        Self(sentence)
    }
}

impl From<String> for Error {
    fn from(sentence: String) -> Self {
        Self(sentence)
    }
}

impl From<&str> for Error {
    fn from(sentence: &str) -> Self {
        Self(sentence.to_owned())
    }
}
