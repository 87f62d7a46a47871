//! Grouped-query attention (arXiv 2305.13245) of packed sequences, each on its own KV cache.

use super::{Linear, Packing, packing::Span};
use crate::{Result, families::Shape, kv_cache::LayerCache, load::Weights};
use candle_core::{DType, Tensor};

/// Q, K, V and O projections with rotary positions.
pub struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
}

impl Attention {
    /// Loads `q_proj`, `k_proj`, `v_proj` and `o_proj`.
    pub fn load(weights: &Weights, shape: &Shape) -> Result<Self> {
        let (queries, keys) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
        let project = |name: &str, outputs| {
            Linear::load(&weights.at(name), shape.hidden, outputs, shape.qkv_bias)
        };
        Ok(Self {
            query: project("q_proj", queries)?,
            key: project("k_proj", keys)?,
            value: project("v_proj", keys)?,
            output: Linear::load(&weights.at("o_proj"), queries, shape.hidden, shape.output_bias)?,
            heads: shape.heads,
            kv_heads: shape.kv_heads,
            head_dim: shape.head_dim,
        })
    }

    /// `[tokens, hidden]` to the same. `caches[slot]` takes the new keys and values.
    pub fn forward(
        &self,
        x: &Tensor,
        packing: &Packing,
        caches: &mut [&mut LayerCache],
    ) -> Result<Tensor> {
        let tokens = x.dim(0)?;
        let rotate = |projected: Tensor, heads: usize| -> Result<Tensor> {
            let split = projected.reshape((1, tokens, heads, self.head_dim))?;
            Ok(candle_nn::rotary_emb::rope_thd(&split, &packing.cos, &packing.sin)?.squeeze(0)?)
        };
        let query = rotate(self.query.forward(x)?, self.heads)?;
        let key = rotate(self.key.forward(x)?, self.kv_heads)?;
        let value = self.value.forward(x)?.reshape((tokens, self.kv_heads, self.head_dim))?;

        let mut rows = Vec::with_capacity(packing.spans.len());
        for span in &packing.spans {
            let cache = &mut caches[span.slot];
            let heads_first =
                |x: &Tensor| x.narrow(0, span.start, span.len)?.transpose(0, 1)?.contiguous();
            cache.write(&heads_first(&key)?, &heads_first(&value)?, span.past)?;
            rows.push(self.attend(&heads_first(&query)?, span, cache)?);
        }
        self.output.forward(&stack(rows)?)
    }

    /// Scaled dot-product attention of one sequence: queries `[heads, len, head_dim]` to
    /// `[len, heads * head_dim]`. Query heads of a group share a KV head, so they are stacked as
    /// more queries of it. The softmax is taken in f32.
    fn attend(&self, query: &Tensor, span: &Span, cache: &LayerCache) -> Result<Tensor> {
        let group = self.heads / self.kv_heads;
        let scale = 1.0 / (self.head_dim as f64).sqrt();
        let dtype = query.dtype();
        let query = query.to_dtype(cache.dtype())?;
        let mut rows = Vec::with_capacity(span.blocks.len());
        for block in &span.blocks {
            let (keys, values) = cache.read(block.visible)?;
            let stacked = query.narrow(1, block.start, block.len)?.contiguous()?.reshape((
                self.kv_heads,
                group * block.len,
                self.head_dim,
            ))?;
            let scores = (stacked.matmul(&keys.t()?)?.to_dtype(DType::F32)? * scale)?;
            let scores = match &block.mask {
                Some(mask) => scores
                    .reshape((self.heads, block.len, block.visible))?
                    .broadcast_add(mask)?
                    .reshape((self.kv_heads, group * block.len, block.visible))?,
                None => scores,
            };
            let weights = candle_nn::ops::softmax_last_dim(&scores)?.to_dtype(query.dtype())?;
            let mixed = weights
                .matmul(&values)?
                .reshape((self.heads, block.len, self.head_dim))?
                .transpose(0, 1)?
                .reshape((block.len, self.heads * self.head_dim))?
                .to_dtype(dtype)?;
            rows.push(mixed);
        }
        stack(rows)
    }
}

/// Rows below one another; one alone, as in decode of one sequence, is not copied.
fn stack(mut rows: Vec<Tensor>) -> Result<Tensor> {
    Ok(if rows.len() == 1 { rows.remove(0) } else { Tensor::cat(&rows, 0)? })
}
