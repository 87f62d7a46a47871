//! A group of ranks whose tensors are in the CPU's memory, over any transport.

use super::Communicator;
use crate::{Result, layers::cpu_tensor};
use candle_core::Tensor;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Moves tensors between the ranks of a group.
pub(crate) trait Transport: Send + Sync {
    /// Sends this rank's tensor to every rank, and returns the tensors of all ranks in the order of the group.
    fn exchange(&self, x: &Tensor) -> Result<Vec<Tensor>>;
    /// Sends a tensor to another rank.
    fn send(&self, x: &Tensor, to: usize) -> Result<()>;
    /// Receives a tensor from another rank.
    fn recv(&self, from: usize) -> Result<Tensor>;
}

/// A group of ranks over a [`Transport`], as seen by one of them. It adds up the time that its calls take.
pub(super) struct CpuGroup<T> {
    transport: T,
    nanoseconds: AtomicU64,
}

impl<T: Transport> CpuGroup<T> {
    pub(super) fn new(transport: T) -> Self {
        Self { transport, nanoseconds: AtomicU64::new(0) }
    }

    fn timed<R>(&self, work: impl FnOnce(&T) -> Result<R>) -> Result<R> {
        let began = Instant::now();
        let result = work(&self.transport);
        self.nanoseconds.fetch_add(began.elapsed().as_nanos() as u64, Ordering::Relaxed);
        result
    }
}

impl<T: Transport> Communicator for CpuGroup<T> {
    fn all_reduce(&self, x: Tensor) -> Result<Tensor> {
        self.timed(|transport| {
            // The sum is computed in the order of the group, so that every rank gets the same bits.
            let mut parts = transport.exchange(&x)?.into_iter();
            let first = parts.next().unwrap_or(x);
            parts.try_fold(first, |sum, part| cpu_tensor::add(&sum, &part))
        })
    }

    fn all_gather(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        self.timed(|transport| transport.exchange(x))
    }

    fn send(&self, x: &Tensor, to: usize) -> Result<()> {
        self.timed(|transport| transport.send(x, to))
    }

    fn recv(&self, from: usize) -> Result<Tensor> {
        self.timed(|transport| transport.recv(from))
    }

    fn time(&self) -> Result<Duration> {
        Ok(Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)))
    }
}
