//! A double of componentize-py.

use super::{TestContext, write_program};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Copies the component beside it to the file that its option `-o` names.
const COMPILER: &str = r#"#!/bin/sh
[ "$1" = --version ] && echo "componentize-py 9.8.7" && exit
while [ $# -gt 1 ]; do
  [ "$1" = -o ] && cp "$(dirname "$0")/component.wasm" "$2"
  shift
done
"#;

/// A componentize-py that gives a component of the tests, whatever it builds.
pub struct PythonCompiler {
    tools: PathBuf,
}

impl PythonCompiler {
    /// Puts the compiler into the context's folder `tools`, beside a Python that does nothing.
    pub fn new(context: &TestContext) -> Self {
        let tools = context.folder.path().join("tools");
        fs::create_dir(&tools).unwrap();
        for (name, content) in [("componentize-py", COMPILER), ("python3", "#!/bin/sh\n")] {
            write_program(&tools.join(name), content);
        }
        Self { tools }
    }

    /// Sets the component that is given from now on.
    pub fn gives(&self, component: &[u8]) {
        fs::write(self.tools.join("component.wasm"), component).unwrap();
    }

    /// Lets a command build with this compiler, and store in `cache` what it builds.
    pub fn serve(&self, command: &mut Command, cache: &Path) {
        command.env("LLEM_CACHE", cache);
        command.env("LLEM_PYTHON", self.tools.join("python3")).env_remove("VIRTUAL_ENV");
    }
}
