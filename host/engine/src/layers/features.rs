//! Which features of a product a rank has: the modules that it is made of, their outputs and its inputs.

use super::weight::Placement;
use crate::adapters::{Tie, WholeModule};
use llem_checkpoint::adapters::Role;
use std::{iter, ops::Range, sync::Arc};

/// What a product is made of in the checkpoint, and which part of it this rank has.
pub struct Product<'a> {
    /// Modules below one another.
    pub parts: Vec<Part<'a>>,
    /// What they are multiplied with.
    pub inputs: Inputs,
    /// Whether each has a bias.
    pub bias: bool,
    /// Whether weights are kept as `[inputs, outputs]`.
    pub transposed: bool,
}

/// A module, `[outputs, inputs]`.
pub struct Part<'a> {
    /// What the checkpoint calls it.
    pub name: &'a str,
    /// Its output features.
    pub outputs: usize,
    /// Those that this rank has, in order.
    pub kept: Vec<Range<usize>>,
}

impl<'a> Part<'a> {
    /// All of a module.
    pub fn whole(name: &'a str, outputs: usize) -> Self {
        Self::some(name, outputs, 0..outputs)
    }

    /// Some outputs of a module, one after another.
    pub fn some(name: &'a str, outputs: usize, kept: Range<usize>) -> Self {
        Self { name, outputs, kept: iter::once(kept).collect() }
    }
}

/// The input features of a product.
#[derive(Clone)]
pub struct Inputs {
    /// How many the whole product has.
    pub all: usize,
    /// Those that this rank has. With less than all, what it computes is a term of the result.
    pub taken: Range<usize>,
    /// Whether the ranks' terms are added up here, rather than by whoever asked.
    pub summed: bool,
}

impl Inputs {
    /// All of them.
    pub fn whole(all: usize) -> Self {
        Self { all, taken: 0..all, summed: false }
    }

    /// Some, of which the result is a term.
    pub fn term(all: usize, taken: Range<usize>) -> Self {
        Self { all, taken, summed: false }
    }

    /// Some, the ranks' terms being added up.
    pub fn summed(all: usize, taken: Range<usize>) -> Self {
        Self { all, taken, summed: true }
    }
}

impl Inputs {
    /// Whether biases are added by this rank: of a sum's terms, only the first has them.
    pub(super) fn has_vectors(&self, place: &Placement) -> bool {
        self.taken == (0..self.all) || place.shard.index == 0
    }
}

/// The row of the checkpoint for a row of ours.
pub type Order = Arc<dyn Fn(usize) -> usize + Send + Sync>;

/// A part of a product that the checkpoint has a name for.
#[derive(Clone)]
pub struct Module {
    /// transformers' name: `model.layers.0.self_attn.q_proj`.
    pub name: String,
    /// What kind of module it is.
    pub role: Role,
    /// Its output features among those of the product, as far as this rank has them.
    pub outputs: Range<usize>,
    /// Its output features in the checkpoint.
    pub whole: usize,
    /// Where its rows lie in the checkpoint, if not all of them in this order.
    pub order: Option<Order>,
    /// Whether the checkpoint keeps it as `[inputs, outputs]`.
    pub transposed: bool,
    /// What it shares its weight with.
    pub tie: Option<Arc<Tie>>,
}

impl Module {
    /// What an adapter is asked for, of as many inputs.
    pub fn whole(&self, inputs: usize) -> WholeModule<'_> {
        WholeModule {
            name: &self.name,
            role: self.role,
            tie: self.tie.as_deref(),
            rows: self.whole,
            columns: inputs,
            transposed: self.transposed,
        }
    }
}

/// Rows of ranges one after another.
pub fn in_turn(ranges: Vec<Range<usize>>) -> Order {
    Arc::new(move |mut row| {
        for range in &ranges {
            if row < range.len() {
                return range.start + row;
            }
            row -= range.len();
        }
        row
    })
}
