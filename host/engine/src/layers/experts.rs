//! A sparse mixture of experts (arXiv 1701.06538, 2101.03961): each row goes to the few experts that
//! its router likes best.

use super::{
    Adapt, AdapterRows, Linear, Use,
    experts_device::Group,
    features::{Inputs, Part, Product},
    mlp::Mlp,
};
use crate::{Result, gpu::Place, load::Weights, parallel::Shard, sampling::argmax};
use candle_core::Tensor;
use llem_checkpoint::{
    adapters::Role,
    families::{self, Shape},
};

/// The router and the experts that this rank has: all, each of them cut, or some, each whole. As every
/// rank has all rows, none are sent about: what the ranks' experts give is summed.
pub struct Experts {
    pub(super) router: Linear,
    /// The first that this rank has, and those after it.
    pub(super) first: usize,
    pub(super) experts: Vec<Mlp>,
    /// On all ranks.
    pub(super) count: usize,
    pub(super) active: usize,
    pub(super) renormalise: bool,
    pub(super) hidden: usize,
    shard: Shard,
    pub(super) place: Place,
    /// On a device: what kernels are told of the products into the middle, and of those out of it.
    pub(super) groups: [Option<Group>; 2],
}

impl Experts {
    /// Loads a layer's router and experts.
    pub fn load(layer: &Weights, shape: &Shape, spec: &families::Experts) -> Result<Self> {
        let shard = layer.shard().clone();
        let place = layer.at(shape.names.experts);
        let (place, own) = match shard.experts {
            true => (place.owned(), shard.of(spec.count)),
            false => (place, 0..spec.count),
        };
        let router = Product {
            parts: vec![Part::whole(shape.names.router, spec.count)],
            inputs: Inputs::whole(shape.hidden),
            bias: false,
            transposed: false,
        };
        let mut loaded = Self {
            router: Linear::load(layer, router)?.with_roles([Role::Router]),
            first: own.start,
            experts: own
                .map(|index| Mlp::load_expert(&place.at(&index.to_string()), shape, spec, index))
                .collect::<Result<_>>()?,
            count: spec.count,
            active: spec.active,
            renormalise: spec.renormalise,
            hidden: shape.hidden,
            shard,
            place: layer.place().clone(),
            groups: [None, None],
        };
        loaded.publish(&[])?;
        Ok(loaded)
    }

    /// `[rows, hidden]` to the same.
    pub fn forward(&self, x: &Tensor, adapters: &AdapterRows) -> Result<Tensor> {
        let logits: Vec<Vec<f32>> = self.router.forward(x, adapters)?.to_vec2()?;
        let mut rows = vec![Vec::new(); self.count];
        let mut shares = vec![Vec::new(); self.count];
        for (row, logits) in logits.iter().enumerate() {
            for (expert, share) in self.choose(logits)? {
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

    /// The parts that adapters change, with how often a token runs them.
    pub fn adapted(&mut self) -> impl Iterator<Item = (Use, &mut dyn Adapt)> {
        let share = Use::Tokens(self.active as f64 / self.count as f64);
        let router: (Use, &mut dyn Adapt) = (Use::Tokens(1.0), &mut self.router);
        let experts = self.experts.iter_mut().flat_map(Mlp::adapted).map(move |part| (share, part));
        std::iter::once(router).chain(experts)
    }

    /// The best experts of a row and their shares: a softmax over all, then the largest.
    fn choose(&self, logits: &[f32]) -> Result<Vec<(usize, f32)>> {
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
