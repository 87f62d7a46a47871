//! Writes the report of runs: `render OUT RUN...`, in the format of the ending of OUT.

use llem_report::{Format, LoadedRun, Report, render};
use std::{fs, path::Path};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (out, runs) = args.split_first().ok_or("usage: render OUT.html RUN...")?;
    let runs =
        runs.iter().map(|run| LoadedRun::open(Path::new(run))).collect::<Result<Vec<_>, _>>()?;
    let ending = |format: &Format| out.ends_with(&format!(".{}", format.extension()));
    let format = Format::ALL.into_iter().find(ending).unwrap_or(Format::Html);
    fs::write(out, render(&Report::new(&runs, &[]), format))?;
    Ok(())
}
