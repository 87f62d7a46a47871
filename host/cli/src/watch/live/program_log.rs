//! The program's own messages on standard error, which would overwrite a live view. While one is on the terminal, they
//! are shown in it, and written to standard error after it.

use super::terminal;
use std::{
    collections::VecDeque,
    io::{self, IsTerminal, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The most lines that wait for a view.
const WAITING: usize = 200;

static LINES: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

/// Writes to standard error, or to the live view that is on the same terminal.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ProgramLog;

impl ProgramLog {
    /// Writes a line.
    pub(crate) fn say(text: &str) {
        // If standard error is closed, nobody reads the line.
        let _ = Self.write_all(format!("{text}\n").as_bytes());
    }
}

impl Write for ProgramLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !terminal::is_shown() || !io::stderr().is_terminal() {
            return io::stderr().write(bytes);
        }
        let mut lines = lines();
        for line in String::from_utf8_lossy(bytes).lines().filter(|line| !line.is_empty()) {
            if lines.len() == WAITING {
                lines.pop_front();
            }
            lines.push_back(line.to_owned());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Takes the lines that were written since the last call.
pub(super) fn take() -> Vec<String> {
    lines().drain(..).collect()
}

fn lines() -> MutexGuard<'static, VecDeque<String>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}
