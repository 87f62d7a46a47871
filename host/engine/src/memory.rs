//! The machine's memory.

use crate::{Error, Result};

/// Refuses a reservation that the machine's memory cannot hold: the kernel would grant it and then
/// end the process in the middle of a run. What is not known is not refused.
pub fn check(bytes: usize, what: impl FnOnce() -> String, remedy: &str) -> Result<()> {
    match available() {
        Some(available) if bytes > available => {
            let gib = |bytes: usize| bytes as f64 / (1u64 << 30) as f64;
            Err(Error::Invalid(format!(
                "{} needs {:.1} GiB and {:.1} GiB of memory are free: {remedy}",
                what(),
                gib(bytes),
                gib(available)
            )))
        }
        _ => Ok(()),
    }
}

/// Bytes that programs can still be given (`MemAvailable`, proc_meminfo(5)).
fn available() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? * 1024)
}
