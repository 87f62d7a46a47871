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

/// Hashing more bytes takes seconds from a slow disk, and is said.
const WORTH_SAYING: u64 = 1 << 30;

/// A hash and the file that it is of. Two entries of one path do not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    /// The file, symbolic links resolved.
    path: String,
    /// Its size, bytes.
    bytes: u64,
    /// When it was last written, ns since 1970.
    modified_ns: i64,
    /// When its content or what the system says of it last changed, ns since 1970: no program can set this time back.
    /// 0 in entries of older versions, which no file is like.
    #[serde(default)]
    changed_ns: i64,
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
            modified_ns: nanoseconds(seen.mtime(), seen.mtime_nsec()),
            changed_ns: nanoseconds(seen.ctime(), seen.ctime_nsec()),
            inode: seen.ino(),
            device: seen.dev(),
            blake3: hash,
        }
    }

    /// Whether it is of a file of which the system says the same as of another.
    fn is_of(&self, other: &Self) -> bool {
        let file = |known: &Self| {
            let times = (known.modified_ns, known.changed_ns);
            (known.bytes, times, known.inode, known.device)
        };
        self.path == other.path && file(self) == file(other)
    }
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
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
    let sizes = unknown.iter().filter_map(|path| Some(fs::metadata(path).ok()?.len()));
    if let Some(notice) = notice(sizes.sum()) {
        tracing::info!("{notice}");
    }
    let hashed = file_hash::of_files(&unknown)?;
    for (path, hashed) in unknown.iter().zip(&hashed) {
        let [before, after] =
            hashed.seen.each_ref().map(|seen| Known::new("", seen, String::new()));
        if before != after || hashed.bytes != after.bytes {
            return Err(changed(path));
        }
    }
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

/// A file that is not the same from its first byte to its last: what was hashed is no file that there ever was.
pub(super) fn changed(path: &Path) -> Error {
    Error::file(path, "changed while it was read: load it again".to_owned())
}

/// What whoever waits for so many bytes to be hashed is told.
fn notice(bytes: u64) -> Option<String> {
    let gibibytes = bytes as f64 / (1u64 << 30) as f64;
    (bytes > WORTH_SAYING)
        .then(|| format!("hashing {gibibytes:.1} GiB of weights; --quick-digest skips it"))
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

/// What is kept of a file that was hashed: nothing where it is small, was changed just before, or has a name that is not
/// UTF-8.
fn worth_keeping(path: &Path, hashed: &Hashed) -> Option<Known> {
    let resolved = fs::canonicalize(path).ok()?;
    let seen = &hashed.seen[1];
    // A file of the future has no age, and is not settled either.
    let age = SystemTime::now().duration_since(seen.modified().ok()?).ok()?;
    let name = resolved.to_str()?;
    (age >= SETTLED && seen.len() >= WORTH_KEEPING)
        .then(|| Known::new(name, seen, hashed.hash.to_hex().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashing_much_is_said() {
        assert_eq!(notice(WORTH_SAYING), None);
        let told = notice(5 << 29).expect("2.5 GiB are much");
        assert_eq!(told, "hashing 2.5 GiB of weights; --quick-digest skips it");
    }
}
