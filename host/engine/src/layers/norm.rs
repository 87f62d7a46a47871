//! RMSNorm (arXiv 1910.07467) and LayerNorm (arXiv 1607.06450).

use super::{
    adapted::{Adapt, Added, Changes},
    adapter_rows::AdapterRows,
    host,
    weight::Placement,
};
use crate::{
    Error, Result,
    adapters::{AdapterId, AdapterTensors},
    cpu::pointwise::{self, Normalise},
    gpu::Run,
    load::Weights,
};
use candle_core::Tensor;
use llem_checkpoint::families::NormKind;
use llem_compute::{
    Buffer, View,
    ops::{
        bytes_of,
        norm::{NormChange, NormWeights},
    },
};
use std::{ops::Range, sync::Arc};

/// A norm over the last dimension, computed in f32 whatever the format.
pub struct Norm {
    /// What transformers calls it.
    module: String,
    /// Added to the gains that checkpoints hold.
    plus: f32,
    /// As the base model has it.
    base: Scale,
    /// The one in use: the base model's, or a merged adapter's.
    used: Scale,
    changes: Changes<Scale>,
    /// What kernels are told of adapters, by their slots.
    table: Option<Buffer>,
    place: Placement,
}

/// Gain and bias.
#[derive(Clone)]
struct Scale {
    gain: Vec<f32>,
    bias: Option<Vec<f32>>,
    eps: f32,
    /// Gain and bias on a device, in f32.
    on_device: Option<Arc<(Buffer, Option<Buffer>)>>,
}

impl Norm {
    /// Loads `weight` (and `bias`), `[width]`, under the prefix that `weights` stands at.
    pub fn load(weights: &Weights, width: usize, kind: NormKind, eps: f32) -> Result<Self> {
        Self::load_part(weights, width, 0..width, kind, eps)
    }

    /// The same of some of the numbers.
    pub fn load_part(
        weights: &Weights,
        width: usize,
        kept: Range<usize>,
        kind: NormKind,
        eps: f32,
    ) -> Result<Self> {
        let plus = if kind == NormKind::RmsPlusOne { 1.0 } else { 0.0 };
        let place = Placement::of(weights);
        let vector = |name| Ok::<_, Error>(weights.vector(name, width)?[kept.clone()].to_vec());
        let gain = vector("weight")?;
        let bias = (kind == NormKind::Layer).then(|| vector("bias")).transpose()?;
        let base = Scale::new(gain, plus, bias, eps, &place)?;
        let module = weights.module();
        let (used, changes) = (base.clone(), Changes::none());
        Ok(Self { module, plus, used, base, changes, table: None, place })
    }

    /// `[rows, width]` to the same.
    pub fn forward(&self, x: &Tensor, rows: &AdapterRows) -> Result<Tensor> {
        let mut y = self.used.forward(x)?;
        for subset in rows.subsets() {
            if let Some(scale) = self.changes.of(subset.adapter) {
                y = subset.put(y, scale.forward(&subset.of(x)?)?)?;
            }
        }
        Ok(y)
    }

    /// Normalises rows where they lie, as the base model does.
    pub fn in_place(&self, rows: &mut [f32]) {
        pointwise::normalise_in_place(rows, self.used.how());
    }

    /// Normalises part of a row by the mean square of all of it (RMSNorm only).
    pub fn in_place_with(&self, part: &mut [f32], mean_square: f32) {
        let factor = (mean_square + self.used.eps).sqrt().recip();
        part.iter_mut().zip(&self.used.gain).for_each(|(x, gain)| *x *= factor * gain);
    }

    /// Its weights on a device, and what adapters that take part put in their place.
    pub fn weights(&self, run: &Run<'_>) -> Result<NormWeights<'_>> {
        let changed = run.changed(|id| self.changes.of(id).is_some());
        let changes = changed.and(self.table.as_ref()).map(Buffer::view);
        self.used.weights(changes)
    }

    /// Its gain on a device, f32.
    pub fn gain(&self) -> Result<View<'_>> {
        Ok(self.used.weights(None)?.gain)
    }

    /// What is added to a mean square.
    pub fn eps(&self) -> f32 {
        self.used.eps
    }
}

impl Adapt for Norm {
    fn attach(&mut self, id: AdapterId, tensors: &mut AdapterTensors) -> Result<Added> {
        let Scale { gain, bias, eps, .. } = &self.base;
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
        let mut added = Added::default();
        if new_gain.is_none() && new_bias.is_none() {
            return Ok(added);
        }
        added.modules = 1;
        let changed = [&new_gain, &new_bias];
        changed.into_iter().flatten().for_each(|numbers| added.count_vector(numbers.len()));
        let plus = if new_gain.is_some() { self.plus } else { 0.0 };
        let gain = new_gain.unwrap_or_else(|| gain.clone());
        let bias = new_bias.or_else(|| bias.clone());
        self.changes.add(id, Scale::new(gain, plus, bias, *eps, &self.place)?);
        Ok(added)
    }

    fn tells(&self) -> bool {
        self.place.shard.index == 0
    }

    fn detach(&mut self, id: AdapterId) {
        self.changes.forget(id);
    }

    fn merge(&mut self, id: AdapterId) -> Result<()> {
        if let Some(scale) = self.changes.of(id) {
            self.used = scale.clone();
        }
        Ok(())
    }

    fn unmerge(&mut self) -> Result<()> {
        self.used = self.base.clone();
        Ok(())
    }

    fn publish(&mut self, slots: &[AdapterId]) -> Result<()> {
        let Some(gpu) = self.place.place.gpu() else { return Ok(()) };
        let change =
            |&id: &AdapterId| self.changes.of(id).map_or_else(NormChange::default, Scale::change);
        let has_any = slots.iter().any(|&id| self.changes.of(id).is_some());
        let changes: Vec<NormChange> = slots.iter().map(change).collect();
        // SAFETY: changes are plain numbers without padding.
        let table = || Buffer::of_bytes(&gpu.device, unsafe { bytes_of(&changes) });
        self.table = has_any.then(table).transpose()?;
        Ok(())
    }
}

impl Scale {
    fn new(
        mut gain: Vec<f32>,
        plus: f32,
        bias: Option<Vec<f32>>,
        eps: f32,
        place: &Placement,
    ) -> Result<Self> {
        gain.iter_mut().for_each(|gain| *gain += plus);
        let on_device = place.upload_f32(Some(&gain))?;
        let on_device = match on_device {
            Some(gain) => Some(Arc::new((gain, place.upload_f32(bias.as_deref())?))),
            None => None,
        };
        Ok(Self { gain, bias, eps, on_device })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let width = self.gain.len();
        host::rows(host::with_slice(x, |x| pointwise::normalise(x, self.how()))?, width)
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

    fn how(&self) -> Normalise<'_> {
        match &self.bias {
            Some(bias) => Normalise::Layer { gain: &self.gain, bias, eps: self.eps },
            None => Normalise::Rms { gain: &self.gain, eps: self.eps },
        }
    }
}
