//! What builds and tests the projects of a language.

use super::{
    Language, Project, Result, c::CTools, javascript::JavaScriptTools, python::PythonTools,
    rust::RustTools, sources::Sources, tool::Tool,
};
use std::{ffi::OsString, path::Path, process::Command};

/// The programs and the SDK that a project is built and tested with. They are found when this is made, and not started.
pub(crate) trait Toolchain {
    /// The programs that the component depends on. The first one names the build.
    fn tools(&self) -> &[Tool];

    /// The digest of the SDK that the component is built with.
    fn sdk_digest(&self) -> &str;

    /// What else the component depends on, such as installed packages.
    fn surroundings(&self) -> String {
        String::new()
    }

    /// Builds the component or core module into the file `wasm`. The folder `scratch` is empty, and removed afterwards.
    ///
    /// # Errors
    /// Fails if a program does. Its messages have been passed on.
    fn build(
        &self,
        project: &Project,
        sources: &Sources,
        scratch: &Path,
        wasm: &Path,
    ) -> Result<()>;

    /// Prepares the language's own test tool. The folder `scratch` is empty, and removed after the tests.
    ///
    /// # Errors
    /// Fails if there are no tests, or if they cannot be compiled.
    fn test(&self, project: &Project, arguments: &[OsString], scratch: &Path) -> Result<Command>;
}

/// Finds the programs for a project.
///
/// # Errors
/// Fails with what to install if one is missing.
pub(crate) fn find_toolchain(project: &Project) -> Result<Box<dyn Toolchain>> {
    Ok(match project.language {
        Language::Rust => Box::new(RustTools::find(project)?),
        Language::Python => Box::new(PythonTools::find(project)?),
        Language::JavaScript | Language::TypeScript => Box::new(JavaScriptTools::find(project)?),
        Language::C => Box::new(CTools::find(project)?),
    })
}
