//! NVIDIA GPUs. CUDA's libraries are loaded at run time, so every build can use a GPU, and none needs the libraries to
//! start.
//!
//! ```text
//! open ──► CudaDevice ──┬─ context, memory_pool, staging, event ──► libcuda
//!                       ├─ modules ──► kernel_cache ──► nvrtc ────► libnvrtc
//!                       └─ cublaslt ──► matmul_plan ──────────────► libcublasLt
//! nccl ─────────────────────────────────────────────────────────► libnccl
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `libraries`, `folders`, `functions` | CUDA's libraries, where they are searched, and which functions are called |
//! | `cuda_device` | a GPU as a [`ComputeDevice`] |
//! | `context`, `event`, `memory_pool`, `staging` | what the driver provides: contexts, events, memory, copies |
//! | `kernel_cache`, `nvrtc`, `modules` | kernels: the cache on disk, compilation, loading and launching |
//! | `cublaslt`, `matmul_plan`, `bias` | matrix products by cuBLASLt, and biases that it cannot add |
//! | `nccl` | communication between GPUs |
//! | `peaks` | measured peak rates of a GPU |
//!
//! Start at [`open`], [`load_libraries`] and [`nccl::NcclCommunicator`]. The module `nccl` is public because its name
//! says what [`nccl::new_id`] identifies.

mod bias;
mod context;
mod cublaslt;
mod cuda_device;
mod event;
mod folders;
mod functions;
mod kernel_cache;
mod libraries;
mod matmul_plan;
mod memory_pool;
mod modules;
pub mod nccl;
mod nvrtc;
mod peaks;
mod staging;

pub use folders::LIBRARY_FOLDERS_VARIABLE;
pub use libraries::{CudaLibrary, load_libraries};
pub use peaks::{measure_copy_rate, measure_product_rate};

use crate::{ComputeDevice, Result};
use cuda_device::CudaDevice;
use std::sync::Arc;

/// Opens a GPU. `ordinal` is CUDA's number of the GPU in this process.
///
/// # Errors
/// [`Error::Missing`](crate::Error::Missing) names the library or GPU that is missing, where llem looked for it and
/// what to install.
pub fn open(ordinal: usize) -> Result<Arc<dyn ComputeDevice>> {
    Ok(CudaDevice::open(ordinal)?)
}

/// Returns the number of GPUs that this process can use: 0 if there is no driver.
pub fn count() -> usize {
    context::device_count().unwrap_or(0)
}
