//! What a device reaches with this engine's own products: the rate of a large one in each number format, and of a large copy.
//! What a model's rates are held against where a datasheet says nothing, or promises what nobody reaches.

use crate::{
    DType, Device, Error, Result,
    cpu::{Activations, Packed, PackedFormat, parallel::for_each_chunk},
};
use llem_compute::cuda;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Width of the square matrices on the CPU: with more it takes long.
const CPU_WIDTH: usize = 2048;

/// Bytes that are copied: many times any cache.
const COPIED: usize = 1 << 30;

/// A peak is the best of repetitions over at least this long: what disturbs a machine only slows it.
const LENGTH: Duration = Duration::from_secs(2);

/// Fewer tell nothing of their spread.
const FEWEST: usize = 5;

/// A rate: the best that was seen, and how far the better half was from it, which is about what it is
/// uncertain by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// A second.
    pub best: f64,
    /// In the same unit.
    pub spread: f64,
}

/// What a device reaches.
#[derive(Clone, Debug, PartialEq)]
pub struct Peaks {
    /// FLOP/s by number format.
    pub products: Vec<(DType, Rate)>,
    /// Bytes read and written a second.
    pub bandwidth: Rate,
}

/// Measures a device; takes some seconds.
pub fn measure(device: Device) -> Result<Peaks> {
    let products = [DType::F32, DType::Bf16, DType::F16];
    let products = products.into_iter().map(|dtype| Ok((dtype, product(device, dtype)?)));
    Ok(Peaks { products: products.collect::<Result<_>>()?, bandwidth: copy(device)? })
}

/// A product `[n, n] x [n, n]`.
fn product(device: Device, dtype: DType) -> Result<Rate> {
    match device {
        Device::Cpu => product_on_host(dtype),
        Device::Cuda(ordinal) => Ok(Rate::of(cuda::product_rate(ordinal, dtype)?)),
        Device::Emulated => Err(no_peaks()),
    }
}

fn product_on_host(dtype: DType) -> Result<Rate> {
    let numbers: Vec<f32> =
        (0..CPU_WIDTH * CPU_WIDTH).map(|index| (index % 251) as f32 / 251.0).collect();
    let row =
        |row: usize, out: &mut [f32]| out.copy_from_slice(&numbers[row * CPU_WIDTH..][..CPU_WIDTH]);
    let format = match dtype {
        DType::F32 => PackedFormat::F32,
        DType::Bf16 => PackedFormat::Bf16,
        DType::F16 => PackedFormat::F16,
    };
    let weight = Packed::new(CPU_WIDTH, CPU_WIDTH, format, &row);
    repeat(2.0 * (CPU_WIDTH as f64).powi(3), || {
        std::hint::black_box(weight.product(&Activations::new(&numbers, CPU_WIDTH), None)?);
        Ok(())
    })
}

fn copy(device: Device) -> Result<Rate> {
    match device {
        Device::Cpu => copy_on_host(),
        Device::Cuda(ordinal) => Ok(Rate::of(cuda::copy_rate(ordinal)?)),
        Device::Emulated => Err(no_peaks()),
    }
}

fn copy_on_host() -> Result<Rate> {
    let from = vec![1u64; COPIED / size_of::<u64>()];
    let to: Vec<AtomicU64> = from.iter().map(|_| Default::default()).collect();
    // Each byte is read and written.
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

impl Rate {
    /// As a card's is told.
    fn of((best, spread): (f64, f64)) -> Self {
        Self { best, spread }
    }
}

/// Repeats `work`, which does `amount` of something, after a first time that is not counted.
fn repeat(amount: f64, mut work: impl FnMut() -> Result<()>) -> Result<Rate> {
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
    Ok(Rate { best, spread: best - rates[rates.len() / 2] })
}
