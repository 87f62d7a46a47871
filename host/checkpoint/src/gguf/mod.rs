//! GGUF, llama.cpp's format (ggml's `docs/gguf.md`): a file, or several that a model was split into, with metadata,
//! a vocabulary and tensors.
//!
//! ```text
//! header ─► entries by key ─► config ─► families ─► Shape
//!      └──► tensors by name ─────────► layout ────► rows of a weight
//! ```
//!
//! Start at [`Gguf`], [`metadata::read`] and [`Gguf::rows`].

mod accounts;
mod config;
mod format;
mod header;
mod keys;
mod layout;
pub mod metadata;
mod modules;
mod not_models;
mod parts;
mod tensors;
mod value;

pub use format::BlockFormat;
pub use layout::Rows;
pub use metadata::Model;
pub use not_models::{is_gguf, is_named_gguf};
pub use parts::Part;
pub use value::Value;

use crate::{Error, Result};
use header::Entry;
use layout::Layout;
use modules::ModuleNames;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tensors::Tensor;

/// An open GGUF model.
pub struct Gguf {
    /// The file that was named, for messages.
    path: PathBuf,
    /// Its files, in order.
    parts: Vec<Part>,
    /// Metadata, which the first file has.
    entries: BTreeMap<String, Entry>,
    /// Tensors of all files.
    tensors: BTreeMap<String, Tensor>,
    /// How they are turned into what the decoder asks for.
    layout: Layout,
    /// What transformers calls its tensors.
    modules: ModuleNames,
}

impl Gguf {
    /// Maps a file and reads its header; of a model that was split into several, all of them, whichever is named.
    ///
    /// # Errors
    /// It is no GGUF file, it or a part of it is missing, damaged or cut short.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self::of_parts(path, parts::open(path)?))
    }

    fn of_parts(path: &Path, (parts, entries, tensors): parts::Opened) -> Self {
        let (layout, modules) = (Layout::default(), ModuleNames::default());
        Self { path: path.to_path_buf(), parts, entries, tensors, layout, modules }
    }

    /// The file that was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its files, in the order of their numbers.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether a key is among the metadata.
    pub fn has_key(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The keys of the metadata.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// All values under a key: of an array its elements, otherwise the one that there is; none where it is absent.
    pub fn values(&self, key: &str) -> Option<Vec<Value>> {
        let entry = self.entries.get(key)?;
        Some(value::values(&self.parts[0].bytes, entry).collect())
    }

    /// The value under a key that is no array.
    pub fn value(&self, key: &str) -> Option<Value> {
        let entry = self.entries.get(key).filter(|entry| entry.count.is_none())?;
        value::values(&self.parts[0].bytes, entry).next()
    }

    /// The elements of an array.
    fn array(&self, key: &str) -> Option<impl Iterator<Item = Value>> {
        let entry = self.entries.get(key).filter(|entry| entry.count.is_some())?;
        Some(value::values(&self.parts[0].bytes, entry))
    }

    /// A whole number from 0 on; none where the key is absent.
    ///
    /// # Errors
    /// The value is another one.
    pub fn whole(&self, key: &str) -> Result<Option<u64>> {
        if !self.has_key(key) {
            return Ok(None);
        }
        let number = match self.value(key) {
            Some(Value::Whole(number)) => number.try_into().ok(),
            _ => None,
        };
        number.map(Some).ok_or_else(|| self.bad_entry(key, "is no whole number from 0 on"))
    }

    /// A number that may have a fraction; none where the key is absent.
    ///
    /// # Errors
    /// The value is another one, or not finite.
    pub fn number(&self, key: &str) -> Result<Option<f64>> {
        if !self.has_key(key) {
            return Ok(None);
        }
        let number = match self.value(key) {
            Some(Value::Whole(number)) => Some(number as f64),
            Some(Value::Number(number)) => Some(number),
            _ => None,
        };
        let number = number.filter(|number| number.is_finite());
        number.map(Some).ok_or_else(|| self.bad_entry(key, "is no finite number"))
    }

    /// A truth value; none where the key is absent or holds something else.
    pub fn boolean(&self, key: &str) -> Option<bool> {
        match self.value(key)? {
            Value::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    /// A text; none where the key is absent or holds something else.
    pub fn text(&self, key: &str) -> Option<String> {
        match self.value(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// An array of texts, as a vocabulary; none where the key is absent or holds something else.
    pub fn strings(&self, key: &str) -> Option<Vec<String>> {
        let text = |value| match value {
            Value::Text(text) => Some(text),
            _ => None,
        };
        self.array(key)?.map(text).collect()
    }

    /// An array of numbers, as the scores of a vocabulary; none where the key is absent or holds something else.
    pub fn numbers(&self, key: &str) -> Option<Vec<f64>> {
        self.array(key)?.map(|value| value.as_f64()).collect()
    }

    /// A refusal that names a key of the metadata.
    pub fn bad_entry(&self, key: &str, reason: &str) -> Error {
        Error::file(&self.path, format!("metadata {key} {reason}: fetch it again"))
    }

    /// A token of its vocabulary, by the key of its id.
    pub fn token(&self, id_key: &str) -> Option<String> {
        let id = usize::try_from(self.whole(id_key).ok()??).ok()?;
        match self.array("tokenizer.ggml.tokens")?.nth(id)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// transformers' name for a place among its tensors, which is how adapters name it.
    pub fn module(&self, place: &str) -> String {
        self.modules.translate(place)
    }
}

#[cfg(test)]
mod key_tests;
#[cfg(test)]
mod tests;
