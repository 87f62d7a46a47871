//! The highest rates that this engine reaches on a device: of a large matrix product in each number format, and of a
//! large copy. A model's rates are compared with them if there is no datasheet, or if the datasheet promises rates
//! that nothing reaches.

use crate::{
    DType, DeviceId, Error, Result,
    cpu::{PackedFormat, PackedWeight, ProductInput, threads::for_each_chunk},
};
use llem_compute::cuda;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Width of the square matrices on the CPU. Wider ones take too long.
const CPU_WIDTH: usize = 2048;

/// Bytes that are copied: many times the size of any cache.
const COPIED: usize = 1 << 30;

/// A peak is the best of repetitions over at least this time. A disturbance of the machine can only make a repetition
/// slower.
const LENGTH: Duration = Duration::from_secs(2);

/// Fewest repetitions. Their spread would not be known with fewer.
const FEWEST: usize = 5;

/// A peak rate and its spread. The spread is the distance from the best rate to the median, and is about the
/// uncertainty of the peak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeakRate {
    /// The best rate, per second.
    pub best: f64,
    /// The distance from the best rate to the median rate, in the same unit.
    pub spread: f64,
}

/// The peak rates of a device.
#[derive(Clone, Debug, PartialEq)]
pub struct DevicePeaks {
    /// FLOP/s in each number format.
    pub products: Vec<(DType, PeakRate)>,
    /// Bytes read and written per second.
    pub bandwidth: PeakRate,
}

/// Measures the peak rates of a device. This takes some seconds.
///
/// # Errors
/// The device is the emulator, which has no peaks of its own, or it fails.
pub fn measure_peaks(device: DeviceId) -> Result<DevicePeaks> {
    let products = [DType::F32, DType::Bf16, DType::F16];
    let products = products.into_iter().map(|dtype| Ok((dtype, product(device, dtype)?)));
    Ok(DevicePeaks { products: products.collect::<Result<_>>()?, bandwidth: copy(device)? })
}

/// Measures a product `[n, n] x [n, n]`, FLOP/s.
fn product(device: DeviceId, dtype: DType) -> Result<PeakRate> {
    match device {
        DeviceId::Cpu => product_on_host(dtype),
        DeviceId::Cuda(ordinal) => {
            Ok(PeakRate::from_best_and_spread(cuda::measure_product_rate(ordinal, dtype)?))
        }
        DeviceId::Emulated => Err(no_peaks()),
    }
}

fn product_on_host(dtype: DType) -> Result<PeakRate> {
    let numbers: Vec<f32> =
        (0..CPU_WIDTH * CPU_WIDTH).map(|index| (index % 251) as f32 / 251.0).collect();
    let row =
        |row: usize, out: &mut [f32]| out.copy_from_slice(&numbers[row * CPU_WIDTH..][..CPU_WIDTH]);
    let format = match dtype {
        DType::F32 => PackedFormat::F32,
        DType::Bf16 => PackedFormat::Bf16,
        DType::F16 => PackedFormat::F16,
    };
    let weight = PackedWeight::new(CPU_WIDTH, CPU_WIDTH, format, &row);
    repeat(2.0 * (CPU_WIDTH as f64).powi(3), || {
        std::hint::black_box(weight.product(&ProductInput::new(&numbers, CPU_WIDTH), None)?);
        Ok(())
    })
}

fn copy(device: DeviceId) -> Result<PeakRate> {
    match device {
        DeviceId::Cpu => copy_on_host(),
        DeviceId::Cuda(ordinal) => {
            Ok(PeakRate::from_best_and_spread(cuda::measure_copy_rate(ordinal)?))
        }
        DeviceId::Emulated => Err(no_peaks()),
    }
}

fn copy_on_host() -> Result<PeakRate> {
    let from = vec![1u64; COPIED / size_of::<u64>()];
    let to: Vec<AtomicU64> = from.iter().map(|_| Default::default()).collect();
    // Each byte is read and written, so it counts twice.
    repeat(2.0 * COPIED as f64, || {
        for_each_chunk(from.len(), |range| {
            for (to, from) in to[range.clone()].iter().zip(&from[range]) {
                to.store(*from, Ordering::Relaxed);
            }
        });
        Ok(())
    })
}

fn no_peaks() -> Error {
    Error::Unsupported("the emulated device has no peaks of its own: measure cpu".to_owned())
}

impl PeakRate {
    fn from_best_and_spread((best, spread): (f64, f64)) -> Self {
        Self { best, spread }
    }
}

/// Repeats `work` and returns its rates. Each call does `amount` of something. The first call is not counted.
fn repeat(amount: f64, mut work: impl FnMut() -> Result<()>) -> Result<PeakRate> {
    work()?;
    let began = Instant::now();
    let mut rates = Vec::new();
    while rates.len() < FEWEST || began.elapsed() < LENGTH {
        let started = Instant::now();
        work()?;
        rates.push(amount / started.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    let best =
        rates.last().copied().ok_or_else(|| Error::Invalid("nothing was timed".to_owned()))?;
    Ok(PeakRate { best, spread: best - rates[rates.len() / 2] })
}
