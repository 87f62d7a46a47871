//! Runs the binary in a folder of its own and reads what it left there.

use serde_json::Value;
use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub use crate::{
    gpu_trace::{GPU_IS_LOST, Moment, NO_PERMISSION},
    hardware_doubles::Hardware,
};

/// Where what is claimed of numbers has to hold: on the CPU, and on a GPU as far as this machine can show it.
pub const DEVICES: [&str; 2] = ["cpu", "emulated"];

/// The repository's `tests/fixtures/`.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").canonicalize().unwrap()
}

/// Where `scripts/build-guests` puts components: `guests/` beside the profile's folder.
pub fn guests() -> PathBuf {
    let guests =
        Path::new(env!("CARGO_BIN_EXE_llem")).parent().unwrap().parent().unwrap().join("guests");
    assert!(guests.is_dir(), "no test components: run scripts/build-guests");
    guests
}

/// A test component, as an argument.
pub fn guest(name: &str) -> String {
    let path = guests().join(format!("{name}.wasm"));
    assert!(path.is_file(), "no component {name}: run scripts/build-guests");
    path.to_str().unwrap().to_owned()
}

/// A folder to run in.
pub struct Desk {
    pub folder: TempDir,
}

impl Desk {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A file of this desk, as an argument.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The binary, about to run here; what it records goes to `run/`.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_llem"));
        command.args(args).current_dir(self.folder.path()).env("RUST_BACKTRACE", "1");
        if args.first() == Some(&"exec") {
            command.args(["--out", "run"]);
        }
        command
    }

    /// Runs the binary to its end.
    pub fn llem(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// `run.json` of the run here.
    pub fn record(&self) -> Value {
        serde_json::from_slice(&fs::read(self.folder.path().join("run/run.json")).unwrap()).unwrap()
    }

    /// The lines of `events.jsonl`; each must parse.
    pub fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("run/events.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The processes of a launch, rank 0 first.
pub struct Launched(pub Vec<Child>);

/// A port that no launch of these tests has had, below those that systems give to whoever asks for any.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + (std::process::id() % 1000) as u16 * 20;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

impl Launched {
    /// Starts `size` ranks of the same command, as torchrun would.
    pub fn start(desk: &Desk, args: &[&str], size: usize) -> Self {
        Self::start_with(desk, args, size, &[])
    }

    /// The same with more in their environment.
    pub fn start_with(desk: &Desk, args: &[&str], size: usize, more: &[(&str, &str)]) -> Self {
        let port = free_port();
        let start = |rank: usize| {
            let mut command = desk.command(args);
            command.env("RANK", rank.to_string()).env("WORLD_SIZE", size.to_string());
            command.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", port.to_string());
            command.envs(more.iter().copied());
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        Self((0..size).map(start).collect())
    }

    /// Sends one of them a signal.
    pub fn signal(&self, rank: usize, name: &str) {
        let id = self.0[rank].id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// How each ended, all within a time that no deadline of these tests comes near.
    pub fn end(self) -> Vec<Ran> {
        let began = Instant::now();
        let ended = self.0.into_iter().map(|child| Ran::of(child.wait_with_output().unwrap()));
        let ended = ended.collect();
        assert!(began.elapsed() < Duration::from_secs(30));
        ended
    }
}

/// How the binary ended.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It ended well.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }

    /// It printed one JSON object.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// It ended with this code and one sentence, which holds each of `words`.
    pub fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        let errors: Vec<&str> =
            self.stderr.lines().filter(|line| line.starts_with("error:")).collect();
        assert_eq!(errors.len(), 1, "one sentence: {}", self.stderr);
        assert!(!self.stderr.contains("stack backtrace"), "{}", self.stderr);
        for word in words {
            assert!(errors[0].contains(word), "'{word}' is not in: {}", errors[0]);
        }
    }
}

/// The events of one kind.
pub fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

/// A test for each folder below a folder of the fixtures, and one that no folder is without. A folder
/// without a test would be a promise that nobody keeps.
macro_rules! for_each_folder {
    ($parent:literal, $check:path; $($test:ident: $folder:literal,)*) => {
        $(
            #[test]
            fn $test() {
                $check($folder);
            }
        )*

        #[test]
        fn every_folder_has_a_test() {
            let mut folders: Vec<String> = std::fs::read_dir(crate::support::fixtures().join($parent))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            folders.sort();
            let mut tested = vec![$($folder.to_owned()),*];
            tested.sort();
            assert_eq!(folders, tested);
        }
    };
}

/// The version of `wit/`.
pub fn contract_version() -> String {
    let world = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/world.wit");
    let world = fs::read_to_string(world).unwrap();
    let after = world.split_once("llem:experiment@").unwrap().1;
    after.split_once(';').unwrap().0.to_owned()
}
