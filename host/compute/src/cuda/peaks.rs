//! Measured peak rates of a GPU: copies within its memory, and products of large matrices.

use super::CudaDevice;
use crate::{Buffer, ComputeDevice, DType, MatrixProduct, Result};
use std::{sync::Arc, time::Duration};

/// Samples of a rate.
const SAMPLES: usize = 6;

/// Duration of a sample. All samples together take longer than 2 s, in which clocks and temperature settle.
const SAMPLE: Duration = Duration::from_millis(400);

/// Size of a copy, in bytes.
const COPY: usize = 1 << 30;

/// Rows and columns of the matrices.
const SIZE: usize = 8192;

/// Measures copies within the GPU's memory. Returns the rate of the best sample, in bytes per second, and its distance
/// to the upper median. Bytes that are read and bytes that are written both count.
pub fn measure_copy_rate(ordinal: usize) -> Result<(f64, f64)> {
    let card = CudaDevice::open(ordinal)?;
    let device: Arc<dyn ComputeDevice> = Arc::clone(&card) as _;
    // On a GPU with little memory a copy is smaller.
    let bytes = COPY.min(device.memory()?.free / 4).max(1);
    let [from, to] = [Buffer::zeros(&device, bytes)?, Buffer::zeros(&device, bytes)?];
    measure(&card, 2.0 * bytes as f64, || card.copy(from.view().address, to.view().address, bytes))
}

/// Measures products of matrices with 8192 rows and columns. Returns the rate of the best sample, in floating-point
/// operations per second, and its distance to the upper median. The numbers are random, because zeros take less power
/// and so run faster.
pub fn measure_product_rate(ordinal: usize, dtype: DType) -> Result<(f64, f64)> {
    let card = CudaDevice::open(ordinal)?;
    let device: Arc<dyn ComputeDevice> = Arc::clone(&card) as _;
    let x = random(&device, dtype, 1)?;
    let weight = random(&device, dtype, 2)?;
    let y = Buffer::zeros(&device, SIZE * SIZE * dtype.size())?;
    let product = MatrixProduct {
        rows: SIZE,
        inputs: SIZE,
        outputs: SIZE,
        x: x.view().address,
        weight: weight.view().address,
        y: y.view().address,
        bias: 0,
        y_stride: SIZE,
        dtype,
        y_dtype: dtype,
        accumulate: false,
    };
    let operations = 2.0 * (SIZE as f64).powi(3);
    // SAFETY: the buffers hold matrices of this size, and outlive the measurement, which waits for the stream.
    measure(&card, operations, || unsafe { card.product(&product) })
}

/// Makes a square matrix of numbers in [-1, 1). It repeats 2^20 random numbers.
fn random(device: &Arc<dyn ComputeDevice>, dtype: DType, seed: u64) -> Result<Buffer> {
    let mut state = seed;
    // SplitMix64 (Steele, Lea and Flood, 2014).
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let numbers: Vec<f32> = (0..1 << 20).map(|_| next()).collect();
    let part = Buffer::from_numbers(device, &numbers, dtype)?;
    let all = Buffer::new(device, SIZE * SIZE * dtype.size())?;
    for start in (0..all.bytes()).step_by(part.bytes()) {
        device.copy(part.view().address, all.view().address + start as u64, part.bytes())?;
    }
    Ok(all)
}

/// Times `work` with events on the GPU, with many repetitions between two events. Each call does `amount` of work.
fn measure(card: &CudaDevice, amount: f64, work: impl Fn() -> Result<()>) -> Result<(f64, f64)> {
    let timed = |repetitions: usize| -> Result<Duration> {
        let begin = card.timed_event()?;
        for _ in 0..repetitions {
            work()?;
        }
        let end = card.timed_event()?;
        end.wait()?;
        end.since(&begin)
    };
    // The first call loads the kernel and makes the plan.
    work()?;
    let one = timed(3)?.as_secs_f64() / 3.0;
    let repetitions = (SAMPLE.as_secs_f64() / one.max(1e-6)).ceil() as usize;
    let samples: Vec<f64> = (0..SAMPLES)
        .map(|_| Ok(amount * repetitions as f64 / timed(repetitions)?.as_secs_f64()))
        .collect::<Result<_>>()?;
    Ok(best_and_spread(samples))
}

/// Returns the best sample, and its distance to the upper median.
fn best_and_spread(mut samples: Vec<f64>) -> (f64, f64) {
    samples.sort_by(f64::total_cmp);
    let best = samples.last().copied().unwrap_or(0.0);
    (best, best - samples.get(samples.len() / 2).copied().unwrap_or(best))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_the_best_sample_and_how_far_the_better_half_is_from_it() {
        assert_eq!(best_and_spread(vec![3.0, 5.0, 4.5, 1.0, 4.75]), (5.0, 0.5));
    }
}
