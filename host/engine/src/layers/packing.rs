//! How the tokens of several sequences lie in one packed batch.

use super::{AdapterRows, rope::Angles};
use crate::adapters::AdapterId;
use llem_checkpoint::families::Rope;

/// New tokens of one sequence.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Which KV cache is the sequence's.
    pub slot: usize,
    /// Tokens that are in it already.
    pub past: usize,
    /// The tokens; at least one.
    pub tokens: &'a [u32],
    /// Tokens of the sequence after this pass, or all of its prompt while that is being run: what a rotary embedding may
    /// depend on.
    pub length: usize,
    /// What they run with.
    pub adapter: Option<AdapterId>,
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
    /// As of its [`Segment`].
    pub length: usize,
}

/// What every layer of a forward pass shares.
pub struct Packing {
    /// The sequences, in row order.
    pub spans: Vec<Span>,
    /// The position of each row.
    pub positions: Vec<usize>,
    /// Of each of the model's rotary embeddings.
    pub angles: Vec<Angles>,
    /// The rows that run with adapters.
    pub adapters: AdapterRows,
}

impl Packing {
    /// Lays out segments.
    pub fn new(segments: &[Segment<'_>], ropes: &[Rope]) -> Self {
        let mut start = 0;
        let spans: Vec<Span> = segments
            .iter()
            .map(|segment| {
                let len = segment.tokens.len();
                start += len;
                let Segment { slot, past, length, .. } = *segment;
                Span { slot, start: start - len, len, past, length }
            })
            .collect();
        let positions: Vec<usize> =
            spans.iter().flat_map(|span| span.past..span.past + span.len).collect();
        let angles = ropes.iter().map(|rope| Angles::new(rope, &spans)).collect();
        let runs = segments.iter().map(|segment| (segment.adapter, segment.tokens.len()));
        Self { spans, positions, angles, adapters: AdapterRows::of(runs) }
    }
}
