//! How much memory this process can still get. Larger requests are refused, because the kernel would grant them and
//! end the process in the middle of a run.
//!
//! | what limits it | what is left |
//! |---|---|
//! | the machine | `MemAvailable` (proc_meminfo(5)) |
//! | control groups, such as a container's | limit - usage + file cache that can be dropped, of each group |
//! | `RLIMIT_AS` (`ulimit -v`) | limit - `VmSize` |
//!
//! Memory that is reserved but not yet written to is not in the first two figures. So the memory that this process
//! has reserved ([`MemoryReservation`]) is subtracted, as far as it cannot have been written to yet.

mod cgroup;

use crate::{Error, Result};
use rustix::process::{Resource, getrlimit};
use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Bytes of the smallest request that is checked. Reading the system's figures is not worthwhile for less.
const SMALL: usize = 64 << 20;

/// Refuses a request for more memory than this process can get. If the system does not say how much that is, nothing
/// is refused.
///
/// # Errors
/// [`Error::OutOfMemory`], which names `what` and ends with the `remedy`.
pub(crate) fn check(bytes: usize, what: impl FnOnce() -> String, remedy: &str) -> Result<()> {
    if bytes < SMALL {
        return Ok(());
    }
    available().map_or(Ok(()), |available| check_within(bytes, available, what, remedy))
}

/// Refuses a request for more than `available` bytes.
///
/// # Errors
/// [`Error::OutOfMemory`], which names `what` and ends with the `remedy`.
pub(crate) fn check_within(
    bytes: usize,
    available: usize,
    what: impl FnOnce() -> String,
    remedy: &str,
) -> Result<()> {
    if bytes <= available {
        return Ok(());
    }
    let gib = |bytes: usize| bytes as f64 / (1u64 << 30) as f64;
    Err(Error::OutOfMemory(format!(
        "{} needs {:.1} GiB and {:.1} GiB of memory are free: {remedy}",
        what(),
        gib(bytes),
        gib(available)
    )))
}

/// Returns the bytes that this process can still get, or `None` if the system does not say.
pub(crate) fn available() -> Option<usize> {
    let address_space = getrlimit(Resource::As).current;
    available_within(Path::new("/proc"), address_space, RESERVED.load(Relaxed))
}

/// Returns the bytes that a process can still get. `proc` is the folder of procfs, `address_space` the limit of the
/// address space, and `held` the bytes that the process has reserved.
fn available_within(proc: &Path, address_space: Option<u64>, held: usize) -> Option<usize> {
    let status = proc.join("self/status");
    let kib = |file: &Path, key: &str| Some(entry(file, key)?.saturating_mul(1024));
    let machine = kib(&proc.join("meminfo"), "MemAvailable:");
    let physical = machine.into_iter().chain(cgroup::left(proc)).min().map(|left| {
        // Pages that this process has written to are among its anonymous pages.
        let written = kib(&status, "RssAnon:").unwrap_or(u64::MAX);
        left.saturating_sub((held as u64).saturating_sub(written))
    });
    let addresses = address_space.and_then(|limit| {
        let used = kib(&status, "VmSize:")?;
        Some(limit.saturating_sub(used))
    });
    let least = physical.into_iter().chain(addresses).min()?;
    Some(usize::try_from(least).unwrap_or(usize::MAX))
}

/// Returns the number after a key in one of the kernel's files of keys and numbers.
fn entry(file: &Path, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let mut entries = text.lines().map(str::split_whitespace);
    entries.find_map(|mut words| (words.next()? == key).then(|| words.next()?.parse().ok())?)
}

/// Bytes that this process has reserved for a long time, written to or not.
static RESERVED: AtomicUsize = AtomicUsize::new(0);

/// Bytes of the machine's memory that are reserved until this is dropped.
#[derive(Debug, Default)]
pub(crate) struct MemoryReservation(AtomicUsize);

impl MemoryReservation {
    pub(crate) fn new(bytes: usize) -> Self {
        let held = Self::default();
        held.add(bytes);
        held
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Relaxed);
        RESERVED.fetch_add(bytes, Relaxed);
    }
}

impl Drop for MemoryReservation {
    fn drop(&mut self) {
        RESERVED.fetch_sub(*self.0.get_mut(), Relaxed);
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
