//! Lets the file of a RAPL counter tell what its domain has drawn at the very moment of a reading, as the kernel's does. A
//! thread that writes the file would be late on a busy machine, and the energy would be missing from the counter. It is
//! preloaded, and compiled by itself, on std alone (`support::Hardware`).
//!
//! A file that begins with `drawing` holds four numbers instead of the counter: the counter at the beginning, µJ; the
//! beginning, ns of the monotonic clock; the power, W; and the value at which the counter starts over, µJ.

#[path = "kernel_clock.rs"]
mod kernel_clock;

use kernel_clock::time_of;
use std::ffi::{c_int, c_void};

unsafe extern "C" {
    /// The same function as `pread64` on 64-bit Linux, under a name that this library does not take.
    fn pread(file: c_int, to: *mut c_void, length: usize, offset: i64) -> isize;
}

/// Returns `CLOCK_MONOTONIC`, ns.
fn now() -> u128 {
    time_of(1).as_nanos()
}

/// Returns the counter now, from the text of its file.
fn counter(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?.strip_prefix("drawing ")?;
    let numbers: Vec<u128> = text.split_whitespace().map_while(|word| word.parse().ok()).collect();
    let [first, began, watts, range] = numbers[..] else { return None };
    let microjoules = now().saturating_sub(began) * watts / 1000;
    Some(format!("{}\n", (first + microjoules) % range))
}

/// Reads at an offset, as Rust's standard library does.
///
/// # Safety
/// POSIX's contract: `to` has room for `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pread64(file: c_int, to: *mut c_void, length: usize, offset: i64) -> isize {
    // SAFETY: this function's own contract.
    let read = unsafe { pread(file, to, length, offset) };
    // SAFETY: as many bytes have been read.
    let is_ours = offset == 0 && read >= 8 && unsafe { std::slice::from_raw_parts(to.cast::<u8>(), 8) } == b"drawing ";
    if !is_ours {
        return read;
    }
    let mut whole = [0u8; 160];
    // SAFETY: there is room for 160 bytes.
    let read = unsafe { pread(file, whole.as_mut_ptr().cast(), whole.len(), 0) };
    let counter = counter(&whole[..read.max(0) as usize]).expect("four numbers");
    let told = counter.len().min(length);
    // SAFETY: `told` is at most `length`.
    unsafe { std::slice::from_raw_parts_mut(to.cast::<u8>(), told) }.copy_from_slice(&counter.as_bytes()[..told]);
    told as isize
}
