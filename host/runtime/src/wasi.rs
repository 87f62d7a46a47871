//! An empty WASI world for language runtimes that import WASI: no files, no network, no environment, no arguments.
//! Standard output and standard error become log lines of at most 64 KiB. Random numbers come from the run's seed.
//! Clocks never show the time of day.

use crate::output::Output;
use bytes::Bytes;
use llem_meter::Clock;
use llem_record::Event;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    HostMonotonicClock, HostWallClock, WasiCtx, async_trait,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamError},
};

/// The streams of the seed that WASI's generators use. Streams that scripts name have other numbers.
const SECURE_STREAM: u64 = u64::MAX;
const INSECURE_STREAM: u64 = u64::MAX - 1;

/// Makes the empty world. `clock` may be changed until the component first reads it.
pub(crate) fn empty_world(output: &Arc<Output>, clock: &Arc<WasiClock>, seed: u64) -> WasiCtx {
    let random = |stream| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        random
    };
    WasiCtx::builder()
        .stdout(LogLines::new("stdout", output))
        .stderr(LogLines::new("stderr", output))
        .secure_random(random(SECURE_STREAM))
        .insecure_random(random(INSECURE_STREAM))
        .insecure_random_seed(u128::from(seed))
        .wall_clock(SharedClock(Arc::clone(clock)))
        .monotonic_clock(SharedClock(Arc::clone(clock)))
        .allow_tcp(false)
        .allow_udp(false)
        .build()
}

/// WASI's clocks, in the mode that `describe` asked for.
pub(crate) struct WasiClock {
    host: Clock,
    follows_host: AtomicBool,
    readings: AtomicU64,
}

impl WasiClock {
    /// Creates a seeded clock, on which every reading is a microsecond later than the one before.
    pub(crate) fn new(host: Clock) -> Self {
        Self { host, follows_host: AtomicBool::new(false), readings: AtomicU64::new(0) }
    }

    /// Chooses between the host's clock and the seeded clock.
    pub(crate) fn follow_host(&self, follows: bool) {
        self.follows_host.store(follows, Ordering::Relaxed);
    }

    fn nanoseconds(&self) -> u64 {
        if self.follows_host.load(Ordering::Relaxed) {
            self.host.now()
        } else {
            self.readings.fetch_add(1, Ordering::Relaxed) * 1_000
        }
    }
}

struct SharedClock(Arc<WasiClock>);

impl HostMonotonicClock for SharedClock {
    fn resolution(&self) -> u64 {
        1_000
    }

    fn now(&self) -> u64 {
        self.0.nanoseconds()
    }
}

impl HostWallClock for SharedClock {
    fn resolution(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.nanoseconds())
    }
}

/// The most bytes of a log line. A longer line is cut into several, so that a guest that never ends a line takes no
/// memory.
const LINE_LIMIT: usize = 64 << 10;

/// The most bytes that the guest may write at a time.
const PERMIT: usize = 64 << 10;

/// A stream that turns lines into log events. They are written at once, in order with the guest's other calls.
#[derive(Clone)]
struct LogLines {
    /// The current line, which all handles of the stream share.
    unfinished: Arc<Mutex<UnfinishedLine>>,
}

/// A line that has not ended.
struct UnfinishedLine {
    name: &'static str,
    output: Arc<Output>,
    text: Vec<u8>,
}

impl LogLines {
    fn new(name: &'static str, output: &Arc<Output>) -> Self {
        let unfinished = UnfinishedLine { name, output: Arc::clone(output), text: Vec::new() };
        Self { unfinished: Arc::new(Mutex::new(unfinished)) }
    }

    fn take(&self, bytes: &[u8]) -> wasmtime::Result<()> {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner).add(bytes)
    }
}

impl UnfinishedLine {
    /// Adds bytes. Only the new bytes are searched for line ends.
    fn add(&mut self, bytes: &[u8]) -> wasmtime::Result<()> {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(end) => {
                    self.extend(end)?;
                    self.write(self.text.len())?;
                }
                None => self.extend(part)?,
            }
        }
        Ok(())
    }

    /// Adds to the line. What exceeds the limit begins another line.
    fn extend(&mut self, mut part: &[u8]) -> wasmtime::Result<()> {
        while self.text.len() + part.len() > LINE_LIMIT {
            let (now, later) = part.split_at(LINE_LIMIT - self.text.len());
            self.text.extend_from_slice(now);
            self.write(complete_length(&self.text))?;
            part = later;
        }
        self.text.extend_from_slice(part);
        Ok(())
    }

    /// Writes the first `length` bytes as a line.
    fn write(&mut self, length: usize) -> wasmtime::Result<()> {
        let message = String::from_utf8_lossy(&self.text[..length]).into_owned();
        self.text.drain(..length);
        self.output.write_script_event(Event::Log { level: self.name.to_owned(), message })
    }
}

/// Writes the last line even if the guest did not end it, however the guest ends.
impl Drop for UnfinishedLine {
    fn drop(&mut self) {
        if self.text.is_empty() {
            return;
        }
        if let Err(error) = self.write(self.text.len()) {
            tracing::warn!("the last line of {} is not in the record: {error}", self.name);
        }
    }
}

/// The length of a text without an incomplete UTF-8 character at its end.
fn complete_length(text: &[u8]) -> usize {
    let last = text.len().saturating_sub(3)..text.len();
    let begins = last.rev().find(|&place| text[place] & 0b1100_0000 != 0b1000_0000);
    let Some(begins) = begins else { return text.len() };
    match std::str::from_utf8(&text[begins..]) {
        Err(error) if error.error_len().is_none() => begins,
        _ => text.len(),
    }
}

impl IsTerminal for LogLines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogLines {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    /// wasmtime's default writes in a task of its own, which the end of the guest would cut short.
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for LogLines {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        self.take(&bytes).map_err(StreamError::Trap)
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(PERMIT)
    }
}

#[async_trait]
impl Pollable for LogLines {
    async fn ready(&mut self) {}
}

impl AsyncWrite for LogLines {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.take(bytes).map(|()| bytes.len()).map_err(io::Error::other))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Observer;
    use std::sync::mpsc::{Sender, channel};

    struct Seen(Sender<String>);

    impl Observer for Seen {
        fn event(&self, event: &Event) {
            if let Event::Log { message, .. } = event {
                self.0.send(message.clone()).expect("the test listens");
            }
        }
    }

    /// The lines that a guest writes with these pieces before it ends.
    fn lines(pieces: impl IntoIterator<Item = Vec<u8>>) -> Vec<String> {
        let (sender, seen) = channel();
        let output = Arc::new(Output::new(Clock::start(), Box::new(Seen(sender)), u64::MAX));
        let lines = LogLines::new("stdout", &output);
        pieces.into_iter().for_each(|piece| lines.take(&piece).expect("taken"));
        drop((lines, output));
        seen.iter().collect()
    }

    #[test]
    fn the_last_line_needs_no_end() {
        let pieces = ["one\nt", "w", "o\n\nthr", "ee"].map(|piece| piece.as_bytes().to_vec());
        assert_eq!(lines(pieces), ["one", "two", "", "three"]);
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        // Each character has three bytes, so the limit falls within one.
        let text = "€".repeat(100_000);
        let pieces = text.as_bytes().chunks(1000).map(<[u8]>::to_vec);
        let lines = lines(pieces);
        assert_eq!(lines.concat(), text);
        assert_eq!(lines.len(), 5);
        assert!(lines.iter().all(|line| line.len() <= LINE_LIMIT));
    }

    #[test]
    fn what_is_no_text_is_taken_all_the_same() {
        assert_eq!(lines([vec![0x80; LINE_LIMIT + 1]]).len(), 2);
        assert_eq!(lines([vec![0xe2, 0x82]]), ["\u{fffd}"]);
    }
}
