//! Logits, on the backend that computed them.

use super::Gpu;
use crate::{Result, layers::cpu_tensor};
use candle_core::Tensor;
use llem_compute::{
    Buffer, View,
    ops::{
        bytes_of,
        logits::LogitSummary,
        sampling::{Draw, SamplingKernel},
    },
};
use std::sync::Arc;

/// Logits, f32 `[rows, vocab]`.
pub(crate) enum Logits {
    /// A tensor on the CPU.
    Cpu(Tensor),
    /// Logits that stay on a device.
    Device(DeviceLogits),
}

/// Logits on a device. They are valid until the rank's next pass.
pub(crate) struct DeviceLogits {
    /// The device and its kernels.
    pub gpu: Arc<Gpu>,
    /// The logits, f32 `[rows, vocab]`. The buffer may be larger.
    pub buffer: Arc<Buffer>,
    /// Scratch memory for what kernels read and write about each row, see [`ScratchPart`].
    pub(super) scratch: Arc<Buffer>,
    /// The number of rows.
    pub rows: usize,
    /// The number of columns.
    pub vocab: usize,
}

impl Logits {
    /// Returns the number of columns.
    pub(crate) fn vocab(&self) -> Result<usize> {
        match self {
            Self::Cpu(tensor) => Ok(tensor.dim(1)?),
            Self::Device(logits) => Ok(logits.vocab),
        }
    }

    /// Copies some rows to the CPU, in the order of `rows`.
    ///
    /// # Shapes
    /// - returns: `[rows.len(), vocab]`
    pub(crate) fn to_cpu(&self, rows: &[u32]) -> Result<Tensor> {
        match self {
            Self::Cpu(tensor) if rows.len() == tensor.dim(0)? => Ok(tensor.clone()),
            Self::Cpu(tensor) => Ok(tensor.index_select(&Tensor::new(rows, tensor.device())?, 0)?),
            Self::Device(logits) => cpu_tensor::from_rows(logits.read(rows)?, logits.vocab),
        }
    }
}

impl DeviceLogits {
    /// Copies some rows to the CPU.
    ///
    /// # Shapes
    /// - returns: `[rows.len(), vocab]`, flat
    fn read(&self, rows: &[u32]) -> Result<Vec<f32>> {
        let width = self.vocab * size_of::<f32>();
        let mut bytes = vec![0u8; rows.len() * width];
        let mut rest = &mut bytes[..];
        // Consecutive rows are copied together.
        let mut start = 0;
        while start < rows.len() {
            let next = |&at: &usize| rows[at] == rows[start] + (at - start) as u32;
            let len = (start..rows.len()).take_while(next).count();
            let from = self.buffer.view().part(rows[start] as usize * width, len * width)?;
            let (own, others) = rest.split_at_mut(len * width);
            self.gpu.device.download(from.address, own)?;
            rest = others;
            start += len;
        }
        Ok(bytes.as_chunks().0.iter().map(|&bytes| f32::from_ne_bytes(bytes)).collect())
    }

    /// Finds the most likely token of some rows, and the log-likelihoods of `targets` if there are any.
    ///
    /// # Shapes
    /// - `rows`, `targets`: `[n]`
    /// - returns: `[n]`
    pub(crate) fn find_most_likely(
        &self,
        rows: &[u32],
        targets: Option<&[u32]>,
    ) -> Result<Vec<LogitSummary>> {
        let (device, count) = (&self.gpu.device, rows.len());
        let out = self.scratch(ScratchPart::LogitSummary, count * size_of::<LogitSummary>())?;
        let is_all = count == self.rows && rows.iter().zip(0..).all(|(&row, at)| row == at);
        let index = (!is_all).then(|| self.upload(ScratchPart::Index, rows)).transpose()?;
        let targets =
            targets.map(|targets| self.upload(ScratchPart::Target, targets)).transpose()?;
        self.gpu.logits.find(count, self.vocab, self.buffer.view(), index, targets, out)?;
        let mut found = vec![LogitSummary::default(); count];
        // SAFETY: any bytes are a valid `Found`, which has no padding.
        let bytes = unsafe {
            std::slice::from_raw_parts_mut(found.as_mut_ptr().cast::<u8>(), size_of_val(&found[..]))
        };
        device.download(out.address, bytes)?;
        Ok(found)
    }

    /// Draws a token for each of some rows. A token is `None` if a logit of its row is not a number.
    ///
    /// # Shapes
    /// - `rows`, `draws`: `[n]`
    /// - returns: `[n]`
    pub(crate) fn draw(&self, rows: &[u32], draws: &[Draw]) -> Result<Vec<Option<u32>>> {
        let count = rows.len();
        // SAFETY: draws and indices are plain numbers without padding.
        let [draws, index] = unsafe { [bytes_of(draws), bytes_of(rows)] };
        // The draws and the indices are neighbours in the scratch memory, so that one upload copies both.
        let both = self.upload(ScratchPart::Draw, &[draws, index].concat())?;
        let index = both.part(draws.len(), index.len())?;
        let draws = both.part(0, draws.len())?;
        let out = self.scratch(ScratchPart::Target, size_of_val(rows))?;
        self.gpu.sampling.sample(count, self.vocab, self.buffer.view(), index, draws, out)?;
        let mut bytes = vec![0u8; size_of_val(rows)];
        self.gpu.device.download(out.address, &mut bytes)?;
        let tokens = bytes.as_chunks().0.iter().map(|&bytes| u32::from_ne_bytes(bytes));
        Ok(tokens.map(|token| (token != SamplingKernel::NOT_A_NUMBER).then_some(token)).collect())
    }

    fn scratch(&self, part: ScratchPart, bytes: usize) -> Result<View<'_>> {
        Ok(self.scratch.view().part(part.start(self.rows), bytes)?)
    }

    fn upload<T: Copy>(&self, part: ScratchPart, values: &[T]) -> Result<View<'_>> {
        let view = self.scratch(part, size_of_val(values))?;
        // SAFETY: indices, tokens and draws are plain numbers without padding.
        self.gpu.device.upload(unsafe { bytes_of(values) }, view.address)?;
        Ok(view)
    }
}

/// A part of the scratch memory, with one entry a row. Parts with an alignment of 8 bytes are first.
#[derive(Clone, Copy)]
enum ScratchPart {
    LogitSummary,
    Draw,
    Index,
    Target,
}

impl ScratchPart {
    /// Returns the offset of the part, in bytes.
    fn start(self, rows: usize) -> usize {
        let draws = rows * size_of::<LogitSummary>();
        let index = draws + rows * size_of::<Draw>();
        match self {
            Self::LogitSummary => 0,
            Self::Draw => draws,
            Self::Index => index,
            Self::Target => index + rows * size_of::<u32>(),
        }
    }
}
