//! The low-rank change `B A x` of an adapter (LoRA, arXiv 2106.09685), and the matrix `B A`.
//!
//! ```text
//! x ──► A (all modules' below one another) ──► [ h_q h_k h_v ]
//!                                                 │   │   └─ B_v ──► + v
//!                                                 │   └─ B_k ──────► + k
//!                                                 └─ B_q ──────────► + q
//! ```

use super::{
    adapter_rows::RowSubset, linear_spec::InputFeatures, placement::Placement, weight::Weight,
};
use crate::{
    DType, Error, Result,
    cpu::{PackedFormat, PackedWeight, ProductInput, threads::SharedRows},
    load::matrix::Matrix,
    parallel::Shard,
};
use candle_core::{Device, Tensor};
use half::f16;
use llem_compute::ops::lora::{LoraEntry, LoraPart, PARTS};
use std::{ops::Range, sync::Arc};

/// The low-rank factors of one module, in the CPU's memory.
pub(super) struct ModuleFactors {
    /// The layer's output features that the factors change.
    pub outputs: Range<usize>,
    /// The factor A, `[rank, inputs]`.
    pub down: Vec<f32>,
    /// The factor B with the adapter's scale, `[outputs, rank]`.
    pub up: Vec<f32>,
}

/// How the ranks share the factors of a layer whose weight is cut (fully sharded LoRA).
#[derive(Clone, Debug, PartialEq)]
pub(super) enum FactorSharding {
    /// Every rank has all of A beside a column-parallel layer, and all of B beside a row-parallel one.
    Unsharded,
    /// Beside a column-parallel layer: each rank has some rows of A, and the ranks gather `A x`.
    Down,
    /// Beside a row-parallel layer: the ranks sum `A x`, and each rank has the rows of B for these outputs.
    Up(Range<usize>),
}

impl FactorSharding {
    /// Chooses the sharing for a layer with these inputs and `outputs` output features.
    pub(super) fn new(inputs: &InputFeatures, outputs: usize, placement: &Placement) -> Self {
        let shard = &placement.shard;
        if shard.is_unsplit() || !shard.sharded_adapters {
            Self::Unsharded
        } else if inputs.own == (0..inputs.total) {
            Self::Down
        } else {
            Self::Up(shard.range_of(outputs))
        }
    }
}

/// The low-rank factors of all modules of a layer, ready to be multiplied with.
pub(super) struct LowRank {
    /// The modules' A stacked first to last, `[ranks, inputs]`, or this rank's rows of it.
    down: Option<Weight>,
    ups: Vec<UpProjection>,
    ranks: usize,
    inputs: usize,
    /// The number format of weights on a device.
    dtype: DType,
    sharing: FactorSharding,
    shard: Shard,
    /// The whole factors. They are kept only if this rank has cut them, because merging needs them whole.
    blocks: Vec<ModuleFactors>,
}

/// The factor B of one module.
struct UpProjection {
    outputs: Range<usize>,
    /// The columns of `A x` that this module takes.
    inner: Range<usize>,
    weight: Weight,
}

/// The rank below which B is stored in f16 instead of bf16 on the CPU. Products with bf16 go in steps of 32 inputs,
/// so that a smaller rank would waste most of a step. Both formats have 16 bits, and f16 has more of them for the
/// fraction. It is used only if all numbers fit its smaller range.
const NARROW: usize = 32;

impl LowRank {
    /// Moves factors to the memory of their backend, and cuts them as `sharing` says.
    pub(super) fn new(
        blocks: Vec<ModuleFactors>,
        inputs: usize,
        outputs: usize,
        sharing: FactorSharding,
        placement: &Placement,
    ) -> Result<Self> {
        let mut down: Vec<f32> = blocks.iter().flat_map(|block| &block.down).copied().collect();
        let ranks = down.len() / inputs;
        let shard = placement.shard.clone();
        if sharing == FactorSharding::Down {
            let own = shard.range_of(ranks);
            down = down[own.start * inputs..own.end * inputs].to_vec();
        }
        let cut = match &sharing {
            FactorSharding::Up(own) => own.clone(),
            FactorSharding::Down | FactorSharding::Unsharded => 0..outputs,
        };
        let weight = |numbers: Vec<f32>, columns: usize| {
            Weight::new(&matrix_from_numbers(numbers, columns), placement)
        };
        let mut start = 0;
        let inners = blocks.iter().map(|block| {
            let inner = start..start + block.down.len() / inputs;
            start = inner.end;
            inner
        });
        let is_host = placement.backend.is_cpu();
        let up = |(block, inner): (&ModuleFactors, Range<usize>)| {
            let start = block.outputs.start.max(cut.start);
            let outputs = start..block.outputs.end.min(cut.end).max(start);
            let first = (outputs.start - block.outputs.start) * inner.len();
            let up = block.up[first..][..outputs.len() * inner.len()].to_vec();
            let fits = up.iter().all(|number| number.abs() <= f16::MAX.to_f32());
            let narrow = is_host && inner.len() < NARROW && placement.dtype == DType::Bf16 && fits;
            let dtype = if narrow { DType::F16 } else { placement.dtype };
            let matrix = matrix_from_numbers(up, inner.len());
            let weight = Weight::new(&matrix, &Placement { dtype, ..placement.clone() })?;
            Ok(UpProjection { outputs, inner, weight })
        };
        let ups = blocks.iter().zip(inners).map(up).collect::<Result<Vec<_>>>()?;
        let down = (!down.is_empty()).then(|| weight(down, inputs)).transpose()?;
        let blocks = if sharing == FactorSharding::Unsharded { Vec::new() } else { blocks };
        let dtype = placement.dtype;
        Ok(Self { down, ups, ranks, inputs, dtype, sharing, shard, blocks })
    }

    /// Returns true if ranks share the factors.
    pub(super) fn is_shared(&self) -> bool {
        self.sharing != FactorSharding::Unsharded
    }

    /// Combines the `A x` of all ranks, given this rank's.
    ///
    /// # Shapes
    /// - `inner`: `[rows, this rank's rows of A]`
    /// - returns: `[rows, ranks]`
    fn shared(&self, inner: Tensor) -> Result<Tensor> {
        match self.sharing {
            FactorSharding::Unsharded => Ok(inner),
            FactorSharding::Down => self.shard.gather(inner, self.ranks),
            FactorSharding::Up(_) => self.shard.sum(inner),
        }
    }

    /// Adds `B A x` to the rows of `y` that `subset` names, on the CPU.
    ///
    /// # Shapes
    /// - `x`: `[subset's rows, inputs]`
    /// - `y`: `[all rows, outputs]`
    ///
    /// # Safety
    /// `y` is initialised, and no other thread reads or writes these rows at the same time.
    pub(super) unsafe fn add_product_on_cpu(
        &self,
        x: &ProductInput<'_>,
        y: &SharedRows<'_, f32>,
        subset: &RowSubset,
    ) -> Result<()> {
        let down = self.down.as_ref().map(|down| down.product_on_cpu(x, None)).transpose()?;
        let mut inner = down.unwrap_or_default();
        if self.is_shared() {
            let rows = x.rows();
            let own = Tensor::from_vec(inner, (rows, self.own_ranks()), &Device::Cpu)?;
            inner = self.shared(own)?.flatten_all()?.to_vec1()?;
        }
        for up in &self.ups {
            let columns: Vec<f32>;
            let inner = if up.inner.len() == self.ranks {
                &inner
            } else {
                let rows = inner.chunks_exact(self.ranks);
                columns = rows.flat_map(|row| &row[up.inner.clone()]).copied().collect();
                &columns
            };
            let inner = ProductInput::new(inner, up.inner.len());
            // SAFETY: the caller keeps the contract of this function, which is the same.
            unsafe { up.weight.add_product_on_cpu(&inner, y, up.outputs.start, &subset.rows)? };
        }
        Ok(())
    }

    /// Describes the factors to the kernels.
    pub(super) fn entry(&self) -> Result<LoraEntry> {
        if self.ups.len() > PARTS {
            return Err(Error::Bug(format!(
                "a product of {} modules has more than kernels take",
                self.ups.len()
            )));
        }
        let own = match self.sharing {
            FactorSharding::Down => self.shard.range_of(self.ranks),
            FactorSharding::Unsharded | FactorSharding::Up(_) => 0..self.ranks,
        };
        let down = self.down.as_ref().map(Weight::device_view).transpose()?;
        let mut entry = LoraEntry {
            down: down.map_or(0, |down| down.address),
            ranks: own.len() as u32,
            first: own.start as u32,
            ..LoraEntry::default()
        };
        for (part, up) in entry.parts.iter_mut().zip(&self.ups) {
            *part = LoraPart {
                up: up.weight.device_view()?.address,
                start: up.outputs.start as u32,
                end: up.outputs.end as u32,
                from: up.inner.start as u32,
                inner: up.inner.len() as u32,
            };
        }
        Ok(entry)
    }

    /// Returns the rows of A on all ranks together.
    pub(super) fn ranks(&self) -> usize {
        self.ranks
    }

    /// Returns the number of rows of A that this rank has.
    fn own_ranks(&self) -> usize {
        match self.sharing {
            FactorSharding::Down => self.shard.range_of(self.ranks).len(),
            FactorSharding::Unsharded | FactorSharding::Up(_) => self.ranks,
        }
    }

    /// Computes `B A` for some output features.
    ///
    /// # Shapes
    /// - returns: `[outputs, inputs]`, flat
    pub(super) fn matrix(&self, outputs: Range<usize>) -> Result<Vec<f32>> {
        let mut up = vec![0f32; outputs.len() * self.ranks];
        let mut put = |of: &Range<usize>, inner: Range<usize>, rows: &[f32]| {
            for (row, numbers) in of.clone().zip(rows.chunks_exact(inner.len())) {
                if outputs.contains(&row) {
                    let start = (row - outputs.start) * self.ranks;
                    up[start..][inner.clone()].copy_from_slice(numbers);
                }
            }
        };
        let down = match &self.down {
            Some(down) if self.blocks.is_empty() => {
                for part in &self.ups {
                    let rows = part.weight.numbers(part.outputs.len(), self.dtype)?;
                    put(&part.outputs, part.inner.clone(), &rows);
                }
                down.numbers(self.ranks, self.dtype)?
            }
            _ => {
                let mut start = 0;
                for block in &self.blocks {
                    let end = start + block.down.len() / self.inputs;
                    put(&block.outputs, start..end, &block.up);
                    start = end;
                }
                self.blocks.iter().flat_map(|block| &block.down).copied().collect()
            }
        };
        PackedFactor::new(&down, self.ranks, self.inputs).rows(&up)
    }
}

/// One low-rank factor, packed so that rows can be multiplied with it.
pub(super) struct PackedFactor(PackedWeight);

impl PackedFactor {
    /// Packs A, `[rank, inputs]`, to be multiplied with rows of B.
    pub(super) fn new(down: &[f32], rank: usize, inputs: usize) -> Self {
        let column = |input: usize, out: &mut [f32]| {
            out.iter_mut().enumerate().for_each(|(row, out)| *out = down[row * inputs + input]);
        };
        Self(PackedWeight::new(inputs, rank, PackedFormat::F32, &column))
    }

    /// Packs the rows of a matrix `[inputs, rank]`, such as B, to be multiplied with columns of A.
    pub(super) fn from_rows(rows: &[f32], rank: usize) -> Self {
        let read = |row: usize, out: &mut [f32]| out.copy_from_slice(&rows[row * rank..][..rank]);
        Self(PackedWeight::new(rows.len() / rank, rank, PackedFormat::F32, &read))
    }

    /// Multiplies rows with the factor.
    ///
    /// # Shapes
    /// - `up`: `[rows, rank]`, flat
    /// - returns: `[rows, inputs]`, flat
    pub(super) fn rows(&self, up: &[f32]) -> Result<Vec<f32>> {
        Ok(self.0.product(&ProductInput::new(up, self.0.inputs()), None)?)
    }
}

/// Makes a matrix from numbers in memory, `[numbers / columns, columns]`.
pub(super) fn matrix_from_numbers(numbers: Vec<f32>, columns: usize) -> Matrix {
    let rows = numbers.len() / columns;
    let read = move |row: usize, first: usize, out: &mut [f32]| {
        out.copy_from_slice(&numbers[row * columns + first..][..out.len()]);
    };
    Matrix::from_numbers(rows, columns, Arc::new(read))
}
