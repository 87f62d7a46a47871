//! Copies from and to the host: larger than what a device stages at once, and from several threads.

use crate::support::device;
use llem_compute::{Buffer, ComputeDevice};
use std::sync::Arc;

/// More than three large slots of a GPU's staging ring, and not a multiple of one.
const BYTES: usize = (50 << 20) + 77;

fn read(device: &Arc<dyn ComputeDevice>, buffer: &Buffer) -> Vec<u8> {
    let mut bytes = vec![0xffu8; buffer.bytes()];
    device.download(buffer.view().address, &mut bytes).unwrap();
    bytes
}

#[test]
fn large_copies_arrive_whole_while_other_threads_copy() {
    let device = device();
    std::thread::scope(|scope| {
        for thread in 0..3usize {
            let device = &device;
            scope.spawn(move || {
                let bytes: Vec<u8> = (0..BYTES).map(|i| ((i + thread) % 253) as u8).collect();
                let buffer = Buffer::from_bytes(device, &bytes).unwrap();
                assert!(read(device, &buffer) == bytes, "thread {thread}");
            });
        }
    });
}

#[test]
fn a_source_may_be_reused_as_soon_as_its_upload_returns() {
    let device = device();
    let mut bytes = vec![0u8; 1000];
    // More uploads than the ring has slots.
    let buffers: Vec<Buffer> = (0..200u8)
        .map(|value| {
            bytes.fill(value);
            Buffer::from_bytes(&device, &bytes).unwrap()
        })
        .collect();
    for (value, buffer) in (0..200u8).zip(&buffers) {
        assert!(read(&device, buffer) == [value; 1000], "upload {value}");
    }
}

#[test]
fn memory_is_used_again_in_the_order_of_the_stream() {
    let device = device();
    let kept = Buffer::zeros(&device, 4 << 20).unwrap();
    for value in 1..20u8 {
        let passing = Buffer::from_bytes(&device, &vec![value; 4 << 20]).unwrap();
        device.copy(passing.view().address, kept.view().address, 4 << 20).unwrap();
        drop(passing);
        // This probably reuses the memory before the copy is complete.
        drop(Buffer::zeros(&device, 4 << 20).unwrap());
        assert!(read(&device, &kept).iter().all(|&byte| byte == value), "turn {value}");
    }
}
