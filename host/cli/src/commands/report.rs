//! The command `llem report`: makes a page, tables, drawings or a terminal view of runs. It only reads the runs' folders.

use super::output::print;
use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use llem_report::{DevicePeaks, FigureFormat, Format, LoadedRun, Report, render, render_figures};
use llem_runtime::Error;
use std::{
    fs,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

/// The width of a drawing that is not told another, mm: a column of most journals.
const COLUMN: f64 = 84.0;

/// The widths in which a drawing can be read and printed, mm.
const WIDTHS: std::ops::RangeInclusive<f64> = 60.0..=400.0;

/// Make a page, tables, drawings or a terminal view of one run, or of several side by side.
#[derive(clap::Args)]
pub(crate) struct ReportArgs {
    /// Folders of runs, or their run.json; a run that was killed or still goes on is shown as far as its journal tells
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The file to write, or the folder for svg and pdf [default: report.html in the folder of a single run, otherwise
    /// report.html here; tables and texts are printed]
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// What to write: a page, numbers in long form (csv; parquet with typed columns), text with tables, tables for a paper,
    /// everything as data, a view for a terminal, or a drawing of each chart in a folder (svg, pdf)
    #[arg(long, default_value = "html", value_parser = formats())]
    format: OutputFormat,
    /// How wide a drawing of svg or pdf is, mm: a column is about 84, a page 170 [default: 84]
    #[arg(long, value_name = "MM")]
    width: Option<f64>,
    /// The peaks that `llem doctor --peaks` measured, for the roofs of the roofline: its peaks.json in llem's cache folder
    #[arg(long, value_name = "FILE")]
    peaks: Option<PathBuf>,
}

/// What a report is written as.
#[derive(Clone, Copy)]
enum OutputFormat {
    /// One file, or text that is printed.
    File(Format),
    /// A folder with a file for each chart.
    Figures(FigureFormat),
}

impl ReportArgs {
    /// Reads the runs, and writes or prints the report.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.format {
            OutputFormat::File(format) => self.write_file(format),
            OutputFormat::Figures(format) => self.write_figures(format),
        }
    }

    fn report(&self) -> Result<(Vec<LoadedRun>, Report), Error> {
        let input = |error: llem_report::Error| Error::Input(error.to_string());
        let runs = self.runs.iter().map(|run| LoadedRun::open(run)).collect::<Result<Vec<_>, _>>();
        let runs = runs.map_err(input)?;
        let peaks = self.peaks.as_deref().map(DevicePeaks::read).transpose().map_err(input)?;
        let report = Report::new(&runs, &peaks.unwrap_or_default());
        Ok((runs, report))
    }

    fn write_file(&self, format: Format) -> anyhow::Result<()> {
        if self.width.is_some() {
            return input("--width is for drawings: leave it out, or give --format svg or pdf");
        }
        let is_printed = self.output.is_none() && format != Format::Html;
        if is_printed && format == Format::Parquet && io::stdout().is_terminal() {
            return input(
                "--format parquet is no text for a terminal: give a file with --output, or a pipe",
            );
        }
        let (runs, mut report) = self.report()?;
        let path = match (&self.output, &runs[..]) {
            _ if is_printed => return print(|out| out.write_all(&render(&report, format))),
            (Some(path), _) => path.clone(),
            (None, [run]) => run.folder().join("report.html"),
            (None, _) => PathBuf::from("report.html"),
        };
        report.link_records(&runs, &path);
        write(&path, &render(&report, format))?;
        print(|out| writeln!(out, "report {}", shown(&path)))
    }

    /// Draws each chart in a file of the output folder, and prints the files.
    fn write_figures(&self, format: FigureFormat) -> anyhow::Result<()> {
        let name = format.name();
        let width = self.width.unwrap_or(COLUMN);
        if !WIDTHS.contains(&width) {
            let (least, most) = (WIDTHS.start(), WIDTHS.end());
            return input(format!(
                "--width {width} is no width of a drawing: give {least} to {most} mm"
            ));
        }
        let Some(folder) = &self.output else {
            return input(format!(
                "--format {name} writes a file for each chart: give a folder with --output"
            ));
        };
        if folder.is_file() {
            return input(format!(
                "{} is a file, and --format {name} writes several: give a folder with --output",
                folder.display()
            ));
        }
        let (_, report) = self.report()?;
        let figures = render_figures(&report, format, width)?;
        if figures.is_empty() {
            anyhow::bail!("the report has no chart to draw: its tables are in --format csv");
        }
        fs::create_dir_all(folder).with_context(|| {
            format!("{} cannot be made: give another folder with --output", folder.display())
        })?;
        for figure in &figures {
            let path = folder.join(&figure.file_name);
            write(&path, &figure.bytes)?;
            print(|out| writeln!(out, "figure {}", shown(&path)))?;
        }
        Ok(())
    }
}

fn input(text: impl Into<String>) -> anyhow::Result<()> {
    Err(Error::Input(text.into()).into())
}

fn shown(path: &Path) -> String {
    crate::untrusted::line(&path.to_string_lossy())
}

fn write(path: &Path, report: &[u8]) -> anyhow::Result<()> {
    fs::write(path, report).with_context(|| {
        format!("{} cannot be written: give another place with --output", path.display())
    })
}

/// Parses a format by its name.
fn formats() -> impl TypedValueParser<Value = OutputFormat> {
    let files = Format::ALL.map(|format| (format.name(), OutputFormat::File(format)));
    let figures = FigureFormat::ALL.map(|format| (format.name(), OutputFormat::Figures(format)));
    let all: Vec<_> = files.into_iter().chain(figures).collect();
    let names = PossibleValuesParser::new(all.iter().map(|(name, _)| *name));
    names.try_map(move |name| {
        let found = all.iter().find(|(known, _)| *known == name);
        found.map(|(_, format)| *format).ok_or("no such format")
    })
}
