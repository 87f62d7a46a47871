//! LoRA adapters.

use crate::bindings::models;

/// An attached LoRA adapter, as it was when it was asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AdapterInfo {
    /// What requests call it.
    pub name: String,
    /// The source as it was resolved.
    pub source: String,
    /// What identifies its config and tensors, with the prefixes of a model's digest.
    pub digest: String,
    /// The model that its config says it was trained on.
    pub base_model: Option<String>,
    /// The highest rank of its factors; 0 where it only brings whole weights.
    pub rank: u32,
    /// Whether its weights are split into magnitude and direction (DoRA).
    pub dora: bool,
    /// Modules that it changes.
    pub modules: u32,
    /// Numbers that it brings.
    pub parameters: u64,
    /// Bytes of them in memory.
    pub weight_bytes: u64,
    /// Operations that it adds, unmerged, for each token that is run, FLOP.
    pub flops_per_token: f64,
    /// Operations that it adds, unmerged, for each position whose logits are needed, FLOP.
    pub flops_per_logits: f64,
    /// Whether it is merged into the weights.
    pub merged: bool,
    /// Time that attaching took, ns.
    pub attach_time: u64,
}

impl From<&models::Adapter> for AdapterInfo {
    fn from(adapter: &models::Adapter) -> Self {
        Self {
            name: adapter.name(),
            source: adapter.source(),
            digest: adapter.digest(),
            base_model: adapter.base_model(),
            rank: adapter.rank(),
            dora: adapter.is_dora(),
            modules: adapter.modules(),
            parameters: adapter.parameters(),
            weight_bytes: adapter.weight_bytes(),
            flops_per_token: adapter.flops_per_token(),
            flops_per_logits: adapter.flops_per_logits(),
            merged: adapter.is_merged(),
            attach_time: adapter.attach_time(),
        }
    }
}
