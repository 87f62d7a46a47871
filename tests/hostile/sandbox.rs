//! Folders of a user, in which a run may write to one of its own only.

use crate::support::Desk;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A user's folders, all of them empty. Compiled code alone is kept elsewhere, from run to run.
pub struct Sandbox {
    desk: Desk,
}

impl Sandbox {
    /// Folders with a secret, and a file that may be granted.
    pub fn new() -> Self {
        let desk = Desk::new();
        for folder in ["home", "work", "tmp", "said", "work/secret"] {
            fs::create_dir(desk.folder.path().join(folder)).unwrap();
        }
        desk.file(
            "work/secret.json",
            r#"{"architectures": ["TopSecretForCausalLM"], "hidden_size": "hunter2"}"#,
        );
        desk.file("work/rows.txt", "one\ntwo\n");
        Self { desk }
    }

    /// A place in them.
    pub fn path(&self, name: &str) -> PathBuf {
        self.desk.folder.path().join(name)
    }

    /// The binary, about to run there with nothing else in its environment.
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

    /// Every file and folder but what the run may write, with its size.
    pub fn listing(&self) -> Vec<(PathBuf, u64)> {
        let mut files = Vec::new();
        walk(self.desk.folder.path(), &mut |path, bytes| files.push((path.to_owned(), bytes)));
        let own = [self.path("work/run"), self.path("said")];
        files.retain(|(path, _)| !own.iter().any(|own| path.starts_with(own)));
        files
    }
}

/// Compiled guests, kept from run to run.
fn compiled() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile")
}

/// Sees each file and folder below a folder, with its size.
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
