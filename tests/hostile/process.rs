//! What the kernel is asked of the host's process, and told about it.

use std::fs;

/// Limit of the host's open files, the default of most systems.
const OPEN_FILES: u64 = 1024;

/// Limits the address space and the open files of this process.
pub fn limit_resources(address_space: u64) -> std::io::Result<()> {
    let limits = [(libc::RLIMIT_AS, address_space), (libc::RLIMIT_NOFILE, OPEN_FILES)];
    for (resource, most) in limits.into_iter().filter(|(_, most)| *most < u64::MAX) {
        let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
        // SAFETY: the limit is a valid one, on the stack.
        if unsafe { libc::setrlimit(resource, &limit) } != 0 {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Returns what the kernel says of a process, or `None` if it is gone.
pub fn status(id: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{id}/status")).ok()
}

/// Returns true if a process handles SIGINT, which is the second bit of the kernel's mask of handled signals.
pub fn handles_ctrl_c(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() & 1 << (libc::SIGINT - 1) != 0
}

/// Returns the largest resident set of a process so far, bytes.
pub fn peak(id: u32) -> Option<u64> {
    let status = status(id)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}
