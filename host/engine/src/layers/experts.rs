//! A sparse mixture of experts (arXiv 1701.06538, 2101.03961): the router sends each row to a few experts.

use super::{
    AdapterRows, AdapterTarget, Linear, ModuleUsage,
    experts_device::ExpertTables,
    linear_spec::{InputFeatures, LinearSpec, ModuleSlice},
    mlp::Mlp,
};
use crate::{Result, gpu::Backend, load::Weights, parallel::Shard, sampling::argmax};
use candle_core::Tensor;
use llem_checkpoint::{ExpertShape, ModuleKind, Shape};

/// The router and this rank's experts. A rank has a slice of every expert, or some experts whole (expert
/// parallelism). Every rank has all rows, so no rows are exchanged, and the ranks sum their experts' results.
pub(crate) struct Experts {
    pub(super) router: Linear,
    /// The index of this rank's first expert. The rank has consecutive experts.
    pub(super) first: usize,
    pub(super) experts: Vec<Mlp>,
    /// The number of experts on all ranks together.
    pub(super) count: usize,
    pub(super) active: usize,
    pub(super) renormalise: bool,
    pub(super) hidden: usize,
    shard: Shard,
    pub(super) backend: Backend,
    /// On a device: the tables of the input projections and of the output projections.
    pub(super) tables: [Option<ExpertTables>; 2],
}

impl Experts {
    /// Loads the router and the experts of one decoder layer.
    pub(crate) fn load(layer: &Weights, shape: &Shape, spec: &ExpertShape) -> Result<Self> {
        let shard = layer.shard().clone();
        let prefix = layer.at(shape.names.experts);
        let (prefix, own) = match shard.experts {
            true => (prefix.without_sharding(), shard.range_of(spec.count)),
            false => (prefix, 0..spec.count),
        };
        let router = LinearSpec {
            modules: vec![ModuleSlice::new(shape.names.router, spec.count)],
            inputs: InputFeatures::new(shape.hidden),
            bias: false,
            transposed: false,
        };
        let mut loaded = Self {
            router: Linear::load(layer, router)?.with_roles([ModuleKind::Router]),
            first: own.start,
            experts: own
                .map(|index| Mlp::load_expert(&prefix.at(&index.to_string()), shape, spec, index))
                .collect::<Result<_>>()?,
            count: spec.count,
            active: spec.active,
            renormalise: spec.renormalise,
            hidden: shape.hidden,
            shard,
            backend: layer.place().clone(),
            tables: [None, None],
        };
        loaded.publish(&[])?;
        Ok(loaded)
    }

    /// Computes the mixture on the CPU. `adapters` names the rows that run with adapters.
    ///
    /// # Shapes
    /// - `x`: `[rows, hidden]`
    /// - returns: `[rows, hidden]`, summed over ranks
    pub(crate) fn forward(&self, x: &Tensor, adapters: &AdapterRows) -> Result<Tensor> {
        let logits: Vec<Vec<f32>> = self.router.forward(x, adapters)?.to_vec2()?;
        let mut rows = vec![Vec::new(); self.count];
        let mut shares = vec![Vec::new(); self.count];
        for (row, logits) in logits.iter().enumerate() {
            for (expert, share) in self.choose_experts(logits)? {
                rows[expert].push(row as u32);
                shares[expert].push(share);
            }
        }
        let mut sum = x.zeros_like()?;
        let chosen = rows.into_iter().zip(shares).skip(self.first);
        for (expert, (rows, shares)) in self.experts.iter().zip(chosen) {
            if rows.is_empty() {
                continue;
            }
            let (count, adapters) = (rows.len(), adapters.select(&rows));
            let rows = Tensor::from_vec(rows, count, x.device())?;
            let shares = Tensor::from_vec(shares, (count, 1), x.device())?;
            let mixed = expert.forward(&x.index_select(&rows, 0)?, &adapters)?;
            let mixed = mixed.broadcast_mul(&shares)?;
            sum = sum.index_add(&rows, &mixed, 0)?;
        }
        self.shard.sum(sum)
    }

    /// Returns the router and the experts' projections, which adapters can change, with their usage.
    pub(crate) fn adapter_targets(
        &mut self,
    ) -> impl Iterator<Item = (ModuleUsage, &mut dyn AdapterTarget)> {
        let share = ModuleUsage::Tokens(self.active as f64 / self.count as f64);
        let router: (ModuleUsage, &mut dyn AdapterTarget) =
            (ModuleUsage::Tokens(1.0), &mut self.router);
        let experts =
            self.experts.iter_mut().flat_map(Mlp::adapter_targets).map(move |part| (share, part));
        std::iter::once(router).chain(experts)
    }

    /// Returns the experts of one row with their shares: the largest values of a softmax over all experts.
    fn choose_experts(&self, logits: &[f32]) -> Result<Vec<(usize, f32)>> {
        let mut left = logits.to_vec();
        let top = left[argmax(&left)? as usize];
        let total: f32 = left.iter().map(|logit| (logit - top).exp()).sum();
        let mut chosen = Vec::with_capacity(self.active);
        for _ in 0..self.active {
            let best = argmax(&left)? as usize;
            chosen.push((best, (left[best] - top).exp() / total));
            left[best] = f32::NEG_INFINITY;
        }
        if self.renormalise {
            let kept: f32 = chosen.iter().map(|(_, share)| share).sum();
            chosen.iter_mut().for_each(|(_, share)| *share /= kept);
        }
        Ok(chosen)
    }
}
