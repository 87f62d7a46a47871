//! RMSNorm (arXiv 1910.07467) and LayerNorm (arXiv 1607.06450).

use super::{
    adapter_rows::AdapterRows,
    adapter_target::{AdapterMap, AdapterTarget, AdapterTotals},
    cpu_tensor,
    placement::Placement,
};
use crate::{
    Error, Result,
    adapters::{AdapterId, AdapterTensors},
    cpu::pointwise::{self, Normalisation},
    gpu::KernelContext,
    load::Weights,
};
use candle_core::Tensor;
use llem_checkpoint::NormKind;
use llem_compute::{
    Buffer, View,
    ops::{
        bytes_of,
        norm::{NormChange, NormWeights},
    },
};
use std::{ops::Range, sync::Arc};

/// A norm over the last dimension. It is computed in f32, whatever the model's number format is.
pub(crate) struct Norm {
    /// The module's name in transformers.
    module: String,
    /// The number that is added to the checkpoint's gains: 1 for families that store them less 1.
    plus: f32,
    /// The base model's weights.
    base: NormScale,
    /// The weights in use: the base model's, or the weights of a merged adapter.
    used: NormScale,
    changes: AdapterMap<NormScale>,
    /// The table that kernels read about adapters, by slot.
    table: Option<Buffer>,
    placement: Placement,
}

/// The weights of a norm.
#[derive(Clone)]
struct NormScale {
    gain: Vec<f32>,
    bias: Option<Vec<f32>>,
    eps: f32,
    /// The gain and the bias on a device, in f32.
    on_device: Option<Arc<(Buffer, Option<Buffer>)>>,
}

impl Norm {
    /// Loads `weight` (and `bias`) of `width` numbers, under the prefix of `weights`.
    pub(crate) fn load(weights: &Weights, width: usize, kind: NormKind, eps: f32) -> Result<Self> {
        Self::load_part(weights, width, 0..width, kind, eps)
    }

    /// Loads the range `kept` of a norm's numbers, for a norm whose features are spread over ranks.
    pub(crate) fn load_part(
        weights: &Weights,
        width: usize,
        kept: Range<usize>,
        kind: NormKind,
        eps: f32,
    ) -> Result<Self> {
        let plus = if kind == NormKind::RmsPlusOne { 1.0 } else { 0.0 };
        let placement = Placement::from_weights(weights);
        let vector = |name| Ok::<_, Error>(weights.vector(name, width)?[kept.clone()].to_vec());
        let gain = vector("weight")?;
        let bias = (kind == NormKind::Layer).then(|| vector("bias")).transpose()?;
        let base = NormScale::new(gain, plus, bias, eps, &placement)?;
        let module = weights.module();
        let (used, changes) = (base.clone(), AdapterMap::new());
        Ok(Self { module, plus, used, base, changes, table: None, placement })
    }

    /// Normalises each row on the CPU, and applies the adapters of `rows`.
    ///
    /// # Shapes
    /// - `x`: `[rows, width]`
    /// - returns: `[rows, width]`
    pub(crate) fn forward(&self, x: &Tensor, rows: &AdapterRows) -> Result<Tensor> {
        let mut y = self.used.forward(x)?;
        for subset in rows.subsets() {
            if let Some(scale) = self.changes.get(subset.adapter) {
                y = subset.replace_in(y, scale.forward(&subset.gather(x)?)?)?;
            }
        }
        Ok(y)
    }

    /// Normalises rows in place on the CPU, without adapters.
    ///
    /// # Shapes
    /// - `rows`: `[rows, width]`, flat
    pub(crate) fn normalise_in_place(&self, rows: &mut [f32]) {
        pointwise::normalise_in_place(rows, self.used.how());
    }

    /// Normalises this rank's part of a row, given the mean square of the whole row (RMSNorm only).
    ///
    /// # Shapes
    /// - `part`: `[width of the part]`
    pub(crate) fn normalise_part_in_place(&self, part: &mut [f32], mean_square: f32) {
        let factor = (mean_square + self.used.eps).sqrt().recip();
        part.iter_mut().zip(&self.used.gain).for_each(|(x, gain)| *x *= factor * gain);
    }

    /// Returns the weights on a device, and the table of adapters if one that takes part in the pass changes the
    /// norm.
    pub(crate) fn weights(&self, context: &KernelContext<'_>) -> Result<NormWeights<'_>> {
        let changed = context.changed(|id| self.changes.get(id).is_some());
        let changes = changed.and(self.table.as_ref()).map(Buffer::view);
        self.used.weights(changes)
    }

    /// Returns the gain on a device, in f32.
    pub(crate) fn gain(&self) -> Result<View<'_>> {
        Ok(self.used.weights(None)?.gain)
    }

    /// Returns the number that is added to the mean square before the root.
    pub(crate) fn eps(&self) -> f32 {
        self.used.eps
    }
}

impl AdapterTarget for Norm {
    fn attach(&mut self, id: AdapterId, tensors: &mut AdapterTensors) -> Result<AdapterTotals> {
        let NormScale { gain, bias, eps, .. } = &self.base;
        let width = gain.len();
        // Programs that save a whole model's state repeat gains that were not trained.
        let is_other =
            |new: &Vec<f32>| new.iter().zip(gain).any(|(new, old)| new + self.plus != *old);
        let is_saved = tensors.config.saves(&self.module);
        let new_gain = tensors.gain(&self.module, width)?.filter(|new| is_saved || is_other(new));
        let new_bias = match bias {
            Some(_) => tensors.bias(&self.module, width)?,
            None => None,
        };
        let mut added = AdapterTotals::default();
        if new_gain.is_none() && new_bias.is_none() {
            return Ok(added);
        }
        added.modules = 1;
        let changed = [&new_gain, &new_bias];
        changed.into_iter().flatten().for_each(|numbers| added.count_vector(numbers.len()));
        let plus = if new_gain.is_some() { self.plus } else { 0.0 };
        let gain = new_gain.unwrap_or_else(|| gain.clone());
        let bias = new_bias.or_else(|| bias.clone());
        self.changes.insert(id, NormScale::new(gain, plus, bias, *eps, &self.placement)?);
        Ok(added)
    }

    fn reports_totals(&self) -> bool {
        self.placement.shard.index == 0
    }

    fn detach(&mut self, id: AdapterId) {
        self.changes.remove(id);
    }

    fn merge(&mut self, id: AdapterId) -> Result<()> {
        if let Some(scale) = self.changes.get(id) {
            self.used = scale.clone();
        }
        Ok(())
    }

    fn unmerge(&mut self) -> Result<()> {
        self.used = self.base.clone();
        Ok(())
    }

    fn publish(&mut self, slots: &[AdapterId]) -> Result<()> {
        let Some(gpu) = self.placement.backend.gpu() else { return Ok(()) };
        let change = |&id: &AdapterId| {
            self.changes.get(id).map_or_else(NormChange::default, NormScale::change)
        };
        let has_any = slots.iter().any(|&id| self.changes.get(id).is_some());
        let changes: Vec<NormChange> = slots.iter().map(change).collect();
        // SAFETY: changes are plain numbers without padding.
        let table = || Buffer::from_bytes(&gpu.device, unsafe { bytes_of(&changes) });
        self.table = has_any.then(table).transpose()?;
        Ok(())
    }
}

impl NormScale {
    fn new(
        mut gain: Vec<f32>,
        plus: f32,
        bias: Option<Vec<f32>>,
        eps: f32,
        placement: &Placement,
    ) -> Result<Self> {
        gain.iter_mut().for_each(|gain| *gain += plus);
        let on_device = placement.upload_f32(Some(&gain))?;
        let on_device = match on_device {
            Some(gain) => Some(Arc::new((gain, placement.upload_f32(bias.as_deref())?))),
            None => None,
        };
        Ok(Self { gain, bias, eps, on_device })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let width = self.gain.len();
        cpu_tensor::from_rows(
            cpu_tensor::with_slice(x, |x| pointwise::normalise(x, self.how()))?,
            width,
        )
    }

    fn weights<'a>(&'a self, changes: Option<View<'a>>) -> Result<NormWeights<'a>> {
        let (gain, bias) = self
            .on_device
            .as_deref()
            .ok_or_else(|| Error::Bug("a norm is not on the device of its rows".to_owned()))?;
        let (bias, layer) = (bias.as_ref().map(Buffer::view), self.bias.is_some());
        Ok(NormWeights { gain: gain.view(), bias, eps: self.eps, layer, changes })
    }

    fn change(&self) -> NormChange {
        let Some((gain, bias)) = self.on_device.as_deref() else { return NormChange::default() };
        let bias = bias.as_ref().map_or(0, |bias| bias.view().address);
        NormChange { gain: gain.view().address, bias }
    }

    fn how(&self) -> Normalisation<'_> {
        match &self.bias {
            Some(bias) => Normalisation::Layer { gain: &self.gain, bias, eps: self.eps },
            None => Normalisation::Rms { gain: &self.gain, eps: self.eps },
        }
    }
}
