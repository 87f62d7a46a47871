//! Scaled dot-product attention of sequences over their KV caches.
//!
//! The rows of a tile are the query heads that share a KV head, for several neighbouring positions. The scores of a
//! tile are stored for all keys. So scratch memory grows linearly with the length of the context, not with its square.
//!
//! ```text
//! queries [R, head_dim] · keys [head_dim, 32] a block  ->  scores [R, keys]
//! softmax of each row over the keys that it sees        ->  weights [R, keys]
//! weights · values [keys, head_dim]                     ->  [R, head_dim]
//! ```

mod cache;

pub use cache::{AttentionCache, CacheElement, KEY_BLOCK, KvRows};

use super::{
    simd::{self, LANES, Simd, SimdTask},
    threads::{SharedRows, share_until_stopped},
};
use crate::Result;
use std::cell::RefCell;

/// Most rows of a tile if a vector is one register.
const ROWS: usize = 8;
/// Most rows of a tile if a vector is several registers.
const SPLIT_ROWS: usize = 6;

/// Returns the most rows of a tile with the chosen instruction set.
fn most_rows() -> usize {
    if simd::InstructionSet::chosen().is_split() { SPLIT_ROWS } else { ROWS }
}

/// The heads of a layer and how their scores are computed.
#[derive(Clone, Copy)]
pub struct Heads {
    /// Number of query heads.
    pub queries: usize,
    /// Number of key and value heads. `queries` is a multiple of it.
    pub keys: usize,
    /// Width of a head, in numbers.
    pub dim: usize,
    /// Factor of the scores, usually `1 / sqrt(dim)`.
    pub scale: f32,
    /// If set, a score becomes `cap · tanh(score / cap)`.
    pub softcap: Option<f32>,
    /// If set, the number of keys that a query sees at most, its own included.
    pub window: Option<usize>,
}

/// The queries of consecutive new tokens of a sequence. Their keys and values are already in the cache.
pub struct Queries<'a, T> {
    /// `[tokens, stride]`. The queries are the first `heads.queries * heads.dim` columns.
    pub rows: &'a [f32],
    /// Numbers from one token's queries to the next.
    pub stride: usize,
    /// Tokens that the cache held before these.
    pub past: usize,
    /// The layer's cache of this sequence.
    pub cache: &'a AttentionCache<T>,
}

impl<T> Queries<'_, T> {
    fn tokens(&self) -> usize {
        self.rows.len() / self.stride
    }
}

/// Computes the causal attention of several sequences.
///
/// ```
/// use llem_compute::cpu::attention::{AttentionCache, Heads, KvRows, Queries, attend};
///
/// // Two tokens of one head. All keys are zero, so a token averages the values that it sees.
/// let heads = Heads { queries: 1, keys: 1, dim: 2, scale: 1.0, softcap: None, window: None };
/// let mut cache = AttentionCache::<f32>::new(heads.keys, heads.dim, 2);
/// let keys = KvRows { numbers: &[0.0; 4], stride: 2, start: 0 };
/// let values = KvRows { numbers: &[1.0, 2.0, 3.0, 4.0], stride: 2, start: 0 };
/// cache.write(0, keys, values);
///
/// let queries = Queries { rows: &[1.0; 4], stride: 2, past: 0, cache: &cache };
/// assert_eq!(attend(&heads, &[queries])?, [1.0, 2.0, 2.0, 3.0]);
/// # Ok::<(), llem_compute::Error>(())
/// ```
///
/// # Shapes
/// - `sequences`: each `[tokens, heads.queries * heads.dim]` within wider rows
/// - returns: `[all tokens, heads.queries * heads.dim]`, in the order of the sequences
///
/// # Errors
/// [`crate::Error::Interrupted`] if the stop check of this thread returned true.
pub fn attend<T: CacheElement>(heads: &Heads, sequences: &[Queries<'_, T>]) -> Result<Vec<f32>> {
    let width = heads.queries * heads.dim;
    let group = heads.queries / heads.keys;
    let most = most_rows();
    let mut items = Vec::new();
    let mut work = 0;
    let mut first_row = 0;
    for (index, sequence) in sequences.iter().enumerate() {
        let tokens = sequence.tokens();
        work += tokens * width * (sequence.past + tokens);
        for start in (0..tokens * group).step_by(most) {
            let count = most.min(tokens * group - start);
            items.extend((0..heads.keys).map(|head| AttentionTile {
                sequence: index,
                head,
                start,
                count,
                first_row,
            }));
        }
        first_row += tokens;
    }
    let mut mixed: Vec<f32> = Vec::with_capacity(first_row * width);
    let target = SharedRows::new(&mut mixed.spare_capacity_mut()[..first_row * width], width);
    let attend = |range: std::ops::Range<usize>| {
        simd::run(AttendTask { heads, sequences, items: &items[range], target: &target });
    };
    share_until_stopped(work, items.len(), attend)?;
    // SAFETY: every head of every token has been written.
    unsafe { mixed.set_len(first_row * width) };
    Ok(mixed)
}

/// A tile: rows `start..start + count` of the queries that share one KV head. Row r is query head `r % group` of that
/// KV head's group, at token `r / group`.
struct AttentionTile {
    sequence: usize,
    head: usize,
    start: usize,
    count: usize,
    /// Row of the result at which the sequence begins.
    first_row: usize,
}

struct AttendTask<'a, T> {
    heads: &'a Heads,
    sequences: &'a [Queries<'a, T>],
    items: &'a [AttentionTile],
    target: &'a SharedRows<'a, f32>,
}

thread_local! {
    /// Queries and scores of a tile. Their memory is reused from tile to tile.
    static SCRATCH: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

impl<T: CacheElement> SimdTask for AttendTask<'_, T> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        // Taken, not borrowed: `RefCell::with` needs a closure, which would be compiled without the target features.
        let (mut queries, mut scores) = SCRATCH.take();
        for item in self.items {
            // SAFETY: `run` chose S for this processor.
            unsafe {
                match item.count {
                    1 => self.tile::<S, 1>(item, &mut queries, &mut scores),
                    2 => self.tile::<S, 2>(item, &mut queries, &mut scores),
                    3 | 4 => self.tile::<S, 4>(item, &mut queries, &mut scores),
                    5 | 6 => self.tile::<S, 6>(item, &mut queries, &mut scores),
                    _ => self.tile::<S, 8>(item, &mut queries, &mut scores),
                }
            }
        }
        SCRATCH.set((queries, scores));
    }
}

impl<T: CacheElement> AttendTask<'_, T> {
    /// Computes one tile of at most `R` rows. Rows beyond `item.count` are zeros, and their results are not used.
    ///
    /// # Safety
    /// The processor has `S`.
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize>(
        &self,
        item: &AttentionTile,
        queries: &mut Vec<f32>,
        scores: &mut Vec<f32>,
    ) {
        let (heads, sequence) = (self.heads, &self.sequences[item.sequence]);
        let (dim, group, cache) = (heads.dim, heads.queries / heads.keys, sequence.cache);
        let place = |row: usize| {
            let (token, head) = ((item.start + row) / group, (item.start + row) % group);
            (token, (item.head * group + head) * dim)
        };
        queries.clear();
        queries.resize(dim * R, 0.0);
        for row in 0..item.count {
            let (token, at) = place(row);
            let query = &sequence.rows[token * sequence.stride + at..][..dim];
            for (index, &number) in query.iter().enumerate() {
                queries[index * R + row] = number;
            }
        }
        // Row r sees keys from..to.
        let sees = |row: usize| {
            let to = sequence.past + place(row.min(item.count - 1)).0 + 1;
            (heads.window.map_or(0, |window| to.saturating_sub(window)), to)
        };
        let first_block = sees(0).0 / KEY_BLOCK;
        let blocks = sees(item.count - 1).1.div_ceil(KEY_BLOCK) - first_block;
        let stride = blocks * KEY_BLOCK;
        scores.resize((R * stride).max(scores.len()), 0.0);
        let scores = &mut scores[..R * stride];
        // SAFETY: blocks up to the last visible key lie within the cache; the scratch was sized.
        unsafe {
            self.score::<S, R>(item.head, cache, queries, first_block, stride, scores);
            let mut sums = [1f32; R];
            for (row, scores) in scores.chunks_exact_mut(stride).enumerate().take(item.count) {
                let (from, to) = sees(row);
                let seen = (from - first_block * KEY_BLOCK, to - first_block * KEY_BLOCK);
                sums[row] = softmax::<S>(scores, seen);
            }
            let values = (item.head * cache.capacity + first_block * KEY_BLOCK) * cache.padded_dim;
            let keys = sees(item.count - 1).1 - first_block * KEY_BLOCK;
            for column in (0..cache.padded_dim).step_by(LANES) {
                let mut mixed = [S::splat(0.0); R];
                let mut value = cache.values.as_ptr().add(values + column);
                for key in 0..keys {
                    let numbers = T::load::<S>(value);
                    for (row, mixed) in mixed.iter_mut().enumerate() {
                        let weight = S::splat(*scores.get_unchecked(row * stride + key));
                        *mixed = S::fma(weight, numbers, *mixed);
                    }
                    value = value.add(cache.padded_dim);
                }
                let width = LANES.min(dim - column);
                for row in 0..item.count {
                    let mut numbers = [0f32; LANES];
                    S::store(S::mul(mixed[row], S::splat(1.0 / sums[row])), numbers.as_mut_ptr());
                    let (token, at) = place(row);
                    let start = (item.first_row + token) * heads.queries * dim;
                    self.target.copy(start + at + column, &numbers[..width]);
                }
            }
        }
    }

    /// Computes the scores of all keys from `first_block` on, scaled and capped.
    ///
    /// # Shapes
    /// - `queries`: `[head_dim, R]`
    /// - `scores`: `[R, stride]`, written
    ///
    /// # Safety
    /// The processor has `S`, the blocks lie within the cache, and the slices have these shapes.
    #[inline(always)]
    unsafe fn score<S: Simd, const R: usize>(
        &self,
        head: usize,
        cache: &AttentionCache<T>,
        queries: &[f32],
        first_block: usize,
        stride: usize,
        scores: &mut [f32],
    ) {
        let dim = cache.head_dim;
        // SAFETY: the caller keeps this function's contract.
        unsafe {
            let scale = S::splat(self.heads.scale);
            for block in 0..stride / KEY_BLOCK {
                let start = (head * cache.capacity + (first_block + block) * KEY_BLOCK) * dim;
                let mut sums = [[S::splat(0.0); 2]; R];
                if S::IS_SPLIT && R > 3 {
                    // One half of the keys after the other, so that the sums stay in registers.
                    for half in 0..2 {
                        let mut key = cache.keys.as_ptr().add(start + half * LANES);
                        let mut query = queries.as_ptr();
                        let mut column = [S::splat(0.0); R];
                        for _ in 0..dim {
                            let keys = T::load::<S>(key);
                            for (row, sum) in column.iter_mut().enumerate() {
                                *sum = S::fma(keys, S::splat(*query.add(row)), *sum);
                            }
                            key = key.add(KEY_BLOCK);
                            query = query.add(R);
                        }
                        for (sums, sum) in sums.iter_mut().zip(column) {
                            sums[half] = sum;
                        }
                    }
                } else {
                    let mut key = cache.keys.as_ptr().add(start);
                    let mut query = queries.as_ptr();
                    for _ in 0..dim {
                        let keys = [T::load::<S>(key), T::load::<S>(key.add(LANES))];
                        for (row, sums) in sums.iter_mut().enumerate() {
                            let number = S::splat(*query.add(row));
                            sums[0] = S::fma(keys[0], number, sums[0]);
                            sums[1] = S::fma(keys[1], number, sums[1]);
                        }
                        key = key.add(KEY_BLOCK);
                        query = query.add(R);
                    }
                }
                for (row, sums) in sums.iter().enumerate() {
                    for (half, &sum) in sums.iter().enumerate() {
                        let mut score = S::mul(sum, scale);
                        if let Some(cap) = self.heads.softcap {
                            let share = S::div(score, S::splat(cap));
                            score = S::mul(S::tanh(share), S::splat(cap));
                        }
                        let at = row * stride + block * KEY_BLOCK + half * LANES;
                        S::store(score, scores.as_mut_ptr().add(at));
                    }
                }
            }
        }
    }
}

/// Turns the scores of the keys `from..to` into weights that are not yet normalised, and all other scores into zeros.
/// Returns the sum of the weights.
///
/// # Safety
/// The processor has `S`, and `scores` has whole blocks.
#[inline(always)]
unsafe fn softmax<S: Simd>(scores: &mut [f32], (from, to): (usize, usize)) -> f32 {
    scores[..from].fill(0.0);
    scores[to..].fill(f32::NEG_INFINITY);
    scores[from / LANES * LANES..from].fill(f32::NEG_INFINITY);
    let begin = from / LANES * LANES;
    let end = to.next_multiple_of(LANES);
    // SAFETY: whole vectors within the row.
    unsafe {
        let start = scores.as_mut_ptr();
        let mut most = S::splat(f32::NEG_INFINITY);
        for at in (begin..end).step_by(LANES) {
            most = S::max(most, S::load(start.add(at)));
        }
        let mut lanes = [0f32; LANES];
        S::store(most, lanes.as_mut_ptr());
        let most = lanes.iter().fold(f32::NEG_INFINITY, |most, &x| most.max(x));
        let shift = S::splat(-most);
        let mut sum = S::splat(0.0);
        for at in (begin..end).step_by(LANES) {
            let weight = S::exp(S::add(S::load(start.add(at)), shift));
            S::store(weight, start.add(at));
            sum = S::add(sum, weight);
        }
        scores[end..].fill(0.0);
        S::sum(sum)
    }
}
