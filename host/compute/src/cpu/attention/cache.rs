//! Keys and values of one layer of one sequence, as attention reads them.

use crate::cpu::{
    parallel::{SharedRows, share},
    simd::{LANES, Simd},
};
use half::{bf16, f16};

/// Positions of a block of keys.
pub const KEY_BLOCK: usize = 2 * LANES;
/// A number format of cached keys and values.
pub trait Cached: Copy + Default + Send + Sync + 'static {
    /// Rounds.
    fn from_f32(x: f32) -> Self;
    /// Sixteen, widened.
    ///
    /// # Safety
    /// The processor has `S`, and sixteen numbers lie at `from`.
    unsafe fn load<S: Simd>(from: *const Self) -> S::V;
}

impl Cached for f32 {
    fn from_f32(x: f32) -> Self {
        x
    }
    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const Self) -> S::V {
        // SAFETY: the caller's.
        unsafe { S::load(from) }
    }
}

impl Cached for bf16 {
    fn from_f32(x: f32) -> Self {
        Self::from_f32(x)
    }
    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const Self) -> S::V {
        // SAFETY: the caller's.
        unsafe { S::load_bf16(from) }
    }
}

impl Cached for f16 {
    fn from_f32(x: f32) -> Self {
        Self::from_f32(x)
    }
    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const Self) -> S::V {
        // SAFETY: the caller's.
        unsafe { S::load_f16(from) }
    }
}

/// Keys and values of one layer of one sequence.
pub struct Cache<T> {
    /// `[kv_heads, capacity / KEY_BLOCK, head_dim, KEY_BLOCK]`: a vector holds one dimension of
    /// sixteen keys.
    pub(super) keys: Vec<T>,
    /// `[kv_heads, capacity, padded_dim]`
    pub(super) values: Vec<T>,
    pub(super) capacity: usize,
    pub(super) head_dim: usize,
    pub(super) padded_dim: usize,
}

impl<T: Cached> Cache<T> {
    /// Room for `capacity` positions, rounded up to whole blocks.
    pub fn new(kv_heads: usize, head_dim: usize, capacity: usize) -> Self {
        let capacity = capacity.next_multiple_of(KEY_BLOCK);
        let padded_dim = head_dim.next_multiple_of(LANES);
        Self {
            keys: vec![T::default(); kv_heads * capacity * head_dim],
            values: vec![T::default(); kv_heads * capacity * padded_dim],
            capacity,
            head_dim,
            padded_dim,
        }
    }

    /// Bytes that each position takes: dimensions of values are padded.
    pub fn bytes_per_position(kv_heads: usize, head_dim: usize) -> usize {
        kv_heads * (head_dim + head_dim.next_multiple_of(LANES)) * size_of::<T>()
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.keys[..]) + size_of_val(&self.values[..])
    }

    /// Takes over the first `positions` of a cache of the same heads. Keys come in whole blocks: what lies in the last one
    /// beyond them is not read before it is written.
    pub fn copy_from(&mut self, from: &Self, positions: usize) {
        let keys = positions.next_multiple_of(KEY_BLOCK) * self.head_dim;
        let values = positions * self.padded_dim;
        let (dim, padded_dim) = (self.head_dim, self.padded_dim);
        copy_heads(&mut self.keys, &from.keys, [self.capacity * dim, from.capacity * dim], keys);
        let strides = [self.capacity * padded_dim, from.capacity * padded_dim];
        copy_heads(&mut self.values, &from.values, strides, values);
    }

    /// Writes the keys and values of consecutive tokens, the first at `position`.
    pub fn write(&mut self, position: usize, keys: Rows<'_>, values: Rows<'_>) {
        let (dim, padded_dim, capacity) = (self.head_dim, self.padded_dim, self.capacity);
        let tokens = keys.numbers.len() / keys.stride;
        let heads = self.keys.len() / (capacity * dim);
        let all_keys = SharedRows::over(&mut self.keys, capacity * dim);
        let all_values = SharedRows::over(&mut self.values, capacity * padded_dim);
        share(tokens * heads * dim, heads, |range| {
            for head in range {
                // SAFETY: a head belongs to one range.
                let (to_keys, to_values) = unsafe { (all_keys.row(head), all_values.row(head)) };
                for token in 0..tokens {
                    let position = position + token;
                    let block = position / KEY_BLOCK * KEY_BLOCK * dim + position % KEY_BLOCK;
                    for (index, &number) in keys.head(token, head, dim).iter().enumerate() {
                        to_keys[block + index * KEY_BLOCK].write(T::from_f32(number));
                    }
                    let row = &mut to_values[position * padded_dim..][..dim];
                    for (slot, &number) in row.iter_mut().zip(values.head(token, head, dim)) {
                        slot.write(T::from_f32(number));
                    }
                }
            }
        });
    }
}

/// Copies the first `count` numbers of each head; heads lie `strides` apart, in `to` and in `from`.
fn copy_heads<T: Copy>(to: &mut [T], from: &[T], strides: [usize; 2], count: usize) {
    let heads = to.chunks_exact_mut(strides[0]).zip(from.chunks_exact(strides[1]));
    heads.for_each(|(to, from)| to[..count].copy_from_slice(&from[..count]));
}

/// Keys or values of some tokens within wider rows.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// From the first token's row to the last token's.
    pub numbers: &'a [f32],
    /// From one token's row to the next.
    pub stride: usize,
    /// Where within a row the first head begins.
    pub start: usize,
}

impl<'a> Rows<'a> {
    fn head(&self, token: usize, head: usize, dim: usize) -> &'a [f32] {
        &self.numbers[token * self.stride + self.start + head * dim..][..dim]
    }
}
