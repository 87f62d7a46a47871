//! Run records in the formats of the tools that people already use, so that a run of llem stands beside their other results.
//!
//! ```text
//! run folder ──ExportedRun::open──► record, journal ─┬─ Numbers    each number of the run, with a name ──► MLflow, W&B
//!                                                    └─ Measured   what was measured, as one sum ──► CodeCarbon, LLenergyMeasure
//! ```
//!
//! A run's folder is only read. A number that the record does not have is absent or empty in the export, never 0. If the
//! energies of a run or its whole machine were simulated, the run is marked `simulated` in each format. All texts of a record
//! are untrusted, because a script chose them: each format escapes them, and paths are made only of the parts that `name.rs`
//! makes.
//!
//! # Start at
//! - [`ExportedRun`]: a run, as it is exported
//! - [`Tool`]: the tools, and [`export`], which writes the files of one of them
//! - [`ExportOptions`]: what only the user can know

mod codecarbon;
mod error;
mod facts;
mod files;
mod journal;
mod llenergymeasure;
mod measured;
mod mlflow;
mod name;
mod numbers;
mod numbers_file;
mod percentiles;
mod run;
mod tool;
mod wandb;
mod yaml;

pub use error::Error;
pub use run::ExportedRun;
pub use tool::{ExportOptions, Tool, export};
