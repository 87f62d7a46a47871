//! Why a project cannot be made, built or tested.

use std::{io, path::PathBuf};

/// A project cannot be made, built or tested.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProjectError {
    /// The path is no source code.
    #[error(
        "{} is no source code that llem can build: give a file that ends in .py, .js, .mjs, .ts, .mts or .c, or a \
         project's folder, which has a llem.toml (`llem new` makes one)",
        .0.display()
    )]
    NotSource(PathBuf),
    /// A file cannot be read.
    #[error("cannot read {}: {cause}", .path.display())]
    Unreadable { path: PathBuf, cause: io::Error },
    /// A file cannot be written.
    #[error("cannot write {}: {cause}", .path.display())]
    Unwritable { path: PathBuf, cause: io::Error },
    /// `llem.toml`, or another manifest of the project, is wrong.
    #[error("{}: {reason}", .path.display())]
    Manifest { path: PathBuf, reason: String },
    /// A program that the language needs is not installed.
    #[error("{tool} is needed for {language}, and was not found: {remedy}")]
    MissingTool { tool: &'static str, language: &'static str, remedy: &'static str },
    /// A variable names a program that is not there.
    #[error("{variable} is {}, which is not there: correct it, or unset it", .path.display())]
    MissingProgram { variable: &'static str, path: PathBuf },
    /// A program does not start.
    #[error("{tool} does not start: {cause} ({command})")]
    NotStarted { tool: &'static str, command: String, cause: io::Error },
    /// A program failed. What it printed was passed on before.
    #[error("{tool} failed{code}; its messages are above ({command})")]
    ToolFailed { tool: &'static str, command: String, code: String },
    /// A program ended well, but its result is not there.
    #[error("{tool} wrote no component ({command})")]
    NoComponent { tool: &'static str, command: String },
    /// The language's tests failed, or could not be run. What they printed was passed on before.
    #[error("the tests of {name} failed{code}")]
    TestsFailed { name: String, code: String },
    /// There are no tests.
    #[error("{} has no test: add {wanted}", .folder.display())]
    NoTests { folder: PathBuf, wanted: &'static str },
    /// A new project's name is no name.
    #[error(
        "'{0}' cannot be the name of a project: use lower-case letters, digits and single hyphens between them, and \
         begin with a letter"
    )]
    BadName(String),
    /// A new project's folder exists.
    #[error("{} exists: choose another name, or remove it", .0.display())]
    FolderExists(PathBuf),
    /// This build of llem has no SDK for the language, or no template of the kind.
    #[error("this llem has no {language} template of an {kind}")]
    NoTemplate { language: &'static str, kind: &'static str },
    /// There is nowhere to keep what is built.
    #[error("there is no cache folder for what is built: set LLEM_CACHE to a folder")]
    NoCache,
    /// A script has so many files beside it that they cannot all be a part of it.
    #[error(
        "there are more than {most} files beside {}: move it to a folder of its own",
        .file.display()
    )]
    TooManyFiles { file: PathBuf, most: usize },
}

impl ProjectError {
    /// Whether the user gave something wrong or has not installed a program, rather than a build or test that failed.
    pub(crate) fn is_input(&self) -> bool {
        match self {
            Self::NotSource(_)
            | Self::Unreadable { .. }
            | Self::Manifest { .. }
            | Self::MissingTool { .. }
            | Self::MissingProgram { .. }
            | Self::NoTests { .. }
            | Self::BadName(_)
            | Self::FolderExists(_)
            | Self::NoTemplate { .. }
            | Self::NoCache
            | Self::TooManyFiles { .. } => true,
            Self::Unwritable { .. }
            | Self::NotStarted { .. }
            | Self::ToolFailed { .. }
            | Self::NoComponent { .. }
            | Self::TestsFailed { .. } => false,
        }
    }

    /// Makes the error for a path that cannot be read.
    pub(super) fn unreadable(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |cause| Self::Unreadable { path, cause }
    }

    /// Makes the error for a path that cannot be written.
    pub(super) fn unwritable(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |cause| Self::Unwritable { path, cause }
    }
}
