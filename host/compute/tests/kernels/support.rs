//! The device under test, random numbers, memory that shows what was not written, and tolerances.

use llem_compute::{Buffer, ComputeDevice, DType, cuda, emulated};
use std::sync::Arc;

/// Opens the device under test.
pub(crate) fn device() -> Arc<dyn ComputeDevice> {
    let name = std::env::var("LLEM_TEST_DEVICE").unwrap_or_else(|_| "emulated".to_owned());
    match name.strip_prefix("cuda:") {
        Some(ordinal) => cuda::open(ordinal.parse().unwrap()).unwrap(),
        None => emulated::open().unwrap(),
    }
}

/// Random numbers in [-1, 1) from a seed: SplitMix64.
pub(crate) fn random(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (0..count).map(|_| (next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0).collect()
}

/// Rounds numbers to a format.
pub(crate) fn rounded(numbers: &[f32], dtype: DType) -> Vec<f32> {
    let round = |&x: &f32| match dtype {
        DType::F32 => x,
        DType::Bf16 => half::bf16::from_f32(x).to_f32(),
        DType::F16 => half::f16::from_f32(x).to_f32(),
    };
    numbers.iter().map(round).collect()
}

/// Memory for `count` numbers that are NaN until they are written.
pub(crate) fn poisoned(device: &Arc<dyn ComputeDevice>, count: usize, dtype: DType) -> Buffer {
    Buffer::from_bytes(device, &vec![0xffu8; count * dtype.size()]).unwrap()
}

/// Asserts that every number is within `tolerance` of the expected one, relative to the largest expected number.
#[track_caller]
pub(crate) fn assert_close(ours: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), expected.len());
    let largest = expected.iter().fold(1e-30f64, |largest, x| largest.max(x.abs()));
    for (index, (&ours, &expected)) in ours.iter().zip(expected).enumerate() {
        let off = (f64::from(ours) - expected).abs() / largest;
        assert!(
            off <= tolerance,
            "number {index}: {ours}, and {expected} is right: off by {off:e} of the largest"
        );
    }
}

/// Returns the error of one rounding to a format and of the f32 sum before it.
pub(crate) fn tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::F32 => 3e-6,
        DType::F16 => 1e-3,
        DType::Bf16 => 8e-3,
    }
}

/// All number formats.
pub(crate) const FORMATS: [DType; 3] = [DType::F32, DType::Bf16, DType::F16];

/// Asserts that every number is the expected one, except for one rounding to a format and the f32 sum before it.
#[track_caller]
pub(crate) fn assert_rounded(ours: &[f32], expected: &[f64], dtype: DType) {
    assert_eq!(ours.len(), expected.len());
    let off: Vec<usize> = beyond_one_rounding(ours, expected, dtype).collect();
    if let Some(&index) = off.first() {
        let (ours, expected) = (ours[index], expected[index]);
        panic!("{} numbers are off; number {index} is {ours}, and {expected} is right", off.len());
    }
}

/// Asserts the same of all but a few numbers. It is for expected numbers that have been rounded before: a number near
/// the middle between two numbers of the format may have been rounded to the other side.
#[track_caller]
pub(crate) fn assert_mostly_rounded(ours: &[f32], expected: &[f64], dtype: DType) {
    assert_close(ours, expected, 2.0 * tolerance(dtype));
    let off = beyond_one_rounding(ours, expected, dtype).count();
    assert!(off <= 1 + ours.len() / 50, "{off} of {} numbers are off", ours.len());
}

/// Returns the indices of the numbers that are off by more than one rounding to a format.
fn beyond_one_rounding(
    ours: &[f32],
    expected: &[f64],
    dtype: DType,
) -> impl Iterator<Item = usize> {
    let rounding = match dtype {
        DType::F32 => 0.0,
        DType::Bf16 => 2f64.powi(-8),
        DType::F16 => 2f64.powi(-11),
    };
    let largest = expected.iter().fold(1e-30f64, |largest, x| largest.max(x.abs()));
    ours.iter().zip(expected).enumerate().filter_map(move |(index, (&ours, &expected))| {
        let most = expected.abs() * rounding + largest * tolerance(DType::F32);
        let is_close = (f64::from(ours) - expected).abs() <= most;
        (!is_close).then_some(index)
    })
}
