//! Randomly changed files, each given to the binary under limits of address space and time. The binary succeeds, or names the
//! fault in one sentence with exit code 2. It never panics, is never killed by a signal, and uses no more memory than the limit
//! of its kind.
//!
//! `tests/fuzz/mutate` runs more of them, and further kinds. A failure names its seed, which makes the same file again.

mod mutation;

use crate::support::{TestContext, fixtures, guests};
use mutation::{Format, mutated};
use rand::{SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use std::{
    env, fs,
    io::Read,
    mem::MaybeUninit,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};
use tempfile::TempDir;

/// Longest run time for any of these files.
const LONGEST: Duration = Duration::from_secs(20);
/// Limits of the program's address space: with WebAssembly, whose memories reserve more than they use, and without.
const ADDRESSES: [u64; 2] = [16 << 30, 4 << 30];
/// Largest resident set of the program, bytes.
const MOST_MEMORY: i64 = 1 << 30;

/// A file that is changed, and the command that reads it.
struct Subject {
    /// Folder whose other files are linked beside the changed one.
    folder: PathBuf,
    /// Name of the changed file.
    file: &'static str,
    format: Format,
    /// The arguments, with `{}` for the folder of the changed file.
    args: Vec<String>,
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Changes the subjects `count` times, and panics with everything that went wrong.
fn fuzz(name: &str, subjects: &[Subject]) {
    let (first, rounds) = (number("LLEM_FUZZ_SEED", 0), number("LLEM_FUZZ_ROUNDS", 100));
    let mut failures = Vec::new();
    for seed in first..first + rounds {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let subject = subjects.choose(&mut random).unwrap();
        let whole = fs::read(subject.folder.join(subject.file)).unwrap();
        let format = match subject.format {
            Format::Binary(header) => Format::Binary(header.min(whole.len())),
            other => other,
        };
        let bytes = mutated(&mut random, &whole, format);
        let folder = subject.with(&bytes);
        if let Err(reason) = subject.run(folder.path()) {
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}-{seed}"));
            let _ = fs::remove_dir_all(&kept);
            fs::rename(folder.keep(), &kept).unwrap();
            failures.push(format!("seed {seed} ({}): {reason}", kept.display()));
        }
    }
    assert!(failures.is_empty(), "{} of {rounds}:\n{}", failures.len(), failures.join("\n"));
}

impl Subject {
    /// Makes a folder with the changed file, and links to the others.
    fn with(&self, bytes: &[u8]) -> TempDir {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for entry in fs::read_dir(&self.folder).unwrap().flatten() {
            let name = entry.file_name();
            if name != self.file && entry.path().is_file() {
                std::os::unix::fs::symlink(entry.path(), folder.path().join(name)).unwrap();
            }
        }
        fs::write(folder.path().join(self.file), bytes).unwrap();
        folder
    }

    /// Runs the command, and returns what was wrong with its end, if anything.
    fn run(&self, folder: &Path) -> Result<(), String> {
        let is_component = self.args[0] == "inspect";
        let [with_wasm, without] = ADDRESSES;
        let addresses = if is_component { with_wasm } else { without };
        let mut command = Command::new(env!("CARGO_BIN_EXE_llem"));
        let place = folder.to_str().unwrap();
        command.args(self.args.iter().map(|arg| arg.replace("{}", place)));
        command.current_dir(folder).env("LLEM_CACHE", folder.join("cache"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let limit = libc::rlimit { rlim_cur: addresses, rlim_max: addresses };
        // SAFETY: setrlimit may be called between fork and exec.
        unsafe {
            command.pre_exec(move || match libc::setrlimit(libc::RLIMIT_AS, &limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        let (status, memory, words) = ended(&mut command)?;
        let errors: Vec<&str> = words.lines().filter(|line| line.starts_with("error:")).collect();
        // A model or component whose files are valid may still fail while it computes.
        let fails = |sentence: &str| is_component || sentence.contains("not a number");
        let is_well = match status.code() {
            Some(0) => errors.is_empty(),
            Some(2) => errors.len() == 1,
            Some(1) => errors.len() == 1 && fails(errors[0]),
            _ => false,
        };
        match is_well && !words.contains("panicked at") && memory < MOST_MEMORY {
            true => Ok(()),
            false => Err(format!("{status}, {} MiB: {words}", memory >> 20)),
        }
    }
}

/// Runs a program to its end, and returns how it ended, its peak resident set in bytes, and its standard error.
#[allow(clippy::zombie_processes, reason = "wait4 waits for it, and tells its memory")]
fn ended(command: &mut Command) -> Result<(ExitStatus, i64, String), String> {
    let mut child = command.spawn().unwrap();
    let id = child.id() as i32;
    let (done, waits) = mpsc::channel::<()>();
    let watchdog = thread::spawn(move || {
        let late = waits.recv_timeout(LONGEST) == Err(mpsc::RecvTimeoutError::Timeout);
        if late {
            // SAFETY: the child is not waited for until this thread has ended.
            unsafe { libc::kill(id, libc::SIGKILL) };
        }
        late
    });
    let mut words = Vec::new();
    child.stderr.take().unwrap().read_to_end(&mut words).unwrap();
    let _ = done.send(());
    let late = watchdog.join().unwrap();
    let (mut status, mut usage) = (0, MaybeUninit::<libc::rusage>::uninit());
    // SAFETY: the child is our own and not waited for elsewhere; both places may be written.
    let usage = unsafe {
        libc::wait4(id, &mut status, 0, usage.as_mut_ptr());
        usage.assume_init()
    };
    if late {
        return Err(format!("it was busy for {} s", LONGEST.as_secs()));
    }
    let words = String::from_utf8_lossy(&words).into_owned();
    Ok((ExitStatus::from_raw(status), usage.ru_maxrss * 1024, words))
}

/// Returns a subject that generates two tokens with a model.
fn generate(model: &str, more: &[&str]) -> Vec<String> {
    let args = ["generate", model, "--tokens", "5,6,7", "--max-new-tokens", "2"];
    args.iter().chain(more).map(ToString::to_string).collect()
}

/// Returns the folders within a folder of the fixtures.
fn folders(parent: &str) -> impl Iterator<Item = PathBuf> {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(fixtures().join(parent)).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders.into_iter().filter(|path| path.is_dir())
}

#[test]
fn configs() {
    let each = |folder: PathBuf| {
        [generate("{}", &[]), generate("synthetic:{}/config.json", &[])].map(|args| {
            let folder = folder.clone();
            Subject { folder, file: "config.json", format: Format::Json, args }
        })
    };
    let subjects: Vec<_> = folders("families").chain(folders("llama")).flat_map(each).collect();
    fuzz("configs", &subjects);
}

#[test]
fn weights() {
    let subject = |folder| {
        let format = Format::Safetensors;
        Subject { folder, file: "model.safetensors", format, args: generate("{}", &[]) }
    };
    let subjects: Vec<_> = folders("families").map(subject).collect();
    fuzz("weights", &subjects);
}

#[test]
fn indexes() {
    let folder = fixtures().join("llama/sharded-linear");
    let file = "model.safetensors.index.json";
    fuzz("indexes", &[Subject { folder, file, format: Format::Json, args: generate("{}", &[]) }]);
}

#[test]
fn gguf_files() {
    /// The metadata and tensor tables of these files lie within this many bytes.
    const HEADER: usize = 6000;
    let folder = fixtures().join("gguf");
    let files = [
        "gemma2-f32.gguf",
        "gpt-neox-f32.gguf",
        "llama-q4_k_m.gguf",
        "llama-q8_0.gguf",
        "llama3-bf16.gguf",
        "mixtral-f32.gguf",
        "phi3-f32.gguf",
        "qwen3-f32.gguf",
    ];
    let models = files.map(|file| {
        let args = generate(&format!("{{}}/{file}"), &[]);
        Subject { folder: folder.clone(), file, format: Format::Binary(HEADER), args }
    });
    let vocabularies = ["vocabulary-gpt-2.gguf", "vocabulary-llama-bpe.gguf"].map(|file| {
        let args = ["tokenize", &format!("{{}}/{file}"), "Some text."].map(str::to_owned).to_vec();
        Subject { folder: folder.clone(), file, format: Format::Binary(usize::MAX), args }
    });
    let subjects: Vec<_> = models.into_iter().chain(vocabularies).collect();
    fuzz("gguf", &subjects);
}

#[test]
fn adapters() {
    let bases = [
        ("llama-dora", "llama/untied-llama3"),
        ("llama-rank-pattern", "llama/untied-llama3"),
        ("llama-attention-r8", "llama/untied-llama3"),
    ];
    let both =
        [("adapter_config.json", Format::Json), ("adapter_model.safetensors", Format::Safetensors)];
    let subject = |(adapter, base): (&str, &str), (file, format)| {
        let base = fixtures().join(base);
        let args = generate(base.to_str().unwrap(), &["--adapter", "{}"]);
        Subject { folder: fixtures().join("adapters").join(adapter), file, format, args }
    };
    let subjects: Vec<_> =
        bases.into_iter().flat_map(|base| both.map(|one| subject(base, one))).collect();
    fuzz("adapters", &subjects);
}

#[test]
fn tokenizers_and_chat_templates() {
    let context = TestContext::new();
    let turns = context.file("turns.json", r#"[{"role": "user", "content": "How are you?"}]"#);
    let subject = |folder, file, args: &[&str]| Subject {
        folder: fixtures().join(folder),
        file,
        format: Format::Json,
        args: args.iter().map(ToString::to_string).collect(),
    };
    let subjects = [
        subject("tokenizer", "tokenizer.json", &["tokenize", "{}", "Some text."]),
        subject("chat/plain", "tokenizer_config.json", &["tokenize", "{}", "--chat", &turns]),
    ];
    fuzz("tokenizers", &subjects);
}

#[test]
fn components() {
    let args = ["inspect", "{}/noop.wasm"].map(str::to_owned).to_vec();
    let format = Format::Binary(usize::MAX);
    fuzz("components", &[Subject { folder: guests(), file: "noop.wasm", format, args }]);
}
