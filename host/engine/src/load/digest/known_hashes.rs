//! Hashes of files that earlier runs made, by what the system says of the file.

use super::file_hash::{self, Hashed};
use crate::{Error, Result};
use llem_files::Store;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, SystemTime},
};

/// A file that changed less than this before it was hashed may change again and keep its time, for file systems
/// count time in steps of up to 2 s (FAT; others in milliseconds). Its hash is not kept.
const SETTLED: Duration = Duration::from_secs(2);

/// Smaller files are hashed in milliseconds, which looking them up and keeping them takes as well.
const WORTH_KEEPING: u64 = 16 << 20;

/// A hash and the file that it is of. Two entries of one path do not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    /// The file, symbolic links resolved.
    path: String,
    /// Its size, bytes.
    bytes: u64,
    /// When it was last written, ns since 1970.
    modified_ns: i64,
    /// Its number on its device.
    inode: u64,
    /// The device's number.
    device: u64,
    /// BLAKE3 of all of its bytes, in hexadecimal.
    blake3: String,
}

impl Known {
    /// Of a file with this hash.
    fn new(path: &str, seen: &Metadata, hash: String) -> Self {
        Self {
            path: path.to_owned(),
            bytes: seen.len(),
            modified_ns: (seen.mtime().saturating_mul(1_000_000_000))
                .saturating_add(seen.mtime_nsec()),
            inode: seen.ino(),
            device: seen.dev(),
            blake3: hash,
        }
    }

    /// Whether it is of a file of which the system says the same as of another.
    fn is_of(&self, other: &Self) -> bool {
        let file = |known: &Self| (known.bytes, known.modified_ns, known.inode, known.device);
        self.path == other.path && file(self) == file(other)
    }
}

/// A file's hash and size.
pub(super) struct FileHash {
    pub hash: blake3::Hash,
    /// Bytes.
    pub bytes: u64,
}

/// The hashes of files, in the same order: those that are known, and of the others from their bytes, which are then
/// kept in `cache`. A cache that cannot be written is warned of.
pub(super) fn of_files(paths: &[&Path], cache: Option<&Path>) -> Result<Vec<FileHash>> {
    let store = cache.map(|file| Store::<Known>::new(file.to_path_buf()));
    let known = store.as_ref().map(Store::all).unwrap_or_default();
    let found = paths.iter().map(|path| find(path, &known)).collect::<Result<Vec<_>>>()?;

    let unknown: Vec<&Path> = (paths.iter().zip(&found))
        .filter(|(_, found)| found.is_none())
        .map(|(path, _)| *path)
        .collect();
    let hashed = file_hash::of_files(&unknown)?;
    if let Some(store) = store {
        let new: Vec<Known> = (unknown.iter().zip(&hashed))
            .filter_map(|(path, hashed)| worth_keeping(path, hashed))
            .collect();
        let kept = if new.is_empty() { Ok(()) } else { store.keep(new, |a, b| a.path == b.path) };
        if let Err(reason) = kept {
            tracing::warn!("hashes of files are not kept for later runs: {reason}");
        }
    }

    let mut hashed = hashed.into_iter();
    let all = found.into_iter().map(|found| {
        found.or_else(|| hashed.next().map(|Hashed { hash, bytes, .. }| FileHash { hash, bytes }))
    });
    Ok(all.flatten().collect())
}

/// The hash of a file as an earlier run made it.
fn find(path: &Path, known: &[Known]) -> Result<Option<FileHash>> {
    let bad = |error: std::io::Error| Error::file(path, error.to_string());
    let seen = fs::metadata(path).map_err(bad)?;
    if known.is_empty() || seen.len() < WORTH_KEEPING {
        return Ok(None);
    }
    let resolved = fs::canonicalize(path).map_err(bad)?;
    let Some(name) = resolved.to_str() else { return Ok(None) };
    let wanted = Known::new(name, &seen, String::new());
    let found = known.iter().find(|known| known.is_of(&wanted));
    Ok(found.and_then(|known| {
        let hash = blake3::Hash::from_hex(&known.blake3).ok()?;
        Some(FileHash { hash, bytes: known.bytes })
    }))
}

/// What is kept of a file that was hashed: nothing where it is small, was changed just before or meanwhile, or has a
/// name that is not UTF-8.
fn worth_keeping(path: &Path, hashed: &Hashed) -> Option<Known> {
    let resolved = fs::canonicalize(path).ok()?;
    let of = |seen| Some(Known::new(resolved.to_str()?, seen, hashed.hash.to_hex().to_string()));
    let [before, after] = [of(&hashed.seen[0])?, of(&hashed.seen[1])?];
    // A file of the future has no age, and is not settled either.
    let age = SystemTime::now().duration_since(hashed.seen[1].modified().ok()?).ok()?;
    let is_settled = age >= SETTLED && before == after && hashed.bytes == after.bytes;
    (is_settled && after.bytes >= WORTH_KEEPING).then_some(after)
}
