//! A user's folders, of which a run may write only to its own.

use crate::support::TestContext;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A user's folders, initially empty. Only compiled code is stored elsewhere and shared by runs.
pub struct Sandbox {
    context: TestContext,
}

impl Sandbox {
    /// Makes the folders, with a secret file and a file that may be granted.
    pub fn new() -> Self {
        let context = TestContext::new();
        for folder in ["home", "work", "tmp", "said", "work/secret"] {
            fs::create_dir(context.folder.path().join(folder)).unwrap();
        }
        context.file(
            "work/secret.json",
            r#"{"architectures": ["TopSecretForCausalLM"], "hidden_size": "hunter2"}"#,
        );
        context.file("work/rows.txt", "one\ntwo\n");
        Self { context }
    }

    /// Returns a path in the folders.
    pub fn path(&self, name: &str) -> PathBuf {
        self.context.folder.path().join(name)
    }

    /// Returns a command that runs there with an otherwise empty environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_llem"));
        command.args(args).current_dir(self.path("work")).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("LLEM_CACHE", compiled());
        command.env("HOME", self.path("home")).env("TMPDIR", self.path("tmp"));
        for folder in ["CACHE_HOME", "CONFIG_HOME", "DATA_HOME", "STATE_HOME", "RUNTIME_DIR"] {
            command.env(format!("XDG_{folder}"), self.path("home"));
        }
        let said = |name: &str| File::create(self.path("said").join(name)).unwrap();
        command.stdin(Stdio::null()).stdout(said("stdout")).stderr(said("stderr"));
        command
    }

    /// Returns every file and folder outside the run's own, with its size.
    pub fn listing(&self) -> Vec<(PathBuf, u64)> {
        let mut files = Vec::new();
        walk(self.context.folder.path(), &mut |path, bytes| files.push((path.to_owned(), bytes)));
        let own = [self.path("work/run"), self.path("said")];
        files.retain(|(path, _)| !own.iter().any(|own| path.starts_with(own)));
        files
    }
}

/// Returns the folder of compiled guests, shared by runs.
fn compiled() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile")
}

/// Visits each file and folder below a folder, with its size.
pub fn walk(folder: &Path, see: &mut dyn FnMut(&Path, u64)) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()).collect();
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let metadata = entry.metadata().unwrap();
        let size = if metadata.is_dir() { 0 } else { metadata.len() };
        see(&entry.path(), size);
        if metadata.is_dir() {
            walk(&entry.path(), see);
        }
    }
}
