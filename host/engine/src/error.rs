//! What can go wrong below the runtime: each a sentence that names the file, tensor or field, and
//! what to do about it.

use std::path::{Path, PathBuf};

/// Shorthand for this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the engine could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An argument is out of range or contradicts another.
    #[error("{0}")]
    Invalid(String),

    /// The model's files are missing or not what they should be.
    #[error("{path}: {reason}")]
    BadFile {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it, and the remedy.
        reason: String,
    },

    /// No such model.
    #[error("{0}")]
    NotFound(String),

    /// Memory that was reserved is taken.
    #[error("{0}")]
    Full(String),

    /// This build or model cannot do it.
    #[error("{0}")]
    Unsupported(String),

    /// The model computed a number that is none: every token after it would be invented.
    #[error("{0}")]
    NotANumber(String),

    /// The caller asked for the work to stop.
    #[error("the work was interrupted")]
    Interrupted,

    /// A rank of a split model failed, and with it the model.
    #[error("rank {rank} failed: {reason}")]
    Rank {
        /// Which.
        rank: usize,
        /// Why.
        reason: String,
    },

    /// Tensor work failed (shapes, memory, the device's driver).
    #[error("the engine failed: {}", first_line(.0))]
    Tensor(#[from] candle_core::Error),
}

impl Error {
    /// A file that is not what it should be.
    pub fn file(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::BadFile { path: path.as_ref().to_path_buf(), reason: reason.into() }
    }

    /// Whether the person who started the run can mend it (rather than the machine having failed).
    pub fn is_input(&self) -> bool {
        !matches!(
            self,
            Self::Tensor(_) | Self::Rank { .. } | Self::NotANumber(_) | Self::Interrupted
        )
    }
}

/// candle appends a backtrace to its messages when RUST_BACKTRACE is set.
pub(crate) fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
