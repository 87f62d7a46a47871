//! What published model files mean: configs, tensors, tokenizers, chat templates, adapters, and the Hugging Face Hub.
//!
//! This crate reads files and describes what is in them. It computes nothing with a model's weights.
//!
//! ```text
//! ModelSource ─► hub ─► folder ─► config.json ─► Config ─► Shape
//!                         │  └──► safetensors ─► SafetensorsFiles: tensors by name
//!                         └─────► tokenizer, chat template, Identity (digest)
//!                GGUF file ─────► Gguf ────────► the same
//! ```
//!
//! Start at:
//! - [`Checkpoint`]: opens a model and describes all of it.
//! - [`ModelSource`]: where a model comes from, and how people name it.
//! - [`Shape`]: how a model's decoder is built.
//! - [`Gguf`] and [`TensorFile`]: the two formats of weights.
//! - [`AdapterConfig`]: what a LoRA adapter changes.

mod adapters;
#[cfg(test)]
#[path = "../../../tests/support/changed_folders.rs"]
mod changed_folders;
// The names of chat, hub and tokenizer are needed to read their functions: `chat::local_now`, `hub::fetch`.
pub mod chat;
mod checkpoint;
mod config;
mod digest;
mod error;
mod families;
mod float_format;
mod gguf;
pub mod hub;
mod mapped;
mod model_source;
mod placeholder;
mod presets;
mod quantised;
mod safetensors_files;
// Its name is needed to read its functions: `text_file::parse`.
pub mod text_file;
pub mod tokenizer;

pub use adapters::{
    ADAPTER_CONFIG, ADAPTER_WEIGHTS, AdapterConfig, AdapterFiles, AlphaError, ExpertSlice,
    ModuleKind, PEFT_PREFIX, RankError, TensorKind, TensorName, TensorNames, check_alpha,
    check_rank, module_key,
};
pub use checkpoint::{Checkpoint, Tensors};
pub use config::{Activation, Config, RopeParameters, TokenIds};
pub use digest::{
    Coverage, DigestInput, DigestOptions, FileDigest, Identity, WeightFile, synthetic_digest,
};
pub use error::{Error, Result};
pub use families::{
    ExpertShape, LayerKind, MixedFrequenciesError, MlpIn, NamingScheme, NormKind, Qkv,
    QueryKeyNorm, Rope, RopeRange, Shape,
};
pub use float_format::FloatFormat;
pub use gguf::{BlockFormat, Gguf, WeightRows, is_gguf};
pub use mapped::MappedBytes;
pub use model_source::{ModelSource, parse_hub_id};
pub use presets::Preset;
pub use safetensors_files::{SafetensorsFiles, TensorData, TensorFile};
