//! The keys and values of one layer of one sequence, in the layout that attention reads.

use crate::cpu::{
    simd::{LANES, Simd},
    threads::{SharedRows, share},
};
use half::{bf16, f16};

/// Positions of a block of keys: the keys of two vectors.
pub const KEY_BLOCK: usize = 2 * LANES;
/// A number format of cached keys and values: f32, bf16 or f16.
pub trait CacheElement: Copy + Default + Send + Sync + 'static {
    /// Rounds a number to the format.
    fn from_f32(x: f32) -> Self;
    /// Loads sixteen numbers and widens them to f32.
    ///
    /// # Safety
    /// The processor has `S`, and `from` is valid for reading sixteen numbers.
    unsafe fn load<S: Simd>(from: *const Self) -> S::V;
}

impl CacheElement for f32 {
    fn from_f32(x: f32) -> Self {
        x
    }
    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const Self) -> S::V {
        // SAFETY: the caller keeps this function's contract.
        unsafe { S::load(from) }
    }
}

impl CacheElement for bf16 {
    fn from_f32(x: f32) -> Self {
        Self::from_f32(x)
    }
    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const Self) -> S::V {
        // SAFETY: the caller keeps this function's contract.
        unsafe { S::load_bf16(from) }
    }
}

impl CacheElement for f16 {
    fn from_f32(x: f32) -> Self {
        Self::from_f32(x)
    }
    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const Self) -> S::V {
        // SAFETY: the caller keeps this function's contract.
        unsafe { S::load_f16(from) }
    }
}

/// The keys and values of one layer of one sequence.
pub struct AttentionCache<T> {
    /// `[kv_heads, capacity / KEY_BLOCK, head_dim, KEY_BLOCK]`. So a vector holds one dimension of sixteen keys.
    pub(super) keys: Vec<T>,
    /// `[kv_heads, capacity, padded_dim]`. A row is padded to whole vectors.
    pub(super) values: Vec<T>,
    pub(super) capacity: usize,
    pub(super) head_dim: usize,
    pub(super) padded_dim: usize,
}

impl<T: CacheElement> AttentionCache<T> {
    /// Allocates a cache for `capacity` positions, rounded up to whole blocks.
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

    /// Returns the bytes of each position, including the padding of values.
    pub fn bytes_per_position(kv_heads: usize, head_dim: usize) -> usize {
        kv_heads * (head_dim + head_dim.next_multiple_of(LANES)) * size_of::<T>()
    }

    /// Returns the size of the cache, in bytes.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.keys[..]) + size_of_val(&self.values[..])
    }

    /// Copies the first `positions` positions of another cache with the same heads. Keys are copied in whole blocks;
    /// positions of the last block beyond `positions` are written before they are read.
    pub fn copy_from(&mut self, from: &Self, positions: usize) {
        let keys = positions.next_multiple_of(KEY_BLOCK) * self.head_dim;
        let values = positions * self.padded_dim;
        let (dim, padded_dim) = (self.head_dim, self.padded_dim);
        copy_heads(&mut self.keys, &from.keys, [self.capacity * dim, from.capacity * dim], keys);
        let strides = [self.capacity * padded_dim, from.capacity * padded_dim];
        copy_heads(&mut self.values, &from.values, strides, values);
    }

    /// Writes the keys and values of consecutive tokens. The first token has the position `position`.
    ///
    /// # Shapes
    /// - `keys`, `values`: `[tokens, kv_heads * head_dim]` within wider rows
    pub fn write(&mut self, position: usize, keys: KvRows<'_>, values: KvRows<'_>) {
        let (dim, padded_dim, capacity) = (self.head_dim, self.padded_dim, self.capacity);
        let tokens = keys.numbers.len() / keys.stride;
        let heads = self.keys.len() / (capacity * dim);
        let all_keys = SharedRows::from_slice(&mut self.keys, capacity * dim);
        let all_values = SharedRows::from_slice(&mut self.values, capacity * padded_dim);
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

/// Copies the first `count` numbers of each head. `strides` are the numbers from head to head in `to` and in `from`.
fn copy_heads<T: Copy>(to: &mut [T], from: &[T], strides: [usize; 2], count: usize) {
    let heads = to.chunks_exact_mut(strides[0]).zip(from.chunks_exact(strides[1]));
    heads.for_each(|(to, from)| to[..count].copy_from_slice(&from[..count]));
}

/// Keys or values of consecutive tokens, as columns of a wider matrix.
#[derive(Clone, Copy)]
pub struct KvRows<'a> {
    /// The matrix, from the first token's row to the last token's row.
    pub numbers: &'a [f32],
    /// Numbers from one token's row to the next.
    pub stride: usize,
    /// Column of the first head.
    pub start: usize,
}

impl<'a> KvRows<'a> {
    fn head(&self, token: usize, head: usize, dim: usize) -> &'a [f32] {
        &self.numbers[token * self.stride + self.start + head * dim..][..dim]
    }
}
