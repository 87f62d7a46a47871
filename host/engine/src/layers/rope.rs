//! Rotary position embedding (arXiv 2104.09864): cosines and sines, and rotating by them.

use super::packing::Span;
use llem_checkpoint::families::Rope;

/// Cosines and sines at some positions, both `[positions, half]`.
pub struct Angles {
    /// Pairs of dimensions that are rotated.
    pub half: usize,
    /// `[positions, half]`
    pub cos: Vec<f32>,
    /// `[positions, half]`
    pub sin: Vec<f32>,
}

impl Angles {
    /// Cosines and sines at each position of sequences. The angle is taken in f32, as transformers does, so
    /// that long contexts round alike.
    pub fn new(rope: &Rope, spans: &[Span]) -> Self {
        let half = rope.pairs();
        let rows: usize = spans.iter().map(|span| span.len).sum();
        let mut cos = Vec::with_capacity(rows * half);
        let mut sin = Vec::with_capacity(rows * half);
        for span in spans {
            let frequencies = rope.frequencies_at(span.length);
            for position in span.past..span.past + span.len {
                for frequency in &frequencies[..] {
                    let (sine, cosine) = (position as f32 * frequency).sin_cos();
                    cos.push(cosine * rope.factor);
                    sin.push(sine * rope.factor);
                }
            }
        }
        Self { half, cos, sin }
    }

    /// Rotates one head in place: dimension i with dimension i + half.
    #[inline]
    pub fn rotate(&self, position: usize, head: &mut [f32]) {
        let cos = &self.cos[position * self.half..][..self.half];
        let sin = &self.sin[position * self.half..][..self.half];
        let (first, rest) = head.split_at_mut(self.half);
        for (((a, b), cos), sin) in first.iter_mut().zip(rest).zip(cos).zip(sin) {
            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
        }
    }
}
