//! What a person sees while a run goes on: one line that moves, and what they should not miss.
//!
//! ```text
//! engine's thread ──a number──► counter ─┐
//! run ──┬─what goes on──► line ──────────┤ ten times a second
//!       └─warnings, log lines──► queue ──┴──► drawing thread ──► standard error
//! ```
//!
//! Only the drawing thread writes, so that a terminal that is slow, or that nobody reads, holds up nothing of the run.

use crate::untrusted::{cell, line};
use indicatif::{ProgressBar, ProgressStyle};
use llem_record::Event;
use llem_runtime::Observer;
use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// The moving line is redrawn at most this often.
const REDRAW: Duration = Duration::from_millis(100);
/// Lines that may wait for a slow terminal. All of them are in the record, too.
const QUEUE: usize = 1024;
/// How long the end of a run waits for a terminal that is slow.
const PATIENCE: Duration = Duration::from_secs(1);

/// A console on standard error; silent where that is not a terminal, but for warnings.
pub struct Console {
    shown: Arc<Shown>,
    /// None once the run has ended.
    drawing: Mutex<Option<Drawing>>,
    /// Whether the moving line, and what is only for somebody who watches, is shown.
    is_attended: bool,
}

/// What the moving line says.
#[derive(Default)]
struct Shown {
    /// The drawing thread only copies it: nobody waits for this lock while a terminal is written to.
    line: Mutex<Line>,
    /// Tokens of the request that goes on. All that the engine's thread touches between two tokens.
    generated: AtomicU64,
}

#[derive(Clone, Default)]
struct Line {
    phase: String,
    doing: Doing,
}

#[derive(Clone, Default)]
enum Doing {
    #[default]
    Nothing,
    /// So many are done; a total of 0 is unknown.
    Counting { done: u64, total: u64, label: String },
    /// A request generates at most so many tokens.
    Generating { most: u64, label: String },
}

impl Doing {
    fn text(&self, generated: u64) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Counting { done, total: 0, label } => format!(" {done} {label}"),
            Self::Counting { done, total, label } => format!(" {done}/{total} {label}"),
            Self::Generating { most, label } => format!(" {label}: {generated}/{most} tokens"),
        }
    }
}

/// A line that stays.
struct Said {
    kind: Kind,
    /// In the form that a terminal may have it, and no longer than that: many may wait.
    message: String,
}

enum Kind {
    Warning,
    ScriptError,
    ScriptWarning,
    ScriptInfo,
}

impl Kind {
    fn styled(&self) -> console::StyledObject<&'static str> {
        let plain = match self {
            Self::Warning => console::style("warning:").yellow(),
            Self::ScriptError => console::style("script:").red(),
            Self::ScriptWarning => console::style("script:").yellow(),
            Self::ScriptInfo => console::style("script:").dim(),
        };
        plain.bold().for_stderr()
    }
}

/// The way to the thread that draws.
struct Drawing {
    queue: SyncSender<Said>,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
    _thread: JoinHandle<()>,
}

impl Console {
    /// A console with nothing on it yet.
    pub fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}{msg}") {
            bar.set_style(style);
        }
        let (shown, is_attended) = (Arc::new(Shown::default()), !bar.is_hidden());
        let (queue, said) = mpsc::sync_channel(QUEUE);
        let (alive, ended) = mpsc::channel();
        let drawn = Arc::clone(&shown);
        let thread = thread::Builder::new().name("console".to_owned()).spawn(move || {
            let _alive: mpsc::Sender<()> = alive;
            draw(&bar, &drawn, &said, is_attended);
        });
        let drawing = thread.ok().map(|thread| Drawing { queue, ended, _thread: thread });
        Self { shown, drawing: Mutex::new(drawing), is_attended }
    }

    fn say(&self, kind: Kind, message: &str) {
        if let Some(drawing) = &*lock(&self.drawing) {
            // A line for which there is no room is in the record all the same.
            let _ = drawing.queue.try_send(Said { kind, message: line(message) });
        }
    }

    /// Has the rest written and the moving line taken away, unless the terminal takes too long.
    fn end(&self) {
        if let Some(Drawing { queue, ended, .. }) = lock(&self.drawing).take() {
            drop(queue);
            let _ = ended.recv_timeout(PATIENCE);
        }
    }
}

impl Observer for Console {
    fn event(&self, event: &Event) {
        match event {
            Event::PhaseBegan { phase } => {
                *lock(&self.shown.line) = Line { phase: cell(phase), doing: Doing::Nothing };
            }
            Event::Warning { .. } | Event::ScriptWarning { .. } => {
                if let Some(message) = event.warning() {
                    self.say(Kind::Warning, &message);
                }
            }
            Event::Log { level, message } => match level.as_str() {
                "error" => self.say(Kind::ScriptError, message),
                "warn" => self.say(Kind::ScriptWarning, message),
                "info" if self.is_attended => self.say(Kind::ScriptInfo, message),
                _ => {}
            },
            Event::Ended { .. } => self.end(),
            _ => {}
        }
    }

    fn progress(&self, done: u64, total: u64, label: &str) {
        lock(&self.shown.line).doing = Doing::Counting { done, total, label: cell(label) };
    }

    fn request(&self, label: &str, most: u64) {
        self.shown.generated.store(0, Ordering::Relaxed);
        lock(&self.shown.line).doing = Doing::Generating { most, label: cell(label) };
    }

    fn tokens(&self, generated: u64) {
        self.shown.generated.store(generated, Ordering::Relaxed);
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.end();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes what is said, and the moving line where somebody sees it, until the console ends.
fn draw(bar: &ProgressBar, shown: &Shown, queue: &Receiver<Said>, is_attended: bool) {
    let (mut due, mut last) = (Instant::now(), (String::new(), String::new()));
    loop {
        let said = match is_attended {
            true => queue.recv_timeout(due.saturating_duration_since(Instant::now())),
            // Nobody sees a line move: nothing to wake up for.
            false => queue.recv().map_err(RecvTimeoutError::from),
        };
        match said {
            Ok(Said { kind, message }) => bar.suspend(|| {
                // Where standard error is closed there is nobody to tell.
                let _ = writeln!(io::stderr(), "{} {}", kind.styled(), message);
            }),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if is_attended && Instant::now() >= due {
            due = Instant::now() + REDRAW;
            let line = lock(&shown.line).clone();
            let doing = line.doing.text(shown.generated.load(Ordering::Relaxed));
            let texts = (line.phase, doing);
            if texts != last {
                bar.set_prefix(texts.0.clone());
                bar.set_message(texts.1.clone());
                bar.tick();
                last = texts;
            }
        }
    }
    bar.finish_and_clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_shown_as_they_were_told() {
        let text =
            |done, total| Doing::Counting { done, total, label: "requests".to_owned() }.text(0);
        assert_eq!(text(3, 0), " 3 requests");
        assert_eq!(text(0, 12), " 0/12 requests");
        assert_eq!(text(u64::MAX, u64::MAX), format!(" {0}/{0} requests", u64::MAX));
        let generating = Doing::Generating { most: 8, label: "short".to_owned() };
        assert_eq!(generating.text(5), " short: 5/8 tokens");
    }
}
