//! Information about an attached LoRA adapter.

use crate::bindings::models;

/// A snapshot of an attached LoRA adapter. It does not change when the adapter is merged or detached later.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AdapterInfo {
    /// The name by which requests choose the adapter.
    pub name: String,
    /// The source after it was resolved.
    pub source: String,
    /// A digest of the adapter's config and tensors, with the same prefixes as a model's digest.
    pub digest: String,
    /// The model that the adapter's config says it was trained on.
    pub base_model: Option<String>,
    /// The highest rank of the adapter's factors. It is 0 if the adapter only replaces whole weights.
    pub rank: u32,
    /// Whether the adapter splits weights into magnitude and direction (DoRA).
    pub is_dora: bool,
    /// The number of modules that the adapter changes.
    pub modules: u32,
    /// The number of parameters in the adapter.
    pub parameters: u64,
    /// The memory that the parameters take, in bytes.
    pub weight_bytes: u64,
    /// Operations that the unmerged adapter adds for each token that is run, in FLOP.
    pub flops_per_token: f64,
    /// Operations that the unmerged adapter adds for each position whose logits are computed, in FLOP.
    pub flops_per_logits: f64,
    /// Whether the adapter is merged into the weights.
    pub is_merged: bool,
    /// The time that attaching took, in ns.
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
            is_dora: adapter.is_dora(),
            modules: adapter.modules(),
            parameters: adapter.parameters(),
            weight_bytes: adapter.weight_bytes(),
            flops_per_token: adapter.flops_per_token(),
            flops_per_logits: adapter.flops_per_logits(),
            is_merged: adapter.is_merged(),
            attach_time: adapter.attach_time(),
        }
    }
}
