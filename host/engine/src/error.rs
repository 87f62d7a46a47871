//! The errors of the engine. Each has a message that names the file, tensor or field, and says what to do about it.

use std::path::Path;

/// A result with the engine's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What kind of cause an error has, which decides who can correct it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A bug in llem: the program reached a state that it rules out.
    Bug,
    /// The input is wrong: a file, an option or an argument.
    Input,
    /// More was requested than is available. The same request with less may work.
    Limit,
    /// The caller asked for the work to stop.
    Interrupted,
    /// The work began, and then the machine, a rank or the model's numbers failed.
    Failed,
}

/// Why the engine could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program reached a state that it rules out.
    #[error("this is a bug in llem: {0}")]
    Bug(String),

    /// An argument is out of range or contradicts another.
    #[error("{0}")]
    Invalid(String),

    /// The files of a model or an adapter are missing or malformed.
    #[error(transparent)]
    Checkpoint(#[from] llem_checkpoint::Error),

    /// There is no model, adapter or sequence of this name.
    #[error("{0}")]
    NotFound(String),

    /// All memory that was reserved for this purpose is in use.
    #[error("{0}")]
    Full(String),

    /// The request needs more memory than is free.
    #[error("{0}")]
    OutOfMemory(String),

    /// This build or model does not support the request.
    #[error("{0}")]
    Unsupported(String),

    /// The model computed NaN or infinity, so that every later token would be meaningless.
    #[error("{0}")]
    NotANumber(String),

    /// The caller asked for the work to stop.
    #[error("the work was interrupted")]
    Interrupted,

    /// A rank of a split model failed, so the model cannot be used any more.
    #[error("rank {rank} failed: {reason}")]
    Rank {
        /// The number of the rank.
        rank: usize,
        /// The cause, as the rank reports it.
        reason: String,
    },

    /// A device failed, or it does not exist.
    #[error("{0}")]
    Device(#[source] llem_compute::Error),

    /// A tensor operation of candle failed.
    #[error("the engine failed: {}", first_line(.0))]
    Tensor(#[from] candle_core::Error),
}

impl Error {
    /// Creates an error about a missing or malformed file.
    pub fn file(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        llem_checkpoint::Error::file(path, reason).into()
    }

    /// Returns the kind of cause.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Bug(_) => ErrorKind::Bug,
            Self::Checkpoint(error) if !error.is_input() => ErrorKind::Bug,
            Self::Invalid(_) | Self::Checkpoint(_) | Self::NotFound(_) | Self::Unsupported(_) => {
                ErrorKind::Input
            }
            Self::Full(_) | Self::OutOfMemory(_) => ErrorKind::Limit,
            Self::Interrupted => ErrorKind::Interrupted,
            Self::NotANumber(_) | Self::Rank { .. } | Self::Tensor(_) | Self::Device(_) => {
                ErrorKind::Failed
            }
        }
    }

    /// Returns true if the person who started the run can correct the cause by asking for something else or for less.
    /// Returns false if the machine or the program failed.
    pub fn is_input(&self) -> bool {
        matches!(self.kind(), ErrorKind::Input | ErrorKind::Limit)
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
