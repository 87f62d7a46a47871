//! What PEFT writes of LoRA adapters (arXiv 2106.09685): which modules of a model they change, and how.

pub mod config;
mod pattern;
mod role;

pub use config::AdapterConfig;
pub use role::{ExpertPart, Role};
