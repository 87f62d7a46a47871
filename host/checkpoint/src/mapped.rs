//! Files in memory for as long as someone reads them.

use crate::{Error, Result, stand_in};
use memmap2::{Mmap, UncheckedAdvice};
use std::{
    fs::File,
    io::ErrorKind,
    ops::{Deref, Range},
    path::Path,
    sync::Arc,
};

/// Maps a file.
///
/// # Errors
/// It cannot be read, or what is there stands in for it: a Git LFS pointer, a web page, nothing.
pub fn map(path: &Path) -> Result<Arc<Mmap>> {
    let bad = |error: std::io::Error| match stand_in::absence(path) {
        Some(reason) if error.kind() == ErrorKind::NotFound => Error::file(path, reason),
        _ => Error::file(path, error.to_string()),
    };
    let file = File::open(path).map_err(bad)?;
    let found = file.metadata().map_err(bad)?;
    if !found.is_file() {
        return Err(Error::file(path, "is not a file: fetch it again"));
    }
    if found.len() == 0 {
        return Err(Error::file(path, "is empty: fetch it again"));
    }
    // SAFETY: the map is read-only; a file that another program shortens meanwhile ends this
    // process with SIGBUS, as it does in every loader that maps checkpoints.
    let map = unsafe { Mmap::map(&file) }.map_err(bad)?;
    stand_in::refuse(path, &map)?;
    Ok(Arc::new(map))
}

/// Part of a mapped file. When it is released or dropped, its pages leave the process, so that a model
/// whose weights have been packed is not in memory twice. Released, it can be read again.
pub struct Lease {
    map: Arc<Mmap>,
    range: Range<usize>,
}

impl Lease {
    /// Bytes `range` of the file, which lie within it.
    pub fn new(map: &Arc<Mmap>, range: Range<usize>) -> Self {
        Self { map: Arc::clone(map), range }
    }

    /// Gives its pages back.
    pub fn release(&self) {
        // SAFETY: the map is of a file and read-only, so that pages that are read again come back
        // from it. Should the system refuse, they merely stay.
        let _ = unsafe {
            self.map.unchecked_advise_range(
                UncheckedAdvice::DontNeed,
                self.range.start,
                self.range.len(),
            )
        };
    }
}

impl Deref for Lease {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map[self.range.clone()]
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.release();
    }
}
