//! Downloads files of the Hub into the cache.
//!
//! ```text
//! HEAD ──► etag, size ──► lock ──► GET ──► blobs/ETAG.incomplete ──► checked ──► blobs/ETAG ◄── snapshots/COMMIT/FILE
//! ```
//!
//! If the download of a file with a known SHA-256 is interrupted, the part that has arrived is kept and the next
//! download continues after it. The lock is the one that huggingface_hub uses, so that several programs together fetch
//! a file once.

use super::{
    cache::CachedRepository,
    client::{Client, FileMetadata, Retries},
    download_progress::DownloadProgress,
    failure::Failure,
    settings::HubSettings,
};
use crate::safetensors_files::is_within;
use rustix::fs::statvfs;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, symlink},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};
use ureq::http::StatusCode;

/// Number of bytes that are read at a time.
const CHUNK: usize = 1 << 18;

/// How often a lock that another process holds is tried, and after how long the user is told about the wait.
const LOCK_PERIOD: Duration = Duration::from_millis(100);
const WAIT_BEFORE_MESSAGE: Duration = Duration::from_secs(10);

/// Downloads files of one commit into the cache.
pub(super) struct Downloader<'a> {
    pub(super) client: &'a Client<'a>,
    pub(super) repository: &'a CachedRepository,
    pub(super) settings: &'a HubSettings,
    pub(super) commit: &'a str,
    pub(super) id: &'a str,
}

/// A file that is not in the snapshot yet.
struct PendingFile<'a> {
    name: &'a str,
    /// The path of the file in the snapshot.
    pointer: PathBuf,
    metadata: FileMetadata,
}

impl Downloader<'_> {
    /// Fetches those of these files that are not in the snapshot yet.
    pub(super) fn fetch(&self, names: &[&str]) -> Result<(), Failure> {
        let snapshot = self.repository.snapshot_of(self.commit);
        let mut pending = Vec::new();
        for &name in names {
            let pointer = snapshot.join(name);
            if !is_within(name) {
                let reason = "its name leads out of the repository".to_owned();
                return Err(Failure::Damaged { name: name.to_owned(), reason });
            }
            if !pointer.is_file() {
                let metadata = self.client.metadata(self.commit, name)?;
                pending.push(PendingFile { name, pointer, metadata });
            }
        }
        if pending.is_empty() {
            return Ok(());
        }
        fs::create_dir_all(&snapshot).map_err(Failure::storage(self.repository.cache()))?;
        let total = pending.iter().filter_map(|file| file.metadata.size).sum();
        self.check_disk_space(&pending)?;
        // File names come from a stranger and could contain control codes of a terminal. The id contains only letters,
        // digits and a few other plain characters.
        let label = match pending.len() {
            1 => format!("1 file of {}", self.id),
            count => format!("{count} files of {}", self.id),
        };
        let mut progress = DownloadProgress::new(label, total, self.settings.is_shown);
        pending.iter().try_for_each(|file| self.fetch_one(file, &mut progress))
    }

    /// Fails if the disk does not have enough space, before hours are spent on the download.
    fn check_disk_space(&self, pending: &[PendingFile<'_>]) -> Result<(), Failure> {
        let missing = |file: &PendingFile<'_>| {
            let blob = self.repository.blob(&file.metadata.etag);
            let length = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
            let present = length(&blob).max(length(&incomplete(&blob)));
            file.metadata.size.unwrap_or(0).saturating_sub(present)
        };
        let needed = pending.iter().map(missing).sum();
        let Ok(disk) = statvfs(self.repository.cache()) else { return Ok(()) };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        match needed <= free {
            true => Ok(()),
            false => Err(Failure::DiskFull { path: self.repository.cache().into(), needed, free }),
        }
    }

    /// Makes one file of the snapshot. Fetches its contents unless the cache has them.
    fn fetch_one(
        &self,
        file: &PendingFile<'_>,
        progress: &mut DownloadProgress,
    ) -> Result<(), Failure> {
        let blob = self.repository.blob(&file.metadata.etag);
        let folders = [blob.parent(), file.pointer.parent()].into_iter().flatten();
        for folder in folders {
            fs::create_dir_all(folder).map_err(Failure::storage(folder))?;
        }
        let lock_file = self.repository.lock_file(&file.metadata.etag);
        let _lock = lock(&lock_file, || {
            progress.warn(&format!("waiting for another process that fetches {}", file.name));
        });
        let is_whole = fs::metadata(&blob)
            .is_ok_and(|blob| file.metadata.size.is_none_or(|size| size == blob.len()));
        match is_whole {
            true => progress.skip(file.metadata.size.unwrap_or(0)),
            false => self.receive(file, &blob, progress)?,
        }
        if file.pointer.is_file() {
            return Ok(());
        }
        link(&file.pointer, &blob, self.settings.has_symlinks, !is_whole)
            .map_err(Failure::storage(&file.pointer))
    }

    /// Fetches the contents of a file and checks them. Repeats the request after transient failures.
    fn receive(
        &self,
        file: &PendingFile<'_>,
        blob: &Path,
        progress: &mut DownloadProgress,
    ) -> Result<(), Failure> {
        let path = incomplete(blob);
        let mut part = PartialBlob::open(&path, &file.metadata).map_err(Failure::storage(&path))?;
        let mut is_continued = part.length > 0;
        progress.skip(part.length);
        let mut retries = Retries::default();
        loop {
            let before = part.length;
            match self.receive_rest(file, &mut part, progress) {
                Ok(()) if part.is_valid() => break,
                Ok(()) if is_continued => {
                    // The part from an earlier download belongs to other contents, so everything is fetched again.
                    is_continued = false;
                    progress.remove(part.length);
                    part.clear().map_err(Failure::storage(&path))?;
                }
                Ok(()) => {
                    drop(part);
                    fs::remove_file(&path).map_err(Failure::storage(&path))?;
                    let reason = "its SHA-256 is another".to_owned();
                    return Err(Failure::Damaged { name: file.name.to_owned(), reason });
                }
                Err(failure) => {
                    if part.length > before {
                        retries = Retries::default();
                    }
                    retries.wait_after(failure, |message| progress.warn(message))?;
                }
            }
        }
        match fs::rename(&path, blob) {
            // On a file system without locks, another process may have finished first.
            Err(_) if blob.is_file() => Ok(()),
            done => done.map_err(Failure::storage(blob)),
        }
    }

    /// Fetches the missing rest of the contents with one request.
    fn receive_rest(
        &self,
        file: &PendingFile<'_>,
        part: &mut PartialBlob,
        progress: &mut DownloadProgress,
    ) -> Result<(), Failure> {
        let size = file.metadata.size;
        if size == Some(part.length) {
            return Ok(());
        }
        let answer = self.client.content(self.commit, file.name, part.length)?;
        if part.length > 0 && answer.status() != StatusCode::PARTIAL_CONTENT {
            // The answer contains the whole file.
            progress.remove(part.length);
            part.clear().map_err(Failure::storage(&part.path))?;
        }
        let mut reader = answer.into_body().into_reader();
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = match reader.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.client.connection_failure(error)),
            };
            part.append(&chunk[..count]).map_err(Failure::storage(&part.path))?;
            progress.add(count as u64);
        }
        match size {
            Some(size) if part.length < size => Err(Failure::Broken {
                reason: format!("{} ended after {} of {size} bytes", file.name, part.length),
            }),
            Some(size) if part.length > size => {
                let reason = format!("{} bytes came rather than {size}", part.length);
                part.clear().map_err(Failure::storage(&part.path))?;
                Err(Failure::Damaged { name: file.name.to_owned(), reason })
            }
            _ => Ok(()),
        }
    }
}

/// The file `blobs/ETAG.incomplete`: the part of the contents that has arrived.
struct PartialBlob {
    path: PathBuf,
    file: File,
    /// Number of bytes that have arrived.
    length: u64,
    /// The SHA-256 of the bytes so far. `None` if the etag is not a SHA-256, because then it could not be checked.
    hash: Option<Sha256>,
    etag: String,
}

impl PartialBlob {
    /// Opens the file. Keeps its contents only if the etag is a SHA-256, because then the result can be checked.
    fn open(path: &Path, metadata: &FileMetadata) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let etag = metadata.etag.clone();
        let is_hash = etag.len() == 64 && etag.bytes().all(|c| c.is_ascii_hexdigit());
        let hash = is_hash.then(Sha256::new);
        let present = file.metadata()?.len();
        let mut part = Self { path: path.to_path_buf(), file, length: 0, hash, etag };
        match &mut part.hash {
            Some(hash) if metadata.size.is_none_or(|size| present <= size) => {
                part.length = io::copy(&mut part.file, hash)?;
            }
            _ => part.clear()?,
        }
        Ok(part)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.length = 0;
        self.hash = self.hash.take().map(|_| Sha256::new());
        Ok(())
    }

    fn is_valid(&self) -> bool {
        let hash = self.hash.clone().map(|hash| format!("{:x}", hash.finalize()));
        hash.is_none_or(|hash| hash == self.etag.to_ascii_lowercase())
    }
}

fn incomplete(blob: &Path) -> PathBuf {
    let mut path = blob.as_os_str().to_owned();
    path.push(".incomplete");
    path.into()
}

/// Locks a file until the returned value is dropped. Returns `None` if the file system has no locks. Two processes may
/// then fetch the same file, which is harmless because each puts it in place in one step. `say` is called if the wait
/// is long.
fn lock(path: &Path, say: impl FnOnce()) -> Option<File> {
    fs::create_dir_all(path.parent()?).ok()?;
    let (began, mut say) = (Instant::now(), Some(say));
    loop {
        // Other users of the group share the cache, so they may lock the file too.
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o664).open(path);
        let file = file.or_else(|_| File::open(path)).ok()?;
        match file.try_lock() {
            // The process that held the lock may have removed the file, so the lock counts only if the file still
            // exists.
            Ok(()) if file.metadata().is_ok_and(|file| file.nlink() > 0) => return Some(file),
            Ok(()) => continue,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(_)) => return None,
        }
        if began.elapsed() > WAIT_BEFORE_MESSAGE
            && let Some(say) = say.take()
        {
            say();
        }
        thread::sleep(LOCK_PERIOD);
    }
}

/// Makes a file of the snapshot from a blob: a link, or the contents themselves if links are impossible. If `is_new` is
/// true, no other snapshot uses the blob, so that it can be moved instead of copied.
fn link(pointer: &Path, blob: &Path, has_symlinks: bool, is_new: bool) -> io::Result<()> {
    match fs::remove_file(pointer) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let linked = match relative(blob, pointer).filter(|_| has_symlinks) {
        Some(target) => symlink(target, pointer),
        None => Err(io::ErrorKind::Unsupported.into()),
    };
    match linked {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(_) if is_new => fs::rename(blob, pointer),
        Err(_) => fs::copy(blob, pointer).map(drop),
    }
}

/// Returns the relative path from a file of a snapshot to a blob of the same repository. Because links are relative,
/// the cache can be moved.
fn relative(blob: &Path, pointer: &Path) -> Option<PathBuf> {
    let repository = blob.parent()?.parent()?;
    let depth = pointer.strip_prefix(repository).ok()?.components().count();
    let mut path: PathBuf = (1..depth).map(|_| "..").collect();
    path.push(blob.strip_prefix(repository).ok()?);
    Some(path)
}
