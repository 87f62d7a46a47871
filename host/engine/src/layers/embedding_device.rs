//! The embedding on a device.

use super::embedding::{Embedding, EmbeddingAdapter};
use crate::{
    Result,
    adapters::{AdapterId, Factors},
    gpu::KernelContext,
};
use llem_compute::{
    Buffer, View,
    ops::{
        bytes_of,
        embedding::{Lookup, LowRankTable},
        norm::AddNorm,
    },
};

/// The tables that kernels read about adapters, by slot.
pub(super) struct AdapterTables {
    /// u64: the address of the table that replaces the base model's, or 0.
    pub saved: Option<Buffer>,
    /// A [`LowRankTable`] for each slot.
    pub low_rank: Option<Buffer>,
}

impl Embedding {
    /// Queues a lookup of vectors, times `scale`. The result is added to `out` if `accumulate` is true.
    ///
    /// # Shapes
    /// - `ids`: `[rows]`, u32
    /// - `out`: `[rows, hidden]`, in the model's format
    pub(crate) fn lookup_on_device(
        &self,
        context: &KernelContext<'_>,
        ids: View<'_>,
        scale: f32,
        accumulate: bool,
        out: View<'_>,
    ) -> Result<()> {
        let (rows, width) = (context.rows, self.matrix.columns);
        let adapters = context.changed(|id| self.changes.get(id).is_some());
        let tables = adapters.and(self.tables.as_ref());
        let low_rank = tables.and_then(|tables| tables.low_rank.as_ref());
        let is_cut = self.kept != (0..self.matrix.rows);
        if (is_cut || low_rank.is_some()) && accumulate {
            // Adapters and other ranks may change only the vectors that were looked up, so these go to memory of
            // their own first.
            return context.arena.scoped(|| {
                let own = context.take(rows, width)?;
                self.lookup_on_device(context, ids, scale, false, own)?;
                let (deltas, x) = ([Some(own), None], out);
                let (post, norm, index, adapters) = (None, None, None, None);
                let sum = AddNorm { rows, width, x, deltas, post, norm, index, adapters };
                Ok(context.gpu.norms.add_norm(&sum)?)
            });
        }
        // The change of an adapter is scaled together with the table's vectors, at the end.
        let first_scale = if low_rank.is_some() { 1.0 } else { scale };
        context.gpu.embeddings.lookup(&Lookup {
            rows,
            width,
            ids,
            table: self.used.device_view()?,
            first: self.kept.start,
            kept: self.kept.len(),
            changes: tables.and_then(|tables| tables.saved.as_ref()).map(Buffer::view),
            adapters: adapters.map(|adapters| adapters.rows),
            scale: first_scale,
            accumulate,
            out,
        })?;
        if is_cut {
            context.group.all_reduce(out, rows * width, context.gpu.dtype)?;
        }
        if let (Some(table), Some(adapters)) = (low_rank, adapters) {
            let table = table.view();
            context.gpu.embeddings.low_rank(rows, width, ids, adapters.rows, table, scale, out)?;
        }
        Ok(())
    }

    /// Copies low-rank factors to the device: A transposed, B and the gain, in f32. Returns `None` on the CPU.
    pub(super) fn upload(
        &self,
        factors: &Factors,
        gain: Option<&[f32]>,
    ) -> Result<Option<(Buffer, Buffer, Option<Buffer>)>> {
        let Some(gpu) = self.placement.backend.gpu() else { return Ok(None) };
        let (rank, rows) = (factors.rank, self.matrix.rows);
        let column = |id: usize| (0..rank).map(move |row| factors.down[row * rows + id]);
        let down: Vec<f32> = (0..rows).flat_map(column).collect();
        let f32s = |numbers: &[f32]| Buffer::from_f32(&gpu.device, numbers);
        Ok(Some((f32s(&down)?, f32s(&factors.up)?, gain.map(f32s).transpose()?)))
    }

    /// Writes the tables of adapters to the device.
    pub(super) fn write_tables(&mut self, slots: &[AdapterId]) -> Result<()> {
        let Some(gpu) = self.placement.backend.gpu() else { return Ok(()) };
        let mut saved = vec![0u64; slots.len()];
        let mut low_rank = vec![LowRankTable::default(); slots.len()];
        for (slot, &id) in slots.iter().enumerate() {
            match self.changes.get(id) {
                Some(EmbeddingAdapter::Saved(_, weight)) => {
                    saved[slot] = weight.device_view()?.address
                }
                Some(EmbeddingAdapter::LowRank {
                    factors,
                    on_device: Some((down, up, gain)),
                    ..
                }) => {
                    low_rank[slot] = LowRankTable {
                        down: down.view().address,
                        up: up.view().address,
                        gain: gain.as_ref().map_or(0, |gain| gain.view().address),
                        rank: factors.rank as u32,
                        unused: 0,
                    };
                }
                Some(EmbeddingAdapter::LowRank { .. }) | None => {}
            }
        }
        let has_saved = saved.iter().any(|&address| address != 0);
        let has_low_rank = low_rank.iter().any(|table| table.down != 0);
        // SAFETY: addresses and tables are plain numbers without padding.
        let (saved, low_rank) = unsafe { (bytes_of(&saved), bytes_of(&low_rank)) };
        let upload = |bytes: &[u8]| Buffer::from_bytes(&gpu.device, bytes);
        self.tables = Some(AdapterTables {
            saved: has_saved.then(|| upload(saved)).transpose()?,
            low_rank: has_low_rank.then(|| upload(low_rank)).transpose()?,
        });
        Ok(())
    }
}
