//! A device on the CPU that runs the kernels' own source, so that every path above the seam can be tested without a card.
//!
//! ```text
//! Source ──► compiler (the machine's C++ compiler, `kernels/emulation.h` for CUDA) ──► library ──► blocks (fibers)
//! ```
//!
//! What is queued is done before the call returns. Addresses are the host's, and `memory` knows which are allocated.

mod blocks;
mod compiler;
mod library;
mod memory;
mod product;

use crate::{
    Counts, DType, Device, Error, Grid, Kernel, MemoryInfo, Parameters, Product, Result, Source,
};
use library::{Entry, Library};
use memory::Memory;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What people call it, in errors too.
const NAME: &str = "emulated";

/// Bytes of dynamic shared memory that a block may have: a card's of compute capability 9.0.
const MOST_SHARED: u32 = 227 << 10;

/// Opens one. Each has its own memory and counts.
///
/// # Errors
/// [`Error::Missing`] without a C++ compiler.
pub fn open() -> Result<Arc<dyn Device>> {
    compiler::find()?;
    Ok(Arc::new(Emulated::default()))
}

#[derive(Default)]
struct Emulated {
    memory: Memory,
    kernels: Mutex<Kernels>,
    launches: AtomicU64,
    allocations: AtomicU64,
    uploads: AtomicU64,
    downloads: AtomicU64,
    synchronizations: AtomicU64,
}

/// Kernels by their numbers, and the numbers by source and name.
#[derive(Default)]
struct Kernels {
    found: Vec<Found>,
    numbers: HashMap<(Source, String), usize>,
}

#[derive(Clone)]
struct Found {
    name: Arc<str>,
    entry: Entry,
    _library: Arc<Library>,
}

impl Emulated {
    fn kernels(&self) -> MutexGuard<'_, Kernels> {
        self.kernels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Device for Emulated {
    fn name(&self) -> &str {
        NAME
    }

    fn is_real(&self) -> bool {
        false
    }

    fn multiprocessors(&self) -> usize {
        4
    }

    fn memory(&self) -> Result<MemoryInfo> {
        memory::info()
    }

    fn allocate(&self, bytes: usize) -> Result<u64> {
        self.allocations.fetch_add(1, Relaxed);
        self.memory.allocate(bytes)
    }

    fn free(&self, address: u64, bytes: usize) {
        if let Err(error) = self.memory.free(address, bytes) {
            tracing::error!("{error}");
        }
    }

    fn upload(&self, from: &[u8], to: u64) -> Result<()> {
        self.uploads.fetch_add(1, Relaxed);
        self.memory.write(from, to)
    }

    fn download(&self, from: u64, to: &mut [u8]) -> Result<()> {
        self.downloads.fetch_add(1, Relaxed);
        self.memory.read(from, to)
    }

    fn copy(&self, from: u64, to: u64, bytes: usize) -> Result<()> {
        self.memory.copy(from, to, bytes)
    }

    fn clear(&self, at: u64, bytes: usize) -> Result<()> {
        self.memory.clear(at, bytes)
    }

    fn kernel(&self, source: &Source, name: &str) -> Result<Kernel> {
        let key = (source.clone(), name.to_owned());
        if let Some(&number) = self.kernels().numbers.get(&key) {
            return Ok(Kernel(number));
        }
        // Without the lock, so that several threads can compile at the same time.
        let library = library::of(source)?;
        let entry = library.entry(source.file, name)?;
        let Kernels { found, numbers } = &mut *self.kernels();
        let number = *numbers.entry(key).or_insert_with(|| {
            found.push(Found { name: name.into(), entry, _library: library });
            found.len() - 1
        });
        Ok(Kernel(number))
    }

    unsafe fn launch(&self, kernel: Kernel, grid: Grid, parameters: Parameters<'_>) -> Result<()> {
        let Grid { blocks, threads, shared } = grid;
        if blocks.contains(&0) || blocks[1] > 65535 || blocks[2] > 65535 {
            return Err(Error::Bug(format!("a grid of {blocks:?} blocks")));
        }
        if threads == 0 || threads > 1024 || !threads.is_multiple_of(32) {
            return Err(Error::Bug(format!("blocks of {threads} threads")));
        }
        if shared > MOST_SHARED {
            return Err(Error::Unsupported(format!(
                "a block has at most {MOST_SHARED} bytes of shared memory, and {shared} are asked for"
            )));
        }
        let found =
            self.kernels().found.get(kernel.0).cloned().ok_or_else(|| {
                Error::Bug(format!("kernel {} is not one of this device", kernel.0))
            })?;
        self.launches.fetch_add(1, Relaxed);
        // SAFETY: the caller's, and the grid is one that blocks have room for.
        unsafe { blocks::run(found.entry, grid, parameters.pointer) }.map_err(|reason| {
            Error::Failed {
                device: NAME.to_owned(),
                call: "a launch",
                reason: format!("kernel {}: {reason}", found.name),
            }
        })
    }

    unsafe fn product(&self, product: &Product) -> Result<()> {
        if product.y_dtype != product.dtype && product.y_dtype != DType::F32 {
            return Err(Error::Bug(format!(
                "a product of {} that gives {}",
                product.dtype, product.y_dtype
            )));
        }
        self.launches.fetch_add(1, Relaxed);
        let Product { rows, inputs, outputs, .. } = *product;
        let (size, y_size) = (product.dtype.size(), product.y_dtype.size());
        if rows == 0 || outputs == 0 {
            return Ok(());
        }
        self.memory.holds(product.x, rows * inputs * size)?;
        self.memory.holds(product.weight, outputs * inputs * size)?;
        if product.bias != 0 {
            self.memory.holds(product.bias, outputs * size)?;
        }
        self.memory.holds(product.y, ((rows - 1) * product.y_stride + outputs) * y_size)?;
        // SAFETY: the matrices are in memory of this device, and nothing else is done with it until this returns.
        unsafe { product::compute(product) };
        Ok(())
    }

    fn synchronize(&self) -> Result<()> {
        self.synchronizations.fetch_add(1, Relaxed);
        Ok(())
    }

    fn counts(&self) -> Counts {
        Counts {
            launches: self.launches.load(Relaxed),
            allocations: self.allocations.load(Relaxed),
            uploads: self.uploads.load(Relaxed),
            downloads: self.downloads.load(Relaxed),
            synchronizations: self.synchronizations.load(Relaxed),
        }
    }
}
