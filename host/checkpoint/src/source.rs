//! How people name a model.

use crate::{Error, Result, gguf, presets::Preset};
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
        /// `org/name`, or `name` of the oldest models.
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
        if gguf::is_gguf(&path) {
            return Ok(Self::Gguf(path));
        }
        if path.is_file() {
            return Err(Error::Invalid(format!(
                "{text} is a file: give the model's folder, the one that holds config.json, or a GGUF file"
            )));
        }
        if gguf::is_named_gguf(&path) {
            return Err(Error::NotFound(format!("no file '{text}'")));
        }
        if Preset::named(text).is_some() {
            return Err(Error::NotFound(format!(
                "no model '{text}': no folder is called that; the preset is synthetic:{text}"
            )));
        }
        match hub_id(text) {
            Some((id, revision)) => Ok(Self::Hub { id, revision }),
            None => Err(Error::NotFound(format!(
                "no model '{text}': it is neither a folder, nor a GGUF file, nor a Hub id (org/name), nor synthetic:PRESET"
            ))),
        }
    }
}

/// `org/name` or `org/name@revision` as id and revision, by the rules of huggingface_hub's `validate_repo_id`. The oldest
/// models have no owner (`gpt2`), and no dot in their names either, which files have.
pub fn hub_id(text: &str) -> Option<(String, String)> {
    /// Longest part of an id, in characters.
    const LONGEST: usize = 96;
    let (id, revision) = text.split_once('@').unwrap_or((text, "main"));
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_part = |part: &str| {
        part.len() <= LONGEST
            && part.starts_with(is_word)
            && part.ends_with(is_word)
            && part.chars().all(|c| is_word(c) || "-.".contains(c))
    };
    let is_named = match id.split_once('/') {
        Some((owner, name)) => is_part(owner) && is_part(name),
        None => is_part(id) && !id.contains('.'),
    };
    let is_id = is_named && !["--", ".."].iter().any(|twice| id.contains(twice));
    (is_id && !id.ends_with(".git") && !revision.is_empty())
        .then(|| (id.to_owned(), revision.to_owned()))
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {

    use super::*;

    #[test]
    fn ids_are_told_from_paths() {
        let is = |text: &str| hub_id(text).map(|(id, revision)| format!("{id} {revision}"));
        for (text, id) in [
            ("org/name", "org/name main"),
            ("org/name-1.5_b@refs/pr/1", "org/name-1.5_b refs/pr/1"),
            ("gpt2", "gpt2 main"),
            ("gpt2@v1", "gpt2 v1"),
        ] {
            assert_eq!(is(text).as_deref(), Some(id));
        }
        for path in [
            "",
            "/",
            "./name",
            "../name",
            "a/b/c",
            "org/",
            "/name",
            "~/name",
            "model.bin",
            "org/name.git",
            "org/na--me",
            "org/na..me",
            "-name",
            "org/name@",
            "org/name ",
            "c:\\name",
            "nämé",
        ] {
            assert_eq!(is(path), None, "{path}");
        }
    }

    #[test]
    fn the_bare_name_of_a_preset_is_told() {
        let error = "tiny".parse::<ModelSource>().unwrap_err().to_string();
        assert!(error.contains("synthetic:tiny"), "{error}");
    }
}
