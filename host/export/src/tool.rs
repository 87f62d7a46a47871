//! The tools whose formats runs are written in.

use crate::{codecarbon, error::Error, llenergymeasure, mlflow, run::ExportedRun, wandb};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// A tool that reads what [`export`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tool {
    /// MLflow: a folder in the layout of its file store.
    Mlflow,
    /// Weights & Biases: folders of offline runs.
    Wandb,
    /// CodeCarbon: rows of `emissions.csv`.
    Codecarbon,
    /// LLenergyMeasure: `result.json` of a results bundle.
    LlEnergyMeasure,
}

impl Tool {
    /// Every tool that runs can be exported to.
    pub const ALL: [Self; 4] = [Self::Mlflow, Self::Wandb, Self::Codecarbon, Self::LlEnergyMeasure];

    /// Returns the name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mlflow => "mlflow",
            Self::Wandb => "wandb",
            Self::Codecarbon => "codecarbon",
            Self::LlEnergyMeasure => "llenergymeasure",
        }
    }

    /// Returns what is written, in a few words for the help of the command line.
    pub fn help(self) -> &'static str {
        match self {
            Self::Mlflow => {
                "A store for `mlflow ui --backend-store-uri` and mlflow.search_runs: --output is its folder, often mlruns"
            }
            Self::Wandb => {
                "Offline runs for `wandb sync`: --output is the folder that they go into, often wandb"
            }
            Self::Codecarbon => {
                "A row a run with CodeCarbon's columns: --output is a file, often emissions.csv, that rows are appended to"
            }
            Self::LlEnergyMeasure => {
                "A result.json a run, as LLenergyMeasure writes it: --output is the folder that the runs' folders go into"
            }
        }
    }
}

/// What only the user can know.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ExportOptions {
    /// The carbon intensity of the electricity, g of CO2 equivalents per kW.h. Without it, emissions are empty.
    pub grid_gco2_per_kwh: Option<f64>,
}

impl ExportOptions {
    /// Creates options with this carbon intensity of the electricity, g of CO2 equivalents per kW.h, if it is known.
    pub fn new(grid_gco2_per_kwh: Option<f64>) -> Self {
        Self { grid_gco2_per_kwh }
    }
}

/// Writes runs in the format of a tool, all of them into one place, and returns the files or folders that were written.
///
/// # Errors
/// A run is given twice or is there already, a run lacks a number that the tool demands, or a file cannot be written. All runs
/// are checked before the first is written.
pub fn export(
    runs: &[ExportedRun],
    tool: Tool,
    options: &ExportOptions,
    output: &Path,
) -> Result<Vec<PathBuf>, Error> {
    let mut keys = BTreeSet::new();
    if let Some(twice) = runs.iter().find(|run| !keys.insert(run.key(32))) {
        return Err(Error::Twice(twice.title()));
    }
    match tool {
        Tool::Mlflow => mlflow::export(runs, output),
        Tool::Wandb => wandb::export(runs, output),
        Tool::Codecarbon => codecarbon::export(runs, output, options),
        Tool::LlEnergyMeasure => llenergymeasure::export(runs, output),
    }
}
