//! What published files mean: configs and families' shapes, safetensors, GGUF, the Hub, tokenizers, chat templates,
//! adapters. Computes nothing: numbers are read, never multiplied.
//!
//! ```text
//! source ─► hub ─► folder ─► config ─► families ─► Shape
//!                    │  └──► safetensors_files ───► tensors by name
//!                    └─────► tokenizer, chat, digest
//!           GGUF file ─► gguf ─► the same
//! ```

pub mod adapters;
#[cfg(test)]
#[path = "../../../tests/changed_folders.rs"]
mod changed_folders;
pub mod chat;
pub mod checkpoint;
pub mod config;
pub mod digest;
pub mod error;
pub mod families;
mod format;
pub mod gguf;
pub mod hub;
pub mod mapped;
mod not_safetensors;
pub mod presets;
mod quantised;
pub mod safetensors_files;
pub mod source;
mod stand_in;
pub mod text_file;
pub mod tokenizer;

pub use checkpoint::Checkpoint;
pub use config::Config;
pub use digest::{DigestOptions, FileDigest};
pub use error::{Error, Result};
pub use format::Format;
pub use source::ModelSource;
