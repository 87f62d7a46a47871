//! The MLP: with a gate (SwiGLU and kin, arXiv 2002.05202), or plain.

use super::{Linear, host};
use crate::{
    Result,
    families::{MlpIn, Shape},
    kernels::pointwise::{self, Activation},
    load::Weights,
};
use candle_core::Tensor;

/// `out(act(gate(x)) · up(x))`, or `out(act(in(x)))`.
pub struct Mlp {
    /// Gate above up, or the one projection.
    input: Linear,
    output: Linear,
    inner: usize,
    gated: bool,
    activation: Activation,
}

impl Mlp {
    /// Loads a layer's MLP.
    pub fn load(layer: &Weights, shape: &Shape) -> Result<Self> {
        let (inner, bias, names) = (shape.intermediate, shape.mlp_bias, &shape.names);
        let parts = match names.mlp_in {
            MlpIn::Gated([gate, up]) => vec![(gate, inner), (up, inner)],
            MlpIn::GatedStacked(both) => vec![(both, 2 * inner)],
            MlpIn::Plain(one) => vec![(one, inner)],
        };
        let out = [(names.mlp_out, shape.hidden)];
        Ok(Self {
            input: Linear::load(layer, &parts, shape.hidden, bias, names.transposed)?,
            output: Linear::load(layer, &out, inner, bias, names.transposed)?,
            inner,
            gated: shape.is_gated(),
            activation: shape.activation,
        })
    }

    /// Loads one expert, whose three projections lie directly under `place`.
    pub fn load_expert(place: &Weights, shape: &Shape, inner: usize) -> Result<Self> {
        let [gate, up, down] = shape.names.expert;
        let (hidden, parts) = (shape.hidden, [(gate, inner), (up, inner)]);
        Ok(Self {
            input: Linear::load(place, &parts, hidden, false, false)?,
            output: Linear::load(place, &[(down, hidden)], inner, false, false)?,
            inner,
            gated: true,
            activation: shape.activation,
        })
    }

    /// `[rows, hidden]` to the same.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.output.forward(&self.activate(&self.input.forward(x)?)?)
    }

    fn activate(&self, x: &Tensor) -> Result<Tensor> {
        let (inner, activation) = (self.inner, self.activation);
        if host::computes(x.device()) {
            let numbers = host::with_slice(x, |x| match self.gated {
                true => pointwise::gate(x, inner, activation),
                false => pointwise::activate(x, activation),
            })?;
            return host::rows(numbers, inner);
        }
        let act = |x: &Tensor| match activation {
            Activation::Silu => candle_nn::ops::silu(x),
            Activation::Gelu => x.gelu_erf(),
            Activation::GeluTanh => x.gelu(),
        };
        Ok(match self.gated {
            true => (act(&x.narrow(1, 0, inner)?.contiguous()?)? * x.narrow(1, inner, inner)?)?,
            false => act(x)?,
        })
    }
}
