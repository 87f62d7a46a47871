//! The layout of several sequences' tokens in one packed batch.
//!
//! ```text
//! rows        0  1  2 │ 3 │ 4  5
//! sequence    a  a  a │ b │ c  c        a RowRange each
//! position    0  1  2 │ 9 │ 4  5        c has 4 tokens in its KV cache already
//! ```

use super::{AdapterRows, rope::Angles};
use crate::adapters::AdapterId;
use llem_checkpoint::Rope;

/// The new tokens of one sequence in a forward pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PassSegment<'a> {
    /// The index of the sequence's KV cache.
    pub slot: usize,
    /// The tokens that the KV cache has already.
    pub past: usize,
    /// The new tokens. There is at least one.
    pub tokens: &'a [u32],
    /// The length of the sequence after this pass, in tokens. While a prompt runs in several passes, it is the length
    /// of the whole prompt. The frequencies of some rotary embeddings depend on it.
    pub length: usize,
    /// The adapter that the tokens run with. `None` means the base weights.
    pub adapter: Option<AdapterId>,
    /// Whether the tokens are part of a prompt. The decoder computes both kinds alike.
    pub is_prompt: bool,
}

/// The rows of one sequence within the packed batch.
pub(crate) struct RowRange {
    /// The index of the sequence's KV cache.
    pub slot: usize,
    /// The first row.
    pub start: usize,
    /// The number of rows.
    pub len: usize,
    /// The tokens that the KV cache has already.
    pub past: usize,
    /// The length of the sequence, as [`PassSegment::length`] defines it.
    pub length: usize,
}

/// The layout of a forward pass, which all layers share.
pub(crate) struct Packing {
    /// The rows of each sequence, in row order.
    pub ranges: Vec<RowRange>,
    /// The position of each row in its sequence.
    pub positions: Vec<usize>,
    /// The angles of each row, one entry for each of the model's rotary embeddings.
    pub angles: Vec<Angles>,
    /// The rows that run with adapters.
    pub adapters: AdapterRows,
}

impl Packing {
    /// Lays out the segments one after another.
    pub(crate) fn new(segments: &[PassSegment<'_>], ropes: &[Rope]) -> Self {
        let mut start = 0;
        let ranges: Vec<RowRange> = segments
            .iter()
            .map(|segment| {
                let len = segment.tokens.len();
                start += len;
                let PassSegment { slot, past, length, .. } = *segment;
                RowRange { slot, start: start - len, len, past, length }
            })
            .collect();
        let positions: Vec<usize> =
            ranges.iter().flat_map(|range| range.past..range.past + range.len).collect();
        let angles = ropes.iter().map(|rope| Angles::new(rope, &ranges)).collect();
        let runs = segments.iter().map(|segment| (segment.adapter, segment.tokens.len()));
        Self { ranges, positions, angles, adapters: AdapterRows::from_runs(runs) }
    }
}
