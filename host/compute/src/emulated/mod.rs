//! A device on the CPU that runs the source of the GPU kernels, so that everything above [`ComputeDevice`] can be
//! tested without a GPU.
//!
//! ```text
//! KernelSource ──► compiler (the machine's C++ compiler; `kernels/emulation.h` imitates CUDA) ──► kernel_library ──► blocks (fibers)
//! ```
//!
//! A call returns when its work is complete. Addresses are those of the host, and `allocations` knows which are valid.
//!
//! Start at [`open`].

mod allocations;
mod blocks;
mod compiler;
mod kernel_library;
mod matmul;

use crate::{
    ComputeDevice, Counts, DType, Error, Kernel, KernelParameters, KernelSource, LaunchGrid,
    MatrixProduct, MemoryInfo, Result,
};
use allocations::Allocations;
use kernel_library::{KernelEntry, KernelLibrary};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Name of the device, also in errors.
const NAME: &str = "emulated";

/// Most dynamic shared memory of a block, in bytes: that of GPUs with compute capability 9.0.
const MOST_SHARED: u32 = 227 << 10;

/// Opens an emulated device. Each has its own memory and counts.
///
/// # Errors
/// [`Error::Missing`] if there is no C++ compiler.
pub fn open() -> Result<Arc<dyn ComputeDevice>> {
    compiler::find()?;
    Ok(Arc::new(EmulatedDevice::default()))
}

#[derive(Default)]
struct EmulatedDevice {
    memory: Allocations,
    kernels: Mutex<Kernels>,
    launches: AtomicU64,
    allocations: AtomicU64,
    uploads: AtomicU64,
    downloads: AtomicU64,
    synchronizations: AtomicU64,
}

/// The loaded kernels by number, and the numbers by source and name.
#[derive(Default)]
struct Kernels {
    loaded: Vec<LoadedKernel>,
    numbers: HashMap<(KernelSource, String), usize>,
}

#[derive(Clone)]
struct LoadedKernel {
    name: Arc<str>,
    entry: KernelEntry,
    _library: Arc<KernelLibrary>,
}

impl EmulatedDevice {
    fn kernels(&self) -> MutexGuard<'_, Kernels> {
        self.kernels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ComputeDevice for EmulatedDevice {
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
        allocations::info()
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

    fn kernel(&self, source: &KernelSource, name: &str) -> Result<Kernel> {
        let key = (source.clone(), name.to_owned());
        if let Some(&number) = self.kernels().numbers.get(&key) {
            return Ok(Kernel(number));
        }
        // Not locked, so that several threads can compile at the same time.
        let library = kernel_library::load(source)?;
        let entry = library.entry(source.file, name)?;
        let Kernels { loaded, numbers } = &mut *self.kernels();
        let number = *numbers.entry(key).or_insert_with(|| {
            loaded.push(LoadedKernel { name: name.into(), entry, _library: library });
            loaded.len() - 1
        });
        Ok(Kernel(number))
    }

    unsafe fn launch(
        &self,
        kernel: Kernel,
        grid: LaunchGrid,
        parameters: KernelParameters<'_>,
    ) -> Result<()> {
        let LaunchGrid { blocks, threads, shared } = grid;
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
        let loaded =
            self.kernels().loaded.get(kernel.0).cloned().ok_or_else(|| {
                Error::Bug(format!("kernel {} is not one of this device", kernel.0))
            })?;
        self.launches.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps the contract, and the grid is one that blocks have room for.
        unsafe { blocks::run(loaded.entry, grid, parameters.pointer) }.map_err(|cause| {
            Error::Failed {
                device: NAME.to_owned(),
                call: "a launch",
                reason: format!("kernel {}: {cause}", loaded.name),
            }
        })
    }

    unsafe fn product(&self, product: &MatrixProduct) -> Result<()> {
        if product.y_dtype != product.dtype && product.y_dtype != DType::F32 {
            return Err(Error::Bug(format!(
                "a product of {} that gives {}",
                product.dtype, product.y_dtype
            )));
        }
        self.launches.fetch_add(1, Relaxed);
        let MatrixProduct { rows, inputs, outputs, .. } = *product;
        let (size, y_size) = (product.dtype.size(), product.y_dtype.size());
        if rows == 0 || outputs == 0 {
            return Ok(());
        }
        self.memory.check(product.x, rows * inputs * size)?;
        self.memory.check(product.weight, outputs * inputs * size)?;
        if product.bias != 0 {
            self.memory.check(product.bias, outputs * size)?;
        }
        self.memory.check(product.y, ((rows - 1) * product.y_stride + outputs) * y_size)?;
        // SAFETY: the matrices are in memory of this device, and nothing else is done with it until this returns.
        unsafe { matmul::multiply(product) };
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
