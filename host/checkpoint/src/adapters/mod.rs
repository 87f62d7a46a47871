//! Reads the files that PEFT writes for LoRA adapters (arXiv 2106.09685): which modules of a model an adapter
//! changes, and how.
//!
//! ```text
//! folder ──► AdapterFiles ──► AdapterConfig ──► which modules, with which rank and scale
//!                        └──► TensorNames   ──► the kind and the module of each tensor
//! ```
//!
//! Start at [`AdapterFiles`], [`AdapterConfig`] and [`TensorNames`].

mod adapter_config;
mod adapter_files;
mod module_kind;
mod peft_fields;
mod rank;
mod targets;
mod tensor_names;

pub use adapter_config::AdapterConfig;
pub use adapter_files::{ADAPTER_CONFIG, ADAPTER_WEIGHTS, AdapterFiles};
pub use module_kind::{ExpertSlice, ModuleKind};
pub use rank::{AlphaError, RankError, check_alpha, check_rank};
pub use tensor_names::{PEFT_PREFIX, TensorKind, TensorName, TensorNames, module_key};
