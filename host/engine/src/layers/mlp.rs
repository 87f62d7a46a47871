//! The MLP: with a gate (SwiGLU and kin, arXiv 2002.05202), or plain.

use super::{
    Adapt, AdapterRows, Linear,
    features::{Inputs, Part, Product},
    host,
};
use crate::{Error, Result, cpu::pointwise, gpu::Run, load::Weights};
use candle_core::Tensor;
use llem_checkpoint::{
    adapters::{ExpertPart, Role},
    config::Activation,
    families::{self, MlpIn, Shape},
};
use llem_compute::{View, ops::activation};

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
        let (width, bias, names) = (shape.intermediate, shape.mlp_bias, &shape.names);
        let own = layer.shard().of_blocks(width, layer.block());
        let part = |name| Part::some(name, width, own.clone());
        let parts = match names.mlp_in {
            MlpIn::Gated(both) => both.map(part).into(),
            MlpIn::GatedStacked(name) => {
                let kept = vec![own.clone(), width + own.start..width + own.end];
                vec![Part { name, outputs: 2 * width, kept }]
            }
            MlpIn::Plain(one) => vec![part(one)],
        };
        let transposed = names.transposed;
        let inputs = Inputs::whole(shape.hidden);
        let input = Linear::load(layer, Product { parts, inputs, bias, transposed })?;
        let parts = vec![Part::whole(names.mlp_out, shape.hidden)];
        let inputs = Inputs::summed(width, own.clone());
        let output = Linear::load(layer, Product { parts, inputs, bias, transposed })?;
        let (gated, activation) = (shape.is_gated(), shape.activation);
        Ok(Self { input, output, inner: own.len(), gated, activation })
    }

    /// Loads one expert, whose three projections lie directly under `place`. Where it is cut, what it
    /// gives is a term of the result.
    pub fn load_expert(
        place: &Weights,
        shape: &Shape,
        spec: &families::Experts,
        index: usize,
    ) -> Result<Self> {
        let [gate, up, down] = shape.names.expert;
        let (hidden, width) = (shape.hidden, spec.intermediate);
        let own = place.shard().of_blocks(width, place.block());
        let role = |parameter, start, outputs| {
            Role::Expert(ExpertPart { index, count: spec.count, start, outputs, parameter })
        };
        let load = |parts, inputs, roles: Vec<Role>| {
            let product = Product { parts, inputs, bias: false, transposed: false };
            Ok::<_, Error>(Linear::load(place, product)?.with_roles(roles))
        };
        let parts = [gate, up].map(|name| Part::some(name, width, own.clone()));
        let roles = [0, width].map(|start| role("gate_up_proj", start, 2 * width));
        let input = load(parts.into(), Inputs::whole(hidden), roles.into())?;
        let parts = vec![Part::whole(down, hidden)];
        let inputs = Inputs::term(width, own.clone());
        let output = load(parts, inputs, vec![role("down_proj", 0, hidden)])?;
        Ok(Self { input, output, inner: own.len(), gated: true, activation: shape.activation })
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
        let inner = self.inner;
        let activation = match self.activation {
            Activation::Silu => pointwise::Activation::Silu,
            Activation::Gelu => pointwise::Activation::Gelu,
            Activation::GeluTanh => pointwise::Activation::GeluTanh,
        };
        let numbers = host::with_slice(x, |x| match self.gated {
            true => pointwise::gate(x, inner, activation),
            false => pointwise::activate(x, activation),
        })?;
        host::rows(numbers, inner)
    }

    /// `[rows, hidden]` to the same, on a device.
    pub fn run(&self, run: &Run<'_>, x: View<'_>, y: View<'_>) -> Result<()> {
        run.arena.scoped(|| {
            let wide = run.take(run.rows, self.input.outputs())?;
            self.input.run(run, x, wide)?;
            let inner = run.take(run.rows, self.inner)?;
            self.activate_on_device(run, run.rows, wide, inner)?;
            self.output.run(run, inner, y)
        })
    }

    /// What is between the products, of `rows` rows on a device.
    pub(super) fn activate_on_device(
        &self,
        run: &Run<'_>,
        rows: usize,
        wide: View<'_>,
        inner: View<'_>,
    ) -> Result<()> {
        let activation = match self.activation {
            Activation::Silu => activation::Activation::Silu,
            Activation::Gelu => activation::Activation::Gelu,
            Activation::GeluTanh => activation::Activation::GeluTanh,
        };
        let (gated, width) = (self.gated, self.inner);
        Ok(run.gpu.activations.activate(activation, gated, rows, width, wide, inner)?)
    }

    /// Its products, into the middle and out of it.
    pub(super) fn products(&self) -> [&Linear; 2] {
        [&self.input, &self.output]
    }

    /// Numbers between the products.
    pub(super) fn inner(&self) -> usize {
        self.inner
    }
}
