//! The feed-forward layer: with a gate (SwiGLU and its variants, arXiv 2002.05202), or without.

use super::{
    AdapterRows, AdapterTarget, Linear, cpu_tensor,
    linear_spec::{InputFeatures, LinearSpec, ModuleSlice},
};
use crate::{Error, Result, cpu::pointwise, gpu::KernelContext, load::Weights};
use candle_core::Tensor;
use llem_checkpoint::{Activation, ExpertShape, ExpertSlice, MlpIn, ModuleKind, Shape};
use llem_compute::{ActivationFunction, View};

/// A feed-forward layer: `down(act(gate(x)) · up(x))` with a gate, otherwise `down(act(up(x)))`.
pub(crate) struct Mlp {
    /// The gate stacked above the up projection, or the up projection alone.
    input: Linear,
    output: Linear,
    inner: usize,
    gated: bool,
    activation: Activation,
}

impl Mlp {
    /// Loads the feed-forward layer of one decoder layer.
    pub(crate) fn load(layer: &Weights, shape: &Shape) -> Result<Self> {
        let (width, bias, names) = (shape.intermediate, shape.mlp_bias, &shape.names);
        let own = layer.shard().range_of_blocks(width, layer.block());
        let part = |name| ModuleSlice::with_range(name, width, own.clone());
        let modules = match names.mlp_in {
            MlpIn::Gated(both) => both.map(part).into(),
            MlpIn::GatedStacked(name) => {
                let kept = vec![own.clone(), width + own.start..width + own.end];
                vec![ModuleSlice { name, outputs: 2 * width, kept }]
            }
            MlpIn::Plain(one) => vec![part(one)],
        };
        let transposed = names.transposed;
        let inputs = InputFeatures::new(shape.hidden);
        let input = Linear::load(layer, LinearSpec { modules, inputs, bias, transposed })?;
        let modules = vec![ModuleSlice::new(names.mlp_out, shape.hidden)];
        let inputs = InputFeatures::with_summed_shard(width, own.clone());
        let output = Linear::load(layer, LinearSpec { modules, inputs, bias, transposed })?;
        let (gated, activation) = (shape.is_gated(), shape.activation);
        Ok(Self { input, output, inner: own.len(), gated, activation })
    }

    /// Loads expert `index`, whose three projections are directly under the prefix of `expert`. If the ranks cut each
    /// expert, the result is one term of a sum over ranks, and the caller sums it.
    pub(crate) fn load_expert(
        expert: &Weights,
        shape: &Shape,
        spec: &ExpertShape,
        index: usize,
    ) -> Result<Self> {
        let [gate, up, down] = shape.names.expert;
        let (hidden, width) = (shape.hidden, spec.intermediate);
        let own = expert.shard().range_of_blocks(width, expert.block());
        let role = |parameter, start, outputs| {
            ModuleKind::Expert(ExpertSlice { index, count: spec.count, start, outputs, parameter })
        };
        let load = |modules, inputs, roles: Vec<ModuleKind>| {
            let product = LinearSpec { modules, inputs, bias: false, transposed: false };
            Ok::<_, Error>(Linear::load(expert, product)?.with_roles(roles))
        };
        let modules = [gate, up].map(|name| ModuleSlice::with_range(name, width, own.clone()));
        let roles = [0, width].map(|start| role("gate_up_proj", start, 2 * width));
        let input = load(modules.into(), InputFeatures::new(hidden), roles.into())?;
        let modules = vec![ModuleSlice::new(down, hidden)];
        let inputs = InputFeatures::with_shard(width, own.clone());
        let output = load(modules, inputs, vec![role("down_proj", 0, hidden)])?;
        Ok(Self { input, output, inner: own.len(), gated: true, activation: shape.activation })
    }

    /// Computes the feed-forward layer on the CPU. `rows` names the rows that run with adapters.
    ///
    /// # Shapes
    /// - `x`: `[rows, hidden]`
    /// - returns: `[rows, hidden]`
    pub(crate) fn forward(&self, x: &Tensor, rows: &AdapterRows) -> Result<Tensor> {
        self.output.forward(&self.activate(&self.input.forward(x, rows)?)?, rows)
    }

    /// Returns the projections, which adapters can change.
    pub(crate) fn adapter_targets(&mut self) -> [&mut dyn AdapterTarget; 2] {
        [&mut self.input, &mut self.output]
    }

    /// Applies the gate, or the activation alone.
    ///
    /// # Shapes
    /// - `x`: `[rows, input outputs]`
    /// - returns: `[rows, inner]`
    fn activate(&self, x: &Tensor) -> Result<Tensor> {
        let inner = self.inner;
        let activation = match self.activation {
            Activation::Silu => ActivationFunction::Silu,
            Activation::Gelu => ActivationFunction::Gelu,
            Activation::GeluTanh => ActivationFunction::GeluTanh,
        };
        let numbers = cpu_tensor::with_slice(x, |x| match self.gated {
            true => pointwise::gate(x, inner, activation),
            false => pointwise::activate(x, activation),
        })?;
        cpu_tensor::from_rows(numbers, inner)
    }

    /// Queues the feed-forward layer on a device.
    ///
    /// # Shapes
    /// - `x`: `[rows, hidden]`
    /// - `y`: `[rows, hidden]`, overwritten
    pub(crate) fn forward_on_device(
        &self,
        context: &KernelContext<'_>,
        x: View<'_>,
        y: View<'_>,
    ) -> Result<()> {
        context.arena.scoped(|| {
            let wide = context.take(context.rows, self.input.outputs())?;
            self.input.forward_on_device(context, x, wide)?;
            let inner = context.take(context.rows, self.inner)?;
            self.activate_on_device(context, context.rows, wide, inner)?;
            self.output.forward_on_device(context, inner, y)
        })
    }

    /// Queues the gate, or the activation alone.
    ///
    /// # Shapes
    /// - `wide`: `[rows, input outputs]`
    /// - `inner`: `[rows, inner]`, overwritten
    pub(super) fn activate_on_device(
        &self,
        context: &KernelContext<'_>,
        rows: usize,
        wide: View<'_>,
        inner: View<'_>,
    ) -> Result<()> {
        let activation = match self.activation {
            Activation::Silu => ActivationFunction::Silu,
            Activation::Gelu => ActivationFunction::Gelu,
            Activation::GeluTanh => ActivationFunction::GeluTanh,
        };
        let (gated, width) = (self.gated, self.inner);
        Ok(context.gpu.activations.activate(activation, gated, rows, width, wide, inner)?)
    }

    /// Returns the input and the output projection.
    pub(super) fn products(&self) -> [&Linear; 2] {
        [&self.input, &self.output]
    }

    /// Returns the width between the projections on this rank.
    pub(super) fn inner(&self) -> usize {
        self.inner
    }
}
