//! What can go wrong: with a run ([`Error`]), with one call of a script ([`Refusal`]), and what ends a guest from inside
//! a call ([`Halt`]).

use crate::{engine_thread::EngineGone, stop::StopReason};
use llem_engine::Kind;

/// Shorthand for this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a run did not complete.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was given cannot be run.
    #[error("{0}")]
    Input(String),
    /// A limit was passed; the sentence names the option that raises it.
    #[error("{0}")]
    Limit(String),
    /// The run failed midway.
    #[error("{0}")]
    Failed(String),
    /// The script ended with an error of its own.
    #[error("{message}")]
    Script {
        /// Who has to mend it, by the error's code.
        kind: Kind,
        /// Its sentence.
        message: String,
    },
    /// The script ended itself, as languages do on a panic.
    #[error("{component} panicked or aborted{}", told(.last_words))]
    Aborted {
        /// The component.
        component: String,
        /// What it said last, where that explains its end and it has done nothing since.
        last_words: Option<String>,
    },
    /// The host did what it must never do.
    #[error("{0}")]
    Bug(String),
    /// Ctrl-C or a termination signal.
    #[error("interrupted; what was measured until then is kept")]
    Interrupted,
}

impl Error {
    /// Who has to mend it; exit codes go by that.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Input(_) => Kind::Input,
            Self::Limit(_) => Kind::Limit,
            Self::Script { kind, .. } => *kind,
            Self::Failed(_) | Self::Aborted { .. } => Kind::Failed,
            Self::Bug(_) => Kind::Bug,
            Self::Interrupted => Kind::Interrupted,
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

/// Why a script does not get what it asked for. It is told, and may go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An argument is out of range or contradicts another.
    #[error("{0}")]
    InvalidArgument(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The person who started the run has not granted it.
    #[error("{0}")]
    NotGranted(String),
    /// This build, machine or model cannot do it.
    #[error("{0}")]
    Unsupported(String),
    /// A limit was reached.
    #[error("{0}")]
    LimitReached(String),
    /// It was tried and failed.
    #[error("{0}")]
    Failed(String),
}

impl From<llem_engine::Error> for Refusal {
    fn from(error: llem_engine::Error) -> Self {
        use llem_engine::Error;
        let sentence = error.to_string();
        match error {
            Error::Invalid(_) | Error::BadFile { .. } => Self::InvalidArgument(sentence),
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

/// Longest sentence that a script is told, in characters: names that it gave are told back to it.
const SENTENCE: usize = 500;

impl Refusal {
    /// The same, if need be cut.
    pub fn short(self) -> Self {
        let cut = |sentence| short(sentence, SENTENCE);
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

/// At most so many characters of a sentence.
pub fn short(mut sentence: String, most: usize) -> String {
    if let Some((end, _)) = sentence.char_indices().nth(most) {
        sentence.truncate(end);
        sentence.push('…');
    }
    sentence
}

/// What a call answers: a refusal is told to the script, and the outer error ends it.
pub type Answer<T> = wasmtime::Result<std::result::Result<T, Refusal>>;

/// Ends the guest from inside a host call: a trap with a reason that is ours.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Halt {
    /// The run was stopped.
    #[error("{0}")]
    Stopped(StopReason),
    /// A limit was passed; the sentence names the option that raises it.
    #[error("{0}")]
    Limit(String),
    /// `describe` asked for something that only a run has, by a call that has no way to refuse.
    #[error("describe must not call {0}: call it in run")]
    InDescribe(String),
    /// The record could not be written.
    #[error("{0}")]
    Record(String),
}

impl Halt {
    /// As wasmtime carries it.
    pub fn trap(self) -> wasmtime::Error {
        wasmtime::Error::from(self)
    }
}

fn told(last_words: &Option<String>) -> String {
    last_words.as_ref().map_or_else(String::new, |words| format!(": {words}"))
}

/// The end of a guest call, in a sentence: our own reason where we ended it, and the trap's where
/// WebAssembly did.
pub fn explain(what: &str, error: &wasmtime::Error) -> Error {
    if let Some(halt) = error.downcast_ref::<Halt>() {
        let sentence = format!("{what} was ended: {halt}");
        return match halt {
            Halt::Stopped(StopReason::Interrupted) => Error::Interrupted,
            Halt::Stopped(StopReason::Deadline(_)) | Halt::Limit(_) => Error::Limit(sentence),
            Halt::InDescribe(_) => Error::Input(sentence),
            Halt::Record(_) => Error::Failed(sentence),
        };
    }
    if let Some(wasmtime_wasi::I32Exit(code)) = error.downcast_ref() {
        return Error::Failed(format!("{what} exited with code {code} before it had ended"));
    }
    if let Some(gone) = error.downcast_ref::<EngineGone>() {
        return Error::Bug(format!("{what} was ended: {gone}"));
    }
    let cause = error.root_cause().to_string();
    let cause = cause.lines().next().unwrap_or_default();
    match error.downcast_ref::<wasmtime::Trap>() {
        // An `unreachable` is how languages abort.
        Some(wasmtime::Trap::UnreachableCodeReached) => {
            Error::Aborted { component: what.to_owned(), last_words: None }
        }
        Some(trap) => Error::Failed(format!("{what} trapped: {trap}")),
        None => Error::Failed(format!("{what} failed: {cause}")),
    }
}
