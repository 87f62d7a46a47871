//! Rotary position embedding (arXiv 2104.09864) on the CPU.

use super::packing::RowRange;
use llem_checkpoint::Rope;

/// The cosines and sines of the rows of a pass.
pub(crate) struct Angles {
    /// The number of pairs of dimensions that are rotated.
    pub half: usize,
    /// The cosines, `[rows, half]`, times the embedding's factor.
    pub cos: Vec<f32>,
    /// The sines, `[rows, half]`, times the embedding's factor.
    pub sin: Vec<f32>,
}

impl Angles {
    /// Computes cosines and sines for each row. The angle is computed in f32, as in transformers, so that positions
    /// of long contexts round alike.
    pub(crate) fn new(rope: &Rope, ranges: &[RowRange]) -> Self {
        let half = rope.pairs();
        let rows: usize = ranges.iter().map(|range| range.len).sum();
        let mut cos = Vec::with_capacity(rows * half);
        let mut sin = Vec::with_capacity(rows * half);
        for range in ranges {
            let frequencies = rope.frequencies_at(range.length);
            for position in range.past..range.past + range.len {
                for frequency in &frequencies[..] {
                    let (sine, cosine) = (position as f32 * frequency).sin_cos();
                    cos.push(cosine * rope.factor);
                    sin.push(sine * rope.factor);
                }
            }
        }
        Self { half, cos, sin }
    }

    /// Rotates one head in place: dimension `i` with dimension `i + half`.
    ///
    /// # Shapes
    /// - `head`: `[head_dim]`, where `head_dim` is at least `2 * half`
    #[inline]
    pub(crate) fn rotate(&self, position: usize, head: &mut [f32]) {
        let cos = &self.cos[position * self.half..][..self.half];
        let sin = &self.sin[position * self.half..][..self.half];
        let (first, rest) = head.split_at_mut(self.half);
        for (((a, b), cos), sin) in first.iter_mut().zip(rest).zip(cos).zip(sin) {
            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
        }
    }
}
