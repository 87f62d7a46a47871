//! The files of a model: one, or those that llama.cpp's `gguf-split` made of it.

use super::{
    header::{self, Entry},
    not_models,
    tensors::{self, Tensor},
    value,
};
use crate::{Error, Result, mapped};
use memmap2::Mmap;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// One file of a model.
pub struct Part {
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: Arc<Mmap>,
    /// Where its tensors' data begins, in bytes.
    pub data: usize,
}

/// A model's files, the first one's metadata and all tensors.
pub type Opened = (Vec<Part>, BTreeMap<String, Entry>, BTreeMap<String, Tensor>);

/// Most files of a model (`split.count` is a number of 16 bits).
const MOST_PARTS: u64 = u16::MAX as u64;

/// Opens a model by any one of its files.
pub fn open(path: &Path) -> Result<Opened> {
    let named = File::open(path)?;
    let count = named.whole("split.count")?.unwrap_or(1);
    if count <= 1 {
        return Ok(named.alone());
    }
    if count > MOST_PARTS {
        return Err(Error::file(path, format!("metadata split.count is {count}: fetch it again")));
    }
    let index = named.whole("split.no")?.unwrap_or(0);
    let paths = siblings(path, index, count)?;
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

/// Opens all files of a model; `named` is for messages.
fn join(named: &Path, paths: &[PathBuf]) -> Result<Opened> {
    let (mut parts, mut entries, mut tensors) = (Vec::new(), None, BTreeMap::new());
    let mut expected = None;
    for (index, path) in paths.iter().enumerate() {
        let file = File::open(path)?;
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
        let (part, own_entries, own) = file.alone();
        entries.get_or_insert(own_entries);
        parts.extend(part);
        for (name, mut tensor) in own {
            tensor.part = index;
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
            named,
            format!(
                "its parts hold {} tensors, and metadata split.tensors.count says {expected}: fetch all parts again",
                tensors.len()
            ),
        ));
    }
    Ok((parts, entries.unwrap_or_default(), tensors))
}

/// Where all parts of a model must be that one is named of: `NAME-00001-of-00003.gguf` and so on.
fn siblings(path: &Path, index: u64, count: u64) -> Result<Vec<PathBuf>> {
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

/// A file with what its header says.
struct File {
    part: Part,
    entries: BTreeMap<String, Entry>,
    tensors: BTreeMap<String, Tensor>,
}

impl File {
    fn open(path: &Path) -> Result<Self> {
        Self::of_bytes(path, mapped::map(path)?)
    }

    fn of_bytes(path: &Path, bytes: Arc<Mmap>) -> Result<Self> {
        let bad = |reason: String| Error::file(path, reason);
        if let Some(what) = not_models::other_format(&bytes) {
            return Err(bad(format!("no GGUF file but {what}")));
        }
        let header = header::read(&bytes)
            .map_err(|reason| bad(format!("not a readable GGUF file: {reason}; fetch it again")))?;
        let tensors = tensors::place_all(header.tensors, header.data, bytes.len()).map_err(bad)?;
        let part = Part { path: path.to_path_buf(), bytes, data: header.data };
        Ok(Self { part, entries: header.entries, tensors })
    }

    fn whole(&self, key: &str) -> Result<Option<u64>> {
        let Some(entry) = self.entries.get(key) else { return Ok(None) };
        let value = value::values(&self.part.bytes, entry).next();
        let number = match value {
            Some(value::Value::Whole(number)) if entry.count.is_none() => number.try_into().ok(),
            _ => None,
        };
        number.map(Some).ok_or_else(|| {
            Error::file(
                &self.part.path,
                format!("metadata {key} is no whole number from 0 on: fetch it again"),
            )
        })
    }

    fn alone(self) -> Opened {
        (vec![self.part], self.entries, self.tensors)
    }
}

/// A model of one file that is mapped.
#[cfg(test)]
pub fn of_bytes(path: &Path, bytes: Arc<Mmap>) -> Result<Opened> {
    Ok(File::of_bytes(path, bytes)?.alone())
}
