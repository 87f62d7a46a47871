//! The kernel's clocks, on std alone.

use std::time::Duration;

/// `struct timespec` on 64-bit Linux.
#[repr(C)]
struct Time {
    seconds: i64,
    nanoseconds: i64,
}

unsafe extern "C" {
    fn clock_gettime(clock: i32, time: *mut Time) -> i32;
}

/// Returns the time of a clock by its number in `linux/time.h`.
pub fn time_of(clock: i32) -> Duration {
    let mut time = Time { seconds: 0, nanoseconds: 0 };
    // SAFETY: POSIX's contract: `time` is writable.
    unsafe { clock_gettime(clock, &mut time) };
    Duration::new(time.seconds as u64, time.nanoseconds as u32)
}
