//! Brings files of the Hub into the cache.
//!
//! ```text
//! HEAD ──► etag, size ──► lock ──► GET ──► blobs/ETAG.incomplete ──► checked ──► blobs/ETAG ◄── snapshots/COMMIT/FILE
//! ```
//!
//! What is fetched of a file with a known SHA-256 stays when the download breaks off, and the next one goes on from
//! there. The lock is huggingface_hub's own, so that several programs fetch a file once.

use super::{
    cache::Repository,
    client::{Client, Metadata, Retries},
    failure::Failure,
    progress::Progress,
    settings::Settings,
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

/// Bytes that are read at a time.
const CHUNK: usize = 1 << 18;

/// How often a lock that another process holds is tried, and after how long that is said.
const LOCK_PERIOD: Duration = Duration::from_millis(100);
const SILENT_WAIT: Duration = Duration::from_secs(10);

/// Brings files of a commit into the cache.
pub struct Downloads<'a> {
    /// Who asks.
    pub client: &'a Client<'a>,
    /// Where to.
    pub repository: &'a Repository,
    /// How.
    pub settings: &'a Settings,
    /// Of which commit.
    pub commit: &'a str,
    /// The repository's id.
    pub id: &'a str,
}

/// A file to be fetched.
struct Wanted<'a> {
    name: &'a str,
    /// Where it goes.
    pointer: PathBuf,
    metadata: Metadata,
}

impl Downloads<'_> {
    /// Fetches the files that the snapshot lacks.
    pub fn fetch(&self, names: &[&str]) -> Result<(), Failure> {
        let snapshot = self.repository.snapshot_of(self.commit);
        let mut wanted = Vec::new();
        for &name in names {
            let pointer = snapshot.join(name);
            if !is_within(name) {
                let reason = "its name leads out of the repository".to_owned();
                return Err(Failure::Damaged { name: name.to_owned(), reason });
            }
            if !pointer.is_file() {
                let metadata = self.client.metadata(self.commit, name)?;
                wanted.push(Wanted { name, pointer, metadata });
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        fs::create_dir_all(&snapshot).map_err(Failure::storage(self.repository.cache()))?;
        let total = wanted.iter().filter_map(|file| file.metadata.size).sum();
        self.check_room(&wanted)?;
        // Names of files are somebody else's: on a terminal there is only the id, which has letters and digits alone.
        let label = match wanted.len() {
            1 => format!("1 file of {}", self.id),
            count => format!("{count} files of {}", self.id),
        };
        let mut progress = Progress::new(label, total, self.settings.is_shown);
        wanted.iter().try_for_each(|file| self.fetch_one(file, &mut progress))
    }

    /// Refuses what the disk has no room for, before hours are spent on it.
    fn check_room(&self, wanted: &[Wanted<'_>]) -> Result<(), Failure> {
        let missing = |file: &Wanted<'_>| {
            let blob = self.repository.blob(&file.metadata.etag);
            let length = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
            let present = length(&blob).max(length(&incomplete(&blob)));
            file.metadata.size.unwrap_or(0).saturating_sub(present)
        };
        let needed = wanted.iter().map(missing).sum();
        let Ok(disk) = statvfs(self.repository.cache()) else { return Ok(()) };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        match needed <= free {
            true => Ok(()),
            false => Err(Failure::NoRoom { path: self.repository.cache().into(), needed, free }),
        }
    }

    /// Makes the snapshot's file, of contents that are there or come over the network.
    fn fetch_one(&self, file: &Wanted<'_>, progress: &mut Progress) -> Result<(), Failure> {
        let blob = self.repository.blob(&file.metadata.etag);
        let folders = [blob.parent(), file.pointer.parent()].into_iter().flatten();
        for folder in folders {
            fs::create_dir_all(folder).map_err(Failure::storage(folder))?;
        }
        let lock_file = self.repository.lock_file(&file.metadata.etag);
        let _lock = lock(&lock_file, || {
            progress.say(&format!("waiting for another process that fetches {}", file.name));
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

    /// Fetches contents until they are whole.
    fn receive(
        &self,
        file: &Wanted<'_>,
        blob: &Path,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let path = incomplete(blob);
        let mut part = Part::open(&path, &file.metadata).map_err(Failure::storage(&path))?;
        let mut is_continued = part.length > 0;
        progress.skip(part.length);
        let mut retries = Retries::default();
        loop {
            let before = part.length;
            match self.receive_rest(file, &mut part, progress) {
                Ok(()) if part.is_right() => break,
                Ok(()) if is_continued => {
                    // What was there belonged to something else.
                    is_continued = false;
                    progress.take_back(part.length);
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
                    retries.wait_after(failure, |message| progress.say(message))?;
                }
            }
        }
        match fs::rename(&path, blob) {
            // Where locks do nothing, another process may have been first.
            Err(_) if blob.is_file() => Ok(()),
            done => done.map_err(Failure::storage(blob)),
        }
    }

    /// Fetches what a part lacks, in one request.
    fn receive_rest(
        &self,
        file: &Wanted<'_>,
        part: &mut Part,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let size = file.metadata.size;
        if size == Some(part.length) {
            return Ok(());
        }
        let answer = self.client.content(self.commit, file.name, part.length)?;
        if part.length > 0 && answer.status() != StatusCode::PARTIAL_CONTENT {
            // All of it comes again.
            progress.take_back(part.length);
            part.clear().map_err(Failure::storage(&part.path))?;
        }
        let mut reader = answer.into_body().into_reader();
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = match reader.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.client.broken(error)),
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

/// Contents under way.
struct Part {
    path: PathBuf,
    file: File,
    /// Bytes that are there.
    length: u64,
    /// Their SHA-256, where the etag is that of the whole.
    hash: Option<Sha256>,
    etag: String,
}

impl Part {
    /// Goes on with what is there, if there is a hash to tell in the end whether that was right.
    fn open(path: &Path, metadata: &Metadata) -> io::Result<Self> {
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

    fn is_right(&self) -> bool {
        let hash = self.hash.clone().map(|hash| format!("{:x}", hash.finalize()));
        hash.is_none_or(|hash| hash == self.etag.to_ascii_lowercase())
    }
}

fn incomplete(blob: &Path) -> PathBuf {
    let mut path = blob.as_os_str().to_owned();
    path.push(".incomplete");
    path.into()
}

/// Holds the lock on a file until the answer is dropped. `None` where the file system has no locks: then a file is
/// fetched twice at worst, for it is put in place in one step.
fn lock(path: &Path, say: impl FnOnce()) -> Option<File> {
    fs::create_dir_all(path.parent()?).ok()?;
    let (began, mut say) = (Instant::now(), Some(say));
    loop {
        // Others who share the cache may lock it too.
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o664).open(path);
        let file = file.or_else(|_| File::open(path)).ok()?;
        match file.try_lock() {
            // Whoever held it may have removed the file meanwhile.
            Ok(()) if file.metadata().is_ok_and(|file| file.nlink() > 0) => return Some(file),
            Ok(()) => continue,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(_)) => return None,
        }
        if began.elapsed() > SILENT_WAIT
            && let Some(say) = say.take()
        {
            say();
        }
        thread::sleep(LOCK_PERIOD);
    }
}

/// Makes a snapshot's file of contents: a link, or where there can be none the contents themselves. `is_new` means that no
/// other snapshot has them.
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

/// The way from a snapshot's file to a blob of the same repository, so that a cache can be moved.
fn relative(blob: &Path, pointer: &Path) -> Option<PathBuf> {
    let repository = blob.parent()?.parent()?;
    let depth = pointer.strip_prefix(repository).ok()?.components().count();
    let mut path: PathBuf = (1..depth).map(|_| "..").collect();
    path.push(blob.strip_prefix(repository).ok()?);
    Some(path)
}
