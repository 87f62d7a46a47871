//! Opens the files of a GGUF model: one file, or the parts into which llama.cpp's `gguf-split` split it.

use super::{
    detection,
    header::{self, MetadataEntry},
    metadata_value::MetadataValue,
    tensors::{self, Tensor},
};
use crate::{Error, Result, mapped};
use memmap2::Mmap;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A file of a GGUF model, mapped into memory.
pub(crate) struct GgufFile {
    /// The path of the file.
    pub(crate) path: PathBuf,
    /// All bytes of the file.
    pub(crate) bytes: Arc<Mmap>,
    /// The offset of the tensors' data in the file, in bytes.
    pub(crate) data_start: usize,
}

/// All files of a model, with what their headers contain.
pub(super) struct OpenFiles {
    pub files: Vec<GgufFile>,
    /// The metadata of the first file, by key.
    pub entries: BTreeMap<String, MetadataEntry>,
    /// The tensors of all files, by name.
    pub tensors: BTreeMap<String, Tensor>,
}

/// The largest number of files of a model (`split.count` is a number of 16 bits).
const MAX_FILES: u64 = u16::MAX as u64;

/// Opens all files of a model. `path` may be any of them.
pub(super) fn open(path: &Path) -> Result<OpenFiles> {
    let given = ParsedFile::open(path)?;
    let count = given.whole("split.count")?.unwrap_or(1);
    if count <= 1 {
        return Ok(given.into_open_files());
    }
    if count > MAX_FILES {
        return Err(Error::file(path, format!("metadata split.count is {count}: fetch it again")));
    }
    let index = given.whole("split.no")?.unwrap_or(0);
    let paths = sibling_paths(path, index, count)?;
    let missing: Vec<_> =
        paths.iter().filter(|path| !path.is_file()).filter_map(|path| path.file_name()).collect();
    if let Some(first) = missing.first() {
        return Err(Error::file(
            path,
            format!(
                "it is one of {count} files of a model, of which {} are missing beside it, first {}: fetch all of them",
                missing.len(),
                first.display()
            ),
        ));
    }
    join(path, &paths)
}

/// Opens the files of a split model and merges their tensors. Messages about the whole model name the file `given`.
fn join(given: &Path, paths: &[PathBuf]) -> Result<OpenFiles> {
    let (mut files, mut entries, mut tensors) = (Vec::new(), None, BTreeMap::new());
    let mut expected = None;
    for (index, path) in paths.iter().enumerate() {
        let file = ParsedFile::open(path)?;
        let (number, count) = (file.whole("split.no")?, file.whole("split.count")?);
        if number != Some(index as u64) || count != Some(paths.len() as u64) {
            return Err(Error::file(
                path,
                format!(
                    "by its metadata (split.no, split.count) it is another part than its name says, of {} files: fetch all parts again",
                    paths.len()
                ),
            ));
        }
        expected = expected.or(file.whole("split.tensors.count")?);
        entries.get_or_insert(file.entries);
        files.push(file.file);
        for (name, mut tensor) in file.tensors {
            tensor.file = index;
            if tensors.insert(name.clone(), tensor).is_some() {
                return Err(Error::file(
                    path,
                    format!("tensor {name} is in an earlier part too: fetch all parts again"),
                ));
            }
        }
    }
    if let Some(expected) = expected.filter(|&expected| expected != tensors.len() as u64) {
        return Err(Error::file(
            given,
            format!(
                "its parts hold {} tensors, and metadata split.tensors.count says {expected}: fetch all parts again",
                tensors.len()
            ),
        ));
    }
    Ok(OpenFiles { files, entries: entries.unwrap_or_default(), tensors })
}

/// Derives the paths of all files of a model from the path of one: `NAME-00001-of-00003.gguf` and so on.
fn sibling_paths(path: &Path, index: u64, count: u64) -> Result<Vec<PathBuf>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ending = |index: u64| format!("-{:05}-of-{count:05}.gguf", index + 1);
    let Some(stem) = name.strip_suffix(&ending(index)) else {
        return Err(Error::file(
            path,
            format!(
                "it is part {} of a model of {count} files, which are found by their names: let it be called NAME{} and the others accordingly",
                index + 1,
                ending(index)
            ),
        ));
    };
    Ok((0..count).map(|index| path.with_file_name(format!("{stem}{}", ending(index)))).collect())
}

/// A file, with the content of its header.
struct ParsedFile {
    file: GgufFile,
    entries: BTreeMap<String, MetadataEntry>,
    tensors: BTreeMap<String, Tensor>,
}

impl ParsedFile {
    fn open(path: &Path) -> Result<Self> {
        Self::from_bytes(path, mapped::map(path)?)
    }

    fn from_bytes(path: &Path, bytes: Arc<Mmap>) -> Result<Self> {
        let bad = |reason: String| Error::file(path, reason);
        if let Some(what) = detection::describe_other_format(&bytes) {
            return Err(bad(format!("no GGUF file but {what}")));
        }
        let header = header::read(&bytes)
            .map_err(|cause| bad(format!("not a readable GGUF file: {cause}; fetch it again")))?;
        let tensors = tensors::locate_tensors(header.tensors, header.data_start, bytes.len())
            .map_err(|cause| bad(cause.to_string()))?;
        let file = GgufFile { path: path.to_path_buf(), bytes, data_start: header.data_start };
        Ok(Self { file, entries: header.entries, tensors })
    }

    fn whole(&self, key: &str) -> Result<Option<u64>> {
        let Some(entry) = self.entries.get(key) else { return Ok(None) };
        let value = entry.values(&self.file.bytes).next();
        let number = match value {
            Some(MetadataValue::Whole(number)) if entry.count.is_none() => number.try_into().ok(),
            _ => None,
        };
        number.map(Some).ok_or_else(|| {
            Error::file(
                &self.file.path,
                format!("metadata {key} is no whole number from 0 on: fetch it again"),
            )
        })
    }

    fn into_open_files(self) -> OpenFiles {
        OpenFiles { files: vec![self.file], entries: self.entries, tensors: self.tensors }
    }
}

/// Opens a model of one file that is already mapped.
#[cfg(test)]
pub(super) fn open_bytes(path: &Path, bytes: Arc<Mmap>) -> Result<OpenFiles> {
    Ok(ParsedFile::from_bytes(path, bytes)?.into_open_files())
}
