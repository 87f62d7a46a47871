//! A weight of two dimensions as rows that can be read, wherever and however they are kept. It can be
//! turned, stacked and reordered before a single number is copied.

use super::{gguf_weights, synthetic};
use crate::{
    Error, Result,
    cpu::{Packed, PackedFormat},
};
use candle_core::{
    Device,
    quantized::{QMatMul, QStorage, QTensor},
};
use llem_checkpoint::{gguf::BlockFormat, mapped::Lease};
use llem_compute::ops::synthetic::SyntheticRow;
use std::{borrow::Cow, ops::Range, sync::Arc};

/// Reads numbers of row `index` from column `first` on, as f32.
pub type ReadRow = Arc<dyn Fn(usize, usize, &mut [f32]) + Send + Sync>;
/// The bytes of row `index`, whole blocks of a quantised format.
pub type RowBytes = Arc<dyn Fn(usize) -> Vec<u8> + Send + Sync>;

/// `[rows, columns]`: output features by input features.
#[derive(Clone)]
pub struct Matrix {
    /// Output features.
    pub rows: usize,
    /// Input features.
    pub columns: usize,
    source: Source,
    /// What is mapped of it.
    leases: Vec<Arc<Lease>>,
}

/// What row `index` is made of, where it is random.
type RowOf = Arc<dyn Fn(usize) -> SyntheticRow + Send + Sync>;

#[derive(Clone)]
enum Source {
    Numbers(ReadRow),
    Synthetic(RowOf),
    Blocks(BlockFormat, RowBytes),
}

impl Matrix {
    /// Rows of numbers.
    pub fn of_numbers(rows: usize, columns: usize, read: ReadRow) -> Self {
        Self { rows, columns, source: Source::Numbers(read), leases: Vec::new() }
    }

    /// Rows of random numbers, as [`synthetic::fill`] makes those of a tensor with a key.
    pub fn synthetic(rows: usize, columns: usize, key: u64) -> Self {
        let row = move |row: usize| SyntheticRow { key, start: (row * columns) as u64 };
        Self { rows, columns, source: Source::Synthetic(Arc::new(row)), leases: Vec::new() }
    }

    /// What its rows are made of, and half the width of their numbers' range, where they are random.
    pub fn synthetic_rows(&self) -> Option<(Vec<SyntheticRow>, f32)> {
        let Source::Synthetic(row) = &self.source else { return None };
        Some(((0..self.rows).map(|index| row(index)).collect(), synthetic::half_width()))
    }

    /// Rows of quantised blocks.
    pub fn of_blocks(rows: usize, columns: usize, format: BlockFormat, bytes: RowBytes) -> Self {
        Self { rows, columns, source: Source::Blocks(format, bytes), leases: Vec::new() }
    }

    /// The same, of which this much of a file is mapped.
    pub fn mapped(mut self, lease: Arc<Lease>) -> Self {
        self.leases.push(lease);
        self
    }

    /// Gives the pages back that reading it has brought in. It can be read again.
    pub fn release(&self) {
        self.leases.iter().for_each(|lease| lease.release());
    }

    /// `gain (self + difference)`, row by row; refused for quantised blocks, which could not hold it.
    pub fn plus(&self, difference: Vec<f32>, gain: Option<Vec<f32>>) -> Result<Self> {
        let (read, columns) = (self.unquantised()?, self.columns);
        let sum = move |row: usize, first: usize, out: &mut [f32]| {
            read(row, first, out);
            let gain = gain.as_ref().map_or(1.0, |gain| gain[row]);
            for (out, difference) in out.iter_mut().zip(&difference[row * columns + first..]) {
                *out = gain * (*out + difference);
            }
        };
        Ok(Self { source: Source::Numbers(Arc::new(sum)), ..self.clone() })
    }

    /// The same with another's rows in place of those from `start` on.
    pub fn with_rows(&self, start: usize, other: &Self) -> Result<Self> {
        let (below, above) = (self.unquantised()?, other.unquantised()?);
        let replaced = start..start + other.rows;
        let read = move |row: usize, first: usize, out: &mut [f32]| match replaced.contains(&row) {
            true => above(row - start, first, out),
            false => below(row, first, out),
        };
        let leases = [&self.leases[..], &other.leases].concat();
        Ok(Self { source: Source::Numbers(Arc::new(read)), leases, ..*self })
    }

    /// Whether it is kept in quantised blocks.
    pub fn is_quantised(&self) -> bool {
        matches!(self.source, Source::Blocks(..))
    }

    fn unquantised(&self) -> Result<ReadRow> {
        match &self.source {
            Source::Numbers(read) => Ok(Arc::clone(read)),
            Source::Synthetic(row) => Ok(read_synthetic(row)),
            Source::Blocks(..) => Err(Error::Unsupported(
                "an adapter cannot be merged into quantised weights without losing what it changes: attach it unmerged, or merge it into the checkpoint before quantising"
                    .to_owned(),
            )),
        }
    }

    /// How its rows are read, whatever they are kept in.
    pub fn widened(&self) -> Result<ReadRow> {
        match &self.source {
            Source::Numbers(read) => Ok(Arc::clone(read)),
            Source::Synthetic(row) => Ok(read_synthetic(row)),
            Source::Blocks(..) => match self.to_host(PackedFormat::F32)? {
                HostWeight::Packed(packed) => {
                    let columns = self.columns;
                    Ok(Arc::new(move |row, first, out: &mut [f32]| {
                        if out.len() == columns {
                            return packed.row(row, out);
                        }
                        let mut whole = vec![0f32; columns];
                        packed.row(row, &mut whole);
                        out.copy_from_slice(&whole[first..][..out.len()]);
                    }))
                }
                HostWeight::Blocks(_, tensor) => {
                    let widened = tensor.dequantize(&Device::Cpu)?;
                    let (numbers, columns) =
                        (widened.flatten_all()?.to_vec1::<f32>()?, self.columns);
                    Ok(Arc::new(move |row, first, out: &mut [f32]| {
                        out.copy_from_slice(&numbers[row * columns + first..][..out.len()]);
                    }))
                }
            },
        }
    }

    /// Rows `order(0), order(1), ...`, `count` of them.
    pub fn select(
        &self,
        count: usize,
        order: impl Fn(usize) -> usize + Send + Sync + 'static,
    ) -> Self {
        let source = match self.source.clone() {
            Source::Numbers(read) => {
                Source::Numbers(Arc::new(move |row, first, out: &mut [f32]| {
                    read(order(row), first, out);
                }))
            }
            Source::Synthetic(of) => Source::Synthetic(Arc::new(move |row| of(order(row)))),
            Source::Blocks(format, bytes) => {
                Source::Blocks(format, Arc::new(move |row| bytes(order(row))))
            }
        };
        Self { rows: count, columns: self.columns, source, leases: self.leases.clone() }
    }

    /// Some of its columns. Quantised blocks are not cut.
    pub fn columns(&self, kept: Range<usize>) -> Result<Self> {
        if kept == (0..self.columns) {
            return Ok(self.clone());
        }
        let start = kept.start;
        let source = match self.source.clone() {
            Source::Numbers(read) => {
                Source::Numbers(Arc::new(move |row, first, out: &mut [f32]| {
                    read(row, start + first, out);
                }))
            }
            Source::Synthetic(of) => Source::Synthetic(Arc::new(move |row| {
                let SyntheticRow { key, start: first } = of(row);
                SyntheticRow { key, start: first + start as u64 }
            })),
            Source::Blocks(format, bytes) => {
                let (block, size) = (format.block(), format.block_bytes());
                if !start.is_multiple_of(block) || !kept.end.is_multiple_of(block) {
                    return Err(Error::Invalid(format!(
                        "inputs {start} to {} of a weight are not whole {format} blocks of {block}: split the model over fewer ranks, or use a checkpoint that is not quantised",
                        kept.end
                    )));
                }
                let part = start / block * size..kept.end / block * size;
                Source::Blocks(format, Arc::new(move |row| bytes(row)[part.clone()].to_vec()))
            }
        };
        Ok(Self { rows: self.rows, columns: kept.len(), source, leases: self.leases.clone() })
    }

    /// Bytes that it takes in memory, at `size` bytes a number that is not quantised.
    pub fn bytes(&self, size: usize) -> usize {
        let numbers = self.rows * self.columns;
        match &self.source {
            Source::Numbers(_) | Source::Synthetic(_) => numbers * size,
            Source::Blocks(format, _) => gguf_weights::kept_bytes(*format, numbers),
        }
    }

    /// The rows of several below one another. They have one width and, if quantised, one format.
    pub fn stack(parts: &[Self]) -> Option<Self> {
        let first = parts.first()?;
        let ends: Vec<usize> = parts
            .iter()
            .scan(0, |end, part| {
                *end += part.rows;
                Some(*end)
            })
            .collect();
        let rows = *ends.last()?;
        let place = move |row: usize| {
            let part = ends.partition_point(|&end| end <= row);
            (part, if part == 0 { row } else { row - ends[part - 1] })
        };
        let source = match &first.source {
            Source::Synthetic(_) if parts.iter().all(|part| part.row_of().is_some()) => {
                let all: Vec<RowOf> = parts.iter().filter_map(Self::row_of).collect();
                Source::Synthetic(Arc::new(move |row| {
                    let (part, row) = place(row);
                    all[part](row)
                }))
            }
            Source::Numbers(_) | Source::Synthetic(_) => {
                let reads: Vec<ReadRow> = parts.iter().map(Self::numbers).collect::<Option<_>>()?;
                Source::Numbers(Arc::new(move |row, first, out: &mut [f32]| {
                    let (part, row) = place(row);
                    reads[part](row, first, out);
                }))
            }
            Source::Blocks(format, _) => {
                let all: Vec<RowBytes> =
                    parts.iter().map(|part| part.blocks(*format)).collect::<Option<_>>()?;
                Source::Blocks(
                    *format,
                    Arc::new(move |row| {
                        let (part, row) = place(row);
                        all[part](row)
                    }),
                )
            }
        };
        let leases = parts.iter().flat_map(|part| part.leases.iter().cloned()).collect();
        Some(Self { rows, columns: first.columns, source, leases })
    }

    fn numbers(&self) -> Option<ReadRow> {
        match &self.source {
            Source::Numbers(read) => Some(Arc::clone(read)),
            Source::Synthetic(row) => Some(read_synthetic(row)),
            Source::Blocks(..) => None,
        }
    }

    fn row_of(&self) -> Option<RowOf> {
        match &self.source {
            Source::Synthetic(row) => Some(Arc::clone(row)),
            Source::Numbers(_) | Source::Blocks(..) => None,
        }
    }

    fn blocks(&self, wanted: BlockFormat) -> Option<RowBytes> {
        match &self.source {
            Source::Blocks(format, bytes) if *format == wanted => Some(Arc::clone(bytes)),
            _ => None,
        }
    }

    /// Packs it for the CPU's kernels; blocks other than Q8_0 and the IQ4 formats stay as candle multiplies them.
    pub fn to_host(&self, format: PackedFormat) -> Result<HostWeight> {
        Ok(match &self.source {
            Source::Numbers(read) => {
                let read = |row: usize, out: &mut [f32]| read(row, 0, out);
                HostWeight::Packed(Packed::new(self.rows, self.columns, format, &read))
            }
            Source::Synthetic(of) => {
                let read = read_synthetic(of);
                let read = |row: usize, out: &mut [f32]| read(row, 0, out);
                HostWeight::Packed(Packed::new(self.rows, self.columns, format, &read))
            }
            Source::Blocks(BlockFormat::Q8_0, bytes) => {
                HostWeight::Packed(Packed::from_q8_rows(self.rows, self.columns, &**bytes))
            }
            Source::Blocks(format, bytes) => {
                if let Some(layout) = gguf_weights::iq4_layout(*format) {
                    let (rows, columns) = (self.rows, self.columns);
                    let packed = Packed::from_iq4_rows(rows, columns, layout, &**bytes);
                    return Ok(HostWeight::Packed(packed));
                }
                let dtype = gguf_weights::candle_dtype(*format).ok_or_else(|| {
                    Error::Bug(format!("a weight in {format} has passed the check of formats"))
                })?;
                let data: Vec<u8> = (0..self.rows).flat_map(|row| bytes(row)).collect();
                let storage = QStorage::from_data(Cow::Owned(data), &Device::Cpu, dtype)?;
                let tensor = Arc::new(QTensor::new(storage, (self.rows, self.columns))?);
                HostWeight::Blocks(QMatMul::from_arc(Arc::clone(&tensor))?, tensor)
            }
        })
    }
}

/// How rows of random numbers are read.
fn read_synthetic(row: &RowOf) -> ReadRow {
    let row = Arc::clone(row);
    Arc::new(move |index, first, out: &mut [f32]| {
        let SyntheticRow { key, start } = row(index);
        synthetic::fill(key, start + first as u64, out);
    })
}

/// A weight in the CPU's memory, ready to multiply with.
pub enum HostWeight {
    /// For our own kernels.
    Packed(Packed),
    /// For candle's quantised products, with the tensor behind them.
    Blocks(QMatMul, Arc<QTensor>),
}

impl HostWeight {
    /// One row, as f32.
    pub fn row(&self, index: usize, out: &mut [f32]) -> Result<()> {
        match self {
            Self::Packed(packed) => packed.row(index, out),
            Self::Blocks(_, tensor) => {
                let row_bytes = tensor.storage_size_in_bytes() / tensor.shape().dims()[0];
                let data = tensor.data()?;
                let bytes = data[index * row_bytes..][..row_bytes].to_vec();
                let storage = QStorage::from_data(Cow::Owned(bytes), &Device::Cpu, tensor.dtype())?;
                let row = QTensor::new(storage, (1, out.len()))?.dequantize(&Device::Cpu)?;
                out.copy_from_slice(&row.flatten_all()?.to_vec1::<f32>()?);
            }
        }
        Ok(())
    }

    /// Input features.
    pub fn inputs(&self) -> usize {
        match self {
            Self::Packed(packed) => packed.inputs(),
            Self::Blocks(_, tensor) => tensor.shape().dims()[1],
        }
    }
}
