//! Finds the files that a record names.

use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// The kind of a recorded file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FileKind {
    /// The file of a component.
    Component,
    /// A script or a project's folder, or the component that was built from it.
    Source,
    /// A file that the script reads by a name.
    Dataset,
    /// The folder of an adapter.
    Adapter,
    /// The folder or GGUF file of a model.
    Model,
    /// The figures of a synthetic host.
    SyntheticHost,
}

impl FileKind {
    /// Returns the name of the option that says where such a file is now.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Self::Component | Self::Source => "component",
            Self::Dataset => "dataset",
            Self::Adapter => "adapter",
            Self::Model => "model",
            Self::SyntheticHost => "synthetic-host",
        }
    }
}

/// A file or folder as a record names it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordedFile<'a> {
    /// What it is.
    pub kind: FileKind,
    /// Its name in the run: a component's role, a dataset's, adapter's or model's name.
    pub name: &'a str,
    /// The path on the recorded command line.
    pub path: &'a str,
    /// The SHA-256 of the file, as `sha256:` and hexadecimal digits. Of source code, it is that of the component. `None` for a
    /// folder.
    pub digest: Option<&'a str>,
}

/// Finds the files that a record names. Their digests are checked by the caller.
pub(crate) trait RecordedFiles {
    /// Returns where a file is, or `None` if it is not there.
    fn find(&self, file: RecordedFile<'_>) -> Option<PathBuf>;
}

/// Files where the record says that they are: relative to the present folder, otherwise to the run's folder and the folders
/// around it.
pub(crate) struct RecordPaths {
    folder: PathBuf,
}

impl RecordPaths {
    /// Creates the paths of the record in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf()) }
    }
}

impl RecordedFiles for RecordPaths {
    /// Prefers a file with the recorded digest to one that merely has the path.
    fn find(&self, file: RecordedFile<'_>) -> Option<PathBuf> {
        let digest = file.digest.filter(|_| !matches!(file.kind, FileKind::Source));
        let around = self.folder.ancestors().map(|folder| folder.join(file.path));
        let there = std::iter::once(PathBuf::from(file.path)).chain(around);
        // A digest is that of a file. A folder may have the name of a component that ships with llem.
        let is_there = |path: &PathBuf| path.is_file() || digest.is_none() && path.exists();
        let there: Vec<PathBuf> = there.filter(is_there).collect();
        let is_same = |path: &&PathBuf| {
            digest.is_some_and(|digest| digest_of(path).is_ok_and(|found| found == digest))
        };
        let found = there.iter().find(is_same).or(there.first());
        tracing::debug!(kind = ?file.kind, name = file.name, path = file.path, ?found, "a file of the record");
        found.cloned()
    }
}

/// Returns the SHA-256 of a file's content, as `sha256:` and hexadecimal digits.
pub(crate) fn digest_of(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(format!("sha256:{:x}", hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_is_found_beside_the_run_and_by_its_digest_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let run = folder.path().join("runs/one");
        fs::create_dir_all(&run).expect("made");
        for (path, content) in [("data.csv", "outer"), ("runs/data.csv", "inner")] {
            fs::write(folder.path().join(path), content).expect("written");
        }
        let paths = RecordPaths::new(&run);
        let find = |path, digest: Option<&str>| {
            let kind = FileKind::Dataset;
            let found = paths.find(RecordedFile { kind, name: "d", path, digest })?;
            fs::read_to_string(found).ok()
        };
        assert_eq!(find("data.csv", None).as_deref(), Some("inner"));
        let outer = digest_of(&folder.path().join("data.csv")).expect("a digest");
        assert_eq!(find("data.csv", Some(&outer)).as_deref(), Some("outer"));
        assert_eq!(find("nowhere.csv", None), None);
    }
}
