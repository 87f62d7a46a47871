//! Random weights on a device against the same computation on the host.

use crate::support::{FORMATS, device, poisoned, rounded};
use llem_compute::{
    Buffer,
    ops::{
        bytes_of,
        synthetic::{SyntheticKernel, SyntheticRow},
    },
};

/// Repeats `host/engine/src/load/synthetic_weights.rs`.
fn reference(row: SyntheticRow, column: u64, half_width: f32) -> f32 {
    let z = row.key.wrapping_add(row.start + column).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let unit = ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32;
    (2.0 * unit - 1.0) * half_width
}

#[test]
fn every_bit_is_the_cpus() {
    let device = device();
    for dtype in FORMATS {
        let synthetic = SyntheticKernel::new(&device, dtype).unwrap();
        for (count, columns, half_width) in
            [(1, 1, 0.5), (3, 255, 0.02 * 3f32.sqrt()), (2, 2049, 0.1), (1, 70_001, 1.0)]
        {
            // Keys near the end of their range wrap around.
            let rows: Vec<_> = (0..count as u64)
                .map(|i| SyntheticRow {
                    key: u64::MAX - 1000 * i - 17,
                    start: i * columns as u64 + 5 * i,
                })
                .collect();
            // SAFETY: plain numbers without padding.
            let uploaded = Buffer::from_bytes(&device, unsafe { bytes_of(&rows) }).unwrap();
            let out = poisoned(&device, count * columns, dtype);
            synthetic.fill(uploaded.view(), count, columns, half_width, out.view()).unwrap();
            let expected: Vec<f32> = rows
                .iter()
                .flat_map(|&row| (0..columns as u64).map(move |i| reference(row, i, half_width)))
                .collect();
            let ours = out.to_f32(dtype).unwrap();
            for (i, (ours, expected)) in ours.iter().zip(rounded(&expected, dtype)).enumerate() {
                assert_eq!(ours.to_bits(), expected.to_bits(), "{dtype}, number {i} of {columns}");
            }
        }
    }
}
