//! The error of all calls: a code for programs and a sentence for people.

use crate::bindings::types;
use std::fmt;

pub use types::ErrorCode;

/// A result whose error is [`Error`] by default.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason why a call failed. If `run` returns it, the message goes to the run record, and the code decides the exit
/// code of `llem exec`.
///
/// ```
/// use llem_sdk::{Error, ErrorCode};
///
/// // Text becomes an error of the code `failed`, so that `?` and `into` work on it.
/// let error: Error = "the batch is empty".into();
/// assert_eq!(error.code, ErrorCode::Failed);
/// assert_eq!(error.to_string(), "the batch is empty");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The kind of failure, for programs.
    pub code: ErrorCode,
    /// One sentence for people.
    pub message: String,
}

impl Error {
    /// Creates an error.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Creates an error of the code `invalid-argument`: a parameter or an input is out of range or malformed.
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
