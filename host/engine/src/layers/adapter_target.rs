//! The interface between an adapter and the layers that it changes.
//!
//! ```text
//! attach ──► rows that run with the adapter are changed ──► detach
//!   └─ merge ──► the weights contain the change, for all rows ──► unmerge
//! publish: after each of these calls, if the layer is on a device
//! ```

use super::placement::Placement;
use crate::{
    Result,
    adapters::{AdapterId, AdapterTensors, Factors},
};
use serde::{Deserialize, Serialize};

/// A layer that adapters can change.
pub(crate) trait AdapterTarget {
    /// Takes the adapter's tensors that belong to this layer, and returns what they add. Rows that name the adapter
    /// run with them from now on.
    fn attach(&mut self, id: AdapterId, tensors: &mut AdapterTensors) -> Result<AdapterTotals>;
    /// Returns true on the one rank that reports this layer's sizes and FLOPs. A layer that is replicated or shared
    /// across ranks is reported by the first rank only, so that nothing is counted twice.
    fn reports_totals(&self) -> bool;
    /// Drops the tensors of an adapter.
    fn detach(&mut self, id: AdapterId);
    /// Puts the change of an attached adapter into the weights in use.
    fn merge(&mut self, id: AdapterId) -> Result<()>;
    /// Restores the weights that were in use before `merge`, bit by bit.
    fn unmerge(&mut self) -> Result<()>;
    /// Writes the table that kernels read about adapters, in the order of `slots`. The caller calls this after each
    /// attach, detach, merge and unmerge. It does nothing on the CPU.
    fn publish(&mut self, slots: &[AdapterId]) -> Result<()>;
}

/// The change that each attached adapter makes to one layer.
pub(super) struct AdapterMap<T>(Vec<(AdapterId, T)>);

impl<T> AdapterMap<T> {
    /// Makes a map without adapters.
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// Returns the change that an adapter makes, or `None` if the adapter does not change this layer.
    pub(super) fn get(&self, adapter: AdapterId) -> Option<&T> {
        self.0.iter().find(|(id, _)| *id == adapter).map(|(_, change)| change)
    }

    /// Stores the change that an adapter makes.
    pub(super) fn insert(&mut self, adapter: AdapterId, change: T) {
        self.0.push((adapter, change));
    }

    /// Drops the change that an adapter makes.
    pub(super) fn remove(&mut self, adapter: AdapterId) {
        self.0.retain(|(id, _)| *id != adapter);
    }
}

/// How often a layer runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ModuleUsage {
    /// The layer runs for this share of all tokens. The share is 1, except for an expert: there it is the number of
    /// active experts divided by the number of experts.
    Tokens(f64),
    /// The layer runs for the positions whose logits are computed.
    Logits,
}

/// The sizes and the work that an adapter adds to a layer, or to all layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct AdapterTotals {
    /// The number of modules that the adapter changes.
    pub modules: usize,
    /// The number of parameters in the adapter's tensors.
    pub parameters: u64,
    /// The memory that the adapter's tensors take, in bytes.
    pub bytes: u64,
    /// The operations that the adapter adds for each row, FLOP. A multiply-add counts as two.
    pub flops_per_row: f64,
    /// The highest rank of the low-rank factors.
    pub rank: usize,
}

impl AdapterTotals {
    /// Adds the sizes of another layer. The operations are not added here, because the caller has to weight them by
    /// [`ModuleUsage`].
    pub(crate) fn add(&mut self, other: &Self) {
        self.modules += other.modules;
        self.parameters += other.parameters;
        self.bytes += other.bytes;
        self.rank = self.rank.max(other.rank);
    }

    /// Counts low-rank factors with their bias and magnitude.
    pub(crate) fn count_factors(&mut self, factors: &Factors, placement: &Placement) {
        let numbers = factors.down.len() + factors.up.len();
        self.count(numbers, placement.dtype.size());
        self.flops_per_row += 2.0 * numbers as f64;
        self.rank = self.rank.max(factors.rank);
        self.count_vector(factors.bias.as_ref().map_or(0, Vec::len));
        self.count_vector(factors.magnitude.as_ref().map_or(0, Vec::len));
    }

    /// Counts `numbers` parameters that replace the base model's, for which a weight of `kept` numbers stays in
    /// memory.
    pub(crate) fn count_saved(&mut self, numbers: usize, kept: usize, placement: &Placement) {
        self.parameters += numbers as u64;
        self.bytes += (kept * placement.dtype.size()) as u64;
    }

    /// Counts a vector, which is stored in f32.
    pub(crate) fn count_vector(&mut self, numbers: usize) {
        self.count(numbers, size_of::<f32>());
    }

    fn count(&mut self, numbers: usize, size: usize) {
        self.parameters += numbers as u64;
        self.bytes += (numbers * size) as u64;
    }
}
