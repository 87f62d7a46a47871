//! One error for all that an experiment does: a code for programs, and a sentence for people.

use crate::bindings::types;
use std::fmt;

pub use types::ErrorCode;

/// Shorthand for experiments.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an experiment cannot go on. Its sentence ends up in the run record; its code decides how `llem exec` exits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
}

impl Error {
    /// An error of this code.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// What was given is out of its range, or is not what it should be.
    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        Self { code: error.code, message: error.message }
    }
}

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        Self { code: error.code, message: error.message }
    }
}

impl From<String> for Error {
    fn from(message: String) -> Self {
        Self::new(ErrorCode::Failed, message)
    }
}

impl From<&str> for Error {
    fn from(message: &str) -> Self {
        Self::new(ErrorCode::Failed, message)
    }
}
