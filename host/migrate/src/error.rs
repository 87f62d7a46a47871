//! The errors of reading another tool's command.

use std::{io, path::PathBuf};

/// Why a command could not be read. Each is the user's to mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No words were given, or quotes in them do not match.
    #[error("give the command of another tool: llem migrate vllm bench serve --model ...; {0}")]
    NoCommand(String),
    /// The words begin with no tool that is known.
    #[error("'{word}' begins no command of a tool that llem knows: give one of {tools}")]
    UnknownTool {
        /// As it was given.
        word: String,
        /// The tools, separated by commas.
        tools: String,
    },
    /// The tool has no such option.
    #[error("{tool} has no option {option}{}", begins_like_it(.instead))]
    UnknownOption {
        /// As its documentation writes it: `vllm bench serve`.
        tool: &'static str,
        /// The option as it was written.
        option: String,
        /// An option of the tool that begins like it.
        instead: Option<String>,
    },
    /// A word is neither an option nor belongs to one.
    #[error("{tool}: '{word}' belongs to no option")]
    UnexpectedWord {
        /// As its documentation writes it: `vllm bench serve`.
        tool: &'static str,
        /// As it was given.
        word: String,
    },
    /// An option has no value.
    #[error("{tool}: {option} needs a value")]
    NoValue {
        /// As its documentation writes it: `vllm bench serve`.
        tool: &'static str,
        /// The option as it was written.
        option: String,
    },
    /// A value is not of the option's kind.
    #[error("{tool}: {option} is '{value}': give {expected}")]
    Value {
        /// As its documentation writes it: `vllm bench serve`.
        tool: &'static str,
        /// The option as it was written.
        option: String,
        /// As it was given.
        value: String,
        /// What it should be, in words.
        expected: String,
    },
    /// Something that the tool needs is not there.
    #[error("{tool} needs {option}")]
    Missing {
        /// As its documentation writes it: `vllm bench serve`.
        tool: &'static str,
        /// The option, setting or variable.
        option: &'static str,
    },
    /// Options of the tool exclude each other.
    #[error("{tool}: {sentence}")]
    Conflict {
        /// As its documentation writes it: `vllm bench serve`.
        tool: &'static str,
        /// What excludes what, and the remedy.
        sentence: String,
    },
    /// The script does not do this kind of work.
    #[error("{tool}: {what} cannot be measured with llem: {why}")]
    NotExpressible {
        /// As its documentation writes it: `vllm bench serve`.
        tool: &'static str,
        /// The option with its value.
        what: String,
        /// What the script or the engine lacks.
        why: &'static str,
    },
    /// A file cannot be read.
    #[error("{path} cannot be read: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the file system.
        cause: io::Error,
    },
    /// A file is not what the tool reads.
    #[error("{path} cannot be read as {format}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// YAML or JSON.
        format: &'static str,
        /// Why, with the line.
        cause: String,
    },
}

fn begins_like_it(instead: &Option<String>) -> String {
    instead.as_ref().map_or_else(String::new, |name| format!(": {name} begins like it"))
}
