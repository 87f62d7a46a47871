//! The errors of this crate. Each message names the file, tensor or field, and says what to do about it.

use std::path::{Path, PathBuf};

/// A result whose error is this crate's [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a model's or an adapter's files could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program reached a state that its own code rules out.
    #[error("this is a bug in llem: {0}")]
    Bug(String),

    /// A name or a number is out of range, or contradicts another one.
    #[error("{0}")]
    Invalid(String),

    /// A file or folder is missing, damaged, or holds something else than it should.
    #[error("{path}: {reason}")]
    BadFile {
        /// The file or folder that the message names.
        path: PathBuf,
        /// What is wrong with the file, and the remedy.
        reason: String,
    },

    /// No model or adapter has the given name.
    #[error("{0}")]
    NotFound(String),

    /// This version cannot read the format or run the model.
    #[error("{0}")]
    Unsupported(String),
}

impl Error {
    /// Builds the error of a file or folder that cannot be used. `reason` ends with the remedy.
    pub fn file(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::BadFile { path: path.as_ref().to_path_buf(), reason: reason.into() }
    }

    /// Returns `true` if another file or name would help, and `false` if the program itself is at fault.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Bug(_))
    }

    /// Adds the name of the file that asked for an invalid or unsupported thing. Errors that already name their file
    /// are returned unchanged.
    pub(crate) fn in_file(self, path: &Path) -> Self {
        match self {
            Self::Invalid(reason) => Self::file(path, reason),
            Self::Unsupported(reason) => Self::Unsupported(format!("{}: {reason}", path.display())),
            other => other,
        }
    }
}
