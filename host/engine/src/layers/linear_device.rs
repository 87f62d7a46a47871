//! The same product on a device: one launch, and two more where rows have adapters.

use super::{Linear, change::Change};
use crate::{
    DType, Error, Result,
    adapters::AdapterId,
    gpu::{Place, Run},
};
use llem_compute::{
    Buffer, Product, View,
    ops::{bytes_of, lora},
};

/// Numbers that a row of what A gives is a multiple of, so that kernels read whole vectors.
const STRIDE: usize = 4;

impl Linear {
    /// This rank's inputs `[rows, in]` to its outputs `[rows, out]` in the model's format, summed over ranks where it is
    /// row-parallel.
    pub fn run(&self, run: &Run<'_>, x: View<'_>, y: View<'_>) -> Result<()> {
        let dtype = run.gpu.dtype;
        self.multiply(run, x, y, dtype)?;
        self.change(run, x, y)?;
        if self.inputs.summed {
            run.group.all_reduce(y, run.rows * self.outputs(), dtype)?;
        }
        Ok(())
    }

    /// The same in f32, of a product that is not summed: logits.
    pub fn run_wide(&self, run: &Run<'_>, x: View<'_>, y: View<'_>) -> Result<()> {
        let Some(_) = run.changed(|id| self.changes.of(id).is_some()) else {
            return self.multiply(run, x, y, DType::F32);
        };
        if run.gpu.dtype == DType::F32 {
            self.multiply(run, x, y, DType::F32)?;
            return self.change(run, x, y);
        }
        // Adapters change rows in the model's format, as they do everywhere else.
        let narrow = run.take(run.rows, self.outputs())?;
        self.multiply(run, x, narrow, run.gpu.dtype)?;
        self.change(run, x, narrow)?;
        Ok(run.gpu.rows.widen(run.rows * self.outputs(), narrow, y)?)
    }

    fn multiply(&self, run: &Run<'_>, x: View<'_>, y: View<'_>, y_dtype: DType) -> Result<()> {
        let [used] = &self.used[..] else { return Err(misplaced()) };
        let dtype = run.gpu.dtype;
        let (rows, inputs, outputs) = (run.rows, self.inputs.taken.len(), self.outputs());
        if rows == 0 || inputs == 0 || outputs == 0 {
            return Ok(());
        }
        let product = Product {
            rows,
            inputs,
            outputs,
            x: x.holds("a product's x", rows * inputs * dtype.size())?,
            weight: used
                .weight
                .on_device()?
                .holds("a product's weight", outputs * inputs * dtype.size())?,
            y: y.holds("a product's y", rows * outputs * y_dtype.size())?,
            bias: used.device_bias.as_ref().map_or(0, |bias| bias.view().address),
            y_stride: outputs,
            dtype,
            y_dtype,
            accumulate: false,
        };
        // SAFETY: the views hold matrices of these sizes, and the weight and bias live as long as the model.
        unsafe { run.gpu.products.product(&product)? };
        Ok(())
    }

    /// Lets adapters change their rows of `y = x Wᵀ + b`.
    fn change(&self, run: &Run<'_>, x: View<'_>, y: View<'_>) -> Result<()> {
        let Some(adapters) = run.changed(|id| self.changes.of(id).is_some()) else { return Ok(()) };
        let table = self.table.as_ref().ok_or_else(misplaced)?;
        let taking = || adapters.taking.iter().filter_map(|&id| self.changes.of(id));
        let rows = lora::Rows {
            rows: run.rows,
            per_input: 1,
            adapters: adapters.rows,
            adapter_count: adapters.slots,
            experts: None,
            table: table.view(),
        };
        let ranks = taking().map(Change::all_ranks).max().unwrap_or(0);
        let stride = ranks.next_multiple_of(STRIDE).max(STRIDE);
        let bytes = run.rows * stride * size_of::<f32>();
        run.arena.scoped(|| {
            let h = run.arena.take(bytes)?;
            let is_shared = taking().any(Change::is_shared);
            if is_shared {
                run.gpu.device.clear(h.address, bytes)?;
            }
            if ranks > 0 {
                run.gpu.lora.shrink(&rows, self.inputs.taken.len(), true, x, h, stride)?;
            }
            if is_shared {
                run.group.all_reduce(h, run.rows * stride, DType::F32)?;
            }
            run.gpu.lora.expand(&rows, self.outputs(), h, stride, y)?;
            for &id in adapters.taking {
                if let Some(change) = self.changes.of(id) {
                    let slot = self.slots.iter().position(|slot| *slot == id);
                    let slot = slot.ok_or_else(misplaced)? as u32;
                    change.replace(run, adapters.rows, slot, self.inputs.taken.len(), x, y)?;
                }
            }
            Ok(())
        })
    }

    /// What kernels are told of each attached adapter, in the order of their slots.
    pub fn entries(&self, slots: &[AdapterId]) -> Result<Vec<lora::Entry>> {
        let entry = |&id: &AdapterId| {
            self.changes.of(id).map_or_else(|| Ok(lora::Entry::default()), Change::entry)
        };
        slots.iter().map(entry).collect()
    }

    /// Writes the table of adapters.
    pub(super) fn write_table(&mut self, slots: &[AdapterId]) -> Result<()> {
        let Place::Gpu(gpu) = &self.place.place else { return Ok(()) };
        self.slots = slots.to_vec();
        let has_any = slots.iter().any(|&id| self.changes.of(id).is_some());
        self.table = if has_any {
            let entries = self.entries(slots)?;
            // SAFETY: entries are plain numbers without padding.
            Some(Buffer::of_bytes(&gpu.device, unsafe { bytes_of(&entries) })?)
        } else {
            None
        };
        Ok(())
    }

    /// The address of its weight on a device.
    pub(super) fn weight_address(&self) -> Result<u64> {
        match &self.used[..] {
            [used] => Ok(used.weight.on_device()?.address),
            _ => Err(misplaced()),
        }
    }

    /// The largest number of ranks that an adapter's A has here, over all ranks of the stage.
    pub(super) fn most_ranks(&self, taking: &[AdapterId]) -> usize {
        let changes = taking.iter().filter_map(|&id| self.changes.of(id));
        changes.map(Change::all_ranks).max().unwrap_or(0)
    }

    /// Whether ranks work together on the factors of an adapter that takes part.
    pub(super) fn has_shared_factors(&self, taking: &[AdapterId]) -> bool {
        taking.iter().filter_map(|&id| self.changes.of(id)).any(Change::is_shared)
    }

    /// Whether an adapter has whole weights in place of some of its own.
    pub(super) fn is_replaced_by(&self, id: AdapterId) -> bool {
        self.changes.of(id).is_some_and(Change::has_saved)
    }

    /// Whether an adapter changes it.
    pub(super) fn is_changed_by(&self, id: AdapterId) -> bool {
        self.changes.of(id).is_some()
    }
}

fn misplaced() -> Error {
    Error::Bug("a product's weight is not on the device of what it is multiplied with".to_owned())
}
