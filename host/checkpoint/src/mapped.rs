//! Files that are mapped into memory, and parts of them whose pages can be given back to the system.

use crate::{Error, Result, placeholder};
use memmap2::{Mmap, UncheckedAdvice};
use std::{
    fs::File,
    io::ErrorKind,
    ops::{Deref, Range},
    path::Path,
    sync::Arc,
};

/// Maps a file into memory, read-only.
///
/// # Errors
/// Returns an error if the file cannot be read, is empty, or is a placeholder such as a Git LFS pointer.
pub(crate) fn map(path: &Path) -> Result<Arc<Mmap>> {
    let bad = |error: std::io::Error| match placeholder::explain_absence(path) {
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
    // SAFETY: the map is read-only. If another program shortens the file while it is mapped, a read past its new end
    // ends this process with SIGBUS, as in every loader that maps checkpoints.
    let map = unsafe { Mmap::map(&file) }.map_err(bad)?;
    placeholder::refuse(path, &map)?;
    Ok(Arc::new(map))
}

/// A range of bytes of a mapped file.
///
/// When the range is released or dropped, its pages leave the process, so that weights which have been copied into
/// another layout are not in memory twice. A released range can be read again, because the pages then come back from
/// the file.
pub struct MappedBytes {
    map: Arc<Mmap>,
    range: Range<usize>,
}

impl MappedBytes {
    /// Takes the bytes `range` of a mapped file. The range must be within the file.
    pub fn new(map: &Arc<Mmap>, range: Range<usize>) -> Self {
        Self { map: Arc::clone(map), range }
    }

    /// Gives the pages of this range back to the system.
    pub fn release(&self) {
        // SAFETY: the map is read-only and has a file behind it, so pages that are read again come back from the file.
        // If the system refuses the advice, the pages stay in memory, which does no harm.
        let _ = unsafe {
            self.map.unchecked_advise_range(
                UncheckedAdvice::DontNeed,
                self.range.start,
                self.range.len(),
            )
        };
    }
}

impl Deref for MappedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map[self.range.clone()]
    }
}

impl Drop for MappedBytes {
    fn drop(&mut self) {
        self.release();
    }
}
