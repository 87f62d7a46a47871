//! How much processor time a child takes. Unlike wall time, it hardly depends on what else the machine does.
#![cfg(target_os = "linux")]

use super::CommandOutput;
use std::{
    io::Read,
    mem::MaybeUninit,
    os::unix::process::ExitStatusExt,
    process::{Child, ExitStatus, Output},
    thread,
    time::Duration,
};

/// Returns the processor time that a child has taken so far, summed over its threads. The child has not been waited for.
pub fn processor_time(id: u32) -> Duration {
    let (mut clock, mut time) = (0, MaybeUninit::<libc::timespec>::uninit());
    // SAFETY: both places may be written, and the child is still known to the kernel.
    let read = unsafe {
        assert_eq!(libc::clock_getcpuclockid(id as i32, &mut clock), 0);
        libc::clock_gettime(clock, time.as_mut_ptr())
    };
    assert_eq!(read, 0);
    // SAFETY: the call has written it.
    let time = unsafe { time.assume_init() };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Returns the processor time of a child that has ended, in user mode and in the kernel.
pub fn used(usage: &libc::rusage) -> Duration {
    let time = |part: libc::timeval| Duration::new(part.tv_sec as u64, part.tv_usec as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// Waits for a child whose output is piped. Returns how it ended, and its processor time from start to end.
#[allow(clippy::zombie_processes, reason = "wait4 waits for it, and tells its processor time")]
pub fn end_with_processor_time(mut child: Child) -> (CommandOutput, Duration) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    thread::scope(|scope| {
        scope.spawn(|| out.read_to_end(&mut stdout).unwrap());
        err.read_to_end(&mut stderr).unwrap();
    });
    let (mut status, mut usage) = (0, MaybeUninit::<libc::rusage>::uninit());
    // SAFETY: the child is our own and not waited for elsewhere; both places may be written.
    let waited = unsafe { libc::wait4(child.id() as i32, &mut status, 0, usage.as_mut_ptr()) };
    assert_eq!(waited, child.id() as i32);
    // SAFETY: wait4 has written it.
    let took = used(&unsafe { usage.assume_init() });
    let output = Output { status: ExitStatus::from_raw(status), stdout, stderr };
    (CommandOutput::from_output(output), took)
}
