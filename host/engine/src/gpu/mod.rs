//! The work of a model on a GPU, or on the emulated one.
//!
//! ```text
//! segments ──► PassTables ── one upload ──► tables: ids, positions, sequences, adapters of rows, tiles of prefill
//!                                             │
//! embedding ──► layers (on an Arena) ─────────┴──► hidden states ──► logits ──► one small download: tokens
//! ```
//!
//! A pass allocates nothing, unless it is larger than all passes before. It does not wait for the device until it
//! needs the tokens. The device side of each layer is beside the layer, in `layers/*_device.rs`.
//!
//! Start at [`Gpu`], [`PassTables`] and [`KernelContext`].

mod arena;
mod backend;
mod decoder_device;
mod kernel_context;
mod logits;
mod pass_tables;
mod upload;
mod workspace;

pub(crate) use arena::Arena;
pub(crate) use backend::Backend;
pub(crate) use decoder_device::{DecoderTables, PassSize, ResidualStream};
pub(crate) use kernel_context::{KernelContext, RowAdapters};
pub(crate) use logits::{DeviceLogits, Logits};
pub(crate) use pass_tables::PassTables;
pub(crate) use upload::{upload_matrices, upload_numbers};
pub(crate) use workspace::Workspace;

use crate::{DType, Result};
use llem_compute::{
    ComputeDevice,
    ops::{
        activation::ActivationKernels, attention::AttentionKernels, embedding::EmbeddingKernels,
        experts::ExpertKernels, gemv::ProductKernels, logits::LogitKernels, lora::LoraKernels,
        norm::NormKernels, rope::AppendKernels, rows::RowKernels, sampling::SamplingKernel,
        synthetic::SyntheticKernel,
    },
};
use std::sync::Arc;

/// A device with the kernels of a model, compiled for its number formats and its width of heads.
pub(crate) struct Gpu {
    pub device: Arc<dyn ComputeDevice>,
    /// The number format of weights and of intermediate results.
    pub dtype: DType,
    /// Norms, and sums of the residual stream.
    pub norms: NormKernels,
    /// Rotary embedding, and writing to the KV cache.
    pub appends: AppendKernels,
    pub attention: AttentionKernels,
    /// Activations and gates between the projections of an MLP.
    pub activations: ActivationKernels,
    /// Lookups of tokens and positions.
    pub embeddings: EmbeddingKernels,
    /// Copies and conversions of rows.
    pub rows: RowKernels,
    /// The most likely tokens, and log-likelihoods.
    pub logits: LogitKernels,
    /// Draws of tokens.
    pub sampling: SamplingKernel,
    /// Low-rank adapters.
    pub lora: LoraKernels,
    /// Mixtures of experts.
    pub experts: ExpertKernels,
    /// Matrix products.
    pub products: ProductKernels,
    /// Random weights of synthetic models.
    pub synthetic: SyntheticKernel,
}

impl Gpu {
    /// Compiles the kernels, or loads them from the cache of compiled kernels.
    pub(crate) fn new(
        device: Arc<dyn ComputeDevice>,
        dtype: DType,
        kv_dtype: DType,
        head_dim: usize,
    ) -> Result<Self> {
        Ok(Self {
            norms: NormKernels::new(&device, dtype)?,
            appends: AppendKernels::new(&device, dtype, kv_dtype)?,
            attention: AttentionKernels::new(&device, dtype, kv_dtype, head_dim)?,
            activations: ActivationKernels::new(&device, dtype)?,
            embeddings: EmbeddingKernels::new(&device, dtype)?,
            rows: RowKernels::new(&device, dtype)?,
            logits: LogitKernels::new(&device)?,
            sampling: SamplingKernel::new(&device)?,
            lora: LoraKernels::new(&device, dtype)?,
            experts: ExpertKernels::new(&device, dtype)?,
            products: ProductKernels::new(&device, dtype)?,
            synthetic: SyntheticKernel::new(&device, dtype)?,
            device,
            dtype,
        })
    }
}
