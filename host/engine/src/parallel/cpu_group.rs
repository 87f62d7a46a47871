//! A group of ranks whose tensors are in the CPU's memory, over whatever moves them.

use super::Communicator;
use crate::{Result, layers::host};
use candle_core::Tensor;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Moves tensors between the ranks of a group.
pub trait Transport: Send + Sync {
    /// This rank's place in the group.
    fn index(&self) -> usize;
    /// Ranks in the group.
    fn size(&self) -> usize;
    /// Gives every rank this one's tensor and returns all, in the order of the group.
    fn exchange(&self, x: &Tensor) -> Result<Vec<Tensor>>;
    /// Hands a tensor to another rank.
    fn send(&self, x: &Tensor, to: usize) -> Result<()>;
    /// Takes a tensor from another rank.
    fn recv(&self, from: usize) -> Result<Tensor>;
}

/// The group, as one of its ranks sees it.
pub struct CpuGroup<T> {
    transport: T,
    nanoseconds: AtomicU64,
}

impl<T: Transport> CpuGroup<T> {
    /// Over a transport.
    pub fn new(transport: T) -> Self {
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
    fn index(&self) -> usize {
        self.transport.index()
    }

    fn size(&self) -> usize {
        self.transport.size()
    }

    fn all_reduce(&self, x: Tensor) -> Result<Tensor> {
        self.timed(|transport| {
            // Summed in the order of the group, so that every rank gets the same bits.
            let mut parts = transport.exchange(&x)?.into_iter();
            let first = parts.next().unwrap_or(x);
            parts.try_fold(first, |sum, part| host::add(&sum, &part))
        })
    }

    fn all_gather(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        self.timed(|transport| transport.exchange(x))
    }

    fn broadcast(&self, x: &Tensor, root: usize) -> Result<Tensor> {
        self.timed(|transport| {
            if transport.index() != root {
                return transport.recv(root);
            }
            let others = (0..transport.size()).filter(|&index| index != root);
            others.into_iter().try_for_each(|index| transport.send(x, index))?;
            Ok(x.clone())
        })
    }

    fn send(&self, x: &Tensor, to: usize) -> Result<()> {
        self.timed(|transport| transport.send(x, to))
    }

    fn recv(&self, from: usize) -> Result<Tensor> {
        self.timed(|transport| transport.recv(from))
    }

    fn barrier(&self) -> Result<()> {
        let nothing = host::rows(vec![0.0], 1)?;
        self.timed(|transport| transport.exchange(&nothing)).map(drop)
    }

    fn time(&self) -> Result<Duration> {
        Ok(Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)))
    }
}
