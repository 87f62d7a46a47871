//! RMSNorm (arXiv 1910.07467) and LayerNorm (arXiv 1607.06450).

use super::{host, linear::on_device};
use crate::{
    Result,
    families::NormKind,
    kernels::pointwise::{self, Normalise},
    load::Weights,
};
use candle_core::{DType, Tensor};

/// A norm over the last dimension, computed in f32 whatever the format.
pub struct Norm {
    gain: Vec<f32>,
    bias: Option<Vec<f32>>,
    eps: f32,
    /// Gain and bias on a device, in f32.
    tensors: Option<(Tensor, Option<Tensor>)>,
}

impl Norm {
    /// Loads `weight` (and `bias`), `[width]`, under the prefix that `weights` stands at.
    pub fn load(weights: &Weights, width: usize, kind: NormKind, eps: f32) -> Result<Self> {
        let mut gain = weights.vector("weight", width)?;
        if kind == NormKind::RmsPlusOne {
            gain.iter_mut().for_each(|gain| *gain += 1.0);
        }
        let bias = (kind == NormKind::Layer).then(|| weights.vector("bias", width)).transpose()?;
        let device = weights.device();
        let tensors = if host::computes(device) {
            None
        } else {
            let upload = |numbers: &Vec<f32>| on_device(numbers, DType::F32, device);
            Some((upload(&gain)?, bias.as_ref().map(upload).transpose()?))
        };
        Ok(Self { gain, bias, eps, tensors })
    }

    /// `[rows, width]` to the same.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
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

    /// Normalises rows where they lie.
    pub fn in_place(&self, rows: &mut [f32]) {
        pointwise::normalise_in_place(rows, self.how());
    }

    fn how(&self) -> Normalise<'_> {
        match &self.bias {
            Some(bias) => Normalise::Layer { gain: &self.gain, bias, eps: self.eps },
            None => Normalise::Rms { gain: &self.gain, eps: self.eps },
        }
    }
}
