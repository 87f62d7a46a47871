//! What PEFT writes of LoRA adapters (arXiv 2106.09685): which modules of a model they change, and how.
//!
//! ```text
//! folder ──► AdapterFiles ──► config ──► which modules, of which rank, how strongly
//!                        └──► names  ──► which tensor is what to which module
//! ```
//!
//! Start at [`AdapterFiles`], [`AdapterConfig`] and [`TensorNames`].

pub mod config;
mod fields;
pub mod folder;
mod names;
mod pattern;
mod role;

pub use config::AdapterConfig;
pub use folder::AdapterFiles;
pub use names::{PREFIX, Part, TensorName, TensorNames, key_of};
pub use role::{ExpertPart, Role};
