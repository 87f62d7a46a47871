//! Output to a terminal, also to one that nobody reads, which must not delay a run.
#![cfg(target_os = "linux")]

use crate::support::{TestContext, guest, signal};
use std::{
    fs::File,
    io::{Read, Write},
    os::fd::{AsRawFd, FromRawFd},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Opens a terminal: the end that a program writes to, and the end that a person reads from.
pub fn terminal() -> (File, File) {
    let (mut read, mut write) = (0, 0);
    let none = std::ptr::null_mut();
    // SAFETY: both places may be written; the name and the settings may be left out.
    let opened = unsafe { libc::openpty(&mut read, &mut write, none, none.cast(), none.cast()) };
    assert_eq!(opened, 0);
    // SAFETY: both descriptors have just been opened, and belong to nobody else.
    unsafe { (File::from_raw_fd(write), File::from_raw_fd(read)) }
}

/// Opens a pipe: the end to write to, and the end to read from.
pub fn pipe() -> (File, File) {
    let mut ends = [0; 2];
    // SAFETY: the array holds both.
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    // SAFETY: both descriptors have just been opened, and belong to nobody else.
    unsafe { (File::from_raw_fd(ends[1]), File::from_raw_fd(ends[0])) }
}

/// Fills the pipe, so that the next writer waits for a reader.
pub fn fill(end: &mut File) {
    let set = |blocking: bool| {
        let flags = if blocking { 0 } else { libc::O_NONBLOCK };
        // SAFETY: the descriptor is open.
        assert_eq!(unsafe { libc::fcntl(end.as_raw_fd(), libc::F_SETFL, flags) }, 0);
    };
    set(false);
    let mut writer = &*end;
    for size in [4096, 1] {
        while writer.write(&vec![b'x'; size]).is_ok() {}
    }
    set(true);
}

/// Returns everything that a program writes to a terminal, which is both its standard output and error.
pub fn on_terminal(mut command: Command) -> String {
    let (write, mut read) = terminal();
    let ends = [write.try_clone().unwrap(), write].map(Stdio::from);
    let [stdout, stderr] = ends;
    let mut child = command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn().unwrap();
    // The command holds the terminal open, too.
    drop(command);
    let (mut seen, mut part) = (Vec::new(), [0; 4096]);
    // Once the program has gone, reading ends with an error.
    while let Ok(count @ 1..) = read.read(&mut part) {
        seen.extend_from_slice(&part[..count]);
    }
    child.wait().unwrap();
    String::from_utf8(seen).unwrap()
}

fn start(command: &mut Command, stderr: Stdio) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().unwrap()
}

/// Waits for the program, which must succeed within a generous time.
fn ends_well(mut child: Child, what: &str) {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{what}: {status}");
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("{what}: the run is held up by whoever does not read");
}

#[test]
fn a_terminal_or_pipe_that_nobody_reads_holds_up_nothing() {
    // The run warns, logs, and generates for several redraws of the progress line.
    let component = guest("speaks");
    for (what, (mut write, _read)) in [("terminal", terminal()), ("pipe", pipe())] {
        fill(&mut write);
        let context = TestContext::new();
        let child = start(&mut context.command(&["exec", &component]), write.into());
        ends_well(child, what);
        assert_eq!(context.record()["status"], "completed");
    }
}

#[test]
fn ctrl_c_ends_a_run_whose_terminal_nobody_reads() {
    let (mut write, _read) = terminal();
    fill(&mut write);
    let context = TestContext::new();
    let mut child = start(&mut context.command(&["exec", &guest("long_decode")]), write.into());
    context.wait_for_journal("\"model\"", 1, Duration::from_secs(30));
    signal(&child, "-INT");
    context.wait_for_journal("\"ended\"", 1, Duration::from_secs(20));
    // The last sentence waits for a reader, as with any program.
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_terminal_shows_what_goes_on_and_what_is_said() {
    let (write, mut read) = terminal();
    let context = TestContext::new();
    let component = guest("speaks");
    let child = start(&mut context.command(&["exec", &component]), write.into());
    let reader = thread::spawn(move || {
        let (mut seen, mut part) = (Vec::new(), [0; 4096]);
        // Once the program has gone, reading ends with an error.
        while let Ok(count @ 1..) = read.read(&mut part) {
            seen.extend_from_slice(&part[..count]);
        }
        String::from_utf8_lossy(&seen).into_owned()
    });
    ends_well(child, "a terminal that is read");
    let seen = reader.join().unwrap();
    for words in ["warning: ", "a warning", "script: ", "a log line", "measure spoken: ", " tokens"]
    {
        assert!(console::strip_ansi_codes(&seen).contains(words), "no '{words}' in {seen:?}");
    }
    // Text of a script does not control the terminal.
    assert!(!seen.contains("\u{1b}[35m"), "{seen:?}");
}
