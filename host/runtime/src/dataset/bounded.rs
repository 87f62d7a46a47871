//! What one row may cost, so that a damaged or hostile file cannot exhaust the host's memory.

use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Bytes of a row of a text format: a context of a million tokens is about 6 MB, and parsed JSON takes up to 16
/// times its text.
pub const ROW: u64 = 32 << 20;

/// Bytes that may be used until the next row is reached. Clones share them.
#[derive(Clone)]
pub struct Budget {
    left: Arc<AtomicU64>,
    whole: u64,
}

impl Budget {
    /// So many bytes a row.
    pub fn new(whole: u64) -> Self {
        Self { left: Arc::new(AtomicU64::new(whole)), whole }
    }

    /// A row begins.
    pub fn renew(&self) {
        self.left.store(self.whole, Ordering::Relaxed);
    }

    /// Bytes that are left.
    pub fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    /// Uses bytes; fails if fewer are left.
    pub fn spend(&self, bytes: u64) -> io::Result<()> {
        match self.left().checked_sub(bytes) {
            Some(left) => {
                self.left.store(left, Ordering::Relaxed);
                Ok(())
            }
            None => Err(io::Error::other(format!(
                "it takes more than {} MiB to read: make rows smaller",
                self.whole >> 20
            ))),
        }
    }
}

/// Reads text, and spends a budget.
pub struct Bounded {
    text: Box<dyn Read + Send>,
    budget: Budget,
}

impl Bounded {
    /// A reader that may spend [`ROW`] bytes until its budget is renewed.
    pub fn new(text: Box<dyn Read + Send>) -> Self {
        Self { text, budget: Budget::new(ROW) }
    }

    /// What is to be renewed at each row.
    pub fn budget(&self) -> Budget {
        self.budget.clone()
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.text.read(buffer)?;
        self.budget.spend(count as u64)?;
        Ok(count)
    }
}
