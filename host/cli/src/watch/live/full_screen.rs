//! Shows a run on the whole terminal.

use super::{
    controls::{ViewControls, ViewKey},
    draw::draw,
    program_log,
    terminal::{self, Screen},
    view::{Incoming, LOOK, ViewFlags},
};
use crate::watch::message::{MessageKind, RunMessage};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use signal_hook::{
    consts::{SIGCONT, SIGINT, SIGTSTP},
    flag, low_level,
};
use std::{
    fs::File,
    io::{self, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

/// The shortest time between two frames.
const FRAME: Duration = Duration::from_millis(250);
/// How long the thread of the keys waits for one before it looks whether the view has ended.
const KEY_WAIT: Duration = Duration::from_millis(200);
const WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: KEY_WAIT.as_nanos() as _ };
/// The most keys that may wait.
const KEYS: usize = 64;
/// The most lines of the program's log that are written after the view.
const LOG: usize = 200;

/// The signals of the terminal's job control.
struct JobControl {
    /// Ctrl-Z was pressed.
    stops: Arc<AtomicBool>,
    /// The process goes on after it was stopped.
    continues: Arc<AtomicBool>,
    /// The view is over, so that Ctrl-Z stops the process at once, as it does in any program.
    is_over: Arc<AtomicBool>,
}

impl JobControl {
    fn watch() -> io::Result<Self> {
        let [stops, continues, is_over] = [(); 3].map(|()| Arc::<AtomicBool>::default());
        flag::register_conditional_default(SIGTSTP, Arc::clone(&is_over))?;
        flag::register(SIGTSTP, Arc::clone(&stops))?;
        flag::register(SIGCONT, Arc::clone(&continues))?;
        Ok(Self { stops, continues, is_over })
    }
}

impl Drop for JobControl {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}

/// Shows the run until no more updates come. Then the terminal is what it was before.
pub(super) fn run(mut screen: Screen, mut incoming: Incoming) {
    let Ok(job_control) = JobControl::watch() else { return super::plain_lines::run(incoming) };
    let (keys, pressed) = mpsc::sync_channel(KEYS);
    let mut controls = ViewControls::new(false);
    if let Some(keyboard) = screen.keyboard() {
        let (shared, is_journal) = (Arc::clone(&incoming.shared), incoming.is_journal());
        let is_over = Arc::clone(&job_control.is_over);
        let read = move || read_keys(keyboard, &keys, &shared, is_journal, &is_over);
        controls.has_keys = thread::Builder::new().name("keys".to_owned()).spawn(read).is_ok();
    }
    let (mut due, mut log) = (Instant::now(), Vec::new());
    // A view that was on the terminal and was removed by somebody else, such as a panic, does not come back.
    let (mut is_there, mut was_there, mut is_removed) = (false, false, false);
    while incoming.apply_all(|_| ()) {
        if job_control.stops.swap(false, Ordering::SeqCst) {
            terminal::restore();
            is_there = false;
            let _ = low_level::emulate_default_handler(SIGTSTP);
        }
        if job_control.continues.swap(false, Ordering::SeqCst) {
            // A shell may have changed the terminal meanwhile.
            terminal::restore();
            is_there = false;
        }
        is_removed |= is_there && !terminal::is_shown();
        for key in pressed.try_iter() {
            controls.press(key, incoming.state.messages.count());
            // A key is answered at once, which costs a frame for each look at most.
            due = due.min(Instant::now());
        }
        if Instant::now() >= due && !is_removed {
            due = Instant::now() + FRAME;
            incoming.refresh();
            for line in program_log::take() {
                let text = console::strip_ansi_codes(&line);
                let message = RunMessage::new(MessageKind::Program, text.trim());
                incoming.state.messages.add(incoming.state.now_ns, message);
                log.truncate(LOG);
                log.push(line);
            }
            let has_begun = !incoming.state.run.id.is_empty();
            if !is_there && has_begun && screen.is_in_foreground() {
                is_there = screen.enter().is_ok();
                was_there |= is_there;
                is_removed = !is_there;
            }
            // A terminal that has gone does not end the run.
            let _ = screen.draw(|frame| draw(frame, &incoming.state, &mut controls));
        }
        thread::sleep(LOOK);
    }
    drop(screen);
    drop(job_control);
    // What the terminal's other screen has hidden. Warnings are in the summary.
    log.extend(program_log::take());
    let mut stderr = io::stderr().lock();
    log.iter().for_each(|line| drop(writeln!(stderr, "{line}")));
    if !was_there {
        let messages = &incoming.state.messages;
        let all: Vec<_> = messages.newest_first(messages.count()).collect();
        for (_, message) in all.into_iter().rev() {
            let _ = writeln!(stderr, "{} {}", message.kind.styled_head(), message.text);
        }
    }
}

/// Passes keys on until the view is over.
fn read_keys(
    mut keyboard: File,
    keys: &SyncSender<ViewKey>,
    shared: &ViewFlags,
    is_journal: bool,
    is_over: &AtomicBool,
) {
    let mut bytes = [0; 256];
    while !is_over.load(Ordering::SeqCst) {
        if !terminal::is_shown() {
            // Whoever has the terminal now gets its keys.
            thread::sleep(KEY_WAIT);
            continue;
        }
        match poll(&mut [PollFd::new(&keyboard, PollFlags::IN)], Some(&WAIT)) {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(_) => return,
        }
        // A terminal that has gone has no more keys.
        let Ok(count @ 1..) = keyboard.read(&mut bytes) else { return };
        for key in ViewKey::parse(&bytes[..count]) {
            match key {
                ViewKey::Quit if is_journal => shared.has_quit.store(true, Ordering::SeqCst),
                // Exactly what Ctrl-C does, a second time too.
                ViewKey::Quit => drop(low_level::raise(SIGINT)),
                // A key that does not fit is one of many that were pressed at once.
                key => drop(keys.try_send(key)),
            }
        }
    }
}
