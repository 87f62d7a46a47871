//! What can be wrong with files: each a sentence that names the file, tensor or field, and what to do about it.

use std::path::{Path, PathBuf};

/// Shorthand for this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a model's or an adapter's files could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that cannot be came to be.
    #[error("this is a bug in llem: {0}")]
    Bug(String),

    /// An argument is out of range or contradicts another.
    #[error("{0}")]
    Invalid(String),

    /// Files are missing or not what they should be.
    #[error("{path}: {reason}")]
    BadFile {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it, and the remedy.
        reason: String,
    },

    /// No such model or adapter.
    #[error("{0}")]
    NotFound(String),

    /// This version does not read or run it.
    #[error("{0}")]
    Unsupported(String),
}

impl Error {
    /// A file that is not what it should be.
    pub fn file(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::BadFile { path: path.as_ref().to_path_buf(), reason: reason.into() }
    }

    /// Whether whoever gave the file or the name can mend it.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Bug(_))
    }

    /// The same of what a file asks for, with the file's name.
    pub fn in_file(self, path: &Path) -> Self {
        match self {
            Self::Invalid(reason) => Self::file(path, reason),
            Self::Unsupported(reason) => Self::Unsupported(format!("{}: {reason}", path.display())),
            other => other,
        }
    }
}
