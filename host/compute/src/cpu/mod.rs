//! What the CPU computes itself, on slices of f32: products with packed weights, attention, norms,
//! activations. Activations and sums are f32 whatever the weights' format; products with bf16 and Q8_0
//! weights round what they multiply to the same format, as torch and llama.cpp do.
//!
//! | file | what |
//! |---|---|
//! | `simd` | vectors of sixteen numbers on AVX-512, AVX2 or plain Rust, chosen at run time |
//! | `format` | how weights of each number format lie in memory and meet activations |
//! | `amx` | tile registers, where the processor has them |
//! | `tiles` | products by them |
//! | `packed` | weights in panels |
//! | `product` | products by vectors |
//! | `attention` | the KV cache and attention over it |
//! | `pointwise` | norms, activations, sums |
//! | `parallel` | sharing work among cores |

pub mod amx;
pub mod attention;
pub mod format;
pub mod packed;
pub mod parallel;
pub mod pointwise;
pub mod product;
pub mod simd;
pub mod tiles;

pub use format::Iq4Layout;
pub use packed::{Activations, Packed, PackedFormat};
