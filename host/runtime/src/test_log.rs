//! Captures the log of a test.

use std::{
    cell::RefCell,
    io::{self, Write},
    sync::Once,
};
use tracing::Level;
use tracing_subscriber::fmt::format::FmtSpan;

thread_local! {
    /// What this thread has logged, while a test captures it.
    static LOG: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Writes to the log of the thread that logs.
struct ThreadLog;

impl Write for ThreadLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| match log {
            Some(log) => log.write(bytes),
            None => Ok(bytes.len()),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns what `work` logs on this thread, with a line for each span that it makes.
///
/// All tests share one subscriber, because `tracing` remembers for each place in the code whether anything listens. A
/// subscriber of one thread alone may miss what another thread was the first to reach.
pub(crate) fn captured(work: impl FnOnce()) -> String {
    static SUBSCRIBED: Once = Once::new();
    SUBSCRIBED.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_span_events(FmtSpan::NEW)
            .with_ansi(false)
            .with_writer(|| ThreadLog)
            .init();
    });
    LOG.set(Some(Vec::new()));
    work();
    String::from_utf8_lossy(&LOG.take().unwrap_or_default()).into_owned()
}
