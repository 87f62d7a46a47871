//! Grouped-query attention (arXiv 2305.13245) of packed sequences, each with its own KV cache.
//!
//! ```text
//! x ─► qkv ─► norms of q and k ─► rotary embedding ─► q ─────────────────► attend ─► output ─► y
//!                                                     k, v ─► KV cache ─┘
//! ```
//!
//! Start at [`Attention::load`] and [`Attention::forward`].

use super::{
    AdapterTarget, Linear, Norm, Packing, cpu_tensor,
    linear_spec::{InputFeatures, LinearModule, LinearSpec, ModuleSlice, RowOrder},
    rope::Angles,
    sharded_head_norm::ShardedHeadNorm,
};
use crate::{
    Result,
    cpu::{
        attention::{self, CacheElement, Heads, KvRows, Queries},
        threads::{SharedRows, share},
    },
    kv_cache::{LayerCache, TypedCache},
    load::Weights,
    parallel::Shard,
};
use candle_core::Tensor;
use llem_checkpoint::{LayerKind, ModuleKind, Qkv, QueryKeyNorm, Shape};
use std::{ops::Range, sync::Arc};

/// An attention layer: its projections, the norms of queries and keys, and its rotary embedding.
pub(crate) struct Attention {
    /// The query, key and value projections, stacked in this order.
    pub(super) qkv: Linear,
    pub(super) output: Linear,
    pub(super) norms: Option<[Norm; 2]>,
    pub(super) query_norm: QueryKeyNorm,
    /// The sums over ranks that a norm over all heads needs, if this rank has only some heads.
    pub(super) sharded_norm: Option<ShardedHeadNorm>,
    pub(super) heads: Heads,
    pub(super) rope: Option<usize>,
}

impl Attention {
    /// Loads the attention of one decoder layer. `kind` gives its window and its rotary embedding.
    pub(crate) fn load(layer: &Weights, shape: &Shape, kind: LayerKind) -> Result<Self> {
        let (names, dim) = (&shape.names, shape.head_dim);
        let (heads, keys) = (shape.heads, shape.kv_heads);
        let own = OwnHeads::new(shape, layer.shard());
        let part = |name, heads: usize, own: &Range<usize>| {
            ModuleSlice::with_range(name, heads * dim, own.start * dim..own.end * dim)
        };
        let load = |modules| {
            let (inputs, bias) = (InputFeatures::new(shape.hidden), shape.qkv_bias);
            Linear::load(layer, LinearSpec { modules, inputs, bias, transposed: names.transposed })
        };
        let qkv = match names.qkv {
            Qkv::Separate([q, k, v]) => load(vec![
                part(q, heads, &own.queries),
                part(k, keys, &own.keys),
                part(v, keys, &own.keys),
            ])?,
            Qkv::Stacked(name) => {
                let at = |start: usize, own: &Range<usize>| {
                    (start + own.start) * dim..(start + own.end) * dim
                };
                let kept =
                    vec![at(0, &own.queries), at(heads, &own.keys), at(heads + keys, &own.keys)];
                load(vec![ModuleSlice { name, outputs: (heads + 2 * keys) * dim, kept }])?
            }
            Qkv::ByHead(all) => load_by_head(&layer.at(all), shape, &own.queries)?,
        };
        let all_heads = shape.query_norm == QueryKeyNorm::AllHeads;
        let norm = |name: &str, heads: usize, own: &Range<usize>| {
            let (width, kept) = match all_heads {
                true => (heads * dim, own.start * dim..own.end * dim),
                false => (dim, 0..dim),
            };
            Norm::load_part(&layer.at(name), width, kept, shape.norm, shape.norm_eps)
        };
        let [query_norm, key_norm] = names.query_key_norms;
        let norms = (shape.query_norm != QueryKeyNorm::None)
            .then(|| Ok([norm(query_norm, heads, &own.queries)?, norm(key_norm, keys, &own.keys)?]))
            .transpose()
            .map_err(|error: crate::Error| error)?;
        let output = LinearSpec {
            modules: vec![ModuleSlice::new(names.output, shape.hidden)],
            inputs: InputFeatures::with_summed_shard(
                heads * dim,
                own.queries.start * dim..own.queries.end * dim,
            ),
            bias: shape.output_bias,
            transposed: names.transposed,
        };
        Ok(Self {
            qkv,
            output: Linear::load(layer, output)?,
            norms,
            query_norm: shape.query_norm,
            sharded_norm: ShardedHeadNorm::from_shape(shape, layer.shard()).filter(|_| all_heads),
            heads: Heads {
                queries: own.queries.len(),
                keys: own.keys.len(),
                dim,
                scale: shape.attention_scale,
                softcap: shape.attention_softcap,
                window: kind.window,
            },
            rope: kind.rope,
        })
    }

    /// Computes attention on the CPU. `caches[slot]` takes the new keys and values of the sequence with this slot.
    ///
    /// # Shapes
    /// - `x`: `[tokens, hidden]`
    /// - returns: `[tokens, hidden]`
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        packing: &Packing,
        caches: &mut [&mut LayerCache],
    ) -> Result<Tensor> {
        let qkv = self.qkv.forward(x, &packing.adapters)?;
        let mixed =
            cpu_tensor::with_slice(&qkv, |qkv| self.attend_in_cache_type(qkv, packing, caches))??;
        let mixed = cpu_tensor::from_rows(mixed, self.heads.queries * self.heads.dim)?;
        self.output.forward(&mixed, &packing.adapters)
    }

    /// Returns the projections, which adapters can change.
    pub(crate) fn adapter_targets(&mut self) -> [&mut dyn AdapterTarget; 2] {
        [&mut self.qkv, &mut self.output]
    }

    /// Chooses the number type of the KV cache, and attends.
    fn attend_in_cache_type(
        &self,
        qkv: &[f32],
        packing: &Packing,
        caches: &mut [&mut LayerCache],
    ) -> Result<Vec<f32>> {
        match caches.first() {
            Some(LayerCache::F32(_)) => self.attend::<f32>(qkv, packing, caches),
            Some(LayerCache::Bf16(_)) => self.attend::<half::bf16>(qkv, packing, caches),
            Some(LayerCache::F16(_)) => self.attend::<half::f16>(qkv, packing, caches),
            None => Err(crate::Error::Bug("the KV cache is not on the CPU".to_owned())),
        }
    }

    /// Prepares queries and keys, writes keys and values to the caches, and attends.
    ///
    /// # Shapes
    /// - `qkv`: `[tokens, (queries + 2 keys) * head_dim]`, flat
    /// - returns: `[tokens, queries * head_dim]`, flat
    fn attend<T: CacheElement>(
        &self,
        qkv: &[f32],
        packing: &Packing,
        caches: &mut [&mut LayerCache],
    ) -> Result<Vec<f32>>
    where
        LayerCache: TypedCache<T>,
    {
        let Heads { queries, keys, dim, .. } = self.heads;
        let angles = self.rope.map(|index| &packing.angles[index]);
        // A row of `qkv` has queries, keys and values. A row of `prepared` has queries and keys.
        let (width, used) = ((queries + 2 * keys) * dim, (queries + keys) * dim);
        let rows = qkv.len() / width;
        let squares = self
            .sharded_norm
            .as_ref()
            .map(|norm| norm.mean_squares(qkv, width, [queries * dim, keys * dim]))
            .transpose()?;
        let squares = squares.as_deref();
        let mut prepared: Vec<f32> = vec![0.0; rows * used];
        let target = SharedRows::from_slice(&mut prepared, used);
        share(rows * used, rows, |range| {
            for row in range {
                let start = row * used;
                // SAFETY: a row belongs to one range only.
                let out = unsafe {
                    target.copy(start, &qkv[row * width..][..used]);
                    target.numbers(start, used)
                };
                let (query, key) = out.split_at_mut(queries * dim);
                self.prepare(query, 0, row, squares, angles);
                self.prepare(key, 1, row, squares, angles);
            }
        });
        for range in &packing.ranges {
            let at = |stride: usize| range.start * stride..(range.start + range.len) * stride;
            let keys = KvRows { numbers: &prepared[at(used)], stride: used, start: queries * dim };
            let values = KvRows { numbers: &qkv[at(width)], stride: width, start: used };
            caches[range.slot].cache_mut()?.write(range.past, keys, values);
        }
        let mut sequences = Vec::with_capacity(packing.ranges.len());
        for range in &packing.ranges {
            sequences.push(Queries {
                rows: &prepared[range.start * used..][..range.len * used],
                stride: used,
                past: range.past,
                cache: TypedCache::<T>::cache(&*caches[range.slot])?,
            });
        }
        Ok(attention::attend(&self.heads, &sequences)?)
    }

    /// Normalises and rotates the heads of one token in place. `which` is 0 for queries and 1 for keys. `squares` are
    /// the mean squares over all ranks, if the norm is over all heads and these are spread over ranks.
    fn prepare(
        &self,
        heads: &mut [f32],
        which: usize,
        row: usize,
        squares: Option<&[f32]>,
        angles: Option<&Angles>,
    ) {
        match (&self.norms, squares) {
            (Some(norms), None) => norms[which].normalise_in_place(heads),
            (Some(norms), Some(squares)) => {
                norms[which].normalise_part_in_place(heads, squares[2 * row + which]);
            }
            (None, _) => {}
        }
        if let Some(angles) = angles {
            for head in heads.chunks_exact_mut(self.heads.dim) {
                angles.rotate(row, head);
            }
        }
    }
}

/// The heads that a rank has.
struct OwnHeads {
    queries: Range<usize>,
    /// The key heads. With fewer key heads than ranks, a rank shares its key head with others.
    keys: Range<usize>,
}

impl OwnHeads {
    fn new(shape: &Shape, shard: &Shard) -> Self {
        Self { queries: shard.range_of(shape.heads), keys: shard.range_of_heads(shape.kv_heads) }
    }
}

/// Loads GPT-NeoX's `query_key_value`, which has Q, K and V of each head in turn. The rows are reordered to Q, K and
/// V of all heads that this rank has.
fn load_by_head(module: &Weights, shape: &Shape, own: &Range<usize>) -> Result<Linear> {
    let (dim, first, count) = (shape.head_dim, own.start, own.len());
    let (whole, rows) = (3 * shape.heads * dim, 3 * count * dim);
    let order: RowOrder = Arc::new(move |row: usize| {
        let (part, head, index) = (row / (count * dim), row / dim % count, row % dim);
        ((first + head) * 3 + part) * dim + index
    });
    let select = Arc::clone(&order);
    let matrix =
        module.matrix("weight", whole, shape.hidden, false)?.select(rows, move |row| select(row));
    let parts = LinearModule {
        name: module.module(),
        role: ModuleKind::Projection,
        outputs: 0..rows,
        checkpoint_outputs: whole,
        order: Some(Arc::clone(&order)),
        transposed: false,
        tie: None,
    };
    let bias = shape
        .qkv_bias
        .then(|| {
            let bias = module.vector("bias", whole)?;
            Ok((0..rows).map(|row| bias[order(row)]).collect())
        })
        .transpose()
        .map_err(|error: crate::Error| error)?;
    Linear::new(module, vec![parts], &[matrix], vec![bias], InputFeatures::new(shape.hidden))
}
