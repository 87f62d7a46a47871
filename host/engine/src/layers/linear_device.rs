//! The linear layer on a device: one kernel, and two more if rows have adapters.

use super::{Linear, linear_adapter::LinearAdapter};
use crate::{
    DType, Error, Result,
    adapters::AdapterId,
    gpu::{Backend, KernelContext},
};
use llem_compute::{
    Buffer, MatrixProduct, View,
    ops::{bytes_of, lora},
};

/// The numbers that a row of `A x` is padded to a multiple of, so that kernels read whole vectors.
const STRIDE: usize = 4;

impl Linear {
    /// Queues the layer on a device, in the model's format.
    ///
    /// # Shapes
    /// - `x`: `[rows, this rank's inputs]`
    /// - `y`: `[rows, this rank's outputs]`, overwritten; summed over ranks if the layer is row-parallel
    pub(crate) fn forward_on_device(
        &self,
        context: &KernelContext<'_>,
        x: View<'_>,
        y: View<'_>,
    ) -> Result<()> {
        let dtype = context.gpu.dtype;
        self.multiply(context, x, y, dtype)?;
        self.apply_adapters_on_device(context, x, y)?;
        if self.inputs.summed {
            context.group.all_reduce(y, context.rows * self.outputs(), dtype)?;
        }
        Ok(())
    }

    /// Queues the layer on a device with f32 results, which logits need. The layer must not be row-parallel.
    ///
    /// # Shapes
    /// - `x`: `[rows, inputs]`, in the model's format
    /// - `y`: `[rows, this rank's outputs]`, f32, overwritten
    pub(crate) fn forward_on_device_in_f32(
        &self,
        context: &KernelContext<'_>,
        x: View<'_>,
        y: View<'_>,
    ) -> Result<()> {
        let Some(_) = context.changed(|id| self.changes.get(id).is_some()) else {
            return self.multiply(context, x, y, DType::F32);
        };
        if context.gpu.dtype == DType::F32 {
            self.multiply(context, x, y, DType::F32)?;
            return self.apply_adapters_on_device(context, x, y);
        }
        // Adapters change rows in the model's format, as they do in all other layers.
        let narrow = context.take(context.rows, self.outputs())?;
        self.multiply(context, x, narrow, context.gpu.dtype)?;
        self.apply_adapters_on_device(context, x, narrow)?;
        Ok(context.gpu.rows.widen(context.rows * self.outputs(), narrow, y)?)
    }

    /// Queues `y = x Wᵀ + b` without adapters.
    ///
    /// # Shapes
    /// - `x`: `[rows, this rank's inputs]`
    /// - `y`: `[rows, this rank's outputs]`, of the format `y_dtype`, overwritten
    fn multiply(
        &self,
        context: &KernelContext<'_>,
        x: View<'_>,
        y: View<'_>,
        y_dtype: DType,
    ) -> Result<()> {
        let [used] = &self.used[..] else { return Err(misplaced()) };
        let dtype = context.gpu.dtype;
        let (rows, inputs, outputs) = (context.rows, self.inputs.own.len(), self.outputs());
        if rows == 0 || inputs == 0 || outputs == 0 {
            return Ok(());
        }
        let product = MatrixProduct {
            rows,
            inputs,
            outputs,
            x: x.checked_address("a product's x", rows * inputs * dtype.size())?,
            weight: used
                .weight
                .device_view()?
                .checked_address("a product's weight", outputs * inputs * dtype.size())?,
            y: y.checked_address("a product's y", rows * outputs * y_dtype.size())?,
            bias: used.device_bias.as_ref().map_or(0, |bias| bias.view().address),
            y_stride: outputs,
            dtype,
            y_dtype,
            accumulate: false,
        };
        // SAFETY: the views hold matrices of these sizes, and the weight and bias live as long as the model.
        unsafe { context.gpu.products.product(&product)? };
        Ok(())
    }

    /// Queues the changes of adapters to their rows of `y = x Wᵀ + b`.
    ///
    /// # Shapes
    /// - `x`: `[rows, this rank's inputs]`
    /// - `y`: `[rows, this rank's outputs]`, changed in place
    fn apply_adapters_on_device(
        &self,
        context: &KernelContext<'_>,
        x: View<'_>,
        y: View<'_>,
    ) -> Result<()> {
        let Some(adapters) = context.changed(|id| self.changes.get(id).is_some()) else {
            return Ok(());
        };
        let table = self.table.as_ref().ok_or_else(misplaced)?;
        let taking = || adapters.taking.iter().filter_map(|&id| self.changes.get(id));
        let rows = lora::LoraRows {
            rows: context.rows,
            per_input: 1,
            adapters: adapters.rows,
            adapter_count: adapters.slots,
            experts: None,
            table: table.view(),
        };
        let ranks = taking().map(LinearAdapter::all_ranks).max().unwrap_or(0);
        let stride = ranks.next_multiple_of(STRIDE).max(STRIDE);
        let bytes = context.rows * stride * size_of::<f32>();
        context.arena.scoped(|| {
            let h = context.arena.take(bytes)?;
            let is_shared = taking().any(LinearAdapter::is_shared);
            if is_shared {
                context.gpu.device.clear(h.address, bytes)?;
            }
            if ranks > 0 {
                context.gpu.lora.shrink(&rows, self.inputs.own.len(), true, x, h, stride)?;
            }
            if is_shared {
                context.group.all_reduce(h, context.rows * stride, DType::F32)?;
            }
            context.gpu.lora.expand(&rows, self.outputs(), h, stride, y)?;
            for &id in adapters.taking {
                if let Some(change) = self.changes.get(id) {
                    let slot = self.slots.iter().position(|slot| *slot == id);
                    let slot = slot.ok_or_else(misplaced)? as u32;
                    change.replace_outputs_on_device(
                        context,
                        adapters.rows,
                        slot,
                        self.inputs.own.len(),
                        x,
                        y,
                    )?;
                }
            }
            Ok(())
        })
    }

    /// Describes each attached adapter to the kernels, in the order of `slots`.
    pub(crate) fn entries(&self, slots: &[AdapterId]) -> Result<Vec<lora::LoraEntry>> {
        let entry = |&id: &AdapterId| {
            self.changes
                .get(id)
                .map_or_else(|| Ok(lora::LoraEntry::default()), LinearAdapter::entry)
        };
        slots.iter().map(entry).collect()
    }

    /// Writes the table of adapters to the device.
    pub(super) fn write_table(&mut self, slots: &[AdapterId]) -> Result<()> {
        let Backend::Gpu(gpu) = &self.placement.backend else { return Ok(()) };
        self.slots = slots.to_vec();
        let has_any = slots.iter().any(|&id| self.changes.get(id).is_some());
        self.table = if has_any {
            let entries = self.entries(slots)?;
            // SAFETY: entries are plain numbers without padding.
            Some(Buffer::from_bytes(&gpu.device, unsafe { bytes_of(&entries) })?)
        } else {
            None
        };
        Ok(())
    }

    /// Returns the address of the weight on its device.
    pub(super) fn weight_address(&self) -> Result<u64> {
        match &self.used[..] {
            [used] => Ok(used.weight.device_view()?.address),
            _ => Err(misplaced()),
        }
    }

    /// Returns the largest rank of A among the adapters that take part, over all ranks of the stage. The ranks of all
    /// modules of this layer add up.
    pub(super) fn most_ranks(&self, taking: &[AdapterId]) -> usize {
        let changes = taking.iter().filter_map(|&id| self.changes.get(id));
        changes.map(LinearAdapter::all_ranks).max().unwrap_or(0)
    }

    /// Returns true if ranks share the factors of an adapter that takes part.
    pub(super) fn has_shared_factors(&self, taking: &[AdapterId]) -> bool {
        taking.iter().filter_map(|&id| self.changes.get(id)).any(LinearAdapter::is_shared)
    }

    /// Returns true if the adapter replaces whole weights of this layer.
    pub(super) fn is_replaced_by(&self, id: AdapterId) -> bool {
        self.changes.get(id).is_some_and(LinearAdapter::has_saved)
    }

    /// Returns true if the adapter changes this layer.
    pub(super) fn is_changed_by(&self, id: AdapterId) -> bool {
        self.changes.get(id).is_some()
    }
}

fn misplaced() -> Error {
    Error::Bug("a product's weight is not on the device of what it is multiplied with".to_owned())
}
