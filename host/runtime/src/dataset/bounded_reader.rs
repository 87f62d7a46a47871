//! Limits the memory that one row may take, so that a damaged or hostile file cannot exhaust the host's memory.

use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The most bytes of a row in a text format, 32 MiB. A context of a million tokens is about 6 MB, and parsed JSON takes
/// up to 16 times its text.
pub(super) const ROW: u64 = 32 << 20;

/// The bytes that may be used until the next row begins. Clones share one budget.
#[derive(Clone)]
pub(super) struct Budget {
    left: Arc<AtomicU64>,
    whole: u64,
}

impl Budget {
    /// Creates a budget of `whole` bytes for each row.
    pub(super) fn new(whole: u64) -> Self {
        Self { left: Arc::new(AtomicU64::new(whole)), whole }
    }

    /// Resets the budget, because a new row begins.
    pub(super) fn renew(&self) {
        self.left.store(self.whole, Ordering::Relaxed);
    }

    pub(super) fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    /// Takes bytes from the budget. Fails if fewer are left.
    pub(super) fn spend(&self, bytes: u64) -> io::Result<()> {
        match self.left().checked_sub(bytes) {
            Some(left) => {
                self.left.store(left, Ordering::Relaxed);
                Ok(())
            }
            None => Err(io::Error::other(RowTooLarge { budget: self.whole })),
        }
    }
}

/// A row takes more bytes than its budget has.
#[derive(Debug, thiserror::Error)]
#[error("it takes more than {} MiB to read: make rows smaller", .budget >> 20)]
struct RowTooLarge {
    /// The bytes that a row may take.
    budget: u64,
}

/// Reads text and takes each byte from a budget.
pub(super) struct BoundedReader {
    text: Box<dyn Read + Send>,
    budget: Budget,
}

impl BoundedReader {
    /// Creates a reader that may return [`ROW`] bytes until its budget is renewed.
    pub(super) fn new(text: Box<dyn Read + Send>) -> Self {
        Self { text, budget: Budget::new(ROW) }
    }

    /// The budget, which the caller renews at each row.
    pub(super) fn budget(&self) -> Budget {
        self.budget.clone()
    }
}

impl Read for BoundedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.text.read(buffer)?;
        self.budget.spend(count as u64)?;
        Ok(count)
    }
}
