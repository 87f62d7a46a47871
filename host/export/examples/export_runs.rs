//! Writes runs in the format of a tool: `export_runs TOOL OUT RUN...`.

use llem_export::{ExportOptions, ExportedRun, Tool, export};
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [tool, out, runs @ ..] = &args[..] else {
        return Err("usage: export_runs TOOL OUT RUN...".into());
    };
    let tool = Tool::ALL.into_iter().find(|known| known.name() == tool).ok_or("no such tool")?;
    let runs =
        runs.iter().map(|run| ExportedRun::open(Path::new(run))).collect::<Result<Vec<_>, _>>()?;
    for path in export(&runs, tool, &ExportOptions::default(), Path::new(out))? {
        println!("{}", path.display());
    }
    Ok(())
}
