//! The console of a run that goes on: one line that shows the progress, and messages that stay.
//!
//! ```text
//! engine's thread ──a number──► counter ───┐
//! run ──┬─progress──► status line ─────────┤ ten times a second
//!       └─warnings, log lines──► queue ────┴──► drawing thread ──► standard error
//! ```
//!
//! Only the drawing thread writes. So a terminal that is slow, or that nobody reads, does not delay the run.

use super::message::{MessageKind, RunMessage};
use crate::untrusted::cell;
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

/// The shortest time between two drawings of the status line.
const REDRAW: Duration = Duration::from_millis(100);
/// The most messages that may wait for a slow terminal. All of them are in the record too.
const QUEUE: usize = 1024;
/// How long the end of a run waits for a slow terminal.
const PATIENCE: Duration = Duration::from_secs(1);

/// The console on standard error. If that is not a terminal, it prints only warnings and the script's errors and
/// warnings.
pub(crate) struct Console {
    shown: Arc<DisplayState>,
    /// `None` once the run has ended.
    drawing: Mutex<Option<DrawingThread>>,
    /// Whether standard error is a terminal. If not, the status line and informational messages are left out.
    is_attended: bool,
}

/// What the status line shows.
#[derive(Default)]
struct DisplayState {
    /// The drawing thread only copies it, so nobody waits for this lock while the terminal is written to.
    line: Mutex<StatusLine>,
    /// The tokens of the current request. It is all that the engine's thread changes between two tokens.
    generated: AtomicU64,
}

#[derive(Clone, Default)]
struct StatusLine {
    phase: String,
    doing: CurrentWork,
}

#[derive(Clone, Default)]
enum CurrentWork {
    #[default]
    Nothing,
    /// `done` units of work are finished. A `total` of 0 means unknown.
    Counting { done: u64, total: u64, label: String },
    /// A request generates at most `most` tokens.
    Generating { most: u64, label: String },
}

impl CurrentWork {
    fn text(&self, generated: u64) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Counting { done, total: 0, label } => format!(" {done} {label}"),
            Self::Counting { done, total, label } => format!(" {done}/{total} {label}"),
            Self::Generating { most, label } => format!(" {label}: {generated}/{most} tokens"),
        }
    }
}

/// The thread that draws, and the queue to it.
struct DrawingThread {
    queue: SyncSender<RunMessage>,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
    _thread: JoinHandle<()>,
}

impl Console {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}{msg}") {
            bar.set_style(style);
        }
        let (shown, is_attended) = (Arc::new(DisplayState::default()), !bar.is_hidden());
        let (queue, said) = mpsc::sync_channel(QUEUE);
        let (alive, ended) = mpsc::channel();
        let drawn = Arc::clone(&shown);
        let thread = thread::Builder::new().name("console".to_owned()).spawn(move || {
            let _alive: mpsc::Sender<()> = alive;
            draw(&bar, &drawn, &said, is_attended);
        });
        let drawing = thread.ok().map(|thread| DrawingThread { queue, ended, _thread: thread });
        Self { shown, drawing: Mutex::new(drawing), is_attended }
    }

    fn show(&self, message: RunMessage) {
        if let Some(drawing) = &*lock(&self.drawing) {
            // A message that does not fit into the queue is still in the record.
            let _ = drawing.queue.try_send(message);
        }
    }

    /// Waits until the remaining messages are written and the status line is removed, but not longer than [`PATIENCE`].
    fn end(&self) {
        if let Some(DrawingThread { queue, ended, .. }) = lock(&self.drawing).take() {
            drop(queue);
            let _ = ended.recv_timeout(PATIENCE);
        }
    }
}

impl Observer for Console {
    fn event(&self, event: &Event) {
        if let Some(message) = RunMessage::from_event(event) {
            let is_shown = message.kind.is_urgent()
                || self.is_attended && message.kind == MessageKind::ScriptInfo;
            if is_shown {
                self.show(message);
            }
        }
        match event {
            Event::PhaseBegan { phase } => {
                *lock(&self.shown.line) =
                    StatusLine { phase: cell(phase), doing: CurrentWork::Nothing };
            }
            Event::Ended { .. } => self.end(),
            _ => {}
        }
    }

    fn progress(&self, done: u64, total: u64, label: &str) {
        lock(&self.shown.line).doing = CurrentWork::Counting { done, total, label: cell(label) };
    }

    fn request(&self, label: &str, most: u64) {
        self.shown.generated.store(0, Ordering::Relaxed);
        lock(&self.shown.line).doing = CurrentWork::Generating { most, label: cell(label) };
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

/// Writes the messages, and the status line if standard error is a terminal, until the console ends.
fn draw(bar: &ProgressBar, shown: &DisplayState, queue: &Receiver<RunMessage>, is_attended: bool) {
    let (mut due, mut last) = (Instant::now(), (String::new(), String::new()));
    loop {
        let said = match is_attended {
            true => queue.recv_timeout(due.saturating_duration_since(Instant::now())),
            // There is no status line to draw, so the thread waits for messages only.
            false => queue.recv().map_err(RecvTimeoutError::from),
        };
        match said {
            Ok(RunMessage { kind, text }) => bar.suspend(|| {
                // If standard error is closed, the message cannot be shown.
                let _ = writeln!(io::stderr(), "{} {text}", kind.styled_head());
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
    fn counts_are_shown() {
        let text = |done, total| {
            CurrentWork::Counting { done, total, label: "requests".to_owned() }.text(0)
        };
        assert_eq!(text(3, 0), " 3 requests");
        assert_eq!(text(0, 12), " 0/12 requests");
        assert_eq!(text(u64::MAX, u64::MAX), format!(" {0}/{0} requests", u64::MAX));
        let generating = CurrentWork::Generating { most: 8, label: "short".to_owned() };
        assert_eq!(generating.text(5), " short: 5/8 tokens");
    }
}
