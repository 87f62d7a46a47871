//! Runs a hostile guest as a user would, with low limits, and checks what the host promises whatever a guest does: it survives,
//! says in one sentence why the run ended, closes the record, keeps to its limits of memory and disk, and writes nowhere
//! else.

use super::{
    component::component,
    process::{handles_ctrl_c, limit_resources, peak, status},
    sandbox::{Sandbox, walk},
};
use crate::support::{
    TestContext, guest,
    processor_time::{processor_time, used},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    mem::MaybeUninit,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

/// Bytes of a mebibyte.
pub const MIB: u64 = 1 << 20;
/// Memory that the host may use beyond a run that does nothing and beyond the guest's own memory.
const HOST_MEMORY: u64 = 200 * MIB;
/// Limit of the host's address space, so that a failing host does not exhaust the machine.
const ADDRESS_SPACE: u64 = 12 << 30;
/// Bytes of a run's folder beside the guest's output: start, end, devices and their timeline.
const OWN_OUTPUT: u64 = MIB;
/// Longest summary of a run.
const SUMMARY: u64 = 256 << 10;
/// Longest error sentence.
const SENTENCE: usize = 4096;
/// Longest processor time of each core from the deadline or signal to the end of a run. Wall time would count what other
/// programs of the machine take.
const GRACE: Duration = Duration::from_secs(2);
/// Time after which a host counts as hanging.
const PATIENCE: Duration = Duration::from_secs(300);
/// Time in which a guest that has begun comes to its attack, mostly. The host must end it before its attack, too.
const APPROACH: Duration = Duration::from_millis(300);

/// The default limits of an attack. Options that the binary does not know are left out. The deadline is so long that any other
/// limit comes first.
const LIMITS: [(&str, u64); 5] = [
    ("--deadline", 600),
    ("--max-output", 8),
    ("--max-memory", 256),
    ("--max-models", 4),
    ("--max-call", 16),
];

/// Returns the options that `llem exec --help` lists.
fn help() -> &'static str {
    static HELP: OnceLock<String> = OnceLock::new();
    HELP.get_or_init(|| TestContext::new().llem(&["exec", "--help"]).ok().stdout)
}

/// A hostile guest and its limits.
#[derive(Clone)]
pub struct Attack {
    component: String,
    limits: BTreeMap<&'static str, u64>,
    args: Vec<String>,
    /// Memory that the guest itself fills, bytes.
    fills: u64,
    address_space: u64,
    has_record: bool,
}

impl Attack {
    /// An attack by a guest that `scripts/tools/build-guests` built from `tests/guests/hostile/NAME.rs`.
    pub fn of(name: &str) -> Self {
        Self::by(guest(name))
    }

    /// An attack by a guest in WebAssembly's text format: `tests/guests/hostile/NAME.wat`.
    pub fn text(name: &str) -> Self {
        Self::by(component(name))
    }

    /// An attack by the component in a file.
    pub fn by(component: String) -> Self {
        let (limits, args) = (LIMITS.into(), Vec::new());
        let address_space = ADDRESS_SPACE;
        Self { component, limits, args, fills: 0, address_space, has_record: true }
    }

    /// Sets another limit.
    pub fn limit(mut self, option: &'static str, value: u64) -> Self {
        self.limits.insert(option, value);
        self
    }

    /// Adds arguments.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|&arg| arg.to_owned()));
        self
    }

    /// Declares how much of its own memory the guest fills, which then counts as the host's.
    pub fn fills(mut self, bytes: u64) -> Self {
        self.fills = bytes;
        self
    }

    /// Declares that much address space is reserved for the guest's memories, and little used.
    pub fn reserves_address_space(mut self) -> Self {
        self.address_space = u64::MAX;
        self
    }

    /// Declares that the guest ends in `describe`, before there is a record.
    pub fn before_its_run(mut self) -> Self {
        self.has_record = false;
        self
    }

    /// Checks that the run succeeds.
    pub fn ends_well(self) -> Ended {
        self.ends(0, &[])
    }

    /// Checks that the run ends with this code and an error that contains these words (`a|b`: one of both).
    pub fn ends(self, code: i32, words: &[&str]) -> Ended {
        let ended = self.start().wait();
        ended.check(code, words);
        ended
    }

    /// Checks that the deadline ends the guest, and that Ctrl-C does.
    pub fn goes_on_until_it_is_ended(self) {
        self.clone().warm();
        let cores = thread::available_parallelism().unwrap().get() as u32;
        // A deadline counts from the start of the process. If a busy machine spends it before the run begins, a longer one is
        // tried, so that the guest is ended, too.
        for seconds in (0..8).map(|power| 1 << power) {
            let ended = self.clone().limit("--deadline", seconds).start().wait();
            ended.check_end(1, &[&format!("deadline of {seconds} s"), "--deadline"]);
            let most = cores * (Duration::from_secs(seconds) + GRACE);
            assert!(ended.used < most, "the deadline: {:?} of processor time", ended.used);
            if ended.file("").exists() || !self.has_record {
                ended.check_what_is_kept(1);
                break;
            }
        }

        let running = self.start();
        running.wait_until_it_runs();
        thread::sleep(APPROACH);
        let before = processor_time(running.child.id());
        running.interrupt();
        let ended = running.wait();
        ended.check(130, &["interrupted"]);
        let took = ended.used.saturating_sub(before);
        assert!(took < cores * GRACE, "Ctrl-C: {took:?} of processor time");
    }

    /// Compiles the guest beforehand, so that the deadline falls into the guest.
    fn warm(self) {
        if self.has_record {
            let context = Sandbox::new();
            let mut command = context.command(&["inspect", &self.component]);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            assert!(command.status().unwrap().success(), "{} says what it is", self.component);
        }
    }

    fn start(self) -> Running {
        let sandbox = Sandbox::new();
        let before = sandbox.listing();
        let mut args = vec!["exec".to_owned(), self.component.clone(), "--out=run".to_owned()];
        for (option, value) in &self.limits {
            if help().contains(option) {
                args.push(format!("{option}={value}"));
            }
        }
        args.extend(self.args.iter().cloned());
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = sandbox.command(&args);
        let space = self.address_space;
        // SAFETY: between fork and exec only setrlimit is called, which may be.
        unsafe { command.pre_exec(move || limit_resources(space)) };
        let began = Instant::now();
        let child = command.spawn().unwrap();
        Running { attack: self, sandbox, before, began, child }
    }
}

/// A running host with a hostile guest.
struct Running {
    attack: Attack,
    sandbox: Sandbox,
    before: Vec<(PathBuf, u64)>,
    began: Instant,
    child: Child,
}

impl Running {
    /// Waits until the run has begun: until the first line of its journal, or, if the guest never comes to its run, until the
    /// host handles Ctrl-C.
    fn wait_until_it_runs(&self) {
        let journal = self.sandbox.path("work/run/events.jsonl");
        loop {
            let status = status(self.child.id()).unwrap();
            let has_begun = match self.attack.has_record {
                true => fs::read_to_string(&journal).is_ok_and(|events| events.contains('\n')),
                false => handles_ctrl_c(&status),
            };
            if has_begun {
                return;
            }
            assert!(!status.contains("State:\tZ"), "{} has ended", self.attack.component);
            assert!(self.began.elapsed() < PATIENCE, "{} never runs", self.attack.component);
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn interrupt(&self) {
        // SAFETY: the child is our own and not waited for yet.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, libc::SIGINT) }, 0);
    }

    /// Waits for the host, which must end in time.
    #[allow(clippy::zombie_processes, reason = "wait4 waits for it, and tells its memory")]
    fn wait(mut self) -> Ended {
        let (id, mut seen) = (self.child.id(), 0);
        let (mut status, mut usage) = (0, MaybeUninit::<libc::rusage>::uninit());
        loop {
            seen = peak(id).unwrap_or(seen);
            // SAFETY: the child is our own and not waited for elsewhere; both places may be written.
            match unsafe { libc::wait4(id as i32, &mut status, libc::WNOHANG, usage.as_mut_ptr()) }
            {
                0 if self.began.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(5)),
                0 => {
                    self.child.kill().unwrap();
                    self.child.wait().unwrap();
                    panic!("{} has not ended in {PATIENCE:?}", self.attack.component);
                }
                _ => break,
            }
        }
        let took = self.began.elapsed();
        // SAFETY: wait4 has written it.
        let usage = unsafe { usage.assume_init() };
        let (told, used) = (usage.ru_maxrss as u64 * 1024, used(&usage));
        // A child starts with its parent's maximum; if that is all it reports, the sampled value counts.
        let peak = if told > peak(std::process::id()).unwrap_or(0) { told } else { seen };
        let code = libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
        let Self { attack, sandbox, before, .. } = self;
        Ended { attack, sandbox, before, status, code, took, used, peak }
    }
}

/// Returns the peak resident set of a run that does nothing, bytes.
fn peak_of_nothing() -> u64 {
    static PEAK: OnceLock<u64> = OnceLock::new();
    *PEAK.get_or_init(|| {
        let ended = Attack::of("noop").start().wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr());
        ended.peak
    })
}

/// How the host ended.
pub struct Ended {
    attack: Attack,
    sandbox: Sandbox,
    before: Vec<(PathBuf, u64)>,
    status: i32,
    code: Option<i32>,
    took: Duration,
    /// Processor time from start to end.
    used: Duration,
    peak: u64,
}

impl Ended {
    fn said(&self, name: &str) -> String {
        let bytes = fs::read(self.sandbox.path("said").join(name)).unwrap();
        String::from_utf8(bytes).expect("what the host says is text")
    }

    fn stderr(&self) -> String {
        self.said("stderr")
    }

    /// Reads a file of the run.
    fn file(&self, name: &str) -> PathBuf {
        self.sandbox.path("work/run").join(name)
    }

    /// Reads the lines of the journal.
    pub fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.file("events.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn check(&self, code: i32, words: &[&str]) {
        self.check_end(code, words);
        self.check_what_is_kept(code);
    }

    /// Checks everything but the record, which a run lacks that ends before it begins.
    fn check_end(&self, code: i32, words: &[&str]) {
        let stderr = self.stderr();
        let shown: String =
            stderr.chars().rev().take(2000).collect::<Vec<_>>().iter().rev().collect();
        assert_eq!(
            self.code,
            Some(code),
            "status {:#x} after {:?}: {shown}",
            self.status,
            self.took
        );
        self.check_sentence(code, &stderr, words);
        self.check_what_is_printed(&stderr);
        self.check_memory();
        self.check_folders();
    }

    fn check_what_is_kept(&self, code: i32) {
        if self.attack.has_record {
            self.check_record(code);
        } else {
            assert!(!self.file("").exists(), "there is a record");
        }
    }

    /// Checks that one error sentence is the last line.
    fn check_sentence(&self, code: i32, stderr: &str, words: &[&str]) {
        let errors: Vec<&str> = stderr.lines().filter(|line| line.starts_with("error:")).collect();
        assert_eq!(errors.len(), usize::from(code != 0), "{errors:.500?}");
        let Some(&sentence) = errors.first() else { return };
        assert_eq!(stderr.lines().last(), Some(sentence));
        assert!(sentence.len() <= SENTENCE, "a sentence of {} bytes", sentence.len());
        for word in words {
            let is_there = word.split('|').any(|word| sentence.contains(word));
            assert!(is_there, "'{word}' is not in: {sentence}");
        }
    }

    fn check_what_is_printed(&self, stderr: &str) {
        let stdout = self.said("stdout");
        assert!(stdout.len() as u64 <= SUMMARY, "{} bytes of summary", stdout.len());
        let most = self.limit("--max-output") * MIB + OWN_OUTPUT;
        assert!(stderr.len() as u64 <= most, "{} bytes on stderr", stderr.len());
        for (name, text) in [("stdout", &*stdout), ("stderr", stderr)] {
            let raw = text.chars().find(|&c| steers_a_terminal(c));
            assert_eq!(raw, None, "a raw control character on {name}");
        }
    }

    fn check_memory(&self) {
        let most = peak_of_nothing() + HOST_MEMORY + self.attack.fills;
        let mebibytes = |bytes: u64| bytes / MIB;
        assert!(
            self.peak <= most,
            "the host took {} MiB, and {} MiB are allowed",
            mebibytes(self.peak),
            mebibytes(most)
        );
    }

    /// Checks that nothing was written outside the run's folder, and no more into it than allowed.
    fn check_folders(&self) {
        assert_eq!(self.sandbox.listing(), self.before);
        let run = self.file("");
        if !run.exists() {
            return;
        }
        let summary = fs::metadata(self.file("run.json")).map_or(0, |file| file.len());
        let mut all = 0;
        walk(&run, &mut |_, bytes| all += bytes);
        let most = self.limit("--max-output") * MIB + OWN_OUTPUT;
        assert!(all - summary <= most, "the journal and its files take {} bytes", all - summary);
        // run.json repeats the journal, and no more.
        assert!(summary <= most, "run.json takes {summary} bytes");
    }

    /// Checks that the journal ends with the end of the run, and that run.json agrees.
    fn check_record(&self, code: i32) {
        let status = match code {
            0 => "completed",
            130 => "interrupted",
            _ => "failed",
        };
        let record: Value =
            serde_json::from_slice(&fs::read(self.file("run.json")).unwrap()).unwrap();
        assert_eq!(record["status"], status);
        assert_eq!(record["error"].is_string(), code != 0, "{:.500}", record["error"]);
        let last = last_line(&self.file("events.jsonl"));
        let ended: Value = serde_json::from_str(&last).unwrap();
        assert_eq!((&ended["event"], &ended["status"]), (&"ended".into(), &status.into()));
    }

    fn limit(&self, option: &str) -> u64 {
        self.attack.limits[option]
    }
}

/// Returns true for characters that a terminal does more with than show: control characters, direction marks, characters
/// without width.
fn steers_a_terminal(c: char) -> bool {
    let is_invisible = matches!(c,
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    is_invisible || c.is_control() && c != '\n'
}

fn last_line(path: &Path) -> String {
    let mut file = File::open(path).unwrap();
    let length = file.metadata().unwrap().len();
    file.seek(SeekFrom::Start(length.saturating_sub(64 << 10))).unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let text = text.strip_suffix('\n').expect("the journal's last line is whole");
    text.rsplit('\n').next().unwrap().to_owned()
}
