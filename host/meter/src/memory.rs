//! The most memory that was in use in a window.
//!
//! ```text
//!              open A          open B        close B         close A
//! VmHWM  ────────┼───────────────┼──────────────┼───────────────┼────
//!              reset     folded into A,   folded into     folded into A
//!                        then reset       A and B
//! ```
//!
//! `VmHWM` is the kernel's own peak of the resident set, counted page by page. It is reset whenever a window opens, so it
//! covers the time since the newest window opened. Before a reset, and when a window closes, it is folded into the peaks
//! of all open windows, because windows may nest and overlap. A program that reads `VmHWM`, or `ru_maxrss` of the process,
//! from outside sees the peak since a window was last opened.
//!
//! The reset costs 0.5 µs, however much is resident (Linux 6.18, measured with 2 MiB to 8 GiB of touched memory), because
//! the value 5 walks no page table, unlike the other values of `clear_refs`. A read of the status through an open file
//! takes 6 µs, and `getrusage` takes 0.6 µs. Its `ru_maxrss` is the same peak once it is above its value after the first
//! reset. Until then it may be the peak of the program that the process was before `execve`. A window that is alone needs
//! one read. None of this happens between the clock and the counters of a window.
//!
//! If the kernel does not allow the reset, the sampler reads the resident set in each of its rounds instead
//! ([`crate::MeterOptions::period`], or 100 ms on a machine without a counter), and the uncertainty covers what may have
//! come and gone between two rounds. For an exact peak, give the process a `/proc` that it may write.

use crate::lock::lock;
use llem_quantity::{Cause, Quantity, Reading, Source, Unavailable};
use nix::sys::resource::{UsageWho, getrusage};
use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::FileExt,
    sync::{Arc, Mutex},
};

/// Bytes of the buffer for `/proc/self/status`. The text is shorter, even for a user in a thousand groups on a machine with
/// a thousand cores.
const STATUS_BYTES: usize = 32_768;

/// What a memory peak counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryKind {
    /// The resident set of this process, in the host's memory.
    ProcessResident,
    /// The memory of this process on an accelerator.
    ProcessDevice,
    /// The memory of all processes on a device.
    Device,
}

impl MemoryKind {
    /// Returns the name that records and the WIT contract use.
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
    /// What the peak counts.
    pub kind: MemoryKind,
    /// The peak, By. For the resident set it is the kernel's own peak. For a device it is the highest reading of the sampler,
    /// which reads an accelerator every 100 ms and the processor every second. What came and went in between is not seen.
    pub peak: Reading,
}

/// Why it is not known how much of a card's memory this process uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoProcessMemory {
    /// NVML does not list this process among those that compute on the card.
    NotListed {
        /// The process id, as the process itself sees it.
        process: u32,
    },
    /// NVML lists this process, but without a number of bytes.
    Withheld,
    /// The call failed with this error of NVML.
    Failed(String),
}

impl NoProcessMemory {
    /// Returns the cause that records keep.
    pub fn cause(&self) -> Cause {
        match self {
            Self::NotListed { .. } => Cause::NotVisible,
            Self::Withheld => Cause::NoPermission,
            Self::Failed(_) => Cause::Unreadable,
        }
    }
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
pub(crate) struct ResidentSet {
    /// `/proc/self/status`
    status: Result<File, Unavailable>,
    /// `/proc/self/clear_refs`; `None` if the process may not write it.
    reset: Option<File>,
    /// `ru_maxrss` after the first reset, By. A higher value is a peak since a reset. `u64::MAX` if there is no reset.
    inherited: u64,
    /// One standard deviation of the kernel's counter, By.
    uncertainty: f64,
    open: Mutex<OpenWindows>,
}

struct OpenWindows {
    /// A buffer for the text of the status.
    text: Vec<u8>,
    windows: BTreeMap<u64, WindowPeak>,
    next: u64,
}

/// The peak of an open window so far.
struct WindowPeak {
    /// The highest resident set so far, By, or why it is not known.
    peak: Result<u64, Unavailable>,
    /// `VmHWM` when the window opened, By; 0 if it was reset then. A higher `VmHWM` was reached within the window.
    before: u64,
}

/// The resident set now and its peak since the last reset, By.
#[derive(Clone, Copy)]
struct ProcessStatus {
    now: u64,
    peak: u64,
}

impl ResidentSet {
    /// Opens the kernel's files for this process, and keeps them open.
    pub(crate) fn from_process() -> Self {
        Self::with_reset(File::options().write(true).open("/proc/self/clear_refs").ok())
    }

    /// Creates a resident set that is not known, for this reason.
    pub(crate) fn unknown(reason: Unavailable) -> Self {
        let open = OpenWindows { text: Vec::new(), windows: BTreeMap::new(), next: 0 };
        Self {
            status: Err(reason),
            reset: None,
            inherited: u64::MAX,
            uncertainty: 0.0,
            open: Mutex::new(open),
        }
    }

    fn with_reset(reset: Option<File>) -> Self {
        let text = vec![0; STATUS_BYTES];
        let is_reset = reset.as_ref().is_some_and(|mut file| file.write(b"5").is_ok());
        Self {
            status: File::open("/proc/self/status").map_err(|error| unreadable(&error)),
            reset,
            inherited: max_resident_set().filter(|_| is_reset).unwrap_or(u64::MAX),
            uncertainty: counter_uncertainty(),
            open: Mutex::new(OpenWindows { text, windows: BTreeMap::new(), next: 0 }),
        }
    }

    /// Begins a window. The meter calls it before the window's clock is read.
    pub(crate) fn open(self: &Arc<Self>) -> ResidentWindow {
        let mut state = lock(&self.open);
        // If no other window is open, the peak until now belongs to no window and need not be read.
        if !state.windows.is_empty() {
            self.fold(&mut state);
        }
        let is_reset = self.reset.as_ref().is_some_and(|mut file| file.write(b"5").is_ok());
        let seen = match is_reset {
            true => WindowPeak { peak: Ok(0), before: 0 },
            false => match self.read(&mut state.text) {
                Ok(status) => WindowPeak { peak: Ok(status.now), before: status.peak },
                Err(reason) => WindowPeak { peak: Err(reason), before: 0 },
            },
        };
        let id = state.next;
        state.next += 1;
        state.windows.insert(id, seen);
        ResidentWindow { set: Arc::clone(self), id }
    }

    /// Reads the resident set for all open windows, if the kernel's peak cannot be reset.
    pub(crate) fn sample(&self) {
        if self.reset.is_none() {
            let mut state = lock(&self.open);
            if !state.windows.is_empty() {
                self.fold(&mut state);
            }
        }
    }

    /// Reads the peak and raises the peaks of all open windows to it.
    fn fold(&self, state: &mut OpenWindows) {
        // After a reset, the cheaper `ru_maxrss` is enough.
        let known = max_resident_set().filter(|&peak| peak > self.inherited);
        let status = match known {
            Some(peak) => Ok(ProcessStatus { now: peak, peak }),
            None => self.read(&mut state.text),
        };
        for seen in state.windows.values_mut() {
            match (&mut seen.peak, &status) {
                (Ok(peak), Ok(status)) => {
                    let known = if status.peak > seen.before { status.peak } else { status.now };
                    *peak = known.max(*peak);
                }
                (peak, Err(reason)) => *peak = Err(reason.clone()),
                (Err(_), _) => {}
            }
        }
    }

    fn read(&self, text: &mut [u8]) -> Result<ProcessStatus, Unavailable> {
        let file = self.status.as_ref().map_err(Clone::clone)?;
        let length = file.read_at(text, 0).map_err(|error| unreadable(&error))?;
        ProcessStatus::parse(&text[..length]).ok_or_else(|| {
            let detail = "/proc/self/status does not tell the resident set";
            Unavailable::new(Cause::NotSupported, detail)
        })
    }
}

fn unreadable(error: &io::Error) -> Unavailable {
    Unavailable::new(Cause::Unreadable, format!("/proc/self/status cannot be read: {error}"))
}

/// Returns `ru_maxrss` of this process, By. getrusage(2) counts it in kibibytes.
fn max_resident_set() -> Option<u64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    Some(u64::try_from(usage.max_rss()).ok()? * 1024)
}

impl ProcessStatus {
    /// Parses the lines `VmHWM: 1234 kB` and `VmRSS: 1234 kB` (proc_pid_status(5)).
    fn parse(text: &[u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?;
        let bytes = |name: &str| {
            let (_, rest) = text.split_once(name)?;
            let kibibytes: u64 = rest.split_whitespace().next()?.parse().ok()?;
            Some(kibibytes * 1024)
        };
        Some(Self { now: bytes("\nVmRSS:")?, peak: bytes("\nVmHWM:")? })
    }
}

/// The resident set over an open window. If it is dropped, its peak is forgotten.
pub(crate) struct ResidentWindow {
    set: Arc<ResidentSet>,
    id: u64,
}

impl ResidentWindow {
    /// Returns the peak of the window, By. The meter calls it after the window's clock and counters have been read.
    pub(crate) fn close(self) -> Reading {
        let mut state = lock(&self.set.open);
        self.set.fold(&mut state);
        let not_open = || Unavailable::new(Cause::Other, "the window is not open");
        let seen = state.windows.remove(&self.id).ok_or_else(not_open)?;
        let peak = seen.peak?;
        // Without a reset, the peak is anywhere between the highest value that was seen and the kernel's old peak. This is
        // the standard deviation about the end of such an interval (GUM 4.3.7).
        let unseen = seen.before.saturating_sub(peak);
        let uncertainty = self.set.uncertainty.hypot(unseen as f64 / 3f64.sqrt());
        Ok(Quantity::new(peak as f64, uncertainty, "By", Source::Sensor))
    }
}

impl Drop for ResidentWindow {
    fn drop(&mut self) {
        lock(&self.set.open).windows.remove(&self.id);
    }
}

/// Returns one standard deviation of the kernel's count of resident pages, By. Each processor of the machine holds back up
/// to a batch of pages, of either sign, before it adds them to the sum (`lib/percpu_counter.c`: a batch is twice the number
/// of processors, and at least 32). Each held-back count is anywhere in its range (GUM 4.3.7), and they are independent.
fn counter_uncertainty() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    // There is one line for all processors together, and one for each.
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

    /// The tests of one process share its memory, so they run one at a time.
    static ALONE: Mutex<()> = Mutex::new(());

    /// Memory that has been written. Zeros would not be resident yet.
    fn memory(megabytes: usize) -> Vec<u8> {
        std::hint::black_box(vec![1; megabytes * MB])
    }

    fn resident() -> f64 {
        let text = fs::read("/proc/self/status").unwrap();
        ProcessStatus::parse(&text).unwrap().now as f64
    }

    /// A peak above what was resident before, MB, and its uncertainty.
    fn above(before: f64, window: ResidentWindow) -> (f64, f64) {
        let peak = window.close().unwrap();
        ((peak.value - before) / MB as f64, peak.uncertainty / MB as f64)
    }

    #[test]
    fn a_window_that_is_dropped_is_forgotten() {
        let _alone = lock(&ALONE);
        let set = Arc::new(ResidentSet::from_process());
        let [first, second] = [set.open(), set.open()];
        drop(first);
        assert_eq!(lock(&set.open).windows.len(), 1);
        assert!(second.close().is_ok());
        assert!(lock(&set.open).windows.is_empty());
    }

    #[test]
    fn without_a_reset_samples_tell_and_what_they_may_miss_is_uncertain() {
        let _alone = lock(&ALONE);
        let before = resident();
        // The kernel's peak is 400 MB above what is resident from now on.
        drop(memory(400));
        let set = Arc::new(ResidentSet::with_reset(None));
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
        let status = ProcessStatus::parse(text).unwrap();
        assert_eq!((status.peak, status.now), (2176 * 1024, 2032 * 1024));
        assert!(ProcessStatus::parse(b"Name:\tkthreadd\nThreads:\t1\n").is_none());
    }
}
