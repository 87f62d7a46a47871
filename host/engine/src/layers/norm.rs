//! RMSNorm (arXiv 1910.07467) and LayerNorm (arXiv 1607.06450).

use super::{
    adapted::{Adapt, Added, Changes},
    adapter_rows::AdapterRows,
    host,
    weight::{Placement, vector_on_device},
};
use crate::{
    Error, Result,
    adapters::{AdapterId, AdapterTensors},
    families::NormKind,
    kernels::pointwise::{self, Normalise},
    load::Weights,
};
use candle_core::{DType, Tensor};
use std::ops::Range;

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
    place: Placement,
}

/// Gain and bias.
#[derive(Clone)]
struct Scale {
    gain: Vec<f32>,
    bias: Option<Vec<f32>>,
    eps: f32,
    /// Gain and bias on a device, in f32.
    tensors: Option<(Tensor, Option<Tensor>)>,
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
        Ok(Self { module, plus, used: base.clone(), base, changes: Changes::none(), place })
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

    /// The same of rows on a device, `mean_square` being `[rows, 1]` in f32.
    pub fn with_mean_square(&self, x: &Tensor, mean_square: &Tensor) -> Result<Tensor> {
        let Some((gain, _)) = &self.used.tensors else {
            return Err(Error::Bug("a norm is not on the device of its rows".to_owned()));
        };
        let factor = (mean_square + f64::from(self.used.eps))?.sqrt()?.recip()?;
        let normal = x.to_dtype(DType::F32)?.broadcast_mul(&factor)?.broadcast_mul(gain)?;
        Ok(normal.to_dtype(x.dtype())?)
    }
}

impl Adapt for Norm {
    fn attach(&mut self, id: AdapterId, tensors: &mut AdapterTensors) -> Result<Added> {
        let Scale { gain, bias, eps, .. } = &self.base;
        let width = gain.len();
        let new_gain = tensors.saved_gain(&self.module, width)?;
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
        let tensors = if host::computes(&place.device) {
            None
        } else {
            let upload = |numbers: &Vec<f32>| vector_on_device(numbers, DType::F32, &place.device);
            Some((upload(&gain)?, bias.as_ref().map(upload).transpose()?))
        };
        Ok(Self { gain, bias, eps, tensors })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let Some((gain, bias)) = &self.tensors else {
            let width = self.gain.len();
            return host::rows(
                host::with_slice(x, |x| pointwise::normalise(x, self.how()))?,
                width,
            );
        };
        let dtype = x.dtype();
        let x = x.to_dtype(DType::F32)?.contiguous()?;
        let normal = match bias {
            Some(bias) => candle_nn::ops::layer_norm(&x, gain, bias, self.eps)?,
            None => candle_nn::ops::rms_norm(&x, gain, self.eps)?,
        };
        Ok(normal.to_dtype(dtype)?)
    }

    fn how(&self) -> Normalise<'_> {
        match &self.bias {
            Some(bias) => Normalise::Layer { gain: &self.gain, bias, eps: self.eps },
            None => Normalise::Rms { gain: &self.gain, eps: self.eps },
        }
    }
}
