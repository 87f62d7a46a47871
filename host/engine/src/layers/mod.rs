//! The parts that decoders are made of. Each is built from [`crate::load::Weights`] under the
//! checkpoint's own names, and works on packed rows: `[tokens, width]`, the tokens of all
//! sequences one after another, without padding. On the CPU rows are f32 and the work is done by
//! [`crate::cpu`]; on a device they are in the model's format, and `run` queues [`crate::gpu`]'s kernels.

pub mod adapted;
pub mod adapter_rows;
mod all_heads;
pub mod attention;
pub mod attention_device;
mod change;
pub mod embedding;
pub mod experts;
mod experts_device;
pub mod features;
pub mod host;
pub mod linear;
mod linear_device;
mod low_rank;
pub mod mlp;
pub mod norm;
pub mod packing;
pub mod rope;
pub mod weight;

pub use adapted::{Adapt, Added, Use};
pub use adapter_rows::AdapterRows;
pub use attention::Attention;
pub use embedding::Embedding;
pub use experts::Experts;
pub use linear::Linear;
pub use mlp::Mlp;
pub use norm::Norm;
pub use packing::{Packing, Segment};
