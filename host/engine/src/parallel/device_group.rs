//! A group of ranks whose tensors are in the memory of their devices.

use super::{Communicator, failure::FailureState};
use crate::{Error, Result, dtype::to_candle};
use candle_core::{Device as CandleDevice, Tensor};
use llem_compute::{Collective as _, ComputeDevice, DType, View, cuda::nccl};
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// A group of ranks, as seen by one of them.
pub(crate) enum DeviceGroup {
    Solo,
    /// Ranks that meet in the machine's memory: numbers are copied to the host and back.
    Staged {
        group: Arc<dyn Communicator>,
        device: Arc<dyn ComputeDevice>,
    },
    /// GPUs over NCCL. Calls are queued on the rank's stream.
    Nccl {
        group: nccl::NcclCommunicator,
        /// The number of this rank among all ranks.
        rank: usize,
        /// Ends the wait for a rank that never comes.
        failure: Arc<FailureState>,
    },
}

impl DeviceGroup {
    /// Creates a group over ranks that meet in the machine's memory.
    pub(crate) fn staged(group: &Arc<dyn Communicator>, device: &Arc<dyn ComputeDevice>) -> Self {
        match group.is_solo() {
            true => Self::Solo,
            false => Self::Staged { group: Arc::clone(group), device: Arc::clone(device) },
        }
    }

    pub(crate) fn is_solo(&self) -> bool {
        matches!(self, Self::Solo)
    }

    /// Replaces the numbers of every rank by their sum over all ranks.
    ///
    /// # Shapes
    /// - `numbers`: `[count]` in `dtype`, replaced by the sum, `[count]`
    pub(crate) fn all_reduce(&self, numbers: View<'_>, count: usize, dtype: DType) -> Result<()> {
        match self {
            Self::Solo => Ok(()),
            Self::Staged { group, device } => {
                // The sum is computed in f32 in every number format.
                let own = read(&**device, numbers, count, dtype)?;
                let own = own.to_dtype(candle_core::DType::F32)?;
                write(&**device, &group.all_reduce(own)?.to_dtype(to_candle(dtype))?, numbers)
            }
            Self::Nccl { group, failure, .. } => {
                failure.check()?;
                Ok(group.all_reduce(numbers, count, dtype)?)
            }
        }
    }

    /// Writes the numbers of all ranks one after another to `to`, in the order of the group.
    ///
    /// # Shapes
    /// - `from`: `[count]` in `dtype`
    /// - `to`: `[ranks, count]`
    pub(crate) fn all_gather(
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
            Self::Nccl { group, failure, .. } => {
                failure.check()?;
                Ok(group.all_gather(from, to, count, dtype)?)
            }
        }
    }

    /// Sends `[count]` numbers in `dtype` to rank `to` of the group.
    pub(crate) fn send(
        &self,
        numbers: View<'_>,
        count: usize,
        dtype: DType,
        to: usize,
    ) -> Result<()> {
        match self {
            Self::Solo => Err(nobody()),
            Self::Staged { group, device } => {
                group.send(&read(&**device, numbers, count, dtype)?, to)
            }
            Self::Nccl { group, failure, .. } => {
                failure.check()?;
                Ok(group.send(numbers, count, dtype, to)?)
            }
        }
    }

    /// Receives `[count]` numbers in `dtype` from rank `from` of the group.
    pub(crate) fn recv(
        &self,
        numbers: View<'_>,
        count: usize,
        dtype: DType,
        from: usize,
    ) -> Result<()> {
        match self {
            Self::Solo => Err(nobody()),
            Self::Staged { group, device } => {
                let sent = group.recv(from)?;
                if sent.elem_count() != count || sent.dtype() != to_candle(dtype) {
                    return Err(Error::Bug("another rank sent rows of another pass".to_owned()));
                }
                write(&**device, &sent, numbers)
            }
            Self::Nccl { group, failure, .. } => {
                failure.check()?;
                Ok(group.recv(numbers, count, dtype, from)?)
            }
        }
    }

    /// Waits until all queued calls have finished. Only NCCL queues calls.
    ///
    /// # Errors
    /// The deadline passed. The error names this rank, because NCCL does not say which rank is missing.
    pub(crate) fn settle(&self) -> Result<()> {
        let Self::Nccl { group, rank, failure } = self else { return Ok(()) };
        let began = Instant::now();
        while !group.is_done()? {
            // A rank that never comes leaves the streams of the others waiting.
            failure.check_wait(*rank, began, Duration::ZERO)?;
            thread::yield_now();
        }
        Ok(())
    }

    /// Returns the time spent in these calls so far, or an error if it is not known.
    pub(crate) fn time(&self) -> Result<Duration> {
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

/// Copies numbers to the machine's memory, `[1, count]`.
fn read(device: &dyn ComputeDevice, from: View<'_>, count: usize, dtype: DType) -> Result<Tensor> {
    let mut bytes = vec![0u8; count * dtype.size()];
    device.download(from.part(0, bytes.len())?.address, &mut bytes)?;
    Ok(Tensor::from_raw_buffer(&bytes, to_candle(dtype), &[1, count], &CandleDevice::Cpu)?)
}

fn write(device: &dyn ComputeDevice, numbers: &Tensor, to: View<'_>) -> Result<()> {
    let mut bytes = Vec::with_capacity(to.bytes);
    numbers.write_bytes(&mut bytes)?;
    Ok(device.upload(&bytes, to.part(0, bytes.len())?.address)?)
}
