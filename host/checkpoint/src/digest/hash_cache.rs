//! A cache of the hashes that earlier runs computed. A file is recognised by its path and its metadata (size, times,
//! inode, device).

use super::file_hash::{self, HashedFile};
use crate::{Error, Result};
use llem_files::JsonStore;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, SystemTime},
};

/// The minimum age of a file whose hash is stored. File systems count time in steps of up to 2 s (FAT; others have
/// milliseconds), so a file that was written more recently could change again without a change of its time.
const MIN_AGE: Duration = Duration::from_secs(2);

/// The smallest file whose hash is stored, in bytes. A smaller file is hashed in milliseconds, which a look-up takes
/// too.
const MIN_CACHED_BYTES: u64 = 16 << 20;

/// If more bytes than this are to be hashed, a message says so, because it takes seconds with a slow disk.
const NOTICE_BYTES: u64 = 1 << 30;

/// A file's hash, with the metadata by which the file is recognised. The cache has at most one entry for a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct HashEntry {
    /// The file's path, with symbolic links resolved.
    path: String,
    /// The size in bytes.
    bytes: u64,
    /// The time of the last write (mtime), in ns since 1970.
    modified_ns: i64,
    /// The time of the last change of content or metadata (ctime), in ns since 1970. No program can set this time back.
    /// Entries of older versions have 0, which matches no file.
    #[serde(default)]
    changed_ns: i64,
    /// The inode number on the device.
    inode: u64,
    /// The number of the device.
    device: u64,
    /// The BLAKE3 hash of all bytes, in hexadecimal.
    blake3: String,
}

impl HashEntry {
    fn new(path: &str, metadata: &Metadata, hash: String) -> Self {
        Self {
            path: path.to_owned(),
            bytes: metadata.len(),
            modified_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
            device: metadata.dev(),
            blake3: hash,
        }
    }

    /// Returns `true` if both entries have the same path and metadata.
    fn is_same_file(&self, other: &Self) -> bool {
        let metadata = |entry: &Self| {
            let times = (entry.modified_ns, entry.changed_ns);
            (entry.bytes, times, entry.inode, entry.device)
        };
        self.path == other.path && metadata(self) == metadata(other)
    }
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

/// The hash and the size of a file.
pub(super) struct FileHash {
    pub hash: blake3::Hash,
    pub bytes: u64,
}

/// Returns the hashes of files, in the order of `paths`. A hash is taken from `cache` if the file has not changed.
/// Otherwise the file is read, and its hash is stored. If the cache cannot be written, a warning is logged.
pub(super) fn hash_files(paths: &[&Path], cache: Option<&Path>) -> Result<Vec<FileHash>> {
    let store = cache.map(|file| JsonStore::<HashEntry>::new(file.to_path_buf()));
    let known = store.as_ref().map(JsonStore::read).unwrap_or_default();
    let found = paths.iter().map(|path| find(path, &known)).collect::<Result<Vec<_>>>()?;

    let unknown: Vec<&Path> = (paths.iter().zip(&found))
        .filter(|(_, found)| found.is_none())
        .map(|(path, _)| *path)
        .collect();
    let sizes = unknown.iter().filter_map(|path| Some(fs::metadata(path).ok()?.len()));
    if let Some(notice) = notice(sizes.sum()) {
        tracing::info!("{notice}");
    }
    let hashed = file_hash::hash_files(&unknown)?;
    for (path, hashed) in unknown.iter().zip(&hashed) {
        check_unchanged(path, hashed)?;
    }
    if let Some(store) = store {
        let new: Vec<HashEntry> = (unknown.iter().zip(&hashed))
            .filter_map(|(path, hashed)| entry_to_store(path, hashed))
            .collect();
        let stored =
            if new.is_empty() { Ok(()) } else { store.insert(new, |a, b| a.path == b.path) };
        if let Err(reason) = stored {
            tracing::warn!("hashes of files are not kept for later runs: {reason}");
        }
    }

    let mut hashed = hashed.into_iter();
    let all = found.into_iter().map(|found| {
        found.or_else(|| {
            hashed.next().map(|HashedFile { hash, bytes, .. }| FileHash { hash, bytes })
        })
    });
    Ok(all.flatten().collect())
}

/// Compares the metadata of before and after a file was read.
///
/// # Errors
/// They differ, or another number of bytes was read.
pub(super) fn check_unchanged(path: &Path, hashed: &HashedFile) -> Result<()> {
    let [before, after] =
        hashed.metadata.each_ref().map(|metadata| HashEntry::new("", metadata, String::new()));
    if before != after || hashed.bytes != after.bytes {
        return Err(changed_while_read(path));
    }
    Ok(())
}

/// Builds the error of a file that changed while it was read. Its hash would belong to no version of the file.
pub(super) fn changed_while_read(path: &Path) -> Error {
    Error::file(path, "changed while it was read: load it again".to_owned())
}

/// Returns the message for a user who waits until this many bytes are hashed, if they are many.
fn notice(bytes: u64) -> Option<String> {
    let gibibytes = bytes as f64 / (1u64 << 30) as f64;
    (bytes > NOTICE_BYTES)
        .then(|| format!("hashing {gibibytes:.1} GiB of weights; --quick-digest skips it"))
}

/// Looks up the hash of a file that an earlier run computed.
fn find(path: &Path, known: &[HashEntry]) -> Result<Option<FileHash>> {
    let bad = |error: std::io::Error| Error::file(path, error.to_string());
    let metadata = fs::metadata(path).map_err(bad)?;
    if known.is_empty() || metadata.len() < MIN_CACHED_BYTES {
        return Ok(None);
    }
    let resolved = fs::canonicalize(path).map_err(bad)?;
    let Some(name) = resolved.to_str() else { return Ok(None) };
    let wanted = HashEntry::new(name, &metadata, String::new());
    let found = known.iter().find(|known| known.is_same_file(&wanted));
    Ok(found.and_then(|known| {
        let hash = blake3::Hash::from_hex(&known.blake3).ok()?;
        Some(FileHash { hash, bytes: known.bytes })
    }))
}

/// Returns the cache entry of a hashed file. Returns `None` if the file is small, was changed a moment ago, or has a
/// name that is not UTF-8.
fn entry_to_store(path: &Path, hashed: &HashedFile) -> Option<HashEntry> {
    let resolved = fs::canonicalize(path).ok()?;
    let metadata = &hashed.metadata[1];
    // A file whose time is in the future has no age, and is not stored either.
    let age = SystemTime::now().duration_since(metadata.modified().ok()?).ok()?;
    let name = resolved.to_str()?;
    (age >= MIN_AGE && metadata.len() >= MIN_CACHED_BYTES)
        .then(|| HashEntry::new(name, metadata, hashed.hash.to_hex().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashing_much_is_said() {
        assert_eq!(notice(NOTICE_BYTES), None);
        let message = notice(5 << 29).expect("2.5 GiB are much");
        assert_eq!(message, "hashing 2.5 GiB of weights; --quick-digest skips it");
    }
}
