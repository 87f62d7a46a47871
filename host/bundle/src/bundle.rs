//! Opens and unpacks bundles.
//!
//! ```text
//! zip ──structure──► entries ──SHA-256──► manifest ──► record, components, datasets, adapters
//!                                                         against the digests in run.json
//! ```

use crate::{
    archive::Archive,
    contents::Contents,
    error::Error,
    findings::{Unverified, Verified},
    layout::{ADAPTERS, MANIFEST, RECORD, RUN, SOURCES},
    manifest::Manifest,
};
use llem_record::RunRecord;
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The largest manifest, bytes: that of some 300,000 files.
const MOST_MANIFEST: u64 = 64 << 20;

/// A bundle that has been verified.
///
/// ```no_run
/// use llem_bundle::Bundle;
/// use std::path::Path;
///
/// let bundle = Bundle::open(Path::new("20261124T101500Z-quickstart.zip"))?;
/// let folder = tempfile::tempdir().expect("a folder");
/// let unpacked = bundle.unpack(folder.path())?;
/// let component = &bundle.record().plan.components[0];
/// assert!(unpacked.file_with_digest(&component.digest).is_some());
/// # Ok::<(), llem_bundle::Error>(())
/// ```
pub struct Bundle {
    path: PathBuf,
    manifest: Manifest,
    contents: Contents,
}

impl Bundle {
    /// Opens a bundle and verifies everything that is in it: the zip's structure, every digest of the manifest, that no file
    /// is beyond it, and the record against its journal, components, sources, datasets, adapters and artifacts.
    ///
    /// A signature is not looked at: see [`verify_signature`](crate::verify_signature).
    ///
    /// # Errors
    /// Fails with the name of the first file that is not as it should be.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path);
        Self::from_file(path, file.map_err(|source| Error::Io { path: path.to_owned(), source })?)
    }

    /// Verifies a bundle in an open file. `path` is its name in messages, and where it can be read again.
    pub(crate) fn from_file(path: &Path, file: File) -> Result<Self, Error> {
        let mut archive = Archive::new(path, file)?;
        let manifest = read_manifest(&mut archive)?;
        // Record, sources and adapters are read from files; of all others the digest is enough.
        let folder = tempfile::tempdir()
            .map_err(|source| Error::Io { path: std::env::temp_dir(), source })?;
        for (name, hex) in manifest.iter() {
            let is_read = [RUN, SOURCES, ADAPTERS].iter().any(|folder| name.starts_with(folder));
            extract(&mut archive, name, hex, is_read.then_some(folder.path()))?;
        }
        let files = archive.names().len();
        let contents = Contents::verify(path, folder.path(), &manifest, files)?;
        Ok(Self { path: path.to_owned(), manifest, contents })
    }

    /// Returns the record of the run.
    pub fn record(&self) -> &RunRecord {
        &self.contents.record
    }

    /// Returns what was verified, in the order of the checks.
    pub fn verified(&self) -> &[Verified] {
        &self.contents.verified
    }

    /// Returns what could not be verified, because it is not inside.
    pub fn unverified(&self) -> &[Unverified] {
        &self.contents.unverified
    }

    /// Unpacks the bundle into `folder`, which is made if it is not there. Every file is verified again while it is written, so
    /// a bundle that changed after it was opened is refused.
    ///
    /// # Errors
    /// A file exists already, cannot be written, or is not what the manifest says.
    pub fn unpack(&self, folder: &Path) -> Result<UnpackedBundle, Error> {
        let file = File::open(&self.path)
            .map_err(|source| Error::Io { path: self.path.clone(), source })?;
        let mut archive = Archive::new(&self.path, file)?;
        for (name, hex) in self.manifest.iter() {
            extract(&mut archive, name, hex, Some(folder))?;
        }
        write_new(&folder.join(MANIFEST), |file| {
            file.write_all(self.manifest.to_text().as_bytes())
        })?;
        let place = |(key, name): (&String, &String)| (key.clone(), folder.join(name));
        Ok(UnpackedBundle {
            run: folder.join(RUN.trim_end_matches('/')),
            files: self.contents.files.iter().map(place).collect(),
            adapters: self.contents.adapters.iter().map(place).collect(),
        })
    }
}

/// The files of a bundle in a folder.
#[derive(Clone, Debug)]
pub struct UnpackedBundle {
    run: PathBuf,
    files: Vec<(String, PathBuf)>,
    adapters: Vec<(String, PathBuf)>,
}

impl UnpackedBundle {
    /// Returns the run's folder, which holds `run.json` and `events.jsonl`.
    pub fn record(&self) -> &Path {
        &self.run
    }

    /// Returns the component or dataset with a digest as the record has it, `sha256:` and hexadecimal digits. Returns `None`
    /// if it is not inside.
    pub fn file_with_digest(&self, digest: &str) -> Option<&Path> {
        find(&self.files, digest)
    }

    /// Returns the folder of the adapter with a name as requests use it, or with a digest as the record has it. Returns `None`
    /// if it is not inside.
    pub fn adapter(&self, name: &str) -> Option<&Path> {
        find(&self.adapters, name)
    }
}

fn find<'a>(files: &'a [(String, PathBuf)], key: &str) -> Option<&'a Path> {
    files.iter().find(|(own, _)| own == key).map(|(_, path)| path.as_path())
}

/// Reads the manifest, and compares its names with those in the zip.
fn read_manifest(archive: &mut Archive) -> Result<Manifest, Error> {
    let bundle = archive.path().to_owned();
    let missing =
        |name: &str, why| Error::Missing { bundle: bundle.clone(), name: name.to_owned(), why };
    let has = |archive: &Archive, name: &str| archive.names().iter().any(|own| own == name);
    if !has(archive, MANIFEST) {
        return Err(missing(MANIFEST, "every bundle has"));
    }
    let mut text = Vec::new();
    archive.copy(MANIFEST, &mut Bounded { to: &mut text, most: MOST_MANIFEST })?;
    let manifest = Manifest::parse(&bundle, &text)?;
    let names: std::collections::BTreeSet<&str> =
        archive.names().iter().map(String::as_str).collect();
    if let Some((name, _)) = manifest.iter().find(|(name, _)| !names.contains(name)) {
        return Err(missing(name, "its manifest lists"));
    }
    let is_unlisted = |name: &&str| *name != MANIFEST && manifest.get(name).is_none();
    if let Some(name) = names.iter().copied().find(is_unlisted) {
        return Err(Error::Unlisted { bundle, name: name.to_owned() });
    }
    let record = format!("{RUN}{RECORD}");
    match manifest.get(&record) {
        Some(_) => Ok(manifest),
        None => Err(missing(&record, "every bundle has")),
    }
}

/// Compares a file with its digest in the manifest, and writes it below `folder` if there is one.
fn extract(
    archive: &mut Archive,
    name: &str,
    hex: &str,
    folder: Option<&Path>,
) -> Result<(), Error> {
    let found = match folder {
        None => archive.copy(name, &mut io::sink())?,
        Some(folder) => {
            let mut found = Ok(String::new());
            write_new(&folder.join(name), |file| {
                found = archive.copy(name, file);
                Ok(())
            })?;
            found?
        }
    };
    if found == hex {
        return Ok(());
    }
    let cause = format!("its SHA-256 is {found}, and the manifest has {hex}");
    Err(Error::Changed { bundle: archive.path().to_owned(), name: name.to_owned(), cause })
}

/// Creates a file that must not exist, and the folders that it is in.
fn write_new(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), Error> {
    let made = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fill(&mut File::create_new(path)?)
    };
    made().map_err(|source| Error::Io { path: path.to_owned(), source })
}

/// Refuses to grow beyond a number of bytes.
struct Bounded<'a> {
    to: &'a mut Vec<u8>,
    most: u64,
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.to.len() + bytes.len()) as u64 > self.most {
            return Err(io::Error::other(format!("it has more than {} bytes", self.most)));
        }
        self.to.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
