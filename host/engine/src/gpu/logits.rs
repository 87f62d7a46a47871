//! Logits where they were computed.

use super::Gpu;
use crate::{Result, layers::host};
use candle_core::Tensor;
use llem_compute::{
    Buffer, View,
    ops::{
        bytes_of,
        logits::Found,
        sampling::{Draw, Sampling},
    },
};
use std::sync::Arc;

/// Logits, f32 `[rows, vocab]`.
pub enum Logits {
    /// In the host's memory.
    Host(Tensor),
    /// On a device.
    Device(DeviceLogits),
}

/// Logits on a device, until the rank's next pass.
pub struct DeviceLogits {
    /// The device and its kernels.
    pub gpu: Arc<Gpu>,
    /// f32 `[rows, vocab]` and more.
    pub buffer: Arc<Buffer>,
    /// Room for what is found, drawn and asked of each row.
    pub(super) scratch: Arc<Buffer>,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub vocab: usize,
}

impl Logits {
    /// Columns.
    pub fn vocab(&self) -> Result<usize> {
        match self {
            Self::Host(tensor) => Ok(tensor.dim(1)?),
            Self::Device(logits) => Ok(logits.vocab),
        }
    }

    /// Some rows in the host's memory, `[rows, vocab]`, one after another.
    pub fn to_host(&self, rows: &[u32]) -> Result<Tensor> {
        match self {
            Self::Host(tensor) if rows.len() == tensor.dim(0)? => Ok(tensor.clone()),
            Self::Host(tensor) => Ok(tensor.index_select(&Tensor::new(rows, tensor.device())?, 0)?),
            Self::Device(logits) => host::rows(logits.read(rows)?, logits.vocab),
        }
    }
}

impl DeviceLogits {
    /// Some rows, one after another.
    fn read(&self, rows: &[u32]) -> Result<Vec<f32>> {
        let width = self.vocab * size_of::<f32>();
        let mut bytes = vec![0u8; rows.len() * width];
        let mut rest = &mut bytes[..];
        // Rows that lie one after another come together.
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

    /// What [`Found`] tells of some rows, with the likelihoods of targets where they are given.
    pub fn find(&self, rows: &[u32], targets: Option<&[u32]>) -> Result<Vec<Found>> {
        let (device, count) = (&self.gpu.device, rows.len());
        let out = self.scratch(Part::Found, count * size_of::<Found>())?;
        let is_all = count == self.rows && rows.iter().zip(0..).all(|(&row, at)| row == at);
        let index = (!is_all).then(|| self.upload(Part::Index, rows)).transpose()?;
        let targets = targets.map(|targets| self.upload(Part::Target, targets)).transpose()?;
        self.gpu.logits.find(count, self.vocab, self.buffer.view(), index, targets, out)?;
        let mut found = vec![Found::default(); count];
        // SAFETY: any bytes are the numbers of a `Found`, which has no padding.
        let bytes = unsafe {
            std::slice::from_raw_parts_mut(found.as_mut_ptr().cast::<u8>(), size_of_val(&found[..]))
        };
        device.download(out.address, bytes)?;
        Ok(found)
    }

    /// A token for each of some rows, as its draw says; none where a logit is not a number.
    pub fn draw(&self, rows: &[u32], draws: &[Draw]) -> Result<Vec<Option<u32>>> {
        let count = rows.len();
        // SAFETY: draws and indices are plain numbers without padding.
        let [draws, index] = unsafe { [bytes_of(draws), bytes_of(rows)] };
        // One after the other, so that they go up together.
        let both = self.upload(Part::Draw, &[draws, index].concat())?;
        let index = both.part(draws.len(), index.len())?;
        let draws = both.part(0, draws.len())?;
        let out = self.scratch(Part::Target, size_of_val(rows))?;
        self.gpu.sampling.sample(count, self.vocab, self.buffer.view(), index, draws, out)?;
        let mut bytes = vec![0u8; size_of_val(rows)];
        self.gpu.device.download(out.address, &mut bytes)?;
        let tokens = bytes.as_chunks().0.iter().map(|&bytes| u32::from_ne_bytes(bytes));
        Ok(tokens.map(|token| (token != Sampling::NOT_A_NUMBER).then_some(token)).collect())
    }

    fn scratch(&self, part: Part, bytes: usize) -> Result<View<'_>> {
        Ok(self.scratch.view().part(part.start(self.rows), bytes)?)
    }

    fn upload<T: Copy>(&self, part: Part, values: &[T]) -> Result<View<'_>> {
        let view = self.scratch(part, size_of_val(values))?;
        // SAFETY: indices, tokens and draws are plain numbers without padding.
        self.gpu.device.upload(unsafe { bytes_of(values) }, view.address)?;
        Ok(view)
    }
}

/// A part of the scratch, by what each row has there; those of 8 bytes' alignment first.
#[derive(Clone, Copy)]
enum Part {
    Found,
    Draw,
    Index,
    Target,
}

impl Part {
    /// Where it begins for so many rows.
    fn start(self, rows: usize) -> usize {
        let draws = rows * size_of::<Found>();
        let index = draws + rows * size_of::<Draw>();
        match self {
            Self::Found => 0,
            Self::Draw => draws,
            Self::Index => index,
            Self::Target => index + rows * size_of::<u32>(),
        }
    }
}
