//! The machine's memory.

use crate::{Error, Result};

/// Refuses a reservation that the machine's memory cannot hold: the kernel would grant it and then
/// end the process in the middle of a run. What is not known is not refused.
pub fn check(bytes: usize, what: impl FnOnce() -> String, remedy: &str) -> Result<()> {
    available().map_or(Ok(()), |available| check_within(bytes, available, what, remedy))
}

/// Refuses a reservation of more than the `available` bytes.
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
    Err(Error::Invalid(format!(
        "{} needs {:.1} GiB and {:.1} GiB of memory are free: {remedy}",
        what(),
        gib(bytes),
        gib(available)
    )))
}

/// Bytes that programs can still be given (`MemAvailable`, proc_meminfo(5)).
pub fn available() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? * 1024)
}
