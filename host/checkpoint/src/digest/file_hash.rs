//! BLAKE3 of files: several at a time, and each by all cores.
//!
//! ```text
//! reader of file 1   read ─► read ─► read ─►        one buffer is filled while the other is hashed
//!                         hash ─► hash ─► hash      by rayon's threads, a part of the buffer each
//! reader of file 2   …
//! ```
//!
//! Files are read rather than mapped, so that what is hashed does not count as the process's memory.

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

/// Bytes that are hashed at a time: some hundred kilobytes for each of a large machine's cores, below which BLAKE3
/// shares work badly (its `update_rayon` documents 128 KiB).
const BUFFER: usize = 8 << 20;

/// Files that are read at a time. Each has two buffers, which bounds what hashing keeps in memory to 64 MiB.
const READERS: usize = 4;

/// A file that has been hashed.
pub(super) struct Hashed {
    /// BLAKE3 of all of its bytes.
    pub hash: blake3::Hash,
    /// How many they are.
    pub bytes: u64,
    /// What the system said of the file before and after it was read.
    pub seen: [Metadata; 2],
}

/// Hashes files, in the same order.
pub(super) fn of_files(paths: &[&Path]) -> Result<Vec<Hashed>> {
    let next = AtomicUsize::new(0);
    let hashed: Vec<Mutex<Option<Result<Hashed>>>> =
        paths.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let (Some(path), Some(slot)) = (paths.get(index), hashed.get(index)) else { break };
            let result = of_file(path).map_err(|error| Error::file(path, error.to_string()));
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
    let taken = hashed.into_iter().zip(paths).map(|(slot, path)| {
        slot.into_inner().unwrap_or_else(PoisonError::into_inner).unwrap_or_else(|| missing(path))
    });
    taken.collect()
}

fn of_file(path: &Path) -> io::Result<Hashed> {
    let mut file = File::open(path)?;
    let before = file.metadata()?;
    let buffer = usize::try_from(before.len()).unwrap_or(BUFFER).clamp(1, BUFFER);
    let mut hasher = blake3::Hasher::new();
    let (mut full, mut empty) = (vec![0; buffer], vec![0; buffer]);
    let mut filled = fill(&mut file, &mut full)?;
    let mut bytes = 0;
    while filled > 0 {
        bytes += filled as u64;
        let (more, _) = rayon::join(
            || fill(&mut file, &mut empty),
            || hasher.update_rayon(&full[..filled]).count(),
        );
        filled = more?;
        std::mem::swap(&mut full, &mut empty);
    }
    Ok(Hashed { hash: hasher.finalize(), bytes, seen: [before, file.metadata()?] })
}

/// Reads until the buffer is full or the file ends; returns how many bytes it read.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
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
