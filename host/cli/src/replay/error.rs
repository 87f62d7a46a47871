//! Why a run cannot be repeated.

use std::{io, path::PathBuf};

/// A run cannot be repeated. Each is a matter of what was given, and is found before anything runs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    /// The journal of a recovered run does not say how it was started.
    #[error(
        "{0} was recovered from a journal that does not say how the run was started: it cannot be repeated"
    )]
    NoPlan(PathBuf),
    /// The command of the record is not one that can be repeated.
    #[error("the record's command is not a llem exec: repeat a run that has one")]
    NotExec,
    /// The command of the record has options that this version does not have.
    #[error(
        "this llem does not read the record's command: {cause}; use llem {version}, which wrote it"
    )]
    OtherOptions { cause: String, version: String },
    /// A parameter's value was not recorded.
    #[error(
        "the value of the parameter '{0}' is not in the record, because it may be a secret: give it again with -p {0}=VALUE"
    )]
    Secret(String),
    /// Another option's value was not recorded.
    #[error(
        "the value of --{0} is not wholly in the record, because it may be a secret: give it again"
    )]
    SecretOption(String),
    /// A limit of the record is higher than the default.
    #[error(
        "the record raises --{0} above llem's own limit: give --allow-limits if you trust who made the record"
    )]
    RaisedLimit(&'static str),
    /// A file of the record is not there.
    #[error("the {what} '{name}' of the record, {recorded}, is not there: give it with {option}")]
    Missing { what: &'static str, name: String, recorded: String, option: String },
    /// A file of the record has other content.
    #[error(transparent)]
    Changed(Box<ChangedInput>),
    /// A file cannot be read.
    #[error("{}: {cause}", .path.display())]
    Unreadable { path: PathBuf, cause: io::Error },
    /// An option names something that the run does not have.
    #[error("--{option} names '{name}', which the run does not have: it has {known}")]
    UnknownName { option: &'static str, name: String, known: String },
}

/// An input that is not the one of the record.
#[derive(Debug, thiserror::Error)]
#[error(
    "the {what} '{name}' has changed: {file} has the digest {found}, and the record has {recorded}: {remedy}, or run with this one by --allow-changed {name}"
)]
pub(crate) struct ChangedInput {
    /// The kind of input, such as `dataset`.
    pub what: &'static str,
    /// What `--allow-changed` calls it.
    pub name: String,
    pub file: String,
    /// The digest of the present file.
    pub found: String,
    /// The digest in the record.
    pub recorded: String,
    pub remedy: String,
}

impl From<ChangedInput> for ReplayError {
    fn from(input: ChangedInput) -> Self {
        Self::Changed(Box::new(input))
    }
}

impl ReplayError {
    /// Explains why the options of a record that `version` wrote do not fit this llem. The first line of clap's explanation
    /// says it.
    pub(crate) fn options(error: &clap::Error, version: &str) -> Self {
        let cause = error.to_string();
        let cause = cause.lines().next().unwrap_or_default().trim_start_matches("error: ");
        Self::OtherOptions { cause: cause.to_owned(), version: version.to_owned() }
    }
}
