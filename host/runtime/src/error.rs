//! The errors of this crate: of a run ([`Error`]), of one host call ([`Refusal`]), and the reasons that end a guest
//! inside a call ([`Halt`]).

use crate::{engine_thread::EngineStopped, stop_signal::StopReason};
use llem_engine::ErrorKind;

/// A result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a run did not complete.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that the user gave cannot be run.
    #[error("{0}")]
    Input(String),
    /// A limit was exceeded. The message names the option that raises it.
    #[error("{0}")]
    Limit(String),
    /// The run failed midway.
    #[error("{0}")]
    Failed(String),
    /// The script returned an error from `run`.
    #[error("{message}")]
    Script {
        /// The kind of the error's code, which chooses the exit code.
        kind: ErrorKind,
        /// The script's message.
        message: String,
    },
    /// The script aborted, as languages do on a panic.
    #[error("{component} panicked or aborted{}", explanation(.last_error))]
    Aborted {
        /// The files of the component.
        component: String,
        /// The last error that the script reported, if no successful call came after it.
        last_error: Option<String>,
    },
    /// A bug in the host.
    #[error("{0}")]
    Bug(String),
    /// Ctrl-C or a termination signal.
    #[error("interrupted; what was measured until then is kept")]
    Interrupted,
}

impl Error {
    /// The kind of failure, which chooses the exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Input(_) => ErrorKind::Input,
            Self::Limit(_) => ErrorKind::Limit,
            Self::Script { kind, .. } => *kind,
            Self::Failed(_) | Self::Aborted { .. } => ErrorKind::Failed,
            Self::Bug(_) => ErrorKind::Bug,
            Self::Interrupted => ErrorKind::Interrupted,
        }
    }
}

impl From<llem_record::Error> for Error {
    fn from(error: llem_record::Error) -> Self {
        match error.is_input() {
            true => Self::Input(error.to_string()),
            false => Self::Failed(error.to_string()),
        }
    }
}

/// Why a host call is refused. The script receives it as an error, and may go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    InvalidArgument(String),
    #[error("{0}")]
    NotFound(String),
    /// The person who started the run has not granted it.
    #[error("{0}")]
    NotGranted(String),
    /// This build, machine or model does not support it.
    #[error("{0}")]
    Unsupported(String),
    #[error("{0}")]
    LimitReached(String),
    #[error("{0}")]
    Failed(String),
}

impl From<llem_engine::Error> for Refusal {
    fn from(error: llem_engine::Error) -> Self {
        use llem_engine::Error;
        let sentence = error.to_string();
        match error {
            Error::Checkpoint(cause) => Self::from_checkpoint(&cause, sentence),
            Error::Invalid(_) => Self::InvalidArgument(sentence),
            Error::NotFound(_) => Self::NotFound(sentence),
            Error::Full(_) | Error::OutOfMemory(_) => Self::LimitReached(sentence),
            Error::Unsupported(_) => Self::Unsupported(sentence),
            Error::Bug(_)
            | Error::Tensor(_)
            | Error::Device(_)
            | Error::Rank { .. }
            | Error::NotANumber(_)
            | Error::Interrupted => Self::Failed(sentence),
        }
    }
}

impl Refusal {
    fn from_checkpoint(cause: &llem_checkpoint::Error, sentence: String) -> Self {
        use llem_checkpoint::Error;
        match cause {
            Error::Invalid(_) | Error::BadFile { .. } => Self::InvalidArgument(sentence),
            Error::NotFound(_) => Self::NotFound(sentence),
            Error::Unsupported(_) => Self::Unsupported(sentence),
            Error::Bug(_) => Self::Failed(sentence),
        }
    }
}

/// The most characters of a message for a script. A message may quote names of any length that the script gave.
const SENTENCE: usize = 500;

impl Refusal {
    /// Shortens the message if it is too long.
    pub fn shortened(self) -> Self {
        let cut = |sentence| shorten(sentence, SENTENCE);
        match self {
            Self::InvalidArgument(sentence) => Self::InvalidArgument(cut(sentence)),
            Self::NotFound(sentence) => Self::NotFound(cut(sentence)),
            Self::NotGranted(sentence) => Self::NotGranted(cut(sentence)),
            Self::Unsupported(sentence) => Self::Unsupported(cut(sentence)),
            Self::LimitReached(sentence) => Self::LimitReached(cut(sentence)),
            Self::Failed(sentence) => Self::Failed(cut(sentence)),
        }
    }
}

/// Cuts a text to at most `most` characters.
pub(crate) fn shorten(mut sentence: String, most: usize) -> String {
    if let Some((end, _)) = sentence.char_indices().nth(most) {
        sentence.truncate(end);
        sentence.push('…');
    }
    sentence
}

/// The result of work for a host call: the script receives a refusal, and the outer error ends it.
pub(crate) type CallResult<T> = wasmtime::Result<std::result::Result<T, Refusal>>;

/// Ends the guest from inside a host call. wasmtime carries it as a trap.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Halt {
    #[error("{0}")]
    Stopped(StopReason),
    /// A limit was exceeded. The message names the option that raises it.
    #[error("{0}")]
    Limit(String),
    /// `describe` made a call that only a run allows, and that has no error result.
    #[error("describe must not call {0}: call it in run")]
    InDescribe(String),
    /// The record could not be written.
    #[error("{0}")]
    Record(String),
    /// A model or adapter of a replay is not the one of the record. The message names both digests and the remedy.
    #[error("{0}")]
    Changed(String),
}

impl Halt {
    /// Converts the reason into the error that wasmtime carries.
    pub(crate) fn trap(self) -> wasmtime::Error {
        wasmtime::Error::from(self)
    }
}

fn explanation(last_error: &Option<String>) -> String {
    last_error.as_ref().map_or_else(String::new, |words| format!(": {words}"))
}

/// Converts the end of a guest call into an error. The message states our own reason if we ended the call, otherwise
/// wasmtime's trap.
pub(crate) fn explain(what: &str, error: &wasmtime::Error) -> Error {
    if let Some(halt) = error.downcast_ref::<Halt>() {
        let sentence = format!("{what} was ended: {halt}");
        return match halt {
            Halt::Stopped(StopReason::Interrupted) => Error::Interrupted,
            Halt::Stopped(StopReason::Deadline(_)) | Halt::Limit(_) => Error::Limit(sentence),
            Halt::InDescribe(_) => Error::Input(sentence),
            Halt::Record(_) => Error::Failed(sentence),
            Halt::Changed(_) => Error::Input(halt.to_string()),
        };
    }
    if let Some(wasmtime_wasi::I32Exit(code)) = error.downcast_ref() {
        return Error::Failed(format!("{what} exited with code {code} before it had ended"));
    }
    if let Some(gone) = error.downcast_ref::<EngineStopped>() {
        return Error::Bug(format!("{what} was ended: {gone}"));
    }
    let cause = error.root_cause().to_string();
    let cause = cause.lines().next().unwrap_or_default();
    match error.downcast_ref::<wasmtime::Trap>() {
        // Languages abort with the instruction `unreachable`.
        Some(wasmtime::Trap::UnreachableCodeReached) => {
            Error::Aborted { component: what.to_owned(), last_error: None }
        }
        Some(trap) => Error::Failed(format!("{what} trapped: {trap}")),
        None => Error::Failed(format!("{what} failed: {cause}")),
    }
}
