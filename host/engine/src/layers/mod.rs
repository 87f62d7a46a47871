//! The parts that decoders are made of. Each is built from [`crate::load::Weights`] under the
//! checkpoint's own names, and works on packed rows: `[tokens, width]`, the tokens of all
//! sequences one after another, without padding.

pub mod attention;
mod bf16;
pub mod linear;
pub mod mlp;
pub mod norm;
pub mod packing;
pub mod rope;

pub use attention::Attention;
pub use linear::Linear;
pub use mlp::GatedMlp;
pub use norm::RmsNorm;
pub use packing::{Packing, Segment};
