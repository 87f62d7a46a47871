//! Collective operations: how the ranks of a group exchange numbers in their devices' memory.

use crate::{DType, Result, View};

/// A group of ranks, seen from one of them. Every rank of the group makes the same calls in the same order.
///
/// In a group of GPUs a call is only queued on the rank's stream; the host does not wait for the exchange.
///
/// # Errors
/// [`Error::Bug`](crate::Error::Bug) if a view is too small, and [`Error::Failed`](crate::Error::Failed) if the library
/// reports a failure.
pub trait Collective: Send + Sync {
    /// Replaces the first `count` numbers of every rank by their sum over all ranks.
    ///
    /// # Shapes
    /// - `numbers`: `[count]` of `dtype`, read and written
    fn all_reduce(&self, numbers: View<'_>, count: usize, dtype: DType) -> Result<()>;

    /// Collects `count` numbers from every rank into `to`, in the order of the ranks.
    ///
    /// # Shapes
    /// - `from`: `[count]` of `dtype`
    /// - `to`: `[ranks, count]` of `dtype`, written
    fn all_gather(&self, from: View<'_>, to: View<'_>, count: usize, dtype: DType) -> Result<()>;

    /// Sends `count` numbers to rank `to`, which has to call [`Collective::recv`].
    ///
    /// # Shapes
    /// - `numbers`: `[count]` of `dtype`
    fn send(&self, numbers: View<'_>, count: usize, dtype: DType, to: usize) -> Result<()>;

    /// Receives `count` numbers that rank `from` sends with [`Collective::send`].
    ///
    /// # Shapes
    /// - `numbers`: `[count]` of `dtype`, written
    fn recv(&self, numbers: View<'_>, count: usize, dtype: DType, from: usize) -> Result<()>;
}
