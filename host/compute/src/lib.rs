//! Numbers on devices: the interface to a device, two devices behind it, the GPU kernels that both run, and the CPU's
//! own kernels. This crate knows nothing of models.
//!
//! ```text
//!                     ┌─ cpu ─────────────────────────────── the CPU's own kernels, on slices of f32
//! llem-engine ────────┤
//!                     └─ ops ──► ComputeDevice ──┬─ cuda ──── a GPU
//!                        (checks sizes,          └─ emulated  the same kernels, compiled for the CPU
//!                         launches a kernel)
//! ```
//!
//! | file or folder | what it holds |
//! |---|---|
//! | `cpu` | kernels for the CPU: products with packed weights, attention, norms, threads |
//! | `device`, `buffer` | the interface to a device: memory, copies, kernels, products |
//! | `cuda` | a GPU, driven through libraries that are loaded at run time |
//! | `emulated` | a device on the CPU, whose kernels are compiled by the machine's C++ compiler |
//! | `ops` | one Rust function for each GPU kernel: it checks sizes and chooses the grid |
//! | `../kernels` | the GPU kernels, one file for each group of kernels |
//!
//! Start at [`ComputeDevice`] and [`Buffer`] for devices, [`ops::attention::AttentionKernels`] for a kernel with its
//! launcher, [`cpu::PackedWeight`] for a product on the CPU, and [`cuda::open`] for a GPU.
//!
//! The modules `cpu`, `cuda`, `emulated` and `ops` are public because their names are needed to read their items:
//! `cuda::open` and `emulated::open` open different devices.

mod activation_function;
mod buffer;
mod collective;
pub mod cpu;
pub mod cuda;
mod device;
mod dtype;
pub mod emulated;
mod error;
mod kernel_headers;
pub mod ops;

pub use activation_function::ActivationFunction;
pub use buffer::{Buffer, View};
pub use collective::Collective;
pub use device::{
    ComputeDevice, Counts, Kernel, KernelParameters, KernelSource, LaunchGrid, MatrixProduct,
    MemoryInfo,
};
pub use dtype::DType;
pub use error::{Error, Result};
