//! The thread that shows a run, and the queue to it.
//!
//! ```text
//! run ─┬─ updates ──► queue ─┐
//!      └─ tokens ──► counter ┴─ 20 times a second ─► LiveState ─ 4 times a second ─► frame, or a plain line
//! ```
//!
//! Whoever sends never waits: an update that does not fit into the queue is dropped and counted. The thread sleeps
//! between two looks at the queue, whatever comes in, so that it does not take time from the run.

use super::{
    full_screen, plain_lines,
    state::{Feed, LiveState},
    terminal::{self, Screen},
    update::Update,
};
use llem_meter::Clock;
use llem_runtime::StopSignal;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Receiver, SyncSender, TryRecvError},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The most updates that may wait. Between two looks of the thread, a run with a thousand short requests a second has a
/// few hundred.
const QUEUE: usize = 8192;
/// How long the end of a run waits for a slow terminal.
const PATIENCE: Duration = Duration::from_secs(1);
/// The time between two looks at the queue.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// A view of a run, on a thread of its own.
pub(super) struct View {
    pub shared: Arc<ViewFlags>,
    /// `None` once the view has ended.
    thread: Mutex<Option<ViewThread>>,
}

struct ViewThread {
    queue: SyncSender<(u64, Update)>,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
}

/// What is passed to the thread besides updates, and back.
#[derive(Default)]
pub(super) struct ViewFlags {
    /// The tokens of the current request. It is all that the engine's thread changes between two tokens.
    pub generated: AtomicU64,
    /// The number of updates that did not fit into the queue.
    dropped: AtomicU64,
    /// Whether the user has ended the view.
    pub has_quit: AtomicBool,
    /// Whether nothing is known to write the journal any more, so that the time of its run stands still.
    pub is_silent: AtomicBool,
}

/// Where updates come from, and the time of the run.
pub(super) enum Source {
    /// A run of this process, on this clock, which this signal stops.
    Run(Clock, Arc<StopSignal>),
    /// The journal of another process.
    Journal,
}

/// The receiving end of a view: brings its state up to date.
pub(super) struct Incoming {
    pub state: LiveState,
    pub shared: Arc<ViewFlags>,
    source: Source,
    queue: Receiver<(u64, Update)>,
}

impl View {
    /// Starts to show a run: on the whole terminal if there is one, otherwise by plain lines on standard error.
    pub(super) fn start(source: Source) -> Self {
        let shared = Arc::<ViewFlags>::default();
        let (queue, updates) = mpsc::sync_channel(QUEUE);
        let (alive, ended) = mpsc::channel();
        let feed = match source {
            Source::Run(..) => Feed::Run,
            Source::Journal => Feed::Journal,
        };
        let state = LiveState::new(feed);
        let incoming = Incoming { state, shared: Arc::clone(&shared), source, queue: updates };
        let thread = thread::Builder::new().name("live view".to_owned()).spawn(move || {
            let _alive: mpsc::Sender<()> = alive;
            match Screen::find() {
                Some(screen) => full_screen::run(screen, incoming),
                None => plain_lines::run(incoming),
            }
        });
        // Without a thread, nothing is shown, and the run goes on.
        let thread = thread.ok().map(|_| ViewThread { queue, ended });
        Self { shared, thread: Mutex::new(thread) }
    }

    /// Sends an update without waiting. `t_ns` is the time of the run, ns.
    pub(super) fn send(&self, t_ns: u64, update: Update) {
        if let Some(thread) = &*self.lock()
            && thread.queue.try_send((t_ns, update)).is_err()
        {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends an update, and waits until there is room for it.
    pub(super) fn send_all(&self, t_ns: u64, update: Update) {
        if let Some(thread) = &*self.lock() {
            // The thread ends before its queue only after a panic, which was printed.
            let _ = thread.queue.send((t_ns, update));
        }
    }

    /// Ends the view, and gives the terminal back.
    pub(super) fn end(&self) {
        if let Some(ViewThread { queue, ended }) = self.lock().take() {
            drop(queue);
            let _ = ended.recv_timeout(PATIENCE);
            terminal::restore();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<ViewThread>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.end();
    }
}

impl Incoming {
    /// Applies all updates that have come. Calls `seen` after each, with the state. Returns false if no more can come.
    pub(super) fn apply_all(&mut self, mut seen: impl FnMut(&LiveState)) -> bool {
        loop {
            match self.queue.try_recv() {
                Ok((t_ns, update)) => {
                    self.state.apply(t_ns, update);
                    seen(&self.state);
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// Brings the time and what is counted up to date.
    pub(super) fn refresh(&mut self) {
        let state = &mut self.state;
        match &self.source {
            Source::Run(clock, stop) => {
                state.set_now(clock.now());
                state.is_stopping = stop.is_requested();
                state.set_generated(self.shared.generated.load(Ordering::Relaxed));
            }
            // A virtual clock does not go on by itself, and the time of a run that was killed is not known.
            Source::Journal if state.run.is_synthetic => {}
            Source::Journal if self.shared.is_silent.load(Ordering::Relaxed) => {}
            Source::Journal => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let since = now.as_nanos() as i128 - i128::from(state.run.unix_ns);
                if state.run.unix_ns > 0 {
                    state.set_now(since.clamp(0, u64::MAX.into()) as u64);
                }
            }
        }
        state.dropped = self.shared.dropped.load(Ordering::Relaxed);
        state.latencies.first.update_median();
        state.latencies.next.update_median();
    }

    /// Whether another process makes the run.
    pub(super) fn is_journal(&self) -> bool {
        matches!(self.source, Source::Journal)
    }
}
