//! The SDKs and the WIT package that this program carries, unpacked into the cache.
//!
//! ```text
//! <cache>/sdk/<digest>/wit/                   as in the repository, so that the SDKs find one another
//!                      guest-sdk/python/      with a copy of wit/ in its package, as its wheel has it
//! ```

use super::{Language, ProjectError, Result, javascript};
use crate::commands::cache;
use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// The packed files: their paths below the repository's root, and their contents.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/sdk_files.rs"));

/// The WIT package in the Python package, which is not in git.
const PYTHON_WIT: &str = "guest-sdk/python/src/llem_sdk/wit";

/// SHA-256 over the packed files, in hexadecimal digits.
const DIGEST: &str = env!("LLEM_BUILD_SDK");

/// The digest of the packed files in the form of the record.
pub(crate) fn digest() -> String {
    format!("sha256:{DIGEST}")
}

/// The packed files below a path, with their paths below it.
pub(super) fn files_below(path: &str) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    let below = move |(name, content): &(&'static str, &'static [u8])| {
        Some((name.strip_prefix(path)?.strip_prefix('/')?, *content))
    };
    FILES.iter().filter_map(below)
}

/// Returns the folder of a language's SDK.
///
/// # Errors
/// Fails if it cannot be unpacked.
pub(crate) fn folder(language: Language) -> Result<PathBuf> {
    match language {
        Language::JavaScript | Language::TypeScript => javascript::packed_sdk(),
        _ => Ok(root()?.join("guest-sdk").join(language.sdk())),
    }
}

/// Returns the folder of the WIT package.
pub(super) fn wit() -> Result<PathBuf> {
    Ok(root()?.join("wit"))
}

/// Returns the folder that all packed files are in, which are unpacked if they are not there.
pub(super) fn root() -> Result<PathBuf> {
    let folder = cache().ok_or(ProjectError::NoCache)?.join("sdk");
    // Sixteen digits tell the versions on one machine apart.
    let root = folder.join(&DIGEST[..16]);
    if !root.exists() {
        unpack(&folder, &root).map_err(ProjectError::unwritable(&root))?;
    }
    Ok(root)
}

/// Unpacks into a temporary folder, and renames it when it is complete.
fn unpack(folder: &Path, root: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let unfinished = tempfile::Builder::new().prefix(".unfinished-").tempdir_in(folder)?;
    fs::set_permissions(unfinished.path(), fs::Permissions::from_mode(0o755))?;
    for (name, content) in FILES {
        let path = unfinished.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(&path, content)?;
    }
    let copy = unfinished.path().join(PYTHON_WIT);
    fs::create_dir_all(&copy)?;
    for (name, content) in files_below("wit") {
        fs::write(copy.join(name), content)?;
    }
    match fs::rename(unfinished.path(), root) {
        // Another process was faster.
        Err(_) if root.exists() => Ok(()),
        renamed => renamed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_and_the_sdks_are_packed_without_what_tools_make() {
        let names: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        assert!(names.contains(&"wit/world.wit"));
        assert!(names.contains(&"guest-sdk/rust/src/lib.rs"));
        let made = ["node_modules", "target/", "__pycache__", "dist/"];
        assert!(!names.iter().any(|name| made.iter().any(|made| name.contains(made))), "{names:?}");
    }
}
