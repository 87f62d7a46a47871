//! What ranks of a group do together.

use crate::Result;
use candle_core::Tensor;
use std::time::Duration;

/// A group of ranks, as one of them sees it. All ranks of a group make the same calls in the same order,
/// except for [`send`](Self::send) and [`recv`](Self::recv), which come in pairs.
///
/// Fails when a rank of the model has failed, or has not come within the deadline: the error names it.
pub trait Communicator: Send + Sync {
    /// This rank's place in the group.
    fn index(&self) -> usize;

    /// Ranks in the group.
    fn size(&self) -> usize;

    /// The sum of every rank's `x`, which all have one shape. Every rank gets the same bits.
    fn all_reduce(&self, x: Tensor) -> Result<Tensor>;

    /// Every rank's `x`, which all have one shape, in the order of the group.
    fn all_gather(&self, x: &Tensor) -> Result<Vec<Tensor>>;

    /// The `x` of rank `root`, of the shape and format that every rank gives.
    fn broadcast(&self, x: &Tensor, root: usize) -> Result<Tensor>;

    /// Hands `x` to rank `to`, without waiting until that has taken it.
    fn send(&self, x: &Tensor, to: usize) -> Result<()>;

    /// What rank `from` sent.
    fn recv(&self, from: usize) -> Result<Tensor>;

    /// Waits for every rank.
    fn barrier(&self) -> Result<()>;

    /// Whether there is nobody else, nor anything to try out.
    fn is_solo(&self) -> bool {
        false
    }

    /// Time spent in these calls so far, waiting for others included.
    fn time(&self) -> Result<Duration>;
}

/// The group of one rank.
pub struct Solo;

impl Communicator for Solo {
    fn index(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn all_reduce(&self, x: Tensor) -> Result<Tensor> {
        Ok(x)
    }

    fn all_gather(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        Ok(vec![x.clone()])
    }

    fn broadcast(&self, x: &Tensor, _: usize) -> Result<Tensor> {
        Ok(x.clone())
    }

    fn send(&self, _: &Tensor, _: usize) -> Result<()> {
        Err(nobody())
    }

    fn recv(&self, _: usize) -> Result<Tensor> {
        Err(nobody())
    }

    fn barrier(&self) -> Result<()> {
        Ok(())
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
