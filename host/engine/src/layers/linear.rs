//! A matrix product with a weight: the one place where adapters and shards will attach.

use super::host;
use crate::{
    DType, Result,
    kernels::PackedFormat,
    load::{
        Weights,
        matrix::{HostWeight, Matrix},
    },
};
use candle_core::{DType as CandleType, Device, Module, Tensor};
use std::sync::Arc;

/// `y = x Wᵀ + b`.
///
/// On the CPU activations are f32 whatever the weights' format, and the product is ours, or
/// candle's for quantised blocks other than Q8_0. Elsewhere both are tensors of one format.
#[derive(Clone)]
pub struct Linear {
    /// Output features one after another. More than one where they are quantised differently.
    pieces: Vec<Piece>,
}

#[derive(Clone)]
struct Piece {
    weight: Arc<Weight>,
    bias: Option<Vec<f32>>,
    /// The bias on a device.
    bias_tensor: Option<Tensor>,
    outputs: usize,
}

enum Weight {
    Host(HostWeight),
    Device(Tensor),
}

impl Linear {
    /// A product with one or more matrices stacked below one another, and their biases.
    pub fn new(weights: &Weights, parts: &[Matrix], biases: Vec<Option<Vec<f32>>>) -> Result<Self> {
        let pieces = match Matrix::stack(parts) {
            Some(whole) => {
                let joined: Vec<f32> = biases.into_iter().flatten().flatten().collect();
                let bias = (!joined.is_empty()).then_some(joined);
                vec![Piece::new(weights, &whole, bias)?]
            }
            None => parts
                .iter()
                .zip(biases)
                .map(|(part, bias)| Piece::new(weights, part, bias))
                .collect::<Result<_>>()?,
        };
        Ok(Self { pieces })
    }

    /// Loads `weight` `[outputs, inputs]` (and `bias`) under each of `names` and stacks them.
    pub fn load(
        weights: &Weights,
        names: &[(&str, usize)],
        inputs: usize,
        bias: bool,
        transposed: bool,
    ) -> Result<Self> {
        let mut parts = Vec::new();
        let mut biases = Vec::new();
        for &(name, outputs) in names {
            let place = weights.at(name);
            parts.push(place.matrix("weight", outputs, inputs, transposed)?);
            biases.push(bias.then(|| place.vector("bias", outputs)).transpose()?);
        }
        Self::new(weights, &parts, biases)
    }

    /// `[rows, in]` to `[rows, out]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if let [piece] = &self.pieces[..] {
            return piece.forward(x);
        }
        let parts = self.pieces.iter().map(|piece| piece.forward(x)).collect::<Result<Vec<_>>>()?;
        Ok(Tensor::cat(&parts, 1)?)
    }

    /// Rows of the weight: an embedding that is also the head is looked up here.
    pub fn lookup(&self, ids: &[u32]) -> Result<Tensor> {
        match &*self.pieces[0].weight {
            Weight::Host(weight) => {
                let width = weight.inputs();
                let mut numbers = vec![0f32; ids.len() * width];
                for (out, &id) in numbers.chunks_exact_mut(width).zip(ids) {
                    weight.row(id as usize, out)?;
                }
                host::rows(numbers, width)
            }
            Weight::Device(weight) => {
                Ok(weight.index_select(&Tensor::new(ids, weight.device())?, 0)?)
            }
        }
    }
}

impl Piece {
    fn new(weights: &Weights, matrix: &Matrix, bias: Option<Vec<f32>>) -> Result<Self> {
        let device = weights.device();
        let weight = if host::computes(device) {
            Weight::Host(matrix.to_host(packed_format(weights.dtype()))?)
        } else {
            Weight::Device(matrix.to_tensor(weights.dtype().candle(), device)?)
        };
        let bias_tensor = match (&weight, &bias) {
            (Weight::Device(weight), Some(bias)) => Some(on_device(bias, weight.dtype(), device)?),
            _ => None,
        };
        Ok(Self { weight: Arc::new(weight), bias, bias_tensor, outputs: matrix.rows })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = match &*self.weight {
            Weight::Host(HostWeight::Packed(weight)) => {
                let product = |x: &[f32]| weight.product(x, self.bias.as_deref());
                return host::rows(host::with_slice(x, product)?, self.outputs);
            }
            Weight::Host(HostWeight::Blocks(weight, _)) => {
                let y = weight.forward(x)?;
                match &self.bias {
                    Some(bias) => {
                        y.broadcast_add(&on_device(bias, CandleType::F32, &Device::Cpu)?)?
                    }
                    None => y,
                }
            }
            Weight::Device(weight) => {
                let y = x.matmul(&weight.t()?)?;
                match &self.bias_tensor {
                    Some(bias) => y.broadcast_add(bias)?,
                    None => y,
                }
            }
        };
        Ok(y)
    }
}

/// A vector as a tensor.
pub(super) fn on_device(numbers: &[f32], dtype: CandleType, device: &Device) -> Result<Tensor> {
    Ok(Tensor::from_slice(numbers, numbers.len(), &Device::Cpu)?
        .to_dtype(dtype)?
        .to_device(device)?)
}

fn packed_format(dtype: DType) -> PackedFormat {
    match dtype {
        DType::F32 => PackedFormat::F32,
        DType::Bf16 => PackedFormat::Bf16,
        DType::F16 => PackedFormat::F16,
    }
}
