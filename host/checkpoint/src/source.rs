//! How people name a model.

use crate::{Error, Result, presets::Preset};
use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelSource {
    /// A Hugging Face model folder.
    Folder(PathBuf),
    /// A file in llama.cpp's format.
    Gguf(PathBuf),
    /// A repository of the Hugging Face Hub.
    Hub {
        /// `org/name`.
        id: String,
        /// Branch, tag or commit; `main` unless given as `org/name@revision`.
        revision: String,
    },
    /// Seeded random weights of a named shape, or of a `config.json`.
    Synthetic(Preset),
}

impl ModelSource {
    /// Whether this is a name for the source. No file is looked at.
    pub fn is_called(&self, name: &str) -> bool {
        match self {
            Self::Folder(path) | Self::Gguf(path) => Path::new(name) == path,
            Self::Hub { id, revision } => {
                hub_id(name).is_some_and(|named| named == (id.clone(), revision.clone()))
            }
            Self::Synthetic(_) => name == self.to_string(),
        }
    }

    /// The model that comes along under this name, `synthetic:` included, if it is one of those. No file is looked at.
    pub fn preset(name: &str) -> Option<Self> {
        name.strip_prefix("synthetic:").and_then(Preset::named).map(Self::Synthetic)
    }
}

impl FromStr for ModelSource {
    type Err = Error;

    /// A folder that exists goes before a Hub id of the same spelling, as in transformers.
    fn from_str(text: &str) -> Result<Self> {
        if let Some(preset) = text.strip_prefix("synthetic:") {
            return Ok(Self::Synthetic(preset.parse()?));
        }
        let path = PathBuf::from(text);
        if path.is_dir() {
            return Ok(Self::Folder(path));
        }
        if path.extension().is_some_and(|extension| extension == "gguf") {
            return match path.is_file() {
                true => Ok(Self::Gguf(path)),
                false => Err(Error::NotFound(format!("no file '{text}'"))),
            };
        }
        if path.is_file() {
            return Err(Error::Invalid(format!(
                "{text} is a file: give the model's folder, the one that holds config.json, or a .gguf file"
            )));
        }
        match hub_id(text) {
            Some((id, revision)) => Ok(Self::Hub { id, revision }),
            None => Err(Error::NotFound(format!(
                "no model '{text}': it is neither a folder, nor a .gguf file, nor a Hub id (org/name), nor synthetic:PRESET"
            ))),
        }
    }
}

/// `org/name` or `org/name@revision` as id and revision.
pub fn hub_id(text: &str) -> Option<(String, String)> {
    let (id, revision) = text.split_once('@').unwrap_or((text, "main"));
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    let (owner, name) = id.split_once('/')?;
    (is_part(owner) && is_part(name)).then(|| (id.to_owned(), revision.to_owned()))
}

impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) | Self::Gguf(path) => write!(f, "{}", path.display()),
            Self::Hub { id, revision } => write!(f, "{id}@{revision}"),
            Self::Synthetic(preset) => write!(f, "synthetic:{preset}"),
        }
    }
}
