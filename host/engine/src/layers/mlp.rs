//! The MLP: with a gate (SwiGLU and kin, arXiv 2002.05202), or plain.

use super::{Adapt, AdapterRows, Linear, host};
use crate::{
    Result,
    adapters::{ExpertPart, Role},
    families::{self, MlpIn, Shape},
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
    pub fn load_expert(
        place: &Weights,
        shape: &Shape,
        spec: &families::Experts,
        index: usize,
    ) -> Result<Self> {
        let [gate, up, down] = shape.names.expert;
        let (hidden, inner) = (shape.hidden, spec.intermediate);
        let input = [(gate, inner), (up, inner)];
        let part = |parameter, start, outputs| {
            Role::Expert(ExpertPart { index, count: spec.count, start, outputs, parameter })
        };
        let [gate, up] = [0, inner].map(|start| part("gate_up_proj", start, 2 * inner));
        Ok(Self {
            input: Linear::load(place, &input, hidden, false, false)?.with_roles([gate, up]),
            output: Linear::load(place, &[(down, hidden)], inner, false, false)?
                .with_roles([part("down_proj", 0, hidden)]),
            inner,
            gated: true,
            activation: shape.activation,
        })
    }

    /// `[rows, hidden]` to the same.
    pub fn forward(&self, x: &Tensor, rows: &AdapterRows) -> Result<Tensor> {
        self.output.forward(&self.activate(&self.input.forward(x, rows)?)?, rows)
    }

    /// The parts that adapters change.
    pub fn adapted(&mut self) -> [&mut dyn Adapt; 2] {
        [&mut self.input, &mut self.output]
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
