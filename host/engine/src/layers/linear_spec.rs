//! The description of a linear layer in the checkpoint: its modules, and the features that this rank has.
//!
//! A [`LinearSpec`] says what [`Linear::load`](super::Linear::load) reads. A [`LinearModule`] is what remains of each
//! module after loading: adapters find their tensors by it.
//!
//! ```text
//! checkpoint    q_proj [q, in]    k_proj [k, in]    v_proj [v, in]
//!                   │ kept            │ kept            │ kept           (a ModuleSlice each)
//!                   ▼                 ▼                 ▼
//! Linear        [ own q rows     |  own k rows     |  own v rows ]       outputs of this rank
//! ```

use super::placement::Placement;
use crate::adapters::{Tie, WholeModule};
use llem_checkpoint::ModuleKind;
use std::{iter, ops::Range, sync::Arc};

/// A linear layer as the checkpoint has it, and the part of it that this rank has.
pub(crate) struct LinearSpec<'a> {
    /// The modules whose weights are stacked, first to last.
    pub modules: Vec<ModuleSlice<'a>>,
    /// The input features of every module.
    pub inputs: InputFeatures,
    /// True if every module has a bias.
    pub bias: bool,
    /// True if the checkpoint stores weights as `[inputs, outputs]`.
    pub transposed: bool,
}

/// The output features of one module, `[outputs, inputs]`, that this rank has.
pub(crate) struct ModuleSlice<'a> {
    /// The module's name below the layer's prefix.
    pub name: &'a str,
    /// The module's output features in the checkpoint.
    pub outputs: usize,
    /// The output features that this rank has, in the order in which it has them.
    pub kept: Vec<Range<usize>>,
}

impl<'a> ModuleSlice<'a> {
    /// Takes all output features of a module.
    pub(crate) fn new(name: &'a str, outputs: usize) -> Self {
        Self::with_range(name, outputs, 0..outputs)
    }

    /// Takes one range of a module's output features.
    pub(crate) fn with_range(name: &'a str, outputs: usize, kept: Range<usize>) -> Self {
        Self { name, outputs, kept: iter::once(kept).collect() }
    }
}

/// The input features of a linear layer.
#[derive(Clone)]
pub(crate) struct InputFeatures {
    /// The input features on all ranks together.
    pub total: usize,
    /// The input features that this rank has. If these are not all, the rank's result is one term of a sum.
    pub own: Range<usize>,
    /// True if the layer itself sums the ranks' terms. Otherwise its caller does.
    pub summed: bool,
}

impl InputFeatures {
    /// Takes all input features.
    pub(crate) fn new(total: usize) -> Self {
        Self { total, own: 0..total, summed: false }
    }

    /// Takes a range of the input features. The caller sums the ranks' results.
    pub(crate) fn with_shard(total: usize, own: Range<usize>) -> Self {
        Self { total, own, summed: false }
    }

    /// Takes a range of the input features. The layer sums the ranks' results.
    pub(crate) fn with_summed_shard(total: usize, own: Range<usize>) -> Self {
        Self { total, own, summed: true }
    }
}

impl InputFeatures {
    /// Returns true if this rank adds the bias. Of the ranks whose terms are summed, only the first one does, so that
    /// the bias is added once.
    pub(super) fn has_vectors(&self, placement: &Placement) -> bool {
        self.own == (0..self.total) || placement.shard.index == 0
    }
}

/// Returns the checkpoint's row for a row of this rank.
pub(crate) type RowOrder = Arc<dyn Fn(usize) -> usize + Send + Sync>;

/// A module of the checkpoint within a linear layer.
#[derive(Clone)]
pub(crate) struct LinearModule {
    /// The module's name in transformers, for example `model.layers.0.self_attn.q_proj`.
    pub name: String,
    pub role: ModuleKind,
    /// The layer's output features that come from this module, as far as this rank has them.
    pub outputs: Range<usize>,
    /// The module's output features in the checkpoint.
    pub checkpoint_outputs: usize,
    /// The order of the module's rows, or `None` if this rank has all rows in the checkpoint's order.
    pub order: Option<RowOrder>,
    /// True if the checkpoint stores the weight as `[inputs, outputs]`.
    pub transposed: bool,
    /// The embedding that the module shares its weight with, for a tied LM head.
    pub tie: Option<Arc<Tie>>,
}

impl LinearModule {
    /// Describes the whole module, with `inputs` input features, to an adapter's tensors.
    pub(crate) fn to_whole_module(&self, inputs: usize) -> WholeModule<'_> {
        WholeModule {
            name: &self.name,
            role: self.role,
            tie: self.tie.as_deref(),
            rows: self.checkpoint_outputs,
            columns: inputs,
            transposed: self.transposed,
        }
    }
}

/// Returns the order of rows that are taken range by range.
pub(super) fn concatenate_ranges(ranges: Vec<Range<usize>>) -> RowOrder {
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
