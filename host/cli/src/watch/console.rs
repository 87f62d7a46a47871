//! What a person sees while a run goes on: one line that moves, and what they should not miss.

use indicatif::{ProgressBar, ProgressStyle};
use llem_record::Event;
use llem_runtime::Observer;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// The moving line is redrawn at most this often: drawing must not cost what is being measured.
const REDRAW: Duration = Duration::from_millis(100);

/// A console on standard error; silent where that is not a terminal, but for warnings.
pub struct Console {
    bar: ProgressBar,
    started: Instant,
    /// Milliseconds since the start at the last redraw.
    drawn: AtomicU64,
}

impl Console {
    /// A console with nothing on it yet.
    pub fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}{msg}") {
            bar.set_style(style);
        }
        Self { bar, started: Instant::now(), drawn: AtomicU64::new(0) }
    }

    fn say(&self, kind: console::StyledObject<&str>, message: &str) {
        self.bar.suspend(|| eprintln!("{} {message}", kind.bold().for_stderr()));
    }
}

impl Observer for Console {
    fn event(&self, event: &Event) {
        match event {
            Event::PhaseBegan { phase } => {
                self.bar.set_prefix(phase.clone());
                self.bar.set_message("");
                self.bar.tick();
            }
            Event::Warning { message } => self.say(console::style("warning:").yellow(), message),
            Event::Log { level, message } if level == "error" => {
                self.say(console::style("script:").red(), message)
            }
            Event::Log { level, message } if level == "warn" => {
                self.say(console::style("script:").yellow(), message);
            }
            Event::Log { level, message } if level == "info" && !self.bar.is_hidden() => {
                self.say(console::style("script:").dim(), message);
            }
            Event::Ended { .. } => self.bar.finish_and_clear(),
            _ => {}
        }
    }

    fn progress(&self, done: u64, total: u64, label: &str) {
        let count =
            if total > 0 { format!("{}/{total}", done + 1) } else { format!("{}", done + 1) };
        self.bar.set_message(format!(" {count} {label}"));
        self.bar.tick();
    }

    fn tokens(&self, generated: u64, total: u64, label: &str) {
        let now = self.started.elapsed().as_millis() as u64;
        if now.saturating_sub(self.drawn.load(Ordering::Relaxed)) < REDRAW.as_millis() as u64 {
            return;
        }
        self.drawn.store(now, Ordering::Relaxed);
        self.bar.set_message(format!(" {label}: {generated}/{total} tokens"));
        self.bar.tick();
    }
}
