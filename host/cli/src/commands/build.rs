//! The command `llem build`: makes a component of source code.

use super::output::print;
use crate::{
    project::{Language, Project, ProjectError, built, find_toolchain},
    untrusted::line,
};
use std::{path::PathBuf, time::Instant};

/// Build a component from a project's folder or a script, with the tools of its language.
#[derive(clap::Args)]
pub(crate) struct BuildArgs {
    /// A project's folder (with a llem.toml), or a script: .py, .js, .mjs, .ts, .mts or .c
    #[arg(default_value = ".")]
    path: PathBuf,
    /// The component's file [default: NAME.wasm in the project's folder, or beside the script]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The language of a script whose name does not say it
    #[arg(long = "lang", value_name = "LANGUAGE")]
    language: Option<Language>,
}

impl BuildArgs {
    /// Builds the component and prints one line about it.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let begin = Instant::now();
        let project = Project::open(&self.path, self.language)?;
        let toolchain = find_toolchain(&project)?;
        let building = built::say_building(&project);
        let built = built::component(&project, &*toolchain, building)?;
        let (shown, file) = match self.output {
            Some(file) => (file.clone(), file),
            None => {
                let name = format!("{}.wasm", project.name);
                let near =
                    if self.path.is_dir() { Some(self.path.as_path()) } else { self.path.parent() };
                (near.map(|near| near.join(&name)).unwrap_or_default(), project.folder.join(&name))
            }
        };
        llem_files::write(&file, &built.bytes)
            .map_err(|cause| ProjectError::Unwritable { path: file, cause })?;
        let (bytes, seconds) = (built.bytes.len() as f64, begin.elapsed().as_secs_f64());
        let shown = line(&shown.display().to_string());
        let (size, digest) = (size(bytes), built::digest(&built.bytes));
        print(|out| writeln!(out, "{shown}: {size}, {seconds:.2} s, {digest}"))
    }
}

/// A number of bytes with its unit, in powers of a thousand.
fn size(bytes: f64) -> String {
    if bytes < 1e6 { format!("{:.1} kB", bytes / 1e3) } else { format!("{:.1} MB", bytes / 1e6) }
}
