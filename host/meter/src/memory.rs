//! The most memory that was in use in a window.
//!
//! ```text
//!              open A          open B        close B         close A
//! VmHWM  ────────┼───────────────┼──────────────┼───────────────┼────
//!              reset     folded into A,   folded into     folded into A
//!                        then reset       A and B
//! ```
//!
//! `VmHWM` is the kernel's own peak of the resident set, counted page by page. It is set back whenever a window opens, so
//! that it covers the time since the newest one opened, and it is folded into all open windows before that and when one
//! closes: windows may nest and overlap. Whoever reads it, or `ru_maxrss` of the process, from outside sees the peak since
//! a window was last opened.
//!
//! The reset costs 0.5 µs however much is resident (Linux 6.18, measured with 2 MiB to 8 GiB of touched memory): unlike
//! the other values of `clear_refs`, 5 walks no page table. A read of the status through a file that is kept open takes
//! 6 µs, and `getrusage` 0.6 µs, whose `ru_maxrss` is the same peak once that is above what it said after the first
//! reset: until then it may be that of the program which the process was before `execve`. A window that is alone reads
//! once. None of it is between the clock and the counters of a window.
//!
//! Where the kernel does not allow the reset, the sampler reads the resident set at each of its rounds instead
//! ([`crate::Options::period`], or 100 ms on a machine without a gauge), and the uncertainty covers what may have come
//! and gone between two of them. To have it exact there, give the process a `/proc` that it may write.

use crate::lock::locked;
use llem_quantity::{Quantity, Reading, Source};
use nix::sys::resource::{UsageWho, getrusage};
use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::FileExt,
    sync::{Arc, Mutex},
};

/// The text of the status is shorter, even for a user of a thousand groups on a machine of a thousand cores.
const STATUS_BYTES: usize = 32_768;

/// Whose memory it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryKind {
    /// Of this process, in the host's memory: its resident set.
    ProcessResident,
    /// Of this process, on an accelerator.
    ProcessDevice,
    /// Of everything on a device.
    Device,
}

impl MemoryKind {
    /// Its name, as the contract and records hold it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ProcessResident => "process-resident",
            Self::ProcessDevice => "process-device",
            Self::Device => "device",
        }
    }
}

/// The most memory that was in use at a moment of a window.
#[derive(Clone, Debug)]
pub struct MemoryPeak {
    /// The device's id.
    pub device: String,
    /// Whose memory it is.
    pub kind: MemoryKind,
    /// By. The kernel's peak for the resident set. On devices the highest reading of the sampler: it asks an accelerator
    /// every 100 ms and the processor every second, and does not see what comes and goes in between.
    pub peak: Reading,
}

/// Why NVML does not tell how much of a card's memory this process uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoProcessMemory {
    /// It is not among the processes that compute there.
    NotListed {
        /// Its number, as it sees itself.
        process: u32,
    },
    /// It is, without a number of bytes.
    Withheld,
    /// The call fails, for this reason.
    Failed(String),
}

impl fmt::Display for NoProcessMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotListed { process } => write!(
                f,
                "NVML lists no process {process} that computes on the card: either this process has not used the card, \
                 or NVML numbers processes as the host does, so run a container with --pid=host"
            ),
            Self::Withheld => {
                write!(f, "NVML lists this process without its memory: run as root where MIG is on")
            }
            Self::Failed(reason) => {
                write!(f, "NVML does not list the processes that compute on the card: {reason}")
            }
        }
    }
}

/// The resident set of this process, and its peak in every open window.
pub struct ResidentSet {
    /// `/proc/self/status`
    status: Result<File, String>,
    /// `/proc/self/clear_refs`; none where it may not be written.
    reset: Option<File>,
    /// What `ru_maxrss` was after the first reset, By; nothing where there is none.
    inherited: u64,
    /// What the kernel's counter may be off by, By.
    uncertainty: f64,
    state: Mutex<State>,
}

struct State {
    /// The text of the status.
    text: Vec<u8>,
    windows: BTreeMap<u64, Seen>,
    next: u64,
}

/// What has been seen in an open window.
struct Seen {
    /// The highest so far, By, or why it is not known.
    peak: Result<u64, String>,
    /// `VmHWM` when it opened, By; 0 where it was set back then. A higher one is of the window.
    before: u64,
}

/// The resident set now and its peak since the last reset, By.
#[derive(Clone, Copy)]
struct Status {
    now: u64,
    peak: u64,
}

impl ResidentSet {
    /// That of this process. Opens the kernel's files, and keeps them open.
    pub fn of_process() -> Self {
        Self::with(File::options().write(true).open("/proc/self/clear_refs").ok())
    }

    fn with(reset: Option<File>) -> Self {
        let unreadable = |error: io::Error| format!("/proc/self/status cannot be read: {error}");
        let text = vec![0; STATUS_BYTES];
        let is_reset = reset.as_ref().is_some_and(|mut file| file.write(b"5").is_ok());
        Self {
            status: File::open("/proc/self/status").map_err(unreadable),
            reset,
            inherited: highest().filter(|_| is_reset).unwrap_or(u64::MAX),
            uncertainty: counter_uncertainty(),
            state: Mutex::new(State { text, windows: BTreeMap::new(), next: 0 }),
        }
    }

    /// Begins a window. Called before its clock is read.
    pub fn open(self: &Arc<Self>) -> ResidentWindow {
        let mut state = locked(&self.state);
        // Nothing is read for a window that is alone: the peak before it is nobody's.
        if !state.windows.is_empty() {
            self.fold(&mut state);
        }
        let is_reset = self.reset.as_ref().is_some_and(|mut file| file.write(b"5").is_ok());
        let seen = match is_reset {
            true => Seen { peak: Ok(0), before: 0 },
            false => match self.read(&mut state.text) {
                Ok(status) => Seen { peak: Ok(status.now), before: status.peak },
                Err(reason) => Seen { peak: Err(reason), before: 0 },
            },
        };
        let id = state.next;
        state.next += 1;
        state.windows.insert(id, seen);
        ResidentWindow { set: Arc::clone(self), id }
    }

    /// Reads it for all open windows where the kernel's peak does not tell theirs.
    pub fn sample(&self) {
        if self.reset.is_none() {
            let mut state = locked(&self.state);
            if !state.windows.is_empty() {
                self.fold(&mut state);
            }
        }
    }

    /// Reads the peak, and has all open windows know of it.
    fn fold(&self, state: &mut State) {
        // Of what was set back, the peak alone is asked for.
        let told = highest().filter(|&peak| peak > self.inherited);
        let status = match told {
            Some(peak) => Ok(Status { now: peak, peak }),
            None => self.read(&mut state.text),
        };
        for seen in state.windows.values_mut() {
            match (&mut seen.peak, &status) {
                (Ok(peak), Ok(status)) => {
                    let told = if status.peak > seen.before { status.peak } else { status.now };
                    *peak = told.max(*peak);
                }
                (peak, Err(reason)) => *peak = Err(reason.clone()),
                (Err(_), _) => {}
            }
        }
    }

    fn read(&self, text: &mut [u8]) -> Result<Status, String> {
        let file = self.status.as_ref().map_err(Clone::clone)?;
        let length = file
            .read_at(text, 0)
            .map_err(|error| format!("/proc/self/status cannot be read: {error}"))?;
        Status::of(&text[..length])
            .ok_or_else(|| "/proc/self/status does not tell the resident set".to_owned())
    }
}

/// `ru_maxrss` of this process, By (getrusage(2) tells it in kibibytes).
fn highest() -> Option<u64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    Some(u64::try_from(usage.max_rss()).ok()? * 1024)
}

impl Status {
    /// From the lines `VmHWM: 1234 kB` and `VmRSS: 1234 kB` (proc_pid_status(5)).
    fn of(text: &[u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?;
        let bytes = |name: &str| {
            let (_, rest) = text.split_once(name)?;
            let kibibytes: u64 = rest.split_whitespace().next()?.parse().ok()?;
            Some(kibibytes * 1024)
        };
        Some(Self { now: bytes("\nVmRSS:")?, peak: bytes("\nVmHWM:")? })
    }
}

/// The resident set over an open window. Dropping it ends it without an answer.
pub struct ResidentWindow {
    set: Arc<ResidentSet>,
    id: u64,
}

impl ResidentWindow {
    /// Ends it and tells its peak, By. Called after the window's clock and counters have been read.
    pub fn close(self) -> Reading {
        let mut state = locked(&self.set.state);
        self.set.fold(&mut state);
        let seen = state.windows.remove(&self.id).ok_or("the window is not open")?;
        let peak = seen.peak?;
        // Without a reset the peak is anywhere from the highest that was seen to the kernel's of before: the standard
        // deviation about the end of such an interval (GUM 4.3.7).
        let unseen = seen.before.saturating_sub(peak);
        let uncertainty = self.set.uncertainty.hypot(unseen as f64 / 3f64.sqrt());
        Ok(Quantity::new(peak as f64, uncertainty, "By", Source::Sensor))
    }
}

impl Drop for ResidentWindow {
    fn drop(&mut self) {
        locked(&self.set.state).windows.remove(&self.id);
    }
}

/// What the kernel's count of resident pages may be off by, By: each processor of the machine holds back up to a batch of
/// pages, of either sign, before it adds them to the sum (`lib/percpu_counter.c`: a batch is twice the number of
/// processors, and 32 at least). Each is anywhere in its range (GUM 4.3.7), and they are independent.
fn counter_uncertainty() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    // One line for all of them, and one for each.
    let lines = stat.lines().filter(|line| line.starts_with("cpu")).count();
    let processors = lines.saturating_sub(1).max(1) as f64;
    let batch = (2.0 * processors).max(32.0);
    batch * rustix::param::page_size() as f64 * (processors / 3.0).sqrt()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    const MB: usize = 1_000_000;

    /// Tests of one process share its memory.
    static ALONE: Mutex<()> = Mutex::new(());

    /// Memory that has been written: zeros would be none yet.
    fn memory(megabytes: usize) -> Vec<u8> {
        std::hint::black_box(vec![1; megabytes * MB])
    }

    fn resident() -> f64 {
        let text = fs::read("/proc/self/status").unwrap();
        Status::of(&text).unwrap().now as f64
    }

    /// A peak above what was resident before, MB, and its uncertainty.
    fn above(before: f64, window: ResidentWindow) -> (f64, f64) {
        let peak = window.close().unwrap();
        ((peak.value - before) / MB as f64, peak.uncertainty / MB as f64)
    }

    #[test]
    fn a_window_that_is_dropped_is_forgotten() {
        let _alone = locked(&ALONE);
        let set = Arc::new(ResidentSet::of_process());
        let [first, second] = [set.open(), set.open()];
        drop(first);
        assert_eq!(locked(&set.state).windows.len(), 1);
        assert!(second.close().is_ok());
        assert!(locked(&set.state).windows.is_empty());
    }

    #[test]
    fn without_a_reset_samples_tell_and_what_they_may_miss_is_uncertain() {
        let _alone = locked(&ALONE);
        let before = resident();
        // The kernel's peak is 400 MB above what is resident from now on.
        drop(memory(400));
        let set = Arc::new(ResidentSet::with(None));
        let (seen, missed) = (set.open(), set.open());
        let (missed, uncertainty) = above(before, missed);
        assert!(missed < 50.0, "{missed} MB");
        assert!((uncertainty - 400.0 / 3f64.sqrt()).abs() < 40.0, "{uncertainty} MB");
        let used = memory(200);
        set.sample();
        drop(used);
        let (seen, uncertainty) = above(before, seen);
        assert!((seen - 200.0).abs() < 20.0, "{seen} MB");
        assert!((uncertainty - 200.0 / 3f64.sqrt()).abs() < 40.0, "{uncertainty} MB");
        // A new peak of the process is that of the window.
        let higher = set.open();
        drop(memory(600));
        let (higher, uncertainty) = above(before, higher);
        assert!((higher - 600.0).abs() < 40.0, "{higher} MB");
        assert!(uncertainty < 20.0, "{uncertainty} MB");
    }

    #[test]
    fn a_status_without_a_resident_set_is_no_zero() {
        let text = b"Name:\tllem\nVmHWM:\t    2176 kB\nVmRSS:\t    2032 kB\n";
        let status = Status::of(text).unwrap();
        assert_eq!((status.peak, status.now), (2176 * 1024, 2032 * 1024));
        assert!(Status::of(b"Name:\tkthreadd\nThreads:\t1\n").is_none());
    }
}
