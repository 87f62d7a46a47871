//! How a run can end without results, in the terms of exit codes.

use crate::stop::StopReason;

/// Shorthand for this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a run did not complete.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was given cannot be run; exit code 2.
    #[error("{0}")]
    Input(String),
    /// The run failed midway; exit code 1.
    #[error("{0}")]
    Failed(String),
    /// The script ended with an error of its own, which is this sentence; exit code 1.
    #[error("{0}")]
    Script(String),
    /// The script ended itself, as languages do on a panic; exit code 1.
    #[error("{component} panicked or aborted{}", told(.last_words))]
    Aborted {
        /// The component.
        component: String,
        /// What it said last, where that explains its end and it has done nothing since.
        last_words: Option<String>,
    },
    /// Ctrl-C or a termination signal; exit code 130.
    #[error("interrupted; what was measured until then is kept")]
    Interrupted,
}

impl From<llem_record::Error> for Error {
    fn from(error: llem_record::Error) -> Self {
        match error.is_input() {
            true => Self::Input(error.to_string()),
            false => Self::Failed(error.to_string()),
        }
    }
}

/// Ends the guest from inside a host call: a trap with a reason that is ours.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Halt {
    /// The run was stopped.
    #[error("{0}")]
    Stopped(StopReason),
    /// A limit was passed; the sentence names the flag that raises it.
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
        return match halt {
            Halt::Stopped(StopReason::Interrupted) => Error::Interrupted,
            Halt::InDescribe(_) => Error::Input(format!("{what} was ended: {halt}")),
            halt => Error::Failed(format!("{what} was ended: {halt}")),
        };
    }
    if let Some(wasmtime_wasi::I32Exit(code)) = error.downcast_ref() {
        return Error::Failed(format!("{what} exited with code {code} before it had ended"));
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
