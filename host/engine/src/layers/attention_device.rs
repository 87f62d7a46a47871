//! The same attention on a device: rotate and append, then attend over all sequences at once.

use super::Attention;
use crate::{
    DType, Result,
    gpu::{Plan, Run},
    layers::Norm,
};
use llem_checkpoint::families::QueryNorm;
use llem_compute::{
    View,
    ops::{
        attention::{Attend, Decode, Prefill},
        rope::{self, Append, Rotary},
    },
};

/// What the layers of a pass share.
#[derive(Clone, Copy)]
pub struct Shared<'a> {
    /// The pass' tables.
    pub plan: &'a Plan,
    /// Each of the model's rotary embeddings.
    pub rotaries: &'a [Rotary<'a>],
    /// Memory for what decode's splits give.
    pub scratch: View<'a>,
}

impl Attention {
    /// `[rows, hidden]` to the same; `layer` is the layer's place in the caches, which take the new keys and values.
    pub fn run(
        &self,
        run: &Run<'_>,
        shared: &Shared<'_>,
        layer: usize,
        x: View<'_>,
        y: View<'_>,
    ) -> Result<()> {
        run.arena.scoped(|| {
            let heads = &self.heads;
            let qkv = run.take(run.rows, (heads.queries + 2 * heads.keys) * heads.dim)?;
            self.qkv.run(run, x, qkv)?;
            let queries = run.take(run.rows, heads.queries * heads.dim)?;
            self.append(run, shared, layer, qkv, queries)?;
            let mixed = run.take(run.rows, heads.queries * heads.dim)?;
            self.attend_on_device(run, shared, layer, queries, mixed)?;
            self.output.run(run, mixed, y)
        })
    }

    fn append(
        &self,
        run: &Run<'_>,
        shared: &Shared<'_>,
        layer: usize,
        qkv: View<'_>,
        queries: View<'_>,
    ) -> Result<()> {
        let (heads, plan) = (&self.heads, shared.plan);
        let mut append = Append {
            rows: run.rows,
            heads: heads.queries,
            kv_heads: heads.keys,
            dim: heads.dim,
            layer,
            qkv,
            queries,
            sequences: plan.sequences()?,
            row_sequences: plan.row_sequences()?,
            positions: plan.positions()?,
            rotary: self.rope.map(|index| shared.rotaries[index]),
            norm: rope::QueryNorm::None,
        };
        if let Some([query, key]) = &self.norms {
            let gains = [query.gain()?, key.gain()?];
            append.norm = match self.query_norm {
                QueryNorm::EachHead => rope::QueryNorm::EachHead(gains, query.eps()),
                _ => self.over_all_heads(run, &append, gains, query)?,
            };
        }
        Ok(run.gpu.appends.append(&append)?)
    }

    /// The norm over all heads, for which ranks add up their squares first.
    fn over_all_heads<'a>(
        &'a self,
        run: &Run<'a>,
        append: &Append<'_>,
        gains: [View<'a>; 2],
        query: &Norm,
    ) -> Result<rope::QueryNorm<'a>> {
        let Some(all_heads) = &self.all_heads else {
            return Ok(rope::QueryNorm::AllHeads(gains, query.eps(), None));
        };
        let squares = run.arena.take(run.rows * 2 * size_of::<f32>())?;
        run.gpu.appends.squares(append, all_heads.factors(), squares)?;
        run.group.all_reduce(squares, run.rows * 2, DType::F32)?;
        Ok(rope::QueryNorm::AllHeads(gains, query.eps(), Some(squares)))
    }

    fn attend_on_device(
        &self,
        run: &Run<'_>,
        shared: &Shared<'_>,
        layer: usize,
        queries: View<'_>,
        out: View<'_>,
    ) -> Result<()> {
        let (heads, plan) = (&self.heads, shared.plan);
        let attend = Attend {
            rows: run.rows,
            heads: heads.queries,
            kv_heads: heads.keys,
            layer,
            scale: heads.scale,
            softcap: heads.softcap,
            window: heads.window,
            queries,
            out,
            sequences: plan.sequences()?,
        };
        if plan.decodes > 0 {
            let decode = Decode {
                list: plan.decode_list()?,
                count: plan.decodes,
                longest: plan.longest,
                scratch: shared.scratch,
            };
            run.gpu.attention.decode(&attend, &decode)?;
        }
        if plan.tiles > 0 {
            let prefill = Prefill { tiles: plan.tile_list()?, count: plan.tiles };
            run.gpu.attention.prefill(&attend, &prefill)?;
        }
        Ok(())
    }
}
