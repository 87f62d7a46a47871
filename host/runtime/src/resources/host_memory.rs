//! Counts the host's memory that a script's resources take.

use crate::error::Halt;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The bytes that the host stores for a script, and their limit.
#[derive(Debug)]
pub(crate) struct HostMemory {
    used: AtomicUsize,
    most: usize,
}

/// Bytes that are counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    memory: Arc<HostMemory>,
    bytes: usize,
}

impl HostMemory {
    /// Creates a counter for at most `most` bytes.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), most })
    }

    /// Counts bytes, until the returned charge is dropped.
    ///
    /// # Errors
    /// Fails if the limit would be exceeded, which ends the script.
    pub(crate) fn charge(self: &Arc<Self>, bytes: usize) -> wasmtime::Result<Charge> {
        let mut charge = Charge { memory: Arc::clone(self), bytes: 0 };
        charge.set(bytes)?;
        Ok(charge)
    }
}

impl Charge {
    /// Changes the charge to so many bytes.
    ///
    /// # Errors
    /// Fails as [`HostMemory::charge`] does.
    pub(crate) fn set(&mut self, bytes: usize) -> wasmtime::Result<()> {
        let HostMemory { used, most } = &*self.memory;
        // A guest makes one call at a time, so nothing changes the count in between.
        let all = (used.load(Ordering::Relaxed) - self.bytes).saturating_add(bytes);
        if all > *most {
            return Err(Halt::Limit(format!(
                "its requests and results take more than {} MiB: it should drop what it no longer needs; --max-memory raises the limit",
                most >> 20
            ))
            .trap());
        }
        used.store(all, Ordering::Relaxed);
        self.bytes = bytes;
        Ok(())
    }

    /// Adds bytes to the charge.
    ///
    /// # Errors
    /// Fails as [`HostMemory::charge`] does.
    pub(crate) fn grow(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.set(self.bytes.saturating_add(bytes))
    }

    /// Makes another charge of as many bytes.
    ///
    /// # Errors
    /// Fails as [`HostMemory::charge`] does.
    pub(crate) fn duplicate(&self) -> wasmtime::Result<Self> {
        self.memory.charge(self.bytes)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[test]
    fn what_is_dropped_is_no_longer_counted() {
        let memory = HostMemory::new(100);
        let mut one = memory.charge(60).unwrap();
        assert!(memory.charge(41).is_err());
        one.set(30).unwrap();
        let other = one.duplicate().unwrap();
        assert!(one.set(71).is_err());
        drop(other);
        one.set(100).unwrap();
        drop(one);
        assert_eq!(memory.used.load(Ordering::Relaxed), 0);
    }
}
