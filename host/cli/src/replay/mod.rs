//! Repeats a run: from its record to the command line of the same run, with every file checked before anything runs.
//!
//! ```text
//! run.json ──RecordedCommand──► options of llem exec
//!    │                             │ pinned.rs    seed, date, parameters, limits: as the record's fields say
//!    │                             │ located.rs   files: where they are now (RecordedFiles), checked by their digests
//!    │                             ▼
//!    └──components.rs──────────► components as built and shipped, compared with the record's
//! ```
//!
//! Start at [`Replacements`], [`RecordedFiles`] and [`RecordedCommand`].

mod bundle_files;
mod components;
mod error;
mod located;
mod pinned;
mod raised_limits;
mod recorded_command;
mod recorded_files;
mod replacements;

pub(crate) use self::{
    bundle_files::BundleFiles,
    components::check_components,
    error::{ChangedInput, ReplayError},
    located::{adapter_names, locate},
    pinned::{check_replayable, pin},
    raised_limits::check_limits,
    recorded_command::RecordedCommand,
    recorded_files::{FileKind, RecordPaths, RecordedFile, RecordedFiles},
    replacements::Replacements,
};
