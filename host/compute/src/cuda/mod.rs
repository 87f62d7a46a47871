//! A card, through libraries that are loaded at run time: every build can use one, and none needs them to start.
//!
//! | file | what |
//! |---|---|
//! | `libraries`, `folders`, `functions` | CUDA's libraries, where they are looked for, and which functions are called |
//! | `card` | [`Cuda`], a card behind the seam |
//! | `context`, `event`, `memory`, `staging` | what the driver gives: contexts, events, memory, copies |
//! | `compile`, `modules` | kernels: compiled by NVRTC, kept on disk, loaded, launched |
//! | `product`, `bias` | matrix products by cuBLASLt, and what it leaves |
//! | `nccl` | groups of cards |
//! | `peaks` | what a card can do at most |
//!
//! Start at [`open`], [`Cuda`] and [`libraries()`].

mod bias;
mod card;
mod compile;
mod context;
mod event;
mod folders;
mod functions;
mod libraries;
mod memory;
mod modules;
pub mod nccl;
mod peaks;
mod product;
mod staging;

pub use card::Cuda;
pub use context::uuid;
pub use libraries::{Library, libraries};
pub use peaks::{copy_rate, product_rate};

use crate::{Device, Result};
use std::sync::Arc;

/// Opens the card with a CUDA ordinal.
///
/// # Errors
/// [`Error::Missing`](crate::Error::Missing) names the library that is not there, where it was looked for and what to install.
pub fn open(ordinal: usize) -> Result<Arc<dyn Device>> {
    Ok(Cuda::open(ordinal)?)
}

/// Cards of this machine that this program can use; none without a driver.
pub fn count() -> usize {
    context::cards().unwrap_or(0)
}
