//! Finds the files of a run in a bundle.

use super::{FileKind, RecordPaths, RecordedFile, RecordedFiles};
use anyhow::Context;
use llem_bundle::{Bundle, UnpackedBundle};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// How a zip file begins (APPNOTE.TXT 4.3.7, the signature of a local file header).
const ZIP: [u8; 4] = *b"PK\x03\x04";

/// A bundle that was verified and unpacked. What it leaves out, such as models, is looked for at the paths of the record.
pub(crate) struct BundleFiles {
    unpacked: UnpackedBundle,
    paths: RecordPaths,
    /// Removed with this value.
    _folder: TempDir,
}

impl BundleFiles {
    /// Returns true if a path is a file that begins as a zip does.
    pub(crate) fn is_bundle(path: &Path) -> bool {
        let mut begin = [0; ZIP.len()];
        File::open(path).and_then(|mut file| file.read_exact(&mut begin)).is_ok() && begin == ZIP
    }

    /// Verifies a bundle and unpacks it into a temporary folder.
    ///
    /// # Errors
    /// A file of the bundle is not what its manifest or its record says, or cannot be written.
    pub(crate) fn unpack(path: &Path) -> anyhow::Result<Self> {
        let bundle = Bundle::open(path)?;
        let folder = tempfile::tempdir()
            .context("the bundle cannot be unpacked: set TMPDIR to a folder that can be written")?;
        let unpacked = bundle.unpack(folder.path())?;
        let beside = path.parent().unwrap_or(Path::new("."));
        Ok(Self { unpacked, paths: RecordPaths::new(beside), _folder: folder })
    }

    /// Returns the folder of the run.
    pub(crate) fn run(&self) -> &Path {
        self.unpacked.record()
    }
}

impl RecordedFiles for BundleFiles {
    fn find(&self, file: RecordedFile<'_>) -> Option<PathBuf> {
        let inside = match file.kind {
            FileKind::Adapter => self.unpacked.adapter(file.name),
            _ => file.digest.and_then(|digest| self.unpacked.file_with_digest(digest)),
        };
        inside.map(Path::to_owned).or_else(|| self.paths.find(file))
    }
}
