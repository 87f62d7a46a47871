//! The command `llem test`: runs the unit tests of a project with the test tool of its language.

use crate::{
    env::PROGRAM,
    project::{Project, ProjectError, built, find_toolchain},
};
use std::{env, ffi::OsString, path::PathBuf};

/// Run the unit tests of a project: pytest or unittest, `node --test`, `cargo test`, or a C program.
///
/// The tests run the experiment on a synthetic host, without a model. It is built before, so that they take the time that
/// they need.
#[derive(clap::Args)]
pub(crate) struct TestArgs {
    /// A project's folder, or a script with a test beside it
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Arguments for the test tool, after `--`
    #[arg(last = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

impl TestArgs {
    /// Builds the project and runs its tests.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let project = Project::open(&self.path, None)?;
        let toolchain = find_toolchain(&project)?;
        built::component(&project, &*toolchain, built::say_building(&project))?;
        let scratch = built::scratch()?;
        let mut command = toolchain.test(&project, &self.arguments, scratch.path())?;
        command.current_dir(&project.folder).env(PROGRAM, env::current_exe()?);
        let program = command.get_program().display().to_string();
        let status = command.status().map_err(|cause| ProjectError::NotStarted {
            tool: "the test tool",
            command: program,
            cause,
        })?;
        if status.success() {
            return Ok(());
        }
        Err(ProjectError::TestsFailed { name: project.name, code: built::end(status) }.into())
    }
}
