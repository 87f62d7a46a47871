//! Unit tests of a method: experiments and policies on the synthetic host, without a model and without waiting.
//!
//! The synthetic host has a virtual clock, tokens from the seed, and given delays and joules, so that a test knows every
//! time and energy beforehand. This module runs natively. It starts the program `llem` (or the one that the environment
//! variable `LLEM` names) and reads the record of the run.
//!
//! ```no_run
//! use llem_sdk::testing::{SyntheticHost, TestRun};
//!
//! let host = SyntheticHost { decode_s_per_step: 2e-3, ..SyntheticHost::default() };
//! let run = TestRun::experiment(env!("CARGO_MANIFEST_DIR")).parameter("prompts", 3).host(host);
//! let result = run.run()?;
//! assert_eq!(result.status(), "completed");
//! assert_eq!(result.requests().len(), 3);
//! assert_eq!(result.metric("decode_rate")?.value, 500.0);
//! # Ok::<(), llem_sdk::Error>(())
//! ```

mod synthetic_host;
mod test_result;

pub use synthetic_host::SyntheticHost;
pub use test_result::{LogLine, RequestResult, TestMetric, TestResult};

use crate::{Error, Result};
use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The environment variable that names the program which runs the tests' components.
const PROGRAM: &str = "LLEM";

/// A run on the synthetic host that a test makes.
#[derive(Clone, Debug, Default)]
pub struct TestRun {
    arguments: Vec<OsString>,
    host: SyntheticHost,
    record: Option<PathBuf>,
}

impl TestRun {
    /// Runs an experiment: a project's folder, a source file or a component. llem builds what is no component yet.
    pub fn experiment(path: impl AsRef<Path>) -> Self {
        Self { arguments: vec![path.as_ref().into()], ..Self::default() }
    }

    /// Runs policies by the standard runner. The shipped policies stand in for those that are not given.
    pub fn policies() -> Self {
        Self::default()
    }

    /// Sets the warm-up policy: a project's folder, a source file or a component.
    pub fn warmup(self, path: impl AsRef<Path>) -> Self {
        self.option("--warmup", path.as_ref())
    }

    /// Sets the workload policy: a project's folder, a source file or a component.
    pub fn workload(self, path: impl AsRef<Path>) -> Self {
        self.option("--workload", path.as_ref())
    }

    /// Sets the metrics policy: a project's folder, a source file or a component.
    pub fn metrics(self, path: impl AsRef<Path>) -> Self {
        self.option("--metrics", path.as_ref())
    }

    /// Sets a declared parameter.
    pub fn parameter(self, name: &str, value: impl ToString) -> Self {
        self.option("--param", format!("{name}={}", value.to_string()))
    }

    /// Grants a file as a declared dataset.
    pub fn dataset(self, name: &str, path: impl AsRef<Path>) -> Self {
        let mut grant = OsString::from(format!("{name}="));
        grant.push(path.as_ref());
        self.option("--dataset", grant)
    }

    /// Sets the seed of the run, which its random numbers and sampled tokens come from. It is 0 by default.
    pub fn seed(self, seed: u64) -> Self {
        self.option("--seed", seed.to_string())
    }

    /// Sets the delays and joules of the host.
    pub fn host(mut self, host: SyntheticHost) -> Self {
        self.host = host;
        self
    }

    /// Uses the mean delays and joules of an earlier run instead, from its `run.json`.
    pub fn host_of_record(mut self, record: impl AsRef<Path>) -> Self {
        self.record = Some(record.as_ref().to_owned());
        self
    }

    /// Adds an option of `llem exec`.
    pub fn option(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.arguments.extend([name.into(), value.into()]);
        self
    }

    /// Runs it and returns the record. A run that fails has a record too, whose status and error tell so. Fails if llem
    /// cannot be started or refuses the run, with its message.
    pub fn run(self) -> Result<TestResult> {
        let folder = tempfile::Builder::new().prefix("llem-test-").tempdir().map_err(failed)?;
        let (record, synthetic) = (folder.path().join("run"), folder.path().join("host.json"));
        fs::write(&synthetic, self.host.to_json()).map_err(failed)?;
        let mut option = OsString::from("--synthetic-host=");
        option.push(self.record.unwrap_or(synthetic));
        let program = env::var_os(PROGRAM).unwrap_or_else(|| "llem".into());
        let mut command = Command::new(&program);
        command
            .arg("exec")
            .args(self.arguments)
            .arg(option)
            .arg("--out")
            .arg(&record)
            .arg("--json");
        let output = command.output().map_err(|error| {
            let program = program.to_string_lossy();
            Error::from(format!("{program}: {error}: install llem, or set {PROGRAM} to its path"))
        })?;
        if !record.join("run.json").exists() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().into());
        }
        TestResult::read(folder, &record)
    }
}

/// Makes an error of the system the SDK's.
fn failed(error: std::io::Error) -> Error {
    error.to_string().into()
}
