//! The calls with which the ranks of a group exchange tensors.

use crate::Result;
use candle_core::Tensor;
use std::time::Duration;

/// A group of ranks, as seen by one of them. All ranks of a group make the same calls in the same order, except for
/// [`send`](Self::send) and [`recv`](Self::recv), which come in pairs.
///
/// Every call fails if a rank of the model has failed, or has not come within the deadline. The error names that
/// rank.
pub(crate) trait Communicator: Send + Sync {
    /// Sums `x` over all ranks. Every rank gets the same bits.
    ///
    /// # Shapes
    /// - `x`: any shape, the same on all ranks
    /// - returns: the shape of `x`
    fn all_reduce(&self, x: Tensor) -> Result<Tensor>;

    /// Returns the `x` of every rank, in the order of the group. All have one shape.
    fn all_gather(&self, x: &Tensor) -> Result<Vec<Tensor>>;

    /// Sends `x` to rank `to` without waiting until it is received.
    fn send(&self, x: &Tensor, to: usize) -> Result<()>;

    /// Waits for the tensor that rank `from` sends.
    fn recv(&self, from: usize) -> Result<Tensor>;

    /// Returns true if the group needs no calls, because there is only one rank.
    fn is_solo(&self) -> bool {
        false
    }

    /// Returns the time spent in these calls so far, including the time spent waiting for others.
    fn time(&self) -> Result<Duration>;
}

/// A group of one rank.
pub(crate) struct Solo;

impl Communicator for Solo {
    fn all_reduce(&self, x: Tensor) -> Result<Tensor> {
        Ok(x)
    }

    fn all_gather(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        Ok(vec![x.clone()])
    }

    fn send(&self, _: &Tensor, _: usize) -> Result<()> {
        Err(nobody())
    }

    fn recv(&self, _: usize) -> Result<Tensor> {
        Err(nobody())
    }

    fn is_solo(&self) -> bool {
        true
    }

    fn time(&self) -> Result<Duration> {
        Ok(Duration::ZERO)
    }
}

fn nobody() -> crate::Error {
    crate::Error::Unsupported("a group of one rank has nobody to send to".to_owned())
}
