//! The command `llem report`: makes a page, tables or a terminal view of runs. It only reads the runs' folders.

use super::output::print;
use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use llem_report::{DevicePeaks, Format, LoadedRun, Report, render};
use llem_runtime::Error;
use std::path::{Path, PathBuf};

/// Make a page, tables or a terminal view of one run, or of several side by side.
#[derive(clap::Args)]
pub(crate) struct ReportArgs {
    /// Folders of runs, or their run.json; a run that was killed or still goes on is shown as far as its journal tells
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The file to write [default: report.html in the folder of a single run, otherwise report.html here; formats other
    /// than html are printed]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What to write: a page, numbers in long form, text with tables, tables for a paper, everything as data, or a view for
    /// a terminal
    #[arg(long, default_value = "html", value_parser = formats())]
    format: Format,
    /// The peaks that `llem doctor --peaks` measured, for the roofs of the roofline: its peaks.json in llem's cache folder
    #[arg(long, value_name = "FILE")]
    peaks: Option<PathBuf>,
}

impl ReportArgs {
    /// Reads the runs, and writes or prints the report.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let input = |error: llem_report::Error| Error::Input(error.to_string());
        let runs = self.runs.iter().map(|run| LoadedRun::open(run)).collect::<Result<Vec<_>, _>>();
        let runs = runs.map_err(input)?;
        let peaks = self.peaks.as_deref().map(DevicePeaks::read).transpose().map_err(input)?;
        let report = render(&Report::new(&runs, &peaks.unwrap_or_default()), self.format);
        let path = match (self.output, self.format, &runs[..]) {
            (Some(path), _, _) => path,
            (None, Format::Html, [run]) => run.folder().join("report.html"),
            (None, Format::Html, _) => PathBuf::from("report.html"),
            (None, _, _) => return print(|out| out.write_all(&report)),
        };
        write(&path, &report)?;
        print(|out| writeln!(out, "report {}", crate::untrusted::line(&path.to_string_lossy())))
    }
}

fn write(path: &Path, report: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, report).with_context(|| {
        format!("{} cannot be written: give another file with --output", path.display())
    })
}

/// Parses a format by its name.
fn formats() -> impl TypedValueParser<Value = Format> {
    let names = PossibleValuesParser::new(Format::ALL.map(Format::name));
    names.try_map(|name| {
        let found = Format::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or("no such format")
    })
}
