//! Shows a run of another process, from its journal alone. The run does not notice.

use super::{
    journal_follower::{JournalFollower, JournalWriter},
    update::Update,
    view::{Source, View},
};
use crate::watch::message::{MessageKind, RunMessage};
use llem_record::{Error, Event};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};
use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

/// The time between two looks at a journal that does not grow.
const LOOK: Duration = Duration::from_millis(250);
/// How long a journal is silent before its lock is looked at.
const SILENCE: Duration = Duration::from_secs(5);
/// How long a journal is silent before its run counts as killed, if nobody was ever seen to hold its lock: the lock of
/// another machine is not seen on every file system.
const LONG_SILENCE: Duration = Duration::from_secs(600);

/// Why a view of a journal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WatchEnd {
    /// The run has ended.
    RunEnded,
    /// The user ended the view. The run goes on.
    Quit,
    /// No process writes the journal, and it has no end.
    Killed,
}

/// Shows the run in `folder` until it ends.
///
/// # Errors
/// The folder has no journal, or the journal cannot be read.
pub(crate) fn watch(folder: &Path) -> Result<WatchEnd, Error> {
    let mut follower = JournalFollower::open(folder)?;
    let view = View::start(Source::Journal);
    let quit = Arc::new(std::sync::atomic::AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // If it cannot be watched for, the signal ends the program as usual.
        let _ = flag::register(signal, Arc::clone(&quit));
    }
    let (mut t_ns, mut grown) = (0, Instant::now());
    let (mut silence, mut skipped) = (Silence::default(), 0);
    loop {
        let has_quit =
            || quit.load(Ordering::SeqCst) || view.shared.has_quit.load(Ordering::SeqCst);
        match follower.read_lines()? {
            Some(lines) => {
                grown = Instant::now();
                view.shared.is_silent.store(false, Ordering::Relaxed);
                if skipped == 0 && follower.skipped() > 0 {
                    skipped = follower.skipped();
                    let text = "lines of the journal that this version cannot read are left out";
                    view.send_all(
                        t_ns,
                        Update::Message(RunMessage::new(MessageKind::Warning, text)),
                    );
                }
                for line in lines {
                    t_ns = line.t_ns;
                    if let Some(update) = Update::from_event(&line.event) {
                        view.send_all(t_ns, update);
                    }
                    if let Event::Ended { .. } = line.event {
                        return Ok(WatchEnd::RunEnded);
                    }
                }
            }
            None if grown.elapsed() >= SILENCE => {
                let writer = silence.look(&follower);
                view.shared.is_silent.store(writer == JournalWriter::NotSeen, Ordering::Relaxed);
                if silence.is_over(writer, grown.elapsed()) {
                    return Ok(WatchEnd::Killed);
                }
                if let Some(message) = silence.message(writer) {
                    view.send_all(
                        t_ns,
                        Update::Message(RunMessage::new(MessageKind::Program, message)),
                    );
                }
                thread::sleep(LOOK);
            }
            None => thread::sleep(LOOK),
        }
        if has_quit() {
            return Ok(WatchEnd::Quit);
        }
    }
}

/// What is known of a journal that does not grow.
#[derive(Default)]
struct Silence {
    /// Whether a process was seen to hold the journal's lock, so that the lock tells the truth.
    was_present: bool,
    was_told: bool,
}

impl Silence {
    fn look(&mut self, follower: &JournalFollower) -> JournalWriter {
        let writer = follower.writer();
        self.was_present |= writer == JournalWriter::Present;
        writer
    }

    fn is_over(&self, writer: JournalWriter, silent: Duration) -> bool {
        writer == JournalWriter::NotSeen && (self.was_present || silent >= LONG_SILENCE)
    }

    /// What the user is told, once.
    fn message(&mut self, writer: JournalWriter) -> Option<&'static str> {
        if writer != JournalWriter::NotSeen || std::mem::replace(&mut self.was_told, true) {
            return None;
        }
        Some(
            "no process of this machine writes the journal: the run was killed (llem recover rebuilds its record), or it runs on another machine",
        )
    }
}
