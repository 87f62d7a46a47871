//! The layers that a decoder is made of.
//!
//! Each layer is loaded from [`crate::load::Weights`] under the checkpoint's own names. It works on packed rows,
//! `[tokens, width]`: the tokens of all sequences one after another, without padding.
//!
//! ```text
//!             CPU: f32 tensors                     device: views in the model's format
//!             forward(x) -> y                      forward_on_device(context, x, y)
//! Linear      linear.rs                            linear_device.rs
//! Embedding   embedding.rs                         embedding_device.rs
//! Attention   attention.rs                         attention_device.rs
//! Experts     experts.rs                           experts_device.rs
//! ```
//!
//! The other layers have both functions in one file. On the CPU the work is done by [`crate::cpu`]. On a device a
//! layer only queues the kernels of [`crate::gpu::Gpu`] and does not wait for them.
//!
//! Start at [`Linear`], where adapters and tensor parallelism attach, then [`Attention`], [`Packing`] and
//! [`AdapterTarget`].

mod adapter_rows;
mod adapter_target;
mod attention;
mod attention_device;
pub(crate) mod cpu_tensor;
mod embedding;
mod embedding_device;
mod experts;
mod experts_device;
mod linear;
mod linear_adapter;
mod linear_device;
mod linear_spec;
mod low_rank;
mod mlp;
mod norm;
mod packing;
mod placement;
mod rope;
mod sharded_head_norm;
mod weight;

pub(crate) use adapter_rows::AdapterRows;
pub(crate) use adapter_target::{AdapterTarget, AdapterTotals, ModuleUsage};
pub(crate) use attention::Attention;
pub(crate) use attention_device::AttentionContext;
pub(crate) use embedding::Embedding;
pub(crate) use experts::Experts;
pub(crate) use linear::Linear;
pub(crate) use linear_spec::{InputFeatures, LinearSpec, ModuleSlice, RowOrder};
pub(crate) use mlp::Mlp;
pub(crate) use norm::Norm;
pub(crate) use packing::{Packing, PassSegment};
