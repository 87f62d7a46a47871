//! The command `llem export`: writes runs in the formats of other tools. It only reads the runs' folders.

use super::{number_args::within, output::print};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use llem_export::{ExportOptions, ExportedRun, Tool, export};
use llem_runtime::Error;
use std::{ops::RangeInclusive, path::PathBuf};

/// The allowed carbon intensities, g of CO2 equivalents per kW.h. Coal has about 1000.
const INTENSITIES: RangeInclusive<f64> = 0.0..=10_000.0;

/// Write runs in the format of MLflow, Weights & Biases, CodeCarbon or LLenergyMeasure.
#[derive(clap::Args)]
pub(crate) struct ExportArgs {
    /// Folders of runs, or their run.json; a run that was killed or still goes on is exported as far as its journal tells
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The tool that is to read the runs
    #[arg(long, value_name = "FORMAT", value_parser = tools())]
    to: Tool,
    /// Where to write: all runs go into one place, and nothing that is there is overwritten
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,
    /// Carbon intensity of the electricity, for CodeCarbon's emissions, which are empty without it
    #[arg(long, value_name = "G", value_parser = within(INTENSITIES, "g/kWh"))]
    grid_gco2_per_kwh: Option<f64>,
}

impl ExportArgs {
    /// Reads the runs, and writes them.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let runs =
            self.runs.iter().map(|run| ExportedRun::open(run)).collect::<Result<Vec<_>, _>>();
        let options = ExportOptions::new(self.grid_gco2_per_kwh);
        let written = runs.and_then(|runs| export(&runs, self.to, &options, &self.output));
        let written = written.map_err(|error| match error.is_input() {
            true => Error::Input(error.to_string()),
            false => Error::Failed(error.to_string()),
        })?;
        print(|out| {
            written.iter().try_for_each(|path| {
                writeln!(out, "export {}", crate::untrusted::line(&path.to_string_lossy()))
            })
        })
    }
}

/// Parses a tool by its name.
fn tools() -> impl TypedValueParser<Value = Tool> {
    let names = Tool::ALL.map(|tool| PossibleValue::new(tool.name()).help(tool.help()));
    PossibleValuesParser::new(names).try_map(|name| {
        let found = Tool::ALL.into_iter().find(|tool| tool.name() == name);
        found.ok_or("no such format")
    })
}
