//! The options of [`exec`](crate::exec()).

use crate::{GivenInputs, Script, grants::RunSettings};
use llem_record::Build;
use std::{path::PathBuf, time::Duration};

/// All that decides a run.
pub struct ExecOptions {
    pub(crate) scripts: Vec<Script>,
    pub(crate) settings: RunSettings,
    pub(crate) given: GivenInputs,
    pub(crate) baseline: Option<Duration>,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) cache: Option<PathBuf>,
    pub(crate) command: Vec<String>,
    pub(crate) build: Build,
}

impl ExecOptions {
    /// Creates options for `scripts`, which are one experiment, or policies. The other options have these defaults:
    ///
    /// | option | default |
    /// |---|---|
    /// | [`inputs`](Self::inputs) | no parameters, no datasets |
    /// | [`baseline`](Self::baseline) | what the runner's parameter says |
    /// | [`folder`](Self::folder) | a new folder in `runs/` of the working directory |
    /// | [`cache`](Self::cache) | compiled code is not cached |
    /// | [`command`](Self::command) | an empty command line |
    /// | [`build`](Self::build) | an unknown build |
    pub fn new(scripts: Vec<Script>, settings: RunSettings) -> Self {
        Self {
            scripts,
            settings,
            given: GivenInputs::default(),
            baseline: None,
            folder: None,
            cache: None,
            command: Vec::new(),
            build: Build::default(),
        }
    }

    /// Sets parameters and grants datasets.
    #[must_use]
    pub fn inputs(mut self, given: GivenInputs) -> Self {
        self.given = given;
        self
    }

    /// Sets how long the runner rests before the warm-up. It is refused for an experiment.
    #[must_use]
    pub fn baseline(mut self, length: impl Into<Option<Duration>>) -> Self {
        self.baseline = length.into();
        self
    }

    /// Sets the run's folder.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<Option<PathBuf>>) -> Self {
        self.folder = folder.into();
        self
    }

    /// Sets the folder in which compiled code is cached.
    #[must_use]
    pub fn cache(mut self, folder: impl Into<Option<PathBuf>>) -> Self {
        self.cache = folder.into();
        self
    }

    /// Sets the command line for the record, which replaces the secrets in it.
    #[must_use]
    pub fn command(mut self, words: Vec<String>) -> Self {
        self.command = words;
        self
    }

    /// Sets how the program was built, for the record.
    #[must_use]
    pub fn build(mut self, build: Build) -> Self {
        self.build = build;
        self
    }

    /// The grants and settings of the run.
    pub fn settings(&self) -> &RunSettings {
        &self.settings
    }
}
