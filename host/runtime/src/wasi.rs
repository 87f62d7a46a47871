//! An empty world for language runtimes that import WASI: no files, no network, no environment, no
//! arguments. Standard output and error become log lines. Random numbers come from the run's seed;
//! clocks never show the time of day.

use crate::{bindings::description::Clocks, output::Output};
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
    HostMonotonicClock, HostWallClock, WasiCtx,
    cli::{IsTerminal, StdoutStream},
};

/// Streams of the seed that WASI's generators draw from, apart from those that scripts name.
const SECURE_STREAM: u64 = u64::MAX;
const INSECURE_STREAM: u64 = u64::MAX - 1;

/// The empty world. `clocks` may be changed until the component first reads one.
pub fn world(output: &Arc<Output>, clock: &Arc<WasiClock>, seed: u64) -> WasiCtx {
    let random = |stream| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        random
    };
    WasiCtx::builder()
        .stdout(Lines::new("stdout", output))
        .stderr(Lines::new("stderr", output))
        .secure_random(random(SECURE_STREAM))
        .insecure_random(random(INSECURE_STREAM))
        .insecure_random_seed(u128::from(seed))
        .wall_clock(Shared(Arc::clone(clock)))
        .monotonic_clock(Shared(Arc::clone(clock)))
        .allow_tcp(false)
        .allow_udp(false)
        .build()
}

/// WASI's clocks, as `describe` asks.
pub struct WasiClock {
    host: Clock,
    follows_host: AtomicBool,
    readings: AtomicU64,
}

impl WasiClock {
    /// A seeded clock: every reading is a microsecond after the last.
    pub fn new(host: Clock) -> Self {
        Self { host, follows_host: AtomicBool::new(false), readings: AtomicU64::new(0) }
    }

    /// Follows what a component's `describe` asked for.
    pub fn set(&self, clocks: Clocks) {
        self.follows_host.store(clocks == Clocks::Monotonic, Ordering::Relaxed);
    }

    fn nanoseconds(&self) -> u64 {
        if self.follows_host.load(Ordering::Relaxed) {
            self.host.now()
        } else {
            self.readings.fetch_add(1, Ordering::Relaxed) * 1_000
        }
    }
}

struct Shared(Arc<WasiClock>);

impl HostMonotonicClock for Shared {
    fn resolution(&self) -> u64 {
        1_000
    }

    fn now(&self) -> u64 {
        self.0.nanoseconds()
    }
}

impl HostWallClock for Shared {
    fn resolution(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.nanoseconds())
    }
}

/// A stream that turns lines into log events.
#[derive(Clone)]
struct Lines {
    name: &'static str,
    output: Arc<Output>,
    unfinished: Arc<Mutex<Vec<u8>>>,
}

impl Lines {
    fn new(name: &'static str, output: &Arc<Output>) -> Self {
        Self { name, output: Arc::clone(output), unfinished: Arc::default() }
    }

    fn take(&self, bytes: &[u8]) -> io::Result<()> {
        self.output.charge(bytes.len()).map_err(io::Error::other)?;
        let mut unfinished = self.unfinished.lock().unwrap_or_else(PoisonError::into_inner);
        unfinished.extend_from_slice(bytes);
        while let Some(end) = unfinished.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = unfinished.drain(..=end).collect();
            let message = String::from_utf8_lossy(&line[..end]).into_owned();
            let event = Event::Log { level: self.name.to_owned(), message };
            self.output.write(event).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Lines {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.take(bytes).map(|()| bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
