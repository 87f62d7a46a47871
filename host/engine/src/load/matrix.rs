//! A two-dimensional weight whose rows can be read, wherever they are stored. It can be transposed, stacked and
//! reordered before a single number is copied.

use super::{gguf_weights, synthetic_weights};
use crate::{
    Error, Result,
    cpu::{PackedFormat, PackedWeight},
};
use candle_core::{
    Device,
    quantized::{QMatMul, QStorage, QTensor},
};
use llem_checkpoint::{BlockFormat, MappedBytes};
use llem_compute::ops::synthetic::SyntheticRow;
use std::{borrow::Cow, ops::Range, sync::Arc};

/// Reads numbers of row `index` as f32, from column `first` on.
pub(crate) type ReadRow = Arc<dyn Fn(usize, usize, &mut [f32]) + Send + Sync>;
/// Returns the bytes of row `index`: whole blocks of a quantised format.
pub(crate) type RowBytes = Arc<dyn Fn(usize) -> Vec<u8> + Send + Sync>;

/// A weight `[rows, columns]`: output features by input features.
#[derive(Clone)]
pub(crate) struct Matrix {
    /// Number of output features.
    pub rows: usize,
    /// Number of input features.
    pub columns: usize,
    source: MatrixSource,
    /// The mapped parts of files that the rows are read from.
    leases: Vec<Arc<MappedBytes>>,
}

/// Returns the seed position of row `index` of a random weight.
type SyntheticRows = Arc<dyn Fn(usize) -> SyntheticRow + Send + Sync>;

#[derive(Clone)]
enum MatrixSource {
    Numbers(ReadRow),
    Synthetic(SyntheticRows),
    Blocks(BlockFormat, RowBytes),
}

impl Matrix {
    /// Creates a matrix whose rows are read as numbers.
    pub(crate) fn from_numbers(rows: usize, columns: usize, read: ReadRow) -> Self {
        Self { rows, columns, source: MatrixSource::Numbers(read), leases: Vec::new() }
    }

    /// Creates a matrix of random numbers: those that [`synthetic_weights::fill`] makes for `key`.
    pub(crate) fn synthetic(rows: usize, columns: usize, key: u64) -> Self {
        let row = move |row: usize| SyntheticRow { key, start: (row * columns) as u64 };
        Self { rows, columns, source: MatrixSource::Synthetic(Arc::new(row)), leases: Vec::new() }
    }

    /// Returns the seed position of each row, and half the width of the numbers' range. Returns `None` if the matrix
    /// is not random.
    pub(crate) fn synthetic_rows(&self) -> Option<(Vec<SyntheticRow>, f32)> {
        let MatrixSource::Synthetic(row) = &self.source else { return None };
        Some(((0..self.rows).map(|index| row(index)).collect(), synthetic_weights::half_width()))
    }

    /// Creates a matrix whose rows are quantised blocks.
    pub(crate) fn from_blocks(
        rows: usize,
        columns: usize,
        format: BlockFormat,
        bytes: RowBytes,
    ) -> Self {
        Self { rows, columns, source: MatrixSource::Blocks(format, bytes), leases: Vec::new() }
    }

    /// Adds a mapped part of a file from which the rows are read.
    pub(crate) fn with_lease(mut self, lease: Arc<MappedBytes>) -> Self {
        self.leases.push(lease);
        self
    }

    /// Gives the memory pages back that reading the mapped files has filled. The matrix can be read again.
    pub(crate) fn release(&self) {
        self.leases.iter().for_each(|lease| lease.release());
    }

    /// Returns `gain (self + difference)`, with one gain for each row.
    ///
    /// # Errors
    /// The matrix is quantised, because its blocks cannot represent the sum.
    pub(crate) fn plus(&self, difference: Vec<f32>, gain: Option<Vec<f32>>) -> Result<Self> {
        let (read, columns) = (self.unquantised()?, self.columns);
        let sum = move |row: usize, first: usize, out: &mut [f32]| {
            read(row, first, out);
            let gain = gain.as_ref().map_or(1.0, |gain| gain[row]);
            for (out, difference) in out.iter_mut().zip(&difference[row * columns + first..]) {
                *out = gain * (*out + difference);
            }
        };
        Ok(Self { source: MatrixSource::Numbers(Arc::new(sum)), ..self.clone() })
    }

    /// Returns this matrix with the rows of `other` in place of the rows from `start` on.
    pub(crate) fn with_rows(&self, start: usize, other: &Self) -> Result<Self> {
        let (below, above) = (self.unquantised()?, other.unquantised()?);
        let replaced = start..start + other.rows;
        let read = move |row: usize, first: usize, out: &mut [f32]| match replaced.contains(&row) {
            true => above(row - start, first, out),
            false => below(row, first, out),
        };
        let leases = [&self.leases[..], &other.leases].concat();
        Ok(Self { source: MatrixSource::Numbers(Arc::new(read)), leases, ..*self })
    }

    /// Returns true if the matrix is stored in quantised blocks.
    pub(crate) fn is_quantised(&self) -> bool {
        matches!(self.source, MatrixSource::Blocks(..))
    }

    fn unquantised(&self) -> Result<ReadRow> {
        match &self.source {
            MatrixSource::Numbers(read) => Ok(Arc::clone(read)),
            MatrixSource::Synthetic(row) => Ok(read_synthetic(row)),
            MatrixSource::Blocks(..) => Err(Error::Unsupported(
                "an adapter cannot be merged into quantised weights without losing what it changes: attach it unmerged, or merge it into the checkpoint before quantising"
                    .to_owned(),
            )),
        }
    }

    /// Returns a function that reads rows as f32, from any source.
    pub(crate) fn widened(&self) -> Result<ReadRow> {
        match &self.source {
            MatrixSource::Numbers(read) => Ok(Arc::clone(read)),
            MatrixSource::Synthetic(row) => Ok(read_synthetic(row)),
            MatrixSource::Blocks(..) => match self.to_host(PackedFormat::F32)? {
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

    /// Returns a matrix of the `count` rows `order(0), order(1), ...`.
    pub(crate) fn select(
        &self,
        count: usize,
        order: impl Fn(usize) -> usize + Send + Sync + 'static,
    ) -> Self {
        let source = match self.source.clone() {
            MatrixSource::Numbers(read) => {
                MatrixSource::Numbers(Arc::new(move |row, first, out: &mut [f32]| {
                    read(order(row), first, out);
                }))
            }
            MatrixSource::Synthetic(of) => {
                MatrixSource::Synthetic(Arc::new(move |row| of(order(row))))
            }
            MatrixSource::Blocks(format, bytes) => {
                MatrixSource::Blocks(format, Arc::new(move |row| bytes(order(row))))
            }
        };
        Self { rows: count, columns: self.columns, source, leases: self.leases.clone() }
    }

    /// Returns a matrix of some columns.
    ///
    /// # Errors
    /// A quantised block would be cut.
    pub(crate) fn columns(&self, kept: Range<usize>) -> Result<Self> {
        if kept == (0..self.columns) {
            return Ok(self.clone());
        }
        let start = kept.start;
        let source = match self.source.clone() {
            MatrixSource::Numbers(read) => {
                MatrixSource::Numbers(Arc::new(move |row, first, out: &mut [f32]| {
                    read(row, start + first, out);
                }))
            }
            MatrixSource::Synthetic(of) => MatrixSource::Synthetic(Arc::new(move |row| {
                let SyntheticRow { key, start: first } = of(row);
                SyntheticRow { key, start: first + start as u64 }
            })),
            MatrixSource::Blocks(format, bytes) => {
                let (block, size) = (format.block_len(), format.block_bytes());
                if !start.is_multiple_of(block) || !kept.end.is_multiple_of(block) {
                    return Err(Error::Invalid(format!(
                        "inputs {start} to {} of a weight are not whole {format} blocks of {block}: split the model over fewer ranks, or use a checkpoint that is not quantised",
                        kept.end
                    )));
                }
                let part = start / block * size..kept.end / block * size;
                MatrixSource::Blocks(format, Arc::new(move |row| bytes(row)[part.clone()].to_vec()))
            }
        };
        Ok(Self { rows: self.rows, columns: kept.len(), source, leases: self.leases.clone() })
    }

    /// Returns the bytes of the matrix in memory, with `size` bytes for each number that is not quantised.
    pub(crate) fn bytes(&self, size: usize) -> usize {
        let numbers = self.rows * self.columns;
        match &self.source {
            MatrixSource::Numbers(_) | MatrixSource::Synthetic(_) => numbers * size,
            MatrixSource::Blocks(format, _) => gguf_weights::kept_bytes(*format, numbers),
        }
    }

    /// Stacks the rows of several matrices of the same width. Returns `None` if quantised parts do not all have the
    /// same format.
    pub(crate) fn stack(parts: &[Self]) -> Option<Self> {
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
            MatrixSource::Synthetic(_) if parts.iter().all(|part| part.row_of().is_some()) => {
                let all: Vec<SyntheticRows> = parts.iter().filter_map(Self::row_of).collect();
                MatrixSource::Synthetic(Arc::new(move |row| {
                    let (part, row) = place(row);
                    all[part](row)
                }))
            }
            MatrixSource::Numbers(_) | MatrixSource::Synthetic(_) => {
                let reads: Vec<ReadRow> = parts.iter().map(Self::numbers).collect::<Option<_>>()?;
                MatrixSource::Numbers(Arc::new(move |row, first, out: &mut [f32]| {
                    let (part, row) = place(row);
                    reads[part](row, first, out);
                }))
            }
            MatrixSource::Blocks(format, _) => {
                let all: Vec<RowBytes> =
                    parts.iter().map(|part| part.blocks(*format)).collect::<Option<_>>()?;
                MatrixSource::Blocks(
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
            MatrixSource::Numbers(read) => Some(Arc::clone(read)),
            MatrixSource::Synthetic(row) => Some(read_synthetic(row)),
            MatrixSource::Blocks(..) => None,
        }
    }

    fn row_of(&self) -> Option<SyntheticRows> {
        match &self.source {
            MatrixSource::Synthetic(row) => Some(Arc::clone(row)),
            MatrixSource::Numbers(_) | MatrixSource::Blocks(..) => None,
        }
    }

    fn blocks(&self, wanted: BlockFormat) -> Option<RowBytes> {
        match &self.source {
            MatrixSource::Blocks(format, bytes) if *format == wanted => Some(Arc::clone(bytes)),
            _ => None,
        }
    }

    /// Packs the matrix for the CPU's kernels. Blocks other than Q8_0 and the IQ4 formats stay in the form that
    /// candle multiplies.
    pub(crate) fn to_host(&self, format: PackedFormat) -> Result<HostWeight> {
        Ok(match &self.source {
            MatrixSource::Numbers(read) => {
                let read = |row: usize, out: &mut [f32]| read(row, 0, out);
                HostWeight::Packed(PackedWeight::new(self.rows, self.columns, format, &read))
            }
            MatrixSource::Synthetic(of) => {
                let read = read_synthetic(of);
                let read = |row: usize, out: &mut [f32]| read(row, 0, out);
                HostWeight::Packed(PackedWeight::new(self.rows, self.columns, format, &read))
            }
            MatrixSource::Blocks(BlockFormat::Q8_0, bytes) => {
                HostWeight::Packed(PackedWeight::from_q8_rows(self.rows, self.columns, &**bytes))
            }
            MatrixSource::Blocks(format, bytes) => {
                if let Some(layout) = gguf_weights::iq4_layout(*format) {
                    let (rows, columns) = (self.rows, self.columns);
                    let packed = PackedWeight::from_iq4_rows(rows, columns, layout, &**bytes);
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

/// Returns a function that reads rows of random numbers.
fn read_synthetic(row: &SyntheticRows) -> ReadRow {
    let row = Arc::clone(row);
    Arc::new(move |index, first, out: &mut [f32]| {
        let SyntheticRow { key, start } = row(index);
        synthetic_weights::fill(key, start + first as u64, out);
    })
}

/// A weight in the CPU's memory, ready for matrix products.
pub(crate) enum HostWeight {
    /// A weight for this project's own kernels.
    Packed(PackedWeight),
    /// A weight for candle's quantised products, and the tensor that it is made of.
    Blocks(QMatMul, Arc<QTensor>),
}

impl HostWeight {
    /// Reads row `index` as f32 into `out`.
    pub(crate) fn row(&self, index: usize, out: &mut [f32]) -> Result<()> {
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

    /// Returns the number of input features.
    pub(crate) fn inputs(&self) -> usize {
        match self {
            Self::Packed(packed) => packed.inputs(),
            Self::Blocks(_, tensor) => tensor.shape().dims()[1],
        }
    }
}
