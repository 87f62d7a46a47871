//! What can go wrong below the runtime: each a sentence that names the file, tensor or field, and
//! what to do about it.

use std::path::{Path, PathBuf};

/// Shorthand for this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Who has to mend what went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// llem's authors: it came to a state that it rules out.
    Bug,
    /// Whoever gave a file, an option or an argument.
    Input,
    /// Whoever asked for more than there is: the same with less may be done.
    Limit,
    /// Nobody: the caller asked for the work to stop.
    Interrupted,
    /// Nobody by asking otherwise: the work began, and the machine, a rank or the model's numbers failed it.
    Failed,
}

/// Why the engine could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that cannot be came to be.
    #[error("this is a bug in llem: {0}")]
    Bug(String),

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

    /// More memory is asked for than is free.
    #[error("{0}")]
    OutOfMemory(String),

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

    /// A device failed, or there is none.
    #[error("{0}")]
    Device(#[source] llem_compute::Error),

    /// Tensor work failed (shapes, memory, the device's driver).
    #[error("the engine failed: {}", first_line(.0))]
    Tensor(#[from] candle_core::Error),
}

impl Error {
    /// A file that is not what it should be.
    pub fn file(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::BadFile { path: path.as_ref().to_path_buf(), reason: reason.into() }
    }

    /// Who has to mend it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Bug(_) => Kind::Bug,
            Self::Invalid(_) | Self::BadFile { .. } | Self::NotFound(_) | Self::Unsupported(_) => {
                Kind::Input
            }
            Self::Full(_) | Self::OutOfMemory(_) => Kind::Limit,
            Self::Interrupted => Kind::Interrupted,
            Self::NotANumber(_) | Self::Rank { .. } | Self::Tensor(_) | Self::Device(_) => {
                Kind::Failed
            }
        }
    }

    /// Whether the person who started the run can mend it, by asking for something else or for less (rather
    /// than the machine or the program having failed).
    pub fn is_input(&self) -> bool {
        matches!(self.kind(), Kind::Input | Kind::Limit)
    }
}

impl From<llem_checkpoint::Error> for Error {
    fn from(error: llem_checkpoint::Error) -> Self {
        use llem_checkpoint::Error as Cause;
        match error {
            Cause::Bug(reason) => Self::Bug(reason),
            Cause::Invalid(reason) => Self::Invalid(reason),
            Cause::BadFile { path, reason } => Self::BadFile { path, reason },
            Cause::NotFound(reason) => Self::NotFound(reason),
            Cause::Unsupported(reason) => Self::Unsupported(reason),
        }
    }
}

impl From<llem_compute::Error> for Error {
    fn from(error: llem_compute::Error) -> Self {
        use llem_compute::Error as Cause;
        match error {
            Cause::Bug(reason) => Self::Bug(reason),
            Cause::Interrupted => Self::Interrupted,
            Cause::Invalid(reason) => Self::Invalid(reason),
            Cause::Missing(reason) => Self::NotFound(reason),
            Cause::Unsupported(reason) => Self::Unsupported(reason),
            Cause::OutOfMemory { .. } => Self::OutOfMemory(error.to_string()),
            Cause::Compile { .. } | Cause::Failed { .. } => Self::Device(error),
        }
    }
}

/// candle appends a backtrace to its messages when RUST_BACKTRACE is set.
pub(crate) fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
