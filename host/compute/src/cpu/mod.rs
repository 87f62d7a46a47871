//! Kernels for the CPU, on slices of f32: products with packed weights, attention, norms, activation functions.
//!
//! Inputs and sums are f32, whatever the format of the weights. Products with bf16, Q8_0 and IQ4 weights first round
//! their inputs to bf16 or 8 bits, as torch and llama.cpp do.
//!
//! ```text
//! attention   pointwise   packed_weight        what the engine calls
//!     │           │         │       └──► tile_product ──► amx
//!     │           │         └──► vector_product ──► format
//!     └───────────┴──────────────────────┴──► simd, threads
//! ```
//!
//! | file or folder | what it holds |
//! |---|---|
//! | `simd` | vectors of sixteen numbers on AVX-512, AVX2 or plain Rust, chosen at run time |
//! | `format` | how weights of each number format are laid out, and how they are multiplied |
//! | `amx` | tile registers, on processors that have them |
//! | `tile_product` | matrix products with tile registers |
//! | `vector_product` | matrix products with vectors |
//! | `packed_weight` | weights packed in panels |
//! | `attention` | attention over the KV cache |
//! | `pointwise` | norms, activation functions, sums |
//! | `threads` | the thread pool and shared memory of kernels |
//!
//! Start at [`PackedWeight`], [`attention::attend`], [`pointwise::normalise`], [`threads::Team`] and
//! [`InstructionSet`].
//!
//! Modules are public where callers need their names to read an item: `pointwise::add`, `threads::share`.

mod amx;
pub mod attention;
mod format;
mod packed_weight;
pub mod pointwise;
mod simd;
pub mod threads;
mod tile_product;
mod vector_product;

pub use format::Iq4Layout;
pub use packed_weight::{PackedFormat, PackedWeight, ProductInput};
pub use simd::{INSTRUCTION_SET_VARIABLE, InstructionSet, InstructionSetError};
