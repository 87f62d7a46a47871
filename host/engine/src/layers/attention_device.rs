//! Attention on a device: one kernel rotates and appends to the caches, then all sequences attend at once.

use super::Attention;
use crate::{
    DType, Result,
    gpu::{KernelContext, PassTables},
    layers::Norm,
};
use llem_checkpoint::QueryKeyNorm;
use llem_compute::{
    View,
    ops::{
        attention::{DecodeRows, LayerAttention, PrefillTiles},
        rope::{self, KvAppend, Rotary},
    },
};

/// The tables and the memory that the attention layers of a pass share.
#[derive(Clone, Copy)]
pub(crate) struct AttentionContext<'a> {
    /// The tables of the pass.
    pub tables: &'a PassTables,
    /// The rotary embeddings of the model.
    pub rotaries: &'a [Rotary<'a>],
    /// Scratch memory for the partial results of decode.
    pub scratch: View<'a>,
}

impl Attention {
    /// Queues attention on a device. The caches' layer `layer` takes the new keys and values.
    ///
    /// # Shapes
    /// - `x`: `[rows, hidden]`
    /// - `y`: `[rows, hidden]`, overwritten
    pub(crate) fn forward_on_device(
        &self,
        context: &KernelContext<'_>,
        pass: &AttentionContext<'_>,
        layer: usize,
        x: View<'_>,
        y: View<'_>,
    ) -> Result<()> {
        context.arena.scoped(|| {
            let heads = &self.heads;
            let qkv = context.take(context.rows, (heads.queries + 2 * heads.keys) * heads.dim)?;
            self.qkv.forward_on_device(context, x, qkv)?;
            let queries = context.take(context.rows, heads.queries * heads.dim)?;
            self.append_keys(context, pass, layer, qkv, queries)?;
            let mixed = context.take(context.rows, heads.queries * heads.dim)?;
            self.attend_on_device(context, pass, layer, queries, mixed)?;
            self.output.forward_on_device(context, mixed, y)
        })
    }

    /// Queues the norms and the rotation of queries and keys, and the writing of keys and values to the caches.
    ///
    /// # Shapes
    /// - `qkv`: `[rows, (queries + 2 keys) * head_dim]`
    /// - `queries`: `[rows, queries * head_dim]`, overwritten
    fn append_keys(
        &self,
        context: &KernelContext<'_>,
        pass: &AttentionContext<'_>,
        layer: usize,
        qkv: View<'_>,
        queries: View<'_>,
    ) -> Result<()> {
        let (heads, tables) = (&self.heads, pass.tables);
        let mut append = KvAppend {
            rows: context.rows,
            heads: heads.queries,
            kv_heads: heads.keys,
            dim: heads.dim,
            layer,
            qkv,
            queries,
            sequences: tables.sequences()?,
            row_sequences: tables.row_sequences()?,
            positions: tables.positions()?,
            rotary: self.rope.map(|index| pass.rotaries[index]),
            norm: rope::QueryKeyNorm::None,
        };
        if let Some([query, key]) = &self.norms {
            let gains = [query.gain()?, key.gain()?];
            append.norm = match self.query_norm {
                QueryKeyNorm::EachHead => rope::QueryKeyNorm::EachHead(gains, query.eps()),
                _ => self.norm_over_all_heads(context, &append, gains, query)?,
            };
        }
        Ok(context.gpu.appends.append(&append)?)
    }

    /// Prepares the norm over all heads. If the heads are spread over ranks, the ranks sum their squares first.
    fn norm_over_all_heads<'a>(
        &'a self,
        context: &KernelContext<'a>,
        append: &KvAppend<'_>,
        gains: [View<'a>; 2],
        query: &Norm,
    ) -> Result<rope::QueryKeyNorm<'a>> {
        let Some(norm) = &self.sharded_norm else {
            return Ok(rope::QueryKeyNorm::AllHeads(gains, query.eps(), None));
        };
        let squares = context.arena.take(context.rows * 2 * size_of::<f32>())?;
        context.gpu.appends.squares(append, norm.factors(), squares)?;
        context.group.all_reduce(squares, context.rows * 2, DType::F32)?;
        Ok(rope::QueryKeyNorm::AllHeads(gains, query.eps(), Some(squares)))
    }

    /// Queues attention of the prepared queries over the caches.
    ///
    /// # Shapes
    /// - `queries`: `[rows, queries * head_dim]`
    /// - `out`: `[rows, queries * head_dim]`, overwritten
    fn attend_on_device(
        &self,
        context: &KernelContext<'_>,
        pass: &AttentionContext<'_>,
        layer: usize,
        queries: View<'_>,
        out: View<'_>,
    ) -> Result<()> {
        let (heads, tables) = (&self.heads, pass.tables);
        let attend = LayerAttention {
            rows: context.rows,
            heads: heads.queries,
            kv_heads: heads.keys,
            layer,
            scale: heads.scale,
            softcap: heads.softcap,
            window: heads.window,
            queries,
            out,
            sequences: tables.sequences()?,
        };
        if tables.decodes > 0 {
            let decode = DecodeRows {
                list: tables.decode_list()?,
                count: tables.decodes,
                longest: tables.longest,
                scratch: pass.scratch,
            };
            context.gpu.attention.decode(&attend, &decode)?;
        }
        if tables.tiles > 0 {
            let prefill = PrefillTiles { tiles: tables.tile_list()?, count: tables.tiles };
            context.gpu.attention.prefill(&attend, &prefill)?;
        }
        Ok(())
    }
}
