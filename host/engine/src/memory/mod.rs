//! How much memory this process can still be given, and refusing what is more: the kernel would grant it and end
//! the process in the middle of a run.
//!
//! | what limits it | what is left |
//! |---|---|
//! | the machine | `MemAvailable` (proc_meminfo(5)) |
//! | control groups, such as a container's | limit - usage + file cache that can be dropped, of each group |
//! | `RLIMIT_AS` (`ulimit -v`) | limit - `VmSize` |
//!
//! Memory that is reserved and not yet written to is in none of the first two figures. What this process has
//! promised itself ([`Held`]) is therefore subtracted as far as it cannot have been written to yet.

mod cgroup;

pub use cgroup::control_groups;

use crate::{Error, Result};
use rustix::process::{Resource, getrlimit};
use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// What is not worth reading the system's figures for.
const SMALL: usize = 64 << 20;

/// Refuses a reservation that this process cannot be given. What is not known is not refused.
///
/// # Errors
/// [`Error::OutOfMemory`], which names `what` and ends with the `remedy`.
pub fn check(bytes: usize, what: impl FnOnce() -> String, remedy: &str) -> Result<()> {
    if bytes < SMALL {
        return Ok(());
    }
    available().map_or(Ok(()), |available| check_within(bytes, available, what, remedy))
}

/// Refuses a reservation of more than the `available` bytes.
///
/// # Errors
/// As [`check`].
pub fn check_within(
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

/// Bytes that this process can still be given; none where the system does not tell.
pub fn available() -> Option<usize> {
    let address_space = getrlimit(Resource::As).current;
    available_within(Path::new("/proc"), address_space, HELD.load(Relaxed))
}

/// The same of the system that `proc` tells of, with a limit of the address space and so many bytes held.
fn available_within(proc: &Path, address_space: Option<u64>, held: usize) -> Option<usize> {
    let status = proc.join("self/status");
    let kib = |file: &Path, key: &str| Some(entry(file, key)?.saturating_mul(1024));
    let machine = kib(&proc.join("meminfo"), "MemAvailable:");
    let physical = machine.into_iter().chain(cgroup::left(proc)).min().map(|left| {
        // Pages that are written to are this process' anonymous ones, among others.
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

/// The number behind a key in one of the kernel's files of keys and numbers.
fn entry(file: &Path, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let mut entries = text.lines().map(str::split_whitespace);
    entries.find_map(|mut words| (words.next()? == key).then(|| words.next()?.parse().ok())?)
}

/// Bytes that this process has reserved for long, written to or not.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// Bytes of the machine's memory that are reserved until this is dropped.
#[derive(Debug, Default)]
pub struct Held(AtomicUsize);

impl Held {
    /// So many bytes.
    pub fn new(bytes: usize) -> Self {
        let held = Self::default();
        held.add(bytes);
        held
    }

    /// So many more.
    pub fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Relaxed);
        HELD.fetch_add(bytes, Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(*self.0.get_mut(), Relaxed);
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
