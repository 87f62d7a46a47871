//! The memory that the host keeps for a script.

use crate::error::Halt;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// How many bytes the host keeps for a script, and may.
#[derive(Debug)]
pub struct Kept {
    used: AtomicUsize,
    most: usize,
}

/// Bytes that are kept until this is dropped.
#[derive(Debug)]
pub struct Charge {
    kept: Arc<Kept>,
    bytes: usize,
}

impl Kept {
    /// Nothing yet, and at most so many bytes.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), most })
    }

    /// Counts bytes in.
    ///
    /// # Errors
    /// There would be too many, which ends the script.
    pub fn charge(self: &Arc<Self>, bytes: usize) -> wasmtime::Result<Charge> {
        let mut charge = Charge { kept: Arc::clone(self), bytes: 0 };
        charge.set(bytes)?;
        Ok(charge)
    }
}

impl Charge {
    /// Makes it so many bytes.
    ///
    /// # Errors
    /// As [`Kept::charge`].
    pub fn set(&mut self, bytes: usize) -> wasmtime::Result<()> {
        let Kept { used, most } = &*self.kept;
        // One guest does one thing at a time, so that nothing comes between.
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

    /// Makes it so many bytes more.
    ///
    /// # Errors
    /// As [`Kept::charge`].
    pub fn grow(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.set(self.bytes.saturating_add(bytes))
    }

    /// Another one of as many bytes.
    ///
    /// # Errors
    /// As [`Kept::charge`].
    pub fn again(&self) -> wasmtime::Result<Self> {
        self.kept.charge(self.bytes)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.kept.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[test]
    fn what_is_dropped_is_no_longer_counted() {
        let kept = Kept::new(100);
        let mut one = kept.charge(60).unwrap();
        assert!(kept.charge(41).is_err());
        one.set(30).unwrap();
        let other = one.again().unwrap();
        assert!(one.set(71).is_err());
        drop(other);
        one.set(100).unwrap();
        drop(one);
        assert_eq!(kept.used.load(Ordering::Relaxed), 0);
    }
}
