//! The tools that build guests in other languages than Rust, which a machine may lack.

use crate::support::{CommandOutput, TestContext};
use std::{env, path::Path, sync::OnceLock};
use tempfile::TempDir;

/// Returns true if tests that need the tools of guest languages must run. `tests/run` sets the variable when it has installed
/// the tools.
pub fn are_required() -> bool {
    env::var("LLEM_GUEST_TOOLS").is_ok_and(|value| value == "required")
}

/// The cache of all tests that build projects, so that equal sources are built once.
fn cache() -> &'static Path {
    static CACHE: OnceLock<TempDir> = OnceLock::new();
    CACHE.get_or_init(|| tempfile::tempdir().unwrap()).path()
}

impl TestContext {
    /// Runs the binary like [`TestContext::llem`], with the cache of built projects.
    pub fn llem_with_projects(&self, args: &[&str]) -> CommandOutput {
        let mut command = self.command(args);
        CommandOutput::from_output(command.env("LLEM_CACHE", cache()).output().unwrap())
    }

    /// Makes a project with `llem new` and builds it. Returns `None` if the tools of its language are not installed and not
    /// required. `more` are further options of `llem new`.
    pub fn built_project(&self, language: &str, name: &str, more: &[&str]) -> Option<()> {
        self.llem_with_projects(&[&["new", name, "--lang", language], more].concat()).ok();
        let ran = self.llem_with_projects(&["build", name]);
        let is_missing = ran.code == Some(2) && ran.stderr.contains("was not found");
        if is_missing && !are_required() {
            println!("left out: {}", ran.stderr.trim());
            return None;
        }
        ran.ok();
        Some(())
    }
}
