//! `llem exec --live` and `llem watch`: on a terminal, whose bytes a terminal emulator reads, and as lines for a log.
#![cfg(target_os = "linux")]

use crate::support::{Hardware, Running, TestContext, signal};
use std::{
    fs::File,
    io::{Read, Write},
    num::NonZero,
    os::{
        fd::{AsRawFd, FromRawFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(90);

/// A run of the quickstart that goes on until somebody ends it.
const ENDLESS: [&str; 5] = ["exec", "quickstart", "--live", "-p", "rounds=1000000"];

/// The program on a terminal of its own, as a shell starts it.
struct OnTerminal {
    child: Running,
    keyboard: File,
    screen: Arc<Mutex<vt100::Parser>>,
    reader: JoinHandle<()>,
    /// The modes of the terminal before the program.
    modes: libc::termios,
}

fn winsize(columns: u16, lines: u16) -> libc::winsize {
    libc::winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn nonzero(number: u16) -> NonZero<u16> {
    NonZero::new(number).unwrap()
}

fn modes(terminal: &File) -> libc::termios {
    // SAFETY: all bytes of the structure may be zero, and it is filled by the call.
    let mut modes = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open, and the structure may be written.
    assert_eq!(unsafe { libc::tcgetattr(terminal.as_raw_fd(), &mut modes) }, 0);
    modes
}

impl OnTerminal {
    fn start(mut command: Command, columns: u16, lines: u16) -> Self {
        let (mut read, mut write) = (0, 0);
        let (none, size) = (std::ptr::null_mut(), winsize(columns, lines));
        // SAFETY: both places may be written; the name and the modes may be left out.
        let opened = unsafe { libc::openpty(&mut read, &mut write, none, none.cast(), &size) };
        assert_eq!(opened, 0);
        // SAFETY: both descriptors have just been opened, and belong to nobody else.
        let (keyboard, terminal) = unsafe { (File::from_raw_fd(read), File::from_raw_fd(write)) };
        let modes = modes(&terminal);
        let [stdin, stdout, stderr] = [(); 3].map(|()| Stdio::from(terminal.try_clone().unwrap()));
        command.stdin(stdin).stdout(stdout).stderr(stderr).env("TERM", "xterm-256color");
        let control = || {
            // SAFETY: both are calls of the kernel, which a new process may make.
            match unsafe { (libc::setsid(), libc::ioctl(0, libc::TIOCSCTTY, 0)) } {
                (-1, _) | (_, -1) => Err(std::io::Error::last_os_error()),
                _ => Ok(()),
            }
        };
        // SAFETY: the closure only makes calls of the kernel.
        let child = Running::start(unsafe { command.pre_exec(control) });
        drop(command);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(nonzero(lines), nonzero(columns), 0)));
        let (mut output, seen) = (keyboard.try_clone().unwrap(), Arc::clone(&screen));
        let reader = thread::spawn(move || {
            let mut part = [0; 4096];
            // Once the program has gone, reading ends with an error.
            while let Ok(count @ 1..) = output.read(&mut part) {
                seen.lock().unwrap().process(&part[..count]);
            }
        });
        Self { child, keyboard, screen, reader, modes }
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    fn is_full_screen(&self) -> bool {
        self.screen.lock().unwrap().screen().alternate_screen()
    }

    #[track_caller]
    fn wait_for(&self, what: &str, is_there: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !is_there(self) {
            assert!(began.elapsed() < PATIENCE, "no {what} on\n{}", self.text());
            thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    fn wait_for_text(&self, words: &str) {
        self.wait_for(words, |terminal| terminal.text().contains(words));
    }

    fn press(&mut self, keys: &[u8]) {
        self.keyboard.write_all(keys).unwrap();
    }

    fn signal(&self, signal: i32) {
        // SAFETY: the child has not been waited for, so the number is its own.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    fn resize(&self, columns: u16, lines: u16) {
        let size = winsize(columns, lines);
        // SAFETY: the descriptor is open, and the structure is read.
        let set = unsafe { libc::ioctl(self.keyboard.as_raw_fd(), libc::TIOCSWINSZ, &size) };
        assert_eq!(set, 0);
        self.screen.lock().unwrap().screen_mut().set_size(nonzero(lines), nonzero(columns));
    }

    /// Whether the terminal is what it was before the program.
    fn is_restored(&self) -> bool {
        let now = modes(&self.keyboard);
        let flags = |modes: &libc::termios| {
            (modes.c_iflag, modes.c_oflag, modes.c_cflag, modes.c_lflag, modes.c_cc)
        };
        let parser = self.screen.lock().unwrap();
        let screen = parser.screen();
        flags(&now) == flags(&self.modes) && !screen.alternate_screen() && !screen.hide_cursor()
    }

    /// Waits for the program's end. Returns its exit code, and what is on the terminal then.
    fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        self.wait_for("the terminal as it was", Self::is_restored);
        let Self { keyboard, screen, reader, .. } = self;
        reader.join().unwrap();
        drop(keyboard);
        let text = screen.lock().unwrap().screen().contents();
        (status.code(), text)
    }
}

/// Waits until a stopped child is seen.
fn wait_until_stopped(child: &Child) {
    let (began, mut status) = (Instant::now(), 0);
    loop {
        let flags = libc::WUNTRACED | libc::WNOHANG;
        // SAFETY: the child is ours, and the status may be written.
        let changed = unsafe { libc::waitpid(child.id() as i32, &mut status, flags) };
        if changed > 0 {
            let stopped = ExitStatus::from_raw(status).stopped_signal();
            assert!(stopped.is_some(), "it ended in place of stopping");
            return;
        }
        assert!(began.elapsed() < PATIENCE, "it did not stop");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_run_is_seen_on_the_terminal_and_q_ends_it_with_its_record() {
    let context = TestContext::new();
    let mut terminal = OnTerminal::start(context.command(&ENDLESS), 80, 24);
    terminal.wait_for_text("measure");
    terminal.wait_for("a rate and latencies", |terminal| {
        let text = terminal.text();
        let has_value = |label: &str| {
            let line = text.lines().find(|line| line.starts_with(label)).unwrap_or_default();
            line.contains(|c: char| c.is_ascii_digit()) && !line.contains(" -")
        };
        ["tokens/s", "TTFT", "ITL"].into_iter().all(has_value)
    });
    let text = terminal.text();
    for words in ["quickstart", "running", "synthetic:tiny", "energy", "q or Ctrl-C ends the run"] {
        assert!(text.contains(words), "no '{words}' on\n{text}");
    }
    assert!(terminal.is_full_screen());
    terminal.press(b"p");
    terminal.wait_for_text("messages, paused");
    terminal.press(b"q");
    let (code, text) = terminal.end();
    assert_eq!(code, Some(130), "{text}");
    assert!(text.contains("error: interrupted"), "the usual end on\n{text}");
    assert_eq!(context.record()["status"], "interrupted");
    assert!(context.record()["groups"][0]["requests"].as_u64().unwrap() > 0);
}

#[test]
fn ctrl_z_gives_the_terminal_back_and_the_view_returns_with_the_run() {
    let context = TestContext::new();
    let mut terminal = OnTerminal::start(context.command(&ENDLESS), 80, 24);
    terminal.wait_for_text("measure");
    terminal.press(b"\x1a");
    wait_until_stopped(&terminal.child);
    terminal.wait_for("the terminal as it was", OnTerminal::is_restored);
    terminal.signal(libc::SIGCONT);
    terminal.wait_for("the view", OnTerminal::is_full_screen);
    terminal.wait_for_text("measure");
    // Ctrl-C is the terminal's own signal, as without a view.
    terminal.press(b"\x03");
    assert_eq!(terminal.end().0, Some(130));
    assert_eq!(context.record()["status"], "interrupted");
}

#[test]
fn a_view_follows_the_size_of_its_terminal_down_to_nothing() {
    let context = TestContext::new();
    let terminal = OnTerminal::start(context.command(&ENDLESS), 140, 45);
    terminal.wait_for_text("measure");
    terminal.wait_for_text("tokens/s");
    for (columns, lines) in [(20, 5), (1, 1), (300, 3), (80, 24)] {
        terminal.resize(columns, lines);
        thread::sleep(Duration::from_millis(600));
    }
    terminal.wait_for_text("q or Ctrl-C ends the run");
    terminal.signal(libc::SIGTERM);
    assert_eq!(terminal.end().0, Some(130));
    assert_eq!(context.record()["status"], "interrupted");
}

/// The pairs of a line of `key=value`, whose values may be JSON texts.
fn pairs(line: &str) -> Vec<(String, String)> {
    let mut rest = line.strip_prefix("live ").unwrap();
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').unwrap();
        let mut texts = serde_json::Deserializer::from_str(after).into_iter::<String>();
        let (value, length) = match after.starts_with('"') {
            true => (texts.next().unwrap().unwrap(), texts.byte_offset()),
            false => {
                let length = after.find(' ').unwrap_or(after.len());
                (after[..length].to_owned(), length)
            }
        };
        all.push((key.to_owned(), value));
        rest = after[length..].trim_start();
    }
    all
}

#[test]
fn without_a_terminal_lines_tell_the_phases_and_nothing_else_is_different() {
    let context = TestContext::new();
    // Lines come once a second. This model waits in each pass, so that the phase takes longer on any machine.
    let model = ["--model", "synthetic:fixed-latency", "--power-model", "tdp=65,idle=12"];
    let args = [&["exec", "quickstart", "--live", "-p", "rounds=5"][..], &model].concat();
    let ran = Hardware::new().without_nvml().llem(&context, &args).ok();
    assert!(!ran.stderr.contains(|c: char| c.is_control() && c != '\n'), "{}", ran.stderr);
    let lines: Vec<_> = ran.stderr.lines().filter(|line| line.starts_with("live ")).collect();
    let last = pairs(lines.last().unwrap());
    let value = |key: &str| &last.iter().find(|(found, _)| found == key).expect(key).1;
    assert_eq!(value("status"), "completed");
    // Three prompts, five times each, after the warm-up.
    assert!(value("requests").parse::<u64>().unwrap() > 15, "{last:?}");
    for key in ["elapsed_s", "tokens_per_s", "ttft_ms", "itl_ms", "energy_j"] {
        assert!(value(key).parse::<f64>().unwrap() > 0.0, "{key} in {last:?}");
    }
    assert!(value("time").ends_with('Z'));
    let shows = |line: &&&str| pairs(line).contains(&("phase".to_owned(), "measure".to_owned()));
    assert!(lines.iter().any(|line| shows(&line)), "{lines:?}");
    assert!(ran.stdout.contains("completed in"), "the usual summary: {}", ran.stdout);
}

/// Starts a run without a view, and waits until it has generated something.
fn start_run(context: &TestContext) -> Running {
    let mut command = context.command(&["exec", "quickstart", "-p", "rounds=1000000"]);
    let child = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    context.wait_for_journal("\"generation\"", 1, PATIENCE);
    child
}

#[test]
fn a_run_of_another_process_is_watched_and_does_not_notice() {
    let context = TestContext::new();
    let mut run = start_run(&context);
    let mut terminal = OnTerminal::start(context.command(&["watch", "run"]), 100, 30);
    terminal.wait_for_text("measure");
    terminal.wait_for_text("progress is not in the journal");
    terminal.wait_for("latencies", |terminal| !terminal.text().contains("TTFT      -"));
    assert!(terminal.text().contains("quickstart"), "{}", terminal.text());
    terminal.press(b"q");
    let (code, text) = terminal.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("the run goes on"), "{text}");
    assert!(run.try_wait().unwrap().is_none(), "the run goes on");

    // A view of the same run that lasts until its end, without a terminal.
    let mut watch = context.command(&["watch", "run"]);
    let watch = Running::start(watch.stdout(Stdio::piped()).stderr(Stdio::piped()));
    thread::sleep(Duration::from_secs(1));
    signal(&run, "-INT");
    assert_eq!(run.wait().unwrap().code(), Some(130));
    let watched = watch.end().ok();
    let last = watched.stderr.lines().rfind(|line| line.starts_with("live ")).unwrap();
    assert!(pairs(last).contains(&("status".to_owned(), "interrupted".to_owned())), "{last}");
    assert!(watched.stdout.contains("interrupted in"), "{}", watched.stdout);

    // The run is over. The next view of it says so at once.
    let watched = context.llem(&["watch", "run"]).ok();
    assert!(watched.stdout.contains("interrupted in"), "{}", watched.stdout);
    let groups = context.record()["groups"].as_array().unwrap().clone();
    let measured: u64 = groups.iter().map(|group| group["requests"].as_u64().unwrap()).sum();
    let last = watched.stderr.lines().rfind(|line| line.starts_with("live ")).unwrap();
    assert!(pairs(last).contains(&("requests".to_owned(), measured.to_string())), "{last}");
}

#[test]
fn a_run_that_is_killed_while_it_is_watched_is_told_from_a_silent_one() {
    let context = TestContext::new();
    let mut run = start_run(&context);
    // While the run is stopped, its journal is silent, but it is not dead.
    signal(&run, "-STOP");
    let mut watch = context.command(&["watch", "run"]);
    let mut watch = Running::start(watch.stdout(Stdio::piped()).stderr(Stdio::piped()));
    thread::sleep(Duration::from_secs(7));
    assert!(watch.try_wait().unwrap().is_none(), "the run is only silent");
    run.kill().unwrap();
    run.wait().unwrap();
    let watched = watch.end();
    watched.refused(1, &["killed", "llem recover run"]);
}

#[test]
fn a_folder_without_a_run_cannot_be_watched() {
    TestContext::new().llem(&["watch", "."]).refused(2, &["no events.jsonl", "."]);
}
