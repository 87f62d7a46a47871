//! Folders that appear whole or not at all, and take no other's place.

use crate::error::Error;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// Fails if something has this path.
pub(crate) fn refuse_existing(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(Error::Exists(path.to_path_buf())),
        Err(_) => Ok(()),
    }
}

/// A folder that is written under another name, and removed again unless it is complete.
pub(crate) struct NewFolder {
    temporary: TempDir,
}

impl NewFolder {
    /// Creates the folder within `parent`, which exists.
    pub(crate) fn create(parent: &Path) -> Result<Self, Error> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".llem-").suffix(".unfinished");
        // The same mode as any new folder, less the umask. By default only the owner may read it.
        #[cfg(unix)]
        builder
            .permissions(<fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o777));
        let temporary = builder.tempdir_in(parent).map_err(Error::at(parent))?;
        Ok(Self { temporary })
    }

    pub(crate) fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Gives the folder its name, which nothing has.
    pub(crate) fn move_to(self, path: &Path) -> Result<PathBuf, Error> {
        refuse_existing(path)?;
        fs::rename(self.temporary.path(), path).map_err(Error::at(path))?;
        // The folder has moved, so there is nothing to remove.
        let _ = self.temporary.keep();
        Ok(path.to_path_buf())
    }
}
