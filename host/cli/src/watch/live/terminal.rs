//! The terminal while a live view is on it, and how it gets back what it was.
//!
//! ```text
//!            ┌────────── enter ──────────┐
//!  as it was │                           ▼  shown: other screen, no cursor, keys are read one by one
//!            └◄── leave, restore ────────┘
//! ```
//!
//! Ctrl-C and Ctrl-Z keep their meaning, because the terminal still turns them into signals. What it was is kept in a
//! static, so that a panic and a second Ctrl-C can restore it, wherever the program is.

use super::backend::TerminalBackend;
use crossterm::{
    cursor::{Hide, Show},
    execute,
    style::ResetColor,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen},
};
use ratatui::{Frame, Terminal};
use rustix::{
    process::getpgrp,
    termios::{
        LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
    },
};
use std::{
    fs::File,
    io::{self, IsTerminal},
    os::fd::{AsFd, OwnedFd},
    panic,
    sync::{
        Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How long a restoration waits for a frame that is being written.
const FRAME_PATIENCE: Duration = Duration::from_millis(300);

/// The terminal before a view was on it. `None` while none is.
static SAVED: Mutex<Option<SavedTerminal>> = Mutex::new(None);
/// Held while a frame is written, so that nothing of it comes after a restoration.
static FRAME: Mutex<()> = Mutex::new(());
static IS_SHOWN: AtomicBool = AtomicBool::new(false);

struct SavedTerminal {
    screen: File,
    keyboard: Option<(File, Termios)>,
}

/// A terminal that a view can be shown on.
pub(super) struct Screen {
    terminal: Terminal<TerminalBackend>,
    screen: File,
    /// Where keys come from: standard input if it is a terminal, otherwise the terminal of the session.
    keyboard: Option<File>,
}

impl Screen {
    /// Finds a terminal: standard error, otherwise standard output. Returns `None` if neither is one, or if it cannot
    /// move its cursor. Nothing is written yet.
    pub(super) fn find() -> Option<Self> {
        let (stderr, stdout) = (io::stderr(), io::stdout());
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let screen = if is_dumb {
            None
        } else if stderr.is_terminal() {
            duplicate(stderr)
        } else if stdout.is_terminal() {
            duplicate(stdout)
        } else {
            None
        }?;
        let stdin = io::stdin();
        let keyboard = if stdin.is_terminal() { duplicate(stdin) } else { None };
        let keyboard = keyboard.or_else(|| File::open("/dev/tty").ok());
        let terminal = Terminal::new(TerminalBackend::new(screen.try_clone().ok()?)).ok()?;
        Some(Self { terminal, screen, keyboard })
    }

    /// Where keys come from, if there is anything.
    pub(super) fn keyboard(&self) -> Option<File> {
        self.keyboard.as_ref()?.try_clone().ok()
    }

    /// Whether this process may use the terminal, rather than run in its background. A change of the terminal's modes
    /// from the background would stop the process.
    pub(super) fn is_in_foreground(&self) -> bool {
        // A terminal that does not control this session does not stop anybody.
        self.keyboard
            .as_ref()
            .and_then(|keyboard| tcgetpgrp(keyboard).ok())
            .is_none_or(|group| group == getpgrp())
    }

    /// Shows the view's screen.
    pub(super) fn enter(&mut self) -> io::Result<()> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let print = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                restore();
                print(info);
            }));
        });
        let keyboard = match &self.keyboard {
            Some(keyboard) => {
                let before = tcgetattr(keyboard)?;
                let mut modes = before.clone();
                modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
                modes.special_codes[SpecialCodeIndex::VMIN] = 1;
                modes.special_codes[SpecialCodeIndex::VTIME] = 0;
                tcsetattr(keyboard, OptionalActions::Now, &modes)?;
                Some((keyboard.try_clone()?, before))
            }
            None => None,
        };
        *lock(&SAVED) = Some(SavedTerminal { screen: self.screen.try_clone()?, keyboard });
        IS_SHOWN.store(true, Ordering::SeqCst);
        execute!(self.screen, EnterAlternateScreen, Hide)?;
        self.terminal.clear()
    }

    /// Draws a frame, unless the terminal was restored meanwhile.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        let _frame = lock(&FRAME);
        if !is_shown() {
            return Ok(());
        }
        self.terminal.draw(draw).map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Whether a view is on the terminal.
pub(super) fn is_shown() -> bool {
    IS_SHOWN.load(Ordering::SeqCst)
}

/// Gives the terminal back as it was before a view was on it. Does nothing if none is.
pub(crate) fn restore() {
    IS_SHOWN.store(false, Ordering::SeqCst);
    let Some(SavedTerminal { mut screen, keyboard }) = lock(&SAVED).take() else { return };
    // The modes first: they are restored even if the terminal does not take what is written to it.
    if let Some((keyboard, modes)) = keyboard {
        let _ = tcsetattr(keyboard, OptionalActions::Now, &modes);
    }
    let since = Instant::now();
    // A panic within a frame holds the lock itself, so it is not waited for without end.
    let _frame = loop {
        match FRAME.try_lock() {
            Ok(frame) => break Some(frame),
            Err(_) if since.elapsed() > FRAME_PATIENCE => break None,
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    };
    let _ = execute!(screen, ResetColor, LeaveAlternateScreen, Show);
}

fn duplicate(stream: impl AsFd) -> Option<File> {
    let duplicate: OwnedFd = stream.as_fd().try_clone_to_owned().ok()?;
    Some(File::from(duplicate))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
