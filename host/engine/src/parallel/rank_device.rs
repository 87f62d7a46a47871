//! A rank's forward pass on its device.

use super::{
    DeviceGroup,
    microbatches::{WORTH_CUTTING, microbatches},
    rank::Rank,
};
use crate::{
    DType, Error, Result,
    adapters::AdapterId,
    gpu::{DecoderTables, DeviceLogits, PassSize, ResidualStream, Workspace},
    layers::PassSegment,
};

/// A rank's state on its device, besides its part of the model.
pub(super) struct DevicePart {
    /// Memory that is reused from pass to pass.
    pub workspace: Workspace,
    pub on_device: DecoderTables,
    /// The ranks of this rank's stage.
    pub tensor: DeviceGroup,
    /// The ranks that have this rank's part of the other stages.
    pub stages: DeviceGroup,
}

/// Most modules of one matrix product that an adapter may have factors for, side by side.
const MODULES: usize = 4;

impl Rank {
    /// Runs new tokens of several sequences.
    ///
    /// # Shapes
    /// - `segments`: the new tokens, `[rows]` in all
    /// - `wanted`: the rows whose logits are needed
    /// - returns: `[wanted, vocab]` on the first rank of the first stage, and `None` on all other ranks
    pub(super) fn run_on_device(
        &mut self,
        batch: Option<u64>,
        segments: &[PassSegment<'_>],
        wanted: &[u32],
    ) -> Result<Option<DeviceLogits>> {
        let Self { decoder, device, attached, batches, pool, shard, microbatches: asked, .. } =
            self;
        let Some(DevicePart { workspace, on_device, tensor, stages }) = device else {
            return Err(Error::Bug("a rank on the CPU was asked for a device's pass".to_owned()));
        };
        let caches = match batch {
            None => pool.caches(),
            Some(batch) => batches.get_mut(&batch).map_or(&mut [][..], |caches| caches),
        };
        let (stage, gpu) = (decoder.stage().clone(), &on_device.gpu);
        let (hidden, vocab) = (decoder.shape().hidden, decoder.shape().vocab);
        let slots: Vec<AdapterId> = attached.iter().map(|&(id, _)| id).collect();
        let ranks = MODULES * attached.iter().map(|&(_, rank)| rank).max().unwrap_or(0);
        let rows: usize = segments.iter().map(|segment| segment.tokens.len()).sum();
        let leads = shard.index == 0;
        let has_logits = !wanted.is_empty();
        let count = asked.unwrap_or(stage.count.min(rows / WORTH_CUTTING));
        let parts = microbatches(segments, rows, count);
        let size = PassSize {
            rows,
            wanted: wanted.len(),
            // Cutting a pass may leave segments of a single row.
            decodes: segments.len() + parts.len(),
            // The capacity of the caches, so that a step that is longer than the last one allocates nothing.
            longest: segments
                .iter()
                .filter_map(|segment| Some(caches.get(segment.slot)?.capacity()))
                .max()
                .unwrap_or(0),
            ranks,
        };
        workspace.reserve_arena(decoder.arena_bytes(gpu, size))?;
        let row = hidden * gpu.dtype.size();
        if stage.is_last() || (stage.is_first() && leads) {
            workspace.reserve_logits(wanted.len(), vocab, wanted.len() * row)?;
        }
        let is_cut = parts.len() > 1;
        let (mut start, mut kept) = (0, 0);
        for segments in parts {
            let len: usize = segments.iter().map(|segment| segment.tokens.len()).sum();
            let here = (start..start + len) as std::ops::Range<usize>;
            let wanted: Vec<u32> = wanted
                .iter()
                .filter(|&&row| here.contains(&(row as usize)))
                .map(|&row| row - start as u32)
                .collect();
            start += len;
            workspace.tables.fill(
                gpu,
                &segments,
                caches,
                &decoder.shape().ropes,
                &slots,
                &wanted,
            )?;
            let Workspace { tables, arena, .. } = &*workspace;
            arena.scoped(|| {
                let context = tables.row_context(gpu, arena, tensor)?;
                let stream = if stage.is_first() {
                    decoder.embed_on_device(&context, tables)?
                } else {
                    let x = context.take(len, hidden)?;
                    stages.recv(x, len * hidden, gpu.dtype, stage.index - 1)?;
                    ResidualStream::new(x)
                };
                let mut stream =
                    decoder.forward_layers_on_device(&context, tables, on_device, stream)?;
                if !stage.is_last() {
                    stream.add_pending(&context, hidden)?;
                    return stages.send(stream.x, len * hidden, gpu.dtype, stage.index + 1);
                }
                if wanted.is_empty() {
                    return Ok(());
                }
                let rows = tables.wanted_rows()?;
                if is_cut {
                    stream.add_pending(&context, hidden)?;
                    let to = workspace.hidden().view().part(kept * row, wanted.len() * row)?;
                    kept += wanted.len();
                    return Ok(gpu.rows.gather(wanted.len(), hidden, rows, stream.x, to)?);
                }
                let context = tables.wanted_context(gpu, arena, tensor)?;
                let out = workspace.logits(wanted.len(), vocab);
                decoder.logits_on_device(&context, on_device, &stream, Some(rows), &out)
            })?;
        }
        if !has_logits {
            return Ok(None);
        }
        if stage.is_last() && is_cut {
            workspace.tables.fill_wanted(gpu, segments, &slots, wanted)?;
            let Workspace { tables, arena, .. } = &*workspace;
            arena.scoped(|| {
                let context = tables.wanted_context(gpu, arena, tensor)?;
                let stream = ResidualStream::new(workspace.hidden().view());
                let out = workspace.logits(wanted.len(), vocab);
                decoder.logits_on_device(&context, on_device, &stream, None, &out)
            })?;
        }
        let logits = workspace.logits(wanted.len(), vocab);
        let numbers = wanted.len() * vocab;
        if stage.is_last() && !stage.is_first() && leads {
            stages.send(logits.buffer.view(), numbers, DType::F32, 0)?;
        } else if stage.is_first() && !stage.is_last() && leads {
            stages.recv(logits.buffer.view(), numbers, DType::F32, stage.count - 1)?;
        }
        Ok((stage.is_first() && leads).then_some(logits))
    }
}
