//! A folder of its own in which a test runs the binary.

use super::CommandOutput;
use serde_json::Value;
use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A temporary folder in which the binary runs.
pub struct TestContext {
    pub folder: TempDir,
}

impl TestContext {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Writes a file into the folder, and returns its path as an argument.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Returns a command that runs the binary in the folder, with its record in `run/`.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_llem"));
        command.args(args).current_dir(self.folder.path()).env("RUST_BACKTRACE", "1");
        if args.first() == Some(&"exec") {
            command.args(["--out", "run"]);
        }
        command
    }

    /// Runs the binary to its end in the folder.
    pub fn llem(&self, args: &[&str]) -> CommandOutput {
        CommandOutput::from_output(self.command(args).output().unwrap())
    }

    /// Reads `run.json`.
    pub fn record(&self) -> Value {
        serde_json::from_slice(&fs::read(self.folder.path().join("run/run.json")).unwrap()).unwrap()
    }

    /// Reads `events.jsonl` as far as it is written. It is empty before the run has begun.
    pub fn journal(&self) -> String {
        fs::read_to_string(self.folder.path().join("run/events.jsonl")).unwrap_or_default()
    }

    /// Waits until the journal of a run that goes on holds `sign` at least `times` times. A run that takes longer than
    /// `patience` hangs.
    pub fn wait_for_journal(&self, sign: &str, times: usize, patience: Duration) {
        let began = Instant::now();
        while self.journal().matches(sign).count() < times {
            assert!(began.elapsed() < patience, "the journal never held '{sign}' {times} times");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Reads the lines of `events.jsonl`, each of which must parse.
    pub fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("run/events.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
