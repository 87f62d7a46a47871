//! Numbers on devices: a seam, two devices behind it, and the kernels that both run. Knows nothing of models.
//!
//! | file or folder | what |
//! |---|---|
//! | `cpu` | what the CPU computes itself: products with packed weights, attention, norms |
//! | `device` | the seam: memory, copies, kernels, products |
//! | `cuda` | a card, with libraries that are loaded at run time |
//! | `emulated` | the same kernels on the CPU, compiled by the machine's C++ compiler |
//! | `ops` | one Rust function for each kernel: shapes, checks, the grid |
//! | `../kernels` | the kernels, one idea a file |
//!
//! Start at [`Device`], [`Buffer`], [`View`] and [`ops`].

mod collective;
pub mod cpu;
pub mod cuda;
mod device;
mod dtype;
pub mod emulated;
mod error;
mod kernels;
pub mod ops;

pub use collective::Collective;
pub use device::{
    Buffer, Counts, Device, Grid, Kernel, MemoryInfo, Parameters, Product, Source, View,
};
pub use dtype::DType;
pub use error::{Error, Result};
