//! Draws the charts of runs: `figures FOLDER WIDTH_MM RUN...`, as SVG and as PDF.

use llem_report::{FigureFormat, LoadedRun, Report, render_figures};
use std::{fs, path::Path};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, width, runs @ ..] = &args[..] else {
        return Err("usage: figures FOLDER WIDTH_MM RUN...".into());
    };
    let (folder, width): (&Path, f64) = (Path::new(folder), width.parse()?);
    let runs =
        runs.iter().map(|run| LoadedRun::open(Path::new(run))).collect::<Result<Vec<_>, _>>()?;
    let report = Report::new(&runs, &[]);
    fs::create_dir_all(folder)?;
    for format in FigureFormat::ALL {
        for figure in render_figures(&report, format, width)? {
            fs::write(folder.join(figure.file_name), figure.bytes)?;
        }
    }
    Ok(())
}
