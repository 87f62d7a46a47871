//! What ranks of a group do together with their devices' memory.

use crate::{DType, Result, View};

/// A group of ranks, as one of them sees it. Calls are queued on the rank's stream where the group is one of cards.
pub trait Collective: Send + Sync {
    /// Replaces every rank's numbers by their sum.
    fn all_reduce(&self, numbers: View<'_>, count: usize, dtype: DType) -> Result<()>;

    /// Puts every rank's `count` numbers one after another into `to`, in the order of the group.
    fn all_gather(&self, from: View<'_>, to: View<'_>, count: usize, dtype: DType) -> Result<()>;

    /// Hands numbers to rank `to`.
    fn send(&self, numbers: View<'_>, count: usize, dtype: DType, to: usize) -> Result<()>;

    /// Takes the numbers that rank `from` sends.
    fn recv(&self, numbers: View<'_>, count: usize, dtype: DType, from: usize) -> Result<()>;
}
