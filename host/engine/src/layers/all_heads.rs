//! A norm over all heads of a token (OLMo 2), where each rank has some of them: ranks add up their squares
//! first, and then normalise each its own.

use super::host;
use crate::{Result, parallel::Shard};
use llem_checkpoint::families::Shape;

/// What the ranks need for the norms of queries and of keys.
pub struct AllHeads {
    /// Numbers that each norm is over, on all ranks.
    widths: [usize; 2],
    /// The share of this rank's squares that counts: key heads that several ranks have count once.
    shares: [f32; 2],
    shard: Shard,
}

impl AllHeads {
    /// None where one rank has all heads.
    pub fn of(shape: &Shape, shard: &Shard) -> Option<Self> {
        let widths = [shape.heads, shape.kv_heads].map(|heads| heads * shape.head_dim);
        let copies = shard.count.div_ceil(shape.kv_heads).max(1);
        let shares = [1.0, 1.0 / copies as f32];
        (!shard.is_whole()).then(|| Self { widths, shares, shard: shard.clone() })
    }

    /// Mean squares of all heads' queries and of their keys, `[rows, 2]`, where a row of `numbers` begins
    /// with this rank's `queries` and `keys`.
    pub fn on_host(
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
        let all = self.shard.sum(host::rows(both.collect(), 2)?)?;
        Ok(all.flatten_all()?.to_vec1()?)
    }

    /// What a sum of squares of queries, and one of keys, is multiplied with before the ranks' are added up.
    pub fn factors(&self) -> [f32; 2] {
        [0, 1].map(|which| self.shares[which] / self.widths[which] as f32)
    }
}
