//! A group of ranks whose numbers are on devices.

use super::{Communicator, fate::Fate};
use crate::{Error, Result, dtype::candle};
use candle_core::{Device as CandleDevice, Tensor};
use llem_compute::{Collective as _, DType, Device, View, cuda::nccl};
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// A group, as one of its ranks sees it.
pub enum DeviceGroup {
    /// There is nobody else.
    Solo,
    /// Ranks that meet in the machine's memory: numbers go there and back.
    Staged {
        /// Who meets.
        group: Arc<dyn Communicator>,
        /// This rank's device.
        device: Arc<dyn Device>,
    },
    /// Cards over NCCL. Calls are queued on the rank's stream.
    Nccl {
        /// The group.
        group: nccl::Group,
        /// This rank's number among all.
        rank: usize,
        /// What ends the wait for a rank that never comes.
        fate: Arc<Fate>,
    },
}

impl DeviceGroup {
    /// Over ranks that meet in the machine's memory.
    pub fn staged(group: &Arc<dyn Communicator>, device: &Arc<dyn Device>) -> Self {
        match group.is_solo() {
            true => Self::Solo,
            false => Self::Staged { group: Arc::clone(group), device: Arc::clone(device) },
        }
    }

    /// Whether there is nobody else.
    pub fn is_solo(&self) -> bool {
        matches!(self, Self::Solo)
    }

    /// Replaces every rank's numbers by their sum.
    pub fn all_reduce(&self, numbers: View<'_>, count: usize, dtype: DType) -> Result<()> {
        match self {
            Self::Solo => Ok(()),
            Self::Staged { group, device } => {
                // Summed in f32, whatever they are kept in.
                let own = read(&**device, numbers, count, dtype)?;
                let own = own.to_dtype(candle_core::DType::F32)?;
                write(&**device, &group.all_reduce(own)?.to_dtype(candle(dtype))?, numbers)
            }
            Self::Nccl { group, fate, .. } => {
                fate.check()?;
                Ok(group.all_reduce(numbers, count, dtype)?)
            }
        }
    }

    /// Puts every rank's `count` numbers one after another into `to`, in the order of the group.
    pub fn all_gather(
        &self,
        from: View<'_>,
        to: View<'_>,
        count: usize,
        dtype: DType,
    ) -> Result<()> {
        match self {
            Self::Solo => Err(nobody()),
            Self::Staged { group, device } => {
                let all = group.all_gather(&read(&**device, from, count, dtype)?)?;
                write(&**device, &Tensor::cat(&all, 0)?, to)
            }
            Self::Nccl { group, fate, .. } => {
                fate.check()?;
                Ok(group.all_gather(from, to, count, dtype)?)
            }
        }
    }

    /// Hands numbers to rank `to`.
    pub fn send(&self, numbers: View<'_>, count: usize, dtype: DType, to: usize) -> Result<()> {
        match self {
            Self::Solo => Err(nobody()),
            Self::Staged { group, device } => {
                group.send(&read(&**device, numbers, count, dtype)?, to)
            }
            Self::Nccl { group, fate, .. } => {
                fate.check()?;
                Ok(group.send(numbers, count, dtype, to)?)
            }
        }
    }

    /// Takes the numbers that rank `from` sends.
    pub fn recv(&self, numbers: View<'_>, count: usize, dtype: DType, from: usize) -> Result<()> {
        match self {
            Self::Solo => Err(nobody()),
            Self::Staged { group, device } => {
                let sent = group.recv(from)?;
                if sent.elem_count() != count || sent.dtype() != candle(dtype) {
                    return Err(Error::Bug("another rank sent rows of another pass".to_owned()));
                }
                write(&**device, &sent, numbers)
            }
            Self::Nccl { group, fate, .. } => {
                fate.check()?;
                Ok(group.recv(numbers, count, dtype, from)?)
            }
        }
    }

    /// Waits until what was queued so far has happened, where a call does not wait itself.
    pub fn settle(&self) -> Result<()> {
        let Self::Nccl { group, rank, fate } = self else { return Ok(()) };
        let began = Instant::now();
        while !group.is_done()? {
            // A rank that never comes leaves the others' streams waiting; which it is, NCCL does not say.
            fate.waiting(*rank, began, Duration::ZERO)?;
            thread::yield_now();
        }
        Ok(())
    }

    /// Time spent in these calls so far; or why it is not known.
    pub fn time(&self) -> Result<Duration> {
        match self {
            Self::Solo => Ok(Duration::ZERO),
            Self::Staged { group, .. } => group.time(),
            Self::Nccl { .. } => Err(Error::Unsupported(
                "collectives are queued on the GPU, and the host does not see how long they take"
                    .to_owned(),
            )),
        }
    }
}

fn nobody() -> Error {
    Error::Unsupported("a group of one rank has nobody to send to".to_owned())
}

/// Numbers in the machine's memory, `[1, count]`.
fn read(device: &dyn Device, from: View<'_>, count: usize, dtype: DType) -> Result<Tensor> {
    let mut bytes = vec![0u8; count * dtype.size()];
    device.download(from.part(0, bytes.len())?.address, &mut bytes)?;
    Ok(Tensor::from_raw_buffer(&bytes, candle(dtype), &[1, count], &CandleDevice::Cpu)?)
}

fn write(device: &dyn Device, numbers: &Tensor, to: View<'_>) -> Result<()> {
    let mut bytes = Vec::with_capacity(to.bytes);
    numbers.write_bytes(&mut bytes)?;
    Ok(device.upload(&bytes, to.part(0, bytes.len())?.address)?)
}
