//! The options of [`exec`](crate::exec()).

use crate::{
    ExpectedDigests, GivenInputs, Result, RunComponent, Script,
    compose::{self, ShippedComponents},
    grants::RunSettings,
};
use llem_record::Build;
use std::{path::PathBuf, time::Duration};

/// All that decides a run.
pub struct ExecOptions {
    pub(crate) scripts: Vec<Script>,
    pub(crate) shipped: ShippedComponents,
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
    /// | [`shipped`](Self::shipped) | the components that ship with this llem |
    /// | [`expect`](Self::expect) | models and adapters may be any |
    /// | [`command`](Self::command) | an empty command line |
    /// | [`build`](Self::build) | an unknown build |
    pub fn new(scripts: Vec<Script>, settings: RunSettings) -> Self {
        Self {
            scripts,
            shipped: ShippedComponents::new(),
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

    /// Replaces the bytes of a component that ships with llem: `runner` or `defaults`.
    #[must_use]
    pub fn shipped(mut self, name: impl Into<String>, bytes: Vec<u8>) -> Self {
        self.shipped.insert(name.into(), bytes);
        self
    }

    /// Sets the digests that models and adapters must have.
    #[must_use]
    pub fn expect(mut self, digests: ExpectedDigests) -> Self {
        self.settings.expected = digests;
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

    /// Returns the components that will take part, the shipped ones too. Nothing is compiled or run.
    ///
    /// # Errors
    /// Fails if a file is not a component of this package, or if the components do not go together.
    pub fn components(&self) -> Result<Vec<RunComponent>> {
        compose::resolve_parts(self.scripts.clone(), &self.shipped)
    }

    /// The grants and settings of the run.
    pub fn settings(&self) -> &RunSettings {
        &self.settings
    }
}
