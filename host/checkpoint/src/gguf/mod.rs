//! GGUF, the format of llama.cpp (ggml's `docs/gguf.md`). A model is one file, or several files into which it was
//! split. It contains metadata, a vocabulary and tensors.
//!
//! ```text
//! header ─► metadata by key ─► architecture_metadata ─► families ─► Shape
//!      └──► tensors by name ──────────────────────────► WeightRows: the rows of a weight
//! ```
//!
//! Start at [`Gguf`], [`GgufModel::read`] and [`Gguf::rows`].

mod architecture_metadata;
mod block_format;
mod detection;
mod gguf_files;
mod gguf_model;
mod header;
mod metadata_keys;
mod metadata_value;
mod module_names;
mod tensors;
mod unexpected_tensors;
mod weight_rows;

pub use block_format::BlockFormat;
pub use detection::is_gguf;
pub(crate) use detection::is_named_gguf;
pub(crate) use gguf_files::GgufFile;
pub(crate) use gguf_model::GgufModel;
pub(crate) use metadata_value::MetadataValue;
pub use weight_rows::WeightRows;

use crate::{Error, Result};
use gguf_files::OpenFiles;
use header::MetadataEntry;
use module_names::ModuleNames;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tensors::Tensor;
use weight_rows::TensorLayout;

/// An open GGUF model.
///
/// ```
/// use llem_checkpoint::Gguf;
/// use std::path::Path;
///
/// let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/gguf/llama3-bf16.gguf");
/// let gguf = Gguf::open(Path::new(path))?;
/// let norm = gguf.vector("output_norm.weight", 64)?;
/// assert_eq!(norm.len(), 64);
/// assert!(gguf.vector("output_norm.weight", 65).is_err());
/// # Ok::<(), llem_checkpoint::Error>(())
/// ```
pub struct Gguf {
    /// The path that the caller gave, for messages.
    path: PathBuf,
    /// The files of the model, in order.
    files: Vec<GgufFile>,
    /// The metadata, by key. They are in the first file.
    entries: BTreeMap<String, MetadataEntry>,
    /// The tensors of all files, by name.
    tensors: BTreeMap<String, Tensor>,
    /// How tensors are converted to the weights that the decoder reads.
    layout: TensorLayout,
    /// The names of the modules in transformers.
    modules: ModuleNames,
}

impl Gguf {
    /// Maps a file and reads its header. If a model was split into several files, any of them may be given, and all are
    /// opened.
    ///
    /// # Errors
    /// Returns an error if the file is no GGUF file, or if a file of the model is missing, damaged or cut off.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self::from_files(path, gguf_files::open(path)?))
    }

    fn from_files(path: &Path, OpenFiles { files, entries, tensors }: OpenFiles) -> Self {
        let (layout, modules) = (TensorLayout::default(), ModuleNames::default());
        Self { path: path.to_path_buf(), files, entries, tensors, layout, modules }
    }

    /// Returns the path that was given to [`Self::open`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the files of the model, in the order of their numbers.
    pub(crate) fn files(&self) -> &[GgufFile] {
        &self.files
    }

    /// Returns `true` if the metadata have a key.
    pub(crate) fn has_key(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Returns all keys of the metadata.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Returns the elements of an array, or a list of the one value that is no array. Returns `None` if the key is
    /// absent.
    pub(crate) fn values(&self, key: &str) -> Option<Vec<MetadataValue>> {
        let entry = self.entries.get(key)?;
        Some(entry.values(&self.files[0].bytes).collect())
    }

    /// Returns a value that is no array. Returns `None` if the key is absent, or if the value is an array.
    pub(crate) fn value(&self, key: &str) -> Option<MetadataValue> {
        let entry = self.entries.get(key).filter(|entry| entry.count.is_none())?;
        entry.values(&self.files[0].bytes).next()
    }

    /// Returns the elements of an array. Returns `None` if the key is absent, or if the value is no array.
    fn array(&self, key: &str) -> Option<impl Iterator<Item = MetadataValue>> {
        let entry = self.entries.get(key).filter(|entry| entry.count.is_some())?;
        Some(entry.values(&self.files[0].bytes))
    }

    /// Returns a whole number, 0 or above. Returns `None` if the key is absent.
    ///
    /// # Errors
    /// Returns an error if the value is of another type or below 0.
    pub(crate) fn whole(&self, key: &str) -> Result<Option<u64>> {
        if !self.has_key(key) {
            return Ok(None);
        }
        let number = match self.value(key) {
            Some(MetadataValue::Whole(number)) => number.try_into().ok(),
            _ => None,
        };
        number.map(Some).ok_or_else(|| self.bad_entry(key, "is no whole number from 0 on"))
    }

    /// Returns a number, which may have a fraction. Returns `None` if the key is absent.
    ///
    /// # Errors
    /// Returns an error if the value is no number or not finite.
    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>> {
        if !self.has_key(key) {
            return Ok(None);
        }
        let number = match self.value(key) {
            Some(MetadataValue::Whole(number)) => Some(number as f64),
            Some(MetadataValue::Number(number)) => Some(number),
            _ => None,
        };
        let number = number.filter(|number| number.is_finite());
        number.map(Some).ok_or_else(|| self.bad_entry(key, "is no finite number"))
    }

    /// Returns a truth value. Returns `None` if the key is absent or has a value of another type.
    pub(crate) fn boolean(&self, key: &str) -> Option<bool> {
        match self.value(key)? {
            MetadataValue::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    /// Returns a text. Returns `None` if the key is absent or has a value of another type.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        match self.value(key)? {
            MetadataValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns an array of texts, such as a vocabulary. Returns `None` if the key is absent or has a value of another
    /// type.
    pub(crate) fn strings(&self, key: &str) -> Option<Vec<String>> {
        let text = |value| match value {
            MetadataValue::Text(text) => Some(text),
            _ => None,
        };
        self.array(key)?.map(text).collect()
    }

    /// Returns an array of numbers, such as the scores of a vocabulary. Returns `None` if the key is absent or has a
    /// value of another type.
    pub(crate) fn numbers(&self, key: &str) -> Option<Vec<f64>> {
        self.array(key)?.map(|value| value.as_f64()).collect()
    }

    /// Builds an error that names a key of the metadata. `reason` is a phrase such as "is missing".
    pub(crate) fn bad_entry(&self, key: &str, reason: &str) -> Error {
        Error::file(&self.path, format!("metadata {key} {reason}: fetch it again"))
    }

    /// Returns the text of a token whose id is under the key `id_key`. Returns `None` if the key or the token is
    /// absent.
    pub(crate) fn token(&self, id_key: &str) -> Option<String> {
        let id = usize::try_from(self.whole(id_key).ok()??).ok()?;
        match self.array("tokenizer.ggml.tokens")?.nth(id)? {
            MetadataValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Translates a module's name from llama.cpp's to transformers' name, which adapters use.
    pub fn module_name(&self, module: &str) -> String {
        self.modules.translate(module)
    }
}

#[cfg(test)]
mod metadata_key_tests;
#[cfg(test)]
mod tests;
