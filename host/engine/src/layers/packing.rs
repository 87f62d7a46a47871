//! How the tokens of several sequences lie in one packed batch.

use crate::Result;
use candle_core::{Device, Tensor};

/// Queries that attend at once. Bounds the score matrix of a long prompt.
const QUERY_BLOCK: usize = 128;

/// New tokens of one sequence.
pub struct Segment<'a> {
    /// Which KV cache is the sequence's.
    pub slot: usize,
    /// The tokens; at least one.
    pub tokens: &'a [u32],
}

/// A sequence's rows within the packed batch.
pub struct Span {
    /// Which KV cache is the sequence's.
    pub slot: usize,
    /// First row.
    pub start: usize,
    /// Rows.
    pub len: usize,
    /// Tokens already in the KV cache.
    pub past: usize,
    /// The queries in blocks.
    pub blocks: Vec<QueryBlock>,
}

/// Consecutive queries of one sequence and what they see.
pub struct QueryBlock {
    /// First query, relative to the span.
    pub start: usize,
    /// Queries.
    pub len: usize,
    /// Keys that the last query sees.
    pub visible: usize,
    /// 0 where a query sees a key and -inf where not, `[len, visible]`; none for one query, which
    /// sees everything.
    pub mask: Option<Tensor>,
}

/// What every layer of a forward pass shares.
pub struct Packing {
    /// The sequences, in row order.
    pub spans: Vec<Span>,
    /// RoPE's cosines, `[tokens, head_dim / 2]`.
    pub cos: Tensor,
    /// RoPE's sines, `[tokens, head_dim / 2]`.
    pub sin: Tensor,
}

impl Span {
    /// Lays `len` new tokens after `past` old ones. Masks are f32, for scores are.
    pub fn new(
        slot: usize,
        start: usize,
        len: usize,
        past: usize,
        device: &Device,
    ) -> Result<Self> {
        let mut blocks = Vec::with_capacity(len.div_ceil(QUERY_BLOCK));
        for first in (0..len).step_by(QUERY_BLOCK) {
            let count = QUERY_BLOCK.min(len - first);
            let visible = past + first + count;
            let mask = (count > 1)
                .then(|| {
                    let cell = |query: usize, key: usize| {
                        if key > past + first + query { f32::NEG_INFINITY } else { 0.0 }
                    };
                    let values: Vec<f32> = (0..count)
                        .flat_map(|query| (0..visible).map(move |key| cell(query, key)))
                        .collect();
                    Tensor::from_vec(values, (count, visible), device)
                })
                .transpose()?;
            blocks.push(QueryBlock { start: first, len: count, visible, mask });
        }
        Ok(Self { slot, start, len, past, blocks })
    }

    /// The positions of its tokens.
    pub fn positions(&self) -> impl Iterator<Item = usize> {
        self.past..self.past + self.len
    }
}
