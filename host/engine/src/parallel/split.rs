//! How a model is split over ranks, and which splits a model can have.

use crate::{Error, Result};
use llem_checkpoint::families::Shape;
use serde::{Deserialize, Serialize};
use std::{fmt, ops::Range};

/// How a model is split. Rank `(d · pipeline + p) · tensor + t` is tensor rank `t` of stage `p` of
/// replica `d`: ranks that talk most are neighbours, as Megatron-LM orders them (arXiv 2104.04473).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Ranks that share every product (Megatron-LM, arXiv 1909.08053).
    pub tensor: usize,
    /// Stages that share the layers (GPipe, arXiv 1811.06965).
    pub pipeline: usize,
    /// Copies of the model that share the requests.
    pub data: usize,
    /// Whether whole experts are dealt out among the tensor ranks, rather than each being cut.
    pub experts: bool,
    /// Whether both factors of an adapter are cut (S-LoRA, arXiv 2311.03285, section 6), rather than the
    /// one that is multiplied with what is cut already.
    pub sharded_adapters: bool,
    /// Parts that a pass is cut into, so that stages work at the same time; none means as many as stages.
    pub microbatches: Option<usize>,
}

impl Default for Split {
    fn default() -> Self {
        Self::of(1, 1, 1)
    }
}

impl Split {
    /// With everything but the three sizes as it usually is.
    pub fn of(tensor: usize, pipeline: usize, data: usize) -> Self {
        let (experts, sharded_adapters, microbatches) = (false, false, None);
        Self { tensor, pipeline, data, experts, sharded_adapters, microbatches }
    }

    /// Ranks of one copy of the model.
    pub fn ranks_of_replica(&self) -> usize {
        self.tensor * self.pipeline
    }

    /// All ranks.
    pub fn ranks(&self) -> usize {
        self.ranks_of_replica() * self.data
    }

    /// The layers of a stage.
    pub fn layers_of(&self, stage: usize, layers: usize) -> Range<usize> {
        part(layers, stage, self.pipeline)
    }

    /// Refuses a split that this model cannot have, and says which it can. `block` inputs of a weight are
    /// kept together.
    pub fn check(&self, shape: &Shape, block: usize) -> Result<()> {
        let refuse = |message: String| Err(Error::Invalid(message));
        if self.tensor == 0 || self.pipeline == 0 || self.data == 0 || self.microbatches == Some(0)
        {
            return refuse(
                "tensor, pipeline, data and microbatches of a split must be at least 1".to_owned(),
            );
        }
        if !takes_tensor(shape, self.tensor) {
            return refuse(format!(
                "--tp {} cannot split {} query and {} key heads evenly: use --tp {}",
                self.tensor,
                shape.heads,
                shape.kv_heads,
                listed((1..=shape.heads).filter(|&count| takes_tensor(shape, count)))
            ));
        }
        if !cuts_no_block(shape, self.tensor, block) {
            return refuse(format!(
                "--tp {} would cut the checkpoint's blocks of {block} numbers: use --tp {}, or weights that are not quantised",
                self.tensor,
                listed((1..=shape.heads).filter(|&count| {
                    takes_tensor(shape, count) && cuts_no_block(shape, count, block)
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
                listed((1..=experts.count).filter(|&count| takes_tensor(shape, count)))
            )),
            _ => Ok(()),
        }
    }
}

/// Whether so many ranks can share the attention: each has as many query heads as the others, and either
/// as many key heads, or one that it shares with the same number of others.
fn takes_tensor(shape: &Shape, ranks: usize) -> bool {
    let keys = shape.kv_heads;
    shape.heads.is_multiple_of(ranks) && (keys.is_multiple_of(ranks) || ranks.is_multiple_of(keys))
}

/// Whether a rank's inputs of O, which are its heads', are whole blocks, and there are blocks enough for
/// each to have some of the MLP's.
fn cuts_no_block(shape: &Shape, ranks: usize, block: usize) -> bool {
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

/// The part `index` of `total` in `count` parts that differ by at most one.
pub fn part(total: usize, index: usize, count: usize) -> Range<usize> {
    total * index / count..total * (index + 1) / count
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tp{} pp{} dp{}", self.tensor, self.pipeline, self.data)?;
        f.write_str(if self.experts { " ep" } else { "" })
    }
}
