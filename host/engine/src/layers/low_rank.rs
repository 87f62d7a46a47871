//! The change `B A x` of an adapter, and the matrix `B A` itself.
//!
//! ```text
//! x ──► A (all modules' below one another) ──► [ h_q h_k h_v ]
//!                                                 │   │   └─ B_v ──► + v
//!                                                 │   └─ B_k ──────► + k
//!                                                 └─ B_q ──────────► + q
//! ```

use super::{
    adapter_rows::RowSubset,
    features::Inputs,
    weight::{Placement, Weight},
};
use crate::{
    DType, Error, Result,
    cpu::{Activations, Packed, PackedFormat, parallel::SharedRows},
    load::matrix::Matrix,
    parallel::Shard,
};
use candle_core::{Device, Tensor};
use half::f16;
use llem_compute::ops::lora::{Entry, PARTS, Part};
use std::{ops::Range, sync::Arc};

/// The factors of some output features, before they are brought to where they are used.
pub struct Block {
    /// The output features.
    pub outputs: Range<usize>,
    /// A, `[rank, inputs]`.
    pub down: Vec<f32>,
    /// B, scaled, `[outputs, rank]`.
    pub up: Vec<f32>,
}

/// How ranks share the factors of a product, where both are cut.
#[derive(Clone, Debug, PartialEq)]
pub enum Sharing {
    /// They do not: A is whole beside a column-parallel product, B beside a row-parallel one.
    Nothing,
    /// Beside a column-parallel product: each rank has some rows of A, and gathers what the others'
    /// give.
    Down,
    /// Beside a row-parallel product: what A gives is summed, and each rank has B for these outputs.
    Up(Range<usize>),
}

impl Sharing {
    /// How a product with these inputs and so many outputs shares its factors.
    pub fn of(inputs: &Inputs, outputs: usize, place: &Placement) -> Self {
        let shard = &place.shard;
        if shard.is_whole() || !shard.sharded_adapters {
            Self::Nothing
        } else if inputs.taken == (0..inputs.all) {
            Self::Down
        } else {
            Self::Up(shard.of(outputs))
        }
    }
}

/// The factors of a product's modules.
pub struct LowRank {
    /// The modules' A below one another, `[ranks, inputs]`, or this rank's rows of it.
    down: Option<Weight>,
    ups: Vec<Up>,
    ranks: usize,
    inputs: usize,
    /// Format of what is on a device.
    dtype: DType,
    sharing: Sharing,
    shard: Shard,
    /// All of the factors, where this rank has cut them: merging needs them.
    blocks: Vec<Block>,
}

/// B of one module.
struct Up {
    outputs: Range<usize>,
    /// The columns of what A gives that it takes.
    inner: Range<usize>,
    weight: Weight,
}

/// Ranks below this are kept in f16 rather than bf16 on the CPU, whose products with bf16 go by steps of 32
/// inputs; f16 has as many bits, fewer of them for the exponent and more for the number.
const NARROW: usize = 32;

impl LowRank {
    /// Brings factors to where they are used.
    pub fn new(
        blocks: Vec<Block>,
        inputs: usize,
        outputs: usize,
        sharing: Sharing,
        place: &Placement,
    ) -> Result<Self> {
        let mut down: Vec<f32> = blocks.iter().flat_map(|block| &block.down).copied().collect();
        let ranks = down.len() / inputs;
        let shard = place.shard.clone();
        if sharing == Sharing::Down {
            let own = shard.of(ranks);
            down = down[own.start * inputs..own.end * inputs].to_vec();
        }
        let cut = match &sharing {
            Sharing::Up(own) => own.clone(),
            Sharing::Down | Sharing::Nothing => 0..outputs,
        };
        let weight =
            |numbers: Vec<f32>, columns: usize| Weight::new(&matrix(numbers, columns), place);
        let mut start = 0;
        let inners = blocks.iter().map(|block| {
            let inner = start..start + block.down.len() / inputs;
            start = inner.end;
            inner
        });
        let is_host = place.place.is_host();
        let up = |(block, inner): (&Block, Range<usize>)| {
            let start = block.outputs.start.max(cut.start);
            let outputs = start..block.outputs.end.min(cut.end).max(start);
            let first = (outputs.start - block.outputs.start) * inner.len();
            let up = block.up[first..][..outputs.len() * inner.len()].to_vec();
            let fits = up.iter().all(|number| number.abs() <= f16::MAX.to_f32());
            let narrow = is_host && inner.len() < NARROW && place.dtype == DType::Bf16 && fits;
            let dtype = if narrow { DType::F16 } else { place.dtype };
            let matrix = matrix(up, inner.len());
            let weight = Weight::new(&matrix, &Placement { dtype, ..place.clone() })?;
            Ok(Up { outputs, inner, weight })
        };
        let ups = blocks.iter().zip(inners).map(up).collect::<Result<Vec<_>>>()?;
        let down = (!down.is_empty()).then(|| weight(down, inputs)).transpose()?;
        let blocks = if sharing == Sharing::Nothing { Vec::new() } else { blocks };
        let dtype = place.dtype;
        Ok(Self { down, ups, ranks, inputs, dtype, sharing, shard, blocks })
    }

    /// Whether ranks work on it together.
    pub fn is_shared(&self) -> bool {
        self.sharing != Sharing::Nothing
    }

    /// What the ranks' A give together, from what this one's gives.
    fn shared(&self, inner: Tensor) -> Result<Tensor> {
        match self.sharing {
            Sharing::Nothing => Ok(inner),
            Sharing::Down => self.shard.gather(inner, self.ranks),
            Sharing::Up(_) => self.shard.sum(inner),
        }
    }

    /// Adds `B A x` to the rows of `y` that `subset` names; `x` holds only those.
    ///
    /// # Safety
    /// `y` holds numbers, and no other thread touches those rows meanwhile.
    pub unsafe fn add_on_host(
        &self,
        x: &Activations<'_>,
        y: &SharedRows<'_, f32>,
        subset: &RowSubset,
    ) -> Result<()> {
        let down = self.down.as_ref().map(|down| down.on_host(x, None)).transpose()?;
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
            let inner = Activations::new(inner, up.inner.len());
            // SAFETY: the caller's.
            unsafe { up.weight.add_on_host(&inner, y, up.outputs.start, &subset.rows)? };
        }
        Ok(())
    }

    /// What kernels are told of it.
    pub fn entry(&self) -> Result<Entry> {
        if self.ups.len() > PARTS {
            return Err(Error::Bug(format!(
                "a product of {} modules has more than kernels take",
                self.ups.len()
            )));
        }
        let own = match self.sharing {
            Sharing::Down => self.shard.of(self.ranks),
            Sharing::Nothing | Sharing::Up(_) => 0..self.ranks,
        };
        let down = self.down.as_ref().map(Weight::on_device).transpose()?;
        let mut entry = Entry {
            down: down.map_or(0, |down| down.address),
            ranks: own.len() as u32,
            first: own.start as u32,
            ..Entry::default()
        };
        for (part, up) in entry.parts.iter_mut().zip(&self.ups) {
            *part = Part {
                up: up.weight.on_device()?.address,
                start: up.outputs.start as u32,
                end: up.outputs.end as u32,
                from: up.inner.start as u32,
                inner: up.inner.len() as u32,
            };
        }
        Ok(entry)
    }

    /// Rows of A on all ranks.
    pub fn ranks(&self) -> usize {
        self.ranks
    }

    /// Rows of A that this rank has.
    fn own_ranks(&self) -> usize {
        match self.sharing {
            Sharing::Down => self.shard.of(self.ranks).len(),
            Sharing::Nothing | Sharing::Up(_) => self.ranks,
        }
    }

    /// `B A` of some output features, `[outputs, inputs]`.
    pub fn matrix(&self, outputs: Range<usize>) -> Result<Vec<f32>> {
        let mut up = vec![0f32; outputs.len() * self.ranks];
        let mut put = |of: &Range<usize>, inner: Range<usize>, rows: &[f32]| {
            for (row, numbers) in of.clone().zip(rows.chunks_exact(inner.len())) {
                if outputs.contains(&row) {
                    let place = (row - outputs.start) * self.ranks;
                    up[place..][inner.clone()].copy_from_slice(numbers);
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
        Expansion::new(&down, self.ranks, self.inputs).rows(&up)
    }
}

/// A, ready to be multiplied with rows of B; or the other way about.
pub struct Expansion(Packed);

impl Expansion {
    /// From A, `[rank, inputs]`.
    pub fn new(down: &[f32], rank: usize, inputs: usize) -> Self {
        let column = |input: usize, out: &mut [f32]| {
            out.iter_mut().enumerate().for_each(|(row, out)| *out = down[row * inputs + input]);
        };
        Self(Packed::new(inputs, rank, PackedFormat::F32, &column))
    }

    /// From the rows themselves, `[inputs, rank]`.
    pub fn of_rows(rows: &[f32], rank: usize) -> Self {
        let read = |row: usize, out: &mut [f32]| out.copy_from_slice(&rows[row * rank..][..rank]);
        Self(Packed::new(rows.len() / rank, rank, PackedFormat::F32, &read))
    }

    /// Rows of `B A`, `[rows, inputs]`, from rows of B, `[rows, rank]`.
    pub fn rows(&self, up: &[f32]) -> Result<Vec<f32>> {
        Ok(self.0.product(&Activations::new(up, self.0.inputs()), None)?)
    }
}

/// A matrix of numbers that are in memory.
pub fn matrix(numbers: Vec<f32>, columns: usize) -> Matrix {
    let rows = numbers.len() / columns;
    let read = move |row: usize, first: usize, out: &mut [f32]| {
        out.copy_from_slice(&numbers[row * columns + first..][..out.len()]);
    };
    Matrix::of_numbers(rows, columns, Arc::new(read))
}
