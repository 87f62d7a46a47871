//! The names by which people give a model: a folder, a GGUF file, a Hub id, or a synthetic preset.

use crate::{Error, Result, gguf, presets::Preset};
use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Where a model comes from.
///
/// ```
/// use llem_checkpoint::ModelSource;
///
/// let source: ModelSource = "org/name@v2".parse()?;
/// assert_eq!(source, ModelSource::Hub { id: "org/name".to_owned(), revision: "v2".to_owned() });
/// assert_eq!("synthetic:tiny".parse::<ModelSource>()?.to_string(), "synthetic:tiny");
/// # Ok::<(), llem_checkpoint::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum ModelSource {
    /// A folder in Hugging Face's layout: `config.json`, safetensors files, tokenizer files.
    Folder(PathBuf),
    /// A GGUF file, which is llama.cpp's format.
    Gguf(PathBuf),
    /// A repository of the Hugging Face Hub.
    Hub {
        /// `org/name`, or `name` alone for the oldest models.
        id: String,
        /// A branch, tag or commit. It is `main` unless the name was `org/name@revision`.
        revision: String,
    },
    /// Random weights from a seed, in the shape of a preset or of a `config.json`.
    Synthetic(Preset),
}

impl ModelSource {
    /// Returns `true` if `name` is a name of this source. No file is read.
    pub fn is_called(&self, name: &str) -> bool {
        match self {
            Self::Folder(path) | Self::Gguf(path) => Path::new(name) == path,
            Self::Hub { id, revision } => {
                parse_hub_id(name).is_some_and(|named| named == (id.clone(), revision.clone()))
            }
            Self::Synthetic(_) => name == self.to_string(),
        }
    }

    /// Returns the built-in preset with this name, which begins with `synthetic:`. Returns `None` if there is none. No
    /// file is read.
    pub fn from_preset_name(name: &str) -> Option<Self> {
        name.strip_prefix("synthetic:").and_then(Preset::from_name).map(Self::Synthetic)
    }
}

impl FromStr for ModelSource {
    type Err = Error;

    /// Reads a source's name. If a folder exists under the name, it wins over a Hub id, as in transformers.
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
        if Preset::from_name(text).is_some() {
            return Err(Error::NotFound(format!(
                "no model '{text}': no folder is called that; the preset is synthetic:{text}"
            )));
        }
        match parse_hub_id(text) {
            Some((id, revision)) => Ok(Self::Hub { id, revision }),
            None => Err(Error::NotFound(format!(
                "no model '{text}': it is neither a folder, nor a GGUF file, nor a Hub id (org/name), nor synthetic:PRESET"
            ))),
        }
    }
}

/// Splits `org/name` or `org/name@revision` into id and revision, which is `main` if it is absent. Returns `None` if
/// the text is no Hub id by the rules of huggingface_hub's `validate_repo_id`.
///
/// The oldest models have no owner (`gpt2`). Such an id must not contain a dot, because file names do.
pub fn parse_hub_id(text: &str) -> Option<(String, String)> {
    /// The longest owner or name, in characters.
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
        let is = |text: &str| parse_hub_id(text).map(|(id, revision)| format!("{id} {revision}"));
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
