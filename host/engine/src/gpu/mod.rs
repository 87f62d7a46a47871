//! What layers need to run on a GPU, or on the emulated one: the kernels of a model, the tables of a pass, and memory for what
//! layers pass on.
//!
//! ```text
//! segments ──► Plan ── one upload ──► tables: ids, positions, sequences, adapters of rows, tiles of prefill
//!                                       │
//! embedding ──► layers (on an Arena) ───┴──► hidden states ──► logits ──► one small download: tokens
//! ```
//!
//! A pass allocates nothing, unless it is larger than all before, and asks nothing of the device until its tokens are there.
//! Each layer's part is beside the layer: `layers/*_device.rs`.
//!
//! Start at [`Gpu`], [`Plan`] and [`Run`].

mod arena;
mod decode;
mod logits;
mod plan;
mod upload;
mod workspace;

pub use arena::Arena;
pub use decode::{OnDevice, PassSize, Stream};
pub use logits::{DeviceLogits, Logits};
pub use plan::{Plan, Run};
pub use upload::{of_matrices, of_numbers};
pub use workspace::Workspace;

use crate::{DType, Result};
use llem_compute::{
    Device,
    ops::{
        activation::Activations, attention::Attention, embedding::Embeddings, experts::Experts,
        logits::Logits as LogitsKernels, lora::Lora, norm::Norms, product::Products, rope::Appends,
        rows::Rows, sampling::Sampling, synthetic::Synthetic,
    },
};
use std::sync::Arc;

/// A device with the kernels of a model, compiled for its number formats and width of heads.
pub struct Gpu {
    /// The device.
    pub device: Arc<dyn Device>,
    /// Format of weights and of what layers pass on.
    pub dtype: DType,
    /// Norms and sums.
    pub norms: Norms,
    /// Rotary embedding and the KV cache.
    pub appends: Appends,
    /// Attention.
    pub attention: Attention,
    /// Between an MLP's products.
    pub activations: Activations,
    /// Lookups.
    pub embeddings: Embeddings,
    /// Moving rows.
    pub rows: Rows,
    /// The most likely tokens.
    pub logits: LogitsKernels,
    /// Drawn tokens.
    pub sampling: Sampling,
    /// Adapters.
    pub lora: Lora,
    /// Experts.
    pub experts: Experts,
    /// Products with weights.
    pub products: Products,
    /// Random weights.
    pub synthetic: Synthetic,
}

impl Gpu {
    /// Compiles the kernels, or takes them from the cache.
    pub fn new(
        device: Arc<dyn Device>,
        dtype: DType,
        kv_dtype: DType,
        head_dim: usize,
    ) -> Result<Self> {
        Ok(Self {
            norms: Norms::new(&device, dtype)?,
            appends: Appends::new(&device, dtype, kv_dtype)?,
            attention: Attention::new(&device, dtype, kv_dtype, head_dim)?,
            activations: Activations::new(&device, dtype)?,
            embeddings: Embeddings::new(&device, dtype)?,
            rows: Rows::new(&device, dtype)?,
            logits: LogitsKernels::new(&device)?,
            sampling: Sampling::new(&device)?,
            lora: Lora::new(&device, dtype)?,
            experts: Experts::new(&device, dtype)?,
            products: Products::new(&device, dtype)?,
            synthetic: Synthetic::new(&device, dtype)?,
            device,
            dtype,
        })
    }
}

/// Where a rank computes.
#[derive(Clone)]
pub enum Place {
    /// On the CPU, by [`crate::cpu`].
    Host,
    /// On a device.
    Gpu(Arc<Gpu>),
}

impl Place {
    /// Whether it is the CPU.
    pub fn is_host(&self) -> bool {
        matches!(self, Self::Host)
    }

    /// Whether what is kept there is in the machine's own memory.
    pub fn is_in_machine(&self) -> bool {
        self.gpu().is_none_or(|gpu| !gpu.device.is_real())
    }

    /// The device, where there is one.
    pub fn gpu(&self) -> Option<&Arc<Gpu>> {
        match self {
            Self::Host => None,
            Self::Gpu(gpu) => Some(gpu),
        }
    }

    /// Waits for what a device was asked to do.
    pub fn synchronize(&self) -> Result<()> {
        Ok(self.gpu().map_or(Ok(()), |gpu| gpu.device.synchronize())?)
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.gpu().map_or("cpu", |gpu| gpu.device.name()))
    }
}
