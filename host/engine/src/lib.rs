//! The model runtime: weights, tokenizer, decoder, KV cache, sampling and analytic FLOPs.
//!
//! ```text
//! source ──► weights ─┐
//! config ──► family ──┴─► Decoder ──► hidden states ──► logits ──► sampler ──► token
//!                           │ packed rows of all sequences, [tokens, hidden]
//!                           └ one KV cache a sequence
//! ```
//!
//! Knows nothing of energy or WebAssembly. Every moment is an [`std::time::Instant`]; whoever
//! meters the work turns it into its own time base.

pub mod adapters;
pub mod batch;
pub mod decoder;
pub mod dtype;
pub mod error;
pub mod flops;
pub mod generate;
mod gpu;
pub mod kv_cache;
pub mod layers;
pub mod load;
pub mod memory;
pub mod model;
pub mod parallel;
pub mod peaks;
mod rank_info;
pub mod request;
pub mod sampling;
pub mod score;
pub mod shares;
mod text_tools;

pub use adapters::AdapterSource;
pub use batch::{Batch, Completion, FinishReason};
pub use dtype::{DType, Device};
pub use error::{Error, Kind, Result};
pub use generate::{Control, Generation};
pub use llem_checkpoint::{DigestOptions, FileDigest, ModelSource, chat, tokenizer};
pub use llem_compute::cpu;
pub use llem_compute::cuda::{Library as GpuLibrary, libraries as gpu_libraries};
pub use load::LoadOptions;
pub use model::{Info, Model};
pub use parallel::Split;
pub use request::{Prepared, Prompt, Request};
pub use sampling::Sampling;
pub use text_tools::TextTools;
pub use tokenizer::{SpecialToken, SpecialTokens, TokenizerFacts};
