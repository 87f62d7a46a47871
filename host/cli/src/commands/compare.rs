//! The command `llem compare`: compares two runs. It only reads their folders.

use super::{
    output::{print, print_json},
    replay::{open, same},
};
use crate::summary::comparison;
use llem_compare::Comparison;
use std::path::PathBuf;

/// Compare two runs: tokens, method, numbers and environment.
#[derive(clap::Args)]
pub(crate) struct CompareArgs {
    /// The folder of a run, or its run.json
    first: PathBuf,
    /// The folder of the other run, or its run.json
    second: PathBuf,
    /// Print the comparison as JSON instead of a report
    #[arg(long)]
    json: bool,
}

impl CompareArgs {
    /// Compares the runs and prints the comparison.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let comparison = Comparison::new(&open(&self.first)?, &open(&self.second)?, Vec::new());
        match self.json {
            true => print_json(&serde_json::to_string_pretty(&comparison)?)?,
            false => print(|out| comparison::print(&comparison, None, out))?,
        }
        same(&comparison)
    }
}
