//! What the parts of a model have in common that adapters change.

use super::weight::Placement;
use crate::{
    Result,
    adapters::{AdapterId, AdapterTensors, Factors},
};
use serde::{Deserialize, Serialize};

/// A part of a model that adapters change.
pub trait Adapt {
    /// Takes from an adapter what it says of this part.
    fn attach(&mut self, id: AdapterId, tensors: &mut AdapterTensors) -> Result<Added>;
    /// Whether what this part adds is told by this rank: of parts that several ranks have or share, the
    /// first tells all of it.
    fn tells(&self) -> bool;
    /// Forgets an adapter.
    fn detach(&mut self, id: AdapterId);
    /// Puts what an attached adapter changes into the weights.
    fn merge(&mut self, id: AdapterId) -> Result<()>;
    /// Makes the weights what they were before `merge`.
    fn unmerge(&mut self) -> Result<()>;
    /// Tells a device which adapters are attached, in the order of their slots, and what each changes; called after any of
    /// the above.
    fn publish(&mut self, slots: &[AdapterId]) -> Result<()>;
}

/// What each attached adapter changes about a part.
pub struct Changes<T>(Vec<(AdapterId, T)>);

impl<T> Changes<T> {
    /// Nothing.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// What an adapter changes, if it changes anything.
    pub fn of(&self, adapter: AdapterId) -> Option<&T> {
        self.0.iter().find(|(id, _)| *id == adapter).map(|(_, change)| change)
    }

    /// Notes what an adapter changes.
    pub fn add(&mut self, adapter: AdapterId, change: T) {
        self.0.push((adapter, change));
    }

    /// Forgets an adapter.
    pub fn forget(&mut self, adapter: AdapterId) {
        self.0.retain(|(id, _)| *id != adapter);
    }
}

/// How often a part is run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Use {
    /// For this share of all tokens: 1, or that of a token's experts.
    Tokens(f64),
    /// For positions whose logits are needed.
    Logits,
}

/// What an adapter adds to a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Added {
    /// Modules that it changes.
    pub modules: usize,
    /// Numbers that it brings.
    pub parameters: u64,
    /// Bytes of them in memory.
    pub bytes: u64,
    /// Operations of its products for each row, a multiply-add counted as two.
    pub flops_per_row: f64,
    /// The highest rank of its factors.
    pub rank: usize,
}

impl Added {
    /// What two parts add together, the operations aside, which depend on how often each is run.
    pub fn and(&mut self, other: &Self) {
        self.modules += other.modules;
        self.parameters += other.parameters;
        self.bytes += other.bytes;
        self.rank = self.rank.max(other.rank);
    }

    /// Counts the factors of a product.
    pub fn count_factors(&mut self, factors: &Factors, place: &Placement) {
        let numbers = factors.down.len() + factors.up.len();
        self.count(numbers, place.dtype.size());
        self.flops_per_row += 2.0 * numbers as f64;
        self.rank = self.rank.max(factors.rank);
        self.count_vector(factors.bias.as_ref().map_or(0, Vec::len));
        self.count_vector(factors.magnitude.as_ref().map_or(0, Vec::len));
    }

    /// Counts numbers that stand in place of the base model's, and the whole weight that is kept with them.
    pub fn count_saved(&mut self, numbers: usize, kept: usize, place: &Placement) {
        self.parameters += numbers as u64;
        self.bytes += (kept * place.dtype.size()) as u64;
    }

    /// Counts a vector, which is kept in f32.
    pub fn count_vector(&mut self, numbers: usize) {
        self.count(numbers, size_of::<f32>());
    }

    fn count(&mut self, numbers: usize, size: usize) {
        self.parameters += numbers as u64;
        self.bytes += (numbers * size) as u64;
    }
}
