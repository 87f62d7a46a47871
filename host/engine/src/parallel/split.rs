//! How a model is split over ranks, and which splits a model allows.

use crate::{Error, Result};
use llem_checkpoint::Shape;
use serde::{Deserialize, Serialize};
use std::{fmt, ops::Range};

/// How a model is split over ranks. Rank `(d · pipeline + p) · tensor + t` is tensor rank `t` of stage `p` of replica
/// `d`: the ranks that communicate most are next to each other, as in Megatron-LM (arXiv 2104.04473).
///
/// ```
/// use llem_engine::Split;
///
/// let split = Split::new(2, 3, 1);
/// assert_eq!(split.ranks(), 6);
/// // Ten layers in three stages.
/// assert_eq!([0, 1, 2].map(|stage| split.layers_of(stage, 10)), [0..3, 3..6, 6..10]);
/// assert_eq!(split.to_string(), "tp2 pp3 dp1");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Number of ranks that share every matrix product (Megatron-LM, arXiv 1909.08053).
    pub tensor: usize,
    /// Number of stages that share the layers (GPipe, arXiv 1811.06965).
    pub pipeline: usize,
    /// Number of copies of the model, which share the requests.
    pub data: usize,
    /// Whether each tensor rank has whole experts (expert parallelism), instead of a part of every expert.
    pub experts: bool,
    /// Whether both factors of an adapter are split (S-LoRA, arXiv 2311.03285, section 6), instead of only the factor
    /// next to a split weight.
    pub sharded_adapters: bool,
    /// Number of parts that a pass is split into, so that stages work at the same time. `None` means as many as
    /// stages.
    pub microbatches: Option<usize>,
}

impl Default for Split {
    fn default() -> Self {
        Self::new(1, 1, 1)
    }
}

impl Split {
    /// Creates a split into tensor ranks, stages and replicas, with defaults for the other fields.
    pub fn new(tensor: usize, pipeline: usize, data: usize) -> Self {
        let (experts, sharded_adapters, microbatches) = (false, false, None);
        Self { tensor, pipeline, data, experts, sharded_adapters, microbatches }
    }

    /// Returns the number of ranks of one copy of the model.
    pub(crate) fn ranks_of_replica(&self) -> usize {
        self.tensor * self.pipeline
    }

    /// Returns the number of ranks of all copies.
    pub fn ranks(&self) -> usize {
        self.ranks_of_replica() * self.data
    }

    /// Returns the layers of stage `stage` if the model has `layers` of them.
    pub fn layers_of(&self, stage: usize, layers: usize) -> Range<usize> {
        part_range(layers, stage, self.pipeline)
    }

    /// Refuses a split that the model does not allow, and says which splits it allows. `block` is the number of
    /// inputs of a quantised weight that must stay together.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`], which names the flag to change.
    pub fn check(&self, shape: &Shape, block: usize) -> Result<()> {
        let refuse = |message: String| Err(Error::Invalid(message));
        if self.tensor == 0 || self.pipeline == 0 || self.data == 0 || self.microbatches == Some(0)
        {
            return refuse(
                "tensor, pipeline, data and microbatches of a split must be at least 1".to_owned(),
            );
        }
        if !can_split_heads(shape, self.tensor) {
            return refuse(format!(
                "--tp {} cannot split {} query and {} key heads evenly: use --tp {}",
                self.tensor,
                shape.heads,
                shape.kv_heads,
                listed((1..=shape.heads).filter(|&count| can_split_heads(shape, count)))
            ));
        }
        if !has_no_cut_block(shape, self.tensor, block) {
            return refuse(format!(
                "--tp {} would cut the checkpoint's blocks of {block} numbers: use --tp {}, or weights that are not quantised",
                self.tensor,
                listed((1..=shape.heads).filter(|&count| {
                    can_split_heads(shape, count) && has_no_cut_block(shape, count, block)
                }))
            ));
        }
        if self.pipeline > shape.layers {
            return refuse(format!(
                "--pp {} is more stages than the model has layers: use --pp 1 to {}",
                self.pipeline, shape.layers
            ));
        }
        match shape.experts {
            None if self.experts => refuse(
                "--ep deals experts out among ranks, and this model has none: leave it out"
                    .to_owned(),
            ),
            Some(experts) if self.experts && experts.count < self.tensor => refuse(format!(
                "--ep with --tp {} leaves ranks without any of the model's {} experts: use --tp {}",
                self.tensor,
                experts.count,
                listed((1..=experts.count).filter(|&count| can_split_heads(shape, count)))
            )),
            _ => Ok(()),
        }
    }
}

/// Returns true if so many ranks can share the attention: every rank has the same number of query heads, and either
/// the same number of key heads or one key head that it shares with as many ranks as the others do.
fn can_split_heads(shape: &Shape, ranks: usize) -> bool {
    let keys = shape.kv_heads;
    shape.heads.is_multiple_of(ranks) && (keys.is_multiple_of(ranks) || ranks.is_multiple_of(keys))
}

/// Returns true if no block is cut: each rank's inputs of the output projection, which belong to its heads, are whole
/// blocks, and the MLP has at least one block for each rank.
fn has_no_cut_block(shape: &Shape, ranks: usize, block: usize) -> bool {
    let heads = shape.heads / ranks * shape.head_dim;
    let width = shape.experts.map_or(shape.intermediate, |experts| experts.intermediate);
    ranks == 1 || (heads.is_multiple_of(block) && (width / block >= ranks))
}

fn listed(counts: impl Iterator<Item = usize>) -> String {
    let counts: Vec<String> = counts.map(|count| count.to_string()).collect();
    match &counts[..] {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => counts.concat(),
    }
}

/// Returns part `index` of `total` items in `count` parts whose sizes differ by at most one.
pub(crate) fn part_range(total: usize, index: usize, count: usize) -> Range<usize> {
    total * index / count..total * (index + 1) / count
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tp{} pp{} dp{}", self.tensor, self.pipeline, self.data)?;
        f.write_str(if self.experts { " ep" } else { "" })
    }
}
