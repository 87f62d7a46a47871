//! Compiled code on disk. Native code that is read from here runs with the rights of this program. So a file is read
//! only if nobody but this user and root can have written it, and only if it is complete.
//!
//! ```text
//! <key>.cwasm = code ‖ BLAKE3(key ‖ code)      the key names what the code was compiled from, and by what
//! ```

use rustix::process::geteuid;
use std::{
    fs::{self, DirBuilder, File, Metadata},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};
use wasmtime::{Engine, component::Component};

/// The mode bits that let group or others write.
const WRITABLE: u32 = 0o022;
/// The mode bit of a folder in which users cannot rename or remove each other's files.
const STICKY: u32 = 0o1000;

#[derive(Clone)]
pub(crate) struct CodeCache {
    folder: PathBuf,
}

impl CodeCache {
    pub(crate) fn open(folder: &Path) -> Option<Self> {
        let open = || -> io::Result<PathBuf> {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            let folder = folder.canonicalize()?;
            check_private(&folder, &fs::metadata(&folder)?)?;
            for parent in folder.ancestors().skip(1) {
                check_parent(parent, &fs::metadata(parent)?)?;
            }
            Ok(folder)
        };
        open()
            .inspect_err(|error| {
                tracing::warn!(
                    "compiled code is neither read from nor kept in {}: {error}",
                    folder.display()
                );
            })
            .map(|folder| Self { folder })
            .ok()
    }

    /// Returns the component that was stored under `key`, or `None` if there is none that is safe to load.
    pub(crate) fn read(&self, engine: &Engine, key: &str) -> Option<Component> {
        let path = self.path(key);
        let read = || -> io::Result<Option<Component>> {
            let mut file = match File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                file => file?,
            };
            check_private(&path, &file.metadata()?)?;
            let mut content = Vec::new();
            file.read_to_end(&mut content)?;
            let is_damaged = || io::Error::other("it is damaged");
            let (code, digest) =
                content.split_last_chunk::<{ blake3::OUT_LEN }>().ok_or_else(is_damaged)?;
            if digest_of(key, code) != *digest {
                return Err(is_damaged());
            }
            // SAFETY: `write` stored this code for this engine's version and settings, because the key covers both. The digest
            // shows that it is complete. Nobody but this user and root can have written or replaced the file.
            let component = unsafe { Component::deserialize(engine, code) };
            component.map(Some).map_err(|error| io::Error::other(error.to_string()))
        };
        read()
            .inspect_err(|error| {
                tracing::warn!("compiling anew, for {} is not used: {error}", path.display());
            })
            .ok()
            .flatten()
    }

    /// Stores a component for later runs. A failure is a warning and not an error, because this run does not need the
    /// file.
    pub(crate) fn write(&self, key: &str, component: &Component) {
        let write = || -> io::Result<()> {
            let code = component.serialize();
            let mut content = code.map_err(|error| io::Error::other(error.to_string()))?;
            let digest = digest_of(key, &content);
            content.extend(digest);
            // The file is written atomically, because another run may read or write the same entry.
            llem_files::write(&self.path(key), &content)
        };
        if let Err(error) = write() {
            tracing::warn!("cannot keep compiled code in {}: {error}", self.folder.display());
        }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.cwasm"))
    }
}

fn digest_of(key: &str, code: &[u8]) -> [u8; blake3::OUT_LEN] {
    let mut hash = blake3::Hasher::new();
    hash.update(key.as_bytes()).update(code);
    *hash.finalize().as_bytes()
}

/// Refuses a path that another user owns or can write.
fn check_private(path: &Path, metadata: &Metadata) -> io::Result<()> {
    if metadata.uid() != geteuid().as_raw() {
        return Err(refused(
            path,
            "belongs to another user; set LLEM_CACHE to a folder of your own",
        ));
    }
    if metadata.mode() & WRITABLE != 0 {
        return Err(refused(
            path,
            "can be written by others; take that right away with chmod go-w",
        ));
    }
    Ok(())
}

/// Refuses a parent folder in which another user could replace the cache.
fn check_parent(path: &Path, metadata: &Metadata) -> io::Result<()> {
    let is_known = [geteuid().as_raw(), 0].contains(&metadata.uid());
    let is_closed = metadata.mode() & WRITABLE == 0 || metadata.mode() & STICKY != 0;
    if is_known && is_closed {
        return Ok(());
    }
    let reason = "and what is in it can be replaced by others; set LLEM_CACHE to a folder of your own, or chmod go-w it";
    Err(refused(path, reason))
}

fn refused(path: &Path, reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("{} {reason}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    }

    /// Makes a cache that holds one component under the key `one`.
    fn cache() -> (tempfile::TempDir, Engine, CodeCache) {
        let home = tempfile::tempdir().expect("a folder");
        let engine = Engine::default();
        let cache = CodeCache::open(&home.path().join("compiled")).expect("it is private");
        cache.write("one", &Component::new(&engine, EMPTY).expect("an empty component"));
        (home, engine, cache)
    }

    #[test]
    fn what_is_kept_is_read() {
        let (_home, engine, cache) = cache();
        assert!(cache.read(&engine, "one").is_some());
        assert!(cache.read(&engine, "other").is_none());
    }

    #[test]
    fn code_of_another_key_is_not_read() {
        let (_home, engine, cache) = cache();
        fs::copy(cache.path("one"), cache.path("other")).expect("a copy");
        assert!(cache.read(&engine, "other").is_none());
    }

    #[test]
    fn code_that_is_cut_or_changed_is_not_read() {
        let (_home, engine, cache) = cache();
        let whole = fs::read(cache.path("one")).expect("it is kept");
        let mut changed = whole.clone();
        changed[whole.len() / 2] ^= 1;
        for damaged in [&whole[..whole.len() - 1], &whole[..10], &[], &changed] {
            fs::write(cache.path("one"), damaged).expect("it is ours");
            assert!(cache.read(&engine, "one").is_none());
        }
    }

    #[test]
    fn what_others_can_write_is_not_read() {
        let (home, engine, cache) = cache();
        set_mode(&cache.path("one"), 0o664);
        assert!(cache.read(&engine, "one").is_none());
        for (folder, mode) in [("compiled", 0o777), ("compiled", 0o720), (".", 0o722)] {
            let path = home.path().join(folder);
            set_mode(&path, mode);
            assert!(CodeCache::open(&home.path().join("compiled")).is_none(), "{folder} {mode:o}");
            set_mode(&path, 0o700);
        }
        assert!(CodeCache::open(&home.path().join("compiled")).is_some());
    }
}
