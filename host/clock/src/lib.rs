//! The clock that every time in a record is read from: the machine's monotonic clock, or a virtual one that only moves
//! when it is advanced.
//!
//! ```text
//! real      now() = Instant::now()
//! virtual   now() = base + elapsed        a pass, a sleep or an idle batch advances `elapsed`, and nothing else does
//! ```
//!
//! The choice holds for the whole process, because times from both clocks must never meet. A program chooses the virtual
//! clock before it reads the first time. Deadlines, sockets and displays stay on real time and read [`Instant::now`].
//!
//! Virtual work also draws energy. [`WorkLedger`] carries what each piece of work drew from the engine, which does the
//! work, to the meter, which tells its energy.
//!
//! # Start at
//! - [`now`] and [`elapsed`]: read the clock
//! - [`start_virtual`] and [`VirtualClock`]: choose and advance the virtual clock
//! - [`WorkLedger`]: what virtual work drew
//!
//! # Example
//! ```
//! use std::time::Duration;
//!
//! let began = llem_clock::now();
//! std::thread::sleep(Duration::from_millis(1));
//! assert!(llem_clock::elapsed(began) >= Duration::from_millis(1));
//! assert!(llem_clock::virtual_clock().is_none());
//! ```

mod work_ledger;

pub use work_ledger::{Work, WorkLedger};

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Whether the process uses the virtual clock. Real runs read nothing else of this crate's state.
static IS_VIRTUAL: AtomicBool = AtomicBool::new(false);

/// The moment at which the virtual clock was started.
static BASE: OnceLock<Instant> = OnceLock::new();

/// Virtual time since [`BASE`], ns.
static ELAPSED: AtomicU64 = AtomicU64::new(0);

/// Returns the time now: the machine's, or the virtual one.
pub fn now() -> Instant {
    match virtual_clock() {
        None => Instant::now(),
        Some(clock) => clock.now(),
    }
}

/// Returns the time since an earlier moment of the same clock.
pub fn elapsed(since: Instant) -> Duration {
    now().saturating_duration_since(since)
}

/// Returns the virtual clock if the process uses it.
pub fn virtual_clock() -> Option<VirtualClock> {
    // Relaxed is enough: the clock is chosen before other threads read the time, and `BASE` synchronises by itself.
    IS_VIRTUAL.load(Ordering::Relaxed).then_some(VirtualClock(()))
}

/// Makes the process use a virtual clock from now on, and returns it. It must be called before the first time is read,
/// because times of the two clocks cannot be compared. A second call returns the same clock.
pub fn start_virtual() -> VirtualClock {
    BASE.get_or_init(Instant::now);
    IS_VIRTUAL.store(true, Ordering::Relaxed);
    VirtualClock(())
}

/// The virtual clock of this process. Whoever holds a value knows that the clock is virtual.
#[derive(Clone, Copy, Debug)]
pub struct VirtualClock(());

impl VirtualClock {
    /// Returns the virtual time now.
    pub fn now(self) -> Instant {
        self.base() + Duration::from_nanos(ELAPSED.load(Ordering::SeqCst))
    }

    /// Moves the clock forward by a length of time, and returns the new time.
    pub fn advance(self, length: Duration) -> Instant {
        let length = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        let later = |elapsed: u64| Some(elapsed.saturating_add(length));
        let _ = ELAPSED.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
        self.now()
    }

    /// Moves the clock forward to a moment. It never moves back: a moment in the past changes nothing.
    pub fn advance_to(self, moment: Instant) {
        let since_base = moment.saturating_duration_since(self.base()).as_nanos();
        ELAPSED.fetch_max(u64::try_from(since_base).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    fn base(self) -> Instant {
        *BASE.get_or_init(Instant::now)
    }
}
