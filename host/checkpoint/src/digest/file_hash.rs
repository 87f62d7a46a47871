//! Computes the BLAKE3 hash of files: several files at a time, and each file with all cores.
//!
//! ```text
//! reader of file 1   read ─► read ─► read ─►        one buffer is filled while the other one is hashed
//!                         hash ─► hash ─► hash      by rayon's threads; each hashes a part of the buffer
//! reader of file 2   …
//! ```
//!
//! Files are read rather than mapped, so that hashing does not add to the memory that the process uses.

use crate::{Error, Result};
use std::{
    fs::{File, Metadata},
    io::{self, Read},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// How many bytes are hashed at a time. This is some hundred kilobytes for each core of a large machine. With less,
/// BLAKE3 distributes the work badly (the documentation of `update_rayon` names 128 KiB).
const BUFFER: usize = 8 << 20;

/// How many files are read at a time. Each has two buffers, so hashing needs at most 64 MiB of memory.
const READERS: usize = 4;

/// The hash of a file that was read.
pub(super) struct HashedFile {
    /// The BLAKE3 hash of all bytes.
    pub hash: blake3::Hash,
    /// The number of bytes that were read.
    pub bytes: u64,
    /// The file's metadata before and after it was read.
    pub metadata: [Metadata; 2],
}

/// Hashes files. The results are in the order of `paths`.
pub(super) fn hash_files(paths: &[&Path]) -> Result<Vec<HashedFile>> {
    let next = AtomicUsize::new(0);
    let hashed: Vec<Mutex<Option<Result<HashedFile>>>> =
        paths.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let (Some(path), Some(slot)) = (paths.get(index), hashed.get(index)) else { break };
            let result = hash_file(path).map_err(|error| Error::file(path, error.to_string()));
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        }
    };
    thread::scope(|scope| {
        for _ in 1..paths.len().min(READERS) {
            scope.spawn(work);
        }
        work();
    });
    let missing = |path: &Path| Err(Error::file(path, "it was not hashed"));
    let results = hashed.into_iter().zip(paths).map(|(slot, path)| {
        slot.into_inner().unwrap_or_else(PoisonError::into_inner).unwrap_or_else(|| missing(path))
    });
    results.collect()
}

fn hash_file(path: &Path) -> io::Result<HashedFile> {
    let file = File::open(path)?;
    hash_content(&file, &mut &file)
}

/// Hashes what `content` reads of a file, between two looks at its metadata.
pub(super) fn hash_content(
    file: &File,
    content: &mut (impl Read + Send),
) -> io::Result<HashedFile> {
    let before = file.metadata()?;
    let buffer = usize::try_from(before.len()).unwrap_or(BUFFER).clamp(1, BUFFER);
    let mut hasher = blake3::Hasher::new();
    let (mut full, mut empty) = (vec![0; buffer], vec![0; buffer]);
    let mut filled = fill(content, &mut full)?;
    let mut bytes = 0;
    while filled > 0 {
        bytes += filled as u64;
        let (more, _) = rayon::join(
            || fill(content, &mut empty),
            || hasher.update_rayon(&full[..filled]).count(),
        );
        filled = more?;
        std::mem::swap(&mut full, &mut empty);
    }
    Ok(HashedFile { hash: hasher.finalize(), bytes, metadata: [before, file.metadata()?] })
}

/// Reads until the buffer is full or the file ends. Returns the number of bytes that were read.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
