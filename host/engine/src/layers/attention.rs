//! Grouped-query attention (arXiv 2305.13245) of packed sequences, each on its own KV cache.

use super::{
    Adapt, Linear, Norm, Packing,
    all_heads::AllHeads,
    features::{Inputs, Module, Order, Part, Product},
    host,
    rope::Angles,
};
use crate::{
    Result,
    cpu::{
        attention::{self, Cached, Heads, Queries, Rows},
        parallel::{SharedRows, share},
    },
    kv_cache::{AsHost, LayerCache},
    load::Weights,
    parallel::Shard,
};
use candle_core::Tensor;
use llem_checkpoint::{
    adapters::Role,
    families::{LayerKind, Qkv, QueryNorm, Shape},
};
use std::{ops::Range, sync::Arc};

/// Q, K, V and O projections, norms of Q and K, and a rotary embedding.
pub struct Attention {
    /// Q above K above V.
    pub(super) qkv: Linear,
    pub(super) output: Linear,
    pub(super) norms: Option<[Norm; 2]>,
    pub(super) query_norm: QueryNorm,
    /// Where those are over all heads, of which this rank has some.
    pub(super) all_heads: Option<AllHeads>,
    pub(super) heads: Heads,
    pub(super) rope: Option<usize>,
}

impl Attention {
    /// Loads a layer's attention.
    pub fn load(layer: &Weights, shape: &Shape, kind: LayerKind) -> Result<Self> {
        let (names, dim) = (&shape.names, shape.head_dim);
        let (heads, keys) = (shape.heads, shape.kv_heads);
        let own = OwnHeads::of(shape, layer.shard());
        let part = |name, heads: usize, own: &Range<usize>| {
            Part::some(name, heads * dim, own.start * dim..own.end * dim)
        };
        let load = |parts| {
            let (inputs, bias) = (Inputs::whole(shape.hidden), shape.qkv_bias);
            Linear::load(layer, Product { parts, inputs, bias, transposed: names.transposed })
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
                load(vec![Part { name, outputs: (heads + 2 * keys) * dim, kept }])?
            }
            Qkv::ByHead(all) => by_head(&layer.at(all), shape, &own.queries)?,
        };
        let all_heads = shape.query_norm == QueryNorm::AllHeads;
        let norm = |name: &str, heads: usize, own: &Range<usize>| {
            let (width, kept) = match all_heads {
                true => (heads * dim, own.start * dim..own.end * dim),
                false => (dim, 0..dim),
            };
            Norm::load_part(&layer.at(name), width, kept, shape.norm, shape.norm_eps)
        };
        let [query_norm, key_norm] = names.query_key_norms;
        let norms = (shape.query_norm != QueryNorm::None)
            .then(|| Ok([norm(query_norm, heads, &own.queries)?, norm(key_norm, keys, &own.keys)?]))
            .transpose()
            .map_err(|error: crate::Error| error)?;
        let output = Product {
            parts: vec![Part::whole(names.output, shape.hidden)],
            inputs: Inputs::summed(heads * dim, own.queries.start * dim..own.queries.end * dim),
            bias: shape.output_bias,
            transposed: names.transposed,
        };
        Ok(Self {
            qkv,
            output: Linear::load(layer, output)?,
            norms,
            query_norm: shape.query_norm,
            all_heads: AllHeads::of(shape, layer.shard()).filter(|_| all_heads),
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

    /// `[tokens, hidden]` to the same. `caches[slot]` takes the new keys and values.
    pub fn forward(
        &self,
        x: &Tensor,
        packing: &Packing,
        caches: &mut [&mut LayerCache],
    ) -> Result<Tensor> {
        let qkv = self.qkv.forward(x, &packing.adapters)?;
        let mixed = host::with_slice(&qkv, |qkv| self.on_host(qkv, packing, caches))??;
        let mixed = host::rows(mixed, self.heads.queries * self.heads.dim)?;
        self.output.forward(&mixed, &packing.adapters)
    }

    /// The parts that adapters change.
    pub fn adapted(&mut self) -> [&mut dyn Adapt; 2] {
        [&mut self.qkv, &mut self.output]
    }

    fn on_host(
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

    fn attend<T: Cached>(
        &self,
        qkv: &[f32],
        packing: &Packing,
        caches: &mut [&mut LayerCache],
    ) -> Result<Vec<f32>>
    where
        LayerCache: AsHost<T>,
    {
        let Heads { queries, keys, dim, .. } = self.heads;
        let angles = self.rope.map(|index| &packing.angles[index]);
        // A row of `qkv` is queries, keys and values; of `prepared`, queries and keys.
        let (width, used) = ((queries + 2 * keys) * dim, (queries + keys) * dim);
        let rows = qkv.len() / width;
        let squares = self
            .all_heads
            .as_ref()
            .map(|norm| norm.on_host(qkv, width, [queries * dim, keys * dim]))
            .transpose()?;
        let squares = squares.as_deref();
        let mut prepared: Vec<f32> = vec![0.0; rows * used];
        let target = SharedRows::over(&mut prepared, used);
        share(rows * used, rows, |range| {
            for row in range {
                let place = row * used;
                // SAFETY: a row belongs to one range.
                let out = unsafe {
                    target.copy(place, &qkv[row * width..][..used]);
                    target.numbers(place, used)
                };
                let (query, key) = out.split_at_mut(queries * dim);
                self.prepare(query, 0, row, squares, angles);
                self.prepare(key, 1, row, squares, angles);
            }
        });
        for span in &packing.spans {
            let at = |stride: usize| span.start * stride..(span.start + span.len) * stride;
            let keys = Rows { numbers: &prepared[at(used)], stride: used, start: queries * dim };
            let values = Rows { numbers: &qkv[at(width)], stride: width, start: used };
            caches[span.slot].host()?.write(span.past, keys, values);
        }
        let mut sequences = Vec::with_capacity(packing.spans.len());
        for span in &packing.spans {
            sequences.push(Queries {
                rows: &prepared[span.start * used..][..span.len * used],
                stride: used,
                past: span.past,
                cache: AsHost::<T>::shared(&*caches[span.slot])?,
            });
        }
        Ok(attention::attend(&self.heads, &sequences)?)
    }

    /// Normalises and rotates the heads of one token; `which` is 0 for queries and 1 for keys, whose
    /// mean squares over all ranks are known where they are needed.
    fn prepare(
        &self,
        heads: &mut [f32],
        which: usize,
        row: usize,
        squares: Option<&[f32]>,
        angles: Option<&Angles>,
    ) {
        match (&self.norms, squares) {
            (Some(norms), None) => norms[which].in_place(heads),
            (Some(norms), Some(squares)) => {
                norms[which].in_place_with(heads, squares[2 * row + which]);
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
    /// With fewer key heads than ranks, one that it shares with others.
    keys: Range<usize>,
}

impl OwnHeads {
    fn of(shape: &Shape, shard: &Shard) -> Self {
        Self { queries: shard.of(shape.heads), keys: shard.of_heads(shape.kv_heads) }
    }
}

/// `query_key_value` of GPT-NeoX: Q, K and V of each head in turn, as Q above K above V of the heads
/// that this rank has.
fn by_head(place: &Weights, shape: &Shape, own: &Range<usize>) -> Result<Linear> {
    let (dim, first, count) = (shape.head_dim, own.start, own.len());
    let (whole, rows) = (3 * shape.heads * dim, 3 * count * dim);
    let order: Order = Arc::new(move |row: usize| {
        let (part, head, index) = (row / (count * dim), row / dim % count, row % dim);
        ((first + head) * 3 + part) * dim + index
    });
    let select = Arc::clone(&order);
    let matrix =
        place.matrix("weight", whole, shape.hidden, false)?.select(rows, move |row| select(row));
    let module = Module {
        name: place.module(),
        role: Role::Projection,
        outputs: 0..rows,
        whole,
        order: Some(Arc::clone(&order)),
        transposed: false,
        tie: None,
    };
    let bias = shape
        .qkv_bias
        .then(|| {
            let bias = place.vector("bias", whole)?;
            Ok((0..rows).map(|row| bias[order(row)]).collect())
        })
        .transpose()
        .map_err(|error: crate::Error| error)?;
    Linear::new(place, vec![module], &[matrix], vec![bias], Inputs::whole(shape.hidden))
}
