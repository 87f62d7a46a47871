//! The same attention on a device, of candle's tensor operations.

use super::{AdapterRows, Attention, Packing, packing::Span};
use crate::{Result, families::QueryNorm, kv_cache::LayerCache};
use candle_core::{DType, Device, Tensor};

/// Queries that attend at once. Bounds the score matrix of a long prompt.
const QUERY_BLOCK: usize = 128;

impl Attention {
    /// `[tokens, (heads + 2 kv_heads) * head_dim]` to `[tokens, heads * head_dim]`.
    pub(super) fn on_device(
        &self,
        qkv: &Tensor,
        packing: &Packing,
        caches: &mut [&mut LayerCache],
    ) -> Result<Tensor> {
        let (tokens, heads) = (qkv.dim(0)?, &self.heads);
        let (queries, keys) = (heads.queries * heads.dim, heads.keys * heads.dim);
        let (mut query, mut key) = (qkv.narrow(1, 0, queries)?, qkv.narrow(1, queries, keys)?);
        if let (Some(all_heads), Some(norms)) = (&self.all_heads, &self.norms) {
            [query, key] = all_heads.normalise([&query, &key], norms)?;
        }
        let query = self.prepare_on_device(&query, 0, packing)?;
        let key = self.prepare_on_device(&key, 1, packing)?;
        let value = qkv.narrow(1, queries + keys, keys)?.contiguous()?;
        let value = value.reshape((tokens, heads.keys, heads.dim))?;
        let mut rows = Vec::with_capacity(packing.spans.len());
        for span in &packing.spans {
            let cache = &mut caches[span.slot];
            let heads_first =
                |x: &Tensor| x.narrow(0, span.start, span.len)?.transpose(0, 1)?.contiguous();
            cache.write(&heads_first(&key)?, &heads_first(&value)?, span.past)?;
            rows.push(self.attend_on_device(&heads_first(&query)?, span, cache)?);
        }
        stack(rows)
    }

    /// Splits into heads, normalises (unless ranks have done so together) and rotates: `[tokens, heads,
    /// head_dim]`.
    fn prepare_on_device(&self, x: &Tensor, which: usize, packing: &Packing) -> Result<Tensor> {
        let (tokens, dim) = (x.dim(0)?, self.heads.dim);
        let heads = x.dim(1)? / dim;
        let mut x = x.contiguous()?;
        if let Some(norms) = self.norms.as_ref().filter(|_| self.all_heads.is_none()) {
            if self.query_norm == QueryNorm::EachHead {
                x = x.reshape((tokens * heads, dim))?;
            }
            // Adapters that change these norms are refused when they are attached.
            x = norms[which].forward(&x, &AdapterRows::default())?;
        }
        let x = x.reshape((1, tokens, heads, dim))?;
        let Some(index) = self.rope else { return Ok(x.squeeze(0)?) };
        let angles = &packing.angles[index];
        let ((cos, sin), rotated) = (angles.on_device(&x)?, 2 * angles.half);
        let turned =
            candle_nn::rotary_emb::rope_thd(&x.narrow(3, 0, rotated)?.contiguous()?, &cos, &sin)?;
        let x = if rotated == dim {
            turned
        } else {
            Tensor::cat(&[&turned, &x.narrow(3, rotated, dim - rotated)?], 3)?
        };
        Ok(x.squeeze(0)?)
    }

    /// One sequence: queries `[heads, len, head_dim]` to `[len, heads * head_dim]`. Query heads of a
    /// group share a KV head, so they are stacked as more queries of it. The softmax is in f32.
    fn attend_on_device(&self, query: &Tensor, span: &Span, cache: &LayerCache) -> Result<Tensor> {
        let heads = &self.heads;
        let group = heads.queries / heads.keys;
        let dtype = query.dtype();
        let mut rows = Vec::new();
        for first in (0..span.len).step_by(QUERY_BLOCK) {
            let len = QUERY_BLOCK.min(span.len - first);
            let visible = span.past + first + len;
            let hidden =
                heads.window.map_or(0, |window| (visible - len + 1).saturating_sub(window));
            let (keys, values) = cache.read(hidden, visible - hidden)?;
            let (keys, values) = (keys.to_dtype(dtype)?, values.to_dtype(dtype)?);
            let stacked = query.narrow(1, first, len)?.contiguous()?.reshape((
                heads.keys,
                group * len,
                heads.dim,
            ))?;
            let scores = stacked.matmul(&keys.t()?)?.to_dtype(DType::F32)?;
            let mut scores = (scores * f64::from(heads.scale))?;
            if let Some(cap) = heads.softcap.map(f64::from) {
                scores = ((scores / cap)?.tanh()? * cap)?;
            }
            let seen = visible - hidden;
            if let Some(mask) = mask(len, hidden, visible, heads.window, query.device())? {
                scores = scores
                    .reshape((heads.queries, len, seen))?
                    .broadcast_add(&mask)?
                    .reshape((heads.keys, group * len, seen))?;
            }
            let weights = candle_nn::ops::softmax_last_dim(&scores)?.to_dtype(dtype)?;
            let mixed = weights
                .matmul(&values)?
                .reshape((heads.queries, len, heads.dim))?
                .transpose(0, 1)?
                .reshape((len, heads.queries * heads.dim))?;
            rows.push(mixed);
        }
        stack(rows)
    }
}

/// 0 where one of the last `len` positions before `visible` sees a key from `hidden` on and -inf
/// where not, `[len, visible - hidden]`; none for one query, which sees all of them.
fn mask(
    len: usize,
    hidden: usize,
    visible: usize,
    window: Option<usize>,
    device: &Device,
) -> Result<Option<Tensor>> {
    if len == 1 {
        return Ok(None);
    }
    let cell = |query: usize, key: usize| {
        let sees = key <= query && window.is_none_or(|window| query < key + window);
        if sees { 0.0 } else { f32::NEG_INFINITY }
    };
    let values: Vec<f32> = (visible - len..visible)
        .flat_map(|query| (hidden..visible).map(move |key| cell(query, key)))
        .collect();
    Ok(Some(Tensor::from_vec(values, (len, visible - hidden), device)?))
}

/// Rows below one another; one alone, as in decode of one sequence, is not copied.
fn stack(mut rows: Vec<Tensor>) -> Result<Tensor> {
    Ok(if rows.len() == 1 { rows.remove(0) } else { Tensor::cat(&rows, 0)? })
}
