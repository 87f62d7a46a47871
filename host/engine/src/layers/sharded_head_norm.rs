//! A norm over all heads of a token (OLMo 2) whose heads are spread over ranks.
//!
//! The ranks sum their squares first. Then each rank normalises its own heads.

use super::cpu_tensor;
use crate::{Result, parallel::Shard};
use llem_checkpoint::Shape;

/// The sizes that ranks need for the norms of queries and keys. Index 0 is for queries, index 1 for keys.
pub(super) struct ShardedHeadNorm {
    /// The numbers that each norm covers, on all ranks together.
    widths: [usize; 2],
    /// The factor of this rank's squares. A key head that several ranks have counts once in the sum.
    shares: [f32; 2],
    shard: Shard,
}

impl ShardedHeadNorm {
    /// Makes the norm from a model's shape. Returns `None` if one rank has all heads.
    pub(super) fn from_shape(shape: &Shape, shard: &Shard) -> Option<Self> {
        let widths = [shape.heads, shape.kv_heads].map(|heads| heads * shape.head_dim);
        let copies = shard.count.div_ceil(shape.kv_heads).max(1);
        let shares = [1.0, 1.0 / copies as f32];
        (!shard.is_unsplit()).then(|| Self { widths, shares, shard: shard.clone() })
    }

    /// Computes the mean squares over all ranks' heads. Each row of `numbers` begins with this rank's queries and
    /// keys.
    ///
    /// # Shapes
    /// - `numbers`: `[rows, width]`, flat
    /// - returns: `[rows, 2]`, flat: the mean square of the queries, then of the keys
    pub(super) fn mean_squares(
        &self,
        numbers: &[f32],
        width: usize,
        [queries, keys]: [usize; 2],
    ) -> Result<Vec<f32>> {
        let sum = |part: &[f32], which: usize| {
            let squares: f32 = part.iter().map(|x| x * x).sum();
            squares * self.shares[which] / self.widths[which] as f32
        };
        let both = numbers
            .chunks_exact(width)
            .flat_map(|row| [sum(&row[..queries], 0), sum(&row[queries..queries + keys], 1)]);
        let all = self.shard.sum(cpu_tensor::from_rows(both.collect(), 2)?)?;
        Ok(all.flatten_all()?.to_vec1()?)
    }

    /// Returns the factors by which a rank multiplies its sums of squares, of queries and of keys, before the ranks'
    /// sums are added.
    pub(super) fn factors(&self) -> [f32; 2] {
        [0, 1].map(|which| self.shares[which] / self.widths[which] as f32)
    }
}
